#include <ropewalk/position/alibi.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace rw = ropewalk;

TEST_CASE("eight heads halve their slope one by one") {
  const std::vector<double> slopes = rw::alibi_slopes(8);
  REQUIRE(slopes.size() == 8);
  double expected = 1.0;
  for (const double slope : slopes) CHECK(slope == (expected /= 2));
  CHECK(slopes.back() == 1.0 / 256.0);
}

TEST_CASE("twelve heads have eight slopes and four from between") {
  const std::vector<double> slopes = rw::alibi_slopes(12);
  REQUIRE(slopes.size() == 12);
  for (std::size_t head = 0; head < 8; ++head) CHECK(slopes[head] == rw::alibi_slopes(8)[head]);
  const double between[4] = {0.7071067812, 0.3535533906, 0.1767766953, 0.08838834765};
  for (std::size_t k = 0; k < 4; ++k) CHECK(slopes[8 + k] == Approx(between[k]).epsilon(1e-9));
}

TEST_CASE("slopes of three heads are not sorted") {
  CHECK(rw::alibi_slopes(3) == std::vector<double>{0.0625, 0.00390625, 0.25});
  CHECK(rw::alibi_slopes(1) == std::vector<double>{0.00390625});
}

TEST_CASE("max_bias is the exponent of the last slope") {
  CHECK(rw::alibi_slope(8, 7, 8.0) == 1.0 / 256.0);
  CHECK(rw::alibi_slope(8, 7, 16.0) == 1.0 / 65536.0);
  CHECK(rw::alibi_slope(4, 0, 2.0) == Approx(std::sqrt(0.5)).epsilon(1e-15));
  CHECK(rw::alibi_slope(1, 0, 1022.0) == (std::numeric_limits<double>::min)());
}

TEST_CASE("a bias lowers the logit in proportion to the distance, either way") {
  CHECK(rw::alibi_bias(0.25, 100, 96) == -1.0);
  CHECK(rw::alibi_bias(0.25, 96, 100) == -1.0);
  CHECK(rw::alibi_bias(0.25, 7, 7) == 0.0);
  constexpr std::int64_t largest = (std::numeric_limits<std::int64_t>::max)();
  CHECK(rw::alibi_bias(1.0, largest, -largest) == -std::ldexp(1.0, 64));
}

TEST_CASE("ALiBi refuses no heads, foreign heads and a senseless max_bias") {
  CHECK_THROWS_WITH(rw::alibi_slopes(0), contains("heads = 0"));
  CHECK_THROWS_WITH(rw::alibi_slopes(-4), contains("heads = -4"));
  CHECK_THROWS_WITH(rw::alibi_slopes(65537), contains("heads = 65537"));
  CHECK_THROWS_WITH(rw::alibi_slope(8, 8), contains("head = 8"));
  CHECK_THROWS_WITH(rw::alibi_slope(8, -1), contains("head = -1"));
  CHECK_THROWS_WITH(rw::alibi_slopes(8, 0.0), contains("max_bias = 0"));
  CHECK_THROWS_WITH(rw::alibi_slopes(8, -8.0), contains("max_bias = -8"));
  CHECK_THROWS_WITH(rw::alibi_slopes(8, 1023.0), contains("max_bias = 1023"));
  CHECK_THROWS_WITH(rw::alibi_slopes(8, std::numeric_limits<double>::quiet_NaN()),
                    contains("max_bias"));
}
