// Runs of 16-bit elements to and from float with the machine's own instructions. Row 7b.
//
//     simd::convert<simd::NativeConvert>(from, count, to);
//
// simd::NativeConvert is the best kernel that the flags of the translation unit allow; the kernels
// of an architecture are all there under any flags. The bits are those of element.hpp, which also
// does what the vectors leave over. AVX512-BF16's vcvtneps2bf16 is not used: it takes denormal values
// for zero.
#pragma once

#include <ropewalk/element.hpp>

#include <cstdint>

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
#define ROPEWALK_CONVERT_X86 1
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#endif
#if defined(ROPEWALK_CONVERT_X86) && defined(__GNUC__)
#define ROPEWALK_CONVERT_AVX512 __attribute__((target("avx512f,avx2,f16c")))
#define ROPEWALK_CONVERT_AVX2 __attribute__((target("avx2,f16c")))
#else
#define ROPEWALK_CONVERT_AVX512
#define ROPEWALK_CONVERT_AVX2
#endif

namespace ropewalk {
inline namespace v0 {
namespace simd {

/// One element at a time, eight in a loop for compilers to make vector code of.
struct PortableConvert {
  static constexpr int kLanes = 8;

  template <typename Element>
  static void load(const Element* from, float* to) noexcept {
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = to_float(from[lane]);
  }
  template <typename Element>
  static void store(const float* from, Element* to) noexcept {
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = ElementTraits<Element>::store(from[lane]);
  }
};

#ifdef ROPEWALK_CONVERT_X86

struct Avx512Convert {
  static constexpr int kLanes = 16;

  ROPEWALK_CONVERT_AVX512
  static void load(const float16* from, float* to) noexcept {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    _mm512_storeu_ps(to, _mm512_cvtph_ps(bits));
  }

  ROPEWALK_CONVERT_AVX512
  static void load(const bfloat16* from, float* to) noexcept {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    _mm512_storeu_si512(to, _mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }

  ROPEWALK_CONVERT_AVX512
  static void store(const float* from, float16* to) noexcept {
    const __m256i bits =
        _mm512_cvtps_ph(_mm512_loadu_ps(from), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bits);
  }

  ROPEWALK_CONVERT_AVX512
  static void store(const float* from, bfloat16* to) noexcept {
    const __m512i bits = _mm512_loadu_si512(from);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(
        _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
    const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
    const __mmask16 nan = _mm512_cmpgt_epi32_mask(magnitude, _mm512_set1_epi32(0x7f800000));
    const __m512i result = _mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(0x0040));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(result));
  }
};

struct Avx2Convert {
  static constexpr int kLanes = 8;

  ROPEWALK_CONVERT_AVX2
  static void load(const float16* from, float* to) noexcept {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    _mm256_storeu_ps(to, _mm256_cvtph_ps(bits));
  }

  ROPEWALK_CONVERT_AVX2
  static void load(const bfloat16* from, float* to) noexcept {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }

  ROPEWALK_CONVERT_AVX2
  static void store(const float* from, float16* to) noexcept {
    const __m128i bits =
        _mm256_cvtps_ph(_mm256_loadu_ps(from), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bits);
  }

  ROPEWALK_CONVERT_AVX2
  static void store(const float* from, bfloat16* to) noexcept {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
    const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
    const __m256i nan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7f800000));
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x0040));
    const __m256i result = _mm256_blendv_epi8(rounded, quiet, nan);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(to),
        _mm_packus_epi32(_mm256_castsi256_si128(result), _mm256_extracti128_si256(result, 1)));
  }
};

#elif defined(__aarch64__) && defined(__ARM_NEON)

struct NeonConvert {
  static constexpr int kLanes = 4;

  static void load(const float16* from, float* to) noexcept {
    const uint16x4_t bits = vld1_u16(&from->bits);
    vst1q_f32(to, vcvt_f32_f16(vreinterpret_f16_u16(bits)));
  }

  static void load(const bfloat16* from, float* to) noexcept {
    vst1q_f32(to, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(&from->bits), 16)));
  }

  static void store(const float* from, float16* to) noexcept {
    vst1_u16(&to->bits, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(from))));
  }

  static void store(const float* from, bfloat16* to) noexcept {
    const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(from));
    const uint32x4_t upper = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
    const uint32x4_t rounded =
        vshrq_n_u32(vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd), 16);
    const uint32x4_t magnitude = vandq_u32(bits, vdupq_n_u32(0x7fffffff));
    const uint32x4_t nan = vcgtq_u32(magnitude, vdupq_n_u32(0x7f800000));
    const uint32x4_t quiet = vorrq_u32(upper, vdupq_n_u32(0x0040));
    vst1_u16(&to->bits, vmovn_u32(vbslq_u32(nan, quiet, rounded)));
  }
};

#endif

#if defined(__AVX512F__)
using NativeConvert = Avx512Convert;
#elif defined(__AVX2__) && defined(__F16C__)
using NativeConvert = Avx2Convert;
#elif defined(__aarch64__) && defined(__ARM_NEON)
using NativeConvert = NeonConvert;
#else
using NativeConvert = PortableConvert;
#endif

/// `count` float16 or bfloat16 as floats, exact; the bits of to_float. Any alignment; no overlap.
template <typename Kernel, typename Element>
void convert(const Element* from, std::int64_t count, float* to) noexcept {
  const std::int64_t whole = count - count % Kernel::kLanes;
  for (std::int64_t index = 0; index < whole; index += Kernel::kLanes) {
    Kernel::load(from + index, to + index);
  }
  for (std::int64_t index = whole; index < count; ++index) to[index] = to_float(from[index]);
}

/// `count` floats rounded to nearest even; the bits of to_float16 or to_bfloat16. Any alignment; no
/// overlap.
template <typename Kernel, typename Element>
void convert(const float* from, std::int64_t count, Element* to) noexcept {
  const std::int64_t whole = count - count % Kernel::kLanes;
  for (std::int64_t index = 0; index < whole; index += Kernel::kLanes) {
    Kernel::store(from + index, to + index);
  }
  for (std::int64_t index = whole; index < count; ++index)
    to[index] = ElementTraits<Element>::store(from[index]);
}

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#undef ROPEWALK_CONVERT_X86
#undef ROPEWALK_CONVERT_AVX512
#undef ROPEWALK_CONVERT_AVX2
