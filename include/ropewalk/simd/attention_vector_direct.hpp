// Attention of few rows in registers of four or eight floats: keys and values read once, where they
// lie. Row 7b.
#pragma once

#include <ropewalk/simd/attention_vector_tiles.hpp>

#include <cstdint>
#include <cstring>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Sums of a step of the direct products, each a register.
inline constexpr int kDirectSums = 8;

/// Scores of kRows rows, kDirectSums / kRows keys at a time; their sums are taken across together.
template <typename Lanes, int kRows, typename Element>
ROPEWALK_VECTOR inline void direct_keys_vector(const float* queries, std::int64_t query_stride,
                                               const Element* keys, std::int64_t stride, int count,
                                               int depth, float* scores,
                                               int score_stride) noexcept {
  constexpr int kLanes = Lanes::kLanes;
  constexpr int kStep = kDirectSums / kRows;
  for (int key = 0; key < count; key += kStep) {
    const Element* right[kStep];
    for (int index = 0; index < kStep; ++index) {
      right[index] = keys + (key + index < count ? key + index : count - 1) * stride;
    }
    typename Lanes::Vector sums[kDirectSums];
    ROPEWALK_VECTOR_UNROLL
    for (int index = 0; index < kDirectSums; ++index) sums[index] = Lanes::zero();
    int dim = 0;
    for (; dim + kLanes <= depth; dim += kLanes) {
      typename Lanes::Vector left[kRows];
      ROPEWALK_VECTOR_UNROLL
      for (int row = 0; row < kRows; ++row) {
        left[row] = Lanes::load(queries + row * query_stride + dim);
      }
      ROPEWALK_VECTOR_UNROLL
      for (int index = 0; index < kStep; ++index) {
        const typename Lanes::Vector other = Lanes::load(right[index] + dim);
        ROPEWALK_VECTOR_UNROLL
        for (int row = 0; row < kRows; ++row) {
          typename Lanes::Vector& sum = sums[row * kStep + index];
          sum = Lanes::multiply_add(left[row], other, sum);
        }
      }
    }
    if (dim < depth) {
      ROPEWALK_VECTOR_UNROLL
      for (int index = 0; index < kStep; ++index) {
        const typename Lanes::Vector other = load_some<Lanes>(right[index] + dim, depth - dim);
        ROPEWALK_VECTOR_UNROLL
        for (int row = 0; row < kRows; ++row) {
          typename Lanes::Vector& sum = sums[row * kStep + index];
          sum = Lanes::multiply_add(Lanes::load(queries + row * query_stride + dim), other, sum);
        }
      }
    }
    float totals[kDirectSums];
    ROPEWALK_VECTOR_UNROLL
    for (int group = 0; group < kDirectSums; group += kLanes) {
      typename Lanes::Vector block[kLanes];
      ROPEWALK_VECTOR_UNROLL
      for (int lane = 0; lane < kLanes; ++lane) block[lane] = sums[group + lane];
      Lanes::transpose(block);
      ROPEWALK_VECTOR_UNROLL
      for (int half = kLanes / 2; half > 0; half /= 2) {
        ROPEWALK_VECTOR_UNROLL
        for (int lane = 0; lane < half; ++lane) {
          block[lane] = Lanes::add(block[lane], block[lane + half]);
        }
      }
      Lanes::store(totals + group, block[0]);
    }
    for (int row = 0; row < kRows; ++row) {
      std::memcpy(scores + row * score_stride + key, totals + row * kStep, kStep * sizeof(float));
    }
  }
}

/// outputs = factors outputs + weights values for kRows rows and kColumns registers of outputs, of
/// which `dim` are there.
template <typename Lanes, int kRows, int kColumns, bool kWhole, typename Element>
ROPEWALK_VECTOR inline void direct_columns_vector(const float* weights, int weight_stride,
                                                  const Element* values, std::int64_t stride,
                                                  int count, int dim, const float* factors,
                                                  float* outputs,
                                                  std::int64_t output_stride) noexcept {
  constexpr int kLanes = Lanes::kLanes;
  typename Lanes::Vector sums[kRows][kColumns];
  ROPEWALK_VECTOR_UNROLL
  for (int row = 0; row < kRows; ++row) {
    ROPEWALK_VECTOR_UNROLL
    for (int column = 0; column < kColumns; ++column) sums[row][column] = Lanes::set(0.0f);
  }
  const int tail = dim - kLanes * (kColumns - 1);
  for (int key = 0; key < count; ++key, values += stride) {
    typename Lanes::Vector right[kColumns];
    ROPEWALK_VECTOR_UNROLL
    for (int column = 0; column < kColumns; ++column) {
      const Element* from = values + kLanes * column;
      right[column] =
          kWhole || column + 1 < kColumns ? Lanes::load(from) : load_some<Lanes>(from, tail);
    }
    ROPEWALK_VECTOR_UNROLL
    for (int row = 0; row < kRows; ++row) {
      const typename Lanes::Vector left = Lanes::set(weights[row * weight_stride + key]);
      ROPEWALK_VECTOR_UNROLL
      for (int column = 0; column < kColumns; ++column) {
        sums[row][column] = Lanes::multiply_add(left, right[column], sums[row][column]);
      }
    }
  }
  ROPEWALK_VECTOR_UNROLL
  for (int row = 0; row < kRows; ++row) {
    // Apart from the output until here: added key by key it would gather their roundings.
    const typename Lanes::Vector factor = Lanes::set(factors[row]);
    ROPEWALK_VECTOR_UNROLL
    for (int column = 0; column < kColumns; ++column) {
      float* output = outputs + row * output_stride + kLanes * column;
      Lanes::store(output, Lanes::multiply_add(factor, Lanes::load(output), sums[row][column]));
    }
  }
}

template <typename Lanes, int kRows, typename Element>
inline void direct_values_vector(const float* weights, int weight_stride, const Element* values,
                                 std::int64_t stride, int count, int dim, const float* factors,
                                 float* outputs, std::int64_t output_stride) noexcept {
  constexpr int kColumns = kRows <= 2 ? 4 : 2;  // sums that stay in registers
  constexpr int kWidth = kColumns * Lanes::kLanes;
  int first = 0;
  for (; first + kWidth <= dim; first += kWidth) {
    direct_columns_vector<Lanes, kRows, kColumns, true>(weights, weight_stride, values + first,
                                                        stride, count, dim - first, factors,
                                                        outputs + first, output_stride);
  }
  if (first == dim) return;
  const int registers = (dim - first + Lanes::kLanes - 1) / Lanes::kLanes;
  with_count<kColumns>(registers, [&](auto columns) {
    direct_columns_vector<Lanes, kRows, decltype(columns)::value, false>(
        weights, weight_stride, values + first, stride, count, dim - first, factors,
        outputs + first, output_stride);
  });
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
