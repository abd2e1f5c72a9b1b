// Rows of cosines and sines in the caller's memory: one position, consecutive ones, chosen ones.
// Row 7.
//
// Every function takes the kernel that it runs as its first template argument, plain C++ unless
// told otherwise:
//
//     fill_phase_rows(turns, first_position, positions, cos, sin);
//     fill_phase_rows<simd::NativePhase>(...);                    with <ropewalk/simd/phase.hpp>
//
// Every float is the correctly rounded one, hence the same bits with every kernel, compiler, machine
// and under -ffast-math, except where the exact value lies within the errors below of the middle of
// two floats: about one in 10^8. Doubles differ in their last bits between kernels, and with the
// compiler's use of fused multiply-add.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase/runs.hpp>
#include <ropewalk/phase/turns.hpp>
#include <ropewalk/simd/phase_portable.hpp>

#include <cstdint>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {

namespace detail {

/// One row, every angle formed directly.
template <typename Kernel, typename Real>
void fill_direct_row(const PhaseTurns& turns, std::int64_t position, double factor, Real* cos,
                     Real* sin) noexcept {
  Kernel::fill_row(turns, position, factor, cos, sin);
}

/// From how many bytes on a table is written past the caches.
inline constexpr std::int64_t kStreamingBytes = std::int64_t{64} << 20;

}  // namespace detail

/// Cosines and sines of one position, each angle formed directly.
///   factor       on both; turns.attention_factor as a rule, 1 for shifts of rotated values
///   cos, sin     (pairs,), not overlapping
///   Max error    float 0.5000001 ULP, double 4.5 ULP and 2e-16; near a zero crossing
///                |position| * 2^-126 is added, nothing below 2^53 tokens (floats of a kernel that
///                says so: 2^-101)
template <typename Kernel = simd::PortablePhase, typename Real>
void fill_phase_row(const PhaseTurns& turns, std::int64_t position, double factor, Real* cos,
                    Real* sin) noexcept {
  Kernel::fill_row(turns, position, factor, cos, sin);
}

/// Cosines and sines of consecutive positions, attention factor included, into the caller's memory.
/// Values do not depend on how a table is cut into runs: several threads may each fill a run.
///   first_position + positions   must not exceed the range of int64
///   cos, sin     (positions, pairs), row-major, not overlapping
///   streaming_bytes   a run that writes as much or more goes past the caches, where the kernel can
///                     and the rows are whole cache lines: for tables well beyond the last cache
///   Max error    4e-16 times the factor before the rounding to Real: float 0.5001 ULP where the
///                value is above 2^-14 of the factor, and exact at position 0
template <typename Kernel = simd::PortablePhase, typename Real>
void fill_phase_rows(const PhaseTurns& turns, std::int64_t first_position, std::int64_t positions,
                     Real* cos, Real* sin,
                     std::int64_t streaming_bytes = detail::kStreamingBytes) noexcept {
  ROPEWALK_ASSERT(detail::check_run(first_position, positions).code == Errc::ok,
                  "fill_phase_rows: positions >= 0 and first_position + positions fits int64");
  ROPEWALK_ASSERT(turns.low.size() == turns.high.size(), "fill_phase_rows: two words per pair");
  using Streaming = typename Kernel::Streaming;
  if constexpr (std::is_void_v<Streaming>) {
    static_cast<void>(streaming_bytes);
  } else {
    constexpr std::uintptr_t line = 64;
    const auto row_bytes = static_cast<std::int64_t>(sizeof(Real)) * turns.pairs();
    const auto address = reinterpret_cast<std::uintptr_t>(cos) |
                         reinterpret_cast<std::uintptr_t>(sin) |
                         static_cast<std::uintptr_t>(row_bytes);
    if (row_bytes > 0 && positions >= streaming_bytes / (2 * row_bytes) && address % line == 0) {
      detail::fill_consecutive_rows<Streaming>(turns, first_position, positions, cos, sin);
      Streaming::finish();
      return;
    }
  }
  detail::fill_consecutive_rows<Kernel>(turns, first_position, positions, cos, sin);
}

/// The same for chosen positions, each angle formed directly.
///   positions    any int64, in any order
///   Max error    that of fill_phase_row
template <typename Kernel = simd::PortablePhase, typename Real>
void fill_phase_rows(const PhaseTurns& turns, Span<const std::int64_t> positions, Real* cos,
                     Real* sin) noexcept {
  ROPEWALK_ASSERT(turns.low.size() == turns.high.size(), "fill_phase_rows: two words per pair");
  for (const std::int64_t position : positions) {
    Kernel::fill_row(turns, position, turns.attention_factor, cos, sin);
    cos += turns.pairs();
    sin += turns.pairs();
  }
}

}  // namespace v0
}  // namespace ropewalk
