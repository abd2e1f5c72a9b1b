#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/turns.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

rw::Spectrum plain(double theta, int dim = 128) {
  rw::RopeConfig config;
  config.head_dim = dim;
  config.rotary_dim = dim;
  config.theta = theta;
  return rw::spectrum(config);
}

rw::Turns difference(rw::Turns a, rw::Turns b) {
  const std::uint64_t borrow = a.low < b.low ? 1 : 0;
  return {a.high - b.high - borrow, a.low - b.low};
}

bool same(rw::Turns a, rw::Turns b) { return a.high == b.high && a.low == b.low; }

}  // namespace

TEST_CASE("the published turn constants come out for a spectrum's own doubles") {
  // Nearest 2^-64 turns of a step, and cosine and sine at position 1000003 (mpmath, 60 digits).
  struct Row {
    double theta;
    int pair;
    std::uint64_t step;
    std::uint64_t single_word_phase;  // 1000003 * step mod 2^64
    double cosine;
    double sine;
  };
  const Row rows[] = {
      {1e4, 0, 0x28be60db9391054au, 0x6ba99b0251a7765eu, -0.877986491585002872,
       0.478685408796066898},
      {1e4, 1, 0x234855e55644661eu, 0xea83a94531fc75dau, 0.864149552074906921,
       -0.503235085868163342},
      {1e4, 32, 0x684dc4c179c52du, 0x8de06a82955734c7u, -0.942559874013794777,
       -0.334037249268849234},
      {1e4, 63, 0x13458e2f59024u, 0x6104ea2a278a016cu, -0.724571908190842279, 0.689199209126564238},
      {5e5, 1, 0x2130c415f3514ecfu, 0xbf9a3c3d42b9fe2du, -0.0097564127094888014,
       -0.999952405072882519},
      {5e5, 35, 0x7f9579830ea34u, 0xac80c2072a3ab39cu, -0.460474209546770328,
       -0.887673083033543972},
      {5e5, 63, 0x68e3fbde7a8u, 0x64081fca3744f0f8u, -0.773504345179695301, 0.633790997086682183},
      {1e7, 1, 0x1fac361d1e5fd622u, 0xdbba73113447cee6u, 0.629224729126135474,
       -0.777223417207781665}};
  for (const Row& row : rows) {
    INFO("theta " << row.theta << ", pair " << row.pair);
    const rw::PhaseTurns turns = rw::phase_turns(plain(row.theta));
    const auto pair = static_cast<std::size_t>(row.pair);
    const std::uint64_t nearest = turns.high[pair] + (turns.low[pair] >> 63);
    const auto off = static_cast<std::int64_t>(nearest - row.step);
    // The spectrum's double depends on the platform's pow in its last bit (2 ULP are promised).
    CHECK(std::abs(off) <= static_cast<std::int64_t>(row.step >> 51));
    // One word is off by half a unit per token; the doubles move the angle as far as they are off.
    const std::uint64_t phase = rw::phase(turns, 1000003, row.pair);
    CHECK(
        std::fabs(static_cast<double>(static_cast<std::int64_t>(phase - row.single_word_phase))) <=
        1000003.0 * (0.5 + std::fabs(static_cast<double>(off))) + 1.0);
    // 1e6 tokens times half an ULP of the frequency: 1.2e-10; half a float's last place: 6e-8.
    const rw::SinCos<double> exact = rw::sincos_double(phase);
    CHECK(std::fabs(exact.cos - row.cosine) <= 3e-10);
    CHECK(std::fabs(exact.sin - row.sine) <= 3e-10);
    const rw::SinCos<float> rounded = rw::sincos_float(phase);
    CHECK(std::fabs(static_cast<double>(rounded.cos) - row.cosine) <= 6.1e-8);
    CHECK(std::fabs(static_cast<double>(rounded.sin) - row.sine) <= 6.1e-8);
  }
}

TEST_CASE("phase(m) - phase(n) is phase(m - n) in all 128 bits, at any positions") {
  Random random("phase algebra");
  INFO(seed_text());
  const rw::PhaseTurns turns = rw::phase_turns(plain(5e5));
  int wrong = 0;
  int off_by_more_than_the_cut = 0;
  for (int i = 0; i < 20000; ++i) {
    const int shift = static_cast<int>(random.integer(2, 62));
    const auto m = static_cast<std::int64_t>(random.bits()) >> shift;
    const auto n = static_cast<std::int64_t>(random.bits()) >> shift;
    const int pair = static_cast<int>(random.integer(0, 63));
    wrong += !same(difference(rw::phase_words(turns, m, pair), rw::phase_words(turns, n, pair)),
                   rw::phase_words(turns, m - n, pair));
    const std::uint64_t top =
        rw::phase(turns, m, pair) - rw::phase(turns, n, pair) - rw::phase(turns, m - n, pair);
    off_by_more_than_the_cut += top > 1;  // the top words alone differ by the borrow
  }
  CHECK(wrong == 0);
  CHECK(off_by_more_than_the_cut == 0);
}
