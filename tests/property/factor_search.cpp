// What every search keeps, whatever the model, the seed and the objective.
#include <ropewalk/analysis/coverage.hpp>
#include <ropewalk/analysis/factor_search.hpp>
#include <ropewalk/interop/engine_flags/rope_object.hpp>

#include "domain.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

struct Sample {
  rw::RopeConfig config;
  std::int64_t target = 0;
  rw::FactorSearch search;
};

Sample random_sample(Random& random) {
  Sample sample;
  const int dim = static_cast<int>(2 * random.integer(2, 64));
  const double theta = random.log_uniform(1.5, 1e9);
  const std::int64_t length = random.length(7, std::int64_t{1} << 20);
  sample.config = config_of(theta, dim, static_cast<double>(length));
  sample.target =
      random.length(sample.config.original_length + 1, sample.config.original_length * 1000);
  sample.search.start = random.one_in(2) ? rw::FactorStart::long_rope : rw::FactorStart::long_rope2;
  sample.search.population = static_cast<int>(random.integer(3, 12));
  sample.search.parents = static_cast<int>(random.integer(1, sample.search.population));
  sample.search.iterations = static_cast<int>(random.integer(0, 6));
  sample.search.mutations = static_cast<int>(random.integer(0, 6));
  sample.search.crossovers = static_cast<int>(random.integer(0, 6));
  sample.search.mutation_share = random.unit();
  sample.search.seed = random.bits();
  return sample;
}

std::string text_of(const Sample& sample) {
  return seed_text() + " theta " + std::to_string(sample.config.theta) + " rotary_dim " +
         std::to_string(sample.config.rotary_dim) + " length " +
         std::to_string(sample.config.original_length) + " to " + std::to_string(sample.target) +
         (sample.search.start == rw::FactorStart::long_rope ? " LongRoPE" : " LongRoPE2");
}

/// The first thing that is wrong with one candidate; empty where nothing is.
std::string fault_in(const Sample& sample, const std::vector<double>& divisors, int first) {
  const double factor =
      static_cast<double>(sample.target) / static_cast<double>(sample.config.original_length);
  const bool one = sample.search.start == rw::FactorStart::long_rope;
  const double low = one ? 1.0 : factor;
  // LongRoPE2's upper end is twice the lower one, which the grid rounds up.
  const double high = one ? 1.25 * factor : 2.0 * (factor + 0.01);
  double before = 1.0;
  int pair = 0;
  for (const double divisor : divisors) {
    const std::string where = " at pair " + std::to_string(pair);
    if (divisor < before) return "decreases" + where;
    if (pair >= first && (divisor < low || divisor > high)) return "out of bounds" + where;
    const double steps = divisor * 100.0;
    if (std::fabs(steps - std::round(steps)) > 1e-12 * steps) return "off the grid" + where;
    before = divisor;
    ++pair;
  }
  return "";
}

}  // namespace

TEST_CASE("every candidate and every result of a search rises within its bounds") {
  Random random("factor search");
  const std::uint64_t samples = test_iterations(2000) / 10 + 20;
  for (std::uint64_t i = 0; i < samples; ++i) {
    const Sample sample = random_sample(random);
    INFO(text_of(sample));
    std::string fault;
    const auto objective = [&](const rw::LongRope& method) {
      // Pairs before the first searched one are held by the other checks.
      if (fault.empty()) {
        fault = fault_in(sample, method.long_factor,
                         sample.search.start == rw::FactorStart::long_rope ? 0 : 1000);
      }
      return method.long_factor.front() + 0.5 * method.long_factor.back();
    };
    const auto found = rw::search_factors(sample.config, sample.target, objective, sample.search);
    CHECK(fault.empty());
    CHECK(fault_in(sample, found.method.long_factor, found.first_searched_pair).empty());
    CHECK(rw::check(sample.config, found.method).code == rw::Errc::ok);
    CHECK(found.losses.size() == static_cast<std::size_t>(sample.search.iterations) + 1);
    for (std::size_t step = 1; step < found.losses.size(); ++step) {
      CHECK(found.losses[step] <= found.losses[step - 1]);
    }
    CHECK(found.loss == found.method.long_factor.front() + 0.5 * found.method.long_factor.back());
    CHECK(rw::search_factors(sample.config, sample.target, objective, sample.search)
              .method.long_factor == found.method.long_factor);
  }
}

TEST_CASE("LongRoPE2's bounds leave no pair over its trained range") {
  Random random("factor search gate");
  const std::uint64_t samples = test_iterations(2000) / 10 + 20;
  for (std::uint64_t i = 0; i < samples; ++i) {
    Sample sample = random_sample(random);
    sample.search.start = rw::FactorStart::long_rope2;
    INFO(text_of(sample));
    const auto found = rw::search_factors(
        sample.config, sample.target,
        [](const rw::LongRope& method) { return -method.long_factor.front(); }, sample.search);
    const rw::Spectrum extended =
        rw::spectrum(sample.config, rw::at_length(found.method, sample.target));
    CHECK(rw::coverage(rw::spectrum(sample.config), sample.config.original_length, extended,
                       sample.target)
              .over_range_pairs == 0);
  }
}

TEST_CASE("a config takes the found lists in the words of Hugging Face") {
  const rw::RopeConfig config{128, 128, 500000.0, 8192};
  const auto found = rw::search_factors(config, 131072, rw::CosineObjective(config, 131072));
  const auto members = rw::detail::rope_members(config, found.method);
  REQUIRE(members);
  CHECK(members->rope_type == "longrope");
  CHECK(members->values["factor"] == 16.0);
  CHECK(members->values["original_max_position_embeddings"] == 8192);
  CHECK(members->values["long_factor"].get<std::vector<double>>() == found.method.long_factor);
  CHECK(members->values["short_factor"].get<std::vector<double>>() == std::vector<double>(64, 1.0));
}
