// How a number that somebody printed can come from one that a formula gives. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ropewalk {
inline namespace v0 {

/// How a base agrees with what a rule gives, closest first.
enum class ThetaMatch {
  exact,              ///< to 1e-12: what is left is the arithmetic
  floored,            ///< the whole number just below
  rounded_to_whole,   ///< the nearest whole number, which is above
  rounded_to_digits,  ///< the same in as many significant digits as the base is printed with
  within_tolerance,   ///< as near as the caller allows
  none
};

namespace detail {

inline constexpr double kExactness = 1e-12;  // a chain of laws, each within 40 ULP times 25
inline constexpr int kMaximumDigits = 17;

/// A value in `digits` significant digits, as text; two such texts are compared, never shown.
struct Digits {
  char text[40];

  Digits(double value, int digits) noexcept {
    std::snprintf(text, sizeof text, "%.*e", digits - 1, value);
  }
  bool operator==(const Digits& other) const noexcept { return std::strcmp(text, other.text) == 0; }
};

/// The fewest significant digits that write a value.
inline int fewest_digits(double value) noexcept {
  for (int digits = 1; digits < kMaximumDigits; ++digits) {
    if (std::strtod(Digits(value, digits).text, nullptr) == value) return digits;
  }
  return kMaximumDigits;
}

/// A base as somebody printed it.
struct PrintedTheta {
  double theta = 0.0;
  int digits = 0;
  double tolerance = 0.0;

  bool whole() const noexcept { return theta < 9e15 && std::floor(theta) == theta; }

  /// How it agrees with what a rule gives.
  ThetaMatch match(double predicted) const noexcept {
    const double difference = predicted - theta;
    if (std::fabs(difference) <= kExactness * theta) return ThetaMatch::exact;
    if (whole() && difference > 0.0 && difference < 1.0) return ThetaMatch::floored;
    if (whole() && difference < 0.0 && difference >= -0.5) return ThetaMatch::rounded_to_whole;
    if (Digits(predicted, digits) == Digits(theta, digits)) return ThetaMatch::rounded_to_digits;
    if (std::fabs(difference) <= tolerance * predicted) return ThetaMatch::within_tolerance;
    return ThetaMatch::none;
  }

  /// How wide a range of predictions agrees as closely, in ln(theta).
  double width(ThetaMatch match) const noexcept {
    switch (match) {
      case ThetaMatch::exact:
        return 2.0 * kExactness;
      case ThetaMatch::floored:
      case ThetaMatch::rounded_to_whole:
        return 1.0 / theta;
      case ThetaMatch::rounded_to_digits: {
        double unit = 1.0;  // of the last digit printed
        while (unit * 10.0 <= theta) unit *= 10.0;
        for (int digit = 1; digit < digits; ++digit) unit /= 10.0;
        return unit / theta;
      }
      case ThetaMatch::within_tolerance:
        return 2.0 * tolerance;
      case ThetaMatch::none:
        break;
    }
    return 0.0;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
