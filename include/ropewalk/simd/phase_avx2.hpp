// Rows and tables of angles in AVX2: x86-64 only, empty elsewhere. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/simd/phase_portable.hpp>

#include <cstdint>

#include <immintrin.h>

#if defined(__GNUC__)
#define ROPEWALK_PHASE_AVX2 __attribute__((target("avx2,fma")))
#else
#define ROPEWALK_PHASE_AVX2
#endif

namespace ropewalk {
inline namespace v0 {
namespace simd {

struct Avx2StreamingPhase;

/// Four doubles or words at a time.
struct Avx2Phase : PortablePhase {
  using Streaming = Avx2StreamingPhase;

  ROPEWALK_PHASE_AVX2
  static __m256i load(const std::uint64_t* words) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
  }
  ROPEWALK_PHASE_AVX2
  static void store(std::uint64_t* words, __m256i values) noexcept {
    _mm256_store_si256(reinterpret_cast<__m256i*>(words), values);
  }

  /// Four steps times a whole number below 2^32.
  ROPEWALK_PHASE_AVX2
  static void multiply_words(__m256i factor, __m256i& high, __m256i& low) noexcept {
    const __m256i first = _mm256_mul_epu32(low, factor);
    const __m256i second = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(low, 32), factor),
                                            _mm256_srli_epi64(first, 32));
    const __m256i third =
        _mm256_add_epi64(_mm256_mul_epu32(high, factor), _mm256_srli_epi64(second, 32));
    const __m256i fourth = _mm256_mul_epu32(_mm256_srli_epi64(high, 32), factor);
    low = _mm256_blend_epi32(first, _mm256_slli_epi64(second, 32), 0xaa);
    high = _mm256_add_epi64(third, _mm256_slli_epi64(fourth, 32));
  }

  /// The lower or upper 32 bits of four words as signed numbers.
  ROPEWALK_PHASE_AVX2
  static __m256d lower_to_double(__m256i words) noexcept {
    const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    return _mm256_cvtepi32_pd(_mm256_castsi256_si128(_mm256_permutevar8x32_epi32(words, order)));
  }
  ROPEWALK_PHASE_AVX2
  static __m256d upper_to_double(__m256i words) noexcept {
    const __m256i order = _mm256_setr_epi32(1, 3, 5, 7, 1, 3, 5, 7);
    return _mm256_cvtepi32_pd(_mm256_castsi256_si128(_mm256_permutevar8x32_epi32(words, order)));
  }

  /// The formulas, constants and order of operations of sincos_of.
  ROPEWALK_PHASE_AVX2
  static void turn_words(__m256i high, __m256i low, __m256d& sine, __m256d& cosine) noexcept {
    using ropewalk::detail::kCosineTerms;
    using ropewalk::detail::kRadiansPerUnit;
    using ropewalk::detail::kSineTerms;
    const __m256d sign =
        _mm256_castsi256_pd(_mm256_set1_epi64x(static_cast<long long>(0x8000000000000000u)));
    const __m256i quadrant =
        _mm256_add_epi64(high, _mm256_set1_epi64x(0x2000000000000000));  // in bits 62 and 63
    const __m256i next =
        _mm256_add_epi64(high, _mm256_set1_epi64x(0x6000000000000000));  // quadrant + 1
    const __m256i remainder = _mm256_sub_epi64(
        high, _mm256_and_si256(quadrant,
                               _mm256_set1_epi64x(static_cast<long long>(0xc000000000000000u))));
    const __m256d upper =
        upper_to_double(_mm256_add_epi64(remainder, _mm256_set1_epi64x(0x80000000)));
    const __m256d rest = upper_to_double(_mm256_srli_epi64(low, 1));
    const __m256d units =
        _mm256_fmadd_pd(rest, _mm256_set1_pd(0x1p-31),
                        _mm256_fmadd_pd(upper, _mm256_set1_pd(0x1p32), lower_to_double(remainder)));
    const __m256d x = _mm256_mul_pd(units, _mm256_set1_pd(kRadiansPerUnit));
    const __m256d t = _mm256_mul_pd(x, x);
    __m256d p = _mm256_set1_pd(kSineTerms[5]);
    __m256d q = _mm256_set1_pd(kCosineTerms[5]);
    for (int term = 4; term >= 0; --term) {
      p = _mm256_fmadd_pd(p, t, _mm256_set1_pd(kSineTerms[term]));
      q = _mm256_fmadd_pd(q, t, _mm256_set1_pd(kCosineTerms[term]));
    }
    const __m256d s = _mm256_fmadd_pd(_mm256_mul_pd(x, t), p, x);
    const __m256d c =
        _mm256_fmadd_pd(t, _mm256_fmadd_pd(t, q, _mm256_set1_pd(-0.5)), _mm256_set1_pd(1.0));
    const __m256d odd = _mm256_castsi256_pd(_mm256_slli_epi64(quadrant, 1));
    sine = _mm256_xor_pd(_mm256_blendv_pd(s, c, odd),
                         _mm256_and_pd(_mm256_castsi256_pd(quadrant), sign));
    cosine =
        _mm256_xor_pd(_mm256_blendv_pd(c, s, odd), _mm256_and_pd(_mm256_castsi256_pd(next), sign));
  }

