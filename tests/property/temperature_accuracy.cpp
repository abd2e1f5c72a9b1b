// Every law of temperature.hpp against 192 bits, at random parameters over its documented domain.
#include <ropewalk/temperature.hpp>

#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"
#include "support/ulp.hpp"

#include <array>
#include <cstdint>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using One = std::array<double, 1>;
using Two = std::array<double, 2>;
using Three = std::array<double, 3>;

constexpr std::int64_t kLongest = std::int64_t{1} << 40;

std::int64_t whole(double value) { return static_cast<std::int64_t>(value); }

// From just above 1, where ln(factor) vanishes, to 10000.
double random_factor(Random& random) {
  return random.one_in(4) ? 1.0 + random.log_uniform(1e-15, 1.0) : random.log_uniform(1.0, 1e4);
}

double random_length(Random& random, std::int64_t shortest) {
  return static_cast<double>(random.length(shortest, kLongest));
}

// Half of them near the trained length, where the logarithms of the two are close.
double random_position(Random& random, double length) {
  if (random.one_in(2)) return static_cast<double>(random.length(1, kLongest)) - 1.0;
  const std::int64_t near = whole(length) + random.integer(-100, 100);
  return static_cast<double>(near > 0 ? near : 0);
}

Mpfr m(const Mpfr& factor, const Mpfr& mscale) { return mscale * log(factor) / Mpfr(10) + Mpfr(1); }

}  // namespace

// Nothing here relies on sums of two doubles but the polynomial in the entropy, so -ffast-math
// costs the same or one operation's rounding; the bounds apart are those measured with it, with a
// margin.

TEST_CASE("the factors on cos and sin keep their stated accuracy") {
  measure(
      "yarn_attention_factor", {2.0, 3.0}, 2,
      [](Random& random) {
        return Two{random_factor(random), random.uniform(0.0, 4.0)};
      },
      [](const Two& x) { return rw::yarn_attention_factor(x[0], x[1]); },
      [](const std::array<Mpfr, 2>& x) { return m(x[0], x[1]); });
  measure(
      "deepseek_attention_factor", {3.0, 4.0}, 3,
      [](Random& random) {
        return Three{random_factor(random), random.uniform(0.0, 4.0), random.uniform(0.0, 4.0)};
      },
      [](const Three& x) { return rw::deepseek_attention_factor(x[0], x[1], x[2]); },
      [](const std::array<Mpfr, 3>& x) { return m(x[0], x[1]) / m(x[0], x[2]); });
  measure(
      "dual_chunk_attention_factor", {2.0, 3.0}, 1,
      [](Random& random) { return One{random_factor(random)}; },
      [](const One& x) { return rw::dual_chunk_attention_factor(x[0]); },
      [](const std::array<Mpfr, 1>& x) { return log(x[0]) / Mpfr(20) + Mpfr(1); });
  measure(
      "longrope_attention_factor", {2.0, 3.0}, 2,
      [](Random& random) {
        return Two{random_factor(random), random_length(random, 2)};
      },
      [](const Two& x) { return rw::longrope_attention_factor(x[0], whole(x[1])); },
      [](const std::array<Mpfr, 2>& x) { return sqrt(Mpfr(1) + log(x[0]) / log(x[1])); });
}

TEST_CASE("the multipliers of softmax_scale keep their stated accuracy") {
  measure(
      "deepseek_softmax_multiplier", {4.0, 5.0}, 2,
      [](Random& random) {
        return Two{random_factor(random), random.uniform(0.0, 4.0)};
      },
      [](const Two& x) { return rw::deepseek_softmax_multiplier(x[0], x[1]); },
      [](const std::array<Mpfr, 2>& x) { return m(x[0], x[1]) * m(x[0], x[1]); });
  measure(
      "nope_softmax_multiplier", {2.0, 3.0}, 2,
      [](Random& random) {
        return Two{random_factor(random), random.uniform(0.0, 2.0)};
      },
      [](const Two& x) { return rw::nope_softmax_multiplier(x[0], x[1]); },
      [](const std::array<Mpfr, 2>& x) { return Mpfr(1) + x[1] * log(x[0]); });
  // With -ffast-math the low halves vanish and Horner's terms, up to 100 times their sum, are
  // rounded as doubles.
  const Mpfr coefficients[5] = {Mpfr::decimal("-0.037"), Mpfr::decimal("0.481"),
                                Mpfr::decimal("-2.3"), Mpfr::decimal("4.917"),
                                Mpfr::decimal("-1.791")};
  measure(
      "adaptive_softmax_multiplier", {1.0, 200.0}, 1,
      [](Random& random) { return One{random.uniform(0.0, 7.0)}; },
      [](const One& x) { return rw::adaptive_softmax_multiplier(x[0]); },
      [&](const std::array<Mpfr, 1>& x) {
        if (x[0] <= Mpfr(0.5)) return Mpfr(1);
        Mpfr sum = coefficients[0];
        for (int power = 1; power < 5; ++power) sum = sum * x[0] + coefficients[power];
        return sum > Mpfr(1) ? sum : Mpfr(1);
      });
}

TEST_CASE("the laws by position keep their stated accuracy") {
  const auto position_and_length = [](Random& random) {
    const double length = random_length(random, 2);
    return Two{random_position(random, length), length};
  };
  const auto log_n = [](const std::array<Mpfr, 2>& x) { return log(x[0] + Mpfr(1)) / log(x[1]); };
  const auto log_n_floored = [&](const std::array<Mpfr, 2>& x) {
    return x[0] + Mpfr(1) > x[1] ? log_n(x) : Mpfr(1);
  };
  measure(
      "log_n_position_scale", {3.0, 4.0}, 2, position_and_length,
      [](const Two& x) { return rw::log_n_position_scale(whole(x[0]), whole(x[1])); }, log_n);
  measure(
      "log_n_untrained_position_scale", {3.0, 4.0}, 2, position_and_length,
      [](const Two& x) { return rw::log_n_untrained_position_scale(whole(x[0]), whole(x[1])); },
      log_n_floored);
  measure(
      "qwen_position_scale", {3.0, 4.0}, 2, position_and_length,
      [](const Two& x) { return rw::qwen_position_scale(whole(x[0]), whole(x[1])); },
      log_n_floored);
  measure(
      "entropy_invariant_position_scale", {3.0, 4.0}, 2, position_and_length,
      [](const Two& x) { return rw::entropy_invariant_position_scale(whole(x[0]), whole(x[1])); },
      log_n);
  measure(
      "chiang_cholak_position_scale", {1.0, 2.0}, 1,
      [](Random& random) { return One{random_length(random, 1) - 1.0}; },
      [](const One& x) { return rw::chiang_cholak_position_scale(whole(x[0])); },
      [](const std::array<Mpfr, 1>& x) { return log(x[0] + Mpfr(1)); });
  measure(
      "ssmax_position_scale", {2.0, 3.0}, 2,
      [](Random& random) {
        return Two{random_length(random, 1) - 1.0, random.uniform(-2.0, 2.0)};
      },
      [](const Two& x) { return rw::ssmax_position_scale(whole(x[0]), x[1]); },
      [](const std::array<Mpfr, 2>& x) { return x[1] * log(x[0] + Mpfr(1)); });
  measure(
      "infoscale_position_scale", {4.0, 5.0}, 2,
      [](Random& random) {
        const double length = random_length(random, 2);
        const double dim = static_cast<double>(random.integer(1, 1024));
        return Three{random_position(random, length), length, dim};
      },
      [](const Three& x) {
        return rw::infoscale_position_scale(whole(x[0]), whole(x[1]), static_cast<int>(x[2]));
      },
      [](const std::array<Mpfr, 3>& x) {
        const Mpfr exponent = Mpfr(-2) / x[2];
        return sqrt(Mpfr(1) - pow(x[0] + Mpfr(1), exponent)) / sqrt(Mpfr(1) - pow(x[1], exponent));
      });
  measure(
      "swan_position_scale", {2.0, 3.0}, 2,
      [](Random& random) {
        return Two{random_length(random, 1) - 1.0, random.log_uniform(1e-12, 1e6)};
      },
      [](const Two& x) { return rw::swan_position_scale(whole(x[0]), x[1]); },
      [](const std::array<Mpfr, 2>& x) { return log(x[1] + x[0] + Mpfr(1)); });
  measure(
      "llama4_position_scale", {2.0, 3.0}, 1,
      [](Random& random) {
        const double floor_scale = static_cast<double>(random.length(1, 1 << 20));
        return Three{random.uniform(0.0, 2.0), random_position(random, floor_scale), floor_scale};
      },
      [](const Three& x) { return rw::llama4_position_scale(whole(x[1]), whole(x[2]), x[0]); },
      [](const std::array<Mpfr, 3>& x) {
        return Mpfr(1) + x[0] * log(Mpfr(1) + floor((x[1] + Mpfr(1)) / x[2]));
      });
  measure(
      "ministral_position_scale", {2.0, 3.0}, 1,
      [](Random& random) {
        const double length = static_cast<double>(random.length(1, 1 << 20));
        return Three{random.uniform(0.0, 2.0), random_position(random, length), length};
      },
      [](const Three& x) { return rw::ministral_position_scale(whole(x[1]), whole(x[2]), x[0]); },
      [](const std::array<Mpfr, 3>& x) {
        return Mpfr(1) + x[0] * log(Mpfr(1) + floor(x[1] / x[2]));
      });
  const auto distance_and_tau = [](Random& random) {
    return Two{random_length(random, 1) - 1.0, random.log_uniform(1e-2, 1e6)};
  };
  measure(
      "scale_invariant_logit multiplier", {2.0, 3.0}, 2, distance_and_tau,
      [](const Two& x) { return rw::scale_invariant_logit(whole(x[0]), x[1]).multiplier; },
      [](const std::array<Mpfr, 2>& x) {
        return sqrt(Mpfr(2) * log(x[0] / x[1] + Mpfr(1)) + Mpfr(1));
      });
  measure(
      "scale_invariant_logit offset", {3.0, 4.0}, 2, distance_and_tau,
      [](const Two& x) { return rw::scale_invariant_logit(whole(x[0]), x[1]).offset; },
      [](const std::array<Mpfr, 2>& x) { return Mpfr(-2) * log(x[0] / x[1] + Mpfr(1)); });
}
