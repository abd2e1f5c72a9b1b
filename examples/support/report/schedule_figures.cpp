#include <ropewalk/analysis/coverage.hpp>
#include <ropewalk/theta.hpp>
#include <support/report/schedule_figures.hpp>
#include <support/report/svg.hpp>
#include <support/report/theta_figure.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace rw = ropewalk;

namespace report {

namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kBuckets = 200;  // of the distances

std::string tokens_of(std::int64_t length) { return grouped(static_cast<double>(length)); }

Reference upright(double value, std::string label, int dashes) {
  return {Reference::Axis::x, value, std::move(label), dashes};
}

Reference level(double value, std::string label, int dashes) {
  return {Reference::Axis::y, value, std::move(label), dashes};
}

class Figures {
 public:
  explicit Figures(const ScheduleReport& report) : report_(report) {
    one_ = rw::coverage(trained(), report.trained_length(), trained(), report.trained_length());
    three_ = rw::coverage(trained(), report.trained_length(), trained(), report.trained_length(),
                          rw::kThreeTurns);
    int style = 0;
    for (const ScheduleEntry& entry : report.entries) {
      if (entry.applies()) applied_.push_back({&entry, style});
      ++style;
    }
  }

  LabelledFigure wavelengths() const {
    LabelledFigure labelled = begin("wavelengths", "Wavelength of every pair");
    labelled.reading =
        "A pair below the trained length turned fully in training and has no angle left to meet. "
        "One above it is safe only while its wavelength grows by as much as the text does.";
    labelled.evidence =
        "Liu et al. 2023 predict from it where perplexity breaks after tuning, for many bases of "
        "one family of models. Three turns rather than one fit the first slow pair that LongRoPE2 "
        "found by search in two models.";
    labelled.role = rw::FigureRole::gate;
    Figure& figure = labelled.figure;
    figure.y = {"tokens in one turn", AxisScale::tokens, 1.0, 1.0};
    add_pair_series(figure, [](double, double after) {
      return after > 0.0 ? rw::wavelength(after) : kNothing;
    });
    const double trained_length = static_cast<double>(report_.trained_length());
    const double target = static_cast<double>(report_.length.target_length);
    figure.y.high = std::max(figure.y.high, target) * 1.3;
    figure.references.push_back(
        level(trained_length, "trained " + tokens_of(report_.trained_length()), 0));
    if (target > trained_length) {
      figure.references.push_back(
          level(target, "target " + tokens_of(report_.length.target_length), 2));
    }
    add_critical_pairs(figure);
    return labelled;
  }

  LabelledFigure ratios() const {
    LabelledFigure labelled = begin("frequency-ratios", "New over trained frequency of every pair");
    labelled.reading =
        "At 1 a pair turns as it did in training, at the dashed line it is slowed by the whole "
        "factor. Fast pairs tell neighbouring tokens apart; slow pairs are those that need it.";
    labelled.evidence =
        "Explains in words why position interpolation loses on short texts; no measurement ties "
        "the ratio to quality.";
    Figure& figure = labelled.figure;
    figure.y = {"new / trained frequency", AxisScale::ratios, 1.0, 1.0};
    add_pair_series(figure, [](double before, double after) {
      return before > 0.0 && after > 0.0 ? after / before : kNothing;
    });
    const double factor = static_cast<double>(report_.length.target_length) /
                          static_cast<double>(report_.trained_length());
    figure.y.low = std::min(figure.y.low, 1.0 / factor) / 1.2;
    figure.y.high = std::max(figure.y.high, 1.0) * 1.2;
    if (factor > 1.0)
      figure.references.push_back(level(1.0 / factor, "1 / " + number_text(factor), 0));
    add_critical_pairs(figure);
    return labelled;
  }

  LabelledFigure cosine_sums() const {
    LabelledFigure labelled = begin("cosine-sums", "B(m) over distance");
    labelled.role = rw::FigureRole::hint;
    labelled.reading =
        "B(m) is the sum of the pairs' cosines at distance m; here it is divided by the number of "
        "pairs. The line is its mean over neighbouring distances, the band goes from the smallest "
        "to the largest. Below 0 a key that resembles the query gets less weight than a random "
        "one.";
    labelled.evidence = rw::describe(rw::ScheduleFigure::first_negative_ratio).evidence;
    Figure& figure = labelled.figure;
    const double target = static_cast<double>(report_.length.target_length);
    figure.x = {"distance m, tokens", AxisScale::tokens, 1.0, target};
    figure.y = {"B(m) / pairs", AxisScale::linear, 0.0, 1.0};
    for (const Applied& applied : applied_) figure.panels.push_back(cosine_panel(applied));
    for (const Panel& panel : figure.panels) {
      for (const BandPoint& point : panel.bands.front().points)
        figure.y.low = std::min(figure.y.low, point.low);
    }
    figure.y.low = std::floor(figure.y.low * 10.0) / 10.0;
    figure.columns = columns();
    figure.references = {level(0.0, "B(m) = 0", 3)};
    if (report_.length.target_length > report_.trained_length()) {
      figure.references.push_back(
          upright(static_cast<double>(report_.trained_length()), "trained length", 0));
    }
    figure.legend_bands = {{"smallest to largest B(m)", BandStyle::spread}};
    return labelled;
  }

