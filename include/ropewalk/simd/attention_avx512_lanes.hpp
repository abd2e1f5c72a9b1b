// What the attention kernels for AVX-512 share: rows into registers, sums across them, powers of two.
// Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/element.hpp>
#include <ropewalk/simd/attention_tile.hpp>
#include <ropewalk/simd/rotate_x86_target.hpp>

#include <cstdint>

#include <immintrin.h>

#if defined(__clang__)
#define ROPEWALK_UNROLL_SIXTEEN _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define ROPEWALK_UNROLL_SIXTEEN _Pragma("GCC unroll 16")
#else
#define ROPEWALK_UNROLL_SIXTEEN
#endif

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

/// Asks for lines, in their order. Into the second cache: the first is full of the tile.
inline void prefetch_lines(RowsAhead& ahead, std::uintptr_t lines) noexcept {
  ahead.advance(lines, [](std::uintptr_t address) {
    _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T1);
  });
}

/// Lines of one of so many steps.
inline std::uintptr_t lines_of_step(const RowsAhead& ahead, int steps) noexcept {
  const auto count = static_cast<std::uintptr_t>(steps > 0 ? steps : 1);
  return (static_cast<std::uintptr_t>(ahead.rows) * ((ahead.bytes + 63) / 64) + count - 1) / count;
}

/// Sixteen floats at a time.
struct AttentionLanes {
  static constexpr int kLanes = 16;

  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __mmask16 mask_of(int lanes) noexcept {
    if (lanes >= kLanes) return 0xffff;
    return static_cast<__mmask16>((1u << (lanes > 0 ? lanes : 0)) - 1u);
  }
  /// Lanes first .. end - 1.
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __mmask16 mask_of(int first, int end) noexcept {
    return static_cast<__mmask16>(mask_of(end) & ~mask_of(first));
  }

  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 load(const float* from) noexcept { return _mm512_loadu_ps(from); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 load(const float16* from) noexcept {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 load(const bfloat16* from) noexcept {
    return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }

  /// The first lanes, zeros in the others; memory behind is not touched.
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 load(const float* from, __mmask16 mask) noexcept {
    return _mm512_maskz_loadu_ps(mask, from);
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 load(const float16* from, __mmask16 mask) noexcept {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from));
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 load(const bfloat16* from, __mmask16 mask) noexcept {
    return widened(_mm256_maskz_loadu_epi16(mask, from));
  }

  /// 2^x for x <= 2^-2 or so; 0 below the least float.
  ///   Max error   2.5 units of 2^-24, relative; exact at 0
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 power_of_two(__m512 x) noexcept {
    const __m512 rest = _mm512_reduce_ps(x, 0x09);  // x - floor(x), no exceptions
    __m512 value = _mm512_set1_ps(0x1.e974fap-10f);
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(0x1.277856p-7f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(0x1.c91ce6p-5f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(0x1.ebdb56p-3f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(0x1.62e4bap-1f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(value, x);
  }

  enum class Across { sum, largest, smallest };

  /// Lane r of the result is row r of sixteen registers, taken across.
  template <Across kHow>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 across(const __m512 (&rows)[16]) noexcept {
    __m512 pairs[8];
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < 8; ++index) {
      const __m512 a = rows[2 * index];
      const __m512 b = rows[2 * index + 1];
      pairs[index] = join<kHow>(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    }
    __m512 fours[4];
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < 4; ++index) {
      const __m512d a = _mm512_castps_pd(pairs[2 * index]);
      const __m512d b = _mm512_castps_pd(pairs[2 * index + 1]);
      fours[index] = join<kHow>(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                                _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    const __m512 low = join<kHow>(_mm512_shuffle_f32x4(fours[0], fours[1], 0x88),
                                  _mm512_shuffle_f32x4(fours[0], fours[1], 0xdd));
    const __m512 high = join<kHow>(_mm512_shuffle_f32x4(fours[2], fours[3], 0x88),
                                   _mm512_shuffle_f32x4(fours[2], fours[3], 0xdd));
    return join<kHow>(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
  }

  /// Sixteen rows of sixteen 32-bit words, `stride` bytes apart, as columns: to[word * step + row].
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static void transpose(const unsigned char* rows, std::int64_t stride, float* to,
                        std::int64_t step) noexcept {
    ROPEWALK_SIMD_UNROLL
    for (int part = 0; part < 4; ++part) {
      // Lane L of four[i] is words 4 part .. 4 part + 3 of row 4 L + i: inserting from memory needs
      // no shuffle.
      __m512 four[4];
      ROPEWALK_SIMD_UNROLL
      for (int index = 0; index < 4; ++index) {
        const unsigned char* from = rows + index * stride + 16 * part;
        const std::int64_t lane = 4 * stride;
        __m512 row = _mm512_castps128_ps512(quarter(from));
        row = _mm512_insertf32x4(row, quarter(from + lane), 1);
        row = _mm512_insertf32x4(row, quarter(from + 2 * lane), 2);
        four[index] = _mm512_insertf32x4(row, quarter(from + 3 * lane), 3);
      }
      const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(four[0], four[1]));
      const __m512d b = _mm512_castps_pd(_mm512_unpacklo_ps(four[2], four[3]));
      const __m512d c = _mm512_castps_pd(_mm512_unpackhi_ps(four[0], four[1]));
      const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(four[2], four[3]));
      float* column = to + 4 * part * step;
      _mm512_storeu_ps(column, _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)));
      _mm512_storeu_ps(column + step, _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
      _mm512_storeu_ps(column + 2 * step, _mm512_castpd_ps(_mm512_unpacklo_pd(c, d)));
      _mm512_storeu_ps(column + 3 * step, _mm512_castpd_ps(_mm512_unpackhi_pd(c, d)));
    }
  }

 private:
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 widened(__m256i bits) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m128 quarter(const unsigned char* from) noexcept {
    return _mm_loadu_ps(reinterpret_cast<const float*>(from));
  }
  template <Across kHow>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 join(__m512 a, __m512 b) noexcept {
    if (kHow == Across::sum) return _mm512_add_ps(a, b);
    return kHow == Across::largest ? _mm512_max_ps(a, b) : _mm512_min_ps(a, b);
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
