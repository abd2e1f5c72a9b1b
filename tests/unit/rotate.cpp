#include <ropewalk/rotate.hpp>

#include "support/catch.hpp"
#include "support/rotation.hpp"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {
std::size_t allocations = 0;
}

// Inlined, they look to GCC like malloc() with delete, and new with free().
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace rw = ropewalk;
using ropewalk_test::Random;

namespace {

constexpr auto kHalf = rw::Pairing::half_split;
constexpr auto kSide = rw::Pairing::interleaved;

rw::Spectrum spectrum_of(int rotary_dim, double attention_factor = 1.0) {
  rw::RopeConfig config;
  config.head_dim = config.rotary_dim = rotary_dim;
  rw::Spectrum spectrum = rw::spectrum(config);
  spectrum.attention_factor = attention_factor;
  return spectrum;
}

template <typename Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a quarter turn takes x to y and y to minus x in both pairings") {
  rw::Spectrum spectrum;
  spectrum.inv_freq = {1.5707963267948966, 0.0};
  const rw::PhaseTurns turns = rw::phase_turns(spectrum);
  const std::vector<std::int64_t> positions = {1};
  std::vector<double> half = {1.0, 2.0, 3.0, 4.0};
  rw::rotate(rw::make_head_view(half.data(), 1, 1, 4), positions, turns, kHalf);
  CHECK(half[0] == Approx(-3.0).epsilon(1e-15));
  CHECK(half[2] == Approx(1.0).epsilon(1e-15));
  CHECK(half[1] == 2.0);
  CHECK(half[3] == 4.0);
  std::vector<double> side = {1.0, 2.0, 3.0, 4.0};
  rw::rotate(rw::make_head_view(side.data(), 1, 1, 4), positions, turns, kSide);
  CHECK(side[0] == Approx(-2.0).epsilon(1e-15));
  CHECK(side[1] == Approx(1.0).epsilon(1e-15));
  CHECK(side[2] == 3.0);
  CHECK(side[3] == 4.0);
}

TEST_CASE("scores depend on the distance of two positions only") {
  Random random("scores");
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(64));
  const std::vector<double> q = ropewalk_test::random_elements<double>(random, 64);
  const std::vector<double> k = ropewalk_test::random_elements<double>(random, 64);
  const auto score = [&](std::int64_t position_q, std::int64_t position_k) {
    std::vector<double> a = q;
    std::vector<double> b = k;
    const std::vector<std::int64_t> pq = {position_q};
    const std::vector<std::int64_t> pk = {position_k};
    rw::rotate(rw::make_head_view(a.data(), 1, 1, 64), pq, turns, kHalf);
    rw::rotate(rw::make_head_view(b.data(), 1, 1, 64), pk, turns, kHalf);
    double sum = 0.0;
    for (std::size_t i = 0; i < 64; ++i) sum += a[i] * b[i];
    return sum;
  };
  const double near = score(100, 93);
  // 64 products below 16, each from two values within 5.1 u of 5.7.
  const double bound = 64 * 4.0 * 2 * 5.1 * 0x1p-53 * 5.7 * 2;
  CHECK(std::abs(score((std::int64_t{1} << 60) + 7, std::int64_t{1} << 60) - near) <= bound);
  CHECK(std::abs(score(-900, -907) - near) <= bound);
}

TEST_CASE("queries and keys of different head counts turn in one call as they do in two") {
  Random random("gqa");
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(32));
  const rw::PhaseTable<float> table = rw::phase_table<float>(turns, 90, 20);
  const std::vector<std::int64_t> positions = {99, 100, 93};
  // A fused buffer: 8 query heads, 2 key heads and 2 value heads per token.
  const std::vector<float> fused = ropewalk_test::random_elements<float>(random, 3 * 12 * 32);
  const std::vector<double> head_scale = {1, 2, 3, 4, 5, 6, 7, 8};
  rw::RotateOptions options;
  options.first_position = 90;
  options.head_scale = head_scale;
  std::vector<float> one = fused;
  std::vector<float> two = fused;
  const auto q = [](std::vector<float>& of) {
    return rw::HeadView<float>{of.data(), 3, 8, 32, 12 * 32, 32};
  };
  const auto k = [](std::vector<float>& of) {
    return rw::HeadView<float>{of.data() + 8 * 32, 3, 2, 32, 12 * 32, 32};
  };
  rw::rotate(q(one), k(one), positions, table, kHalf, options);
  rw::rotate(q(two), positions, table, kHalf, options);
  options.head_scale = {};
  rw::rotate(k(two), positions, table, kHalf, options);
  CHECK(one == two);
  CHECK(one != fused);
  for (std::size_t token = 0; token < 3; ++token) {
    for (std::size_t i = 10 * 32; i < 12 * 32; ++i) {
      REQUIRE(one[token * 12 * 32 + i] == fused[token * 12 * 32 + i]);  // values stay
    }
  }
}

