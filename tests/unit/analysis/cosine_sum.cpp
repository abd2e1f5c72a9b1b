#include <ropewalk/analysis/cosine_sum.hpp>
#include <ropewalk/scaling.hpp>

#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

rw::RopeConfig config_of(double theta, int rotary_dim = 128) {
  rw::RopeConfig config;
  config.head_dim = rotary_dim;
  config.rotary_dim = rotary_dim;
  config.theta = theta;
  return config;
}

rw::Spectrum plain(double theta, int rotary_dim = 128) {
  return rw::spectrum(config_of(theta, rotary_dim));
}

/// How far B may be from that of the exact base: the bound of the sum, and frequencies that are off
/// by 2 ULP.
double tolerance(const rw::Spectrum& spectrum, std::int64_t distance) {
  const double pairs = static_cast<double>(spectrum.pairs());
  double sum = 0.0;
  for (const double inv_freq : spectrum.inv_freq) sum += inv_freq;
  return pairs * (6e-16 + (pairs + 4.0) * 0x1p-53) +
         std::fabs(static_cast<double>(distance)) * sum * 0x1p-52;
}

/// The spectrum of Men et al.'s table 4, method 2: from pair 44 on divided by 8, before it with a
/// larger base.
rw::Spectrum method_2() {
  rw::Spectrum result;
  const double larger = 1e4 * std::pow(8.0, 128.0 / 88.0);
  for (int pair = 0; pair < 64; ++pair) {
    result.inv_freq.push_back(pair < 44 ? rw::inverse_frequency(larger, pair, 128)
                                        : rw::inverse_frequency(1e4, pair, 128) / 8.0);
  }
  return result;
}

Mpfr exact_sum(const rw::Spectrum& spectrum, std::int64_t distance) {
  Mpfr total;
  for (const double inv_freq : spectrum.inv_freq)
    total = total + cos(Mpfr(inv_freq) * Mpfr(distance));
  return total;
}

}  // namespace

TEST_CASE("B is the number of pairs at distance 0 and falls as published") {
  const struct {
    double theta;
    std::int64_t distance;
    double sum;
  } points[] = {{1e4, 0, 64.0},
                {1e4, 1, 62.093683805767625},
                {1e4, 100, 30.543454701490665},
                {1e4, 4096, -3.3826139244823605},
                {5e5, 8191, 15.860476684196362},
                {5e5, 131072, 3.0577576772062086}};
  for (const auto& point : points) {
    const rw::Spectrum spectrum = plain(point.theta);
    INFO(point.theta << " at " << point.distance);
    CHECK(std::fabs(rw::cosine_sum(spectrum, point.distance) - point.sum) <=
          tolerance(spectrum, point.distance));
    CHECK(rw::cosine_sum(spectrum, -point.distance) == rw::cosine_sum(spectrum, point.distance));
    CHECK(rw::mean_cosine(spectrum, point.distance) ==
          rw::cosine_sum(spectrum, point.distance) / 64.0);
  }
  CHECK(rw::cosine_sum(plain(1e4), 0) == 64.0);
  CHECK(rw::mean_cosine(plain(1e4), 0) == 1.0);
}

TEST_CASE("B first turns negative at the distances known for 14 bases") {
  const struct {
    double theta;
    std::int64_t distance;
    double before;  // to five decimals; 0: not published
    double at;
  } known[] = {{1e4, 1707, 0.06860, -0.49893},
               {5e5, 18438, 1.67192, -0.25626},
               {1e6, 27115, 0.73435, -0.48676},
               {5e6, 82999, 0.27702, -0.03710},
               {8e6, 61936, 0, 0},
               {1e7, 144660, 0.56613, -0.12808},
               {2.5e7, 137077, 1.66090, -0.16776},
               {5e7, 416715, 1.38401, -0.22502},
               {1e8, 482075, 0, 0},
               {1.28e8, 605269, 0, 0},
               {2.5e8, 781763, 0, 0},
               {1e9, 1244024, 0, 0},
               {283461213, 896530, 1.45773, -0.10810},
               {3580165449, 1795662, 0.58536, -0.52242}};
  for (const auto& entry : known) {
    const rw::Spectrum spectrum = plain(entry.theta);
    INFO(entry.theta);
    CHECK(rw::first_negative_distance(spectrum, 2000000) == entry.distance);
    CHECK(rw::first_negative_distance(spectrum, entry.distance) == entry.distance);
    CHECK(rw::first_negative_distance(spectrum, entry.distance - 1) == std::nullopt);
    CHECK(rw::cosine_sum(spectrum, entry.distance) < 0.0);
    CHECK(rw::cosine_sum(spectrum, entry.distance - 1) > 0.0);
    if (entry.before == 0.0) continue;
    CHECK(std::fabs(rw::cosine_sum(spectrum, entry.distance - 1) - entry.before) <= 0.5e-5);
    CHECK(std::fabs(rw::cosine_sum(spectrum, entry.distance) - entry.at) <= 0.5e-5);
  }
}

