#include <ropewalk/position/string.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama31{128, 128, 500000.0, 131072};

std::string field_of(const rw::Fault& fault) { return fault.field; }

}  // namespace

TEST_CASE("STRING replaces rarely trained distances by well-trained ones") {
  const rw::StringShift remap{43253, 128};
  CHECK(remap.validate(kLlama31).code == rw::Errc::ok);
  CHECK(remap.relative(43252, 0) == 43252);
  CHECK(remap.relative(43253, 0) == 128);
  CHECK(remap.relative(131071, 0) == 87946);
}

TEST_CASE("STRING changes nothing by default, nor with local equal to shift") {
  CHECK(rw::StringShift{}.validate({128, 128, 10000.0, 0}).code == rw::Errc::ok);
  CHECK(rw::StringShift{}.relative(rw::kLargestPosition, 1) == rw::kLargestPosition - 1);
  for (const std::int64_t query : {0, 99, 100, 101, 5000}) {
    CHECK(rw::StringShift{100, 100}.relative(query, 0) == query);
  }
}

TEST_CASE("STRING refuses a shift outside the trained length and a jump forward") {
  CHECK(rw::StringShift{131071, 128}.validate(kLlama31).code == rw::Errc::ok);
  CHECK(rw::StringShift{131072, 128}.validate(kLlama31).code == rw::Errc::above_maximum);
  CHECK(field_of(rw::StringShift{131072, 128}.validate(kLlama31)) == "shift");
  CHECK(field_of(rw::StringShift{0, 128}.validate(kLlama31)) == "shift");
  CHECK(field_of(rw::StringShift{100, 128}.validate(kLlama31)) == "local");
  CHECK(field_of(rw::StringShift{43253, 0}.validate(kLlama31)) == "local");
  CHECK(field_of(rw::StringShift{43253, 128}.validate({128, 128, 1e4, 0})) == "original_length");
}
