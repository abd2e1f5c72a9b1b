// YaRN as the code has it: the ramp runs over pair indices. Row 5.
#pragma once

#include <ropewalk/scaling/ntk_by_parts.hpp>
#include <ropewalk/temperature.hpp>

#include <cmath>
#include <optional>

namespace ropewalk {
inline namespace v0 {

/// Pairs faster than index `low` are kept, slower than `high` slowed by factor, those between mixed
/// linearly in the pair index; low and high are the pairs that turned beta_fast and beta_slow times
/// in training. cos and sin carry attention_factor, so logits carry its square.
///   Source       jquesnelle/yarn and Hugging Face rope_type "yarn" (Peng et al. 2023, arXiv
///                2309.00071, whose text has NtkByParts' ramp instead)
struct Yarn {
  double factor = 1.0;                // finite, >= 1
  double beta_fast = 32.0;            // rotations; finite, > 0, >= beta_slow
  double beta_slow = 1.0;             // rotations; finite, > 0
  bool truncate = true;               // round low down and high up; gpt-oss does not
  double extrapolation_factor = 1.0;  // 0 .. 1: share of the unscaled frequency where it is kept
  double attn_factor = 1.0;           // finite, > 0: the reference code's extra multiplier
  std::optional<double> mscale = std::nullopt;  // DeepSeek: numerator's slope; used only with both
  std::optional<double> mscale_all_dim = std::nullopt;  // DeepSeek: denominator's slope
  std::optional<double> explicit_attention_factor =
      std::nullopt;  // final value, replaces the formula; >= 0

  struct CorrectionRange {
    double low = 0.0;
    double high = 0.0;
  };

  Fault validate(const RopeConfig& config) const noexcept {
    const NtkByParts ramp{factor, beta_fast, beta_slow};
    if (const Fault fault = ramp.validate(config); fault.code != Errc::ok) return fault;
    if (const Fault fault =
            detail::check_at_least("extrapolation_factor", extrapolation_factor, 0.0);
        fault.code != Errc::ok) {
      return fault;
    }
    if (extrapolation_factor > 1.0) {
      return {Errc::above_maximum, "extrapolation_factor", extrapolation_factor};
    }
    if (const Fault fault = detail::check_positive("attn_factor", attn_factor);
        fault.code != Errc::ok) {
      return fault;
    }
    if (attn_factor > kLargestScale) return {Errc::above_maximum, "attn_factor", attn_factor};
    const struct {
      const char* field;
      const std::optional<double>& value;
    } optionals[] = {{"mscale", mscale},
                     {"mscale_all_dim", mscale_all_dim},
                     {"attention_factor", explicit_attention_factor}};
    for (const auto& [field, value] : optionals) {
      if (!value) continue;
      if (const Fault fault = detail::check_at_least(field, *value, 0.0); fault.code != Errc::ok) {
        return fault;
      }
      if (*value > kLargestScale) return {Errc::above_maximum, field, *value};
    }
    if (factor > 1.0) {
      // Every pair, or none, on one side of both ends: the reference code then runs its ramp
      // backwards and slows what it means to keep.
      const CorrectionRange range = correction_range(config);
      if (!(range.low <= range.high)) return {Errc::no_solution, "beta_fast", beta_fast};
    }
    return {};
  }

  /// The pair indices between which frequencies are mixed. Rounded outwards where truncate is set,
  /// then held to 0 and rotary_dim - 1 (not pairs - 1, as in the reference code).
  CorrectionRange correction_range(const RopeConfig& config) const noexcept {
    const Ends range = ends(config);
    return {range.low.high, range.high.high};
  }

  /// Radians per token. Max error 4 ULP times the condition number of the ramp.
  double inv_freq(const RopeConfig& config, int pair) const {
    const double plain = inverse_frequency(config, pair);
    if (factor == 1.0) return plain;
    // The kept share itself and not 1 minus the slowed one: next to the slow end it is tiny.
    const Ends range = ends(config);
    const double kept =
        detail::divide(detail::subtract(range.high, {static_cast<double>(pair), 0.0}),
                       detail::subtract(range.high, range.low))
            .high;
    const double keep = kept < 0.0 ? 0.0 : kept > 1.0 ? 1.0 : kept;
    return detail::blend(plain, factor, keep * extrapolation_factor);
  }

  /// The factor on cos and sin: the explicit one; else, with both slopes given and not zero, the
  /// ratio of the two laws; else 0.1 ln(factor) + 1. Max error 4 ULP.
  double attention_factor(const RopeConfig&) const {
    if (explicit_attention_factor) return *explicit_attention_factor;
    const bool ratio = mscale.value_or(0.0) > 0.0 && mscale_all_dim.value_or(0.0) > 0.0;
    if (ratio) return attn_factor * deepseek_attention_factor(factor, *mscale, *mscale_all_dim);
    return attn_factor * yarn_attention_factor(factor);
  }

  /// What DeepSeek's models multiply the softmax scale by: the square of the law with slope
  /// mscale_all_dim, 1 where that is not given. Other models with the same keys do not.
  double softmax_multiplier() const {
    if (!mscale_all_dim) return 1.0;
    return deepseek_softmax_multiplier(factor, *mscale_all_dim);
  }

 private:
  static constexpr double kLargestScale = 1e9;  // none in use passes 100

  struct Ends {
    detail::DoubleDouble low;
    detail::DoubleDouble high;
  };

  Ends ends(const RopeConfig& config) const noexcept {
    const double length = static_cast<double>(config.original_length);
    detail::DoubleDouble low = detail::pair_index(config, length / beta_fast);
    detail::DoubleDouble high = detail::pair_index(config, length / beta_slow);
    if (truncate) {
      low = {std::floor(low.high), 0.0};
      high = {std::ceil(high.high), 0.0};
    }
    const double last = static_cast<double>(config.rotary_dim - 1);
    if (low.high < 0.0) low = {};
    if (high.high > last) high = {last, 0.0};
    if (low.high == high.high && low.low == high.low) {
      high = detail::add(high, {0.001, 0.0});  // the reference code's guard against an empty ramp
    }
    return {low, high};
  }
};

}  // namespace v0
}  // namespace ropewalk
