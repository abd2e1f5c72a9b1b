// Schedules side by side: what each does to the angles a model was trained on. Row 9.
//
// No closed formula is published that predicts a model's quality; a comparison is therefore a vector
// of figures, each with its role and its evidence, and a Pareto order, never one score.
#pragma once

#include <ropewalk/analysis/compare/descriptions.hpp>
#include <ropewalk/analysis/compare/figures.hpp>
#include <ropewalk/analysis/compare/pareto.hpp>
#include <ropewalk/analysis/cosine_sum.hpp>
#include <ropewalk/analysis/coverage.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/spectrum.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// One schedule to compare.
struct Schedule {
  const char* name = "";  // not owned: must outlive the comparison
  Spectrum spectrum = {};
};

/// The schedule of a method: one of the library's, the caller's own struct, or a Scaling.
///   name         outlives the comparison, a literal for instance
///   method       as it stands: a method with a `length` uses that one, see at_length()
///   Throws       what spectrum() throws
template <typename Method>
Schedule make_schedule(const char* name, const RopeConfig& config, const Method& method) {
  return {name, spectrum(config, method)};
}

/// The schedule that changes the base and nothing else.
///   theta        finite, > 1
inline Schedule make_theta_schedule(const char* name, RopeConfig config, double theta) {
  config.theta = theta;
  return {name, spectrum(config)};
}

/// A method's name: "unscaled", "nope", "linear", "ntk_aware", "dynamic_ntk", "ntk_by_parts", "yarn",
/// "longrope", "llama3", "proportional", "power_basis", "truncated_basis", "ntk_mixed".
constexpr const char* method_name(const Scaling& method) noexcept {
  constexpr const char* names[] = {"unscaled",    "nope",         "linear",      "ntk_aware",
                                   "dynamic_ntk", "ntk_by_parts", "yarn",        "longrope",
                                   "llama3",      "proportional", "power_basis", "truncated_basis",
                                   "ntk_mixed"};
  static_assert(sizeof names / sizeof names[0] == std::variant_size_v<Scaling>,
                "method_name: one name per alternative of Scaling, in its order");
  return names[method.index()];
}

/// One schedule compared.
struct ComparedSchedule {
  const char* name = "";
  Spectrum spectrum = {};
  ScheduleFigures figures = {};
  std::vector<int> dominated_by = {};  // indices of schedules; empty: on the Pareto front
};

/// The schedules in the order they were given.
struct Comparison {
  std::int64_t trained_length = 0;
  std::int64_t target_length = 0;
  Spectrum trained = {};
  std::vector<ComparedSchedule> schedules = {};
};

/// The base whose plain frequencies these are, theta^(-2 pair / rotary_dim): nothing where there is
/// no such base, or where one pair leaves it open.
///   Max error    4 ULP, and those of the last frequency
inline std::optional<double> theta_of(const Spectrum& spectrum) {
  // A spectrum this near to a base's behaves as that base does at every length.
  constexpr double kTolerance = 1e-12;
  const int pairs = spectrum.pairs();
  if (pairs < 2) return std::nullopt;
  const double last = spectrum.inv_freq.back();
  if (!detail::is_finite(last) || !(last > 0.0) || !(last < 1.0)) return std::nullopt;
  const double theta = 1.0 / detail::power_ratio(last, pairs, pairs - 1);
  if (!detail::is_finite(theta) || !(theta > 1.0) || theta > kMaximumTheta) return std::nullopt;
  for (int pair = 0; pair < pairs; ++pair) {
    const double expected = inverse_frequency(theta, pair, 2 * pairs);
    const double error = spectrum.inv_freq[static_cast<std::size_t>(pair)] - expected;
    if (!(std::fabs(error) <= kTolerance * expected)) return std::nullopt;
  }
  return theta;
}

