// Attention kernel for 64-bit Arm; empty elsewhere. Row 7b.
#pragma once

#if defined(__aarch64__) && defined(__ARM_NEON)

#include <ropewalk/simd/attention_vector.hpp>
#include <ropewalk/simd/rotate_neon.hpp>

#include <cstdint>

#include <arm_neon.h>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Four floats at a time, as attention asks for them. A mask has all bits of a lane set, or none.
struct NeonAttentionLanes : NeonLanes {
  using Vector = float32x4_t;
  static constexpr int kLanes = 4;

  static Vector zero() noexcept { return vdupq_n_f32(0.0f); }
  static Vector set(float value) noexcept { return vdupq_n_f32(value); }

  static Vector add(Vector a, Vector b) noexcept { return vaddq_f32(a, b); }
  static Vector subtract(Vector a, Vector b) noexcept { return vsubq_f32(a, b); }
  static Vector multiply(Vector a, Vector b) noexcept { return vmulq_f32(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return vfmaq_f32(c, a, b); }
  static Vector multiply_subtract(Vector a, Vector b, Vector c) noexcept {
    return vfmaq_f32(vnegq_f32(c), a, b);
  }
  static Vector larger(Vector a, Vector b) noexcept { return vmaxq_f32(a, b); }
  static Vector smaller(Vector a, Vector b) noexcept { return vminq_f32(a, b); }

  /// The larger of a magnitude and that of a number, in the order of bits.
  static Vector larger_magnitude(Vector magnitude, Vector number) noexcept {
    const uint32x4_t bits = vandq_u32(vreinterpretq_u32_f32(number), vdupq_n_u32(0x7fffffffu));
    return vreinterpretq_f32_u32(vmaxq_u32(vreinterpretq_u32_f32(magnitude), bits));
  }

  /// The mask of lanes first .. end - 1.
  static Vector lanes(int first, int end) noexcept {
    constexpr std::int32_t kNumbers[kLanes] = {0, 1, 2, 3};
    const int32x4_t lane = vld1q_s32(kNumbers);
    return vreinterpretq_f32_u32(
        vandq_u32(vcltq_s32(lane, vdupq_n_s32(end)), vcgeq_s32(lane, vdupq_n_s32(first))));
  }
  static Vector above(Vector a, Vector b) noexcept {
    return vreinterpretq_f32_u32(vcgtq_f32(a, b));
  }
  static Vector kept(Vector value, Vector mask) noexcept {
    return vreinterpretq_f32_u32(
        vandq_u32(vreinterpretq_u32_f32(value), vreinterpretq_u32_f32(mask)));
  }
  static Vector either(Vector mask, Vector a, Vector b) noexcept {
    return vbslq_f32(vreinterpretq_u32_f32(mask), a, b);
  }

  static Vector nearest(Vector value) noexcept { return vrndnq_f32(value); }
  /// 2^whole, of whole numbers from -126 to 127.
  static Vector power(Vector whole) noexcept {
    const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(whole), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
  }

  static float total(Vector value) noexcept { return vaddvq_f32(value); }
  static float largest(Vector value) noexcept { return vmaxvq_f32(value); }
  /// Of magnitudes.
  static std::uint32_t largest_bits(Vector value) noexcept {
    return vmaxvq_u32(vreinterpretq_u32_f32(value));
  }

  /// Lane i of row j becomes lane j of row i.
  static void transpose(Vector (&rows)[4]) noexcept {
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(rows[0], rows[1]));
    const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(rows[0], rows[1]));
    const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(rows[2], rows[3]));
    const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(rows[2], rows[3]));
    rows[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    rows[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    rows[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    rows[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
  }
};

}  // namespace detail

namespace simd {

/// Advanced SIMD, which every 64-bit Arm has. Arithmetic in float, whatever the inputs.
struct NeonAttention : ropewalk::detail::VectorAttention<ropewalk::detail::NeonAttentionLanes> {};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#endif
