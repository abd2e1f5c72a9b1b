// The softmax of the rows of one accumulator fragment while their keys pass: what every attention of
// the device shares. A body over a Block; a quad of lanes holds two rows, lane/4 and 8 below.
//
// Scores s come from the product, a row's scale a turns them into base-2 logits, x = a s - m with m
// the largest so far. A lane keeps sum 2^x, sum 2^x x and sum 2^x x^2 of its own columns, and the quad
// adds them up at the end; only the maximum is exchanged on the way. Scales are not negative: where
// one would be, the row's queries have turned their signs (flip_signs), which is exact.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>
#include <ropewalk/cuda/attention/tile.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/fragment.hpp>
#include <ropewalk/element.hpp>
#include <ropewalk/row_statistics.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// The keys a row sees: those before `first_end`, and band_first .. band_end - 1.
struct RowKeys {
  std::int32_t first_end = 0;
  std::int32_t band_first = 0;
  std::int32_t band_end = 0;

  ROPEWALK_HOST_DEVICE constexpr bool contains(int key) const noexcept {
    // Without branches: it is asked of every key of a tile.
    const bool is_first = key < first_end;
    const bool is_in_band =
        static_cast<std::uint32_t>(key) - static_cast<std::uint32_t>(band_first) <
        static_cast<std::uint32_t>(band_end - band_first);
    return is_first | is_in_band;
  }
};

/// The larger one; the other where one is NaN.
ROPEWALK_DEVICE float larger_score(float a, float b) noexcept {
#ifdef __CUDA_ARCH__
  return fmaxf(a, b);
#else
  return b > a ? b : a;
#endif
}

/// Turns the signs of 8 elements of T.
ROPEWALK_DEVICE void flip_signs(std::uint32_t (&words)[4]) noexcept {
  ROPEWALK_UNROLL
  for (int i = 0; i < 4; ++i) words[i] ^= 0x80008000u;
}

/// Sums of the two rows of a fragment, this lane's part.
template <Statistics kStatistics>
struct RowSums {
  static constexpr bool kFirst = kStatistics != Statistics::lse;
  static constexpr bool kSecond = kStatistics == Statistics::variance;
  static constexpr float kMasked = RowStatistics<float>::kMaskedLogit;
  static constexpr float kLowest = RowSummary<float>::kNoKeys;

  float maximum[2] = {kMasked, kMasked};  // of the row, the same in the quad
  float sum[2] = {};
  float first[2] = {};
  float second[2] = {};

  /// Warp: sees a tile of scores and leaves e = 2^x in their place. `factors` is what sums over the
  /// e of earlier tiles, the output row, are to be multiplied by.
  ///   kMaskedTile  keys that a row of `keys` does not see take no part; else `keys` is not read
  ///   scale        of the two rows, >= 0, in base 2
  ///   keys         RowKeys, or whatever tells contains(key) of both rows
  ///   first_key    number of the tile's first key
  /// A NaN among the scores makes its row NaN; one that is masked does not.
  template <bool kMaskedTile, std::size_t kTiles, typename Block, typename Keys>
  ROPEWALK_DEVICE void absorb(Block& block, float (&scores)[kTiles][4], const float (&scale)[2],
                              const Keys (&keys)[2], int first_key, float (&factors)[2]) noexcept {
    int key = first_key;  // of this lane's first column
    if constexpr (kMaskedTile) key += accumulator_column(thread_now(block) % kLanes, 0);
    ROPEWALK_UNROLL
    for (int row = 0; row < 2; ++row) {
      float largest = kLowest;
      ROPEWALK_UNROLL
      for (int tile = 0; tile < static_cast<int>(kTiles); ++tile) {
        ROPEWALK_UNROLL
        for (int i = 0; i < 2; ++i) {
          float& score = scores[tile][2 * row + i];
          if (kMaskedTile) score = keys[row].contains(key + 8 * tile + i) ? score : kLowest;
          largest = larger_score(largest, score);
        }
      }
      largest = larger_score(largest, block.exchange(largest, 1));
      largest = larger_score(largest, block.exchange(largest, 2));
      const bool none = kMaskedTile && largest <= kLowest;
      const float logit = none ? kMasked : largest * scale[row];
      factors[row] = raise(block, row, larger_score(maximum[row], logit));

      // Sums of a tile by themselves: rounding grows with the tiles, not with the keys.
      float tile_sum = 0.0f, tile_first = 0.0f, tile_second = 0.0f;
      ROPEWALK_UNROLL
      for (int tile = 0; tile < static_cast<int>(kTiles); ++tile) {
        ROPEWALK_UNROLL
        for (int i = 0; i < 2; ++i) {
          float& score = scores[tile][2 * row + i];
          float x = std::fma(score, scale[row], -maximum[row]);
          // After the scale, which may be 0 or tiny; its square is finite, and 0 times that is 0.
          if (kMaskedTile) x = score <= kLowest ? kMasked : x;
          const float e = block.power_of_two(x);
          score = e;
          tile_sum += e;
          if constexpr (kSecond) {
            const float product = e * x;
            tile_first += product;
            tile_second = std::fma(product, x, tile_second);
          } else if constexpr (kFirst) {
            tile_first = std::fma(e, x, tile_first);
          }
        }
      }
      sum[row] += tile_sum;
      if constexpr (kFirst) first[row] += tile_first;
      if constexpr (kSecond) second[row] += tile_second;
    }
  }

  /// Warp: the quad's sums of a row, every lane the same.
  template <typename Block>
  ROPEWALK_DEVICE RowStatistics<float> finish(Block& block, int row) const noexcept {
    RowStatistics<float> result;
    result.maximum = maximum[row];
    result.sum = over_quad(block, sum[row]);
    // A row whose scores are all NaN has raised no maximum, and is not one without keys. By its bits,
    // which no arithmetic that assumes there is no NaN can fold away.
    const bool is_finite = (ropewalk::detail::bits_of(result.sum) & 0x7f800000u) != 0x7f800000u;
    if (!is_finite) result.maximum = 0.0f;
    if constexpr (kFirst) result.first = over_quad(block, first[row]);
    if constexpr (kSecond) result.second = over_quad(block, second[row]);
    return result;
  }

 private:
  /// RowStatistics::raise of a part.
  template <typename Block>
  ROPEWALK_DEVICE float raise(Block& block, int row, float to) noexcept {
    const float step = maximum[row] - to;
    // Before the first key step is beyond every logit and 2^step 0.
    const float factor = block.power_of_two(step);
    if constexpr (kFirst) {
      const float shift = factor > 0.0f ? step : 0.0f;
      if constexpr (kSecond) {
        const float inner = std::fma(shift, sum[row], 2.0f * first[row]);
        second[row] = factor * std::fma(shift, inner, second[row]);
      }
      first[row] = factor * std::fma(shift, sum[row], first[row]);
    }
    sum[row] *= factor;
    maximum[row] = to;
    return factor;
  }

  template <typename Block>
  ROPEWALK_DEVICE static float over_quad(Block& block, float value) noexcept {
    value += block.exchange(value, 1);
    return value + block.exchange(value, 2);
  }
};

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
