// Least squares with one line, two lines and a parabola. Row 9.
#pragma once

#include <ropewalk/head_view.hpp>

#include <cmath>
#include <cstddef>

namespace ropewalk {
inline namespace v0 {
namespace detail {

struct CurvePoint {
  double x = 0.0;
  double y = 0.0;
};

/// Least squares of a sum of up to four given functions of x, by the normal equations: the points
/// are centred and of width 1 by then, so these are well conditioned.
struct LinearFit {
  static constexpr std::size_t kMaximumTerms = 4;

  double factors[kMaximumTerms] = {};
  double squares = 0.0;       // sum of squared residuals
  double last_inverse = 0.0;  // last diagonal entry of the inverse of the normal matrix
  bool determined = false;
};

template <std::size_t kTerms, typename Terms>
LinearFit fit_linear(Span<const CurvePoint> points, Terms terms) {
  static_assert(kTerms <= LinearFit::kMaximumTerms, "raise kMaximumTerms");
  LinearFit fit;
  double matrix[kTerms][kTerms] = {};
  double factors[kTerms] = {};
  double row[kTerms] = {};
  for (const CurvePoint& point : points) {
    terms(point.x, row);
    for (std::size_t i = 0; i < kTerms; ++i) {
      for (std::size_t j = 0; j <= i; ++j) matrix[i][j] += row[i] * row[j];
      factors[i] += row[i] * point.y;
    }
  }
  // Cholesky; a pivot that cancels to rounding means that the points do not tell the terms apart.
  for (std::size_t i = 0; i < kTerms; ++i) {
    const double before = matrix[i][i];
    for (std::size_t j = 0; j < i; ++j) {
      for (std::size_t k = 0; k < j; ++k) matrix[i][j] -= matrix[i][k] * matrix[j][k];
      matrix[i][j] /= matrix[j][j];
      matrix[i][i] -= matrix[i][j] * matrix[i][j];
    }
    if (!(matrix[i][i] > 1e-12 * before)) return fit;
    matrix[i][i] = std::sqrt(matrix[i][i]);
    for (std::size_t k = 0; k < i; ++k) factors[i] -= matrix[i][k] * factors[k];
    factors[i] /= matrix[i][i];
  }
  fit.last_inverse = 1.0 / (matrix[kTerms - 1][kTerms - 1] * matrix[kTerms - 1][kTerms - 1]);
  for (std::size_t i = kTerms; i-- > 0;) {
    for (std::size_t k = i + 1; k < kTerms; ++k) factors[i] -= matrix[k][i] * factors[k];
    factors[i] /= matrix[i][i];
    fit.factors[i] = factors[i];
  }
  for (const CurvePoint& point : points) {
    terms(point.x, row);
    double residual = point.y;
    for (std::size_t i = 0; i < kTerms; ++i) residual -= factors[i] * row[i];
    fit.squares += residual * residual;
  }
  fit.determined = true;
  return fit;
}

inline LinearFit fit_line(Span<const CurvePoint> points) {
  return fit_linear<2>(points, [](double x, double* row) {
    row[0] = 1.0;
    row[1] = x;
  });
}

inline LinearFit fit_parabola(Span<const CurvePoint> points) {
  return fit_linear<3>(points, [](double x, double* row) {
    row[0] = 1.0;
    row[1] = x;
    row[2] = x * x;
  });
}

/// Two lines that meet at a given x.
struct Hinge {
  double x = 0.0;
  double level = 0.0;  // value at x
  double slope_before = 0.0;
  double slope_after = 0.0;
  double squares = 0.0;
  bool found = false;

  double at(double where) const noexcept {
    return level + (where - x) * (where < x ? slope_before : slope_after);
  }
};

/// The best two lines that meet anywhere inside, the second steeper, with at least `edge` points
/// under each, edge >= 2. Between two neighbouring points the best pair is either the free lines
/// through what lies left and right, where these meet in between, or meets at one of the two points
/// (Hudson 1966): so all are tried.
inline Hinge fit_hinge(Span<const CurvePoint> points, std::size_t edge) {
  Hinge best;
  const auto take = [&best](const Hinge& candidate) {
    if (!(candidate.slope_after > candidate.slope_before)) return;
    if (best.found && !(candidate.squares < best.squares)) return;
    best = candidate;
    best.found = true;
  };
  for (std::size_t point = edge - 1; point + edge <= points.size(); ++point) {
    const double here = points[point].x;
    const LinearFit bent = fit_linear<3>(points, [here](double x, double* row) {
      row[0] = 1.0;
      row[1] = x - here;
      row[2] = x > here ? x - here : 0.0;
    });
    if (bent.determined) {
      take({here, bent.factors[0], bent.factors[1], bent.factors[1] + bent.factors[2], bent.squares,
            true});
    }
    if (point + edge == points.size()) break;
    const std::size_t left = point + 1;
    const LinearFit before = fit_line({points.data(), left});
    const LinearFit after = fit_line({points.data() + left, points.size() - left});
    if (!before.determined || !after.determined) continue;
    const double rise = after.factors[1] - before.factors[1];
    if (!(rise > 0.0)) continue;
    const double meeting = (before.factors[0] - after.factors[0]) / rise;
    if (!(meeting >= here && meeting <= points[left].x)) continue;
    take({meeting, before.factors[0] + before.factors[1] * meeting, before.factors[1],
          after.factors[1], before.squares + after.squares, true});
  }
  return best;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
