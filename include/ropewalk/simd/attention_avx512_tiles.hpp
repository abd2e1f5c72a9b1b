// Packing of tiles and their products with AVX-512, in floats and in pairs of bfloat16. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/simd/attention_avx512_lanes.hpp>
#include <ropewalk/simd/attention_tile.hpp>

#include <cstdint>
#include <cstring>
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

// Operands are words of 32 bits: a float, or two bfloat16 that stand next to each other in the sum.
// A product adds, word by word, one word of a row times 16 kColumns words of the other operand to
// kAttentionRows x kColumns registers of sums: few enough to stay in registers, and so many that
// one load feeds several multiply-adds.
inline constexpr int kAttentionRows = 6;
inline constexpr int kAttentionColumns = 4;
inline constexpr int kAttentionPanel = 16 * kAttentionColumns;

/// sums += row word times column words.
struct FloatProducts {
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 add(__m512 sums, __m512 row, __m512 columns) noexcept {
    return _mm512_fmadd_ps(row, columns, sums);
  }
};

struct Bf16Products {
  ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
  static __m512 add(__m512 sums, __m512 row, __m512 columns) noexcept {
#if defined(__GNUC__)
    // By name, as in rotate_avx512_bf16.hpp.
    __asm__("vdpbf16ps {%2, %1, %0|%0, %1, %2}" : "+v"(sums) : "v"(row), "v"(columns));
    return sums;
#else
    return _mm512_dpbf16_ps(sums, (__m512bh)row, (__m512bh)columns);
#endif
  }
};

/// Products of kRows rows, `stride` words apart, with `step` words of columns per word.
template <typename Products, int kRows, int kColumns>
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
void add_products(const float* rows, std::int64_t stride, const float* columns, std::int64_t step,
                  int words, __m512 (&sums)[kRows][kColumns]) noexcept {
  const float* upper = rows + 3 * stride;
  for (int word = 0; word < words; ++word) {
    __m512 column[kColumns];
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < kColumns; ++index) {
      column[index] = _mm512_loadu_ps(columns + 16 * index);
    }
    ROPEWALK_SIMD_UNROLL
    for (int row = 0; row < kRows; ++row) {
      const float* from = row < 3 ? rows + row * stride : upper + (row - 3) * stride;
      const __m512 left = _mm512_set1_ps(*from);
      ROPEWALK_SIMD_UNROLL
      for (int index = 0; index < kColumns; ++index) {
        sums[row][index] = Products::add(sums[row][index], left, column[index]);
      }
    }
    ++rows;
    ++upper;
    columns += step;
  }
}

/// scores = products, for kColumns registers of keys.
template <typename Products, int kRows, int kColumns>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void score_rows(const float* queries, std::int64_t stride, const float* keys, int words,
                       float* scores, int score_stride) noexcept {
  __m512 sums[kRows][kColumns];
  ROPEWALK_SIMD_UNROLL
  for (int row = 0; row < kRows; ++row) {
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < kColumns; ++index) sums[row][index] = _mm512_setzero_ps();
  }
  add_products<Products>(queries, stride, keys, kAttentionPanel, words, sums);
  ROPEWALK_SIMD_UNROLL
  for (int row = 0; row < kRows; ++row) {
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < kColumns; ++index) {
      _mm512_storeu_ps(scores + row * score_stride + 16 * index, sums[row][index]);
    }
  }
}

/// outputs = factors outputs + products, for kColumns registers of outputs.
template <typename Products, int kRows, int kColumns>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void value_rows(const float* weights, int weight_stride, const float* values, int words,
                       const float* factors, float* outputs, std::int64_t output_stride) noexcept {
  __m512 sums[kRows][kColumns];
  ROPEWALK_SIMD_UNROLL
  for (int row = 0; row < kRows; ++row) {
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < kColumns; ++index) sums[row][index] = _mm512_setzero_ps();
  }
  add_products<Products>(weights, weight_stride, values, 16 * kColumns, words, sums);
  // What was there comes last, so that nothing waits for it.
  ROPEWALK_SIMD_UNROLL
  for (int row = 0; row < kRows; ++row) {
    const __m512 factor = _mm512_set1_ps(factors[row]);
    float* to = outputs + row * output_stride;
    ROPEWALK_SIMD_UNROLL
    for (int index = 0; index < kColumns; ++index) {
      const __m512 old = _mm512_loadu_ps(to + 16 * index);
      _mm512_storeu_ps(to + 16 * index, _mm512_fmadd_ps(factor, old, sums[row][index]));
    }
  }
}

/// Calls function(rows, row) for runs of kAttentionRows rows and then of two and one.
template <typename Function>
void for_row_groups(int rows, const Function& function) noexcept {
  int row = 0;
  for (; row + kAttentionRows <= rows; row += kAttentionRows) {
    function(std::integral_constant<int, kAttentionRows>{}, row);
  }
  for (; row + 2 <= rows; row += 2) function(std::integral_constant<int, 2>{}, row);
  if (row < rows) function(std::integral_constant<int, 1>{}, row);
}

/// Calls function(columns) with 1 .. kAttentionColumns.
template <typename Function>
void with_columns(int columns, const Function& function) noexcept {
  switch (columns) {
    case 1:
      return function(std::integral_constant<int, 1>{});
    case 2:
      return function(std::integral_constant<int, 2>{});
    case 3:
      return function(std::integral_constant<int, 3>{});
    default:
      return function(std::integral_constant<int, 4>{});
  }
}

/// The keys that any of some rows sees.
template <int kRows>
SeenKeys seen_by_any(const SeenKeys* seen) noexcept {
  SeenKeys all = seen[0];
  for (int row = 1; row < kRows; ++row) all = either(all, seen[row]);
  return all;
}

/// Panels of keys [key / 64][word][key % 64]; query rows `stride` words apart.
template <typename Products>
inline void multiply_keys_avx512(const float* queries, std::int64_t stride, const float* keys,
                                 int words, const SeenKeys* seen, int rows, int tile_keys,
                                 RowsAhead ahead, float* scores) noexcept {
  const std::int64_t panel_words = (words + 15) / 16 * 16;
  const std::uintptr_t lines =
      lines_of_step(ahead, tile_keys / kAttentionPanel * (rows / kAttentionRows));
  for (int panel = 0; panel < tile_keys; panel += kAttentionPanel) {
    const float* columns = keys + panel * panel_words;
    for_row_groups(rows, [&](auto group, int row) {
      constexpr int kRows = decltype(group)::value;
      prefetch_lines(ahead, lines);
      const SeenKeys any = seen_by_any<kRows>(seen + row);
      const int begin = any.begin > panel ? (any.begin - panel) / 16 : 0;
      const int end = any.end - panel < kAttentionPanel ? (any.end - panel + 15) / 16 : 4;
      if (any.begin >= any.end || begin >= end) return;
      float* to = scores + std::int64_t{row} * tile_keys + panel + 16 * begin;
      with_columns(end - begin, [&](auto count) {
        score_rows<Products, kRows, decltype(count)::value>(
            queries + row * stride, stride, columns + 16 * begin, words, to, tile_keys);
      });
    });
  }
}

/// Panels of 64 outputs, the last one narrower: [word][output].
///   kPerWord   keys to a word
template <typename Products, int kPerWord>
inline void multiply_values_avx512(const float* weights, const float* values, int dim,
                                   const SeenKeys* seen, int rows, int tile_keys, RowsAhead ahead,
                                   const float* factors, float* outputs) noexcept {
  const int panels = (dim + kAttentionPanel - 1) / kAttentionPanel;
  const std::uintptr_t lines = lines_of_step(ahead, panels * (rows / kAttentionRows));
  const std::int64_t stride = (dim + 15) / 16 * 16;
  const int weight_words = tile_keys / kPerWord;
  for (int first = 0; first < dim; first += kAttentionPanel) {
    const int left = dim - first;
    const int columns = left >= kAttentionPanel ? kAttentionColumns : (left + 15) / 16;
    const float* panel = values + std::int64_t{first} * weight_words;
    for_row_groups(rows, [&](auto group, int row) {
      constexpr int kRows = decltype(group)::value;
      prefetch_lines(ahead, lines);
      const SeenKeys any = seen_by_any<kRows>(seen + row);
      if (any.begin >= any.end) return;
      const int begin = any.begin / kPerWord;
      const int words = (any.end + kPerWord - 1) / kPerWord - begin;
      with_columns(columns, [&](auto count) {
        value_rows<Products, kRows, decltype(count)::value>(
            weights + std::int64_t{row} * weight_words + begin, weight_words,
            panel + std::int64_t{begin} * 16 * columns, words, factors + row,
            outputs + row * stride + first, stride);
      });
    });
  }
}

/// `count` elements as floats, zeros up to the next multiple of 16.
template <typename Element>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void widen_row_avx512(const Element* from, int count, float* to) noexcept {
  using Lanes = AttentionLanes;
  int index = 0;
  for (; index + 16 <= count; index += 16) {
    _mm512_storeu_ps(to + index, Lanes::load(from + index));
  }
  if (index < count) {
    _mm512_storeu_ps(to + index, Lanes::load(from + index, Lanes::mask_of(count - index)));
  }
}

/// Keys (count, depth) as panels of floats; zeros past `count`.
template <typename Element>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void pack_keys_avx512(const Element* rows, std::int64_t stride, int count, int depth,
                             int tile_keys, float* to) noexcept {
  using Lanes = AttentionLanes;
  const std::int64_t words = (depth + 15) / 16 * 16;
  float spare[16][16];
  for (int key = 0; key < tile_keys; key += 16) {
    float* panel = to + (key / kAttentionPanel) * kAttentionPanel * words + key % kAttentionPanel;
    const int keys = count - key;
    for (int dim = 0; dim < depth; dim += 16, panel += 16 * kAttentionPanel) {
      if (std::is_same_v<Element, float> && keys >= 16 && dim + 16 <= depth) {
        Lanes::transpose(reinterpret_cast<const unsigned char*>(rows + key * stride + dim),
                         stride * std::int64_t{sizeof(Element)}, panel, kAttentionPanel);
        continue;
      }
      const __mmask16 mask = Lanes::mask_of(depth - dim);
      for (int row = 0; row < 16; ++row) {
        const Element* from = rows + (key + row) * stride + dim;
        _mm512_storeu_ps(spare[row], row < keys ? Lanes::load(from, mask) : _mm512_setzero_ps());
      }
      Lanes::transpose(reinterpret_cast<const unsigned char*>(spare), sizeof spare[0], panel,
                       kAttentionPanel);
    }
  }
}

/// Values (count, dim) as panels of floats; zeros past both.
template <typename Element>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void pack_values_avx512(const Element* rows, std::int64_t stride, int count, int dim,
                               int tile_keys, float* to) noexcept {
  using Lanes = AttentionLanes;
  for (int first = 0; first < dim; first += kAttentionPanel) {
    const int left = dim - first;
    const int columns = left >= kAttentionPanel ? kAttentionColumns : (left + 15) / 16;
    const __mmask16 last = Lanes::mask_of(left - 16 * (columns - 1));
    for (int key = 0; key < tile_keys; ++key, to += 16 * columns) {
      const Element* from = rows + (key < count ? key : 0) * stride + first;
      for (int column = 0; column < columns; ++column) {
        const __mmask16 mask = column + 1 < columns ? __mmask16{0xffff} : last;
        _mm512_storeu_ps(to + 16 * column,
                         key < count ? Lanes::load(from + 16 * column, mask) : _mm512_setzero_ps());
      }
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
