#include "story_output.hpp"

#include <support/report/svg.hpp>

#include <algorithm>
#include <cmath>

namespace lm {

namespace {

using report::AxisScale;
using report::Figure;
using report::Panel;
using report::Reference;
using report::Series;

/// Means of neighbouring positions, so that a line can be read.
std::vector<report::Point> binned(const std::vector<double>& curve, std::size_t bin) {
  std::vector<report::Point> points;
  for (std::size_t first = 0; first + bin <= curve.size(); first += bin) {
    double sum = 0.0;
    for (std::size_t i = first; i < first + bin; ++i) sum += curve[i];
    points.push_back({static_cast<double>(first) + static_cast<double>(bin + 1) / 2.0,
                      sum / static_cast<double>(bin)});
  }
  return points;
}

Series line(std::string name, int style, std::vector<report::Point> points) {
  Series series;
  series.name = std::move(name);
  series.style = style;
  series.points = std::move(points);
  series.marks = false;
  return series;
}

/// Room above and below what is drawn.
void fit_height(Figure& figure) {
  bool first = true;
  for (const Panel& panel : figure.panels) {
    for (const Series& series : panel.series) {
      for (const report::Point& point : series.points) {
        figure.y.low = first ? point.y : std::min(figure.y.low, point.y);
        figure.y.high = first ? point.y : std::max(figure.y.high, point.y);
        first = false;
      }
    }
  }
  const double room = 0.05 * (figure.y.high - figure.y.low) + 1e-9;
  figure.y.low -= room;
  figure.y.high += room;
}

Reference trained(const Story& story) {
  return {Reference::Axis::x, static_cast<double>(story.shape.trained_length),
          "trained " + std::to_string(story.shape.trained_length), 0};
}

Figure begin(std::string id, std::string title, std::string text) {
  Figure figure;
  figure.id = std::move(id);
  figure.title = std::move(title);
  figure.text = std::move(text);
  return figure;
}

Figure loss_figure(const Story& story) {
  Figure figure = begin("loss-by-position", "Loss by position",
                        "Held-out loss of NoPE and RoPE by position, means of 32 positions.");
  figure.x = {"position, bytes", AxisScale::linear, 0.0, static_cast<double>(kLongest)};
  figure.y.title = "loss, nats per byte";
  Panel panel;
  panel.series.push_back(line("NoPE", 2, binned(story.nope.front().curve, 32)));
  panel.series.push_back(line("RoPE", 1, binned(story.rope.front().curve, 32)));
  figure.panels.push_back(std::move(panel));
  figure.references.push_back(trained(story));
  fit_height(figure);
  return figure;
}

Figure entropy_figure(const Story& story) {
  Figure figure =
      begin("entropy-by-position", "Mean entropy of attention by position",
            "Mean entropy over all layers and heads, and the largest possible, ln(position + 1).");
  figure.x = {"position, bytes", AxisScale::tokens, 8.0, static_cast<double>(kLongest)};
  figure.y.title = "entropy, nats";
  Panel panel;
  panel.series.push_back(line("NoPE", 2, binned(story.nope_entropy, 8)));
  panel.series.push_back(
      line("NoPE, a scale per head for 1024", 3, binned(story.scaled_entropy, 8)));
  panel.series.push_back(line("RoPE", 1, binned(story.rope_entropy, 8)));
  std::vector<report::Point> largest;
  for (std::int64_t position = 8; position <= kLongest; position += 8) {
    largest.push_back({static_cast<double>(position), ropewalk::maximum_entropy(position)});
  }
  panel.series.push_back(line("largest possible", 0, std::move(largest)));
  for (Series& series : panel.series) {
    std::erase_if(series.points, [](const report::Point& point) { return point.x < 8.0; });
  }
  figure.panels.push_back(std::move(panel));
  figure.references.push_back(trained(story));
  fit_height(figure);
  return figure;
}

Figure uniform_figure(const Story& story) {
  const UniformScales& uniform = story.uniform;
  Figure figure = begin("uniform-scales", "NoPE: one scale for all heads",
                        "Held-out loss against the scale, relative to the best of each length.");
  figure.x = {"head_scale of every head", AxisScale::linear, uniform.head_scale.front(),
              uniform.head_scale.back()};
  figure.y.title = "loss above the lowest, nats";
  Panel panel;
  int style = 1;
  for (std::size_t length = 0; length < uniform.lengths.size(); ++length) {
    std::vector<report::Point> points;
    double lowest = uniform.loss.front()[length];
    for (const std::vector<double>& row : uniform.loss) lowest = std::min(lowest, row[length]);
    for (std::size_t scale = 0; scale < uniform.head_scale.size(); ++scale)
      points.push_back({uniform.head_scale[scale], uniform.loss[scale][length] - lowest});
    Series series =
        line("at " + std::to_string(uniform.lengths[length]), style++, std::move(points));
    series.marks = true;
    panel.series.push_back(std::move(series));
  }
  figure.panels.push_back(std::move(panel));
  fit_height(figure);
  return figure;
}

Figure heads_figure(const Story& story, const SearchedHeads& heads) {
  const std::string length = std::to_string(heads.target_length);
  std::string title = "NoPE: scales searched at " + length + " against entropy";
  if (heads.with_entropy) title += ", correlation " + report::fixed(heads.with_entropy->pearson, 2);
  Figure figure = begin("scale-against-entropy-" + length, std::move(title),
                        "Mean searched scale of every head against the entropy that its attention "
                        "has come to at the trained length.");
  const auto per_layer = static_cast<std::size_t>(story.shape.heads);
  figure.x = {"entropy at the trained length, nats", AxisScale::linear, 0.0,
              std::log(static_cast<double>(story.shape.trained_length))};
  double highest = 1.0;
  for (const double scale : heads.mean) highest = std::max(highest, scale);
  figure.y = {"head_scale", AxisScale::ratios, 0.95, 1.1 * highest};
  Panel panel;
  for (std::size_t layer = 0; layer * per_layer < heads.mean.size(); ++layer) {
    Series series;
    series.name = "layer " + std::to_string(layer);
    series.style = static_cast<int>(layer) % report::kStyles;
    series.line = false;
    for (std::size_t i = layer * per_layer; i < (layer + 1) * per_layer; ++i)
      series.points.push_back({story.converged[i], heads.mean[i]});
    panel.series.push_back(std::move(series));
  }
  figure.panels.push_back(std::move(panel));
  return figure;
}

Figure ways_figure(const Story& story, std::string id, std::string title,
                   const std::vector<Way>& ways) {
  Figure figure =
      begin(std::move(id), std::move(title), "Held-out loss by position, means of 64 positions.");
  figure.x = {"position, bytes", AxisScale::linear, 0.0, static_cast<double>(kLongest)};
  figure.y.title = "loss, nats per byte";
  Panel panel;
  int style = 0;
  for (const Way& way : ways)
    panel.series.push_back(line(way.name, style++, binned(way.curve, 64)));
  figure.panels.push_back(std::move(panel));
  figure.references.push_back(trained(story));
  fit_height(figure);
  return figure;
}

}  // namespace

std::vector<Figure> figures_of(const Story& story) {
  std::vector<Figure> figures{loss_figure(story), entropy_figure(story), uniform_figure(story)};
  for (const SearchedHeads& heads : story.searched) figures.push_back(heads_figure(story, heads));
  figures.push_back(ways_figure(story, "nope-ways", "NoPE beyond the trained length", story.nope));
  figures.push_back(ways_figure(story, "rope-ways", "RoPE beyond the trained length", story.rope));
  return figures;
}

}  // namespace lm
