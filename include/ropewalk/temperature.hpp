// Every closed-form law that sharpens or flattens attention with length. Row 2.
//
// Three different quantities share one word in the field; the end of each name says which it is:
//   ..._attention_factor     multiplies cos AND sin, so the logits see its square
//   ..._softmax_multiplier   multiplies softmax_scale (1 / sqrt(head_dim) by default), all queries
//   ..._position_scale       multiplies the logits of the one query at `position`
// Positions count from 0; a query at `position` sees n = position + 1 keys. The slope of every
// logarithmic fit belongs to the checkpoint it was fitted on: published ones run from 0.10 to 0.41,
// and two checkpoints of one training run differ by a third.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/error.hpp>

#include <cmath>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// n = position + 1 as a double, exact; refuses positions outside [0, 2^53).
inline double visible_keys(const char* where, std::int64_t position) {
  require(where, check_length("position", position, 0));
  if (position == kMaximumLength) {
    refuse(where, {Errc::above_maximum, "position", static_cast<double>(position)});
  }
  return static_cast<double>(position + 1);
}

/// A length as a double, exact; refuses lengths outside [minimum, 2^53].
inline double length_of(const char* where, const char* name, std::int64_t length,
                        std::int64_t minimum) {
  require(where, check_length(name, length, minimum));
  return static_cast<double>(length);
}

/// 1 + slope ln(factor) / divisor, exactly 1 up to factor 1. Terms of one sign: nothing cancels.
inline double one_plus_log(const char* where, double factor, const char* name, double slope,
                           double divisor = 1.0) {
  require(where, check_positive("factor", factor));
  require(where, check_at_least(name, slope, 0.0));
  if (factor <= 1.0) return 1.0;
  return finite_result(where, name, slope, 1.0 + slope * std::log(factor) / divisor);
}

/// ln n / ln(length).
inline double log_ratio(const char* where, std::int64_t position, const char* name,
                        std::int64_t length) {
  const double keys = visible_keys(where, position);
  return std::log(keys) / std::log(length_of(where, name, length, 2));
}

}  // namespace detail

// On cos and sin.

/// YaRN's factor on cos and sin, 0.1 mscale ln(factor) + 1.
///   factor       target length / original length, finite, > 0; up to 1 the result is exactly 1
///   mscale       finite, >= 0
///   Max error    2 ULP
///   Source       Peng et al. 2023, arXiv 2309.00071; what Hugging Face, vLLM and llama.cpp use
///                when a config says nothing else
inline double yarn_attention_factor(double factor, double mscale = 1.0) {
  return detail::one_plus_log("yarn_attention_factor", factor, "mscale", mscale, 10.0);
}

/// DeepSeek's factor on cos and sin, m(mscale) / m(mscale_all_dim) with m(c) = 0.1 c ln(factor) +
/// 1; 1 where the two are equal. Half of a pair: deepseek_softmax_multiplier is the other half.
///   factor          target length / original length, finite, > 0; up to 1 the result is exactly 1
///   mscale          finite, >= 0
///   mscale_all_dim  finite, >= 0; 0 leaves yarn_attention_factor(factor, mscale)
///   Max error       3 ULP
///   Source          DeepSeek-V2 2024, arXiv 2405.04434; Hugging Face (both keys given), mlx-lm
inline double deepseek_attention_factor(double factor, double mscale, double mscale_all_dim) {
  constexpr const char* where = "deepseek_attention_factor";
  const double rotated = detail::one_plus_log(where, factor, "mscale", mscale, 10.0);
  const double all = detail::one_plus_log(where, factor, "mscale_all_dim", mscale_all_dim, 10.0);
  return rotated / all;
}

/// Dual Chunk Attention's factor on cos and sin, 0.05 ln(factor) + 1.
///   factor       target length / original length, finite, > 0; up to 1 the result is exactly 1
///   Max error    2 ULP
///   Source       An et al. 2024, arXiv 2402.17463 (ChunkLlama's code)
inline double dual_chunk_attention_factor(double factor) {
  return detail::one_plus_log("dual_chunk_attention_factor", factor, "slope", 1.0, 20.0);
}

