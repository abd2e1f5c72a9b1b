// How two figures of the same heads go together. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_view.hpp>

#include <cmath>
#include <cstddef>
#include <optional>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Correlation of two lists, -1 .. 1.
struct Correlation {
  double pearson = 0.0;   // of the values: how far they lie on a line
  double spearman = 0.0;  // of their ranks: how far one rises with the other
};

namespace detail {

/// Pearson's coefficient; neither list constant.
inline double pearson(Span<const double> x, Span<const double> y) {
  const auto centred = [](Span<const double> values) {
    double largest = 0.0;  // divided by first: neither a square nor a sum may leave double's range
    for (const double value : values) {
      if (std::fabs(value) > largest) largest = std::fabs(value);
    }
    std::vector<double> result;
    result.reserve(values.size());
    double sum = 0.0;
    for (const double value : values) {
      result.push_back(value / largest);
      sum += result.back();
    }
    const double mean = sum / static_cast<double>(values.size());
    double deviation = 0.0;
    for (double& value : result) {
      value -= mean;
      if (std::fabs(value) > deviation) deviation = std::fabs(value);
    }
    for (double& value : result) value /= deviation;
    return result;
  };
  const std::vector<double> a = centred(x);
  const std::vector<double> b = centred(y);
  double products = 0.0;
  double squares_a = 0.0;
  double squares_b = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    products += a[i] * b[i];
    squares_a += a[i] * a[i];
    squares_b += b[i] * b[i];
  }
  const double result = products / std::sqrt(squares_a * squares_b);
  return result > 1.0 ? 1.0 : (result < -1.0 ? -1.0 : result);
}

/// Rank of every value from 1; equal values share the mean of their ranks.
inline std::vector<double> mean_ranks(Span<const double> values) {
  std::vector<double> ranks;
  ranks.reserve(values.size());
  for (const double value : values) {
    std::size_t below = 0;
    std::size_t equal = 0;
    for (const double other : values) {
      if (other < value) ++below;
      if (other == value) ++equal;
    }
    ranks.push_back(static_cast<double>(below) + 0.5 * (static_cast<double>(equal) + 1.0));
  }
  return ranks;
}

}  // namespace detail

/// Pearson's and Spearman's correlation; of the converged entropies of the heads and their scales,
/// what figure 5 of Wang et al. 2024, arXiv 2404.12224 shows layer by layer.
///   x, y         of one size, finite
///   Returns      none for fewer than two values, or where one list is the same value throughout
///   Time         quadratic: 0.1 s for 10000 values
///   Throws       std::invalid_argument naming the entry that is not finite, or the size
inline std::optional<Correlation> correlation(Span<const double> x, Span<const double> y) {
  constexpr const char* where = "correlation";
  if (x.size() != y.size()) {
    detail::refuse(where, {Errc::wrong_count, "y.size", static_cast<double>(y.size())});
  }
  const auto varies = [](const char* field, Span<const double> values) {
    bool differs = false;
    for (std::size_t i = 0; i < values.size(); ++i) {
      Fault fault = detail::check_finite(field, values[i]);
      fault.index = static_cast<int>(i);
      detail::require(where, fault);
      if (values[i] != values[0]) differs = true;
    }
    return differs;
  };
  const bool x_varies = varies("x", x);
  const bool y_varies = varies("y", y);
  if (!x_varies || !y_varies) return std::nullopt;
  return Correlation{detail::pearson(x, y),
                     detail::pearson(detail::mean_ranks(x), detail::mean_ranks(y))};
}

}  // namespace v0
}  // namespace ropewalk
