#include "attention_run.hpp"
#include "support/catch.hpp"

#include <cstdio>

using namespace ropewalk_test;

TEST_CASE("float16 attention of a tile is that of its definition, and so are its statistics") {
  const Tally tally = run_problems<ropewalk::float16>(520, "device attention f16 ");
  CHECK(tally.problems == 520);
  CHECK(tally.empty_rows > 500);
  std::printf("%s\n", tally.text().c_str());
}
