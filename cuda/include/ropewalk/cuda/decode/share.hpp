// How a block finds its share of the line of tiles. A body over a Block.
#pragma once

#include <ropewalk/cuda/decode/job.hpp>
#include <ropewalk/cuda/device.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// What a block remembers of its share until it has read it.
struct ShareMemory {
  TileShares shares;
  std::int64_t before = 0;  // tiles of the sequences before the first one
  std::int32_t sequence = 0;
};
static_assert(sizeof(ShareMemory) <= 32, "as DecodeShared has it");

/// Block: where its share begins, from the counts of all sequences.
///   scratch      (kDecodeThreads,) shared; free again afterwards
///   memory       shared
template <typename T, typename Block>
ROPEWALK_DEVICE DecodeWalk find_share(Block& block, const DecodeJob<T>& job, std::int64_t* scratch,
                                      ShareMemory* memory) noexcept {
  const DecodeLine& line = job.line;
  const int thread = block.thread();
  // Neighbouring sequences, so that a thread's are a stretch of the line.
  const int per_thread = (line.sequences + kDecodeThreads - 1) / kDecodeThreads;
  const int first = thread * per_thread;
  const int end = first + per_thread < line.sequences ? first + per_thread : line.sequences;
  std::int64_t own = 0;
  ROPEWALK_NO_UNROLL
  for (int sequence = first; sequence < end; ++sequence) own += line.length(sequence);
  scratch[thread] = own;
  block.sync();
  const int parts = (line.sequences + per_thread - 1) / per_thread;
  std::int64_t before = 0;
  std::int64_t all = 0;
  ROPEWALK_NO_UNROLL
  for (int part = 0; part < parts; ++part) {
    const std::int64_t length = scratch[part];
    if (part < thread) before += length;
    all += length;
  }
  const TileShares shares = tile_shares(all, job.blocks);
  const std::int64_t begin = shares.begin(block.index_x());
  const auto size = static_cast<std::int32_t>(shares.begin(block.index_x() + 1) - begin);
  if (size > 0 && before <= begin && begin < before + own) {
    int sequence = first;
    ROPEWALK_NO_UNROLL
    for (std::int64_t length = line.length(sequence); begin - before >= length;
         length = line.length(sequence)) {
      before += length;
      ++sequence;
    }
    memory->shares = shares;
    memory->before = before;
    memory->sequence = sequence;
  }
  block.sync();
  DecodeWalk walk;
  if (size > 0) walk.begin(line, memory->sequence, begin - memory->before, size);
  return walk;
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
