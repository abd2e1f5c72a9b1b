// Attention of few rows with AVX-512: keys and values read once, where they lie. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

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

/// Scores of kRows rows with 16 / kRows keys at a time: sixteen sums, which are then taken across
/// together.
template <int kRows, typename Element>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void direct_keys_avx512(const float* queries, std::int64_t query_stride, int last_row,
                               const Element* keys, std::int64_t stride, int count, int depth,
                               RowsAhead& ahead, float* scores, int score_stride) noexcept {
  using Lanes = AttentionLanes;
  constexpr int kStep = 16 / kRows;
  const float* query[kRows];
  for (int row = 0; row < kRows; ++row) {
    query[row] = queries + (row < last_row ? row : last_row) * query_stride;
  }
  const __mmask16 tail = Lanes::mask_of(depth % 16);
  const std::uintptr_t lines = kStep * lines_of<Element>(depth);
  for (int key = 0; key < count; key += kStep) {
    prefetch_lines(ahead, lines);
    const Element* right[kStep];
    for (int index = 0; index < kStep; ++index) {
      right[index] = keys + (key + index < count ? key + index : count - 1) * stride;
    }
    __m512 sums[16];
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < 8; ++index) sums[index] = sums[index + 8] = _mm512_setzero_ps();
    int dim = 0;
    for (; dim + 16 <= depth; dim += 16) {
      __m512 left[kRows];
      ROPEWALK_SIMD_UNROLL
      for (int row = 0; row < kRows; ++row) left[row] = _mm512_loadu_ps(query[row] + dim);
      ROPEWALK_UNROLL_SIXTEEN
      for (int index = 0; index < kStep; ++index) {
        const __m512 other = Lanes::load(right[index] + dim);
        ROPEWALK_SIMD_UNROLL
        for (int row = 0; row < kRows; ++row) {
          __m512& sum = sums[row * kStep + index];
          sum = _mm512_fmadd_ps(left[row], other, sum);
        }
      }
    }
    if (dim < depth) {
      ROPEWALK_UNROLL_SIXTEEN
      for (int index = 0; index < kStep; ++index) {
        const __m512 other = Lanes::load(right[index] + dim, tail);
        ROPEWALK_SIMD_UNROLL
        for (int row = 0; row < kRows; ++row) {
          __m512& sum = sums[row * kStep + index];
          sum = _mm512_fmadd_ps(_mm512_loadu_ps(query[row] + dim), other, sum);
        }
      }
    }
    const __m512 all = Lanes::across<Lanes::Across::sum>(sums);
    float* to = scores + key;
    if (kRows == 1) {
      _mm512_storeu_ps(to, all);
    } else if (kRows == 2) {
      _mm256_storeu_ps(to, _mm512_castps512_ps256(all));
      _mm256_storeu_ps(to + score_stride, _mm512_extractf32x8_ps(all, 1));
    } else {
      _mm_storeu_ps(to, _mm512_castps512_ps128(all));
      _mm_storeu_ps(to + score_stride, _mm512_extractf32x4_ps(all, 1));
      _mm_storeu_ps(to + 2 * score_stride, _mm512_extractf32x4_ps(all, 2));
      if (last_row < 3) continue;  // the fourth of three rows has no place
      _mm_storeu_ps(to + 3 * score_stride, _mm512_extractf32x4_ps(all, 3));
    }
  }
}

/// outputs = factors outputs + weights values for kRows rows and kColumns registers of outputs.
template <int kRows, int kColumns, bool kWhole, typename Element>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void direct_columns_avx512(const float* weights, int weight_stride, int last_row,
                                  const Element* values, std::int64_t stride, int count, int dim,
                                  RowsAhead& ahead, const float* factors, float* outputs,
                                  std::int64_t output_stride) noexcept {
  using Lanes = AttentionLanes;
  const __mmask16 tail = Lanes::mask_of(dim - 16 * (kColumns - 1));
  const std::uintptr_t lines = lines_of<Element>(16 * kColumns);
  const float* weight[kRows];
  __m512 sums[kRows][kColumns];
  ROPEWALK_SIMD_UNROLL
  for (int row = 0; row < kRows; ++row) {
    const int from = row < last_row ? row : last_row;
    weight[row] = weights + from * weight_stride;
    ROPEWALK_SIMD_UNROLL
    for (int column = 0; column < kColumns; ++column) sums[row][column] = _mm512_setzero_ps();
  }
  for (int key = 0; key < count; ++key, values += stride) {
    if (key % 8 == 0) prefetch_lines(ahead, 8 * lines);
    __m512 right[kColumns];
    ROPEWALK_SIMD_UNROLL
    for (int column = 0; column < kColumns; ++column) {
      right[column] = kWhole || column + 1 < kColumns ? Lanes::load(values + 16 * column)
                                                      : Lanes::load(values + 16 * column, tail);
    }
    ROPEWALK_SIMD_UNROLL
    for (int row = 0; row < kRows; ++row) {
      const __m512 left = _mm512_set1_ps(weight[row][key]);
      ROPEWALK_SIMD_UNROLL
      for (int column = 0; column < kColumns; ++column) {
        sums[row][column] = _mm512_fmadd_ps(left, right[column], sums[row][column]);
      }
    }
  }
  ROPEWALK_SIMD_UNROLL
  for (int row = 0; row < kRows; ++row) {
    if (row > last_row) break;
    // Apart from the output until here: added key by key it would gather their roundings.
    const __m512 factor = _mm512_set1_ps(factors[row]);
    ROPEWALK_SIMD_UNROLL
    for (int column = 0; column < kColumns; ++column) {
      float* output = outputs + row * output_stride + 16 * column;
      _mm512_storeu_ps(output, _mm512_fmadd_ps(factor, _mm512_loadu_ps(output), sums[row][column]));
    }
  }
}

template <int kRows, typename Element>
inline void direct_values_avx512(const float* weights, int weight_stride, int last_row,
                                 const Element* values, std::int64_t stride, int count, int dim,
                                 RowsAhead& ahead, const float* factors, float* outputs,
                                 std::int64_t output_stride) noexcept {
  for (int first = 0; first < dim; first += 64) {
    const int left = dim - first;
    const Element* from = values + first;
    const auto run = [&](auto columns, auto whole) {
      direct_columns_avx512<kRows, decltype(columns)::value, decltype(whole)::value>(
          weights, weight_stride, last_row, from, stride, count, left, ahead, factors,
          outputs + first, output_stride);
    };
    using Yes = std::true_type;
    if (left >= 64) {
      run(std::integral_constant<int, 4>{}, Yes{});
    } else if (left > 48) {
      run(std::integral_constant<int, 4>{}, std::false_type{});
    } else if (left > 32) {
      run(std::integral_constant<int, 3>{}, std::false_type{});
    } else if (left > 16) {
      run(std::integral_constant<int, 2>{}, std::false_type{});
    } else {
      run(std::integral_constant<int, 1>{}, std::false_type{});
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
