// The best scale that all heads share, by trying them in steps of 0.01. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// The scales first/100, (first + 1)/100, ... last/100. Whole hundredths, so that nothing drifts.
/// head_scale multiplies on top of softmax_scale: a paper's 1/sqrt(d) is 100 of them.
struct HeadScaleGrid {
  int first = 100;  // hundredths, 1 .. 100000
  int last = 200;   // hundredths, included

  int points() const noexcept { return last - first + 1; }

  /// 0 <= point < points(); the nearest double to a whole number of hundredths.
  double head_scale(int point) const noexcept { return (first + point) / 100.0; }

  /// Errc::ok, or the field that is out of range.
  Fault validate() const noexcept {
    constexpr int largest = 100000;
    if (first < 1) return {Errc::below_minimum, "first", static_cast<double>(first)};
    if (last > largest) return {Errc::above_maximum, "last", static_cast<double>(last)};
    if (last < first) return {Errc::wrong_order, "last", static_cast<double>(last)};
    return {};
  }
};

/// The grid from one scale to another, both included.
///   lowest, highest   0.01 <= lowest <= highest <= 1000, whole hundredths to within 1e-9
///   Throws            std::invalid_argument naming field and value
inline HeadScaleGrid head_scale_grid(double lowest, double highest) {
  const auto hundredths = [](const char* field, double head_scale) {
    constexpr const char* where = "head_scale_grid";
    detail::require(where, detail::check_at_least(field, head_scale, 0.01));
    if (head_scale > 1000.0) detail::refuse(where, {Errc::above_maximum, field, head_scale});
    const double whole = std::round(100.0 * head_scale);
    if (!(std::fabs(head_scale - whole / 100.0) <= 1e-9)) {
      detail::refuse(where, {Errc::indivisible, field, head_scale});
    }
    return static_cast<int>(whole);
  };
  const HeadScaleGrid grid{hundredths("lowest", lowest), hundredths("highest", highest)};
  if (grid.last < grid.first) {
    detail::refuse("head_scale_grid", {Errc::wrong_order, "highest", highest});
  }
  return grid;
}

/// A scale and what the caller's loss said of it.
struct HeadScaleLoss {
  double head_scale = 1.0;
  double loss = 0.0;
};

/// The best scale, and the whole curve it was chosen from.
struct UniformScaleSearch {
  HeadScaleLoss best = {};
  std::vector<HeadScaleLoss> curve = {};  // (points,) by rising scale, losses as they came
  int not_finite = 0;                     // entries of the curve whose loss is not finite
};

/// Tries every scale of a grid, from the smallest on, once each.
///   loss         double(double head_scale), smaller is better. NaN or infinite (a perplexity that
///                overflowed) is kept in the curve, counted, and never the best
///   Returns      of equal losses the one of the smaller scale
///   Source       Wang et al. 2024, arXiv 2404.12224, in steps of 0.01
///   Throws       std::invalid_argument: an unsound grid, or no finite loss at all
template <typename Loss>
UniformScaleSearch search_uniform_scale(const HeadScaleGrid& grid, Loss&& loss) {
  static_assert(std::is_invocable_r_v<double, Loss&, double>,
                "search_uniform_scale needs a loss: double operator()(double head_scale)");
  constexpr const char* where = "search_uniform_scale";
  detail::require(where, grid.validate());
  UniformScaleSearch result;
  result.curve.reserve(static_cast<std::size_t>(grid.points()));
  bool found = false;
  for (int point = 0; point < grid.points(); ++point) {
    const double head_scale = grid.head_scale(point);
    const HeadScaleLoss tried{head_scale, loss(head_scale)};
    result.curve.push_back(tried);
    if (!detail::is_finite(tried.loss)) {
      ++result.not_finite;
    } else if (!found || tried.loss < result.best.loss) {
      result.best = tried;
      found = true;
    }
  }
  if (!found) detail::refuse(where, {Errc::no_solution, "loss", result.curve.front().loss});
  return result;
}

}  // namespace v0
}  // namespace ropewalk
