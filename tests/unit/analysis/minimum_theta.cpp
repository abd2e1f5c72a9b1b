#include <ropewalk/analysis/minimum_theta.hpp>

#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"
#include "support/ulp.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

rw::RopeConfig heads_of(int rotary_dim) {
  rw::RopeConfig config;
  config.head_dim = rotary_dim;
  config.rotary_dim = rotary_dim;
  return config;
}

/// The definition, in long double.
bool works(double theta, int rotary_dim, std::int64_t length) {
  for (std::int64_t distance = 0; distance <= length; ++distance) {
    long double sum = 0.0L;
    for (int pair = 0; pair < rotary_dim / 2; ++pair) {
      const long double inv_freq =
          std::pow(static_cast<long double>(theta),
                   -2.0L * static_cast<long double>(pair) / static_cast<long double>(rotary_dim));
      sum += std::cos(static_cast<long double>(distance) * inv_freq);
    }
    if (sum < 0.0L) return false;
  }
  return true;
}

std::vector<bool> by_point(const rw::ThetaScan& scan) {
  std::vector<bool> result(static_cast<std::size_t>(scan.scanned), false);
  for (const rw::ThetaIsland& island : scan.islands) {
    for (std::int64_t point = island.first; point <= island.last; ++point)
      result[static_cast<std::size_t>(point - scan.first)] = true;
  }
  return result;
}

/// Islands in order, not empty, not touching, inside the run.
void check_islands(const rw::ThetaScan& scan) {
  std::int64_t free_from = scan.first;
  for (const rw::ThetaIsland& island : scan.islands) {
    CHECK(island.first >= free_from);
    CHECK(island.last >= island.first);
    CHECK(island.last < scan.end());
    free_from = island.last + 2;
  }
}

const auto kGoOn = [] { return true; };

}  // namespace

TEST_CASE("for 1024 tokens some bases near 4300 work and all from about 6000 on") {
  const rw::ThetaGrid grid = rw::theta_grid(1000.0, 20000.0, 1.0005);
  const rw::ThetaScan scan = rw::scan_theta(heads_of(128), 1024, grid);
  CHECK(scan.scanned == grid.points);
  REQUIRE(scan.minimum().has_value());
  REQUIRE(scan.safe().has_value());
  // Men et al. print 4.3e3. A scan in steps of 1.0001 found bases from 4293.4 on, the last that
  // fails at 6017.7; a coarser one sees part of it.
  CHECK(grid.theta(*scan.minimum()) > 4293.4);
  CHECK(grid.theta(*scan.minimum()) < 4400.0);
  CHECK(grid.theta(*scan.safe()) > 5900.0);
  CHECK(grid.theta(*scan.safe()) < 6017.8 * grid.ratio);
  CHECK(scan.islands.size() > 1);
  check_islands(scan);
}

TEST_CASE("islands are those of the definition on small lengths") {
  for (const int rotary_dim : {2, 4, 6, 16, 64, 128}) {
    for (const std::int64_t length : {7, 11, 22, 60, 150}) {
      INFO(rotary_dim << " " << length);
      const rw::ThetaGrid grid = rw::theta_grid(1.5, 1e7, 1.05);
      const rw::ThetaScan scan = rw::scan_theta(heads_of(rotary_dim), length, grid);
      REQUIRE(scan.scanned == grid.points);
      check_islands(scan);
      const std::vector<bool> found = by_point(scan);
      std::optional<std::int64_t> minimum;
      std::optional<std::int64_t> safe;
      for (std::int64_t point = 0; point < grid.points; ++point) {
        const bool expected = works(grid.theta(point), rotary_dim, length);
        if (found[static_cast<std::size_t>(point)] != expected) FAIL_CHECK("point " << point);
        if (expected && !minimum) minimum = point;
        if (expected && !safe) safe = point;
        if (!expected) safe.reset();
      }
      CHECK(scan.minimum() == minimum);
      CHECK(scan.safe() == safe);
    }
  }
}

TEST_CASE("one pair alone turns negative at every base") {
  const rw::ThetaGrid grid = rw::theta_grid(2.0, 1e12, 1.5);
  const rw::ThetaScan scan = rw::scan_theta(heads_of(2), 7, grid);
  CHECK(scan.scanned == grid.points);
  CHECK(scan.islands.empty());
  CHECK_FALSE(scan.minimum().has_value());
  CHECK_FALSE(scan.safe().has_value());
}

TEST_CASE("what works for a length works for every shorter one") {
  const rw::ThetaGrid grid = rw::theta_grid(10.0, 1e6, 1.01);
  std::vector<bool> longer(static_cast<std::size_t>(grid.points), false);
  for (const std::int64_t length : {4000, 1000, 300, 100, 20, 7}) {
    const std::vector<bool> now = by_point(rw::scan_theta(heads_of(64), length, grid));
    for (std::size_t point = 0; point < now.size(); ++point) {
      if (longer[point] && !now[point]) FAIL_CHECK(length << " at " << point);
    }
    CHECK(std::count(now.begin(), now.end(), true) >
          std::count(longer.begin(), longer.end(), true));
    longer = now;
  }
}

