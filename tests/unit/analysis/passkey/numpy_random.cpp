#include <ropewalk/analysis/passkey/numpy_random.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <random>
#include <vector>

namespace rw = ropewalk;

namespace {

std::vector<std::int64_t> draws(rw::NumpyRandom& random, std::int64_t low, std::int64_t end,
                                int count) {
  std::vector<std::int64_t> drawn;
  for (int i = 0; i < count; ++i) drawn.push_back(random.integer(low, end));
  return drawn;
}

}  // namespace

TEST_CASE("randint of seed 42 gives what numpy 2.4.6 printed") {
  rw::NumpyRandom random(42);
  CHECK(draws(random, 10000, 100000, 8) ==
        std::vector<std::int64_t>{25795, 10860, 86820, 64886, 16265, 92386, 47194, 97498});
  CHECK(draws(random, 5, 6, 2) == std::vector<std::int64_t>{5, 5});
  CHECK(draws(random, 0, 4294967295, 3) ==
        std::vector<std::int64_t>{3720198231, 1433267572, 2581769315});
  CHECK(random.integer(-7, 12) == 0);
}

TEST_CASE("the words are those of std::mt19937, whatever the seed") {
  for (const std::uint32_t seed : {0u, 1u, 42u, 5489u, 0xffffffffu}) {
    rw::NumpyRandom random(seed);
    std::mt19937 standard(seed);
    bool same = true;
    for (int i = 0; i < 2000; ++i) same = same && random.bits() == standard();
    CHECK(same);
  }
  rw::NumpyRandom random(5489);  // the number that the C++ standard prescribes
  for (int i = 1; i < 10000; ++i) random.bits();
  CHECK(random.bits() == 4123659995u);
}

TEST_CASE("a range of one value draws nothing") {
  rw::NumpyRandom random(7);
  rw::NumpyRandom other(7);
  CHECK(random.integer(3, 4) == 3);
  CHECK(random.bits() == other.bits());
}

TEST_CASE("every value of a range comes up, and none outside it") {
  rw::NumpyRandom random(3);
  std::vector<int> counts(11);
  for (int i = 0; i < 11000; ++i) ++counts.at(static_cast<std::size_t>(random.integer(-5, 6) + 5));
  for (const int count : counts) {
    CHECK(count > 1000 - 5 * 31);  // five standard deviations of 30.2
    CHECK(count < 1000 + 5 * 31);
  }
}
