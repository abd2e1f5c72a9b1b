// Search for one scale per head by gradient descent on the caller's loss. Row 9.
//
//   HeadScaleSearch search(layers, heads, best_uniform_scale);
//   while (search.searching()) {
//     ... run the model with search.head_scale(), sum its gradient over the batch ...
//     search.step(loss, gradient);
//   }
#pragma once

#include <ropewalk/head_scale/search_state.hpp>
#include <ropewalk/head_view.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// base^exponent for whole exponents >= 0, by squaring: no mathematical library.
inline double whole_power(double base, std::int64_t exponent) noexcept {
  double result = 1.0;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result *= base;
    base *= base;
  }
  return result;
}

/// Euclidean norm of finite values; no square overflows.
inline double norm_of(Span<const double> values) noexcept {
  double largest = 0.0;
  for (const double value : values) {
    const double size = std::fabs(value);
    if (size > largest) largest = size;
  }
  if (!(largest > 0.0)) return 0.0;
  // volatile: -ffast-math would sum in an order that depends on where the values lie in memory, and
  // a resumed search would not be the same to the last bit.
  volatile double squares = 0.0;
  for (const double value : values) squares = squares + (value / largest) * (value / largest);
  return largest * std::sqrt(squares);
}

}  // namespace detail

/// AdamW without decay over all scales of a model, with a clipped gradient, a schedule for the
/// learning rate, and a projection onto head_scale >= lower_bound after every step.
///
/// The scales are doubles. Late steps are often smaller than 2^-7, the grid on which bfloat16
/// parameters in [1, 2) lie: there they are lost or become whole steps of that grid, here they add up.
///
/// Same result, to the last bit, for the same losses and gradients in the same build, whether in one
/// run or resumed from a state after any step. Besides sqrt nothing of the mathematical library is
/// called, so that builds differ only where compilers contract a product and a sum, or under
/// -ffast-math. Losses and gradients are the caller's, and reproducible if he makes them so.
///   Source       Wang et al. 2024, arXiv 2404.12224: the values of HeadScaleOptions. Its gradient
///                clip is PyTorch's: times gradient_clip / (norm + 1e-6) where that is below 1
class HeadScaleSearch {
 public:
  /// Starts with one scale for all heads: the best uniform one.
  ///   layers, heads   1 .. 65536, 131072 heads in all
  ///   head_scale      finite, not below options.lower_bound
  ///   Throws          std::invalid_argument naming field and value
  HeadScaleSearch(std::int64_t layers, std::int64_t heads, double head_scale,
                  const HeadScaleOptions& options = {})
      : HeadScaleSearch(head_scale_state(layers, heads, head_scale, options)) {}

  /// Goes on from a state: of another search, or made by hand with scales that differ.
  ///   Throws          std::invalid_argument naming field and value
  explicit HeadScaleSearch(HeadScaleState state) : state_(std::move(state)) {
    detail::require("HeadScaleSearch", state_.validate());
  }

  /// Takes one step from the loss and its gradient at head_scale().
  ///   loss         only looked at: whether it is finite
  ///   gradient     d loss / d head_scale, (layers, heads) row-major
  ///   Returns      Errc::ok; or why nothing was changed: "loss" or "gradient" (with its entry) was
  ///                not finite, or "head_scale" (with its entry) would not have been. From then on the
  ///                search is stopped, state() is the last good one and every step says the same.
  ///                After the last step of the schedule: above_maximum of "step"
  ///   Throws       std::invalid_argument where the gradient has not one entry per head
  Fault step(double loss, Span<const double> gradient) {
    const std::size_t scales = state_.head_scale.size();
    if (gradient.size() != scales) {
      detail::refuse("HeadScaleSearch::step",
                     {Errc::wrong_count, "gradient", static_cast<double>(gradient.size())});
    }
    if (fault_.code != Errc::ok) return fault_;
    if (finished()) return {Errc::above_maximum, "step", static_cast<double>(state_.step)};
    fault_ = detail::check_finite("loss", loss);
    for (std::size_t i = 0; i < scales && fault_.code == Errc::ok; ++i) {
      fault_ = detail::check_finite("gradient", gradient[i]);
      if (fault_.code != Errc::ok) fault_.index = static_cast<int>(i);
    }
    if (fault_.code != Errc::ok) return fault_;
    HeadScaleState next = state_;
    fault_ = advance(next, gradient);
    if (fault_.code == Errc::ok) state_ = std::move(next);
    return fault_;
  }

  /// (layers, heads) row-major: entry layer * heads + head.
  Span<const double> head_scale() const noexcept { return state_.head_scale; }

  /// The scales of one layer, (heads,), as AttentionOptions::head_scale takes them.
  ///   layer        0 .. layers - 1
  Span<const double> layer_head_scale(std::int64_t layer) const noexcept {
    ROPEWALK_ASSERT(layer >= 0 && layer < state_.layers, "layer_head_scale: 0 <= layer < layers");
    const std::size_t heads = static_cast<std::size_t>(state_.heads);
    return {state_.head_scale.data() + static_cast<std::size_t>(layer) * heads, heads};
  }

  const HeadScaleState& state() const noexcept { return state_; }

  /// Neither finished nor stopped.
  bool searching() const noexcept { return !finished() && fault_.code == Errc::ok; }
  bool finished() const noexcept { return state_.step >= state_.options.schedule.steps; }
  /// What stopped the search; Errc::ok where nothing did.
  const Fault& fault() const noexcept { return fault_; }
  /// Norm of the last gradient that was stepped with, before the clip; 0 before the first step.
  double gradient_norm() const noexcept { return gradient_norm_; }

 private:
  /// Applies one step to a copy; refuses what leaves the range of double.
  Fault advance(HeadScaleState& next, Span<const double> gradient) {
    const HeadScaleOptions& options = next.options;
    const double rate = options.learning_rate * options.schedule.multiplier(next.step);
    ++next.step;
    const double norm = detail::norm_of(gradient);
    if (!detail::is_finite(norm)) return {Errc::result_not_finite, "gradient", norm};
    double clip = 1.0;
    if (options.gradient_clip) {
      const double wanted = *options.gradient_clip / (norm + 1e-6);
      if (wanted < 1.0) clip = wanted;
    }
    const double first_bias = 1.0 - detail::whole_power(options.beta1, next.step);
    const double second_bias = 1.0 - detail::whole_power(options.beta2, next.step);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      const double slope = clip * gradient[i];
      double& first = next.first_moment[i];
      double& second = next.second_moment[i];
      first = options.beta1 * first + (1.0 - options.beta1) * slope;
      second = options.beta2 * second + (1.0 - options.beta2) * (slope * slope);
      const double size = std::sqrt(second / second_bias) + options.epsilon;
      double& head_scale = next.head_scale[i];
      head_scale -= rate * (first / first_bias) / size;
      if (!detail::is_finite(head_scale) || !detail::is_finite(second)) {
        return {Errc::result_not_finite, "head_scale", state_.head_scale[i], static_cast<int>(i)};
      }
      if (options.lower_bound && head_scale < *options.lower_bound) {
        head_scale = *options.lower_bound;
      }
    }
    gradient_norm_ = norm;
    return {};
  }

  HeadScaleState state_;
  Fault fault_;
  double gradient_norm_ = 0.0;
};

}  // namespace v0
}  // namespace ropewalk
