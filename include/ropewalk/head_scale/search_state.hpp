// What a search for scales is set to, and everything it remembers. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_scale/schedule.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Settings of a search. Published with them: learning rates 0.1 and 0.05.
struct HeadScaleOptions {
  double learning_rate = 0.1;                 // of the schedule's multiplier 1, > 0
  double beta1 = 0.9;                         // 0 .. 1, 1 excluded
  double beta2 = 0.95;                        // 0 .. 1, 1 excluded
  double epsilon = 1e-8;                      // beside the root of the second moment, > 0
  std::optional<double> gradient_clip = 1.0;  // largest norm of all entries together, > 0
  std::optional<double> lower_bound = 1.0;    // of every scale, so that no head is made flatter;
                                              // none: scales may fall to 0 and below, which
                                              // attention refuses
  LearningRateSchedule schedule = {};

  /// Errc::ok, or the first field that cannot be computed with.
  Fault validate() const noexcept {
    const Fault faults[] = {detail::check_positive("learning_rate", learning_rate),
                            detail::check_at_least("beta1", beta1, 0.0),
                            detail::check_at_least("beta2", beta2, 0.0),
                            detail::check_positive("epsilon", epsilon),
                            detail::check_positive("gradient_clip", gradient_clip.value_or(1.0)),
                            detail::check_finite("lower_bound", lower_bound.value_or(1.0)),
                            schedule.validate()};
    for (const Fault& fault : faults) {
      if (fault.code != Errc::ok) return fault;
    }
    if (!(beta1 < 1.0)) return {Errc::above_maximum, "beta1", beta1};
    if (!(beta2 < 1.0)) return {Errc::above_maximum, "beta2", beta2};
    return {};
  }
};

namespace detail {

/// The heads of a model: more than any has, few enough for every list of a file that names them.
inline Fault check_head_counts(std::int64_t layers, std::int64_t heads) noexcept {
  constexpr std::int64_t largest = 65536;
  const double counts[2] = {static_cast<double>(layers), static_cast<double>(heads)};
  if (layers < 1) return {Errc::below_minimum, "layers", counts[0]};
  if (layers > largest) return {Errc::above_maximum, "layers", counts[0]};
  if (heads < 1) return {Errc::below_minimum, "heads", counts[1]};
  if (heads > largest || heads > 2 * largest / layers) {
    return {Errc::above_maximum, "heads", counts[1]};
  }
  return {};
}

/// One finite value per head, none below the minimum if there is one.
inline Fault check_entries(const char* field, std::int64_t scales,
                           const std::vector<double>& values,
                           std::optional<double> minimum) noexcept {
  if (values.size() != static_cast<std::size_t>(scales)) {
    return {Errc::wrong_count, field, static_cast<double>(values.size())};
  }
  int index = 0;
  for (const double value : values) {
    Fault fault = minimum ? check_at_least(field, value, *minimum) : check_finite(field, value);
    fault.index = index++;
    if (fault.code != Errc::ok) return fault;
  }
  return {};
}

}  // namespace detail

/// All of a search: copied or written out and given back, it goes on as if nothing had happened.
/// Entry layer * heads + head of every list belongs to one head.
struct HeadScaleState {
  HeadScaleOptions options = {};
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t step = 0;                   // steps taken
  std::vector<double> head_scale = {};     // (layers, heads) row-major
  std::vector<double> first_moment = {};   // (layers, heads), of the clipped gradient
  std::vector<double> second_moment = {};  // (layers, heads), >= 0

  /// Errc::ok, or the first field that cannot be computed with, and its entry.
  Fault validate() const noexcept {
    if (const Fault fault = options.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_head_counts(layers, heads); fault.code != Errc::ok) {
      return fault;
    }
    if (step < 0) return {Errc::below_minimum, "step", static_cast<double>(step)};
    if (step > options.schedule.steps) {
      return {Errc::above_maximum, "step", static_cast<double>(step)};
    }
    const Fault faults[] = {
        detail::check_entries("head_scale", layers * heads, head_scale, options.lower_bound),
        detail::check_entries("first_moment", layers * heads, first_moment, std::nullopt),
        detail::check_entries("second_moment", layers * heads, second_moment, 0.0)};
    for (const Fault& fault : faults) {
      if (fault.code != Errc::ok) return fault;
    }
    return {};
  }
};

/// The state before the first step, with one scale for all heads.
///   layers, heads   1 .. 65536, 131072 heads in all
///   head_scale      finite, not below options.lower_bound
///   Throws          std::invalid_argument naming field and value
inline HeadScaleState head_scale_state(std::int64_t layers, std::int64_t heads, double head_scale,
                                       const HeadScaleOptions& options = {}) {
  HeadScaleState state;
  state.options = options;
  state.layers = layers;
  state.heads = heads;
  Fault fault = state.validate();  // the sizes, before anything is allocated
  if (fault.code == Errc::wrong_count) {
    const std::size_t scales = static_cast<std::size_t>(layers * heads);
    state.head_scale.assign(scales, head_scale);
    state.first_moment.assign(scales, 0.0);
    state.second_moment.assign(scales, 0.0);
    fault = state.validate();
  }
  detail::require("head_scale_state", fault);
  return state;
}

}  // namespace v0
}  // namespace ropewalk
