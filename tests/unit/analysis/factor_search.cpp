#include <ropewalk/analysis/factor_search.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama3{128, 128, 500000.0, 8192};
const rw::RopeConfig kPhi3{96, 96, 10000.0, 2048};
constexpr std::int64_t kTarget = 131072;

/// Distance from a list that only whole hundredths meet: sums of whole numbers, exact in double.
struct Distance {
  std::vector<double> wanted;  // in hundredths

  double operator()(const rw::LongRope& method) const {
    double total = 0.0;
    for (std::size_t pair = 0; pair < wanted.size(); ++pair) {
      const double steps = std::round(100.0 * method.long_factor[pair]);
      total += (steps - wanted[pair]) * (steps - wanted[pair]);
    }
    return total;
  }
};

Distance steps_towards(double last) {
  Distance distance;
  for (int pair = 0; pair < 64; ++pair) distance.wanted.push_back(100.0 + last * pair / 64.0);
  for (double& wanted : distance.wanted) wanted = std::floor(wanted);
  return distance;
}

std::vector<int> hundredths(const std::vector<double>& divisors) {
  std::vector<int> steps;
  for (const double divisor : divisors)
    steps.push_back(static_cast<int>(std::lround(100 * divisor)));
  return steps;
}

rw::FactorSearch search_from(rw::FactorStart start, std::uint64_t seed) {
  rw::FactorSearch search;
  search.start = start;
  search.seed = seed;
  return search;
}

}  // namespace

TEST_CASE("a search finds a method that validates, with the model's objective at its smallest") {
  const rw::CosineObjective objective(kLlama3, kTarget);
  const rw::FactorSearchResult found = rw::search_factors(kLlama3, kTarget, objective);
  CHECK(rw::check(kLlama3, found.method).code == rw::Errc::ok);
  CHECK(found.method.factor == 16.0);
  CHECK(found.method.length == 0);
  CHECK(found.method.short_factor == std::vector<double>(64, 1.0));
  CHECK(found.losses.size() == 41);
  CHECK(found.loss == found.losses.back());
  CHECK(found.loss < found.losses.front());
  // What is reported is what the objective says of what is returned.
  CHECK(objective(rw::at_length(found.method, kTarget)) == Approx(found.loss).margin(1e-13));
}

TEST_CASE("a fixed seed gives these divisors from LongRoPE's start") {
  const auto found = rw::search_factors(kLlama3, kTarget, steps_towards(1800.0),
                                        search_from(rw::FactorStart::long_rope, 20240221));
  CHECK(hundredths(found.method.long_factor) ==
        std::vector<int>{101,  105,  118,  119,  119,  121,  131,  137,  155,  155,  178,
                         192,  195,  197,  202,  218,  220,  225,  257,  258,  258,  260,
                         260,  443,  600,  630,  768,  913,  920,  979,  1015, 1015, 1040,
                         1089, 1168, 1209, 1291, 1386, 1427, 1432, 1544, 1577, 1589, 1589,
                         1600, 1600, 1600, 1600, 1600, 1600, 1600, 1600, 1600, 1600, 1600,
                         1600, 1600, 1600, 1612, 1629, 1632, 1830, 1860, 1969});
  CHECK(found.evaluations == 1317);
}

TEST_CASE("a fixed seed gives these divisors from LongRoPE2's start") {
  const auto found = rw::search_factors(kLlama3, kTarget, steps_towards(1800.0),
                                        search_from(rw::FactorStart::long_rope2, 20250220));
  CHECK(hundredths(found.method.long_factor) ==
        std::vector<int>{100,  109,  118,  128,  139,  150,  163,  177,  192,  209,  226,
                         246,  267,  289,  314,  341,  370,  401,  435,  472,  512,  556,
                         603,  655,  710,  771,  836,  908,  985,  1069, 1160, 1258, 1366,
                         1482, 1608, 1692, 1700, 1735, 1752, 1784, 1792, 1852, 1907, 1918,
                         1934, 2026, 2132, 2181, 2209, 2256, 2287, 2326, 2332, 2376, 2376,
                         2443, 2459, 2520, 2558, 2581, 2582, 2707, 2806, 2826});
  CHECK(found.first_searched_pair == 34);
}

