// Rotation kernel for AVX-512. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/simd/rotate_portable.hpp>
#include <ropewalk/simd/rotate_x86_target.hpp>

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

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Sixteen elements to and from float; lanes outside the mask are neither read nor written.
struct Avx512Lanes {
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __mmask16 mask_of(int lanes) noexcept {
    return static_cast<__mmask16>(lanes >= 16 ? 0xffff : (1 << (lanes > 0 ? lanes : 0)) - 1);
  }

  template <bool kWhole>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 load(const float* from, __mmask16 mask) noexcept {
    return kWhole ? _mm512_loadu_ps(from) : _mm512_maskz_loadu_ps(mask, from);
  }
  template <bool kWhole>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 load(const float16* from, __mmask16 mask) noexcept {
    return _mm512_cvtph_ps(kWhole ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                                  : _mm256_maskz_loadu_epi16(mask, from));
  }

  template <int kBlocks, bool kWhole>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static void load_row(const float* cos_row, const float* sin_row, __mmask16 mask,
                       __m512 (&cos)[kBlocks], __m512 (&sin)[kBlocks]) noexcept {
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      cos[block] = load<kWhole>(cos_row + 16 * block, mask);
      sin[block] = load<kWhole>(sin_row + 16 * block, mask);
    }
  }

  /// Eight pairs to a register, each value twice. Rotation is (x x) * along + (y y) * across with
  /// along = (cos sin), across = (-sin cos) where kTwice; else the fmaddsub of (x y) * along and
  /// (y x) * across with (cos cos), (sin sin).
  template <int kBlocks, bool kTwice>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static void load_pair_row(const float* cos_row, const float* sin_row, __mmask16 mask,
                            __m512 (&along)[kBlocks], __m512 (&across)[kBlocks]) noexcept {
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const __m512 even_sign = _mm512_castsi512_ps(_mm512_set1_epi64(0x80000000));
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      const __m512 cos =
          _mm512_permutexvar_ps(twice, _mm512_maskz_loadu_ps(mask, cos_row + 8 * block));
      const __m512 sin =
          _mm512_permutexvar_ps(twice, _mm512_maskz_loadu_ps(mask, sin_row + 8 * block));
      along[block] = kTwice ? _mm512_mask_blend_ps(0xaaaa, cos, sin) : cos;
      across[block] =
          kTwice ? _mm512_mask_blend_ps(0xaaaa, _mm512_xor_ps(sin, even_sign), cos) : sin;
    }
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
  template <bool kWhole, bool kStreaming>
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static void store(float16* to, __mmask16 mask, __m512 value) noexcept {
    const __m256i narrow = _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    if (!kWhole) {
      _mm256_mask_storeu_epi16(to, mask, narrow);
    } else if (kStreaming) {
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to), narrow);
    } else {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrow);
    }
  }
};

/// Asks for kBytes of a head that is read a little later. Kernels leave too few loads in flight to
/// keep memory busy: in place from memory, float took 1.1 to 1.5 times as long as touching the data
/// and the 16-bit types 1.6 to 2.1 times; with this, 1.0 and 1.25. From the last-level cache it
/// gains 4 to 7 percent.
/// The address may lie outside of everything; it is not a pointer.
template <int kBytes, typename T>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
void prefetch_avx512(const T* base, std::int64_t elements) noexcept {
  const std::uint64_t address =
      reinterpret_cast<std::uintptr_t>(base) + static_cast<std::uint64_t>(elements) * sizeof(T);
  ROPEWALK_SIMD_UNROLL
  for (int byte = 0; byte < kBytes; byte += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(address) + byte, _MM_HINT_T0);
  }
}

/// 16 * kBlocks pairs of every head; kWhole: no lane is spare.
template <int kBlocks, bool kWhole, bool kScaled, RotateMemory kMemory, typename T>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void rotate_half_avx512(const RotateJob<T>& job, int first_pair) noexcept {
  using Lanes = Avx512Lanes;
  constexpr bool kOrdered = kMemory != RotateMemory::cache;
  constexpr bool kStreaming = kMemory == RotateMemory::streaming;
  const __mmask16 mask = Lanes::mask_of(job.pairs - first_pair);
  const float* cos_row = job.cos + first_pair;
  const float* sin_row = job.sin + first_pair;
  __m512 cos[kBlocks];
  __m512 sin[kBlocks];
  const T* source = job.source + first_pair;
  T* destination = job.destination + first_pair;
  const std::int64_t partner = job.pairs;
  const std::int64_t source_stride = job.source_stride;
  const std::int64_t destination_stride = job.destination_stride;
  const std::int64_t ahead = job.prefetch;
  const std::int64_t heads = job.heads;
  Lanes::load_row<kBlocks, kWhole>(cos_row, sin_row, mask, cos, sin);
  for (std::int64_t head = 0; head < heads; ++head) {
    if (kOrdered && ahead != 0) {
      prefetch_avx512<kBlocks * 16 * sizeof(T)>(source, ahead);
      prefetch_avx512<kBlocks * 16 * sizeof(T)>(source, ahead + partner);
    }
    __m512 x[kBlocks];
    __m512 y[kBlocks];
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      x[block] = Lanes::load<kWhole>(source + 16 * block, mask);
    }
    if (kOrdered) ROPEWALK_KEEP_ORDER();
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      y[block] = Lanes::load<kWhole>(source + partner + 16 * block, mask);
    }
    const __m512 scale = _mm512_set1_ps(kScaled ? job.head_scale[head] : 1.0f);
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      __m512 turned = _mm512_fmsub_ps(x[block], cos[block], _mm512_mul_ps(y[block], sin[block]));
      if (kScaled) turned = _mm512_mul_ps(turned, scale);
      if (kOrdered) ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + 16 * block, mask, turned);
    }
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      __m512 turned = _mm512_fmadd_ps(y[block], cos[block], _mm512_mul_ps(x[block], sin[block]));
      if (kScaled) turned = _mm512_mul_ps(turned, scale);
      if (kOrdered) ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + partner + 16 * block, mask, turned);
    }
    source += source_stride;
    destination += destination_stride;
  }
}

