// What a warp does for the rows' g: two products of a tile, scores and dP = d_out . v, and their sums.
// Bodies over a Block.
//
// Scores are in base 2, x = a s - lse log2(e), so that p = 2^x without a maximum: lse is that of the row.
#pragma once

#include <ropewalk/cuda/attention/row_sums.hpp>
#include <ropewalk/cuda/attention/tile.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/fragment.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// A row of the tile, as it lies in shared memory.
struct SlopeRow {
  float scale = 0.0f;  // of q . k, base 2
  float lse = 0.0f;    // base 2
  RowKeys keys;
};

/// Sizes of a block's work. Queries and d_out stay in registers, so that shared memory holds keys and
/// values alone: two 16-row fragments a warp of them, one where heads are too long for that.
template <int kDim>
struct SlopeTile {
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kLanes;
  static constexpr int kFragments = kDim <= 128 ? 2 : 1;  // of 16 rows, per warp
  static constexpr int kWarpRows = kFragments * kProductRows;
  static constexpr int kRows = kWarps * kWarpRows;
  static constexpr int kLaneRows = 2 * kFragments;
  static constexpr int kKeys = kDim <= 128 ? 64 : 32;
  static constexpr int kChunkKeys = 16;  // whose scores are in registers at once
  static constexpr int kPairs = kDim / kProductDepth;
  static constexpr int kStages = 2;
  static constexpr int kBlocks = kDim == 64 ? 3 : 2;  // on a processor: what the registers allow
  static constexpr int kTileBytes = kKeys * kDim * 2;
  static constexpr int kStageBytes = 2 * kTileBytes;  // keys, then values
  static constexpr int kRowsOffset = kStages * kStageBytes;
  static constexpr int kPlanOffset = kRowsOffset + kRows * static_cast<int>(sizeof(SlopeRow));
  static constexpr int kPlanBytes = 128;
  static constexpr int kSharedBytes = kPlanOffset + kPlanBytes;
  static_assert(2 * kRows * kDim * 2 <= kRowsOffset, "queries and d_out pass through the stages");
  static_assert(kSharedBytes <= 99 * 1024, "the smallest block of sm_86 and later");
};

/// What a warp holds: its rows of q and d_out as left operands, and the sums of its lanes.
template <int kDim, typename T>
class SlopeWarp {
  using Tile = SlopeTile<kDim>;
  static constexpr std::size_t kFragments = Tile::kFragments;
  static constexpr std::size_t kPairs = Tile::kPairs;
  static constexpr std::size_t kLaneRows = Tile::kLaneRows;

 public:
  ROPEWALK_DEVICE explicit SlopeWarp(int thread) noexcept
      : lane_(thread % kLanes), warp_(thread / kLanes), right_(right_rows(thread % kLanes)) {}

  /// Row of the block's tile that is this lane's `row`, 0 .. kLaneRows - 1.
  ROPEWALK_DEVICE int row_of(int row) const noexcept {
    return warp_ * Tile::kWarpRows + row / 2 * kProductRows + accumulator_row(lane_, row % 2 * 2);
  }

  template <typename Block>
  ROPEWALK_DEVICE void load(Block& block, const unsigned char* q_tile,
                            const unsigned char* out_tile, const SlopeRow* rows) noexcept {
    const FragmentRows<kDim> left(left_rows(lane_));
    ROPEWALK_UNROLL
    for (int fragment = 0; fragment < Tile::kFragments; ++fragment) {
      const int first = warp_ * Tile::kWarpRows + fragment * kProductRows;
      ROPEWALK_UNROLL
      for (int pair = 0; pair < Tile::kPairs; ++pair) {
        block.load_matrices(q_[fragment][pair], q_tile + left.at(first, pair));
        block.load_matrices(out_[fragment][pair], out_tile + left.at(first, pair));
      }
    }
    ROPEWALK_UNROLL
    for (int row = 0; row < Tile::kLaneRows; ++row) {
      scale_[row] = rows[row_of(row)].scale;
      lse_[row] = rows[row_of(row)].lse;
    }
  }

