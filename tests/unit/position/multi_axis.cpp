#include <ropewalk/position/multi_axis.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kHead128{128, 128, 1e6, 32768};

std::string drawn(const rw::MultiAxis& axes, int pairs) {
  std::string letters;
  for (int pair = 0; pair < pairs; ++pair) {
    letters += "thwe"[axes.axis_of_pair(pair)];
  }
  return letters;
}

rw::RopeConfig config_of(int pairs) { return {2 * pairs, 2 * pairs, 1e6, 0}; }

std::string field_of(const rw::Fault& fault) { return fault.field; }

}  // namespace

TEST_CASE("the three orders share twelve pairs as drawn") {
  CHECK(drawn({rw::AxisOrder::chunked, 3, {4, 4, 4}}, 12) == "tttthhhhwwww");
  CHECK(drawn({rw::AxisOrder::interleaved, 3, {4, 4, 4}}, 12) == "thwthwthwthw");
  CHECK(drawn({rw::AxisOrder::alternating, 3, {4, 4, 4}}, 12) == "hwhwhwhwtttt");
}

TEST_CASE("Qwen2-VL's chunks are 16, 24 and 24 pairs") {
  const rw::MultiAxis axes{rw::AxisOrder::chunked, 3, {16, 24, 24}};
  CHECK(axes.validate(kHead128).code == rw::Errc::ok);
  CHECK(drawn(axes, 64) == std::string(16, 't') + std::string(24, 'h') + std::string(24, 'w'));
}

TEST_CASE("Qwen3-VL gives the pairs that no section claims to time") {
  const rw::MultiAxis axes{rw::AxisOrder::interleaved, 3, {24, 20, 20}};
  CHECK(axes.validate(kHead128).code == rw::Errc::ok);
  std::string expected;
  for (int i = 0; i < 20; ++i) expected += "thw";
  CHECK(drawn(axes, 64) == expected + "tttt");
}

TEST_CASE("ggml gives the pairs that no section claims to the fourth axis") {
  const rw::MultiAxis axes{rw::AxisOrder::interleaved, 4, {24, 20, 20, 0}};
  CHECK(axes.validate(kHead128).code == rw::Errc::ok);
  std::string expected;
  for (int i = 0; i < 20; ++i) expected += "thw";
  CHECK(drawn(axes, 64) == expected + "teet");
}

TEST_CASE("ERNIE alternates height and width, and time takes the last pairs") {
  const rw::MultiAxis axes{rw::AxisOrder::alternating, 3, {20, 22, 22}};
  CHECK(axes.validate(kHead128).code == rw::Errc::ok);
  std::string expected;
  for (int i = 0; i < 22; ++i) expected += "hw";
  CHECK(drawn(axes, 64) == expected + std::string(20, 't'));
}

TEST_CASE("XD-RoPE has four chunks") {
  const rw::MultiAxis axes{rw::AxisOrder::chunked, 4, {16, 16, 16, 16}};
  CHECK(axes.validate(kHead128).code == rw::Errc::ok);
  for (int pair = 0; pair < 64; ++pair) CHECK(axes.axis_of_pair(pair) == pair / 16);
  // An empty section takes no pair.
  const rw::MultiAxis skipping{rw::AxisOrder::chunked, 4, {2, 0, 0, 4}};
  CHECK(drawn(skipping, 6) == "tteeee");
}

TEST_CASE("a pair turns with the position of its axis") {
  const rw::MultiAxis axes{rw::AxisOrder::chunked, 3, {1, 1, 2}};
  const std::vector<std::int64_t> data{100, 101, 7, 8, -3, -4};  // (axes, tokens)
  const rw::AxisPositions positions{data.data(), 2};
  CHECK(axes.position(positions, 0, 0) == 100);
  CHECK(axes.position(positions, 1, 0) == 101);
  CHECK(axes.position(positions, 0, 1) == 7);
  CHECK(axes.position(positions, 1, 3) == -4);
}

TEST_CASE("one axis needs no sections and turns everything") {
  const rw::MultiAxis axes;
  CHECK(axes.validate(kHead128).code == rw::Errc::ok);
  for (int pair = 0; pair < 64; ++pair) CHECK(axes.axis_of_pair(pair) == 0);
}

TEST_CASE("sections that do not share out the pairs are refused") {
  const rw::Fault fault = rw::MultiAxis{rw::AxisOrder::chunked, 3, {16, 24, 23}}.validate(kHead128);
  CHECK(fault.code == rw::Errc::wrong_count);
  CHECK(field_of(fault) == "sections");
  CHECK(fault.value == 63.0);

  const rw::Fault negative =
      rw::MultiAxis{rw::AxisOrder::chunked, 3, {16, -24, 72}}.validate(kHead128);
  CHECK(negative.code == rw::Errc::below_minimum);
  CHECK(negative.index == 1);

  constexpr int largest = 2147483647;
  CHECK(
      rw::MultiAxis{rw::AxisOrder::chunked, 4, {largest, largest, 2, 64}}.validate(kHead128).code ==
      rw::Errc::wrong_count);
}

TEST_CASE("interleaved sections that need more than every third pair are refused") {
  // 64 pairs: height owns 21 places (1, 4, .. 61), width 21 (2, 5, .. 62).
  const rw::MultiAxis fits{rw::AxisOrder::interleaved, 3, {22, 21, 21}};
  CHECK(fits.validate(kHead128).code == rw::Errc::ok);
  CHECK(rw::MultiAxis{rw::AxisOrder::interleaved, 3, {21, 22, 21}}.validate(kHead128).index == 1);
  CHECK(rw::MultiAxis{rw::AxisOrder::interleaved, 3, {21, 21, 22}}.validate(kHead128).index == 2);
  CHECK(rw::MultiAxis{rw::AxisOrder::interleaved, 3, {1, 1, 0}}.validate(config_of(2)).code ==
        rw::Errc::ok);
  CHECK(rw::MultiAxis{rw::AxisOrder::interleaved, 3, {1, 0, 1}}.validate(config_of(2)).code ==
        rw::Errc::above_maximum);
}

TEST_CASE("unequal height and width cannot alternate") {
  const rw::Fault fault =
      rw::MultiAxis{rw::AxisOrder::alternating, 3, {20, 21, 23}}.validate(kHead128);
  CHECK(fault.code == rw::Errc::wrong_count);
  CHECK(field_of(fault) == "sections");
  CHECK(fault.index == 2);
  CHECK(fault.value == 23.0);
}

TEST_CASE("an order that is none of the three is refused") {
  const rw::MultiAxis axes{static_cast<rw::AxisOrder>(3), 3, {16, 24, 24}};
  CHECK(field_of(axes.validate(kHead128)) == "order");
}

TEST_CASE("a number of axes that no model has is refused") {
  CHECK(field_of(rw::MultiAxis{rw::AxisOrder::chunked, -1}.validate(kHead128)) == "axes");
  CHECK(field_of(rw::MultiAxis{rw::AxisOrder::chunked, 0}.validate(kHead128)) == "axes");
  CHECK(field_of(rw::MultiAxis{rw::AxisOrder::chunked, 2, {32, 32}}.validate(kHead128)) == "axes");
  CHECK(field_of(rw::MultiAxis{rw::AxisOrder::chunked, 5}.validate(kHead128)) == "axes");
  CHECK(rw::MultiAxis{rw::AxisOrder::alternating, 4, {16, 16, 16, 16}}.validate(kHead128).code ==
        rw::Errc::above_maximum);
}
