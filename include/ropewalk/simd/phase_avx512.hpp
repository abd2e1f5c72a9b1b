// Rows and tables of angles in AVX-512: x86-64 only, empty elsewhere. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/simd/phase_avx512_angles.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

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
namespace simd {

struct Avx512StreamingPhase;

/// Eight doubles or words at a time.
struct Avx512Phase : Avx512Angles {
  using Streaming = Avx512StreamingPhase;
  static constexpr bool kFillsBlocks = true;

  template <typename Real>
  ROPEWALK_PHASE_AVX512 static void fill_row(const PhaseTurns& turns, std::int64_t position,
                                             double factor, Real* cos, Real* sin) noexcept {
    const std::uint64_t times = ropewalk::detail::magnitude_of(position);
    if (times >> 32 != 0) return PortablePhase::fill_row(turns, position, factor, cos, sin);
    const Directions directions(factor, position < 0, ropewalk::detail::kRadiansPerUnit);
    const __m512i step = _mm512_set1_epi64(static_cast<long long>(times));
    const int pairs = turns.pairs();
    const std::uint64_t* high = turns.high.data();
    const std::uint64_t* low = turns.low.data();
    int pair = 0;
    for (; pair + 8 <= pairs; pair += 8) {
      fill_eight<true>(high + pair, low + pair, step, directions, 0xff, cos + pair, sin + pair);
    }
    if (pair < pairs) {
      fill_eight<false>(high + pair, low + pair, step, directions, last_lanes(pairs), cos + pair,
                        sin + pair);
    }
  }

  template <bool kWhole, typename Real>
  ROPEWALK_PHASE_AVX512 static void fill_eight(const std::uint64_t* step_high,
                                               const std::uint64_t* step_low, __m512i times,
                                               const Directions& directions, __mmask8 lanes,
                                               Real* cos, Real* sin) noexcept {
    __m512i high = load<kWhole>(step_high, lanes);
    __m512i low = load<kWhole>(step_low, lanes);
    multiply_words(times, high, low);
    __m512d sine;
    __m512d cosine;
    if constexpr (std::is_same_v<Real, double>) {
      sincos_words(high, low, sine, cosine);
      sine = _mm512_mul_pd(sine, directions.sine_factor);
      cosine = _mm512_mul_pd(cosine, directions.cosine_factor);
    } else {
      turn_words(directions, high, low, sine, cosine);
    }
    put<kWhole>(cos, lanes, cosine);
    put<kWhole>(sin, lanes, sine);
  }

  ROPEWALK_PHASE_AVX512
  static void multiply(const std::uint64_t* step_high, const std::uint64_t* step_low,
                       std::int64_t times, TurnLanes& result) noexcept {
    if (times >> 32 != 0) return PortablePhase::multiply(step_high, step_low, times, result);
    for (int lane = 0; lane < kLanes; lane += 8) {
      __m512i high = _mm512_loadu_si512(step_high + lane);
      __m512i low = _mm512_loadu_si512(step_low + lane);
      multiply_words(_mm512_set1_epi64(times), high, low);
      _mm512_store_si512(result.high + lane, high);
      _mm512_store_si512(result.low + lane, low);
    }
  }

  ROPEWALK_PHASE_AVX512
  static void add(const TurnLanes& step, TurnLanes& phase) noexcept {
    for (int lane = 0; lane < kLanes; lane += 8) {
      const __m512i step_low = _mm512_load_si512(step.low + lane);
      const __m512i low = _mm512_add_epi64(step_low, _mm512_load_si512(phase.low + lane));
      const __m512i high = _mm512_add_epi64(_mm512_load_si512(step.high + lane),
                                            _mm512_load_si512(phase.high + lane));
      const __mmask8 carry = _mm512_cmplt_epu64_mask(low, step_low);
      _mm512_store_si512(phase.low + lane, low);
      _mm512_store_si512(phase.high + lane,
                         _mm512_mask_sub_epi64(high, carry, high, _mm512_set1_epi64(-1)));
    }
  }

  ROPEWALK_PHASE_AVX512
  static void sincos(const TurnLanes& phase, double sine_factor, double cosine_factor,
                     PhaseLanes& result) noexcept {
    for (int lane = 0; lane < kLanes; lane += 8) {
      __m512d sine;
      __m512d cosine;
      sincos_words(_mm512_load_si512(phase.high + lane), _mm512_load_si512(phase.low + lane), sine,
                   cosine);
      _mm512_store_pd(result.sin + lane, _mm512_mul_pd(sine, _mm512_set1_pd(sine_factor)));
      _mm512_store_pd(result.cos + lane, _mm512_mul_pd(cosine, _mm512_set1_pd(cosine_factor)));
    }
  }

