// Where chunks of 16 bytes lie in shared memory, so that neither the copies that write rows nor the
// ldmatrix that reads the same chunk of 8 rows meets a bank twice. Host and device.
#pragma once

#include <ropewalk/config.hpp>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

inline constexpr int kBankGroups = 8;  // of 16 bytes: what memory serves at once

/// A tile of rows of `kChunks` chunks each.
///   kChunks      a multiple of 8, or of 4
template <int kChunks>
struct Swizzle {
  static_assert(kChunks > 0 && kChunks % 4 == 0, "rows are multiples of 64 bytes");

  /// Number of a chunk from the tile's beginning.
  ROPEWALK_HOST_DEVICE static constexpr int at(int row, int chunk) noexcept {
    // With half as many chunks as bank groups beyond whole ones, two rows share a turn.
    return row * kChunks + (chunk ^ (kChunks % kBankGroups == 0 ? row % 8 : row / 2 % 4));
  }
};

/// Every chunk of `kRows` rows has a place of its own, within its row.
template <int kChunks, int kRows = 16>
constexpr bool swizzle_is_bijective() noexcept {
  for (int row = 0; row < kRows; ++row) {
    bool taken[static_cast<unsigned>(kChunks)] = {};
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const int place = Swizzle<kChunks>::at(row, chunk) - row * kChunks;
      if (place < 0 || place >= kChunks || taken[place]) return false;
      taken[place] = true;
    }
  }
  return true;
}

/// ldmatrix, 8 rows below one another, takes every bank group once.
template <int kChunks>
constexpr bool swizzle_reads_without_conflict() noexcept {
  for (int first = 0; first < 16; first += 8) {
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      unsigned groups = 0;
      for (int row = first; row < first + 8; ++row) {
        groups |= 1u << Swizzle<kChunks>::at(row, chunk) % kBankGroups;
      }
      if (groups != 0xffu) return false;
    }
  }
  return true;
}

/// 8 neighbouring chunks of a copy, which goes along rows, take every bank group once.
template <int kChunks>
constexpr bool swizzle_writes_without_conflict() noexcept {
  for (int start = 0; start < 16 * kChunks; start += 8) {
    unsigned groups = 0;
    for (int i = start; i < start + 8; ++i) {
      groups |= 1u << Swizzle<kChunks>::at(i / kChunks, i % kChunks) % kBankGroups;
    }
    if (groups != 0xffu) return false;
  }
  return true;
}

template <int kChunks>
constexpr bool swizzle_is_sound() noexcept {
  return swizzle_is_bijective<kChunks>() && swizzle_reads_without_conflict<kChunks>() &&
         swizzle_writes_without_conflict<kChunks>();
}

static_assert(swizzle_is_sound<8>(), "head_dim 64");
static_assert(swizzle_is_sound<12>(), "head_dim 96");
static_assert(swizzle_is_sound<16>(), "head_dim 128");
static_assert(swizzle_is_sound<32>(), "head_dim 256");

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
