#include <ropewalk/plan/published.hpp>
#include <ropewalk/theta.hpp>
#include <support/report/svg.hpp>
#include <support/report/theta_figure.hpp>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string_view>

namespace rw = ropewalk;

namespace report {

namespace {

struct Law {
  const char* name;
  double (*theta)(const rw::RopeConfig& config, std::int64_t length);
};

constexpr Law kLaws[] = {
    {"Liu's law", rw::theta_for_length},
    {"strict base", rw::strict_theta_for_length},
    {"NTK-aware",
     [](const rw::RopeConfig& config, std::int64_t length) {
       return rw::ntk_theta(
           config, static_cast<double>(length) / static_cast<double>(config.original_length));
     }},
    {"dynamic NTK, factor 4",
     [](const rw::RopeConfig& config, std::int64_t length) {
       return rw::dynamic_ntk_theta(config, 4.0, length);
     }},
};

/// Plans of one mark: those whose name begins so.
struct PlanGroup {
  std::string_view prefix;
  const char* title;
};

constexpr PlanGroup kGroups[] = {
    {"gradient", "Gradient (Llama 3)"},
    {"lwm", "LWM (Llama 2)"},
    {"easycontext-llama", "EasyContext (Llama 2)"},
    {"easycontext-danube", "EasyContext (Danube 2)"},
    {"qwen2.5", "Qwen2.5-1M"},
    {"llama-2-long", "Llama 2 Long"},
    {"code-llama", "Code Llama"},
};

Series points_of(const PlanGroup& group, int style) {
  Series series;
  series.name = group.title;
  series.style = style;
  series.line = false;
  for (const rw::PublishedPlan& plan : rw::kPublishedPlans) {
    if (std::string_view(plan.name).substr(0, group.prefix.size()) != group.prefix) continue;
    for (const rw::PublishedStage& stage : plan.stages)
      series.points.push_back({static_cast<double>(stage.length), stage.theta});
  }
  return series;
}

/// A law from the trained length on; no points where it has none for this model.
Series line_of(const Law& law, int style, const rw::RopeConfig& config, double longest) {
  constexpr int steps = 96;
  Series series;
  series.name = law.name;
  series.style = style;
  series.marks = false;
  const double shortest = static_cast<double>(config.original_length);
  try {
    for (int step = 0; step <= steps; ++step) {
      const double share = static_cast<double>(step) / steps;
      const double length = shortest * std::exp(share * std::log(longest / shortest));
      const auto tokens =
          std::max(config.original_length, static_cast<std::int64_t>(std::llround(length)));
      series.points.push_back({length, law.theta(config, tokens)});
    }
  } catch (const std::invalid_argument&) {
    series.points.clear();
  }
  return series;
}

/// The axes hold every point.
void fit_axes(Figure& figure) {
  bool first = true;
  for (const Series& series : figure.panels.front().series) {
    for (const Point& point : series.points) {
      if (first) figure.x.low = figure.x.high = point.x;
      if (first) figure.y.low = figure.y.high = point.y;
      first = false;
      figure.x.low = std::min(figure.x.low, point.x);
      figure.x.high = std::max(figure.x.high, point.x);
      figure.y.low = std::min(figure.y.low, point.y);
      figure.y.high = std::max(figure.y.high, point.y);
    }
  }
  figure.x.low /= 1.3;
  figure.x.high *= 1.3;
  figure.y.low /= 2.0;
  figure.y.high *= 2.0;
}

}  // namespace

LabelledFigure theta_figure(const ScheduleReport& report) {
  constexpr double shortest_span = 4194304.0;  // the published plans end here
  const rw::RopeConfig& config = report.length.plain;
  const double target = static_cast<double>(report.length.target_length);
  LabelledFigure labelled;
  labelled.reading =
      "Lines: the bases that four laws give this model, from its own base and trained length. "
      "Marks: bases that others trained with. Each began from the base and the length of the model "
      "named, so only marks of the model on this page compare with the lines.";
  labelled.evidence =
      "Gradient's released configs lie on Liu's law; tables made by hand lie from 0.014 to 26 "
      "times it. That a base was used is no evidence that it was the best.";
  Figure& figure = labelled.figure;
  figure.id = "theta-laws";
  figure.title = "Theta against length, " + report.title;
  figure.x = {"context length, tokens", AxisScale::tokens, 1.0, 10.0};
  figure.y = {"theta", AxisScale::powers, 1.0, 10.0};
  Panel panel;
  int style = 1;
  const double longest = std::max(target, shortest_span);
  for (const Law& law : kLaws) panel.series.push_back(line_of(law, style++, config, longest));
  for (const PlanGroup& group : kGroups)
    panel.series.push_back(points_of(group, style++ % kStyles));
  std::erase_if(panel.series, [](const Series& series) { return series.points.empty(); });
  figure.panels.push_back(std::move(panel));
  fit_axes(figure);
  figure.references.push_back({Reference::Axis::x, static_cast<double>(config.original_length),
                               "trained " + grouped(static_cast<double>(config.original_length)),
                               0});
  if (report.length.target_length > config.original_length) {
    figure.references.push_back({Reference::Axis::x, target, "target " + grouped(target), 2});
  }
  return labelled;
}

}  // namespace report
