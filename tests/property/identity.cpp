// What is not extended is not changed, not by one bit.
#include <ropewalk/spectrum.hpp>

#include "domain.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

struct Sample {
  rw::RopeConfig config;
  int pairs[3];
};

Sample random_sample(Random& random) {
  Sample sample{random_config(random, 4), {}};
  const int last = sample.config.pairs() - 1;
  sample.pairs[1] = last;
  sample.pairs[2] = static_cast<int>(random.integer(0, last));
  return sample;
}

/// Random configs for which some pair of `method(random, config)` differs from the plain frequency,
/// or whose factor on cos and sin is not 1.
template <typename MakeMethod>
std::string changed(const char* name, MakeMethod make_method) {
  Random random(name);
  const std::uint64_t configs = test_iterations(10000);
  for (std::uint64_t i = 0; i < configs; ++i) {
    const Sample sample = random_sample(random);
    const rw::RopeConfig& config = sample.config;
    const auto method = make_method(random, config);
    const std::string where = std::string(name) + " theta " + std::to_string(config.theta) +
                              " rotary_dim " + std::to_string(config.rotary_dim) + " length " +
                              std::to_string(config.original_length);
    if (rw::check(config, method).code != rw::Errc::ok) return where + " was refused";
    for (const int pair : sample.pairs) {
      if (method.inv_freq(config, pair) != rw::inverse_frequency(config, pair)) {
        return where + " pair " + std::to_string(pair);
      }
    }
    const auto whole_spectrum = i % 100 == 0 ? rw::spectrum(config, method) : rw::Spectrum{};
    if (whole_spectrum.attention_factor != 1.0) return where + " attention_factor";
    if (i % 100 == 0 && whole_spectrum.inv_freq != rw::spectrum(config).inv_freq) {
      return where + " spectrum";
    }
  }
  return "";
}

double random_beta(Random& random) { return random.log_uniform(0.1, 1000.0); }

}  // namespace

TEST_CASE("a method made with its defaults leaves every frequency as it was") {
  INFO(seed_text());
  CHECK(changed("Unscaled", [](Random&, auto&) { return rw::Unscaled{}; }) == "");
  CHECK(changed("Linear", [](Random&, auto&) { return rw::Linear{}; }) == "");
  CHECK(changed("NtkAware", [](Random&, auto&) { return rw::NtkAware{}; }) == "");
  CHECK(changed("DynamicNtk", [](Random&, auto&) { return rw::DynamicNtk{}; }) == "");
  CHECK(changed("NtkByParts", [](Random&, auto&) { return rw::NtkByParts{}; }) == "");
  CHECK(changed("Yarn", [](Random&, auto&) { return rw::Yarn{}; }) == "");
  CHECK(changed("LongRope", [](Random&, auto&) { return rw::LongRope{}; }) == "");
  CHECK(changed("Llama3", [](Random&, auto&) { return rw::Llama3{}; }) == "");
  CHECK(changed("Proportional", [](Random&, auto&) { return rw::Proportional{}; }) == "");
  CHECK(changed("PowerBasis", [](Random&, auto&) { return rw::PowerBasis{}; }) == "");
  CHECK(changed("TruncatedBasis", [](Random&, auto&) { return rw::TruncatedBasis{}; }) == "");
  CHECK(changed("NtkMixed", [](Random&, auto&) { return rw::NtkMixed{}; }) == "");
}

TEST_CASE("factor 1 leaves every frequency as it was, whatever the other numbers are") {
  INFO(seed_text());
  CHECK(changed("DynamicNtk up to the trained length", [](Random& random, auto& config) {
          return rw::DynamicNtk{random_factor(random), random.integer(0, config.original_length)};
        }) == "");
  CHECK(changed("DynamicNtk of the trained length", [](Random& random, auto& config) {
          return rw::DynamicNtk{random_factor(random), config.original_length};
        }) == "");
  CHECK(changed("NtkByParts with betas", [](Random& random, auto&) {
          const double slow = random_beta(random);
          return rw::NtkByParts{1.0, slow + random_beta(random), slow};
        }) == "");
  CHECK(changed("Llama3 with bounds", [](Random& random, auto&) {
          const double low = random_beta(random);
          return rw::Llama3{1.0, low, low + random_beta(random)};
        }) == "");
  CHECK(changed("NtkMixed with an exponent", [](Random& random, auto&) {
          return rw::NtkMixed{1.0, random.unit()};
        }) == "");
  CHECK(changed("Yarn with every field", [](Random& random, auto&) {
          rw::Yarn method;
          method.beta_slow = random_beta(random);
          method.beta_fast = method.beta_slow + random_beta(random);
          method.truncate = random.one_in(2);
          method.extrapolation_factor = random.unit();
          if (random.one_in(2)) {
            method.mscale = random.unit();
            method.mscale_all_dim = random.unit();
          }
          return method;
        }) == "");
  CHECK(changed("LongRope with lists of 1", [](Random&, auto& config) {
          rw::LongRope method;
          method.short_factor.assign(static_cast<std::size_t>(config.pairs()), 1.0);
          method.long_factor = method.short_factor;
          method.length = config.original_length + 1;
          return method;
        }) == "");
  CHECK(changed("LongRope up to the trained length", [](Random& random, auto& config) {
          rw::LongRope method;
          method.long_factor.assign(static_cast<std::size_t>(config.pairs()), 2.0);
          method.length = random.integer(0, config.original_length);
          return method;
        }) == "");
}

TEST_CASE("the trained length and factor 1 leave theta as it was") {
  Random random("theta identity");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(10000) && offending.empty(); ++i) {
    const rw::RopeConfig config = random_config(random, 4);
    const std::int64_t length = config.original_length;
    const double theta = config.theta;
    const bool same =
        rw::ntk_theta(config, 1.0) == theta && rw::exllama_theta(config, 1.0) == theta &&
        rw::dynamic_ntk_theta(config, random_factor(random), length) == theta &&
        rw::dynamic_ntk_theta(config, random_factor(random), random.integer(0, length)) == theta &&
        rw::align_theta(config, 1.0, random.log_uniform(0.01, 1000.0)) == theta &&
        rw::theta_for_length(config, length) == theta && rw::exllama_alpha(config, theta) == 1.0 &&
        (rw::critical_pair(config) == 0 || rw::strict_theta_for_length(config, length) == theta);
    if (!same) {
      offending = std::to_string(theta) + " " + std::to_string(length) + " " +
                  std::to_string(config.rotary_dim);
    }
  }
  CHECK(offending == "");
}
