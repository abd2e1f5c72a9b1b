// Which block of threads computes which rows, and which keys it walks over. Host and device.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/mask.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// Tokens of one sequence.
struct SequenceSizes {
  std::int64_t first_query = 0;  // row of the statistics; packed: token of q as well
  std::int64_t first_key = 0;    // packed: token of k and v; else 0
  std::int32_t queries = 0;
  std::int32_t keys = 0;
  std::int64_t position = 0;  // of the first query, where key 0 stands at 0
};

/// Where the sequences of a batch lie: the device arrays of AttentionParams and the sizes they are
/// cut to. Packed starts are taken as they are.
struct SequenceMap {
  const std::int32_t* query_starts = nullptr;
  const std::int32_t* key_starts = nullptr;
  const std::int32_t* key_counts = nullptr;
  const std::int32_t* query_positions = nullptr;
  std::int32_t queries = 0;
  std::int32_t keys = 0;

  ROPEWALK_HOST_DEVICE SequenceSizes sizes(int sequence) const noexcept {
    SequenceSizes result;
    result.first_query = std::int64_t{sequence} * queries;
    result.queries = queries;
    result.keys = keys;
    if (query_starts != nullptr) {
      result.first_query = query_starts[sequence];
      result.queries = bounded(query_starts[sequence + 1] - result.first_query, queries);
    }
    if (key_starts != nullptr) {
      result.first_key = key_starts[sequence];
      result.keys = bounded(key_starts[sequence + 1] - result.first_key, keys);
    }
    if (key_counts != nullptr) result.keys = bounded(key_counts[sequence], result.keys);
    result.position = query_positions != nullptr ? std::int64_t{query_positions[sequence]}
                                                 : std::int64_t{result.keys} - result.queries;
    return result;
  }

 private:
  ROPEWALK_HOST_DEVICE static std::int32_t bounded(std::int64_t count, std::int32_t most) noexcept {
    return static_cast<std::int32_t>(count < 0 ? 0 : count < most ? count : most);
  }
};

template <typename T>
ROPEWALK_HIDDEN SequenceMap sequence_map(const AttentionParams<T>& params) noexcept {
  return {params.query_starts,    params.key_starts,    params.key_counts,
          params.query_positions, params.shape.queries, params.shape.keys};
}

/// A tile of rows of one head of one sequence.
struct RowTile {
  std::int32_t tile = 0;
  std::int32_t head = 0;
  std::int32_t sequence = 0;
};

/// The order of the row tiles of a launch. The heads of a group, which read the same keys, are
/// neighbours. Within a section, so many (sequence, kv head) that their keys and values stay in the
/// cache all may read, the last rows come first: under a causal mask they are the heaviest, and
/// what is light fills the gaps at the end.
struct TileOrder {
  std::int32_t row_tiles = 0;  // of the longest sequence
  std::int32_t group = 1;      // heads of a kv head
  std::int32_t kv_heads = 0;
  std::int32_t sequences = 0;
  std::int32_t section = 1;  // (sequence, kv head) of a section

  ROPEWALK_HOST_DEVICE constexpr std::int64_t size() const noexcept {
    return std::int64_t{row_tiles} * group * kv_heads * sequences;
  }

  /// 0 <= index < size().
  ROPEWALK_HOST_DEVICE constexpr RowTile at(std::int64_t index) const noexcept {
    const std::int64_t units = std::int64_t{kv_heads} * sequences;
    const std::int64_t section_tiles = std::int64_t{section} * group * row_tiles;
    const std::int64_t before = index / section_tiles * section;  // units
    const std::int64_t rest = index % section_tiles;
    const std::int64_t wide = ropewalk::detail::smaller(section, units - before) * group;
    const std::int64_t tile = rest / wide;
    const std::int64_t within = rest % wide;
    const std::int64_t unit = before + within / group;
    return {static_cast<std::int32_t>(row_tiles - 1 - tile),
            static_cast<std::int32_t>(unit % kv_heads * group + within % group),
            static_cast<std::int32_t>(unit / kv_heads)};
  }
};

