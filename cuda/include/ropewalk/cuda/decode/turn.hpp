// Rotation of keys in shared memory, as they would have been stored rotated. A body over a Block.
#pragma once

#include <ropewalk/cuda/decode/stream.hpp>
#include <ropewalk/cuda/rotary/body.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// Block: makes the steps of the angles known to all, without a barrier.
template <int kDim, typename T, typename Block>
ROPEWALK_DEVICE void share_steps(Block& block, const DecodeJob<T>& job) noexcept {
  auto* steps = reinterpret_cast<std::uint64_t*>(block.shared() + DecodeShared<kDim>::kStepsAt);
  ROPEWALK_NO_UNROLL
  for (int pair = block.thread(); pair < job.angles.pairs; pair += kDecodeThreads) {
    steps[pair] = job.angles.step[pair];
  }
}

/// Warp: turns a warp's 16 keys, of which the first stands at `position`, and rounds them to T.
template <int kDim, typename T, typename Block>
ROPEWALK_DEVICE void turn_keys(Block& block, const DecodeJob<T>& job, unsigned char* half,
                               int position) noexcept {
  using Pack = Chunk<T, true>;
  using Places = Swizzle<kDim / kChunkElements>;
  const auto* steps =
      reinterpret_cast<const std::uint64_t*>(block.shared() + DecodeShared<kDim>::kStepsAt);
  // Lanes take chunks of pairs, row after row: 32 further on are so many rows and columns.
  const int columns = job.angles.pairs / kChunkElements;
  const int row_step = kLanes / columns;
  const int column_step = kLanes - row_step * columns;
  int row = block.thread() % kLanes / columns;
  int column = block.thread() % kLanes - row * columns;
  ROPEWALK_NO_UNROLL
  while (row < kDecodeWarpKeys) {
    const ColumnDims dims =
        turning_dims<kChunkElements>(column, job.angles.pairs, job.first_dim, job.interleaved);
    T* first = reinterpret_cast<T*>(half + Places::at(row, dims.first / 8) * kChunkBytes);
    T* second = reinterpret_cast<T*>(half + Places::at(row, dims.second / 8) * kChunkBytes);
    const auto key = static_cast<std::uint32_t>(position + row);  // half of a wide product is 0
    float cosine[8];
    float sine[8];
    if (job.angles.cos != nullptr) {
      column_angles(job.angles, key, column * kChunkElements, false, cosine, sine);
    } else {
      ROPEWALK_UNROLL
      for (int i = 0; i < kChunkElements; ++i) {
        const SinCos<float> turned =
            sincos_single(phase_word(steps[column * kChunkElements + i], key));
        cosine[i] = turned.cos;
        sine[i] = turned.sin;
      }
      if (job.angles.attention_factor != 1.0f) {
        multiply_all(cosine, job.angles.attention_factor);
        multiply_all(sine, job.angles.attention_factor);
      }
    }
    float a[8];
    float b[8];
    Pack::unpack(Pack::template load<CachePolicy::keep>(first), a);
    Pack::unpack(Pack::template load<CachePolicy::keep>(second), b);
    turn(a, b, cosine, sine, job.interleaved, 1.0f);
    Pack::template store<CachePolicy::keep>(first, Pack::pack(a));
    Pack::template store<CachePolicy::keep>(second, Pack::pack(b));
    column += column_step;
    row += row_step;
    if (column >= columns) {
      column -= columns;
      ++row;
    }
  }
  block.sync_warp();
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