TEST_CASE("the row of position p in a table from first_position is p - first_position") {
  const rw::PhaseTable<double> table = rw::phase_table<double>(spectrum_of(8), -5, 10);
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(8));
  for (const std::int64_t position : {-5, 0, 4}) {
    std::vector<double> from_table = {1, 2, 3, 4, 5, 6, 7, 8};
    std::vector<double> from_turns = from_table;
    const std::vector<std::int64_t> positions = {position};
    rw::RotateOptions options;
    options.first_position = -5;
    rw::rotate(rw::make_head_view(from_table.data(), 1, 1, 8), positions, table, kHalf, options);
    rw::rotate(rw::make_head_view(from_turns.data(), 1, 1, 8), positions, turns, kHalf);
    for (std::size_t i = 0; i < 8; ++i) {
      // Two rows within 1.5 ULP each and norms up to sqrt(80).
      CHECK(std::abs(from_table[i] - from_turns[i]) <= 2 * 5.1 * 0x1p-53 * std::sqrt(80.0));
    }
  }
}

TEST_CASE("without positions row i of a table belongs to token i") {
  const std::vector<std::int64_t> positions = {7, 3};
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(8));
  const rw::PhaseTable<float> table =
      rw::phase_table<float>(turns, rw::Span<const std::int64_t>(positions));
  std::vector<float> by_token = {1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1};
  std::vector<float> by_position = by_token;
  rw::rotate(rw::make_head_view(by_token.data(), 2, 1, 8), table, kSide);
  rw::rotate(rw::make_head_view(by_position.data(), 2, 1, 8), positions, turns, kSide);
  CHECK(by_token == by_position);
}

TEST_CASE("the attention factor applies once: in rotate, never in rotate_by") {
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(2, 1.25));
  std::vector<double> data = {3.0, 4.0};
  const auto view = rw::make_head_view(data.data(), 1, 1, 2);
  const auto norm = [&] { return std::hypot(data[0], data[1]); };
  const std::vector<std::int64_t> positions = {12};
  rw::rotate(view, positions, turns, kHalf);
  CHECK(norm() == Approx(6.25).epsilon(1e-14));
  for (int shift = 0; shift < 5; ++shift) rw::rotate_by(view, -2, turns, kHalf);
  CHECK(norm() == Approx(6.25).epsilon(1e-14));
  rw::rotate_by(view, -2, turns, kHalf);
  CHECK(data[0] == Approx(3.0 * 1.25).epsilon(1e-13));
  CHECK(data[1] == Approx(4.0 * 1.25).epsilon(1e-13));
}

TEST_CASE("rotate_by moves a key as if it had been written further on") {
  Random random("rotate_by");
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(64));
  const std::vector<double> key = ropewalk_test::random_elements<double>(random, 2 * 64);
  std::vector<double> moved = key;
  std::vector<double> written = key;
  const std::vector<std::int64_t> positions = {500, 501};
  const std::vector<std::int64_t> deltas = {-400, 0};
  const std::vector<std::int64_t> after = {100, 501};
  const auto view = rw::make_head_view(moved.data(), 2, 1, 64);
  rw::rotate(view, positions, turns, kHalf);
  const std::vector<double> before = moved;
  rw::rotate_by(view, deltas, turns, kHalf);
  rw::rotate(rw::make_head_view(written.data(), 2, 1, 64), after, turns, kHalf);
  for (std::size_t i = 0; i < 64; ++i) {
    CHECK(std::abs(moved[i] - written[i]) <= 3.5 * 5.1 * 0x1p-53 * std::sqrt(32.0));
    CHECK(moved[64 + i] == before[64 + i]);  // delta 0 touches nothing
  }
}

