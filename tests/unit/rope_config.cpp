#include <ropewalk/rope_config.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <limits>
#include <string>

namespace rw = ropewalk;

namespace {

rw::Fault fault_of(int head_dim, int rotary_dim, double theta, std::int64_t original_length = 0) {
  rw::RopeConfig config;
  config.head_dim = head_dim;
  config.rotary_dim = rotary_dim;
  config.theta = theta;
  config.original_length = original_length;
  return config.validate();
}

bool names(const rw::Fault& fault, rw::Errc code, const char* field, double value) {
  return fault.code == code && std::string(fault.field) == field && fault.value == value;
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("a config as it is made is sound and has 64 pairs") {
  const rw::RopeConfig config;
  CHECK(config.validate().code == rw::Errc::ok);
  CHECK(config.pairs() == 64);
  CHECK(config.pairing == rw::Pairing::half_split);
}

TEST_CASE("a config is an aggregate that takes designated fields") {
  const rw::RopeConfig config{
      .head_dim = 192, .rotary_dim = 64, .theta = 5e5, .original_length = 4096};
  CHECK(config.pairs() == 32);
  CHECK(config.validate().code == rw::Errc::ok);
}

TEST_CASE("each dimension is refused by name") {
  CHECK(names(fault_of(0, 2, 1e4), rw::Errc::below_minimum, "head_dim", 0.0));
  CHECK(names(fault_of(-128, 128, 1e4), rw::Errc::below_minimum, "head_dim", -128.0));
  CHECK(names(fault_of(65537, 128, 1e4), rw::Errc::above_maximum, "head_dim", 65537.0));
  CHECK(names(fault_of(128, 0, 1e4), rw::Errc::below_minimum, "rotary_dim", 0.0));
  CHECK(names(fault_of(128, -2, 1e4), rw::Errc::below_minimum, "rotary_dim", -2.0));
  CHECK(names(fault_of(128, 130, 1e4), rw::Errc::above_maximum, "rotary_dim", 130.0));
  CHECK(names(fault_of(128, 63, 1e4), rw::Errc::odd, "rotary_dim", 63.0));
  CHECK(fault_of(65536, 65536, 1e4).code == rw::Errc::ok);
  CHECK(fault_of(2, 2, 1e4).code == rw::Errc::ok);
}

TEST_CASE("a base must be a finite number above 1") {
  CHECK(fault_of(128, 128, kNaN).code == rw::Errc::not_finite);
  CHECK(fault_of(128, 128, kInfinity).code == rw::Errc::not_finite);
  CHECK(fault_of(128, 128, -kInfinity).code == rw::Errc::not_finite);
  CHECK(names(fault_of(128, 128, 1.0), rw::Errc::below_minimum, "theta", 1.0));
  CHECK(names(fault_of(128, 128, 0.5), rw::Errc::below_minimum, "theta", 0.5));
  CHECK(names(fault_of(128, 128, -1e4), rw::Errc::below_minimum, "theta", -1e4));
  CHECK(fault_of(128, 128, 1.0000000000000002).code == rw::Errc::ok);
  CHECK(fault_of(128, 128, rw::kMaximumTheta).code == rw::Errc::ok);
  CHECK(fault_of(128, 128, 1e300).code == rw::Errc::above_maximum);
}

TEST_CASE("an unknown trained length is sound, but not for a law that needs it") {
  CHECK(fault_of(128, 128, 1e4, 0).code == rw::Errc::ok);
  CHECK(names(fault_of(128, 128, 1e4, -1), rw::Errc::below_minimum, "original_length", -1.0));
  const std::int64_t too_long = (std::int64_t{1} << 53) + 1;
  CHECK(fault_of(128, 128, 1e4, too_long).code == rw::Errc::above_maximum);
  CHECK(fault_of(128, 128, 1e4, too_long - 1).code == rw::Errc::ok);

  rw::RopeConfig config;
  CHECK(names(rw::detail::check_original_length(config, 7), rw::Errc::unknown, "original_length",
              0.0));
  config.original_length = 6;
  CHECK(names(rw::detail::check_original_length(config, 7), rw::Errc::below_minimum,
              "original_length", 6.0));
  config.original_length = 7;
  CHECK(rw::detail::check_original_length(config, 7).code == rw::Errc::ok);
  config.theta = 0.0;
  CHECK(names(rw::detail::check_original_length(config, 7), rw::Errc::below_minimum, "theta", 0.0));
}
