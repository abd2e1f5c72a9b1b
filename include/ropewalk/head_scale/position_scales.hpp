// Laws of temperature.hpp as the table that attention takes, and their slopes' gradients. Row 9.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/temperature.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace ropewalk {
inline namespace v0 {

// The laws whose slope can be learned. Each gives the position_scale of a query at `position` and
// its derivative with respect to the slope; both check their arguments as the law does.

/// slope ln n, see ssmax_position_scale.
struct SsmaxPositionScale {
  double slope = 0.43;

  double operator()(std::int64_t position) const { return ssmax_position_scale(position, slope); }
  double slope_derivative(std::int64_t position) const {
    return chiang_cholak_position_scale(position);
  }
};

/// 1 + attn_scale ln(1 + floor((position + 1) / floor_scale)), see llama4_position_scale.
struct Llama4PositionScale {
  std::int64_t floor_scale = 8192;
  double attn_scale = 0.1;

  double operator()(std::int64_t position) const {
    return llama4_position_scale(position, floor_scale, attn_scale);
  }
  double slope_derivative(std::int64_t position) const {
    (*this)(position);
    return std::log(1.0 + static_cast<double>((position + 1) / floor_scale));
  }
};

/// 1 + beta ln(1 + floor(position / original_length)), see ministral_position_scale.
struct MinistralPositionScale {
  std::int64_t original_length = 0;
  double beta = 0.1;

  double operator()(std::int64_t position) const {
    return ministral_position_scale(position, original_length, beta);
  }
  double slope_derivative(std::int64_t position) const {
    (*this)(position);
    return std::log(1.0 + static_cast<double>(position / original_length));
  }
};

/// 1 + slope ln(n / original_length) beyond the trained length, 1 within it: the uniform law of
/// nope_softmax_multiplier at the length that each query sees, n = position + 1.
struct NopePositionScale {
  std::int64_t original_length = 0;  // tokens, 1 .. 2^53
  double slope = 0.0;                // finite, >= 0

  double operator()(std::int64_t position) const {
    return nope_softmax_multiplier(factor(position), slope);
  }
  double slope_derivative(std::int64_t position) const {
    (*this)(position);
    const double longer = factor(position);
    return longer > 1.0 ? std::log(longer) : 0.0;
  }

 private:
  double factor(std::int64_t position) const {
    constexpr const char* where = "NopePositionScale";
    const double keys = detail::visible_keys(where, position);
    return keys / detail::length_of(where, "original_length", original_length, 1);
  }
};

/// The table of a law for the queries at positions first .. first + count - 1, as
/// AttentionOptions::position_scale takes it.
///   law          double(std::int64_t position): one of those above, or a function of
///                temperature.hpp in a lambda
///   first        >= 0
///   count        >= 0, first + count <= 2^53
///   Returns      (count,), every entry >= 0 and finite as float, in which attention forms logits
///   Max error    that of the law
///   Throws       std::invalid_argument: what the law refuses, or the first position whose value is
///                negative, or not finite as float
template <typename Law>
std::vector<double> position_scales(const Law& law, std::int64_t first, std::int64_t count) {
  static_assert(std::is_invocable_r_v<double, const Law&, std::int64_t>,
                "position_scales needs a law: double operator()(std::int64_t position) const");
  constexpr const char* where = "position_scales";
  constexpr double largest = static_cast<double>((std::numeric_limits<float>::max)());
  detail::require(where, detail::check_length("first", first, 0));
  detail::require(where, detail::check_length("count", count, 0));
  detail::require(where, detail::check_length("first + count", first + count, 0));
  std::vector<double> table;
  table.reserve(static_cast<std::size_t>(count));
  for (std::int64_t position = first; position < first + count; ++position) {
    const double value = law(position);
    const double at = static_cast<double>(position);
    if (!detail::is_finite(value) || value > largest) {
      detail::refuse(where, {Errc::result_not_finite, "position", at});
    }
    if (value < 0.0) detail::refuse(where, {Errc::no_solution, "position", at});
    table.push_back(value);
  }
  return table;
}

/// d loss / d slope of a law from d loss / d position_scale of its table, by the chain rule.
///   law            one of those above
///   first          position of the first query, >= 0
///   gradient       (queries,) as attention's backward pass gives it
///   Max error      (queries + 3) eps sum of |gradient x slope_derivative|
///   Throws         std::invalid_argument: what the law refuses, or an entry that is not finite
template <typename Law>
double slope_gradient(const Law& law, std::int64_t first, Span<const double> gradient) {
  constexpr const char* where = "slope_gradient";
  detail::require(where, detail::check_length("first", first, 0));
  double sum = 0.0;
  std::int64_t position = first;
  for (const double value : gradient) {
    if (!detail::is_finite(value)) {
      detail::refuse(where,
                     {Errc::not_finite, "gradient", value, static_cast<int>(position - first)});
    }
    sum += value * law.slope_derivative(position);
    ++position;
  }
  return detail::finite_result(where, "gradient", sum, sum);
}

}  // namespace v0
}  // namespace ropewalk
