// Random parameters that are the same on every platform: the generator and the distributions are
// spelled out here, since those of <random> differ between standard libraries.
//   ROPEWALK_TEST_SEED         the seed; every random test prints it when it fails
//   ROPEWALK_TEST_ITERATIONS   random parameters per function, 100000 unless set; a quarter of them
//                              in the builds with -ffast-math, which judge looser bounds
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace ropewalk_test {

inline std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 0) : otherwise;
}

inline std::uint64_t test_seed() {
  static const std::uint64_t seed = number_from_environment("ROPEWALK_TEST_SEED", 1);
  return seed;
}

inline std::uint64_t test_iterations(std::uint64_t otherwise = 100000) {
  const std::uint64_t iterations = number_from_environment("ROPEWALK_TEST_ITERATIONS", otherwise);
#ifdef ROPEWALK_TEST_FAST_MATH
  return iterations / 4 + 1;
#else
  return iterations;
#endif
}

/// xoshiro256** (Blackman and Vigna), its state filled by splitmix64. Each test draws from a stream
/// of its own, so that one test's numbers do not depend on which others ran.
class Random {
 public:
  explicit Random(std::string_view stream) {
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    for (const char letter : stream) {
      hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
    }
    std::uint64_t filler = test_seed() ^ hash;
    for (std::uint64_t& word : state_) {
      filler += 0x9e3779b97f4a7c15u;
      std::uint64_t z = filler;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      word = z ^ (z >> 31);
    }
  }

  std::uint64_t bits() {
    const std::uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate_left(state_[3], 45);
    return result;
  }

  /// In [0, 1), a multiple of 2^-53.
  double unit() { return std::ldexp(static_cast<double>(bits() >> 11), -53); }

  double uniform(double low, double high) { return low + (high - low) * unit(); }

  /// low .. high, both included; the bias of the remainder is below 2^-24 for the ranges used here.
  std::int64_t integer(std::int64_t low, std::int64_t high) {
    const std::uint64_t values = static_cast<std::uint64_t>(high - low) + 1;
    return low + static_cast<std::int64_t>(bits() % values);
  }

  /// In [low, high], every octave equally likely, even within one; needs no logarithm.
  double log_uniform(double low, double high) {
    for (;;) {
      const std::int64_t exponent = integer(std::ilogb(low), std::ilogb(high));
      const double value = std::ldexp(1.0 + unit(), static_cast<int>(exponent));
      if (value >= low && value <= high) return value;
    }
  }

  /// A whole number in [low, high], every octave equally likely.
  std::int64_t length(std::int64_t low, std::int64_t high) {
    const double value = log_uniform(static_cast<double>(low), static_cast<double>(high) + 0.999);
    return static_cast<std::int64_t>(value);
  }

  bool one_in(int n) { return bits() % static_cast<std::uint64_t>(n) == 0; }

 private:
  static std::uint64_t rotate_left(std::uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

  std::uint64_t state_[4] = {};
};

/// What a failing test prints so that it can be run again.
inline std::string seed_text() { return "ROPEWALK_TEST_SEED=" + std::to_string(test_seed()); }

}  // namespace ropewalk_test
