#include <ropewalk/simd/phase.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
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

/// Steps of any size, drawn as words so that no rounding of the machine is in them.
rw::PhaseTurns random_words(Random& random, int pairs) {
  rw::PhaseTurns turns;
  for (int pair = 0; pair < pairs; ++pair) {
    turns.high.push_back(random.bits() >> (pair % 40));
    turns.low.push_back(random.bits());
  }
  return turns;
}

/// Sine and cosine of 128 bits by the mathematical library, to float by way of long double.
rw::SinCos<float> rounded_once(rw::Turns phase) {
  const std::uint64_t quarter = (phase.high + (std::uint64_t{1} << 61)) >> 62;
  const auto beside = static_cast<std::int64_t>(phase.high - (quarter << 62));
  const long double units =
      static_cast<long double>(beside) + static_cast<long double>(phase.low) * 0x1p-64L;
  const long double x = units * 0x1p-64L * 6.28318530717958647692528676655900576839L;
  const long double sine = std::sin(x);
  const long double cosine = std::cos(x);
  const long double values[4] = {sine, cosine, -sine, -cosine};
  return {static_cast<float>(values[quarter % 4]), static_cast<float>(values[(quarter + 1) % 4])};
}

int misrounded(const rw::PhaseTurns& turns, const std::vector<std::int64_t>& positions,
               const std::vector<float>& cos, const std::vector<float>& sin) {
  int count = 0;
  std::size_t entry = 0;
  for (const std::int64_t position : positions) {
    for (int pair = 0; pair < turns.pairs(); ++pair, ++entry) {
      const rw::SinCos<float> expected = rounded_once(rw::phase_words(turns, position, pair));
      count += cos[entry] != expected.cos;
      count += sin[entry] != expected.sin;
    }
  }
  return count;
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
  test(rw::simd::PortablePhase{}, "portable");
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    test(rw::simd::Avx2Phase{}, "avx2");
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
    test(rw::simd::Avx512Phase{}, "avx512");
  }
  if (__builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi2")) {
    test(rw::simd::Avx512IfmaPhase{}, "avx512 ifma");
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
    rw::fill_phase_rows<Kernel>(turns, first, rows, other_cos.data(), other_sin.data());
    // Two results within 4e-16 of the exact value, times a factor of at most 2.
    CHECK(largest_difference(cos, other_cos) <= 1.6e-15);
    CHECK(largest_difference(sin, other_sin) <= 1.6e-15);

    std::vector<std::int64_t> positions(static_cast<std::size_t>(rows));
    for (std::int64_t& position : positions) {
      position = static_cast<std::int64_t>(random.bits()) >> random.integer(0, 62);
    }
    rw::fill_phase_rows(turns, positions, cos.data(), sin.data());
    rw::fill_phase_rows<Kernel>(turns, positions, other_cos.data(), other_sin.data());
    CHECK(largest_difference(cos, other_cos) <= 1.6e-15);
    CHECK(largest_difference(sin, other_sin) <= 1.6e-15);
  }
}

}  // namespace

TEST_CASE("doubles of vector kernels agree with the portable loops to their errors, not in bits") {
  with_every_kernel([](auto kernel, const char* name) {
    INFO(name);
    check_against_portable_loops<decltype(kernel)>();
  });
}

TEST_CASE("floats of every kernel are the correctly rounded ones, so the same on every machine") {
  // A double off by 4e-16 misrounds a float about once in 10^8 values; there are 4 10^5 here.
  Random random("simd phase float");
  INFO(seed_text());
  const rw::PhaseTurns turns = random_words(random, 64);
  constexpr std::int64_t rows = 200;
  with_every_kernel([&](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    INFO(name);
    int different = 0;
    std::vector<float> cos(rows * 64), sin(cos);
    for (const int bits : {13, 20, 31, 32, 45, 62}) {
      const std::int64_t first = random.integer(0, (std::int64_t{1} << bits) - 1);
      std::vector<std::int64_t> positions;
      for (std::int64_t row = 0; row < rows; ++row) positions.push_back(first + row);
      rw::fill_phase_rows<Kernel>(turns, first, rows, cos.data(), sin.data());
      different += misrounded(turns, positions, cos, sin);
      for (std::int64_t& position : positions) {
        position = random.integer(0, (std::int64_t{1} << bits) - 1);
        if (random.one_in(2)) position = -position;
      }
      rw::fill_phase_rows<Kernel>(turns, positions, cos.data(), sin.data());
      different += misrounded(turns, positions, cos, sin);
    }
    CHECK(different <= 1);
  });
}

TEST_CASE("angles halfway between two looked-up directions are no exception") {
  // Sixteenths of a turn and their middles, exactly and one unit to either side.
  rw::PhaseTurns turns;
  for (std::uint64_t k = 0; k < 64; ++k) {
    for (const std::uint64_t off : {std::uint64_t{0} - 1, std::uint64_t{0}, std::uint64_t{1}}) {
      turns.high.push_back((k << 58) + off);
      turns.low.push_back(off << 63);
    }
  }
  const std::vector<std::int64_t> positions = {1, -1};
  with_every_kernel([&](auto kernel, const char* name) {
    INFO(name);
    std::vector<float> cos(2 * turns.high.size()), sin(cos);
    rw::fill_phase_rows<decltype(kernel)>(turns, positions, cos.data(), sin.data());
    CHECK(misrounded(turns, positions, cos, sin) == 0);
  });
}

// qemu 7.2's user mode hangs in any program that starts a few threads.
#ifndef ROPEWALK_TEST_EMULATED
TEST_CASE("threads that each fill a range make the bits of one call, with every kernel") {
  Random random("threads");
  INFO(seed_text());
  constexpr std::int64_t rows = 403;
  constexpr std::int64_t first = -150;
  constexpr int kThreads = 4;
  with_every_kernel([&](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    INFO(name);
    for (const int pairs : {64, 37}) {
      const rw::PhaseTurns turns = random_turns(random, pairs);
      const auto check = [&](auto real) {
        using Real = decltype(real);
        const auto whole = rw::phase_table<Real, Kernel>(turns, first, rows);
        std::vector<Real> cos(whole.cos.size()), sin(whole.sin.size());
        std::vector<std::thread> threads;
        for (int thread = 0; thread < kThreads; ++thread) {
          threads.emplace_back([&, thread] {
            const std::int64_t begin = rows * thread / kThreads;
            const std::int64_t end = rows * (thread + 1) / kThreads;
            rw::fill_phase_rows<Kernel>(turns, first + begin, end - begin,
                                        cos.data() + begin * pairs, sin.data() + begin * pairs);
          });
        }
        for (std::thread& thread : threads) thread.join();
        const std::size_t bytes = cos.size() * sizeof(Real);
        CHECK(std::memcmp(cos.data(), whole.cos.data(), bytes) == 0);
        CHECK(std::memcmp(sin.data(), whole.sin.data(), bytes) == 0);
      };
      check(float{});
      check(double{});
    }
  });
}
#endif

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
        rw::fill_phase_rows<Kernel>(turns, -20, rows, expected_cos.data(), expected_sin.data(),
                                    never);
        const auto aligned = [](std::vector<Real>& buffer) {
          const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
          return buffer.data() + (64 - address % 64) % 64 / sizeof(Real);
        };
        Real* cosine = aligned(cos);
        Real* sine = aligned(sin);
        cosine[size] = Real{9};
        sine[size] = Real{9};
        rw::fill_phase_rows<Kernel>(turns, -20, rows, cosine, sine, 0);
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
