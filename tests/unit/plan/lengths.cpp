#include <ropewalk/plan/lengths.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <vector>

namespace rw = ropewalk;
using Lengths = std::vector<std::int64_t>;

TEST_CASE("one stage is the target") {
  CHECK(rw::stage_lengths(8192, 1048576, 1) == Lengths{1048576});
  CHECK(rw::stage_lengths(8192, 8192, 1) == Lengths{8192});
}

TEST_CASE("stages that double are powers of two") {
  CHECK(rw::stage_lengths(8192, 262144, 5) == Lengths{16384, 32768, 65536, 131072, 262144});
  CHECK(rw::stage_lengths(4096, 1048576, 4) == Lengths{16384, 65536, 262144, 1048576});
}

TEST_CASE("other stages grow evenly, in five binary digits") {
  // 8192 * 128^(1/3) = 41285.1 and 8192 * 128^(2/3) = 208062.7.
  CHECK(rw::stage_lengths(8192, 1048576, 3) == Lengths{40960, 204800, 1048576});
}

TEST_CASE("stages closer than five binary digits get the digits they need") {
  CHECK(rw::stage_lengths(1000, 1003, 3) == Lengths{1001, 1002, 1003});
  const Lengths close = rw::stage_lengths(100000, 101000, 8);
  std::int64_t before = 100000;
  for (const std::int64_t length : close) {
    CHECK(length > before);
    before = length;
  }
  CHECK(before == 101000);
}

TEST_CASE("stages that do not fit are refused by name") {
  CHECK_THROWS_WITH(rw::stage_lengths(1000, 1003, 4), contains("stages = 4"));
  CHECK_THROWS_WITH(rw::stage_lengths(1000, 1000, 2), contains("stages = 2"));
  CHECK_THROWS_WITH(rw::stage_lengths(1000, 2000, 0), contains("stages = 0"));
  CHECK_THROWS_WITH(rw::stage_lengths(1000, 2000, 65), contains("stages = 65"));
  CHECK_THROWS_WITH(rw::stage_lengths(0, 2000, 1), contains("trained_length = 0"));
  CHECK_THROWS_WITH(rw::stage_lengths(1000, 999, 1), contains("target_length = 999"));
}
