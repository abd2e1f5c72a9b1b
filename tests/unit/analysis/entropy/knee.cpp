#include <ropewalk/analysis/entropy/knee.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace rw = ropewalk;
using ropewalk_test::Random;

namespace {

template <typename Entropy>
std::vector<double> curve_of(std::size_t positions, Entropy entropy) {
  std::vector<double> curve(positions);
  for (std::size_t i = 0; i < positions; ++i) {
    curve[i] = entropy(std::log(static_cast<double>(i) + 1.0));
  }
  return curve;
}

/// Slope before, then `after` from a position on; softened over `width` e-folds.
std::vector<double> bent(std::size_t positions, double knee, double before, double after,
                         double width = 0.0) {
  const double bend = std::log(knee + 1.0);
  return curve_of(positions, [=](double x) {
    const double beyond = x > bend ? x - bend : 0.0;
    const double soft = width > 0.0 ? width * std::log1p(std::exp((x - bend) / width)) : beyond;
    return 1.0 + before * x + (after - before) * soft;
  });
}

/// About normal, of unit variance: the sum of twelve uniform numbers.
double normal(Random& random) {
  double sum = -6.0;
  for (int i = 0; i < 12; ++i) sum += random.unit();
  return sum;
}

/// Adds noise whose neighbours have the given correlation.
std::vector<double> with_noise(std::vector<double> curve, Random& random, double size,
                               double correlation) {
  double noise = normal(random);
  for (double& entropy : curve) {
    entropy += size * noise;
    noise = correlation * noise + std::sqrt(1.0 - correlation * correlation) * normal(random);
  }
  return curve;
}

}  // namespace

TEST_CASE("a curve that rises faster from position 1024 on has its knee there") {
  const auto knee = rw::entropy_knee(bent(8192, 1024.0, 0.2, 0.8));
  REQUIRE(knee.has_value());
  // The bin that holds the knee, of 1/8 octave, is drawn off both lines by at most a quarter of its
  // width times the change of slope, which moves the meeting point by at most that quarter.
  CHECK(std::abs(std::log((knee->position + 1.0) / 1025.0)) <= std::log(2.0) / 8.0 / 4.0);
  CHECK(knee->slope_before == Approx(0.2).margin(1e-3));
  CHECK(knee->slope_after == Approx(0.8).margin(1e-3));
  CHECK(knee->gain > 100.0);
  CHECK(knee->log_error < 1e-3);
}

TEST_CASE("a knee is found wherever half an octave lies on both sides of it") {
  for (const double position : {48.0, 100.0, 256.0, 777.0, 2048.0, 5600.0}) {
    for (const double slope : {-0.1, 0.0, 0.5}) {
      const auto knee = rw::entropy_knee(bent(8192, position, slope, slope + 0.4));
      INFO("knee at " << position << " from slope " << slope);
      REQUIRE(knee.has_value());
      CHECK(std::abs(std::log((knee->position + 1.0) / (position + 1.0))) <=
            std::log(2.0) / 8.0 / 4.0);
    }
  }
  CHECK_FALSE(rw::entropy_knee(bent(8192, 8100.0, 0.2, 0.8)).has_value());
  CHECK_FALSE(rw::entropy_knee(bent(8192, 20.0, 0.2, 0.8)).has_value());
}

TEST_CASE("curves without a knee have none") {
  for (const double slope : {-0.3, 0.0, 0.3, 1.0}) {
    INFO("slope " << slope);
    CHECK_FALSE(rw::entropy_knee(bent(8192, 1024.0, slope, slope)).has_value());
  }
  const auto none = [](auto entropy) {
    return !rw::entropy_knee(curve_of(8192, entropy)).has_value();
  };
  CHECK(none([](double) { return 0.0; }));
  CHECK(none([](double) { return 7.25; }));
  CHECK(none([](double x) { return x; }));                               // attention spread evenly
  CHECK(none([](double x) { return 3.0 * (1.0 - std::exp(-x / 3)); }));  // levels out
  CHECK(none([](double x) { return 0.05 * x * x; }));                    // bends all along
  CHECK(none([](double x) { return 0.001 * std::exp(x); }));
  CHECK(none([](double x) { return x < 7.0 ? x : 7.0; }));                        // bends downwards
  CHECK(none([](double x) { return x < 7.0 ? 1.0 : 1.02 + 0.02 * (x - 7.0); }));  // hardly at all
}

TEST_CASE("a soft knee is placed where its two lines meet") {
  for (const double width : {0.02, 0.05, 0.1, 0.2}) {
    INFO("softened over " << width << " e-folds");
    const auto knee = rw::entropy_knee(bent(8192, 1024.0, 0.2, 0.8, width));
    REQUIRE(knee.has_value());
    CHECK(std::abs(std::log((knee->position + 1.0) / 1025.0)) <= width / 2.0);
  }
}

