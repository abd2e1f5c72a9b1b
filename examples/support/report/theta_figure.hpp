// Theta against length: the laws from one model, and what others published.
#pragma once

#include <support/report/schedule_figures.hpp>

namespace report {

LabelledFigure theta_figure(const ScheduleReport& report);

}  // namespace report