  LabelledFigure angle_coverage() const {
    LabelledFigure labelled = begin("angle-coverage", "Angle coverage of every pair");
    labelled.role = rw::FigureRole::gate;
    labelled.reading =
        "How much of one turn each pair reached in training (grey) and reaches at the target "
        "(line). What sticks out of the grey are angles the model never saw.";
    labelled.evidence = rw::describe(rw::ScheduleFigure::over_range_pairs).evidence;
    Figure& figure = labelled.figure;
    figure.y = {"turns reached, at most 1", AxisScale::linear, 0.0, 1.0};
    for (const Applied& applied : applied_) figure.panels.push_back(coverage_panel(applied));
    figure.columns = columns();
    figure.legend_bands = {{"reached in training", BandStyle::quiet},
                           {"beyond it at the target", BandStyle::warning}};
    return labelled;
  }

  LabelledFigure precision() const {
    const ScheduleEntry* featured = nullptr;
    for (const Applied& applied : applied_) {
      if (applied.entry->compared == report_.featured) featured = applied.entry;
    }
    LabelledFigure labelled =
        begin("precision-budget", "Last position with exact enough angles" +
                                      (featured == nullptr || featured->method == "none"
                                           ? " as trained"
                                           : " under " + featured->title));
    labelled.reading =
        "The largest position up to which the pair's cosine stays within " +
        number_text(report_.error_bound) +
        " of the exact one, for four ways of forming the angle. A line at the top holds at every "
        "position that was looked at.";
    labelled.evidence =
        "Arithmetic, proven for every position; what an error costs in quality is measured "
        "nowhere. Errors that the model was trained with hurt less than new ones.";
    Figure& figure = labelled.figure;
    figure.y = {"last position within the bound", AxisScale::tokens, 1.0,
                2.0 * static_cast<double>(report_.precision_limit)};
    const auto& budgets = report_.precision[report_.featured];
    Panel panel;
    for (std::size_t way = 0; way < budgets.size(); ++way) {
      Series series;
      series.name = kPrecisionWays[way].title;
      series.style = static_cast<int>(way) + 1;
      double pair = 0.0;
      for (const std::int64_t position : budgets[way].pair_safe_position)
        series.points.push_back({pair++, std::max(1.0, static_cast<double>(position))});
      panel.series.push_back(std::move(series));
    }
    figure.panels.push_back(std::move(panel));
    add_length_references(figure);
    return labelled;
  }

 private:
  struct Applied {
    const ScheduleEntry* entry;
    int style;
  };

  const rw::Spectrum& trained() const { return report_.comparison.trained; }
  double last_pair() const { return static_cast<double>(trained().pairs() - 1); }

  static std::string number_text(double value) {
    std::string text = fixed(value, value < 1.0 ? 6 : 2);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
  }

  LabelledFigure begin(const char* id, const std::string& what) const {
    LabelledFigure labelled;
    Figure& figure = labelled.figure;
    figure.id = id;
    figure.title =
        what + ", " + report_.title + " to " + tokens_of(report_.length.target_length) + " tokens";
    figure.x = {"pair, 0 turns fastest", AxisScale::linear, 0.0, std::max(1.0, last_pair())};
    return labelled;
  }

  int columns() const { return applied_.size() <= 4 ? 2 : 3; }

  Series series_of(const Applied& applied) const {
    Series series;
    series.name = applied.entry->title;
    series.style = applied.style;
    return series;
  }

  /// One line per schedule; the vertical axis then holds all of them.
  template <typename ValueOf>
  void add_pair_series(Figure& figure, ValueOf value_of) const {
    Panel panel;
    double low = std::numeric_limits<double>::max();
    double high = 0.0;
    for (const Applied& applied : applied_) {
      Series series = series_of(applied);
      const rw::Spectrum& extended = report_.compared(*applied.entry).spectrum;
      for (std::size_t pair = 0; pair < extended.inv_freq.size(); ++pair) {
        const double value = value_of(trained().inv_freq[pair], extended.inv_freq[pair]);
        series.points.push_back({static_cast<double>(pair), value});
        if (!std::isfinite(value)) continue;
        low = std::min(low, value);
        high = std::max(high, value);
      }
      panel.series.push_back(std::move(series));
    }
    figure.y.low = high > 0.0 ? low : 1.0;
    figure.y.high = high > 0.0 ? high : 1.0;
    figure.panels.push_back(std::move(panel));
  }

  /// Where pairs begin that never turned fully, and that never turned three times.
  void add_critical_pairs(Figure& figure) const {
    const auto add = [&](const rw::Coverage& coverage, const std::string& label, int dashes) {
      if (coverage.incomplete_pairs == 0) return;
      figure.references.push_back(
          upright(static_cast<double>(coverage.complete_pairs) - 0.5, label, dashes));
    };
    add(three_, "under 3 turns in training: pair " + std::to_string(three_.complete_pairs), 1);
    add(one_,
        "under 1 turn: pair " + std::to_string(one_.complete_pairs) + ", critical dimension " +
            std::to_string(2 * one_.complete_pairs),
        2);
  }

