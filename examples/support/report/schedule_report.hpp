// Schedules for one model and one target length, and what the instruments say of each.
#pragma once

#include <ropewalk/analysis/compare.hpp>
#include <ropewalk/analysis/precision.hpp>
#include <ropewalk/interop/model.hpp>
#include <support/length_report.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace report {

/// One schedule asked for. Where `reason` is not empty it does not apply and was not compared.
struct ScheduleEntry {
  std::string method;  ///< as typed: "liu", "theta=10000000", ...
  std::string title;
  std::string reason;
  ropewalk::RopeConfig config;
  ropewalk::Scaling scaling;
  std::size_t compared = 0;  ///< index into Comparison::schedules

  bool applies() const { return reason.empty(); }
};

/// One way engines form angles.
struct PrecisionWay {
  std::string_view key;
  std::string_view title;
};

inline constexpr PrecisionWay kPrecisionWays[] = {
    {"exact_turns", "exact turns"},
    {"float32_product", "float32 product"},
    {"float32_recurrence", "float32 recurrence (ggml on CPU)"},
    {"bfloat16_positions", "bfloat16 positions"},
};

/// What is to be compared.
struct ScheduleRequest {
  std::int64_t target_length = 0;  ///< tokens, 7 .. 2^30
  std::optional<std::int64_t> trained_length;
  std::vector<std::string> methods;  ///< parse_methods(); empty: the usual ones
  double error_bound = 0.00390625;   ///< on a cosine, for the precision budget; 2^-8 is one
                                     ///< step of bfloat16 just below 1
};

/// Everything that is printed, written and drawn.
struct ScheduleReport {
  const ropewalk::ModelConfig* model = nullptr;  ///< not owned
  std::string title;
  LengthReport length;
  std::vector<ScheduleEntry> entries;  ///< in the order asked for
  ropewalk::Comparison comparison;     ///< of those that apply
  double error_bound = 0.0;
  std::int64_t precision_limit = 0;  ///< last position looked at
  /// (compared schedules, kPrecisionWays)
  std::vector<std::vector<ropewalk::PrecisionBudget>> precision;
  std::size_t featured = 0;  ///< the compared schedule that is shown where one has to do

  const ropewalk::ComparedSchedule& compared(const ScheduleEntry& entry) const {
    return comparison.schedules[entry.compared];
  }
  std::int64_t trained_length() const { return length.plain.original_length; }
};

/// The words of a list separated by commas. Throws Failure (usage) for an empty list, an unknown
/// name, a base that is none, a name given twice or more than twelve.
std::vector<std::string> parse_methods(const std::string& list);

/// Names for --help.
std::string method_names();

/// Throws Failure: usage for a target out of range, no schedule where none applies.
ScheduleReport compare_schedules(const ropewalk::ModelConfig& model, const std::string& title,
                                 const ScheduleRequest& request);

}  // namespace report
