#include <ropewalk/simd/convert.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

std::uint32_t bits_of(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

template <typename Kernel, typename Element>
int differences_over_all_values() {
  std::vector<Element> stored(0x10000);
  for (std::size_t word = 0; word < stored.size(); ++word) {
    stored[word].bits = static_cast<std::uint16_t>(word);
  }
  std::vector<float> values(stored.size());
  rw::simd::convert<Kernel>(stored.data(), static_cast<std::int64_t>(stored.size()), values.data());
  int wrong = 0;
  for (std::size_t word = 0; word < stored.size(); ++word) {
    wrong += bits_of(values[word]) != bits_of(rw::to_float(stored[word]));
  }
  return wrong;
}

/// Every upper half of a float with the lower halves next to a rounding boundary of either format.
template <typename Kernel, typename Element>
int differences_over_boundaries() {
  std::vector<float> values;
  for (std::uint32_t upper = 0; upper < 0x10000u; ++upper) {
    for (const std::uint32_t lower : {0x0000u, 0x0001u, 0x0fffu, 0x1000u, 0x1001u, 0x2fffu, 0x3000u,
                                      0x3001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const std::uint32_t bits = upper << 16 | lower;
      float value = 0.0f;
      std::memcpy(&value, &bits, sizeof value);
      values.push_back(value);
    }
  }
  std::vector<Element> stored(values.size());
  rw::simd::convert<Kernel>(values.data(), static_cast<std::int64_t>(values.size()), stored.data());
  int wrong = 0;
  for (std::size_t index = 0; index < values.size(); ++index) {
    wrong += stored[index].bits != rw::ElementTraits<Element>::store(values[index]).bits;
  }
  return wrong;
}

/// Calls test(kernel) with every kernel that this machine can run.
template <typename Test>
void with_every_kernel(Test test) {
  test(rw::simd::NativeConvert{}, "native");
  test(rw::simd::PortableConvert{}, "portable");
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx2")) test(rw::simd::Avx2Convert{}, "avx2");
  if (__builtin_cpu_supports("avx512f")) test(rw::simd::Avx512Convert{}, "avx512");
#endif
}

template <typename Kernel>
void check_runs() {
  Random random("convert");
  std::vector<float> values(96);
  for (float& value : values) value = static_cast<float>(random.uniform(-8.0, 8.0));
  for (std::size_t offset = 0; offset < 3; ++offset) {
    for (std::size_t count = 0; count <= 67; ++count) {
      std::vector<rw::float16> stored(96, rw::float16{0x1234});
      rw::simd::convert<Kernel>(values.data() + offset, static_cast<std::int64_t>(count),
                                stored.data() + 1 + offset);
      std::vector<float> back(96, -77.0f);
      rw::simd::convert<Kernel>(stored.data() + 1 + offset, static_cast<std::int64_t>(count),
                                back.data() + offset);
      bool right = stored[offset].bits == 0x1234 && stored[1 + offset + count].bits == 0x1234 &&
                   back[offset + count] == -77.0f;
      for (std::size_t index = 0; index < count; ++index) {
        const rw::float16 expected = rw::to_float16(values[offset + index]);
        right = right && stored[1 + offset + index].bits == expected.bits &&
                back[offset + index] == rw::to_float(expected);
      }
      INFO("offset " << offset << ", count " << count);
      CHECK(right);
    }
  }
}

}  // namespace

TEST_CASE("runs of elements convert to the bits of the single conversions") {
  with_every_kernel([](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    INFO(name);
    CHECK(differences_over_all_values<Kernel, rw::float16>() == 0);
    CHECK(differences_over_all_values<Kernel, rw::bfloat16>() == 0);
    CHECK(differences_over_boundaries<Kernel, rw::float16>() == 0);
    CHECK(differences_over_boundaries<Kernel, rw::bfloat16>() == 0);
  });
}

TEST_CASE("a run of any length at any alignment touches nothing beside it") {
  with_every_kernel([](auto kernel, const char* name) {
    INFO(name);
    check_runs<decltype(kernel)>();
  });
}
