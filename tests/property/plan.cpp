// Plans of any shape: lengths rise to the target, hand-overs are what coverage() says, laws keep
// their order, nothing jumps where the extension begins; and samplers keep what they promise.
#include <ropewalk/plan.hpp>
#include <ropewalk/plan/distances.hpp>
#include <ropewalk/plan/positions.hpp>

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
using Positions = std::vector<std::int64_t>;

namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// Laws are within a few ULP times their condition number, which is below 40 for the configs drawn
// here; with -ffast-math within 40 times that.
#ifdef ROPEWALK_TEST_FAST_MATH
constexpr double kRounding = 4096 * kEpsilon;
#else
constexpr double kRounding = 256 * kEpsilon;
#endif

std::string text_of(const char* name, const rw::RopeConfig& config,
                    const rw::PlanRequest& request) {
  return std::string(name) + " theta " + std::to_string(config.theta) + " rotary_dim " +
         std::to_string(config.rotary_dim) + " length " + std::to_string(config.original_length) +
         " target " + std::to_string(request.target_length) + " stages " +
         std::to_string(request.stages);
}

/// Models as they are trained: laws stay within the range of double up to 4096 times the length.
rw::RopeConfig random_model(Random& random) {
  rw::RopeConfig config =
      config_of(random.log_uniform(100.0, 1e7), static_cast<double>(2 * random.integer(2, 128)),
                static_cast<double>(random.length(256, 1 << 20)));
  config.head_dim += static_cast<int>(random.integer(0, config.rotary_dim));
  return config;
}

rw::PlanRequest random_request(Random& random, const rw::RopeConfig& config) {
  rw::PlanRequest request;
  request.target_length = random.length(config.original_length + 64, 4096 * config.original_length);
  request.stages = static_cast<int>(random.integer(1, 10));
  request.sequences = random.integer(0, 1000);
  return request;
}

/// What is wrong with a plan, or nothing. The counts are made again from two spectra.
std::string fault_of(const rw::Plan& plan, const rw::PlanRequest& request) {
  if (plan.stages.empty()) return "no stage";
  if (plan.stages.back().length != request.target_length) return "target not reached";
  std::int64_t length = plan.trained.original_length;
  rw::Spectrum before = rw::spectrum(plan.trained, plan.trained_scaling);
  std::vector<double> widest;
  for (const double inv_freq : before.inv_freq) {
    widest.push_back(inv_freq * static_cast<double>(length));
  }
  for (const rw::Stage& stage : plan.stages) {
    if (stage.length <= length) return "lengths do not rise";
    if (stage.config.original_length != plan.trained.original_length) return "original_length";
    if (stage.tokens != request.sequences * stage.length) return "tokens";
    const rw::Spectrum now = rw::spectrum(stage.config, stage.scaling);
    const rw::Coverage coverage = rw::coverage(before, length, now, stage.length);
    if (coverage.over_range_pairs != stage.over_range_pairs) return "over_range_pairs";
    if (stage.new_to_model_pairs > stage.over_range_pairs) return "new but not over range";
    // Pairs clearly beyond everything before are counted, pairs clearly within are not.
    int at_least = 0;
    int at_most = 0;
    for (std::size_t pair = 0; pair < now.inv_freq.size(); ++pair) {
      const double arc = now.inv_freq[pair] * static_cast<double>(stage.length);
      const bool complete = widest[pair] >= rw::detail::kTwoPi * (1.0 + 1e-9);
      const bool incomplete = widest[pair] < rw::detail::kTwoPi * (1.0 - 1e-9);
      if (incomplete && arc > widest[pair] * (1.0 + 1e-9)) ++at_least;
      if (!complete && arc > widest[pair] * (1.0 - 1e-9)) ++at_most;
      widest[pair] = std::max(widest[pair], arc);
    }
    if (stage.new_to_model_pairs < at_least || stage.new_to_model_pairs > at_most) {
      return "new_to_model_pairs";
    }
    length = stage.length;
    before = now;
  }
  return "";
}

