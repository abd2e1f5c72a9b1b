// Rotation kernels for x86: AVX-512, its bfloat16 instructions, AVX2 with F16C. Row 7b.
//
// Every function names the instructions it needs, so that all kernels exist in every translation
// unit, whatever its flags; calling one on a machine without its instructions is the caller's
// mistake.
#pragma once

#include <ropewalk/simd/rotate_portable.hpp>

#include <cstdint>
#include <type_traits>

#include <immintrin.h>

#if defined(__GNUC__)
#define ROPEWALK_TARGET(features) __attribute__((target(features)))
#define ROPEWALK_TARGET_INLINE(features) inline __attribute__((target(features), always_inline))
// Keeps loads and stores in the order written: the order of addresses. Left to the scheduler,
// stores to the two halves of a head alternate, which costs a tenth of the time in memory and four
// tenths with streaming stores.
#define ROPEWALK_KEEP_ORDER() __asm__ volatile("" : : : "memory")
#else
#define ROPEWALK_TARGET(features)
#define ROPEWALK_TARGET_INLINE(features) __forceinline
#define ROPEWALK_KEEP_ORDER() static_cast<void>(0)
#endif
#if defined(__clang__)
#define ROPEWALK_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define ROPEWALK_UNROLL _Pragma("GCC unroll 8")
#else
#define ROPEWALK_UNROLL
#endif
#define ROPEWALK_AVX512 "avx512f,avx512bw,avx512vl,avx512dq,fma,avx2"
#define ROPEWALK_AVX512_BF16 "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma,avx2"
#define ROPEWALK_AVX2 "avx2,fma,f16c"

// GCC 12 takes the undefined registers of its own intrinsics for mistakes (its bug 105593); without
// optimisation they are macros that convert signs.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Sixteen elements to and from float; lanes outside the mask are neither read nor written.
struct Avx512Lanes {
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
    const __m512i words = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
  }

  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m256i narrow(const float16*, __m512 value) noexcept {
    return _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m256i narrow(const bfloat16*, __m512 value) noexcept {
    const __m512i bits = _mm512_castps_si512(value);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(
        _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
    const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
    const __mmask16 nan = _mm512_cmpgt_epi32_mask(magnitude, _mm512_set1_epi32(0x7f800000));
    return _mm512_cvtepi32_epi16(
        _mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(0x0040)));
  }

  template <bool kWhole, bool kStreaming>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static void store(float* to, __mmask16 mask, __m512 value) noexcept {
    if (!kWhole) {
      _mm512_mask_storeu_ps(to, mask, value);
    } else if (kStreaming) {
      _mm512_stream_ps(to, value);
    } else {
      _mm512_storeu_ps(to, value);
    }
  }
  template <bool kWhole, bool kStreaming, typename T>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static void store(T* to, __mmask16 mask, __m512 value) noexcept {
    const __m256i narrowed = narrow(to, value);
    if (!kWhole) {
      _mm256_mask_storeu_epi16(to, mask, narrowed);
    } else if (kStreaming) {
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to), narrowed);
    } else {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrowed);
    }
  }
};

/// Asks for kBytes of a head that is read a little later. Kernels leave too few loads in flight to
/// keep memory busy: in place from memory, float took 1.1 to 1.5 times as long as touching the data
/// and the 16-bit types 1.6 to 2.1 times; with this, float takes 1.0 to 1.1, float16 1.0 to 1.4 and
/// bfloat16 1.2 to 1.7 (a noisy shared machine). From the last-level cache it gains 4 to 7 percent;
/// interleaved float in L1 loses 7.
/// The address may lie outside of everything; it is not a pointer.
template <int kBytes, typename T>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
void prefetch(const T* base, std::int64_t elements) noexcept {
  const std::uint64_t address =
      reinterpret_cast<std::uintptr_t>(base) + static_cast<std::uint64_t>(elements) * sizeof(T);
  ROPEWALK_UNROLL
  for (int byte = 0; byte < kBytes; byte += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(address) + byte, _MM_HINT_T0);
  }
}
inline constexpr std::int64_t kPrefetchHeads = 8;

