#include <ropewalk/element.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

// Independent of the header: the value from its fields, in double, without bit tricks.
double value_of_fields(unsigned sign, unsigned exponent, unsigned fraction, int fraction_bits,
                       int bias) {
  const double scaled = std::ldexp(static_cast<double>(fraction), -fraction_bits);
  const double magnitude = exponent == 0
                               ? std::ldexp(scaled, 1 - bias)
                               : std::ldexp(1.0 + scaled, static_cast<int>(exponent) - bias);
  return sign != 0 ? -magnitude : magnitude;
}

double half_value(std::uint16_t bits) {
  return value_of_fields(bits >> 15, (bits >> 10) & 31u, bits & 1023u, 10, 15);
}

double brain_value(std::uint16_t bits) {
  return value_of_fields(bits >> 15, (bits >> 7) & 255u, bits & 127u, 7, 127);
}

std::uint32_t bits_of(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float float_of(std::uint32_t bits) {
  float value = 0.0f;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Whether `stored` is the nearest of the format to `value`, the even one of two as near. The
/// neighbours of a magnitude are the magnitudes of the bits one below and one above; past the
/// largest finite one the next step of the same size stands for the infinity.
template <typename Value>
bool is_nearest_even(std::uint16_t stored, double value, Value value_of) {
  const std::uint16_t magnitude = stored & 0x7fffu;
  const double distance = std::fabs(value_of(magnitude) - std::fabs(value));
  const double above =
      std::fabs(value_of(static_cast<std::uint16_t>(magnitude + 1)) - std::fabs(value));
  if (distance > above || (distance == above && magnitude % 2 != 0)) return false;
  if (magnitude == 0) return true;
  const double below =
      std::fabs(value_of(static_cast<std::uint16_t>(magnitude - 1)) - std::fabs(value));
  return distance < below || (distance == below && magnitude % 2 == 0);
}

}  // namespace

TEST_CASE("an engine's own 16-bit words may be read as elements") {
  const std::uint16_t half = 0x3c00;
  const std::uint16_t brain = 0xc000;
  rw::float16 as_half;
  rw::bfloat16 as_brain;
  std::memcpy(&as_half, &half, sizeof half);
  std::memcpy(&as_brain, &brain, sizeof brain);
  CHECK(rw::to_float(as_half) == 1.0f);
  CHECK(rw::to_float(as_brain) == -2.0f);
  CHECK(rw::to_float16(65504.0f).bits == 0x7bff);
  CHECK(rw::to_float16(65519.9961f).bits == 0x7bff);
  CHECK(rw::to_float16(65520.0f).bits == 0x7c00);
  CHECK(rw::to_float16(-0.0f).bits == 0x8000);
  CHECK(rw::to_float16(0x1p-25f).bits == 0x0000);
  CHECK(rw::to_float16(0x1.000002p-25f).bits == 0x0001);
  CHECK(rw::to_bfloat16(1.00390625f).bits == 0x3f80);
  CHECK(rw::to_bfloat16(1.01171875f).bits == 0x3f82);
}

TEST_CASE("all 65536 values of both types are exact and come back as they were") {
  int wrong = 0;
  for (std::uint32_t word = 0; word < 0x10000u; ++word) {
    const auto bits = static_cast<std::uint16_t>(word);
    const std::uint32_t half = bits_of(rw::to_float(rw::float16{bits}));
    const std::uint32_t brain = bits_of(rw::to_float(rw::bfloat16{bits}));
    if ((bits & 0x7c00u) != 0x7c00u) {
      wrong += bits_of(static_cast<float>(half_value(bits))) != half;
      wrong += rw::to_float16(float_of(half)).bits != bits;
    } else if ((bits & 0x03ffu) == 0) {
      wrong += half != ((bits & 0x8000u) << 16 | 0x7f800000u);
      wrong += rw::to_float16(float_of(half)).bits != bits;
    } else {  // a NaN keeps sign and payload, and is quiet
      wrong += half != ((bits & 0x8000u) << 16 | 0x7fc00000u | (bits & 0x03ffu) << 13);
      wrong += rw::to_float16(float_of(half)).bits != (bits | 0x0200u);
    }
    wrong += brain != std::uint32_t{bits} << 16;
    const bool brain_nan = (bits & 0x7fffu) > 0x7f80u;
    wrong += rw::to_bfloat16(float_of(brain)).bits != (brain_nan ? bits | 0x0040u : bits);
    // Denormal floats may be flushed where -ffast-math is linked in, but not in these conversions.
    if ((bits & 0x7f80u) != 0x7f80u && (bits & 0x7f80u) != 0) {
      wrong += bits_of(static_cast<float>(brain_value(bits))) != brain;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("rounding is to the nearest even one around every boundary of both formats") {
  // Each stored value, the middle to the next one, and the floats beside both.
  int wrong = 0;
  for (std::uint32_t word = 0; word < 0x7c00u; ++word) {
    const auto bits = static_cast<std::uint16_t>(word);
    const double low = half_value(bits);
    const double high = half_value(static_cast<std::uint16_t>(bits + 1));
    for (const double centre : {low, (low + high) / 2}) {
      const std::uint32_t middle = bits_of(static_cast<float>(centre));
      for (std::uint32_t at = middle == 0 ? 0 : middle - 1; at <= middle + 1; ++at) {
        for (const std::uint32_t sign : {0u, 0x80000000u}) {
          const rw::float16 stored = rw::to_float16(float_of(at | sign));
          wrong += (stored.bits >> 15) != (sign >> 31);
          wrong += !is_nearest_even(stored.bits, static_cast<double>(float_of(at)), half_value);
        }
      }
    }
  }
  CHECK(wrong == 0);
  for (std::uint32_t word = 0x0080u; word < 0x7f80u; ++word) {
    const std::uint32_t middle = word << 16 | 0x8000u;
    for (const std::uint32_t at : {word << 16, (word << 16) + 1, middle - 1, middle, middle + 1}) {
      const rw::bfloat16 stored = rw::to_bfloat16(float_of(at));
      wrong += !is_nearest_even(stored.bits, static_cast<double>(float_of(at)), brain_value);
    }
  }
  CHECK(wrong == 0);
  CHECK(rw::to_bfloat16(float_of(0x7f7f7fffu)).bits == 0x7f7f);
  CHECK(rw::to_bfloat16(float_of(0x7f7f8000u)).bits == 0x7f80);
  CHECK(rw::to_bfloat16(float_of(0x00008001u)).bits == 0x0001);
  CHECK(rw::to_bfloat16(float_of(0x00008000u)).bits == 0x0000);
}

TEST_CASE("random floats round to the nearest even float16 and bfloat16") {
  Random random("element");
  INFO(seed_text());
  int wrong = 0;
  for (int i = 0; i < 200000; ++i) {
    const auto bits = static_cast<std::uint32_t>(random.bits());
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f000000u) continue;
    const rw::float16 half = rw::to_float16(float_of(bits));
    if (magnitude < 0x477ff000u && magnitude >= 0x00800000u) {
      wrong += !is_nearest_even(half.bits, static_cast<double>(float_of(bits)), half_value);
    } else if (magnitude >= 0x477ff000u) {
      wrong += (half.bits & 0x7fffu) != 0x7c00u;
    }
    if (magnitude < 0x00800000u) continue;
    const rw::bfloat16 brain = rw::to_bfloat16(float_of(bits));
    wrong += !is_nearest_even(brain.bits, static_cast<double>(float_of(bits)), brain_value);
    wrong += (brain.bits >> 15) != (bits >> 31);
  }
  CHECK(wrong == 0);
}
