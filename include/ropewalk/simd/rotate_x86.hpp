// Rotation kernels for x86 as types: AVX-512, its bfloat16 instructions, AVX2 with F16C. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/simd/rotate_avx2.hpp>
#include <ropewalk/simd/rotate_avx512.hpp>
#include <ropewalk/simd/rotate_avx512_bf16.hpp>
#include <ropewalk/simd/rotate_portable.hpp>

#include <cstdint>
#include <type_traits>

#include <immintrin.h>

namespace ropewalk {
inline namespace v0 {
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
    rotate_with<ropewalk::detail::Bf16Rounding::integer>(job);
  }

 protected:
  template <ropewalk::detail::Bf16Rounding kRounding, typename T>
  static void rotate_with(const ropewalk::detail::RotateJob<T>& job) noexcept {
    using Memory = ropewalk::detail::RotateMemory;
    if constexpr (std::is_same_v<T, double>) {
      Portable::rotate(job);
    } else if (job.head_scale != nullptr) {
      job.streaming ? run<kRounding, true, Memory::streaming>(job)
                    : run<kRounding, true, Memory::memory>(job);
    } else if (job.streaming) {
      run<kRounding, false, Memory::streaming>(job);
    } else if (sizeof(T) == 2 && job.prefetch == 0) {
      run<kRounding, false, sizeof(T) == 2 ? Memory::cache : Memory::memory>(job);
    } else {
      run<kRounding, false, Memory::memory>(job);
    }
  }

 private:
  template <ropewalk::detail::Bf16Rounding kRounding, bool kScaled,
            ropewalk::detail::RotateMemory kMemory, typename T>
  static void run(const ropewalk::detail::RotateJob<T>& job) noexcept {
    if constexpr (std::is_same_v<T, bfloat16>) {
      ropewalk::detail::rotate_bf16<kRounding, kScaled, kMemory>(job);
    } else {
      ropewalk::detail::rotate_avx512<kScaled, kMemory>(job);
    }
  }
};

/// The same with AVX512-BF16, whose rounding drops bfloat16 results below 2^-126 (takes them for
/// zero); all else has the bits of Avx512.
struct Avx512Bf16 : Avx512 {
  template <typename T>
  static void rotate(const ropewalk::detail::RotateJob<T>& job) noexcept {
    rotate_with<ropewalk::detail::Bf16Rounding::native>(job);
  }
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#endif