/// The lanes of a register of 16 that belong to something.
inline __mmask16 mask_of(int lanes) noexcept {
  return static_cast<__mmask16>(lanes >= 16 ? 0xffff : (1 << (lanes > 0 ? lanes : 0)) - 1);
}

/// 16 * kBlocks pairs of every head, their row kept in registers; kWhole: no lane is spare.
template <int kBlocks, bool kWhole, bool kScaled, bool kStreaming, typename T>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void rotate_half_avx512(const RotateJob<T>& job, int first_pair) noexcept {
  using Lanes = Avx512Lanes;
  const __mmask16 mask = mask_of(job.pairs - first_pair);
  __m512 cos[kBlocks];
  __m512 sin[kBlocks];
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    cos[block] = Lanes::load(job.cos + first_pair + 16 * block, mask);
    sin[block] = Lanes::load(job.sin + first_pair + 16 * block, mask);
  }
  const T* source = job.source + first_pair;
  T* destination = job.destination + first_pair;
  const std::int64_t partner = job.pairs;
  const std::int64_t ahead = kPrefetchHeads * job.source_stride;
  for (std::int64_t head = 0; head < job.heads; ++head) {
    prefetch<kBlocks * 16 * sizeof(T)>(source, ahead);
    prefetch<kBlocks * 16 * sizeof(T)>(source, ahead + partner);
    __m512 x[kBlocks];
    __m512 y[kBlocks];
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      x[block] = Lanes::load(source + 16 * block, kWhole ? mask_of(16) : mask);
    }
    ROPEWALK_KEEP_ORDER();
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      y[block] = Lanes::load(source + partner + 16 * block, kWhole ? mask_of(16) : mask);
    }
    const __m512 scale = _mm512_set1_ps(kScaled ? job.head_scale[head] : 1.0f);
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      __m512 turned = _mm512_fmsub_ps(x[block], cos[block], _mm512_mul_ps(y[block], sin[block]));
      if (kScaled) turned = _mm512_mul_ps(turned, scale);
      ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + 16 * block, mask, turned);
    }
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      __m512 turned = _mm512_fmadd_ps(y[block], cos[block], _mm512_mul_ps(x[block], sin[block]));
      if (kScaled) turned = _mm512_mul_ps(turned, scale);
      ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + partner + 16 * block, mask, turned);
    }
    source += job.source_stride;
    destination += job.destination_stride;
  }
}

/// 8 * kBlocks pairs of every head, elements of a pair side by side.
template <int kBlocks, bool kWhole, bool kScaled, bool kStreaming, typename T>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void rotate_interleaved_avx512(const RotateJob<T>& job, int first_pair) noexcept {
  using Lanes = Avx512Lanes;
  constexpr bool kLoadsDuplicate = std::is_same_v<T, float>;
  const int lanes = 2 * (job.pairs - first_pair);
  const __mmask16 mask = mask_of(lanes);
  const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  const __m512 even_sign = _mm512_castsi512_ps(_mm512_set1_epi64(0x80000000));
  // (x x) * along + (y y) * across where loads duplicate for nothing: along = (cos sin), across =
  // (-sin cos). Otherwise fmaddsub of (x y) * along and (y x) * across: (cos cos), (sin sin).
  __m512 along[kBlocks];
  __m512 across[kBlocks];
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    const __mmask16 row = kWhole ? mask_of(8) : mask_of(lanes / 2 < 8 ? lanes / 2 : 8);
    const __m512 cos =
        _mm512_permutexvar_ps(twice, Lanes::load(job.cos + first_pair + 8 * block, row));
    const __m512 sin =
        _mm512_permutexvar_ps(twice, Lanes::load(job.sin + first_pair + 8 * block, row));
    if (kLoadsDuplicate) {
      along[block] = _mm512_mask_blend_ps(0xaaaa, cos, sin);
      across[block] = _mm512_mask_blend_ps(0xaaaa, _mm512_xor_ps(sin, even_sign), cos);
    } else {
      along[block] = cos;
      across[block] = sin;
    }
  }
  const T* source = job.source + 2 * first_pair;
  T* destination = job.destination + 2 * first_pair;
  const std::int64_t ahead = kPrefetchHeads * job.source_stride;
  for (std::int64_t head = 0; head < job.heads; ++head) {
    prefetch<kBlocks * 16 * sizeof(T)>(source, ahead);
    __m512 turned[kBlocks];
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      const T* at = source + 16 * block;
      const __m512 value = Lanes::load(at, kWhole ? mask_of(16) : mask);
      if constexpr (kLoadsDuplicate) {
        const __m512 product = _mm512_mul_ps(_mm512_movehdup_ps(value), across[block]);
#if defined(__GNUC__)
        // A second load, which duplicates on its way, is cheaper than a shuffle of the first.
        __asm__("" : "+r"(at));
#endif
        const __m512 again = Lanes::load(at, kWhole ? mask_of(16) : mask);
        turned[block] = _mm512_fmadd_ps(_mm512_moveldup_ps(again), along[block], product);
      } else {
        const __m512 swapped = _mm512_permute_ps(value, 0xb1);
        turned[block] =
            _mm512_fmaddsub_ps(value, along[block], _mm512_mul_ps(swapped, across[block]));
      }
      if (kScaled)
        turned[block] = _mm512_mul_ps(turned[block], _mm512_set1_ps(job.head_scale[head]));
    }
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + 16 * block, mask, turned[block]);
    }
    source += job.source_stride;
    destination += job.destination_stride;
  }
}

