// What the two models do beyond the length they were trained at, as numbers.
#pragma once

#include "evaluation.hpp"
#include "shape.hpp"

#include <ropewalk/analysis/entropy.hpp>
#include <ropewalk/head_scale/uniform_fit.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lm {

/// Where the story looks and how long.
struct StoryRequest {
  std::filesystem::path data;  ///< folder with weights/ and heldout.txt
  std::size_t windows = 32;    ///< of kLongest bytes
  int threads = 1;
};

inline constexpr std::int64_t kLengths[] = {256, 512, 1024};
inline constexpr std::int64_t kLongest = 1024;
inline constexpr std::int64_t kScored = 128;  ///< positions before a length that count for it
inline constexpr std::uint64_t kSearchSeeds[] = {1, 2, 3};
inline constexpr std::int64_t kSearchLengths[] = {512, 1024};

/// The file of a search's result in weights/.
std::string head_scales_file(std::int64_t target_length, std::uint64_t seed);

/// One way to read on beyond the trained length.
struct Way {
  std::string name;
  std::vector<double> loss;    ///< at kLengths, nats per byte
  std::vector<double> spread;  ///< largest minus smallest over the searches; empty for one run
  std::vector<double> curve;   ///< loss by position
};

/// Losses of NoPE under one scale for all heads.
struct UniformScales {
  std::vector<std::int64_t> lengths;
  std::vector<double> head_scale;         ///< (scales,)
  std::vector<std::vector<double>> loss;  ///< (scales, lengths)
  std::vector<double> best;               ///< (lengths,), of the parabola through the lowest three
  ropewalk::UniformFit fit;               ///< of all lengths beyond the trained one
};

/// The heads under the searches for one target length.
struct SearchedHeads {
  std::int64_t target_length = 0;
  std::vector<std::vector<double>> head_scale;  ///< (seeds, heads of all layers)
  std::vector<double> mean;                     ///< over the seeds
  double spread = 0.0;  ///< mean over the heads of the seeds' standard deviation
  std::optional<ropewalk::Correlation> with_entropy;
};

struct Story {
  Shape shape;
  std::size_t windows = 0;
  std::vector<Way> nope, rope;  ///< the first as trained
  UniformScales uniform;
  std::vector<double> nope_entropy, rope_entropy, scaled_entropy;  ///< by position, all heads
  std::optional<ropewalk::EntropyKnee> nope_knee, rope_knee;
  std::vector<double> converged;  ///< NoPE's entropy per head before the trained length
  std::vector<SearchedHeads> searched;
};

/// Evaluates everything on the held-out text. Throws std::runtime_error over unreadable files.
Story tell_story(const StoryRequest& request);

}  // namespace lm
