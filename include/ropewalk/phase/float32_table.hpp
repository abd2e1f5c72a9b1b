// The table of an engine that forms its angles in float. Row 7.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/table.hpp>
#include <ropewalk/phase/turns.hpp>
#include <ropewalk/simd/phase_portable.hpp>
#include <ropewalk/spectrum.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace ropewalk {
inline namespace v0 {

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

/// A cosine or sine as the table of such an engine has it: rounded to float, times the factor, and
/// rounded again. Vector libraries round what lies near the middle of two floats either way (torch's
/// are good to 0.602 ULP in 1.6 10^7 values), and the factor would make two ULP of that; such a value
/// is multiplied first, which is at most one from both.
inline float float32_entry(double exact, float factor) noexcept {
  constexpr std::uint64_t below_float = (std::uint64_t{1} << 29) - 1;
  constexpr std::uint64_t eighth = std::uint64_t{1} << 26;  // 1/8 ULP
  const std::uint64_t fraction = double_bits(exact) & below_float;
  const std::uint64_t from_middle = fraction - (std::uint64_t{1} << 28) + eighth;
  const bool either_way = factor != 1.0f && from_middle < 2 * eighth;
  return either_way ? static_cast<float>(exact * static_cast<double>(factor))
                    : static_cast<float>(exact) * factor;
}

}  // namespace detail

/// The angle of an engine that multiplies in float: both factors and the product are rounded.
///   Matches      the rotary modules of Hugging Face transformers, bit for bit
ROPEWALK_HOST_DEVICE inline float angle_float32(std::int64_t position, float inv_freq) noexcept {
  return static_cast<float>(position) * inv_freq;
}

/// The table of such an engine: angle_float32, its cosine and sine in float, times the factor. Far
/// positions are off by design (0.004 .. 0.009 in cosine at 131072, 0.035 .. 0.074 at 2^20): for
/// checkpoints that were trained with exactly these angles.
///   inv_freq     (pairs,) as that engine holds them, finite, |position * inv_freq| below 2^63
///   Max error    0.5000001 ULP of the float angle's cosine and sine where the factor is 1
///   Matches      the rotary modules of Hugging Face transformers: angles bit for bit, values within
///                1 ULP for factors up to 1.6
///   Throws       std::invalid_argument naming field and value
inline PhaseTable<float> phase_table_float32(Span<const float> inv_freq, double attention_factor,
                                             std::int64_t first_position, std::int64_t positions) {
  detail::require("phase_table_float32", detail::check_run(first_position, positions));
  detail::require("phase_table_float32", detail::check_factor<float>(attention_factor));
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
      simd::PortablePhase::sincos(angle, position < 0 ? -1.0 : 1.0, 1.0, values);
      const std::size_t entry = static_cast<std::size_t>(row) * inv_freq.size() + first;
      for (int lane = 0; lane < lanes; ++lane) {
        const auto index = entry + static_cast<std::size_t>(lane);
        table.cos[index] = detail::float32_entry(values.cos[lane], factor);
        table.sin[index] = detail::float32_entry(values.sin[lane], factor);
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
