// Rows of consecutive positions: some exactly, their neighbours by one turn from these. Row 7.
#pragma once

#include <ropewalk/simd/phase_portable.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

namespace ropewalk {
inline namespace v0 {
namespace detail {

// Consecutive positions: one exact angle in the middle of 2 * kPhaseReach + 1, one angle addition
// for every other. Middles are multiples of the block length, so a value does not depend on where a
// table begins, and position 0 is exact.
inline constexpr int kPhaseReach = 12;
inline constexpr int kPhaseBlock = 2 * kPhaseReach + 1;
inline constexpr int kPhaseGroups = 4;  // of lanes at a time, so that the offsets stay in L1
inline constexpr int kPhaseChunk = kPhaseGroups * kPhaseLanes;

/// Errc::ok, or why the run of positions cannot be counted.
inline Fault check_run(std::int64_t first_position, std::int64_t positions) noexcept {
  if (positions < 0) return {Errc::below_minimum, "positions", static_cast<double>(positions)};
  constexpr std::int64_t largest = (std::numeric_limits<std::int64_t>::max)();
  if (first_position > 0 && positions > largest - first_position) {
    return {Errc::above_maximum, "first_position + positions",
            static_cast<double>(first_position) + static_cast<double>(positions)};
  }
  return {};
}

/// A run of consecutive positions seen from the middle of its first block.
struct PhaseRun {
  std::int64_t first = 0;       // position of row 0
  std::int64_t rows = 0;        // rows wanted
  std::int64_t middle_row = 0;  // row of the first block's middle, within kPhaseReach of row 0

  PhaseRun(std::int64_t first_position, std::int64_t positions) noexcept
      : first(first_position), rows(positions) {
    std::int64_t place = first_position % kPhaseBlock;  // has the sign of first_position
    if (place > kPhaseReach) place -= kPhaseBlock;
    if (place < -kPhaseReach) place += kPhaseBlock;
    middle_row = -place;
  }

  /// Whether any row lies at this distance from a middle: short runs do not need every offset.
  bool needs(int distance) const noexcept {
    if (rows >= kPhaseBlock) return true;
    for (std::int64_t row = 0; row < rows; ++row) {
      std::int64_t place = row - middle_row;
      if (place > kPhaseReach) place -= kPhaseBlock;
      if (place == distance || place == -distance) return true;
    }
    return false;
  }

  bool wants(std::int64_t row) const noexcept { return row >= 0 && row < rows; }
};

/// What a run of rows is made from: angles of the next middle, its step, and the offsets from it.
template <typename Kernel>
struct PhaseChunk {
  TurnLanes middle[kPhaseGroups];
  TurnLanes block_step[kPhaseGroups];
  PhaseLanes offset[kPhaseReach][kPhaseGroups];  // of 1 .. kPhaseReach tokens
  PhaseLanes values[kPhaseGroups];               // at the middle

  PhaseChunk(const PhaseTurns& turns, int first_pair, int groups, const PhaseRun& run) noexcept {
    for (int group = 0; group < groups; ++group) {
      const int pair = first_pair + group * kPhaseLanes;
      const StepLanes step(turns, pair);
      TurnLanes angle;
      // Not first + middle_row, which may lie just outside int64.
      step.template multiply<Kernel>(run.first, middle[group]);
      step.template multiply<Kernel>(run.middle_row, angle);
      Kernel::add(angle, middle[group]);
      step.template multiply<Kernel>(kPhaseBlock, block_step[group]);
      for (int distance = 1; distance <= kPhaseReach; ++distance) {
        if (!run.needs(distance)) continue;
        step.template multiply<Kernel>(distance, angle);
        Kernel::sincos(angle, 1.0, 1.0, offset[distance - 1][group]);
      }
    }
  }
};

/// Where a kernel writes rows that are not wanted, and groups that are not full.
template <typename Real>
struct alignas(64) SpareRows {
  Real row[4][kPhaseChunk];
};

/// The rows at one distance on both sides of a middle row, where they are wanted.
///   entry        of the middle row and the chunk's first pair in cos and sin; may lie outside
///   stride       from row to row
template <typename Kernel, typename Real>
void fill_neighbours(const PhaseChunk<Kernel>& chunk, int distance, int lanes,
                     std::ptrdiff_t stride, bool before, bool after, Real* cos, Real* sin,
                     std::ptrdiff_t entry, SpareRows<Real>& spare) noexcept {
  const PhaseLanes* offset = chunk.offset[distance - 1];
  const std::ptrdiff_t step = distance * stride;
  Real* target[4] = {spare.row[0], spare.row[1], spare.row[2], spare.row[3]};
  if (before) {
    target[0] = cos + (entry - step);
    target[2] = sin + (entry - step);
  }
  if (after) {
    target[1] = cos + (entry + step);
    target[3] = sin + (entry + step);
  }
  const int groups = lanes / kPhaseLanes;
  Kernel::rotate(chunk.values, offset, groups, target[0], target[1], target[2], target[3]);
  const int whole = groups * kPhaseLanes;
  if (whole == lanes) return;
  const auto bytes = static_cast<std::size_t>(lanes - whole) * sizeof(Real);
  Kernel::rotate(chunk.values + groups, offset + groups, 1, spare.row[0], spare.row[1],
                 spare.row[2], spare.row[3]);
  for (int part = 0; part < 4; ++part) {
    if (part % 2 == 0 ? before : after) std::memcpy(target[part] + whole, spare.row[part], bytes);
  }
}

/// Consecutive rows of at most kPhaseChunk pairs.
template <typename Kernel, typename Real>
void fill_phase_chunk(const PhaseTurns& turns, int first_pair, const PhaseRun& run, Real* cos,
                      Real* sin) noexcept {
  const int rest = turns.pairs() - first_pair;
  const int lanes = rest < kPhaseChunk ? rest : kPhaseChunk;
  const int groups = (lanes + kPhaseLanes - 1) / kPhaseLanes;
  const std::ptrdiff_t stride = turns.pairs();
  PhaseChunk<Kernel> chunk(turns, first_pair, groups, run);
  SpareRows<Real> spare;
  for (std::int64_t row = run.middle_row; row - kPhaseReach < run.rows; row += kPhaseBlock) {
    // May lie outside the table, so it is an offset until it is known to be wanted.
    const std::ptrdiff_t entry = static_cast<std::ptrdiff_t>(row) * stride + first_pair;
    for (int group = 0; group < groups; ++group) {
      Kernel::sincos(chunk.middle[group], turns.attention_factor, turns.attention_factor,
                     chunk.values[group]);
      Kernel::add(chunk.block_step[group], chunk.middle[group]);
      if (!run.wants(row)) continue;
      const int pair = group * kPhaseLanes;
      store_lanes<Kernel>(chunk.values[group].cos, lanes_left(lanes, pair), cos + entry + pair);
      store_lanes<Kernel>(chunk.values[group].sin, lanes_left(lanes, pair), sin + entry + pair);
    }
    if constexpr (Kernel::kFillsBlocks) {
      if (lanes % kPhaseLanes == 0 && run.wants(row - kPhaseReach) &&
          run.wants(row + kPhaseReach)) {
        Kernel::fill_block(chunk.values, chunk.offset[0], kPhaseReach, kPhaseGroups, groups,
                           cos + entry, sin + entry, stride);
        continue;
      }
    }
    for (int distance = 1; distance <= kPhaseReach; ++distance) {
      const bool before = run.wants(row - distance);
      const bool after = run.wants(row + distance);
      if (before || after) {
        fill_neighbours<Kernel>(chunk, distance, lanes, stride, before, after, cos, sin, entry,
                                spare);
      }
    }
  }
}

template <typename Kernel, typename Real>
void fill_consecutive_rows(const PhaseTurns& turns, std::int64_t first_position,
                           std::int64_t positions, Real* cos, Real* sin) noexcept {
  if (positions <= 0) return;
  const PhaseRun run(first_position, positions);
  for (int pair = 0; pair < turns.pairs(); pair += kPhaseChunk) {
    fill_phase_chunk<Kernel>(turns, pair, run, cos, sin);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
