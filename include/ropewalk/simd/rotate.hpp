// Rotation kernels in the machine's own instructions. Row 7b.
//
//     rotate<simd::Native>(q, k, positions, table, pairing);
//
// simd::Native is the best kernel that the flags of the translation unit allow. The kernels of an
// architecture are all there under any flags, so a program that must run on older machines too
// compiles without flags and chooses at run time, here for GCC and Clang on x86:
//
//     if (__builtin_cpu_supports("avx512bf16")) return rotate<simd::Avx512Bf16>(...);
//     if (__builtin_cpu_supports("avx512bw")) return rotate<simd::Avx512>(...);
//     if (__builtin_cpu_supports("avx2")) return rotate<simd::Avx2>(...);
//     return rotate(...);
//
// (Every processor with AVX2 so far has FMA and F16C, every one with AVX512BW has VL and DQ.)
#pragma once

#include <ropewalk/simd/rotate_portable.hpp>

#if defined(__x86_64__) || defined(_M_X64)
#include <ropewalk/simd/phase.hpp>
#include <ropewalk/simd/rotate_x86.hpp>
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <ropewalk/simd/phase.hpp>
#include <ropewalk/simd/rotate_neon.hpp>
#endif

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace simd {

/// A rotation kernel whose rows of angles are made with a kernel of simd/phase.hpp.
template <typename Rotation, typename Phase>
struct WithPhase : Rotation {
  template <typename Real>
  static void fill_row(const PhaseTurns& turns, std::int64_t position, double factor, Real* cos,
                       Real* sin) noexcept {
    ropewalk::detail::fill_direct_row<Phase>(turns, position, factor, cos, sin);
  }
};

#if defined(__AVX512BF16__) && defined(__AVX512BW__) && defined(__AVX512VL__) && \
    defined(__AVX512DQ__)
using Native = WithPhase<Avx512Bf16, NativePhase>;
#elif defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
using Native = WithPhase<Avx512, NativePhase>;
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
using Native = WithPhase<Avx2, NativePhase>;
#elif defined(__aarch64__) && defined(__ARM_NEON)
using Native = Neon;
#else
using Native = Portable;
#endif

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk
