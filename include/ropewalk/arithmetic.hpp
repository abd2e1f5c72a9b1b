// Arithmetic the formulas stand on: tests that survive -ffast-math, sums of two doubles, logarithms
// to about 60 bits, and powers whose rounded exponent is compensated. Row 1.
//
// Errors are stated in units in the last place of double (ULP), against the exact formula for the
// arguments as given. "Times the condition number" means times the relative change of the result per
// relative change of the arguments, added over them, and never less than 1.
#pragma once

#include <ropewalk/error.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>

namespace ropewalk {
inline namespace v0 {
namespace detail {

inline constexpr double kTwoPi = 6.283185307179586;                    // nearest double to 2 pi
inline constexpr double kTwoPiLow = 2.4492935982947064e-16;            // 2 pi = kTwoPi + kTwoPiLow
inline constexpr std::int64_t kMaximumLength = std::int64_t{1} << 53;  // exact as double

/// False for NaN and infinities. Looks at the bits: -ffast-math folds std::isfinite to true.
inline bool is_finite(double value) noexcept {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  constexpr std::uint64_t exponent = 0x7ff0000000000000u;
  return (bits & exponent) != exponent;
}

/// The unevaluated sum high + low with |low| <= half an ULP of high. Under -ffast-math the low part
/// may be optimised away; what is left is a plain double.
struct DoubleDouble {
  double high = 0.0;
  double low = 0.0;
};

inline DoubleDouble sum_of(double a, double b) noexcept {
  const double high = a + b;
  const double b_part = high - a;
  return {high, (a - (high - b_part)) + (b - b_part)};
}

inline DoubleDouble product_of(double a, double b) noexcept {
  const double high = a * b;
  return {high, std::fma(a, b, -high)};
}

inline DoubleDouble add(DoubleDouble a, DoubleDouble b) noexcept {
  const DoubleDouble high = sum_of(a.high, b.high);
  return sum_of(high.high, high.low + (a.low + b.low));
}

inline DoubleDouble subtract(DoubleDouble a, DoubleDouble b) noexcept {
  return add(a, {-b.high, -b.low});
}

inline DoubleDouble multiply(DoubleDouble a, DoubleDouble b) noexcept {
  const DoubleDouble high = product_of(a.high, b.high);
  return sum_of(high.high, high.low + (a.high * b.low + a.low * b.high));
}

inline DoubleDouble divide(DoubleDouble a, DoubleDouble b) noexcept {
  const double quotient = a.high / b.high;
  const double rest = std::fma(-quotient, b.high, a.high) + (a.low - quotient * b.low);
  return sum_of(quotient, rest / b.high);
}

/// ln(value) to about 60 bits: 2 atanh((m - 1) / (m + 1)) + k ln 2 with m in [sqrt(1/2), sqrt(2)].
///   value   finite and > 0
///   Max error   2^-57 relative, or 2^-59 absolute near 1, whichever is larger
inline DoubleDouble logarithm(double value) noexcept {
  int exponent = 0;
  double mantissa = std::frexp(value, &exponent);
  if (mantissa < 0.70710678118654752) {
    mantissa *= 2.0;
    --exponent;
  }
  const DoubleDouble z = divide({mantissa - 1.0, 0.0}, sum_of(mantissa, 1.0));
  const double square = z.high * z.high;  // at most 0.0295, so 12 terms reach 2^-61
  double tail = 0.0;
  for (int odd = 25; odd >= 3; odd -= 2) tail = (tail + 1.0 / odd) * square;
  const DoubleDouble log_mantissa = sum_of(2.0 * z.high, 2.0 * (z.low + z.high * tail));
  constexpr DoubleDouble ln2{0.6931471805599453, 2.3190468138462996e-17};
  return add(multiply({static_cast<double>(exponent), 0.0}, ln2), log_mantissa);
}

/// ln(2 pi), both halves.
inline constexpr DoubleDouble kLogTwoPi{1.8378770664093456, -7.756588316134483e-17};

/// e^exponent, at most 1.5 ULP where the exponent is good to 60 bits.
inline double exponential(DoubleDouble exponent) noexcept {
  const double result = std::exp(exponent.high);
  return result + result * exponent.low;
}

/// base^(numerator / denominator) for whole numbers. pow alone, given the rounded quotient, is off
/// by up to ln(result) / 2 ULP more; here the quotient is split exactly by integer division.
///   base          finite and > 0
///   |numerator|   < 2^31, denominator in [1, 2^31)
///   Max error     2 ULP
inline double power_ratio(double base, std::int64_t numerator, std::int64_t denominator) noexcept {
  constexpr std::int64_t one = std::int64_t{1} << 30;
  const std::int64_t scaled = numerator * one;
  const double head = static_cast<double>(scaled / denominator) / static_cast<double>(one);
  const double rest = static_cast<double>(scaled % denominator) /
                      (static_cast<double>(denominator) * static_cast<double>(one));
  const double result = std::pow(base, head);
  const double x = rest * std::log(base);  // below 2^-30 * 710, so two terms are enough
  return result + result * (x + 0.5 * x * x);
}

// The checks every formula shares. They return the fault so that validate() can pass it on.

inline Fault check_finite(const char* field, double value) noexcept {
  if (!is_finite(value)) return {Errc::not_finite, field, value};
  return {};
}

inline Fault check_positive(const char* field, double value) noexcept {
  if (!is_finite(value)) return {Errc::not_finite, field, value};
  if (!(value > 0.0)) return {Errc::not_positive, field, value};
  return {};
}

inline Fault check_at_least(const char* field, double value, double minimum) noexcept {
  if (!is_finite(value)) return {Errc::not_finite, field, value};
  if (!(value >= minimum)) return {Errc::below_minimum, field, value};
  return {};
}

/// A factor of lengths: 1 up to the longest length over the shortest.
inline Fault check_factor(double factor) noexcept {
  const Fault fault = check_at_least("factor", factor, 1.0);
  if (fault.code != Errc::ok) return fault;
  if (factor > static_cast<double>(kMaximumLength)) return {Errc::above_maximum, "factor", factor};
  return {};
}

inline Fault check_length(const char* field, std::int64_t value, std::int64_t minimum) noexcept {
  if (value < minimum) return {Errc::below_minimum, field, static_cast<double>(value)};
  if (value > kMaximumLength) return {Errc::above_maximum, field, static_cast<double>(value)};
  return {};
}

/// The result itself, or a refusal when the formula overflowed or lost its meaning.
inline double finite_result(const char* where, const char* field, double argument, double result) {
  if (!is_finite(result)) refuse(where, {Errc::result_not_finite, field, argument});
  return result;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
