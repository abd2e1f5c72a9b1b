// The frequency of every scaling method against 192 bits, at random parameters and pairs.
#include <ropewalk/scaling.hpp>

#include "domain.hpp"
#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"
#include "support/ulp.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using Three = std::array<double, 3>;
using Four = std::array<double, 4>;
using Five = std::array<double, 5>;
using Six = std::array<double, 6>;
using Seven = std::array<double, 7>;
using Eight = std::array<double, 8>;

int index(double pair) { return static_cast<int>(pair); }

Four random_theta_factor_pair_dim(Random& random, int smallest_dim = 2) {
  const double dim = random_dim(random, smallest_dim);
  return {random_theta(random), random_factor(random), random_pair(random, dim), dim};
}

/// keep + (1 - keep) / factor.
Mpfr mixed(const Mpfr& keep, const Mpfr& factor) { return keep + (Mpfr(1) - keep) / factor; }

Mpfr clamped(const Mpfr& x) {
  if (x < Mpfr(0)) return 0;
  return x > Mpfr(1) ? Mpfr(1) : x;
}

// Seven numbers of a ramp: theta, factor, beta_fast, beta_slow, length, pair, dim.
Seven random_ramp(Random& random, double smallest_beta, double largest_beta) {
  const Four base = random_theta_factor_pair_dim(random);
  const double one = random.log_uniform(smallest_beta, largest_beta);
  const double other = random.log_uniform(smallest_beta, largest_beta);
  return {base[0], base[1], (std::max)(one, other), (std::min)(one, other), random_length(random),
          base[2], base[3]};
}

Mpfr by_parts(const std::array<Mpfr, 7>& x) {
  const Mpfr plain = plain_frequency(x[0], x[5], x[6]);
  const Mpfr turns = plain * x[4] / two_pi();
  if (turns > x[2]) return plain;
  if (turns < x[3]) return plain / x[1];
  return plain * mixed((turns - x[3]) / (x[2] - x[3]), x[1]);
}

}  // namespace

TEST_CASE("methods that move one number keep their stated accuracy") {
  measure(
      "Linear", {3.0, 3.0}, 2, [](Random& random) { return random_theta_factor_pair_dim(random); },
      [](const Four& x) { return rw::Linear{x[1]}.inv_freq(config_of(x[0], x[3]), index(x[2])); },
      [](const std::array<Mpfr, 4>& x) { return plain_frequency(x[0], x[2], x[3]) / x[1]; });
  measure(
      "NtkAware", {4.0, 5.0}, 2,
      [](Random& random) { return random_theta_factor_pair_dim(random, 4); },
      [](const Four& x) { return rw::NtkAware{x[1]}.inv_freq(config_of(x[0], x[3]), index(x[2])); },
      [](const std::array<Mpfr, 4>& x) {
        const Mpfr theta = x[0] * pow(x[1], x[3] / (x[3] - Mpfr(2)));
        return plain_frequency(theta, x[2], x[3]);
      });
  measure(
      "DynamicNtk", {4.0, 6.0}, 2,
      [](Random& random) {
        const Four base = random_theta_factor_pair_dim(random, 4);
        const double trained = random_length(random, 1);
        const double length = random.one_in(8) ? trained : random_longer(random, trained);
        return Six{base[0], base[1], trained, length, base[2], base[3]};
      },
      [](const Six& x) {
        return rw::DynamicNtk{x[1], whole(x[3])}.inv_freq(config_of(x[0], x[5], x[2]), index(x[4]));
      },
      [](const std::array<Mpfr, 6>& x) {
        const Mpfr stretch = x[1] * x[3] / x[2] - (x[1] - Mpfr(1));
        return plain_frequency(x[0] * pow(stretch, x[5] / (x[5] - Mpfr(2))), x[4], x[5]);
      });
}

TEST_CASE("methods with a ramp are known to their condition numbers") {
  measure(
      "NtkByParts", {4.0, 12.0, Against::condition}, 5,
      [](Random& random) { return random_ramp(random, 0.1, 1000.0); },
      [](const Seven& x) {
        return rw::NtkByParts{x[1], x[2], x[3]}.inv_freq(config_of(x[0], x[6], x[4]), index(x[5]));
      },
      by_parts);
  measure(
      "Llama3", {4.0, 12.0, Against::condition}, 5,
      [](Random& random) { return random_ramp(random, 0.25, 16.0); },
      [](const Seven& x) {
        const rw::Llama3 method{x[1], x[3], x[2]};
        return method.inv_freq(config_of(x[0], x[6], x[4]), index(x[5]));
      },
      by_parts);
  // With -ffast-math the ends of the ramp come from plain logarithms.
  measure(
      "Yarn", {4.0, 64.0, Against::condition}, 6,
      [](Random& random) {
        for (;;) {
          const Seven x = random_ramp(random, 0.1, 1000.0);
          const double extrapolation = random.one_in(2) ? 1.0 : random.unit();
          const double truncate = random.one_in(2) ? 1.0 : 0.0;
          const rw::Yarn method{x[1], x[2], x[3], truncate != 0.0, extrapolation};
          if (method.validate(config_of(x[0], x[6], x[4])).code != rw::Errc::ok) continue;
          return std::array<double, 9>{x[0], x[1], x[2], x[3],    extrapolation,
                                       x[4], x[5], x[6], truncate};
        }
      },
      [](const std::array<double, 9>& x) {
        const rw::Yarn method{x[1], x[2], x[3], x[8] != 0.0, x[4]};
        return method.inv_freq(config_of(x[0], x[7], x[5]), index(x[6]));
      },
      [](const std::array<Mpfr, 9>& x) {
        const Mpfr slope = x[7] / Mpfr(2) / log(x[0]);
        Mpfr low = slope * log(x[5] / x[2] / two_pi());
        Mpfr high = slope * log(x[5] / x[3] / two_pi());
        if (!x[8].is_zero()) {
          low = floor(low);
          high = ceil(high);
        }
        if (low < Mpfr(0)) low = 0;
        if (high > x[7] - Mpfr(1)) high = x[7] - Mpfr(1);
        if (low == high) high = high + Mpfr(0.001);
        const Mpfr keep = (Mpfr(1) - clamped((x[6] - low) / (high - low))) * x[4];
        return plain_frequency(x[0], x[6], x[7]) * mixed(keep, x[1]);
      });
}

