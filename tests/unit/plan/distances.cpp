#include <ropewalk/plan/distances.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rw = ropewalk;
using Positions = std::vector<std::int64_t>;

namespace {

/// Every pair of tokens, one by one.
void count_pairs(std::vector<std::int64_t>& counts, const Positions& positions) {
  for (std::size_t query = 0; query < positions.size(); ++query) {
    for (std::size_t key = 0; key <= query; ++key) {
      ++counts.at(static_cast<std::size_t>(positions[query] - positions[key]));
    }
  }
}

}  // namespace

TEST_CASE("plain positions have one pair less for every further distance") {
  rw::DistanceCounter counter(6);
  counter.add(Positions{0, 1, 2, 3});
  CHECK(counter.counts() == Positions{4, 3, 2, 1, 0, 0});
  const rw::DistanceCoverage coverage = counter.coverage();
  CHECK(coverage.samples == 1);
  CHECK(coverage.pairs == 10);
  CHECK(coverage.seen_distances == 4);
  CHECK(coverage.seen_positions == 4);
  CHECK(coverage.first_unseen_distance == 4);
  CHECK(coverage.longest_unseen_run == 2);
  CHECK(coverage.rarest_count == 1);
  CHECK(coverage.commonest_count == 4);
}

TEST_CASE("counts by runs are the counts pair by pair") {
  for (const std::int64_t chunks : {1, 2, 3, 7, 24}) {
    const rw::PoseSampler pose{24, 200, chunks};
    const rw::RandomSampler random{24, 200};
    rw::DistanceCounter counter(200);
    std::vector<std::int64_t> counts(200);
    for (std::uint64_t sample = 0; sample < 50; ++sample) {
      for (const Positions& positions : {pose.positions(1, sample), random.positions(1, sample)}) {
        counter.add(positions);
        count_pairs(counts, positions);
      }
    }
    CHECK(counter.counts() == counts);
  }
}

TEST_CASE("E2-LLM's distances count where the longest text turns the same") {
  const rw::E2Sampler sampler{12, 4, 2};
  rw::DistanceCounter counter(sampler.target_length());
  std::vector<std::int64_t> counts(48);
  std::vector<bool> places(48);
  for (std::uint64_t sample = 0; sample < 40; ++sample) {
    const rw::ScaledPositions drawn = sampler.positions(2, sample);
    counter.add(drawn, sampler.maximum_scale);
    for (std::size_t query = 0; query < drawn.positions.size(); ++query) {
      places.at(static_cast<std::size_t>(drawn.positions[query] * 4 / drawn.scale)) = true;
      for (std::size_t key = 0; key <= query; ++key) {
        const std::int64_t distance = drawn.positions[query] - drawn.positions[key];
        ++counts.at(static_cast<std::size_t>(distance * 4 / drawn.scale));
      }
    }
  }
  CHECK(counter.counts() == counts);
  std::int64_t taken = 0;
  for (const bool place : places) taken += place ? 1 : 0;
  CHECK(counter.coverage().seen_positions == taken);
  CHECK(counter.coverage().samples == 40);
}

TEST_CASE("two chunks cover the target sooner than one, and no offset for all tokens covers more") {
  const auto seen = [](std::int64_t chunks) {
    rw::DistanceCounter counter(512);
    for (std::uint64_t sample = 0; sample < 300; ++sample) {
      counter.add(rw::PoseSampler{64, 512, chunks}.positions(3, sample));
    }
    return counter.coverage().seen_distances;
  };
  CHECK(seen(1) == 64);
  CHECK(seen(2) > 500);
}

TEST_CASE("nothing added is nothing seen") {
  const rw::DistanceCoverage coverage = rw::DistanceCounter(5).coverage();
  CHECK(coverage.pairs == 0);
  CHECK(coverage.seen_distances == 0);
  CHECK(coverage.first_unseen_distance == 0);
  CHECK(coverage.longest_unseen_run == 5);
  CHECK(coverage.rarest_count == 0);
}

TEST_CASE("a counter refuses what it cannot count, by name, and keeps its counts") {
  CHECK_THROWS_WITH(rw::DistanceCounter(0), contains("target_length = 0"));
  CHECK_THROWS_WITH(rw::DistanceCounter(std::int64_t{1} << 40), contains("target_length"));
  rw::DistanceCounter counter(10);
  counter.add(Positions{0, 1});
  CHECK_THROWS_WITH(counter.add(Positions{0, 2, 2}), contains("positions[2] = 2"));
  CHECK_THROWS_WITH(counter.add(Positions{-1, 2}), contains("positions[0] = -1"));
  CHECK_THROWS_WITH(counter.add(Positions{0, 10}), contains("positions[1] = 10"));
  CHECK_THROWS_WITH(counter.add(rw::ScaledPositions{0, {0, 1}}, 2), contains("scale = 0"));
  CHECK_THROWS_WITH(counter.add(rw::ScaledPositions{4, {0, 1}}, 2), contains("maximum_scale = 2"));
  CHECK_THROWS_WITH(counter.add(rw::ScaledPositions{1, {0, 5}}, 2), contains("positions"));
  CHECK_THROWS_WITH(counter.add(rw::ScaledPositions{2, {0, 3, 3}}, 2), contains("positions[2]"));
  CHECK(counter.coverage().samples == 1);
  CHECK(counter.coverage().pairs == 3);
  counter.add(rw::ScaledPositions{1, {0, 4}}, 2);  // 4 lies at 8
  CHECK(counter.counts()[8] == 1);
}
