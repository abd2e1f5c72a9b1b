// NTK-by-parts: the YaRN paper's ramp, in rotations. Row 5.
#pragma once

#include <ropewalk/frequency.hpp>

namespace ropewalk {
inline namespace v0 {

namespace detail {

/// Between slowing by `factor` (keep 0) and leaving alone (keep 1); exact at both ends and at
/// factor 1.
inline double blend(double inv_freq, double factor, double keep) noexcept {
  if (keep >= 1.0 || factor == 1.0) return inv_freq;
  if (keep <= 0.0) return inv_freq / factor;
  return inv_freq * ((1.0 - keep) / factor + keep);
}

}  // namespace detail

/// Pairs that turned more than beta_fast times in training are kept, those under beta_slow are
/// slowed by factor, and those between are mixed linearly in their number of rotations. This is the
/// paper's ramp; the code everyone runs uses Yarn's, whose frequencies differ by up to 3.96x at
/// factor 32.
///   Source       Peng et al. 2023, arXiv 2309.00071, section 3.2 (without its temperature)
struct NtkByParts {
  double factor = 1.0;      // finite, >= 1
  double beta_fast = 32.0;  // rotations from which a pair is kept; the paper's beta
  double beta_slow = 1.0;   // rotations below which a pair is slowed by factor; the paper's alpha

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_factor(factor); fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_positive("beta_slow", beta_slow);
        fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_positive("beta_fast", beta_fast);
        fault.code != Errc::ok) {
      return fault;
    }
    if (beta_fast < beta_slow) return {Errc::wrong_order, "beta_fast", beta_fast};
    if (factor > 1.0) return detail::check_original_length(config, 1);
    return {};
  }

  /// Radians per token. Max error 4 ULP times the condition number of the ramp.
  double inv_freq(const RopeConfig& config, int pair) const {
    const double plain = inverse_frequency(config, pair);
    if (factor == 1.0) return plain;
    const double turns = rotations(plain, config.original_length);
    if (turns > beta_fast) return plain;
    if (turns < beta_slow) return plain / factor;
    // beta_fast == beta_slow leaves no band: a step, and no division.
    if (beta_fast == beta_slow) return plain;
    return detail::blend(plain, factor, (turns - beta_slow) / (beta_fast - beta_slow));
  }
};

}  // namespace v0
}  // namespace ropewalk
