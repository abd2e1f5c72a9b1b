// NTK-mixed: the slowing shared out by a power of the pair's place. Row 5.
#pragma once

#include <ropewalk/frequency.hpp>

#include <cmath>

namespace ropewalk {
inline namespace v0 {

/// Pair i slowed by exp(a (i + 1)^exponent) with a chosen so that the last pair is slowed by
/// factor. exponent 0 is position interpolation, 1 spreads the slowing evenly.
///   Source       Su 2023 (kexue.fm 9706); vLLM rope type "ntk" with mixed_b
struct NtkMixed {
  double factor = 1.0;      // finite, >= 1
  double exponent = 0.625;  // 0 .. 1, with factor 1 without effect; 0.75 in bojone/rerope

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_factor(factor); fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_at_least("exponent", exponent, 0.0);
        fault.code != Errc::ok) {
      return fault;
    }
    if (exponent > 1.0) return {Errc::above_maximum, "exponent", exponent};
    return {};
  }

  /// Radians per token. Max error 4 ULP times the condition number.
  double inv_freq(const RopeConfig& config, int pair) const {
    const double plain = inverse_frequency(config, pair);
    if (factor == 1.0) return plain;
    const auto place = detail::subtract(detail::logarithm(static_cast<double>(pair + 1)),
                                        detail::logarithm(static_cast<double>(config.pairs())));
    // Shares near 1 keep the bits that multiplying by ln(factor) brings up.
    const auto power = detail::multiply({exponent, 0.0}, place);
    const auto share = power.high > -0.69 ? detail::sum_of(1.0, std::expm1(power.high))
                                          : detail::DoubleDouble{detail::exponential(power), 0.0};
    const auto slowing = detail::multiply(share, detail::logarithm(factor));
    return plain * detail::exponential({-slowing.high, -slowing.low});
  }
};

}  // namespace v0
}  // namespace ropewalk
