// Where the names of upright lines stand above a panel.
#pragma once

#include <vector>

namespace report {

/// One name at the top of its line, in pixels. It stands at the right of the line, or at its left,
/// in one of the rows above the panel; the line runs up to it.
struct UprightLabel {
  double line = 0.0;
  double width = 0.0;  ///< of the text and the space around it
  bool at_left = false;
  int row = 0;  ///< 0 is next to the panel

  double start() const { return at_left ? line - width : line; }
  double end() const { return at_left ? line : line + width; }
};

/// Sides and rows with which no text meets another or a line, in as few rows as can be.
///   left_edge, right_edge   texts stay between them where there is a way
void place_labels(std::vector<UprightLabel>& labels, double left_edge, double right_edge);

}  // namespace report
