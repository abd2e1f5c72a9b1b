#include <ropewalk/simd/attention.hpp>

#if defined(__x86_64__)

#include "support/attention_kernel.hpp"

using ropewalk::simd::Avx2Attention;

ROPEWALK_TEST_ATTENTION_KERNEL(Avx2Attention, __builtin_cpu_supports("avx2") != 0 &&
                                                  __builtin_cpu_supports("fma") != 0 &&
                                                  __builtin_cpu_supports("f16c") != 0);

#endif
