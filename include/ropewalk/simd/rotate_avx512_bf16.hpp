// Rotation of bfloat16 with AVX-512, with and without its bfloat16 instructions. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/simd/rotate_avx512.hpp>
#include <ropewalk/simd/rotate_portable.hpp>
#include <ropewalk/simd/rotate_x86_target.hpp>

#include <cstdint>

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

// bfloat16: a register holds 32 elements, which a shift and a mask split into those at even and at
// odd places; no width changes, and the row is put into the same order once.

/// How two registers of floats become one of bfloat16.
enum class Bf16Rounding {
  integer,  // exact, by additions
  native    // vcvtne2ps2bf16, which takes results below 2^-126 for zero
};

struct Bf16Lanes {
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __mmask32 mask_of(int lanes) noexcept {
    return lanes >= 32 ? 0xffffffffu : (1u << (lanes > 0 ? lanes : 0)) - 1u;
  }
  template <bool kWhole>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512i load(const bfloat16* from, __mmask32 mask) noexcept {
    return kWhole ? _mm512_loadu_si512(from) : _mm512_maskz_loadu_epi16(mask, from);
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 even(__m512i elements) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(elements, 16));
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 odd(__m512i elements) noexcept {
    return _mm512_castsi512_ps(_mm512_and_si512(elements, _mm512_set1_epi32(-0x10000)));
  }

  /// Adds what carries into the upper half where that is nearer, or as near and even. A NaN must
  /// not have all bits set: those of elements have none in the lower half.
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512i round(__m512 value) noexcept {
    const __m512i bits = _mm512_castps_si512(value);
    // bits | (bits >> 16 & 1): just over the tie where the even neighbour is above.
    const __m512i broken =
        _mm512_ternarylogic_epi32(bits, _mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1), 0xf8);
    return _mm512_add_epi32(broken, _mm512_set1_epi32(0x7fff));
  }

  template <Bf16Rounding kRounding>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512i join(__m512 even, __m512 odd) noexcept {
    if (kRounding == Bf16Rounding::integer) {
      const __m512i lower = _mm512_srli_epi32(round(even), 16);
      return _mm512_ternarylogic_epi32(lower, round(odd), _mm512_set1_epi32(-0x10000), 0xf8);
    }
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
#if defined(__GNUC__)
    __m512i narrow;  // by name, so that one source serves machines with and without it
    __asm__("vcvtne2ps2bf16 {%2, %1, %0|%0, %1, %2}" : "=v"(narrow) : "v"(odd), "v"(even));
#else
    const __m512i narrow = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
#endif
    return _mm512_permutexvar_epi16(order, narrow);
  }

  template <bool kWhole, bool kStreaming>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static void store(bfloat16* to, __mmask32 mask, __m512i value) noexcept {
    if (!kWhole) {
      _mm512_mask_storeu_epi16(to, mask, value);
    } else if (kStreaming) {
      _mm512_stream_si512(reinterpret_cast<__m512i*>(to), value);
    } else {
      _mm512_storeu_si512(to, value);
    }
  }
};

/// A row with its NaNs made the usual one, whose lower half is empty.
template <Bf16Rounding kRounding>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
__m512 usual_nan(__m512 value) noexcept {
  if (kRounding == Bf16Rounding::native) return value;
  const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  return _mm512_castsi512_ps(_mm512_mask_set1_epi32(_mm512_castps_si512(value), nan, 0x7fc00000));
}

/// The row of 32 * kBlocks pairs: those at even, then those at odd places.
template <int kBlocks, bool kWhole, Bf16Rounding kRounding>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
void load_split_row(const float* cos_row, const float* sin_row, int pairs,
                    __m512 (&cos)[2 * kBlocks], __m512 (&sin)[2 * kBlocks]) noexcept {
  const __mmask16 lower = Avx512Lanes::mask_of(pairs);
  const __mmask16 upper = Avx512Lanes::mask_of(pairs - 16);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  ROPEWALK_SIMD_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    const float* c = cos_row + 32 * block;
    const float* s = sin_row + 32 * block;
    const __m512 c0 = usual_nan<kRounding>(Avx512Lanes::load<kWhole>(c, lower));
    const __m512 c1 = usual_nan<kRounding>(Avx512Lanes::load<kWhole>(c + 16, upper));
    const __m512 s0 = usual_nan<kRounding>(Avx512Lanes::load<kWhole>(s, lower));
    const __m512 s1 = usual_nan<kRounding>(Avx512Lanes::load<kWhole>(s + 16, upper));
    cos[2 * block] = _mm512_permutex2var_ps(c0, even, c1);
    cos[2 * block + 1] = _mm512_permutex2var_ps(c0, odd, c1);
    sin[2 * block] = _mm512_permutex2var_ps(s0, even, s1);
    sin[2 * block + 1] = _mm512_permutex2var_ps(s0, odd, s1);
  }
}

/// The row of 16 * kBlocks pairs as it is.
template <int kBlocks, bool kWhole, Bf16Rounding kRounding>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
void load_plain_row(const float* cos_row, const float* sin_row, int pairs, __m512 (&cos)[kBlocks],
                    __m512 (&sin)[kBlocks]) noexcept {
  Avx512Lanes::load_row<kBlocks, kWhole>(cos_row, sin_row, Avx512Lanes::mask_of(pairs), cos, sin);
  ROPEWALK_SIMD_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    cos[block] = usual_nan<kRounding>(cos[block]);
    sin[block] = usual_nan<kRounding>(sin[block]);
  }
}

/// 32 * kBlocks pairs of every head.
template <int kBlocks, bool kWhole, bool kScaled, RotateMemory kMemory, Bf16Rounding kRounding>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void rotate_half_bf16(const RotateJob<bfloat16>& job, int first_pair) noexcept {
  using Lanes = Bf16Lanes;
  constexpr bool kOrdered = kMemory != RotateMemory::cache;
  constexpr bool kStreaming = kMemory == RotateMemory::streaming;
  const int pairs = job.pairs - first_pair;
  const __mmask32 mask = Lanes::mask_of(pairs);
  __m512 cos[2 * kBlocks];  // at even, then at odd places
  __m512 sin[2 * kBlocks];
  const float* cos_row = job.cos + first_pair;
  const float* sin_row = job.sin + first_pair;
  const bfloat16* source = job.source + first_pair;
  bfloat16* destination = job.destination + first_pair;
  const std::int64_t partner = job.pairs;
  const std::int64_t source_stride = job.source_stride;
  const std::int64_t destination_stride = job.destination_stride;
  const std::int64_t ahead = job.prefetch;
  const std::int64_t heads = job.heads;
  load_split_row<kBlocks, kWhole, kRounding>(cos_row, sin_row, pairs, cos, sin);
  for (std::int64_t head = 0; head < heads; ++head) {
    if (kOrdered && ahead != 0) {
      prefetch_avx512<kBlocks * 64>(source, ahead);
      prefetch_avx512<kBlocks * 64>(source, ahead + partner);
    }
    const __m512 scale =
        usual_nan<kRounding>(_mm512_set1_ps(kScaled ? job.head_scale[head] : 1.0f));
    __m512i x[kBlocks];
    __m512i y[kBlocks];
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      const __m512i a = Lanes::load<kWhole>(source + 32 * block, mask);
      const __m512i b = Lanes::load<kWhole>(source + partner + 32 * block, mask);
      __m512 turned[4];
      ROPEWALK_SIMD_UNROLL
      for (int part = 0; part < 2; ++part) {
        const __m512 c = cos[2 * block + part];
        const __m512 s = sin[2 * block + part];
        const __m512 xs = part == 0 ? Lanes::even(a) : Lanes::odd(a);
        const __m512 ys = part == 0 ? Lanes::even(b) : Lanes::odd(b);
        turned[part] = _mm512_fmsub_ps(xs, c, _mm512_mul_ps(ys, s));
        turned[2 + part] = _mm512_fmadd_ps(ys, c, _mm512_mul_ps(xs, s));
        if (kScaled) {
          turned[part] = _mm512_mul_ps(turned[part], scale);
          turned[2 + part] = _mm512_mul_ps(turned[2 + part], scale);
        }
      }
      x[block] = Lanes::join<kRounding>(turned[0], turned[1]);
      y[block] = Lanes::join<kRounding>(turned[2], turned[3]);
    }
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      if (kOrdered) ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + 32 * block, mask, x[block]);
    }
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      if (kOrdered) ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + partner + 32 * block, mask, y[block]);
    }
    source += source_stride;
    destination += destination_stride;
  }
}

