// What the rotation kernels for x86 share: how a function names the instructions it needs, so that
// every kernel exists in every translation unit, whatever its flags. Calling one on a machine
// without its instructions is the caller's mistake. Row 7b.
//
// All that a kernel calls is inlined into it or names its instructions, and kernels differ in type:
// no function's code depends on the flags of the unit that made it.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

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
#define ROPEWALK_SIMD_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define ROPEWALK_SIMD_UNROLL _Pragma("GCC unroll 8")
#else
#define ROPEWALK_SIMD_UNROLL
#endif
#define ROPEWALK_AVX512 "avx512f,avx512bw,avx512vl,avx512dq,fma,avx2"
#define ROPEWALK_AVX2 "avx2,fma,f16c"

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Where the data are. From memory, loads and stores keep the order of addresses and what comes next
/// is asked for early; 16-bit elements in a cache do without.
enum class RotateMemory { cache, memory, streaming };

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

#endif
