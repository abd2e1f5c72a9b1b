// Sines and cosines of fixed-point angles in AVX-512: x86-64 only, empty elsewhere. Row 7b.
//
// An angle is one of 16 directions a sixteenth of a turn apart, looked up in registers, and at most
// a thirty-second of a turn beside it, so that short polynomials do. The factor of a row and the
// sign of a mirrored one go into the looked-up values. Doubles, and the exact rows of tables, which
// have to be better than that, are made as elsewhere.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/simd/phase_portable.hpp>

#include <cstdint>

#include <immintrin.h>

// GCC 12 takes the undefined registers of its own intrinsics for mistakes (its bug 105593); without
// optimisation they are macros that convert signs.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#if defined(__GNUC__)
#define ROPEWALK_PHASE_AVX512 __attribute__((target("avx512f,avx512dq,avx2,fma")))
#else
#define ROPEWALK_PHASE_AVX512
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

// sin(k / 16 turn) for k = 0 .. 19; cosines begin at k = 4.
inline constexpr double kDirections[20] = {
    0.0,  0x1.87de2a6aea963p-2,  0x1.6a09e667f3bcdp-1,  0x1.d906bcf328d46p-1,
    1.0,  0x1.d906bcf328d46p-1,  0x1.6a09e667f3bcdp-1,  0x1.87de2a6aea963p-2,
    0.0,  -0x1.87de2a6aea963p-2, -0x1.6a09e667f3bcdp-1, -0x1.d906bcf328d46p-1,
    -1.0, -0x1.d906bcf328d46p-1, -0x1.6a09e667f3bcdp-1, -0x1.87de2a6aea963p-2,
    0.0,  0x1.87de2a6aea963p-2,  0x1.6a09e667f3bcdp-1,  0x1.d906bcf328d46p-1};

// Minimax on |x| <= pi / 16 with t = x^2: sin x = x + x t P(t) to 4.8e-18 of itself, cos x =
// 1 - t/2 + t^2 Q(t) to 9.3e-17.
inline constexpr double kShortSineTerms[4] = {-0x1.55555555554cap-3, 0x1.1111111088286p-7,
                                              -0x1.a019f726bb2d5p-13, 0x1.718d608e2ce72p-19};
inline constexpr double kShortCosineTerms[3] = {0x1.55555554a9833p-5, -0x1.6c16b71ef8beep-10,
                                                0x1.9fb7e15f6a5bfp-16};

}  // namespace detail

namespace simd {

/// Eight angles at a time.
struct Avx512Angles : PortablePhase {
  /// The looked-up sines and cosines, and what a unit of an angle is in radians.
  struct Directions {
    __m512d sin[2];
    __m512d cos[2];
    __m512d radians;
    __m512d sine_factor;
    __m512d cosine_factor;

    ROPEWALK_PHASE_AVX512
    Directions(double factor, bool mirrored, double radians_per_unit) noexcept {
      // Mirrored: sin(-c - r) and cos(-c - r), all signs in front.
      sine_factor = _mm512_set1_pd(mirrored ? -factor : factor);
      cosine_factor = _mm512_set1_pd(factor);
      for (int half = 0; half < 2; ++half) {
        const double* first = ropewalk::detail::kDirections + 8 * half;
        sin[half] = _mm512_mul_pd(_mm512_loadu_pd(first), sine_factor);
        cos[half] = _mm512_mul_pd(_mm512_loadu_pd(first + 4), cosine_factor);
      }
      radians = _mm512_set1_pd(mirrored ? -radians_per_unit : radians_per_unit);
    }
  };

  /// Sines and cosines of directions[index mod 16] + units, good to 4e-16: for floats.
  ROPEWALK_PHASE_AVX512 static void turn(const Directions& directions, __m512i index, __m512d units,
                                         __m512d& sine, __m512d& cosine) noexcept {
    using ropewalk::detail::kShortCosineTerms;
    using ropewalk::detail::kShortSineTerms;
    const __m512d x = _mm512_mul_pd(units, directions.radians);
    const __m512d t = _mm512_mul_pd(x, x);
    __m512d p = _mm512_set1_pd(kShortSineTerms[3]);
    p = _mm512_fmadd_pd(p, t, _mm512_set1_pd(kShortSineTerms[2]));
    p = _mm512_fmadd_pd(p, t, _mm512_set1_pd(kShortSineTerms[1]));
    p = _mm512_fmadd_pd(p, t, _mm512_set1_pd(kShortSineTerms[0]));
    __m512d q = _mm512_set1_pd(kShortCosineTerms[2]);
    q = _mm512_fmadd_pd(q, t, _mm512_set1_pd(kShortCosineTerms[1]));
    q = _mm512_fmadd_pd(q, t, _mm512_set1_pd(kShortCosineTerms[0]));
    q = _mm512_fmadd_pd(q, t, _mm512_set1_pd(-0.5));
    const __m512d short_sine = _mm512_fmadd_pd(_mm512_mul_pd(x, t), p, x);
    const __m512d s = _mm512_permutex2var_pd(directions.sin[0], index, directions.sin[1]);
    const __m512d c = _mm512_permutex2var_pd(directions.cos[0], index, directions.cos[1]);
    const __m512d short_cosine = _mm512_fmadd_pd(q, t, _mm512_set1_pd(1.0));
    sine = _mm512_fmadd_pd(s, short_cosine, _mm512_mul_pd(c, short_sine));
    cosine = _mm512_fmsub_pd(c, short_cosine, _mm512_mul_pd(s, short_sine));
  }

