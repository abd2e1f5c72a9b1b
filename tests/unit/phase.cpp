#include <ropewalk/phase.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr std::int64_t kLowest = (std::numeric_limits<std::int64_t>::min)();
constexpr std::int64_t kHighest = (std::numeric_limits<std::int64_t>::max)();

rw::Spectrum plain(double theta, int dim = 128) {
  rw::RopeConfig config;
  config.head_dim = dim;
  config.rotary_dim = dim;
  config.theta = theta;
  return rw::spectrum(config);
}

bool same(rw::Turns a, rw::Turns b) { return a.high == b.high && a.low == b.low; }

std::size_t at(std::int64_t row, int pairs, int pair) {
  return static_cast<std::size_t>(row * pairs + pair);
}

/// A value rounded to float before and after the factor, unless it lies within 1/8 ULP of the middle
/// of two floats.
float twice_rounded(double value, float factor) {
  const float nearest = static_cast<float>(value);
  const float ulp =
      std::nextafter(std::fabs(nearest), 2.0f * std::fabs(nearest)) - std::fabs(nearest);
  const double off = std::fabs(value - static_cast<double>(nearest)) / static_cast<double>(ulp);
  if (off > 0.375) return static_cast<float>(value * static_cast<double>(factor));
  return nearest * factor;
}

}  // namespace

TEST_CASE("a table of a model's first positions starts with cosine 1 and sine exactly 0") {
  const rw::Spectrum spectrum = plain(10000.0);
  const rw::PhaseTable<float> table = rw::phase_table<float>(spectrum, 0, 4096);
  CHECK(table.positions == 4096);
  CHECK(table.pairs == 64);
  REQUIRE(table.cos.size() == 4096 * 64);
  for (std::size_t pair = 0; pair < 64; ++pair) {
    CHECK(table.cos[pair] == 1.0f);
    CHECK(table.sin[pair] == 0.0f);
  }
  CHECK(table.cos[64] == 0.540302277f);  // cos 1
  CHECK(table.sin[64] == 0.841470957f);  // sin 1
}

TEST_CASE("the lowest and highest positions are as exact as any other") {
  const rw::PhaseTurns turns = rw::phase_turns(plain(1e4));
  for (const int pair : {0, 1, 31, 63}) {
    const rw::Turns low = rw::phase_words(turns, kLowest, pair);
    const rw::Turns high = rw::phase_words(turns, kHighest, pair);
    // highest + lowest = -1
    CHECK(same(rw::detail::sum(low, high), rw::phase_words(turns, -1, pair)));
    CHECK(same(rw::detail::sum(rw::phase_words(turns, -1, pair), rw::phase_words(turns, 1, pair)),
               {0, 0}));
  }
  const std::vector<std::int64_t> ends = {kLowest, -1, 0, kHighest};
  const auto direct = rw::phase_table<double>(turns, ends);
  const auto first = rw::phase_table<double>(turns, kLowest, 3);
  const auto last = rw::phase_table<double>(turns, kHighest - 3, 3);
  for (int pair = 0; pair < 64; ++pair) {
    const rw::SinCos<double> low = rw::sincos_double(rw::phase_words(turns, kLowest, pair));
    CHECK(std::fabs(first.cos[at(0, 64, pair)] - low.cos) <= 4e-16);
    CHECK(std::fabs(first.sin[at(0, 64, pair)] - low.sin) <= 4e-16);
    const rw::SinCos<double> high = rw::sincos_double(rw::phase_words(turns, kHighest - 1, pair));
    CHECK(std::fabs(last.cos[at(2, 64, pair)] - high.cos) <= 4e-16);
    CHECK(std::fabs(last.sin[at(2, 64, pair)] - high.sin) <= 4e-16);
    CHECK(std::fabs(direct.cos[at(0, 64, pair)] - low.cos) <= 4e-16);
  }
}