template <bool kScaled, bool kStreaming, typename T>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void rotate_avx512(const RotateJob<T>& job) noexcept {
  int pair = 0;
  if (job.pairing == Pairing::half_split) {
    for (; job.pairs - pair >= 64; pair += 64) {
      rotate_half_avx512<4, true, kScaled, kStreaming>(job, pair);
    }
    for (; job.pairs - pair >= 32; pair += 32) {
      rotate_half_avx512<2, true, kScaled, kStreaming>(job, pair);
    }
    for (; job.pairs - pair >= 16; pair += 16) {
      rotate_half_avx512<1, true, kScaled, kStreaming>(job, pair);
    }
    if (pair < job.pairs) rotate_half_avx512<1, false, kScaled, false>(job, pair);
  } else {
    for (; job.pairs - pair >= 64; pair += 64) {
      rotate_interleaved_avx512<8, true, kScaled, kStreaming>(job, pair);
    }
    for (; job.pairs - pair >= 32; pair += 32) {
      rotate_interleaved_avx512<4, true, kScaled, kStreaming>(job, pair);
    }
    for (; job.pairs - pair >= 8; pair += 8) {
      rotate_interleaved_avx512<1, true, kScaled, kStreaming>(job, pair);
    }
    if (pair < job.pairs) rotate_interleaved_avx512<1, false, kScaled, false>(job, pair);
  }
}

// bfloat16 with its own instructions. A register holds 32 elements, which a shift and a mask split
// into those at even and at odd places; no width changes before the rounding.

