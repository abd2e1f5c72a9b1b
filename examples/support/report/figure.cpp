#include <support/report/figure.hpp>
#include <support/report/label_rows.hpp>
#include <support/report/shapes.hpp>
#include <support/report/svg.hpp>

#include <algorithm>
#include <cstddef>

namespace report {

namespace {

constexpr double kWidth = 880.0;
constexpr double kPanelHeight = 330.0;  // of a panel that is alone
constexpr double kGridHeight = 118.0;   // of one in a grid
constexpr double kGap = 26.0;           // between the columns of a grid
constexpr double kLeft = 84.0;          // axis title and tick labels
constexpr double kRow = 17.0;           // a line of text
constexpr double kFontSize = 12.0;

struct LegendEntry {
  std::string name;
  const Series* series = nullptr;
  const Reference* reference = nullptr;
  BandStyle band_style = BandStyle::quiet;
};

/// Text and the place it found.
struct Label {
  const Reference* reference;
  double line;   // where its line is, across the axis
  double place;  // where the text is
};

class Drawing {
 public:
  Drawing(const Figure& figure, bool standalone) : figure_(figure), standalone_(standalone) {}

  std::string text() {
    top_ = standalone_ ? 34.0 : 6.0;
    std::string body = legend();
    body += grid() ? panels() : panel();
    std::string svg = R"(<svg xmlns="http://www.w3.org/2000/svg" class="figure" viewBox="0 0 )" +
                      pixels(kWidth) + " " + pixels(top_) + R"(" width=")" + pixels(kWidth) +
                      R"(" height=")" + pixels(top_) + R"(" role="img" aria-label=")" +
                      escaped(figure_.title) + R"(" data-figure=")" + figure_.id + "\">\n<title>" +
                      escaped(figure_.title) + "</title>\n<desc>" + escaped(figure_.text) +
                      "</desc>\n";
    if (standalone_) {
      svg += "<style>" + figure_style() + "</style>\n<path class=\"ground\" d=\"M0 0h" +
             pixels(kWidth) + "v" + pixels(top_) + "h-" + pixels(kWidth) + "z\"/>\n" +
             text_element(12.0, 22.0, figure_.title, "title");
    }
    return svg + body + "</svg>\n";
  }

 private:
  bool grid() const { return figure_.panels.size() > 1; }

  std::vector<LegendEntry> legend_entries() const {
    std::vector<LegendEntry> entries;
    if (!grid()) {
      for (const Series& series : figure_.panels.front().series)
        entries.push_back({series.name, &series, nullptr, {}});
    } else {
      for (const Reference& reference : figure_.references)
        entries.push_back({reference.label, nullptr, &reference, {}});
    }
    for (const LegendBand& band : figure_.legend_bands)
      entries.push_back({band.name, nullptr, nullptr, band.band_style});
    return entries;
  }

  /// Samples and names in rows across the whole width.
  std::string legend() {
    std::string text;
    double x = 12.0;
    top_ += 12.0;
    for (const LegendEntry& entry : legend_entries()) {
      const double width = kSample + 8.0 + text_width(entry.name, kFontSize) + 18.0;
      if (x > 12.0 && x + width > kWidth) {
        x = 12.0;
        top_ += kRow + 2.0;
      }
      if (entry.series != nullptr) {
        text += series_sample(x, top_ - 4.0, *entry.series);
      } else if (entry.reference != nullptr) {
        text +=
            line_element(x, top_ - 4.0, x + kSample, top_ - 4.0, reference_class(*entry.reference));
      } else {
        text += band_sample(x, top_ - 4.0, entry.band_style);
      }
      text += text_element(x + kSample + 6.0, top_, entry.name, "");
      x += width;
    }
    top_ += 12.0;
    return text;
  }

  Frame frame(double left, double top, double width, double height) const {
    return {left, top, width, height, &figure_.x, &figure_.y};
  }

  /// Grid lines and tick labels. Of a grid of panels only the first column has them on the left.
  std::string axes(const Frame& frame, bool first_column) const {
    std::string text;
    for (const Tick& tick : ticks(figure_.x, frame.width, grid() ? 42.0 : 58.0)) {
      const double x = frame.x(tick.value);
      text += line_element(x, frame.top, x, frame.bottom(), "grid");
      if (!tick.text.empty())
        text += text_element(x, frame.bottom() + 16.0, tick.text, "soft", Anchor::middle);
    }
    for (const Tick& tick : ticks(figure_.y, frame.height, 24.0)) {
      const double y = frame.y(tick.value);
      text += line_element(frame.left, y, frame.right(), y, "grid");
      if (first_column && !tick.text.empty())
        text += text_element(frame.left - 7.0, y + 4.0, tick.text, "soft", Anchor::end);
    }
    return text + line_element(frame.left, frame.bottom(), frame.right(), frame.bottom(), "edge") +
           line_element(frame.left, frame.top, frame.left, frame.bottom(), "edge");
  }

