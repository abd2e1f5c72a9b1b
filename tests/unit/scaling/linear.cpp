#include <ropewalk/scaling/linear.hpp>

#include "support/catch.hpp"

#include <limits>
#include <string>

namespace rw = ropewalk;

TEST_CASE("position interpolation divides every frequency by the factor") {
  const rw::RopeConfig config{128, 128, 10000.0, 2048};
  const rw::Linear linear{4.0};
  for (int pair = 0; pair < config.pairs(); ++pair) {
    CHECK(linear.inv_freq(config, pair) == rw::inverse_frequency(config, pair) / 4.0);
  }
}

TEST_CASE("an interpolation factor below 1 or not finite is refused by name") {
  const double bad[] = {0.5, 0.0, -2.0, std::numeric_limits<double>::quiet_NaN(),
                        std::numeric_limits<double>::infinity()};
  for (const double factor : bad) {
    const rw::Fault fault = rw::Linear{factor}.validate({});
    CHECK(fault.code != rw::Errc::ok);
    CHECK(std::string(fault.field) == "factor");
  }
  CHECK(rw::Linear{1.0}.validate({}).code == rw::Errc::ok);
}
