// Fits, schedules and searches against 192 bits, and under numbers nobody should pass.
#include <ropewalk/head_scale/position_scales.hpp>
#include <ropewalk/head_scale/search.hpp>
#include <ropewalk/head_scale/target_entropy.hpp>
#include <ropewalk/head_scale/uniform_fit.hpp>

#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using Limits = std::numeric_limits<double>;

const std::vector<double> kReals = {Limits::quiet_NaN(),
                                    -Limits::signaling_NaN(),
                                    Limits::infinity(),
                                    -Limits::infinity(),
                                    0.0,
                                    -0.0,
                                    (Limits::min)(),
                                    -(Limits::min)(),
                                    1e-300,
                                    0.01,
                                    0.5,
                                    1.0 - 0x1p-53,
                                    1.0,
                                    1.0 + 0x1p-52,
                                    1.234,
                                    -1.0,
                                    16.0,
                                    1e12,
                                    0x1p64,
                                    1e300,
                                    (Limits::max)(),
                                    -(Limits::max)()};

const std::vector<std::int64_t> kWholes = {(std::numeric_limits<std::int64_t>::min)(),
                                           -1,
                                           0,
                                           1,
                                           2,
                                           20,
                                           200,
                                           65536,
                                           65537,
                                           std::int64_t{1} << 31,
                                           std::int64_t{1} << 53,
                                           (std::numeric_limits<std::int64_t>::max)()};

double hostile(Random& random) {
  return kReals[static_cast<std::size_t>(
      random.integer(0, static_cast<std::int64_t>(kReals.size()) - 1))];
}

std::int64_t hostile_whole(Random& random) {
  return kWholes[static_cast<std::size_t>(
      random.integer(0, static_cast<std::int64_t>(kWholes.size()) - 1))];
}

}  // namespace

TEST_CASE("a fitted slope is the exact one within its stated error") {
  Random random("head_scale fit accuracy");
  double worst = 0.0;
  for (std::uint64_t iteration = 0; iteration < test_iterations() / 50; ++iteration) {
    std::vector<double> factors;
    std::vector<double> scales;
    Mpfr products = 0.0;
    Mpfr magnitudes = 0.0;
    Mpfr squares = 0.0;
    const std::int64_t pairs = random.integer(1, 30);
    for (std::int64_t i = 0; i < pairs; ++i) {
      factors.push_back(random.one_in(4) ? 1.0 + random.log_uniform(1e-12, 1.0)
                                         : random.log_uniform(1.001, 1e6));
      scales.push_back(random.log_uniform(0.01, 100.0));
      const Mpfr log_factor = log(Mpfr(factors.back()));
      const Mpfr product = (Mpfr(scales.back()) - Mpfr(1)) * log_factor;
      products = products + product;
      magnitudes = magnitudes + abs(product);
      squares = squares + log_factor * log_factor;
    }
    const rw::UniformFit fit = rw::fit_uniform_scale(factors, scales);
    const double error = abs(Mpfr(fit.slope) - products / squares).to_double();
    const double bound =
        static_cast<double>(pairs + 5) * Limits::epsilon() * (magnitudes / squares).to_double();
    INFO(seed_text() << ", iteration " << iteration);
    REQUIRE(error <= bound);
    worst = error > worst * bound ? error / bound : worst;
  }
  std::printf("accuracy fit_uniform_scale: %.3f of its bound\n", worst);
}

TEST_CASE("a schedule's multipliers are the exact ones within 3e-16") {
  Random random("head_scale schedule accuracy");
  double worst = 0.0;
  for (std::uint64_t iteration = 0; iteration < test_iterations() / 10; ++iteration) {
    rw::LearningRateSchedule schedule;
    schedule.steps = random.length(1, std::int64_t{1} << 31);
    schedule.warmup = random.one_in(3) ? 0 : random.integer(0, schedule.steps - 1);
    schedule.floor = random.unit();
    const std::int64_t step = random.integer(schedule.warmup, schedule.steps);
    const auto whole = [](std::int64_t value) { return Mpfr(static_cast<double>(value)); };
    const Mpfr part = whole(step - schedule.warmup) / whole(schedule.steps - schedule.warmup);
    const Mpfr floor = schedule.floor;
    const Mpfr exact = floor + (Mpfr(1) - floor) / Mpfr(2) * (Mpfr(1) + cos(Mpfr::pi() * part));
    const double error = abs(Mpfr(schedule.multiplier(step)) - exact).to_double();
    INFO(seed_text() << ", iteration " << iteration);
    REQUIRE(error <= 3e-16);
    worst = error > worst ? error : worst;
  }
  std::printf("accuracy LearningRateSchedule: %.3g\n", worst);
}

