// What is said of a schedule before any training. Row 9.
#pragma once

#include <cstdint>
#include <optional>

namespace ropewalk {
inline namespace v0 {

/// What a figure may be used for.
enum class FigureRole {
  gate,        ///< schedules that work pass it; passing it does not make a schedule work
  hint,        ///< went with measured quality in the few cases that were published
  descriptive  ///< says what a schedule does; no published measurement ties it to quality
};

/// Which way a figure counts in the Pareto order.
enum class FigureAim { none, smaller, larger };

/// The figures of one schedule.
enum class ScheduleFigure {
  over_range_pairs,
  over_range_pairs_three_turns,
  excess_turns,
  largest_excess_turns,
  fast_resolution,
  mean_abs_log2_change,
  stopped_pairs,
  first_negative_ratio,
  negative_fraction,
  minimum_mean_cosine,
  late_mean_cosine,
  reach_ratio,
  theta_to_law,
  theta_to_strict,
  attention_factor
};

/// All of them, in the order of a table.
inline constexpr ScheduleFigure kScheduleFigures[] = {
    ScheduleFigure::over_range_pairs,  ScheduleFigure::over_range_pairs_three_turns,
    ScheduleFigure::excess_turns,      ScheduleFigure::largest_excess_turns,
    ScheduleFigure::fast_resolution,   ScheduleFigure::mean_abs_log2_change,
    ScheduleFigure::stopped_pairs,     ScheduleFigure::first_negative_ratio,
    ScheduleFigure::negative_fraction, ScheduleFigure::minimum_mean_cosine,
    ScheduleFigure::late_mean_cosine,  ScheduleFigure::reach_ratio,
    ScheduleFigure::theta_to_law,      ScheduleFigure::theta_to_strict,
    ScheduleFigure::attention_factor};

/// The figures of one schedule between a trained and a target length.
struct ScheduleFigures {
  int over_range_pairs = 0;
  int over_range_pairs_three_turns = 0;
  double excess_turns = 0.0;
  double largest_excess_turns = 0.0;
  std::optional<double> fast_resolution = std::nullopt;       // no pair turned 32 times in training
  std::optional<double> mean_abs_log2_change = std::nullopt;  // no pair turns before and after
  int stopped_pairs = 0;
  std::optional<std::int64_t> first_negative_distance = std::nullopt;  // none within the target
  double first_negative_ratio = 1.0;
  std::int64_t negative_distances = 0;
  double negative_fraction = 0.0;
  double minimum_mean_cosine = 1.0;
  std::int64_t minimum_at = 0;  // smallest distance of that minimum
  double late_mean_cosine = 1.0;
  std::optional<double> theta = std::nullopt;  // the single base, where there is one
  std::optional<double> reach_ratio = std::nullopt;
  std::optional<double> theta_to_law = std::nullopt;
  std::optional<double> theta_to_strict = std::nullopt;
  double attention_factor = 1.0;
};

/// One figure as a number; nothing where the schedule has none.
inline std::optional<double> value_of(const ScheduleFigures& figures, ScheduleFigure figure) {
  switch (figure) {
    case ScheduleFigure::over_range_pairs:
      return static_cast<double>(figures.over_range_pairs);
    case ScheduleFigure::over_range_pairs_three_turns:
      return static_cast<double>(figures.over_range_pairs_three_turns);
    case ScheduleFigure::excess_turns:
      return figures.excess_turns;
    case ScheduleFigure::largest_excess_turns:
      return figures.largest_excess_turns;
    case ScheduleFigure::fast_resolution:
      return figures.fast_resolution;
    case ScheduleFigure::mean_abs_log2_change:
      return figures.mean_abs_log2_change;
    case ScheduleFigure::stopped_pairs:
      return static_cast<double>(figures.stopped_pairs);
    case ScheduleFigure::first_negative_ratio:
      return figures.first_negative_ratio;
    case ScheduleFigure::negative_fraction:
      return figures.negative_fraction;
    case ScheduleFigure::minimum_mean_cosine:
      return figures.minimum_mean_cosine;
    case ScheduleFigure::late_mean_cosine:
      return figures.late_mean_cosine;
    case ScheduleFigure::reach_ratio:
      return figures.reach_ratio;
    case ScheduleFigure::theta_to_law:
      return figures.theta_to_law;
    case ScheduleFigure::theta_to_strict:
      return figures.theta_to_strict;
    case ScheduleFigure::attention_factor:
      return figures.attention_factor;
  }
  return std::nullopt;
}

}  // namespace v0
}  // namespace ropewalk
