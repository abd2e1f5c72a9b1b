// Rows in parts: how sums over different keys become one, and how a finished row is written. Bodies over
// a Block.
#pragma once

#include <ropewalk/cuda/chunk.hpp>
#include <ropewalk/cuda/decode/job.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/row_statistics.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

using RowPart = RowStatistics<float>;

/// What the outputs of two parts are to be multiplied by, before they are added.
struct PartFactors {
  float first = 1.0f;
  float second = 0.0f;
};

/// Adds the keys of `other` to `part`.
ROPEWALK_DEVICE PartFactors merge_parts(RowPart& part, RowPart other) noexcept {
  if (other.empty()) return {1.0f, 0.0f};
  if (part.empty()) {
    part = other;
    return {0.0f, 1.0f};
  }
  PartFactors factors{1.0f, 1.0f};
  if (other.maximum > part.maximum) {
    factors.first = part.raise(other.maximum);
  } else {
    factors.second = other.raise(part.maximum);
  }
  part.sum += other.sum;
  part.first += other.first;
  part.second += other.second;
  return factors;
}

ROPEWALK_DEVICE FourFloats pack_part(const RowPart& part) noexcept {
  return {{part.maximum, part.sum, part.first, part.second}};
}

ROPEWALK_DEVICE RowPart unpack_part(const FourFloats& four) noexcept {
  RowPart part;
  part.maximum = four.value[0];
  part.sum = four.value[1];
  part.first = four.value[2];
  part.second = four.value[3];
  return part;
}

/// All keys of a row are in `part`: takes the sink for one more, and returns what turns the sum of
/// weighted values into the output.
template <typename T>
ROPEWALK_DEVICE float complete_row(const DecodeJob<T>& job, const DecodeRow& row,
                                   RowPart& part) noexcept {
  float factor = 1.0f;
  if (job.sink_logit != nullptr) {
    RowPart sink;
    sink.maximum = job.sink_logit[row.head] * static_cast<float>(kLog2E);
    sink.sum = 1.0f;
    factor = merge_parts(part, sink).first;
  }
  return part.empty() ? 0.0f : factor / part.sum;
}

template <typename T>
ROPEWALK_DEVICE void write_statistics(const DecodeJob<T>& job, const DecodeRow& row,
                                      const RowPart& part) noexcept {
  const RowSummary<float> summary = part.summary();
  if (job.statistics.lse != nullptr) job.statistics.lse[row.index] = summary.lse;
  if (job.statistics.entropy != nullptr) job.statistics.entropy[row.index] = summary.entropy;
  if (job.statistics.mean != nullptr) job.statistics.mean[row.index] = summary.mean;
  if (job.statistics.variance != nullptr) job.statistics.variance[row.index] = summary.variance;
}

/// Writes 8 elements of a row's output, from column `column` on.
template <typename T>
ROPEWALK_DEVICE void write_output(const DecodeJob<T>& job, const DecodeRow& row, int column,
                                  const float (&values)[8]) noexcept {
  if (column >= job.head_dim) return;
  using Pack = Chunk<T, true>;
  T* to = job.out + row.sequence * job.out_sequence_stride + row.query * job.out_token_stride +
          row.head * job.out_head_stride + column;
  Pack::template store<CachePolicy::keep>(to, Pack::pack(values));
}

/// Block: writes the rows of a sequence without a tile.
template <typename T, typename Block>
ROPEWALK_DEVICE void write_empty_sequence(Block& block, const DecodeJob<T>& job,
                                          int sequence) noexcept {
  const int chunks = job.head_dim / kChunkElements;
  const int rows = job.line.queries * job.heads;
  ROPEWALK_NO_UNROLL
  for (int item = block.thread(); item < rows * chunks; item += kDecodeThreads) {
    const int within = item / chunks;
    const int chunk = item - within * chunks;
    DecodeRow row;
    row.sequence = sequence;
    row.query = within / job.heads;
    row.head = within - row.query * job.heads;
    row.index = std::int64_t{sequence} * rows + within;
    row.exists = true;
    const float zeros[8] = {};
    write_output(job, row, chunk * kChunkElements, zeros);
    RowPart part;
    complete_row(job, row, part);
    if (chunk == 0) write_statistics(job, row, part);
  }
}

/// Block: the same for all that are this block's.
///   flags        (kDecodeThreads,) shared; free again afterwards
template <typename T, typename Block>
ROPEWALK_DEVICE void write_empty_sequences(Block& block, const DecodeJob<T>& job,
                                           std::int32_t* flags) noexcept {
  // Every job.blocks-th sequence; a thread asks for each, so that one wait serves all.
  const int behind = job.line.sequences - 1 - block.index_x();
  const int candidates = behind < 0 ? 0 : behind / job.blocks + 1;
  ROPEWALK_NO_UNROLL
  for (int base = 0; base < candidates; base += kDecodeThreads) {
    const int own = base + block.thread();
    if (own < candidates) {
      flags[block.thread()] = job.line.length(block.index_x() + own * job.blocks) == 0 ? 1 : 0;
    }
    block.sync();
    const int end = candidates - base < kDecodeThreads ? candidates : base + kDecodeThreads;
    ROPEWALK_NO_UNROLL
    for (int i = base; i < end; ++i) {
      if (flags[i - base] != 0) {
        write_empty_sequence(block, job, block.index_x() + i * job.blocks);
      }
    }
    block.sync();
  }
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
