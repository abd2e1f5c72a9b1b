// The end of a segment: four warps that have read different keys of the same rows become one. A body
// over a Block.
#pragma once

#include <ropewalk/cuda/attention/row_sums.hpp>
#include <ropewalk/cuda/decode/rows.hpp>
#include <ropewalk/cuda/decode/shared.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/fragment.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// What the four warps have of a unit, at the end of a segment.
///   free_half    this warp's part of the half tile that was used last
///   record       where a part of a unit goes; null where the unit is whole
template <typename T, int kDim, typename Block>
struct WarpMerge {
  static constexpr int kDepths = kDim / kProductDepth;
  using Shared = DecodeShared<kDim>;
  using Output = float[static_cast<std::size_t>(2 * kDepths)][4];

  Block& block;
  const DecodeJob<T>& job;
  unsigned char* free_half;
  int sequence;
  int unit;
  float* record;

  /// Block: merges the warps and writes what they have.
  ///   out          this warp's, of 16 rows
  template <Statistics kStatistics>
  ROPEWALK_DEVICE void merge(const RowSums<kStatistics>& sums, Output& out) noexcept {
    block.sync_warp();  // all lanes have read the values
    ROPEWALK_UNROLL
    for (int half = 0; half < 2; ++half) {
      const RowPart part = sums.finish(block, half);
      if (lane() % 4 == 0) {
        part_of(warp(), Shared::kPartsAt)[lane() / 4 + 8 * half] = pack_part(part);
      }
    }
    block.sync();
    if (block.thread() < kDecodeRows) merge_row(block.thread());
    block.sync();
    ROPEWALK_UNROLL
    for (int half = 0; half < 2; ++half) {
      const FourFloats& weights = part_of(0, Shared::kWeightsAt)[lane() / 4 + 8 * half];
      const float weight = weights.value[warp()];
      ROPEWALK_UNROLL
      for (int i = 0; i < 2 * kDepths; ++i) {
        out[i][2 * half] *= weight;
        out[i][2 * half + 1] *= weight;
      }
    }
    write_columns<0>(out);
    write_columns<1>(out);
    write_columns<2>(out);
    write_columns<3>(out);
  }

 private:
  ROPEWALK_DEVICE int lane() const noexcept { return block.thread() % kLanes; }
  ROPEWALK_DEVICE int warp() const noexcept { return block.thread() / kLanes; }

  /// The free half tile of a warp; those of the warps are neighbours.
  ROPEWALK_DEVICE unsigned char* half_of(int which) const noexcept {
    return free_half + (which - warp()) * Shared::kHalfBytes;
  }
  ROPEWALK_DEVICE FourFloats* part_of(int which, int at) const noexcept {
    return reinterpret_cast<FourFloats*>(half_of(which) + at);
  }
  ROPEWALK_DEVICE float* factors_of_rows() const noexcept {
    return reinterpret_cast<float*>(half_of(0) + Shared::kFactorsAt);
  }

  /// All warps' parts of a row, in their order: what each weighs, what the sum is multiplied by, and
  /// what the row tells.
  ROPEWALK_DEVICE void merge_row(int row) const noexcept {
    RowPart whole;
    float weights[kDecodeWarps];
    ROPEWALK_UNROLL
    for (int from = 0; from < kDecodeWarps; ++from) {
      const PartFactors factors =
          merge_parts(whole, unpack_part(part_of(from, Shared::kPartsAt)[row]));
      ROPEWALK_UNROLL
      for (int before = 0; before < from; ++before) weights[before] *= factors.first;
      weights[from] = factors.second;
    }
    part_of(0, Shared::kWeightsAt)[row] = {{weights[0], weights[1], weights[2], weights[3]}};
    float factor = 1.0f;
    if (record != nullptr) {
      reinterpret_cast<FourFloats*>(record + kDecodeRows * kDim)[row] = pack_part(whole);
    } else {
      const DecodeRow at = job.row(sequence, unit, row);
      if (at.exists) {
        factor = complete_row(job, at, whole);
        write_statistics(job, at, whole);
      }
    }
    factors_of_rows()[row] = factor;
  }

  /// Where four columns of a side lie.
  ROPEWALK_DEVICE static int side_at(int row, int four) noexcept {
    constexpr int kFours = kDim / Shared::kSides / 4;
    constexpr int kTurn = kFours % 4 == 0 ? 4 : 2;
    return (row * kFours + (four ^ (row % kTurn))) * kChunkBytes;
  }

  /// Block: adds the warps' outputs in a quarter of the columns, and writes them.
  template <int kSide>
  ROPEWALK_DEVICE void write_columns(const Output& out) noexcept {
    constexpr int kColumns = kDim / Shared::kSides;
    constexpr int kProducts = kColumns / kProductColumns;
    constexpr int kFours = kColumns / 4;
    ROPEWALK_UNROLL
    for (int i = 0; i < kProducts; ++i) {
      const int column = 8 * i + accumulator_column(lane(), 0);
      ROPEWALK_UNROLL
      for (int half = 0; half < 2; ++half) {
        auto* to = reinterpret_cast<float*>(free_half + side_at(lane() / 4 + 8 * half, column / 4));
        to[column % 4] = out[kSide * kProducts + i][2 * half];
        to[column % 4 + 1] = out[kSide * kProducts + i][2 * half + 1];
      }
    }
    block.sync();
    ROPEWALK_NO_UNROLL
    for (int item = block.thread(); item < kDecodeRows * kFours / 2; item += kDecodeThreads) {
      const int row = item / (kFours / 2);
      const int pair = item % (kFours / 2);
      float total[8] = {};
      ROPEWALK_UNROLL
      for (int from = 0; from < kDecodeWarps; ++from) {
        ROPEWALK_UNROLL
        for (int i = 0; i < 2; ++i) {
          const auto* four =
              reinterpret_cast<const FourFloats*>(half_of(from) + side_at(row, 2 * pair + i));
          ROPEWALK_UNROLL
          for (int j = 0; j < 4; ++j) total[4 * i + j] += four->value[j];
        }
      }
      const int column = kSide * kColumns + 8 * pair;
      multiply_all(total, factors_of_rows()[row]);
      if (record != nullptr) {
        auto* to = reinterpret_cast<FourFloats*>(record + row * kDim + column);
        to[0] = {{total[0], total[1], total[2], total[3]}};
        to[1] = {{total[4], total[5], total[6], total[7]}};
      } else {
        const DecodeRow at = job.row(sequence, unit, row);
        if (at.exists) write_output(job, at, column, total);
      }
    }
    block.sync();
  }
};

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