TEST_CASE("a fixed seed gives these divisors under the objective of cosines") {
  const auto found = rw::search_factors(kPhi3, 32768, rw::CosineObjective(kPhi3, 32768),
                                        search_from(rw::FactorStart::long_rope2, 7));
  CHECK(hundredths(found.method.long_factor) ==
        std::vector<int>{100,  110,  120,  132,  145,  159,  174,  191,  210,  230,  252,  277,
                         304,  333,  366,  401,  440,  483,  529,  581,  637,  699,  767,  841,
                         923,  1012, 1110, 1218, 1336, 1466, 1608, 1616, 2621, 2658, 2666, 2687,
                         2779, 2785, 2868, 2881, 2938, 2940, 2947, 2966, 3055, 3088, 3153, 3162});
  // 48 cosines, each within 1e-14.
  CHECK(found.loss == Approx(-0.23318255420229525).margin(1e-12));
}

TEST_CASE("another seed finds other divisors, the same seed the same") {
  const Distance objective = steps_towards(1800.0);
  const auto one = rw::search_factors(kLlama3, kTarget, objective, search_from({}, 1));
  CHECK(rw::search_factors(kLlama3, kTarget, objective, search_from({}, 1)).method.long_factor ==
        one.method.long_factor);
  CHECK(rw::search_factors(kLlama3, kTarget, objective, search_from({}, 2)).method.long_factor !=
        one.method.long_factor);
}

TEST_CASE("without iterations LongRoPE's start is the best of PI, NTK-aware and YaRN or better") {
  rw::FactorSearch search = search_from(rw::FactorStart::long_rope, 1);
  search.population = 3;
  search.parents = 3;
  search.iterations = 0;
  std::vector<std::vector<double>> seen;
  rw::search_factors(
      kLlama3, kTarget,
      [&](const rw::LongRope& method) {
        seen.push_back(method.long_factor);
        return 0.0;
      },
      search);
  REQUIRE(seen.size() == 3);
  const rw::NtkAware ntk{16.0};
  const rw::Yarn yarn{16.0};
  for (int pair = 0; pair < 64; ++pair) {
    const auto entry = static_cast<std::size_t>(pair);
    const double plain = rw::inverse_frequency(kLlama3, pair);
    CHECK(seen[0][entry] == 16.0);
    // Half a step of the grid.
    CHECK(std::fabs(seen[1][entry] - plain / ntk.inv_freq(kLlama3, pair)) <= 0.005 + 1e-12);
    CHECK(std::fabs(seen[2][entry] - plain / yarn.inv_freq(kLlama3, pair)) <= 0.005 + 1e-12);
  }
}

TEST_CASE("LongRoPE2 draws the first slow pair where ten turns and one turn bound it") {
  // Shang et al. 2025: ceil(18.16) = 19 and 31 for Phi-3-mini, ceil(23.75) = 24 and 35 for Llama-3.
  for (const auto& [config, target, lowest, highest] :
       {std::tuple{kPhi3, std::int64_t{131072}, 19, 31}, {kLlama3, kTarget, 24, 35}}) {
    int least = 1000;
    int most = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
      rw::FactorSearch search = search_from(rw::FactorStart::long_rope2, seed);
      search.population = 3;
      search.parents = 1;
      search.iterations = 0;
      const auto found = rw::search_factors(
          config, target, [](const rw::LongRope&) { return 0.0; }, search);
      least = found.first_searched_pair < least ? found.first_searched_pair : least;
      most = found.first_searched_pair > most ? found.first_searched_pair : most;
    }
    CHECK(least == lowest);
    CHECK(most == highest);
  }
}

