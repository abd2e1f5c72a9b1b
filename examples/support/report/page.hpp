// A schedule report as one HTML file: figures and tables, no script, nothing from elsewhere.
#pragma once

#include <support/report/schedule_figures.hpp>
#include <support/report/schedule_report.hpp>

#include <string>
#include <vector>

namespace report {

std::string page(const ScheduleReport& report, const std::vector<LabelledFigure>& figures);

}  // namespace report
