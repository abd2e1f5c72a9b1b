// Which schedule, in which steps: a curriculum from a trained length to a longer one. Row 9.
#pragma once

#include <ropewalk/plan/lengths.hpp>
#include <ropewalk/plan/published.hpp>
#include <ropewalk/plan/stage.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace ropewalk {
inline namespace v0 {

// How theta or the method moves from stage to stage. One struct per way, each with one of
//     double theta(const RopeConfig& trained, const Stage& before, std::int64_t length) const;
//     Scaling scaling(const RopeConfig& trained, std::int64_t length) const;
// and, where it can be unsound, Fault validate(const RopeConfig& trained) const. A caller's own
// struct works like these.

/// Liu's law at every stage. Steps compose, so stages end at the base of one step.
///   Source       theta_for_length
struct LiuSteps {
  Fault validate(const RopeConfig& trained) const noexcept {
    return detail::check_original_length(trained, 7);
  }
  double theta(const RopeConfig& trained, const Stage&, std::int64_t length) const {
    return theta_for_length(trained, length);
  }
};

/// Dynamic NTK from the base and the length of the stage before. Steps do not compose where factor
/// is above 1: every stage more ends at a larger base.
///   Source       dynamic_ntk_theta; with factor 4 the bases on Gradient's model cards
struct DynamicNtkSteps {
  double factor = 1.0;  // >= 1; 1 is NTK-aware, whose steps do compose

  Fault validate(const RopeConfig& trained) const noexcept {
    if (const Fault fault = detail::check_ntk(trained); fault.code != Errc::ok) return fault;
    return detail::check_factor(factor);
  }
  double theta(const RopeConfig& trained, const Stage& before, std::int64_t length) const {
    RopeConfig config = trained;
    config.theta = before.config.theta;
    config.original_length = before.length;
    return dynamic_ntk_theta(config, factor, length);
  }
};

/// YaRN with the stage's length over the trained one as factor; theta stays.
struct YarnSteps {
  Yarn yarn = {};  // its factor is replaced

  Fault validate(const RopeConfig& trained) const noexcept {
    Yarn stage = yarn;
    stage.factor = 2.0;  // whether the ramp has an answer does not depend on the factor above 1
    return stage.validate(trained);
  }
  Scaling scaling(const RopeConfig& trained, std::int64_t length) const {
    Yarn stage = yarn;
    stage.factor = static_cast<double>(length) / static_cast<double>(trained.original_length);
    return stage;
  }
};

/// An adjusted base, chosen by hand: the one given from the first stage on, or at every stage the
/// smallest of 1, 2 and 5 times a power of ten that is not below Liu's law. The paper has no
/// formula; that rounding is this library's.
///   Source       Xiong et al. 2023, arXiv 2309.16039 (500000 for 32768 tokens from 10000 at 4096)
struct AbfSteps {
  std::optional<double> base = std::nullopt;  // not below the trained one

  Fault validate(const RopeConfig& trained) const noexcept {
    if (const Fault fault = detail::check_original_length(trained, 7); fault.code != Errc::ok) {
      return fault;
    }
    if (!base) return {};
    if (*base > kMaximumTheta) return {Errc::above_maximum, "base", *base};
    return detail::check_at_least("base", *base, trained.theta);
  }
  double theta(const RopeConfig& trained, const Stage&, std::int64_t length) const {
    if (base) return *base;
    if (length == trained.original_length) return trained.theta;
    const double law = theta_for_length(trained, length);
    double round = 1.0;
    while (round * 10.0 <= law) round *= 10.0;
    for (const double digit : {1.0, 2.0, 5.0}) {
      if (digit * round >= law) return digit * round;
    }
    return 10.0 * round;
  }
};

/// What a plan shall reach.
struct PlanRequest {
  std::int64_t target_length = 0;          // tokens, not below the trained length
  int stages = 1;                          // 1: one step; more: lengths by stage_lengths
  std::vector<std::int64_t> lengths = {};  // rising to target_length; replaces `stages`
  std::int64_t sequences = 0;              // trained on at each stage; 0: tokens are not planned
  Scaling trained_scaling = {};            // how the model rotates now; base methods keep it
};

namespace detail {

template <typename Method, typename = void>
struct MovesTheta : std::false_type {};
template <typename Method>
struct MovesTheta<
    Method, std::void_t<decltype(std::declval<const Method&>().theta(
                std::declval<const RopeConfig&>(), std::declval<const Stage&>(), std::int64_t{}))>>
    : std::true_type {};

template <typename Method, typename = void>
struct MovesScaling : std::false_type {};
template <typename Method>
struct MovesScaling<Method, std::void_t<decltype(std::declval<const Method&>().scaling(
                                std::declval<const RopeConfig&>(), std::int64_t{}))>>
    : std::true_type {};

inline Fault check_request(const RopeConfig& trained, const PlanRequest& request) noexcept {
  if (const Fault fault = check_original_length(trained, 1); fault.code != Errc::ok) return fault;
  if (const Fault fault =
          check_length("target_length", request.target_length, trained.original_length);
      fault.code != Errc::ok) {
    return fault;
  }
  if (request.lengths.empty()) {
    if (const Fault fault = check_stages(request.stages); fault.code != Errc::ok) return fault;
    if (const Fault fault =
            check_room(trained.original_length, request.target_length, request.stages);
        fault.code != Errc::ok) {
      return fault;
    }
  }
  if (const Fault fault = check_length("sequences", request.sequences, 0); fault.code != Errc::ok) {
    return fault;
  }
  if (request.sequences > kMaximumLength / request.target_length) {
    return {Errc::above_maximum, "sequences", static_cast<double>(request.sequences)};
  }
  std::int64_t before = trained.original_length;
  int index = 0;
  for (const std::int64_t length : request.lengths) {
    const bool rises = length > before || (index == 0 && length == before);
    const double value = static_cast<double>(length);
    if (!rises) return {Errc::wrong_order, "lengths", value, index};
    before = length;
    ++index;
  }
  if (index > kMaximumStages) return {Errc::above_maximum, "stages", static_cast<double>(index)};
  if (index > 0 && before != request.target_length) {
    return {Errc::wrong_order, "lengths", static_cast<double>(before), index - 1};
  }
  return check(trained, request.trained_scaling);
}

}  // namespace detail

/// The first fault of what a plan is asked for, or Errc::ok. Never throws. Fields of `request` as
/// they are called there; `lengths` where they do not rise from the trained to the target length.
template <typename Method>
Fault check(const RopeConfig& trained, const PlanRequest& request, const Method& method) noexcept {
  if (const Fault fault = detail::check_request(trained, request); fault.code != Errc::ok) {
    return fault;
  }
  if constexpr (detail::HasValidate<Method>::value) {
    return method.validate(trained);
  } else {
    return {};
  }
}

/// Stages from a trained length to a longer one.
///   trained      base and length of the model as it is; original_length known
///   request      the target, and in how many steps
///   method       LiuSteps, DynamicNtkSteps, YarnSteps, AbfSteps, or the caller's own
///   Returns      rising lengths, the last request.target_length; every stage with what it rotates
///                with and the pairs that leave their range at its hand-over. A target that is the
///                trained length gives one stage that rotates as before (unless a base is forced).
///   Source       the laws named at the methods; pairs over their range: coverage()
///   Throws       std::invalid_argument naming field and value; where exceptions are off, ask
///                check(trained, request, method) first
template <typename Method>
Plan plan(const RopeConfig& trained, const PlanRequest& request, const Method& method) {
  static_assert(detail::MovesTheta<Method>::value || detail::MovesScaling<Method>::value,
                "a plan's method needs: double theta(const RopeConfig& trained, const Stage& "
                "before, std::int64_t length) const, or Scaling scaling(const RopeConfig& trained, "
                "std::int64_t length) const");
  detail::require("plan", check(trained, request, method));
  Plan result;
  result.trained = trained;
  result.trained_scaling = request.trained_scaling;
  Stage before;
  before.length = trained.original_length;
  before.config = trained;
  const std::vector<std::int64_t> lengths =
      request.lengths.empty()
          ? stage_lengths(trained.original_length, request.target_length, request.stages)
          : request.lengths;
  for (const std::int64_t length : lengths) {
    Stage stage;
    stage.length = length;
    stage.config = trained;
    stage.scaling = request.trained_scaling;
    if constexpr (detail::MovesTheta<Method>::value) {
      stage.config.theta = method.theta(trained, before, length);
    }
    if constexpr (detail::MovesScaling<Method>::value) {
      stage.scaling = method.scaling(trained, length);
    }
    stage.factor = static_cast<double>(length) / static_cast<double>(trained.original_length);
    stage.tokens = request.sequences * length;
    before = stage;
    result.stages.push_back(std::move(stage));
  }
  detail::count_over_range(result);
  return result;
}

/// A published plan in the same form, its hand-overs counted by the same coverage().
inline Plan plan_of(const PublishedPlan& published) {
  Plan result;
  result.trained = published.trained;
  for (const PublishedStage& given : published.stages) {
    Stage stage;
    stage.length = given.length;
    stage.config = published.trained;
    stage.config.theta = given.theta;
    stage.factor =
        static_cast<double>(given.length) / static_cast<double>(published.trained.original_length);
    stage.tokens = given.tokens;
    result.stages.push_back(std::move(stage));
  }
  detail::count_over_range(result);
  return result;
}

}  // namespace v0
}  // namespace ropewalk
