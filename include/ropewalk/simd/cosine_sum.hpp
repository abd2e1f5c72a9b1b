// Sums of cosines with the machine's own instructions. Row 9, with the functions it speeds up.
//
//     first_negative_distance<simd::NativeCosineSum>(spectrum, limit);
//
// simd::NativeCosineSum is the best kernel that the flags of the translation unit allow. The kernels
// of an architecture are all there under any flags, for programs that choose at run time:
//
//     if (__builtin_cpu_supports("avx512dq"))
//       return first_negative_distance<simd::Avx512CosineSum>(spectrum, limit);
#pragma once

#include <ropewalk/analysis/cosine_sum.hpp>
#include <ropewalk/simd/phase.hpp>

#include <cstdint>

// See simd/phase.hpp.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define ROPEWALK_SUM_X86 1
#endif
#if defined(ROPEWALK_SUM_X86) && defined(__GNUC__)
#define ROPEWALK_SUM_AVX512 __attribute__((target("avx512f,avx512dq,avx2,fma")))
#define ROPEWALK_SUM_AVX2 __attribute__((target("avx2,fma")))
#else
#define ROPEWALK_SUM_AVX512
#define ROPEWALK_SUM_AVX2
#endif

namespace ropewalk {
inline namespace v0 {
namespace simd {

namespace detail {

using ropewalk::detail::kSumBlock;
using ropewalk::detail::kSumGroup;
using ropewalk::detail::kSumLanes;
using ropewalk::detail::kSumReach;
using ropewalk::detail::SumBatch;
using ropewalk::detail::SumOffsets;
using ropewalk::detail::SumSeeds;

#ifdef ROPEWALK_SUM_X86

/// The few operations a tile needs, per instruction set and type.
template <typename Real>
struct Avx512Lanes;

template <>
struct Avx512Lanes<double> {
  using Register = __m512d;
  static constexpr int kWidth = 8;
  ROPEWALK_SUM_AVX512 static Register load(const double* from) noexcept {
    return _mm512_load_pd(from);
  }
  ROPEWALK_SUM_AVX512 static void store(double* to, Register a) noexcept { _mm512_store_pd(to, a); }
  ROPEWALK_SUM_AVX512 static Register all(double a) noexcept { return _mm512_set1_pd(a); }
  ROPEWALK_SUM_AVX512 static Register zero() noexcept { return _mm512_setzero_pd(); }
  ROPEWALK_SUM_AVX512 static Register fused(Register a, Register b, Register c) noexcept {
    return _mm512_fmadd_pd(a, b, c);
  }
  ROPEWALK_SUM_AVX512 static Register plus(Register a, Register b) noexcept {
    return _mm512_add_pd(a, b);
  }
  ROPEWALK_SUM_AVX512 static Register minus(Register a, Register b) noexcept {
    return _mm512_sub_pd(a, b);
  }
  ROPEWALK_SUM_AVX512 static Register smaller(Register a, Register b) noexcept {
    return _mm512_min_pd(a, b);
  }
  ROPEWALK_SUM_AVX512 static Register size(Register a) noexcept { return _mm512_abs_pd(a); }
  ROPEWALK_SUM_AVX512 static Register reversed(Register a) noexcept {
    return _mm512_permutexvar_pd(_mm512_setr_epi64(7, 6, 5, 4, 3, 2, 1, 0), a);
  }
};

template <>
struct Avx512Lanes<float> {
  using Register = __m512;
  static constexpr int kWidth = 16;
  ROPEWALK_SUM_AVX512 static Register load(const float* from) noexcept {
    return _mm512_load_ps(from);
  }
  ROPEWALK_SUM_AVX512 static void store(float* to, Register a) noexcept { _mm512_store_ps(to, a); }
  ROPEWALK_SUM_AVX512 static Register all(float a) noexcept { return _mm512_set1_ps(a); }
  ROPEWALK_SUM_AVX512 static Register zero() noexcept { return _mm512_setzero_ps(); }
  ROPEWALK_SUM_AVX512 static Register fused(Register a, Register b, Register c) noexcept {
    return _mm512_fmadd_ps(a, b, c);
  }
  ROPEWALK_SUM_AVX512 static Register plus(Register a, Register b) noexcept {
    return _mm512_add_ps(a, b);
  }
  ROPEWALK_SUM_AVX512 static Register minus(Register a, Register b) noexcept {
    return _mm512_sub_ps(a, b);
  }
  ROPEWALK_SUM_AVX512 static Register smaller(Register a, Register b) noexcept {
    return _mm512_min_ps(a, b);
  }
  ROPEWALK_SUM_AVX512 static Register size(Register a) noexcept { return _mm512_abs_ps(a); }
  ROPEWALK_SUM_AVX512 static Register reversed(Register a) noexcept {
    return _mm512_permutexvar_ps(
        _mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), a);
  }
};

template <typename Real>
struct Avx2Lanes;

template <>
struct Avx2Lanes<double> {
  using Register = __m256d;
  static constexpr int kWidth = 4;
  ROPEWALK_SUM_AVX2 static Register load(const double* from) noexcept {
    return _mm256_load_pd(from);
  }
  ROPEWALK_SUM_AVX2 static void store(double* to, Register a) noexcept { _mm256_store_pd(to, a); }
  ROPEWALK_SUM_AVX2 static Register all(double a) noexcept { return _mm256_set1_pd(a); }
  ROPEWALK_SUM_AVX2 static Register zero() noexcept { return _mm256_setzero_pd(); }
  ROPEWALK_SUM_AVX2 static Register fused(Register a, Register b, Register c) noexcept {
    return _mm256_fmadd_pd(a, b, c);
  }
  ROPEWALK_SUM_AVX2 static Register plus(Register a, Register b) noexcept {
    return _mm256_add_pd(a, b);
  }
  ROPEWALK_SUM_AVX2 static Register minus(Register a, Register b) noexcept {
    return _mm256_sub_pd(a, b);
  }
  ROPEWALK_SUM_AVX2 static Register smaller(Register a, Register b) noexcept {
    return _mm256_min_pd(a, b);
  }
  ROPEWALK_SUM_AVX2 static Register size(Register a) noexcept {
    return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a);
  }
  ROPEWALK_SUM_AVX2 static Register reversed(Register a) noexcept {
    return _mm256_permute4x64_pd(a, 0x1b);
  }
};

template <>
struct Avx2Lanes<float> {
  using Register = __m256;
  static constexpr int kWidth = 8;
  ROPEWALK_SUM_AVX2 static Register load(const float* from) noexcept {
    return _mm256_load_ps(from);
  }
  ROPEWALK_SUM_AVX2 static void store(float* to, Register a) noexcept { _mm256_store_ps(to, a); }
  ROPEWALK_SUM_AVX2 static Register all(float a) noexcept { return _mm256_set1_ps(a); }
  ROPEWALK_SUM_AVX2 static Register zero() noexcept { return _mm256_setzero_ps(); }
  ROPEWALK_SUM_AVX2 static Register fused(Register a, Register b, Register c) noexcept {
    return _mm256_fmadd_ps(a, b, c);
  }
  ROPEWALK_SUM_AVX2 static Register plus(Register a, Register b) noexcept {
    return _mm256_add_ps(a, b);
  }
  ROPEWALK_SUM_AVX2 static Register minus(Register a, Register b) noexcept {
    return _mm256_sub_ps(a, b);
  }
  ROPEWALK_SUM_AVX2 static Register smaller(Register a, Register b) noexcept {
    return _mm256_min_ps(a, b);
  }
  ROPEWALK_SUM_AVX2 static Register size(Register a) noexcept {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
  }
  ROPEWALK_SUM_AVX2 static Register reversed(Register a) noexcept {
    return _mm256_permutevar8x32_ps(a, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0));
  }
};

/// Stores one register of sums on either side of a middle.
template <typename Lanes, typename Real>
ROPEWALK_SUM_AVX512 void finish_avx512(typename Lanes::Register even, typename Lanes::Register odd,
                                       int middle, int offset, int lane,
                                       SumBatch<Real>& batch) noexcept {
  const auto after = Lanes::minus(even, odd);
  const auto before = Lanes::plus(even, odd);
  Real* const at = batch.sums + middle * kSumBlock + kSumReach;
  Lanes::store(at + offset + lane, after);
  Lanes::store(at - offset - lane - Lanes::kWidth, Lanes::reversed(before));
  Lanes::store(batch.lowest + lane,
               Lanes::smaller(Lanes::load(batch.lowest + lane), Lanes::smaller(after, before)));
  Lanes::store(batch.nearest + lane,
               Lanes::smaller(Lanes::load(batch.nearest + lane),
                              Lanes::smaller(Lanes::size(after), Lanes::size(before))));
}

template <typename Lanes, typename Real>
ROPEWALK_SUM_AVX2 void finish_avx2(typename Lanes::Register even, typename Lanes::Register odd,
                                   int middle, int offset, int lane,
                                   SumBatch<Real>& batch) noexcept {
  const auto after = Lanes::minus(even, odd);
  const auto before = Lanes::plus(even, odd);
  Real* const at = batch.sums + middle * kSumBlock + kSumReach;
  Lanes::store(at + offset + lane, after);
  Lanes::store(at - offset - lane - Lanes::kWidth, Lanes::reversed(before));
  Lanes::store(batch.lowest + lane,
               Lanes::smaller(Lanes::load(batch.lowest + lane), Lanes::smaller(after, before)));
  Lanes::store(batch.nearest + lane,
               Lanes::smaller(Lanes::load(batch.nearest + lane),
                              Lanes::smaller(Lanes::size(after), Lanes::size(before))));
}

#endif

}  // namespace detail