template <typename MakeMethod>
std::string unsound(const char* name, MakeMethod make_method) {
  Random random(name);
  for (std::uint64_t i = 0; i < test_iterations(100000) / 200; ++i) {
    const rw::RopeConfig config = random_model(random);
    const rw::PlanRequest request = random_request(random, config);
    const auto method = make_method(random, config);
    if (rw::check(config, request, method).code != rw::Errc::ok) continue;
    const std::string fault = fault_of(rw::plan(config, request, method), request);
    if (!fault.empty()) return fault + ": " + text_of(name, config, request);
  }
  return "";
}

double last_theta(const rw::RopeConfig& config, std::int64_t target, int stages,
                  const rw::DynamicNtkSteps& method) {
  rw::PlanRequest request;
  request.target_length = target;
  request.stages = stages;
  return rw::plan(config, request, method).stages.back().config.theta;
}

}  // namespace

TEST_CASE("every plan's stages rise to the target and hand over as coverage says") {
  INFO(seed_text());
  CHECK(unsound("plan liu", [](Random&, auto&) { return rw::LiuSteps{}; }) == "");
  CHECK(unsound("plan dynamic_ntk", [](Random& random, auto&) {
          return rw::DynamicNtkSteps{random.uniform(1.0, 8.0)};
        }) == "");
  CHECK(unsound("plan yarn", [](Random&, auto&) { return rw::YarnSteps{}; }) == "");
  CHECK(unsound("plan abf", [](Random& random, auto& config) {
          rw::AbfSteps method;
          if (random.one_in(2)) method.base = config.theta * random.uniform(1.0, 1000.0);
          return method;
        }) == "");
}

TEST_CASE("Liu's law leaves no pair beyond its range, in however many stages") {
  Random random("plan liu gate");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(100000) / 200; ++i) {
    const rw::RopeConfig config = random_model(random);
    const rw::PlanRequest request = random_request(random, config);
    for (const rw::Stage& stage : rw::plan(config, request, rw::LiuSteps{}).stages) {
      if (stage.over_range_pairs != 0) offending = text_of("liu", config, request);
    }
  }
  CHECK(offending == "");
}

TEST_CASE("bases never fall from stage to stage, and a longer target never lowers the last") {
  Random random("plan monotone");
  INFO(seed_text());
  std::string offending;
  const auto last = [](const rw::RopeConfig& config, const rw::PlanRequest& request,
                       const auto& method) {
    return rw::plan(config, request, method).stages.back().config.theta;
  };
  for (std::uint64_t i = 0; i < test_iterations(100000) / 100; ++i) {
    const rw::RopeConfig config = random_model(random);
    rw::PlanRequest request = random_request(random, config);
    const auto rising = [&](const auto& method) {
      double before = config.theta;
      for (const rw::Stage& stage : rw::plan(config, request, method).stages) {
        if (stage.config.theta < before) return false;
        before = stage.config.theta;
      }
      return true;
    };
    if (!rising(rw::LiuSteps{}) || !rising(rw::DynamicNtkSteps{4.0}) || !rising(rw::AbfSteps{})) {
      offending = text_of("falls", config, request);
    }
    request.stages = 1;
    rw::PlanRequest longer = request;
    longer.target_length += random.integer(0, request.target_length);
    if (last(config, longer, rw::LiuSteps{}) < last(config, request, rw::LiuSteps{}) ||
        last(config, longer, rw::AbfSteps{}) < last(config, request, rw::AbfSteps{}) ||
        last(config, longer, rw::DynamicNtkSteps{2.0}) <
            last(config, request, rw::DynamicNtkSteps{2.0})) {
      offending = text_of("shorter target, larger base", config, request);
    }
    // A round base is at most 2.5 times the law's.
    const double round = last(config, request, rw::AbfSteps{});
    const double law = last(config, request, rw::LiuSteps{});
    if (round < law || round > 2.5 * law * (1.0 + kRounding)) {
      offending = text_of("round", config, request);
    }
  }
  CHECK(offending == "");
}

TEST_CASE("chains of dynamic NTK compose at factor 1 and grow with every stage above it") {
  Random random("plan chains");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(100000) / 100; ++i) {
    const rw::RopeConfig config = random_model(random);
    const rw::PlanRequest request = random_request(random, config);
    const std::int64_t target = request.target_length;
    const double one = last_theta(config, target, 1, {1.0});
    const double many = last_theta(config, target, request.stages, {1.0});
    if (std::fabs(many - one) > kRounding * one) offending = text_of("compose", config, request);
    const double factor = random.uniform(1.0, 8.0);
    const double chained = last_theta(config, target, request.stages, {factor});
    if (chained < last_theta(config, target, 1, {factor}) * (1.0 - kRounding)) {
      offending = text_of("grow", config, request);
    }
  }
  CHECK(offending == "");
}

