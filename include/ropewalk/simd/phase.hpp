// Tables of cosines and sines with the machine's own instructions. Row 7b.
//
// The functions are those of phase.hpp under the same names in ropewalk::simd, made with
// simd::NativePhase, the best kernel that the flags of the translation unit allow. The kernels of an
// architecture are all there under any flags, for programs that choose at run time:
//
//     if (__builtin_cpu_supports("avx512dq")) return simd::fill_phase_rows<simd::Avx512Phase>(...);
//
// Elsewhere than on x86 the kernel is PortablePhase: compilers vectorise its loops well.
#pragma once

#include <ropewalk/phase.hpp>

#include <cstdint>
#include <type_traits>

// GCC 12 takes the undefined registers of its own intrinsics for mistakes (its bug 105593); without
// optimisation they are macros that convert signs.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define ROPEWALK_PHASE_X86 1
#endif
#if defined(ROPEWALK_PHASE_X86) && defined(__GNUC__)
#define ROPEWALK_PHASE_AVX512 __attribute__((target("avx512f,avx512dq,avx2,fma")))
#define ROPEWALK_PHASE_AVX2 __attribute__((target("avx2,fma")))
#else
#define ROPEWALK_PHASE_AVX512
#define ROPEWALK_PHASE_AVX2
#endif

