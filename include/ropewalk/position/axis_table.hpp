// Tables for tokens with several positions: one row per token, each pair by the position of its
// axis. Row 8.
//
//     const MultiAxis axes{AxisOrder::chunked, 3, {16, 24, 24}};
//     const auto table = phase_table<float>(turns, axes, positions);  // (3, tokens), t then h then w
//     rotate(q, table, pairing);
#pragma once

#include <ropewalk/phase.hpp>
#include <ropewalk/position/axial.hpp>
#include <ropewalk/position/multi_axis.hpp>
#include <ropewalk/rotate/sizes.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

namespace detail {

/// The pairs of one axis, gathered so that a kernel forms their angles side by side, and their row
/// at one position: in an image the next token often has the same row or column.
template <typename Kernel, typename Real>
struct AxisPairs {
  int axis = 0;
  std::vector<std::size_t> pairs = {};
  PhaseTurns turns = {};
  std::int64_t position = 0;   // whose row cos and sin are
  std::vector<Real> cos = {};  // (pairs,)
  std::vector<Real> sin = {};  // (pairs,)

  void fill(std::int64_t wanted) noexcept {
    position = wanted;
    fill_phase_row<Kernel>(turns, position, turns.attention_factor, cos.data(), sin.data());
  }

  void scatter(Real* cos_row, Real* sin_row) const noexcept {
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      cos_row[pairs[i]] = cos[i];
      sin_row[pairs[i]] = sin[i];
    }
  }
};

/// The axes that have pairs.
///   axis_of_pair   (pair) to 0 .. axes - 1
template <typename Kernel, typename Real, typename AxisOfPair>
std::vector<AxisPairs<Kernel, Real>> gather_axes(const PhaseTurns& turns, int axes,
                                                 const AxisOfPair& axis_of_pair) {
  std::vector<AxisPairs<Kernel, Real>> parts;
  for (int axis = 0; axis < axes; ++axis) {
    AxisPairs<Kernel, Real> part;
    part.axis = axis;
    part.turns.attention_factor = turns.attention_factor;
    for (int pair = 0; pair < turns.pairs(); ++pair) {
      if (axis_of_pair(pair) != axis) continue;
      const auto index = static_cast<std::size_t>(pair);
      part.pairs.push_back(index);
      part.turns.high.push_back(turns.high[index]);
      part.turns.low.push_back(turns.low[index]);
    }
    if (part.pairs.empty()) continue;
    part.cos.resize(part.pairs.size());
    part.sin.resize(part.pairs.size());
    part.fill(0);
    parts.push_back(std::move(part));
  }
  ROPEWALK_ASSERT(!parts.empty(), "phase_table: axis_of_pair gives 0 .. axes - 1");
  return parts;
}

/// One row per token.
///   position_of    (token, axis) to int64
template <typename Real, typename Kernel, typename AxisOfPair, typename PositionOf>
PhaseTable<Real> fill_axis_table(const PhaseTurns& turns, int axes, std::int64_t tokens,
                                 const AxisOfPair& axis_of_pair, const PositionOf& position_of) {
  auto table = allocate_table<Real>("phase_table", tokens, turns.pairs());
  auto parts = gather_axes<Kernel, Real>(turns, axes, axis_of_pair);
  Real* cos = table.cos.data();
  Real* sin = table.sin.data();
  for (std::int64_t token = 0; token < tokens; ++token) {
    const std::int64_t first = position_of(token, parts.front().axis);
    bool alike = true;
    for (const auto& part : parts) alike = alike && position_of(token, part.axis) == first;
    if (alike) {  // text: an ordinary row
      fill_phase_row<Kernel>(turns, first, turns.attention_factor, cos, sin);
    } else {
      for (auto& part : parts) {
        const std::int64_t position = position_of(token, part.axis);
        if (position != part.position) part.fill(position);
        part.scatter(cos, sin);
      }
    }
    cos += turns.pairs();
    sin += turns.pairs();
  }
  return table;
}

