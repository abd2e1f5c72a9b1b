// The order of things: slower pairs, longer lengths, and no jump where the extension begins.
#include <ropewalk/spectrum.hpp>

#include "domain.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// A frequency is within 4 ULP of its formula, so two that the formulas order or equate may be 8 ULP
// the wrong way round. With -ffast-math the ends of YaRN's ramp, and exponents, move by more.
#ifdef ROPEWALK_TEST_FAST_MATH
constexpr double kRounding = 1024 * kEpsilon;
#else
constexpr double kRounding = 8 * kEpsilon;
#endif

std::string text_of(const char* name, const rw::RopeConfig& config, double factor, int pair) {
  return std::string(name) + " theta " + std::to_string(config.theta) + " rotary_dim " +
         std::to_string(config.rotary_dim) + " length " + std::to_string(config.original_length) +
         " factor " + std::to_string(factor) + " pair " + std::to_string(pair);
}

/// The first config where a frequency is below inv / factor, above inv, or above the one before it.
/// `make_method(random, config, factor)`.
template <typename MakeMethod>
std::string out_of_order(const char* name, MakeMethod make_method) {
  Random random(name);
  const std::uint64_t configs = test_iterations(100000) / 100;  // of up to 512 pairs each
  for (std::uint64_t i = 0; i < configs; ++i) {
    const rw::RopeConfig config = random_config(random, 4);
    const double factor = random_factor(random);
    const auto method = make_method(random, config, factor);
    if (rw::check(config, method).code != rw::Errc::ok) continue;
    const std::vector<double> plain = rw::spectrum(config).inv_freq;
    const std::vector<double> extended = rw::spectrum(config, method).inv_freq;
    for (std::size_t pair = 0; pair < plain.size(); ++pair) {
      const bool inside = extended[pair] <= plain[pair] * (1.0 + kRounding) &&
                          extended[pair] >= plain[pair] / factor * (1.0 - kRounding);
      const bool ordered = pair == 0 || extended[pair] <= extended[pair - 1] * (1.0 + kRounding);
      if (!inside || !ordered) return text_of(name, config, factor, static_cast<int>(pair));
    }
  }
  return "";
}

double random_beta(Random& random) { return random.log_uniform(0.1, 1000.0); }

/// The first config and pair of lengths for which law(config, longer) < law(config, shorter).
template <typename Law>
std::string shrinks(const char* name, Law law) {
  Random random(name);
  for (std::uint64_t i = 0; i < test_iterations(); ++i) {
    rw::RopeConfig config = random_config(random, 4);
    config.theta = random.log_uniform(1.0001, 1e8);
    config.original_length = random.length(64, std::int64_t{1} << 30);
    const std::int64_t shorter = random.length(config.original_length, 16 * config.original_length);
    const std::int64_t longer =
        random.one_in(2) ? shorter + 1 : random.length(shorter, 32 * config.original_length);
    if (law(config, longer) < law(config, shorter)) {
      return text_of(name, config, static_cast<double>(shorter), 0) + " " + std::to_string(longer);
    }
  }
  return "";
}

}  // namespace

TEST_CASE("plain frequencies fall strictly from pair to pair") {
  Random random("decreasing");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations() / 100; ++i) {
    const rw::RopeConfig config = random_config(random);
    const std::vector<double> inv_freq = rw::spectrum(config).inv_freq;
    if (inv_freq[0] != 1.0) offending = text_of("first", config, 1.0, 0);
    for (std::size_t pair = 1; pair < inv_freq.size(); ++pair) {
      if (!(inv_freq[pair] < inv_freq[pair - 1] && inv_freq[pair] > 0.0)) {
        offending = text_of("order", config, 1.0, static_cast<int>(pair));
      }
    }
  }
  CHECK(offending == "");
}