namespace detail {

/// Errc::ok, or why two lengths cannot be compared.
inline Fault check_compared_lengths(const char* trained_field, std::int64_t trained_length,
                                    std::int64_t target_length) noexcept {
  constexpr std::int64_t kShortest = 7;                     // one turn of pair 0
  constexpr std::int64_t kLongest = std::int64_t{1} << 30;  // every distance is visited
  Fault fault = check_length(trained_field, trained_length, kShortest);
  if (fault.code != Errc::ok) return fault;
  fault = check_length("target_length", target_length, trained_length);
  if (fault.code == Errc::ok && target_length > kLongest) {
    fault = {Errc::above_maximum, "target_length", static_cast<double>(target_length)};
  }
  return fault;
}

/// What the base laws say of a schedule that is one base, trained with another.
inline void add_base_figures(double trained_theta, int complete_pairs, const Comparison& comparison,
                             ScheduleFigures& figures) {
  const double theta = *figures.theta;
  const int pairs = comparison.trained.pairs();
  const double target = static_cast<double>(comparison.target_length);
  const double trained = static_cast<double>(comparison.trained_length);
  const DoubleDouble log_trained_theta = logarithm(trained_theta);
  const DoubleDouble log_theta = logarithm(theta);
  const DoubleDouble log_factor = subtract(logarithm(target), logarithm(trained));
  const DoubleDouble log_step = subtract(log_theta, log_trained_theta);
  // In logarithms, because the laws themselves may leave the range of double.
  const DoubleDouble law =
      divide(multiply(log_trained_theta, log_factor), subtract(logarithm(trained), kLogTwoPi));
  const double to_law = exponential(subtract(log_step, law));
  if (is_finite(to_law)) figures.theta_to_law = to_law;
  if (complete_pairs > 0) {
    const DoubleDouble share{static_cast<double>(complete_pairs), 0.0};
    const DoubleDouble whole{static_cast<double>(pairs), 0.0};
    const DoubleDouble strict =
        complete_pairs == pairs ? DoubleDouble{} : divide(multiply(whole, log_factor), share);
    const double to_strict = exponential(subtract(log_step, strict));
    if (is_finite(to_strict)) figures.theta_to_strict = to_strict;
    const DoubleDouble limit = add(kLogTwoPi, divide(multiply(share, log_theta), whole));
    const double reach =
        theta > trained_theta ? exponential(subtract(limit, logarithm(target))) : trained / target;
    if (is_finite(reach)) figures.reach_ratio = reach;
  }
}

}  // namespace detail

/// The figures of one schedule.
///   comparison   its lengths and its trained spectrum, sound
///   Throws       as compare()
inline ScheduleFigures schedule_figures(const Comparison& comparison, const Spectrum& extended) {
  const Spectrum& trained = comparison.trained;
  const std::int64_t target = comparison.target_length;
  const Coverage one = coverage(trained, comparison.trained_length, extended, target, kFullTurn);
  ScheduleFigures figures;
  figures.over_range_pairs = one.over_range_pairs;
  figures.over_range_pairs_three_turns =
      coverage(trained, comparison.trained_length, extended, target, kThreeTurns).over_range_pairs;
  figures.excess_turns = one.excess_turns;
  figures.largest_excess_turns = one.largest_excess_turns;
  if (one.fast_pairs + one.stopped_fast_pairs > 0) {
    figures.fast_resolution = one.stopped_fast_pairs > 0 ? 0.0 : one.fast_resolution;
  }
  if (one.moving_pairs > 0) figures.mean_abs_log2_change = one.mean_abs_log2_change;
  figures.stopped_pairs = one.stopped_pairs;
  figures.attention_factor = extended.attention_factor;

  const std::int64_t half = target / 2;
  const auto early = summarize_cosine_sum(extended, 0, half);
  const auto late = summarize_cosine_sum(extended, half, target - half);
  const double pairs = static_cast<double>(extended.pairs());
  const double tokens = static_cast<double>(target);
  figures.negative_distances = early.negative + late.negative;
  figures.negative_fraction = static_cast<double>(figures.negative_distances) / tokens;
  const auto& smallest = late.minimum < early.minimum ? late : early;
  figures.minimum_mean_cosine = smallest.minimum / pairs;
  figures.minimum_at = smallest.minimum_at;
  figures.late_mean_cosine = late.mean / pairs;
  if (figures.negative_distances > 0) {
    figures.first_negative_distance = first_negative_distance(extended, target - 1);
  }
  if (figures.first_negative_distance) {
    figures.first_negative_ratio = static_cast<double>(*figures.first_negative_distance) / tokens;
  }

  figures.theta = theta_of(extended);
  const std::optional<double> trained_theta = theta_of(trained);
  if (figures.theta && trained_theta) {
    detail::add_base_figures(*trained_theta, one.complete_pairs, comparison, figures);
  }
  return figures;
}