// Noise of 0.05 nats: white, and correlated over about 10, 100 and 1000 positions. The rates are
// those that KneeSearch states, and three times the square root of a count more for a sample.
TEST_CASE("in noise a knee is found near its place, and hardly one where there is none") {
  Random random("entropy knee");
  INFO(ropewalk_test::seed_text());
  for (const double correlation : {0.0, 0.9, 0.99, 0.999}) {
    constexpr int kCurves = 50;
    int found = 0;
    int lines = 0;
    int parabolas = 0;
    int levelling = 0;
    double squares = 0.0;
    const auto has_knee = [&](const std::vector<double>& curve) {
      return rw::entropy_knee(with_noise(curve, random, 0.05, correlation)).has_value();
    };
    for (int i = 0; i < kCurves; ++i) {
      const auto knee =
          rw::entropy_knee(with_noise(bent(8192, 1024.0, 0.2, 0.8), random, 0.05, correlation));
      if (knee.has_value()) {
        ++found;
        squares += std::pow(std::log((knee->position + 1.0) / 1025.0), 2.0);
      }
      lines += has_knee(bent(8192, 0.0, 0.3, 0.3)) ? 1 : 0;
      parabolas += has_knee(curve_of(8192, [](double x) { return 0.05 * x * x; })) ? 1 : 0;
      levelling += has_knee(curve_of(8192, [](double x) { return 3.0 - std::exp(-x); })) ? 1 : 0;
    }
    INFO("noise correlated by " << correlation << ": found " << found << ", false " << lines
                                << " lines, " << parabolas << " parabolas");
    CHECK(found >= kCurves - 3);
    CHECK(std::sqrt(squares / found) <= (correlation > 0.0 ? 0.1 : 0.02));
    CHECK(lines <= 2 + 4);
    CHECK(parabolas <= (correlation > 0.0 ? 4 + 6 : 1));
    CHECK(levelling <= 6);
  }
}

TEST_CASE("the stated error of the knee is the scatter of knees over repetitions") {
  Random random("entropy knee error");
  INFO(ropewalk_test::seed_text());
  double squares = 0.0;
  double stated = 0.0;
  constexpr int kCurves = 60;
  for (int i = 0; i < kCurves; ++i) {
    const auto knee = rw::entropy_knee(with_noise(bent(8192, 1024.0, 0.2, 0.8), random, 0.1, 0.99));
    if (!knee.has_value()) continue;
    squares += std::pow(std::log((knee->position + 1.0) / 1025.0), 2.0);
    stated += knee->log_error * knee->log_error;
  }
  // To a factor of 2: the scatter of white residuals stands for that of correlated ones.
  CHECK(stated / squares > 0.25);
  CHECK(stated / squares < 4.0);
}

TEST_CASE("the size of an entropy does not matter to its knee") {
  const std::vector<double> curve = bent(4096, 700.0, 0.2, 0.8);
  const auto knee = rw::entropy_knee(curve);
  REQUIRE(knee.has_value());
  for (const double size : {1.4426950408889634, 1e-200, 1e200}) {  // bits, and far out
    std::vector<double> other = curve;
    for (double& entropy : other) entropy *= size;
    rw::KneeSearch search;
    search.minimum_slope_change *= size;
    const auto same = rw::entropy_knee(other, search);
    REQUIRE(same.has_value());
    CHECK(same->position == Approx(knee->position).epsilon(1e-9));
    CHECK(same->slope_after == Approx(knee->slope_after * size).epsilon(1e-9));
    CHECK(same->gain == Approx(knee->gain).epsilon(1e-6));
  }
}

TEST_CASE("what KneeSearch asks for decides") {
  const std::vector<double> curve = bent(8192, 1024.0, 0.2, 0.8);
  rw::KneeSearch search;
  search.minimum_slope_change = 0.61;
  CHECK_FALSE(rw::entropy_knee(curve, search).has_value());
  search.minimum_slope_change = 0.59;
  CHECK(rw::entropy_knee(curve, search).has_value());
  search.minimum_gain = 1e6;
  CHECK_FALSE(rw::entropy_knee(curve, search).has_value());
  search = {};
  search.first_position = 1100;  // what is left is one line
  CHECK_FALSE(rw::entropy_knee(curve, search).has_value());
  for (const int bins : {4, 16, 64}) {
    search = {};
    search.bins_per_octave = bins;
    const auto knee = rw::entropy_knee(curve, search);
    REQUIRE(knee.has_value());
    CHECK(knee->position == Approx(1024.0).epsilon(std::log(2.0) / bins / 4.0));
  }
}

TEST_CASE("too few positions have no knee, and what is unsound is refused by name") {
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(rw::entropy_knee(std::vector<double>()).has_value());
  for (const std::size_t positions : {1u, 32u, 33u, 40u, 60u}) {
    INFO(positions << " positions");
    CHECK_FALSE(rw::entropy_knee(bent(positions, 45.0, 0.0, 1.0)).has_value());
  }
  std::vector<double> curve = bent(100, 50.0, 0.0, 1.0);
  curve[99] = not_a_number;
  CHECK_THROWS_WITH(rw::entropy_knee(curve), contains("curve"));
  curve[99] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(rw::entropy_knee(curve), contains("not a finite"));
  const auto refused = [](auto change) {
    rw::KneeSearch search;
    change(search);
    const rw::Fault fault = search.validate();
    CHECK_THROWS_WITH(rw::entropy_knee(std::vector<double>(100), search), contains(fault.field));
    return std::string(fault.field);
  };
  CHECK(refused([](rw::KneeSearch& s) { s.first_position = -1; }) == "first_position");
  CHECK(refused([](rw::KneeSearch& s) { s.bins_per_octave = 0; }) == "bins_per_octave");
  CHECK(refused([](rw::KneeSearch& s) { s.bins_per_octave = 65; }) == "bins_per_octave");
  CHECK(refused([](rw::KneeSearch& s) { s.minimum_gain = -1.0; }) == "minimum_gain");
  CHECK(refused([=](rw::KneeSearch& s) { s.minimum_gain = not_a_number; }) == "minimum_gain");
  CHECK(refused([=](rw::KneeSearch& s) { s.minimum_slope_change = not_a_number; }) ==
        "minimum_slope_change");
}