TEST_CASE("a plan to the trained length changes no bit") {
  Random random("plan identity");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(100000) / 200; ++i) {
    const rw::RopeConfig config = random_model(random);
    rw::PlanRequest request;
    request.target_length = config.original_length;
    const std::vector<double> plain = rw::spectrum(config).inv_freq;
    const auto same = [&](const auto& method) {
      if (rw::check(config, request, method).code != rw::Errc::ok) return true;
      const rw::Plan plan = rw::plan(config, request, method);
      const rw::Stage& stage = plan.stages.front();
      const rw::Spectrum spectrum = rw::spectrum(stage.config, stage.scaling);
      return plan.stages.size() == 1 && spectrum.inv_freq == plain &&
             spectrum.attention_factor == 1.0 && stage.over_range_pairs == 0 &&
             stage.new_to_model_pairs == 0;
    };
    if (!same(rw::LiuSteps{}) || !same(rw::DynamicNtkSteps{random.uniform(1.0, 8.0)}) ||
        !same(rw::YarnSteps{}) || !same(rw::AbfSteps{})) {
      offending = text_of("changed", config, request);
    }
  }
  CHECK(offending == "");
}

TEST_CASE("one token more than the trained length moves a base by no more than its slope") {
  Random random("plan continuous");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(100000) / 100; ++i) {
    const rw::RopeConfig config = random_model(random);
    rw::PlanRequest request;
    request.target_length = config.original_length + 1;
    const double trained = static_cast<double>(config.original_length);
    const double step = 1.0 / trained;
    const auto moved = [&](const auto& method) {
      const rw::Stage stage = rw::plan(config, request, method).stages.front();
      return std::log(stage.config.theta / config.theta);
    };
    // d ln(theta) / d ln(length): ln(theta) / ln(L0 / 2 pi), and factor d / (d - 2).
    const double liu = std::log(config.theta) / std::log(trained / rw::detail::kTwoPi) * step;
    const double dim = static_cast<double>(config.rotary_dim);
    const double ntk = 4.0 * dim / (dim - 2.0) * step;
    if (moved(rw::LiuSteps{}) > liu * 1.001 + 16 * kEpsilon ||
        moved(rw::DynamicNtkSteps{4.0}) > ntk * 1.001 + 16 * kEpsilon) {
      offending = text_of("jumps", config, request);
    }
    const rw::YarnSteps yarn;
    if (rw::check(config, request, yarn).code != rw::Errc::ok) continue;
    const rw::Stage stage = rw::plan(config, request, yarn).stages.front();
    const std::vector<double> plain = rw::spectrum(config).inv_freq;
    const std::vector<double> extended = rw::spectrum(stage.config, stage.scaling).inv_freq;
    for (std::size_t pair = 0; pair < plain.size(); ++pair) {
      if (std::fabs(extended[pair] / plain[pair] - 1.0) > step + kRounding) {
        offending = text_of("yarn jumps", config, request);
      }
    }
  }
  CHECK(offending == "");
}

TEST_CASE("lengths of stages rise strictly and grow evenly") {
  Random random("stage lengths");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(100000) / 10; ++i) {
    const std::int64_t trained = random.length(1, kLongest);
    const int stages = static_cast<int>(random.integer(1, rw::kMaximumStages));
    const std::int64_t target = random.one_in(4) ? trained + random.integer(stages, 3 * stages)
                                                 : random.length(trained + stages, 2 * kLongest);
    const Positions lengths = rw::stage_lengths(trained, target, stages);
    bool sound = lengths.size() == static_cast<std::size_t>(stages) && lengths.back() == target;
    std::int64_t before = trained;
    for (const std::int64_t length : lengths) {
      sound = sound && length > before;
      before = length;
    }
    const double even = std::log(static_cast<double>(target) / static_cast<double>(trained)) /
                        static_cast<double>(stages);
    for (std::size_t stage = 0; stage < lengths.size() && even > 1.0; ++stage) {
      const double grown =
          std::log(static_cast<double>(lengths[stage]) / static_cast<double>(trained));
      // Five binary digits are half of one in 16, and short lengths half a token.
      const double rounding = 1.0 / 32.0 + 0.5 / static_cast<double>(trained);
      sound = sound && std::fabs(grown - even * static_cast<double>(stage + 1)) < 1.5 * rounding;
    }
    if (!sound) {
      offending =
          std::to_string(trained) + " " + std::to_string(target) + " " + std::to_string(stages);
    }
  }
  CHECK(offending == "");
}

