// M-RoPE: tokens with several positions (time, height, width), one of them per pair. Row 8.
#pragma once

#include <ropewalk/rope_config.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// How the axes share the pairs. Drawn for 12 pairs and sections {t 4, h 4, w 4}:
enum class AxisOrder {
  chunked,      ///< [tttthhhhwwww]  Qwen2-VL, Qwen2.5-VL, GLM-4V; XD-RoPE with four axes
  interleaved,  ///< [thwthwthwthw]  Qwen3-VL, Qwen3.5
  alternating   ///< [hwhwhwhwtttt]  ERNIE-4.5-VL
};

/// The positions of many tokens, as Hugging Face, vLLM and ggml lay them out. Not owned.
struct AxisPositions {
  const std::int64_t* data = nullptr;  // (axes, tokens), axis by axis
  std::int64_t tokens = 0;
};

/// Which of a token's positions turns a pair. Frequencies are those of the whole rotary_dim, they
/// do not start again per section: angle of pair = inv_freq[pair] * position of axis_of_pair(pair).
/// Axes are t, h, w (XD-RoPE: sequence, w, h, t); plain text has equal positions on all of them and
/// turns as ordinary RoPE.
///   Valid for    axes 1; 3 or 4 chunked or interleaved; 3 alternating. Sections >= 0, one per
///                axis, with the sum config.pairs(); interleaved on 3 axes: height and width fit
///                into every third pair; alternating: height and width of one size. validate()
///                says which failed
///   Identity     axes 1, which needs no sections
///   Source       Wang et al. 2024, arXiv 2409.12191 (Qwen2-VL); Hugging Face mrope_section, ggml
///                rope.dimension_sections; xdrope_section as vLLM reads it: Hugging Face 5.23 cuts
///                elements instead of pairs, which is no rotation where positions differ
struct MultiAxis {
  AxisOrder order = AxisOrder::chunked;
  int axes = 1;
  // (axes,) pairs per axis: {t, h, w} also where a file lists ERNIE's as h, w, t
  int sections[4] = {0, 0, 0, 0};

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (order != AxisOrder::chunked && order != AxisOrder::interleaved &&
        order != AxisOrder::alternating) {
      return {Errc::unknown, "order", static_cast<double>(order)};
    }
    if (axes == 1) return {};
    if (axes < 3) return {Errc::below_minimum, "axes", static_cast<double>(axes)};
    if (axes > (order == AxisOrder::alternating ? 3 : 4)) {
      return {Errc::above_maximum, "axes", static_cast<double>(axes)};
    }
    std::int64_t sum = 0;
    for (int axis = 0; axis < axes; ++axis) {
      if (sections[axis] < 0) return fault_of_section(Errc::below_minimum, axis);
      sum += sections[axis];
    }
    if (sum != config.pairs()) return {Errc::wrong_count, "sections", static_cast<double>(sum)};
    if (order == AxisOrder::alternating && sections[1] != sections[2]) {
      return fault_of_section(Errc::wrong_count, 2);
    }
    if (order == AxisOrder::interleaved && axes == 3) {
      for (int axis = 1; axis < 3; ++axis) {
        if (sections[axis] > (config.pairs() + 2 - axis) / 3) {
          return fault_of_section(Errc::above_maximum, axis);
        }
      }
    }
    return {};
  }

  /// 0 <= axis < axes.
  ///   interleaved  pairs that no section claims belong to axis 0 with three axes (Hugging Face,
  ///                vLLM) and to axis 3 with four (ggml): {24, 20, 20, 0} on 64 pairs leaves 61 and
  ///                62 to axis 3
  int axis_of_pair(int pair) const noexcept {
    ROPEWALK_ASSERT(pair >= 0, "MultiAxis: 0 <= pair < pairs");
    ROPEWALK_ASSERT(axes >= 1 && axes <= 4, "MultiAxis: axes 1 .. 4");
    if (axes == 1) return 0;
    switch (order) {
      case AxisOrder::interleaved:
        return interleaved_axis(pair);
      case AxisOrder::alternating:
        return pair < sections[1] + sections[2] ? 1 + pair % 2 : 0;
      case AxisOrder::chunked:
        break;
    }
    int axis = 0;
    for (int end = sections[0]; axis < axes - 1 && pair >= end; end += sections[axis]) ++axis;
    return axis;
  }

  /// The position that turns a pair of one token.
  std::int64_t position(const AxisPositions& positions, std::int64_t token,
                        int pair) const noexcept {
    ROPEWALK_ASSERT(positions.data != nullptr, "MultiAxis: positions with data");
    ROPEWALK_ASSERT(token >= 0 && token < positions.tokens, "MultiAxis: 0 <= token < tokens");
    const auto row = static_cast<std::size_t>(axis_of_pair(pair));
    return positions
        .data[row * static_cast<std::size_t>(positions.tokens) + static_cast<std::size_t>(token)];
  }

 private:
  int interleaved_axis(int pair) const noexcept {
    const int axis = pair % 3;
    // Hugging Face lets time run on through its own third; ggml stops it at its section.
    if (axis == 0 && axes == 3) return 0;
    if (pair / 3 < sections[axis]) return axis;
    return axes == 3 ? 0 : 3;
  }

  Fault fault_of_section(Errc code, int axis) const noexcept {
    return {code, "sections", static_cast<double>(sections[axis]), axis};
  }
};

}  // namespace v0
}  // namespace ropewalk
