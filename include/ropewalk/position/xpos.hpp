// xPos: pairs scaled with position, so that products decay with distance. Row 8.
#pragma once

#include <ropewalk/rope_config.hpp>

#include <cmath>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// Queries are multiplied by zeta^((position - center) / scale_base), keys by its inverse, where
/// zeta(pair) = (2 pair + 0.4 d) / (1.4 d) < 1, d = rotary_dim: products see zeta^(r / scale_base)
/// for a distance r, whatever the center. The center only keeps the two factors in range: with base
/// 512 those of pair 0 leave float32 36,000 tokens from it.
///   Valid for    finite scale_base > 0, |center| <= 2^53
///   Source       Sun et al. 2022, arXiv 2212.10554; flash-attention's RotaryEmbedding(scale_base),
///                where the center is half the length at hand
struct XPos {
  double scale_base = 512.0;  // tokens
  std::int64_t center = 0;    // the position that is not scaled

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_positive("scale_base", scale_base);
        fault.code != Errc::ok) {
      return fault;
    }
    return check_position("center", center);
  }

  /// What the elements of a query's pair are multiplied by, besides rotation.
  ///   position     |position| <= 2^53
  ///   pair         0 <= pair < config.pairs()
  ///   Max error    2 ULP times max(1, |ln(result)|), which is the condition number
  ///   Throws       std::invalid_argument for a fault of validate() and where the factor leaves the
  ///                normal doubles
  double query_scale(const RopeConfig& config, std::int64_t position, int pair) const {
    return scale(config, "XPos::query_scale", position, center, pair);
  }

  /// The same for keys: 1 / query_scale.
  double key_scale(const RopeConfig& config, std::int64_t position, int pair) const {
    return scale(config, "XPos::key_scale", center, position, pair);
  }

  /// The factor of a whole product, query_scale times key_scale.
  double product_scale(const RopeConfig& config, std::int64_t query, std::int64_t key,
                       int pair) const {
    return scale(config, "XPos::product_scale", query, key, pair);
  }

 private:
  static Fault check_position(const char* field, std::int64_t position) noexcept {
    const double value = static_cast<double>(position);
    if (position < -detail::kMaximumLength) return {Errc::below_minimum, field, value};
    if (position > detail::kMaximumLength) return {Errc::above_maximum, field, value};
    return {};
  }

  /// ln zeta to about 57 bits, from zeta = (10 pair + 2 d) / 7 d in whole numbers.
  static detail::DoubleDouble log_zeta(const RopeConfig& config, int pair) noexcept {
    const double numerator = 10.0 * pair + 2.0 * config.rotary_dim;
    const double denominator = 7.0 * config.rotary_dim;
    if (numerator < 0.7 * denominator) {
      const detail::DoubleDouble zeta = detail::divide({numerator, 0.0}, {denominator, 0.0});
      return detail::add(detail::logarithm(zeta.high), {zeta.low / zeta.high, 0.0});
    }
    // Near 1: 2 atanh((zeta - 1) / (zeta + 1)), so that the logarithm keeps its relative precision.
    const detail::DoubleDouble z =
        detail::divide({numerator - denominator, 0.0}, {numerator + denominator, 0.0});
    const double square = z.high * z.high;  // at most 0.0312, so 12 terms reach 2^-60
    double tail = 0.0;
    for (int odd = 25; odd >= 3; odd -= 2) tail = (tail + 1.0 / odd) * square;
    return detail::sum_of(2.0 * z.high, 2.0 * (z.low + z.high * tail));
  }

  double scale(const RopeConfig& config, const char* where, std::int64_t to, std::int64_t from,
               int pair) const {
    detail::require(where, validate(config));
    detail::require(where, check_position("position", to));
    detail::require(where, check_position("position", from));
    ROPEWALK_ASSERT(pair >= 0 && pair < config.pairs(), "XPos: 0 <= pair < pairs");
    const std::int64_t tokens = to - from;
    const double rounded = static_cast<double>(tokens);
    const detail::DoubleDouble distance{
        rounded, static_cast<double>(tokens - static_cast<std::int64_t>(rounded))};
    const detail::DoubleDouble power = detail::divide(distance, {scale_base, 0.0});
    const detail::DoubleDouble exponent = detail::multiply(power, log_zeta(config, pair));
    // e^-708 is normal, e^708 finite; a quotient that overflowed is refused as well.
    if (!detail::is_finite(exponent.high) || std::fabs(exponent.high) > 708.0) {
      detail::refuse(where, {Errc::result_not_finite, "position", rounded});
    }
    return detail::exponential(exponent);
  }
};

}  // namespace v0
}  // namespace ropewalk
