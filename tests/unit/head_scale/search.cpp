#include <ropewalk/head_scale/search.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

/// sum of weight (head_scale - target)^2.
struct Quadratic {
  std::vector<double> targets;
  std::vector<double> weights;

  double loss(rw::Span<const double> head_scale, std::vector<double>& gradient) const {
    double sum = 0.0;
    gradient.resize(targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const double distance = head_scale[i] - targets[i];
      sum += weights[i] * distance * distance;
      gradient[i] = 2.0 * weights[i] * distance;
    }
    return sum;
  }
};

Quadratic random_quadratic(Random& random, std::size_t scales) {
  Quadratic quadratic;
  for (std::size_t i = 0; i < scales; ++i) {
    quadratic.targets.push_back(random.uniform(0.5, 2.5));
    quadratic.weights.push_back(random.log_uniform(0.01, 10.0));
  }
  return quadratic;
}

rw::Fault step(rw::HeadScaleSearch& search, const Quadratic& quadratic) {
  std::vector<double> gradient;
  const double loss = quadratic.loss(search.head_scale(), gradient);
  return search.step(loss, gradient);
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

bool same_bits(const rw::HeadScaleState& a, const rw::HeadScaleState& b) {
  return a.layers == b.layers && a.heads == b.heads && a.step == b.step &&
         same_bits(a.head_scale, b.head_scale) && same_bits(a.first_moment, b.first_moment) &&
         same_bits(a.second_moment, b.second_moment);
}

}  // namespace

TEST_CASE("a search goes to the scales that the loss asks for, and not below its bound") {
  const Quadratic quadratic{{1.3, 2.25, 0.5, 1.9, 1.1, 1.6}, {4.0, 0.5, 0.2, 1.0, 2.0, 0.3}};
  rw::HeadScaleSearch search(2, 3, 1.6);
  while (search.searching()) REQUIRE(step(search, quadratic).code == rw::Errc::ok);
  CHECK(search.finished());
  CHECK(search.state().step == 200);
  for (std::size_t i = 0; i < 6; ++i) {
    const double wanted = i == 2 ? 1.0 : quadratic.targets[i];
    CHECK(search.head_scale()[i] == Approx(wanted).epsilon(1e-3));
  }
  CHECK(search.head_scale()[2] == 1.0);  // on the bound exactly
}

TEST_CASE(
    "the trajectory is that of PyTorch's AdamW, clip and LambdaLR, with a clamp after each step") {
  // torch 2.15, float64, computed outside: the same loss, schedule and clip.
  const Quadratic quadratic{{1.3, 2.25, 0.5, 1.6}, {4.0, 0.5, 0.02, 0.0}};
  struct Known {
    std::int64_t step;
    double head_scale[4];
    double gradient_norm;
  };
  const Known known[] = {
      {1, {1.6, 1.6, 1.6, 1.6}, 2.4868526293288875},
      {2, {1.5950000000518096, 1.6049999998087037, 1.5950000028259685, 1.6}, 2.4868526293288875},
      {10, {1.3752731706190933, 1.8261360982321233, 1.3740122892770532, 1.6}, 1.070059862760735},
      {50, {1.2803409257004386, 2.316332418406854, 1.0, 1.6}, 0.08465413454055534},
      {120, {1.29914860090966, 2.249482144016841, 1.0, 1.6}, 0.022158314798207297},
      {200, {1.2999870768735802, 2.250018550914334, 1.0, 1.6}, 0.02000063327822765}};
  rw::HeadScaleSearch search(1, 4, 1.6);
  for (const Known& at : known) {
    while (search.state().step < at.step) REQUIRE(step(search, quadratic).code == rw::Errc::ok);
    for (std::size_t i = 0; i < 4; ++i) {
      // Two orders of the same operations: rounding errors of 200 contracting steps.
      CHECK(search.head_scale()[i] == Approx(at.head_scale[i]).epsilon(1e-12));
    }
    CHECK(search.gradient_norm() == Approx(at.gradient_norm).epsilon(1e-10));
  }
}

TEST_CASE("the first step of a warm-up moves no scale") {
  rw::HeadScaleSearch search(1, 2, 1.5);
  REQUIRE(search.step(1.0, std::vector<double>{3.0, -4.0}).code == rw::Errc::ok);
  CHECK(search.head_scale()[0] == 1.5);
  CHECK(search.head_scale()[1] == 1.5);
  CHECK(search.state().first_moment[0] != 0.0);
  CHECK(search.gradient_norm() == 5.0);
}

