#include <ropewalk/position/dual_chunk.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};

std::string field_of(const rw::Fault& fault) { return fault.field; }

}  // namespace

TEST_CASE("Dual Chunk Attention reuses the positions of one chunk") {
  const rw::DualChunk remap = rw::dual_chunk_for_length(4096);
  CHECK(remap.chunk == 3072);
  CHECK(remap.local == 512);
  CHECK(remap.stride() == 2560);
  CHECK(remap.validate(kLlama2).code == rw::Errc::ok);
  CHECK(remap.relative(2560, 2559) == 1);
  CHECK(remap.relative(3071, 2559) == 512);
  CHECK(remap.relative(5119, 2560) == 2559);
  CHECK(remap.relative(5120, 0) == 3072);
  CHECK(remap.relative(5120, 2559) == 513);
  CHECK(remap.relative(10000, 5000) == 632);
}

TEST_CASE("the three passes of Dual Chunk Attention are the three ages of a chunk") {
  const rw::DualChunk remap{3072, 512};
  CHECK(rw::pass_of(remap, 5119, 2560) == rw::Pass::neighbours);
  CHECK(rw::pass_of(remap, 5119, 2559) == rw::Pass::successive);
  CHECK(rw::pass_of(remap, 5120, 2559) == rw::Pass::distant);
  CHECK(remap.keys(rw::Pass::successive, 2559).end == 0);
  CHECK(remap.query_position(rw::Pass::distant, 10000) == 3072);
  // 2 stride - 1 where that is below the chunk.
  CHECK(rw::DualChunk{100, 60}.query_position(rw::Pass::distant, 200) == 79);
}

TEST_CASE("Dual Chunk Attention is exact within local distance of a cut") {
  const rw::DualChunk remap{3072, 512};
  bool exact = true;
  for (std::int64_t query = 2560; query < 2560 + 512; ++query) {
    for (std::int64_t key = query - 511; key <= query; ++key) {
      exact = exact && remap.relative(query, key) == query - key;
    }
  }
  CHECK(exact);
  // One token further away it is not: the query stays at 3072.
  CHECK(remap.relative(3073, 2559) == 513);
}

TEST_CASE("Dual Chunk Attention changes nothing by default") {
  const rw::DualChunk remap;
  CHECK(remap.validate({128, 128, 10000.0, 0}).code == rw::Errc::ok);
  CHECK(remap.relative(1000000, 5) == 999995);
  CHECK(remap.relative(rw::kLargestPosition, 0) == rw::kLargestPosition);
}

TEST_CASE("Dual Chunk Attention refuses chunks that do not fit") {
  CHECK(rw::DualChunk{4095, 512}.validate(kLlama2).code == rw::Errc::ok);
  CHECK(rw::DualChunk{4096, 512}.validate(kLlama2).code == rw::Errc::above_maximum);
  CHECK(field_of(rw::DualChunk{4096, 512}.validate(kLlama2)) == "chunk");
  CHECK(field_of(rw::DualChunk{0, 0}.validate(kLlama2)) == "chunk");
  CHECK(field_of(rw::DualChunk{3072, 3072}.validate(kLlama2)) == "local");
  CHECK(field_of(rw::DualChunk{3072, -1}.validate(kLlama2)) == "local");
  CHECK(field_of(rw::DualChunk{3072, 512}.validate({128, 128, 1e4, 0})) == "original_length");
  CHECK_THROWS_WITH(rw::dual_chunk_for_length(7), contains("original_length = 7"));
}
