// The one slope of 1 + slope ln(factor) that a model's best uniform scales ask for. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_view.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>

namespace ropewalk {
inline namespace v0 {

/// A fitted law head_scale = 1 + slope ln(factor), for nope_softmax_multiplier.
struct UniformFit {
  double slope = 0.0;           // may come out negative, which that law refuses
  double standard_error = 0.0;  // of the slope: sqrt(squared residuals / (n - 1) / sum of ln^2);
                                // 0 for one pair, which says nothing about it
  std::optional<double> r_squared =
      {};  // see fit_uniform_scale; nothing where all scales are equal
};

namespace detail {

inline Fault entry(Fault fault, std::size_t index) noexcept {
  fault.index = static_cast<int>(index);
  return fault;
}

inline Fault check_uniform_fit(Span<const double> factors,
                               Span<const double> head_scales) noexcept {
  const double pairs = static_cast<double>(factors.size());
  if (head_scales.size() != factors.size()) {
    return {Errc::wrong_count, "head_scales", static_cast<double>(head_scales.size())};
  }
  if (factors.size() > static_cast<std::size_t>((std::numeric_limits<int>::max)())) {
    return {Errc::above_maximum, "factors", pairs};
  }
  bool beyond = false;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    if (const Fault fault = check_factor(factors[i]); fault.code != Errc::ok) {
      return entry({fault.code, "factors", fault.value}, i);
    }
    if (const Fault fault = check_positive("head_scales", head_scales[i]); fault.code != Errc::ok) {
      return entry(fault, i);
    }
    beyond = beyond || factors[i] > 1.0;
  }
  if (!beyond) return {Errc::no_solution, "factors", pairs};
  return {};
}

}  // namespace detail

/// Least squares of head_scale = 1 + slope ln(factor): one parameter, and the line goes through
/// (1, 1), where the model is as it was trained.
///   factors       length / trained length, 1 .. 2^53; at least one above 1
///   head_scales   best uniform head_scale at each of them, > 0
///   Returns       slope = sum of (head_scale - 1) ln(factor) / sum of ln(factor)^2. r_squared is 1 -
///                 (sum of squared residuals) / (sum of squared deviations of the scales from their
///                 mean): the share of their spread that the law explains, as published fits state
///                 it. A pair with factor 1 enters it and not the slope; a law that does worse than
///                 the mean makes it negative
///   Max error     (n + 5) eps sum of |(head_scale - 1) ln(factor)| / sum of ln(factor)^2, n pairs
///   Source        Wang et al. 2024, arXiv 2404.12224: 0.3010 and 0.3973 for two checkpoints
///   Throws        std::invalid_argument: lists of different lengths, no factor above 1 (an empty
///                 list among them), or what is no such number, by its index
inline UniformFit fit_uniform_scale(Span<const double> factors, Span<const double> head_scales) {
  constexpr const char* where = "fit_uniform_scale";
  detail::require(where, detail::check_uniform_fit(factors, head_scales));
  const std::size_t pairs = factors.size();
  double products = 0.0;
  double squares = 0.0;
  double mean = 0.0;
  for (std::size_t i = 0; i < pairs; ++i) {
    const double log = std::log(factors[i]);
    products += (head_scales[i] - 1.0) * log;
    squares += log * log;
    mean += head_scales[i] / static_cast<double>(pairs);
  }
  UniformFit fit;
  fit.slope = products / squares;
  double residuals = 0.0;
  double spread = 0.0;
  bool differ = false;
  for (std::size_t i = 0; i < pairs; ++i) {
    const double residual = head_scales[i] - (1.0 + fit.slope * std::log(factors[i]));
    residuals += residual * residual;
    spread += (head_scales[i] - mean) * (head_scales[i] - mean);
    differ = differ || head_scales[i] != head_scales[0];
  }
  detail::finite_result(where, "head_scales", head_scales[0], residuals + spread);
  if (pairs > 1) {
    fit.standard_error = std::sqrt(residuals / (static_cast<double>(pairs) - 1.0) / squares);
  }
  if (differ && spread > 0.0) fit.r_squared = 1.0 - residuals / spread;
  return fit;
}

}  // namespace v0
}  // namespace ropewalk
