// Decoding: what one block does. A body over a Block of kDecodeThreads threads.
//
// A block walks its share of the line of tiles. In a segment, the tiles of one unit, every warp takes 16
// keys of each tile and keeps a softmax of its own; at the segment's end the warps merge. A whole unit is
// written as the result, a part of one as a record that merge_records() takes up.
#pragma once

#include <ropewalk/cuda/attention/row_sums.hpp>
#include <ropewalk/cuda/attention/schedule.hpp>
#include <ropewalk/cuda/attention/tile.hpp>
#include <ropewalk/cuda/decode/queries.hpp>
#include <ropewalk/cuda/decode/share.hpp>
#include <ropewalk/cuda/decode/stream.hpp>
#include <ropewalk/cuda/decode/turn.hpp>
#include <ropewalk/cuda/decode/warps.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// One warp's softmax over its keys of a segment.
template <typename T, int kDim, Statistics kStatistics, typename Block>
struct DecodeSegment {
  static constexpr int kDepths = kDim / kProductDepth;

  Block& block;
  const DecodeJob<T>& job;
  DecodeQueries<T, kDim, Block> queries;
  typename WarpMerge<T, kDim, Block>::Output out;
  RowSums<kStatistics> sums;
  unsigned char* free_half = nullptr;  // the half tile that was used last

  /// Block: of the unit of a walk.
  ROPEWALK_DEVICE DecodeSegment(Block& own, const DecodeJob<T>& decode_job,
                                const DecodeWalk& walk) noexcept
      : block(own), job(decode_job), queries(own, decode_job, walk) {
    ROPEWALK_UNROLL
    for (int i = 0; i < 2 * kDepths; ++i) {
      ROPEWALK_UNROLL
      for (int j = 0; j < 4; ++j) out[i][j] = 0.0f;
    }
  }

  /// Warp: the tile that the stream brings next.
  ROPEWALK_DEVICE void take_tile(KeyStream<T, kDim, Block>& stream, int number,
                                 bool is_full) noexcept {
    const int first_key = number * kDecodeTileKeys + warp() * kDecodeWarpKeys;
    unsigned char* half = stream.next_keys();
    if (job.angles.pairs != 0) turn_keys<kDim>(block, job, half, first_key);
    float scores[2][4] = {};
    const FragmentRows<kDim> key_rows(right_rows(not_kept(lane())));
    ROPEWALK_UNROLL
    for (int depth = 0; depth < kDepths; ++depth) {
      std::uint32_t left[4];
      std::uint32_t right[4];
      queries.fragment(left, depth);
      block.load_matrices(right, half + key_rows.at(0, depth));
      block.template multiply<T>(scores[0], left, right[0], right[1]);
      block.template multiply<T>(scores[1], left, right[2], right[3]);
    }

    const bool missing = mask_missing(scores, stream.places());
    float factors[2];
    if (is_full && !block.any(missing)) {
      sums.template absorb<false>(block, scores, queries.scale, queries.keys, first_key, factors);
    } else {
      sums.template absorb<true>(block, scores, queries.scale, queries.keys, first_key, factors);
    }
    if (block.any(factors[0] != 1.0f || factors[1] != 1.0f)) {  // seldom, once a row is long
      ROPEWALK_UNROLL
      for (int i = 0; i < 2 * kDepths; ++i) {
        ROPEWALK_UNROLL
        for (int j = 0; j < 4; ++j) out[i][j] *= factors[j / 2];
      }
    }
    const std::uint32_t weights[4] = {block.template pack<T>(scores[0][0], scores[0][1]),
                                      block.template pack<T>(scores[0][2], scores[0][3]),
                                      block.template pack<T>(scores[1][0], scores[1][1]),
                                      block.template pack<T>(scores[1][2], scores[1][3])};
    half = stream.next_values();
    const FragmentRows<kDim> value_rows(right_rows_transposed(not_kept(lane())));
    ROPEWALK_UNROLL
    for (int pair = 0; pair < kDepths; ++pair) {
      std::uint32_t right[4];
      block.load_transposed(right, half + value_rows.at(0, pair));
      block.template multiply<T>(out[2 * pair], weights, right[0], right[1]);
      block.template multiply<T>(out[2 * pair + 1], weights, right[2], right[3]);
    }
    free_half = half;
  }

 private:
  ROPEWALK_DEVICE int lane() const noexcept { return block.thread() % kLanes; }
  ROPEWALK_DEVICE int warp() const noexcept { return block.thread() / kLanes; }

  /// Scores of keys that are not in the cache become what absorb() takes for masked; whether this
  /// lane has any.
  ROPEWALK_DEVICE bool mask_missing(float (&scores)[2][4],
                                    const std::int64_t* places) const noexcept {
    bool missing = false;
    ROPEWALK_UNROLL
    for (int tile = 0; tile < 2; ++tile) {
      ROPEWALK_UNROLL
      for (int i = 0; i < 2; ++i) {
        if (places[8 * tile + accumulator_column(lane(), i)] >= 0) continue;
        missing = true;
        scores[tile][i] = scores[tile][2 + i] = RowSums<kStatistics>::kLowest;
      }
    }
    return missing;
  }
};

/// All that one block does.
template <Statistics kStatistics, int kDim, typename T, typename Block>
ROPEWALK_DEVICE void decode_block(Block& block, const DecodeJob<T>& job) noexcept {
  using Shared = DecodeShared<kDim>;
  auto* memory = reinterpret_cast<ShareMemory*>(block.shared() + Shared::kShareAt);
  write_empty_sequences(block, job, reinterpret_cast<std::int32_t*>(block.shared()));
  share_steps<kDim>(block, job);
  DecodeWalk walk = find_share(block, job, reinterpret_cast<std::int64_t*>(block.shared()), memory);
  DecodeHeader header;
  KeyStream<T, kDim, Block> stream(block, job, walk);
  ROPEWALK_NO_UNROLL
  while (walk.left > 0) {
    const int sequence = walk.sequence;
    const int unit = walk.unit;
    const int rest = walk.run.count - walk.tile;
    const bool begins = walk.tile == 0;
    const bool ends = walk.left >= rest;
    const KeyBlocks blocks =
        key_blocks<kDecodeTileKeys>(job.line.mask, std::int64_t{walk.run.keys} - job.line.queries,
                                    std::int64_t{walk.run.keys} - 1, walk.run.keys);
    DecodeSegment<T, kDim, kStatistics, Block> segment(block, job, walk);
    ROPEWALK_NO_UNROLL
    for (int tiles = ends ? rest : walk.left; tiles > 0; --tiles) {
      const int number = walk.run.at(walk.tile);
      segment.take_tile(stream, number, blocks.is_full(number));
      if (tiles > 1) {
        ++walk.tile;
        --walk.left;
      }
    }
    float* record = nullptr;
    if (!begins || !ends) {
      record = job.records + partial_record(block.index_x(), begins) * decode_record_floats(kDim);
    }
    WarpMerge<T, kDim, Block>{block, job, segment.free_half, sequence, unit, record}.merge(
        segment.sums, segment.out);
    if (begins && !ends) {
      const TileShares& shares = memory->shares;
      header.sequence = sequence;
      header.unit = unit;
      // The share ends within the unit, where walk stands one tile before.
      header.last_block =
          shares.of(shares.begin(block.index_x() + 1) + (walk.run.count - walk.tile) - 2);
    }
    walk.advance(job.line);
  }
  block.template wait<0>();
  if (block.thread() == 0) job.headers[block.index_x()] = header;
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
