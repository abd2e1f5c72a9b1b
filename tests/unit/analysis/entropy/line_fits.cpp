#include <ropewalk/analysis/entropy/line_fits.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <Eigen/Dense>

#include <cmath>
#include <cstddef>
#include <vector>

namespace detail = ropewalk::detail;
using ropewalk_test::Random;
using Points = std::vector<detail::CurvePoint>;

namespace {

Points random_points(Random& random, std::size_t count) {
  Points points(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double x = (static_cast<double>(i) + 0.4 * random.unit()) / static_cast<double>(count);
    points[i] = {x - 0.5, random.uniform(-1.0, 1.0)};
  }
  return points;
}

/// The same by a QR decomposition.
template <int kTerms, typename Row>
double eigen_squares(const Points& points, Row row) {
  Eigen::MatrixXd a(static_cast<Eigen::Index>(points.size()), kTerms);
  Eigen::VectorXd y(static_cast<Eigen::Index>(points.size()));
  for (std::size_t i = 0; i < points.size(); ++i) {
    a.row(static_cast<Eigen::Index>(i)) = row(points[i].x);
    y(static_cast<Eigen::Index>(i)) = points[i].y;
  }
  return (y - a * a.colPivHouseholderQr().solve(y)).squaredNorm();
}

double hinge_squares(const Points& points, double x) {
  return eigen_squares<3>(
      points, [x](double at) { return Eigen::RowVector3d(1.0, at - x, at > x ? at - x : 0.0); });
}

}  // namespace

// Normal equations lose the square of the condition number: 1e4 eps at most here, and a margin.
TEST_CASE("lines and parabolas are those of a QR decomposition") {
  Random random("line fits");
  INFO(ropewalk_test::seed_text());
  for (int i = 0; i < 200; ++i) {
    const Points points = random_points(random, static_cast<std::size_t>(random.integer(5, 80)));
    const double line =
        eigen_squares<2>(points, [](double x) { return Eigen::RowVector2d(1.0, x); });
    const double parabola =
        eigen_squares<3>(points, [](double x) { return Eigen::RowVector3d(1.0, x, x * x); });
    CHECK(detail::fit_line(points).squares == Approx(line).epsilon(1e-10));
    CHECK(detail::fit_parabola(points).squares == Approx(parabola).epsilon(1e-10));
  }
}

TEST_CASE("no meeting point on a fine grid fits better than the hinge that is found") {
  Random random("hinge fits");
  INFO(ropewalk_test::seed_text());
  for (int i = 0; i < 100; ++i) {
    Points points = random_points(random, static_cast<std::size_t>(random.integer(10, 50)));
    const double bend = random.uniform(-0.3, 0.3);
    for (detail::CurvePoint& point : points) {  // mostly a bend, so that rising ones are the best
      point.y = 0.1 * point.y + 2.0 * (point.x > bend ? point.x - bend : 0.0);
    }
    constexpr std::size_t kEdge = 4;
    const detail::Hinge hinge = detail::fit_hinge(points, kEdge);
    REQUIRE(hinge.found);
    CHECK(hinge.slope_after > hinge.slope_before);
    double squares = 0.0;
    for (const detail::CurvePoint& point : points) {
      squares += std::pow(point.y - hinge.at(point.x), 2.0);
    }
    CHECK(hinge.squares == Approx(squares).epsilon(1e-10));
    const double first = points[kEdge - 1].x;
    const double last = points[points.size() - kEdge].x;
    CHECK(hinge.x >= first);
    CHECK(hinge.x <= last);
    for (int step = 0; step <= 400; ++step) {
      const double x = first + (last - first) * step / 400.0;
      CHECK(hinge.squares <= hinge_squares(points, x) * (1.0 + 1e-10));
    }
  }
}

TEST_CASE("points that do not tell the terms apart determine nothing") {
  CHECK_FALSE(detail::fit_line(Points{{0.25, 1.0}, {0.25, 2.0}, {0.25, 3.0}}).determined);
  CHECK_FALSE(detail::fit_parabola(Points{{0.0, 1.0}, {1.0, 2.0}}).determined);
  CHECK_FALSE(detail::fit_line(Points{}).determined);
  CHECK(detail::fit_line(Points{{0.0, 1.0}, {1.0, 2.0}}).determined);
}