struct Bf16Lanes {
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512_BF16)
  static __m512i load(const bfloat16* from, __mmask32 mask) noexcept {
    return _mm512_maskz_loadu_epi16(mask, from);
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512_BF16)
  static __m512 even(__m512i elements) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(elements, 16));
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512_BF16)
  static __m512 odd(__m512i elements) noexcept {
    return _mm512_castsi512_ps(
        _mm512_and_si512(elements, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512_BF16)
  static __m512i join(__m512 even, __m512 odd) noexcept {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
  }
  template <bool kWhole, bool kStreaming>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512_BF16)
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

inline __mmask32 mask_of_32(int lanes) noexcept {
  return lanes >= 32 ? 0xffffffffu : (1u << (lanes > 0 ? lanes : 0)) - 1u;
}

/// 32 * kBlocks pairs of every head.
template <int kBlocks, bool kWhole, bool kScaled, bool kStreaming>
ROPEWALK_TARGET(ROPEWALK_AVX512_BF16)
inline void rotate_half_bf16(const RotateJob<bfloat16>& job, int first_pair) noexcept {
  using Lanes = Bf16Lanes;
  const int pairs = job.pairs - first_pair;
  const __mmask32 mask = mask_of_32(pairs);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  __m512 cos[2 * kBlocks];  // at even, then at odd places
  __m512 sin[2 * kBlocks];
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    const float* c = job.cos + first_pair + 32 * block;
    const float* s = job.sin + first_pair + 32 * block;
    const __mmask16 lower = mask_of(kWhole ? 16 : pairs);
    const __mmask16 upper = mask_of(kWhole ? 16 : pairs - 16);
    const __m512 c0 = _mm512_maskz_loadu_ps(lower, c);
    const __m512 c1 = _mm512_maskz_loadu_ps(upper, c + 16);
    const __m512 s0 = _mm512_maskz_loadu_ps(lower, s);
    const __m512 s1 = _mm512_maskz_loadu_ps(upper, s + 16);
    cos[2 * block] = _mm512_permutex2var_ps(c0, even, c1);
    cos[2 * block + 1] = _mm512_permutex2var_ps(c0, odd, c1);
    sin[2 * block] = _mm512_permutex2var_ps(s0, even, s1);
    sin[2 * block + 1] = _mm512_permutex2var_ps(s0, odd, s1);
  }
  const bfloat16* source = job.source + first_pair;
  bfloat16* destination = job.destination + first_pair;
  const std::int64_t partner = job.pairs;
  const std::int64_t ahead = kPrefetchHeads * job.source_stride;
  for (std::int64_t head = 0; head < job.heads; ++head) {
    prefetch<kBlocks * 64>(source, ahead);
    prefetch<kBlocks * 64>(source, ahead + partner);
    __m512i x[kBlocks];
    __m512i y[kBlocks];
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      const __m512i a = Lanes::load(source + 32 * block, kWhole ? 0xffffffffu : mask);
      const __m512i b = Lanes::load(source + partner + 32 * block, kWhole ? 0xffffffffu : mask);
      __m512 turned[4];
      ROPEWALK_UNROLL
      for (int part = 0; part < 2; ++part) {
        const __m512 c = cos[2 * block + part];
        const __m512 s = sin[2 * block + part];
        const __m512 xs = part == 0 ? Lanes::even(a) : Lanes::odd(a);
        const __m512 ys = part == 0 ? Lanes::even(b) : Lanes::odd(b);
        turned[part] = _mm512_fmsub_ps(xs, c, _mm512_mul_ps(ys, s));
        turned[2 + part] = _mm512_fmadd_ps(ys, c, _mm512_mul_ps(xs, s));
        if (kScaled) {
          const __m512 scale = _mm512_set1_ps(job.head_scale[head]);
          turned[part] = _mm512_mul_ps(turned[part], scale);
          turned[2 + part] = _mm512_mul_ps(turned[2 + part], scale);
        }
      }
      x[block] = Lanes::join(turned[0], turned[1]);
      y[block] = Lanes::join(turned[2], turned[3]);
    }
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + 32 * block, mask, x[block]);
    }
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + partner + 32 * block, mask, y[block]);
    }
    source += job.source_stride;
    destination += job.destination_stride;
  }
}

/// 16 * kBlocks pairs of every head: the two halves of a word are the pair.
template <int kBlocks, bool kWhole, bool kScaled, bool kStreaming>
ROPEWALK_TARGET(ROPEWALK_AVX512_BF16)
inline void rotate_interleaved_bf16(const RotateJob<bfloat16>& job, int first_pair) noexcept {
  using Lanes = Bf16Lanes;
  const int pairs = job.pairs - first_pair;
  const __mmask32 mask = mask_of_32(2 * pairs);
  __m512 cos[kBlocks];
  __m512 sin[kBlocks];
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    const __mmask16 row = mask_of(kWhole ? 16 : pairs);
    cos[block] = _mm512_maskz_loadu_ps(row, job.cos + first_pair + 16 * block);
    sin[block] = _mm512_maskz_loadu_ps(row, job.sin + first_pair + 16 * block);
  }
  const bfloat16* source = job.source + 2 * first_pair;
  bfloat16* destination = job.destination + 2 * first_pair;
  const std::int64_t ahead = kPrefetchHeads * job.source_stride;
  for (std::int64_t head = 0; head < job.heads; ++head) {
    prefetch<kBlocks * 64>(source, ahead);
    __m512i turned[kBlocks];
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      const __m512i both = Lanes::load(source + 32 * block, kWhole ? 0xffffffffu : mask);
      const __m512 x = Lanes::even(both);
      const __m512 y = Lanes::odd(both);
      __m512 a = _mm512_fmsub_ps(x, cos[block], _mm512_mul_ps(y, sin[block]));
      __m512 b = _mm512_fmadd_ps(y, cos[block], _mm512_mul_ps(x, sin[block]));
      if (kScaled) {
        const __m512 scale = _mm512_set1_ps(job.head_scale[head]);
        a = _mm512_mul_ps(a, scale);
        b = _mm512_mul_ps(b, scale);
      }
      turned[block] = Lanes::join(a, b);
    }
    ROPEWALK_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + 32 * block, mask, turned[block]);
    }
    source += job.source_stride;
    destination += job.destination_stride;
  }
}

