// The example's transformer and its training: gradients, attention, data, resumption, weights.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <nope_length_generalization/data.hpp>
#include <nope_length_generalization/scale_search.hpp>
#include <nope_length_generalization/training.hpp>
#include <nope_length_generalization/transformer.hpp>
#include <nope_length_generalization/weights.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/plain_attention.hpp"
#include "support/program.hpp"
#include "support/random.hpp"

using ropewalk_test::folder;
using ropewalk_test::Random;

namespace {

/// Small and uneven: grouped heads, a head_dim that is no register, a hidden width of its own.
lm::Shape small_shape(lm::Positions positions) {
  lm::Shape shape;
  shape.positions = positions;
  shape.vocabulary = 32;
  shape.width = 24;
  shape.layers = 2;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 6;
  shape.hidden = 40;
  shape.trained_length = 16;
  return shape;
}

template <typename Real>
std::vector<Real> random_parameters(const lm::Shape& shape) {
  std::vector<Real> parameters;
  for (std::size_t i = 0; i < lm::Layout(shape).size; ++i) {
    const auto bits = static_cast<std::int64_t>(lm::random_bits(7, i) >> 40) - (1 << 23);
    parameters.push_back(static_cast<Real>(static_cast<double>(bits) * 0x1p-24));
  }
  return parameters;
}

lm::Window random_bytes(const lm::Shape& shape, std::size_t tokens) {
  lm::Window window;
  for (std::size_t i = 0; i <= tokens; ++i) {
    const auto byte = static_cast<unsigned char>(lm::random_bits(8, i) %
                                                 static_cast<std::uint64_t>(shape.vocabulary));
    if (i < tokens) window.inputs.push_back(byte);
    if (i > 0) window.targets.push_back(byte);
  }
  return window;
}

template <typename Real, typename Attention>
struct Run {
  lm::Transformer<Real, Attention> model;
  lm::Stretch<Real> stretch;
  lm::Activations<Real> activations;
  lm::Gradients<Real> room;
  std::vector<Real> gradients;
  std::vector<double> scale_gradients;

  Run(const lm::Shape& shape, const std::vector<Real>& parameters, std::int64_t tokens)
      : model(shape, parameters), stretch(lm::stretched<Real>(shape, tokens)) {
    for (std::size_t head = 0; head < stretch.head_scale.size(); ++head)
      stretch.head_scale[head] = 1.0 + 0.1 * static_cast<double>(head);
  }

  double loss(const lm::Window& window) {
    model.forward(window.inputs, window.targets, stretch, activations);
    return static_cast<double>(activations.losses.mean());
  }

  void differentiate(const lm::Window& window) {
    gradients.assign(lm::Layout(model.shape()).size, Real(0));
    scale_gradients.assign(stretch.head_scale.size(), 0.0);
    model.forward(window.inputs, window.targets, stretch, activations, true);
    model.backward(window.inputs, stretch, activations, room, gradients, scale_gradients.data());
  }
};

double norm(const double* first, std::size_t size) {
  double sum = 0.0;
  for (std::size_t i = 0; i < size; ++i) sum += first[i] * first[i];
  return std::sqrt(sum);
}

/// A text of two documents and a bit.
lm::Text small_text() {
  std::string bytes;
  for (int i = 0; i < 40; ++i) bytes += "abcdefgh";
  bytes += '\0';
  for (int i = 0; i < 50; ++i) bytes += "hgfedcba";
  bytes += '\0';
  return lm::read_text(folder().write("small_text", bytes));
}

lm::TrainingPlan small_plan() {
  lm::TrainingPlan plan;
  plan.steps = 40;
  plan.batch_tokens = 128;
  plan.first_length = 8;
  plan.growth_steps = 10;
  plan.warm_up = 4;
  return plan;
}

lm::Shape trained_shape(lm::Positions positions) {
  lm::Shape shape = small_shape(positions);
  shape.vocabulary = 128;
  return shape;
}

}  // namespace

TEST_CASE("the gradient of every tensor and scale is what central differences of the loss are") {
  // In double: rounding of the loss is 4 x 2^-52 over the step 1e-5, 1e-10; what is left of a third
  // derivative of order 1 to 100 is 1e-10 x 100 / 6.
  constexpr double step = 1e-5;
  constexpr double tolerance = 2e-9;
  for (const lm::Positions positions : {lm::Positions::nope, lm::Positions::rope}) {
    const lm::Shape shape = small_shape(positions);
    std::vector<double> parameters = random_parameters<double>(shape);
    const lm::Window window = random_bytes(shape, 70);
    Run<double, lm::PlainAttention> run(shape, parameters, 70);
    run.differentiate(window);
    for (const lm::Tensor& tensor : lm::Layout(shape).all()) {
      INFO(tensor.name);
      const double* slope = run.gradients.data() + tensor.first;
      const double length = norm(slope, tensor.size());
      REQUIRE(length > 1e-3);
      const std::vector<double> kept = parameters;
      double losses[2] = {};
      for (const int side : {0, 1}) {
        for (std::size_t i = 0; i < tensor.size(); ++i) {
          const double moved = (side == 0 ? step : -step) * slope[i] / length;
          parameters[tensor.first + i] = kept[tensor.first + i] + moved;
        }
        losses[side] = run.loss(window);
        parameters = kept;
      }
      CHECK(std::fabs((losses[0] - losses[1]) / (2.0 * step) - length) <= tolerance);
    }
    const std::vector<double> scale_gradients = run.scale_gradients;
    for (std::size_t head = 0; head < scale_gradients.size(); ++head) {
      INFO("head " << head);
      double& scale = run.stretch.head_scale[head];
      const double kept = scale;
      scale = kept + step;
      const double above = run.loss(window);
      scale = kept - step;
      const double below = run.loss(window);
      scale = kept;
      CHECK(std::fabs((above - below) / (2.0 * step) - scale_gradients[head]) <= tolerance);
    }
  }
}

