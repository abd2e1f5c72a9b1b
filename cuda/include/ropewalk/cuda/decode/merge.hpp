// The second kernel of decoding: rows whose keys several blocks have read become whole. A body over a
// Block of kDecodeThreads threads.
#pragma once

#include <ropewalk/cuda/decode/rows.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// Shared memory: a row and its sums per warp.
inline constexpr int kMergeRowFloats = kLargestAttentionHeadDim + 4;
inline constexpr int kMergeSharedBytes = kDecodeWarps * kMergeRowFloats * 4;

/// Block (x, y): row y of the unit that block x of the first kernel began, if others went on with it. Each
/// warp takes a run of the records, in order, and the warps are merged in order.
template <typename T, typename Block>
ROPEWALK_DEVICE void merge_records(Block& block, const DecodeJob<T>& job) noexcept {
  constexpr int kAhead = 4;  // records whose loads are under way together
  constexpr int kFours = kLargestAttentionHeadDim / (4 * kLanes);
  const DecodeHeader header = job.headers[block.index_x()];
  if (header.sequence < 0) return;
  const DecodeRow row = job.row(header.sequence, header.unit, block.index_y());
  if (!row.exists) return;
  const int lane = block.thread() % kLanes;
  const int warp = block.thread() / kLanes;
  const int begun = block.index_x();
  const int all = header.last_block - begun + 1;
  const int first = static_cast<int>(std::int64_t{all} * warp / kDecodeWarps);
  const int end = static_cast<int>(std::int64_t{all} * (warp + 1) / kDecodeWarps);
  const std::int64_t floats = decode_record_floats(job.padded_dim);

  RowPart part;
  float sum[kFours][4] = {};
  ROPEWALK_NO_UNROLL
  for (int base = first; base < end; base += kAhead) {
    FourFloats values[kAhead][kFours];
    FourFloats parts[kAhead];
    ROPEWALK_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      parts[i] = pack_part(RowPart());
      ROPEWALK_UNROLL
      for (int j = 0; j < kFours; ++j) values[i][j] = {};
      if (base + i >= end) continue;
      const std::int64_t record = partial_record(begun + base + i, base + i == 0);
      const float* from = job.records + record * floats;
      parts[i] =
          reinterpret_cast<const FourFloats*>(from + kDecodeRows * job.padded_dim)[block.index_y()];
      ROPEWALK_UNROLL
      for (int j = 0; j < kFours; ++j) {
        const int column = 4 * (lane + j * kLanes);
        if (column >= job.padded_dim) continue;
        values[i][j] =
            *reinterpret_cast<const FourFloats*>(from + block.index_y() * job.padded_dim + column);
      }
    }
    ROPEWALK_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      const PartFactors factors = merge_parts(part, unpack_part(parts[i]));
      ROPEWALK_UNROLL
      for (int j = 0; j < kFours; ++j) {
        ROPEWALK_UNROLL
        for (int k = 0; k < 4; ++k) {
          sum[j][k] = sum[j][k] * factors.first + values[i][j].value[k] * factors.second;
        }
      }
    }
  }
  auto* shared = reinterpret_cast<float*>(block.shared());
  ROPEWALK_UNROLL
  for (int j = 0; j < kFours; ++j) {
    auto* to = reinterpret_cast<FourFloats*>(shared + warp * kMergeRowFloats) + lane + j * kLanes;
    *to = {{sum[j][0], sum[j][1], sum[j][2], sum[j][3]}};
  }
  auto* parts_of_warps = reinterpret_cast<FourFloats*>(shared + kLargestAttentionHeadDim);
  if (lane == 0) parts_of_warps[warp * (kMergeRowFloats / 4)] = pack_part(part);
  block.sync();

  const int column = 8 * block.thread();
  if (column >= job.head_dim) return;
  RowPart whole;
  float total[8] = {};
  ROPEWALK_UNROLL
  for (int from = 0; from < kDecodeWarps; ++from) {
    const PartFactors factors =
        merge_parts(whole, unpack_part(parts_of_warps[from * (kMergeRowFloats / 4)]));
    const float* values = shared + from * kMergeRowFloats + column;
    ROPEWALK_UNROLL
    for (int i = 0; i < 8; ++i) total[i] = total[i] * factors.first + values[i] * factors.second;
  }
  const float factor = complete_row(job, row, whole);
  ROPEWALK_UNROLL
  for (int i = 0; i < 8; ++i) total[i] *= factor;
  write_output(job, row, column, total);
  if (column == 0) write_statistics(job, row, whole);
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
