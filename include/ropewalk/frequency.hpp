// Plain rotary frequencies: how fast each pair turns, and which pair turns at a given rate. Row 3.
#pragma once

#include <ropewalk/rope_config.hpp>

#include <cmath>
#include <cstdint>
#include <limits>

namespace ropewalk {
inline namespace v0 {

/// Inverse frequency of one rotated pair, theta^(-2 pair / rotary_dim), in radians per token.
///   theta        finite, > 1
///   pair         0 <= pair < rotary_dim / 2; pair 0 turns fastest, one radian per token
///   rotary_dim   even, 2 .. 65536
///   Max error    2 ULP
///   Source       Su et al. 2021, arXiv 2104.09864 (there counted from 1)
inline double inverse_frequency(double theta, int pair, int rotary_dim) noexcept {
  ROPEWALK_ASSERT(detail::is_finite(theta) && theta > 1.0, "inverse_frequency: theta > 1");
  ROPEWALK_ASSERT(pair >= 0 && pair < rotary_dim / 2, "inverse_frequency: 0 <= pair < pairs");
  return detail::power_ratio(theta, -2 * std::int64_t{pair}, rotary_dim);
}

/// The same for a model as it was trained.
inline double inverse_frequency(const RopeConfig& config, int pair) noexcept {
  return inverse_frequency(config.theta, pair, config.rotary_dim);
}

/// Tokens in one full turn, 2 pi / inv_freq; infinite for a pair that never turns (inv_freq 0).
///   inv_freq     radians per token, finite and >= 0
///   Max error    1 ULP
inline double wavelength(double inv_freq) noexcept {
  ROPEWALK_ASSERT(detail::is_finite(inv_freq) && inv_freq >= 0.0, "wavelength: inv_freq >= 0");
  if (inv_freq == 0.0) return std::numeric_limits<double>::infinity();
  return detail::kTwoPi / inv_freq;
}

/// Full turns a pair makes over a length, length * inv_freq / 2 pi; 0 for a pair that never turns.
///   inv_freq     radians per token, finite and >= 0
///   length       tokens, >= 0
///   Max error    2 ULP
inline double rotations(double inv_freq, std::int64_t length) noexcept {
  ROPEWALK_ASSERT(detail::is_finite(inv_freq) && inv_freq >= 0.0, "rotations: inv_freq >= 0");
  ROPEWALK_ASSERT(length >= 0 && length <= detail::kMaximumLength, "rotations: length >= 0");
  return static_cast<double>(length) * inv_freq / detail::kTwoPi;
}

namespace detail {

/// pair_index_of_wavelength as a sum of two doubles, unchecked.
inline DoubleDouble pair_index(const RopeConfig& config, double wavelength) noexcept {
  const auto turns = subtract(logarithm(wavelength), kLogTwoPi);
  const auto ratio = divide(turns, logarithm(config.theta));
  return multiply(ratio, {static_cast<double>(config.pairs()), 0.0});
}

}  // namespace detail

/// The real-valued index of the pair whose wavelength is the one given:
/// (rotary_dim / 2) ln(wavelength / 2 pi) / ln(theta). Below 0 when even pair 0 turns more slowly,
/// above pairs - 1 when even the last pair turns faster.
///
/// One function serves two formulas: with the trained length it gives the critical dimension (Liu
/// et al.), with the trained length divided by beta it gives an end of YaRN's correction range.
///   config       sound (config.validate())
///   wavelength   tokens, finite and > 0
///   Max error    2 ULP times the condition number, which grows as 1 / |ln(wavelength / 2 pi)|
///   Source       Liu et al. 2023, arXiv 2310.05209; Peng et al. 2023, arXiv 2309.00071
inline double pair_index_of_wavelength(const RopeConfig& config, double wavelength) {
  detail::require("pair_index_of_wavelength", config.validate());
  detail::require("pair_index_of_wavelength", detail::check_positive("wavelength", wavelength));
  return detail::pair_index(config, wavelength).high;
}

}  // namespace v0
}  // namespace ropewalk
