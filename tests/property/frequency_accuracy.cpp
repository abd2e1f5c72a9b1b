// arithmetic.hpp and frequency.hpp against 192 bits.
#include <ropewalk/frequency.hpp>

#include "domain.hpp"
#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"
#include "support/ulp.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using Two = std::array<double, 2>;
using Three = std::array<double, 3>;

}  // namespace

TEST_CASE("logarithms carry 57 bits, or 59 after the point") {
  Random random("logarithm");
  double largest = 0.0;
  double worst = 1.0;
  for (std::uint64_t iteration = 0; iteration < test_iterations(); ++iteration) {
    const double x = random.one_in(3)   ? 1.0 + random.uniform(-0.3, 0.5)
                     : random.one_in(2) ? 1.0 + random.log_uniform(1e-15, 1.0)
                                        : random.log_uniform(1e-300, 1e300);
    const auto log_x = rw::detail::logarithm(x);
    const Mpfr exact = log(Mpfr(x));
    const Mpfr error = abs(Mpfr(log_x.high) + Mpfr(log_x.low) - exact);
    const double relative = ldexp(error / abs(exact), 57).to_double();
    const double absolute = ldexp(error, 59).to_double();
    const double judged = exact.is_zero() ? absolute : (std::min)(relative, absolute);
    if (judged > largest) {
      largest = judged;
      worst = x;
    }
  }
  std::printf("accuracy %-34s max %8.3f of 2^-57 or 2^-59, at %.17g\n", "detail::logarithm",
              largest, worst);
  INFO(seed_text());
  INFO("at " << worst);
  // With -ffast-math the low half vanishes and with it up to 6 bits.
#ifdef ROPEWALK_TEST_FAST_MATH
  CHECK(largest <= 128.0);
#else
  CHECK(largest <= 1.0);
#endif
}

TEST_CASE("plain frequencies are within 2 ULP everywhere") {
  measure(
      "inverse_frequency", {2.0, 2.0}, 1,
      [](Random& random) {
        const double dim = random_dim(random);
        return Three{random_theta(random), random_pair(random, dim), dim};
      },
      [](const Three& x) {
        return rw::inverse_frequency(x[0], static_cast<int>(x[1]), static_cast<int>(x[2]));
      },
      [](const std::array<Mpfr, 3>& x) { return plain_frequency(x[0], x[1], x[2]); });
}

TEST_CASE("wavelengths and rotations keep their stated accuracy") {
  const auto frequency = [](Random& random) { return random.log_uniform(1e-12, 4.0); };
  measure(
      "wavelength", {1.0, 1.0}, 1,
      [&](Random& random) { return std::array<double, 1>{frequency(random)}; },
      [](const std::array<double, 1>& x) { return rw::wavelength(x[0]); },
      [](const std::array<Mpfr, 1>& x) { return two_pi() / x[0]; });
  measure(
      "rotations", {2.0, 2.0}, 2,
      [&](Random& random) {
        return Two{frequency(random), random_length(random, 1)};
      },
      [](const Two& x) { return rw::rotations(x[0], whole(x[1])); },
      [](const std::array<Mpfr, 2>& x) { return x[0] * x[1] / two_pi(); });
}

TEST_CASE("the pair index of a wavelength is known to its condition number") {
  // With -ffast-math the logarithms are plain doubles.
  measure(
      "pair_index_of_wavelength", {2.0, 8.0, Against::condition}, 2,
      [](Random& random) {
        const double wavelength = random.one_in(4) ? 6.283185307179586 * random.uniform(0.9, 1.1)
                                                   : random.log_uniform(1e-2, 0x1p40);
        return Three{random_theta(random), wavelength, random_dim(random)};
      },
      [](const Three& x) { return rw::pair_index_of_wavelength(config_of(x[0], x[2]), x[1]); },
      [](const std::array<Mpfr, 3>& x) {
        return x[2] / Mpfr(2) * log(x[1] / two_pi()) / log(x[0]);
      });
}
