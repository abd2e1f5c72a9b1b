// A curriculum: stages of training from a trained length to a longer one. Row 9.
#pragma once

#include <ropewalk/analysis/coverage.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// One stage of training: spectrum(config, scaling) is what the model rotates with in it.
///
/// Both counts are gates of the hand-over: a pair that is counted meets angles it was not trained
/// on. Stages that work leave few, but no count says how long training takes.
struct Stage {
  std::int64_t length = 0;   // tokens of a training sequence
  RopeConfig config = {};    // original_length stays what it was before the first stage
  Scaling scaling = {};      // the trained one where only theta moves
  double factor = 1.0;       // length / trained length
  std::int64_t tokens = 0;   // to train on; 0: not planned
  int over_range_pairs = 0;  // turn further than in the stage before, where they made no full turn
  int new_to_model_pairs = 0;  // the same against all stages before; at most over_range_pairs
};

/// The stages, and what they start from.
struct Plan {
  RopeConfig trained = {};         // base and length before the first stage
  Scaling trained_scaling = {};    // how the model rotates before it
  std::vector<Stage> stages = {};  // in order of training
};

namespace detail {

/// The further of two arcs of every pair, as a spectrum at the second length.
inline Spectrum widest_arcs(const Spectrum& seen, std::int64_t seen_length, const Spectrum& stage,
                            std::int64_t length) {
  Spectrum widest = stage;
  const double ratio = static_cast<double>(seen_length) / static_cast<double>(length);
  for (std::size_t pair = 0; pair < widest.inv_freq.size(); ++pair) {
    const double before = seen.inv_freq[pair] * ratio;
    if (before > widest.inv_freq[pair]) widest.inv_freq[pair] = before;
  }
  return widest;
}

/// Fills in both counts of every stage, by coverage() between one stage and the next.
inline void count_over_range(Plan& plan) {
  std::int64_t length = plan.trained.original_length;
  Spectrum before = spectrum(plan.trained, plan.trained_scaling);
  Spectrum widest = before;
  for (Stage& stage : plan.stages) {
    Spectrum now = spectrum(stage.config, stage.scaling);
    stage.over_range_pairs = coverage(before, length, now, stage.length).over_range_pairs;
    stage.new_to_model_pairs = coverage(widest, length, now, stage.length).over_range_pairs;
    widest = widest_arcs(widest, length, now, stage.length);
    length = stage.length;
    before = std::move(now);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
