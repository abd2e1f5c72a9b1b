// Where a curve of entropy bends upwards: where distraction begins. Row 9.
#pragma once

#include <ropewalk/analysis/entropy/line_fits.hpp>
#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_view.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Where entropy begins to rise faster.
struct EntropyKnee {
  double position = 0.0;   // where the two lines meet
  double log_error = 0.0;  // standard error of ln(position + 1), from the scatter about the lines
  double slope_before = 0.0;  // nats per e-fold of the position; attention spread evenly has 1
  double slope_after = 0.0;
  double gain = 0.0;  // by how much two lines explain the curve better, see KneeSearch
};

/// How a knee is looked for, and what counts as one. Against x = ln(position + 1) the curve of a
/// model that attends to a given number of tokens is level, that of one that attends to a given
/// share of them has slope 1, and each is a line; the knee is where the first goes over into the
/// second. So:
///   1. the positions from first_position on are gathered into bins_per_octave bins of equal width
///      in x, and the mean of each bin is one point, so that every octave counts alike;
///   2. two lines that meet in a point are fitted by least squares, the second the steeper one, at
///      least kEdgeBins bins under each;
///   3. the same is done with one line and with a parabola, which bends without a knee;
///   4. gain = n ln(S1 / S2) - p ln(n) with the sums of squares S1 of these and S2 of two lines,
///      and p the numbers that two lines have more: the difference of Schwarz's criterion. n is the
///      number of points, less what the correlation of neighbouring residuals takes from it;
///   5. it is a knee if the gain over one line is at least minimum_gain, that over a parabola at
///      least kParabolaGain, and the slope grows by at least minimum_slope_change.
/// Measured on 8192 made positions with noise of 0.05 nats, from white to correlated over 1000
/// positions: a bend from slope 0.2 to 0.8 was found in 99 of 100 curves and more, within 1% (white
/// noise) to 8% of its position; a straight line passed for a knee in up to 4 of 100, a parabola in
/// up to 7 (none in white noise), a curve that levels out never.
struct KneeSearch {
  static constexpr std::size_t kEdgeBins = 4;
  static constexpr double kParabolaGain = 2.0;  // from 2 on "positive" in Kass and Raftery 1995

  std::int64_t first_position = 32;    // >= 0; over a handful of keys any attention is nearly even
  int bins_per_octave = 8;             // 1 .. 64
  double minimum_gain = 10.0;          // >= 0; 10 is "very strong" in Kass and Raftery 1995
  double minimum_slope_change = 0.05;  // nats per e-fold, >= 0

  Fault validate() const noexcept {
    Fault fault = detail::check_length("first_position", first_position, 0);
    if (fault.code != Errc::ok) return fault;
    fault = detail::check_length("bins_per_octave", bins_per_octave, 1);
    if (fault.code != Errc::ok) return fault;
    if (bins_per_octave > 64) {
      return {Errc::above_maximum, "bins_per_octave", static_cast<double>(bins_per_octave)};
    }
    fault = detail::check_at_least("minimum_gain", minimum_gain, 0.0);
    if (fault.code != Errc::ok) return fault;
    return detail::check_at_least("minimum_slope_change", minimum_slope_change, 0.0);
  }
};

namespace detail {

/// Correlation of neighbouring residuals, 0 .. 0.99; below 0 counts as 0.
inline double residual_correlation(Span<const CurvePoint> points, const Hinge& hinge) {
  double products = 0.0;
  double squares = 0.0;
  double last = 0.0;
  for (const CurvePoint& point : points) {
    const double residual = point.y - hinge.at(point.x);
    products += residual * last;
    squares += residual * residual;
    last = residual;
  }
  const double correlation = squares > 0.0 ? products / squares : 0.0;
  return correlation < 0.0 ? 0.0 : (correlation > 0.99 ? 0.99 : correlation);
}

/// Means of bins of equal width in x = ln(position + 1); empty bins are left out.
inline std::vector<CurvePoint> log_bins(Span<const double> curve, std::int64_t first_position,
                                        int bins_per_octave) {
  constexpr double ln2 = 0.6931471805599453;
  const double per_x = static_cast<double>(bins_per_octave) / ln2;
  const double start = std::log(static_cast<double>(first_position) + 1.0);
  std::vector<CurvePoint> points;
  std::int64_t bin = -1;
  std::int64_t count = 0;
  const auto close = [&points, &count] {
    if (count == 0) return;
    points.back().x /= static_cast<double>(count);
  };
  for (auto i = static_cast<std::size_t>(first_position); i < curve.size(); ++i) {
    const double x = std::log(static_cast<double>(i) + 1.0);
    const auto own = static_cast<std::int64_t>((x - start) * per_x);
    if (own != bin) {
      close();
      points.push_back({});
      bin = own;
      count = 0;
    }
    points.back().x += x;
    points.back().y += (curve[i] - points.back().y) / static_cast<double>(++count);
  }
  close();
  return points;
}

}  // namespace detail

