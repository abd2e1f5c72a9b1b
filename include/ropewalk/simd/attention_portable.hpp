// The inner products and exponentials of attention in plain loops: what every other kernel is
// compared with, and what runs where there is none. Row 7b.
//
// A kernel is a struct of static functions over tiles. Rows are queries (a token and one of its
// heads), columns are keys; a tile is kKeys columns wide. Keys and values reach it packed, `panels`
// of kColumns columns side by side, so that one row of the left operand meets a whole register:
//     scores[row][key]   = queries[row][dim] keys[dim][key]          pack_keys transposes
//     outputs[row][dim]  = weights[row][key] values[key][dim]        pack_values copies
// Few rows do not repay the packing: the direct functions read keys and values where they are.
#pragma once

#include <ropewalk/element.hpp>
#include <ropewalk/row_statistics.hpp>

#include <cstdint>
#include <cstring>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// 2^x for x <= 0; 0 below the normal floats.
///   Max error   2 units of 2^-24, relative
inline float exp2_of_negative(float x) noexcept {
  // A sum with 3 2^22 would round as well, but not under -ffast-math.
  const float bounded = x > -126.0f ? x : -126.0f;
  const auto whole = static_cast<std::int32_t>(bounded - 0.5f);
  const float rest = bounded - static_cast<float>(whole);
  float value = 1.5345812e-4f;
  value = value * rest + 1.3399931e-3f;
  value = value * rest + 9.6184890e-3f;
  value = value * rest + 5.5503288e-2f;
  value = value * rest + 2.4022647e-1f;
  value = value * rest + 6.9314721e-1f;
  value = value * rest + 1.0f;
  const float power = float_of(static_cast<std::uint32_t>(whole + 127) << 23);
  return x > -126.0f ? value * power : 0.0f;
}

/// Of scores that a tile multiplies by its coefficient, the largest magnitude taken here: beyond it
/// a float cannot hold the differences that matter. Rows with such logits are done in double.
inline constexpr float kLargestTileLogit = 1048576.0f;

/// What weighing a row's part of a tile came to.
struct WeighedRow {
  float factor = 1.0f;   // what the outputs so far take
  bool in_range = true;  // false: a score was not finite or too large, nothing was changed
};

/// |value| as bits: in the order of magnitudes, infinities and NaN above all numbers.
inline std::uint32_t magnitude_bits(float value) noexcept { return bits_of(value) & 0x7fffffffu; }

/// `largest * coefficient` within the bounds of a tile; largest as magnitude_bits.
inline bool is_tile_logit(std::uint32_t largest, float coefficient) noexcept {
  return largest < 0x7f800000u && float_of(largest) * coefficient <= kLargestTileLogit;
}

}  // namespace detail

namespace simd {

struct PortableAttention {
  static constexpr int kKeys = 64;
  static constexpr int kColumns = 16;

  /// Rows up to which keys and values are read in place.
  static constexpr int kDirectRows = 8;
  /// Rows of a block that shares packed keys and values.
  static constexpr int kBlockRows = 64;

  /// The type of packed operands for inputs of type T.
  template <typename T>
  using Factor = float;

  /// Sizes of packed operands, in Factors.
  static constexpr std::int64_t query_size(int depth) noexcept { return depth; }
  static constexpr std::int64_t keys_size(int depth) noexcept {
    return std::int64_t{kKeys} * depth;
  }
  static constexpr std::int64_t values_size(int dim) noexcept {
    return std::int64_t{kKeys} * ((dim + kColumns - 1) / kColumns * kColumns);
  }
  static constexpr int weights_size() noexcept { return kKeys; }

  /// One query row, (depth,).
  template <typename Element>
  static void pack_query(const Element* row, int depth, float* to) noexcept {
    for (int dim = 0; dim < depth; ++dim) to[dim] = ElementTraits<Element>::load(row[dim]);
  }

  /// Keys (count, depth) as panels [key / kColumns][dim][key % kColumns]; zeros past `count`.
  template <typename Element>
  static void pack_keys(const Element* rows, std::int64_t stride, int count, int depth,
                        float* to) noexcept {
    for (int key = 0; key < kKeys; ++key) {
      float* column = to + std::int64_t{key / kColumns} * kColumns * depth + key % kColumns;
      const Element* row = rows + (key < count ? key : 0) * stride;
      for (int dim = 0; dim < depth; ++dim) {
        column[dim * kColumns] = key < count ? ElementTraits<Element>::load(row[dim]) : 0.0f;
      }
    }
  }

  /// Values (count, dim) as panels [dim / kColumns][key][dim % kColumns]; zeros past both.
  template <typename Element>
  static void pack_values(const Element* rows, std::int64_t stride, int count, int dim,
                          float* to) noexcept {
    for (int first = 0; first < dim; first += kColumns) {
      const int columns = dim - first < kColumns ? dim - first : kColumns;
      for (int key = 0; key < kKeys; ++key, to += kColumns) {
        for (int column = 0; column < kColumns; ++column) to[column] = 0.0f;
        if (key >= count) continue;
        const Element* row = rows + key * stride + first;
        for (int column = 0; column < columns; ++column) {
          to[column] = ElementTraits<Element>::load(row[column]);
        }
      }
    }
  }

  /// scores (rows, kKeys) of packed queries (rows, query_size) and packed keys.
  static void multiply_keys(const float* queries, int rows, const float* keys, int depth,
                            float* scores) noexcept {
    for (int row = 0; row < rows; ++row) {
      const float* query = queries + row * query_size(depth);
      for (int panel = 0; panel < kKeys / kColumns; ++panel) {
        float sums[kColumns] = {};
        const float* right = keys + std::int64_t{panel} * kColumns * depth;
        for (int dim = 0; dim < depth; ++dim, right += kColumns) {
          for (int column = 0; column < kColumns; ++column)
            sums[column] += query[dim] * right[column];
        }
        std::memcpy(scores + row * kKeys + panel * kColumns, sums, sizeof sums);
      }
    }
  }

  /// outputs (rows, stride) = factors[row] outputs + weights (rows, weights_size) values, the first
  /// `keys` keys.
  static void multiply_values(const float* weights, int rows, const float* values, int keys,
                              int dim, const float* factors, float* outputs, int stride) noexcept {
    for (int row = 0; row < rows; ++row) {
      const float* left = weights + std::int64_t{row} * kKeys;
      const float factor = factors[row];
      for (int first = 0; first < dim; first += kColumns) {
        const float* right = values + std::int64_t{first} * kKeys;
        float* output = outputs + std::int64_t{row} * stride + first;
        const int columns = dim - first < kColumns ? dim - first : kColumns;
        float sums[kColumns] = {};
        for (int key = 0; key < keys; ++key, right += kColumns) {
          for (int column = 0; column < kColumns; ++column)
            sums[column] += left[key] * right[column];
        }
        for (int column = 0; column < columns; ++column) {
          output[column] = factor * output[column] + sums[column];
        }
      }
    }
  }

  /// Turns the scores [begin, end) of a row into weights 2^(coefficient score - maximum), zeros
  /// elsewhere, and the row's statistics with them: floats within a tile, whose sums add up in
  /// double, or 10^5 keys would cost a variance its third digit.
  ///   kMoments   0: sum alone; 1: first as well; 2: second too
  ///   weights    (kKeys,); with Weight float the scores' own memory will do
  template <int kMoments, typename Weight>
  static detail::WeighedRow weigh(const float* scores, int begin, int end, float coefficient,
                                  RowStatistics<double>& row, Weight* weights) noexcept {
    if (begin >= end) {
      for (int key = 0; key < kKeys; ++key) weights[key] = Weight{};
      return {};
    }
    std::uint32_t magnitude = 0;
    float largest = scores[begin];
    for (int key = begin; key < end; ++key) {
      const std::uint32_t bits = detail::magnitude_bits(scores[key]);
      magnitude = bits > magnitude ? bits : magnitude;
      largest = scores[key] > largest ? scores[key] : largest;
    }
    if (!detail::is_tile_logit(magnitude, coefficient)) return {1.0f, false};
    float factor = 1.0f;
    const auto peak = static_cast<double>(largest * coefficient);
    if (peak > row.maximum) factor = static_cast<float>(row.raise(peak));
    const auto maximum = static_cast<float>(row.maximum);
    float sum = 0.0f;
    float first = 0.0f;
    float second = 0.0f;
    float values[kKeys];
    for (int key = 0; key < kKeys; ++key) {
      const bool visible = begin <= key && key < end;
      // Rounding of the maximum's product may leave a positive rest.
      const float logit = visible ? scores[key] * coefficient - maximum : 0.0f;
      const float x = logit < 0.0f ? logit : 0.0f;
      const float weight = visible ? detail::exp2_of_negative(x) : 0.0f;
      sum += weight;
      if (kMoments > 0) first += weight * x;
      if (kMoments > 1) second += weight * x * x;
      values[key] = weight;
    }
    for (int key = 0; key < kKeys; ++key) weights[key] = ElementTraits<Weight>::store(values[key]);
    row.sum += static_cast<double>(sum);
    row.first += static_cast<double>(first);
    row.second += static_cast<double>(second);
    return {factor, true};
  }

  /// scores (rows, kKeys) of float queries (rows, depth) and keys where they lie.
  template <typename Element>
  static void direct_keys(const float* queries, int rows, const Element* keys, std::int64_t stride,
                          int count, int depth, float* scores) noexcept {
    for (int key = 0; key < count; ++key) {
      const Element* right = keys + key * stride;
      for (int row = 0; row < rows; ++row) {
        const float* query = queries + std::int64_t{row} * depth;
        float sums[kColumns] = {};
        int dim = 0;
        for (; dim + kColumns <= depth; dim += kColumns) {
          for (int lane = 0; lane < kColumns; ++lane) {
            sums[lane] += query[dim + lane] * ElementTraits<Element>::load(right[dim + lane]);
          }
        }
        for (; dim < depth; ++dim) sums[0] += query[dim] * ElementTraits<Element>::load(right[dim]);
        float sum = 0.0f;
        for (const float part : sums) sum += part;
        scores[row * kKeys + key] = sum;
      }
    }
  }

  /// The same as multiply_values with float weights and values where they lie.
  template <typename Element>
  static void direct_values(const float* weights, int rows, const Element* values,
                            std::int64_t stride, int count, int dim, const float* factors,
                            float* outputs, int output_stride) noexcept {
    for (int row = 0; row < rows; ++row) {
      float* output = outputs + std::int64_t{row} * output_stride;
      const float factor = factors[row];
      for (int index = 0; index < dim; ++index) output[index] *= factor;
    }
    for (int key = 0; key < count; ++key) {
      const Element* right = values + key * stride;
      for (int row = 0; row < rows; ++row) {
        const float weight = weights[std::int64_t{row} * kKeys + key];
        float* output = outputs + std::int64_t{row} * output_stride;
        for (int index = 0; index < dim; ++index) {
          output[index] += weight * ElementTraits<Element>::load(right[index]);
        }
      }
    }
  }
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk
