#include <ropewalk/cuda/attention/schedule.hpp>
#include <ropewalk/cuda/decode/ranges.hpp>
#include <ropewalk/cuda/decode/shared.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
namespace cd = rw::cuda::detail;

namespace {

rw::AttentionMask random_mask(Random& random) {
  rw::AttentionMask mask;
  mask.causal = random.one_in(2);
  if (random.one_in(2)) mask.window = random.length(1, 400);
  if (random.one_in(2)) mask.first_keys = random.length(1, 200);
  if (random.one_in(3)) mask.chunk = random.length(1, 300);
  return mask;
}

/// Random lengths, 0 among them, and what the kernels are told of them.
struct Sequences {
  std::vector<std::int32_t> counts;
  cd::DecodeLine line;

  explicit Sequences(Random& random) {
    const std::int64_t sequences = random.length(1, 40);
    const bool longer = random.one_in(4);
    for (std::int64_t i = 0; i < sequences; ++i) {
      const bool none = random.one_in(4);
      counts.push_back(none ? 0 : static_cast<std::int32_t>(random.length(1, longer ? 5000 : 300)));
    }
    if (random.one_in(5)) counts[0] = -3;  // as good as none
    line.key_counts = counts.data();
    line.sequences = static_cast<std::int32_t>(sequences);
    line.most_keys = random.one_in(5) ? 100 : 0x7fffffff;
    line.queries = static_cast<std::int32_t>(random.length(1, 8));
    line.units = static_cast<std::int32_t>(random.length(1, 9));
    line.mask = random_mask(random);
  }

  std::int64_t tiles() const {
    std::int64_t all = 0;
    for (int i = 0; i < line.sequences; ++i) all += line.length(i);
    return all;
  }
};

/// Every tile of the line, one after the other, the slow way.
std::vector<std::tuple<int, int, int>> all_tiles(const cd::DecodeLine& line) {
  std::vector<std::tuple<int, int, int>> tiles;
  for (int sequence = 0; sequence < line.sequences; ++sequence) {
    const cd::TileRun run = line.run(sequence);
    for (int unit = 0; unit < line.units; ++unit) {
      for (int i = 0; i < run.count; ++i) tiles.emplace_back(sequence, unit, run.at(i));
    }
  }
  return tiles;
}

/// What a block finds first, the slow way.
cd::DecodeWalk walk_of(const cd::DecodeLine& line, const cd::TileShares& shares, int block) {
  const std::int64_t begin = shares.begin(block);
  const std::int64_t size = shares.begin(block + 1) - begin;
  std::int64_t before = 0;
  int sequence = 0;
  while (size > 0 && begin - before >= line.length(sequence)) before += line.length(sequence++);
  cd::DecodeWalk walk;
  walk.begin(line, sequence, begin - before, static_cast<std::int32_t>(size));
  return walk;
}

}  // namespace

TEST_CASE("the tiles of a unit are those that some query sees") {
  Random random("decode tiles");
  std::int64_t wrong = 0;
  std::int64_t needless = 0;
  for (int round = 0; round < 4000; ++round) {
    rw::AttentionMask mask = random_mask(random);
    const auto keys = static_cast<std::int32_t>(random.integer(0, 700));
    const auto queries = static_cast<std::int32_t>(random.integer(1, 20));
    cd::DecodeLine line{&keys, 1, 0x7fffffff, queries, 1, mask};
    const cd::TileRun run = line.run(0);
    std::set<int> visited;
    for (int i = 0; i < run.count; ++i) visited.insert(run.at(i));
    wrong += visited.size() != static_cast<std::size_t>(run.count);  // none twice
    std::set<int> seen;
    for (int query = 0; query < queries; ++query) {
      const rw::VisibleKeys visible = mask.keys(std::int64_t{keys} - queries + query, {0, keys});
      for (std::int32_t key = 0; key < keys; ++key) {
        if (visible.contains(key)) seen.insert(key / cd::kDecodeTileKeys);
      }
    }
    for (const int tile : seen) wrong += visited.count(tile) == 0;
    for (const int tile : visited) {
      // Between the bands of queries before the first key and after it nothing is seen: one that
      // stands before all keys widens the band to them.
      needless += keys >= queries && seen.count(tile) == 0;
    }
    const cd::KeyBlocks blocks = cd::key_blocks<cd::kDecodeTileKeys>(
        mask, std::int64_t{keys} - queries, std::int64_t{keys} - 1, keys);
    std::set<int> same;
    for (int i = 0; i < blocks.count(); ++i) same.insert(blocks.at(i));
    wrong += same != visited;
  }
  CHECK(wrong == 0);
  CHECK(needless == 0);
}

