#include <ropewalk/scaling/dynamic_ntk.hpp>
#include <ropewalk/scaling/ntk_aware.hpp>
#include <ropewalk/scaling/ntk_mixed.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <string>

namespace rw = ropewalk;

TEST_CASE("NTK-aware slows the slowest pair by the factor and leaves the fastest") {
  const rw::RopeConfig config{128, 128, 500000.0, 8192};
  const rw::NtkAware method{32.0};
  CHECK(method.inv_freq(config, 0) == 1.0);
  CHECK(rw::inverse_frequency(config, 63) / method.inv_freq(config, 63) ==
        Approx(32.0).epsilon(1e-14));
}

TEST_CASE("dynamic NTK changes nothing up to the trained length") {
  const rw::RopeConfig config{128, 128, 10000.0, 2048};
  CHECK(rw::DynamicNtk{2.0, 2048}.inv_freq(config, 63) == rw::inverse_frequency(config, 63));
  CHECK(rw::DynamicNtk{2.0, 4096}.theta(config) == Approx(30527.736748806698).epsilon(1e-14));
  CHECK(rw::DynamicNtk{2.0, 4096}.inv_freq(config, 63) ==
        rw::inverse_frequency(rw::dynamic_ntk_theta(config, 2.0, 4096), 63, 128));
}

TEST_CASE("dynamic NTK needs the trained length as soon as it has a length") {
  const rw::RopeConfig unknown{128, 128, 10000.0, 0};
  CHECK(rw::DynamicNtk{2.0, 0}.validate(unknown).code == rw::Errc::ok);
  CHECK(std::string(rw::DynamicNtk{2.0, 1}.validate(unknown).field) == "original_length");
  CHECK(std::string(rw::DynamicNtk{2.0, -1}.validate(unknown).field) == "length");
  CHECK(std::string(rw::DynamicNtk{0.9, 0}.validate(unknown).field) == "factor");
}

TEST_CASE("NTK methods need a second pair") {
  CHECK(std::string(rw::NtkAware{2.0}.validate({2, 2, 1e4, 0}).field) == "rotary_dim");
  CHECK(std::string(rw::DynamicNtk{2.0}.validate({2, 2, 1e4, 0}).field) == "rotary_dim");
}

TEST_CASE("NTK-mixed multiplies by Su's published shares") {
  const rw::RopeConfig config{128, 128, 10000.0, 4096};
  const rw::NtkMixed method{12.0, 0.75};
  const auto share = [&](int pair) {
    return method.inv_freq(config, pair) / rw::inverse_frequency(config, pair);
  };
  CHECK(share(0) == Approx(0.895996836757925).epsilon(1e-14));
  CHECK(share(1) == Approx(0.831360476524977).epsilon(1e-14));
  CHECK(share(31) == Approx(0.228199659418926).epsilon(1e-14));
  CHECK(share(63) == Approx(1.0 / 12.0).epsilon(1e-14));
}

TEST_CASE("NTK-mixed with exponent 0 is position interpolation") {
  const rw::RopeConfig config{64, 64, 10000.0, 4096};
  for (int pair = 0; pair < 32; ++pair) {
    CHECK(rw::NtkMixed{8.0, 0.0}.inv_freq(config, pair) ==
          Approx(rw::inverse_frequency(config, pair) / 8.0).epsilon(1e-15));
  }
}

TEST_CASE("NTK-mixed refuses exponents outside 0 to 1") {
  CHECK(std::string(rw::NtkMixed{2.0, -0.1}.validate({}).field) == "exponent");
  CHECK(std::string(rw::NtkMixed{2.0, 1.1}.validate({}).field) == "exponent");
  CHECK(std::string(rw::NtkMixed{0.1, 0.5}.validate({}).field) == "factor");
}