/// LongRoPE's factor on cos and sin, sqrt(1 + ln(factor) / ln(original_length)); also called "su".
///   factor           target length / original length, finite, > 0; up to 1 the result is exactly 1
///   original_length  tokens, 2 .. 2^53
///   Max error        2 ULP
///   Source           Ding et al. 2024, arXiv 2402.13753; Hugging Face rope_type "longrope"
inline double longrope_attention_factor(double factor, std::int64_t original_length) {
  constexpr const char* where = "longrope_attention_factor";
  detail::require(where, detail::check_positive("factor", factor));
  const double length = detail::length_of(where, "original_length", original_length, 2);
  if (factor <= 1.0) return 1.0;
  return std::sqrt(1.0 + std::log(factor) / std::log(length));
}

// On softmax_scale.

/// DeepSeek's multiplier of softmax_scale, (0.1 mscale_all_dim ln(factor) + 1)^2, beside (not
/// instead of) deepseek_attention_factor. With mscale_all_dim 1 it is what YaRN's factor does to
/// the logits.
///   factor          target length / original length, finite, > 0; up to 1 the result is exactly 1
///   mscale_all_dim  finite, >= 0; 0 leaves softmax_scale as it was
///   Max error       4 ULP
///   Source          DeepSeek-V2 2024, arXiv 2405.04434 (its code); DeepSeek-V3, Kimi-K2, Mistral 4
inline double deepseek_softmax_multiplier(double factor, double mscale_all_dim) {
  constexpr const char* where = "deepseek_softmax_multiplier";
  const double m = detail::one_plus_log(where, factor, "mscale_all_dim", mscale_all_dim, 10.0);
  return detail::finite_result(where, "mscale_all_dim", mscale_all_dim, m * m);
}

// Slopes fitted for nope_softmax_multiplier, each for its own checkpoint only.
inline constexpr double kNopeSlope10kSteps = 0.3010;  // 1.1B NoPE, R^2 0.9954; arXiv 2404.12224
inline constexpr double kNopeSlope50kSteps = 0.3973;  // the same run later, R^2 0.9773
inline constexpr double kDropeSlopeScratch = 0.412;   // DroPE, trained from scratch; 2512.12167
inline constexpr double kDropeSlopeSmolLm = 0.103;    // DroPE on SmolLM, which has QK-norm

/// The uniform multiplier fitted for models without positions, 1 + slope ln(factor).
///   factor       length / trained length, finite, > 0; up to 1 the result is exactly 1
///   slope        fitted on the checkpoint at hand, finite, >= 0; see the constants above
///   Max error    2 ULP
///   Source       Wang et al. 2024, arXiv 2404.12224; DroPE 2025, arXiv 2512.12167
inline double nope_softmax_multiplier(double factor, double slope) {
  return detail::one_plus_log("nope_softmax_multiplier", factor, "slope", slope);
}

/// Adaptive temperature: max(1, P(H)) for a row of attention with entropy H, where
/// P(H) = -0.037 H^4 + 0.481 H^3 - 2.3 H^2 + 4.917 H - 1.791. The logits of that row are multiplied
/// and the softmax taken again. The fit ends near H = 5.94, from where on the result is 1.
///   entropy_nats  >= 0, finite, natural logarithm
///   Max error     1 ULP
///   Source        Velickovic et al. 2024, arXiv 2410.01104. Its condition H > 0.5 changes nothing,
///                 since P < 1 below 0.848
inline double adaptive_softmax_multiplier(double entropy_nats) {
  detail::require("adaptive_softmax_multiplier",
                  detail::check_at_least("entropy_nats", entropy_nats, 0.0));
  if (!(entropy_nats > 0.5 && entropy_nats < 6.0)) return 1.0;
  // Terms up to 100 times the sum cancel, so Horner runs on sums of two doubles, in thousandths.
  constexpr double thousandths[5] = {-37.0, 481.0, -2300.0, 4917.0, -1791.0};
  detail::DoubleDouble sum{thousandths[0], 0.0};
  for (int power = 1; power < 5; ++power) {
    sum = detail::add(detail::multiply(sum, {entropy_nats, 0.0}), {thousandths[power], 0.0});
  }
  const double value = detail::divide(sum, {1000.0, 0.0}).high;
  return value > 1.0 ? value : 1.0;
}

