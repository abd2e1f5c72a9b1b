#include <ropewalk/scaling/giraffe.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <string>

namespace rw = ropewalk;

TEST_CASE("the power basis keeps pair 0 and slows the last by (2 / d)^exponent") {
  const rw::RopeConfig config{128, 128, 10000.0, 2048};
  const rw::PowerBasis method{0.5};
  CHECK(method.inv_freq(config, 0) == 1.0);
  CHECK(method.inv_freq(config, 63) / rw::inverse_frequency(config, 63) ==
        Approx(std::sqrt(2.0 / 128.0)).epsilon(1e-15));
  CHECK(method.inv_freq(config, 32) / rw::inverse_frequency(config, 32) ==
        Approx(std::sqrt(0.5)).epsilon(1e-15));
}

TEST_CASE("the truncated basis at 2048 keeps 41 pairs, merges 14 and stops 9") {
  const rw::RopeConfig config{128, 128, 10000.0, 2048};
  const rw::TruncatedBasis method = rw::TruncatedBasis::at_length(2048);
  int kept = 0;
  int merged = 0;
  int still = 0;
  for (int pair = 0; pair < 64; ++pair) {
    const double inv_freq = method.inv_freq(config, pair);
    if (inv_freq == 0.0) {
      ++still;
    } else if (inv_freq == rw::inverse_frequency(config, pair)) {
      ++kept;
    } else {
      CHECK(inv_freq == Approx(rw::detail::kTwoPi / (16.0 * 2048.0)).epsilon(1e-15));
      ++merged;
    }
  }
  CHECK(kept == 41);
  CHECK(merged == 14);
  CHECK(still == 9);
}

TEST_CASE("Giraffe's bases refuse by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(std::string(rw::PowerBasis{-0.5}.validate({}).field) == "exponent");
  CHECK(std::string(rw::PowerBasis{nan}.validate({}).field) == "exponent");
  CHECK(std::string(rw::TruncatedBasis{-1.0}.validate({}).field) == "cutoff");
  CHECK(std::string(rw::TruncatedBasis{nan}.validate({}).field) == "cutoff");
  CHECK_THROWS_WITH(rw::TruncatedBasis::at_length(0), contains("length = 0"));
}
