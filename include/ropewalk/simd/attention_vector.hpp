// The attention kernel in registers of four or eight floats, as a type. Row 7b.
#pragma once

#include <ropewalk/row_statistics.hpp>
#include <ropewalk/simd/attention_tile.hpp>
#include <ropewalk/simd/attention_vector_direct.hpp>
#include <ropewalk/simd/attention_vector_softmax.hpp>
#include <ropewalk/simd/attention_vector_tiles.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Members as those of simd::PortableAttention. Arithmetic in float, whatever the inputs.
template <typename Lanes>
struct VectorAttention {
  static constexpr int kKeys = 128;
  static constexpr int kDirectKeys = 64;
  static constexpr int kDirectStep = 16;
  static constexpr int kDirectRows = 8;
  static constexpr int kBlockRows = 192;

  template <typename T>
  using Factor = float;

  static constexpr std::int64_t query_size(int depth) noexcept { return plain_size(depth); }
  static constexpr std::int64_t plain_size(int depth) noexcept {
    return whole_vectors<Lanes>(depth);
  }
  static constexpr std::int64_t keys_size(int depth) noexcept { return kKeys * plain_size(depth); }
  static constexpr std::int64_t values_size(int dim) noexcept { return kKeys * output_size(dim); }
  static constexpr std::int64_t output_size(int dim) noexcept { return whole_vectors<Lanes>(dim); }

  template <typename Element>
  static void pack_query(const Element* row, int depth, float* to) noexcept {
    widen_row_vector<Lanes>(row, depth, to);
  }
  template <typename Element>
  static void pack_keys(const Element* rows, std::int64_t stride, int count, int depth,
                        float* to) noexcept {
    pack_keys_vector<Lanes>(rows, stride, count, depth, kKeys, to);
  }
  template <typename Element>
  static void pack_values(const Element* rows, std::int64_t stride, int count, int dim,
                          float* to) noexcept {
    pack_values_vector<Lanes>(rows, stride, count, dim, kKeys, to);
  }

  static void multiply_keys(const float* queries, const float* keys, int depth,
                            const SeenKeys* seen, int rows, const RowsAhead&,
                            float* scores) noexcept {
    multiply_keys_vector<Lanes>(queries, keys, depth, seen, rows, kKeys, scores);
  }
  static void multiply_values(const float* weights, const float* values, int dim,
                              const SeenKeys* seen, int rows, const RowsAhead&,
                              const float* factors, float* outputs) noexcept {
    multiply_values_vector<Lanes>(weights, values, dim, seen, rows, kKeys, factors, outputs);
  }

  template <int kMoments>
  static void weigh(const float* scores, const SeenKeys* seen, int rows, const float* coefficients,
                    RowStatistics<float>* statistics, float* factors, bool* in_range,
                    float* weights) noexcept {
    for (int row = 0; row < rows; ++row) {
      const bool good = weigh_row_vector<Lanes, kMoments, kKeys>(
          scores + row * kKeys, seen[row], coefficients[row], statistics[row], factors[row],
          weights + row * kKeys);
      in_range[row] = in_range[row] && good;
    }
  }

  template <typename Element>
  static void direct_keys(const float* queries, int rows, const Element* keys, std::int64_t stride,
                          int count, int depth, RowsAhead&, float* scores) noexcept {
    const std::int64_t size = plain_size(depth);
    for (int first = 0; first < rows; first += 4) {
      with_count<4>(rows - first, [&](auto some) {
        direct_keys_vector<Lanes, decltype(some)::value>(queries + first * size, size, keys, stride,
                                                         count, depth, scores + first * kKeys,
                                                         kKeys);
      });
    }
  }
  template <typename Element>
  static void direct_values(const float* weights, int rows, const Element* values,
                            std::int64_t stride, int count, int dim, RowsAhead&,
                            const float* factors, float* outputs) noexcept {
    const std::int64_t size = output_size(dim);
    for (int first = 0; first < rows; first += 4) {
      with_count<4>(rows - first, [&](auto some) {
        direct_values_vector<Lanes, decltype(some)::value>(weights + first * kKeys, kKeys, values,
                                                           stride, count, dim, factors + first,
                                                           outputs + first * size, size);
      });
    }
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
