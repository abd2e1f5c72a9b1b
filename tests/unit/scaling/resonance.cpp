#include <ropewalk/scaling/resonance.hpp>

#include <ropewalk/scaling/nope.hpp>
#include <ropewalk/scaling/yarn.hpp>
#include <ropewalk/spectrum.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <string>

namespace rw = ropewalk;

TEST_CASE("Resonance rounds wavelengths to the published whole numbers") {
  const int expected[] = {
      6,     7,     8,     10,    11,    13,    15,    17,    20,    23,    26,    31,   35,
      41,    47,    54,    63,    73,    84,    97,    112,   129,   149,   172,   199,  229,
      265,   306,   353,   408,   471,   544,   628,   726,   838,   968,   1117,  1290, 1490,
      1721,  1987,  2294,  2650,  3060,  3533,  4080,  4712,  5441,  6283,  7256,  8379, 9676,
      11173, 12903, 14900, 17206, 19869, 22945, 26496, 30597, 35333, 40802, 47117, 54410};
  const rw::RopeConfig config{128, 128, 10000.0, 4096};
  for (int pair = 0; pair < 64; ++pair) {
    CHECK(rw::wavelength(rw::Resonance<>{}.inv_freq(config, pair)) ==
          Approx(expected[pair]).epsilon(1e-15));
  }
}

TEST_CASE("Resonance changes the third pair most, by 4.52 percent") {
  const rw::RopeConfig config{128, 128, 10000.0, 4096};
  const double before = rw::wavelength(rw::inverse_frequency(config, 2));
  CHECK(8.0 / before - 1.0 == Approx(-0.0452).epsilon(2e-3));
}

TEST_CASE("Resonance wraps any method and passes its attention factor on") {
  const rw::RopeConfig config{128, 128, 10000.0, 4096};
  rw::Yarn yarn;
  yarn.factor = 4.0;
  const rw::Spectrum inner = rw::spectrum(config, yarn);
  const rw::Spectrum outer = rw::spectrum(config, rw::Resonance{yarn});
  CHECK(outer.attention_factor == inner.attention_factor);
  for (std::size_t pair = 0; pair < 64; ++pair) {
    CHECK(rw::wavelength(outer.inv_freq[pair]) ==
          Approx(std::nearbyint(rw::wavelength(inner.inv_freq[pair]))).epsilon(1e-15));
  }
}

TEST_CASE("Resonance leaves still pairs still and refuses what its inner method refuses") {
  CHECK(rw::Resonance{rw::Nope{}}.inv_freq({}, 5) == 0.0);
  rw::Yarn bad;
  bad.factor = 0.5;
  CHECK(std::string(rw::Resonance{bad}.validate({128, 128, 1e4, 4096}).field) == "factor");
}
