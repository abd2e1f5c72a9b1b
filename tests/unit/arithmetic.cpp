#include <ropewalk/arithmetic.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace detail = ropewalk::detail;
using ropewalk::Errc;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargest = (std::numeric_limits<double>::max)();
constexpr double kSmallest = std::numeric_limits<double>::denorm_min();

}  // namespace

TEST_CASE("is_finite tells NaN and infinities from every number, -ffast-math or not") {
  for (const double value : {0.0, -0.0, 1.0, -1.0, kLargest, -kLargest, kSmallest}) {
    CHECK(detail::is_finite(value));
  }
  for (const double value : {kNaN, -kNaN, kInfinity, -kInfinity}) {
    CHECK_FALSE(detail::is_finite(value));
  }
}

#ifndef ROPEWALK_TEST_FAST_MATH  // which is free to drop every low half

TEST_CASE("a sum of two doubles keeps what rounding drops") {
  const auto sum = detail::sum_of(1.0, 0x1p-60);
  CHECK(sum.high == 1.0);
  CHECK(sum.low == 0x1p-60);
  const auto swapped = detail::sum_of(0x1p-60, 1.0);
  CHECK(swapped.high == 1.0);
  CHECK(swapped.low == 0x1p-60);
}

TEST_CASE("a product of two doubles keeps what rounding drops") {
  const auto product = detail::product_of(1.0 + 0x1p-30, 1.0 + 0x1p-30);
  CHECK(product.high == 1.0 + 0x1p-29);
  CHECK(product.low == 0x1p-60);
}

TEST_CASE("a third of one is right to 100 bits and comes back as one") {
  const auto third = detail::divide({1.0, 0.0}, {3.0, 0.0});
  CHECK(third.high == 1.0 / 3.0);
  CHECK(third.low == (1.0 / 3.0) * 0x1p-54);  // 1/3 = high (1 + 2^-54)
  const auto one = detail::multiply(third, {3.0, 0.0});
  CHECK(one.high == 1.0);
  CHECK(std::fabs(one.low) <= 0x1p-104);
}

TEST_CASE("a difference of near numbers keeps the bits of both") {
  const detail::DoubleDouble a{1.0, 0x1p-60};
  const detail::DoubleDouble b{1.0, 0x1p-61};
  const auto difference = detail::subtract(a, b);
  CHECK(difference.high == 0x1p-61);
  CHECK(difference.low == 0.0);
}

TEST_CASE("logarithms carry about 60 bits") {
  // High and low halves of the constants from 40 digits.
  const auto ln10 = detail::logarithm(10.0);
  CHECK(ln10.high == 2.302585092994046);
  CHECK(std::fabs(ln10.low - -2.1707562233822494e-16) <= ln10.high * 0x1p-58);
  const auto ln2 = detail::logarithm(2.0);
  CHECK(ln2.high == 0.6931471805599453);
  CHECK(std::fabs(ln2.low - 2.3190468138462996e-17) <= ln2.high * 0x1p-58);
  const auto above = detail::logarithm(1.0 + 0x1p-52);  // x - x^2 / 2 + ...
  CHECK(above.high == 0x1p-52 - 0x1p-105);
  CHECK(detail::logarithm(1.0).high == 0.0);
  CHECK(detail::logarithm(1.0).low == 0.0);
}

TEST_CASE("exponential uses both halves of its exponent") {
  const auto ln10 = detail::logarithm(10.0);
  CHECK(std::fabs(detail::exponential(ln10) - 10.0) <= 1.5 * 0x1p-50 / 1.0);
  const auto many = detail::multiply({300.0, 0.0}, ln10);
  CHECK(std::fabs(detail::exponential(many) / 1e300 - 1.0) <= 1.5 * 0x1p-52);
}

TEST_CASE("powers of whole-number quotients are within 2 ULP where pow alone is not") {
  // The rounded third costs pow ln(1e100) = 230 times its error of 2^-55; the bases' own rounding
  // costs either form a third or two of half an ULP.
  CHECK(std::fabs(std::pow(1e300, 1.0 / 3.0) / 1e100 - 1.0) > 16 * 0x1p-52);
  CHECK(std::fabs(detail::power_ratio(1e300, 1, 3) / 1e100 - 1.0) <= 2 * 0x1p-53 + 0x1p-52);
  CHECK(std::fabs(detail::power_ratio(1e-300, -2, 3) / 1e200 - 1.0) <= 2 * 0x1p-53 + 0x1p-52);
}

#endif

TEST_CASE("a power with exponent 0 is one and with exponent 1 the base") {
  for (const double base : {1.0001, 10.0, 5e5, 1e12}) {
    CHECK(detail::power_ratio(base, 0, 7) == 1.0);
    CHECK(detail::power_ratio(base, 7, 7) == base);
    CHECK(detail::power_ratio(1.0, 3, 7) == 1.0);
  }
}

TEST_CASE("the two halves of 2 pi and of its logarithm belong together") {
  CHECK(detail::kTwoPi == 8.0 * std::atan(1.0));
  CHECK(std::fabs(detail::kLogTwoPi.high - std::log(detail::kTwoPi)) <= 0x1p-52);
  CHECK(std::fabs(detail::kTwoPiLow) <= 0x1p-51);
  CHECK(std::fabs(detail::kLogTwoPi.low) <= 0x1p-53);
}

TEST_CASE("each check names what it refuses and passes what it should") {
  CHECK(detail::check_finite("x", 0.0).code == Errc::ok);
  CHECK(detail::check_finite("x", kNaN).code == Errc::not_finite);
  CHECK(detail::check_positive("x", 1e-300).code == Errc::ok);
  CHECK(detail::check_positive("x", 0.0).code == Errc::not_positive);
  CHECK(detail::check_positive("x", -1.0).code == Errc::not_positive);
  CHECK(detail::check_positive("x", kNaN).code == Errc::not_finite);
  CHECK(detail::check_positive("x", kInfinity).code == Errc::not_finite);
  CHECK(detail::check_at_least("x", 1.0, 1.0).code == Errc::ok);
  CHECK(detail::check_at_least("x", 0.9999999999999999, 1.0).code == Errc::below_minimum);
  CHECK(detail::check_at_least("x", kNaN, 1.0).code == Errc::not_finite);
  CHECK(detail::check_length("x", 7, 7).code == Errc::ok);
  CHECK(detail::check_length("x", 6, 7).code == Errc::below_minimum);
  CHECK(detail::check_length("x", detail::kMaximumLength, 7).code == Errc::ok);
  CHECK(detail::check_length("x", detail::kMaximumLength + 1, 7).code == Errc::above_maximum);
  CHECK(detail::check_length("x", (std::numeric_limits<std::int64_t>::min)(), 7).code ==
        Errc::below_minimum);
}

TEST_CASE("a result out of range is refused and a finite one is handed on") {
  CHECK(detail::finite_result("place", "x", 2.0, 5.0) == 5.0);
  CHECK_THROWS_AS(detail::finite_result("place", "x", 2.0, kInfinity), std::invalid_argument);
  CHECK_THROWS_AS(detail::finite_result("place", "x", 2.0, kNaN), std::invalid_argument);
}