/// The order for rows in tiles of `rows`.
///   cached_bytes   of keys and values that may be in use at once
ROPEWALK_HIDDEN inline TileOrder tile_order(const AttentionShape& shape, int rows,
                                            std::int64_t cached_bytes = std::int64_t{24}
                                                                        << 20) noexcept {
  TileOrder order;
  order.row_tiles = shape.queries / rows + (shape.queries % rows != 0);
  order.group = shape.heads / shape.kv_heads;
  order.kv_heads = shape.kv_heads;
  order.sequences = shape.sequences;
  const std::int64_t bytes = std::int64_t{shape.keys} * shape.head_dim * 4;
  const std::int64_t units = std::int64_t{shape.kv_heads} * shape.sequences;
  std::int64_t section = bytes == 0 ? units : cached_bytes / bytes;
  section = ropewalk::detail::larger(1, ropewalk::detail::smaller(section, units));
  order.section = static_cast<std::int32_t>(section);
  return order;
}

/// Blocks of keys that some row of a tile sees: 0 .. first_end - 1 and band_first .. band_end - 1, of
/// which those that all rows see whole need no mask: 0 .. full_first_end - 1 and full_band_first ..
/// full_band_end - 1.
struct KeyBlocks {
  std::int32_t first_end = 0;
  std::int32_t band_first = 0;  // >= first_end
  std::int32_t band_end = 0;    // >= band_first
  std::int32_t full_first_end = 0;
  std::int32_t full_band_first = 0;
  std::int32_t full_band_end = 0;

  ROPEWALK_HOST_DEVICE constexpr int count() const noexcept {
    return first_end + (band_end - band_first);
  }
  /// The blocks in the order of the walk, 0 <= index < count(): from the last to the first.
  ROPEWALK_HOST_DEVICE constexpr int at(int index) const noexcept {
    const int band = band_end - band_first;
    return index < band ? band_end - 1 - index : first_end - 1 - (index - band);
  }
  ROPEWALK_HOST_DEVICE constexpr bool is_full(int block) const noexcept {
    return block < full_first_end || (block >= full_band_first && block < full_band_end);
  }
};

/// The blocks of `kKeys` keys for queries first_position .. last_position (both included) of a
/// sequence of `keys` keys.
template <int kKeys>
ROPEWALK_HOST_DEVICE constexpr KeyBlocks key_blocks(const AttentionMask& mask,
                                                    std::int64_t first_position,
                                                    std::int64_t last_position,
                                                    std::int32_t keys) noexcept {
  const auto within = [keys](std::int64_t key) {
    return static_cast<std::int32_t>(
        ropewalk::detail::larger(0, ropewalk::detail::smaller(key, keys)));
  };
  const KeyRange all{0, keys};
  // Every query lies in its own band, which neither end leaves backwards as the query advances: the
  // bands of neighbours join, and the first and the last one bound their union and what all share.
  AttentionMask band_only = mask;
  band_only.first_keys = 0;
  const KeyRange everything{ropewalk::detail::kLowestInt64, ropewalk::detail::kLargestInt64};
  const KeyRange first_band = band_only.keys(first_position, everything).band;
  const KeyRange last_band = band_only.keys(last_position, everything).band;
  const std::int32_t shared_first_keys = within(mask.keys(first_position, all).first_keys.end);
  const std::int32_t first_keys = within(mask.keys(last_position, all).first_keys.end);
  const std::int32_t low = within(first_band.first);
  const std::int32_t high = within(last_band.end);

  KeyBlocks blocks;
  blocks.first_end = first_keys / kKeys + (first_keys % kKeys != 0);
  blocks.band_first = low / kKeys;
  blocks.band_end = high / kKeys + (high % kKeys != 0);
  if (low >= high) blocks.band_first = blocks.band_end = blocks.first_end;
  if (blocks.band_first < blocks.first_end) blocks.band_first = blocks.first_end;
  if (blocks.band_end < blocks.band_first) blocks.band_end = blocks.band_first;

  const std::int32_t shared_low = within(last_band.first);
  const std::int32_t shared_high = within(first_band.end);
  blocks.full_first_end = shared_first_keys / kKeys;
  blocks.full_band_first =
      shared_low <= shared_first_keys ? 0 : shared_low / kKeys + (shared_low % kKeys != 0);
  // The last keys fill no block unless they end with it.
  blocks.full_band_end = shared_high / kKeys;
  return blocks;
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
