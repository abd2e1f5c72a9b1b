// Which schedule is at least as good as another in everything. Row 9.
#pragma once

#include <ropewalk/analysis/compare/descriptions.hpp>
#include <ropewalk/analysis/compare/figures.hpp>

#include <optional>

namespace ropewalk {
inline namespace v0 {

/// Pareto order: whether one schedule is at least as good as another in every figure that has an
/// aim, and better in one. Figures are compared as they are, without weights or tolerance, so that
/// no schedule dominates itself and dominance is transitive; a missing figure is worse than any.
/// Both must come from the same comparison. Most schedules dominate none: that is the honest answer.
inline bool dominates(const ScheduleFigures& schedule, const ScheduleFigures& other) {
  bool better = false;
  for (const ScheduleFigure figure : kScheduleFigures) {
    const FigureAim aim = describe(figure).aim;
    if (aim == FigureAim::none) continue;
    const std::optional<double> mine = value_of(schedule, figure);
    const std::optional<double> theirs = value_of(other, figure);
    if (!mine && !theirs) continue;
    if (!mine) return false;
    const bool larger = !theirs || *mine > *theirs;
    const bool smaller = !theirs || *mine < *theirs;
    const bool wins = aim == FigureAim::larger ? larger : smaller;
    const bool loses = !wins && *mine != *theirs;
    if (loses) return false;
    better = better || wins;
  }
  return better;
}

}  // namespace v0
}  // namespace ropewalk
