// How the learning rate of a search for scales rises and falls. Row 9.
#pragma once

#include <ropewalk/phase/sincos.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// Linear warm-up from 0, then half a cosine from 1 down to `floor`:
///   step / warmup                                                       for step < warmup
///   floor + (1 - floor)/2 (1 + cos(pi (step - warmup)/(steps - warmup)))  up to step = steps
///   floor                                                               from there on
/// The first step of a warm-up has multiplier 0: it fills the optimiser's moments and moves nothing.
///   Source       Wang et al. 2024, arXiv 2404.12224, with the values that stand here
struct LearningRateSchedule {
  std::int64_t steps = 200;
  std::int64_t warmup = 20;
  double floor = 0.1;

  /// Errc::ok, or the first field that cannot be computed with.
  Fault validate() const noexcept {
    constexpr std::int64_t longest = std::int64_t{1} << 31;
    if (steps < 1) return {Errc::below_minimum, "steps", static_cast<double>(steps)};
    if (steps > longest) return {Errc::above_maximum, "steps", static_cast<double>(steps)};
    if (warmup < 0) return {Errc::below_minimum, "warmup", static_cast<double>(warmup)};
    if (warmup >= steps) return {Errc::wrong_order, "warmup", static_cast<double>(warmup)};
    const Fault fault = detail::check_at_least("floor", floor, 0.0);
    if (fault.code == Errc::ok && floor > 1.0) return {Errc::above_maximum, "floor", floor};
    return fault;
  }

  /// What the learning rate is multiplied with in one step, counted from 0.
  ///   step         >= 0
  ///   Max error    3e-16; exactly 0 at step 0 of a warm-up, 1 at its end, floor from `steps` on.
  ///                Calls no mathematical library
  double multiplier(std::int64_t step) const {
    constexpr const char* where = "LearningRateSchedule::multiplier";
    detail::require(where, validate());
    detail::require(where, detail::check_length("step", step, 0));
    if (step < warmup) return static_cast<double>(step) / static_cast<double>(warmup);
    if (step >= steps) return floor;
    // (step - warmup) / (2 (steps - warmup)) turns, in 2^-64 turns.
    const auto length = static_cast<std::uint64_t>(steps - warmup);
    const std::uint64_t wide = static_cast<std::uint64_t>(step - warmup) << 32;
    const std::uint64_t turns = (wide / length << 31) + (wide % length << 31) / length;
    return floor + 0.5 * (1.0 - floor) * (1.0 + sincos_double(turns).cos);
  }
};

}  // namespace v0
}  // namespace ropewalk