// On the logits of one query.

/// Su's log-n, ln n / ln(original_length): below 1 inside the trained length, so train with it.
///   position         0 .. 2^53 - 1
///   original_length  tokens, 2 .. 2^53
///   Max error        3 ULP
///   Source           Su 2021 (kexue.fm/archives/8823)
inline double log_n_position_scale(std::int64_t position, std::int64_t original_length) {
  return detail::log_ratio("log_n_position_scale", position, "original_length", original_length);
}

/// Su's log-n for models trained without it, max(1, ln n / ln(original_length)).
///   position         0 .. 2^53 - 1
///   original_length  tokens, 2 .. 2^53
///   Max error        3 ULP
///   Source           Su 2023 (bojone/rerope); Self-Extend code
inline double log_n_untrained_position_scale(std::int64_t position, std::int64_t original_length) {
  const double ratio = detail::log_ratio("log_n_untrained_position_scale", position,
                                         "original_length", original_length);
  return ratio > 1.0 ? ratio : 1.0;
}

/// Qwen's and Baichuan's log-n: ln i / ln(seq_length) if i > seq_length, else 1, for the i-th token
/// (i = position + 1). For whole numbers this is log_n_untrained_position_scale. Their table ends
/// at i = 32767; the formula does not.
///   position         0 .. 2^53 - 1
///   original_length  their seq_length, tokens, 2 .. 2^53
///   Max error        3 ULP
///   Source           Qwen-1 and Baichuan code (use_logn_attn); TurboMind
inline double qwen_position_scale(std::int64_t position, std::int64_t original_length) {
  const double ratio =
      detail::log_ratio("qwen_position_scale", position, "original_length", original_length);
  return position >= original_length ? ratio : 1.0;
}

/// Su's entropy invariance, ln n / ln(reference_length): logits kappa ln(n) / d q.k with kappa
/// chosen so that they are the usual q.k / sqrt(d) at the reference length.
///   position          0 .. 2^53 - 1
///   reference_length  tokens, 2 .. 2^53
///   Max error         3 ULP
///   Source            Su 2021 (kexue.fm/archives/8823), reference length 512
inline double entropy_invariant_position_scale(std::int64_t position,
                                               std::int64_t reference_length = 512) {
  return detail::log_ratio("entropy_invariant_position_scale", position, "reference_length",
                           reference_length);
}

/// Chiang and Cholak's ln n, natural and not normalised: it sharpens from n = 3 on, at any length.
///   position     0 .. 2^53 - 1; 0 gives 0 (one key, whose weight is 1 whatever the logit)
///   Max error    1 ULP
///   Source       Chiang and Cholak 2022, arXiv 2202.12172, studied at n near 20
inline double chiang_cholak_position_scale(std::int64_t position) {
  return std::log(detail::visible_keys("chiang_cholak_position_scale", position));
}

/// Scalable-Softmax, slope ln n: softmax(slope ln(n) z) is n^(slope z_i) / sum of n^(slope z_j).
///   position     0 .. 2^53 - 1
///   slope        learned per head, finite (the paper's fits lie near 0.43)
///   Max error    2 ULP
///   Source       Nakanishi 2025, arXiv 2501.19399
inline double ssmax_position_scale(std::int64_t position, double slope) {
  constexpr const char* where = "ssmax_position_scale";
  const double keys = detail::visible_keys(where, position);
  detail::require(where, detail::check_finite("slope", slope));
  return detail::finite_result(where, "slope", slope, slope * std::log(keys));
}