TEST_CASE("inverse with the options of the forward pass is its transpose") {
  Random random("transpose");
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(12, 1.5));
  const std::vector<double> head_scale = {0.5, -3.0};
  const std::vector<double> position_scale = {1.25};
  const std::vector<std::int64_t> positions = {77};
  rw::RotateOptions options;
  options.first_dim = 1;
  options.head_scale = head_scale;
  options.position_scale = position_scale;
  for (const rw::Pairing pairing : {kHalf, kSide}) {
    const std::vector<double> x = ropewalk_test::random_elements<double>(random, 2 * 15);
    const std::vector<double> gradient = ropewalk_test::random_elements<double>(random, 2 * 15);
    std::vector<double> forward = x;
    std::vector<double> backward = gradient;
    options.inverse = false;
    rw::rotate(rw::make_head_view(forward.data(), 1, 2, 15), positions, turns, pairing, options);
    options.inverse = true;
    rw::rotate(rw::make_head_view(backward.data(), 1, 2, 15), positions, turns, pairing, options);
    double left = 0.0;
    double right = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      left += forward[i] * gradient[i];
      right += x[i] * backward[i];
    }
    CHECK(left == Approx(right).epsilon(1e-13));
  }
}

TEST_CASE("scales multiply every element of a head, the attention factor only the rotated ones") {
  rw::Spectrum spectrum = spectrum_of(2, 2.0);
  spectrum.inv_freq = {0.0};
  const std::vector<double> head_scale = {3.0};
  const std::vector<double> position_scale = {5.0};
  const std::vector<std::int64_t> positions = {9};
  rw::RotateOptions options;
  options.first_dim = 1;
  options.head_scale = head_scale;
  options.position_scale = position_scale;
  std::vector<float> data = {1.0f, 1.0f, 1.0f, 1.0f};
  rw::rotate(rw::make_head_view(data.data(), 1, 1, 4), positions, rw::phase_turns(spectrum), kHalf,
             options);
  CHECK(data == std::vector<float>{15.0f, 30.0f, 30.0f, 15.0f});
}

TEST_CASE("heads of more than 512 elements and empty views are turned like others") {
  Random random("wide");
  const int dim = 1400;
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(dim));
  const rw::PhaseTable<float> table = rw::phase_table<float>(turns, 0, 8);
  std::vector<float> a =
      ropewalk_test::random_elements<float>(random, static_cast<std::size_t>(dim));
  std::vector<float> b = a;
  const std::vector<std::int64_t> positions = {6};
  rw::rotate(rw::make_head_view(a.data(), 1, 1, dim), positions, turns, kHalf);
  rw::rotate(rw::make_head_view(b.data(), 1, 1, dim), positions, table, kHalf);
  double worst = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = (std::max)(worst, std::abs(static_cast<double>(a[i] - b[i])));
  }
  CHECK(worst <= 2 * 3.1 * 0x1p-24 * std::sqrt(32.0));
  float* nothing = nullptr;
  rw::rotate(rw::make_head_view(nothing, 0, 4, dim), {}, turns, kHalf);
  rw::rotate(rw::make_head_view(nothing, 1, 0, dim), positions, turns, kHalf);
}

TEST_CASE("a step of decoding allocates nothing") {
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(128));
  const rw::PhaseTable<float> table = rw::phase_table<float>(turns, 0, 8);
  std::vector<float> data(40 * 128, 1.0f);
  const std::vector<std::int64_t> positions = {6};
  const auto q = rw::make_head_view(data.data(), 1, 32, 128);
  const auto k = rw::make_head_view(data.data() + 32 * 128, 1, 8, 128);
  const std::size_t before = allocations;
  rw::rotate<rw::simd::Native>(q, k, positions, turns, kHalf);
  rw::rotate<rw::simd::Native>(q, k, positions, table, kSide);
  rw::rotate(q, positions, turns, kHalf);
  rw::rotate_by(k, -3, turns, kHalf);
  const std::size_t after = allocations;
  CHECK(before == after);
  CHECK(after > 0);  // the vectors above were counted
}