  template <bool kStreaming = false>
  ROPEWALK_PHASE_AVX512 static void store(__m512d first, __m512d second, float* row) noexcept {
    const __m256 halves[2] = {_mm512_cvtpd_ps(first), _mm512_cvtpd_ps(second)};
    if (kStreaming) {
      const __m512d whole = _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_castps_pd(halves[0])),
                                               _mm256_castps_pd(halves[1]), 1);
      _mm512_stream_ps(row, _mm512_castpd_ps(whole));
    } else {
      // Two stores of 32 bytes spare the permute port, which the conversions need.
      _mm256_storeu_ps(row, halves[0]);
      _mm256_storeu_ps(row + 8, halves[1]);
    }
  }

  template <bool kStreaming = false>
  ROPEWALK_PHASE_AVX512 static void store(__m512d first, __m512d second, double* row) noexcept {
    if (kStreaming) {
      _mm512_stream_pd(row, first);
      _mm512_stream_pd(row + 8, second);
    } else {
      _mm512_storeu_pd(row, first);
      _mm512_storeu_pd(row + 8, second);
    }
  }

  template <typename Real, bool kStreaming = false>
  ROPEWALK_PHASE_AVX512 static void narrow(const double* values, Real* row) noexcept {
    store<kStreaming>(_mm512_load_pd(values), _mm512_load_pd(values + 8), row);
  }

  template <typename Real, bool kStreaming = false>
  ROPEWALK_PHASE_AVX512 static void rotate(const PhaseLanes* middle, const PhaseLanes* offset,
                                           int groups, Real* cos_before, Real* cos_after,
                                           Real* sin_before, Real* sin_after) noexcept {
    for (int group = 0; group < groups; ++group) {
      __m512d sin_sin[2];
      __m512d cos_sin[2];
      __m512d sine[2];
      __m512d cosine[2];
      __m512d offset_cosine[2];
      for (int half = 0; half < 2; ++half) {
        const __m512d offset_sine = _mm512_load_pd(offset[group].sin + 8 * half);
        offset_cosine[half] = _mm512_load_pd(offset[group].cos + 8 * half);
        sine[half] = _mm512_load_pd(middle[group].sin + 8 * half);
        cosine[half] = _mm512_load_pd(middle[group].cos + 8 * half);
        sin_sin[half] = _mm512_mul_pd(sine[half], offset_sine);
        cos_sin[half] = _mm512_mul_pd(cosine[half], offset_sine);
      }
      const int pair = group * kLanes;
      store<kStreaming>(_mm512_fmadd_pd(cosine[0], offset_cosine[0], sin_sin[0]),
                        _mm512_fmadd_pd(cosine[1], offset_cosine[1], sin_sin[1]),
                        cos_before + pair);
      store<kStreaming>(_mm512_fmsub_pd(cosine[0], offset_cosine[0], sin_sin[0]),
                        _mm512_fmsub_pd(cosine[1], offset_cosine[1], sin_sin[1]), cos_after + pair);
      store<kStreaming>(_mm512_fmsub_pd(sine[0], offset_cosine[0], cos_sin[0]),
                        _mm512_fmsub_pd(sine[1], offset_cosine[1], cos_sin[1]), sin_before + pair);
      store<kStreaming>(_mm512_fmadd_pd(sine[0], offset_cosine[0], cos_sin[0]),
                        _mm512_fmadd_pd(sine[1], offset_cosine[1], cos_sin[1]), sin_after + pair);
    }
  }

  /// All rows up to `reach` from the middle row at cos and sin, with the values at the middle kept in
  /// registers.
  ///   offset       (reach, offset_groups)
  ///   stride       from row to row
  template <typename Real>
  ROPEWALK_PHASE_AVX512 static void fill_block(const PhaseLanes* middle, const PhaseLanes* offset,
                                               int reach, int offset_groups, int groups, Real* cos,
                                               Real* sin, std::ptrdiff_t stride) noexcept {
    for (int group = 0; group < groups; ++group) {
      __m512d sine[2];
      __m512d cosine[2];
      for (int half = 0; half < 2; ++half) {
        sine[half] = _mm512_load_pd(middle[group].sin + 8 * half);
        cosine[half] = _mm512_load_pd(middle[group].cos + 8 * half);
      }
      const PhaseLanes* beside = offset + group;
      Real* rows[4] = {cos + group * kLanes, cos + group * kLanes, sin + group * kLanes,
                       sin + group * kLanes};
      for (int distance = 1; distance <= reach; ++distance) {
        rows[0] -= stride;
        rows[1] += stride;
        rows[2] -= stride;
        rows[3] += stride;
        __m512d sin_sin[2];
        __m512d cos_sin[2];
        __m512d offset_cosine[2];
        for (int half = 0; half < 2; ++half) {
          const __m512d offset_sine = _mm512_load_pd(beside->sin + 8 * half);
          offset_cosine[half] = _mm512_load_pd(beside->cos + 8 * half);
          sin_sin[half] = _mm512_mul_pd(sine[half], offset_sine);
          cos_sin[half] = _mm512_mul_pd(cosine[half], offset_sine);
        }
        store(_mm512_fmadd_pd(cosine[0], offset_cosine[0], sin_sin[0]),
              _mm512_fmadd_pd(cosine[1], offset_cosine[1], sin_sin[1]), rows[0]);
        store(_mm512_fmsub_pd(cosine[0], offset_cosine[0], sin_sin[0]),
              _mm512_fmsub_pd(cosine[1], offset_cosine[1], sin_sin[1]), rows[1]);
        store(_mm512_fmsub_pd(sine[0], offset_cosine[0], cos_sin[0]),
              _mm512_fmsub_pd(sine[1], offset_cosine[1], cos_sin[1]), rows[2]);
        store(_mm512_fmadd_pd(sine[0], offset_cosine[0], cos_sin[0]),
              _mm512_fmadd_pd(sine[1], offset_cosine[1], cos_sin[1]), rows[3]);
        beside += offset_groups;
      }
    }
  }
};

/// The same with stores past the caches; rows must begin on 64 bytes.
struct Avx512StreamingPhase : Avx512Phase {
  static constexpr bool kFillsBlocks = false;

  static void finish() noexcept { _mm_sfence(); }

  template <typename Real>
  ROPEWALK_PHASE_AVX512 static void narrow(const double* values, Real* row) noexcept {
    Avx512Phase::narrow<Real, true>(values, row);
  }
  template <typename Real>
  ROPEWALK_PHASE_AVX512 static void rotate(const PhaseLanes* middle, const PhaseLanes* offset,
                                           int groups, Real* cos_before, Real* cos_after,
                                           Real* sin_before, Real* sin_after) noexcept {
    Avx512Phase::rotate<Real, true>(middle, offset, groups, cos_before, cos_after, sin_before,
                                    sin_after);
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
