#include <ropewalk/plan/counter_random.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

namespace rw = ropewalk;

TEST_CASE("the counter's numbers are SplitMix64's") {
  // The first numbers of seed 1234567 as other implementations print them.
  std::uint64_t state = 1234567;
  for (const std::uint64_t expected :
       {6457827717110365317u, 3203168211198807973u, 9817491932198370423u}) {
    state += rw::CounterRandom::kGamma;
    CHECK(rw::CounterRandom::mix(state) == expected);
  }
}

TEST_CASE("a seed and a sample give the same bits on every machine") {
  rw::CounterRandom random(0, 0);
  for (const std::uint64_t expected :
       {0x568a9b0b1a2c05ecu, 0x44e5b8b147ef718bu, 0x458563ab55521133u, 0x7aec644539b6c0f9u}) {
    CHECK(random.bits() == expected);
  }
  CHECK(rw::CounterRandom(1, 0).bits() != rw::CounterRandom(0, 1).bits());
  CHECK(rw::CounterRandom(1).bits() == rw::CounterRandom(1, 0).bits());
}

TEST_CASE("whole numbers stay within their bounds and reach both") {
  rw::CounterRandom random(7);
  std::array<int, 3> seen = {};
  for (int i = 0; i < 100; ++i) {
    const std::int64_t drawn = random.integer(-1, 1);
    REQUIRE(drawn >= -1);
    REQUIRE(drawn <= 1);
    ++seen[static_cast<std::size_t>(drawn + 1)];
  }
  for (const int count : seen) CHECK(count > 0);
  CHECK(random.integer(5, 5) == 5);
  constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  bool negative = false;
  bool positive = false;
  for (int i = 0; i < 64; ++i) {
    const std::int64_t drawn = random.integer(lowest, largest);
    negative = negative || drawn < 0;
    positive = positive || drawn > 0;
  }
  CHECK(negative);
  CHECK(positive);
}

TEST_CASE("every number of a range is drawn as often as any other") {
  rw::CounterRandom random(11);
  std::array<int, 10> counts = {};
  constexpr int draws = 100000;
  for (int i = 0; i < draws; ++i) ++counts[static_cast<std::size_t>(random.integer(0, 9))];
  double chi_square = 0.0;
  for (const int count : counts) {
    const double off = count - draws / 10.0;
    chi_square += off * off / (draws / 10.0);
  }
  CHECK(chi_square < 27.9);  // nine degrees of freedom, one in a thousand
}

TEST_CASE("sorting puts every vector in order") {
  rw::CounterRandom random(3);
  for (std::size_t size = 0; size < 70; ++size) {
    std::vector<std::int64_t> values(size);
    std::int64_t sum = 0;
    for (std::int64_t& value : values) sum += value = random.integer(-20, 20);
    rw::detail::sort_rising(values);
    for (std::size_t i = 1; i < size; ++i) CHECK(values[i - 1] <= values[i]);
    for (const std::int64_t value : values) sum -= value;
    CHECK(sum == 0);
  }
}

TEST_CASE("every set of distinct numbers is as likely as any other") {
  for (const std::int64_t count : {2, 3}) {  // 3 of 5: those left out are drawn
    rw::CounterRandom random(5);
    std::map<std::vector<std::int64_t>, int> sets;
    constexpr int draws = 20000;
    for (int i = 0; i < draws; ++i) ++sets[rw::detail::distinct_rising(random, 1, 5, count)];
    REQUIRE(sets.size() == 10);
    double chi_square = 0.0;
    for (const auto& [set, times] : sets) {
      for (std::size_t i = 1; i < set.size(); ++i) CHECK(set[i - 1] < set[i]);
      const double off = times - draws / 10.0;
      chi_square += off * off / (draws / 10.0);
    }
    CHECK(chi_square < 27.9);  // nine degrees of freedom, one in a thousand
  }
  rw::CounterRandom random(1);
  CHECK(rw::detail::distinct_rising(random, 3, 6, 4) == std::vector<std::int64_t>{3, 4, 5, 6});
  CHECK(rw::detail::distinct_rising(random, 3, 6, 0).empty());
  CHECK(rw::detail::distinct_rising(random, 1, 0, 0).empty());
}
