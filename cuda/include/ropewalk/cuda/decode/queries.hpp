// The queries of a unit and what their rows see. Bodies over a Block.
#pragma once

#include <ropewalk/cuda/attention/row_sums.hpp>
#include <ropewalk/cuda/attention/tile.hpp>
#include <ropewalk/cuda/chunk.hpp>
#include <ropewalk/cuda/decode/job.hpp>
#include <ropewalk/cuda/decode/shared.hpp>
#include <ropewalk/cuda/device.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// The queries of a unit: in registers, or in shared memory.
template <int kDim, bool kShared>
struct QueryFragments {
  std::uint32_t words[static_cast<std::size_t>(kDim / kProductDepth)][4];
};
template <int kDim>
struct QueryFragments<kDim, true> {};

/// Two neighbouring elements, at an address divisible by 4.
template <typename T>
ROPEWALK_DEVICE std::uint32_t load_two(const T* from) noexcept {
#ifdef __CUDA_ARCH__
  return *reinterpret_cast<const std::uint32_t*>(from);
#else
  std::uint32_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
#endif
}

/// What a lane's quad knows of its two rows of a unit, lane/4 and 8 below.
template <typename T, int kDim, typename Block>
struct DecodeQueries {
  static constexpr int kDepths = kDim / kProductDepth;
  using Shared = DecodeShared<kDim>;
  using Places = Swizzle<kDim / kChunkElements>;

  Block& block;
  const DecodeJob<T>& job;
  QueryFragments<kDim, Shared::kSharesQueries> q;
  float scale[2];  // in base 2, >= 0
  RowKeys keys[2];

  /// Block: of the unit of a walk.
  ROPEWALK_DEVICE DecodeQueries(Block& own, const DecodeJob<T>& decode_job,
                                const DecodeWalk& walk) noexcept
      : block(own), job(decode_job) {
    ROPEWALK_UNROLL
    for (int half = 0; half < 2; ++half) {
      const DecodeRow row = job.row(walk.sequence, walk.unit, lane() / 4 + 8 * half);
      const float signed_scale = row_scale(row);
      scale[half] = signed_scale < 0.0f ? -signed_scale : signed_scale;
      keys[half] = {};
      if (row.exists) {
        const VisibleKeys visible = job.line.mask.keys(
            std::int64_t{walk.run.keys} - job.line.queries + row.query, {0, walk.run.keys});
        keys[half] = {static_cast<std::int32_t>(visible.first_keys.end),
                      static_cast<std::int32_t>(visible.band.first),
                      static_cast<std::int32_t>(visible.band.end)};
      }
      if constexpr (!Shared::kSharesQueries) load_row(row, signed_scale, half);
    }
    if constexpr (Shared::kSharesQueries) share_rows(walk);
  }

  /// Warp: the left operand of columns 16 `depth` and on.
  ROPEWALK_DEVICE void fragment(std::uint32_t (&left)[4], int depth) noexcept {
    if constexpr (Shared::kSharesQueries) {
      const FragmentRows<kDim> rows(left_rows(lane()));
      block.load_matrices(left, block.shared() + Shared::kQueriesAt + rows.at(0, depth));
    } else {
      ROPEWALK_UNROLL
      for (int i = 0; i < 4; ++i) left[i] = q.words[depth][i];
    }
  }

 private:
  ROPEWALK_DEVICE int lane() const noexcept { return block.thread() % kLanes; }

  ROPEWALK_DEVICE float row_scale(const DecodeRow& row) const noexcept {
    if (!row.exists) return 0.0f;
    float result = job.scale;
    if (job.head_scale != nullptr) result *= job.head_scale[row.head];
    if (job.position_scale != nullptr) result *= job.position_scale[row.token];
    return result;
  }

  // Scales of a softmax are not negative: the queries turn their signs instead, which is exact.
  ROPEWALK_DEVICE static std::uint32_t signs(float signed_scale) noexcept {
    return signed_scale < 0.0f ? 0x80008000u : 0u;
  }

  ROPEWALK_DEVICE const T* query(const DecodeRow& row) const noexcept {
    return job.q + row.sequence * job.q_sequence_stride + row.query * job.q_token_stride +
           row.head * job.q_head_stride;
  }

  /// Warp: row lane/4, or the one 8 below; zeros where there is none.
  ROPEWALK_DEVICE void load_row(const DecodeRow& row, float signed_scale, int half) noexcept {
    const T* from = query(row);
    ROPEWALK_UNROLL
    for (int depth = 0; depth < kDepths; ++depth) {
      ROPEWALK_UNROLL
      for (int right = 0; right < 2; ++right) {
        const int column = depth * kProductDepth + 8 * right + 2 * (lane() % 4);
        std::uint32_t word = 0;
        if (row.exists && column < job.head_dim) word = load_two(from + column);
        q.words[depth][half + 2 * right] = word ^ signs(signed_scale);
      }
    }
  }

  /// Block: the same for all rows, in shared memory.
  ROPEWALK_DEVICE void share_rows(const DecodeWalk& walk) noexcept {
    using Pack = Chunk<T, true>;
    constexpr int kChunks = kDim / kChunkElements;
    ROPEWALK_NO_UNROLL
    for (int item = block.thread(); item < kDecodeRows * kChunks; item += kDecodeThreads) {
      const int chunk = item % kChunks;
      const DecodeRow row = job.row(walk.sequence, walk.unit, item / kChunks);
      SixteenBytes words = {};
      if (row.exists && chunk * kChunkElements < job.head_dim) {
        words = Pack::template load<CachePolicy::keep>(query(row) + chunk * kChunkElements);
        const std::uint32_t turned = signs(row_scale(row));
        ROPEWALK_UNROLL
        for (int i = 0; i < 4; ++i) words.word[i] ^= turned;
      }
      unsigned char* to = block.shared() + Shared::kQueriesAt;
      Pack::template store<CachePolicy::keep>(
          reinterpret_cast<T*>(to + Places::at(item / kChunks, chunk) * kChunkBytes), words);
    }
    block.sync();
  }
};

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
