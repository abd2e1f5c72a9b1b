// A figure as data: panels of lines, bands and reference lines over shared axes; and its drawing.
#pragma once

#include <support/report/axis.hpp>

#include <string>
#include <vector>

namespace report {

struct Point {
  double x;
  double y;
};

/// A line with marks, or marks alone. Where a value is not finite the line is broken.
struct Series {
  std::string name;
  int style = 0;  ///< 0 .. kStyles - 1: colour, dashes and mark together
  std::vector<Point> points;
  bool line = true;
  bool marks = true;
  bool solid = false;  ///< without the dashes of its style
};

/// What fills the space between two curves.
enum class BandStyle { quiet, spread, warning };

struct BandPoint {
  double x;
  double low;
  double high;
};

struct Band {
  BandStyle band_style = BandStyle::quiet;
  int style = 0;  ///< the series it belongs to; of use to `spread` alone
  std::vector<BandPoint> points;
};

/// A value of one axis, drawn across the panel and named at its edge.
struct Reference {
  enum class Axis { x, y };
  Axis axis = Axis::x;
  double value = 0.0;
  std::string label;
  int dashes = 0;  ///< 0 .. 3: dashed, dotted, dash-dotted, solid
};

/// One coordinate system. A grid of several names each one at its top.
struct Panel {
  std::string title;
  std::string note;
  std::vector<Band> bands;
  std::vector<Series> series;
};

/// What the legend of a grid shows beside the reference lines.
struct LegendBand {
  std::string name;
  BandStyle band_style = BandStyle::quiet;
};

/// A whole figure.
struct Figure {
  std::string id;     ///< letters and hyphens: the name of its file and its place in the page
  std::string title;  ///< what it shows
  std::string text;   ///< for readers who cannot see it: what can be read off
  Axis x;
  Axis y;
  std::vector<Panel> panels;  ///< one, or a grid
  int columns = 1;
  std::vector<Reference> references;  ///< in every panel
  std::vector<LegendBand> legend_bands;
};

inline constexpr int kStyles = 12;

/// The figure as an <svg> element.
///   standalone   a file of its own: with its title and the style sheet inside
std::string draw(const Figure& figure, bool standalone);

/// Colours, dashes and letters of every figure, for light and for dark surroundings.
std::string figure_style();

}  // namespace report
