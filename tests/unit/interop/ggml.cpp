#include <ropewalk/interop/ggml.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

namespace rw = ropewalk;

TEST_CASE("Llama 3.1 8B has the divisors that its converter writes") {
  const rw::RopeConfig config{128, 128, 500000.0, 8192};
  const std::vector<double> factors =
      rw::freq_factors(rw::spectrum(config, rw::Llama3{8.0, 1.0, 4.0}), config);
  REQUIRE(factors.size() == 64);
  const double ramp[] = {1.207484, 1.553415, 2.026313, 2.694530, 3.684253, 5.257327};
  for (int pair = 0; pair < 64; ++pair) {
    INFO("pair " << pair);
    const double factor = factors[static_cast<std::size_t>(pair)];
    if (pair < 29) {
      CHECK(factor == 1.0);
    } else if (pair < 35) {
      CHECK(std::fabs(factor - ramp[pair - 29]) <= 5e-7);  // six decimals are given
    } else {
      CHECK(std::fabs(factor - 8.0) <= 8.0 * 4.5e-16);  // one rounded division there and back
    }
  }
}

TEST_CASE("pairs that stand still are divided by 1e30") {
  const rw::RopeConfig config{256, 256, 1000000.0, 0};
  const auto factors = rw::freq_factors(rw::spectrum(config, rw::Proportional{0.25, 1.0}), config);
  REQUIRE(factors.size() == 128);
  CHECK(factors[31] == 1.0);
  CHECK(factors[32] == rw::kGgmlStill);
  CHECK(factors[127] == rw::kGgmlStill);
}

TEST_CASE("the divisors give back the schedule they were made from") {
  const rw::RopeConfig config{128, 128, 10000.0, 4096};
  const rw::Scaling scalings[] = {rw::Linear{4.0}, rw::Yarn{16.0}, rw::DynamicNtk{4.0, 16384},
                                  rw::NtkAware{8.0}, rw::Unscaled{}};
  for (const rw::Scaling& scaling : scalings) {
    const rw::Spectrum spectrum = rw::spectrum(config, scaling);
    const auto factors = rw::freq_factors(spectrum, config);
    for (int pair = 0; pair < config.pairs(); ++pair) {
      const auto index = static_cast<std::size_t>(pair);
      const double back = rw::inverse_frequency(config, pair) / factors[index];
      // Two rounded divisions undo each other to one unit in the last place each.
      CHECK(std::fabs(back / spectrum.inv_freq[index] - 1.0) <= 4.5e-16);
    }
  }
}

TEST_CASE("a spectrum of another model is refused") {
  const rw::RopeConfig config{128, 128, 10000.0, 4096};
  const rw::RopeConfig other{64, 64, 10000.0, 4096};
  CHECK_THROWS_WITH(rw::freq_factors(rw::spectrum(other), config),
                    Catch::Contains("inv_freq = 32"));
}
