// What attention refuses. Row 8.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/attention/options.hpp>
#include <ropewalk/view_checks.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// A list that may be empty; else it has `count` entries.
template <typename Entry>
void require_count(const char* where, const char* field, Span<Entry> list, const char* of,
                   std::int64_t count) {
  if (list.empty()) return;
  require_equal(where, field, static_cast<std::int64_t>(list.size()), of, count);
}

/// The largest of a list of scales, 1 for an empty one.
inline double require_scales(const char* where, const char* field, Span<const double> scales) {
  double largest = scales.empty() ? 1.0 : 0.0;
  for (std::size_t index = 0; index < scales.size(); ++index) {
    Fault fault = check_at_least(field, scales[index], 0.0);
    fault.index = static_cast<int>(index);
    require(where, fault);
    largest = scales[index] > largest ? scales[index] : largest;
  }
  return largest;
}

/// A sound view, by its name.
template <typename T>
void require_view(const char* where, const char* name, const HeadView<T>& view) {
  const Fault fault = view.validate();
  if (fault.code == Errc::ok) return;
  char place[96];
  std::snprintf(place, sizeof place, "%s: %s", where, name);
  refuse(place, fault);
}

/// Rows of a call, and keys times their heads: with them every size of memory stays within 63 bits.
inline constexpr std::int64_t kMostRows = std::int64_t{1} << 40;

/// Positions first, first + 1, ... of so many tokens.
inline void require_positions_of(const char* where, const char* field, std::int64_t position,
                                 std::int64_t tokens) {
  const std::int64_t most = (std::int64_t{1} << 61) - tokens;
  if (position > most) {
    refuse(where, {Errc::above_maximum, field, static_cast<double>(position)});
  }
  if (position < -(std::int64_t{1} << 61)) {
    refuse(where, {Errc::below_minimum, field, static_cast<double>(position)});
  }
}

/// first, count: a run of tokens inside `tokens`.
inline void require_run(const char* where, const char* first_field, std::int64_t first,
                        const char* count_field, std::int64_t count, std::int64_t tokens) {
  if (first < 0) refuse(where, {Errc::below_minimum, first_field, static_cast<double>(first)});
  if (count < 0) refuse(where, {Errc::below_minimum, count_field, static_cast<double>(count)});
  if (first > tokens) refuse(where, {Errc::above_maximum, first_field, static_cast<double>(first)});
  if (count > tokens - first) {
    refuse(where, {Errc::above_maximum, count_field, static_cast<double>(count)});
  }
}

/// The sequences of a call: those given, or all tokens as one.
class AttentionSequences {
 public:
  AttentionSequences(const AttentionOptions& options, std::int64_t queries,
                     std::int64_t keys) noexcept
      : given_(options.sequences),
        one_{0, queries, 0, keys, options.query_position, options.key_position} {}

  std::int64_t count() const noexcept {
    return given_.empty() ? 1 : static_cast<std::int64_t>(given_.size());
  }
  const AttentionSequence& operator[](std::int64_t index) const noexcept {
    return given_.empty() ? one_ : given_[static_cast<std::size_t>(index)];
  }

 private:
  Span<const AttentionSequence> given_;
  AttentionSequence one_;
};

inline void require_sequences(const char* where, const AttentionOptions& options,
                              std::int64_t queries, std::int64_t keys, std::int64_t key_heads) {
  if (!options.sequences.empty() &&
      (options.query_position != kEndsWithKeys || options.key_position != 0)) {
    refuse(where, {Errc::wrong_count, "query_position and key_position beside sequences",
                   static_cast<double>(options.sequences.size())});
  }
  const AttentionSequences sequences(options, queries, keys);
  std::int64_t next = 0;
  std::int64_t seen = 0;
  for (std::int64_t index = 0; index < sequences.count(); ++index) {
    const AttentionSequence& sequence = sequences[index];
    require_run(where, "first_query", sequence.first_query, "queries", sequence.queries, queries);
    require_run(where, "first_key", sequence.first_key, "keys", sequence.keys, keys);
    require_positions_of(where, "key_position", sequence.key_position, sequence.keys);
    if (sequence.query_position != kEndsWithKeys) {
      require_positions_of(where, "query_position", sequence.query_position, sequence.queries);
    }
    require_equal(where, "first_query", sequence.first_query, "the end of the sequence before",
                  next);
    next = sequence.first_query + sequence.queries;
    seen += sequence.keys;
    if (seen > kMostRows / key_heads) {
      refuse(where, {Errc::above_maximum, "keys of all sequences * k.heads",
                     static_cast<double>(seen) * static_cast<double>(key_heads)});
    }
  }
  require_equal(where, "the end of the last sequence", next, "q.tokens", queries);
}

