#include "attention_run.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <cstdio>
#include <string>

using namespace ropewalk_test;
using ropewalk::bfloat16;

TEST_CASE("bfloat16 attention of a tile is that of its definition, and so are its statistics") {
  const Tally tally = run_problems<bfloat16>(520, "device attention bf16 ");
  CHECK(tally.problems == 520);
  CHECK(tally.empty_rows > 500);
  std::printf("%s\n", tally.text().c_str());
}

TEST_CASE("the order in which warps run leaves every bit as it is") {
  for (int i = 0; i < 12; ++i) {
    Random random("orders " + std::to_string(i));
    const DeviceProblem<bfloat16> problem = draw_device_problem<bfloat16>(random);
    const EmulatedResult<bfloat16> first = run<true>(problem, rc::Statistics::variance, 1);
    REQUIRE(first.report.error == "");
    for (const std::uint64_t seed : {2u, 3u}) {
      const EmulatedResult<bfloat16> other = run<true>(problem, rc::Statistics::variance, seed);
      // The strides of the output are drawn with the seed; the statistics have none.
      CHECK(same_bits(first.lse, other.lse));
      CHECK(same_bits(first.entropy, other.entropy));
      CHECK(same_bits(first.mean, other.mean));
      CHECK(same_bits(first.variance, other.variance));
    }
  }
}

TEST_CASE("every level, and statistics without values, give the same bits") {
  for (int i = 0; i < 12; ++i) {
    Random random("levels " + std::to_string(i));
    const DeviceProblem<bfloat16> problem = draw_device_problem<bfloat16>(random);
    const EmulatedResult<bfloat16> all = run<true>(problem, rc::Statistics::variance, 1);
    const EmulatedResult<bfloat16> entropy = run<true>(problem, rc::Statistics::entropy, 1);
    const EmulatedResult<bfloat16> lse = run<true>(problem, rc::Statistics::lse, 1);
    REQUIRE(all.report.error == "");
    CHECK(same_bits(all.out, entropy.out));
    CHECK(same_bits(all.out, lse.out));
    CHECK(same_bits(all.lse, lse.lse));
    if (rc::detail::padded_head_dim(problem.params.shape.head_dim) == 128) continue;  // other tiles
    const EmulatedResult<bfloat16> alone = run<false>(problem, rc::Statistics::variance, 1);
    CHECK(same_bits(all.lse, alone.lse));
    CHECK(same_bits(all.variance, alone.variance));
  }
}