TEST_CASE("whatever losses and gradients come, the scales stay sound and above their bound") {
  Random random("head_scale search hostile");
  int stopped = 0;
  for (std::uint64_t iteration = 0; iteration < test_iterations() / 100; ++iteration) {
    rw::HeadScaleOptions options;
    options.schedule = {40, 3, 0.1};
    options.lower_bound = random.one_in(4) ? std::nullopt : std::optional<double>(1.0);
    options.gradient_clip = random.one_in(4) ? std::nullopt : std::optional<double>(1.0);
    options.learning_rate = random.log_uniform(1e-3, 1e3);
    rw::HeadScaleSearch search(2, 3, 1.5, options);
    std::vector<double> gradient(6);
    while (search.searching()) {
      const double size = random.log_uniform(1e-300, 1e300);
      for (double& entry : gradient) entry = size * random.uniform(-1.0, 1.0);
      if (random.one_in(50))
        gradient[static_cast<std::size_t>(random.integer(0, 5))] = hostile(random);
      const rw::HeadScaleState before = search.state();
      const rw::Fault fault = search.step(random.one_in(200) ? hostile(random) : 1.0, gradient);
      INFO(seed_text() << ", iteration " << iteration << ", step " << before.step);
      REQUIRE(search.state().validate().code == rw::Errc::ok);
      REQUIRE(search.state().step == before.step + (fault.code == rw::Errc::ok ? 1 : 0));
      if (fault.code == rw::Errc::ok) continue;
      REQUIRE(search.state().head_scale == before.head_scale);
      REQUIRE(search.state().second_moment == before.second_moment);
    }
    if (!search.finished()) ++stopped;
  }
  CHECK(stopped > 0);
}

TEST_CASE("hostile numbers are refused or give finite results, in every argument") {
  Random random("head_scale hostile");
  int refused = 0;
  int computed = 0;
  const auto attempt = [&](auto compute) {
    try {
      const double result = compute();
      REQUIRE(rw::detail::is_finite(result));
      ++computed;
    } catch (const std::invalid_argument& error) {
      REQUIRE_FALSE(std::string(error.what()).empty());
      ++refused;
    }
  };
  for (std::uint64_t iteration = 0; iteration < test_iterations() / 5; ++iteration) {
    INFO(seed_text() << ", iteration " << iteration);
    attempt([&] {
      const double factors[2] = {hostile(random), hostile(random)};
      const double scales[2] = {hostile(random), hostile(random)};
      const rw::UniformFit fit = rw::fit_uniform_scale(factors, scales);
      REQUIRE(rw::detail::is_finite(fit.standard_error));
      REQUIRE(rw::detail::is_finite(fit.r_squared.value_or(0.0)));
      return fit.slope;
    });
    attempt([&] {
      const rw::LearningRateSchedule schedule{hostile_whole(random), hostile_whole(random),
                                              hostile(random)};
      return schedule.multiplier(hostile_whole(random));
    });
    attempt([&] {
      const rw::NopePositionScale law{hostile_whole(random), hostile(random)};
      const std::int64_t first = hostile_whole(random);
      const auto table = rw::position_scales(law, first, 3);
      const double gradient[2] = {hostile(random), 1.0};
      return table[2] + rw::slope_gradient(law, first, gradient);
    });
    attempt([&] {
      rw::EntropySearch search{hostile(random), hostile(random), hostile(random), hostile(random),
                               static_cast<int>(random.integer(-1, 100))};
      const double entropy = hostile(random);
      const double variance = hostile(random);
      const auto found = rw::scale_for_entropy(
          hostile(random),
          [&](double head_scale) {
            REQUIRE(head_scale >= search.lower);
            REQUIRE(head_scale <= search.upper);
            return rw::HeadEntropy{entropy, variance};
          },
          search);
      return found.head_scale;
    });
  }
  CHECK(refused > 100);
  CHECK(computed > 100);
}
