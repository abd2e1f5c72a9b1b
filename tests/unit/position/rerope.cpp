#include <ropewalk/position/rerope.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};
const rw::RopeConfig kUnknown{128, 128, 10000.0, 0};

std::string field_of(const rw::Fault& fault) { return fault.field; }

}  // namespace

TEST_CASE("ReRoPE shows no distance over its window") {
  const rw::Rerope remap{512};
  CHECK(remap.relative(511, 0) == 511);
  CHECK(remap.relative(512, 0) == 512);
  CHECK(remap.relative(5000, 0) == 512);
}

TEST_CASE("Leaky ReRoPE slows distances beyond its window") {
  const rw::LeakyRerope remap{512, 16};
  CHECK(remap.relative(511, 0) == 511.0);
  CHECK(remap.relative(512, 0) == 512.0);
  CHECK(remap.relative(513, 0) == 512.0625);
  CHECK(remap.relative(528, 0) == 513.0);
  CHECK(remap.relative(4096, 0) == 736.0);
  CHECK(remap.relative(16384, 0) == 1504.0);
}

TEST_CASE("ReRoPE and Leaky ReRoPE change nothing by default") {
  CHECK(rw::Rerope{}.validate(kUnknown).code == rw::Errc::ok);
  CHECK(rw::LeakyRerope{}.validate(kUnknown).code == rw::Errc::ok);
  for (const std::int64_t query : {0, 511, 512, 100000}) {
    CHECK(rw::Rerope{}.relative(query, 0) == query);
    CHECK(rw::LeakyRerope{}.relative(query, 0) == static_cast<double>(query));
  }
  CHECK(rw::Rerope{}.relative(rw::kLargestPosition, 0) == rw::kLargestPosition);
}

TEST_CASE("ReRoPE refuses a window outside the trained length") {
  CHECK(rw::Rerope{4095}.validate(kLlama2).code == rw::Errc::ok);
  CHECK(rw::Rerope{4096}.validate(kLlama2).code == rw::Errc::above_maximum);
  CHECK(field_of(rw::Rerope{4096}.validate(kLlama2)) == "window");
  CHECK(rw::Rerope{0}.validate(kLlama2).code == rw::Errc::below_minimum);
  CHECK(field_of(rw::Rerope{512}.validate(kUnknown)) == "original_length");
}

TEST_CASE("Leaky ReRoPE refuses a factor under one and a window outside the trained length") {
  CHECK(rw::LeakyRerope{512, 0}.validate(kLlama2).code == rw::Errc::below_minimum);
  CHECK(field_of(rw::LeakyRerope{512, -16}.validate(kLlama2)) == "factor");
  CHECK(field_of(rw::LeakyRerope{0, 16}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::LeakyRerope{4096, 16}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::LeakyRerope{512, 16}.validate(kUnknown)) == "original_length");
}

TEST_CASE("Leaky ReRoPE refuses an offset that would overflow") {
  constexpr std::int64_t huge = rw::detail::kMaximumLength;
  const rw::Fault fault = rw::LeakyRerope{1024, huge}.validate(kLlama2);
  CHECK(fault.code == rw::Errc::above_maximum);
  CHECK(field_of(fault) == "factor");
  const rw::LeakyRerope largest{512, huge};
  CHECK(largest.validate(kLlama2).code == rw::Errc::ok);
  CHECK(largest.query_position(rw::Pass::distant, rw::kLargestPosition) > rw::kLargestPosition);
}