/// 8 * kBlocks pairs of every head, elements of a pair side by side.
template <int kBlocks, bool kWhole, bool kScaled, RotateMemory kMemory, typename T>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void rotate_interleaved_avx512(const RotateJob<T>& job, int first_pair) noexcept {
  using Lanes = Avx512Lanes;
  constexpr bool kOrdered = kMemory != RotateMemory::cache;
  constexpr bool kStreaming = kMemory == RotateMemory::streaming;
  constexpr bool kLoadsTwice = std::is_same_v<T, float>;
  const int lanes = 2 * (job.pairs - first_pair);
  const __mmask16 mask = Lanes::mask_of(lanes);
  const __mmask16 row_mask = Lanes::mask_of(kWhole || lanes > 16 ? 8 : lanes / 2);
  __m512 along[kBlocks];
  __m512 across[kBlocks];
  const float* cos_row = job.cos + first_pair;
  const float* sin_row = job.sin + first_pair;
  const T* source = job.source + 2 * first_pair;
  T* destination = job.destination + 2 * first_pair;
  const std::int64_t source_stride = job.source_stride;
  const std::int64_t destination_stride = job.destination_stride;
  const std::int64_t ahead = job.prefetch;
  const std::int64_t heads = job.heads;
  Lanes::load_pair_row<kBlocks, kLoadsTwice>(cos_row, sin_row, row_mask, along, across);
  for (std::int64_t head = 0; head < heads; ++head) {
    if (kOrdered && ahead != 0) prefetch_avx512<kBlocks * 16 * sizeof(T)>(source, ahead);
    const __m512 scale = _mm512_set1_ps(kScaled ? job.head_scale[head] : 1.0f);
    __m512 turned[kBlocks];
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      const T* at = source + 16 * block;
      if constexpr (kLoadsTwice) {
        // Doubled on the way from memory, for nothing, and therefore loaded twice: a shuffle between
        // registers has one of the two ports that all arithmetic needs.
        const T* again = at;
#if defined(__GNUC__)
        __asm__("" : "+r"(again));  // compilers load once and shuffle twice
#endif
        const __m512 y = _mm512_movehdup_ps(Lanes::load<kWhole>(at, mask));
        const __m512 x = _mm512_moveldup_ps(Lanes::load<kWhole>(again, mask));
        turned[block] = _mm512_fmadd_ps(x, along[block], _mm512_mul_ps(y, across[block]));
      } else {
        const __m512 value = Lanes::load<kWhole>(at, mask);
        const __m512 swapped = _mm512_permute_ps(value, 0xb1);
        turned[block] =
            _mm512_fmaddsub_ps(value, along[block], _mm512_mul_ps(swapped, across[block]));
      }
      if (kScaled) turned[block] = _mm512_mul_ps(turned[block], scale);
    }
    ROPEWALK_SIMD_UNROLL
    for (int block = 0; block < kBlocks; ++block) {
      if (kOrdered) ROPEWALK_KEEP_ORDER();
      Lanes::store<kWhole, kStreaming>(destination + 16 * block, mask, turned[block]);
    }
    source += source_stride;
    destination += destination_stride;
  }
}

template <bool kScaled, RotateMemory kMemory, typename T>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void rotate_avx512(const RotateJob<T>& job) noexcept {
  // What does not fill a register is not streamed.
  constexpr RotateMemory kTailMemory =
      kMemory == RotateMemory::streaming ? RotateMemory::memory : kMemory;
  int pair = 0;
  if (job.pairing == Pairing::half_split) {
    for (; job.pairs - pair >= 64; pair += 64) {
      rotate_half_avx512<4, true, kScaled, kMemory>(job, pair);
    }
    for (; job.pairs - pair >= 32; pair += 32) {
      rotate_half_avx512<2, true, kScaled, kMemory>(job, pair);
    }
    for (; job.pairs - pair >= 16; pair += 16) {
      rotate_half_avx512<1, true, kScaled, kMemory>(job, pair);
    }
    if (pair < job.pairs) rotate_half_avx512<1, false, kScaled, kTailMemory>(job, pair);
  } else {
    for (; job.pairs - pair >= 64; pair += 64) {
      rotate_interleaved_avx512<8, true, kScaled, kMemory>(job, pair);
    }
    for (; job.pairs - pair >= 32; pair += 32) {
      rotate_interleaved_avx512<4, true, kScaled, kMemory>(job, pair);
    }
    for (; job.pairs - pair >= 8; pair += 8) {
      rotate_interleaved_avx512<1, true, kScaled, kMemory>(job, pair);
    }
    if (pair < job.pairs) rotate_interleaved_avx512<1, false, kScaled, kTailMemory>(job, pair);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