TEST_CASE("of the bases printed for a length, rounded to two digits, some hold and some do not") {
  const struct {
    double theta;
    std::int64_t length;
    std::int64_t first_negative;
  } printed[] = {{4.3e3, 1024, 1077},     {1.6e4, 2048, 2724},     {8.4e4, 8192, 8592},
                 {2.1e6, 65536, 77306},   {2.7e4, 4096, 4079},     {3.1e5, 16384, 12223},
                 {6.4e5, 32768, 27685},   {7.8e6, 131072, 128915}, {3.6e7, 262144, 207455},
                 {6.4e7, 524288, 511210}, {5.1e8, 1048576, 874868}};
  int sufficient = 0;
  for (const auto& entry : printed) {
    INFO(entry.theta);
    const rw::Spectrum spectrum = plain(entry.theta);
    CHECK(rw::first_negative_distance(spectrum, 2 * entry.length) == entry.first_negative);
    const bool holds = !rw::first_negative_distance(spectrum, entry.length);
    CHECK(holds == (entry.first_negative > entry.length));
    sufficient += holds ? 1 : 0;
  }
  CHECK(sufficient == 4);
}

TEST_CASE("the bases found by finer scans hold for their lengths") {
  const struct {
    double theta;
    std::int64_t length;
  } found[] = {{4293.44, 1024},    {11587.26, 2048},   {26952.35, 4096},   {83763.94, 8192},
               {231644.1, 16384},  {629979.2, 32768},  {2090184, 65536},   {4869114, 131072},
               {23662412, 262144}, {58496226, 524288}, {65375054, 1048576}};
  for (const auto& entry : found) {
    INFO(entry.theta);
    CHECK(rw::first_negative_distance(plain(entry.theta), entry.length) == std::nullopt);
  }
}

TEST_CASE("two schedules that leave no pair over its range differ in how often B is negative") {
  const struct {
    rw::Spectrum spectrum;
    std::int64_t negative[2];
  } schedules[] = {{plain(5e6), {0, 0}}, {method_2(), {97, 2554}}};
  for (const auto& schedule : schedules) {
    CHECK(rw::summarize_cosine_sum(schedule.spectrum, 0, 15361).negative == schedule.negative[0]);
    CHECK(rw::summarize_cosine_sum(schedule.spectrum, 0, 30721).negative == schedule.negative[1]);
  }
  CHECK(rw::first_negative_distance(method_2(), 30720) == 10264);
  CHECK(rw::summarize_cosine_sum(method_2(), 0, 15001).negative == 35);
  CHECK(rw::summarize_cosine_sum(method_2(), 0, 30001).negative == 2462);
}

TEST_CASE("Llama-3.1's own schedule turns negative within its length") {
  rw::RopeConfig config = config_of(5e5);
  config.original_length = 8192;
  rw::Llama3 method;
  method.factor = 8.0;
  const rw::Spectrum spectrum = rw::spectrum(config, method);
  CHECK(rw::first_negative_distance(spectrum, 131072) == 85133);
  const rw::CosineSumSummary summary = rw::summarize_cosine_sum(spectrum, 0, 131073);
  CHECK(std::fabs(summary.minimum + 1.48) <= 0.5e-2);
  CHECK(rw::cosine_sum(spectrum, summary.minimum_at) == Approx(summary.minimum));
}