template <bool kScaled, bool kStreaming>
ROPEWALK_TARGET(ROPEWALK_AVX512_BF16)
inline void rotate_bf16(const RotateJob<bfloat16>& job) noexcept {
  int pair = 0;
  if (job.pairing == Pairing::half_split) {
    for (; job.pairs - pair >= 64; pair += 64) {
      rotate_half_bf16<2, true, kScaled, kStreaming>(job, pair);
    }
    for (; job.pairs - pair >= 32; pair += 32) {
      rotate_half_bf16<1, true, kScaled, kStreaming>(job, pair);
    }
    if (pair < job.pairs) rotate_half_bf16<1, false, kScaled, false>(job, pair);
  } else {
    for (; job.pairs - pair >= 64; pair += 64) {
      rotate_interleaved_bf16<4, true, kScaled, kStreaming>(job, pair);
    }
    for (; job.pairs - pair >= 16; pair += 16) {
      rotate_interleaved_bf16<1, true, kScaled, kStreaming>(job, pair);
    }
    if (pair < job.pairs) rotate_interleaved_bf16<1, false, kScaled, false>(job, pair);
  }
}

/// Eight elements to and from float.
struct Avx2Lanes {
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static __m256 load(const float* from) noexcept { return _mm256_loadu_ps(from); }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static __m256 load(const float16* from) noexcept {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static __m256 load(const bfloat16* from) noexcept {
    const __m256i words =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
  }

  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static __m128i narrow(const float16*, __m256 value) noexcept {
    return _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static __m128i narrow(const bfloat16*, __m256 value) noexcept {
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
    const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
    const __m256i nan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7f800000));
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x0040));
    const __m256i result = _mm256_blendv_epi8(rounded, quiet, nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(result), _mm256_extracti128_si256(result, 1));
  }

  template <bool kStreaming>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static void store(float* to, __m256 value) noexcept {
    if (kStreaming) {
      _mm256_stream_ps(to, value);
    } else {
      _mm256_storeu_ps(to, value);
    }
  }
  template <bool kStreaming, typename T>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
  static void store(T* to, __m256 value) noexcept {
    if (kStreaming) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to), narrow(to, value));
    } else {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), narrow(to, value));
    }
  }
};

/// 8 * kBlocks pairs of one head.
template <int kBlocks, bool kStreaming, typename T>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
void turn_half_avx2(const T* source, T* destination, std::int64_t source_partner,
                    std::int64_t partner, const float* cos, const float* sin,
                    float head_scale) noexcept {
  using Lanes = Avx2Lanes;
  const __m256 scale = _mm256_set1_ps(head_scale);
  __m256 x[kBlocks];
  __m256 y[kBlocks];
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) x[block] = Lanes::load(source + 8 * block);
  ROPEWALK_KEEP_ORDER();
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    y[block] = Lanes::load(source + source_partner + 8 * block);
  }
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    const __m256 c = _mm256_mul_ps(_mm256_loadu_ps(cos + 8 * block), scale);
    const __m256 s = _mm256_mul_ps(_mm256_loadu_ps(sin + 8 * block), scale);
    const __m256 turned = _mm256_fmsub_ps(x[block], c, _mm256_mul_ps(y[block], s));
    y[block] = _mm256_fmadd_ps(y[block], c, _mm256_mul_ps(x[block], s));
    ROPEWALK_KEEP_ORDER();
    Lanes::store<kStreaming>(destination + 8 * block, turned);
  }
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    ROPEWALK_KEEP_ORDER();
    Lanes::store<kStreaming>(destination + partner + 8 * block, y[block]);
  }
}

