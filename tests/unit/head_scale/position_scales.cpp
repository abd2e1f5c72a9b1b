#include <ropewalk/head_scale/position_scales.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

/// The laws are affine in the slope, so a difference over any step is the derivative up to rounding:
/// of two values of a few ULP each, over the step.
template <typename Law, typename Slope>
void derivative_is_a_difference(Law law, Slope slope) {
  Random random("position_scales derivative");
  for (int repetition = 0; repetition < 2000; ++repetition) {
    const std::int64_t position = random.length(1, std::int64_t{1} << 40) - 1;
    law.*slope = 0.5;
    const double upper = law(position);
    law.*slope = 0.25;
    const double lower = law(position);
    INFO("position " << position << ", " << seed_text());
    CHECK(std::fabs((upper - lower) / 0.25 - law.slope_derivative(position)) <=
          4.0 * 8.0 * std::numeric_limits<double>::epsilon() * std::fabs(upper));
  }
}

}  // namespace

TEST_CASE("a table holds the law at each position from the first on") {
  const std::vector<double> table = rw::position_scales(rw::Llama4PositionScale{}, 8189, 4);
  REQUIRE(table.size() == 4);
  CHECK(table[0] == 1.0);
  CHECK(table[1] == 1.0);
  CHECK(table[2] == Approx(1.06931471805599).epsilon(1e-13));  // position 8191
  CHECK(table[3] == table[2]);
}

TEST_CASE("any law of temperature.hpp makes a table through a lambda") {
  const auto table = rw::position_scales(
      [](std::int64_t position) { return rw::qwen_position_scale(position, 2048); }, 2047, 2049);
  CHECK(table.size() == 2049);
  CHECK(table.front() == 1.0);
  CHECK(table.back() == Approx(1.09090909090909).epsilon(1e-13));  // n = 4096
  CHECK(rw::position_scales(rw::SsmaxPositionScale{}, 5, 0).empty());
}

TEST_CASE("the learnable laws are those of temperature.hpp") {
  for (const std::int64_t position : {0, 1, 2047, 2048, 8191, 8192, 131071, 9999999}) {
    CHECK(rw::SsmaxPositionScale{0.3}(position) == rw::ssmax_position_scale(position, 0.3));
    CHECK(rw::Llama4PositionScale{4096, 0.2}(position) ==
          rw::llama4_position_scale(position, 4096, 0.2));
    CHECK(rw::MinistralPositionScale{16384, 0.1}(position) ==
          rw::ministral_position_scale(position, 16384, 0.1));
    const double keys = static_cast<double>(position) + 1.0;
    CHECK(rw::NopePositionScale{2048, 0.3010}(position) ==
          rw::nope_softmax_multiplier(keys / 2048.0, 0.3010));
  }
  CHECK(rw::NopePositionScale{2048, 0.3010}(4095) == Approx(1.20863730134854).epsilon(1e-14));
  CHECK(rw::NopePositionScale{2048, 0.3010}(100) == 1.0);
}

TEST_CASE("the derivative with respect to the slope is what a difference of slopes says") {
  derivative_is_a_difference(rw::SsmaxPositionScale{}, &rw::SsmaxPositionScale::slope);
  derivative_is_a_difference(rw::Llama4PositionScale{}, &rw::Llama4PositionScale::attn_scale);
  derivative_is_a_difference(rw::MinistralPositionScale{16384}, &rw::MinistralPositionScale::beta);
  derivative_is_a_difference(rw::NopePositionScale{2048}, &rw::NopePositionScale::slope);
}

TEST_CASE("the gradient of a slope is what a loss of the table changes by") {
  // loss = sum of weight x position_scale: affine in the slope, so its difference is its gradient.
  Random random("position_scales gradient");
  constexpr std::int64_t first = 2000;
  std::vector<double> weights;
  for (int i = 0; i < 3000; ++i) weights.push_back(random.uniform(-1.0, 1.0));
  const auto loss = [&](double slope) {
    const rw::NopePositionScale law{2048, slope};
    double sum = 0.0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      sum += weights[i] * law(first + static_cast<std::int64_t>(i));
    }
    return sum;
  };
  const double gradient = rw::slope_gradient(rw::NopePositionScale{2048, 0.3}, first, weights);
  // 3000 terms below 2, each sum off by at most 3000 x 3000 x 2 eps / 2; in truth far less.
  CHECK(std::fabs((loss(1.0) - loss(0.0)) - gradient) <= 4e-9);
  CHECK(gradient != 0.0);
}

TEST_CASE("what has no table is refused by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(rw::position_scales(rw::SsmaxPositionScale{}, -1, 2), contains("first = -1"));
  CHECK_THROWS_WITH(rw::position_scales(rw::SsmaxPositionScale{}, 0, -2), contains("count = -2"));
  CHECK_THROWS_WITH(rw::position_scales(rw::SsmaxPositionScale{}, std::int64_t{1} << 53, 1),
                    contains("first + count"));
  CHECK_THROWS_WITH(rw::position_scales(rw::SsmaxPositionScale{nan}, 0, 2), contains("slope"));
  CHECK_THROWS_WITH(rw::position_scales(rw::MinistralPositionScale{0}, 0, 2),
                    contains("original_length"));
  CHECK_THROWS_WITH(rw::position_scales(rw::NopePositionScale{}, 0, 2),
                    contains("original_length"));
  // 1e38 ln n leaves float at n = 31
  CHECK_THROWS_WITH(rw::position_scales(rw::SsmaxPositionScale{1e38}, 0, 64),
                    contains("position = 30 takes"));
  CHECK_THROWS_WITH(rw::position_scales([&](std::int64_t) { return nan; }, 3, 1),
                    contains("position = 3"));
  CHECK_THROWS_WITH(rw::position_scales([](std::int64_t p) { return 5.0 - double(p); }, 0, 9),
                    contains("position = 6"));
  const std::vector<double> gradient = {1.0, std::numeric_limits<double>::infinity()};
  CHECK_THROWS_WITH(rw::slope_gradient(rw::SsmaxPositionScale{}, 0, gradient),
                    contains("gradient[1]"));
  CHECK_THROWS_AS(rw::slope_gradient(rw::SsmaxPositionScale{}, -1, gradient),
                  std::invalid_argument);
}
