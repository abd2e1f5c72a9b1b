#include <ropewalk/interop/engine_flags/rope_object.hpp>
#include <support/command_line.hpp>
#include <support/report/schedule_output.hpp>
#include <support/report/svg.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace rw = ropewalk;

namespace report {

namespace {

constexpr std::size_t kColumns = 100;  // of a screen

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

/// Words in lines of the screen's width, continued under `indent` blanks.
std::string wrapped(const std::string& first, std::size_t indent, const std::string& words) {
  std::string text;
  std::string line = first;
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t end = std::min(words.find(' ', at), words.size());
    const std::string word = words.substr(at, end - at);
    const bool full = line.size() > indent && line.size() + 1 + word.size() > kColumns;
    if (full) {
      text += trimmed(line);
      line.assign(indent, ' ');
    } else if (line.size() > indent) {
      line += ' ';
    }
    line += word;
    at = end + 1;
  }
  return text + trimmed(line);
}

/// A column of the terminal's table: its figure and the two words above it.
struct Column {
  rw::ScheduleFigure figure;
  std::string_view above;
  std::string_view head;
};

// The figures that fit a screen; the JSON object and the page have all of them.
constexpr Column kTableColumns[] = {
    {rw::ScheduleFigure::over_range_pairs, "over", "1 turn"},
    {rw::ScheduleFigure::over_range_pairs_three_turns, "range", "3 turns"},
    {rw::ScheduleFigure::excess_turns, "excess", "turns"},
    {rw::ScheduleFigure::fast_resolution, "fast", "pairs"},
    {rw::ScheduleFigure::mean_abs_log2_change, "change", "octaves"},
    {rw::ScheduleFigure::first_negative_ratio, "first", "B < 0"},
    {rw::ScheduleFigure::minimum_mean_cosine, "least", "B/pairs"},
    {rw::ScheduleFigure::late_mean_cosine, "late", "B/pairs"},
    {rw::ScheduleFigure::reach_ratio, "reach", "/target"},
    {rw::ScheduleFigure::theta_to_law, "theta", "/law"},
};
constexpr std::size_t kNameWidth = 18;
constexpr std::size_t kWidth = 8;

std::string short_role(rw::FigureRole role) {
  return role == rw::FigureRole::descriptive ? "descr." : rw::role_name(role);
}

std::string heading() {
  std::string roles = padded("", kNameWidth);
  std::string above = padded("", kNameWidth);
  std::string heads = padded("  schedule", kNameWidth);
  for (const Column& column : kTableColumns) {
    roles += padded(short_role(rw::describe(column.figure).role), kWidth);
    above += padded(std::string(column.above), kWidth);
    heads += padded(std::string(column.head), kWidth);
  }
  return trimmed(roles) + trimmed(above) + trimmed(heads);
}

std::string row(const ScheduleReport& report, const ScheduleEntry& entry) {
  const bool front = entry.applies() && report.compared(entry).dominated_by.empty();
  std::string line = padded((front ? "* " : "  ") + entry.title + " ", kNameWidth);
  if (!entry.applies()) return wrapped(line, kNameWidth, "- " + entry.reason);
  for (const Column& column : kTableColumns)
    line += padded(figure_text(report.compared(entry).figures, column.figure) + " ", kWidth);
  return trimmed(line);
}

std::string precision_text(const ScheduleReport& report) {
  std::string text = "\nLast position at which every cosine is within " +
                     number(report.error_bound, 6) + " of the exact one (descriptive):\n";
  std::string heads = padded("  schedule", kNameWidth);
  const std::array<std::string, std::size(kPrecisionWays)> ways = {
      "exact turns", "float32 product", "float32 recurrence", "bfloat16 positions"};
  for (const std::string& way : ways) heads += padded(way, 20);
  text += trimmed(heads);
  for (const ScheduleEntry& entry : report.entries) {
    if (!entry.applies()) continue;
    std::string line = padded("  " + entry.title + " ", kNameWidth);
    for (const rw::PrecisionBudget& budget : report.precision[entry.compared]) {
      const bool open = budget.safe_position >= budget.limit;
      line += padded((open ? ">= " : "") + std::to_string(budget.safe_position), 20);
    }
    text += trimmed(line);
  }
  return text;
}

std::string evidence_text() {
  std::string text = "\nEvery figure, what it may be used for, and on what evidence:\n";
  for (const rw::ScheduleFigure figure : rw::kScheduleFigures) {
    const rw::FigureDescription is = rw::describe(figure);
    std::string unit = *is.unit == '\0' ? "" : ", " + std::string(is.unit);
    text += wrapped(padded("  " + std::string(rw::role_name(is.role)), 15), 15,
                    std::string(is.title) + unit + ": " + is.meaning + " " + is.evidence);
  }
  return text;
}

nlohmann::ordered_json figure_descriptions() {
  auto all = nlohmann::ordered_json::array();
  for (const rw::ScheduleFigure figure : rw::kScheduleFigures) {
    const rw::FigureDescription is = rw::describe(figure);
    nlohmann::ordered_json one;
    one["key"] = is.key;
    one["role"] = rw::role_name(is.role);
    one["unit"] = is.unit;
    one["meaning"] = is.meaning;
    one["evidence"] = is.evidence;
    all.push_back(std::move(one));
  }
  return all;
}

nlohmann::ordered_json figures_json(const rw::ScheduleFigures& figures) {
  nlohmann::ordered_json json;
  for (const rw::ScheduleFigure figure : rw::kScheduleFigures) {
    const std::optional<double> value = rw::value_of(figures, figure);
    json[rw::describe(figure).key] = nullptr;
    if (value) json[rw::describe(figure).key] = *value;
  }
  json["first_negative_distance"] = nullptr;
  if (figures.first_negative_distance)
    json["first_negative_distance"] = *figures.first_negative_distance;
  json["negative_distances"] = figures.negative_distances;
  json["minimum_at"] = figures.minimum_at;
  return json;
}

nlohmann::ordered_json entry_json(const ScheduleReport& report, const ScheduleEntry& entry) {
  nlohmann::ordered_json json;
  json["method"] = entry.method;
  json["title"] = entry.title;
  if (!entry.applies()) {
    json["reason"] = entry.reason;
    return json;
  }
  rw::EngineSchedule schedule;
  schedule.config = entry.config;
  schedule.scaling = entry.scaling;
  schedule.length = report.length.target_length;
  schedule.variant = report.length.variant;
  json["rope_parameters"] = nullptr;
  if (const auto object = rw::detail::schedule_object(*report.model, schedule))
    json["rope_parameters"] = *object;
  const rw::ComparedSchedule& compared = report.compared(entry);
  json["figures"] = figures_json(compared.figures);
  json["dominated_by"] = nlohmann::ordered_json::array();
  for (const int other : compared.dominated_by) {
    for (const ScheduleEntry& rival : report.entries) {
      if (rival.applies() && static_cast<int>(rival.compared) == other)
        json["dominated_by"].push_back(rival.method);
    }
  }
  std::size_t way = 0;
  for (const rw::PrecisionBudget& budget : report.precision[entry.compared])
    json["last_precise_position"][kPrecisionWays[way++].key] = budget.safe_position;
  return json;
}

}  // namespace