TEST_CASE("faster pairs take the divisors of one base under LongRoPE2's start") {
  const auto found = rw::search_factors(kLlama3, kTarget, rw::CosineObjective(kLlama3, kTarget),
                                        search_from(rw::FactorStart::long_rope2, 3));
  const int first = found.first_searched_pair;
  REQUIRE(first >= 24);
  const double slowed = found.method.long_factor[static_cast<std::size_t>(first)];
  const double theta = rw::align_theta(kLlama3, slowed, first);
  for (int pair = 0; pair < first; ++pair) {
    const double divisor =
        rw::inverse_frequency(kLlama3, pair) / rw::inverse_frequency(theta, pair, 128);
    CHECK(std::fabs(found.method.long_factor[static_cast<std::size_t>(pair)] - divisor) <=
          0.005 + 1e-12);
  }
}

TEST_CASE("the closed form of the mean of cosines is the mean of the cosines") {
  const rw::Spectrum spectrum = rw::spectrum(kLlama3, rw::Yarn{4.0});
  for (const auto& [first, count] : {std::pair{0, 1}, {0, 100}, {17, 1000}, {4096, 4096}}) {
    long double total = 0.0L;
    for (int distance = first; distance < first + count; ++distance) {
      for (const double inv_freq : spectrum.inv_freq) {
        total += std::cos(static_cast<long double>(distance) * static_cast<long double>(inv_freq));
      }
    }
    const auto mean = static_cast<double>(total / 64.0L / static_cast<long double>(count));
    CHECK(std::fabs(rw::detail::mean_cosine_over(spectrum, first, count) - mean) < 1e-14);
  }
  const rw::Spectrum still{{0.0, 0.0}, 1.0};
  CHECK(rw::detail::mean_cosine_over(still, 5, 1000) == 1.0);
}

TEST_CASE("a search is refused by the name of what is unsound") {
  const rw::CosineObjective objective(kLlama3, kTarget);
  const auto refused = [&](const rw::RopeConfig& config, std::int64_t target,
                           const rw::FactorSearch& search, const char* field) {
    CHECK_THROWS_WITH(rw::search_factors(config, target, objective, search), contains(field));
  };
  refused(kLlama3, 8192, {}, "target_length");
  refused(kLlama3, std::int64_t{8192} << 30, {}, "target_length");
  refused({128, 128, 10000.0, 0}, kTarget, {}, "original_length");
  refused({128, 128, 10000.0, 6}, kTarget, {}, "original_length");
  refused({128, 2, 10000.0, 8192}, kTarget, {}, "rotary_dim");
  refused({128, 128, std::nan(""), 8192}, kTarget, {}, "theta");
  const auto with = [](auto change) {
    rw::FactorSearch search;
    change(search);
    return search;
  };
  refused(kLlama3, kTarget, with([](auto& s) { s.population = 2; }), "population");
  refused(kLlama3, kTarget, with([](auto& s) { s.parents = 65; }), "parents");
  refused(kLlama3, kTarget, with([](auto& s) { s.iterations = -1; }), "iterations");
  refused(kLlama3, kTarget, with([](auto& s) { s.mutations = -1; }), "mutations");
  refused(kLlama3, kTarget, with([](auto& s) { s.crossovers = 100001; }), "crossovers");
  refused(kLlama3, kTarget, with([](auto& s) { s.mutation_share = std::nan(""); }),
          "mutation_share");
  refused(kLlama3, kTarget, with([](auto& s) { s.mutation_share = 1.5; }), "mutation_share");
}

TEST_CASE("an objective that answers NaN ends the search") {
  const auto nan = [](const rw::LongRope&) { return std::numeric_limits<double>::quiet_NaN(); };
  CHECK_THROWS_WITH(rw::search_factors(kLlama3, kTarget, nan), contains("objective"));
}
