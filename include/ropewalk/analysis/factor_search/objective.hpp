// An objective for factor searches that needs no model. Row 9.
#pragma once

#include <ropewalk/analysis/coverage.hpp>
#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/turns.hpp>
#include <ropewalk/scaling/long_rope.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Mean over a run of distances of the mean of the pairs' cosines, in closed form: the cosines of
/// one pair at n distances from m add up to cos((2 m + n - 1) f / 2) sin(n f / 2) / sin(f / 2).
///   spectrum     frequencies below 2 pi
///   first        >= 0
///   count        >= 1, 2 first + count below 2^63
///   Max error    1e-14
inline double mean_cosine_over(const Spectrum& spectrum, std::int64_t first, std::int64_t count) {
  Spectrum halves = spectrum;
  for (double& inv_freq : halves.inv_freq) inv_freq /= 2.0;
  const PhaseTurns turns = phase_turns(halves);
  const double distances = static_cast<double>(count);
  double total = 0.0;
  for (int pair = 0; pair < turns.pairs(); ++pair) {
    const double step = sincos_double(phase_words(turns, 1, pair)).sin;
    const double middle = sincos_double(phase_words(turns, 2 * first + count - 1, pair)).cos;
    const double run = sincos_double(phase_words(turns, count, pair)).sin;
    // A frequency of 0, or so small that its sines are: every cosine is the one in the middle.
    total += step == 0.0 ? middle : middle * (run / (step * distances));
  }
  return total / static_cast<double>(turns.pairs());
}

}  // namespace detail

/// A demonstration objective made of two figures that need no model: the turns that pairs make
/// beyond what training showed them (a gate: schedules that work have none), less the mean of the
/// pairs' cosines over the farther half of the distances (a hint: it ranked four schedules as their
/// retrieval did, in two models, post hoc). It says nothing of perplexity and sees no attention
/// factor; a search in earnest measures a model.
class CosineObjective {
 public:
  ///   config         as trained; original_length >= 1
  ///   target_length  tokens, >= 2
  CosineObjective(const RopeConfig& config, std::int64_t target_length)
      : config_(config), target_length_(target_length) {
    detail::require("CosineObjective", detail::check_original_length(config, 1));
    detail::require("CosineObjective", detail::check_length("target_length", target_length, 2));
    trained_ = spectrum(config);
  }

  /// In turns, of all pairs, and in cosines, of the mean pair; smaller is better.
  double operator()(const LongRope& method) const {
    const Spectrum extended = spectrum(config_, method);
    const Coverage gate =
        coverage(trained_, config_.original_length, extended, target_length_, kFullTurn);
    const std::int64_t half = target_length_ / 2;
    const double hint = detail::mean_cosine_over(extended, half, target_length_ - half);
    return gate.excess_turns - hint;
  }

 private:
  RopeConfig config_;
  std::int64_t target_length_;
  Spectrum trained_;
};

}  // namespace v0
}  // namespace ropewalk