/// InfoScale, sqrt(1 - n^(-2/d)) / sqrt(1 - L^(-2/d)); bounded, unlike the logarithmic laws.
///   position         0 .. 2^53 - 1; 0 gives 0
///   original_length  L, tokens, 2 .. 2^53
///   head_dim         d, >= 1
///   Max error        4 ULP
///   Source           Li et al. 2025, arXiv 2501.08570 (its code)
inline double infoscale_position_scale(std::int64_t position, std::int64_t original_length,
                                       int head_dim) {
  constexpr const char* where = "infoscale_position_scale";
  const double keys = detail::visible_keys(where, position);
  const double length = detail::length_of(where, "original_length", original_length, 2);
  detail::require(where, detail::check_length("head_dim", head_dim, 1));
  const double exponent = -2.0 / head_dim;  // expm1, because n^exponent is near 1 for wide heads
  return std::sqrt(std::expm1(exponent * std::log(keys)) / std::expm1(exponent * std::log(length)));
}

/// SWAN's ln(offset + n), WITHOUT its normalisation: the paper fits the offset by perplexity at
/// 32k tokens and publishes neither the offset nor what the logarithm is divided by, so divide by
/// the value at the position where the logits should be as they were.
///   position     0 .. 2^53 - 1
///   offset       a, finite, >= 0
///   Max error    2 ULP
///   Source       SWAN 2025, arXiv 2504.08719
inline double swan_position_scale(std::int64_t position, double offset) {
  constexpr const char* where = "swan_position_scale";
  detail::visible_keys(where, position);
  detail::require(where, detail::check_at_least("offset", offset, 0.0));
  return std::log1p(static_cast<double>(position) + offset);
}

/// Llama 4, 1 + attn_scale ln(1 + floor((position + 1) / floor_scale)). Its NoPE layers only, on
/// the query.
///   position     0 .. 2^53 - 1
///   floor_scale  tokens per step, 1 .. 2^53
///   attn_scale   finite, >= 0
///   Max error    2 ULP
///   Source       Meta 2025; Hugging Face attn_temperature_tuning, floor_scale, attn_scale
inline double llama4_position_scale(std::int64_t position, std::int64_t floor_scale = 8192,
                                    double attn_scale = 0.1) {
  constexpr const char* where = "llama4_position_scale";
  detail::visible_keys(where, position);
  detail::length_of(where, "floor_scale", floor_scale, 1);
  const double steps = static_cast<double>((position + 1) / floor_scale);
  return detail::one_plus_log(where, 1.0 + steps, "attn_scale", attn_scale);
}

/// Ministral 3, 1 + beta ln(1 + floor(position / original_length)): position, not position + 1.
/// Every layer, on the query, after the rotation.
///   position         0 .. 2^53 - 1
///   original_length  tokens, 1 .. 2^53
///   beta             llama_4_scaling_beta, finite, >= 0
///   Max error        2 ULP
///   Source           Mistral AI 2025; Hugging Face llama_4_scaling_beta
inline double ministral_position_scale(std::int64_t position, std::int64_t original_length,
                                       double beta) {
  constexpr const char* where = "ministral_position_scale";
  detail::visible_keys(where, position);
  detail::length_of(where, "original_length", original_length, 1);
  const double steps = static_cast<double>(position / original_length);
  return detail::one_plus_log(where, 1.0 + steps, "beta", beta);
}

/// How one logit changes with the distance to its key: multiplier * logit + offset.
struct ScaleInvariantLogit {
  double multiplier = 1.0;
  double offset = 0.0;
};

/// Scale-invariant attention: multiplier sqrt(1 + 2 ln(1 + t / tau)), offset -2 ln(1 + t / tau) at
/// distance t. The paper's alpha and beta are both sqrt(e) here: the only values that leave the
/// logit at distance 0 as it was, and the ones it uses.
///   distance     t = query position - key position, 0 .. 2^53
///   tau          tokens, finite, > 0
///   Max error    2 ULP for the multiplier, 3 ULP for the offset
///   Source       Anson et al. 2025, arXiv 2505.17083
inline ScaleInvariantLogit scale_invariant_logit(std::int64_t distance, double tau = 10.0) {
  constexpr const char* where = "scale_invariant_logit";
  const double tokens = detail::length_of(where, "distance", distance, 0);
  detail::require(where, detail::check_positive("tau", tau));
  const double log = detail::finite_result(where, "tau", tau, std::log1p(tokens / tau));
  return {std::sqrt(1.0 + 2.0 * log), -2.0 * log};
}

}  // namespace v0
}  // namespace ropewalk
