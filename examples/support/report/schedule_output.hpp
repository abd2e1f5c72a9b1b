// A schedule report as text for a terminal and as one JSON object.
#pragma once

#include <support/report/schedule_report.hpp>

#include <nlohmann/json.hpp>

#include <string>

namespace report {

/// A figure as people read it: "-" where there is none.
std::string figure_text(const ropewalk::ScheduleFigures& figures, ropewalk::ScheduleFigure figure);

/// Titles of the schedules that are better in some figure and worse in none; "" on the front.
std::string dominators(const ScheduleReport& report, const ScheduleEntry& entry);

/// What the table starts from: lengths, base, critical dimension.
std::string facts_line(const ScheduleReport& report);

/// At most 100 columns. With `evidence` every figure's meaning and evidence follow the table.
std::string text_of(const ScheduleReport& report, bool evidence);

nlohmann::ordered_json json_of(const ScheduleReport& report);

}  // namespace report