TEST_CASE("extended frequencies stay between inv / factor and inv, slower from pair to pair") {
  INFO(seed_text());
  CHECK(out_of_order("Linear", [](Random&, auto&, double factor) { return rw::Linear{factor}; }) ==
        "");
  CHECK(out_of_order("NtkAware",
                     [](Random&, auto&, double factor) { return rw::NtkAware{factor}; }) == "");
  CHECK(out_of_order("NtkByParts", [](Random& random, auto&, double factor) {
          const double slow = random_beta(random);
          return rw::NtkByParts{factor, slow + random_beta(random), slow};
        }) == "");
  CHECK(out_of_order("Llama3", [](Random& random, auto&, double factor) {
          const double low = random_beta(random);
          return rw::Llama3{factor, low, low + random_beta(random)};
        }) == "");
  CHECK(out_of_order("Yarn", [](Random& random, auto&, double factor) {
          const double slow = random_beta(random);
          return rw::Yarn{factor, slow + random_beta(random), slow, random.one_in(2)};
        }) == "");
  CHECK(out_of_order("Proportional", [](Random&, auto&, double factor) {
          return rw::Proportional{1.0, factor};
        }) == "");
  CHECK(out_of_order("NtkMixed", [](Random& random, auto&, double factor) {
          return rw::NtkMixed{factor, random.unit()};
        }) == "");
  CHECK(out_of_order("DynamicNtk", [](Random& random, auto& config, double factor) {
          // The factor of this length: 1 + own * (length / L0 - 1).
          const std::int64_t length =
              config.original_length + random.integer(0, 1) * config.original_length;
          const double own = length == config.original_length ? 1.0 : factor - 1.0;
          return rw::DynamicNtk{(std::max)(own, 1.0), own >= 1.0 ? length : 0};
        }) == "");
}

TEST_CASE("Giraffe's bases never turn a pair faster") {
  Random random("Giraffe");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations() / 100; ++i) {
    const rw::RopeConfig config = random_config(random);
    const std::vector<double> plain = rw::spectrum(config).inv_freq;
    const auto power = rw::spectrum(config, rw::PowerBasis{random.uniform(0.0, 8.0)}).inv_freq;
    const auto truncated =
        rw::spectrum(config, rw::TruncatedBasis{random.log_uniform(1e-9, 1.0)}).inv_freq;
    for (std::size_t pair = 0; pair < plain.size(); ++pair) {
      const bool ordered = power[pair] <= plain[pair] * (1.0 + kRounding) &&
                           truncated[pair] <= plain[pair] &&
                           (pair == 0 || (power[pair] <= power[pair - 1] * (1.0 + kRounding) &&
                                          truncated[pair] <= truncated[pair - 1]));
      if (!ordered) offending = text_of("Giraffe", config, 1.0, static_cast<int>(pair));
    }
  }
  CHECK(offending == "");
}

TEST_CASE("a longer target never asks for a smaller theta") {
  INFO(seed_text());
  CHECK(shrinks("theta_for_length", [](const rw::RopeConfig& config, std::int64_t length) {
          return rw::theta_for_length(config, length);
        }) == "");
  CHECK(shrinks("strict_theta_for_length", [](const rw::RopeConfig& config, std::int64_t length) {
          return rw::critical_pair(config) == 0 ? 0.0 : rw::strict_theta_for_length(config, length);
        }) == "");
  CHECK(shrinks("dynamic_ntk_theta", [](const rw::RopeConfig& config, std::int64_t length) {
          return rw::dynamic_ntk_theta(config, 4.0, length);
        }) == "");
  CHECK(shrinks("ntk_theta", [](const rw::RopeConfig& config, std::int64_t length) {
          return rw::ntk_theta(
              config, static_cast<double>(length) / static_cast<double>(config.original_length));
        }) == "");
  CHECK(shrinks("align_theta", [](const rw::RopeConfig& config, std::int64_t length) {
          const double factor =
              static_cast<double>(length) / static_cast<double>(config.original_length);
          return rw::align_theta(config, factor, static_cast<double>(config.pairs()) / 2.0);
        }) == "");
}