/// Compares schedules at a target length with the spectrum a model was trained with.
///   trained      (pairs,) finite, >= 0: plain, partial, scaled in training, or nothing but zeros
///   trained_length   tokens, >= 7
///   target_length    tokens, >= trained_length, at most 2^30; every distance is visited, so time
///                grows with it
///   schedules    at least one, as many pairs each
///   Throws       std::invalid_argument naming field and value, and the schedule where it is one's
inline Comparison compare(const Spectrum& trained, std::int64_t trained_length,
                          std::int64_t target_length, Span<const Schedule> schedules) {
  constexpr const char* where = "compare";
  detail::require(where,
                  detail::check_compared_lengths("trained_length", trained_length, target_length));
  detail::require(
      where, detail::check_coverage(trained, trained_length, trained, target_length, kFullTurn));
  if (schedules.empty()) detail::refuse(where, {Errc::unknown, "schedules", 0.0});
  Comparison result{trained_length, target_length, trained, {}};
  result.schedules.reserve(schedules.size());
  for (const Schedule& schedule : schedules) {
    const char* name = schedule.name != nullptr && *schedule.name != '\0' ? schedule.name : where;
    Fault fault = detail::check_coverage(trained, trained_length, schedule.spectrum, target_length,
                                         kFullTurn);
    if (fault.code == Errc::ok) {
      fault = detail::check_at_least("attention_factor", schedule.spectrum.attention_factor, 0.0);
    }
    detail::require(name, fault);
    result.schedules.push_back(
        {schedule.name, schedule.spectrum, schedule_figures(result, schedule.spectrum), {}});
  }
  const int count = static_cast<int>(result.schedules.size());
  for (ComparedSchedule& schedule : result.schedules) {
    for (int other = 0; other < count; ++other) {
      const auto& rival = result.schedules[static_cast<std::size_t>(other)];
      if (dominates(rival.figures, schedule.figures)) schedule.dominated_by.push_back(other);
    }
  }
  return result;
}

/// The same for a model trained with plain rotation.
///   config       original_length >= 7
inline Comparison compare(const RopeConfig& config, std::int64_t target_length,
                          Span<const Schedule> schedules) {
  detail::require("compare", detail::check_original_length(config, 7));
  return compare(spectrum(config), config.original_length, target_length, schedules);
}

/// The same for methods, named by method_name().
///   methods      at least one, as they stand: set a `length` with at_length()
inline Comparison compare(const RopeConfig& config, std::int64_t target_length,
                          Span<const Scaling> methods) {
  detail::require("compare", detail::check_original_length(config, 7));
  if (methods.empty()) detail::refuse("compare", {Errc::unknown, "methods", 0.0});
  std::vector<Schedule> schedules;
  schedules.reserve(methods.size());
  for (const Scaling& method : methods) {
    schedules.push_back(make_schedule(method_name(method), config, method));
  }
  return compare(config, target_length, Span<const Schedule>(schedules));
}

}  // namespace v0
}  // namespace ropewalk