TEST_CASE("methods with a number per pair keep their stated accuracy") {
  measure(
      "LongRope", {3.0, 3.0}, 2,
      [](Random& random) { return random_theta_factor_pair_dim(random); },
      [](const Four& x) {
        rw::LongRope method;
        method.short_factor.assign(static_cast<std::size_t>(x[3]) / 2, 1.0);
        method.short_factor[static_cast<std::size_t>(x[2])] = x[1];
        return method.inv_freq(config_of(x[0], x[3]), index(x[2]));
      },
      [](const std::array<Mpfr, 4>& x) { return plain_frequency(x[0], x[2], x[3]) / x[1]; });
  // With -ffast-math the logarithm of a place near 1 is the difference of two plain logarithms, up to 6
  // each, multiplied by an exponent of up to 16; the condition number knows only their difference.
  measure(
      "PowerBasis", {4.0, 200.0, Against::condition}, 2,
      [](Random& random) {
        const double dim = random_dim(random);
        return Four{random_theta(random), random.log_uniform(1e-3, 16.0), random_pair(random, dim),
                    dim};
      },
      [](const Four& x) {
        return rw::PowerBasis{x[1]}.inv_freq(config_of(x[0], x[3]), index(x[2]));
      },
      [](const std::array<Mpfr, 4>& x) {
        const Mpfr place = Mpfr(1) - Mpfr(2) * x[2] / x[3];
        return plain_frequency(x[0], x[2], x[3]) * pow(place, x[1]);
      });
  measure(
      "TruncatedBasis", {2.0, 2.0}, 2,
      [](Random& random) {
        const double dim = random_dim(random);
        return Four{random_theta(random), random.log_uniform(1e-9, 4.0), random_pair(random, dim),
                    dim};
      },
      [](const Four& x) {
        return rw::TruncatedBasis{x[1]}.inv_freq(config_of(x[0], x[3]), index(x[2]));
      },
      [](const std::array<Mpfr, 4>& x) {
        const Mpfr plain = plain_frequency(x[0], x[2], x[3]);
        if (plain >= x[1]) return plain;
        return plain >= x[1] / Mpfr(8) ? x[1] / Mpfr(16) : Mpfr(0);
      });
  measure(
      "NtkMixed", {4.0, 50.0, Against::condition}, 3,
      [](Random& random) {
        const Four base = random_theta_factor_pair_dim(random);
        return Five{base[0], base[1], random.unit(), base[2], base[3]};
      },
      [](const Five& x) {
        return rw::NtkMixed{x[1], x[2]}.inv_freq(config_of(x[0], x[4]), index(x[3]));
      },
      [](const std::array<Mpfr, 5>& x) {
        const Mpfr share = pow((x[3] + Mpfr(1)) / (x[4] / Mpfr(2)), x[2]);
        return plain_frequency(x[0], x[3], x[4]) * pow(x[1], -share);
      });
  measure(
      "Proportional", {3.0, 3.0}, 2,
      [](Random& random) {
        const Four base = random_theta_factor_pair_dim(random);
        return Five{base[0], base[1], random.unit(), base[2], base[3]};
      },
      [](const Five& x) {
        return rw::Proportional{x[2], x[1]}.inv_freq(config_of(x[0], x[4]), index(x[3]));
      },
      [](const std::array<Mpfr, 5>& x) {
        const Mpfr rotated = floor(floor(x[2] * x[4]) / Mpfr(2));
        if (x[3] >= rotated) return Mpfr(0);
        return plain_frequency(x[0], x[3], x[4]) / x[1];
      });
  // Resonance rounds the wavelength of the method's own double, which is therefore the input here.
  measure(
      "Resonance", {1.0, 2.0}, 0,
      [](Random& random) {
        const double dim = random_dim(random);
        return Three{random_theta(random), random_pair(random, dim), dim};
      },
      [](const Three& x) { return rw::Resonance<>{}.inv_freq(config_of(x[0], x[2]), index(x[1])); },
      [](const std::array<Mpfr, 3>& x) {
        const double plain = rw::inverse_frequency(x[0].to_double(), index(x[1].to_double()),
                                                   index(x[2].to_double()));
        return two_pi() / rint(two_pi() / Mpfr(plain));
      });
}
