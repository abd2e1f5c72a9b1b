#include <ropewalk/position/axis_table.hpp>
#include <ropewalk/rotate.hpp>
#include <ropewalk/simd/phase.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using Positions = std::vector<std::int64_t>;

const rw::RopeConfig kHead128{128, 128, 1e6, 32768};

// Every scheme with several axes, each on 64 pairs.
const rw::MultiAxis kSchemes[] = {
    {rw::AxisOrder::chunked, 1},
    {rw::AxisOrder::chunked, 3, {16, 24, 24}},         // Qwen2-VL
    {rw::AxisOrder::chunked, 4, {16, 16, 16, 16}},     // XD-RoPE
    {rw::AxisOrder::chunked, 4, {16, 24, 24, 0}},      // Qwen2-VL in ggml
    {rw::AxisOrder::interleaved, 3, {24, 20, 20}},     // Qwen3-VL
    {rw::AxisOrder::interleaved, 4, {24, 20, 20, 0}},  // Qwen3-VL in ggml
    {rw::AxisOrder::alternating, 3, {20, 22, 22}},     // ERNIE-4.5-VL
};

rw::PhaseTurns turns_of(const rw::RopeConfig& config, double attention_factor = 1.25) {
  rw::Spectrum spectrum = rw::spectrum(config);
  spectrum.attention_factor = attention_factor;
  return rw::phase_turns(spectrum);
}

template <typename Real>
bool same_bits(const std::vector<Real>& a, const std::vector<Real>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(Real)) == 0);
}

template <typename Real>
bool same_table(const rw::PhaseTable<Real>& a, const rw::PhaseTable<Real>& b) {
  return a.positions == b.positions && a.pairs == b.pairs && same_bits(a.cos, b.cos) &&
         same_bits(a.sin, b.sin);
}

/// Any int64, and as often one that an image holds.
std::int64_t random_position(Random& random) {
  if (random.one_in(2)) return random.integer(0, 3);
  return static_cast<std::int64_t>(random.bits() >> random.integer(1, 63)) *
         (random.one_in(2) ? 1 : -1);
}

/// The table made the slow way: a row of every pair for each, of which one entry is kept.
///   position_of    (token, pair) to int64
template <typename Real, typename Kernel, typename PositionOf>
rw::PhaseTable<Real> pair_by_pair(const rw::PhaseTurns& turns, std::int64_t tokens,
                                  PositionOf position_of) {
  rw::PhaseTable<Real> table{tokens, turns.pairs()};
  for (std::int64_t token = 0; token < tokens; ++token) {
    for (int pair = 0; pair < turns.pairs(); ++pair) {
      const Positions positions{position_of(token, pair)};
      const auto row = rw::phase_table<Real, Kernel>(turns, positions);
      table.cos.push_back(row.cos[static_cast<std::size_t>(pair)]);
      table.sin.push_back(row.sin[static_cast<std::size_t>(pair)]);
    }
  }
  return table;
}

template <typename Real, typename Kernel>
void check_agreeing_axes() {
  Random random("agreeing axes");
  const rw::PhaseTurns turns = turns_of(kHead128);
  Positions text;
  for (int token = 0; token < 40; ++token) text.push_back(random_position(random));
  const auto ordinary = rw::phase_table<Real, Kernel>(turns, text);
  for (const rw::MultiAxis& axes : kSchemes) {
    Positions positions;
    for (int axis = 0; axis < axes.axes; ++axis) {
      positions.insert(positions.end(), text.begin(), text.end());
    }
    CHECK(same_table(rw::phase_table<Real, Kernel>(turns, axes, positions), ordinary));
  }
  std::vector<rw::PatchPosition> patches;
  for (const std::int64_t position : text) patches.push_back({{position, position}});
  CHECK(same_table(rw::phase_table<Real, Kernel>(turns, rw::QwenVision{}, patches), ordinary));
  CHECK(same_table(rw::phase_table<Real, Kernel>(turns, rw::Llama4Vision{}, patches), ordinary));
  CHECK(same_table(rw::phase_table<Real, Kernel>(turns, rw::PixtralVision{}, patches), ordinary));
}

