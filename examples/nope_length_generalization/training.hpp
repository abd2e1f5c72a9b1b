// Training: AdamW on batches of windows, resumable.
#pragma once

#include "data.hpp"
#include "shape.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace lm {

struct TrainingPlan {
  std::int64_t steps = 3600;
  int batch_tokens = 4096;
  double learning_rate = 4e-3;
  int first_length = 32;  ///< tokens; doubled until it is the trained length, because
  std::int64_t growth_steps =
      500;                     ///< without positions nothing is learned from long windows first
  std::int64_t warm_up = 200;  ///< steps of linear growth
  double decay_part = 0.3;     ///< of all steps, linear to zero, after a constant rate
  double weight_decay = 0.1;   ///< times the learning rate; not of norms
  double beta1 = 0.9;
  double beta2 = 0.98;
  double gradient_clip = 1.0;  ///< of the norm over all parameters
  std::uint64_t seed = 1;
  std::int64_t report_every = 100;
  int threads = 1;  ///< changes nothing but the time
};

/// The rate of a step, 0 .. steps - 1.
double learning_rate(const TrainingPlan& plan, std::int64_t step);

/// Tokens of a window in a step.
int window_length(const TrainingPlan& plan, const Shape& shape, std::int64_t step);

/// Where training stands: all that the next step depends on.
struct TrainingState {
  std::int64_t step = 0;
  std::vector<float> parameters, first_moment, second_moment;
};

/// Gradients of a batch are summed in so many lanes, and these in order: the sum is the same for
/// every number of threads.
inline constexpr int kLanes = 4;

TrainingState initial_state(const Shape& shape, std::uint64_t seed);

/// Throws std::runtime_error when the file is not the state of a model of this shape.
TrainingState read_state(const std::filesystem::path& path, const Shape& shape);
void write_state(const std::filesystem::path& path, const TrainingState& state);

/// Mean loss of the step's batch in nats, before the step.
double train_step(const Shape& shape, const TrainingPlan& plan, const Text& text,
                  TrainingState& state);

}  // namespace lm
