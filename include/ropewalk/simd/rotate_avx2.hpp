// Rotation kernel for AVX2 with FMA and F16C. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/simd/rotate_portable.hpp>
#include <ropewalk/simd/rotate_x86_target.hpp>

#include <cstdint>

// As in rotate_avx512.hpp.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

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
  ROPEWALK_SIMD_UNROLL
  for (int block = 0; block < kBlocks; ++block) x[block] = Lanes::load(source + 8 * block);
  ROPEWALK_KEEP_ORDER();
  ROPEWALK_SIMD_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    y[block] = Lanes::load(source + source_partner + 8 * block);
  }
  ROPEWALK_SIMD_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    const __m256 c = _mm256_mul_ps(_mm256_loadu_ps(cos + 8 * block), scale);
    const __m256 s = _mm256_mul_ps(_mm256_loadu_ps(sin + 8 * block), scale);
    const __m256 turned = _mm256_fmsub_ps(x[block], c, _mm256_mul_ps(y[block], s));
    y[block] = _mm256_fmadd_ps(y[block], c, _mm256_mul_ps(x[block], s));
    ROPEWALK_KEEP_ORDER();
    Lanes::store<kStreaming>(destination + 8 * block, turned);
  }
  ROPEWALK_SIMD_UNROLL
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
  ROPEWALK_SIMD_UNROLL
  for (int block = 0; block < kBlocks; ++block) {
    const __m256 value = Lanes::load(source + 8 * block);
    const __m256 swapped = _mm256_permute_ps(value, 0xb1);
    turned[block] = _mm256_fmaddsub_ps(value, _mm256_loadu_ps(along + 8 * block),
                                       _mm256_mul_ps(swapped, _mm256_loadu_ps(across + 8 * block)));
    turned[block] = _mm256_mul_ps(turned[block], _mm256_set1_ps(head_scale));
  }
  ROPEWALK_SIMD_UNROLL
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
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
