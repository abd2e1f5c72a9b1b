// Tiles that pass through a few stages of shared memory: copies run ahead of what reads them.
#pragma once

#include <ropewalk/cuda/device.hpp>

#include <ropewalk/config.hpp>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// Which stage holds a tile, and how far copies are ahead.
template <int kStages>
struct CopyStages {
  static_assert(kStages >= 2, "one stage is read while another is filled");
  static constexpr int kAhead = kStages - 1;   // tiles under way before the first is read
  static constexpr int kNewest = kStages - 2;  // groups that may be under way while a tile is read

  ROPEWALK_HOST_DEVICE static constexpr int stage(int tile) noexcept { return tile % kStages; }
};

/// Block: copies tiles 0 .. tiles - 1 to their stages and uses each, with one barrier per tile.
///   copy         copy(tile, stage) issues copies; every thread its part
///   use          use(tile, stage) reads what all threads copied, without barriers of its own
/// Stages are free before the call; after it the last ones may still be read by other threads.
template <int kStages, typename Block, typename Copy, typename Use>
ROPEWALK_DEVICE void stream_tiles(Block& block, int tiles, Copy&& copy, Use&& use) {
  using Stages = CopyStages<kStages>;
  ROPEWALK_UNROLL
  for (int tile = 0; tile < Stages::kAhead; ++tile) {
    if (tile < tiles) copy(tile, Stages::stage(tile));
    block.commit();
  }
  ROPEWALK_NO_UNROLL
  for (int tile = 0; tile < tiles; ++tile) {
    block.template wait<Stages::kNewest>();
    // This tile has arrived for all, and all are done with the one before it: its stage is free.
    block.sync();
    const int next = tile + Stages::kAhead;
    if (next < tiles) copy(next, Stages::stage(next));
    block.commit();  // a group per tile, empty or not, keeps the count of wait()
    use(tile, Stages::stage(tile));
  }
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
