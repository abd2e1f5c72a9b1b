// What ring_attention does between sending and receiving, with the ring in one process.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <support/ring_sequence.hpp>

#include <cstdint>
#include <vector>

#include "support/catch.hpp"

namespace {

/// Every rank in turn, its keys and values those that the ring would have brought.
RingDifferences differences(const RingSequence& sequence, int ranks,
                            const RingSequence& of_strangers) {
  const RingChunks chunks{sequence.tokens, ranks};
  RingResult alone = attend_alone(sequence);
  RingDifferences result;
  for (int rank = 0; rank < ranks; ++rank) {
    const RingRows own(sequence, chunks.tokens_of(rank));
    RingResult seen(chunks.owned(rank));
    RingResult part(chunks.owned(rank));
    for (int step = 0; step < ranks; ++step) {
      const int owner = (rank - step + ranks) % ranks;
      const RingRows brought(step == 0 ? sequence : of_strangers, chunks.tokens_of(owner));
      see_chunks(sequence, chunks, rank, owner, own.q, brought.k, brought.v, seen, part);
    }
    result.add(seen, chunks.tokens_of(rank), alone);
  }
  return result;
}

}  // namespace

TEST_CASE("the ranks own every token once, two chunks each") {
  for (const std::int64_t tokens : {16, 17, 23, 1024}) {
    for (const int ranks : {1, 2, 3, 4, 8}) {
      const RingChunks chunks{tokens, ranks};
      std::vector<int> owners(static_cast<std::size_t>(tokens));
      for (int rank = 0; rank < ranks; ++rank) {
        for (const std::int64_t token : chunks.tokens_of(rank)) {
          ++owners.at(static_cast<std::size_t>(token));
        }
      }
      CHECK(owners == std::vector<int>(owners.size(), 1));
    }
  }
  CHECK(RingChunks{8, 4}.tokens_of(0) == std::vector<std::int64_t>{0, 7});
  CHECK(RingChunks{8, 4}.tokens_of(3) == std::vector<std::int64_t>{3, 4});
}

TEST_CASE("two chunks per rank balance causal work, a block per rank does not") {
  const RingChunks chunks{1 << 20, 4};
  CHECK(chunks.imbalance(true) == Approx(1.0).epsilon(1e-6));
  CHECK(chunks.imbalance(false) == Approx(1.75).epsilon(1e-6));  // 7 / 16 of the work, of 4 ranks
  CHECK(RingChunks{1000, 1}.imbalance(true) == 1.0);
}

TEST_CASE("a ring gives what one process gives, whatever ranks, tokens and first position") {
  for (const std::int64_t first_position : {std::int64_t{1}, std::int64_t{1} << 40}) {
    for (const int ranks : {1, 2, 3, 5}) {
      INFO(ranks << " ranks from position " << first_position);
      const RingSequence sequence{97, first_position};
      CHECK(differences(sequence, ranks, sequence).within(RingDifferences::bound(ranks)));
    }
  }
}

TEST_CASE("keys turned as if their rank began at another position are seen") {
  const RingSequence sequence{97, 1000};
  const RingSequence shifted{97, 1001};
  const RingDifferences off = differences(sequence, 2, shifted);
  CHECK_FALSE(off.within(RingDifferences::bound(2)));
  for (const double largest : off.largest) CHECK(largest > 100 * RingDifferences::bound(2));
}
#endif
