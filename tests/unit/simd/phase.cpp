#include <ropewalk/simd/phase.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

rw::PhaseTurns random_turns(Random& random, int pairs) {
  rw::Spectrum spectrum;
  spectrum.attention_factor = random.one_in(2) ? 1.0 : random.uniform(0.5, 2.0);
  for (int pair = 0; pair < pairs; ++pair) {
    spectrum.inv_freq.push_back(random.log_uniform(1e-9, 4.0));
  }
  return rw::phase_turns(spectrum);
}

template <typename Real>
double largest_difference(const std::vector<Real>& a, const std::vector<Real>& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = (std::max)(largest, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return largest;
}

/// Calls test(kernel) with every kernel that this machine can run.
template <typename Test>
void with_every_kernel(Test test) {
  test(rw::simd::NativePhase{}, "native");
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    test(rw::simd::Avx2Phase{}, "avx2");
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
    test(rw::simd::Avx512Phase{}, "avx512");
  }
#endif
}

template <typename Kernel>
void check_against_portable_loops() {
  Random random("simd phase");
  INFO(seed_text());
  for (int round = 0; round < 300; ++round) {
    const int pairs = static_cast<int>(random.integer(1, 140));
    const rw::PhaseTurns turns = random_turns(random, pairs);
    const std::int64_t first = static_cast<std::int64_t>(random.bits()) >> random.integer(2, 62);
    const std::int64_t rows = random.integer(1, 80);
    const std::size_t size = static_cast<std::size_t>(rows * pairs);
    std::vector<double> cos(size), sin(size), other_cos(size), other_sin(size);
    rw::fill_phase_rows(turns, first, rows, cos.data(), sin.data());
    rw::simd::fill_phase_rows<Kernel>(turns, first, rows, other_cos.data(), other_sin.data());
    // Two results within 4e-16 of the exact value, times a factor of at most 2.
    CHECK(largest_difference(cos, other_cos) <= 1.6e-15);
    CHECK(largest_difference(sin, other_sin) <= 1.6e-15);

    std::vector<std::int64_t> positions(static_cast<std::size_t>(rows));
    for (std::int64_t& position : positions) {
      position = static_cast<std::int64_t>(random.bits()) >> random.integer(0, 62);
    }
    rw::fill_phase_rows(turns, positions, cos.data(), sin.data());
    rw::simd::fill_phase_rows<Kernel>(turns, positions, other_cos.data(), other_sin.data());
    CHECK(largest_difference(cos, other_cos) <= 1.6e-15);
    CHECK(largest_difference(sin, other_sin) <= 1.6e-15);
  }
}

}  // namespace

TEST_CASE("vector kernels agree with the portable loops to the rounding of a double") {
  with_every_kernel([](auto kernel, const char* name) {
    INFO(name);
    check_against_portable_loops<decltype(kernel)>();
  });
}

TEST_CASE("float tables of vector kernels and portable loops are the same numbers") {
  // A double off by 4e-16 crosses a float's rounding boundary about once in 10^8 values.
  Random random("simd phase float");
  INFO(seed_text());
  const rw::PhaseTurns turns = random_turns(random, 64);
  with_every_kernel([&](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    INFO(name);
    for (const std::int64_t first :
         {std::int64_t{0}, std::int64_t{1} << 20, std::int64_t{1} << 31}) {
      constexpr std::int64_t rows = 700;
      std::vector<float> cos(rows * 64), sin(cos), other_cos(cos), other_sin(cos);
      rw::fill_phase_rows(turns, first, rows, cos.data(), sin.data());
      rw::simd::fill_phase_rows<Kernel>(turns, first, rows, other_cos.data(), other_sin.data());
      int different = 0;
      for (std::size_t i = 0; i < cos.size(); ++i) {
        different += cos[i] != other_cos[i];
        different += sin[i] != other_sin[i];
      }
      CHECK(different <= 1);
    }
  });
}

TEST_CASE("writing past the caches changes no bit and no neighbour") {
  Random random("streaming");
  INFO(seed_text());
  with_every_kernel([&](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    INFO(name);
    for (const int pairs : {16, 32, 64, 80, 128, 7}) {
      const rw::PhaseTurns turns = random_turns(random, pairs);
      const std::int64_t rows = 60;
      const auto size = static_cast<std::size_t>(rows * pairs);
      const auto check = [&](auto real) {
        using Real = decltype(real);
        std::vector<Real> expected_cos(size), expected_sin(size), cos(size + 64), sin(size + 64);
        constexpr std::int64_t never = std::int64_t{1} << 60;
        rw::simd::fill_phase_rows<Kernel>(turns, -20, rows, expected_cos.data(),
                                          expected_sin.data(), never);
        const auto aligned = [](std::vector<Real>& buffer) {
          const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
          return buffer.data() + (64 - address % 64) % 64 / sizeof(Real);
        };
        Real* cosine = aligned(cos);
        Real* sine = aligned(sin);
        cosine[size] = Real{9};
        sine[size] = Real{9};
        rw::simd::fill_phase_rows<Kernel>(turns, -20, rows, cosine, sine, 0);
        bool right = cosine[size] == Real{9} && sine[size] == Real{9};
        for (std::size_t i = 0; i < size; ++i) {
          right = right && cosine[i] == expected_cos[i] && sine[i] == expected_sin[i];
        }
        INFO("pairs " << pairs << ", bytes of a value " << sizeof(Real));
        CHECK(right);
      };
      check(float{});
      check(double{});
    }
  });
}
