// Which base for which length: every closed-form law that moves theta, and what a base can reach.
// Row 4.
#pragma once

#include <ropewalk/frequency.hpp>

#include <cmath>
#include <cstdint>
#include <optional>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// theta * e^exponent, refused when it leaves the range of double.
inline double raised(const char* where, const RopeConfig& config, DoubleDouble exponent) {
  return finite_result(where, "theta", config.theta, config.theta * exponential(exponent));
}

inline DoubleDouble log_of_length(std::int64_t length) noexcept {
  return logarithm(static_cast<double>(length));
}

/// ln(to / from) for two lengths.
inline DoubleDouble log_of_ratio(std::int64_t to, std::int64_t from) noexcept {
  return subtract(log_of_length(to), log_of_length(from));
}

/// NTK exponents divide by rotary_dim - 2.
inline Fault check_ntk(const RopeConfig& config) noexcept {
  if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
  if (config.rotary_dim < 4) {
    return {Errc::below_minimum, "rotary_dim", static_cast<double>(config.rotary_dim)};
  }
  return {};
}

/// Laws from a trained length to a longer one; both hold one full turn of pair 0 (7 > 2 pi).
inline Fault check_extension(const RopeConfig& config, std::int64_t length) noexcept {
  if (const Fault fault = check_original_length(config, 7); fault.code != Errc::ok) return fault;
  return check_length("length", length, config.original_length);
}

}  // namespace detail

/// Pairs that made at least one full turn in training: the number of wavelengths no longer than the
/// trained length, which is also the index of the first pair that never turned.
///   config       original_length known; below 7 tokens the answer is 0
///   Source       Liu et al. 2023, arXiv 2310.05209, lemma 1
inline int critical_pair(const RopeConfig& config) {
  detail::require("critical_pair", detail::check_original_length(config, 1));
  const double length = static_cast<double>(config.original_length);
  const double index = std::ceil(pair_index_of_wavelength(config, length));
  if (!(index > 0.0)) return 0;
  return index < static_cast<double>(config.pairs()) ? static_cast<int>(index) : config.pairs();
}

/// Critical dimension, twice critical_pair: dimensions beyond it never saw a full turn in training.
///
/// Llama-3-8B (theta 500000, 8192 tokens, 128 dimensions) has 70: pairs 0 to 34 turn at least once
/// (pair 34 has wavelength 6695, pair 35 has 8219). A widely read page says 72. That takes the
/// rounded-up index 35 for the last covered pair instead of the first uncovered one, or counts
/// pairs from 1 inside the ceiling; pair 35 has seen 99.7 % of a turn, not all of it.
///   config       original_length known
///   Source       Liu et al. 2023, arXiv 2310.05209; Llama-3's 35 pairs also in arXiv 2502.20082
inline int critical_dimension(const RopeConfig& config) { return 2 * critical_pair(config); }

/// The base that slows the slowest pair by exactly `factor` and leaves pair 0:
/// theta * factor^(d / (d - 2)).
///   config       rotary_dim >= 4
///   factor       target length / original length, >= 1
///   Max error    3 ULP
///   Source       bloc97 2023; Peng et al. 2023, arXiv 2309.00071, definition 1
inline double ntk_theta(const RopeConfig& config, double factor) {
  detail::require("ntk_theta", detail::check_ntk(config));
  detail::require("ntk_theta", detail::check_at_least("factor", factor, 1.0));
  const int dim = config.rotary_dim;
  return detail::finite_result("ntk_theta", "factor", factor,
                               config.theta * detail::power_ratio(factor, dim, dim - 2));
}

/// The base at a current length: theta * (factor * length / L0 - (factor - 1))^(d / (d - 2)) beyond
/// the trained length L0, theta itself up to it.
///   config       rotary_dim >= 4, original_length known
///   factor       >= 1; 1 gives the form of the YaRN paper
///   length       tokens so far, >= 0
///   Max error    4 ULP
///   Source       emozilla 2023; matches Hugging Face rope_type "dynamic"
inline double dynamic_ntk_theta(const RopeConfig& config, double factor, std::int64_t length) {
  detail::require("dynamic_ntk_theta", detail::check_ntk(config));
  detail::require("dynamic_ntk_theta", detail::check_original_length(config, 1));
  detail::require("dynamic_ntk_theta", detail::check_at_least("factor", factor, 1.0));
  detail::require("dynamic_ntk_theta", detail::check_length("length", length, 0));
  if (length <= config.original_length) return config.theta;
  // The bracket written as 1 + factor * excess: nothing cancels just above the trained length.
  const double excess = static_cast<double>(length - config.original_length) /
                        static_cast<double>(config.original_length);
  const int dim = config.rotary_dim;
  const double stretch = detail::power_ratio(1.0 + factor * excess, dim, dim - 2);
  return detail::finite_result("dynamic_ntk_theta", "factor", factor, config.theta * stretch);
}

