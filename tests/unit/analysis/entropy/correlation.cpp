#include <ropewalk/analysis/entropy/correlation.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace rw = ropewalk;
using List = std::vector<double>;
using ropewalk_test::Random;

TEST_CASE("converged entropies that rise with the scale correlate fully, in rank if not in value") {
  const List entropy = {1.0, 2.0, 3.0, 4.0};
  const auto linear = rw::correlation(entropy, List{1.1, 1.2, 1.3, 1.4});
  REQUIRE(linear.has_value());
  CHECK(linear->pearson == Approx(1.0).epsilon(1e-15));
  CHECK(linear->spearman == Approx(1.0).epsilon(1e-15));
  const auto bent = rw::correlation(entropy, List{1.0, 1.01, 1.02, 2.0});
  REQUIRE(bent.has_value());
  CHECK(bent->pearson < 0.9);
  CHECK(bent->spearman == Approx(1.0).epsilon(1e-15));
  const auto falling = rw::correlation(entropy, List{4.0, 3.0, 2.0, 1.0});
  REQUIRE(falling.has_value());
  CHECK(falling->pearson == Approx(-1.0).epsilon(1e-15));
  CHECK(falling->spearman == Approx(-1.0).epsilon(1e-15));
}

TEST_CASE("equal values share the mean of their ranks") {
  CHECK(rw::detail::mean_ranks(List{3.0, 1.0, 3.0, 2.0, 3.0}) == List{4.0, 1.0, 4.0, 2.0, 4.0});
  CHECK(rw::detail::mean_ranks(List{5.0, 5.0}) == List{1.5, 1.5});
  // Ranks 1 2.5 2.5 4 against 1 3 2 4: 4.5 / sqrt(4.5 * 5).
  const auto tied = rw::correlation(List{0.0, 1.0, 1.0, 7.0}, List{0.0, 5.0, 4.0, 6.0});
  REQUIRE(tied.has_value());
  CHECK(tied->spearman == Approx(std::sqrt(0.9)).epsilon(1e-15));
}

TEST_CASE("correlations are those of the textbook in long double, ties among the values or not") {
  Random random("correlation");
  INFO(ropewalk_test::seed_text());
  using Wide = std::vector<long double>;
  const auto pearson = [](const Wide& x, const Wide& y) {
    const auto size = static_cast<long double>(x.size());
    long double mean_x = 0, mean_y = 0, xy = 0, xx = 0, yy = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      mean_x += x[i] / size;
      mean_y += y[i] / size;
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      xy += (x[i] - mean_x) * (y[i] - mean_y);
      xx += (x[i] - mean_x) * (x[i] - mean_x);
      yy += (y[i] - mean_y) * (y[i] - mean_y);
    }
    return static_cast<double>(xy / std::sqrt(xx * yy));
  };
  const auto ranks = [](const List& values) {  // by sorting, where the library counts
    std::vector<std::size_t> order(values.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
    Wide result(values.size());
    for (std::size_t i = 0; i < order.size();) {
      std::size_t end = i;
      while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
      for (std::size_t j = i; j < end; ++j) {
        result[order[j]] = static_cast<long double>(i + end + 1) / 2;
      }
      i = end;
    }
    return result;
  };
  for (int round = 0; round < 300; ++round) {
    const auto size = static_cast<std::size_t>(random.integer(2, 200));
    List x(size), y(size);
    for (std::size_t i = 0; i < size; ++i) {
      x[i] = round % 2 == 0 ? random.uniform(0.0, 8.0) : static_cast<double>(random.integer(0, 5));
      y[i] = 0.3 * x[i] + random.uniform(-1.0, 1.0);
      if (round % 3 == 0) y[i] = std::floor(y[i]);
    }
    const auto found = rw::correlation(x, y);
    if (!found.has_value()) {
      const auto constant = [](const List& list) {
        return std::all_of(list.begin(), list.end(), [&](double v) { return v == list[0]; });
      };
      CHECK((constant(x) || constant(y)));
      continue;
    }
    // Sums of up to 200 products, each within a few rounding errors of values of size 1.
    const double bound = 400 * std::numeric_limits<double>::epsilon();
    CHECK(std::abs(found->pearson - pearson(Wide(x.begin(), x.end()), Wide(y.begin(), y.end()))) <=
          bound);
    CHECK(std::abs(found->spearman - pearson(ranks(x), ranks(y))) <= bound);
  }
}

TEST_CASE("a constant has no correlation, nor has a single value") {
  CHECK_FALSE(rw::correlation(List{}, List{}).has_value());
  CHECK_FALSE(rw::correlation(List{1.0}, List{2.0}).has_value());
  CHECK_FALSE(rw::correlation(List{1.0, 1.0, 1.0}, List{1.0, 2.0, 3.0}).has_value());
  CHECK_FALSE(rw::correlation(List{1.0, 2.0, 3.0}, List{0.1, 0.1, 0.1}).has_value());
}

TEST_CASE("huge and tiny values correlate as their multiples do") {
  const List x = {1.0, 2.0, 4.0, 3.0, 7.0};
  const List y = {2.0, 1.0, 5.0, 3.0, 4.0};
  const auto plain = rw::correlation(x, y);
  REQUIRE(plain.has_value());
  for (const double size : {1e-300, 1e300}) {
    List other = x;
    for (double& value : other) value *= size;
    const auto scaled = rw::correlation(other, y);
    REQUIRE(scaled.has_value());
    CHECK(scaled->pearson == Approx(plain->pearson).epsilon(1e-14));
    CHECK(scaled->spearman == plain->spearman);
  }
}

TEST_CASE("lists of other sizes, and what is not finite, are refused with their entry") {
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(rw::correlation(List{1.0, 2.0}, List{1.0}), contains("y.size = 1"));
  CHECK_THROWS_WITH(rw::correlation(List{1.0, not_a_number}, List{1.0, 2.0}), contains("x[1]"));
  CHECK_THROWS_WITH(
      rw::correlation(List{1.0, 2.0}, List{std::numeric_limits<double>::infinity(), 2.0}),
      contains("y[0]"));
}
