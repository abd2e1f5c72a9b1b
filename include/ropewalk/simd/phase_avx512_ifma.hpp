// Float rows of any position with 52-bit products: x86-64 with AVX512-IFMA and VBMI2, empty
// elsewhere. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/simd/phase_avx512.hpp>

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
#define ROPEWALK_PHASE_IFMA \
  __attribute__((target("avx512f,avx512dq,avx512ifma,avx512vbmi2,avx2,fma")))
#else
#define ROPEWALK_PHASE_IFMA
#endif

namespace ropewalk {
inline namespace v0 {
namespace simd {

/// As Avx512Phase, but for float rows of any position: a step is two 52-bit words,
/// an angle three products, which leave the fraction of a turn ready to be read as doubles.
///   Max error    of a float row |position| * 2^-101 more near a zero crossing
struct Avx512IfmaPhase : Avx512Phase {
  static void fill_row(const PhaseTurns& turns, std::int64_t position, double factor, double* cos,
                       double* sin) noexcept {
    Avx512Phase::fill_row(turns, position, factor, cos, sin);
  }

  ROPEWALK_PHASE_IFMA
  static void fill_row(const PhaseTurns& turns, std::int64_t position, double factor, float* cos,
                       float* sin) noexcept {
    const std::uint64_t times = ropewalk::detail::magnitude_of(position);
    if (times >> 32 != 0) return PortablePhase::fill_row(turns, position, factor, cos, sin);
    constexpr double radians_per_unit = ropewalk::detail::kRadiansPerUnit * 4096.0;  // 2^-52 turns
    const Directions directions(factor, position < 0, radians_per_unit);
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

  template <bool kWhole>
  ROPEWALK_PHASE_IFMA static void fill_eight(const std::uint64_t* step_high,
                                             const std::uint64_t* step_low, __m512i times,
                                             const Directions& directions, __mmask8 lanes,
                                             float* cos, float* sin) noexcept {
    const __m512i half_direction = _mm512_set1_epi64(std::int64_t{1} << 47);
    const __m512i fraction = _mm512_set1_epi64((std::int64_t{1} << 48) - 1);
    const __m512i exponent = _mm512_set1_epi64(0x4330000000000000);  // of 2^52
    const __m512i high = load<kWhole>(step_high, lanes);
    const __m512i first = _mm512_srli_epi64(high, 12);
    const __m512i second = _mm512_shldi_epi64(high, load<kWhole>(step_low, lanes), 40);
    // The angle in 2^-52 turns, half a direction ahead; and 2^52 + its next 52 bits, a double.
    const __m512i angle =
        _mm512_madd52hi_epu64(_mm512_madd52lo_epu64(half_direction, first, times), second, times);
    const __m512d rest = _mm512_castsi512_pd(_mm512_madd52lo_epu64(exponent, second, times));
    const __m512d ahead = _mm512_castsi512_pd(
        _mm512_ternarylogic_epi64(angle, fraction, exponent, 0xea));  // (a & b) | c
    const __m512d beside = _mm512_sub_pd(ahead, _mm512_set1_pd(0x1p52 + 0x1p47 + 1.0));
    __m512d sine;
    __m512d cosine;
    turn(directions, _mm512_srli_epi64(angle, 48),
         _mm512_fmadd_pd(rest, _mm512_set1_pd(0x1p-52), beside), sine, cosine);
    put<kWhole>(cos, lanes, cosine);
    put<kWhole>(sin, lanes, sine);
  }
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#undef ROPEWALK_PHASE_IFMA

#endif
