// The search for one scale per head of a frozen model.
#pragma once

#include "data.hpp"
#include "shape.hpp"

#include <ropewalk/head_scale/search.hpp>

#include <cstdint>
#include <functional>
#include <vector>

namespace lm {

struct ScaleSearchPlan {
  std::int64_t target_length = 1024;
  int batch = 8;  ///< windows per step
  std::uint64_t seed = 1;
  int threads = 1;
};

/// Mean loss of a batch in nats, and its gradient with respect to every scale.
struct ScaleGradient {
  double loss = 0.0;
  std::vector<double> gradient;  ///< (layers, heads)
};

ScaleGradient scale_gradient(const Shape& shape, const std::vector<float>& parameters,
                             const std::vector<Window>& windows,
                             const std::vector<double>& head_scale, int threads);

/// Takes all steps of a search, on windows of the text that the plan's seed fixes.
///   report   called after every step with its number and the loss before it
///   Throws   std::runtime_error where the search stops over a loss that is not finite
void run_search(ropewalk::HeadScaleSearch& search, const Shape& shape,
                const std::vector<float>& parameters, const Text& text, const ScaleSearchPlan& plan,
                const std::function<void(std::int64_t step, double loss)>& report);

}  // namespace lm