  /// The first lanes of four, all of them as a rule.
  ROPEWALK_PHASE_AVX2
  static __m256i lanes_of(int pairs) noexcept {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(pairs), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  ROPEWALK_PHASE_AVX2
  static void put_lanes(float* row, __m256i lanes, __m256d values) noexcept {
    const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    const __m128i narrow = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(lanes, order));
    _mm_maskstore_ps(row, narrow, _mm256_cvtpd_ps(values));
  }
  ROPEWALK_PHASE_AVX2
  static void put_lanes(double* row, __m256i lanes, __m256d values) noexcept {
    _mm256_maskstore_pd(row, lanes, values);
  }
  ROPEWALK_PHASE_AVX2
  static __m256i load_lanes(const std::uint64_t* words, __m256i lanes) noexcept {
    return _mm256_maskload_epi64(reinterpret_cast<const long long*>(words), lanes);
  }

  template <typename Real>
  ROPEWALK_PHASE_AVX2 static void fill_row(const PhaseTurns& turns, std::int64_t position,
                                           double factor, Real* cos, Real* sin) noexcept {
    const std::uint64_t times = ropewalk::detail::magnitude_of(position);
    if (times >> 32 != 0) return PortablePhase::fill_row(turns, position, factor, cos, sin);
    const __m256d sines = _mm256_set1_pd(position < 0 ? -factor : factor);
    const __m256d cosines = _mm256_set1_pd(factor);
    const __m256i step = _mm256_set1_epi64x(static_cast<long long>(times));
    const int pairs = turns.pairs();
    for (int pair = 0; pair < pairs; pair += 4) {
      const __m256i lanes = lanes_of(pairs - pair);
      __m256i high = load_lanes(turns.high.data() + pair, lanes);
      __m256i low = load_lanes(turns.low.data() + pair, lanes);
      multiply_words(step, high, low);
      __m256d sine;
      __m256d cosine;
      turn_words(high, low, sine, cosine);
      put_lanes(cos + pair, lanes, _mm256_mul_pd(cosine, cosines));
      put_lanes(sin + pair, lanes, _mm256_mul_pd(sine, sines));
    }
  }

  ROPEWALK_PHASE_AVX2
  static void multiply(const std::uint64_t* step_high, const std::uint64_t* step_low,
                       std::int64_t times, TurnLanes& result) noexcept {
    if (times >> 32 != 0) return PortablePhase::multiply(step_high, step_low, times, result);
    for (int lane = 0; lane < kLanes; lane += 4) {
      __m256i high = load(step_high + lane);
      __m256i low = load(step_low + lane);
      multiply_words(_mm256_set1_epi64x(times), high, low);
      store(result.high + lane, high);
      store(result.low + lane, low);
    }
  }

  ROPEWALK_PHASE_AVX2
  static void sincos(const TurnLanes& phase, double sine_factor, double cosine_factor,
                     PhaseLanes& result) noexcept {
    for (int lane = 0; lane < kLanes; lane += 4) {
      __m256d sine;
      __m256d cosine;
      turn_words(load(phase.high + lane), load(phase.low + lane), sine, cosine);
      _mm256_store_pd(result.sin + lane, _mm256_mul_pd(sine, _mm256_set1_pd(sine_factor)));
      _mm256_store_pd(result.cos + lane, _mm256_mul_pd(cosine, _mm256_set1_pd(cosine_factor)));
    }
  }

