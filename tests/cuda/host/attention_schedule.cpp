#include <ropewalk/cuda/attention/schedule.hpp>

#include "support/attention_reference.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
namespace cd = rw::cuda::detail;

namespace {

rw::cuda::AttentionShape shape_of(int sequences, int queries, int keys, int kv_heads, int group) {
  rw::cuda::AttentionShape shape;
  shape.sequences = sequences;
  shape.queries = queries;
  shape.keys = keys;
  shape.kv_heads = kv_heads;
  shape.heads = kv_heads * group;
  shape.head_dim = 64;
  return shape;
}

/// What key_blocks() must say, from the definition: each query asked of each key.
template <int kKeys>
struct BruteForce {
  std::vector<bool> any, all;

  BruteForce(const rw::AttentionMask& mask, std::int64_t first, std::int64_t last, int keys) {
    const int blocks = (keys + kKeys - 1) / kKeys;
    for (int block = 0; block < blocks; ++block) {
      bool some = false;
      bool whole = (block + 1) * kKeys <= keys;
      for (int key = block * kKeys; key < (std::min)(keys, (block + 1) * kKeys); ++key) {
        for (std::int64_t query = first; query <= last; ++query) {
          const bool seen = sees(mask, query, key);
          some = some || seen;
          whole = whole && seen;
        }
      }
      any.push_back(some);
      all.push_back(whole);
    }
  }
};

template <int kKeys>
void check_blocks(const char* stream, int problems) {
  Random random(stream);
  std::int64_t visited_blocks = 0, full_blocks = 0, skipped_blocks = 0;
  for (int i = 0; i < problems; ++i) {
    const int keys =
        static_cast<int>(random.one_in(8) ? random.integer(0, 3) : random.length(1, 500));
    const std::int64_t first =
        random.one_in(4) ? random.integer(-40, keys + 40) : random.integer(0, (std::max)(1, keys));
    const std::int64_t last = first + (random.one_in(3) ? 0 : random.integer(0, 130));
    rw::AttentionMask mask;
    mask.causal = random.one_in(2);
    if (random.one_in(2)) mask.window = random.length(1, 300);
    if (random.one_in(2)) mask.first_keys = random.length(1, 300);
    if (random.one_in(3)) mask.chunk = random.length(1, 300);
    const cd::KeyBlocks blocks = cd::key_blocks<kKeys>(mask, first, last, keys);
    const BruteForce<kKeys> exact(mask, first, last, keys);
    std::vector<int> visits(exact.any.size());
    int above = 1 << 30;
    bool sound = true;
    for (int index = 0; index < blocks.count(); ++index) {
      const int block = blocks.at(index);
      sound = sound && block >= 0 && block < static_cast<int>(visits.size()) && block < above;
      if (!sound) break;
      above = block;
      ++visits[static_cast<std::size_t>(block)];
    }
    for (std::size_t block = 0; sound && block < visits.size(); ++block) {
      sound = visits[block] == (exact.any[block] ? 1 : 0);
      if (visits[block] == 0) {
        ++skipped_blocks;
        continue;
      }
      sound = sound && blocks.is_full(static_cast<int>(block)) == exact.all[block];
      ++visited_blocks;
      full_blocks += exact.all[block];
    }
    CAPTURE(i, keys, first, last, mask.causal, mask.window, mask.first_keys, mask.chunk,
            seed_text());
    REQUIRE(sound);
  }
  CHECK(visited_blocks > problems);
  CHECK(full_blocks > problems / 10);
  CHECK(skipped_blocks > problems / 10);
}

}  // namespace

TEST_CASE("every tile of rows of every head of every sequence has one place in the order") {
  for (const int sequences : {1, 2, 5}) {
    for (const int queries : {1, 128, 129, 700}) {
      for (const int kv_heads : {1, 3}) {
        for (const int group : {1, 4}) {
          const rw::cuda::AttentionShape shape =
              shape_of(sequences, queries, 1000, kv_heads, group);
          for (const std::int64_t bytes : {1, 256000, 600000, 1000000000}) {
            const cd::TileOrder order = cd::tile_order(shape, 128, bytes);
            std::vector<std::tuple<int, int, int>> tiles;
            for (std::int64_t index = 0; index < order.size(); ++index) {
              const cd::RowTile tile = order.at(index);
              REQUIRE((tile.tile >= 0 && tile.tile < (queries + 127) / 128));
              REQUIRE((tile.head >= 0 && tile.head < shape.heads));
              REQUIRE((tile.sequence >= 0 && tile.sequence < sequences));
              tiles.emplace_back(tile.tile, tile.head, tile.sequence);
            }
            std::sort(tiles.begin(), tiles.end());
            CHECK(std::unique(tiles.begin(), tiles.end()) == tiles.end());
            CHECK(tiles.size() ==
                  static_cast<std::size_t>((queries + 127) / 128 * shape.heads * sequences));
          }
        }
      }
    }
  }
}

