// Giraffe's two bases. Row 5.
#pragma once

#include <ropewalk/frequency.hpp>

namespace ropewalk {
inline namespace v0 {

/// Slow pairs slowed by a power of their place: theta_i * (1 - 2 pair / d)^exponent.
///   Source       Pal et al. 2023, arXiv 2308.10882 (exponent 0.5 in their runs)
struct PowerBasis {
  double exponent = 0.0;  // 0 .. 1024; 0 changes nothing

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    const Fault fault = detail::check_at_least("exponent", exponent, 0.0);
    if (fault.code != Errc::ok) return fault;
    if (exponent > 1024.0) return {Errc::above_maximum, "exponent", exponent};
    return {};
  }

  /// Radians per token. Max error 4 ULP times the condition number.
  double inv_freq(const RopeConfig& config, int pair) const {
    const double plain = inverse_frequency(config, pair);
    if (exponent == 0.0 || pair == 0) return plain;
    const auto place =
        detail::subtract(detail::logarithm(static_cast<double>(config.pairs() - pair)),
                         detail::logarithm(static_cast<double>(config.pairs())));
    return plain * detail::exponential(detail::multiply({exponent, 0.0}, place));
  }
};

/// Pairs faster than a cutoff are kept, those down to an eighth of it share one slow frequency
/// (a sixteenth of the cutoff), slower ones stand still.
///   Source       Pal et al. 2023, arXiv 2308.10882
struct TruncatedBasis {
  double cutoff = 0.0;  // radians per token, finite, >= 0; 0 keeps every pair

  /// The cutoff that keeps pairs with a wavelength up to `length` tokens.
  static TruncatedBasis at_length(std::int64_t length) {
    detail::require("TruncatedBasis::at_length", detail::check_length("length", length, 1));
    return {detail::kTwoPi / static_cast<double>(length)};
  }

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    return detail::check_at_least("cutoff", cutoff, 0.0);
  }

  /// Radians per token, 0 for pairs that stand still. Max error 2 ULP.
  double inv_freq(const RopeConfig& config, int pair) const {
    const double plain = inverse_frequency(config, pair);
    if (plain >= cutoff) return plain;
    return plain >= cutoff / 8.0 ? cutoff / 16.0 : 0.0;
  }
};

}  // namespace v0
}  // namespace ropewalk
