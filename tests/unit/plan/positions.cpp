#include <ropewalk/plan/positions.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rw = ropewalk;
using Positions = std::vector<std::int64_t>;

namespace {

/// Steps other than 1 between neighbours.
int gaps(const Positions& positions) {
  int count = 0;
  for (std::size_t i = 1; i < positions.size(); ++i) {
    if (positions[i] != positions[i - 1] + 1) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("samplers that have nothing to extend return the positions as they are") {
  const Positions plain = {0, 1, 2, 3, 4, 5, 6, 7};
  for (std::uint64_t sample = 0; sample < 20; ++sample) {
    CHECK(rw::PoseSampler{8, 100, 1}.positions(1, sample) == plain);
    CHECK(rw::PoseSampler{8, 8, 3}.positions(1, sample) == plain);
    CHECK(rw::RandomSampler{8, 8}.positions(1, sample) == plain);
    CHECK(rw::E2Sampler{8, 1}.positions(1, sample).positions == plain);
    CHECK(rw::E2Sampler{8, 1}.positions(1, sample).scale == 1);
  }
}

TEST_CASE("PoSE's positions are chunks moved ever further, within the target") {
  bool moved = false;
  bool reached_end = false;
  for (std::uint64_t sample = 0; sample < 2000; ++sample) {
    const Positions positions = rw::PoseSampler{16, 64, 2}.positions(42, sample);
    REQUIRE(positions.size() == 16);
    CHECK(positions[0] == 0);
    CHECK(positions.back() < 64);
    CHECK(gaps(positions) <= 1);
    moved = moved || gaps(positions) == 1;
    reached_end = reached_end || positions.back() == 63;
    for (std::size_t i = 1; i < positions.size(); ++i) CHECK(positions[i] > positions[i - 1]);
  }
  CHECK(moved);
  CHECK(reached_end);
}

TEST_CASE("PoSE's second chunk moves by every amount, all alike likely") {
  // Window 4 in 9: moves 0 .. 5, cuts 1 .. 3, both uniform.
  int moves[6] = {};
  int cuts[3] = {};
  constexpr int samples = 12000;
  for (std::uint64_t sample = 0; sample < samples; ++sample) {
    const Positions positions = rw::PoseSampler{4, 9, 2}.positions(9, sample);
    const std::int64_t move = positions[3] - 3;
    REQUIRE(move >= 0);
    REQUIRE(move <= 5);
    ++moves[move];
    for (std::size_t cut = 1; cut <= 3 && move > 0; ++cut) {
      if (positions[cut] != positions[cut - 1] + 1) ++cuts[cut - 1];
    }
  }
  double chi_square = 0.0;
  for (const int count : moves) chi_square += (count - 2000.0) * (count - 2000.0) / 2000.0;
  CHECK(chi_square < 20.5);  // five degrees of freedom, one in a thousand
  const double expected = (samples - moves[0]) / 3.0;
  chi_square = 0.0;
  for (const int count : cuts) chi_square += (count - expected) * (count - expected) / expected;
  CHECK(chi_square < 13.8);  // two degrees of freedom, one in a thousand
}

TEST_CASE("PoSE with as many chunks as tokens moves every token on its own") {
  const Positions positions = rw::PoseSampler{8, 1000000, 8}.positions(3, 0);
  CHECK(gaps(positions) == 7);
}

TEST_CASE("E2-LLM's positions stay within the trained ones after scaling") {
  const rw::E2Sampler sampler{16, 5, 4};
  CHECK(sampler.target_length() == 80);
  bool scales[6] = {};
  for (std::uint64_t sample = 0; sample < 500; ++sample) {
    const rw::ScaledPositions drawn = sampler.positions(8, sample);
    REQUIRE(drawn.scale >= 1);
    REQUIRE(drawn.scale <= 5);
    scales[drawn.scale] = true;
    REQUIRE(drawn.positions.size() == 16);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(drawn.positions[i] == static_cast<std::int64_t>(i));
    }
    CHECK(gaps({drawn.positions.begin() + 4, drawn.positions.end()}) == 0);
    CHECK(drawn.positions.back() < 16 * drawn.scale);
  }
  for (int scale = 1; scale <= 5; ++scale) CHECK(scales[scale]);
}

TEST_CASE("random positions rise strictly and take every place of the target") {
  std::vector<bool> taken(50);
  for (std::uint64_t sample = 0; sample < 500; ++sample) {
    const Positions positions = rw::RandomSampler{5, 50}.positions(6, sample);
    REQUIRE(positions.size() == 5);
    for (std::size_t i = 0; i < 5; ++i) {
      if (i > 0) CHECK(positions[i] > positions[i - 1]);
      taken.at(static_cast<std::size_t>(positions[i])) = true;
    }
  }
  CHECK(std::count(taken.begin(), taken.end(), false) == 0);
}

TEST_CASE("a sample is the same whatever was drawn before it, and seeds differ") {
  const rw::PoseSampler sampler{64, 4096, 3};
  const Positions once = sampler.positions(17, 5);
  sampler.positions(17, 4);
  CHECK(sampler.positions(17, 5) == once);
  CHECK(sampler.positions(17, 6) != once);
  CHECK(sampler.positions(18, 5) != once);
}

TEST_CASE("samples are these on every machine") {
  // Computed from the published definitions with whole numbers of any size.
  CHECK(rw::PoseSampler{8, 100, 2}.positions(1, 0) == Positions{0, 1, 28, 29, 30, 31, 32, 33});
  CHECK(rw::RandomSampler{4, 1000}.positions(1, 0) == Positions{238, 529, 583, 958});
  const rw::ScaledPositions scaled = rw::E2Sampler{4, 8, 1}.positions(1, 0);
  CHECK(scaled.scale == 7);
  CHECK(scaled.positions == Positions{0, 5, 6, 7});
}

TEST_CASE("targets as long as lengths go have samples") {
  constexpr std::int64_t longest = std::int64_t{1} << 53;
  CHECK(rw::RandomSampler{3, longest}.positions(1, 0).back() > (std::int64_t{1} << 40));
  CHECK(rw::PoseSampler{3, longest, 3}.positions(1, 0).back() < longest);
}

TEST_CASE("samplers refuse what cannot be sampled, by name") {
  CHECK_THROWS_WITH((rw::PoseSampler{0, 10, 1}.positions(1, 0)), contains("window = 0"));
  CHECK_THROWS_WITH((rw::PoseSampler{-4, 10, 1}.positions(1, 0)), contains("window"));
  CHECK_THROWS_WITH((rw::PoseSampler{16, 15, 1}.positions(1, 0)), contains("target_length = 15"));
  CHECK_THROWS_WITH((rw::PoseSampler{16, 64, 0}.positions(1, 0)), contains("chunks = 0"));
  CHECK_THROWS_WITH((rw::PoseSampler{16, 64, 17}.positions(1, 0)), contains("chunks = 17"));
  CHECK_THROWS_WITH((rw::RandomSampler{8, 7}.positions(1, 0)), contains("target_length = 7"));
  CHECK_THROWS_WITH(
      (rw::RandomSampler{std::int64_t{1} << 40, std::int64_t{1} << 41}.positions(1, 0)),
      contains("window"));
  CHECK_THROWS_WITH((rw::E2Sampler{0, 2}.positions(1, 0)), contains("window"));
  CHECK_THROWS_WITH((rw::E2Sampler{16, 0}.positions(1, 0)), contains("maximum_scale = 0"));
  CHECK_THROWS_WITH((rw::E2Sampler{16, std::int64_t{1} << 52}.positions(1, 0)),
                    contains("maximum_scale"));
  CHECK_THROWS_WITH((rw::E2Sampler{16, 2, 17}.positions(1, 0)), contains("fixed_tokens = 17"));
  CHECK_THROWS_WITH((rw::E2Sampler{16, 2, -1}.positions(1, 0)), contains("fixed_tokens = -1"));
}
