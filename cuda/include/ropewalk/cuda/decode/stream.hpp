// The keys and values of a block's share on their way through shared memory. Bodies over a Block.
//
// Of a tile of 64 keys each warp copies, and uses, 16: no warp waits for another. Keys and values are
// halves, copied one after the other into a ring of places; copies run ahead of what is used, across the
// ends of units and sequences.
#pragma once

#include <ropewalk/cuda/attention/tile.hpp>
#include <ropewalk/cuda/decode/job.hpp>
#include <ropewalk/cuda/decode/shared.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/swizzle.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// What one warp copies and has copied.
template <typename T, int kDim, typename Block>
class KeyStream {
 public:
  using Shared = DecodeShared<kDim>;

  /// Warp: starts the first copies of a share.
  ROPEWALK_DEVICE KeyStream(Block& block, const DecodeJob<T>& job, const DecodeWalk& share) noexcept
      : block_(block), job_(job), walk_(share) {
    look_up();
    ROPEWALK_NO_UNROLL
    for (int half = 0; half + 2 < Shared::kSlots; half += 2) {
      copy_keys();
      copy_values();
    }
    copy_keys();
  }

  /// Warp: the keys of the next tile. They have arrived, and stay until the next call.
  ROPEWALK_DEVICE unsigned char* next_keys() noexcept {
    arrive();
    copy_values();
    return take();
  }

  /// Warp: the values of the same tile, as well. Its places may be forgotten.
  ROPEWALK_DEVICE unsigned char* next_values() noexcept {
    places_used_ = after(places_used_, Shared::kPlaces);
    arrive();
    copy_keys();
    return take();
  }

  /// Where the keys lie in the cache; negative where there is none.
  ROPEWALK_DEVICE const std::int64_t* places() const noexcept { return places(places_used_); }

 private:
  ROPEWALK_DEVICE static constexpr int after(int index, int count) noexcept {
    return index + 1 == count ? 0 : index + 1;
  }
  ROPEWALK_DEVICE int warp() const noexcept { return block_.thread() / kLanes; }
  ROPEWALK_DEVICE int lane() const noexcept { return block_.thread() % kLanes; }
  ROPEWALK_DEVICE unsigned char* slot(int index) const noexcept {
    return block_.shared() + (index * kDecodeWarps + warp()) * Shared::kHalfBytes;
  }
  ROPEWALK_DEVICE std::int64_t* places(int index) const noexcept {
    return reinterpret_cast<std::int64_t*>(block_.shared() + Shared::kPlacesAt) +
           (index * kDecodeWarps + warp()) * kDecodeWarpKeys;
  }

  /// Asks for the place of this lane's key of the tile to be copied next: the answer has until then.
  ROPEWALK_DEVICE void look_up() noexcept {
    ahead_ = {};
    if (walk_.left <= 0) return;
    const int key = walk_.run.at(walk_.tile) * kDecodeTileKeys + warp() * kDecodeWarpKeys +
                    lane() % kDecodeWarpKeys;
    if (key < walk_.run.keys) ahead_ = job_.pages.place(walk_.sequence, key);
  }

  /// A half has arrived, and the one before it is free.
  ROPEWALK_DEVICE void arrive() noexcept {
    block_.template wait<Shared::kSlots - 2>();
    block_.sync_warp();
  }
  ROPEWALK_DEVICE unsigned char* take() noexcept {
    unsigned char* half = slot(used_);
    used_ = after(used_, Shared::kSlots);
    return half;
  }

  ROPEWALK_DEVICE void copy_keys() noexcept {
    if (walk_.left > 0) {
      if (lane() < kDecodeWarpKeys) {
        const std::int64_t head = walk_.unit / job_.row_blocks;
        places(places_filled_)[lane()] = ahead_.page < 0 ? -1
                                                         : ahead_.page * job_.page_stride +
                                                               ahead_.offset * job_.token_stride +
                                                               head * job_.head_stride;
      }
      block_.sync_warp();
      copy(job_.k);
    }
    end_copy();
  }

  ROPEWALK_DEVICE void copy_values() noexcept {
    if (walk_.left > 0) {
      copy(job_.v);
      places_filled_ = after(places_filled_, Shared::kPlaces);
      walk_.advance(job_.line);
      look_up();
      block_.sync_warp();  // lanes parted over their pages; products follow
    }
    end_copy();
  }

  ROPEWALK_DEVICE void end_copy() noexcept {
    block_.commit();  // a group per half, empty or not, keeps the count of wait()
    filled_ = after(filled_, Shared::kSlots);
  }

  /// Neighbouring lanes copy neighbouring chunks; a lane's rows are swizzled in at most two ways, so
  /// that most of its addresses differ by constants.
  ROPEWALK_DEVICE void copy(const T* from) noexcept {
    constexpr int kChunks = kDim / kChunkElements;
    constexpr int kAcross = kChunks % 8 == 0 ? 8 : 4;  // lanes along a row
    constexpr int kDown = kLanes / kAcross;
    const int own = not_kept(lane());
    const int first_row = own / kAcross;
    const int first_chunk = own % kAcross;
    unsigned char* to = slot(filled_);
    const std::int64_t* places_of_rows = places(places_filled_) + first_row;
    ROPEWALK_UNROLL
    for (int down = 0; down < kDecodeWarpKeys; down += kDown) {
      const std::int64_t place = places_of_rows[down];
      const bool present = place >= 0;
      const T* row = from + (present ? place : 0) + first_chunk * kChunkElements;
      // The swizzle turns within kAcross chunks.
      unsigned char* to_row =
          to + Swizzle<kChunks>::at(first_row + down, first_chunk) * kChunkBytes;
      ROPEWALK_UNROLL
      for (int across = 0; across < kChunks; across += kAcross) {
        const bool valid = present && (first_chunk + across) * kChunkElements < job_.head_dim;
        block_.copy_chunk(to_row + across * kChunkBytes,
                          valid ? row + across * kChunkElements : from, valid);
      }
    }
  }

  Block& block_;
  const DecodeJob<T>& job_;
  DecodeWalk walk_;   // of what is copied next
  CachePlace ahead_;  // of this lane's key there
  int filled_ = 0;    // slot that is copied to next
  int used_ = 0;      // slot that is used next
  int places_filled_ = 0;
  int places_used_ = 0;
};

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
