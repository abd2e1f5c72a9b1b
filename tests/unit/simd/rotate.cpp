#include <ropewalk/simd/rotate.hpp>

#include <ropewalk/rotate.hpp>

#include "support/catch.hpp"
#include "support/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace rw = ropewalk;
using ropewalk_test::Random;

namespace {

rw::PhaseTurns turns_of_pairs(int pairs) {
  rw::RopeConfig config;
  config.head_dim = config.rotary_dim = 2 * pairs;
  return rw::phase_turns(rw::spectrum(config));
}

/// The largest difference between a kernel and the plain loops, as a fraction of what is allowed.
template <typename Kernel, typename T>
double difference(int pairs, rw::Pairing pairing, bool scaled, bool streaming, Random& random) {
  constexpr std::int64_t kTokens = 2;
  constexpr std::int64_t kHeads = 3;
  const int head_dim = 2 * pairs;
  const auto size = static_cast<std::size_t>(kTokens * kHeads * head_dim);
  const std::vector<T> source = ropewalk_test::random_elements<T>(random, size);
  const std::vector<std::int64_t> positions = {random.integer(0, 1 << 20), -17};
  const std::vector<double> head_scale = {1.5, -0.25, 3.0};
  rw::RotateOptions options;
  if (scaled) options.head_scale = head_scale;
  if (streaming) options.streaming_bytes = 0;

  // On a cache line, so that streaming stores are used where they can be.
  std::vector<T> expected(size);
  std::vector<T> memory(size + 64);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  T* aligned = memory.data() + (64 - address % 64) % 64 / sizeof(T);
  if (!streaming) aligned = memory.data() + 1;
  const auto view = rw::make_head_view(source.data(), kTokens, kHeads, head_dim);
  const rw::PhaseTurns turns = turns_of_pairs(pairs);
  rw::rotate_copy(view, rw::make_head_view(expected.data(), kTokens, kHeads, head_dim), positions,
                  turns, pairing, options);
  rw::rotate_copy<Kernel>(view, rw::make_head_view(aligned, kTokens, kHeads, head_dim), positions,
                          turns, pairing, options);
  double worst = 0.0;
  for (std::size_t i = 0; i < size; ++i) {
    const double wanted = ropewalk_test::value_of(expected[i]);
    const double error = std::abs(ropewalk_test::value_of(aligned[i]) - wanted);
    // Each is within half a last place of what it computed, and those within twice the bound; norms
    // are at most sqrt(32) and scales 3.
    const double computed = 2 * 5.1 * ropewalk_test::unit_roundoff<T>() * std::sqrt(32.0) * 3.0;
    const double bound =
        computed + 2 * ropewalk_test::storage_rounding<T>(std::abs(wanted) + computed);
    worst = (std::max)(worst, error / bound);
  }
  return worst;
}

}  // namespace

TEST_CASE("every kernel agrees with the plain loops at every number of pairs up to 140") {
  Random random("kernels");
  ropewalk_test::for_each_kernel([&](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    for (int pairs = 1; pairs <= 140; ++pairs) {
      for (int variant = 0; variant < 8; ++variant) {
        const auto pairing = static_cast<rw::Pairing>(variant & 1);
        const bool scaled = (variant & 2) != 0;
        const bool streaming = (variant & 4) != 0;
        INFO(name << ", " << pairs << " pairs, variant " << variant);
        REQUIRE(difference<Kernel, float>(pairs, pairing, scaled, streaming, random) <= 1.0);
        REQUIRE(difference<Kernel, double>(pairs, pairing, scaled, streaming, random) <= 1.0);
        REQUIRE(difference<Kernel, rw::float16>(pairs, pairing, scaled, streaming, random) <= 1.0);
        REQUIRE(difference<Kernel, rw::bfloat16>(pairs, pairing, scaled, streaming, random) <= 1.0);
      }
    }
  });
}

TEST_CASE("a head's result does not depend on the other heads, on alignment or on being in place") {
  Random random("alone");
  ropewalk_test::for_each_kernel([&](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    for (const int pairs : {1, 7, 16, 37, 64, 100}) {
      for (const rw::Pairing pairing : {rw::Pairing::half_split, rw::Pairing::interleaved}) {
        const rw::PhaseTurns turns = turns_of_pairs(pairs);
        const auto dims = static_cast<std::size_t>(2 * pairs);
        const std::vector<float> source = ropewalk_test::random_elements<float>(random, 5 * dims);
        const std::vector<std::int64_t> positions = {4711};
        std::vector<float> together = source;
        rw::rotate<Kernel>(rw::make_head_view(together.data(), 1, 5, 2 * pairs), positions, turns,
                           pairing);
        for (std::size_t head = 0; head < 5; ++head) {
          std::vector<float> alone(dims + head);
          rw::rotate_copy<Kernel>(rw::make_head_view(source.data() + head * dims, 1, 1, 2 * pairs),
                                  rw::make_head_view(alone.data() + head, 1, 1, 2 * pairs),
                                  positions, turns, pairing);
          INFO(name << ", " << pairs << " pairs");
          REQUIRE(std::equal(alone.begin() + static_cast<std::ptrdiff_t>(head), alone.end(),
                             together.begin() + static_cast<std::ptrdiff_t>(head * dims)));
        }
      }
    }
  });
}

TEST_CASE("zero turns leave every float16 and every normal bfloat16 bit alone, NaNs quiet") {
  // Position 0 has cosine 1 and sine 0: what is left is the conversion there and back. A pair's
  // partner is 0, since infinity times 0 is not 0.
  ropewalk_test::for_each_kernel([&](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    const auto check = [&](auto element, std::uint32_t exponent, std::uint32_t quiet) {
      using T = decltype(element);
      std::vector<T> data(2 * 65536);
      for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        data[2 * bits].bits = static_cast<std::uint16_t>(bits);
        data[2 * bits + 1].bits = 0;
      }
      const std::vector<std::int64_t> positions(65536, 0);
      // From a table: turns at position 0 touch nothing at all.
      rw::rotate<Kernel>(rw::make_head_view(data.data(), 65536, 1, 2), positions,
                         rw::phase_table<float>(turns_of_pairs(1), 0, 1), rw::Pairing::interleaved);
      std::uint32_t wrong = 0;
      for (std::uint32_t bits = 0; bits < 65536; ++bits) {
        const bool finite = (bits & exponent) != exponent;
        const bool denormal = (bits & exponent) == 0;
        if (std::is_same_v<T, rw::bfloat16> && denormal) continue;
        const bool nan = !finite && (bits & 0x7fff & ~exponent) != 0;
        const std::uint32_t expected = nan ? bits | quiet : bits;
        // The sign of a zero is that of 0 - 0.
        if ((bits & 0x7fff) != 0 && data[2 * bits].bits != expected) ++wrong;
      }
      INFO(name);
      CHECK(wrong == 0);
    };
#ifndef ROPEWALK_TEST_FAST_MATH
    check(rw::float16{}, 0x7c00, 0x0200);
    check(rw::bfloat16{}, 0x7f80, 0x0040);
#else
    static_cast<void>(check);
    static_cast<void>(name);
    SUCCEED("-ffast-math promises nothing about NaN");
#endif
  });
}

TEST_CASE("a NaN of any payload in a row, a scale or an element turns the pair into NaN") {
#ifndef ROPEWALK_TEST_FAST_MATH
  // All bits set: what rounding by addition would carry into a finite number.
  const std::uint32_t payloads[] = {0x7fffffffu, 0xffffffffu, 0x7f800001u, 0x7fc00000u};
  const auto check = [&](auto kernel, const char* name, auto element) {
    using Kernel = decltype(kernel);
    using T = decltype(element);
    const int dim = 160;
    for (const std::uint32_t payload : payloads) {
      float nan = 0.0f;
      std::memcpy(&nan, &payload, sizeof nan);
      for (const rw::Pairing pairing : {rw::Pairing::half_split, rw::Pairing::interleaved}) {
        for (int where = 0; where < 2; ++where) {
          rw::PhaseTable<float> table = rw::phase_table<float>(turns_of_pairs(dim / 2), 3, 1);
          std::vector<double> scales = {1.0};
          if (where == 0) {
            for (std::size_t pair = 0; pair < 80; ++pair) {
              (pair % 2 == 0 ? table.cos : table.sin)[pair] = nan;
            }
          } else {
            scales[0] = static_cast<double>(nan);
          }
          std::vector<T> data(static_cast<std::size_t>(dim), ropewalk_test::element_of<T>(0.75));
          rw::RotateOptions options;
          options.first_position = 3;
          options.head_scale = scales;
          if (where == 0) options.head_scale = {};
          const std::vector<std::int64_t> positions = {3};
          rw::rotate<Kernel>(rw::make_head_view(data.data(), 1, 1, dim), positions, table, pairing,
                             options);
          int numbers = 0;
          for (const T& value : data) numbers += !std::isnan(ropewalk_test::value_of(value));
          INFO(name << ", payload " << payload << ", place " << where);
          CHECK(numbers == 0);
        }
      }
    }
  };
  ropewalk_test::for_each_kernel([&](auto kernel, const char* name) {
    check(kernel, name, float{});
    check(kernel, name, rw::float16{});
    check(kernel, name, rw::bfloat16{});
  });
#else
  SUCCEED("-ffast-math promises nothing about NaN");
#endif
}

TEST_CASE("plain loops convert float16 as element.hpp does, whatever the value") {
  using ropewalk::detail::load_step;
  using ropewalk::detail::store_step;
  constexpr int kLanes = ropewalk::detail::kRotateLanes<rw::float16>;
  rw::float16 narrow[kLanes];
  float wide[kLanes];
  std::uint32_t wrong = 0;
  for (std::uint32_t first = 0; first < 65536; first += kLanes) {
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
      narrow[lane].bits = static_cast<std::uint16_t>(first + lane);
    }
    load_step(narrow, wide, kLanes);
    for (int lane = 0; lane < kLanes; ++lane) {
      const float expected = rw::ElementTraits<rw::float16>::load(narrow[lane]);
      wrong += !ropewalk_test::same_bits(wide[lane], expected);
    }
  }
  CHECK(wrong == 0);
  // Every upper half of a float, with the lower halves around every place where rounding turns.
  const std::uint32_t lower[] = {0x0000, 0x0001, 0x0fff, 0x1000, 0x1001, 0x1fff, 0x2000, 0x2fff,
                                 0x3000, 0x3001, 0x7fff, 0x8000, 0x8001, 0x9000, 0xafff, 0xb000,
                                 0xb001, 0xcfff, 0xd000, 0xefff, 0xf000, 0xf001, 0xffff, 0x5000,
                                 0x5001, 0x4fff, 0x6000, 0x7000, 0x7001, 0xe000, 0x1234, 0xabcd};
  static_assert(sizeof lower / sizeof lower[0] == kLanes);
  for (std::uint32_t upper = 0; upper < 65536; ++upper) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::uint32_t bits = upper << 16 | lower[lane];
      std::memcpy(&wide[lane], &bits, sizeof bits);
    }
    store_step(wide, narrow, kLanes);
    for (int lane = 0; lane < kLanes; ++lane) {
      const rw::float16 expected = rw::ElementTraits<rw::float16>::store(wide[lane]);
      wrong += narrow[lane].bits != expected.bits;
    }
  }
  CHECK(wrong == 0);
}