/// 16 * kBlocks pairs of every head: the two halves of a word are the pair.
template <int kBlocks, bool kWhole, bool kScaled, RotateMemory kMemory, Bf16Rounding kRounding>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void rotate_interleaved_bf16(const RotateJob<bfloat16>& job, int first_pair) noexcept {
  using Lanes = Bf16Lanes;
  constexpr bool kOrdered = kMemory != RotateMemory::cache;
  constexpr bool kStreaming = kMemory == RotateMemory::streaming;
  const int pairs = job.pairs - first_pair;
  const __mmask32 mask = Lanes::mask_of(2 * pairs);
  __m512 cos[kBlocks];
  __m512 sin[kBlocks];
  const float* cos_row = job.cos + first_pair;
  const float* sin_row = job.sin + first_pair;
  const bfloat16* source = job.source + 2 * first_pair;
  bfloat16* destination = job.destination + 2 * first_pair;
  const std::int64_t source_stride = job.source_stride;
  const std::int64_t destination_stride = job.destination_stride;
  const std::int64_t ahead = job.prefetch;
  const std::int64_t heads = job.heads;
  load_plain_row<kBlocks, kWhole, kRounding>(cos_row, sin_row, pairs, cos, sin);
  for (std::int64_t head = 0; head < heads; ++head) {
    if (kOrdered && ahead != 0) prefetch_avx512<kBlocks * 64>(source, ahead);
    const __m512 scale =
        usual_nan<kRounding>(_mm512_set1_ps(kScaled ? job.head_scale[head] : 1.0f));
    __m512i turned[kBlocks];
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      const __m512i both = Lanes::load<kWhole>(source + 32 * block, mask);
      const __m512 x = Lanes::even(both);
      const __m512 y = Lanes::odd(both);
      __m512 a = _mm512_fmsub_ps(x, cos[block], _mm512_mul_ps(y, sin[block]));
      __m512 b = _mm512_fmadd_ps(y, cos[block], _mm512_mul_ps(x, sin[block]));
      if (kScaled) {
        a = _mm512_mul_ps(a, scale);
        b = _mm512_mul_ps(b, scale);
      }
      turned[block] = Lanes::join<kRounding>(a, b);
    }
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      if (kOrdered) ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + 32 * block, mask, turned[block]);
    }
    source += source_stride;
    destination += destination_stride;
  }
}

template <Bf16Rounding kRounding, bool kScaled, RotateMemory kMemory>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void rotate_bf16(const RotateJob<bfloat16>& job) noexcept {
  constexpr RotateMemory kTailMemory =
      kMemory == RotateMemory::streaming ? RotateMemory::memory : kMemory;
  int pair = 0;
  if (job.pairing == Pairing::half_split) {
    for (; job.pairs - pair >= 64; pair += 64) {
      rotate_half_bf16<2, true, kScaled, kMemory, kRounding>(job, pair);
    }
    for (; job.pairs - pair >= 32; pair += 32) {
      rotate_half_bf16<1, true, kScaled, kMemory, kRounding>(job, pair);
    }
    if (pair < job.pairs) rotate_half_bf16<1, false, kScaled, kTailMemory, kRounding>(job, pair);
  } else {
    for (; job.pairs - pair >= 64; pair += 64) {
      rotate_interleaved_bf16<4, true, kScaled, kMemory, kRounding>(job, pair);
    }
    for (; job.pairs - pair >= 16; pair += 16) {
      rotate_interleaved_bf16<1, true, kScaled, kMemory, kRounding>(job, pair);
    }
    if (pair < job.pairs)
      rotate_interleaved_bf16<1, false, kScaled, kTailMemory, kRounding>(job, pair);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