TEST_CASE("shares are equal, follow one another and know each tile's block") {
  for (std::int64_t tiles = 0; tiles <= 130; ++tiles) {
    for (std::int32_t blocks = 1; blocks <= 40; ++blocks) {
      const cd::TileShares shares = cd::tile_shares(tiles, blocks);
      std::int64_t wrong = shares.begin(0) != 0 || shares.begin(blocks) != tiles;
      for (std::int32_t block = 0; block < blocks; ++block) {
        const std::int64_t begin = shares.begin(block);
        const std::int64_t end = shares.begin(block + 1);
        const std::int64_t least = block < shares.blocks ? tiles / shares.blocks : 0;
        wrong += end - begin < least || end - begin > least + (block < shares.blocks);
        wrong += block < shares.blocks && end == begin;
        for (std::int64_t tile = begin; tile < end; ++tile) wrong += shares.of(tile) != block;
      }
      REQUIRE(wrong == 0);
    }
  }
  // As large as is let in: tiles * blocks just below 2^62.
  const std::int64_t tiles = (std::int64_t{1} << 46) - 1;
  const cd::TileShares shares = cd::tile_shares(tiles, 65536);
  CHECK(shares.begin(65535) == (std::int64_t{1} << 46) - (1 << 30) - 1);
  CHECK(shares.of(shares.begin(4711)) == 4711);
  CHECK(shares.of(shares.begin(4711) - 1) == 4710);
  CHECK(shares.of(tiles - 1) == 65535);
}

TEST_CASE("blocks walk over every tile once, in order, and split units merge from their records") {
  Random random("decode walks");
  for (int round = 0; round < 600; ++round) {
    const Sequences sequences(random);
    const cd::DecodeLine& line = sequences.line;
    const auto expected = all_tiles(line);
    const auto blocks = static_cast<std::int32_t>(random.length(1, 64));
    const cd::TileShares shares = cd::tile_shares(sequences.tiles(), blocks);
    REQUIRE(expected.size() == static_cast<std::size_t>(shares.tiles));
    std::size_t at = 0;
    int wrong = 0;
    // Records as the kernels place them: which unit, and how many tiles.
    struct Record {
      std::pair<int, int> unit;
      int tiles = 0;
    };
    std::map<std::int64_t, Record> records;
    std::map<std::pair<int, int>, std::pair<int, int>> split;  // unit: its blocks
    std::map<std::pair<int, int>, int> complete;
    for (std::int32_t block = 0; block < blocks; ++block) {
      cd::DecodeWalk walk = walk_of(line, shares, block);
      int partial = 0;
      while (walk.left > 0) {
        const std::pair<int, int> unit{walk.sequence, walk.unit};
        const int rest = walk.run.count - walk.tile;
        const bool begins = walk.tile == 0;
        const bool ends = walk.left >= rest;
        const int tiles = ends ? rest : walk.left;
        for (int i = 0; i < tiles; ++i) {
          wrong += at >= expected.size() ||
                   expected[at] != std::tuple(walk.sequence, walk.unit, walk.run.at(walk.tile));
          ++at;
          if (i + 1 < tiles) walk.advance(line);
        }
        if (begins && !ends) {
          const std::int64_t last = shares.begin(block + 1) + (walk.run.count - walk.tile) - 2;
          split[unit] = {block, shares.of(last)};
        }
        if (begins && ends) {
          ++complete[unit];
        } else {
          ++partial;
          wrong += !records.emplace(cd::partial_record(block, begins), Record{unit, tiles}).second;
        }
        walk.advance(line);
      }
      wrong += partial > 2;
    }
    REQUIRE(at == expected.size());
    REQUIRE(wrong == 0);
    // What the merge reads are the segments of the unit, all of them, and no record is left over.
    std::size_t merged = 0;
    for (const auto& [unit, range] : split) {
      int tiles = 0;
      for (int block = range.first; block <= range.second; ++block) {
        const auto record = records.find(cd::partial_record(block, block == range.first));
        wrong += record == records.end() || record->second.unit != unit;
        if (record != records.end()) tiles += record->second.tiles;
        ++merged;
      }
      wrong += tiles != line.run(unit.first).count;
      wrong += complete.count(unit) != 0;
    }
    wrong += merged != records.size();
    int units = 0;
    for (int sequence = 0; sequence < line.sequences; ++sequence) {
      units += line.run(sequence).count != 0 ? line.units : 0;
    }
    wrong += split.size() + complete.size() != static_cast<std::size_t>(units);
    CHECK(wrong == 0);
  }
}

TEST_CASE("blocks fit every card and fill large ones") {
  CHECK(cd::DecodeShared<64>::kBytes <= 99 * 1024);
  CHECK(cd::DecodeShared<256>::kBytes <= 99 * 1024);
  constexpr int hopper = 228 * 1024;
  CHECK(cd::decode_blocks(132, hopper, 128) == 264);
  CHECK(cd::decode_blocks(132, hopper, 256) == 264);
  CHECK(cd::decode_blocks(132, hopper, 40) == 396);
  CHECK(cd::decode_blocks(84, 100 * 1024, 128) == 84);
  CHECK(cd::decode_blocks(1 << 20, hopper, 64) == rw::cuda::kMaximumDecodeBlocks);
}
