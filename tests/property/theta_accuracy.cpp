// Every law of theta.hpp against 192 bits.
#include <ropewalk/theta.hpp>

#include "domain.hpp"
#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"
#include "support/ulp.hpp"

#include <array>
#include <cmath>
#include <cstdint>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using One = std::array<double, 1>;
using Three = std::array<double, 3>;
using Four = std::array<double, 4>;
using Five = std::array<double, 5>;

// Results up to e^690 stay in range; beyond, the laws refuse.
constexpr double kLargestLog = 690.0;

double log_of_turns(double length) { return std::log(length / 6.283185307179586); }

Mpfr ntk_power(const Mpfr& stretch, const Mpfr& dim) { return pow(stretch, dim / (dim - Mpfr(2))); }

Mpfr liu(const Mpfr& theta, const Mpfr& trained, const Mpfr& target, const Mpfr& unit) {
  return pow(theta, log(target / unit) / log(trained / unit));
}

}  // namespace

TEST_CASE("the NTK laws keep their stated accuracy") {
  measure(
      "ntk_theta", {3.0, 4.0}, 2,
      [](Random& random) {
        return Three{random_theta(random), random_factor(random), random_dim(random, 4)};
      },
      [](const Three& x) { return rw::ntk_theta(config_of(x[0], x[2]), x[1]); },
      [](const std::array<Mpfr, 3>& x) { return x[0] * ntk_power(x[1], x[2]); });
  measure(
      "dynamic_ntk_theta", {4.0, 6.0}, 2,
      [](Random& random) {
        const double trained = random_length(random, 1);
        return Five{random_theta(random), random_factor(random), trained,
                    random_longer(random, trained), random_dim(random, 4)};
      },
      [](const Five& x) {
        return rw::dynamic_ntk_theta(config_of(x[0], x[4], x[2]), x[1], whole(x[3]));
      },
      [](const std::array<Mpfr, 5>& x) {
        return x[0] * ntk_power(x[1] * x[3] / x[2] - (x[1] - Mpfr(1)), x[4]);
      });
  measure(
      "exllama_theta", {3.0, 4.0}, 2,
      [](Random& random) {
        return Three{random_theta(random), random.log_uniform(1e-2, 1e4), random_dim(random, 4)};
      },
      [](const Three& x) { return rw::exllama_theta(config_of(x[0], x[2]), x[1]); },
      [](const std::array<Mpfr, 3>& x) { return x[0] * ntk_power(x[1], x[2]); });
  measure(
      "exllama_alpha", {3.0, 4.0}, 2,
      [](Random& random) {
        return Three{random_theta(random), random_theta(random), random_dim(random, 4)};
      },
      [](const Three& x) { return rw::exllama_alpha(config_of(x[0], x[2]), x[1]); },
      [](const std::array<Mpfr, 3>& x) { return pow(x[1] / x[0], (x[2] - Mpfr(2)) / x[2]); });
  measure(
      "text_generation_webui_theta", {3.0, 4.0}, 1,
      [](Random& random) { return One{random.log_uniform(1e-2, 1e4)}; },
      [](const One& x) { return rw::text_generation_webui_theta(x[0]); },
      [](const std::array<Mpfr, 1>& x) { return Mpfr(10000) * ntk_power(x[0], Mpfr(128)); });
  measure(
      "text_generation_webui_alpha", {3.0, 4.0}, 1,
      [](Random& random) { return One{random_theta(random)}; },
      [](const One& x) { return rw::text_generation_webui_alpha(x[0]); },
      [](const std::array<Mpfr, 1>& x) { return pow(x[0] / Mpfr(10000), Mpfr(63) / Mpfr(64)); });
  const Mpfr parabola[3] = {Mpfr::decimal("-0.13436"), Mpfr::decimal("0.80541"),
                            Mpfr::decimal("0.28833")};
  measure(
      "tabbyapi_alpha", {4.0, 5.0}, 1, [](Random& random) { return One{random_factor(random)}; },
      [](const One& x) { return rw::tabbyapi_alpha(x[0]); },
      [&](const std::array<Mpfr, 1>& x) {
        return parabola[0] + parabola[1] * x[0] + parabola[2] * x[0] * x[0];
      });
}

