#include <ropewalk/attention/merge.hpp>
#include <ropewalk/phase.hpp>
#include <ropewalk/plan/counter_random.hpp>
#include <ropewalk/rotate.hpp>

#include <support/ring_sequence.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace rw = ropewalk;

namespace {

constexpr int kHeads = RingSequence::kHeads;
constexpr int kKeyHeads = RingSequence::kKeyHeads;
constexpr int kDim = RingSequence::kDim;

std::vector<float> uniform(std::uint64_t kind, const std::vector<std::int64_t>& tokens, int heads,
                           float largest) {
  constexpr std::int64_t steps = std::int64_t{1} << 23;
  std::vector<float> values;
  values.reserve(tokens.size() * static_cast<std::size_t>(heads * kDim));
  for (const std::int64_t token : tokens) {
    rw::CounterRandom random(kind, static_cast<std::uint64_t>(token));
    for (int i = 0; i < heads * kDim; ++i) {
      values.push_back(largest / static_cast<float>(steps) *
                       static_cast<float>(random.integer(-steps, steps)));
    }
  }
  return values;
}

/// Scores of the queries first .. end - 1 of a causal sequence.
double scores(std::int64_t first, std::int64_t end) {
  const auto before = [](std::int64_t n) {
    return 0.5 * static_cast<double>(n) * static_cast<double>(n + 1);
  };
  return before(end) - before(first);
}

rw::HeadView<const float> view_of(const std::vector<float>& rows, int heads) {
  const auto tokens = static_cast<std::int64_t>(rows.size()) / heads / kDim;
  return rw::make_head_view(rows.data(), tokens, heads, kDim);
}

}  // namespace

RingRows::RingRows(const RingSequence& sequence, const std::vector<std::int64_t>& tokens)
    : q(uniform(0, tokens, kHeads, 4.0f)),
      k(uniform(1, tokens, kKeyHeads, 1.0f)),
      v(uniform(2, tokens, kKeyHeads, 1.0f)) {
  rw::RopeConfig config;
  config.head_dim = config.rotary_dim = kDim;
  std::vector<std::int64_t> positions = tokens;
  for (std::int64_t& position : positions) position += sequence.first_position;
  const auto count = static_cast<std::int64_t>(tokens.size());
  rw::rotate(rw::make_head_view(q.data(), count, kHeads, kDim),
             rw::make_head_view(k.data(), count, kKeyHeads, kDim), positions,
             rw::phase_turns(rw::spectrum(config)), config.pairing);
}

RingResult::RingResult(std::int64_t count)
    : tokens(count), values(static_cast<std::size_t>(count * kHeads * (kDim + 4))) {
  for (float& lse : statistic(0)) lse = std::numeric_limits<float>::lowest();
}

rw::HeadView<float> RingResult::out() {
  return rw::make_head_view(values.data(), tokens, kHeads, kDim);
}

rw::Span<float> RingResult::statistic(int which) {
  const std::int64_t rows = tokens * kHeads;
  return {values.data() + rows * (kDim + which), static_cast<std::size_t>(rows)};
}

rw::AttentionStatistics RingResult::statistics() {
  return {statistic(0), statistic(1), statistic(2), statistic(3)};
}

std::vector<std::int64_t> RingChunks::tokens_of(int rank) const {
  std::vector<std::int64_t> list(static_cast<std::size_t>(owned(rank)));
  const auto middle = list.begin() + size(chunk(rank, 0));
  std::iota(list.begin(), middle, first(chunk(rank, 0)));
  std::iota(middle, list.end(), first(chunk(rank, 1)));
  return list;
}

double RingChunks::imbalance(bool two_chunks) const {
  const auto scores_of = [this](int index) { return scores(first(index), first(index + 1)); };
  double most = 0.0;
  for (int rank = 0; rank < ranks; ++rank) {
    most = std::max(most, two_chunks ? scores_of(chunk(rank, 0)) + scores_of(chunk(rank, 1))
                                     : scores_of(2 * rank) + scores_of(2 * rank + 1));
  }
  return most * ranks / scores(0, tokens);
}

void see_chunks(const RingSequence& sequence, const RingChunks& chunks, int rank, int owner,
                const std::vector<float>& q, const std::vector<float>& k,
                const std::vector<float>& v, RingResult& seen, RingResult& part) {
  std::int64_t first_key = 0;
  for (const int key_half : {0, 1}) {
    // The two chunks of queries are two sequences that see the same keys.
    const int key_chunk = chunks.chunk(owner, key_half);
    rw::AttentionSequence halves[2];
    std::int64_t first_query = 0;
    for (const int half : {0, 1}) {
      const int chunk = chunks.chunk(rank, half);
      halves[half] = {first_query,
                      chunks.size(chunk),
                      first_key,
                      chunks.size(key_chunk),
                      sequence.first_position + chunks.first(chunk),
                      sequence.first_position + chunks.first(key_chunk)};
      first_query += chunks.size(chunk);
    }
    first_key += chunks.size(key_chunk);
    rw::AttentionOptions options;
    options.sequences = halves;
    rw::attend(view_of(q, kHeads), view_of(k, kKeyHeads), view_of(v, kKeyHeads), part.out(),
               options, part.statistics());
    rw::merge_attention(seen.out(), seen.statistics(), part.out(), part.statistics());
  }
}

RingResult attend_alone(const RingSequence& sequence) {
  std::vector<std::int64_t> tokens(static_cast<std::size_t>(sequence.tokens));
  std::iota(tokens.begin(), tokens.end(), 0);
  const RingRows rows(sequence, tokens);
  RingResult result(sequence.tokens);
  rw::AttentionOptions options;
  options.query_position = options.key_position = sequence.first_position;
  rw::attend(view_of(rows.q, kHeads), view_of(rows.k, kKeyHeads), view_of(rows.v, kKeyHeads),
             result.out(), options, result.statistics());
  return result;
}

void RingDifferences::add(RingResult& part, const std::vector<std::int64_t>& tokens,
                          RingResult& whole) {
  const auto note = [this](int which, float a, float b) {
    const double value = static_cast<double>(b);
    const double off = std::abs(static_cast<double>(a) - value) / std::max(1.0, std::abs(value));
    double& most = largest[which];
    most = off <= most ? most : off;  // also where it is no number
  };
  for (std::size_t token = 0; token < tokens.size(); ++token) {
    for (std::int64_t head = 0; head < kHeads; ++head) {
      const auto own = static_cast<std::int64_t>(token);
      const float* a = part.out().head(own, head);
      const float* b = whole.out().head(tokens[token], head);
      for (int dim = 0; dim < kDim; ++dim) note(0, a[dim], b[dim]);
      for (int which = 0; which < 4; ++which) {
        note(which + 1, part.statistic(which)[static_cast<std::size_t>(own * kHeads + head)],
             whole.statistic(which)[static_cast<std::size_t>(tokens[token] * kHeads + head)]);
      }
    }
  }
}

bool RingDifferences::within(double bound) const {
  return std::all_of(largest, largest + 5, [bound](double off) { return off <= bound; });
}

double RingDifferences::bound(int ranks) { return 2e-5 + 2 * ranks * 9 * 0x1p-24; }