/// A config of as many pairs, all that the schemes ask for.
inline RopeConfig require_pairs(const char* where, const PhaseTurns& turns) {
  constexpr int maximum_pairs = 32768;  // of a RopeConfig
  require_turns(where, turns);
  const int pairs = turns.pairs();
  if (pairs < 1) refuse(where, {Errc::below_minimum, "pairs", static_cast<double>(pairs)});
  if (pairs > maximum_pairs) {
    refuse(where, {Errc::above_maximum, "pairs", static_cast<double>(pairs)});
  }
  RopeConfig config;
  config.head_dim = 2 * pairs;
  config.rotary_dim = 2 * pairs;
  return config;
}

}  // namespace detail

/// A table of tokens with a position per axis: row i is token i, for rotate(view, table, ...).
///   Real, Kernel   as phase_table takes them
///   turns          1 .. 32768 pairs, the attention factor on every entry
///   positions      (axes, tokens), axis by axis, as AxisPositions has them; any int64. An axis
///                  without pairs is not looked at
///   Max error      that of fill_phase_row; rows whose positions agree have the bits of
///                  phase_table(turns, positions)
///   Throws         std::invalid_argument: what axes.validate refuses for as many pairs, a number of
///                  positions that is no multiple of the axes, a table too large for memory
///                  addresses
template <typename Real, typename Kernel = simd::PortablePhase>
PhaseTable<Real> phase_table(const PhaseTurns& turns, const MultiAxis& axes,
                             Span<const std::int64_t> positions) {
  detail::require("phase_table", axes.validate(detail::require_pairs("phase_table", turns)));
  const auto count = static_cast<std::int64_t>(positions.size());
  if (count % axes.axes != 0) {
    detail::refuse("phase_table", {Errc::indivisible, "positions", static_cast<double>(count)});
  }
  const AxisPositions all{positions.data(), count / axes.axes};
  return detail::fill_axis_table<Real, Kernel>(
      turns, axes.axes, all.tokens, [&](int pair) noexcept { return axes.axis_of_pair(pair); },
      [&](std::int64_t token, int axis) noexcept { return all.data[axis * all.tokens + token]; });
}

template <typename Real, typename Kernel = simd::PortablePhase>
PhaseTable<Real> phase_table(const Spectrum& spectrum, const MultiAxis& axes,
                             Span<const std::int64_t> positions) {
  return phase_table<Real, Kernel>(phase_turns(spectrum), axes, positions);
}

/// A table of image patches: row i is patches[i], what layout.position(i, columns) gave.
///   Layout         QwenVision, Llama4Vision, PixtralVision, or a struct with their validate and
///                  axis_of_pair
///   turns          those of spectrum(config, layout), 2 .. 32768 pairs
///   Max error      that of fill_phase_row
///   Throws         std::invalid_argument: what layout.validate refuses for as many pairs, a table
///                  too large for memory addresses
template <typename Real, typename Kernel = simd::PortablePhase, typename Layout>
PhaseTable<Real> phase_table(const PhaseTurns& turns, const Layout& layout,
                             Span<const PatchPosition> patches) {
  const RopeConfig config = detail::require_pairs("phase_table", turns);
  detail::require("phase_table", layout.validate(config));
  return detail::fill_axis_table<Real, Kernel>(
      turns, 2, static_cast<std::int64_t>(patches.size()),
      [&](int pair) noexcept { return layout.axis_of_pair(config, pair); },
      [&](std::int64_t token, int axis) noexcept {
        return patches[static_cast<std::size_t>(token)][axis];
      });
}

template <typename Real, typename Kernel = simd::PortablePhase, typename Layout>
PhaseTable<Real> phase_table(const Spectrum& spectrum, const Layout& layout,
                             Span<const PatchPosition> patches) {
  return phase_table<Real, Kernel>(phase_turns(spectrum), layout, patches);
}

}  // namespace v0
}  // namespace ropewalk
