// Sums of cosines against 192 bits: their error, and their signs where they nearly vanish.
#include <ropewalk/analysis/cosine_sum.hpp>

#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

/// The factors carry 53 and at most 63 bits, so the angle is exact.
Mpfr exact_sum(const rw::Spectrum& spectrum, std::int64_t distance) {
  Mpfr total;
  for (const double inv_freq : spectrum.inv_freq)
    total = total + cos(Mpfr(inv_freq) * Mpfr(distance));
  return total;
}

/// Those of a model, or unrelated ones, some of them 0.
rw::Spectrum random_spectrum(Random& random, std::int64_t most_pairs) {
  rw::Spectrum spectrum;
  const std::int64_t pairs = random.integer(1, most_pairs);
  const double theta = random.log_uniform(2.0, 1e12);
  const bool model = random.one_in(2);
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const double place = static_cast<double>(pair) / static_cast<double>(pairs);
    double inv_freq = model ? std::pow(theta, -place) : random.log_uniform(1e-12, 100.0);
    if (random.one_in(20)) inv_freq = 0.0;
    spectrum.inv_freq.push_back(inv_freq);
  }
  return spectrum;
}

std::int64_t random_distance(Random& random) {
  const std::int64_t distance = random.length(1, std::int64_t{1} << 52);
  return random.one_in(4) ? distance % 10000 : distance;
}

double single_bound(const rw::Spectrum& spectrum) {
  const double pairs = static_cast<double>(spectrum.pairs());
  return pairs * (2e-16 + pairs * 0x1p-53);
}

double run_bound(const rw::Spectrum& spectrum) {
  const double pairs = static_cast<double>(spectrum.pairs());
  return pairs * (6e-16 + (pairs + 4.0) * 0x1p-53);
}

}  // namespace

TEST_CASE("single sums are within their bound, B(0) is the number of pairs and B is even") {
  Random random("single sums");
  INFO(seed_text());
  double largest = 0.0;
  std::uint64_t cosines = 0;
  while (cosines < test_iterations(60000)) {
    const rw::Spectrum spectrum = random_spectrum(random, 130);
    cosines += spectrum.inv_freq.size();
    const std::int64_t distance = random_distance(random);
    const double value = rw::cosine_sum(spectrum, distance);
    const double error = abs(Mpfr(value) - exact_sum(spectrum, distance)).to_double();
    largest = (std::max)(largest, error / single_bound(spectrum));
    if (rw::cosine_sum(spectrum, -distance) != value) FAIL_CHECK("not even at " << distance);
    CHECK(rw::cosine_sum(spectrum, 0) == static_cast<double>(spectrum.pairs()));
    CHECK(rw::mean_cosine(spectrum, 0) == 1.0);
  }
  std::printf("accuracy %-36s largest error / bound %.4f\n", "single sums of cosines", largest);
  CHECK(largest <= 1.0);
}

TEST_CASE("sums of a run are within their bound") {
  Random random("runs of sums");
  INFO(seed_text());
  double largest = 0.0;
  std::uint64_t cosines = 0;
  std::vector<double> sums;
  while (cosines < test_iterations(60000)) {
    const rw::Spectrum spectrum = random_spectrum(random, 130);
    const std::int64_t first = random.one_in(3) ? 0 : random_distance(random);
    sums.resize(static_cast<std::size_t>(random.integer(1, 9000)));
    rw::fill_cosine_sums(rw::phase_turns(spectrum), first, static_cast<std::int64_t>(sums.size()),
                         sums.data());
    for (int sample = 0; sample < 20; ++sample) {
      const std::int64_t at = random.integer(0, static_cast<std::int64_t>(sums.size()) - 1);
      const Mpfr error =
          abs(Mpfr(sums[static_cast<std::size_t>(at)]) - exact_sum(spectrum, first + at));
      largest = (std::max)(largest, error.to_double() / run_bound(spectrum));
      cosines += spectrum.inv_freq.size();
    }
    if (first == 0) CHECK(sums[0] == static_cast<double>(spectrum.pairs()));
  }
  std::printf("accuracy %-36s largest error / bound %.4f\n", "runs of sums of cosines", largest);
  CHECK(largest <= 1.0);
}

TEST_CASE("sums that nearly vanish have the right sign") {
  Random random("vanishing sums");
  INFO(seed_text());
  std::uint64_t cosines = 0;
  int tried = 0;
  int below_bound = 0;
  double smallest = 1.0;
  while (cosines < test_iterations(60000)) {
    rw::Spectrum spectrum = random_spectrum(random, 40);
    const std::int64_t distance = random.length(1, 200000);
    const double rest = rw::cosine_sum(spectrum, distance);
    if (!(std::fabs(rest) < 0.99)) continue;
    // One more pair that takes the rest away, but for the rounding of its frequency.
    const double turns = static_cast<double>(random.integer(0, distance / 4));
    const double angle = std::acos(-rest) + 6.283185307179586 * turns;
    double inv_freq = angle / static_cast<double>(distance);
    for (std::int64_t step = random.integer(0, 2); step > 0; --step)
      inv_freq = std::nextafter(inv_freq, 10.0);
    spectrum.inv_freq.push_back(inv_freq);
    cosines += spectrum.inv_freq.size();
    const Mpfr exact = exact_sum(spectrum, distance);
    const double size = abs(exact).to_double();
    smallest = (std::min)(smallest, size);
    ++tried;
    if (size <= run_bound(spectrum)) ++below_bound;
    const bool negative = exact < Mpfr(0);
    const double single = rw::cosine_sum(spectrum, distance);
    double run[2] = {};
    rw::fill_cosine_sums(rw::phase_turns(spectrum), distance - 1, 2, run);
    INFO("distance " << distance << ", B " << exact.to_string());
    CHECK((single < 0.0) == negative);
    CHECK((single > 0.0) == !negative);
    CHECK((run[1] < 0.0) == negative);
    CHECK(rw::summarize_cosine_sum(spectrum, distance, 1).negative == (negative ? 1 : 0));
    if (const auto first = rw::first_negative_distance(spectrum, distance)) {
      CHECK((*first < distance || negative));
      CHECK(exact_sum(spectrum, *first) < Mpfr(0));
    } else {
      CHECK_FALSE(negative);
    }
  }
  std::printf("accuracy %-36s %d sums, %d of them below the bound, smallest %.3g\n",
              "vanishing sums of cosines", tried, below_bound, smallest);
  CHECK(below_bound > tried / 8);
}

TEST_CASE("the first negative distance is the first of a plain loop") {
  Random random("first negative distances");
  INFO(seed_text());
  std::uint64_t cosines = 0;
  int found = 0;
  int none = 0;
  // Few iterations go on until both answers were seen.
  for (int round = 0;
       cosines < test_iterations(2000000) || ((found == 0 || none == 0) && round < 1000); ++round) {
    const rw::Spectrum spectrum = random_spectrum(random, 24);
    const std::int64_t limit = random.length(1, 20000);
    std::optional<std::int64_t> expected;
    for (std::int64_t distance = 0; distance <= limit && !expected; ++distance) {
      long double sum = 0.0L;
      for (const double inv_freq : spectrum.inv_freq)
        sum += std::cos(static_cast<long double>(inv_freq) * static_cast<long double>(distance));
      cosines += spectrum.inv_freq.size();
      if (sum < 0.0L) expected = distance;
    }
    INFO(limit);
    CHECK(rw::first_negative_distance(spectrum, limit) == expected);
    (expected ? found : none) += 1;
  }
  CHECK(found > 0);
  CHECK(none > 0);
}
