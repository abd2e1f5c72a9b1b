// Exact angles: positions times frequencies as fixed-point turns, and tables of their cosines and
// sines; the table of an engine that multiplies in float, by name. Row 7.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase/rows.hpp>
#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/turns.hpp>
#include <ropewalk/spectrum.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
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

/// |angle| / 2 pi mod one turn: quicker than turns_of, and as good for these floats, of which none
/// lies nearer than 2^-29 to a multiple of pi / 2 (all were tried).
///   |angle|      2^-40 .. 2^63
///   Max error    2^-104 turns
ROPEWALK_HOST_DEVICE inline Turns turns_of_magnitude(float angle) noexcept {
  // 2^-128 times 1 / 2 pi, most significant word first.
  constexpr std::uint64_t kInverse[6] = {
      0, 0, 0x28be60db9391054au, 0x7f09d5f47d4d3770u, 0x36d8a5664f10e410u, 0x7f9458eaf7aef158u};
  std::uint32_t bits = 0;
  std::memcpy(&bits, &angle, sizeof bits);
  const std::uint64_t mantissa = (bits & 0x007fffffu) | 0x00800000u;
  // |angle| = mantissa * 2^(biased - 150): the window of kInverse that starts at the first turn.
  const std::uint32_t first = ((bits >> 23) & 0xffu) - (150 - 128);
  const std::uint32_t word = first / 64;
  const std::uint32_t offset = first % 64;
  const std::uint64_t high = kInverse[word] << offset | kInverse[word + 1] >> 1 >> (63 - offset);
  const std::uint64_t low = kInverse[word + 1] << offset | kInverse[word + 2] >> 1 >> (63 - offset);
  return {mantissa * high + multiply_high(mantissa, low), mantissa * low};
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
///   Max error    that of fill_phase_rows
///   Throws       std::invalid_argument: positions < 0, first_position + positions beyond int64, a
///                table too large for memory addresses, or what phase_turns refuses
template <typename Real>
PhaseTable<Real> phase_table(const PhaseTurns& turns, std::int64_t first_position,
                             std::int64_t positions) {
  detail::require("phase_table", detail::check_run(first_position, positions));
  auto table = detail::allocate_table<Real>("phase_table", positions, turns.pairs());
  fill_phase_rows(turns, first_position, positions, table.cos.data(), table.sin.data());
  return table;
}

template <typename Real>
PhaseTable<Real> phase_table(const Spectrum& spectrum, std::int64_t first_position,
                             std::int64_t positions) {
  return phase_table<Real>(phase_turns(spectrum), first_position, positions);
}

/// A table of chosen positions: row i belongs to positions[i].
template <typename Real>
PhaseTable<Real> phase_table(const PhaseTurns& turns, Span<const std::int64_t> positions) {
  auto table = detail::allocate_table<Real>(
      "phase_table", static_cast<std::int64_t>(positions.size()), turns.pairs());
  fill_phase_rows(turns, positions, table.cos.data(), table.sin.data());
  return table;
}

template <typename Real>
PhaseTable<Real> phase_table(const Spectrum& spectrum, Span<const std::int64_t> positions) {
  return phase_table<Real>(phase_turns(spectrum), positions);
}

/// The angle of an engine that multiplies in float: both factors and the product are rounded.
///   Matches      the rotary modules of Hugging Face transformers, bit for bit
ROPEWALK_HOST_DEVICE inline float angle_float32(std::int64_t position, float inv_freq) noexcept {
  return static_cast<float>(position) * inv_freq;
}

/// The table of such an engine: angle_float32, its cosine and sine rounded to float, times the factor in float. Far positions are off by
/// design (0.004 .. 0.009 in cosine at 131072, 0.035 .. 0.074 at 2^20): for checkpoints that were
/// trained with exactly these angles.
///   inv_freq     (pairs,) as that engine holds them, finite, |position * inv_freq| below 2^63
///   Max error    0.5000001 ULP of the float angle's cosine and sine, before the factor
///   Matches      the rotary modules of Hugging Face transformers, angles bit for bit
///   Throws       std::invalid_argument naming field and value
inline PhaseTable<float> phase_table_float32(Span<const float> inv_freq, double attention_factor,
                                             std::int64_t first_position, std::int64_t positions) {
  detail::require("phase_table_float32", detail::check_run(first_position, positions));
  detail::require("phase_table_float32",
                  detail::check_at_least("attention_factor", attention_factor, 0.0));
  const std::int64_t last_position = positions > 0 ? first_position + (positions - 1) : 0;
  for (std::size_t pair = 0; pair < inv_freq.size(); ++pair) {
    Fault fault = detail::check_at_least("inv_freq", static_cast<double>(inv_freq[pair]), 0.0);
    for (const std::int64_t position : {first_position, last_position}) {
      const float angle = angle_float32(position, inv_freq[pair]);
      if (fault.code == Errc::ok && positions > 0 && !(angle < 0x1p63f && angle > -0x1p63f)) {
        fault = {Errc::above_maximum, "inv_freq", static_cast<double>(inv_freq[pair])};
      }
    }
    fault.index = static_cast<int>(pair);
    detail::require("phase_table_float32", fault);
  }
  auto table = detail::allocate_table<float>("phase_table_float32", positions,
                                             static_cast<int>(inv_freq.size()));
  const auto factor = static_cast<float>(attention_factor);
  for (std::int64_t row = 0; row < positions; ++row) {
    const std::int64_t position = first_position + row;
    for (int pair = 0; pair < table.pairs; pair += detail::kPhaseLanes) {
      const int lanes = detail::lanes_left(table.pairs, pair);
      const auto first = static_cast<std::size_t>(pair);
      detail::TurnLanes angle = {};
      for (int lane = 0; lane < lanes; ++lane) {
        const float radians =
            angle_float32(position, inv_freq[first + static_cast<std::size_t>(lane)]);
        const double magnitude = static_cast<double>(position < 0 ? -radians : radians);
        const Turns turns = magnitude >= 0x1p-40 ? detail::turns_of_magnitude(radians)
                                                 : detail::turns_of(magnitude);
        angle.high[lane] = turns.high;
        angle.low[lane] = turns.low;
      }
      detail::PhaseLanes values;
      detail::PortablePhase::sincos(angle, position < 0 ? -1.0 : 1.0, 1.0, values);
      const std::size_t entry = static_cast<std::size_t>(row) * inv_freq.size() + first;
      for (int lane = 0; lane < lanes; ++lane) {
        const auto index = entry + static_cast<std::size_t>(lane);
        table.cos[index] = static_cast<float>(values.cos[lane]) * factor;
        table.sin[index] = static_cast<float>(values.sin[lane]) * factor;
      }
    }
  }
  return table;
}

/// The same from a spectrum, its frequencies rounded to float.
inline PhaseTable<float> phase_table_float32(const Spectrum& spectrum, std::int64_t first_position,
                                             std::int64_t positions) {
  std::vector<float> inv_freq;
  inv_freq.reserve(spectrum.inv_freq.size());
  for (const double step : spectrum.inv_freq) inv_freq.push_back(static_cast<float>(step));
  return phase_table_float32(Span<const float>(inv_freq), spectrum.attention_factor, first_position,
                             positions);
}

}  // namespace v0
}  // namespace ropewalk
