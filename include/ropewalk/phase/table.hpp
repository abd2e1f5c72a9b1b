// Tables of cosines and sines that own their memory. Row 7.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase/rows.hpp>
#include <ropewalk/phase/turns.hpp>
#include <ropewalk/spectrum.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Cosines and sines of consecutive or chosen positions, the attention factor included.
template <typename Real>
struct PhaseTable {
  std::int64_t positions = 0;
  int pairs = 0;
  std::vector<Real> cos = {};  // (positions, pairs), row-major
  std::vector<Real> sin = {};  // (positions, pairs), row-major
};

namespace detail {

/// Errc::ok, or why cosines and sines times the factor are no numbers of this type.
template <typename Real>
Fault check_factor(double factor) noexcept {
  const Fault fault = check_at_least("attention_factor", factor, 0.0);
  if (fault.code != Errc::ok) return fault;
  constexpr auto largest = static_cast<double>((std::numeric_limits<Real>::max)());
  if (factor > largest) return {Errc::above_maximum, "attention_factor", factor};
  return {};
}

/// An empty table of the right size.
template <typename Real>
PhaseTable<Real> allocate_table(const char* where, std::int64_t positions, int pairs) {
  static_assert(std::is_same_v<Real, float> || std::is_same_v<Real, double>,
                "tables hold float or double; narrow a row yourself for other types");
  constexpr std::int64_t largest =
      (std::numeric_limits<std::ptrdiff_t>::max)() / static_cast<std::int64_t>(sizeof(Real));
  if (pairs > 0 && positions > largest / pairs) {
    refuse(where, {Errc::above_maximum, "positions", static_cast<double>(positions)});
  }
  PhaseTable<Real> table;
  table.positions = positions;
  table.pairs = pairs;
  const std::size_t size = static_cast<std::size_t>(positions) * static_cast<std::size_t>(pairs);
  table.cos.resize(size);
  table.sin.resize(size);
  return table;
}

}  // namespace detail

/// A table of consecutive positions.
///   Real         float or double
///   Kernel       as fill_phase_rows takes them
///   Max error    that of fill_phase_rows
///   Throws       std::invalid_argument: positions < 0, first_position + positions beyond int64, a
///                table too large for memory addresses, a factor too large for Real, what
///                phase_turns refuses, turns by hand with more or fewer low words than high ones
template <typename Real, typename Kernel = simd::PortablePhase>
PhaseTable<Real> phase_table(const PhaseTurns& turns, std::int64_t first_position,
                             std::int64_t positions) {
  detail::require("phase_table", detail::check_run(first_position, positions));
  detail::require("phase_table", detail::check_turns(turns));
  detail::require("phase_table", detail::check_factor<Real>(turns.attention_factor));
  auto table = detail::allocate_table<Real>("phase_table", positions, turns.pairs());
  fill_phase_rows<Kernel>(turns, first_position, positions, table.cos.data(), table.sin.data());
  return table;
}

template <typename Real, typename Kernel = simd::PortablePhase>
PhaseTable<Real> phase_table(const Spectrum& spectrum, std::int64_t first_position,
                             std::int64_t positions) {
  return phase_table<Real, Kernel>(phase_turns(spectrum), first_position, positions);
}

/// A table of chosen positions: row i belongs to positions[i].
template <typename Real, typename Kernel = simd::PortablePhase>
PhaseTable<Real> phase_table(const PhaseTurns& turns, Span<const std::int64_t> positions) {
  detail::require("phase_table", detail::check_turns(turns));
  detail::require("phase_table", detail::check_factor<Real>(turns.attention_factor));
  auto table = detail::allocate_table<Real>(
      "phase_table", static_cast<std::int64_t>(positions.size()), turns.pairs());
  fill_phase_rows<Kernel>(turns, positions, table.cos.data(), table.sin.data());
  return table;
}

template <typename Real, typename Kernel = simd::PortablePhase>
PhaseTable<Real> phase_table(const Spectrum& spectrum, Span<const std::int64_t> positions) {
  return phase_table<Real, Kernel>(phase_turns(spectrum), positions);
}

}  // namespace v0
}  // namespace ropewalk
