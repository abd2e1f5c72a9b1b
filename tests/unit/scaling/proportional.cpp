#include <ropewalk/scaling/proportional.hpp>

#include "support/catch.hpp"

#include <limits>
#include <string>

namespace rw = ropewalk;

TEST_CASE("the fastest share of the pairs turns at the whole head's frequencies") {
  const rw::RopeConfig gemma4{512, 512, 1e6, 131072};
  const rw::Proportional method{0.25};
  CHECK(method.rotated_pairs(gemma4) == 64);
  for (int pair = 0; pair < gemma4.pairs(); ++pair) {
    const double expected = pair < 64 ? rw::inverse_frequency(gemma4, pair) : 0.0;
    CHECK(method.inv_freq(gemma4, pair) == expected);
  }
}

TEST_CASE("a share that leaves half a pair is rounded down") {
  CHECK(rw::Proportional{0.3}.rotated_pairs({64, 64, 1e4, 0}) == 9);  // 19.2 elements
}

TEST_CASE("share 0 is NoPE and the factor slows what turns") {
  const rw::RopeConfig config{64, 64, 1e4, 0};
  CHECK(rw::Proportional{0.0}.inv_freq(config, 0) == 0.0);
  CHECK(rw::Proportional{1.0, 4.0}.inv_freq(config, 0) == 0.25);
}

TEST_CASE("a share outside 0 to 1 is refused by name") {
  for (const double bad : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(std::string(rw::Proportional{bad}.validate({}).field) == "partial_rotary_factor");
  }
  CHECK(std::string(rw::Proportional{0.5, 0.5}.validate({}).field) == "factor");
}
