// Angles where doubles are slow: one 64-bit word of a turn, and its sine and cosine in float. Host
// and device; nothing calls the mathematical library, so --use_fast_math changes nothing.
#pragma once

#include <ropewalk/element.hpp>
#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/turns.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {

/// The nearest 2^-64 turn of a step given in 128 bits: what the device multiplies positions with.
ROPEWALK_HOST_DEVICE constexpr std::uint64_t nearest_word(Turns step) noexcept {
  return step.high + (step.low >> 63);
}

/// position * step mod one turn, in 2^-64 turns: one wide multiplication.
///   position     any int64
///   Max error    |position| * 2^-65 turns against the step's 128 bits: 3.6e-13 radians at 2^20
///                tokens, 2.4e-8 at 2^36
ROPEWALK_HOST_DEVICE constexpr std::uint64_t phase_word(std::uint64_t step,
                                                        std::int64_t position) noexcept {
  return step * static_cast<std::uint64_t>(position);
}

namespace detail {

// sin(pi/2 y) = y (pi/2 + t P(t)) and cos(pi/2 y) = 1 + t Q(t) with t = y^2, on |y| <= 1/2: to
// 1.8e-9 and 5.4e-11. pi/2 is the sum of two floats.
inline constexpr float kHalfPi = 0x1.921fb6p+0f;
inline constexpr float kHalfPiRest = -0x1.777a5cp-25f;
inline constexpr float kSineTerms[3] = {-0x1.4abbbap-1f, 0x1.465e30p-4f, -0x1.2d7a84p-8f};
inline constexpr float kCosineTerms[4] = {-0x1.3bd3ccp+0f, 0x1.03c1dep-2f, -0x1.55c664p-6f,
                                          0x1.d9f7bcp-11f};

}  // namespace detail

/// Sine and cosine of an angle in 2^-64 turns, in float arithmetic alone.
///   Max error    1.1e-7 absolute (half a unit of the conversion 3.3e-8, of the product 3.0e-8, of
///                the sum 3.0e-8, the polynomial and the 32 bits kept 3e-9), with and without fused
///                multiply-add; exact at quarter turns
ROPEWALK_HOST_DEVICE inline SinCos<float> sincos_single(std::uint64_t phase) noexcept {
  const auto word = static_cast<std::uint32_t>((phase + 0x80000000u) >> 32);  // 2^-32 turns
  const std::uint32_t quadrant = (word + 0x20000000u) >> 30;
  const auto rest = static_cast<std::int32_t>(word - (quadrant << 30));  // within 2^29
  const float y = static_cast<float>(rest) * 0x1p-30f;                   // quarter turns
  const float t = y * y;
  constexpr float p0 = detail::kSineTerms[0], p1 = detail::kSineTerms[1];
  constexpr float p2 = detail::kSineTerms[2];
  constexpr float q0 = detail::kCosineTerms[0], q1 = detail::kCosineTerms[1];
  constexpr float q2 = detail::kCosineTerms[2], q3 = detail::kCosineTerms[3];
  const float tail = detail::kHalfPiRest + t * (p0 + t * (p1 + t * p2));
  const std::uint32_t sine = ropewalk::detail::bits_of(y * detail::kHalfPi + y * tail);
  const std::uint32_t cosine =
      ropewalk::detail::bits_of(1.0f + t * (q0 + t * (q1 + t * (q2 + t * q3))));
  const std::uint32_t exchange = (sine ^ cosine) & (0u - (quadrant & 1u));
  const std::uint32_t sine_sign = (quadrant & 2u) << 30;
  const std::uint32_t cosine_sign = ((quadrant + 1u) & 2u) << 30;
  return {ropewalk::detail::float_of((sine ^ exchange) ^ sine_sign),
          ropewalk::detail::float_of((cosine ^ exchange) ^ cosine_sign)};
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