TEST_CASE("tokens that lie closer together than heads are turned as one by one") {
  Random random("by head");
  const int dim = 38;
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(32));
  const rw::PhaseTable<float> table = rw::phase_table<float>(turns, -20, 90);
  for (const std::int64_t heads : {1, 3}) {
    // More tokens than a block of rows, runs of consecutive positions, and position 0 among them.
    std::vector<std::int64_t> positions;
    for (std::int64_t token = 0; token < 83; ++token) {
      positions.push_back(token < 70 ? token - 20 : random.integer(-20, 60));
    }
    const auto tokens = static_cast<std::int64_t>(positions.size());
    const std::vector<float> source = ropewalk_test::random_elements<float>(
        random, static_cast<std::size_t>(tokens * heads * dim));
    for (const bool from_table : {false, true}) {
      for (const rw::Pairing pairing : {kHalf, kSide}) {
        ropewalk_test::for_each_kernel([&](auto kernel, const char* name) {
          using Kernel = decltype(kernel);
          std::vector<float> together = source;
          std::vector<float> one_by_one = source;
          std::vector<float> copied(source.size());
          rw::RotateOptions options;
          options.first_dim = 2;
          options.first_position = -20;
          const auto view = [&](auto* at, std::int64_t count) {
            return rw::HeadView<std::remove_pointer_t<decltype(at)>>{at,  count, heads,
                                                                     dim, dim,   tokens * dim};
          };
          const auto turn = [&](const auto& angles) {
            rw::rotate<Kernel>(view(together.data(), tokens), positions, angles, pairing, options);
            rw::rotate_copy<Kernel>(view(source.data(), tokens), view(copied.data(), tokens),
                                    positions, angles, pairing, options);
            for (std::int64_t token = 0; token < tokens; ++token) {
              const rw::Span<const std::int64_t> position(positions.data() + token, 1);
              rw::rotate<Kernel>(view(one_by_one.data() + token * dim, 1), position, angles,
                                 pairing, options);
            }
          };
          if (from_table) {
            turn(table);
          } else {
            turn(turns);
          }
          INFO(name << ", " << heads << " heads, " << (from_table ? "table" : "turns"));
          CHECK(together == one_by_one);
          CHECK(copied == one_by_one);
        });
      }
    }
  }
}