TEST_CASE("samplers' positions rise strictly within the target and are the same again") {
  Random random("samplers");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(100000) / 50; ++i) {
    const std::int64_t window = random.integer(1, 200);
    const std::int64_t target =
        random.one_in(4) ? window + random.integer(0, 3) : random.length(window, kLongest);
    const std::int64_t chunks = random.integer(1, window);
    const std::uint64_t seed = random.bits();
    const std::uint64_t sample = random.bits();
    const std::string where = "window " + std::to_string(window) + " target " +
                              std::to_string(target) + " chunks " + std::to_string(chunks) +
                              " seed " + std::to_string(seed) + " sample " + std::to_string(sample);
    const auto sound = [&](const Positions& positions, std::int64_t end) {
      std::int64_t before = -1;
      for (const std::int64_t position : positions) {
        if (position <= before) return false;
        before = position;
      }
      return positions.size() == static_cast<std::size_t>(window) && before < end;
    };
    const rw::PoseSampler pose{window, target, chunks};
    const Positions chunked = pose.positions(seed, sample);
    if (!sound(chunked, target) || chunked[0] != 0) offending = "PoSE: " + where;
    if (pose.positions(seed, sample) != chunked) offending = "PoSE again: " + where;
    // Chunk lengths add up to the window, so gaps are at most one less than the chunks.
    std::int64_t gaps = 0;
    for (std::size_t token = 1; token < chunked.size(); ++token) {
      gaps += chunked[token] != chunked[token - 1] + 1 ? 1 : 0;
    }
    if (gaps > chunks - 1) offending = "PoSE chunks: " + where;

    const rw::RandomSampler spread{window, target};
    const Positions scattered = spread.positions(seed, sample);
    if (!sound(scattered, target)) offending = "random: " + where;
    if (spread.positions(seed, sample) != scattered) offending = "random again: " + where;

    const rw::E2Sampler e2{window, random.integer(1, 50), random.integer(0, window)};
    const rw::ScaledPositions scaled = e2.positions(seed, sample);
    if (!sound(scaled.positions, window * scaled.scale) || scaled.scale > e2.maximum_scale) {
      offending = "E2-LLM: " + where;
    }
    if (e2.positions(seed, sample).positions != scaled.positions) {
      offending = "E2-LLM again: " + where;
    }
  }
  CHECK(offending == "");
}

TEST_CASE("distances counted by runs are those counted pair by pair, and add up") {
  Random random("distances");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations(100000) / 500; ++i) {
    const std::int64_t window = random.integer(1, 60);
    const std::int64_t target = window + random.integer(0, 500);
    rw::DistanceCounter counter(target);
    Positions counts(static_cast<std::size_t>(target));
    for (std::uint64_t sample = 0; sample < 4; ++sample) {
      const Positions positions =
          random.one_in(2)
              ? rw::PoseSampler{window, target, random.integer(1, window)}.positions(i, sample)
              : rw::RandomSampler{window, target}.positions(i, sample);
      counter.add(positions);
      for (std::size_t query = 0; query < positions.size(); ++query) {
        for (std::size_t key = 0; key <= query; ++key) {
          ++counts[static_cast<std::size_t>(positions[query] - positions[key])];
        }
      }
    }
    const rw::DistanceCoverage coverage = counter.coverage();
    const auto seen = target - std::count(counts.begin(), counts.end(), 0);
    if (counter.counts() != counts || coverage.pairs != 4 * window * (window + 1) / 2 ||
        coverage.seen_distances != seen || coverage.commonest_count != 4 * window) {
      offending = std::to_string(window) + " " + std::to_string(target);
    }
  }
  CHECK(offending == "");
}