TEST_CASE("the clip takes the norm of all entries together, and only where it is above") {
  const auto moments = [](std::vector<double> gradient, std::optional<double> clip) {
    rw::HeadScaleOptions options;
    options.gradient_clip = clip;
    rw::HeadScaleSearch search(1, 2, 1.5, options);
    REQUIRE(search.step(1.0, gradient).code == rw::Errc::ok);
    return std::pair(search.state().first_moment[0], search.state().first_moment[1]);
  };
  // The first moment after one step is a tenth of the clipped gradient.
  CHECK(moments({3.0, -4.0}, 1.0).first == Approx(0.06).epsilon(1e-6));
  CHECK(moments({3.0, -4.0}, 1.0).second == Approx(-0.08).epsilon(1e-6));
  CHECK(moments({0.3, -0.4}, 1.0).first == Approx(0.03).epsilon(1e-14));
  CHECK(moments({3.0, -4.0}, std::nullopt).first == Approx(0.3).epsilon(1e-14));
  CHECK(moments({3.0, -4.0}, 2.5).first == Approx(0.15).epsilon(1e-6));
  // Squares of these leave the range of double; their norm does not.
  CHECK(moments({3e200, -4e200}, 1.0).first == Approx(0.06).epsilon(1e-12));
  CHECK(moments({0.0, 0.0}, 1.0).first == 0.0);
}

TEST_CASE("a search that is resumed after any step ends with the same bits") {
  Random random("head_scale search resume");
  const Quadratic quadratic = random_quadratic(random, 12);
  rw::HeadScaleOptions options;
  options.schedule.steps = 60;
  rw::HeadScaleSearch whole(3, 4, 1.6, options);
  std::vector<rw::HeadScaleState> states = {whole.state()};
  while (whole.searching()) {
    REQUIRE(step(whole, quadratic).code == rw::Errc::ok);
    states.push_back(whole.state());
  }
  REQUIRE(states.size() == 61);
  for (const rw::HeadScaleState& state : states) {
    rw::HeadScaleSearch resumed(state);
    while (resumed.searching()) REQUIRE(step(resumed, quadratic).code == rw::Errc::ok);
    CHECK(same_bits(resumed.state(), whole.state()));
  }
}

TEST_CASE("the same gradients give the same bits wherever they lie in memory") {
  Random random("head_scale search memory");
  constexpr std::size_t scales = 709;  // a prime: no vector width divides it
  std::vector<double> gradient(scales);
  rw::HeadScaleSearch first(1, 709, 1.5);
  rw::HeadScaleSearch second(1, 709, 1.5);
  std::vector<double> memory(scales + 8);
  for (int i = 0; i < 30; ++i) {
    for (double& entry : gradient) entry = random.uniform(-1.0, 1.0);
    const std::size_t offset = static_cast<std::size_t>(i % 8);
    std::memcpy(memory.data() + offset, gradient.data(), scales * sizeof(double));
    first.step(1.0, gradient);
    second.step(1.0, rw::Span<const double>(memory.data() + offset, scales));
  }
  CHECK(same_bits(first.state(), second.state()));
}

TEST_CASE("a loss or gradient that is not finite stops the search in its last good state") {
  const std::vector<double> sound = {0.5, -0.25, 0.125, 1.0};
  rw::HeadScaleSearch before(2, 2, 1.5);
  for (int i = 0; i < 5; ++i) REQUIRE(before.step(1.0, sound).code == rw::Errc::ok);

  SECTION("a loss") {
    for (const double loss : {kNan, std::numeric_limits<double>::infinity()}) {
      rw::HeadScaleSearch search = before;
      const rw::Fault fault = search.step(loss, sound);
      CHECK(fault.code == rw::Errc::not_finite);
      CHECK(std::string(fault.field) == "loss");
      CHECK_FALSE(search.searching());
      CHECK_FALSE(search.finished());
      CHECK(same_bits(search.state(), before.state()));
      // It stays stopped, and says why.
      CHECK(std::string(search.step(1.0, sound).field) == "loss");
      CHECK(same_bits(search.state(), before.state()));
      // The state goes on in a new search.
      rw::HeadScaleSearch again(search.state());
      CHECK(again.step(1.0, sound).code == rw::Errc::ok);
    }
  }
  SECTION("an entry of the gradient") {
    rw::HeadScaleSearch search = before;
    const rw::Fault fault = search.step(1.0, std::vector<double>{0.5, -0.25, kNan, 1.0});
    CHECK(fault.code == rw::Errc::not_finite);
    CHECK(std::string(fault.field) == "gradient");
    CHECK(fault.index == 2);
    CHECK(std::string(search.fault().field) == "gradient");
    CHECK(same_bits(search.state(), before.state()));
  }
  SECTION("a norm beyond double") {
    rw::HeadScaleSearch search = before;
    const rw::Fault fault = search.step(1.0, std::vector<double>(4, 1.7e308));
    CHECK(fault.code == rw::Errc::result_not_finite);
    CHECK(same_bits(search.state(), before.state()));
  }
  SECTION("a moment beyond double, which only a search without clip can have") {
    rw::HeadScaleOptions options;
    options.gradient_clip = std::nullopt;
    rw::HeadScaleSearch search(1, 2, 1.5, options);
    const rw::Fault fault = search.step(1.0, std::vector<double>{1.0, 1e200});
    CHECK(fault.code == rw::Errc::result_not_finite);
    CHECK(std::string(fault.field) == "head_scale");
    CHECK(fault.index == 1);
    CHECK(search.state().step == 0);
    CHECK(search.state().first_moment[0] == 0.0);
  }
}

