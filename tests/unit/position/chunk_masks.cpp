#include <ropewalk/position/chunk_masks.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>

namespace rw = ropewalk;

namespace {

std::string field_of(const rw::Fault& fault) { return fault.field; }

}  // namespace

TEST_CASE("a chunk mask ends where the next chunk begins") {
  const rw::ChunkMask mask{8192};
  CHECK(mask.keys(8191).first == 0);
  CHECK(mask.keys(8191).end == 8192);
  CHECK(mask.keys(8192).first == 8192);
  CHECK(mask.keys(20000).first == 16384);
  CHECK(mask.keys(20000).end == 20001);
  CHECK(rw::ChunkMask{}.keys(rw::kLargestPosition).first == 0);
}

TEST_CASE("LongLoRA's groups are a quarter of the length, moved by half a group") {
  const rw::ShiftedGroups mask = rw::shifted_groups_for_length(8192);
  CHECK(mask.group == 2048);
  CHECK(mask.shift() == 1024);
  CHECK(mask.keys(2048, 0, 32).first == 2048);
  CHECK(mask.keys(2047, 15, 32).first == 0);
  CHECK(mask.keys(2048, 16, 32).first == 1024);
  CHECK(mask.keys(3071, 31, 32).first == 1024);
  CHECK(mask.keys(3072, 31, 32).first == 3072);
}

TEST_CASE("LongLoRA's shifted groups are the drawn ones") {
  const std::string drawn[2] = {"aaaabbbb", "aabbbbcc"};
  const rw::ShiftedGroups mask{4};
  for (int head = 0; head < 2; ++head) {
    const std::string& letters = drawn[head];
    for (std::int64_t query = 0; query < 8; ++query) {
      for (std::int64_t key = 0; key < 8; ++key) {
        const bool same =
            letters[static_cast<std::size_t>(query)] == letters[static_cast<std::size_t>(key)];
        CHECK(mask.keys(query, head, 2).contains(key) == (same && key <= query));
      }
    }
  }
}

TEST_CASE("every head may have a span of its own") {
  const rw::HeadSpans mask{{1, 64, rw::kUnlimited}};
  CHECK(mask.validate().code == rw::Errc::ok);
  CHECK(mask.keys(1000, 0).first == 1000);
  CHECK(mask.keys(1000, 1).first == 937);
  CHECK(mask.keys(10, 1).first == 0);
  CHECK(mask.keys(1000, 2).first == 0);
  CHECK(rw::HeadSpans{}.keys(1000, 17).first == 0);
}

TEST_CASE("masks let everything through by default") {
  CHECK(rw::ChunkMask{}.validate().code == rw::Errc::ok);
  CHECK(rw::ShiftedGroups{}.validate().code == rw::Errc::ok);
  CHECK(rw::HeadSpans{}.validate().code == rw::Errc::ok);
  for (const std::int64_t query : {std::int64_t{0}, std::int64_t{5}, rw::kLargestPosition}) {
    CHECK(rw::ChunkMask{}.keys(query).first == 0);
    CHECK(rw::ShiftedGroups{}.keys(query, 1, 2).first == 0);
    CHECK(rw::ShiftedGroups{}.keys(query, 1, 2).end == query + 1);
  }
}

TEST_CASE("masks refuse empty groups by name") {
  CHECK(field_of(rw::ChunkMask{0}.validate()) == "chunk");
  CHECK(field_of(rw::ShiftedGroups{0}.validate()) == "group");
  CHECK(rw::ShiftedGroups{5}.validate().code == rw::Errc::odd);
  const rw::Fault fault = rw::HeadSpans{{4, 0}}.validate();
  CHECK(fault.code == rw::Errc::below_minimum);
  CHECK(field_of(fault) == "span");
  CHECK(fault.index == 1);
  CHECK_THROWS_WITH(rw::shifted_groups_for_length(8188), contains("tokens = 8188 leaves a rest"));
  CHECK(field_of(rw::ChunkMask{-8192}.validate()) == "chunk");
  CHECK(rw::ChunkMask{rw::kUnlimited - 1}.validate().code == rw::Errc::above_maximum);
  CHECK(field_of(rw::ShiftedGroups{-2}.validate()) == "group");
  CHECK_THROWS_WITH(rw::shifted_groups_for_length(0), contains("tokens"));
}
