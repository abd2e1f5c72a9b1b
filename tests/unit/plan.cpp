#include <ropewalk/plan.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <variant>
#include <vector>

namespace rw = ropewalk;
using Lengths = std::vector<std::int64_t>;

namespace {

const rw::RopeConfig kLlama3{128, 128, 500000.0, 8192};
const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};

// Printed reference values carry at least 12 digits unless said otherwise.
Approx near(double value, double relative = 1e-12) { return Approx(value).epsilon(relative); }

rw::PlanRequest to(std::int64_t target, int stages = 1) {
  rw::PlanRequest request;
  request.target_length = target;
  request.stages = stages;
  return request;
}

rw::PlanRequest through(Lengths lengths) {
  rw::PlanRequest request;
  request.target_length = lengths.back();
  request.lengths = std::move(lengths);
  return request;
}

rw::Plan published(std::string_view name) {
  for (const rw::PublishedPlan& plan : rw::kPublishedPlans) {
    if (plan.name == name) return rw::plan_of(plan);
  }
  FAIL("no plan is called " << name);
  return {};
}

std::vector<int> over_range(const rw::Plan& plan) {
  std::vector<int> counts;
  for (const rw::Stage& stage : plan.stages) counts.push_back(stage.over_range_pairs);
  return counts;
}

std::vector<int> new_to_model(const rw::Plan& plan) {
  std::vector<int> counts;
  for (const rw::Stage& stage : plan.stages) counts.push_back(stage.new_to_model_pairs);
  return counts;
}

/// A caller's own way: position interpolation.
struct LinearSteps {
  rw::Scaling scaling(const rw::RopeConfig& trained, std::int64_t length) const {
    return rw::Linear{static_cast<double>(length) / static_cast<double>(trained.original_length)};
  }
};

}  // namespace

TEST_CASE("Liu's law in stages ends at the base of one step, and no pair leaves its range") {
  const rw::Plan steps = rw::plan(kLlama3, through({65536, 262144, 1048576}), rw::LiuSteps{});
  REQUIRE(steps.stages.size() == 3);
  CHECK(steps.stages[0].config.theta == near(22443169.369432785885));
  CHECK(steps.stages[1].config.theta == near(283461213.47555687962));
  CHECK(steps.stages[2].config.theta == near(3580165449.1130344973));
  CHECK(over_range(steps) == std::vector<int>{0, 0, 0});
  const rw::Plan one = rw::plan(kLlama3, to(1048576), rw::LiuSteps{});
  REQUIRE(one.stages.size() == 1);
  CHECK(one.stages[0].config.theta == steps.stages[2].config.theta);
  CHECK(one.stages[0].factor == 128.0);
  CHECK(over_range(one) == std::vector<int>{0});
}

TEST_CASE("dynamic NTK with factor 4 in stages gives the bases on Gradient's model cards") {
  const rw::Plan plan =
      rw::plan(kLlama3, through({65536, 262144, 524288}), rw::DynamicNtkSteps{4.0});
  CHECK(plan.stages[0].config.theta == near(15296098.403706));
  CHECK(plan.stages[1].config.theta == near(207112190.37028));
  CHECK(plan.stages[2].config.theta == near(1062356863.3494));
  const rw::Plan skipping =
      rw::plan(kLlama3, through({65536, 262144, 1048576}), rw::DynamicNtkSteps{4.0});
  CHECK(skipping.stages[2].config.theta == near(2804339921.7138));
}

TEST_CASE("dynamic NTK with factor 1 composes, with a larger factor more stages mean more theta") {
  const double one = rw::plan(kLlama3, to(262144), rw::DynamicNtkSteps{}).stages[0].config.theta;
  CHECK(one == near(16904847.299122));
  CHECK(rw::plan(kLlama3, to(262144, 5), rw::DynamicNtkSteps{}).stages[4].config.theta ==
        near(one, 1e-13));
  double before = 0.0;
  for (int stages = 1; stages <= 5; ++stages) {
    const rw::Plan plan = rw::plan(kLlama3, to(262144, stages), rw::DynamicNtkSteps{4.0});
    CHECK(plan.stages.back().config.theta > before);
    before = plan.stages.back().config.theta;
  }
}

