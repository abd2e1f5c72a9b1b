// The figures of a schedule report.
#pragma once

#include <ropewalk/analysis/compare/figures.hpp>
#include <support/report/figure.hpp>
#include <support/report/schedule_report.hpp>

#include <string>
#include <vector>

namespace report {

/// A figure, what it may be used for, and on what evidence.
struct LabelledFigure {
  Figure figure;
  ropewalk::FigureRole role = ropewalk::FigureRole::descriptive;
  std::string reading;   ///< how to read it, one or two sentences
  std::string evidence;  ///< for or against using it
};

/// Wavelengths, frequency ratios, sums of cosines, angle coverage, precision budget, theta against
/// length, in this order.
std::vector<LabelledFigure> schedule_figures(const ScheduleReport& report);

}  // namespace report
