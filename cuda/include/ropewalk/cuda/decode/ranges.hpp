// Which tiles of keys each block of a decoding reads: all tiles of all sequences in one line, cut into
// equal shares. Host and device.
//
// A unit is what is computed as one: 16 rows of a sequence and kv head. Its tiles, 64 keys each, follow
// one another, then those of the next unit, then the next sequence. A share begins and ends anywhere,
// so a block meets at most one unit that others began and one that others end.
#pragma once

#include <ropewalk/mask.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

inline constexpr int kDecodeTileKeys = 64;

/// The tiles of a unit: 0 .. first_end - 1, then band_first .. to the last key.
struct TileRun {
  std::int32_t keys = 0;  // of the sequence
  std::int32_t count = 0;
  std::int32_t first_end = 0;
  std::int32_t band_first = 0;

  /// Number of tile `index`, 0 <= index < count: its first key is that times kDecodeTileKeys.
  ROPEWALK_HOST_DEVICE constexpr std::int32_t at(std::int32_t index) const noexcept {
    return index < first_end ? index : index - first_end + band_first;
  }
};

/// The line of tiles: sequences and what is common to them.
struct DecodeLine {
  const std::int32_t* key_counts = nullptr;  // (sequences,)
  std::int32_t sequences = 0;
  std::int32_t most_keys = 0;  // of a sequence
  std::int32_t queries = 0;    // of a sequence, the last one at the last key
  std::int32_t units = 0;      // of a sequence
  AttentionMask mask;

  ROPEWALK_HOST_DEVICE constexpr std::int32_t keys(int sequence) const noexcept {
    const std::int32_t count = key_counts[sequence];
    return count < 0 ? 0 : (count < most_keys ? count : most_keys);
  }

  /// The tiles that some query of a sequence sees. Those of key_blocks() in few registers: the last
  /// query sees the last key, so every band ends there, and the first one's begins first.
  ROPEWALK_HOST_DEVICE constexpr TileRun run(int sequence) const noexcept {
    TileRun run;
    run.keys = keys(sequence);
    const std::int32_t position = run.keys - queries;
    std::int32_t low = 0;
    if (mask.window < run.keys) {
      const std::int32_t first = position - static_cast<std::int32_t>(mask.window) + 1;
      low = low < first ? first : low;
    }
    if (mask.chunk < run.keys && position > 0) {
      const std::uint32_t chunk = static_cast<std::uint32_t>(mask.chunk);
      const auto first =
          static_cast<std::int32_t>(static_cast<std::uint32_t>(position) / chunk * chunk);
      low = low < first ? first : low;
    }
    const std::int32_t first_keys =
        mask.first_keys < run.keys ? static_cast<std::int32_t>(mask.first_keys) : run.keys;
    run.first_end = tiles_of(first_keys);
    run.band_first = low / kDecodeTileKeys;
    if (run.band_first < run.first_end) run.band_first = run.first_end;
    run.count = tiles_of(run.keys) - run.band_first + run.first_end;
    return run;
  }

  /// Tiles of a sequence, over all its units.
  ROPEWALK_HOST_DEVICE constexpr std::int64_t length(int sequence) const noexcept {
    return std::int64_t{units} * run(sequence).count;
  }

 private:
  ROPEWALK_HOST_DEVICE static constexpr std::int32_t tiles_of(std::int32_t keys) noexcept {
    return keys / kDecodeTileKeys + (keys % kDecodeTileKeys != 0 ? 1 : 0);
  }
};

/// Equal shares of a line. Blocks beyond `blocks` have none, the others at least one tile.
struct TileShares {
  std::int64_t tiles = 0;
  std::int32_t blocks = 0;

  ROPEWALK_HOST_DEVICE constexpr std::int64_t begin(std::int32_t block) const noexcept {
    return block < blocks ? block * tiles / blocks : tiles;
  }
  /// The block that reads a tile, 0 <= tile < tiles.
  ROPEWALK_HOST_DEVICE constexpr std::int32_t of(std::int64_t tile) const noexcept {
    return static_cast<std::int32_t>(((tile + 1) * blocks - 1) / tiles);
  }
};

/// Shares for at most `blocks` blocks; tiles * blocks is below 2^62.
ROPEWALK_HOST_DEVICE constexpr TileShares tile_shares(std::int64_t tiles,
                                                      std::int32_t blocks) noexcept {
  return {tiles, tiles < blocks ? static_cast<std::int32_t>(tiles) : blocks};
}

/// A place in the line, and the way on through a share.
struct DecodeWalk {
  std::int32_t left = 0;      // tiles of the share from here on
  std::int32_t sequence = 0;  // of the tile
  std::int32_t unit = 0;
  std::int32_t tile = 0;  // within the unit
  TileRun run;

  /// To the tile `distance` behind the first one of a sequence that has so many.
  ROPEWALK_HOST_DEVICE constexpr void begin(const DecodeLine& line, int first_sequence,
                                            std::int64_t distance, std::int32_t share) noexcept {
    left = share;
    if (left <= 0) return;
    enter(line, first_sequence);
    unit = static_cast<std::int32_t>(distance / run.count);
    tile = static_cast<std::int32_t>(distance % run.count);
  }

  /// To the next tile.
  ROPEWALK_HOST_DEVICE constexpr void advance(const DecodeLine& line) noexcept {
    --left;
    if (++tile < run.count) return;
    tile = 0;
    if (++unit < line.units) return;
    unit = 0;
    if (left > 0) enter(line, sequence + 1);
  }

 private:
  // One that has tiles comes, since tiles are left.
  ROPEWALK_HOST_DEVICE constexpr void enter(const DecodeLine& line, int from) noexcept {
    for (sequence = from; sequence < line.sequences; ++sequence) {
      run = line.run(sequence);
      if (run.count != 0) return;
    }
    left = 0;
  }
};

/// Where a segment that is not a whole unit is kept: one of two records of its block.
ROPEWALK_HOST_DEVICE constexpr std::int64_t partial_record(std::int32_t block,
                                                           bool begins_unit) noexcept {
  return 2 * std::int64_t{block} + (begins_unit ? 1 : 0);
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
