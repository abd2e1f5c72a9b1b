// Tables of cosines and sines with the machine's own instructions. Row 7b.
//
//     phase_table<float, simd::NativePhase>(spectrum, first_position, positions);
//     fill_phase_rows<simd::NativePhase>(turns, first_position, positions, cos, sin);
//
// simd::NativePhase is the best kernel that the flags of the translation unit allow. The kernels of
// an architecture are all there under any flags, so a program that must run on older machines too
// compiles without flags and chooses at run time, here for GCC and Clang on x86:
//
//     if (__builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi2")) {
//       return fill_phase_rows<simd::Avx512IfmaPhase>(...);
//     }
//     if (__builtin_cpu_supports("avx512dq")) return fill_phase_rows<simd::Avx512Phase>(...);
//     if (__builtin_cpu_supports("avx2")) return fill_phase_rows<simd::Avx2Phase>(...);
//     return fill_phase_rows(...);
//
// Elsewhere than on x86 the kernel is PortablePhase: compilers vectorise its loops well.
#pragma once

#include <ropewalk/phase.hpp>
#include <ropewalk/simd/phase_portable.hpp>

#if defined(__x86_64__) || defined(_M_X64)
#include <ropewalk/simd/phase_avx2.hpp>
#include <ropewalk/simd/phase_avx512.hpp>
#include <ropewalk/simd/phase_avx512_ifma.hpp>
#endif

namespace ropewalk {
inline namespace v0 {
namespace simd {

#if defined(__AVX512IFMA__) && defined(__AVX512VBMI2__) && defined(__AVX512DQ__)
using NativePhase = Avx512IfmaPhase;
#elif defined(__AVX512F__) && defined(__AVX512DQ__)
using NativePhase = Avx512Phase;
#elif defined(__AVX2__) && defined(__FMA__)
using NativePhase = Avx2Phase;
#else
using NativePhase = PortablePhase;
#endif

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk
