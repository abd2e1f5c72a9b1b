// The AVX-512 attention kernels as types. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/element.hpp>
#include <ropewalk/row_statistics.hpp>
#include <ropewalk/simd/attention_avx512_bf16.hpp>
#include <ropewalk/simd/attention_avx512_direct.hpp>
#include <ropewalk/simd/attention_avx512_softmax.hpp>
#include <ropewalk/simd/attention_avx512_tiles.hpp>
#include <ropewalk/simd/attention_portable.hpp>

#include <cstdint>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {
namespace simd {

/// AVX-512 with BW, VL and DQ (x86-64-v4). Arithmetic in float, whatever the inputs.
struct Avx512Attention {
  static constexpr int kKeys = 128;
  static constexpr int kDirectKeys = 64;
  static constexpr int kDirectStep = 16;
  static constexpr int kDirectRows = 8;
  static constexpr int kBlockRows = 384;

  template <typename T>
  using Factor = float;

  static constexpr std::int64_t query_size(int depth) noexcept { return plain_size(depth); }
  static constexpr std::int64_t plain_size(int depth) noexcept { return (depth + 15) / 16 * 16; }
  static constexpr std::int64_t keys_size(int depth) noexcept { return kKeys * plain_size(depth); }
  static constexpr std::int64_t values_size(int dim) noexcept { return kKeys * output_size(dim); }
  static constexpr std::int64_t output_size(int dim) noexcept { return (dim + 15) / 16 * 16; }

  template <typename Element>
  static void pack_query(const Element* row, int depth, float* to) noexcept {
    ropewalk::detail::widen_row_avx512(row, depth, to);
  }
  template <typename Element>
  static void pack_keys(const Element* rows, std::int64_t stride, int count, int depth,
                        float* to) noexcept {
    ropewalk::detail::pack_keys_avx512(rows, stride, count, depth, kKeys, to);
  }
  template <typename Element>
  static void pack_values(const Element* rows, std::int64_t stride, int count, int dim,
                          float* to) noexcept {
    ropewalk::detail::pack_values_avx512(rows, stride, count, dim, kKeys, to);
  }

  static void multiply_keys(const float* queries, const float* keys, int depth,
                            const ropewalk::detail::SeenKeys* seen, int rows,
                            const ropewalk::detail::RowsAhead& ahead, float* scores) noexcept {
    ropewalk::detail::multiply_keys_avx512<ropewalk::detail::FloatProducts>(
        queries, query_size(depth), keys, depth, seen, rows, kKeys, ahead, scores);
  }
  static void multiply_values(const float* weights, const float* values, int dim,
                              const ropewalk::detail::SeenKeys* seen, int rows,
                              const ropewalk::detail::RowsAhead& ahead, const float* factors,
                              float* outputs) noexcept {
    ropewalk::detail::multiply_values_avx512<ropewalk::detail::FloatProducts, 1>(
        weights, values, dim, seen, rows, kKeys, ahead, factors, outputs);
  }

  template <int kMoments, typename Weight>
  static void weigh(const float* scores, const ropewalk::detail::SeenKeys* seen, int rows,
                    const float* coefficients, RowStatistics<float>* statistics, float* factors,
                    bool* in_range, Weight* weights) noexcept {
    for (int row = 0; row < rows; row += 16) {
      const int some = rows - row < 16 ? rows - row : 16;
      const unsigned good = ropewalk::detail::weigh_sixteen_avx512<kMoments, kKeys>(
          scores + row * kKeys, seen + row, some, coefficients + row, statistics + row,
          factors + row, weights + row * kKeys);
      for (int index = 0; index < some; ++index) {
        in_range[row + index] = in_range[row + index] && (good >> index & 1u) != 0;
      }
    }
  }

  template <typename Element>
  static void direct_keys(const float* queries, int rows, const Element* keys, std::int64_t stride,
                          int count, int depth, ropewalk::detail::RowsAhead& ahead,
                          float* scores) noexcept {
    each_rows(rows, [&](auto lanes, int first) {
      ropewalk::detail::direct_keys_avx512<decltype(lanes)::value>(
          queries + first * plain_size(depth), plain_size(depth), rows - first - 1, keys, stride,
          count, depth, ahead, scores + first * kKeys, kKeys);
    });
  }
  template <typename Element>
  static void direct_values(const float* weights, int rows, const Element* values,
                            std::int64_t stride, int count, int dim,
                            ropewalk::detail::RowsAhead& ahead, const float* factors,
                            float* outputs) noexcept {
    each_rows(rows, [&](auto lanes, int first) {
      ropewalk::detail::direct_values_avx512<decltype(lanes)::value>(
          weights + first * kKeys, kKeys, rows - first - 1, values, stride, count, dim, ahead,
          factors + first, outputs + first * output_size(dim), output_size(dim));
    });
  }

 protected:
  /// One, two or four rows at a time; of three the last stands twice.
  template <typename Function>
  static void each_rows(int rows, const Function& function) {
    int row = 0;
    for (; rows - row >= 3; row += 4) function(std::integral_constant<int, 4>{}, row);
    if (rows - row == 2) function(std::integral_constant<int, 2>{}, row);
    if (rows - row == 1) function(std::integral_constant<int, 1>{}, row);
  }
};

/// The same with products of bfloat16 (AVX512-BF16) where queries, keys and values are bfloat16;
/// anything else as Avx512Attention, and so are few rows, where reading takes the time.
///   Error    scores as exact as floats sum them, but for products and sums below 2^-126, which are
///            dropped; weights are rounded to bfloat16 for the values, their sum and the statistics
///            are not: outputs to 2^-8 of what the values weigh. Transformed rows are rounded, too
///   Speed    twice the products on AMD Zen 4 and 5, half of them on Intel's Xeons so far: measure
struct Avx512Bf16Attention : Avx512Attention {
  template <typename T>
  using Factor = std::conditional_t<std::is_same_v<T, bfloat16>, bfloat16, float>;

  // In elements: a row of bfloat16 fills registers too.
  static constexpr std::int64_t query_size(int depth) noexcept { return (depth + 31) / 32 * 32; }
  static constexpr std::int64_t keys_size(int depth) noexcept { return kKeys * query_size(depth); }

  using Avx512Attention::pack_keys;
  using Avx512Attention::pack_query;
  using Avx512Attention::pack_values;
  template <typename Element>
  static void pack_query(const Element* row, int depth, bfloat16* to) noexcept {
    ropewalk::detail::narrow_row_avx512(row, depth, query_size(depth), to);
  }
  template <typename Element>
  static void pack_keys(const Element* rows, std::int64_t stride, int count, int depth,
                        bfloat16* to) noexcept {
    ropewalk::detail::pack_key_pairs_avx512(rows, stride, count, depth, kKeys, to);
  }
  static void pack_values(const bfloat16* rows, std::int64_t stride, int count, int dim,
                          bfloat16* to) noexcept {
    ropewalk::detail::pack_value_pairs_avx512(rows, stride, count, dim, kKeys, to);
  }

  template <typename Operand>
  static void multiply_keys(const Operand* queries, const Operand* keys, int depth,
                            const ropewalk::detail::SeenKeys* seen, int rows,
                            const ropewalk::detail::RowsAhead& ahead, float* scores) noexcept {
    constexpr int kPerWord = 4 / static_cast<int>(sizeof(Operand));
    ropewalk::detail::multiply_keys_avx512<Products<Operand>>(
        words(queries), query_size(depth) / kPerWord, words(keys),
        (depth + kPerWord - 1) / kPerWord, seen, rows, kKeys, ahead, scores);
  }
  template <typename Operand>
  static void multiply_values(const Operand* weights, const Operand* values, int dim,
                              const ropewalk::detail::SeenKeys* seen, int rows,
                              const ropewalk::detail::RowsAhead& ahead, const float* factors,
                              float* outputs) noexcept {
    constexpr int kPerWord = 4 / static_cast<int>(sizeof(Operand));
    ropewalk::detail::multiply_values_avx512<Products<Operand>, kPerWord>(
        words(weights), words(values), dim, seen, rows, kKeys, ahead, factors, outputs);
  }

 private:
  template <typename Operand>
  using Products =
      std::conditional_t<std::is_same_v<Operand, bfloat16>, ropewalk::detail::Bf16Products,
                         ropewalk::detail::FloatProducts>;
  // Words are only loaded into registers, by intrinsics that may alias anything.
  template <typename Operand>
  static const float* words(const Operand* operands) noexcept {
    return reinterpret_cast<const float*>(operands);
  }
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#endif
