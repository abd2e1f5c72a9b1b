// Attention in registers of four or eight floats: packing of tiles, their products. Row 7b.
//
// Written once over `Lanes`, a struct of the machine's instructions: Avx2AttentionLanes and
// NeonAttentionLanes. It has a type Vector of kLanes floats, and what the functions here call.
#pragma once

#include <ropewalk/simd/attention_tile.hpp>

#include <cstdint>
#include <type_traits>

#if defined(__x86_64__) || defined(_M_X64)
#include <ropewalk/simd/rotate_x86_target.hpp>
#define ROPEWALK_VECTOR ROPEWALK_TARGET(ROPEWALK_AVX2)
#define ROPEWALK_VECTOR_INLINE ROPEWALK_TARGET_INLINE(ROPEWALK_AVX2)
#define ROPEWALK_VECTOR_UNROLL ROPEWALK_SIMD_UNROLL
#else
#define ROPEWALK_VECTOR
#define ROPEWALK_VECTOR_INLINE inline
#if defined(__clang__)
#define ROPEWALK_VECTOR_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define ROPEWALK_VECTOR_UNROLL _Pragma("GCC unroll 8")
#else
#define ROPEWALK_VECTOR_UNROLL
#endif
#endif

// As in rotate_avx512.hpp.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

// A product adds one number of each of kVectorRows rows times a panel of kVectorPanel columns: with
// the columns and a row's number, as many sums as leave no register unused and none in memory.
inline constexpr int kVectorRows = 6;
inline constexpr int kVectorPanel = 16;

/// `size` rounded up to whole registers.
template <typename Lanes>
constexpr std::int64_t whole_vectors(int size) noexcept {
  return (size + Lanes::kLanes - 1) / Lanes::kLanes * Lanes::kLanes;
}

/// The first `count` lanes, zeros in the others; memory behind is not touched.
template <typename Lanes, typename Element>
ROPEWALK_VECTOR_INLINE typename Lanes::Vector load_some(const Element* from, int count) noexcept {
  if (count >= Lanes::kLanes) return Lanes::load(from);
  Element spare[Lanes::kLanes] = {};
  for (int lane = 0; lane < count; ++lane) spare[lane] = from[lane];
  return Lanes::load(spare);
}

/// sums += kRows rows, `stride` floats apart, times columns, `step` floats a row's number.
template <typename Lanes, int kRows, int kColumns>
ROPEWALK_VECTOR_INLINE void add_vector_products(
    const float* rows, std::int64_t stride, const float* columns, int step, int words,
    typename Lanes::Vector (&sums)[kRows][kColumns]) noexcept {
  const float* upper = rows + 3 * stride;  // three multiples of the stride are an address each
  for (int word = 0; word < words; ++word) {
    typename Lanes::Vector column[kColumns];
    ROPEWALK_VECTOR_UNROLL
    for (int index = 0; index < kColumns; ++index) {
      column[index] = Lanes::load(columns + Lanes::kLanes * index);
    }
    ROPEWALK_VECTOR_UNROLL
    for (int row = 0; row < kRows; ++row) {
      const float* from = row < 3 ? rows + row * stride : upper + (row - 3) * stride;
      const typename Lanes::Vector left = Lanes::set(*from);
      ROPEWALK_VECTOR_UNROLL
      for (int index = 0; index < kColumns; ++index) {
        sums[row][index] = Lanes::multiply_add(left, column[index], sums[row][index]);
      }
    }
    ++rows;
    ++upper;
    columns += step;
  }
}

/// scores = products, for kColumns registers of keys.
template <typename Lanes, int kRows, int kColumns>
ROPEWALK_VECTOR inline void score_vector_rows(const float* queries, std::int64_t stride,
                                              const float* keys, int depth, float* scores,
                                              int score_stride) noexcept {
  typename Lanes::Vector sums[kRows][kColumns];
  ROPEWALK_VECTOR_UNROLL
  for (int row = 0; row < kRows; ++row) {
    ROPEWALK_VECTOR_UNROLL
    for (int index = 0; index < kColumns; ++index) sums[row][index] = Lanes::zero();
  }
  add_vector_products<Lanes, kRows, kColumns>(queries, stride, keys, kVectorPanel, depth, sums);
  ROPEWALK_VECTOR_UNROLL
  for (int row = 0; row < kRows; ++row) {
    ROPEWALK_VECTOR_UNROLL
    for (int index = 0; index < kColumns; ++index) {
      Lanes::store(scores + row * score_stride + Lanes::kLanes * index, sums[row][index]);
    }
  }
}

/// outputs = factors outputs + products, for kColumns registers of outputs.
template <typename Lanes, int kRows, int kColumns>
ROPEWALK_VECTOR inline void value_vector_rows(const float* weights, int weight_stride,
                                              const float* values, int keys, const float* factors,
                                              float* outputs, std::int64_t output_stride) noexcept {
  typename Lanes::Vector sums[kRows][kColumns];
  ROPEWALK_VECTOR_UNROLL
  for (int row = 0; row < kRows; ++row) {
    ROPEWALK_VECTOR_UNROLL
    for (int index = 0; index < kColumns; ++index) sums[row][index] = Lanes::zero();
  }
  add_vector_products<Lanes, kRows, kColumns>(weights, weight_stride, values,
                                              Lanes::kLanes * kColumns, keys, sums);
  // What was there comes last, so that nothing waits for it.
  ROPEWALK_VECTOR_UNROLL
  for (int row = 0; row < kRows; ++row) {
    const typename Lanes::Vector factor = Lanes::set(factors[row]);
    ROPEWALK_VECTOR_UNROLL
    for (int index = 0; index < kColumns; ++index) {
      float* to = outputs + row * output_stride + Lanes::kLanes * index;
      Lanes::store(to, Lanes::multiply_add(factor, Lanes::load(to), sums[row][index]));
    }
  }
}

/// Calls function(rows, row) for runs of kVectorRows rows and then of two and one.
template <typename Function>
void for_vector_rows(int rows, const Function& function) noexcept {
  int row = 0;
  for (; row + kVectorRows <= rows; row += kVectorRows) {
    function(std::integral_constant<int, kVectorRows>{}, row);
  }
  for (; row + 2 <= rows; row += 2) function(std::integral_constant<int, 2>{}, row);
  if (row < rows) function(std::integral_constant<int, 1>{}, row);
}

/// Calls function(count) with a constant of 1 .. kMost.
template <int kMost, typename Function>
void with_count(int count, const Function& function) noexcept {
  if constexpr (kMost > 1) {
    if (count < kMost) return with_count<kMost - 1>(count, function);
  }
  function(std::integral_constant<int, kMost>{});
}

/// The keys that any of some rows sees.
inline SeenKeys seen_by_rows(const SeenKeys* seen, int rows) noexcept {
  SeenKeys all = seen[0];
  for (int row = 1; row < rows; ++row) all = either(all, seen[row]);
  return all;
}

/// Panels of keys [key / 16][dim][key % 16].
template <typename Lanes>
inline void multiply_keys_vector(const float* queries, const float* keys, int depth,
                                 const SeenKeys* seen, int rows, int tile_keys,
                                 float* scores) noexcept {
  const std::int64_t stride = whole_vectors<Lanes>(depth);
  for (int panel = 0; panel < tile_keys; panel += kVectorPanel) {
    for_vector_rows(rows, [&](auto group, int row) {
      constexpr int kRows = decltype(group)::value;
      const SeenKeys any = seen_by_rows(seen + row, kRows);
      if (any.end <= panel || any.begin >= panel + kVectorPanel) return;
      score_vector_rows<Lanes, kRows, kVectorPanel / Lanes::kLanes>(
          queries + row * stride, stride, keys + panel * stride, depth,
          scores + std::int64_t{row} * tile_keys + panel, tile_keys);
    });
  }
}

/// Panels of 16 outputs, the last one narrower: [key][output].
template <typename Lanes>
inline void multiply_values_vector(const float* weights, const float* values, int dim,
                                   const SeenKeys* seen, int rows, int tile_keys,
                                   const float* factors, float* outputs) noexcept {
  const std::int64_t stride = whole_vectors<Lanes>(dim);
  for (int first = 0; first < dim; first += kVectorPanel) {
    const int left = static_cast<int>(stride) - first;
    const int width = left < kVectorPanel ? left : kVectorPanel;
    const float* panel = values + std::int64_t{first} * tile_keys;
    for_vector_rows(rows, [&](auto group, int row) {
      constexpr int kRows = decltype(group)::value;
      const SeenKeys any = seen_by_rows(seen + row, kRows);
      if (any.begin >= any.end) return;
      with_count<kVectorPanel / Lanes::kLanes>(width / Lanes::kLanes, [&](auto columns) {
        value_vector_rows<Lanes, kRows, decltype(columns)::value>(
            weights + std::int64_t{row} * tile_keys + any.begin, tile_keys,
            panel + std::int64_t{any.begin} * width, any.end - any.begin, factors + row,
            outputs + row * stride + first, stride);
      });
    });
  }
}

/// `count` elements as floats, zeros up to whole registers.
template <typename Lanes, typename Element>
ROPEWALK_VECTOR inline void widen_row_vector(const Element* from, int count, float* to) noexcept {
  for (int index = 0; index < count; index += Lanes::kLanes) {
    Lanes::store(to + index, load_some<Lanes>(from + index, count - index));
  }
}

/// Keys (count, depth) as panels of floats; zeros past `count`.
template <typename Lanes, typename Element>
ROPEWALK_VECTOR inline void pack_keys_vector(const Element* rows, std::int64_t stride, int count,
                                             int depth, int tile_keys, float* to) noexcept {
  constexpr int kLanes = Lanes::kLanes;
  const std::int64_t padded = whole_vectors<Lanes>(depth);
  for (int key = 0; key < tile_keys; key += kLanes) {
    float* panel = to + key / kVectorPanel * kVectorPanel * padded + key % kVectorPanel;
    for (int dim = 0; dim < depth; dim += kLanes) {
      typename Lanes::Vector block[kLanes];
      ROPEWALK_VECTOR_UNROLL
      for (int row = 0; row < kLanes; ++row) {
        block[row] = key + row < count
                         ? load_some<Lanes>(rows + (key + row) * stride + dim, depth - dim)
                         : Lanes::zero();
      }
      Lanes::transpose(block);
      ROPEWALK_VECTOR_UNROLL
      for (int row = 0; row < kLanes; ++row) {
        Lanes::store(panel + (dim + row) * kVectorPanel, block[row]);
      }
    }
  }
}

/// Values (count, dim) as panels of floats; zeros past both.
template <typename Lanes, typename Element>
ROPEWALK_VECTOR inline void pack_values_vector(const Element* rows, std::int64_t stride, int count,
                                               int dim, int tile_keys, float* to) noexcept {
  for (int first = 0; first < dim; first += kVectorPanel) {
    for (int key = 0; key < tile_keys; ++key) {
      const Element* from = rows + (key < count ? key : 0) * stride;
      for (int at = first; at < dim && at < first + kVectorPanel; at += Lanes::kLanes) {
        Lanes::store(to, key < count ? load_some<Lanes>(from + at, dim - at) : Lanes::zero());
        to += Lanes::kLanes;
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