TEST_CASE("YaRN in stages keeps theta and takes the stage's factor") {
  const rw::Plan plan = rw::plan(kLlama2, through({65536, 131072}), rw::YarnSteps{});
  for (const rw::Stage& stage : plan.stages) {
    CHECK(stage.config.theta == 10000.0);
    REQUIRE(std::holds_alternative<rw::Yarn>(stage.scaling));
    CHECK(std::get<rw::Yarn>(stage.scaling).factor == stage.factor);
    CHECK(rw::spectrum(stage.config, stage.scaling).attention_factor > 1.0);
  }
  CHECK(plan.stages[0].factor == 16.0);
  CHECK(plan.stages[1].factor == 32.0);
  CHECK(over_range(plan) == std::vector<int>{0, 0});
}

TEST_CASE("an adjusted base is the one given, or the next round one above Liu's law") {
  rw::AbfSteps abf;
  abf.base = 500000.0;
  const rw::Plan given = rw::plan(kLlama2, through({16384, 32768}), abf);
  CHECK(given.stages[0].config.theta == 500000.0);
  CHECK(given.stages[1].config.theta == 500000.0);
  const rw::Plan round = rw::plan(kLlama2, through({32768, 131072, 1048576}), rw::AbfSteps{});
  CHECK(round.stages[0].config.theta == 2e5);  // the law 192144
  CHECK(round.stages[1].config.theta == 2e6);  // 1.378e6
  CHECK(round.stages[2].config.theta == 5e7);  // 2.649e7, and LWM's own
}

TEST_CASE("a caller's own method plans like the library's") {
  const rw::Plan plan = rw::plan(kLlama2, to(16384, 2), LinearSteps{});
  REQUIRE(plan.stages.size() == 2);
  CHECK(std::get<rw::Linear>(plan.stages[1].scaling).factor == 4.0);
  CHECK(over_range(plan) == std::vector<int>{0, 0});
}

TEST_CASE("Llama-3 in one step: pairs over their range as the comparison table has them") {
  const auto pairs = [](std::int64_t target, auto method) {
    return rw::plan(kLlama3, to(target), method).stages[0].over_range_pairs;
  };
  CHECK(pairs(262144, rw::LiuSteps{}) == 0);
  CHECK(pairs(262144, rw::DynamicNtkSteps{}) == 28);
  CHECK(pairs(262144, rw::DynamicNtkSteps{4.0}) == 11);
  CHECK(pairs(262144, rw::YarnSteps{}) == 0);
  CHECK(pairs(1048576, rw::DynamicNtkSteps{}) == 28);
}

TEST_CASE("published plans hand over as their bases make them") {
  // The chain of the cards under-scales its first step and makes up for it; from 524288 to 1048576
  // the base is not that stage's, which turns pairs further than it but no further than before it.
  CHECK(over_range(published("gradient-cards")) == std::vector<int>{4, 0, 0, 11});
  CHECK(new_to_model(published("gradient-cards")) == std::vector<int>{4, 0, 0, 0});
  CHECK(over_range(published("gradient-configs")) == std::vector<int>{0, 0});
  // Stages at an unchanged base turn every pair further, but earlier ones had turned it as far.
  CHECK(over_range(published("lwm-text")) == std::vector<int>{0, 0, 24, 6, 21});
  CHECK(new_to_model(published("lwm-text")) == std::vector<int>{0, 0, 0, 0, 0});
  CHECK(over_range(published("qwen2.5-1m")) == std::vector<int>{0, 24, 0, 22});
  for (const int pairs : new_to_model(published("easycontext-llama-2-7b"))) CHECK(pairs == 0);
  for (const int pairs : new_to_model(published("easycontext-danube2"))) CHECK(pairs == 0);
}

TEST_CASE("a published plan keeps its lengths, bases and tokens") {
  const rw::Plan plan = published("lwm-text");
  REQUIRE(plan.stages.size() == 5);
  CHECK(plan.trained.theta == 10000.0);
  CHECK(plan.stages[4].length == 1048576);
  CHECK(plan.stages[4].config.theta == 5e7);
  CHECK(plan.stages[4].config.original_length == 4096);
  CHECK(plan.stages[4].tokens == 1800000000);
  CHECK(plan.stages[4].factor == 256.0);
}

TEST_CASE("tokens are sequences times length, or not planned") {
  rw::PlanRequest request = to(65536, 3);
  CHECK(rw::plan(kLlama3, request, rw::LiuSteps{}).stages[2].tokens == 0);
  request.sequences = 960;
  const rw::Plan plan = rw::plan(kLlama3, request, rw::LiuSteps{});
  for (const rw::Stage& stage : plan.stages) CHECK(stage.tokens == 960 * stage.length);
  CHECK(plan.stages[2].tokens == 62914560);  // as many as Gradient's first stage
}