  /// The same of angles in words.
  ROPEWALK_PHASE_AVX512
  static void turn_words(const Directions& directions, __m512i high, __m512i low, __m512d& sine,
                         __m512d& cosine) noexcept {
    const __m512i index =
        _mm512_srli_epi64(_mm512_add_epi64(high, _mm512_set1_epi64(std::int64_t{1} << 59)), 60);
    const __m512d beside = _mm512_cvtepi64_pd(_mm512_srai_epi64(_mm512_slli_epi64(high, 4), 4));
    const __m512d rest = _mm512_cvtepi64_pd(_mm512_srli_epi64(low, 33));
    turn(directions, index, _mm512_fmadd_pd(rest, _mm512_set1_pd(0x1p-31), beside), sine, cosine);
  }

  /// Sines and cosines good to 2e-16: the formulas, constants and order of operations of sincos_of.
  ROPEWALK_PHASE_AVX512
  static void sincos_words(__m512i high, __m512i low, __m512d& sine, __m512d& cosine) noexcept {
    using ropewalk::detail::kCosineTerms;
    using ropewalk::detail::kSineTerms;
    const __m512i sign = _mm512_set1_epi64(static_cast<long long>(0x8000000000000000u));
    const __m512i quadrant =
        _mm512_add_epi64(high, _mm512_set1_epi64(0x2000000000000000));  // in bits 62 and 63
    const __m512i next =
        _mm512_add_epi64(high, _mm512_set1_epi64(0x6000000000000000));  // quadrant + 1
    const __m512i remainder = _mm512_srai_epi64(_mm512_slli_epi64(high, 2), 2);
    const __m512d rest = _mm512_cvtepi64_pd(_mm512_srli_epi64(low, 33));
    const __m512d units =
        _mm512_fmadd_pd(rest, _mm512_set1_pd(0x1p-31), _mm512_cvtepi64_pd(remainder));
    const __m512d x = _mm512_mul_pd(units, _mm512_set1_pd(ropewalk::detail::kRadiansPerUnit));
    const __m512d t = _mm512_mul_pd(x, x);
    __m512d p = _mm512_set1_pd(kSineTerms[5]);
    __m512d q = _mm512_set1_pd(kCosineTerms[5]);
    for (int term = 4; term >= 0; --term) {
      p = _mm512_fmadd_pd(p, t, _mm512_set1_pd(kSineTerms[term]));
      q = _mm512_fmadd_pd(q, t, _mm512_set1_pd(kCosineTerms[term]));
    }
    const __m512d s = _mm512_fmadd_pd(_mm512_mul_pd(x, t), p, x);
    const __m512d c =
        _mm512_fmadd_pd(t, _mm512_fmadd_pd(t, q, _mm512_set1_pd(-0.5)), _mm512_set1_pd(1.0));
    const __mmask8 odd = _mm512_test_epi64_mask(quadrant, _mm512_set1_epi64(0x4000000000000000));
    // a ^ (b & c)
    sine = _mm512_castsi512_pd(_mm512_ternarylogic_epi64(
        _mm512_castpd_si512(_mm512_mask_blend_pd(odd, s, c)), quadrant, sign, 0x78));
    cosine = _mm512_castsi512_pd(_mm512_ternarylogic_epi64(
        _mm512_castpd_si512(_mm512_mask_blend_pd(odd, c, s)), next, sign, 0x78));
  }

  /// Eight steps times a whole number below 2^32.
  ROPEWALK_PHASE_AVX512
  static void multiply_words(__m512i factor, __m512i& high, __m512i& low) noexcept {
    const __m512i first = _mm512_mul_epu32(low, factor);
    const __m512i second = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(low, 32), factor),
                                            _mm512_srli_epi64(first, 32));
    const __m512i third =
        _mm512_add_epi64(_mm512_mul_epu32(high, factor), _mm512_srli_epi64(second, 32));
    const __m512i fourth = _mm512_mul_epu32(_mm512_srli_epi64(high, 32), factor);
    low = _mm512_mask_blend_epi32(0xaaaa, first, _mm512_slli_epi64(second, 32));
    high = _mm512_add_epi64(third, _mm512_slli_epi64(fourth, 32));
  }

  /// The lanes that the pairs after the last eight take.
  ROPEWALK_PHASE_AVX512
  static __mmask8 last_lanes(int pairs) noexcept {
    return static_cast<__mmask8>((1 << (pairs % 8)) - 1);
  }

  template <bool kWhole>
  ROPEWALK_PHASE_AVX512 static __m512i load(const std::uint64_t* words, __mmask8 lanes) noexcept {
    return kWhole ? _mm512_loadu_si512(words) : _mm512_maskz_loadu_epi64(lanes, words);
  }
  template <bool kWhole>
  ROPEWALK_PHASE_AVX512 static void put(float* row, __mmask8 lanes, __m512d values) noexcept {
    const __m256 narrow = _mm512_cvtpd_ps(values);
    if (kWhole) {
      _mm256_storeu_ps(row, narrow);
    } else {
      _mm512_mask_storeu_ps(row, lanes, _mm512_castps256_ps512(narrow));
    }
  }
  template <bool kWhole>
  ROPEWALK_PHASE_AVX512 static void put(double* row, __mmask8 lanes, __m512d values) noexcept {
    if (kWhole) {
      _mm512_storeu_pd(row, values);
    } else {
      _mm512_mask_storeu_pd(row, lanes, values);
    }
  }
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#undef ROPEWALK_PHASE_AVX512

#endif
