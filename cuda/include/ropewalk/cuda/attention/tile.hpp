// Tiles of rows in shared memory: how they are copied there and how a warp reads its operands from
// them. Bodies over a Block.
//
// A tile has kRows rows of kDim elements of 16 bits, padded with zeros beyond the rows and the
// head_dim that there are, its chunks placed by Swizzle. It begins at a multiple of 128 bytes.
#pragma once

#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/fragment.hpp>
#include <ropewalk/cuda/swizzle.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// The value, of which the compiler is not told that it is the same each time: what follows from it is
/// computed where it is needed. Addresses kept over a loop are registers that the products lack.
ROPEWALK_DEVICE int not_kept(int value) noexcept {
#ifdef __CUDA_ARCH__
  asm volatile("" : "+r"(value));
#endif
  return value;
}

/// The number of the thread, read anew: not even that is kept.
template <typename Block>
ROPEWALK_DEVICE int thread_now(Block& block) noexcept {
#ifdef __CUDA_ARCH__
  int thread;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return thread;
#else
  return block.thread();
#endif
}

/// How `kThreads` threads share the chunks of a tile. Neighbouring threads copy neighbouring chunks,
/// and a thread's rows are so far apart that they are swizzled alike.
template <int kRows, int kDim, int kThreads = 128>
struct TileCopy {
  static constexpr int kChunks = kDim / kChunkElements;
  static constexpr int kAcross = kChunks % 8 == 0 ? 8 : 4;  // threads along a row
  static constexpr int kDown = kThreads / kAcross;
  static constexpr int kBytes = kRows * kDim * 2;
  static_assert(kThreads % kAcross == 0 && kDown % 8 == 0 && kRows % kDown == 0,
                "the threads take whole rows, swizzled alike");

  /// Block: starts to copy; commit() and wait() are the caller's.
  ///   from         first row of the tile, aligned to 16 bytes
  ///   row_stride   elements, divisible by 8
  ///   rows         there are of the tile's; any number
  ///   head_dim     there are of kDim, divisible by 8
  template <typename Block, typename T>
  ROPEWALK_DEVICE static void start(Block& block, unsigned char* tile, const T* from,
                                    std::int64_t row_stride, int rows, int head_dim) noexcept {
    static_assert(sizeof(T) == 2, "tiles are of 16-bit elements");
    const int thread = thread_now(block);
    const int row = thread / kAcross;
    const int chunk = thread % kAcross;
    unsigned char* to = tile + Swizzle<kChunks>::at(row, chunk) * kChunkBytes;
    const T* address = from + row * row_stride + chunk * kChunkElements;
    ROPEWALK_UNROLL
    for (int down = 0; down < kRows; down += kDown) {
      ROPEWALK_UNROLL
      for (int across = 0; across < kChunks; across += kAcross) {
        const bool valid = row + down < rows && (chunk + across) * kChunkElements < head_dim;
        block.copy_chunk(to + (down * kChunks + across) * kChunkBytes,
                         valid ? address + across * kChunkElements : from, valid);
      }
      address += kDown * row_stride;
    }
  }
};

/// Where a lane's row of 8 elements lies within a tile, for ldmatrix.
template <int kDim>
class FragmentRows {
 public:
  /// `row` as left_rows(), right_rows() or right_rows_transposed() tell.
  ROPEWALK_HOST_DEVICE explicit constexpr FragmentRows(MatrixRow row) noexcept
      : row_(row.row * kChunks * kChunkBytes),
        column_(Places::at(row.row, row.chunk) - row.row * kChunks) {}

  /// Bytes from the tile's beginning to the lane's row of the fragment that begins at `row`, a
  /// multiple of 16, and column 16 `pair`.
  ROPEWALK_HOST_DEVICE constexpr int at(int row, int pair) const noexcept {
    // A lane's own chunk, 0 or 1, and its row's turn within kTurn: neither touches the rest.
    const int chunk = 2 * pair;
    return row_ + row * kChunks * kChunkBytes +
           ((column_ ^ (chunk % kTurn)) + (chunk - chunk % kTurn)) * kChunkBytes;
  }

 private:
  static constexpr int kChunks = kDim / kChunkElements;
  static constexpr int kTurn = kChunks % 8 == 0 ? 8 : 4;  // chunks that Swizzle permutes
  using Places = Swizzle<kChunks>;

  int row_;
  int column_;
};

/// Whether FragmentRows names what Swizzle says, for every lane and fragment of 64 rows.
template <int kDim>
constexpr bool fragment_rows_are_swizzled() noexcept {
  for (int lane = 0; lane < kLanes; ++lane) {
    const MatrixRow maps[3] = {left_rows(lane), right_rows(lane), right_rows_transposed(lane)};
    for (const MatrixRow& map : maps) {
      const FragmentRows<kDim> rows(map);
      for (int row = 0; row < 64; row += kProductRows) {
        for (int pair = 0; pair < kDim / kProductDepth; ++pair) {
          const int place = Swizzle<kDim / 8>::at(row + map.row, 2 * pair + map.chunk);
          if (rows.at(row, pair) != place * kChunkBytes) return false;
        }
      }
    }
  }
  return true;
}

static_assert(fragment_rows_are_swizzled<64>() && fragment_rows_are_swizzled<96>(),
              "fragments are read where tiles are written");
static_assert(fragment_rows_are_swizzled<128>() && fragment_rows_are_swizzled<256>(),
              "fragments are read where tiles are written");

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