TEST_CASE("sizes that do not agree are refused by name, and nothing is written") {
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(8));
  const rw::PhaseTable<float> table = rw::phase_table<float>(turns, 10, 5);
  std::vector<float> data(64, 1.0f);
  std::vector<float> other(64, 1.0f);
  const auto view = rw::make_head_view(data.data(), 2, 2, 8);
  const std::vector<std::int64_t> two = {10, 11};
  const std::vector<std::int64_t> three = {10, 11, 12};
  const std::vector<std::int64_t> outside = {10, 15};
  const std::vector<std::int64_t> before = {10, std::numeric_limits<std::int64_t>::min()};
  rw::RotateOptions options;
  options.first_position = 10;

  CHECK(refusal([&] { rw::rotate(view, three, turns, kHalf); }) ==
        "rotate: positions has 3, tokens is 2");
  CHECK_THAT(refusal([&] { rw::rotate(view, outside, table, kHalf, options); }),
             contains("rotate: position = 15 is above"));
  CHECK_THAT(refusal([&] { rw::rotate(view, two, table, kHalf); }),
             contains("rotate: position = 10 is above"));
  CHECK_THAT(refusal([&] { rw::rotate(view, before, table, kHalf, options); }),
             contains("is below"));
  CHECK(refusal([&] { rw::rotate(view, table, kHalf); }) ==
        "rotate: table.positions has 5, tokens is 2");

  CHECK_THAT(
      refusal([&] { rw::rotate(rw::make_head_view(data.data(), 2, 2, 6), two, turns, kHalf); }),
      contains("rotate: rotary_dim = 8 is above"));
  options.first_dim = 1;
  CHECK_THAT(refusal([&] { rw::rotate(view, two, turns, kHalf, options); }),
             contains("rotate: first_dim = 1 is above"));
  options.first_dim = -1;
  CHECK_THAT(refusal([&] { rw::rotate(view, two, turns, kHalf, options); }),
             contains("rotate: first_dim = -1 is below"));
  options.first_dim = 0;

  const std::vector<double> scales = {1.0, 2.0, 3.0};
  options.head_scale = scales;
  CHECK(refusal([&] { rw::rotate(view, two, turns, kHalf, options); }) ==
        "rotate: head_scale has 3, heads is 2");
  options.head_scale = {};
  options.position_scale = scales;
  CHECK(refusal([&] { rw::rotate(view, two, turns, kHalf, options); }) ==
        "rotate: position_scale has 3, tokens is 2");
  options.position_scale = {};

  rw::PhaseTable<float> short_table = table;
  short_table.sin.pop_back();
  CHECK(refusal([&] { rw::rotate(view, two, short_table, kHalf, options); }) ==
        "rotate: sin has 19, positions * pairs is 20");
  rw::PhaseTurns short_turns = turns;
  short_turns.low.pop_back();
  CHECK(refusal([&] { rw::rotate(view, two, short_turns, kHalf); }) ==
        "rotate: low has 3, high is 4");

  float* nothing = nullptr;
  CHECK_THAT(refusal([&] { rw::rotate(rw::make_head_view(nothing, 2, 2, 8), two, turns, kHalf); }),
             contains("rotate: data"));
  CHECK_THAT(refusal([&] {
               rw::rotate(rw::HeadView<float>{data.data(), 2, 2, 8, 8, 8}, two, turns, kHalf);
             }),
             contains("stride"));
  CHECK(refusal([&] {
          rw::rotate(view, rw::make_head_view(other.data(), 1, 2, 8), two, turns, kHalf);
        }) == "rotate: k.tokens has 1, q.tokens is 2");
  CHECK(refusal([&] {
          rw::rotate_copy(view, rw::make_head_view(other.data(), 2, 1, 8), two, turns, kHalf);
        }) == "rotate_copy: destination.heads has 1, source.heads is 2");
  CHECK(refusal([&] { rw::rotate_by(view, three, turns, kHalf); }) ==
        "rotate_by: deltas has 3, tokens is 2");
  CHECK_THROWS_AS(rw::spectrum(rw::RopeConfig{8, 7, 10000.0, 0}), std::invalid_argument);
  CHECK(data == std::vector<float>(64, 1.0f));
  CHECK(other == std::vector<float>(64, 1.0f));
}

TEST_CASE("views that share elements are refused, views that interleave are not") {
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(8));
  std::vector<float> data(256, 1.0f);
  const std::vector<std::int64_t> positions = {1, 2};
  const auto view = [&](std::int64_t at, std::int64_t heads, std::int64_t token_stride) {
    return rw::HeadView<float>{data.data() + at, 2, heads, 8, token_stride, 8};
  };
  const auto copy = [&](const rw::HeadView<float>& from, const rw::HeadView<float>& to) {
    return refusal([&] { rw::rotate_copy(from, to, positions, turns, kHalf); });
  };
  const std::string overlap =
      "rotate_copy: the overlap of source and destination makes elements share memory";
  CHECK(copy(view(0, 2, 16), view(1, 2, 16)) == overlap);
  CHECK(copy(view(0, 2, 16), view(31, 2, 16)) == overlap);
  CHECK(copy(view(0, 2, 16), view(0, 2, 24)) == overlap);
  CHECK(copy(view(1, 2, 16), view(0, 2, 16)) == overlap);
  CHECK(copy(view(0, 2, 48), view(15, 2, 48)) == overlap);
  CHECK(copy(view(0, 2, 48), view(33, 2, 48)) == overlap);
  CHECK(copy(view(0, 2, 16), view(0, 2, 16)) == "accepted");   // onto itself
  CHECK(copy(view(0, 2, 16), view(32, 2, 16)) == "accepted");  // behind it
  CHECK(copy(view(0, 2, 48), view(16, 2, 48)) == "accepted");  // in its gaps
  CHECK(copy(view(32, 2, 48), view(0, 2, 48)) == "accepted");
  CHECK(refusal([&] { rw::rotate(view(0, 2, 16), view(8, 1, 16), positions, turns, kHalf); }) ==
        "rotate: the overlap of q and k makes elements share memory");
}

