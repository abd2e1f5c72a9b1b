#include <ropewalk/head_scale/uniform_fit.hpp>

#include <ropewalk/temperature.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

struct Pairs {
  std::vector<double> factors;
  std::vector<double> head_scales;
  double sum_of_squares = 0.0;  // of ln(factor)
};

/// Positions 2048 .. 16384 of a model trained at 2048, as the paper fitted them.
Pairs law_at_published_positions(double slope) {
  Pairs pairs;
  for (int i = 2048; i <= 16384; i += 256) {
    pairs.factors.push_back(i / 2048.0);
    pairs.head_scales.push_back(rw::nope_softmax_multiplier(pairs.factors.back(), slope));
    const double log = std::log(pairs.factors.back());
    pairs.sum_of_squares += log * log;
  }
  return pairs;
}

/// Normal, by the polar method.
double normal(Random& random) {
  for (;;) {
    const double x = random.uniform(-1.0, 1.0);
    const double y = random.uniform(-1.0, 1.0);
    const double square = x * x + y * y;
    if (square > 0.0 && square < 1.0) return x * std::sqrt(-2.0 * std::log(square) / square);
  }
}

double squared_residuals(const Pairs& pairs, double slope) {
  double sum = 0.0;
  for (std::size_t i = 0; i < pairs.factors.size(); ++i) {
    const double residual = pairs.head_scales[i] - (1.0 + slope * std::log(pairs.factors[i]));
    sum += residual * residual;
  }
  return sum;
}

}  // namespace

TEST_CASE("scales that follow a law give its slope and R squared 1") {
  const std::vector<double> factors = {1.0, 2.0, 4.0, 8.0};
  // 1 + 0.3010 ln(factor), from a table with 15 digits
  const std::vector<double> scales = {1.0, 1.20863730134854, 1.41727460269709, 1.62591190404563};
  const rw::UniformFit fit = rw::fit_uniform_scale(factors, scales);
  CHECK(std::fabs(fit.slope - 0.3010) <= 1e-14);
  REQUIRE(fit.r_squared);
  CHECK(std::fabs(*fit.r_squared - 1.0) <= 1e-14);
  CHECK(fit.standard_error <= 1e-14);
}

TEST_CASE("both published slopes are found again under noise, within its standard deviation") {
  for (const double slope : {rw::kNopeSlope10kSteps, rw::kNopeSlope50kSteps}) {
    Random random("uniform_fit noise");
    for (const double sigma : {0.003, 0.01, 0.03}) {
      double squares = 0.0;
      constexpr int repetitions = 200;
      for (int repetition = 0; repetition < repetitions; ++repetition) {
        Pairs pairs = law_at_published_positions(slope);
        for (double& scale : pairs.head_scales) scale += sigma * normal(random);
        const rw::UniformFit fit = rw::fit_uniform_scale(pairs.factors, pairs.head_scales);
        // The estimate is normal around the slope with this deviation: 6 of them in 400 x 3 draws
        // are exceeded once in 400,000 seeds.
        const double deviation = sigma / std::sqrt(pairs.sum_of_squares);
        INFO(seed_text());
        REQUIRE(std::fabs(fit.slope - slope) <= 6.0 * deviation);
        squares += (fit.slope - slope) * (fit.slope - slope) / (deviation * deviation);
        // n - 1 = 56 residuals tell sigma to within 1/sqrt(112): 6 of those.
        REQUIRE(std::fabs(fit.standard_error / deviation - 1.0) <= 6.0 / std::sqrt(112.0));
        REQUIRE(fit.r_squared);
        REQUIRE(*fit.r_squared > (sigma > 0.02 ? 0.9 : 0.98));
      }
      // As good as it can be: the mean of 200 squared standard normals, within 6 x sqrt(2/200).
      CHECK(std::fabs(squares / repetitions - 1.0) <= 0.6);
    }
  }
}

TEST_CASE("a curve read off a grid of hundredths tells the slope to its rounding") {
  Pairs pairs = law_at_published_positions(rw::kNopeSlope50kSteps);
  double largest = 0.0;
  for (std::size_t i = 0; i < pairs.factors.size(); ++i) {
    pairs.head_scales[i] = std::round(100.0 * pairs.head_scales[i]) / 100.0;
    largest += 0.005 * std::log(pairs.factors[i]) / pairs.sum_of_squares;
  }
  const rw::UniformFit fit = rw::fit_uniform_scale(pairs.factors, pairs.head_scales);
  CHECK(std::fabs(fit.slope - rw::kNopeSlope50kSteps) <= largest);
  CHECK(fit.slope != rw::kNopeSlope50kSteps);
}