  /// Warp: adds a tile of keys and values.
  ///   kMaskedTile  a key that a row does not see takes no part; else `rows` is not read
  ///   first_key    number of the tile's first key
  template <bool kMaskedTile, typename Block>
  ROPEWALK_DEVICE void add(Block& block, const unsigned char* keys, const unsigned char* values,
                           const SlopeRow* rows, int first_key) noexcept {
    ROPEWALK_NO_UNROLL
    for (int chunk = 0; chunk < Tile::kKeys; chunk += Tile::kChunkKeys) {
      std::uint32_t seen = 0xffffffffu;
      if constexpr (kMaskedTile) {
        seen = seen_keys(rows, first_key + chunk);
        if (!block.any(seen != 0)) continue;
      }
      float scores[kFragments][2][4] = {};
      float slopes[kFragments][2][4] = {};
      multiply(block, keys, values, chunk, scores, slopes);
      ROPEWALK_UNROLL
      for (int row = 0; row < Tile::kLaneRows; ++row) {
        absorb<kMaskedTile>(block, row, scores[row / 2], slopes[row / 2], seen >> (4 * row));
      }
    }
  }

  /// Warp: sum p dP and sum p x dP / ln 2 of a lane's row over all keys, the same in its quad.
  template <typename Block>
  ROPEWALK_DEVICE void finish(Block& block) noexcept {
    ROPEWALK_UNROLL
    for (int row = 0; row < Tile::kLaneRows; ++row) {
      ROPEWALK_UNROLL
      for (int mask = 1; mask <= 2; mask *= 2) {
        values_[row] += block.exchange(values_[row], mask);
        both_[row] += block.exchange(both_[row], mask);
      }
    }
  }
  ROPEWALK_DEVICE float values(int row) const noexcept { return values_[row]; }
  ROPEWALK_DEVICE float both(int row) const noexcept { return both_[row]; }
  /// Whether this lane of a quad is the one that writes.
  ROPEWALK_DEVICE bool leads() const noexcept { return lane_ % 4 == 0; }

 private:
  /// Four bits a row: which of the lane's keys of a chunk it sees.
  ROPEWALK_DEVICE std::uint32_t seen_keys(const SlopeRow* rows, int first_key) const noexcept {
    std::uint32_t seen = 0;
    ROPEWALK_UNROLL
    for (int row = 0; row < Tile::kLaneRows; ++row) {
      const RowKeys keys = rows[row_of(row)].keys;
      ROPEWALK_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int key = first_key + i / 2 * kProductColumns + accumulator_column(lane_, i % 2);
        seen |= keys.contains(key) ? 1u << (4 * row + i) : 0u;
      }
    }
    return seen;
  }

  template <typename Block>
  ROPEWALK_DEVICE void multiply(Block& block, const unsigned char* keys,
                                const unsigned char* values, int chunk,
                                float (&scores)[kFragments][2][4],
                                float (&slopes)[kFragments][2][4]) const noexcept {
    ROPEWALK_UNROLL
    for (int pair = 0; pair < Tile::kPairs; ++pair) {
      std::uint32_t key[4];
      std::uint32_t value[4];
      block.load_matrices(key, keys + right_.at(chunk, pair));
      block.load_matrices(value, values + right_.at(chunk, pair));
      ROPEWALK_UNROLL
      for (int fragment = 0; fragment < Tile::kFragments; ++fragment) {
        ROPEWALK_UNROLL
        for (int half = 0; half < 2; ++half) {
          block.template multiply<T>(scores[fragment][half], q_[fragment][pair], key[2 * half],
                                     key[2 * half + 1]);
          block.template multiply<T>(slopes[fragment][half], out_[fragment][pair], value[2 * half],
                                     value[2 * half + 1]);
        }
      }
    }
  }

  template <bool kMaskedTile, typename Block>
  ROPEWALK_DEVICE void absorb(Block& block, int row, const float (&scores)[2][4],
                              const float (&slopes)[2][4], std::uint32_t seen) noexcept {
    float value_sum = 0.0f;
    float both_sum = 0.0f;
    ROPEWALK_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int at = row % 2 * 2 + i % 2;
      float x = std::fma(scores[i / 2][at], scale_[row], -lse_[row]);
      float slope = slopes[i / 2][at];
      if constexpr (kMaskedTile) {
        // What is hidden may be anything, and takes no part in what is added.
        const bool sees = (seen >> i & 1u) != 0;
        x = sees ? x : -256.0f;
        slope = sees ? slope : 0.0f;
      }
      const float value = block.power_of_two(x) * slope;
      value_sum += value;
      both_sum = std::fma(value, x, both_sum);
    }
    values_[row] += value_sum;
    both_[row] += both_sum;
  }

  int lane_;
  int warp_;
  FragmentRows<kDim> right_;
  std::uint32_t q_[kFragments][kPairs][4];
  std::uint32_t out_[kFragments][kPairs][4];
  float scale_[kLaneRows];
  float lse_[kLaneRows];
  float values_[kLaneRows] = {};
  float both_[kLaneRows] = {};
};

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
