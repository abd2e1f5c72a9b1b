// The documented domain that random parameters cover: theta 1.0001 .. 1e12, rotary_dim 2 .. 1024,
// lengths 7 .. 2^40, factors 1 .. 10000.
#pragma once

#include <ropewalk/rope_config.hpp>

#include "support/mpfr.hpp"
#include "support/random.hpp"

#include <cstdint>

namespace ropewalk_test {

inline constexpr std::int64_t kLongest = std::int64_t{1} << 40;

inline std::int64_t whole(double value) { return static_cast<std::int64_t>(value); }

inline double random_theta(Random& random) { return random.log_uniform(1.0001, 1e12); }

inline double random_dim(Random& random, int smallest = 2) {
  return static_cast<double>(2 * random.integer(smallest / 2, 512));
}

inline double random_pair(Random& random, double rotary_dim) {
  return static_cast<double>(random.integer(0, whole(rotary_dim) / 2 - 1));
}

/// From just above 1, where ln(factor) vanishes, to 10000.
inline double random_factor(Random& random) {
  return random.one_in(4) ? 1.0 + random.log_uniform(1e-15, 1.0) : random.log_uniform(1.0, 1e4);
}

inline double random_length(Random& random, std::int64_t shortest = 7) {
  return static_cast<double>(random.length(shortest, kLongest));
}

/// A length not shorter than the one given, often close to it.
inline double random_longer(Random& random, double length) {
  const std::int64_t trained = whole(length);
  if (random.one_in(4)) return static_cast<double>(trained + random.integer(0, trained));
  return static_cast<double>(random.length(trained, kLongest));
}

inline ropewalk::RopeConfig config_of(double theta, double rotary_dim, double length = 0.0) {
  ropewalk::RopeConfig config;
  config.head_dim = static_cast<int>(rotary_dim);
  config.rotary_dim = static_cast<int>(rotary_dim);
  config.theta = theta;
  config.original_length = whole(length);
  return config;
}

/// A config anywhere in the domain, head_dim up to twice rotary_dim.
inline ropewalk::RopeConfig random_config(Random& random, int smallest_dim = 2) {
  ropewalk::RopeConfig config =
      config_of(random_theta(random), random_dim(random, smallest_dim), random_length(random));
  config.head_dim += static_cast<int>(random.integer(0, config.rotary_dim));
  return config;
}

/// theta^(-2 pair / rotary_dim).
inline Mpfr plain_frequency(const Mpfr& theta, const Mpfr& pair, const Mpfr& rotary_dim) {
  return pow(theta, Mpfr(-2) * pair / rotary_dim);
}

inline const Mpfr& two_pi() {
  static const Mpfr value = Mpfr(2) * Mpfr::pi();
  return value;
}

}  // namespace ropewalk_test