#if defined(__linux__)
TEST_CASE("the strides of a single head and token are not looked at") {
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(64));
  const std::vector<std::int64_t> positions = {5};
  constexpr std::int64_t largest = (std::numeric_limits<std::int64_t>::max)();
  Random random("single");
  const std::vector<float> source = ropewalk_test::random_elements<float>(random, 64);
  std::vector<float> expected = source;
  rw::rotate(rw::make_head_view(expected.data(), 1, 1, 64), positions, turns, kHalf);
  for (const std::int64_t stride : {largest, -largest - 1, std::int64_t{0}}) {
    std::vector<float> data = source;
    std::vector<float> copy(64);
    const rw::HeadView<float> view{data.data(), 1, 1, 64, stride, stride};
    rw::rotate_copy(rw::HeadView<const float>{source.data(), 1, 1, 64, stride, stride},
                    rw::HeadView<float>{copy.data(), 1, 1, 64, stride, stride}, positions, turns,
                    kHalf);
    CHECK(copy == expected);
    rw::rotate(view, positions, turns, kHalf);
    CHECK(data == expected);
    const double worst = ropewalk_test::rotation_bound<float>(0x1p-24, 8.0, 0, 8.0);
    rw::rotate_copy<rw::simd::Native>(rw::HeadView<const float>{source.data(), 1, 1, 64, stride, 0},
                                      view, positions, turns, kHalf);
    for (std::size_t dim = 0; dim < 64; ++dim) {
      CHECK(std::abs(static_cast<double>(data[dim] - expected[dim])) <= 2.0 * worst);
    }
  }
}

TEST_CASE("strides past 2^31 and 2^32 elements reach the right memory") {
  // Address space without memory: only the touched pages exist.
  for (const std::int64_t stride : {(std::int64_t{1} << 31) + 3, (std::int64_t{1} << 32) + 5}) {
    const std::size_t bytes = static_cast<std::size_t>(2 * stride + 4096) * sizeof(rw::bfloat16);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      WARN("no address space for this test");
      return;
    }
    auto* data = static_cast<rw::bfloat16*>(memory);
    Random random("strides");
    const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(64));
    const std::vector<rw::bfloat16> source =
        ropewalk_test::random_elements<rw::bfloat16>(random, 3 * 64);
    std::vector<rw::bfloat16> expected(3 * 64);
    const std::vector<std::int64_t> one = {5};
    const std::vector<std::int64_t> three = {5, 5, 5};
    const auto packed = rw::make_head_view(source.data(), 3, 1, 64);
    rw::rotate_copy<rw::simd::Native>(packed, rw::make_head_view(expected.data(), 3, 1, 64), three,
                                      turns, kHalf);
    const auto far_is_right = [&] {
      for (std::size_t i = 0; i < 3; ++i) {
        const rw::bfloat16* at = data + static_cast<std::ptrdiff_t>(i) * stride;
        if (std::memcmp(at, expected.data() + 64 * i, 128) != 0) return false;
      }
      return true;
    };
    rw::rotate_copy<rw::simd::Native>(
        packed, rw::HeadView<rw::bfloat16>{data, 3, 1, 64, stride, 64}, three, turns, kHalf);
    CHECK(far_is_right());
    const auto heads = rw::make_head_view(source.data(), 1, 3, 64);
    rw::rotate_copy<rw::simd::Native>(heads, rw::HeadView<rw::bfloat16>{data, 1, 3, 64, 64, stride},
                                      one, turns, kHalf);
    CHECK(far_is_right());
    munmap(memory, bytes);
  }
}
#endif

TEST_CASE("sizes whose product leaves 64 bits are refused") {
  const rw::PhaseTurns turns = rw::phase_turns(spectrum_of(8));
  float element = 0.0f;
  const std::vector<std::int64_t> positions = {1, 2};
  const std::int64_t huge = std::int64_t{1} << 62;
  for (const rw::HeadView<float>& view : {rw::HeadView<float>{&element, 2, 2, 8, huge, 8},
                                          rw::HeadView<float>{&element, 2, 2, 8, 16, huge},
                                          rw::HeadView<float>{&element, 2, huge, 8, 8, 8}}) {
    CHECK_THAT(refusal([&] { rw::rotate(view, positions, turns, kHalf); }), contains("is above"));
  }
}