namespace ropewalk {
inline namespace v0 {
namespace simd {

using ropewalk::detail::kPhaseLanes;
using ropewalk::detail::PhaseLanes;
using ropewalk::detail::PortablePhase;
using ropewalk::detail::TurnLanes;

#ifdef ROPEWALK_PHASE_X86

/// Eight doubles or words at a time, two registers to a group of lanes.
struct Avx512Phase : PortablePhase {
  ROPEWALK_PHASE_AVX512
  static __m512i load(const std::uint64_t* words) noexcept { return _mm512_load_si512(words); }

  ROPEWALK_PHASE_AVX512
  static void multiply(const std::uint64_t* step_high, const std::uint64_t* step_low,
                       std::int64_t times, TurnLanes& result) noexcept {
    if (times >> 32 != 0) return PortablePhase::multiply(step_high, step_low, times, result);
    const __m512i factor = _mm512_set1_epi64(times);
    for (int lane = 0; lane < kPhaseLanes; lane += 8) {
      const __m512i low = _mm512_loadu_si512(step_low + lane);
      const __m512i high = _mm512_loadu_si512(step_high + lane);
      const __m512i first = _mm512_mul_epu32(low, factor);
      const __m512i second = _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(low, 32), factor),
                                              _mm512_srli_epi64(first, 32));
      const __m512i third =
          _mm512_add_epi64(_mm512_mul_epu32(high, factor), _mm512_srli_epi64(second, 32));
      const __m512i fourth = _mm512_mul_epu32(_mm512_srli_epi64(high, 32), factor);
      _mm512_store_si512(result.low + lane,
                         _mm512_mask_blend_epi32(0xaaaa, first, _mm512_slli_epi64(second, 32)));
      _mm512_store_si512(result.high + lane,
                         _mm512_add_epi64(third, _mm512_slli_epi64(fourth, 32)));
    }
  }

  ROPEWALK_PHASE_AVX512
  static void add(const TurnLanes& step, TurnLanes& phase) noexcept {
    for (int lane = 0; lane < kPhaseLanes; lane += 8) {
      const __m512i step_low = load(step.low + lane);
      const __m512i low = _mm512_add_epi64(step_low, load(phase.low + lane));
      const __m512i high = _mm512_add_epi64(load(step.high + lane), load(phase.high + lane));
      const __mmask8 carry = _mm512_cmplt_epu64_mask(low, step_low);
      _mm512_store_si512(phase.low + lane, low);
      _mm512_store_si512(phase.high + lane,
                         _mm512_mask_sub_epi64(high, carry, high, _mm512_set1_epi64(-1)));
    }
  }

  /// The formulas, constants and order of operations of sincos_of.
  ROPEWALK_PHASE_AVX512
  static void sincos(const TurnLanes& phase, double sine_factor, double cosine_factor,
                     PhaseLanes& result) noexcept {
    using ropewalk::detail::kCosineTerms;
    using ropewalk::detail::kRadiansPerUnit;
    using ropewalk::detail::kSineTerms;
    const __m512i sign = _mm512_set1_epi64(static_cast<long long>(0x8000000000000000u));
    for (int lane = 0; lane < kPhaseLanes; lane += 8) {
      const __m512i high = load(phase.high + lane);
      const __m512i quadrant =
          _mm512_add_epi64(high, _mm512_set1_epi64(0x2000000000000000));  // in bits 62 and 63
      const __m512i next =
          _mm512_add_epi64(high, _mm512_set1_epi64(0x6000000000000000));  // quadrant + 1
      const __m512i remainder = _mm512_srai_epi64(_mm512_slli_epi64(high, 2), 2);
      const __m512d rest = _mm512_cvtepi64_pd(_mm512_srli_epi64(load(phase.low + lane), 33));
      const __m512d units =
          _mm512_fmadd_pd(rest, _mm512_set1_pd(0x1p-31), _mm512_cvtepi64_pd(remainder));
      const __m512d x = _mm512_mul_pd(units, _mm512_set1_pd(kRadiansPerUnit));
      const __m512d t = _mm512_mul_pd(x, x);
      __m512d p = _mm512_set1_pd(kSineTerms[5]);
      __m512d q = _mm512_set1_pd(kCosineTerms[5]);
      for (int term = 4; term >= 0; --term) {
        p = _mm512_fmadd_pd(p, t, _mm512_set1_pd(kSineTerms[term]));
        q = _mm512_fmadd_pd(q, t, _mm512_set1_pd(kCosineTerms[term]));
      }
      const __m512d sine = _mm512_fmadd_pd(_mm512_mul_pd(x, t), p, x);
      const __m512d cosine =
          _mm512_fmadd_pd(t, _mm512_fmadd_pd(t, q, _mm512_set1_pd(-0.5)), _mm512_set1_pd(1.0));
      const __mmask8 odd = _mm512_test_epi64_mask(quadrant, _mm512_set1_epi64(0x4000000000000000));
      // a ^ (b & c)
      const __m512i signed_sine = _mm512_ternarylogic_epi64(
          _mm512_castpd_si512(_mm512_mask_blend_pd(odd, sine, cosine)), quadrant, sign, 0x78);
      const __m512i signed_cosine = _mm512_ternarylogic_epi64(
          _mm512_castpd_si512(_mm512_mask_blend_pd(odd, cosine, sine)), next, sign, 0x78);
      _mm512_store_pd(result.sin + lane,
                      _mm512_mul_pd(_mm512_castsi512_pd(signed_sine), _mm512_set1_pd(sine_factor)));
      _mm512_store_pd(result.cos + lane, _mm512_mul_pd(_mm512_castsi512_pd(signed_cosine),
                                                       _mm512_set1_pd(cosine_factor)));
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
  ROPEWALK_PHASE_AVX512 static void rotate(const PhaseLanes& middle, const PhaseLanes& offset,
                                           Real* cos_before, Real* cos_after, Real* sin_before,
                                           Real* sin_after) noexcept {
    __m512d sin_sin[2];
    __m512d cos_sin[2];
    __m512d sine[2];
    __m512d cosine[2];
    __m512d offset_cosine[2];
    for (int half = 0; half < 2; ++half) {
      const __m512d offset_sine = _mm512_load_pd(offset.sin + 8 * half);
      offset_cosine[half] = _mm512_load_pd(offset.cos + 8 * half);
      sine[half] = _mm512_load_pd(middle.sin + 8 * half);
      cosine[half] = _mm512_load_pd(middle.cos + 8 * half);
      sin_sin[half] = _mm512_mul_pd(sine[half], offset_sine);
      cos_sin[half] = _mm512_mul_pd(cosine[half], offset_sine);
    }
    store<kStreaming>(_mm512_fmadd_pd(cosine[0], offset_cosine[0], sin_sin[0]),
                      _mm512_fmadd_pd(cosine[1], offset_cosine[1], sin_sin[1]), cos_before);
    store<kStreaming>(_mm512_fmsub_pd(cosine[0], offset_cosine[0], sin_sin[0]),
                      _mm512_fmsub_pd(cosine[1], offset_cosine[1], sin_sin[1]), cos_after);
    store<kStreaming>(_mm512_fmsub_pd(sine[0], offset_cosine[0], cos_sin[0]),
                      _mm512_fmsub_pd(sine[1], offset_cosine[1], cos_sin[1]), sin_before);
    store<kStreaming>(_mm512_fmadd_pd(sine[0], offset_cosine[0], cos_sin[0]),
                      _mm512_fmadd_pd(sine[1], offset_cosine[1], cos_sin[1]), sin_after);
  }
};

/// The same with stores past the caches; rows must begin on 64 bytes.
struct Avx512StreamingPhase : Avx512Phase {
  static void finish() noexcept { _mm_sfence(); }

  template <typename Real>
  ROPEWALK_PHASE_AVX512 static void narrow(const double* values, Real* row) noexcept {
    Avx512Phase::narrow<Real, true>(values, row);
  }
  template <typename Real>
  ROPEWALK_PHASE_AVX512 static void rotate(const PhaseLanes& middle, const PhaseLanes& offset,
                                           Real* cos_before, Real* cos_after, Real* sin_before,
                                           Real* sin_after) noexcept {
    Avx512Phase::rotate<Real, true>(middle, offset, cos_before, cos_after, sin_before, sin_after);
  }
};

/// Four doubles or words at a time, four registers to a group of lanes.
struct Avx2Phase : PortablePhase {
  ROPEWALK_PHASE_AVX2
  static __m256i load(const std::uint64_t* words) noexcept {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(words));
  }
  ROPEWALK_PHASE_AVX2
  static void store(std::uint64_t* words, __m256i values) noexcept {
    _mm256_store_si256(reinterpret_cast<__m256i*>(words), values);
  }

  ROPEWALK_PHASE_AVX2
  static void multiply(const std::uint64_t* step_high, const std::uint64_t* step_low,
                       std::int64_t times, TurnLanes& result) noexcept {
    if (times >> 32 != 0) return PortablePhase::multiply(step_high, step_low, times, result);
    const __m256i factor = _mm256_set1_epi64x(times);
    for (int lane = 0; lane < kPhaseLanes; lane += 4) {
      const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(step_low + lane));
      const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(step_high + lane));
      const __m256i first = _mm256_mul_epu32(low, factor);
      const __m256i second = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(low, 32), factor),
                                              _mm256_srli_epi64(first, 32));
      const __m256i third =
          _mm256_add_epi64(_mm256_mul_epu32(high, factor), _mm256_srli_epi64(second, 32));
      const __m256i fourth = _mm256_mul_epu32(_mm256_srli_epi64(high, 32), factor);
      store(result.low + lane, _mm256_blend_epi32(first, _mm256_slli_epi64(second, 32), 0xaa));
      store(result.high + lane, _mm256_add_epi64(third, _mm256_slli_epi64(fourth, 32)));
    }
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
  static void sincos(const TurnLanes& phase, double sine_factor, double cosine_factor,
                     PhaseLanes& result) noexcept {
    using ropewalk::detail::kCosineTerms;
    using ropewalk::detail::kRadiansPerUnit;
    using ropewalk::detail::kSineTerms;
    const __m256d sign =
        _mm256_castsi256_pd(_mm256_set1_epi64x(static_cast<long long>(0x8000000000000000u)));
    for (int lane = 0; lane < kPhaseLanes; lane += 4) {
      const __m256i high = load(phase.high + lane);
      const __m256i quadrant =
          _mm256_add_epi64(high, _mm256_set1_epi64x(0x2000000000000000));  // in bits 62 and 63
      const __m256i next =
          _mm256_add_epi64(high, _mm256_set1_epi64x(0x6000000000000000));  // quadrant + 1
      const __m256i remainder = _mm256_sub_epi64(
          high, _mm256_and_si256(quadrant,
                                 _mm256_set1_epi64x(static_cast<long long>(0xc000000000000000u))));
      const __m256d upper =
          upper_to_double(_mm256_add_epi64(remainder, _mm256_set1_epi64x(0x80000000)));
      const __m256d rest = upper_to_double(_mm256_srli_epi64(load(phase.low + lane), 1));
      const __m256d units = _mm256_fmadd_pd(
          rest, _mm256_set1_pd(0x1p-31),
          _mm256_fmadd_pd(upper, _mm256_set1_pd(0x1p32), lower_to_double(remainder)));
      const __m256d x = _mm256_mul_pd(units, _mm256_set1_pd(kRadiansPerUnit));
      const __m256d t = _mm256_mul_pd(x, x);
      __m256d p = _mm256_set1_pd(kSineTerms[5]);
      __m256d q = _mm256_set1_pd(kCosineTerms[5]);
      for (int term = 4; term >= 0; --term) {
        p = _mm256_fmadd_pd(p, t, _mm256_set1_pd(kSineTerms[term]));
        q = _mm256_fmadd_pd(q, t, _mm256_set1_pd(kCosineTerms[term]));
      }
      const __m256d sine = _mm256_fmadd_pd(_mm256_mul_pd(x, t), p, x);
      const __m256d cosine =
          _mm256_fmadd_pd(t, _mm256_fmadd_pd(t, q, _mm256_set1_pd(-0.5)), _mm256_set1_pd(1.0));
      const __m256d odd = _mm256_castsi256_pd(_mm256_slli_epi64(quadrant, 1));
      const __m256d signed_sine = _mm256_xor_pd(_mm256_blendv_pd(sine, cosine, odd),
                                                _mm256_and_pd(_mm256_castsi256_pd(quadrant), sign));
      const __m256d signed_cosine = _mm256_xor_pd(_mm256_blendv_pd(cosine, sine, odd),
                                                  _mm256_and_pd(_mm256_castsi256_pd(next), sign));
      _mm256_store_pd(result.sin + lane, _mm256_mul_pd(signed_sine, _mm256_set1_pd(sine_factor)));
      _mm256_store_pd(result.cos + lane,
                      _mm256_mul_pd(signed_cosine, _mm256_set1_pd(cosine_factor)));
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
    for (int lane = 0; lane < kPhaseLanes; lane += 8) {
      put<kStreaming>(_mm256_load_pd(values + lane), _mm256_load_pd(values + lane + 4), row + lane);
    }
  }

  /// One row of 16 at a time: whole lines for the stores past the caches.
  template <typename Real, bool kStreaming, bool kAdd>
  ROPEWALK_PHASE_AVX2 static void rotate_row(const double* a, const double* b, const double* c,
                                             const double* d, Real* row) noexcept {
    for (int lane = 0; lane < kPhaseLanes; lane += 8) {
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
  ROPEWALK_PHASE_AVX2 static void rotate(const PhaseLanes& middle, const PhaseLanes& offset,
                                         Real* cos_before, Real* cos_after, Real* sin_before,
                                         Real* sin_after) noexcept {
    const double* sine = middle.sin;
    const double* cosine = middle.cos;
    rotate_row<Real, kStreaming, true>(cosine, offset.cos, sine, offset.sin, cos_before);
    rotate_row<Real, kStreaming, false>(cosine, offset.cos, sine, offset.sin, cos_after);
    rotate_row<Real, kStreaming, false>(sine, offset.cos, cosine, offset.sin, sin_before);
    rotate_row<Real, kStreaming, true>(sine, offset.cos, cosine, offset.sin, sin_after);
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
  ROPEWALK_PHASE_AVX2 static void rotate(const PhaseLanes& middle, const PhaseLanes& offset,
                                         Real* cos_before, Real* cos_after, Real* sin_before,
                                         Real* sin_after) noexcept {
    Avx2Phase::rotate<Real, true>(middle, offset, cos_before, cos_after, sin_before, sin_after);
  }
};

#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
using NativePhase = Avx512Phase;
#elif defined(__AVX2__) && defined(__FMA__)
using NativePhase = Avx2Phase;
#else
using NativePhase = PortablePhase;
#endif

namespace detail {

using Phase = NativePhase;

/// The kernel that does the same past the caches; void where there is none.
template <typename Kernel>
struct StreamingOf {
  using Type = void;
};
#ifdef ROPEWALK_PHASE_X86
template <>
struct StreamingOf<Avx512Phase> {
  using Type = Avx512StreamingPhase;
};
template <>
struct StreamingOf<Avx2Phase> {
  using Type = Avx2StreamingPhase;
};
#endif

/// From how many bytes on a table is written past the caches.
inline constexpr std::int64_t kStreamingBytes = std::int64_t{64} << 20;

}  // namespace detail

/// As ropewalk::fill_phase_row.
template <typename Kernel = NativePhase, typename Real>
void fill_phase_row(const PhaseTurns& turns, std::int64_t position, double factor, Real* cos,
                    Real* sin) noexcept {
  ropewalk::detail::fill_direct_row<Kernel>(turns, position, factor, cos, sin);
}

/// As ropewalk::fill_phase_rows for chosen positions.
template <typename Kernel = NativePhase, typename Real>
void fill_phase_rows(const PhaseTurns& turns, Span<const std::int64_t> positions, Real* cos,
                     Real* sin) noexcept {
  for (const std::int64_t position : positions) {
    simd::fill_phase_row<Kernel>(turns, position, turns.attention_factor, cos, sin);
    cos += turns.pairs();
    sin += turns.pairs();
  }
}

/// As ropewalk::fill_phase_rows for consecutive positions.
///   streaming_bytes   a run that writes as much or more goes past the caches, where the rows are
///                     whole cache lines: for tables well beyond the last-level cache
template <typename Kernel = NativePhase, typename Real>
void fill_phase_rows(const PhaseTurns& turns, std::int64_t first_position, std::int64_t positions,
                     Real* cos, Real* sin,
                     std::int64_t streaming_bytes = detail::kStreamingBytes) noexcept {
  ROPEWALK_ASSERT(ropewalk::detail::check_run(first_position, positions).code == Errc::ok,
                  "fill_phase_rows: positions >= 0 and first_position + positions fits int64");
  using Streaming = typename detail::StreamingOf<Kernel>::Type;
  if constexpr (std::is_void_v<Streaming>) {
    static_cast<void>(streaming_bytes);
  } else {
    constexpr std::uintptr_t line = 64;
    const auto row_bytes = static_cast<std::int64_t>(sizeof(Real)) * turns.pairs();
    const auto address = reinterpret_cast<std::uintptr_t>(cos) |
                         reinterpret_cast<std::uintptr_t>(sin) |
                         static_cast<std::uintptr_t>(row_bytes);
    if (row_bytes > 0 && positions >= streaming_bytes / (2 * row_bytes) && address % line == 0) {
      ropewalk::detail::fill_consecutive_rows<Streaming>(turns, first_position, positions, cos,
                                                         sin);
      Streaming::finish();
      return;
    }
  }
  ropewalk::detail::fill_consecutive_rows<Kernel>(turns, first_position, positions, cos, sin);
}

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#undef ROPEWALK_PHASE_X86
#undef ROPEWALK_PHASE_AVX512
#undef ROPEWALK_PHASE_AVX2