TEST_CASE("negative positions mirror positive ones bit for bit") {
  for (const int dim : {128, 40}) {
    const rw::Spectrum spectrum = plain(5e5, dim);
    const int pairs = dim / 2;
    const auto table = rw::phase_table<float>(spectrum, -500, 1001);
    int wrong = 0;
    for (std::int64_t position = 0; position <= 500; ++position) {
      for (int pair = 0; pair < pairs; ++pair) {
        const std::size_t before = at(500 - position, pairs, pair);
        const std::size_t after = at(500 + position, pairs, pair);
        wrong += table.cos[before] != table.cos[after];
        wrong += table.sin[before] != -table.sin[after];
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("the attention factor is on every value once and in no angle") {
  rw::Spectrum spectrum = plain(1e4);
  const auto without = rw::phase_table<double>(spectrum, 100, 50);
  spectrum.attention_factor = 2.0;  // exact in binary
  const rw::PhaseTurns turns = rw::phase_turns(spectrum);
  const auto with = rw::phase_table<double>(spectrum, 100, 50);
  const std::vector<std::int64_t> chosen = {149};
  const auto direct = rw::phase_table<double>(turns, chosen);
  std::vector<double> cos(64);
  std::vector<double> sin(64);
  rw::fill_phase_row(turns, 149, 1.0, cos.data(), sin.data());
  for (std::size_t i = 0; i < with.cos.size(); ++i) {
    CHECK(with.cos[i] == 2.0 * without.cos[i]);
    CHECK(with.sin[i] == 2.0 * without.sin[i]);
  }
  for (std::size_t pair = 0; pair < 64; ++pair) {
    CHECK(direct.cos[pair] == 2.0 * cos[pair]);
    CHECK(direct.sin[pair] == 2.0 * sin[pair]);
  }
}

TEST_CASE("chosen positions may come in any order and more than once") {
  const rw::Spectrum spectrum = plain(5e5);
  const std::vector<std::int64_t> positions = {5, -3, 1000000007, 5, 0};
  const auto table = rw::phase_table<float>(spectrum, positions);
  CHECK(table.positions == 5);
  for (int pair = 0; pair < 64; ++pair) {
    CHECK(table.cos[at(0, 64, pair)] == table.cos[at(3, 64, pair)]);
    CHECK(table.cos[at(4, 64, pair)] == 1.0f);
    CHECK(table.sin[at(4, 64, pair)] == 0.0f);
  }
  const auto empty = rw::phase_table<float>(spectrum, rw::Span<const std::int64_t>());
  CHECK(empty.positions == 0);
  CHECK(empty.pairs == 64);
}

TEST_CASE("the zero spectrum gives cosine 1 and sine 0 everywhere") {
  const auto table = rw::phase_table<float>(rw::spectrum(rw::RopeConfig{}, rw::Nope{}), 12345, 40);
  for (const float value : table.cos) CHECK(value == 1.0f);
  for (const float value : table.sin) CHECK(value == 0.0f);
}

TEST_CASE("what cannot be tabulated is refused by name") {
  const rw::Spectrum spectrum = plain(1e4);
  CHECK_THROWS_WITH(rw::phase_table<float>(spectrum, 0, -1), contains("positions = -1"));
  CHECK_THROWS_WITH(rw::phase_table<float>(spectrum, kHighest - 5, 6),
                    contains("first_position + positions"));
  CHECK_THROWS_WITH(rw::phase_table<float>(spectrum, 0, kHighest), contains("positions"));
  CHECK_THROWS_WITH(rw::phase_table<double>(spectrum, -kHighest, kHighest), contains("positions"));
  CHECK_THROWS_WITH(rw::phase_table_float32(spectrum, kHighest, 1),
                    contains("first_position + positions"));
  CHECK_NOTHROW(rw::phase_table<float>(spectrum, kHighest - 5, 5));
  rw::Spectrum broken = spectrum;
  broken.inv_freq[3] = -1.0;
  CHECK_THROWS_WITH(rw::phase_turns(broken), contains("inv_freq[3] = -1"));
  broken.inv_freq[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(rw::phase_turns(broken), contains("inv_freq[3]"));
  CHECK_THROWS_WITH(rw::phase_table_float32(broken, 0, 1), contains("inv_freq[3]"));
  broken.inv_freq[3] = 0x1p64;
  CHECK_THROWS_WITH(rw::phase_turns(broken), contains("inv_freq[3]"));
  CHECK_THROWS_WITH(rw::phase_table_float32(broken, 0, 2), contains("inv_freq[3]"));
  broken = spectrum;
  broken.attention_factor = -1.0;
  CHECK_THROWS_WITH(rw::phase_turns(broken), contains("attention_factor = -1"));
  CHECK_THROWS_WITH(rw::phase_table_float32(broken, 0, 1), contains("attention_factor = -1"));
}

TEST_CASE("turns written by hand are refused where their two words do not belong together") {
  rw::PhaseTurns turns = rw::phase_turns(plain(1e4));
  const std::vector<std::int64_t> chosen = {7};
  turns.low.pop_back();
  CHECK_THROWS_WITH(rw::phase_table<float>(turns, 0, 4), contains("low = 63"));
  CHECK_THROWS_WITH(rw::phase_table<double>(turns, chosen), contains("low = 63"));
  turns.low.push_back(0);
  turns.attention_factor = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(rw::phase_table<float>(turns, 0, 4), contains("attention_factor"));
  CHECK_THROWS_WITH(rw::phase_table<float>(turns, chosen), contains("attention_factor"));
}

TEST_CASE("a factor beyond float is refused where floats are made, and only there") {
  rw::Spectrum spectrum = plain(1e4);
  spectrum.attention_factor = 0x1p130;
  const std::vector<std::int64_t> chosen = {7};
  CHECK_THROWS_WITH(rw::phase_table<float>(spectrum, 0, 4), contains("attention_factor = 1"));
  CHECK_THROWS_WITH(rw::phase_table<float>(spectrum, chosen), contains("attention_factor = 1"));
  CHECK_THROWS_WITH(rw::phase_table_float32(spectrum, 0, 4), contains("attention_factor = 1"));
  CHECK(rw::phase_table<double>(spectrum, 0, 1).cos[0] == 0x1p130);
  spectrum.attention_factor = static_cast<double>((std::numeric_limits<float>::max)());
  CHECK(rw::phase_table<float>(spectrum, 0, 1).cos[0] == (std::numeric_limits<float>::max)());
  CHECK(rw::phase_table_float32(spectrum, 0, 1).sin[0] == 0.0f);
}

TEST_CASE("the float32 table refuses an engine's frequencies that are none, by name") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const float broken : {nan, infinity, -1.0f}) {
    const std::vector<float> inv_freq = {1.0f, broken};
    CHECK_THROWS_WITH(rw::phase_table_float32(inv_freq, 1.0, 0, 2), contains("inv_freq[1]"));
  }
  // Largest products at either end: 2^63 and beyond are refused, half of it is not.
  const std::vector<float> one = {1.0f};
  CHECK_THROWS_WITH(rw::phase_table_float32(one, 1.0, kLowest, 1), contains("inv_freq[0]"));
  const std::vector<float> half = {0.5f};
  CHECK_NOTHROW(rw::phase_table_float32(half, 1.0, kLowest, 1));
  const auto empty = rw::phase_table_float32(rw::Span<const float>(), 1.0, 0, 5);
  CHECK(empty.pairs == 0);
  CHECK(empty.cos.empty());
}

TEST_CASE("the float32 table is that of rounded products, not of exact angles") {
  const std::vector<float> inv_freq = {1.0f, 0.1f, 1e-6f};
  const auto table = rw::phase_table_float32(rw::Span<const float>(inv_freq), 1.5, 131069, 3);
  CHECK(table.positions == 3);
  CHECK(table.pairs == 3);
  for (std::int64_t row = 0; row < 3; ++row) {
    for (int pair = 0; pair < 3; ++pair) {
      const float angle =
          static_cast<float>(131069 + row) * inv_freq[static_cast<std::size_t>(pair)];
      const double cosine = std::cos(static_cast<double>(angle));
      const double sine = std::sin(static_cast<double>(angle));
      CHECK(table.cos[at(row, 3, pair)] == twice_rounded(cosine, 1.5f));
      CHECK(table.sin[at(row, 3, pair)] == twice_rounded(sine, 1.5f));
    }
  }
  // 2^24 + 1 is no float: its row is that of 2^24.
  const auto far = rw::phase_table_float32(rw::Span<const float>(inv_freq), 1.0, 16777216, 2);
  CHECK(far.cos[1] == far.cos[4]);
  // Negative positions mirror.
  const auto both = rw::phase_table_float32(rw::Span<const float>(inv_freq), 1.0, -7, 15);
  CHECK(both.sin[1] == -both.sin[at(14, 3, 1)]);
  CHECK(both.cos[1] == both.cos[at(14, 3, 1)]);
  CHECK(both.sin[at(7, 3, 0)] == 0.0f);
}