TEST_CASE("no law of theta jumps where the extension begins") {
  // d ln(theta') / d ln(length) is d / (d - 2), d / (2 n) or ln(theta) / ln(L0 / 2 pi), times the
  // factor where dynamic NTK has one; a step of h in ln(length) may move ln(theta') by that much.
  Random random("continuous");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(); ++i) {
    const rw::RopeConfig config = random_config(random, 4);
    const double trained = static_cast<double>(config.original_length);
    const double h = 1.0 / trained;
    const double dim = static_cast<double>(config.rotary_dim);
    const auto step = [&](double theta) { return std::log(theta / config.theta); };
    const auto small = [&](double moved, double slope, double width) {
      return moved >= 0.0 && moved <= slope * width * 1.001 + 16 * kEpsilon;
    };
    const double tiny = random.log_uniform(1e-15, 1e-6);
    bool continuous = small(step(rw::ntk_theta(config, 1.0 + tiny)), dim / (dim - 2.0), tiny) &&
                      small(step(rw::dynamic_ntk_theta(config, 2.0, config.original_length + 1)),
                            2.0 * dim / (dim - 2.0), h);
    const double liu = std::log(config.theta) / std::log(trained / 6.283185307179586);
    if (liu * h < 1.0) {
      continuous = continuous &&
                   small(step(rw::theta_for_length(config, config.original_length + 1)), liu, h);
    }
    if (const int complete = rw::critical_pair(config); complete > 0 && complete * 16 > dim * h) {
      continuous =
          continuous && small(step(rw::strict_theta_for_length(config, config.original_length + 1)),
                              dim / (2.0 * complete), h);
    }
    if (!continuous) offending = text_of("jump", config, tiny, 0);
  }
  CHECK(offending == "");
}

TEST_CASE("no factor on cos, sin or the logits jumps where the extension begins") {
  Random random("factors continuous");
  INFO(seed_text());
  double largest = 0.0;
  for (std::uint64_t i = 0; i < test_iterations(); ++i) {
    const double tiny = random.log_uniform(1e-15, 1e-6);
    const double factor = 1.0 + tiny;
    for (const double value :
         {rw::yarn_attention_factor(factor), rw::deepseek_attention_factor(factor, 1.0, 0.5),
          rw::deepseek_softmax_multiplier(factor, 1.0), rw::dual_chunk_attention_factor(factor),
          rw::longrope_attention_factor(factor, 4096),
          rw::nope_softmax_multiplier(factor, rw::kDropeSlopeScratch)}) {
      largest = (std::max)(largest, std::fabs(value - 1.0) - 0.42 * tiny);
    }
  }
  CHECK(largest <= 2 * kEpsilon);  // a slope of at most 0.412 and the rounding of 1 + x
}

TEST_CASE("a later query is never attended more bluntly than an earlier one") {
  Random random("position scales");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(); ++i) {
    const std::int64_t length = random.length(2, std::int64_t{1} << 30);
    const std::int64_t early = random.length(1, kLongest) - 1;
    const std::int64_t late = random.one_in(2) ? early + 1 : early + random.length(1, kLongest);
    const bool ordered =
        rw::llama4_position_scale(early, length) <= rw::llama4_position_scale(late, length) &&
        rw::ministral_position_scale(early, length, 0.1) <=
            rw::ministral_position_scale(late, length, 0.1) &&
        rw::log_n_position_scale(early, length) <= rw::log_n_position_scale(late, length) &&
        rw::qwen_position_scale(early, length) <= rw::qwen_position_scale(late, length) &&
        rw::swan_position_scale(early, 3.5) <= rw::swan_position_scale(late, 3.5) &&
        rw::infoscale_position_scale(early, length, 128) <=
            rw::infoscale_position_scale(late, length, 128) * (1.0 + kRounding);
    if (!ordered) {
      offending = std::to_string(early) + " " + std::to_string(late) + " " + std::to_string(length);
    }
  }
  CHECK(offending == "");
}