/// Everything about queries, keys and values that forward and backward refuse alike. Returns the
/// scale of q . k before those per head and position.
template <typename T>
double require_attention(const char* where, const HeadView<const T>& q, const HeadView<const T>& k,
                         const HeadView<const T>& v, const AttentionOptions& options) {
  require_view(where, "q", q);
  require_view(where, "k", k);
  require_view(where, "v", v);
  if (q.tokens > kMostRows / (q.heads > 0 ? q.heads : 1)) {
    refuse(where, {Errc::above_maximum, "q.tokens * q.heads",
                   static_cast<double>(q.tokens) * static_cast<double>(q.heads)});
  }
  if (k.tokens > kMostRows) {
    refuse(where, {Errc::above_maximum, "k.tokens", static_cast<double>(k.tokens)});
  }
  require_equal(where, "k.head_dim", k.head_dim, "q.head_dim", q.head_dim);
  require_equal(where, "v.tokens", v.tokens, "k.tokens", k.tokens);
  require_equal(where, "v.heads", v.heads, "k.heads", k.heads);
  if (q.heads < 1) refuse(where, {Errc::below_minimum, "q.heads", static_cast<double>(q.heads)});
  if (k.heads < 1) refuse(where, {Errc::below_minimum, "k.heads", static_cast<double>(k.heads)});
  if (q.heads % k.heads != 0) {
    refuse(where, {Errc::indivisible, "q.heads over k.heads", static_cast<double>(q.heads)});
  }
  require(where, options.mask.validate());
  require(where, check_at_least("softmax_scale", options.softmax_scale, 0.0));
  require_count(where, "head_scale", options.head_scale, "q.heads", q.heads);
  require_count(where, "position_scale", options.position_scale, "q.tokens", q.tokens);
  require_count(where, "sink_logit", options.sink_logit, "q.heads", q.heads);
  for (std::size_t head = 0; head < options.sink_logit.size(); ++head) {
    Fault fault = check_finite("sink_logit", options.sink_logit[head]);
    constexpr double most = 1e30;
    if (fault.code == Errc::ok && std::fabs(options.sink_logit[head]) > most) {
      fault = {Errc::above_maximum, "sink_logit", options.sink_logit[head]};
    }
    fault.index = static_cast<int>(head);
    require(where, fault);
  }
  const double scale = options.softmax_scale > 0.0
                           ? options.softmax_scale
                           : 1.0 / std::sqrt(static_cast<double>(q.head_dim));
  const double product = scale * require_scales(where, "head_scale", options.head_scale) *
                         require_scales(where, "position_scale", options.position_scale);
  // Coefficients are floats in the tiles.
  constexpr double most = 1e30;
  if (!is_finite(product) || product > most) {
    refuse(where, {Errc::above_maximum, "softmax_scale * head_scale * position_scale", product});
  }
  require_sequences(where, options, q.tokens, k.tokens, k.heads);
  return scale;
}

/// Where results go: right sizes, and no memory that is read.
template <typename T, typename Out>
void require_outputs(const char* where, const HeadView<const T>& q, const HeadView<const T>& k,
                     const HeadView<const T>& v, const HeadView<Out>& out,
                     const AttentionStatistics& statistics) {
  require_view(where, "out", out);
  require_equal(where, "out.tokens", out.tokens, "q.tokens", q.tokens);
  require_equal(where, "out.heads", out.heads, "q.heads", q.heads);
  require_equal(where, "out.head_dim", out.head_dim, "v.head_dim", v.head_dim);
  require_apart(where, "the overlap of out and q", out, q);
  require_apart(where, "the overlap of out and k", out, k);
  require_apart(where, "the overlap of out and v", out, v);
  const std::int64_t rows = q.tokens * q.heads;
  const char* words = "q.tokens * q.heads";
  require_count(where, "lse", statistics.lse, words, rows);
  require_count(where, "entropy", statistics.entropy, words, rows);
  require_count(where, "mean", statistics.mean, words, rows);
  require_count(where, "variance", statistics.variance, words, rows);
  const Span<float> lists[4] = {statistics.lse, statistics.entropy, statistics.mean,
                                statistics.variance};
  for (int list = 0; list < 4; ++list) {
    if (lists[list].empty()) continue;
    const auto view = make_head_view(lists[list].data(), rows, 1, 1);
    for (int other = 0; other < list; ++other) {
      if (lists[other].empty()) continue;
      if (!ranges_meet(view, make_head_view(lists[other].data(), rows, 1, 1))) continue;
      refuse(where, {Errc::overlapping, "statistics", static_cast<double>(list), list});
    }
    require_apart(where, "the overlap of statistics and q", view, q);
    require_apart(where, "the overlap of statistics and k", view, k);
    require_apart(where, "the overlap of statistics and v", view, v);
    require_apart(where, "the overlap of statistics and out", view, out);
  }
}

/// A workspace of `bytes` bytes that holds nothing else of the call.
template <typename T, typename Out>
void require_workspace(const char* where, Span<unsigned char> workspace, std::size_t bytes,
                       const HeadView<const T>& q, const HeadView<const T>& k,
                       const HeadView<const T>& v, const HeadView<Out>& out,
                       const AttentionStatistics& statistics) {
  if (workspace.size() < bytes) {
    refuse(where, {Errc::below_minimum, "workspace", static_cast<double>(workspace.size())});
  }
  const auto used = make_head_view(workspace.data(), static_cast<std::int64_t>(bytes), 1, 1);
  require_apart(where, "the overlap of workspace and q", used, q);
  require_apart(where, "the overlap of workspace and k", used, k);
  require_apart(where, "the overlap of workspace and v", used, v);
  require_apart(where, "the overlap of workspace and out", used, out);
  for (const Span<float>& list :
       {statistics.lse, statistics.entropy, statistics.mean, statistics.variance}) {
    if (list.empty()) continue;
    require_apart(where, "the overlap of workspace and statistics", used,
                  make_head_view(list.data(), static_cast<std::int64_t>(list.size()), 1, 1));
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