/// A vector's worth or less through memory that has room for all of it.
inline constexpr int kRotateTail = 8;

template <bool kStreaming, typename T>
ROPEWALK_TARGET(ROPEWALK_AVX2)
inline void rotate_half_avx2(const RotateJob<T>& job) noexcept {
  constexpr int kBlocks = 4;
  for (std::int64_t head = 0; head < job.heads; ++head) {
    const T* source = job.source + head * job.source_stride;
    T* destination = job.destination + head * job.destination_stride;
    const float scale = job.head_scale == nullptr ? 1.0f : job.head_scale[head];
    int pair = 0;
    for (; pair + 8 * kBlocks <= job.pairs; pair += 8 * kBlocks) {
      turn_half_avx2<kBlocks, kStreaming>(source + pair, destination + pair, job.pairs, job.pairs,
                                          job.cos + pair, job.sin + pair, scale);
    }
    for (; pair + 8 <= job.pairs; pair += 8) {
      turn_half_avx2<1, kStreaming>(source + pair, destination + pair, job.pairs, job.pairs,
                                    job.cos + pair, job.sin + pair, scale);
    }
    if (pair == job.pairs) continue;
    T spare[2 * kRotateTail] = {};
    float row[2 * kRotateTail] = {};
    for (int lane = 0; pair + lane < job.pairs; ++lane) {
      spare[lane] = source[pair + lane];
      spare[kRotateTail + lane] = source[job.pairs + pair + lane];
      row[lane] = job.cos[pair + lane];
      row[kRotateTail + lane] = job.sin[pair + lane];
    }
    turn_half_avx2<1, false>(spare, spare, kRotateTail, kRotateTail, row, row + kRotateTail, scale);
    for (int lane = 0; pair + lane < job.pairs; ++lane) {
      destination[pair + lane] = spare[lane];
      destination[job.pairs + pair + lane] = spare[kRotateTail + lane];
    }
  }
}

/// 4 * kBlocks pairs of one head.
///   along, across   (2 * pairs,): every cosine, every sine, twice
template <int kBlocks, bool kStreaming, typename T>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
void turn_interleaved_avx2(const T* source, T* destination, const float* along, const float* across,
                           float head_scale) noexcept {
  using Lanes = Avx2Lanes;
  __m256 turned[kBlocks];
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    const __m256 value = Lanes::load(source + 8 * block);
    const __m256 swapped = _mm256_permute_ps(value, 0xb1);
    turned[block] = _mm256_fmaddsub_ps(value, _mm256_loadu_ps(along + 8 * block),
                                       _mm256_mul_ps(swapped, _mm256_loadu_ps(across + 8 * block)));
    turned[block] = _mm256_mul_ps(turned[block], _mm256_set1_ps(head_scale));
  }
  ROPEWALK_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    ROPEWALK_KEEP_ORDER();
    Lanes::store<kStreaming>(destination + 8 * block, turned[block]);
  }
}

