#include <ropewalk/phase/sincos.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstdint>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr std::uint64_t kQuarter = std::uint64_t{1} << 62;

}  // namespace

TEST_CASE("quarter turns have exact sines and cosines") {
  const double expected[4][2] = {{0.0, 1.0}, {1.0, 0.0}, {0.0, -1.0}, {-1.0, 0.0}};
  for (std::uint64_t quarter = 0; quarter < 4; ++quarter) {
    const rw::SinCos<double> exact = rw::sincos_double(quarter * kQuarter);
    CHECK(exact.sin == expected[quarter][0]);
    CHECK(exact.cos == expected[quarter][1]);
    const rw::SinCos<float> rounded = rw::sincos_float(quarter * kQuarter);
    CHECK(rounded.sin == static_cast<float>(expected[quarter][0]));
    CHECK(rounded.cos == static_cast<float>(expected[quarter][1]));
  }
}

TEST_CASE("a twelfth of a turn has sine 1/2 and cosine sqrt(3)/2") {
  const rw::SinCos<double> exact =
      rw::sincos_double(rw::Turns{0x1555555555555555u, 0x5555555555555555u});
  CHECK(std::fabs(exact.sin - 0.5) <= 2e-16);
  CHECK(std::fabs(exact.cos - 0.8660254037844386) <= 2e-16);
  CHECK(rw::sincos_float(std::uint64_t{0x1555555555555555u}).sin == 0.5f);
}

TEST_CASE("a quarter turn more makes the sine the cosine, bit for bit") {
  Random random("sincos quarter");
  INFO(seed_text());
  int wrong = 0;
  for (int i = 0; i < 20000; ++i) {
    const rw::Turns phase = {random.bits(), random.bits()};
    const rw::SinCos<double> here = rw::sincos_double(phase);
    const rw::SinCos<double> next = rw::sincos_double(rw::Turns{phase.high + kQuarter, phase.low});
    wrong += next.sin != here.cos;
    wrong += next.cos != -here.sin;
    // Three roundings of values up to 1.
    wrong += std::fabs(here.sin * here.sin + here.cos * here.cos - 1.0) > 8e-16;
  }
  CHECK(wrong == 0);
}

TEST_CASE("the smallest angles keep their bits") {
  // Of the second word the upper 31 bits count; the sine of so small an angle is the angle itself.
  const rw::SinCos<double> tiny = rw::sincos_double(rw::Turns{0, std::uint64_t{1} << 40});
  CHECK(std::fabs(tiny.sin / (6.283185307179586 * 0x1p-88) - 1.0) <= 5e-16);
  CHECK(tiny.cos == 1.0);
}
