// Sums of cosines in fixed point, for signs that doubles leave open. Row 9.
//
// Whole numbers only: nothing here changes under -ffast-math.
#pragma once

#include <ropewalk/phase/turns.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

// Turns also serves as a fraction of 1 in two words, 2^-128 to the unit.

/// a * b, cut off.
///   Max error    3 units
constexpr Turns fraction_product(Turns a, Turns b) noexcept {
  const Turns product = {multiply_high(a.high, b.high), a.high * b.high};
  return sum(product, sum({0, multiply_high(a.high, b.low)}, {0, multiply_high(a.low, b.high)}));
}

/// a / divisor, cut off.
constexpr Turns fraction_quotient(Turns a, std::uint32_t divisor) noexcept {
  const std::uint64_t middle = (a.high % divisor) << 32 | a.low >> 32;
  const std::uint64_t last = (middle % divisor) << 32 | (a.low & 0xffffffffu);
  return {a.high / divisor, (middle / divisor) << 32 | last / divisor};
}

constexpr Turns negative(Turns a) noexcept { return sum({~a.high, ~a.low}, {0, 1}); }

/// 1 - s / (k (k + 1)) (1 - s / ((k + 2) (k + 3)) (1 - ...)), at most 1 - 2^-128.
///   square       s, at most (pi / 4)^2
///   first        k: 1 for the cosine, 2 for sine / angle
///   Max error    2^-116, the terms left out included
constexpr Turns alternating_series(Turns square, std::uint32_t first) noexcept {
  constexpr std::uint32_t terms = 14;
  Turns result = {~std::uint64_t{0}, ~std::uint64_t{0}};
  for (std::uint32_t term = terms; term-- > 0;) {
    const std::uint32_t k = first + 2 * term;
    const Turns taken = fraction_quotient(fraction_product(square, result), k * (k + 1));
    result = {~taken.high, ~taken.low};
  }
  return result;
}

/// The cosine of an angle in 2^-96, two's complement.
///   Max error    one unit and 2^-18 of one
constexpr Turns fixed_cosine(Turns angle) noexcept {
  constexpr Turns quarter_pi = {0xc90fdaa22168c234u, 0xc4c6628b80dc1cd1u};
  const std::uint64_t quadrant = (angle.high + (std::uint64_t{1} << 61)) >> 62;
  Turns rest = {angle.high - (quadrant << 62), angle.low};  // within an eighth of a turn
  const bool below = rest.high >> 63 != 0;
  if (below) rest = negative(rest);
  // As a fraction of that eighth; the whole eighth, which would wrap around, becomes just less.
  Turns fraction = {rest.high << 3 | rest.low >> 61, rest.low << 3};
  if (rest.high >> 61 != 0) fraction = {~std::uint64_t{0}, ~std::uint64_t{0}};
  const Turns x = fraction_product(fraction, quarter_pi);
  const Turns square = fraction_product(x, x);
  const bool odd = quadrant % 2 != 0;
  const Turns size =
      odd ? fraction_product(x, alternating_series(square, 2)) : alternating_series(square, 1);
  const Turns units = {size.high >> 32, size.high << 32 | size.low >> 32};
  // cos, -sin, -cos, sin of the rest in the four quadrants; the sine is odd.
  const bool minus = odd ? (quadrant == 1) != below : quadrant == 2;
  return minus ? negative(units) : units;
}

/// The sum over all pairs at a distance, or +0 where even this many bits leave its sign open.
///   Max error    2^-95 per pair, and |distance| * 2^-126 per pair for the steps' own rounding;
///                then 2^-52 of the result
inline double fixed_cosine_sum(const PhaseTurns& turns, std::int64_t distance) noexcept {
  Turns total;
  for (int pair = 0; pair < turns.pairs(); ++pair) {
    total = sum(total, fixed_cosine(phase_words(turns, distance, pair)));
  }
  const bool below = total.high >> 63 != 0;
  if (below) total = negative(total);
  const double size =
      static_cast<double>(total.high) * 0x1p-32 + static_cast<double>(total.low) * 0x1p-96;
  const double reach =
      distance < 0 ? -static_cast<double>(distance) : static_cast<double>(distance);
  const double bound = static_cast<double>(turns.pairs()) * (0x1p-95 + reach * 0x1p-126);
  if (size <= bound) return 0.0;
  return below ? -size : size;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
