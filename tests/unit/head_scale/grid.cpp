#include <ropewalk/head_scale/grid.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

namespace rw = ropewalk;

namespace {

/// Division by a constant may become a multiplication under -ffast-math: one unit in the last place.
bool same(double a, double b) { return std::fabs(a - b) <= 2.3e-16 * std::fabs(b); }

}  // namespace

TEST_CASE("the scale with the smallest loss is found, with the curve it was chosen from") {
  const auto found = rw::search_uniform_scale(
      rw::head_scale_grid(1.0, 2.0), [](double h) { return (h - 1.234) * (h - 1.234) + 3.0; });
  CHECK(same(found.best.head_scale, 1.23));
  CHECK(found.best.loss == Approx(3.000016).epsilon(1e-12));
  REQUIRE(found.curve.size() == 101);
  CHECK(found.not_finite == 0);
  CHECK(found.curve.front().head_scale == 1.0);
  CHECK(found.curve.back().head_scale == 2.0);
  CHECK(found.curve[23].loss == found.best.loss);
}

TEST_CASE("every scale of a grid is the literal of its hundredths, however long the grid") {
  const rw::HeadScaleGrid grid = rw::head_scale_grid(0.01, 1000.0);
  REQUIRE(grid.points() == 100000);
  CHECK(same(grid.head_scale(0), 0.01));
  CHECK(same(grid.head_scale(119), 1.2));
  CHECK(same(grid.head_scale(160), 1.61));
  CHECK(same(grid.head_scale(99989), 999.9));
  CHECK(grid.head_scale(99999) == 1000.0);
}

TEST_CASE("bounds that were computed are taken as the hundredths they mean") {
  CHECK(rw::head_scale_grid(0.1 + 0.2, 1.1 + 1.1).first == 30);
  CHECK(rw::head_scale_grid(0.1 + 0.2, 1.1 + 1.1).last == 220);
  CHECK(rw::head_scale_grid(1.15, 1.15).points() == 1);
}

TEST_CASE("each scale is tried once, from the smallest on") {
  std::vector<double> tried;
  rw::search_uniform_scale(rw::HeadScaleGrid{97, 103}, [&](double h) {
    tried.push_back(h);
    return 0.0;
  });
  REQUIRE(tried.size() == 7);
  for (std::size_t i = 0; i < tried.size(); ++i) {
    CHECK(same(tried[i], (97.0 + static_cast<double>(i)) / 100.0));
  }
}

TEST_CASE("of equal losses the smaller scale wins") {
  const auto flat =
      rw::search_uniform_scale(rw::HeadScaleGrid{100, 150}, [](double) { return 2.0; });
  CHECK(flat.best.head_scale == 1.0);
  const auto two = rw::search_uniform_scale(
      rw::HeadScaleGrid{100, 150}, [](double h) { return h < 1.205 || h > 1.305 ? 1.0 : 0.5; });
  CHECK(same(two.best.head_scale, 1.21));
}

TEST_CASE("a loss that is not finite stays in the curve and is never the best") {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto found = rw::search_uniform_scale(rw::HeadScaleGrid{100, 104}, [&](double h) {
    if (h < 1.005) return nan;
    if (h < 1.015) return -infinity;
    if (h > 1.035) return infinity;
    return h;
  });
  CHECK(same(found.best.head_scale, 1.02));
  CHECK(found.not_finite == 3);
  CHECK(found.curve.size() == 5);
  CHECK_FALSE(rw::detail::is_finite(found.curve.front().loss));
  CHECK_THROWS_WITH(
      rw::search_uniform_scale(rw::HeadScaleGrid{100, 104}, [&](double) { return nan; }),
      contains("loss") && contains("without a solution"));
}

TEST_CASE("grids that cannot be walked are refused by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(rw::head_scale_grid(nan, 2.0), contains("lowest"));
  CHECK_THROWS_WITH(rw::head_scale_grid(1.0, nan), contains("highest"));
  CHECK_THROWS_WITH(rw::head_scale_grid(0.0, 2.0), contains("lowest = 0 is below"));
  CHECK_THROWS_WITH(rw::head_scale_grid(1.0, 1000.01), contains("highest") && contains("above"));
  CHECK_THROWS_WITH(rw::head_scale_grid(1.005, 2.0), contains("lowest = 1.00"));
  CHECK_THROWS_WITH(rw::head_scale_grid(2.0, 1.0), contains("highest = 1 is on the wrong side"));
  CHECK(rw::HeadScaleGrid{0, 10}.validate().code == rw::Errc::below_minimum);
  CHECK(rw::HeadScaleGrid{1, 100001}.validate().code == rw::Errc::above_maximum);
  CHECK(rw::HeadScaleGrid{10, 9}.validate().code == rw::Errc::wrong_order);
  CHECK_THROWS_AS(rw::search_uniform_scale(rw::HeadScaleGrid{10, 9}, [](double h) { return h; }),
                  std::invalid_argument);
}