TEST_CASE("steps after the last one of the schedule change nothing and say so") {
  rw::HeadScaleOptions options;
  options.schedule = {3, 1, 0.1};
  rw::HeadScaleSearch search(1, 1, 1.5, options);
  for (int i = 0; i < 3; ++i)
    REQUIRE(search.step(1.0, std::vector<double>{0.1}).code == rw::Errc::ok);
  CHECK(search.finished());
  const rw::HeadScaleState end = search.state();
  CHECK(search.step(1.0, std::vector<double>{0.1}).code == rw::Errc::above_maximum);
  CHECK(same_bits(search.state(), end));
  CHECK(search.fault().code == rw::Errc::ok);
}

TEST_CASE("without a lower bound scales fall below 1") {
  rw::HeadScaleOptions options;
  options.lower_bound = std::nullopt;
  const Quadratic quadratic{{0.6}, {1.0}};
  rw::HeadScaleSearch search(1, 1, 1.0, options);
  while (search.searching()) step(search, quadratic);
  CHECK(search.head_scale()[0] == Approx(0.6).epsilon(1e-3));
}

TEST_CASE("the scales of a layer are its row of all scales") {
  rw::HeadScaleState state = rw::head_scale_state(2, 3, 1.0);
  state.head_scale = {1.0, 1.1, 1.2, 1.3, 1.4, 1.5};
  const rw::HeadScaleSearch search(state);
  CHECK(search.layer_head_scale(0).size() == 3);
  CHECK(search.layer_head_scale(0)[2] == 1.2);
  CHECK(search.layer_head_scale(1)[0] == 1.3);
  CHECK(search.layer_head_scale(1)[2] == 1.5);
}

TEST_CASE("steps smaller than bfloat16's spacing accumulate") {
  // 2^-7 apart in [1, 2): at a rate of 0.001 no single step would leave its grid point.
  rw::HeadScaleOptions options;
  options.learning_rate = 0.001;
  const Quadratic quadratic{{1.55}, {1.0}};
  rw::HeadScaleSearch search(1, 1, 1.5, options);
  while (search.searching()) step(search, quadratic);
  CHECK(search.head_scale()[0] > 1.53);
}

TEST_CASE("searches for scales without a meaning are refused by name") {
  const auto refused = [](auto change, const char* words) {
    rw::HeadScaleState state = rw::head_scale_state(2, 2, 1.5);
    change(state);
    CHECK_THROWS_WITH(rw::HeadScaleSearch(state), contains(words));
  };
  refused([](auto& s) { s.options.learning_rate = kNan; }, "learning_rate");
  refused([](auto& s) { s.options.learning_rate = 0.0; }, "learning_rate = 0");
  refused([](auto& s) { s.options.beta1 = 1.0; }, "beta1 = 1 is above");
  refused([](auto& s) { s.options.beta2 = -0.1; }, "beta2 = -0.1");
  refused([](auto& s) { s.options.epsilon = 0.0; }, "epsilon = 0");
  refused([](auto& s) { s.options.gradient_clip = 0.0; }, "gradient_clip = 0");
  refused([](auto& s) { s.options.lower_bound = kNan; }, "lower_bound");
  refused([](auto& s) { s.options.schedule.steps = 0; }, "steps = 0");
  refused([](auto& s) { s.layers = 0; }, "layers = 0");
  refused([](auto& s) { s.heads = std::int64_t{1} << 40; }, "heads");
  refused([](auto& s) { s.heads = 3; }, "head_scale = 4 differs");
  refused([](auto& s) { s.step = -1; }, "step = -1");
  refused([](auto& s) { s.step = 201; }, "step = 201 is above");
  refused([](auto& s) { s.head_scale[3] = 0.99; }, "head_scale[3] = 0.98999999999999999 is below");
  refused([](auto& s) { s.head_scale[0] = kNan; }, "head_scale[0]");
  refused([](auto& s) { s.first_moment.pop_back(); }, "first_moment = 3 differs");
  refused([](auto& s) { s.first_moment[1] = kNan; }, "first_moment[1]");
  refused([](auto& s) { s.second_moment[2] = -1e-9; }, "second_moment[2]");
  CHECK_THROWS_WITH(rw::HeadScaleSearch(2, 2, 0.9), contains("head_scale[0] = 0.9"));
  CHECK_THROWS_WITH(rw::HeadScaleSearch(0, 2, 1.5), contains("layers = 0"));
  CHECK_THROWS_WITH(rw::HeadScaleSearch(std::int64_t{1} << 62, 2, 1.5), contains("layers"));
  rw::HeadScaleSearch search(2, 2, 1.5);
  CHECK_THROWS_WITH(search.step(1.0, std::vector<double>(3)), contains("gradient = 3 differs"));
  CHECK_THROWS_AS(search.step(1.0, std::vector<double>(5)), std::invalid_argument);
}