  void add_length_references(Figure& figure) const {
    figure.references.push_back(level(static_cast<double>(report_.trained_length()),
                                      "trained " + tokens_of(report_.trained_length()), 0));
    if (report_.length.target_length > report_.trained_length()) {
      figure.references.push_back(level(static_cast<double>(report_.length.target_length),
                                        "target " + tokens_of(report_.length.target_length), 2));
    }
  }

  Panel cosine_panel(const Applied& applied) const {
    const rw::ComparedSchedule& compared = report_.compared(*applied.entry);
    Panel panel;
    panel.title = applied.entry->title;
    panel.note = "no B(m) < 0 within the target";
    if (const auto first = compared.figures.first_negative_distance)
      panel.note = "first B(m) < 0 at m = " + tokens_of(*first);
    Series series = series_of(applied);
    series.marks = false;
    series.solid = true;
    Band band;
    band.band_style = BandStyle::spread;
    band.style = applied.style;
    const rw::PhaseTurns turns = rw::phase_turns(compared.spectrum);
    const double pairs = static_cast<double>(compared.spectrum.pairs());
    std::vector<double> sums;
    std::int64_t first = 1;
    const std::int64_t target = report_.length.target_length;
    for (std::size_t bucket = 0; bucket < kBuckets && first <= target; ++bucket) {
      const double share = static_cast<double>(bucket + 1) / static_cast<double>(kBuckets);
      const double edge = std::exp(share * std::log(static_cast<double>(target)));
      std::int64_t last = std::min(target, static_cast<std::int64_t>(std::floor(edge + 1e-6)));
      if (bucket + 1 == kBuckets) last = target;
      if (last < first) continue;
      const BandPoint point = spread(turns, first, last, sums, series);
      band.points.push_back({point.x, point.low / pairs, point.high / pairs});
      series.points.back().y /= pairs;
      first = last + 1;
    }
    panel.bands.push_back(std::move(band));
    panel.series.push_back(std::move(series));
    return panel;
  }

  /// Smallest and largest B over a run of distances; its mean goes to the series.
  static BandPoint spread(const rw::PhaseTurns& turns, std::int64_t first, std::int64_t last,
                          std::vector<double>& sums, Series& series) {
    constexpr std::int64_t block = 4096;
    const double middle =
        std::sqrt(static_cast<double>(first)) * std::sqrt(static_cast<double>(last));
    BandPoint point{middle, std::numeric_limits<double>::max(),
                    std::numeric_limits<double>::lowest()};
    double total = 0.0;
    for (std::int64_t at = first; at <= last; at += block) {
      const std::int64_t count = std::min(block, last - at + 1);
      sums.resize(static_cast<std::size_t>(count));
      rw::fill_cosine_sums(turns, at, count, sums.data());
      for (const double sum : sums) {
        point.low = std::min(point.low, sum);
        point.high = std::max(point.high, sum);
        total += sum;
      }
    }
    series.points.push_back({middle, total / static_cast<double>(last - first + 1)});
    return point;
  }

  Panel coverage_panel(const Applied& applied) const {
    const rw::ComparedSchedule& compared = report_.compared(*applied.entry);
    const std::vector<rw::PairRange> ranges = rw::pair_ranges(
        trained(), report_.trained_length(), compared.spectrum, report_.length.target_length);
    Panel panel;
    panel.title = applied.entry->title;
    const int over = compared.figures.over_range_pairs;
    panel.note = "no pair over range";
    if (over > 0) {
      panel.note = std::to_string(over) + (over == 1 ? " pair" : " pairs") + " over range by " +
                   fixed(compared.figures.excess_turns, 2) + " turns";
    }
    Series series = series_of(applied);
    series.marks = false;
    series.solid = true;
    Band seen;
    Band beyond;
    beyond.band_style = BandStyle::warning;
    double pair = 0.0;
    for (const rw::PairRange& range : ranges) {
      const double before = std::min(1.0, range.trained_turns);
      const double after = std::min(1.0, range.target_turns);
      seen.points.push_back({pair, 0.0, before});
      const double top = range.over_range ? after : before;
      beyond.points.push_back({pair, before, top});
      series.points.push_back({pair, after});
      ++pair;
    }
    panel.bands.push_back(std::move(seen));
    if (over > 0) panel.bands.push_back(std::move(beyond));
    panel.series.push_back(std::move(series));
    return panel;
  }

  const ScheduleReport& report_;
  std::vector<Applied> applied_;
  rw::Coverage one_;
  rw::Coverage three_;
};

}  // namespace

std::vector<LabelledFigure> schedule_figures(const ScheduleReport& report) {
  const Figures figures(report);
  std::vector<LabelledFigure> all = {figures.wavelengths(), figures.ratios(),
                                     figures.cosine_sums(), figures.angle_coverage(),
                                     figures.precision(),   theta_figure(report)};
  for (LabelledFigure& labelled : all) labelled.figure.text = labelled.reading;
  return all;
}

}  // namespace report
