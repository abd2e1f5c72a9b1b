#include <ropewalk/plan/published.hpp>
#include <ropewalk/theta.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>

namespace rw = ropewalk;

namespace {

std::string in_digits(double value, int digits) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*e", digits - 1, value);
  return text;
}

const rw::PublishedPlan& named(std::string_view name) {
  for (const rw::PublishedPlan& plan : rw::kPublishedPlans) {
    if (plan.name == name) return plan;
  }
  FAIL("no plan is called " << name);
  return rw::kPublishedPlans[0];
}

/// theta over Liu's law for the plan's own start.
double over_law(const rw::PublishedPlan& plan, std::size_t stage) {
  const rw::PublishedStage& given = plan.stages[stage];
  return given.theta / rw::theta_for_length(plan.trained, given.length);
}

}  // namespace

TEST_CASE("plans that follow a law are reproduced by it, to the digits they are printed with") {
  int reproduced = 0;
  for (const rw::PublishedPlan& plan : rw::kPublishedPlans) {
    if (plan.bases == rw::PublishedBases::by_hand) continue;
    for (const rw::PublishedStage& stage : plan.stages) {
      INFO(plan.name << " at " << stage.length);
      double law = 0.0;
      if (plan.bases == rw::PublishedBases::liu) {
        law = rw::theta_for_length(plan.trained, stage.length);
      } else {
        rw::RopeConfig config = plan.trained;
        const std::int64_t wanted = stage.from_length;
        for (const rw::PublishedStage& before : plan.stages) {
          const bool last = &before == &stage;
          const bool skipped = !last && wanted != 0 && before.length > wanted;
          if (skipped) continue;
          law = rw::dynamic_ntk_theta(config, 4.0, before.length);
          config.theta = law;
          config.original_length = before.length;
          if (last) break;
        }
      }
      if (stage.digits == 0) {
        CHECK(std::floor(law) == stage.theta);
      } else {
        CHECK(in_digits(law, stage.digits) == in_digits(stage.theta, stage.digits));
      }
      ++reproduced;
    }
  }
  CHECK(reproduced == 7);
}

TEST_CASE("Gradient's tokens are steps times sequences times length") {
  const struct {
    int sequences;  // batch times accumulation, of the cards
  } expected[] = {{32}, {16}, {16}, {16}};
  std::size_t stage = 0;
  for (const auto& [sequences] : expected) {
    const rw::PublishedStage& given = named("gradient-cards").stages[stage++];
    CHECK(given.tokens == given.steps * sequences * given.length);
  }
  const rw::PublishedStage& longest = named("gradient-4194k").stages[0];
  CHECK(longest.tokens == longest.steps * 4 * longest.length);
}

TEST_CASE("EasyContext's batches hold about a million tokens") {
  for (const char* name : {"easycontext-llama-2-7b", "easycontext-danube2"}) {
    for (const rw::PublishedStage& stage : named(name).stages) {
      if (stage.steps == 0) continue;
      const std::int64_t batch = stage.tokens / stage.steps;
      CHECK(batch * stage.steps == stage.tokens);
      CHECK((batch == 1048576 || batch == 1024000));
      CHECK(batch % stage.length == 0);
    }
  }
}

TEST_CASE("LWM's bases lie above Liu's law for its own model and far below it for Llama-3") {
  // Printed to three digits.
  const double own[] = {5.20, 7.25, 2.71, 2.53, 1.89};
  const double llama3[] = {0.158, 0.125, 0.0353, 0.0248, 0.0140};
  const rw::PublishedPlan& lwm = named("lwm-text");
  const rw::RopeConfig other{128, 128, 500000.0, 8192};
  REQUIRE(lwm.stages.size() == 5);
  for (std::size_t stage = 0; stage < 5; ++stage) {
    CHECK(over_law(lwm, stage) == Approx(own[stage]).margin(5e-3));
    const rw::PublishedStage& given = lwm.stages[stage];
    CHECK(given.theta / rw::theta_for_length(other, given.length) ==
          Approx(llama3[stage]).epsilon(5e-3));
  }
}

TEST_CASE("EasyContext's bases lie up to 26 times above Liu's law") {
  // Printed to three digits.
  const double expected[] = {5.20, 9.72, 2.80, 7.00, 14.0, 10.5, 26.1};
  const rw::PublishedPlan& plan = named("easycontext-llama-2-7b");
  REQUIRE(plan.stages.size() == 8);
  for (std::size_t stage = 0; stage < 7; ++stage) {
    CHECK(over_law(plan, stage) == Approx(expected[stage]).epsilon(5e-3));
  }
}

TEST_CASE("every published plan is sound: known start, lengths and bases that never fall") {
  for (const rw::PublishedPlan& plan : rw::kPublishedPlans) {
    INFO(plan.name);
    CHECK(plan.trained.validate().code == rw::Errc::ok);
    CHECK(std::string(plan.source).size() > 10);
    CHECK_FALSE(plan.stages.empty());
    std::int64_t length = plan.trained.original_length;
    double theta = plan.trained.theta;
    for (const rw::PublishedStage& stage : plan.stages) {
      CHECK(stage.length >= length);
      CHECK(stage.theta >= theta);
      CHECK(stage.tokens >= 0);
      length = stage.length;
      theta = stage.theta;
    }
    CHECK(length > plan.trained.original_length);
  }
}
