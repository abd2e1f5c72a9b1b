#include <support/report/shapes.hpp>
#include <support/report/svg.hpp>

#include <cmath>

namespace report {

namespace {

constexpr double kMarkSpacing = 72.0;  // pixels between two marks of one line
constexpr int kMarks = 7;

std::string at(double x, double y) { return pixels(x) + " " + pixels(y); }

/// One mark as a closed path around its centre.
std::string mark_path(int style, double x, double y) {
  std::string start(1, 'M');
  start += at(x, y);
  switch ((style < kMarks ? style : style + 3) % kMarks) {
    case 0:
      return start + "m-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0z";
    case 1:
      return start + "m-3.3 -3.3h6.6v6.6h-6.6z";
    case 2:
      return start + "m0 -4.4l4.2 7.4h-8.4z";
    case 3:
      return start + "m0 -4.8l4.2 4.8l-4.2 4.8l-4.2 -4.8z";
    case 4:
      return start + "m0 4.4l4.2 -7.4h-8.4z";
    case 5:
      return start + "m-1.3 -4.2h2.6v2.9h2.9v2.6h-2.9v2.9h-2.6v-2.9h-2.9v-2.6h2.9z";
    default:
      return start +
             "m-4.2 -2.4l1.8 -1.8l2.4 2.4l2.4 -2.4l1.8 1.8l-2.4 2.4l2.4 2.4l-1.8 1.8l-2.4 -2.4"
             "l-2.4 2.4l-1.8 -1.8l2.4 -2.4z";
  }
}

bool drawable(const Point& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

std::string style_class(const char* kind, int style) {
  return " class=\"" + std::string(kind) + " s" + std::to_string(style) + "\"";
}

std::string line_path(const Frame& frame, const Series& series) {
  std::string path;
  bool broken = true;
  for (const Point& point : series.points) {
    if (drawable(point)) {
      path += broken ? 'M' : 'L';
      path += at(frame.x(point.x), frame.y(point.y));
    }
    broken = !drawable(point);
  }
  return path;
}

/// Marks along a line, shifted by its style so that those of coinciding lines lie side by side.
std::string marks_path(const Frame& frame, const Series& series) {
  std::string path;
  double next = frame.left + kMarkSpacing * (series.style + 0.5) / kStyles;
  for (const Point& point : series.points) {
    if (!drawable(point)) continue;
    const double x = frame.x(point.x);
    if (series.line && x < next) continue;
    path += mark_path(series.style, x, frame.y(point.y));
    while (next <= x) next += kMarkSpacing;
  }
  return path;
}

const char* band_class(BandStyle band_style) {
  switch (band_style) {
    case BandStyle::quiet:
      return "quiet";
    case BandStyle::spread:
      return "spread";
    case BandStyle::warning:
      return "warning";
  }
  return "";
}

}  // namespace

std::string line_element(double x1, double y1, double x2, double y2, const std::string& style) {
  return "<path class=\"" + style + "\" d=\"M" + at(x1, y1) + "L" + at(x2, y2) + "\"/>\n";
}

std::string series_element(const Frame& frame, const Series& series) {
  std::string group = "<g data-series=\"" + escaped(series.name) + "\"><title>" +
                      escaped(series.name) + "</title>\n";
  if (series.line) {
    group += "<path" + style_class(series.solid ? "solid line" : "line", series.style) + " d=\"" +
             line_path(frame, series) + "\"/>\n";
  }
  if (series.marks) {
    const std::string marks = marks_path(frame, series);
    if (!marks.empty())
      group += "<path" + style_class("mark", series.style) + " d=\"" + marks + "\"/>\n";
  }
  return group + "</g>\n";
}

std::string band_element(const Frame& frame, const Band& band) {
  std::string forth;
  std::string back;
  std::string path;
  const auto close = [&] {
    if (!forth.empty()) {
      forth.front() = 'M';
      path += forth + back;
      path += 'z';
    }
    forth.clear();
    back.clear();
  };
  for (const BandPoint& point : band.points) {
    if (!std::isfinite(point.low) || !std::isfinite(point.high)) {
      close();
      continue;
    }
    const double x = frame.x(point.x);
    forth += 'L';
    forth += at(x, frame.y(point.high));
    back.insert(0, at(x, frame.y(point.low)));
    back.insert(0, 1, 'L');
  }
  close();
  if (path.empty()) return {};
  return "<path" + style_class(band_class(band.band_style), band.style) + " d=\"" + path + "\"/>\n";
}

std::string series_sample(double x, double y, const Series& series) {
  std::string sample;
  if (series.line) {
    sample += "<path" + style_class("line", series.style) + " d=\"M" + at(x, y) + "h" +
              pixels(kSample) + "\"/>\n";
  }
  if (series.marks) {
    sample += "<path" + style_class("mark", series.style) + " d=\"" +
              mark_path(series.style, x + kSample / 2.0, y) + "\"/>\n";
  }
  return sample;
}

std::string band_sample(double x, double y, BandStyle band_style) {
  return "<path" + style_class(band_class(band_style), 0) + " d=\"M" + at(x + 4.0, y - 5.0) +
         "h22v10h-22z\"/>\n";
}

std::string reference_class(const Reference& reference) {
  return "reference r" + std::to_string(reference.dashes);
}

}  // namespace report
