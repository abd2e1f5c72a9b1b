#include <ropewalk/cuda/phase.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr long double kTurn = 6.283185307179586476925286766559005768L;

struct Errors {
  double largest = 0.0;
  std::uint64_t at = 0;

  void see(std::uint64_t phase) {
    const rw::SinCos<float> got = rw::cuda::sincos_single(phase);
    // Signed, so that the long double keeps the bits of small angles.
    const long double angle =
        std::ldexp(static_cast<long double>(static_cast<std::int64_t>(phase)), -64) * kTurn;
    const double off = static_cast<double>(
        (std::max)(std::fabs(static_cast<long double>(got.sin) - std::sin(angle)),
                   std::fabs(static_cast<long double>(got.cos) - std::cos(angle))));
    if (!(off <= largest)) {
      largest = off;
      at = phase;
    }
  }
};

}  // namespace

TEST_CASE("quarter turns have exact sines and cosines in float arithmetic") {
  const float expected[4][2] = {{0.0f, 1.0f}, {1.0f, 0.0f}, {0.0f, -1.0f}, {-1.0f, 0.0f}};
  for (std::uint64_t quarter = 0; quarter < 4; ++quarter) {
    const rw::SinCos<float> got = rw::cuda::sincos_single(quarter << 62);
    CHECK(got.sin == expected[quarter][0]);
    CHECK(got.cos == expected[quarter][1]);
  }
}

TEST_CASE("sine and cosine in float are within 1.1e-7 of a million words and all boundaries") {
  Random random("cuda sincos");
  INFO(seed_text());
  Errors errors;
  for (int i = 0; i < 1000000; ++i) errors.see(random.bits());
  for (std::uint64_t eighth = 0; eighth < 8; ++eighth) {
    for (int bit = 0; bit < 62; ++bit) {
      for (const std::uint64_t step : {std::uint64_t{1} << bit, (std::uint64_t{1} << bit) - 1}) {
        errors.see((eighth << 61) + step);
        errors.see((eighth << 61) - step);
      }
    }
  }
  std::printf("accuracy cuda::sincos_single max %.3g at %#llx\n", errors.largest,
              static_cast<unsigned long long>(errors.at));
  CHECK(errors.largest <= 1.1e-7);
  CHECK(errors.largest > 1e-9);  // a float cannot do better
}

TEST_CASE("one word of a step is within half a unit per token of the exact phase") {
  Random random("cuda phase");
  INFO(seed_text());
  int wrong = 0;
  double largest = 0.0;
  for (int i = 0; i < 200000; ++i) {
    const rw::Turns step{random.bits(), random.bits()};
    const std::int64_t position =
        static_cast<std::int64_t>(random.bits()) >> static_cast<int>(random.integer(13, 63));
    const std::uint64_t exact = rw::detail::multiply(step, position).high;
    const std::uint64_t word = rw::cuda::phase_word(rw::cuda::nearest_word(step), position);
    const double off = std::fabs(static_cast<double>(static_cast<std::int64_t>(word - exact)));
    // Half a unit per token, and the exact phase's own cut.
    const double bound = 0.5 * std::fabs(static_cast<double>(position)) + 1.0;
    wrong += !(off <= bound);
    largest = (std::max)(largest, off / bound);
  }
  CHECK(wrong == 0);
  CHECK(largest > 0.5);
}
