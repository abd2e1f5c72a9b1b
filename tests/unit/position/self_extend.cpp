#include <ropewalk/position/self_extend.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <limits>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};

std::string field_of(const rw::Fault& fault) { return fault.field; }

}  // namespace

TEST_CASE("Self-Extend keeps close distances and groups the others") {
  const rw::SelfExtend remap{8, 1024};
  CHECK(remap.relative(1023, 0) == 1023);
  CHECK(remap.relative(1025, 1) == 1024);
  CHECK(remap.relative(4095, 0) == 1407);
  CHECK(remap.relative(16383, 0) == 2943);
  CHECK(remap.relative(16383, 15000) == 1068);
}

TEST_CASE("Self-Extend with groups of one is the identity") {
  const rw::SelfExtend remap;
  CHECK(remap.validate({128, 128, 10000.0, 0}).code == rw::Errc::ok);
  for (const std::int64_t query : {0, 1023, 1024, 5000}) CHECK(remap.relative(query, 0) == query);
  CHECK(remap.relative(rw::kLargestPosition, 3) == rw::kLargestPosition - 3);
}

TEST_CASE("Self-Extend reaches (L - W) G + W tokens") {
  CHECK(rw::SelfExtend{4, 1024}.capacity(kLlama2) == 13312);
  CHECK(rw::SelfExtend{1, 1024}.capacity(kLlama2) == 4096);
}

TEST_CASE("a group that does not divide the window is refused") {
  // The paper's own example, (4096 - 1024) 5 + 1024 = 16384, is such a case.
  const rw::SelfExtend remap{5, 1024};
  const rw::Fault fault = remap.validate(kLlama2);
  CHECK(fault.code == rw::Errc::indivisible);
  CHECK(field_of(fault) == "group");
  CHECK(fault.value == 5.0);
  CHECK_THROWS_WITH(remap.capacity(kLlama2), contains("group = 5 leaves a rest"));
}

TEST_CASE("Self-Extend is continuous at its window up to one group") {
  const rw::SelfExtend remap{8, 1024};
  for (std::int64_t query = 1024; query < 1024 + 16; ++query) {
    const std::int64_t beyond = remap.relative(query, query - 1024);
    CHECK(remap.relative(query, query - 1023) == 1023);
    CHECK(beyond >= 1024);
    CHECK(beyond <= 1025);
  }
}

TEST_CASE("Self-Extend refuses what it cannot compute with") {
  CHECK(field_of(rw::SelfExtend{0, 1024}.validate(kLlama2)) == "group");
  CHECK(field_of(rw::SelfExtend{-8, 1024}.validate(kLlama2)) == "group");
  CHECK(field_of(rw::SelfExtend{8, 0}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::SelfExtend{8, -1024}.validate(kLlama2)) == "window");
  constexpr std::int64_t smallest = (std::numeric_limits<std::int64_t>::min)();
  CHECK(field_of(rw::SelfExtend{smallest, 1024}.validate(kLlama2)) == "group");
  CHECK(field_of(rw::SelfExtend{8, smallest}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::SelfExtend{rw::kUnlimited, 1024}.validate(kLlama2)) == "group");
  CHECK(field_of(rw::SelfExtend{2048, 1024}.validate(kLlama2)) == "group");
  CHECK(rw::SelfExtend{8, 4088}.validate(kLlama2).code == rw::Errc::ok);
  CHECK(rw::SelfExtend{8, 4096}.validate(kLlama2).code == rw::Errc::above_maximum);
  CHECK(field_of(rw::SelfExtend{8, 8192}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::SelfExtend{8, 1024}.validate({128, 128, 10000.0, 0})) == "original_length");
  CHECK(field_of(rw::SelfExtend{8, 1024}.validate({128, 127, 10000.0, 4096})) == "rotary_dim");
  constexpr std::int64_t huge = rw::detail::kMaximumLength;
  CHECK_THROWS_WITH((rw::SelfExtend{huge / 2, huge / 2}.capacity({128, 128, 1e4, huge})),
                    contains("group"));
  CHECK_THROWS_WITH(rw::SelfExtend{}.capacity({128, 128, 10000.0, 0}), contains("original_length"));
}

TEST_CASE("the largest position neither overflows nor leaves Self-Extend's order") {
  const rw::SelfExtend remap{8, 1024};
  CHECK(remap.relative(rw::kLargestPosition, 0) == rw::kLargestPosition / 8 + 896);
  CHECK(remap.keys(rw::Pass::neighbours, rw::kLargestPosition).end == rw::kLargestPosition + 1);
}

TEST_CASE("llama.cpp's blocks move the positions that its flags ask for") {
  // --grp-attn-n 4 --grp-attn-w 512 with 1300 tokens cached: two blocks are compressed.
  const rw::BlockSelfExtend remap{4, 512};
  CHECK(remap.position(0, 1300) == 0);
  CHECK(remap.position(1023, 1300) == 255);
  CHECK(remap.position(1024, 1300) == 256);
  CHECK(remap.position(1300, 1300) == 532);
  CHECK(remap.relative(1300, 1030) == 270);
  CHECK(remap.relative(1300, 1023) == 277);
}

TEST_CASE("at the end of a block llama.cpp's distances are Self-Extend's") {
  const rw::BlockSelfExtend blocks{8, 512};
  const rw::SelfExtend remap{8, 512};
  for (std::int64_t query = 511; query < 8192; query += 512) {
    bool same = true;
    for (std::int64_t key = 0; key <= query; ++key) {
      same = same && blocks.relative(query, key) == remap.relative(query, key);
    }
    INFO("query " << query);
    CHECK(same);
  }
}

TEST_CASE("llama.cpp's blocks refuse a window that the group does not divide") {
  CHECK(rw::BlockSelfExtend{}.validate({128, 128, 10000.0, 0}).code == rw::Errc::ok);
  CHECK(field_of(rw::BlockSelfExtend{3, 512}.validate(kLlama2)) == "group");
  CHECK(field_of(rw::BlockSelfExtend{4, 4096}.validate(kLlama2)) == "window");
  CHECK(rw::BlockSelfExtend{}.relative(5000, 17) == 4983);
}