/// The base that slows the (real-valued) pair `pair` by exactly `factor`: slower pairs are slowed
/// by more, faster ones by less. NTK-aware is pair = pairs - 1, the strict base pair =
/// critical_pair, Liu's law the real-valued index of the trained length.
///   factor       >= 1
///   pair         finite, > 0
///   Max error    2 ULP times the condition number
inline double align_theta(const RopeConfig& config, double factor, double pair) {
  detail::require("align_theta", config.validate());
  detail::require("align_theta", detail::check_at_least("factor", factor, 1.0));
  detail::require("align_theta", detail::check_positive("pair", pair));
  const auto power = detail::divide({static_cast<double>(config.pairs()), 0.0}, {pair, 0.0});
  return detail::raised("align_theta", config, detail::multiply(power, detail::logarithm(factor)));
}

/// The base for a longer length by the extended scaling law: theta^(ln(L / 2 pi) / ln(L0 / 2 pi)),
/// which keeps the critical dimension where training left it. Steps compose: going by way of any
/// length in between gives the same base.
///   config       original_length >= 7
///   length       target length in tokens, >= original_length
///   Max error    2 ULP times the condition number; 3 ULP for bases 1e3 .. 1e8 and lengths
///                1024 .. 2^24; under -ffast-math 40 times the condition number
///   Source       Liu et al. 2023, arXiv 2310.05209. Gradient's 262k and 1048k Llama-3 configs are
///                this, rounded down; KoboldCpp computes it in float32
inline double theta_for_length(const RopeConfig& config, std::int64_t length) {
  detail::require("theta_for_length", detail::check_extension(config, length));
  const auto power = detail::divide(
      detail::logarithm(config.theta),
      detail::subtract(detail::log_of_length(config.original_length), detail::kLogTwoPi));
  return detail::raised(
      "theta_for_length", config,
      detail::multiply(power, detail::log_of_ratio(length, config.original_length)));
}

/// The smallest larger base with which no pair turns further within `length` than in training:
/// theta * factor^(d / (2 critical_pair)). Equals theta where every pair made a full turn.
///   config       original_length >= 7 and at least one complete pair
///   length       target length in tokens, >= original_length
///   Max error    2 ULP times the condition number; 3 ULP for bases 1e3 .. 1e8 and lengths
///                1024 .. 2^24; under -ffast-math 40 times the condition number
///   Source       the align family at the critical pair; counts of over-range pairs in its test
inline double strict_theta_for_length(const RopeConfig& config, std::int64_t length) {
  detail::require("strict_theta_for_length", detail::check_extension(config, length));
  const int complete = critical_pair(config);
  if (complete == 0) {
    detail::refuse("strict_theta_for_length", {Errc::no_solution, "original_length",
                                               static_cast<double>(config.original_length)});
  }
  if (complete == config.pairs()) return config.theta;
  const auto power = detail::divide({static_cast<double>(config.pairs()), 0.0},
                                    {static_cast<double>(complete), 0.0});
  return detail::raised(
      "strict_theta_for_length", config,
      detail::multiply(power, detail::log_of_ratio(length, config.original_length)));
}

/// Tokens a model can reach after tuning with another base, at the trained length: 2 pi times
/// theta^(critical_dimension / d) for a larger base. A base no larger than the trained one is held
/// to the trained length (a smaller base extrapolates further, but without a sharp limit).
///   config       original_length >= 7
///   theta        the new base, finite, > 1
///   Max error    4 ULP
///   Source       Liu et al. 2023, arXiv 2310.05209
inline double extrapolation_limit(const RopeConfig& config, double theta) {
  detail::require("extrapolation_limit", detail::check_original_length(config, 7));
  RopeConfig extended = config;
  extended.theta = theta;
  detail::require("extrapolation_limit", extended.validate());
  if (theta <= config.theta) return static_cast<double>(config.original_length);
  return detail::finite_result(
      "extrapolation_limit", "theta", theta,
      detail::kTwoPi * detail::power_ratio(theta, critical_dimension(config), config.rotary_dim));
}

/// Below these bases every pair covers a quarter, a half and a whole turn within the tuned length,
/// and extrapolation improves from each to the next.
struct SmallBaseThresholds {
  double quarter_turn = 0.0;  // 2 L / pi
  double half_turn = 0.0;     // L / pi
  double full_turn = 0.0;     // L / 2 pi
};

/// The thresholds for a tuned length.
///   length       tokens, >= 7
///   Max error    1 ULP
///   Source       Liu et al. 2023, arXiv 2310.05209, theorem 1
inline SmallBaseThresholds small_base_thresholds(std::int64_t length) {
  detail::require("small_base_thresholds", detail::check_length("length", length, 7));
  const double full_turn = static_cast<double>(length) / detail::kTwoPi;
  return {4.0 * full_turn, 2.0 * full_turn, full_turn};
}

// The same laws under the names and numbers other programs use.

/// exllama's and HunYuan's alpha: the factor of ntk_theta, under the condition alpha > 0 only.
///   alpha        finite, > 0 (below 1 the base shrinks)
///   Max error    3 ULP
inline double exllama_theta(const RopeConfig& config, double alpha) {
  detail::require("exllama_theta", detail::check_ntk(config));
  detail::require("exllama_theta", detail::check_positive("alpha", alpha));
  const int dim = config.rotary_dim;
  return detail::finite_result("exllama_theta", "alpha", alpha,
                               config.theta * detail::power_ratio(alpha, dim, dim - 2));
}

