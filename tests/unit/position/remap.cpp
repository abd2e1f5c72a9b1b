#include <ropewalk/position/remap.hpp>
#include <ropewalk/position/rerope.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <limits>
#include <string>

namespace rw = ropewalk;

TEST_CASE("every key belongs to the pass that covers it") {
  const rw::Rerope remap{512};
  CHECK(rw::pass_of(remap, 5000, 4489) == rw::Pass::neighbours);
  CHECK(rw::pass_of(remap, 5000, 4488) == rw::Pass::distant);
  CHECK(rw::is_visible(remap, 5000, 0));
  CHECK_FALSE(rw::is_visible(remap, 5000, 5001));
  CHECK_FALSE(rw::is_visible(remap, 5000, -1));
}

TEST_CASE("a query and a key from outside are refused by name") {
  constexpr std::int64_t largest = (std::numeric_limits<std::int64_t>::max)();
  constexpr std::int64_t smallest = (std::numeric_limits<std::int64_t>::min)();
  CHECK(rw::check_query_key(0, 0).code == rw::Errc::ok);
  CHECK(rw::check_query_key(rw::kLargestPosition, 0).code == rw::Errc::ok);

  const rw::Fault later = rw::check_query_key(3, 4);
  CHECK(later.code == rw::Errc::wrong_order);
  CHECK(std::string(later.field) == "key");
  CHECK(later.value == 4.0);

  CHECK(rw::check_query_key(3, -1).code == rw::Errc::below_minimum);
  CHECK(std::string(rw::check_query_key(3, smallest).field) == "key");
  CHECK(std::string(rw::check_query_key(-1, 0).field) == "query");
  CHECK(rw::check_query_key(rw::kLargestPosition + 1, 0).code == rw::Errc::above_maximum);
  CHECK(std::string(rw::check_query_key(largest, 0).field) == "query");
}

TEST_CASE("an unlimited window leaves no key beyond it") {
  for (const std::int64_t query : {std::int64_t{0}, std::int64_t{7}, rw::kLargestPosition}) {
    const rw::KeyRange within = rw::detail::keys_within(rw::kUnlimited, query);
    CHECK(within.first == 0);
    CHECK(within.end == query + 1);
    CHECK(rw::detail::keys_beyond(rw::kUnlimited, query).end == 0);
  }
}
