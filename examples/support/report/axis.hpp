// An axis: its range, where a value lies on it, and where its ticks are.
#pragma once

#include <string>
#include <vector>

namespace report {

/// How values are spread and how ticks are written.
enum class AxisScale {
  linear,
  tokens,  ///< logarithmic, ticks 1, 10, ... 1k, 1M
  powers,  ///< logarithmic, ticks 1, 10, ... written out, or as 1e12
  ratios   ///< logarithmic, ticks at powers of two: 1/4, 1/2, 1, 2
};

/// One axis. For the logarithmic scales 0 < low.
struct Axis {
  std::string title;  ///< with its unit
  AxisScale scale = AxisScale::linear;
  double low = 0.0;
  double high = 1.0;  ///< > low

  /// The part of the axis, 0 .. 1, below a value; values outside are held to the ends.
  double position(double value) const;
};

/// One tick; without text it is a mere line.
struct Tick {
  double value;
  std::string text;
};

/// Ticks of an axis so many pixels long, labels at least `spacing` pixels apart.
std::vector<Tick> ticks(const Axis& axis, double length, double spacing);

}  // namespace report
