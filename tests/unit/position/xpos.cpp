#include <ropewalk/position/xpos.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kHead128{128, 128, 10000.0, 2048};

std::string field_of(const rw::Fault& fault) { return fault.field; }

}  // namespace

TEST_CASE("a query 512 tokens from the center is scaled by zeta") {
  const rw::XPos scale{512.0, 1024};
  for (const int pair : {0, 1, 31, 63}) {
    const double zeta = (2.0 * pair + 0.4 * 128) / (1.4 * 128);
    CHECK(scale.query_scale(kHead128, 1536, pair) == Approx(zeta).epsilon(1e-14));
    CHECK(scale.key_scale(kHead128, 1536, pair) == Approx(1.0 / zeta).epsilon(1e-14));
  }
}

TEST_CASE("the center of xPos is not scaled") {
  const rw::XPos scale{512.0, -7};
  CHECK(scale.query_scale(kHead128, -7, 0) == 1.0);
  CHECK(scale.key_scale(kHead128, -7, 0) == 1.0);
}

TEST_CASE("products of xPos do not depend on the center") {
  const rw::XPos centered{512.0, 1000};
  for (const int pair : {0, 17, 63}) {
    const double product =
        centered.query_scale(kHead128, 1500, pair) * centered.key_scale(kHead128, 1200, pair);
    CHECK(rw::XPos{}.product_scale(kHead128, 1500, 1200, pair) == Approx(product).epsilon(1e-14));
  }
  CHECK(rw::XPos{}.product_scale(kHead128, 1500, 1200, 0) < 1.0);
}

TEST_CASE("a huge base leaves xPos without effect") {
  CHECK(rw::XPos{1e300}.query_scale(kHead128, 1000000, 0) == 1.0);
}

TEST_CASE("xPos leaves float32 36,000 tokens from the center") {
  const rw::XPos scale;
  CHECK(scale.key_scale(kHead128, 36000, 0) < 3.4028234663852886e38);
  CHECK(scale.key_scale(kHead128, 36500, 0) > 3.4028234663852886e38);
}

TEST_CASE("xPos refuses factors out of the range of double") {
  const rw::XPos scale;
  CHECK_THROWS_WITH(scale.query_scale(kHead128, 1000000, 0), contains("position"));
  CHECK_THROWS_WITH(scale.key_scale(kHead128, 1000000, 0), contains("position"));
  CHECK_THROWS_WITH(rw::XPos{1e-300}.query_scale(kHead128, 1 << 20, 0), contains("position"));
}

TEST_CASE("xPos refuses what it cannot compute with") {
  CHECK(field_of(rw::XPos{0.0}.validate(kHead128)) == "scale_base");
  CHECK(field_of(rw::XPos{-512.0}.validate(kHead128)) == "scale_base");
  CHECK(rw::XPos{std::numeric_limits<double>::quiet_NaN()}.validate(kHead128).code ==
        rw::Errc::not_finite);
  CHECK(rw::XPos{std::numeric_limits<double>::infinity()}.validate(kHead128).code ==
        rw::Errc::not_finite);
  constexpr std::int64_t largest = (std::numeric_limits<std::int64_t>::max)();
  CHECK(field_of(rw::XPos{512.0, largest}.validate(kHead128)) == "center");
  CHECK(field_of(rw::XPos{512.0, -largest}.validate(kHead128)) == "center");
  CHECK_THROWS_WITH(rw::XPos{}.query_scale(kHead128, largest, 0), contains("position"));
  CHECK_THROWS_WITH(rw::XPos{}.query_scale({128, 127, 1e4, 0}, 0, 0), contains("rotary_dim"));
}