template <typename Real, typename Kernel>
void check_differing_axes() {
  Random random("differing axes");
  const rw::PhaseTurns turns = turns_of(kHead128);
  for (const rw::MultiAxis& axes : kSchemes) {
    constexpr std::int64_t tokens = 23;
    Positions data;
    for (std::int64_t i = 0; i < axes.axes * tokens; ++i) data.push_back(random_position(random));
    const rw::AxisPositions positions{data.data(), tokens};
    const auto expected = pair_by_pair<Real, Kernel>(
        turns, tokens,
        [&](std::int64_t token, int pair) { return axes.position(positions, token, pair); });
    CHECK(same_table(rw::phase_table<Real, Kernel>(turns, axes, data), expected));
  }
}

template <typename Real, typename Kernel, typename Layout>
void check_patches(const rw::RopeConfig& config, const Layout& layout) {
  constexpr std::int64_t columns = 6;
  const rw::PhaseTurns turns = rw::phase_turns(rw::spectrum(config, layout));
  std::vector<rw::PatchPosition> patches;
  for (std::int64_t patch = 0; patch < 24; ++patch) {
    patches.push_back(layout.position(patch, columns));
  }
  const auto expected = pair_by_pair<Real, Kernel>(turns, 24, [&](std::int64_t token, int pair) {
    return layout.position(token, columns)[layout.axis_of_pair(config, pair)];
  });
  const auto table = rw::phase_table<Real, Kernel>(turns, layout, patches);
  CHECK(same_table(table, expected));
  CHECK(same_table(rw::phase_table<Real, Kernel>(rw::spectrum(config, layout), layout, patches),
                   table));
}

template <typename Visit>
void for_each_real_and_kernel(Visit visit) {
  namespace simd = rw::simd;
  visit(float{}, simd::PortablePhase{});
  visit(double{}, simd::PortablePhase{});
  visit(float{}, simd::NativePhase{});
  visit(double{}, simd::NativePhase{});
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    visit(float{}, simd::Avx2Phase{});
    visit(double{}, simd::Avx2Phase{});
  }
#endif
}

/// What Qwen2-VL is shown of three words, an image of 2 x 3 tokens and two words: text counts on
/// from the largest position of the image.
const Positions kQwenPositions{0, 1, 2, 3, 3, 3, 3, 3, 3, 6, 7,   // time
                               0, 1, 2, 3, 3, 3, 4, 4, 4, 6, 7,   // height
                               0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7};  // width

/// A float is the nearest one of its value, but for 1e-7 of a unit in the last place.
bool is_rounded(float value, long double exact) {
  const long double last_place = std::ldexp(1.0L, std::ilogb(exact) - 23);
  return std::abs(static_cast<long double>(value) - exact) <= 0.5000001L * last_place;
}

}  // namespace

