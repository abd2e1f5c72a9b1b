// Resonance: wavelengths rounded to whole tokens, over any other method. Row 5.
#pragma once

#include <ropewalk/frequency.hpp>
#include <ropewalk/scaling/method.hpp>
#include <ropewalk/scaling/unscaled.hpp>

#include <cmath>

namespace ropewalk {
inline namespace v0 {

/// Another method's wavelengths rounded to the nearest whole number (ties to even), so that every
/// pair repeats exactly and a position beyond training meets angles seen in training. Pairs that
/// stand still stay so; one that turns in less than half a token has no such wavelength and comes
/// out infinite, which spectrum() refuses. Changes fast pairs by up to 4.5 %.
///   Source       Wang et al. 2024, arXiv 2403.00071
template <typename Method = Unscaled>
struct Resonance {
  Method method = {};

  Fault validate(const RopeConfig& config) const noexcept {
    return detail::fault_of(config, method);
  }

  /// Radians per token. Max error 1 ULP, for the wavelength rounded from the method's own value.
  double inv_freq(const RopeConfig& config, int pair) const {
    const double inner = method.inv_freq(config, pair);
    if (inner == 0.0) return 0.0;
    return detail::kTwoPi / std::nearbyint(detail::kTwoPi / inner);
  }

  double attention_factor(const RopeConfig& config) const {
    return detail::attention_factor_of(config, method);
  }
};

template <typename Method>
Resonance(Method) -> Resonance<Method>;

}  // namespace v0
}  // namespace ropewalk
