#include <ropewalk/frequency.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>

namespace rw = ropewalk;

TEST_CASE("pair 0 turns one radian per token at any base") {
  CHECK(rw::inverse_frequency(500000.0, 0, 128) == 1.0);
  CHECK(rw::inverse_frequency(1.0001, 0, 2) == 1.0);
}

TEST_CASE("plain frequencies have the digits of a 40-digit evaluation") {
  // Reference values rounded to double from 40 digits; 2 ULP is the documented bound.
  const auto close = [](double value, double expected) {
    return std::abs(value - expected) <= 2.0 * std::abs(std::nextafter(expected, 2.0) - expected);
  };
  CHECK(close(rw::inverse_frequency(1e4, 1, 128), 0.86596432336006535));
  CHECK(close(rw::inverse_frequency(1e4, 32, 128), 0.01));
  CHECK(close(rw::inverse_frequency(1e4, 63, 128), 1.1547819846894582e-4));
  CHECK(close(rw::inverse_frequency(5e5, 1, 128), 0.8146172338565447));
  CHECK(close(rw::inverse_frequency(5e5, 32, 128), 1.414213562373095e-3));
  CHECK(close(rw::inverse_frequency(5e5, 63, 128), 2.4551407911316089e-6));
  CHECK(close(rw::inverse_frequency(1e4, 1, 64), 0.74989420933245583));
  CHECK(close(rw::inverse_frequency(1e6, 63, 128), 1.2409377607517196e-6));
}

TEST_CASE("wavelengths are the published ones") {
  CHECK(rw::wavelength(rw::inverse_frequency(1e4, 1, 128)) ==
        Approx(7.2557091991964858).epsilon(1e-15));
  CHECK(rw::wavelength(rw::inverse_frequency(1e4, 63, 128)) ==
        Approx(54410.14313077675).epsilon(1e-15));
  // LongRoPE2's two printed periods for 96 dimensions: the 8th and the 48th pair.
  CHECK(std::floor(rw::wavelength(rw::inverse_frequency(1e4, 7, 96))) == 24.0);
  CHECK(std::floor(rw::wavelength(rw::inverse_frequency(1e4, 47, 96))) == 51861.0);
}

TEST_CASE("a pair that never turns has an infinite wavelength and no rotations") {
  CHECK(rw::wavelength(0.0) == std::numeric_limits<double>::infinity());
  CHECK(rw::rotations(0.0, 1 << 20) == 0.0);
}

TEST_CASE("rotations count whole turns") {
  CHECK(rw::rotations(rw::detail::kTwoPi / 100.0, 250) == Approx(2.5).epsilon(1e-15));
  CHECK(rw::rotations(1.0, 0) == 0.0);
}

TEST_CASE("one index function gives the critical pair and YaRN's correction range") {
  const rw::RopeConfig llama3{128, 128, 500000.0, 8192};
  CHECK(rw::pair_index_of_wavelength(llama3, 8192.0) ==
        Approx(34.98411900147240525681).epsilon(1e-15));
  CHECK(rw::pair_index_of_wavelength(llama3, 8192.0 / 32.0) == Approx(18.08113503).epsilon(1e-9));
  const rw::RopeConfig gpt_oss{64, 64, 150000.0, 4096};
  CHECK(rw::pair_index_of_wavelength(gpt_oss, 4096.0 / 32.0) == Approx(8.092779116).epsilon(1e-9));
  CHECK(rw::pair_index_of_wavelength(gpt_oss, 4096.0) == Approx(17.3980245).epsilon(1e-9));
}

TEST_CASE("the index of a pair's own wavelength is the pair") {
  const rw::RopeConfig config{96, 96, 10000.0, 0};
  for (int pair = 1; pair < config.pairs(); ++pair) {
    const double index =
        rw::pair_index_of_wavelength(config, rw::wavelength(rw::inverse_frequency(config, pair)));
    CHECK(index == Approx(pair).epsilon(1e-13));
  }
  CHECK(rw::pair_index_of_wavelength(config, 1.0) < 0.0);
}

TEST_CASE("a wavelength that is no positive number is refused by name") {
  const rw::RopeConfig config;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinity, 0.0, -1.0}) {
    CHECK_THROWS_WITH(rw::pair_index_of_wavelength(config, bad), contains("wavelength"));
  }
}