TEST_CASE("pairs that never turn add one each") {
  const rw::Spectrum still{{0.0, 0.0, 0.0}, 1.0};
  CHECK(rw::cosine_sum(still, 123456789) == 3.0);
  CHECK(rw::mean_cosine(still, 123456789) == 1.0);
  // Answered without looking at 2^53 distances.
  CHECK(rw::first_negative_distance(still, std::int64_t{1} << 53) == std::nullopt);
  const rw::CosineSumSummary summary = rw::summarize_cosine_sum(still, 5, 1000);
  CHECK(summary.negative == 0);
  CHECK(summary.minimum == 3.0);
  CHECK(summary.minimum_at == 5);
  CHECK(summary.mean == 3.0);

  // Half of the pairs at rest outweigh the other half at every distance and base.
  rw::Spectrum half = plain(1e4);
  for (std::size_t pair = 0; pair < 64; ++pair) half.inv_freq.push_back(0.0);
  CHECK(rw::first_negative_distance(half, std::int64_t{1} << 53) == std::nullopt);
  CHECK(rw::summarize_cosine_sum(half, 0, 100000).negative == 0);

  // One more that turns, and it is a question of distance again: cos 3 < -0.98.
  CHECK(rw::first_negative_distance(rw::Spectrum{{1.0, 1.0, 0.0}, 1.0}, 100) == 3);
}

TEST_CASE("the attention factor is no part of B") {
  rw::Spectrum spectrum = plain(1e4);
  const double before = rw::cosine_sum(spectrum, 77);
  spectrum.attention_factor = 1.5;
  CHECK(rw::cosine_sum(spectrum, 77) == before);
  double value = 0.0;
  rw::fill_cosine_sums(rw::phase_turns(spectrum), 77, 1, &value);
  CHECK(std::fabs(value - before) <= tolerance(spectrum, 0));
}

TEST_CASE("a run has the values of single distances, however it is cut") {
  for (const int rotary_dim : {2, 6, 64, 128, 250}) {
    const rw::Spectrum spectrum = plain(1e4, rotary_dim);
    const rw::PhaseTurns turns = rw::phase_turns(spectrum);
    for (const std::int64_t first : {std::int64_t{0}, std::int64_t{4095}, std::int64_t{1000001},
                                     (std::int64_t{1} << 53) - 9999}) {
      INFO(rotary_dim << " from " << first);
      constexpr int count = 10000;
      std::vector<double> whole(count);
      rw::fill_cosine_sums(turns, first, count, whole.data());
      if (first == 0) CHECK(whole[0] == static_cast<double>(rotary_dim / 2));
      std::vector<double> parts(count, -1000.0);
      const int cuts[] = {0, 1, 2, 129, 1000, 1024, 5000, 9999, count};
      for (std::size_t part = 0; part + 1 < std::size(cuts); ++part) {
        rw::fill_cosine_sums(turns, first + cuts[part], cuts[part + 1] - cuts[part],
                             parts.data() + cuts[part]);
      }
      CHECK(parts == whole);
      double worst = 0.0;
      for (int at = 0; at < count; ++at) {
        const double direct = rw::cosine_sum(turns, first + at);
        const double value = whole[static_cast<std::size_t>(at)];
        worst = (std::max)(worst, std::fabs(value - direct));
        if ((value < 0.0) != (direct < 0.0)) FAIL_CHECK("the signs differ at " << first + at);
      }
      // Both are within the bound of the exact value.
      CHECK(worst <= 2.0 * tolerance(spectrum, 0));
    }
  }
}

TEST_CASE("nothing is written for an empty run") {
  double untouched = 7.0;
  rw::fill_cosine_sums(rw::phase_turns(plain(1e4)), 100, 0, &untouched);
  CHECK(untouched == 7.0);
}