TEST_CASE("no other slope leaves smaller squared residuals") {
  Random random("uniform_fit best");
  for (int repetition = 0; repetition < 300; ++repetition) {
    Pairs pairs;
    const std::int64_t count = random.integer(1, 9);
    for (std::int64_t i = 0; i < count; ++i) {
      pairs.factors.push_back(random.log_uniform(1.01, 1e4));
      pairs.head_scales.push_back(random.uniform(0.2, 4.0));
    }
    const rw::UniformFit fit = rw::fit_uniform_scale(pairs.factors, pairs.head_scales);
    const double best = squared_residuals(pairs, fit.slope);
    INFO(seed_text());
    // Away from the best slope the sum grows with the square of the distance; 1e-4 is far above
    // what the rounding of the sums can hide.
    CHECK(squared_residuals(pairs, fit.slope + 1e-4) > best);
    CHECK(squared_residuals(pairs, fit.slope - 1e-4) > best);
  }
}

TEST_CASE(
    "R squared is the share of the spread about the mean, negative below the mean's own fit") {
  // Slope by hand: ln 2 and ln 4 with y - 1 = 0.1 and 0.5: (0.1 + 2 x 0.5) / (1 + 4) / ln 2.
  const rw::UniformFit fit =
      rw::fit_uniform_scale(std::vector<double>{2.0, 4.0}, std::vector<double>{1.1, 1.5});
  const double slope = 1.1 / 5.0 / std::log(2.0);
  CHECK(fit.slope == Approx(slope).epsilon(1e-14));
  // Residuals 0.1 - 0.22 and 0.5 - 0.44; deviations from the mean +-0.2.
  CHECK(*fit.r_squared == Approx(1.0 - (0.0144 + 0.0036) / 0.08).epsilon(1e-12));
  CHECK(fit.standard_error == Approx(std::sqrt(0.018 / 5.0) / std::log(2.0)).epsilon(1e-12));
  const rw::UniformFit worse =
      rw::fit_uniform_scale(std::vector<double>{2.0, 4.0}, std::vector<double>{2.0, 1.9});
  CHECK(*worse.r_squared < 0.0);
}

TEST_CASE("a pair at the trained length enters R squared and not the slope") {
  const rw::UniformFit without =
      rw::fit_uniform_scale(std::vector<double>{2.0, 4.0}, std::vector<double>{1.1, 1.5});
  const rw::UniformFit with =
      rw::fit_uniform_scale(std::vector<double>{1.0, 2.0, 4.0}, std::vector<double>{1.2, 1.1, 1.5});
  // Both within (n + 5) eps of the same number, whose terms have one sign.
  CHECK(std::fabs(with.slope - without.slope) <= 15 * 2.3e-16 * without.slope);
  CHECK(*with.r_squared != *without.r_squared);
}

TEST_CASE("equal scales have a slope and no R squared, one pair no standard error") {
  const rw::UniformFit one =
      rw::fit_uniform_scale(std::vector<double>{2.0}, std::vector<double>{1.5});
  CHECK(one.slope == Approx(0.5 / std::log(2.0)).epsilon(1e-15));
  CHECK_FALSE(one.r_squared);
  CHECK(one.standard_error == 0.0);
  const rw::UniformFit falling =
      rw::fit_uniform_scale(std::vector<double>{2.0, 3.0}, std::vector<double>{0.5, 0.5});
  CHECK(falling.slope < 0.0);
  CHECK_FALSE(falling.r_squared);
}

TEST_CASE("lists that cannot be fitted are refused with the entry that is wrong") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refused = [](std::vector<double> factors, std::vector<double> scales,
                          const char* words) {
    CHECK_THROWS_WITH(rw::fit_uniform_scale(factors, scales), contains(words));
    CHECK_THROWS_AS(rw::fit_uniform_scale(factors, scales), std::invalid_argument);
  };
  refused({2.0, 4.0}, {1.2}, "head_scales = 1 differs");
  refused({}, {}, "factors = 0 leaves the formula without a solution");
  refused({1.0, 1.0}, {1.0, 1.1}, "factors = 2 leaves the formula without a solution");
  refused({2.0, nan}, {1.2, 1.4}, "factors[1]");
  refused({2.0, 0.5}, {1.2, 1.4}, "factors[1] = 0.5 is below");
  refused({2.0, std::numeric_limits<double>::infinity()}, {1.2, 1.4}, "factors[1]");
  refused({2.0, 4.0}, {nan, 1.4}, "head_scales[0]");
  refused({2.0, 4.0}, {1.2, 0.0}, "head_scales[1] = 0 must be greater than zero");
  refused({2.0, 4.0}, {1e300, 1e300}, "out of the range of double");
}