TEST_CASE("the library's attention gives the model what plain attention in double gives") {
  // Float sums of up to 70 terms through some 20 products: 20 x sqrt(70) x 2^-24 = 1e-5 of what is
  // summed. Gradients cancel more: ten times that of a tensor's largest.
  for (const lm::Positions positions : {lm::Positions::nope, lm::Positions::rope}) {
    const lm::Shape shape = small_shape(positions);
    const std::vector<float> floats = random_parameters<float>(shape);
    const std::vector<double> doubles(floats.begin(), floats.end());
    const lm::Window window = random_bytes(shape, 70);
    Run<float, lm::LibraryAttention> run(shape, floats, 70);
    Run<double, lm::PlainAttention> exact(shape, doubles, 70);
    run.activations.entropies = true;
    exact.activations.entropies = true;
    run.differentiate(window);
    exact.differentiate(window);
    for (Eigen::Index token = 0; token < 70; ++token) {
      CHECK(static_cast<double>(run.activations.losses(token)) ==
            Approx(exact.activations.losses(token)).epsilon(0).margin(1e-4));
    }
    for (std::size_t layer = 0; layer < 2; ++layer) {
      const Eigen::MatrixXd difference = run.activations.layers[layer].entropy.cast<double>() -
                                         exact.activations.layers[layer].entropy;
      CHECK(difference.cwiseAbs().maxCoeff() <= 1e-4);
    }
    for (const lm::Tensor& tensor : lm::Layout(shape).all()) {
      INFO(tensor.name);
      double largest = 0.0;
      double worst = 0.0;
      for (std::size_t i = tensor.first; i < tensor.first + tensor.size(); ++i) {
        largest = std::max(largest, std::fabs(exact.gradients[i]));
        worst =
            std::max(worst, std::fabs(static_cast<double>(run.gradients[i]) - exact.gradients[i]));
      }
      CHECK(worst <= 1e-4 * largest);
    }
    const double largest =
        *std::max_element(exact.scale_gradients.begin(), exact.scale_gradients.end());
    for (std::size_t head = 0; head < exact.scale_gradients.size(); ++head) {
      CHECK(std::fabs(run.scale_gradients[head] - exact.scale_gradients[head]) <= 1e-4 * largest);
    }
  }
}

TEST_CASE("a head scale of one and an unstretched spectrum leave RoPE as it was trained") {
  const lm::Shape shape = small_shape(lm::Positions::rope);
  const auto plain = lm::stretched<float>(shape, 16);
  const auto identity = lm::stretched<float>(shape, 16, ropewalk::Linear{.factor = 1.0});
  CHECK(plain.phases.cos == identity.phases.cos);
  CHECK(plain.phases.sin == identity.phases.sin);
  CHECK(plain.head_scale == std::vector<double>(8, 1.0));
  CHECK(lm::stretched<float>(small_shape(lm::Positions::nope), 16).phases.pairs == 0);
}

TEST_CASE("windows begin with a zero byte, end where their targets do, and lie in one document") {
  const lm::Text text = small_text();
  REQUIRE(text.documents() == 2);
  CHECK(text.sizes == std::vector<std::size_t>{320, 400});
  for (const lm::Window& window : lm::all_windows(text, 100)) {
    CHECK(window.inputs.size() == 100);
    CHECK(window.inputs.front() == 0);
    CHECK(std::equal(window.inputs.begin() + 1, window.inputs.end(), window.targets.begin()));
  }
  CHECK(lm::all_windows(text, 100).size() == 3 + 4);
  std::size_t of_second = 0;  // where letters fall: 81 of its windows against 1 of the first's
  for (std::uint64_t i = 0; i < 200; ++i) {
    const lm::Window window = lm::random_window(text, 320, 1, i);
    CHECK(window.targets == lm::random_window(text, 320, 1, i).targets);
    CHECK(std::count(window.targets.begin(), window.targets.end(), 0) == 0);
    const std::string bytes(window.targets.begin(), window.targets.end());
    if (bytes.find("ba") != std::string::npos) ++of_second;
  }
  CHECK(of_second >= 185);  // 198 are expected, 3 the standard deviation
  CHECK_THROWS_AS(lm::random_window(text, 401, 1, 0), std::runtime_error);
  CHECK_THROWS_AS(lm::read_text(folder().file("missing")), std::runtime_error);
  CHECK_THROWS_AS(lm::read_text(folder().write("nothing", "")), std::runtime_error);
}