TEST_CASE("a summary is that of its distances") {
  Random random("summaries");
  INFO(seed_text());
  for (int round = 0; round < 60; ++round) {
    rw::Spectrum spectrum;
    const std::int64_t pairs = random.integer(1, 20);
    for (std::int64_t pair = 0; pair < pairs; ++pair)
      spectrum.inv_freq.push_back(random.one_in(6) ? 0.0 : random.log_uniform(1e-5, 3.0));
    const std::int64_t first = random.one_in(3) ? 0 : random.integer(1, 20000);
    const std::int64_t count = random.integer(1, 9000);
    INFO(first << " " << count << " " << pairs);
    const rw::CosineSumSummary summary = rw::summarize_cosine_sum(spectrum, first, count);
    std::int64_t negative = 0;
    long double total = 0.0L;
    double minimum = std::numeric_limits<double>::max();
    for (std::int64_t distance = first; distance < first + count; ++distance) {
      const double value = rw::cosine_sum(spectrum, distance);
      if (value < 0.0) ++negative;
      total += static_cast<long double>(value);
      minimum = (std::min)(minimum, value);
    }
    const double bound = 2.0 * tolerance(spectrum, 0);
    CHECK(summary.first == first);
    CHECK(summary.count == count);
    CHECK(summary.negative == negative);
    CHECK(summary.negative_fraction() ==
          static_cast<double>(negative) / static_cast<double>(count));
    CHECK(std::fabs(summary.minimum - minimum) <= bound);
    CHECK(std::fabs(rw::cosine_sum(spectrum, summary.minimum_at) - minimum) <= bound);
    CHECK(std::fabs(summary.mean - static_cast<double>(total / static_cast<long double>(count))) <=
          bound);
  }
}

TEST_CASE("sums as small as the last bit of a frequency have the sign of 192 bits") {
  // cos(m w) + cos(m (w + pi)) is 0 at every odd m but for the rounding of w + pi.
  constexpr double pi = 3.141592653589793;
  int negative = 0;
  for (const double inv_freq : {0.3, 0.7, 1e-3, 1.0, 0.123456789}) {
    const rw::Spectrum spectrum{{inv_freq, inv_freq + pi}, 1.0};
    const rw::PhaseTurns turns = rw::phase_turns(spectrum);
    constexpr int count = 600;
    std::vector<double> run(count);
    rw::fill_cosine_sums(turns, 0, count, run.data());
    std::optional<std::int64_t> first;
    for (std::int64_t distance = 1; distance < count; distance += 2) {
      const Mpfr exact = exact_sum(spectrum, distance);
      const bool below = exact < Mpfr(0);
      const double value = rw::cosine_sum(turns, distance);
      INFO(inv_freq << " at " << distance << ": " << exact.to_string());
      CHECK((value < 0.0) == below);
      CHECK((value > 0.0) == !below);
      CHECK((run[static_cast<std::size_t>(distance)] < 0.0) == below);
      // 2^-95 per pair, the rounding of the steps and one of the result.
      const Mpfr error = abs(Mpfr(rw::detail::fixed_cosine_sum(turns, distance)) - exact);
      CHECK(error <= Mpfr(2.0 * (0x1p-95 + 600.0 * 0x1p-126)) + abs(exact) * Mpfr(0x1p-53));
      if (below && !first) first = distance;
      negative += below ? 1 : 0;
    }
    // The even ones are 2 cos(m w).
    for (std::int64_t distance = 2; distance < count && (!first || distance < *first);
         distance += 2) {
      if (exact_sum(spectrum, distance) < Mpfr(0)) first = distance;
    }
    CHECK(rw::first_negative_distance(spectrum, count - 1) == first);
  }
  CHECK(negative > 100);
}

TEST_CASE("a sum that is exactly 0 is not negative") {
  // A quarter turn per token: no double is one, but steps may be.
  rw::PhaseTurns quarter;
  quarter.high = {std::uint64_t{1} << 62};
  quarter.low = {0};
  for (const std::int64_t distance : {1, 3, 101}) {
    CHECK(rw::cosine_sum(quarter, distance) == 0.0);
    CHECK_FALSE(std::signbit(rw::cosine_sum(quarter, distance)));
  }
  CHECK(rw::cosine_sum(quarter, 2) == -1.0);
}