TEST_CASE("a plan to the trained length changes nothing") {
  const std::vector<double> plain = rw::spectrum(kLlama3).inv_freq;
  const auto unchanged = [&](auto method) {
    const rw::Plan plan = rw::plan(kLlama3, to(8192), method);
    REQUIRE(plan.stages.size() == 1);
    const rw::Stage& stage = plan.stages[0];
    const rw::Spectrum spectrum = rw::spectrum(stage.config, stage.scaling);
    CHECK(spectrum.inv_freq == plain);
    CHECK(spectrum.attention_factor == 1.0);
    CHECK(stage.over_range_pairs == 0);
    CHECK(stage.new_to_model_pairs == 0);
    CHECK(stage.factor == 1.0);
  };
  unchanged(rw::LiuSteps{});
  unchanged(rw::DynamicNtkSteps{4.0});
  unchanged(rw::YarnSteps{});
  unchanged(rw::AbfSteps{});
  unchanged(LinearSteps{});
}

TEST_CASE("base methods keep how the model rotates otherwise") {
  rw::PlanRequest request = to(262144);
  request.trained_scaling = rw::Proportional{0.5};
  const rw::Plan plan = rw::plan(kLlama3, request, rw::LiuSteps{});
  CHECK(std::get<rw::Proportional>(plan.stages[0].scaling).partial_rotary_factor == 0.5);
  CHECK(std::get<rw::Proportional>(plan.trained_scaling).partial_rotary_factor == 0.5);
}

TEST_CASE("plans that cannot be made are refused by name, and check says so before") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refused = [](const rw::RopeConfig& trained, const rw::PlanRequest& request,
                          const auto& method, const char* text) {
    CHECK_THROWS_WITH(rw::plan(trained, request, method), contains(text));
    CHECK(rw::check(trained, request, method).code != rw::Errc::ok);
  };
  const rw::LiuSteps liu;
  refused(kLlama3, to(8191), liu, "target_length = 8191");
  refused(kLlama3, to(-1), liu, "target_length = -1");
  refused(kLlama3, to(16384, 0), liu, "stages = 0");
  refused(kLlama3, to(16384, 65), liu, "stages = 65");
  refused(kLlama3, to(8194, 3), liu, "stages = 3");
  refused(kLlama3, to(8192, 2), liu, "stages = 2");
  refused(kLlama3, through({65536, 65536}), liu, "lengths[1] = 65536");
  refused(kLlama3, through({4096, 65536}), liu, "lengths[0] = 4096");
  refused(kLlama3, through({65536, 32768}), liu, "lengths[1] = 32768");
  rw::PlanRequest short_of = through({16384, 32768});
  short_of.target_length = 65536;
  refused(kLlama3, short_of, liu, "lengths[1] = 32768");
  rw::PlanRequest many = through(Lengths(65));
  for (std::size_t i = 0; i < 65; ++i) many.lengths[i] = 10000 + static_cast<std::int64_t>(i);
  many.target_length = many.lengths.back();
  refused(kLlama3, many, liu, "stages = 65");
  rw::PlanRequest tokens = to(65536);
  tokens.sequences = -1;
  refused(kLlama3, tokens, liu, "sequences = -1");
  tokens.sequences = std::int64_t{1} << 40;
  refused(kLlama3, tokens, liu, "sequences");
  refused({128, 128, 500000.0, 0}, to(65536), liu, "original_length");
  refused({128, 128, 500000.0, 6}, to(65536), liu, "original_length = 6");
  refused({128, 128, nan, 8192}, to(65536), liu, "theta");
  refused({128, 128, 1.0, 8192}, to(65536), liu, "theta = 1");
  refused({128, 2, 500000.0, 8192}, to(65536), rw::DynamicNtkSteps{4.0}, "rotary_dim = 2");
  refused(kLlama3, to(65536), rw::DynamicNtkSteps{0.5}, "factor = 0.5");
  refused(kLlama3, to(65536), rw::DynamicNtkSteps{nan}, "factor");
  rw::YarnSteps yarn;
  yarn.yarn.beta_fast = nan;
  refused(kLlama3, to(65536), yarn, "beta_fast");
  rw::AbfSteps abf;
  abf.base = 400000.0;
  refused(kLlama3, to(65536), abf, "base = 400000");
  abf.base = nan;
  refused(kLlama3, to(65536), abf, "base");
  abf.base = 1e101;
  refused(kLlama3, to(65536), abf, "base");
  rw::PlanRequest scaled = to(65536);
  scaled.trained_scaling = rw::Linear{0.5};
  refused(kLlama3, scaled, liu, "factor = 0.5");
}
