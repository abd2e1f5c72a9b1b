#include "training.hpp"

#include "model.hpp"
#include "parallel.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numbers>
#include <stdexcept>
#include <string>

namespace lm {

double learning_rate(const TrainingPlan& plan, std::int64_t step) {
  const auto at = static_cast<double>(step + 1);
  const auto steps = static_cast<double>(plan.steps);
  const double warm = at / static_cast<double>(plan.warm_up);
  const double decay = (steps - at + 1.0) / (plan.decay_part * steps);
  return plan.learning_rate * std::clamp(std::min(warm, decay), 0.0, 1.0);
}

int window_length(const TrainingPlan& plan, const Shape& shape, std::int64_t step) {
  const std::int64_t doublings = std::min<std::int64_t>(step / plan.growth_steps, 20);
  return static_cast<int>(
      std::min<std::int64_t>(std::int64_t{plan.first_length} << doublings, shape.trained_length));
}

TrainingState initial_state(const Shape& shape, std::uint64_t seed) {
  const Layout layout(shape);
  TrainingState state;
  state.parameters.resize(layout.size);
  state.first_moment.resize(layout.size);
  state.second_moment.resize(layout.size);
  const auto normal = [seed](std::uint64_t index) {
    constexpr double unit = 0x1p-53;
    const double radius = (static_cast<double>(random_bits(seed, 2 * index) >> 11) + 1.0) * unit;
    const double turn = static_cast<double>(random_bits(seed, 2 * index + 1) >> 11) * unit;
    return std::sqrt(-2.0 * std::log(radius)) * std::cos(2.0 * std::numbers::pi * turn);
  };
  for (const Tensor& tensor : layout.all()) {
    double deviation = 1.0 / std::sqrt(static_cast<double>(tensor.columns));
    if (tensor.name.ends_with("o_proj.weight") || tensor.name.ends_with("down_proj.weight"))
      deviation /= std::sqrt(2.0 * shape.layers);  // each adds to the stream twice per layer
    if (tensor.name == layout.embedding.name) deviation *= 0.5;
    for (std::size_t i = tensor.first; i < tensor.first + tensor.size(); ++i)
      state.parameters[i] = tensor.is_norm() ? 1.0f : static_cast<float>(deviation * normal(i));
  }
  return state;
}

namespace {

constexpr char kMagic[8] = {'l', 'm', 's', 't', 'a', 't', 'e', '1'};

struct Header {
  char magic[8];
  std::int64_t step;
  std::uint64_t parameters;
};

/// The mean gradient over the batch, and the mean loss.
struct BatchGradient {
  std::vector<float> sum;
  double loss = 0.0;
};

BatchGradient batch_gradient(const Shape& shape, const TrainingPlan& plan, const Text& text,
                             const TrainingState& state) {
  const Model model(shape, state.parameters);
  const Stretch<float> stretch = stretched<float>(shape, shape.trained_length);
  const int length = window_length(plan, shape, state.step);
  const int batch = plan.batch_tokens / length;
  std::vector<BatchGradient> lanes(kLanes);
  parallel(std::min(plan.threads, kLanes), kLanes, [&](int lane, int) {
    BatchGradient& own = lanes[static_cast<std::size_t>(lane)];
    own.sum.assign(state.parameters.size(), 0.0f);
    static thread_local Activations<float> activations;
    static thread_local Gradients<float> gradients;
    for (int i = lane; i < batch; i += kLanes) {
      const auto index = (static_cast<std::uint64_t>(state.step) << 20) + static_cast<unsigned>(i);
      const Window window = random_window(text, static_cast<std::size_t>(length), plan.seed, index);
      model.forward(window.inputs, window.targets, stretch, activations, true);
      model.backward(window.inputs, stretch, activations, gradients, own.sum);
      own.loss += static_cast<double>(activations.losses.mean());
    }
  });
  BatchGradient total = std::move(lanes.front());
  for (std::size_t lane = 1; lane < lanes.size(); ++lane) {
    for (std::size_t i = 0; i < total.sum.size(); ++i) total.sum[i] += lanes[lane].sum[i];
    total.loss += lanes[lane].loss;
  }
  const float share = 1.0f / static_cast<float>(batch);
  for (float& value : total.sum) value *= share;
  total.loss /= batch;
  return total;
}

}  // namespace

double train_step(const Shape& shape, const TrainingPlan& plan, const Text& text,
                  TrainingState& state) {
  const BatchGradient gradient = batch_gradient(shape, plan, text, state);
  double square = 0.0;
  for (const float value : gradient.sum) square += static_cast<double>(value) * value;
  const double norm = std::sqrt(square);
  if (!std::isfinite(norm) || !std::isfinite(gradient.loss))
    throw std::runtime_error("the loss or its gradient is not finite");
  const auto clip = static_cast<float>(norm > plan.gradient_clip ? plan.gradient_clip / norm : 1.0);

  const double rate = learning_rate(plan, state.step);
  const auto beta1 = static_cast<float>(plan.beta1);
  const auto beta2 = static_cast<float>(plan.beta2);
  const auto count = static_cast<double>(state.step + 1);
  const auto step_size = static_cast<float>(rate / (1.0 - std::pow(plan.beta1, count)));
  const auto correction = static_cast<float>(1.0 / (1.0 - std::pow(plan.beta2, count)));
  for (const Tensor& tensor : Layout(shape).all()) {
    const auto decay = static_cast<float>(tensor.is_norm() ? 0.0 : rate * plan.weight_decay);
    for (std::size_t i = tensor.first; i < tensor.first + tensor.size(); ++i) {
      const float g = gradient.sum[i] * clip;
      float& m = state.first_moment[i];
      float& v = state.second_moment[i];
      m += (1.0f - beta1) * (g - m);
      v += (1.0f - beta2) * (g * g - v);
      state.parameters[i] -=
          decay * state.parameters[i] + step_size * m / (std::sqrt(v * correction) + 1e-8f);
    }
  }
  ++state.step;
  return gradient.loss;
}

void write_state(const std::filesystem::path& path, const TrainingState& state) {
  Header header{};
  std::copy(std::begin(kMagic), std::end(kMagic), header.magic);
  header.step = state.step;
  header.parameters = state.parameters.size();
  std::filesystem::path partial = path;
  partial += ".part";
  std::ofstream file(partial, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header), sizeof header);
  for (const std::vector<float>* values :
       {&state.parameters, &state.first_moment, &state.second_moment}) {
    file.write(reinterpret_cast<const char*>(values->data()),
               static_cast<std::streamsize>(values->size() * sizeof(float)));
  }
  file.close();
  if (!file) throw std::runtime_error("cannot write " + partial.string());
  std::filesystem::rename(partial, path);  // an interrupted write loses nothing
}

TrainingState read_state(const std::filesystem::path& path, const Shape& shape) {
  std::ifstream file(path, std::ios::binary);
  Header header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  const std::size_t size = Layout(shape).size;
  if (!file || !std::equal(std::begin(kMagic), std::end(kMagic), header.magic) ||
      header.parameters != size || header.step < 0)
    throw std::runtime_error(path.string() + " is not a training state of this model");
  TrainingState state;
  state.step = header.step;
  for (std::vector<float>* values :
       {&state.parameters, &state.first_moment, &state.second_moment}) {
    values->resize(size);
    file.read(reinterpret_cast<char*>(values->data()),
              static_cast<std::streamsize>(size * sizeof(float)));
  }
  if (!file) throw std::runtime_error(path.string() + " is cut off");
  return state;
}

}  // namespace lm