#ifdef ROPEWALK_SUM_X86

/// Four middles by two registers of offsets, both sums: 16 registers that 12 loads feed.
struct Avx512CosineSum {
  using Phase = Avx512Phase;

  template <typename Real>
  ROPEWALK_SUM_AVX512 static void tile(const detail::SumOffsets<Real>* offsets,
                                       const detail::SumSeeds<Real>* seeds, int pairs, int middle,
                                       int offset, detail::SumBatch<Real>& batch) noexcept {
    using Lanes = detail::Avx512Lanes<Real>;
    typename Lanes::Register even[detail::kSumGroup][2];
    typename Lanes::Register odd[detail::kSumGroup][2];
    for (int group = 0; group < detail::kSumGroup; ++group) {
      even[group][0] = even[group][1] = odd[group][0] = odd[group][1] = Lanes::zero();
    }
    for (int pair = 0; pair < pairs; ++pair) {
      const auto cosine = Lanes::load(offsets[pair].cos);
      const auto next_cosine = Lanes::load(offsets[pair].cos + Lanes::kWidth);
      const auto sine = Lanes::load(offsets[pair].sin);
      const auto next_sine = Lanes::load(offsets[pair].sin + Lanes::kWidth);
      for (int group = 0; group < detail::kSumGroup; ++group) {
        const auto seed_cosine = Lanes::all(seeds[pair].cos[middle + group]);
        const auto seed_sine = Lanes::all(seeds[pair].sin[middle + group]);
        even[group][0] = Lanes::fused(seed_cosine, cosine, even[group][0]);
        even[group][1] = Lanes::fused(seed_cosine, next_cosine, even[group][1]);
        odd[group][0] = Lanes::fused(seed_sine, sine, odd[group][0]);
        odd[group][1] = Lanes::fused(seed_sine, next_sine, odd[group][1]);
      }
    }
    for (int group = 0; group < detail::kSumGroup; ++group) {
      for (int half = 0; half < 2; ++half) {
        detail::finish_avx512<Lanes>(even[group][half], odd[group][half], middle + group, offset,
                                     half * Lanes::kWidth, batch);
      }
    }
  }
};

/// Two middles by two registers of offsets at a time: eight of the sixteen registers hold sums.
struct Avx2CosineSum {
  using Phase = Avx2Phase;

  template <typename Real>
  ROPEWALK_SUM_AVX2 static void tile(const detail::SumOffsets<Real>* offsets,
                                     const detail::SumSeeds<Real>* seeds, int pairs, int middle,
                                     int offset, detail::SumBatch<Real>& batch) noexcept {
    using Lanes = detail::Avx2Lanes<Real>;
    for (int at = middle; at < middle + detail::kSumGroup; at += 2) {
      for (int lane = 0; lane < detail::kSumLanes<Real>; lane += 2 * Lanes::kWidth) {
        typename Lanes::Register even[2][2];
        typename Lanes::Register odd[2][2];
        for (int group = 0; group < 2; ++group) {
          even[group][0] = even[group][1] = odd[group][0] = odd[group][1] = Lanes::zero();
        }
        for (int pair = 0; pair < pairs; ++pair) {
          const auto cosine = Lanes::load(offsets[pair].cos + lane);
          const auto next_cosine = Lanes::load(offsets[pair].cos + lane + Lanes::kWidth);
          const auto sine = Lanes::load(offsets[pair].sin + lane);
          const auto next_sine = Lanes::load(offsets[pair].sin + lane + Lanes::kWidth);
          for (int group = 0; group < 2; ++group) {
            const auto seed_cosine = Lanes::all(seeds[pair].cos[at + group]);
            const auto seed_sine = Lanes::all(seeds[pair].sin[at + group]);
            even[group][0] = Lanes::fused(seed_cosine, cosine, even[group][0]);
            even[group][1] = Lanes::fused(seed_cosine, next_cosine, even[group][1]);
            odd[group][0] = Lanes::fused(seed_sine, sine, odd[group][0]);
            odd[group][1] = Lanes::fused(seed_sine, next_sine, odd[group][1]);
          }
        }
        for (int group = 0; group < 2; ++group) {
          for (int half = 0; half < 2; ++half) {
            detail::finish_avx2<Lanes>(even[group][half], odd[group][half], at + group, offset,
                                       lane + half * Lanes::kWidth, batch);
          }
        }
      }
    }
  }
};

#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
using NativeCosineSum = Avx512CosineSum;
#elif defined(__AVX2__) && defined(__FMA__)
using NativeCosineSum = Avx2CosineSum;
#else
using NativeCosineSum = PortableCosineSum;
#endif

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#undef ROPEWALK_SUM_X86
#undef ROPEWALK_SUM_AVX512
#undef ROPEWALK_SUM_AVX2
