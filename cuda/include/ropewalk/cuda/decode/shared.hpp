// The sizes of a decoding's blocks. Host and device.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>
#include <ropewalk/cuda/decode/ranges.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/fragment.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {

inline constexpr int kMaximumDecodeBlocks = 65536;

namespace detail {

inline constexpr int kDecodeThreads = 128;
inline constexpr int kDecodeWarps = 4;
inline constexpr int kDecodeRows = kProductRows;  // of a unit
inline constexpr int kDecodeWarpKeys = kDecodeTileKeys / kDecodeWarps;
static_assert(kDecodeWarpKeys == kProductDepth, "a warp's keys are one product deep");

/// Shared memory of a block: at most the 99 KiB that every card from 8.0 on gives to one.
template <int kDim>
struct DecodeShared {
  // The registers of a lane hold outputs and queries of 128 columns; of 256, the outputs alone.
  static constexpr bool kSharesQueries = kDim > 128;
  static constexpr int kSlots = kDim <= 128 ? 6 : 2;  // of halves: all but one are under way
  static_assert(kSlots % 2 == 0, "keys go where keys were");
  static constexpr int kPlaces = kSlots / 2;  // tiles whose places are remembered
  static constexpr int kHalfBytes = kDecodeWarpKeys * kDim * 2;  // of a warp

  static constexpr int kQueriesAt = kSlots * kDecodeWarps * kHalfBytes;
  static constexpr int kPlacesAt = kQueriesAt + (kSharesQueries ? kDecodeRows * kDim * 2 : 0);
  static constexpr int kStepsAt = kPlacesAt + kPlaces * kDecodeWarps * kDecodeWarpKeys * 8;
  static constexpr int kShareAt = kStepsAt + kDim / 2 * 8;
  static constexpr int kBytes = kShareAt + 32;
  static_assert(kBytes <= 99 * 1024, "every card has so much");
  static_assert(kHalfBytes >= kDecodeThreads * 8, "counts of all threads fit where keys will");

  // At the end of a segment, in the place of a warp's last half tile: a quarter of the columns as
  // floats, then the sums of the rows; with the first warp, what they weigh.
  static constexpr int kSides = 4;
  static constexpr int kPartsAt = kDecodeRows * kDim / kSides * 4;
  static constexpr int kWeightsAt = kPartsAt + kDecodeRows * 16;
  static constexpr int kFactorsAt = kWeightsAt + kDecodeRows * 16;
  static_assert(kFactorsAt + kDecodeRows * 4 <= kHalfBytes, "all of it fits");

  /// Blocks of a processor that the registers are budgeted for.
  static constexpr int kResident = kDim <= 64 ? 3 : 2;
};

/// Calls `use(DecodeShared<dim>)` of the size that a head is computed as.
template <typename Use>
constexpr auto with_decode_shared(int padded_head_dim, Use&& use) noexcept {
  switch (padded_head_dim) {
    case 64:
      return use(DecodeShared<64>{});
    case 96:
      return use(DecodeShared<96>{});
    case 128:
      return use(DecodeShared<128>{});
    default:
      return use(DecodeShared<256>{});
  }
}

/// As many blocks as `processors` with so much shared memory each run at once.
ROPEWALK_HIDDEN inline int decode_blocks(int processors, int shared_bytes, int head_dim) noexcept {
  constexpr int system_bytes = 1024;  // of every block
  const int resident = with_decode_shared(padded_head_dim(head_dim), [&](auto shared) {
    const int fit = shared_bytes / (decltype(shared)::kBytes + system_bytes);
    return fit < decltype(shared)::kResident ? fit : decltype(shared)::kResident;
  });
  const std::int64_t blocks = std::int64_t{processors} * (resident < 1 ? 1 : resident);
  if (blocks < 1) return 1;
  return blocks < kMaximumDecodeBlocks ? static_cast<int>(blocks) : kMaximumDecodeBlocks;
}

/// The units of a sequence: blocks of kDecodeRows of the queries of a kv head, all kv heads.
ROPEWALK_HIDDEN inline std::int64_t decode_units(const AttentionShape& shape) noexcept {
  const std::int64_t rows = std::int64_t{shape.heads / shape.kv_heads} * shape.queries;
  return (rows + kDecodeRows - 1) / kDecodeRows * shape.kv_heads;
}

inline constexpr std::size_t kDecodeHeaderBytes = 16;

/// Where the records of segments begin, behind a header per block.
ROPEWALK_HIDDEN inline std::size_t decode_records_at(int blocks) noexcept {
  const std::size_t bytes = static_cast<std::size_t>(blocks) * kDecodeHeaderBytes;
  return (bytes + 255) / 256 * 256;
}

/// Floats of a record: outputs and sums of the rows of a unit.
ROPEWALK_HOST_DEVICE constexpr int decode_record_floats(int padded_head_dim) noexcept {
  return kDecodeRows * (padded_head_dim + 4);
}

/// Bytes for so many blocks.
ROPEWALK_HIDDEN inline std::size_t decode_workspace_bytes(const AttentionShape& shape,
                                                          int blocks) noexcept {
  const auto floats =
      static_cast<std::size_t>(decode_record_floats(padded_head_dim(shape.head_dim)));
  return decode_records_at(blocks) + 2 * static_cast<std::size_t>(blocks) * floats * sizeof(float);
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
