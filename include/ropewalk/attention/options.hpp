// What a caller may ask of attention, and what it may get beside the output. Row 8.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/mask.hpp>

#include <cstdint>
#include <limits>

namespace ropewalk {
inline namespace v0 {

/// The position of the first query under which the last query stands at the last key: what a cache
/// that ends with the queries' own keys means.
inline constexpr std::int64_t kEndsWithKeys = (std::numeric_limits<std::int64_t>::min)();

/// One sequence of several in the same views: which tokens are its own, and where they stand.
/// Positions of all tokens lie within [-2^61, 2^61].
struct AttentionSequence {
  std::int64_t first_query = 0;  ///< token of q; sequences follow one another and leave no gap
  std::int64_t queries = 0;      ///< tokens; 0 is a sequence without work
  std::int64_t first_key = 0;    ///< token of k and v, anywhere
  std::int64_t keys = 0;         ///< tokens; 0 leaves nothing to see
  std::int64_t query_position = kEndsWithKeys;  ///< of its first query
  std::int64_t key_position = 0;                ///< of its first key
};

/// Logits are softmax_scale * head_scale[h] * position_scale[i] * (q . k) + bias, in nats. Defaults:
/// causal attention with 1/sqrt(head_dim), the last query at the last key.
struct AttentionOptions {
  /// 0 stands for 1/sqrt(head_dim). Finite, >= 0.
  double softmax_scale = 0.0;

  /// A temperature per query head, on top of softmax_scale. Empty, or (heads,) finite, >= 0.
  Span<const double> head_scale = {};

  /// The same per token of q, for the laws of temperature.hpp. Empty, or (tokens,) finite, >= 0.
  Span<const double> position_scale = {};

  /// A learned logit per query head that takes its part of the softmax and gives no value (GPT-OSS).
  /// Not scaled. Statistics count it as a key. Empty, or (heads,) of magnitude <= 1e30.
  Span<const double> sink_logit = {};

  AttentionMask mask = {};

  /// Positions of the first query and the first key; no token beyond [-2^61, 2^61]. With `sequences`
  /// they are those'.
  std::int64_t query_position = kEndsWithKeys;
  std::int64_t key_position = 0;

  /// Several sequences of different lengths side by side. Empty: one, of all tokens.
  Span<const AttentionSequence> sequences = {};

  /// Room to work in, at least attention_workspace() bytes, of any alignment. Empty: allocated and
  /// freed by the call.
  Span<unsigned char> workspace = {};
};

/// Where row statistics go: (tokens, heads) of q, row-major, each empty where it is not wanted, and
/// then it costs nothing. A query that sees no key gets output 0, lse lowest() and 0 for the rest.
struct AttentionStatistics {
  Span<float> lse = {};       ///< ln of the sum of e^logit
  Span<float> entropy = {};   ///< nats; bits_of_nats() converts
  Span<float> mean = {};      ///< of the logits under the softmax
  Span<float> variance = {};  ///< of the logits under the softmax
};

/// No bias on the logits. A bias is a struct whose operator() fills `count` values, in nats, for the
/// keys at first_key_position and after it. -infinity hides a key; NaN passes into the output.
struct NoBias {
  static constexpr bool kIdentity = true;
  void operator()(std::int64_t, std::int64_t, std::int64_t, int, float*) const noexcept {}
};

/// Rows as they are loaded. A transform is a struct whose operator() changes (head_dim,) floats in
/// place: row `token` of the view, head `head`. It runs whenever a row is read, so it must give the
/// same each time; RotateOnLoad turns rows by their positions.
struct LoadedRows {
  static constexpr bool kIdentity = true;
  void operator()(std::int64_t, std::int64_t, float*) const noexcept {}
};

/// Runs tasks one after the other. An executor says how many workers it has and calls
/// task(index, worker) once for every index below `tasks`, in any order, at most one task at a time
/// on the same worker; it returns when all are done. Results do not depend on the executor.
struct OneThread {
  int workers() const noexcept { return 1; }
  template <typename Task>
  void run(std::int64_t tasks, Task&& task) const {
    for (std::int64_t index = 0; index < tasks; ++index) task(index, 0);
  }
};

/// What an attention calls back. Any struct with these four members will do.
template <typename Bias = NoBias, typename QueryRows = LoadedRows, typename KeyRows = LoadedRows,
          typename Executor = OneThread>
struct AttentionHooks {
  Bias bias = {};
  QueryRows query_rows = {};
  KeyRows key_rows = {};
  Executor executor = {};
};

}  // namespace v0
}  // namespace ropewalk