  std::string contents(const Frame& frame, const Panel& panel) const {
    std::string text = "<g data-panel=\"" + escaped(panel.title) + "\">\n";
    for (const Band& band : panel.bands) text += band_element(frame, band);
    for (const Reference& reference : figure_.references) {
      const bool upright = reference.axis == Reference::Axis::x;
      const double x = upright ? frame.x(reference.value) : frame.left;
      const double y = upright ? frame.top : frame.y(reference.value);
      text += line_element(x, y, upright ? x : frame.right(), upright ? frame.bottom() : y,
                           reference_class(reference));
    }
    for (const Series& series : panel.series) text += series_element(frame, series);
    return text + "</g>\n";
  }

  std::string titles(double left, double right, double top, double bottom) {
    const double middle = (top + bottom) / 2.0;
    std::string text = "<g transform=\"translate(20 " + pixels(middle) + ") rotate(-90)\">" +
                       text_element(0.0, 0.0, figure_.y.title, "axis", Anchor::middle) + "</g>\n";
    text +=
        text_element((left + right) / 2.0, bottom + 38.0, figure_.x.title, "axis", Anchor::middle);
    top_ = bottom + 50.0;
    return text;
  }

  std::vector<const Reference*> references(Reference::Axis axis) const {
    std::vector<const Reference*> found;
    for (const Reference& reference : figure_.references) {
      if (reference.axis == axis) found.push_back(&reference);
    }
    return found;
  }

  /// One panel, its reference lines named at the right and at the top.
  std::string panel() {
    const std::vector<const Reference*> level = references(Reference::Axis::y);
    const std::vector<const Reference*> upright = references(Reference::Axis::x);
    double margin = 16.0;
    for (const Reference* reference : level)
      margin = std::max(margin, text_width(reference->label, kFontSize) + 22.0);
    Frame place = frame(kLeft, 0.0, kWidth - kLeft - margin, kPanelHeight);
    std::vector<UprightLabel> labels;
    for (const Reference* reference : upright) {
      UprightLabel label;
      label.line = place.x(reference->value);
      label.width = text_width(reference->label, kFontSize) + 12.0;
      labels.push_back(label);
    }
    place_labels(labels, 4.0, kWidth - 4.0);
    int height = 0;
    for (const UprightLabel& label : labels) height = std::max(height, label.row + 1);
    place.top = top_ + 8.0 + kRow * height;

    std::string text = axes(place, true) + contents(place, figure_.panels.front());
    std::size_t index = 0;
    for (const UprightLabel& label : labels) {
      const double y = place.top - 6.0 - kRow * label.row;
      text += line_element(label.line, y - 10.0, label.line, place.top, "leader");
      text += text_element(label.line + (label.at_left ? -5.0 : 5.0), y, upright[index++]->label,
                           "", label.at_left ? Anchor::end : Anchor::start);
    }
    text += level_labels(place, level);
    return text + titles(place.left, place.right(), place.top, place.bottom());
  }

  /// Labels at the right, moved apart where their lines are closer than a row.
  std::string level_labels(const Frame& place, const std::vector<const Reference*>& level) const {
    std::vector<Label> labels;
    for (const Reference* reference : level) {
      const double y = place.y(reference->value);
      labels.push_back({reference, y, y});
    }
    std::sort(labels.begin(), labels.end(),
              [](const Label& a, const Label& b) { return a.line > b.line; });
    double lowest = place.bottom();
    for (Label& label : labels) {
      label.place = std::min(label.line, lowest);
      lowest = label.place - kRow;
    }
    std::string text;
    for (const Label& label : labels) {
      text += line_element(place.right(), label.line, place.right() + 9.0, label.place, "leader");
      text += text_element(place.right() + 12.0, label.place + 4.0, label.reference->label, "");
    }
    return text;
  }

  /// Panels in rows, each under its own title.
  std::string panels() {
    const auto columns = static_cast<std::size_t>(figure_.columns);
    const double spare = kWidth - kLeft - 20.0 - kGap * (figure_.columns - 1);
    const double width = spare / figure_.columns;
    const double head = 2.0 * kRow + 4.0;
    const double step = head + kGridHeight + 22.0;
    const double first = top_;
    std::string text;
    for (std::size_t index = 0; index < figure_.panels.size(); ++index) {
      const Panel& panel = figure_.panels[index];
      const std::size_t column = index % columns;
      const double left = kLeft + static_cast<double>(column) * (width + kGap);
      const double top = first + static_cast<double>(index / columns) * step;
      const Frame place = frame(left, top + head, width, kGridHeight);
      text += text_element(left, top + kRow - 3.0, panel.title, "panel");
      text += text_element(left, top + 2.0 * kRow - 4.0, panel.note, "soft");
      text += axes(place, column == 0) + contents(place, panel);
      top_ = place.bottom();
    }
    return text + titles(kLeft, kWidth - 20.0, first + head, top_);
  }

  const Figure& figure_;
  bool standalone_;
  double top_ = 0.0;  // where the next thing goes
};

}  // namespace

std::string draw(const Figure& figure, bool standalone) {
  return Drawing(figure, standalone).text();
}

}  // namespace report