TEST_CASE("a table by axes turns an image in a prompt as Qwen2-VL does") {
  const rw::MultiAxis axes{rw::AxisOrder::chunked, 3, {16, 24, 24}};
  const rw::Spectrum spectrum = rw::spectrum(kHead128);
  const auto table = rw::phase_table<float>(spectrum, axes, kQwenPositions);
  REQUIRE(table.positions == 11);
  REQUIRE(table.pairs == 64);
  REQUIRE(table.cos.size() == 11 * 64);
  REQUIRE(table.sin.size() == 11 * 64);
  int wrong = 0;
  for (std::size_t token = 0; token < 11; ++token) {
    for (std::size_t pair = 0; pair < 64; ++pair) {
      const std::size_t axis = pair < 16 ? 0 : pair < 40 ? 1 : 2;
      const auto position = static_cast<long double>(kQwenPositions[axis * 11 + token]);
      const long double angle = position * static_cast<long double>(spectrum.inv_freq[pair]);
      const float cos = table.cos[token * 64 + pair];
      const float sin = table.sin[token * 64 + pair];
      wrong += is_rounded(cos, std::cos(angle)) ? 0 : 1;
      // Of a sine of 0 there is no last place.
      wrong += (angle == 0 ? sin == 0 : is_rounded(sin, std::sin(angle))) ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("where the axes agree a row by axes has the bits of an ordinary one") {
  for_each_real_and_kernel(
      [](auto real, auto kernel) { check_agreeing_axes<decltype(real), decltype(kernel)>(); });
}

TEST_CASE("where the axes differ each pair has the bits of the ordinary row of its position") {
  INFO(seed_text());
  for_each_real_and_kernel(
      [](auto real, auto kernel) { check_differing_axes<decltype(real), decltype(kernel)>(); });
}

TEST_CASE("each half of the pairs has the bits of the ordinary row of its coordinate") {
  for_each_real_and_kernel([](auto real, auto kernel) {
    using Real = decltype(real);
    using Kernel = decltype(kernel);
    const rw::RopeConfig head80{80, 80, 10000.0, 0};  // 20 pairs to a half
    check_patches<Real, Kernel>(head80, rw::QwenVision{});
    check_patches<Real, Kernel>(head80, rw::QwenVision{1});
    check_patches<Real, Kernel>({88, 88, 10000.0, 0}, rw::Llama4Vision{});
    check_patches<Real, Kernel>({64, 64, 10000.0, 0}, rw::PixtralVision{});
  });
}

TEST_CASE("the angles of a row by axes are phase_words of each pair's position") {
  const rw::PhaseTurns turns = turns_of(kHead128, 1.0);
  const rw::MultiAxis axes{rw::AxisOrder::interleaved, 3, {24, 20, 20}};
  constexpr std::int64_t farthest = (std::numeric_limits<std::int64_t>::max)();
  constexpr std::int64_t lowest = (std::numeric_limits<std::int64_t>::min)();
  const Positions data{farthest, 5, lowest, 1000003, -7, 77};  // (axes, tokens)
  const auto table = rw::phase_table<float>(turns, axes, data);
  for (std::int64_t token = 0; token < 2; ++token) {
    for (int pair = 0; pair < 64; ++pair) {
      const std::int64_t position = axes.position({data.data(), 2}, token, pair);
      const rw::SinCos<float> exact = rw::sincos_float(rw::phase_words(turns, position, pair));
      const auto entry = static_cast<std::size_t>(token * 64 + pair);
      CHECK(table.cos[entry] == exact.cos);
      CHECK(table.sin[entry] == exact.sin);
    }
  }
}

TEST_CASE("the rows by axes are those that Hugging Face's slices of per-axis tables make") {
  // One ordinary table per axis, (tokens, pairs), out of which slices are joined.
  const rw::PhaseTurns turns = turns_of(kHead128);
  const Positions& data = kQwenPositions;
  std::vector<rw::PhaseTable<double>> tables;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    tables.push_back(
        rw::phase_table<double>(turns, rw::Span<const std::int64_t>(data.data() + axis * 11, 11)));
  }
  const auto joined = [&](const std::vector<std::size_t>& axis_of_pair) {
    rw::PhaseTable<double> table{11, 64};
    for (std::size_t entry = 0; entry < 11 * 64; ++entry) {
      table.cos.push_back(tables[axis_of_pair[entry % 64]].cos[entry]);
      table.sin.push_back(tables[axis_of_pair[entry % 64]].sin[entry]);
    }
    return table;
  };

  // The first section of the pairs from the first table, the second from the second.
  std::vector<std::size_t> chunks(16, 0);
  chunks.insert(chunks.end(), 24, 1);
  chunks.insert(chunks.end(), 24, 2);
  CHECK(same_table(rw::phase_table<double>(turns, {rw::AxisOrder::chunked, 3, {16, 24, 24}}, data),
                   joined(chunks)));

  // Time everywhere, then height into 1, 4, .. below 3 * 20 and width into 2, 5, ..
  std::vector<std::size_t> thirds(64, 0);
  for (std::size_t axis = 1; axis < 3; ++axis) {
    for (std::size_t pair = axis; pair < 3 * 20; pair += 3) thirds[pair] = axis;
  }
  CHECK(same_table(
      rw::phase_table<double>(turns, {rw::AxisOrder::interleaved, 3, {24, 20, 20}}, data),
      joined(thirds)));

  // Height and width stacked pair by pair, then time.
  std::vector<std::size_t> stacked;
  for (int i = 0; i < 22; ++i) stacked.insert(stacked.end(), {1, 2});
  stacked.insert(stacked.end(), 20, 0);
  CHECK(same_table(
      rw::phase_table<double>(turns, {rw::AxisOrder::alternating, 3, {20, 22, 22}}, data),
      joined(stacked)));
}

TEST_CASE("an axis without pairs may hold anything") {
  const rw::PhaseTurns turns = turns_of(kHead128);
  Positions four = kQwenPositions;
  for (std::int64_t token = 0; token < 11; ++token) four.push_back(-token);
  CHECK(same_table(
      rw::phase_table<float>(turns, {rw::AxisOrder::chunked, 4, {16, 24, 24, 0}}, four),
      rw::phase_table<float>(turns, {rw::AxisOrder::chunked, 3, {16, 24, 24}}, kQwenPositions)));
}

TEST_CASE("the attention factor multiplies a row by axes once") {
  const rw::MultiAxis axes{rw::AxisOrder::chunked, 3, {16, 24, 24}};
  const auto plain = rw::phase_table<double>(turns_of(kHead128, 1.0), axes, kQwenPositions);
  const auto doubled = rw::phase_table<double>(turns_of(kHead128, 2.0), axes, kQwenPositions);
  for (std::size_t entry = 0; entry < plain.cos.size(); ++entry) {
    CHECK(doubled.cos[entry] == 2.0 * plain.cos[entry]);
    CHECK(doubled.sin[entry] == 2.0 * plain.sin[entry]);
  }
}

TEST_CASE("rotate turns every pair of a token by the position of its axis") {
  const rw::MultiAxis axes{rw::AxisOrder::chunked, 3, {16, 24, 24}};
  const rw::Spectrum spectrum = rw::spectrum(kHead128);
  const auto table = rw::phase_table<double>(spectrum, axes, kQwenPositions);
  Random random("rotate by axes");
  INFO(seed_text());
  for (const rw::Pairing pairing : {rw::Pairing::half_split, rw::Pairing::interleaved}) {
    std::vector<double> q(11 * 2 * 128);
    for (double& element : q) element = random.uniform(-1.0, 1.0);
    const std::vector<double> before = q;
    rw::rotate(rw::make_head_view(q.data(), 11, 2, 128), table, pairing);
    double largest = 0.0;
    for (std::size_t head = 0; head < 11 * 2; ++head) {
      for (std::size_t pair = 0; pair < 64; ++pair) {
        const std::size_t axis = pair < 16 ? 0 : pair < 40 ? 1 : 2;
        const auto position = static_cast<long double>(kQwenPositions[axis * 11 + head / 2]);
        const long double angle = position * static_cast<long double>(spectrum.inv_freq[pair]);
        const bool split = pairing == rw::Pairing::half_split;
        const std::size_t x = head * 128 + (split ? pair : 2 * pair);
        const std::size_t y = x + (split ? 64 : 1);
        const long double turned_x = before[x] * std::cos(angle) - before[y] * std::sin(angle);
        const long double turned_y = before[y] * std::cos(angle) + before[x] * std::sin(angle);
        largest = (std::max)(largest, static_cast<double>(std::abs(q[x] - turned_x)));
        largest = (std::max)(largest, static_cast<double>(std::abs(q[y] - turned_y)));
      }
    }
    // 8.2 u n of rotate.hpp, with n at most sqrt 2, and what the long doubles themselves lose
    // where they are doubles: u of the angle, at most 7, and 2 u of the formula, times n.
    CHECK(largest <= (8.2 + (sizeof(long double) > 8 ? 0.0 : 9.0)) * 0x1p-53 * std::sqrt(2.0));
  }
}

TEST_CASE("a rotation refuses a table of other tokens") {
  const rw::MultiAxis axes{rw::AxisOrder::chunked, 3, {16, 24, 24}};
  const auto table = rw::phase_table<float>(turns_of(kHead128), axes, kQwenPositions);
  std::vector<float> q(10 * 128);
  CHECK_THROWS_WITH(
      rw::rotate(rw::make_head_view(q.data(), 10, 1, 128), table, rw::Pairing::half_split),
      contains("table.positions has 11, tokens is 10"));
}

TEST_CASE("no tokens make an empty table by axes") {
  const rw::PhaseTurns turns = turns_of(kHead128);
  const auto table = rw::phase_table<float>(turns, kSchemes[1], Positions{});
  CHECK(table.positions == 0);
  CHECK(table.pairs == 64);
  CHECK(table.cos.empty());
  const auto patches =
      rw::phase_table<float>(turns, rw::PixtralVision{}, std::vector<rw::PatchPosition>{});
  CHECK(patches.positions == 0);
  CHECK(patches.sin.empty());
}

TEST_CASE("positions that are not as many for each axis are refused") {
  CHECK_THROWS_WITH(rw::phase_table<float>(turns_of(kHead128), kSchemes[1], Positions(32)),
                    contains("phase_table: positions = 32"));
}

TEST_CASE("a scheme that does not fit the pairs of the turns is refused") {
  const rw::PhaseTurns turns = turns_of({96, 96, 1e6, 0});
  CHECK_THROWS_WITH(rw::phase_table<float>(turns, kSchemes[1], kQwenPositions),
                    contains("phase_table: sections = 64"));
  CHECK_THROWS_WITH(
      rw::phase_table<float>(turns, rw::MultiAxis{rw::AxisOrder::chunked, 2}, Positions{}),
      contains("phase_table: axes = 2"));
  const std::vector<rw::PatchPosition> patches(3);
  CHECK_THROWS_WITH(rw::phase_table<float>(turns_of({66, 66, 1e4, 0}), rw::QwenVision{}, patches),
                    contains("phase_table: pairs = 33"));
  CHECK_THROWS_WITH(rw::phase_table<float>(turns, rw::QwenVision{0}, patches),
                    contains("phase_table: merge = 0"));
}

TEST_CASE("turns that no config has are refused by the tables by axes") {
  rw::PhaseTurns turns = turns_of(kHead128);
  turns.low.pop_back();
  CHECK_THROWS_WITH(rw::phase_table<float>(turns, kSchemes[1], kQwenPositions),
                    contains("phase_table: low has 63, high is 64"));
  const std::vector<rw::PatchPosition> patches(3);
  CHECK_THROWS_WITH(rw::phase_table<float>(turns, rw::PixtralVision{}, patches),
                    contains("phase_table: low has 63, high is 64"));
  CHECK_THROWS_WITH(rw::phase_table<float>(rw::PhaseTurns{}, rw::MultiAxis{}, Positions(2)),
                    contains("phase_table: pairs = 0"));
  turns.high.assign(32769, 1);
  turns.low.assign(32769, 1);
  CHECK_THROWS_WITH(rw::phase_table<float>(turns, rw::MultiAxis{}, Positions(2)),
                    contains("phase_table: pairs = 32769"));
}
