#include <ropewalk/position/streaming.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};

std::string field_of(const rw::Fault& fault) { return fault.field; }

}  // namespace

TEST_CASE("StreamingLLM counts places in the cache, not in the text") {
  const rw::Streaming remap{2, 3};
  CHECK(remap.cache_index(7, 0) == 0);
  CHECK(remap.cache_index(7, 1) == 1);
  CHECK(remap.cache_index(7, 5) == 2);
  CHECK(remap.cache_index(7, 7) == 4);
  CHECK(remap.relative(7, 0) == 4);
  CHECK(remap.relative(7, 5) == 2);
  for (const std::int64_t dropped : {2, 3, 4}) CHECK_FALSE(rw::is_visible(remap, 7, dropped));
}

TEST_CASE("four sinks stay at the far end of StreamingLLM's cache") {
  const rw::Streaming remap{4, 1020};
  CHECK(remap.validate(kLlama2).code == rw::Errc::ok);
  CHECK(remap.relative(1023, 0) == 1023);
  CHECK(remap.relative(4000000, 0) == 1023);
  CHECK(remap.relative(4000000, 3) == 1020);
  CHECK(remap.relative(4000000, 3998981) == 1019);
  CHECK_FALSE(rw::is_visible(remap, 4000000, 3998980));
}

TEST_CASE("StreamingLLM changes nothing by default") {
  const rw::Streaming remap;
  CHECK(remap.validate({128, 128, 10000.0, 0}).code == rw::Errc::ok);
  CHECK(remap.relative(1000000, 5) == 999995);
  CHECK(remap.relative(rw::kLargestPosition, 0) == rw::kLargestPosition);
}

TEST_CASE("StreamingLLM refuses a cache longer than the trained length") {
  CHECK(rw::Streaming{4, 4092}.validate(kLlama2).code == rw::Errc::ok);
  CHECK(rw::Streaming{4, 4093}.validate(kLlama2).code == rw::Errc::above_maximum);
  CHECK(field_of(rw::Streaming{4, 4093}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::Streaming{5000, 1}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::Streaming{4, 0}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::Streaming{-4, 1020}.validate(kLlama2)) == "sinks");
  CHECK(field_of(rw::Streaming{rw::kUnlimited, 1020}.validate(kLlama2)) == "sinks");
  CHECK(field_of(rw::Streaming{rw::kUnlimited}.validate(kLlama2)) == "sinks");
  CHECK(field_of(rw::Streaming{4, 1020}.validate({128, 128, 1e4, 0})) == "original_length");
}