TEST_CASE("a scan put together from parts is the whole scan") {
  const rw::ThetaGrid grid = rw::theta_grid(500.0, 50000.0, 1.002);
  const rw::ThetaScan whole = rw::scan_theta(heads_of(128), 2048, grid);
  REQUIRE(whole.islands.size() > 2);
  Random random("parts of a scan");
  INFO(seed_text());
  for (int round = 0; round < 5; ++round) {
    rw::ThetaScan parts;
    while (parts.end() < grid.points) {
      const std::int64_t count = (std::min)(random.integer(1, 700), grid.points - parts.end());
      parts.append(rw::scan_theta(heads_of(128), 2048, grid, parts.end(), count, kGoOn));
    }
    CHECK(parts.scanned == whole.scanned);
    CHECK(by_point(parts) == by_point(whole));
    CHECK(parts.islands.size() == whole.islands.size());
    CHECK(parts.minimum() == whole.minimum());
    CHECK(parts.safe() == whole.safe());
  }
}

TEST_CASE("a scan that is stopped has the points that are done") {
  const rw::ThetaGrid grid = rw::theta_grid(500.0, 50000.0, 1.002);
  const rw::ThetaScan whole = rw::scan_theta(heads_of(128), 2048, grid);
  for (const int asked : {0, 1, 2, 10, 1000, 2000}) {
    int left = asked;
    const rw::ThetaScan scan = rw::scan_theta(heads_of(128), 2048, grid, 100, grid.points - 100,
                                              [&] { return left-- > 0; });
    INFO(asked);
    CHECK(scan.first == 100);
    CHECK(scan.scanned <= asked);
    if (asked == 0) CHECK(scan.scanned == 0);
    if (asked >= 10) CHECK(scan.scanned > 0);
    const std::vector<bool> expected = by_point(whole);
    const std::vector<bool> found = by_point(scan);
    CHECK(std::equal(found.begin(), found.end(), expected.begin() + 100));
  }
  // Within one base too: 2^53 distances would take a year.
  rw::ThetaGrid one;
  one.lowest = 1e30;
  int left = 20;
  const rw::ThetaScan scan =
      rw::scan_theta(heads_of(128), std::int64_t{1} << 53, one, 0, 1, [&] { return left-- > 0; });
  CHECK(scan.scanned == 0);
}

TEST_CASE("the points of a grid are its ratio apart") {
  CHECK(rw::theta_grid(10.0, 10.0, 2.0).points == 1);
  CHECK(rw::theta_grid(10.0, 19.9, 2.0).points == 1);
  CHECK(rw::theta_grid(10.0, 80.0, 2.0).points == 4);
  CHECK(rw::theta_grid(1e3, 1e9, 10.0).points == 7);
  CHECK(rw::theta_grid(1e3, 2e9, 1.0001).points == 145094);
  const rw::ThetaGrid grid = rw::theta_grid(1e3, 2e9, 1.0001);
  CHECK(grid.theta(0) == 1e3);
  for (const std::int64_t point : {std::int64_t{1}, std::int64_t{777}, grid.points - 1}) {
    const Mpfr exact = Mpfr(1e3) * pow(Mpfr(grid.ratio), Mpfr(point));
#ifdef ROPEWALK_TEST_FAST_MATH
    // The low half of ln(ratio) is lost; ln(theta / lowest) / 2 units of exp's argument are left.
    CHECK(ulp_error(grid.theta(point), exact) <= 40.0);
#else
    CHECK(ulp_error(grid.theta(point), exact) <= 4.0);
#endif
  }
  CHECK(grid.theta(grid.points - 1) <= 2e9);
  CHECK(grid.theta(grid.points) > 2e9);
}

TEST_CASE("what cannot be scanned is refused by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinity, -infinity, 0.0, 1.0, 1e101}) {
    CHECK_THROWS_WITH(rw::theta_grid(bad, 1e9, 1.1), contains("lowest"));
  }
  for (const double bad : {nan, infinity, 0.0, 1.0, -2.0, 1.0 + 1e-13}) {
    CHECK_THROWS_WITH(rw::theta_grid(10.0, 1e9, bad), contains("ratio"));
  }
  for (const double bad : {nan, infinity, 9.0, -1.0, 1e101}) {
    CHECK_THROWS_WITH(rw::theta_grid(10.0, bad, 1.1), contains("highest"));
  }
  const rw::ThetaGrid grid = rw::theta_grid(10.0, 100.0, 1.1);
  const rw::RopeConfig heads = heads_of(64);
  for (const std::int64_t length :
       {std::int64_t{-1}, std::int64_t{0}, std::int64_t{6}, (std::int64_t{1} << 53) + 1}) {
    CHECK_THROWS_WITH(rw::scan_theta(heads, length, grid), contains("length"));
  }
  CHECK_THROWS_WITH(rw::scan_theta(heads_of(63), 7, grid), contains("rotary_dim"));
  CHECK_THROWS_WITH(rw::scan_theta(heads_of(0), 7, grid), contains("head_dim"));
  CHECK_THROWS_WITH(rw::scan_theta(heads, 7, grid, -1, 1, kGoOn), contains("first"));
  CHECK_THROWS_WITH(rw::scan_theta(heads, 7, grid, 0, -1, kGoOn), contains("count"));
  CHECK_THROWS_WITH(rw::scan_theta(heads, 7, grid, 0, grid.points + 1, kGoOn), contains("count"));
  rw::ThetaGrid unsound = grid;
  unsound.points = std::int64_t{1} << 52;
  CHECK_THROWS_WITH(rw::scan_theta(heads, 7, unsound), contains("points"));
  unsound = grid;
  unsound.ratio = nan;
  CHECK_THROWS_AS(rw::scan_theta(heads, 7, unsound), std::invalid_argument);
}
