#include <ropewalk/simd/attention.hpp>

#if defined(__aarch64__) && defined(__ARM_NEON)

#include "support/attention_kernel.hpp"

using ropewalk::simd::NeonAttention;

ROPEWALK_TEST_ATTENTION_KERNEL(NeonAttention, true);

#endif