std::string figure_text(const rw::ScheduleFigures& figures, rw::ScheduleFigure figure) {
  const std::optional<double> value = rw::value_of(figures, figure);
  if (!value) return "-";
  if (rw::describe(figure).unit == std::string_view("pairs")) return fixed(*value, 0);
  if (figure == rw::ScheduleFigure::first_negative_ratio && !figures.first_negative_distance)
    return "none";
  if (*value == 0.0) return "0";
  const double size = *value < 0.0 ? -*value : *value;
  if (size >= 1000.0 || size < 0.00095) return number(*value, 2);
  if (*value >= 100.0) return fixed(*value, 1);
  return fixed(*value, size < 0.0995 ? 4 : 3);
}

std::string dominators(const ScheduleReport& report, const ScheduleEntry& entry) {
  std::string titles;
  for (const int other : report.compared(entry).dominated_by) {
    for (const ScheduleEntry& rival : report.entries) {
      if (!rival.applies() || static_cast<int>(rival.compared) != other) continue;
      titles += (titles.empty() ? "" : ", ") + rival.title;
    }
  }
  return titles;
}

std::string facts_line(const ScheduleReport& report) {
  const LengthReport& length = report.length;
  const std::string& layers = report.model->variants[length.variant].layer_type;
  return "theta " + number(length.plain.theta) + ", " + std::to_string(length.plain.rotary_dim) +
         " of " + std::to_string(length.plain.head_dim) + " dimensions rotated, trained to " +
         std::to_string(report.trained_length()) + " tokens, critical dimension " +
         std::to_string(length.critical_dimension()) +
         (layers.empty() ? "" : ", layers of type " + layers);
}

std::string text_of(const ScheduleReport& report, bool evidence) {
  std::string text = report.title + " to " + std::to_string(report.length.target_length) +
                     " tokens\n" + wrapped("  ", 2, facts_line(report)) + "\n" + heading();
  for (const ScheduleEntry& entry : report.entries) text += row(report, entry);
  text +=
      "* on the Pareto front: no other is better in some figure that has an aim and worse in "
      "none\n";
  text += precision_text(report);
  for (const std::string& warning : report.model->warnings)
    text += "\n" + wrapped("warning:", 9, warning);
  if (evidence) return text + evidence_text();
  return text +
         "\nNo figure predicts quality. --evidence says what is published for and against each.\n";
}

nlohmann::ordered_json json_of(const ScheduleReport& report) {
  nlohmann::ordered_json json;
  json["model"] = report.title;
  json["model_type"] = report.model->model_type;
  json["theta"] = report.length.plain.theta;
  json["head_dim"] = report.length.plain.head_dim;
  json["rotary_dim"] = report.length.plain.rotary_dim;
  json["trained_length"] = report.trained_length();
  json["target_length"] = report.length.target_length;
  json["critical_dimension"] = report.length.critical_dimension();
  json["error_bound"] = report.error_bound;
  json["precision_limit"] = report.precision_limit;
  json["figures"] = figure_descriptions();
  json["schedules"] = nlohmann::ordered_json::array();
  for (const ScheduleEntry& entry : report.entries)
    json["schedules"].push_back(entry_json(report, entry));
  json["warnings"] = nlohmann::ordered_json::array();
  for (const std::string& warning : report.model->warnings) json["warnings"].push_back(warning);
  return json;
}

}  // namespace report