template <bool kStreaming, typename T>
ROPEWALK_TARGET(ROPEWALK_AVX2)
inline void rotate_interleaved_avx2(const RotateJob<T>& job) noexcept {
  constexpr int kChunk = 64;  // pairs whose doubled row is kept
  constexpr int kBlocks = 4;
  float along[2 * kChunk];
  float across[2 * kChunk];
  for (int first = 0; first < job.pairs; first += kChunk) {
    const int pairs = job.pairs - first < kChunk ? job.pairs - first : kChunk;
    for (int pair = 0; pair < pairs; ++pair) {
      along[2 * pair] = along[2 * pair + 1] = job.cos[first + pair];
      across[2 * pair] = across[2 * pair + 1] = job.sin[first + pair];
    }
    for (int lane = 2 * pairs; lane < 2 * kChunk; ++lane) along[lane] = across[lane] = 0.0f;
    for (std::int64_t head = 0; head < job.heads; ++head) {
      const T* source = job.source + head * job.source_stride + 2 * first;
      T* destination = job.destination + head * job.destination_stride + 2 * first;
      const float scale = job.head_scale == nullptr ? 1.0f : job.head_scale[head];
      int lane = 0;
      for (; lane + 8 * kBlocks <= 2 * pairs; lane += 8 * kBlocks) {
        turn_interleaved_avx2<kBlocks, kStreaming>(source + lane, destination + lane, along + lane,
                                                   across + lane, scale);
      }
      for (; lane + 8 <= 2 * pairs; lane += 8) {
        turn_interleaved_avx2<1, kStreaming>(source + lane, destination + lane, along + lane,
                                             across + lane, scale);
      }
      if (lane == 2 * pairs) continue;
      T spare[kRotateTail] = {};
      for (int rest = 0; lane + rest < 2 * pairs; ++rest) spare[rest] = source[lane + rest];
      turn_interleaved_avx2<1, false>(spare, spare, along + lane, across + lane, scale);
      for (int rest = 0; lane + rest < 2 * pairs; ++rest) destination[lane + rest] = spare[rest];
    }
  }
}

}  // namespace detail

namespace simd {

/// AVX2, FMA and F16C (x86-64-v3). Doubles run through the plain loops in every kernel.
struct Avx2 : Portable {
  static constexpr std::uint64_t kStreamAlignment = 64;

  template <typename T>
  static void rotate(const ropewalk::detail::RotateJob<T>& job) noexcept {
    if constexpr (std::is_same_v<T, double>) {
      Portable::rotate(job);
    } else if (job.pairing == Pairing::half_split) {
      job.streaming ? ropewalk::detail::rotate_half_avx2<true>(job)
                    : ropewalk::detail::rotate_half_avx2<false>(job);
    } else {
      job.streaming ? ropewalk::detail::rotate_interleaved_avx2<true>(job)
                    : ropewalk::detail::rotate_interleaved_avx2<false>(job);
    }
  }

  static void finish_streams() noexcept { _mm_sfence(); }
};

/// AVX-512 with BW, VL and DQ (x86-64-v4).
struct Avx512 : Avx2 {
  template <typename T>
  static void rotate(const ropewalk::detail::RotateJob<T>& job) noexcept {
    if constexpr (std::is_same_v<T, double>) {
      Portable::rotate(job);
    } else if (job.streaming) {
      job.head_scale == nullptr ? ropewalk::detail::rotate_avx512<false, true>(job)
                                : ropewalk::detail::rotate_avx512<true, true>(job);
    } else {
      job.head_scale == nullptr ? ropewalk::detail::rotate_avx512<false, false>(job)
                                : ropewalk::detail::rotate_avx512<true, false>(job);
    }
  }
};

/// The same with AVX512-BF16, whose rounding drops bfloat16 results below 2^-126 (takes them for
/// zero); all else has the bits of Avx512.
struct Avx512Bf16 : Avx512 {
  template <typename T>
  static void rotate(const ropewalk::detail::RotateJob<T>& job) noexcept {
    if constexpr (!std::is_same_v<T, bfloat16>) {
      Avx512::rotate(job);
    } else if (job.streaming) {
      job.head_scale == nullptr ? ropewalk::detail::rotate_bf16<false, true>(job)
                                : ropewalk::detail::rotate_bf16<true, true>(job);
    } else {
      job.head_scale == nullptr ? ropewalk::detail::rotate_bf16<false, false>(job)
                                : ropewalk::detail::rotate_bf16<true, false>(job);
    }
  }
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#undef ROPEWALK_TARGET
#undef ROPEWALK_TARGET_INLINE
#undef ROPEWALK_KEEP_ORDER
#undef ROPEWALK_UNROLL
#undef ROPEWALK_AVX512
#undef ROPEWALK_AVX512_BF16
#undef ROPEWALK_AVX2
