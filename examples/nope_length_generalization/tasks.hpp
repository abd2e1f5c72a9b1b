// What the program does apart from telling the story: training and searching, minutes to hours.
#pragma once

#include "shape.hpp"

#include <cstdint>
#include <filesystem>

namespace lm {

struct TrainingRequest {
  Positions positions = Positions::nope;
  std::filesystem::path text;
  std::filesystem::path out;  ///< folder of the state and the weights
  std::int64_t steps = 0;
  int threads = 1;
};

/// Trains a model, or goes on from out/NAME.state, with a line of progress per 100 steps on standard
/// error, and writes out/NAME.safetensors at the end.
void train(const TrainingRequest& request);

struct SearchRequest {
  std::filesystem::path data;  ///< folder with weights/nope.safetensors
  std::filesystem::path text;
  std::filesystem::path out;  ///< folder of the JSON files
  int threads = 1;
};

/// Searches the scales of NoPE for every target length and seed of the story; a search that was
/// interrupted goes on from its state in `out`, and one whose result is there is left alone.
void search(const SearchRequest& request);

}  // namespace lm