/// The alpha that makes exllama (and tabbyAPI's rope_alpha) use a given base.
///   theta        the base wanted, finite, >= 1
///   Max error    3 ULP
inline double exllama_alpha(const RopeConfig& config, double theta) {
  detail::require("exllama_alpha", detail::check_ntk(config));
  detail::require("exllama_alpha", detail::check_at_least("theta", theta, 1.0));
  const int dim = config.rotary_dim;
  return detail::finite_result("exllama_alpha", "theta", theta,
                               detail::power_ratio(theta / config.theta, dim - 2, dim));
}

/// tabbyAPI's alpha for rope_alpha "auto": a fitted parabola in factor, 1 up to factor 1. Just
/// above factor 1 it falls to 0.9594, so the base first drops below the trained one.
///   factor       target length / original length, finite, > 0
///   Max error    4 ULP of the terms' magnitudes
///   Source       theroyallab/tabbyAPI, common/utils.py
inline double tabbyapi_alpha(double factor) {
  detail::require("tabbyapi_alpha", detail::check_positive("factor", factor));
  if (factor <= 1.0) return 1.0;
  return detail::finite_result("tabbyapi_alpha", "factor", factor,
                               -0.13436 + 0.80541 * factor + 0.28833 * factor * factor);
}

/// The base text-generation-webui derived from its alpha: 10000 * alpha^(64 / 63), whatever the
/// model. Right for head_dim 128 and base 10000 only. The program removed the setting in 2026.
///   alpha        finite, > 0
///   Max error    3 ULP
///   Source       oobabooga/text-generation-webui, modules/RoPE.py
inline double text_generation_webui_theta(double alpha) {
  detail::require("text_generation_webui_theta", detail::check_positive("alpha", alpha));
  return detail::finite_result("text_generation_webui_theta", "alpha", alpha,
                               10000.0 * detail::power_ratio(alpha, 64, 63));
}

/// The alpha text-generation-webui showed for a base: (theta / 10000)^(63 / 64).
///   theta        finite, >= 1
///   Max error    3 ULP
inline double text_generation_webui_alpha(double theta) {
  detail::require("text_generation_webui_alpha", detail::check_at_least("theta", theta, 1.0));
  return detail::power_ratio(theta / 10000.0, 63, 64);
}

/// How KoboldCpp counts a model's length.
enum class KoboldCppModel { ordinary, solar };

/// The base KoboldCpp sets by itself for a context size, or nothing where it keeps the model's own:
/// it acts only for bases of exactly 10000 or 500000 and contexts longer than both the trained
/// length and 2048. Theta_for_length with 2 pi written 6.28318, which moves the result by about
/// 1.5e-7; its float32 arithmetic moves it by as much again. Solar models count eightfold lengths
/// and get a further correction.
///   config       original_length >= 7, unscaled
///   length       context size in tokens
///   Max error    4 ULP times the condition number, of this formula
///   Source       LostRuins/koboldcpp, gpttype_adapter.cpp
inline std::optional<double> koboldcpp_theta(const RopeConfig& config, std::int64_t length,
                                             KoboldCppModel model = KoboldCppModel::ordinary) {
  detail::require("koboldcpp_theta", detail::check_original_length(config, 7));
  detail::require("koboldcpp_theta", detail::check_length("length", length, 1));
  const bool known_base = config.theta == 10000.0 || config.theta == 500000.0;
  if (!known_base || length <= config.original_length || length <= 2048) return std::nullopt;
  const bool solar = model == KoboldCppModel::solar;
  const double written_two_pi = 6.28318;
  const double lengthening = solar ? 8.0 : 1.0;
  const auto unit = detail::logarithm(written_two_pi);
  const auto trained = detail::subtract(
      detail::logarithm(lengthening * static_cast<double>(config.original_length)), unit);
  const auto target =
      detail::subtract(detail::logarithm(lengthening * static_cast<double>(length)), unit);
  const auto power = detail::divide(detail::logarithm(config.theta), trained);
  double theta = detail::raised("koboldcpp_theta", config,
                                detail::multiply(power, detail::subtract(target, trained)));
  if (solar) {
    constexpr detail::DoubleDouble ln10{2.302585092994046, -2.1707562233822494e-16};
    const auto x = detail::divide(target, ln10);
    const auto y = detail::divide(trained, ln10);
    const auto correction = detail::divide(
        detail::subtract(x, y), detail::subtract(detail::multiply(x, y), detail::add(x, y)));
    theta *= detail::add({1.0, 0.0}, correction).high;
  }
  // The correction for Solar turns negative where the trained length is tiny.
  const double tokens = static_cast<double>(length);
  if (theta <= 1.0) detail::refuse("koboldcpp_theta", {Errc::no_solution, "length", tokens});
  return detail::finite_result("koboldcpp_theta", "length", tokens, theta);
}

}  // namespace v0
}  // namespace ropewalk
