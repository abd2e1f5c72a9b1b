// Rows of angles in plain loops: what every other kernel is compared with, and what runs where there
// is none. Row 7b.
#pragma once

#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/turns.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

// Tables are made for 16 pairs at a time in loops of fixed length, which compilers turn into vector
// code at every instruction set; 16 doubles are two or four vector registers of the widest kinds.
inline constexpr int kPhaseLanes = 16;

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

/// |position|, of the lowest int64 too.
inline std::uint64_t magnitude_of(std::int64_t position) noexcept {
  const auto bits = static_cast<std::uint64_t>(position);
  return position < 0 ? 0 - bits : bits;
}

template <typename Kernel, typename Real>
void store_lanes(const double* values, int lanes, Real* row) noexcept {
  if (lanes == kPhaseLanes) {
    Kernel::narrow(values, row);
  } else {
    for (int lane = 0; lane < lanes; ++lane) row[lane] = static_cast<Real>(values[lane]);
  }
}

/// One row in a kernel's loops; that of -position is the mirror image.
template <typename Kernel, typename Real>
void fill_row_by_lanes(const PhaseTurns& turns, std::int64_t position, double factor, Real* cos,
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

}  // namespace detail

namespace simd {

/// Angles in plain C++. A kernel is: a row of any position; and for consecutive positions the exact
/// angles of some, their values, and the turn from these to their neighbours. Where it also writes
/// past the caches, Streaming is the kernel that does, else void.
struct PortablePhase {
  using Streaming = void;
  static constexpr bool kFillsBlocks = false;  // whether it has fill_block, a block of rows at once
  using PhaseLanes = ropewalk::detail::PhaseLanes;
  using TurnLanes = ropewalk::detail::TurnLanes;
  static constexpr int kLanes = ropewalk::detail::kPhaseLanes;

  /// One row, every angle formed directly.
  template <typename Real>
  static void fill_row(const PhaseTurns& turns, std::int64_t position, double factor, Real* cos,
                       Real* sin) noexcept {
    ropewalk::detail::fill_row_by_lanes<PortablePhase>(turns, position, factor, cos, sin);
  }

  /// Sixteen steps times a whole number.
  static void multiply(const std::uint64_t* high, const std::uint64_t* low, std::int64_t times,
                       TurnLanes& result) noexcept {
    if (times >> 32 == 0) {
      // Four products of 32 bits in place of nine.
      const std::uint64_t factor = static_cast<std::uint32_t>(times);
      for (int lane = 0; lane < kLanes; ++lane) {
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
    for (int lane = 0; lane < kLanes; ++lane) {
      const Turns turns = ropewalk::detail::multiply(Turns{high[lane], low[lane]}, times);
      result.high[lane] = turns.high;
      result.low[lane] = turns.low;
    }
  }

  static void add(const TurnLanes& step, TurnLanes& phase) noexcept {
    for (int lane = 0; lane < kLanes; ++lane) {
      const Turns turns = ropewalk::detail::sum(Turns{phase.high[lane], phase.low[lane]},
                                                Turns{step.high[lane], step.low[lane]});
      phase.high[lane] = turns.high;
      phase.low[lane] = turns.low;
    }
  }

  /// Sines times sine_factor, cosines times cosine_factor; the two differ in sign at most.
  static void sincos(const TurnLanes& phase, double sine_factor, double cosine_factor,
                     PhaseLanes& result) noexcept {
    for (int lane = 0; lane < kLanes; ++lane) {
      const SinCos<double> exact = ropewalk::detail::sincos_of(phase.high[lane], phase.low[lane]);
      result.sin[lane] = exact.sin * sine_factor;
      result.cos[lane] = exact.cos * cosine_factor;
    }
  }

  /// Sixteen values to a row.
  template <typename Real>
  static void narrow(const double* values, Real* __restrict row) noexcept {
    for (int lane = 0; lane < kLanes; ++lane) row[lane] = static_cast<Real>(values[lane]);
  }

  /// The values at -distance and +distance from the middle, sixteen pairs to a group.
  template <typename Real>
  static void rotate(const PhaseLanes* middle, const PhaseLanes* offset, int groups,
                     Real* cos_before, Real* cos_after, Real* sin_before,
                     Real* sin_after) noexcept {
    for (int group = 0; group < groups; ++group) {
      const int pair = group * kLanes;
      rotate_group(middle[group], offset[group], cos_before + pair, cos_after + pair,
                   sin_before + pair, sin_after + pair);
    }
  }

  template <typename Real>
  static void rotate_group(const PhaseLanes& middle, const PhaseLanes& offset,
                           Real* __restrict cos_before, Real* __restrict cos_after,
                           Real* __restrict sin_before, Real* __restrict sin_after) noexcept {
    for (int lane = 0; lane < kLanes; ++lane) {
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

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk
