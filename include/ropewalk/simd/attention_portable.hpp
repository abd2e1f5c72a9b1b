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
#include <ropewalk/simd/attention_tile.hpp>

#include <cstdint>
#include <cstring>

namespace ropewalk {
inline namespace v0 {
namespace simd {

struct PortableAttention {
  /// Keys of a tile, of one that is read in place, and of what is read of one key head before the next
  /// head's turn.
  static constexpr int kKeys = 64;
  static constexpr int kDirectKeys = 64;
  static constexpr int kDirectStep = 16;
  // GCC 12 unrolls 16 passes whole before it looks for vectors, and then finds none.
  static constexpr int kColumns = 32;

  /// Rows up to which keys and values are read in place.
  static constexpr int kDirectRows = 8;
  /// Rows of a block that shares packed keys and values.
  static constexpr int kBlockRows = 64;

  /// The type of packed operands for inputs of type T.
  template <typename T>
  using Factor = float;

  /// Sizes of packed operands in Factors, of the direct functions' queries and of a row of outputs in
  /// floats. What a row has beyond depth or dim holds zeros.
  static constexpr std::int64_t query_size(int depth) noexcept { return depth; }
  static constexpr std::int64_t plain_size(int depth) noexcept { return depth; }
  static constexpr std::int64_t keys_size(int depth) noexcept {
    return std::int64_t{kKeys} * depth;
  }
  static constexpr std::int64_t values_size(int dim) noexcept { return kKeys * output_size(dim); }
  static constexpr std::int64_t output_size(int dim) noexcept {
    return std::int64_t{(dim + kColumns - 1) / kColumns} * kColumns;
  }

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

  /// scores (rows, kKeys) of packed queries (rows, query_size) and packed keys; those of keys that a
  /// row does not see may be left as they are.
  ///   ahead   what is read next, here as in the other products: to be asked for meanwhile
  static void multiply_keys(const float* queries, const float* keys, int depth,
                            const detail::SeenKeys* seen, int rows, const detail::RowsAhead&,
                            float* scores) noexcept {
    for (int row = 0; row < rows; ++row) {
      const float* query = queries + row * query_size(depth);
      for (int first = 0; first < kKeys; first += kColumns) {
        if (seen[row].end <= first || seen[row].begin >= first + kColumns) continue;
        float sums[kColumns] = {};
        const float* right = keys + std::int64_t{first} * depth;
        for (int dim = 0; dim < depth; ++dim, right += kColumns) {
          for (int column = 0; column < kColumns; ++column)
            sums[column] += query[dim] * right[column];
        }
        std::memcpy(scores + row * kKeys + first, sums, sizeof sums);
      }
    }
  }

  /// outputs (rows, output_size) = factors outputs + weights (rows, kKeys) values.
  ///   seen   weights of keys that a row does not see are zeros
  static void multiply_values(const float* weights, const float* values, int dim,
                              const detail::SeenKeys* seen, int rows, const detail::RowsAhead&,
                              const float* factors, float* outputs) noexcept {
    for (int row = 0; row < rows; ++row) {
      const detail::SeenKeys keys = seen[row];
      if (keys.begin >= keys.end) continue;
      const float* left = weights + std::int64_t{row} * kKeys;
      for (int first = 0; first < dim; first += kColumns) {
        const float* right = values + std::int64_t{first} * kKeys + keys.begin * kColumns;
        float* output = outputs + row * output_size(dim) + first;
        // From zero: added to the output key by key, alike values would round one way each time.
        float sums[kColumns] = {};
        for (int key = keys.begin; key < keys.end; ++key, right += kColumns) {
          for (int column = 0; column < kColumns; ++column) {
            sums[column] += left[key] * right[column];
          }
        }
        for (int column = 0; column < kColumns; ++column) {
          output[column] = factors[row] * output[column] + sums[column];
        }
      }
    }
  }

  /// Turns the scores of rows into weights 2^(coefficient score - maximum), zeros for keys that a row
  /// does not see, and keeps the rows' statistics with them.
  ///   kMoments   0: sum alone; 1: first as well; 2: second too
  ///   factors    what the outputs so far take
  ///   in_range   becomes false where a score is not finite or too large: what the row holds then
  ///              says nothing
  ///   weights    (rows, kKeys); with Weight float the scores' own memory will do
  template <int kMoments, typename Weight>
  static void weigh(const float* scores, const detail::SeenKeys* seen, int rows,
                    const float* coefficients, RowStatistics<float>* statistics, float* factors,
                    bool* in_range, Weight* weights) noexcept {
    for (int row = 0; row < rows; ++row) {
      factors[row] = 1.0f;
      const bool good = weigh_row<kMoments>(scores + row * kKeys, seen[row], coefficients[row],
                                            statistics[row], factors[row], weights + row * kKeys);
      in_range[row] = in_range[row] && good;
    }
  }

  /// scores (rows, kKeys) of float queries (rows, plain_size) and keys where they lie.
  ///   count   at most kDirectKeys
  ///   ahead   advances by as many rows as a caller of all heads reads
  template <typename Element>
  static void direct_keys(const float* queries, int rows, const Element* keys, std::int64_t stride,
                          int count, int depth, detail::RowsAhead&, float* scores) noexcept {
    for (int key = 0; key < count; ++key) {
      const Element* right = keys + key * stride;
      for (int row = 0; row < rows; ++row) {
        const float* query = queries + row * plain_size(depth);
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

  /// The same as multiply_values with float weights and values where they lie, all `count` keys.
  template <typename Element>
  static void direct_values(const float* weights, int rows, const Element* values,
                            std::int64_t stride, int count, int dim, detail::RowsAhead&,
                            const float* factors, float* outputs) noexcept {
    for (int row = 0; row < rows; ++row) {
      for (int first = 0; first < dim; first += kColumns) {
        const int columns = dim - first < kColumns ? dim - first : kColumns;
        float sums[kColumns] = {};
        for (int key = 0; key < count; ++key) {
          const Element* right = values + key * stride + first;
          const float weight = weights[std::int64_t{row} * kKeys + key];
          for (int column = 0; column < columns; ++column) {
            sums[column] += weight * ElementTraits<Element>::load(right[column]);
          }
        }
        float* output = outputs + row * output_size(dim) + first;
        for (int column = 0; column < columns; ++column) {
          output[column] = factors[row] * output[column] + sums[column];
        }
      }
    }
  }

 private:
  /// Halves added to halves.
  static float total(float (&lanes)[kColumns]) noexcept {
    for (int half = kColumns / 2; half > 0; half /= 2) {
      for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    }
    return lanes[0];
  }

  template <int kMoments, typename Weight>
  static bool weigh_row(const float* scores, detail::SeenKeys seen, float coefficient,
                        RowStatistics<float>& row, float& factor, Weight* weights) noexcept {
    std::uint32_t magnitude = 0;
    float largest = seen.begin < seen.end ? scores[seen.begin] : 0.0f;
    for (int key = seen.begin; key < seen.end; ++key) {
      const std::uint32_t bits = detail::magnitude_bits(scores[key]);
      magnitude = bits > magnitude ? bits : magnitude;
      largest = scores[key] > largest ? scores[key] : largest;
    }
    const bool good = detail::is_tile_logit(magnitude, coefficient);
    if (seen.begin >= seen.end || !good) {
      for (int key = 0; key < kKeys; ++key) weights[key] = Weight{};
      return good;
    }
    if (largest * coefficient > row.maximum) {
      factor = detail::raise_row(row, largest * coefficient);
    }
    const float maximum = row.maximum;
    // Lanes of sums: vectors, and many equal keys do not all round one way.
    float sum[kColumns] = {};
    float first[kColumns] = {};
    float second[kColumns] = {};
    float values[kKeys];
    for (int start = 0; start < kKeys; start += kColumns) {
      for (int lane = 0; lane < kColumns; ++lane) {
        const int key = start + lane;
        const bool visible = seen.begin <= key && key < seen.end;
        // Rounding of the maximum's product may leave a positive rest.
        const float logit = visible ? scores[key] * coefficient - maximum : 0.0f;
        const float x = logit < 0.0f ? logit : 0.0f;
        const float weight = visible ? detail::exp2_of_negative(x) : 0.0f;
        sum[lane] += weight;
        if (kMoments > 0) first[lane] += weight * x;
        if (kMoments > 1) second[lane] += weight * x * x;
        values[key] = weight;
      }
    }
    for (int key = 0; key < kKeys; ++key) weights[key] = ElementTraits<Weight>::store(values[key]);
    row.sum += total(sum);
    row.first += total(first);
    row.second += total(second);
    return true;
  }
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk
