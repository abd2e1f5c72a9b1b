// Scores of a tile into softmax weights with AVX-512, sixteen rows at a time. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/row_statistics.hpp>
#include <ropewalk/simd/attention_avx512_lanes.hpp>
#include <ropewalk/simd/attention_tile.hpp>

#include <cstdint>
#include <type_traits>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

static_assert(sizeof(RowStatistics<float>) == 16, "four floats a row, four rows a register");

/// Statistics of sixteen rows, each member in one register.
struct SixteenRows {
  __m512 maximum;
  __m512 sum;
  __m512 first;
  __m512 second;

  /// 4 x 4 transpositions within the 128-bit lanes, then the order of rows.
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static SixteenRows load(const RowStatistics<float>* rows, int count) noexcept {
    const float* from = &rows->maximum;
    __m512 four[4];
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < 4; ++index) {
      const __mmask16 mask = AttentionLanes::mask_of(4 * count - 16 * index);
      four[index] = _mm512_maskz_loadu_ps(mask, from + 16 * index);
    }
    transpose(four);
    const __m512i order = natural_order();
    return {_mm512_permutexvar_ps(order, four[0]), _mm512_permutexvar_ps(order, four[1]),
            _mm512_permutexvar_ps(order, four[2]), _mm512_permutexvar_ps(order, four[3])};
  }

  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  void store(RowStatistics<float>* rows, int count) const noexcept {
    const __m512i order = natural_order();  // its own inverse
    __m512 four[4] = {_mm512_permutexvar_ps(order, maximum), _mm512_permutexvar_ps(order, sum),
                      _mm512_permutexvar_ps(order, first), _mm512_permutexvar_ps(order, second)};
    transpose(four);
    float* to = &rows->maximum;
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < 4; ++index) {
      const __mmask16 mask = AttentionLanes::mask_of(4 * count - 16 * index);
      _mm512_mask_storeu_ps(to + 16 * index, mask, four[index]);
    }
  }

 private:
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512i natural_order() noexcept {
    return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  }
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static void transpose(__m512 (&four)[4]) noexcept {
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(four[0], four[1]));
    const __m512d b = _mm512_castps_pd(_mm512_unpacklo_ps(four[2], four[3]));
    const __m512d c = _mm512_castps_pd(_mm512_unpackhi_ps(four[0], four[1]));
    const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(four[2], four[3]));
    four[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
    four[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    four[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d));
    four[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
  }
};

/// Sums of one row over a tile, lane by lane.
struct LaneSums {
  __m512 sum;
  __m512 first;
  __m512 second;
};

/// Thirty-two weights as bfloat16, rounded to nearest.
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
void store_weights(bfloat16* to, __m512 low, __m512 high) noexcept {
#if defined(__GNUC__)
  __m512i narrow;  // by name, as in rotate_avx512_bf16.hpp
  __asm__("vcvtne2ps2bf16 {%2, %1, %0|%0, %1, %2}" : "=v"(narrow) : "v"(high), "v"(low));
#else
  const __m512i narrow = (__m512i)_mm512_cvtne2ps_pbh(high, low);
#endif
  _mm512_storeu_si512(to, narrow);
}
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
void store_weights(float* to, __m512 low, __m512 high) noexcept {
  _mm512_storeu_ps(to, low);
  _mm512_storeu_ps(to + 16, high);
}

template <int kMoments>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
void add_weights(__m512 weight, __m512 x, LaneSums& sums) noexcept {
  sums.sum = _mm512_add_ps(sums.sum, weight);
  if (kMoments == 0) return;
  sums.first = _mm512_fmadd_ps(weight, x, sums.first);  // one form, whatever else is kept
  if (kMoments > 1) sums.second = _mm512_fmadd_ps(_mm512_mul_ps(weight, x), x, sums.second);
}

/// Weights of one row; zeros outside [seen.begin, seen.end).
template <int kMoments, int kKeys, bool kWhole, typename Weight>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
LaneSums weigh_row_avx512(const float* scores, SeenKeys seen, float coefficient, float maximum,
                          Weight* weights) noexcept {
  using Lanes = AttentionLanes;
  const __m512 scale = _mm512_set1_ps(coefficient);
  const __m512 top = _mm512_set1_ps(maximum);
  LaneSums sums = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  ROPEWALK_SIMD_UNROLL
  for (int key = 0; key < kKeys; key += 32) {
    __m512 pair[2];
    ROPEWALK_SIMD_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int at = key + 16 * half;
      if (kWhole) {
        const __m512 x = _mm512_fmsub_ps(_mm512_loadu_ps(scores + at), scale, top);
        pair[half] = Lanes::power_of_two(x);
        add_weights<kMoments>(pair[half], x, sums);
      } else {
        pair[half] = _mm512_setzero_ps();
        if (seen.end <= at || seen.begin >= at + 16) continue;
        const __mmask16 mask = Lanes::mask_of(seen.begin - at, seen.end - at);
        const __m512 score = _mm512_maskz_loadu_ps(mask, scores + at);
        const __m512 x = _mm512_maskz_fmsub_ps(mask, score, scale, top);
        pair[half] = _mm512_maskz_mov_ps(mask, Lanes::power_of_two(x));
        add_weights<kMoments>(pair[half], x, sums);
      }
    }
    store_weights(weights + key, pair[0], pair[1]);
  }
  return sums;
}

/// The largest and the smallest score of one row, lane by lane.
template <int kKeys>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
void bounds_of_row(const float* scores, SeenKeys seen, __m512& largest, __m512& smallest) noexcept {
  using Lanes = AttentionLanes;
  if (seen.begin == 0 && seen.end == kKeys) {
    __m512 high = _mm512_loadu_ps(scores);
    __m512 low = high;
    ROPEWALK_SIMD_UNROLL
    for (int key = 16; key < kKeys; key += 16) {
      const __m512 score = _mm512_loadu_ps(scores + key);
      high = _mm512_max_ps(high, score);
      low = _mm512_min_ps(low, score);
    }
    largest = high;
    smallest = low;
    return;
  }
  // A score that is seen, for the lanes that see none.
  __m512 high = _mm512_set1_ps(seen.begin < seen.end ? scores[seen.begin] : 0.0f);
  __m512 low = high;
  for (int key = seen.begin / 16 * 16; key < seen.end; key += 16) {
    const __mmask16 mask = Lanes::mask_of(seen.begin - key, seen.end - key);
    const __m512 score = _mm512_mask_loadu_ps(high, mask, scores + key);
    high = _mm512_mask_max_ps(high, mask, high, score);
    low = _mm512_mask_min_ps(low, mask, low, score);
  }
  largest = high;
  smallest = low;
}

/// Sixteen rows at most. In the bits of the result, the rows that stay in range.
template <int kMoments, int kKeys, typename Weight>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline unsigned weigh_sixteen_avx512(const float* scores, const SeenKeys* seen, int rows,
                                     const float* coefficients, RowStatistics<float>* statistics,
                                     float* factors, Weight* weights) noexcept {
  using Lanes = AttentionLanes;
  using Across = Lanes::Across;
  __m512 largest[16];
  __m512 smallest[16];
  unsigned seeing = 0;
  for (int row = 0; row < rows; ++row) {
    bounds_of_row<kKeys>(scores + row * kKeys, seen[row], largest[row], smallest[row]);
    seeing |= (seen[row].begin < seen[row].end ? 1u : 0u) << row;
  }
  for (int row = rows; row < 16; ++row) largest[row] = smallest[row] = _mm512_setzero_ps();
  const __mmask16 present = Lanes::mask_of(rows);
  const __m512 coefficient = _mm512_maskz_loadu_ps(present, coefficients);
  const __m512 high = _mm512_mul_ps(Lanes::across<Across::largest>(largest), coefficient);
  const __m512 low = _mm512_mul_ps(Lanes::across<Across::smallest>(smallest), coefficient);
  const __m512 limit = _mm512_set1_ps(kLargestTileLogit);
  const __mmask16 bounded =
      _mm512_cmp_ps_mask(high, limit, _CMP_LE_OQ) &
      _mm512_cmp_ps_mask(low, _mm512_sub_ps(_mm512_setzero_ps(), limit), _CMP_GE_OQ);
  const auto active = static_cast<__mmask16>(seeing & bounded);

  SixteenRows state = SixteenRows::load(statistics, rows);
  const __mmask16 raised = _mm512_mask_cmp_ps_mask(active, high, state.maximum, _CMP_GT_OQ);
  const __m512 maximum = _mm512_mask_mov_ps(state.maximum, raised, high);
  const __m512 masked = _mm512_set1_ps(RowStatistics<float>::kMaskedLogit / 2);
  const __mmask16 empty = _mm512_cmp_ps_mask(state.maximum, masked, _CMP_LE_OQ);
  const __m512 shift = _mm512_maskz_sub_ps(raised & ~empty, state.maximum, maximum);
  __m512 factor = Lanes::power_of_two(shift);
  factor = _mm512_mask_mov_ps(factor, raised & empty, _mm512_setzero_ps());
  _mm512_mask_storeu_ps(factors, present, factor);
  alignas(64) float maxima[16];
  _mm512_store_ps(maxima, maximum);

  __m512 sums[16];
  __m512 firsts[16];
  __m512 seconds[16];
  for (int row = 0; row < 16; ++row) {
    LaneSums lane = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    if (row < rows) {
      const float* from = scores + row * kKeys;
      Weight* to = weights + row * kKeys;
      const SeenKeys keys = (active >> row & 1u) != 0 ? seen[row] : SeenKeys{};
      if (keys.begin == 0 && keys.end == kKeys) {
        lane =
            weigh_row_avx512<kMoments, kKeys, true>(from, keys, coefficients[row], maxima[row], to);
      } else {
        lane = weigh_row_avx512<kMoments, kKeys, false>(from, keys, coefficients[row], maxima[row],
                                                        to);
      }
    }
    sums[row] = lane.sum;
    if (kMoments > 0) firsts[row] = lane.first;
    if (kMoments > 1) seconds[row] = lane.second;
  }
  const __m512 sum = Lanes::across<Across::sum>(sums);
  if (kMoments > 1) {
    const __m512 inner = _mm512_fmadd_ps(shift, state.sum, _mm512_add_ps(state.first, state.first));
    state.second = _mm512_fmadd_ps(factor, _mm512_fmadd_ps(shift, inner, state.second),
                                   Lanes::across<Across::sum>(seconds));
  }
  if (kMoments > 0) {
    state.first = _mm512_fmadd_ps(factor, _mm512_fmadd_ps(shift, state.sum, state.first),
                                  Lanes::across<Across::sum>(firsts));
  }
  state.sum = _mm512_fmadd_ps(factor, state.sum, sum);
  state.maximum = maximum;
  state.store(statistics, rows);
  // NaN among scores is in no maximum, but in the sum.
  const __m512i magnitude =
      _mm512_and_si512(_mm512_castps_si512(sum), _mm512_set1_epi32(0x7fffffff));
  const __mmask16 number = _mm512_cmplt_epu32_mask(magnitude, _mm512_set1_epi32(0x7f800000));
  return (active & number) | (0xffffu & ~seeing);
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