TEST_CASE("fixed-point cosines are good to a unit of 2^-96") {
  Random random("fixed-point cosines");
  INFO(seed_text());
  const std::uint64_t corners[] = {0,
                                   1,
                                   std::uint64_t{1} << 61,
                                   (std::uint64_t{1} << 61) - 1,
                                   std::uint64_t{1} << 62,
                                   std::uint64_t{3} << 61,
                                   (std::uint64_t{3} << 61) - 1,
                                   std::uint64_t{1} << 63,
                                   std::uint64_t{5} << 61,
                                   std::uint64_t{3} << 62,
                                   std::uint64_t{7} << 61,
                                   ~std::uint64_t{0}};
  double worst = 0.0;
  for (int round = 0; round < 20000; ++round) {
    rw::Turns angle{random.bits(), random.one_in(4) ? 0 : random.bits()};
    if (round < 24) angle = {corners[round / 2], round % 2 == 0 ? 0 : random.bits()};
    const auto whole = [](rw::Turns words) {
      const Mpfr high = ldexp(Mpfr(static_cast<std::int64_t>(words.high)), 64);  // two's complement
      const Mpfr low = Mpfr(static_cast<std::int64_t>(words.low >> 1));
      return high + ldexp(low, 1) + Mpfr(static_cast<std::int64_t>(words.low & 1));
    };
    const Mpfr exact = cos(ldexp(whole(angle), -127) * Mpfr::pi());
    const Mpfr error = abs(whole(rw::detail::fixed_cosine(angle)) - ldexp(exact, 96));
    worst = (std::max)(worst, error.to_double());
  }
  CHECK(worst <= 1.0 + 0x1p-18);
}

TEST_CASE("what has no sum of cosines is refused by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const rw::Spectrum empty;
  CHECK_THROWS_WITH(rw::cosine_sum(empty, 1), contains("cosine_sum: inv_freq"));
  CHECK_THROWS_WITH(rw::mean_cosine(empty, 1), contains("mean_cosine: inv_freq"));
  CHECK_THROWS_WITH(rw::first_negative_distance(empty, 1),
                    contains("first_negative_distance: inv_freq"));
  CHECK_THROWS_WITH(rw::summarize_cosine_sum(empty, 0, 1),
                    contains("summarize_cosine_sum: inv_freq"));
  for (const double bad : {nan, infinity, -infinity, -1.0, 1e30}) {
    const rw::Spectrum spectrum{{1.0, bad}, 1.0};
    CHECK_THROWS_WITH(rw::cosine_sum(spectrum, 1), contains("inv_freq[1]"));
    CHECK_THROWS_AS(rw::mean_cosine(spectrum, 1), std::invalid_argument);
    CHECK_THROWS_AS(rw::first_negative_distance(spectrum, 1), std::invalid_argument);
    CHECK_THROWS_AS(rw::summarize_cosine_sum(spectrum, 0, 1), std::invalid_argument);
  }
  const rw::Spectrum sound = plain(1e4);
  const std::int64_t largest = std::int64_t{1} << 53;
  CHECK_THROWS_WITH(rw::first_negative_distance(sound, -1), contains("limit"));
  CHECK_THROWS_WITH(rw::first_negative_distance(sound, largest + 1), contains("limit"));
  CHECK_THROWS_WITH(rw::summarize_cosine_sum(sound, -1, 1), contains("first"));
  CHECK_THROWS_WITH(rw::summarize_cosine_sum(sound, 0, 0), contains("count"));
  CHECK_THROWS_WITH(rw::summarize_cosine_sum(sound, largest, 2), contains("first + count"));
  CHECK(rw::summarize_cosine_sum(sound, largest, 1).count == 1);
  CHECK(rw::first_negative_distance(sound, 0) == std::nullopt);
}

TEST_CASE("more pairs than float sums are good for are summed in double") {
  constexpr int rotary_dim = 2 * 5000;
  const rw::Spectrum spectrum = plain(1e4, rotary_dim);
  const auto first = rw::first_negative_distance(spectrum, 8000);
  REQUIRE(first.has_value());
  CHECK(exact_sum(spectrum, *first) < Mpfr(0));
  CHECK(exact_sum(spectrum, *first - 1) > Mpfr(0));
  const rw::PhaseTurns turns = rw::phase_turns(spectrum);
  std::vector<double> before(static_cast<std::size_t>(*first));
  rw::fill_cosine_sums(turns, 0, *first, before.data());
  for (const double value : before) {
    if (value < 0.0) FAIL_CHECK("an earlier sum is negative");
  }
}
