// Attention kernel for AVX2 with FMA and F16C. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/element.hpp>
#include <ropewalk/simd/attention_vector.hpp>
#include <ropewalk/simd/rotate_avx2.hpp>
#include <ropewalk/simd/rotate_x86_target.hpp>

#include <cstdint>

#include <immintrin.h>

// As in rotate_avx512.hpp.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Eight floats at a time, as attention asks for them. A mask has all bits of a lane set, or none.
struct Avx2AttentionLanes : Avx2Lanes {
  using Vector = __m256;
  static constexpr int kLanes = 8;

  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static void store(float* to, Vector value) noexcept { _mm256_storeu_ps(to, value); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector zero() noexcept { return _mm256_setzero_ps(); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector set(float value) noexcept { return _mm256_set1_ps(value); }

  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector add(Vector a, Vector b) noexcept { return _mm256_add_ps(a, b); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector subtract(Vector a, Vector b) noexcept { return _mm256_sub_ps(a, b); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector multiply(Vector a, Vector b) noexcept { return _mm256_mul_ps(a, b); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept {
    return _mm256_fmadd_ps(a, b, c);
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector multiply_subtract(Vector a, Vector b, Vector c) noexcept {
    return _mm256_fmsub_ps(a, b, c);
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector larger(Vector a, Vector b) noexcept { return _mm256_max_ps(a, b); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector smaller(Vector a, Vector b) noexcept { return _mm256_min_ps(a, b); }

  /// The larger of a magnitude and that of a number, in the order of bits.
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector larger_magnitude(Vector magnitude, Vector number) noexcept {
    const __m256i bits =
        _mm256_and_si256(_mm256_castps_si256(number), _mm256_set1_epi32(0x7fffffff));
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(magnitude), bits));
  }

  /// The mask of lanes first .. end - 1.
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector lanes(int first, int end) noexcept {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane);
    const __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(first), lane);
    return _mm256_castsi256_ps(_mm256_andnot_si256(below, before));
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector above(Vector a, Vector b) noexcept { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector kept(Vector value, Vector mask) noexcept { return _mm256_and_ps(value, mask); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector either(Vector mask, Vector a, Vector b) noexcept {
    return _mm256_blendv_ps(b, a, mask);
  }

  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector nearest(Vector value) noexcept {
    return _mm256_round_ps(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /// 2^whole, of whole numbers from -126 to 127.
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static Vector power(Vector whole) noexcept {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  }

  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static float total(Vector value) noexcept {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static float largest(Vector value) noexcept {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  /// Of magnitudes.
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static std::uint32_t largest_bits(Vector value) noexcept {
    const __m256i bits = _mm256_castps_si256(value);
    __m128i half = _mm_max_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(half));
  }

  /// Lane i of row j becomes lane j of row i.
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static void transpose(Vector (&rows)[8]) noexcept {
    Vector halves[8];  // row i and row i + 4 side by side, of one half of the lanes
    ROPEWALK_SIMD_UNROLL
    for (int row = 0; row < 4; ++row) {
      halves[row] = _mm256_permute2f128_ps(rows[row], rows[row + 4], 0x20);
      halves[row + 4] = _mm256_permute2f128_ps(rows[row], rows[row + 4], 0x31);
    }
    ROPEWALK_SIMD_UNROLL
    for (int half = 0; half < 8; half += 4) {
      const Vector a = _mm256_unpacklo_ps(halves[half], halves[half + 1]);
      const Vector b = _mm256_unpacklo_ps(halves[half + 2], halves[half + 3]);
      const Vector c = _mm256_unpackhi_ps(halves[half], halves[half + 1]);
      const Vector d = _mm256_unpackhi_ps(halves[half + 2], halves[half + 3]);
      rows[half] = _mm256_shuffle_ps(a, b, 0x44);
      rows[half + 1] = _mm256_shuffle_ps(a, b, 0xee);
      rows[half + 2] = _mm256_shuffle_ps(c, d, 0x44);
      rows[half + 3] = _mm256_shuffle_ps(c, d, 0xee);
    }
  }
};

}  // namespace detail

namespace simd {

/// AVX2 with FMA and F16C (x86-64-v3). Arithmetic in float, whatever the inputs.
struct Avx2Attention : ropewalk::detail::VectorAttention<ropewalk::detail::Avx2AttentionLanes> {};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
