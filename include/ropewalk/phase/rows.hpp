// Rows of cosines and sines in the caller's memory: one position, consecutive ones, chosen ones.
// Row 7.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/turns.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

namespace ropewalk {
inline namespace v0 {

namespace detail {

// Tables are made for 16 pairs at a time in loops of fixed length, which compilers turn into vector
// code at every instruction set; 16 doubles are two or four vector registers of the widest kinds.
inline constexpr int kPhaseLanes = 16;
// Consecutive positions: one exact angle in the middle of 2 * kPhaseReach + 1, one angle addition
// for every other. Middles are multiples of the block length, so a value does not depend on where a
// table begins, and position 0 is exact.
inline constexpr int kPhaseReach = 12;
inline constexpr int kPhaseBlock = 2 * kPhaseReach + 1;
inline constexpr int kPhaseGroups = 4;  // of lanes at a time, so that the offsets stay in L1
inline constexpr int kPhaseChunk = kPhaseGroups * kPhaseLanes;

struct alignas(64) PhaseLanes {
  double sin[kPhaseLanes];
  double cos[kPhaseLanes];
};

struct alignas(64) TurnLanes {
  std::uint64_t high[kPhaseLanes];
  std::uint64_t low[kPhaseLanes];
};

/// The lanes of one row that exist; the last group of a row may have fewer than kPhaseLanes.
inline int lanes_left(int pairs, int pair) noexcept {
  const int rest = pairs - pair;
  return rest < kPhaseLanes ? rest : kPhaseLanes;
}

/// Sixteen steps from a pair on, in the spectrum itself or, where it has fewer, in a padded copy:
/// a copy that is read at once in wider pieces than it was written costs more than the angles.
struct StepLanes {
  const std::uint64_t* high;
  const std::uint64_t* low;
  TurnLanes padded;

  StepLanes(const PhaseTurns& turns, int pair) noexcept
      : high(turns.high.data() + pair), low(turns.low.data() + pair) {
    const int lanes = lanes_left(turns.pairs(), pair);
    if (lanes == kPhaseLanes) return;
    for (int lane = 0; lane < kPhaseLanes; ++lane) {
      padded.high[lane] = lane < lanes ? high[lane] : 0;
      padded.low[lane] = lane < lanes ? low[lane] : 0;
    }
    high = padded.high;
    low = padded.low;
  }
  StepLanes(const StepLanes&) = delete;
  StepLanes& operator=(const StepLanes&) = delete;

  template <typename Kernel>
  void multiply(std::int64_t times, TurnLanes& result) const noexcept {
    Kernel::multiply(high, low, times, result);
  }
};

/// The loops over lanes in plain C++; the kernels of simd/phase.hpp replace some of them and agree
/// with these to the rounding of a double.
struct PortablePhase {
  /// Sixteen steps times a whole number.
  static void multiply(const std::uint64_t* high, const std::uint64_t* low, std::int64_t times,
                       TurnLanes& result) noexcept {
    if (times >> 32 == 0) {
      // Four products of 32 bits in place of nine.
      const std::uint64_t factor = static_cast<std::uint32_t>(times);
      for (int lane = 0; lane < kPhaseLanes; ++lane) {
        const std::uint64_t first = static_cast<std::uint32_t>(low[lane]) * factor;
        const std::uint64_t second =
            static_cast<std::uint32_t>(low[lane] >> 32) * factor + (first >> 32);
        const std::uint64_t third =
            static_cast<std::uint32_t>(high[lane]) * factor + (second >> 32);
        const std::uint64_t fourth = static_cast<std::uint32_t>(high[lane] >> 32) * factor;
        result.low[lane] = (first & 0xffffffffu) | (second << 32);
        result.high[lane] = third + (fourth << 32);
      }
      return;
    }
    for (int lane = 0; lane < kPhaseLanes; ++lane) {
      const Turns turns = detail::multiply(Turns{high[lane], low[lane]}, times);
      result.high[lane] = turns.high;
      result.low[lane] = turns.low;
    }
  }

  static void add(const TurnLanes& step, TurnLanes& phase) noexcept {
    for (int lane = 0; lane < kPhaseLanes; ++lane) {
      const Turns turns =
          sum(Turns{phase.high[lane], phase.low[lane]}, Turns{step.high[lane], step.low[lane]});
      phase.high[lane] = turns.high;
      phase.low[lane] = turns.low;
    }
  }

  /// Sines times sine_factor, cosines times cosine_factor.
  static void sincos(const TurnLanes& phase, double sine_factor, double cosine_factor,
                     PhaseLanes& result) noexcept {
    for (int lane = 0; lane < kPhaseLanes; ++lane) {
      const SinCos<double> exact = sincos_of(phase.high[lane], phase.low[lane]);
      result.sin[lane] = exact.sin * sine_factor;
      result.cos[lane] = exact.cos * cosine_factor;
    }
  }

  /// Sixteen values to a row.
  template <typename Real>
  static void narrow(const double* values, Real* __restrict row) noexcept {
    for (int lane = 0; lane < kPhaseLanes; ++lane) row[lane] = static_cast<Real>(values[lane]);
  }

  /// The values at -distance and +distance from the middle.
  template <typename Real>
  static void rotate(const PhaseLanes& middle, const PhaseLanes& offset,
                     Real* __restrict cos_before, Real* __restrict cos_after,
                     Real* __restrict sin_before, Real* __restrict sin_after) noexcept {
    for (int lane = 0; lane < kPhaseLanes; ++lane) {
      const double sin_sin = middle.sin[lane] * offset.sin[lane];
      const double cos_sin = middle.cos[lane] * offset.sin[lane];
      const double cos_cos = middle.cos[lane] * offset.cos[lane];
      const double sin_cos = middle.sin[lane] * offset.cos[lane];
      cos_before[lane] = static_cast<Real>(cos_cos + sin_sin);
      cos_after[lane] = static_cast<Real>(cos_cos - sin_sin);
      sin_before[lane] = static_cast<Real>(sin_cos - cos_sin);
      sin_after[lane] = static_cast<Real>(sin_cos + cos_sin);
    }
  }
};

template <typename Kernel, typename Real>
void store_lanes(const double* values, int lanes, Real* row) noexcept {
  if (lanes == kPhaseLanes) {
    Kernel::narrow(values, row);
  } else {
    for (int lane = 0; lane < lanes; ++lane) row[lane] = static_cast<Real>(values[lane]);
  }
}

/// One row, every angle formed directly; that of -position is the mirror image.
template <typename Kernel, typename Real>
void fill_direct_row(const PhaseTurns& turns, std::int64_t position, double factor, Real* cos,
                     Real* sin) noexcept {
  const bool mirrored = position < 0 && position >= -std::int64_t{0xffffffff};
  const std::int64_t times = mirrored ? -position : position;
  for (int pair = 0; pair < turns.pairs(); pair += kPhaseLanes) {
    const int lanes = lanes_left(turns.pairs(), pair);
    const StepLanes step(turns, pair);
    TurnLanes angle;
    PhaseLanes values;
    step.template multiply<Kernel>(times, angle);
    Kernel::sincos(angle, mirrored ? -factor : factor, factor, values);
    store_lanes<Kernel>(values.cos, lanes, cos + pair);
    store_lanes<Kernel>(values.sin, lanes, sin + pair);
  }
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

/// Consecutive rows of at most kPhaseChunk pairs.
template <typename Kernel, typename Real>
void fill_phase_chunk(const PhaseTurns& turns, int first_pair, const PhaseRun& run, Real* cos,
                      Real* sin) noexcept {
  const int rest = turns.pairs() - first_pair;
  const int groups = rest < kPhaseChunk ? (rest + kPhaseLanes - 1) / kPhaseLanes : kPhaseGroups;
  PhaseChunk<Kernel> chunk(turns, first_pair, groups, run);
  alignas(64) Real spare[4][kPhaseLanes];  // takes rows that are not wanted and short groups
  for (std::int64_t row = run.middle_row; row - kPhaseReach < run.rows; row += kPhaseBlock) {
    const auto at = [&](std::int64_t wanted_row, int group) noexcept {
      return static_cast<std::ptrdiff_t>(wanted_row) * turns.pairs() + first_pair +
             group * kPhaseLanes;
    };
    for (int group = 0; group < groups; ++group) {
      Kernel::sincos(chunk.middle[group], turns.attention_factor, turns.attention_factor,
                     chunk.values[group]);
      Kernel::add(chunk.block_step[group], chunk.middle[group]);
      if (!run.wants(row)) continue;
      const int lanes = lanes_left(turns.pairs(), first_pair + group * kPhaseLanes);
      store_lanes<Kernel>(chunk.values[group].cos, lanes, cos + at(row, group));
      store_lanes<Kernel>(chunk.values[group].sin, lanes, sin + at(row, group));
    }
    for (int distance = 1; distance <= kPhaseReach; ++distance) {
      const bool before = run.wants(row - distance);
      const bool after = run.wants(row + distance);
      if (!before && !after) continue;
      for (int group = 0; group < groups; ++group) {
        const int lanes = lanes_left(turns.pairs(), first_pair + group * kPhaseLanes);
        const bool whole = lanes == kPhaseLanes;
        Real* target[4] = {spare[0], spare[1], spare[2], spare[3]};
        if (before && whole) {
          target[0] = cos + at(row - distance, group);
          target[2] = sin + at(row - distance, group);
        }
        if (after && whole) {
          target[1] = cos + at(row + distance, group);
          target[3] = sin + at(row + distance, group);
        }
        Kernel::rotate(chunk.values[group], chunk.offset[distance - 1][group], target[0], target[1],
                       target[2], target[3]);
        if (whole) continue;
        const auto bytes = static_cast<std::size_t>(lanes) * sizeof(Real);
        if (before) {
          std::memcpy(cos + at(row - distance, group), spare[0], bytes);
          std::memcpy(sin + at(row - distance, group), spare[2], bytes);
        }
        if (after) {
          std::memcpy(cos + at(row + distance, group), spare[1], bytes);
          std::memcpy(sin + at(row + distance, group), spare[3], bytes);
        }
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

}  // namespace detail

/// Cosines and sines of one position, each angle formed directly.
///   factor       on both; turns.attention_factor as a rule, 1 for shifts of rotated values
///   cos, sin     (pairs,), not overlapping
///   Max error    float 0.5000001 ULP, double 4.5 ULP and 2e-16; near a zero crossing
///                |position| * 2^-126 is added, nothing below 2^53 tokens
template <typename Real>
void fill_phase_row(const PhaseTurns& turns, std::int64_t position, double factor, Real* cos,
                    Real* sin) noexcept {
  detail::fill_direct_row<detail::PortablePhase>(turns, position, factor, cos, sin);
}

/// Cosines and sines of consecutive positions, attention factor included, into the caller's memory.
/// Values do not depend on how a table is cut into runs: several threads may each fill a run.
///   first_position + positions   must not exceed the range of int64
///   cos, sin     (positions, pairs), row-major, not overlapping
///   Max error    4e-16 times the factor before the rounding to Real: float 0.5001 ULP where the
///                value is above 2^-14 of the factor, and exact at position 0
template <typename Real>
void fill_phase_rows(const PhaseTurns& turns, std::int64_t first_position, std::int64_t positions,
                     Real* cos, Real* sin) noexcept {
  ROPEWALK_ASSERT(detail::check_run(first_position, positions).code == Errc::ok,
                  "fill_phase_rows: positions >= 0 and first_position + positions fits int64");
  detail::fill_consecutive_rows<detail::PortablePhase>(turns, first_position, positions, cos, sin);
}

/// The same for chosen positions, each angle formed directly.
///   positions    any int64, in any order
///   Max error    that of fill_phase_row
template <typename Real>
void fill_phase_rows(const PhaseTurns& turns, Span<const std::int64_t> positions, Real* cos,
                     Real* sin) noexcept {
  for (const std::int64_t position : positions) {
    fill_phase_row(turns, position, turns.attention_factor, cos, sin);
    cos += turns.pairs();
    sin += turns.pairs();
  }
}

}  // namespace v0
}  // namespace ropewalk
