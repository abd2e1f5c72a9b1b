#include <ropewalk/head_scale/schedule.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

namespace rw = ropewalk;

namespace {

/// The formula as printed, with the mathematical library's cosine.
double printed(const rw::LearningRateSchedule& schedule, std::int64_t step) {
  if (step < schedule.warmup) {
    return static_cast<double>(step) / static_cast<double>(schedule.warmup);
  }
  if (step >= schedule.steps) return schedule.floor;
  const long double turn = 3.14159265358979323846264338327950288L *
                           static_cast<long double>(step - schedule.warmup) /
                           static_cast<long double>(schedule.steps - schedule.warmup);
  const long double floor = static_cast<long double>(schedule.floor);
  return static_cast<double>(floor + (1.0L - floor) / 2.0L * (1.0L + std::cos(turn)));
}

}  // namespace

TEST_CASE("the default schedule is that of the published search") {
  const rw::LearningRateSchedule schedule;
  CHECK(schedule.multiplier(0) == 0.0);
  CHECK(schedule.multiplier(10) == 0.5);
  CHECK(schedule.multiplier(20) == 1.0);
  CHECK(std::fabs(schedule.multiplier(65) - 0.868198051534) <= 5e-13);
  CHECK(std::fabs(schedule.multiplier(110) - 0.55) <= 3e-16);
  CHECK(std::fabs(schedule.multiplier(155) - 0.231801948466) <= 5e-13);
  CHECK(schedule.multiplier(200) == 0.1);
  CHECK(schedule.multiplier(100000) == 0.1);
}

TEST_CASE(
    "every step of many schedules is within 3e-16 of the formula, and none rises after warm-up") {
  for (const rw::LearningRateSchedule& schedule :
       {rw::LearningRateSchedule{}, rw::LearningRateSchedule{1, 0, 0.0},
        rw::LearningRateSchedule{7, 3, 0.25}, rw::LearningRateSchedule{1000, 0, 0.1},
        rw::LearningRateSchedule{999, 998, 0.5}, rw::LearningRateSchedule{4096, 100, 1.0}}) {
    REQUIRE(schedule.validate().code == rw::Errc::ok);
    double last = 1.0;
    for (std::int64_t step = 0; step <= schedule.steps + 2; ++step) {
      const double multiplier = schedule.multiplier(step);
      REQUIRE(std::fabs(multiplier - printed(schedule, step)) <= 3e-16);
      if (step < schedule.warmup) continue;
      REQUIRE(multiplier <= last + 3e-16);
      last = multiplier;
    }
    CHECK(schedule.multiplier(schedule.steps) == schedule.floor);
  }
}

TEST_CASE("the longest schedule is formed without overflow") {
  const std::int64_t steps = std::int64_t{1} << 31;
  const rw::LearningRateSchedule schedule{steps, 0, 0.1};
  for (const std::int64_t step : {std::int64_t{1}, steps / 3, steps / 2, steps - 1}) {
    CHECK(std::fabs(schedule.multiplier(step) - printed(schedule, step)) <= 3e-16);
  }
}

TEST_CASE("schedules without a meaning are refused by name") {
  const auto fault = [](rw::LearningRateSchedule schedule) { return schedule.validate(); };
  CHECK(fault({0, 0, 0.1}).code == rw::Errc::below_minimum);
  CHECK(fault({(std::int64_t{1} << 31) + 1, 0, 0.1}).code == rw::Errc::above_maximum);
  CHECK(fault({200, -1, 0.1}).code == rw::Errc::below_minimum);
  CHECK(fault({200, 200, 0.1}).code == rw::Errc::wrong_order);
  CHECK(fault({200, 20, -0.1}).code == rw::Errc::below_minimum);
  CHECK(fault({200, 20, 1.5}).code == rw::Errc::above_maximum);
  CHECK(fault({200, 20, std::numeric_limits<double>::quiet_NaN()}).code == rw::Errc::not_finite);
  CHECK_THROWS_WITH((rw::LearningRateSchedule{200, 300, 0.1}.multiplier(0)),
                    contains("warmup = 300"));
  CHECK_THROWS_WITH(rw::LearningRateSchedule{}.multiplier(-1), contains("step = -1"));
}
