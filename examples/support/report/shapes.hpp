// The shapes a figure is made of, in pixels.
#pragma once

#include <support/report/figure.hpp>

#include <string>

namespace report {

/// A panel's place on the page, and the axes it has there.
struct Frame {
  double left = 0.0;
  double top = 0.0;
  double width = 0.0;
  double height = 0.0;
  const Axis* x_axis = nullptr;
  const Axis* y_axis = nullptr;

  double right() const { return left + width; }
  double bottom() const { return top + height; }
  double x(double value) const { return left + width * x_axis->position(value); }
  double y(double value) const { return bottom() - height * y_axis->position(value); }
};

std::string line_element(double x1, double y1, double x2, double y2, const std::string& style);

/// A line and its marks, in a group that carries the name.
std::string series_element(const Frame& frame, const Series& series);

std::string band_element(const Frame& frame, const Band& band);

/// A piece of a series or a band as a legend shows it, `kSample` pixels wide.
std::string series_sample(double x, double y, const Series& series);
std::string band_sample(double x, double y, BandStyle band_style);
inline constexpr double kSample = 30.0;

std::string reference_class(const Reference& reference);

}  // namespace report
