#include <ropewalk/cuda/kv_cache.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr std::int64_t kLowest = -0x7fffffffffffffff - 1, kHighest = 0x7fffffffffffffff;

bool is_at(rw::cuda::detail::CachePlace place, std::int64_t page, std::int32_t offset) {
  return place.page == page && place.offset == offset;
}

}  // namespace

TEST_CASE("a token's place is where the table says, and nowhere for what is out of range") {
  std::vector<float> memory(192);
  const std::int32_t table[6] = {3, 0, -1, 2, 4, 1};  // 4 is no page
  const rw::cuda::KvCache<float> cache{
      memory.data(), memory.data() + 96, 4, 3, 24, 8, 8, table, 2, 3};
  REQUIRE(rw::cuda::validate(cache, 1, 8).code == rw::Errc::ok);
  CHECK(cache.all_sequences() == 2);
  CHECK(cache.tokens_per_sequence() == 9);
  const auto map = rw::cuda::detail::page_map(cache);
  for (std::int64_t sequence = 0; sequence < 2; ++sequence) {
    for (std::int64_t position = 0; position < 9; ++position) {
      INFO(sequence << " " << position);
      const std::int32_t page = table[sequence * 3 + position / 3];
      const auto place = map.place(sequence, position);
      if (page < 0 || page > 3) {
        CHECK(place.page < 0);
      } else {
        CHECK(is_at(place, page, static_cast<std::int32_t>(position % 3)));
      }
      CHECK((map.page(sequence, position / 3) < 0) == (place.page < 0));
    }
  }
  for (const std::int64_t outside :
       {kLowest, std::int64_t{-1}, std::int64_t{9}, std::int64_t{1} << 32, kHighest}) {
    INFO(outside);
    CHECK(map.place(0, outside).page < 0);
    CHECK(map.place(outside, 0).page < 0);
    CHECK(map.page(0, outside) < 0);
    CHECK(map.slot(outside + (outside == 9 ? 3 : 0)).page < 0);
  }
  for (std::int64_t slot = 0; slot < 12; ++slot) {
    CHECK(is_at(map.slot(slot), slot / 3, static_cast<std::int32_t>(slot % 3)));
  }
}

TEST_CASE("in a dense cache the page is the sequence") {
  std::vector<float> memory(64);
  const rw::cuda::KvCache<float> cache{memory.data(), memory.data() + 32, 2, 4, 16, 4, 4};
  REQUIRE(rw::cuda::validate(cache, 1, 4).code == rw::Errc::ok);
  CHECK(cache.all_sequences() == 2);
  CHECK(cache.tokens_per_sequence() == 4);
  const auto map = rw::cuda::detail::page_map(cache);
  CHECK(is_at(map.place(1, 3), 1, 3));
  CHECK(map.place(1, 4).page < 0);
  CHECK(map.place(2, 0).page < 0);
}

TEST_CASE("a cache that is only read may hold an element twice") {
  std::vector<float> memory(64);
  rw::cuda::KvCache<float> cache{memory.data(), memory.data() + 32, 2, 4, 0, 8, 8};
  const rw::cuda::KvCache<const float> read = cache;
  CHECK(rw::cuda::validate(read, 1, 8).code == rw::Errc::ok);
  CHECK(rw::cuda::validate(cache, 1, 8).code == rw::Errc::overlapping);
}
