// One sequence in chunks, two of them per rank, and attention from chunk to chunk: what
// ring_attention does between sending and receiving.
//
//     chunk   0 1 2 3 4 5 6 7      of 4 ranks: under causality late queries see more keys, and so
//     owner   0 1 2 3 3 2 1 0      every rank forms as many scores as any other
#pragma once

#include <ropewalk/attention.hpp>
#include <ropewalk/head_view.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

struct RingSequence {
  static constexpr int kHeads = 8;
  static constexpr int kKeyHeads = 2;
  static constexpr int kDim = 64;

  std::int64_t tokens = 0;
  std::int64_t first_position = 0;  // of token 0
};

/// Queries, keys and values of some tokens, turned by their positions in the whole sequence. They
/// are made up, the same for a token whoever asks; logits stay below 32.
struct RingRows {
  std::vector<float> q, k, v;  // (tokens, heads or key heads, head_dim)

  RingRows(const RingSequence& sequence, const std::vector<std::int64_t>& tokens);
};

/// Output and statistics of some queries, in one piece that can be sent.
struct RingResult {
  std::int64_t tokens;
  std::vector<float> values;  // (tokens, heads, head_dim), then four times (tokens, heads)

  /// Of queries that have seen no key.
  explicit RingResult(std::int64_t count);

  ropewalk::HeadView<float> out();
  ropewalk::AttentionStatistics statistics();
  /// 0 lse, 1 entropy, 2 mean, 3 variance: (tokens, heads).
  ropewalk::Span<float> statistic(int which);
};

/// Which tokens are whose; chunks differ by a token where the ranks do not divide them.
struct RingChunks {
  std::int64_t tokens = 0;
  int ranks = 1;

  int chunk(int rank, int half) const { return half == 0 ? rank : 2 * ranks - 1 - rank; }
  std::int64_t first(int chunk) const { return tokens * chunk / ranks / 2; }
  std::int64_t size(int chunk) const { return first(chunk + 1) - first(chunk); }
  std::int64_t owned(int rank) const { return size(chunk(rank, 0)) + size(chunk(rank, 1)); }
  std::vector<std::int64_t> tokens_of(int rank) const;

  /// Scores that the busiest rank forms over their mean: with its two chunks, or with a single
  /// block of as many tokens.
  double imbalance(bool two_chunks) const;
};

/// Attention of the queries of `rank` over the keys and values of `owner`, merged into what these
/// queries have seen before.
///   q, k, v      of the tokens of rank, owner and owner
///   seen, part   of rank; `part` is room to work in
void see_chunks(const RingSequence& sequence, const RingChunks& chunks, int rank, int owner,
                const std::vector<float>& q, const std::vector<float>& k,
                const std::vector<float>& v, RingResult& seen, RingResult& part);

/// The whole sequence at once.
RingResult attend_alone(const RingSequence& sequence);

/// Largest differences of output, lse, entropy, mean and variance, over max(1, |value|).
struct RingDifferences {
  double largest[5] = {};

  /// part: of the given tokens; whole: of all.
  void add(RingResult& part, const std::vector<std::int64_t>& tokens, RingResult& whole);
  bool within(double bound) const;

  /// attend() states 1e-5 for either side, merge_attention() 8 units of 2^-24 and, for the distance
  /// of what is merged, at most one more: the lesser part weighs the less the further it is away.
  /// Every rank merges two chunks of every rank.
  static double bound(int ranks);
};
