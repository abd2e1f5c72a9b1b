// Attention kernels in the machine's own instructions. Row 7b.
//
//     attend<simd::NativeAttention>(q, k, v, out, options, statistics);
//
// simd::NativeAttention is the best kernel that the flags of the translation unit allow. The kernels
// of an architecture are all there under any flags, so a program that must run on older machines too
// compiles without flags and chooses at run time, as simd/rotate.hpp shows.
#pragma once

#include <ropewalk/simd/attention_neon.hpp>
#include <ropewalk/simd/attention_portable.hpp>

#if defined(__x86_64__) || defined(_M_X64)
#include <ropewalk/simd/attention_avx2.hpp>
#include <ropewalk/simd/attention_avx512.hpp>
#endif

namespace ropewalk {
inline namespace v0 {
namespace simd {

#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
using NativeAttention = Avx512Attention;
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
using NativeAttention = Avx2Attention;
#elif defined(__aarch64__) && defined(__ARM_NEON)
using NativeAttention = NeonAttention;
#else
using NativeAttention = PortableAttention;
#endif

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk
