// The programs are tested where they are built.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <support/report/figure.hpp>
#include <support/report/svg.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

using namespace report;

namespace {

int count_of(const std::string& text, std::string_view part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

std::vector<std::string> labels(const Axis& axis, double length, double spacing) {
  std::vector<std::string> texts;
  for (const Tick& tick : ticks(axis, length, spacing)) {
    if (!tick.text.empty()) texts.push_back(tick.text);
  }
  return texts;
}

Figure small_figure() {
  Figure figure;
  figure.id = "small";
  figure.title = "A & B";
  figure.x = {"pair", AxisScale::linear, 0.0, 10.0};
  figure.y = {"tokens", AxisScale::tokens, 1.0, 1000.0};
  Panel panel;
  panel.series.push_back({"falling", 1, {{0.0, 1000.0}, {10.0, 1.0}}, true, true});
  panel.series.push_back({"<rising>", 2, {{0.0, 1.0}, {10.0, 1000.0}}, true, true});
  figure.panels.push_back(panel);
  return figure;
}

}  // namespace

TEST_CASE("the markup a text could hold is written as entities") {
  CHECK(escaped("a<b & \"c\" > 'd'\n") == "a&lt;b &amp; &quot;c&quot; &gt; &#39;d&#39; ");
}

TEST_CASE("what is no UTF-8 is replaced, what is stays") {
  CHECK(escaped("a\xff\x01z") == "a\xef\xbf\xbd z");
  CHECK(escaped("\xe2\x89\xa5 \xf0\x9f\x98\x80") == "\xe2\x89\xa5 \xf0\x9f\x98\x80");
}

TEST_CASE("numbers have so many decimals and no sign on zero") {
  CHECK(fixed(1.0, 2) == "1.00");
  CHECK(fixed(-0.00000001, 1) == "0.0");
  CHECK(fixed(-2.25, 1) == "-2.2");
  CHECK(pixels(12.0) == "12");
  CHECK(pixels(12.34) == "12.3");
  CHECK(grouped(1048576.0) == "1\u00a0048\u00a0576");
  CHECK(grouped(100.0) == "100");
  CHECK(grouped(-1000.0) == "-1\u00a0000");
}

TEST_CASE("a half that is exact in binary does not depend on the last bit") {
  const double half = 123.25;
  const double below = std::nextafter(half, 0.0);
  const double above = std::nextafter(half, 200.0);
  CHECK(fixed(half, 1) == fixed(below, 1));
  CHECK(fixed(half, 1) == fixed(above, 1));
}

TEST_CASE("ticks are round, within the axis, and no closer than asked") {
  CHECK(labels({"", AxisScale::linear, 0.0, 63.0}, 600.0, 58.0) ==
        std::vector<std::string>{"0", "10", "20", "30", "40", "50", "60"});
  CHECK(labels({"", AxisScale::linear, -0.4, 1.0}, 118.0, 24.0) ==
        std::vector<std::string>{"0.0", "0.5", "1.0"});
  CHECK(labels({"", AxisScale::tokens, 1.0, 1048576.0}, 330.0, 24.0) ==
        std::vector<std::string>{"1", "10", "100", "1k", "10k", "100k", "1M"});
  CHECK(labels({"", AxisScale::tokens, 6300.0, 5.4e6}, 780.0, 58.0) ==
        std::vector<std::string>{"10k", "20k", "50k", "100k", "200k", "500k", "1M", "2M", "5M"});
  CHECK(labels({"", AxisScale::ratios, 0.12, 1.2}, 330.0, 24.0) ==
        std::vector<std::string>{"1/8", "1/4", "1/2", "1"});
  CHECK(labels({"", AxisScale::powers, 5e3, 2e12}, 330.0, 24.0) ==
        std::vector<std::string>{"10000", "100000", "1e6", "1e7", "1e8", "1e9", "1e10", "1e11",
                                 "1e12"});
  for (const AxisScale scale : {AxisScale::linear, AxisScale::tokens, AxisScale::ratios}) {
    for (const double length : {40.0, 118.0, 250.0, 700.0}) {
      const Axis axis{"", scale, 1.0, 3e6};
      double before = -1e9;
      for (const Tick& tick : ticks(axis, length, 24.0)) {
        CHECK(tick.value >= axis.low * (1.0 - 1e-9));
        CHECK(tick.value <= axis.high * (1.0 + 1e-9));
        if (tick.text.empty()) continue;
        const double place = length * axis.position(tick.value);
        CHECK(place - before >= 24.0 * (1.0 - 1e-9));
        before = place;
      }
    }
  }
}

TEST_CASE("a position on an axis is held to its ends") {
  const Axis axis{"", AxisScale::tokens, 1.0, 100.0};
  CHECK(axis.position(10.0) == Approx(0.5).epsilon(1e-15));
  CHECK(axis.position(0.1) == 0.0);
  CHECK(axis.position(1e9) == 1.0);
}

TEST_CASE("every series is drawn once, under its escaped name") {
  const std::string svg = draw(small_figure(), false);
  CHECK(count_of(svg, "data-series=") == 2);
  CHECK(count_of(svg, "data-series=\"&lt;rising&gt;\"") == 1);
  CHECK(svg.find("<rising>") == std::string::npos);
  CHECK(svg.find("data-figure=\"small\"") != std::string::npos);
  CHECK(count_of(svg, "<style>") == 0);
  CHECK(count_of(draw(small_figure(), true), "<style>") == 1);
}

TEST_CASE("a value that is no number breaks the line and nothing else") {
  Figure figure = small_figure();
  figure.panels[0].series[0].marks = false;
  figure.panels[0].series[0].points = {
      {0.0, 1.0}, {1.0, 10.0}, {2.0, std::numeric_limits<double>::quiet_NaN()}, {3.0, 100.0}};
  const std::string svg = draw(figure, false);
  CHECK(svg.find("nan") == std::string::npos);
  figure.panels[0].series[0].points[2].y = 1.0;
  CHECK(count_of(draw(figure, false), "M") + 1 == count_of(svg, "M"));
}

TEST_CASE("reference labels at neighbouring values stand on lines of their own") {
  Figure figure = small_figure();
  figure.references = {{Reference::Axis::x, 3.0, "a long label of one line", 0},
                       {Reference::Axis::x, 3.5, "a long label of another line", 1},
                       {Reference::Axis::y, 100.0, "low", 0},
                       {Reference::Axis::y, 101.0, "high", 1}};
  const std::string svg = draw(figure, false);
  const auto row_of = [&](const std::string& label) {
    const std::size_t end = svg.find(">" + label + "<");
    REQUIRE(end != std::string::npos);
    const std::size_t start = svg.rfind("y=\"", end) + 3;
    return std::stod(svg.substr(start, svg.find('"', start) - start));
  };
  // The left one has room at its left.
  CHECK(row_of("a long label of another line") == row_of("a long label of one line"));
  CHECK_THAT(svg, contains("text-anchor=\"end\">a long label of one line"));
  CHECK(row_of("low") - row_of("high") >= 17.0);
}
#endif
