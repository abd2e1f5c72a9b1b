#include <ropewalk/position/lm_infinite.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};

std::string field_of(const rw::Fault& fault) { return fault.field; }

}  // namespace

TEST_CASE("LM-Infinite shows no distance over its window") {
  const rw::LmInfinite remap{10, 4096};
  CHECK(remap.relative(4095, 0) == 4095);
  CHECK(remap.relative(4096, 0) == 4096);
  CHECK(remap.relative(100000, 0) == 4096);
}

TEST_CASE("LM-Infinite sees the last keys and the sinks, nothing between") {
  const rw::LmInfinite remap{10, 4096};
  CHECK(rw::is_visible(remap, 100000, 0));
  CHECK(rw::is_visible(remap, 100000, 9));
  CHECK_FALSE(rw::is_visible(remap, 100000, 10));
  CHECK_FALSE(rw::is_visible(remap, 100000, 95904));
  CHECK(rw::is_visible(remap, 100000, 95905));
  CHECK(rw::pass_of(remap, 100000, 9) == rw::Pass::distant);
  // A sink that is still inside the window is seen once, at its own distance.
  CHECK(rw::pass_of(remap, 4095, 0) == rw::Pass::neighbours);
  CHECK(remap.keys(rw::Pass::distant, 4097).end == 2);
}

TEST_CASE("LM-Infinite changes nothing by default") {
  const rw::LmInfinite remap;
  CHECK(remap.validate({128, 128, 10000.0, 0}).code == rw::Errc::ok);
  CHECK(remap.relative(1000000, 5) == 999995);
  CHECK(rw::is_visible(remap, 1000000, 500000));
}

TEST_CASE("LM-Infinite takes the trained length as window and refuses more") {
  CHECK(rw::LmInfinite{10, 4096}.validate(kLlama2).code == rw::Errc::ok);
  CHECK(rw::LmInfinite{10, 4097}.validate(kLlama2).code == rw::Errc::above_maximum);
  CHECK(field_of(rw::LmInfinite{10, 4097}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::LmInfinite{10, 0}.validate(kLlama2)) == "window");
  CHECK(field_of(rw::LmInfinite{-1, 4096}.validate(kLlama2)) == "sinks");
  CHECK(field_of(rw::LmInfinite{10, 512}.validate({128, 128, 1e4, 0})) == "original_length");
}