TEST_CASE("the learning rate rises, stays and falls to nothing, and windows grow") {
  const lm::TrainingPlan plan = {
      .steps = 1000, .learning_rate = 0.5, .growth_steps = 10, .warm_up = 100, .decay_part = 0.25};
  CHECK(lm::learning_rate(plan, 0) == Approx(0.005));
  CHECK(lm::learning_rate(plan, 99) == Approx(0.5));
  CHECK(lm::learning_rate(plan, 749) == Approx(0.5));
  CHECK(lm::learning_rate(plan, 875) == Approx(0.25));
  CHECK(lm::learning_rate(plan, 999) == Approx(0.002));
  lm::Shape shape;
  shape.trained_length = 200;
  CHECK(lm::window_length(plan, shape, 0) == 32);
  CHECK(lm::window_length(plan, shape, 10) == 64);
  CHECK(lm::window_length(plan, shape, 29) == 128);
  CHECK(lm::window_length(plan, shape, 30) == 200);
  CHECK(lm::window_length(plan, shape, 999) == 200);
}

TEST_CASE("training does not depend on the threads, learns, and goes on from its state file") {
  const lm::Text text = small_text();
  const lm::Shape shape = trained_shape(lm::Positions::nope);
  lm::TrainingPlan plan = small_plan();
  lm::TrainingState one = lm::initial_state(shape, plan.seed);
  lm::TrainingState other = one;
  const double first = lm::train_step(shape, plan, text, one);
  double last = first;
  while (one.step < plan.steps) last = lm::train_step(shape, plan, text, one);
  CHECK(first == Approx(std::log(128.0)).margin(1.0));  // knows nothing: ln of the vocabulary
  CHECK(last < 0.6 * first);

  plan.threads = 3;
  const std::string file = folder().file("training.state");
  while (other.step < 17) lm::train_step(shape, plan, text, other);
  lm::write_state(file, other);
  lm::TrainingState resumed = lm::read_state(file, shape);
  CHECK(resumed.step == 17);
  plan.threads = 2;
  while (resumed.step < plan.steps) lm::train_step(shape, plan, text, resumed);
  CHECK(resumed.parameters == one.parameters);
  CHECK(resumed.second_moment == one.second_moment);

  CHECK_THROWS_AS(lm::read_state(file, lm::Shape{}), std::runtime_error);
  const std::string cut = ropewalk_test::contents(file).substr(0, 5000);
  CHECK_THROWS_AS(lm::read_state(folder().write("cut.state", cut), shape), std::runtime_error);
}

TEST_CASE("the search finds scales under which the model loses less, and the same every time") {
  const lm::Text text = small_text();
  const lm::Shape shape = trained_shape(lm::Positions::nope);
  const lm::TrainingPlan plan = small_plan();
  lm::TrainingState state = lm::initial_state(shape, plan.seed);
  while (state.step < plan.steps) lm::train_step(shape, plan, text, state);
  ropewalk::HeadScaleOptions options;
  options.schedule.steps = 30;
  options.schedule.warmup = 3;
  std::vector<double> found;
  for (const int threads : {1, 2}) {
    ropewalk::HeadScaleSearch search(shape.layers, shape.heads, 1.0, options);
    lm::run_search(search, shape, state.parameters, text,
                   {.target_length = 64, .batch = 4, .threads = threads},
                   [](std::int64_t, double) {});
    const std::vector<double> scales(search.head_scale().begin(), search.head_scale().end());
    if (found.empty()) found = scales;
    CHECK(scales == found);
  }
  CHECK(*std::min_element(found.begin(), found.end()) >= 1.0);
  std::vector<lm::Window> windows;
  for (std::uint64_t i = 0; i < 16; ++i) windows.push_back(lm::random_window(text, 64, 99, i));
  const std::vector<double> ones(found.size(), 1.0);
  CHECK(lm::scale_gradient(shape, state.parameters, windows, found, 1).loss <
        lm::scale_gradient(shape, state.parameters, windows, ones, 1).loss);
}

TEST_CASE("weights come back as the nearest bfloat16, and another model's are refused") {
  const lm::Shape shape = small_shape(lm::Positions::nope);
  const std::vector<float> parameters = random_parameters<float>(shape);
  const std::string file = folder().file("small.safetensors");
  lm::write_weights(file, shape, parameters);
  const std::vector<float> read = lm::read_weights(file, shape);
  for (std::size_t i = 0; i < read.size(); ++i) {
    CHECK(read[i] == ropewalk::ElementTraits<ropewalk::bfloat16>::load(
                         ropewalk::ElementTraits<ropewalk::bfloat16>::store(parameters[i])));
  }
  lm::Shape wider = shape;
  wider.hidden += 1;
  CHECK_THROWS_WITH(lm::read_weights(file, wider), contains("mlp.gate_proj.weight"));
  CHECK_THROWS_AS(lm::read_weights(folder().file("missing"), shape), std::runtime_error);
}
#endif