/// Where a curve of mean entropy bends upwards, or none: see KneeSearch for what that means.
///   curve        (positions,) nats, finite, position 0 first: EntropyCurve::mean() or of_head()
///   Returns      none where the curve has no knee, or too few positions to tell: 2 * kEdgeBins
///                bins are needed, a factor of 2 from first to last position at 8 bins per octave
///   Throws       std::invalid_argument naming what is unsound
inline std::optional<EntropyKnee> entropy_knee(Span<const double> curve,
                                               const KneeSearch& search = {}) {
  constexpr const char* where = "entropy_knee";
  detail::require(where, search.validate());
  double largest = 0.0;
  for (const double entropy : curve) {
    detail::require(where, detail::check_finite("curve", entropy));
    if (std::fabs(entropy) > largest) largest = std::fabs(entropy);
  }
  if (static_cast<std::size_t>(search.first_position) >= curve.size()) return std::nullopt;
  if (!(largest > 0.0)) return std::nullopt;
  std::vector<detail::CurvePoint> points =
      detail::log_bins(curve, search.first_position, search.bins_per_octave);
  if (points.size() < 2 * KneeSearch::kEdgeBins) return std::nullopt;

  const double middle = 0.5 * (points.front().x + points.back().x);
  const double width = points.back().x - points.front().x;
  for (detail::CurvePoint& point : points) {
    point.x = (point.x - middle) / width;
    point.y /= largest;
  }
  const detail::Hinge hinge = detail::fit_hinge(points, KneeSearch::kEdgeBins);
  if (!hinge.found) return std::nullopt;

  // Entropies come as float: below their rounding no fit is better than another.
  const auto count = static_cast<double>(points.size());
  constexpr double rounding = 5.9604644775390625e-08;
  const double least = count * rounding * rounding;
  const double correlation = detail::residual_correlation(points, hinge);
  const double share = (1.0 - correlation) / (1.0 + correlation);
  const double independent = count * share > 1.0 ? count * share : 1.0;
  const auto gain_over = [&](const detail::LinearFit& other, double numbers_less) {
    return independent * std::log((other.squares + least) / (hinge.squares + least)) -
           numbers_less * std::log(independent);
  };
  EntropyKnee knee;
  knee.slope_before = hinge.slope_before / width * largest;
  knee.slope_after = hinge.slope_after / width * largest;
  knee.gain = gain_over(detail::fit_line(points), 2.0);
  const double gain_over_parabola = gain_over(detail::fit_parabola(points), 1.0);
  const double change = knee.slope_after - knee.slope_before;
  if (!(knee.gain >= search.minimum_gain) || !(gain_over_parabola >= KneeSearch::kParabolaGain) ||
      !(change >= search.minimum_slope_change)) {
    return std::nullopt;
  }
  knee.position = std::exp(hinge.x * width + middle) - 1.0;
  // The derivative by where the lines meet is a step of the change of slope.
  const auto local = detail::fit_linear<4>(points, [&hinge](double x, double* row) {
    row[0] = 1.0;
    row[1] = x - hinge.x;
    row[2] = x > hinge.x ? x - hinge.x : 0.0;
    row[3] = x > hinge.x ? hinge.slope_after - hinge.slope_before : 0.0;
  });
  const double freedom = independent > 5.0 ? independent - 4.0 : 1.0;
  knee.log_error = width * std::sqrt(hinge.squares / freedom * local.last_inverse);
  return knee;
}

}  // namespace v0
}  // namespace ropewalk
