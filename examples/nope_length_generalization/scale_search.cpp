#include "scale_search.hpp"

#include "model.hpp"
#include "parallel.hpp"

#include <stdexcept>

namespace lm {

ScaleGradient scale_gradient(const Shape& shape, const std::vector<float>& parameters,
                             const std::vector<Window>& windows,
                             const std::vector<double>& head_scale, int threads) {
  const Model model(shape, parameters);
  const auto length = static_cast<std::int64_t>(windows.front().inputs.size());
  Stretch<float> stretch = stretched<float>(shape, length);
  stretch.head_scale = head_scale;
  std::vector<ScaleGradient> each(windows.size());
  parallel(threads, static_cast<int>(windows.size()), [&](int i, int) {
    static thread_local Activations<float> activations;
    static thread_local Gradients<float> gradients;
    std::vector<float> no_parameters;
    const Window& window = windows[static_cast<std::size_t>(i)];
    ScaleGradient& own = each[static_cast<std::size_t>(i)];
    own.gradient.assign(head_scale.size(), 0.0);
    model.forward(window.inputs, window.targets, stretch, activations, true);
    model.backward(window.inputs, stretch, activations, gradients, no_parameters,
                   own.gradient.data());
    own.loss = static_cast<double>(activations.losses.mean());
  });
  ScaleGradient mean;
  mean.gradient.assign(head_scale.size(), 0.0);
  const auto share = 1.0 / static_cast<double>(windows.size());
  for (const ScaleGradient& own : each) {
    mean.loss += own.loss * share;
    for (std::size_t head = 0; head < head_scale.size(); ++head)
      mean.gradient[head] += own.gradient[head] * share;
  }
  return mean;
}

void run_search(ropewalk::HeadScaleSearch& search, const Shape& shape,
                const std::vector<float>& parameters, const Text& text, const ScaleSearchPlan& plan,
                const std::function<void(std::int64_t step, double loss)>& report) {
  while (search.searching()) {
    const std::int64_t step = search.state().step;
    std::vector<Window> windows;
    for (int i = 0; i < plan.batch; ++i) {
      windows.push_back(random_window(text, static_cast<std::size_t>(plan.target_length), plan.seed,
                                      static_cast<std::uint64_t>(step * plan.batch + i)));
    }
    const std::vector<double> head_scale(search.head_scale().begin(), search.head_scale().end());
    const ScaleGradient at = scale_gradient(shape, parameters, windows, head_scale, plan.threads);
    if (search.step(at.loss, at.gradient).code != ropewalk::Errc::ok)
      throw std::runtime_error("the search stopped: its loss or gradient is not finite");
    report(step, at.loss);
  }
}

}  // namespace lm
