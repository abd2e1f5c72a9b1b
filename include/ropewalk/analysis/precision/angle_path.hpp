// How an engine forms the angle of a position, and in what it keeps the cosine. Row 9.
#pragma once

#include <ropewalk/spectrum.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// The arithmetic that leads from a position to an angle in radians.
enum class AngleFormation {
  exact_turns,         ///< fixed-point turns of phase_turns(): nothing is rounded
  float64_product,     ///< position times frequency in double
  float32_product,     ///< both and the product rounded to float
  float32_recurrence,  ///< float position times a float step, once more for every pair
  bfloat16_product     ///< both and the product rounded to bfloat16
};

/// The type cosines are kept in.
enum class CosineType { float64, float32, float16, bfloat16 };

/// One engine's way. Make it with the functions below.
struct AnglePath {
  AngleFormation formation = AngleFormation::exact_turns;
  CosineType cosine_type = CosineType::float32;
  std::vector<float> inv_freq = {};  // (pairs,) as held; float32_product and bfloat16_product only
  float step = 1.0f;  // float32_recurrence: from one pair's angle to the next's, before pair_scale
  std::vector<float> pair_scale = {};  // (pairs,) on the recurrence's angle; empty: 1
};

/// Exact turns.
inline AnglePath exact_path(CosineType cosine_type = CosineType::float32) {
  AnglePath path;
  path.cosine_type = cosine_type;
  return path;
}

/// Double all the way.
inline AnglePath float64_path(CosineType cosine_type = CosineType::float64) {
  AnglePath path;
  path.formation = AngleFormation::float64_product;
  path.cosine_type = cosine_type;
  return path;
}

/// Float frequencies, each the nearest to the spectrum's, times float positions.
inline AnglePath float32_path(const Spectrum& spectrum,
                              CosineType cosine_type = CosineType::float32) {
  AnglePath path;
  path.formation = AngleFormation::float32_product;
  path.cosine_type = cosine_type;
  path.inv_freq.reserve(spectrum.inv_freq.size());
  for (const double inv_freq : spectrum.inv_freq) {
    path.inv_freq.push_back(static_cast<float>(inv_freq));
  }
  return path;
}

/// A float table the caller has from an engine, times float positions. One ULP of a table is worth
/// 0.06 radians at 2^20 tokens, so a checkpoint's own table beats every model of it.
inline AnglePath float32_path(std::vector<float> inv_freq,
                              CosineType cosine_type = CosineType::float32) {
  AnglePath path;
  path.formation = AngleFormation::float32_product;
  path.cosine_type = cosine_type;
  path.inv_freq = std::move(inv_freq);
  return path;
}

/// The rotary modules of Hugging Face transformers before any scaling: 1 / theta^(2 pair / d), power
/// and quotient rounded to float. A power that is not correctly rounded differs in some pairs.
inline AnglePath hugging_face_path(const RopeConfig& config,
                                   CosineType cosine_type = CosineType::float32) {
  detail::require("hugging_face_path", config.validate());
  std::vector<float> inv_freq;
  inv_freq.reserve(static_cast<std::size_t>(config.pairs()));
  for (int pair = 0; pair < config.pairs(); ++pair) {
    const float exponent = static_cast<float>(2 * pair) / static_cast<float>(config.rotary_dim);
    const double power = std::pow(static_cast<double>(static_cast<float>(config.theta)),
                                  static_cast<double>(exponent));
    inv_freq.push_back(1.0f / static_cast<float>(power));
  }
  return float32_path(std::move(inv_freq), cosine_type);
}

namespace detail {

/// The step from pair to pair as ggml holds it: theta^(-2 / d), exponent and power rounded to float.
inline float ggml_step(const RopeConfig& config) {
  const float exponent = -2.0f / static_cast<float>(config.rotary_dim);
  return static_cast<float>(std::pow(static_cast<double>(static_cast<float>(config.theta)),
                                     static_cast<double>(exponent)));
}

}  // namespace detail

/// ggml on a CPU: position, then times the step for every pair, all in float.
///   config       the plain base that is stepped through
///   Max error    the powf of a C library may differ from the correctly rounded step by a ULP
inline AnglePath ggml_cpu_path(const RopeConfig& config) {
  detail::require("ggml_cpu_path", config.validate());
  AnglePath path;
  path.formation = AngleFormation::float32_recurrence;
  path.step = detail::ggml_step(config);
  return path;
}

/// The same under a scaling: the plain angle times one float per pair.
///   spectrum     that of config under the scaling, as many pairs
inline AnglePath ggml_cpu_path(const RopeConfig& config, const Spectrum& spectrum) {
  AnglePath path = ggml_cpu_path(config);
  if (spectrum.pairs() != config.pairs()) {
    detail::refuse("ggml_cpu_path",
                   {Errc::wrong_length, "spectrum", static_cast<double>(spectrum.pairs())});
  }
  bool scaled = false;
  for (int pair = 0; pair < config.pairs(); ++pair) {
    const double ratio =
        spectrum.inv_freq[static_cast<std::size_t>(pair)] / inverse_frequency(config, pair);
    path.pair_scale.push_back(static_cast<float>(ratio));
    scaled = scaled || path.pair_scale.back() != 1.0f;
  }
  if (!scaled) path.pair_scale.clear();
  return path;
}

/// ggml on CUDA: position times a float power of the step, for every pair.
inline AnglePath ggml_cuda_path(const RopeConfig& config) {
  detail::require("ggml_cuda_path", config.validate());
  const double step = static_cast<double>(detail::ggml_step(config));
  std::vector<float> inv_freq;
  inv_freq.reserve(static_cast<std::size_t>(config.pairs()));
  for (int pair = 0; pair < config.pairs(); ++pair) {
    inv_freq.push_back(static_cast<float>(std::pow(step, static_cast<double>(pair))));
  }
  return float32_path(std::move(inv_freq));
}

/// A model cast to bfloat16 whole, positions and frequencies included.
inline AnglePath bfloat16_path(const Spectrum& spectrum) {
  AnglePath path = float32_path(spectrum, CosineType::bfloat16);
  path.formation = AngleFormation::bfloat16_product;
  return path;
}

}  // namespace v0
}  // namespace ropewalk
