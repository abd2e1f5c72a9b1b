#include <ropewalk/scaling/long_rope.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kSmall{4, 4, 10000.0, 4096};

rw::LongRope lists() {
  rw::LongRope method;
  method.short_factor = {1.0, 2.0};
  method.long_factor = {3.0, 64.0};
  method.factor = 32.0;
  return method;
}

}  // namespace

TEST_CASE("the short list holds up to the trained length, the long one from one token more") {
  rw::LongRope method = lists();
  const double plain = rw::inverse_frequency(kSmall, 1);
  CHECK(method.inv_freq(kSmall, 1) == plain / 2.0);
  method.length = 4096;
  CHECK(method.inv_freq(kSmall, 1) == plain / 2.0);
  method.length = 4097;
  CHECK(method.inv_freq(kSmall, 1) == plain / 64.0);
  CHECK(method.inv_freq(kSmall, 0) == 1.0 / 3.0);
}

TEST_CASE("LongRoPE's attention factor is the same for both lists") {
  rw::LongRope method = lists();
  CHECK(method.attention_factor(kSmall) == Approx(std::sqrt(17.0 / 12.0)).epsilon(1e-15));
  method.length = 131072;
  CHECK(method.attention_factor(kSmall) == Approx(1.1902380714238083).epsilon(1e-15));
  method.factor = 1.0;
  CHECK(method.attention_factor(kSmall) == 1.0);
  method.explicit_attention_factor = 1.5;
  CHECK(method.attention_factor(kSmall) == 1.5);
}

TEST_CASE("LongRoPE refuses lists by name and entry") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  rw::LongRope method = lists();
  method.short_factor = {1.0, 2.0, 3.0};
  rw::Fault fault = method.validate(kSmall);
  CHECK(fault.code == rw::Errc::wrong_length);
  CHECK(std::string(fault.field) == "short_factor");
  CHECK(fault.value == 3.0);
  for (const double bad : {0.0, -1.0, nan, std::numeric_limits<double>::infinity()}) {
    method = lists();
    method.long_factor[1] = bad;
    fault = method.validate(kSmall);
    CHECK(std::string(fault.field) == "long_factor");
    CHECK(fault.index == 1);
  }
  method = lists();
  method.factor = nan;
  CHECK(std::string(method.validate(kSmall).field) == "factor");
  method = lists();
  method.length = -1;
  CHECK(std::string(method.validate(kSmall).field) == "length");
  method = lists();
  method.explicit_attention_factor = nan;
  CHECK(std::string(method.validate(kSmall).field) == "attention_factor");
  // ln(1) = 0 stands in the denominator of the attention factor.
  CHECK(std::string(lists().validate({4, 4, 1e4, 1}).field) == "original_length");
}
