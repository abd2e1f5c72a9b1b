// Positions of image patches: rows and columns share the pairs. Row 8.
//
// Half of the pairs turns with one coordinate, half with the other. Each layout is also a scaling
// method, so spectrum(config, QwenVision{}) gives its frequencies; then
//   angle of pair = inv_freq[pair] * position(patch)[axis_of_pair(config, pair)]
// Patches count row by row from 0 unless the layout says otherwise.
#pragma once

#include <ropewalk/frequency.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// What the two halves of the pairs turn with.
struct PatchPosition {
  std::int64_t axis[2] = {0, 0};

  std::int64_t operator[](int index) const noexcept {
    ROPEWALK_ASSERT(index == 0 || index == 1, "PatchPosition: axis 0 or 1");
    return axis[index];
  }
};

namespace detail {

/// Two equal halves of pairs: rotary_dim a multiple of 4.
inline Fault check_axial(const RopeConfig& config) noexcept {
  if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
  if (config.rotary_dim % 4 != 0) {
    return {Errc::odd, "pairs", static_cast<double>(config.pairs())};
  }
  return {};
}

inline int half_of_pair(const RopeConfig& config, int pair) noexcept {
  ROPEWALK_ASSERT(pair >= 0 && pair < config.pairs(), "axial: 0 <= pair < pairs");
  return pair < config.pairs() / 2 ? 0 : 1;
}

inline int pair_in_half(const RopeConfig& config, int pair) noexcept {
  return pair - half_of_pair(config, pair) * (config.pairs() / 2);
}

/// theta^(-4 k / rotary_dim), k = 0 .. pairs / 2 - 1 in either half.
inline double restarting_inv_freq(const RopeConfig& config, int pair) {
  return inverse_frequency(config.theta, pair_in_half(config, pair), config.rotary_dim / 2);
}

}  // namespace detail

/// Qwen2-VL and later vision towers: row, then column, the same frequencies
/// theta^(-4 k / rotary_dim), k = 0 .. pairs / 2 - 1, in both halves; half-split pairs.
///   Valid for    rotary_dim a multiple of 4; merge >= 1
///   Max error    2 ULP (inv_freq)
///   Source       Wang et al. 2024, arXiv 2409.12191; Hugging Face "axial"; ggml VISION mode
struct QwenVision {
  std::int64_t merge = 2;  // patches come in blocks of merge x merge, which become one token

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = detail::check_axial(config); fault.code != Errc::ok) return fault;
    return detail::check_length("merge", merge, 1);
  }

  double inv_freq(const RopeConfig& config, int pair) const {
    return detail::restarting_inv_freq(config, pair);
  }

  int axis_of_pair(const RopeConfig& config, int pair) const noexcept {
    return detail::half_of_pair(config, pair);
  }

  /// {row, column} of a patch; blocks count row by row, and so do the patches of a block.
  ///   columns      patches per row, a multiple of merge, below 2^31
  PatchPosition position(std::int64_t patch, std::int64_t columns) const noexcept {
    ROPEWALK_ASSERT(patch >= 0 && merge >= 1, "QwenVision: patch >= 0, merge >= 1");
    ROPEWALK_ASSERT(columns >= merge && columns % merge == 0 && columns <= 2147483647,
                    "QwenVision: columns a multiple of merge, below 2^31");
    const std::int64_t band = patch / (merge * columns);  // merge rows of patches
    const std::int64_t in_band = patch % (merge * columns);
    const std::int64_t block = in_band / (merge * merge);
    const std::int64_t in_block = in_band % (merge * merge);
    return {{band * merge + in_block / merge, block * merge + in_block % merge}};
  }
};

/// Llama 4's vision tower: column, then row, both counted from 1; frequencies as QwenVision,
/// interleaved pairs. The class token, which follows the patches, does not turn.
///   Valid for    rotary_dim a multiple of 4
///   Max error    2 ULP (inv_freq)
///   Source       Llama 4 2025; Hugging Face llama4
struct Llama4Vision {
  Fault validate(const RopeConfig& config) const noexcept { return detail::check_axial(config); }

  double inv_freq(const RopeConfig& config, int pair) const {
    return detail::restarting_inv_freq(config, pair);
  }

  int axis_of_pair(const RopeConfig& config, int pair) const noexcept {
    return detail::half_of_pair(config, pair);
  }

  /// {column + 1, row + 1}.
  PatchPosition position(std::int64_t patch, std::int64_t columns) const noexcept {
    ROPEWALK_ASSERT(patch >= 0 && columns >= 1, "Llama4Vision: patch >= 0, columns >= 1");
    ROPEWALK_ASSERT(patch < detail::kMaximumLength, "Llama4Vision: patch < 2^53");
    return {{patch % columns + 1, patch / columns + 1}};
  }

  PatchPosition class_token() const noexcept { return {}; }
};

/// Pixtral's vision tower: row, then column; of the frequencies theta^(-2 j / rotary_dim) of
/// ordinary RoPE the rows take those with even j, the columns those with odd j; half-split pairs.
///   Valid for    rotary_dim a multiple of 4
///   Max error    2 ULP (inv_freq)
///   Source       Agrawal et al. 2024, arXiv 2410.07073; Hugging Face pixtral
struct PixtralVision {
  Fault validate(const RopeConfig& config) const noexcept { return detail::check_axial(config); }

  double inv_freq(const RopeConfig& config, int pair) const {
    const int half = detail::half_of_pair(config, pair);
    return inverse_frequency(config, 2 * detail::pair_in_half(config, pair) + half);
  }

  int axis_of_pair(const RopeConfig& config, int pair) const noexcept {
    return detail::half_of_pair(config, pair);
  }

  /// {row, column}.
  PatchPosition position(std::int64_t patch, std::int64_t columns) const noexcept {
    ROPEWALK_ASSERT(patch >= 0 && columns >= 1, "PixtralVision: patch >= 0, columns >= 1");
    return {{patch / columns, patch % columns}};
  }
};

}  // namespace v0
}  // namespace ropewalk
