// Position interpolation. Row 5.
#pragma once

#include <ropewalk/frequency.hpp>

namespace ropewalk {
inline namespace v0 {

/// Every pair slowed by the same factor, as if positions were divided by it.
///   Source       Chen et al. 2023, arXiv 2306.15595; Hugging Face rope_type "linear"
struct Linear {
  double factor = 1.0;  // target length / original length, finite, >= 1

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    return detail::check_factor(factor);
  }

  /// Radians per token. Max error 3 ULP.
  double inv_freq(const RopeConfig& config, int pair) const {
    return inverse_frequency(config, pair) / factor;
  }
};

}  // namespace v0
}  // namespace ropewalk
