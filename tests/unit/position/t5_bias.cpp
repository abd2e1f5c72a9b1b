#include <ropewalk/position/t5_bias.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr rw::T5Buckets kCausal{32, 128, rw::T5Direction::causal};

std::string field_of(const rw::T5Buckets& options) { return options.validate().field; }

}  // namespace

TEST_CASE("T5's decoder buckets grow with the logarithm of the distance") {
  const rw::T5Table table = rw::t5_table(kCausal);
  const auto bucket = [&](std::int64_t distance) { return table.bucket(distance, 0); };
  for (std::int64_t distance = 0; distance < 16; ++distance) CHECK(bucket(distance) == distance);
  CHECK(bucket(16) == 16);
  CHECK(bucket(19) == 17);
  CHECK(bucket(21) == 18);
  CHECK(bucket(24) == 19);
  CHECK(bucket(31) == 21);
  CHECK(bucket(64) == 26);
  CHECK(bucket(91) == 29);
  CHECK(bucket(100) == 30);
  CHECK(bucket(113) == 31);
  CHECK(bucket(128) == 31);
  CHECK(bucket(1000000) == 31);
}

TEST_CASE("T5's encoder keeps half of the buckets for keys after the query") {
  const rw::T5Table table = rw::t5_table({});
  const auto bucket = [&](std::int64_t offset) { return table.bucket(1000, 1000 + offset); };
  CHECK(bucket(0) == 0);
  CHECK(bucket(-7) == 7);
  CHECK(bucket(-8) == 8);
  CHECK(bucket(1) == 17);
  CHECK(bucket(8) == 24);
  CHECK(bucket(64) == 30);
  CHECK(bucket(-64) == 14);
}

TEST_CASE("the whole-numbered edges of T5's encoder are exact") {
  const rw::T5Table table = rw::t5_table({});
  const std::vector<std::int64_t> expected{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91};
  CHECK(table.first_distance == expected);
  CHECK(table.bucket(15, 0) == 9);
  CHECK(table.bucket(16, 0) == 10);
  CHECK(table.bucket(31, 0) == 11);
  CHECK(table.bucket(32, 0) == 12);
  CHECK(table.bucket(63, 0) == 13);
  CHECK(table.bucket(64, 0) == 14);
}

TEST_CASE("T5's decoder gives keys after the query the bucket of distance 0") {
  CHECK(rw::t5_table(kCausal).bucket(5, 9) == 0);
}

TEST_CASE("positions at both ends of int64 are in T5's last buckets") {
  constexpr std::int64_t largest = (std::numeric_limits<std::int64_t>::max)();
  constexpr std::int64_t smallest = (std::numeric_limits<std::int64_t>::min)();
  CHECK(rw::t5_table({}).bucket(largest, smallest) == 15);
  CHECK(rw::t5_table({}).bucket(smallest, largest) == 31);
}

TEST_CASE("the smallest tables have a bucket per distance and one for the rest") {
  CHECK(rw::t5_table({2, 2, rw::T5Direction::causal}).first_distance ==
        std::vector<std::int64_t>{0, 1});
  CHECK(rw::t5_table({4, 2}).first_distance == std::vector<std::int64_t>{0, 1});
}

TEST_CASE("T5 refuses buckets and distances without a logarithm") {
  CHECK(field_of({32, 128, static_cast<rw::T5Direction>(2)}) == "direction");
  constexpr std::int64_t smallest = (std::numeric_limits<std::int64_t>::min)();
  CHECK(field_of({32, smallest}) == "max_distance");
  CHECK(field_of({0, 128, rw::T5Direction::causal}) == "buckets");
  CHECK(field_of({1, 128, rw::T5Direction::causal}) == "buckets");
  CHECK(field_of({2, 128}) == "buckets");
  CHECK(rw::T5Buckets{33, 128}.validate().code == rw::Errc::odd);
  CHECK(field_of({258, 1024}) == "buckets");
  CHECK(field_of({32, 16, rw::T5Direction::causal}) == "max_distance");
  CHECK(field_of({32, 8}) == "max_distance");
  CHECK(field_of({32, std::int64_t{1} << 31}) == "max_distance");
  CHECK_THROWS_WITH(rw::t5_table({32, 0}), contains("max_distance = 0"));
}