TEST_CASE("heads of a group are neighbours, and within a section the last rows come first") {
  const rw::cuda::AttentionShape shape = shape_of(2, 1024, 1000, 4, 8);
  // Keys and values of a head: 1000 x 64 x 2 x 2 bytes; three of them at once.
  const cd::TileOrder order = cd::tile_order(shape, 128, 3 * 256000);
  REQUIRE(order.section == 3);
  for (std::int64_t index = 0; index < order.size(); ++index) {
    const cd::RowTile tile = order.at(index);
    if (index % 8 != 0) {
      const cd::RowTile before = order.at(index - 1);
      CHECK(before.head == tile.head - 1);
      CHECK(before.tile == tile.tile);
      CHECK(before.sequence == tile.sequence);
    }
    // 8 kv heads in sections of 3, 3 and 2.
    const std::int64_t section = index / (3 * 8 * 8);
    const std::int64_t wide = section == 2 ? 2 : 3;
    CHECK(tile.tile == 7 - index % (3 * 8 * 8) / (wide * 8));
    CHECK((tile.sequence * 4 + tile.head / 8) / 3 == section);
  }
}

TEST_CASE("sizes beyond int32 and no size at all are counted") {
  cd::TileOrder order = cd::tile_order(shape_of(70000, 2147483647, 2147483647, 8, 8), 64);
  CHECK(order.size() == std::int64_t{33554432} * 64 * 70000);
  const cd::RowTile last = order.at(order.size() - 1);
  CHECK((last.tile == 0 && last.head == 63 && last.sequence == 69999));
  CHECK(cd::tile_order(shape_of(1, 0, 5, 1, 1), 64).size() == 0);
  CHECK(cd::tile_order(shape_of(0, 5, 5, 1, 1), 64).size() == 0);
  CHECK(cd::tile_order(shape_of(1, 5, 0, 1, 1), 64).size() == 1);
}

TEST_CASE("blocks visited are those of which some row sees a key, full ones those all rows see") {
  check_blocks<64>("blocks of 64", 4000);
  check_blocks<48>("blocks of 48", 4000);
  check_blocks<8>("blocks of 8", 2000);
}

TEST_CASE("blocks of positions far from the keys are none, and causal ones stop at the row") {
  const rw::AttentionMask causal;
  CHECK(cd::key_blocks<64>(causal, -100, -1, 640).count() == 0);
  CHECK(cd::key_blocks<64>(causal, 0, 127, 640).count() == 2);
  CHECK(cd::key_blocks<64>(causal, 2000000000, 2000000127, 640).count() == 10);
  rw::AttentionMask window;
  window.window = 128;
  CHECK(cd::key_blocks<64>(window, 2000000000, 2000000127, 640).count() == 0);
  rw::AttentionMask all;
  all.causal = false;
  const cd::KeyBlocks blocks = cd::key_blocks<64>(all, -2000000000, -2000000000, 100);
  CHECK(blocks.count() == 2);
  CHECK(blocks.is_full(0));
  CHECK_FALSE(blocks.is_full(1));
}

TEST_CASE("what lies on the device is cut to the shape") {
  const std::int32_t starts[3] = {5, 15, 12};
  const std::int32_t counts[2] = {-3, 99};
  cd::SequenceMap map;
  map.queries = 8;
  map.keys = 20;
  map.query_starts = starts;
  map.key_counts = counts;
  const cd::SequenceSizes first = map.sizes(0);
  CHECK((first.first_query == 5 && first.queries == 8 && first.keys == 0));
  CHECK(first.position == -8);
  const cd::SequenceSizes second = map.sizes(1);
  CHECK((second.queries == 0 && second.keys == 20 && second.first_key == 0));
}