// With -ffast-math the low halves vanish: a logarithm of a length is then off by half an ULP of itself,
// up to 28, where the condition number knows only the relative error of the length. Hence bounds of
// that size apart.
TEST_CASE("the laws of length keep their stated accuracy") {
  measure(
      "align_theta", {2.0, 6.0, Against::condition}, 3,
      [](Random& random) {
        for (;;) {
          const double dim = random_dim(random);
          const Four x{random_theta(random), random_factor(random),
                       random.log_uniform(0.01, 1.0) * dim, dim};
          if (std::log(x[0]) + std::log(x[1]) * dim / (2.0 * x[2]) < kLargestLog) return x;
        }
      },
      [](const Four& x) { return rw::align_theta(config_of(x[0], x[3]), x[1], x[2]); },
      [](const std::array<Mpfr, 4>& x) { return x[0] * pow(x[1], x[3] / (Mpfr(2) * x[2])); });
  const auto theta_and_lengths = [](Random& random) {
    for (;;) {
      const double trained = random_length(random);
      const Four x{random_theta(random), trained, random_longer(random, trained),
                   random_dim(random)};
      if (std::log(x[0]) * log_of_turns(x[2]) / log_of_turns(trained) < kLargestLog) return x;
    }
  };
  const auto liu_value = [](const Four& x) {
    return rw::theta_for_length(config_of(x[0], x[3], x[1]), whole(x[2]));
  };
  const auto liu_reference = [](const std::array<Mpfr, 4>& x) {
    return liu(x[0], x[1], x[2], two_pi());
  };
  const auto strict_value = [](const Four& x) {
    return rw::strict_theta_for_length(config_of(x[0], x[3], x[1]), whole(x[2]));
  };
  const auto strict_reference = [](const std::array<Mpfr, 4>& x) {
    const Mpfr pairs = x[3] / Mpfr(2);
    const Mpfr complete = ceil(pairs * log(x[1] / two_pi()) / log(x[0]));
    return complete >= pairs ? x[0] : x[0] * pow(x[2] / x[1], pairs / complete);
  };
  measure("theta_for_length", {2.0, 64.0, Against::condition}, 3, theta_and_lengths, liu_value,
          liu_reference);
  measure("strict_theta_for_length", {2.0, 64.0, Against::condition}, 3, theta_and_lengths,
          strict_value, strict_reference);
  // The lengths of models, where the exponent is small and no condition number is needed.
  const auto theta_and_usual_lengths = [](Random& random) {
    const double trained = static_cast<double>(random.length(1024, 1 << 20));
    const double target = static_cast<double>(random.length(whole(trained), 1 << 24));
    return Four{random.log_uniform(1e3, 1e8), trained, target, random_dim(random)};
  };
  measure("theta_for_length, usual lengths", {3.0, 250.0}, 3, theta_and_usual_lengths, liu_value,
          liu_reference);
  measure("strict_theta_for_length, usual", {3.0, 250.0}, 3, theta_and_usual_lengths, strict_value,
          strict_reference);
  measure(
      "extrapolation_limit", {4.0, 5.0}, 2,
      [](Random& random) {
        const double theta = random_theta(random);
        return Four{random.log_uniform(theta, 2e12), theta, random_length(random),
                    random_dim(random)};
      },
      [](const Four& x) { return rw::extrapolation_limit(config_of(x[1], x[3], x[2]), x[0]); },
      [](const std::array<Mpfr, 4>& x) {
        if (x[0] <= x[1]) return x[2];
        const Mpfr pairs = x[3] / Mpfr(2);
        const Mpfr complete = ceil(pairs * log(x[2] / two_pi()) / log(x[1]));
        return two_pi() * pow(x[0], (complete < pairs ? complete : pairs) / pairs);
      });
  measure(
      "small_base_thresholds", {1.0, 2.0}, 1,
      [](Random& random) { return One{random_length(random)}; },
      [](const One& x) { return rw::small_base_thresholds(whole(x[0])).full_turn; },
      [](const std::array<Mpfr, 1>& x) { return x[0] / two_pi(); });
}

TEST_CASE("KoboldCpp's base is its formula to the condition number") {
  const Mpfr unit = Mpfr::decimal("6.28318");
  const auto draw = [](Random& random) {
    for (;;) {
      const double theta = random.one_in(2) ? 10000.0 : 500000.0;
      const double trained = random_length(random);
      const double target = random_longer(random, trained);
      const bool acts = target > trained && target > 2048.0;
      if (acts && std::log(theta) * log_of_turns(target) / log_of_turns(trained) < kLargestLog) {
        return Three{theta, trained, target};
      }
    }
  };
  measure(
      "koboldcpp_theta", {4.0, 64.0, Against::condition}, 3, draw,
      [](const Three& x) {
        return rw::koboldcpp_theta(config_of(x[0], 128, x[1]), whole(x[2])).value();
      },
      [&](const std::array<Mpfr, 3>& x) { return liu(x[0], x[1], x[2], unit); });
  // Below about 100 tokens the correction for Solar turns negative, which is refused.
  const auto draw_solar = [&](Random& random) {
    for (;;) {
      const Three x = draw(random);
      if (x[1] >= 1024.0) return x;
    }
  };
  measure(
      "koboldcpp_theta solar", {4.0, 64.0, Against::condition}, 3, draw_solar,
      [](const Three& x) {
        return rw::koboldcpp_theta(config_of(x[0], 128, x[1]), whole(x[2]),
                                   rw::KoboldCppModel::solar)
            .value();
      },
      [&](const std::array<Mpfr, 3>& inputs) {
        const Mpfr trained = Mpfr(8) * inputs[1];
        const Mpfr target = Mpfr(8) * inputs[2];
        const Mpfr x = log(target / unit) / log(Mpfr(10));
        const Mpfr y = log(trained / unit) / log(Mpfr(10));
        return liu(inputs[0], trained, target, unit) * (Mpfr(1) + (x - y) / (x * y - (x + y)));
      });
}