  template <bool kStreaming = false>
  ROPEWALK_PHASE_AVX2 static void put(__m256d first, __m256d second, float* row) noexcept {
    const __m256 whole = _mm256_set_m128(_mm256_cvtpd_ps(second), _mm256_cvtpd_ps(first));
    if (kStreaming) {
      _mm256_stream_ps(row, whole);
    } else {
      _mm256_storeu_ps(row, whole);
    }
  }

  template <bool kStreaming = false>
  ROPEWALK_PHASE_AVX2 static void put(__m256d first, __m256d second, double* row) noexcept {
    if (kStreaming) {
      _mm256_stream_pd(row, first);
      _mm256_stream_pd(row + 4, second);
    } else {
      _mm256_storeu_pd(row, first);
      _mm256_storeu_pd(row + 4, second);
    }
  }

  template <typename Real, bool kStreaming = false>
  ROPEWALK_PHASE_AVX2 static void narrow(const double* values, Real* row) noexcept {
    for (int lane = 0; lane < kLanes; lane += 8) {
      put<kStreaming>(_mm256_load_pd(values + lane), _mm256_load_pd(values + lane + 4), row + lane);
    }
  }

  /// One row of 16 at a time: whole lines for the stores past the caches.
  template <typename Real, bool kStreaming, bool kAdd>
  ROPEWALK_PHASE_AVX2 static void rotate_row(const double* a, const double* b, const double* c,
                                             const double* d, Real* row) noexcept {
    for (int lane = 0; lane < kLanes; lane += 8) {
      __m256d sum[2];
      for (int half = 0; half < 2; ++half) {
        const int at = lane + 4 * half;
        const __m256d product = _mm256_mul_pd(_mm256_load_pd(c + at), _mm256_load_pd(d + at));
        sum[half] = kAdd ? _mm256_fmadd_pd(_mm256_load_pd(a + at), _mm256_load_pd(b + at), product)
                         : _mm256_fmsub_pd(_mm256_load_pd(a + at), _mm256_load_pd(b + at), product);
      }
      put<kStreaming>(sum[0], sum[1], row + lane);
    }
  }

  template <typename Real, bool kStreaming = false>
  ROPEWALK_PHASE_AVX2 static void rotate(const PhaseLanes* middle, const PhaseLanes* offset,
                                         int groups, Real* cos_before, Real* cos_after,
                                         Real* sin_before, Real* sin_after) noexcept {
    for (int group = 0; group < groups; ++group) {
      const double* s = middle[group].sin;
      const double* c = middle[group].cos;
      const double* offset_s = offset[group].sin;
      const double* offset_c = offset[group].cos;
      const int pair = group * kLanes;
      rotate_row<Real, kStreaming, true>(c, offset_c, s, offset_s, cos_before + pair);
      rotate_row<Real, kStreaming, false>(c, offset_c, s, offset_s, cos_after + pair);
      rotate_row<Real, kStreaming, false>(s, offset_c, c, offset_s, sin_before + pair);
      rotate_row<Real, kStreaming, true>(s, offset_c, c, offset_s, sin_after + pair);
    }
  }
};

/// The same with stores past the caches; rows must begin on 64 bytes.
struct Avx2StreamingPhase : Avx2Phase {
  static void finish() noexcept { _mm_sfence(); }

  template <typename Real>
  ROPEWALK_PHASE_AVX2 static void narrow(const double* values, Real* row) noexcept {
    Avx2Phase::narrow<Real, true>(values, row);
  }
  template <typename Real>
  ROPEWALK_PHASE_AVX2 static void rotate(const PhaseLanes* middle, const PhaseLanes* offset,
                                         int groups, Real* cos_before, Real* cos_after,
                                         Real* sin_before, Real* sin_after) noexcept {
    Avx2Phase::rotate<Real, true>(middle, offset, groups, cos_before, cos_after, sin_before,
                                  sin_after);
  }
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#undef ROPEWALK_PHASE_AVX2

#endif
