// Attention over parts of the keys brought together: other tiles, threads or machines. Row 8.
#pragma once

#include <ropewalk/attention/checks.hpp>
#include <ropewalk/attention/options.hpp>
#include <ropewalk/element.hpp>
#include <ropewalk/row_statistics.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// An optional list of both sides, or of neither.
inline bool require_both(const char* where, const char* field, Span<float> one, Span<float> other,
                         std::int64_t rows) {
  require_count(where, field, one, "tokens * heads", rows);
  require_equal(where, field, static_cast<std::int64_t>(other.size()), "the same of the other part",
                static_cast<std::int64_t>(one.size()));
  return !one.empty();
}

}  // namespace detail

/// Adds another part's attention to one: same queries, keys that both do not share. Parts without
/// keys (lse lowest()) change nothing; the order of merging matters to rounding only.
///   out, other              (tokens, heads, head_dim), as attend() wrote them; out is overwritten
///   statistics, of_other    lse of both; each other list of both or of neither, variance with mean
///   Max error               per merge, u = 2^-24: 8 u of what is merged, and 2 u |lse - lse'| of the
///                           lesser part's share
///   Source                  the grouping property of the entropy
///   Throws                  std::invalid_argument: shapes or lists that do not agree
template <typename Out, typename Other>
void merge_attention(const HeadView<Out>& out, const AttentionStatistics& statistics,
                     const HeadView<Other>& other, const AttentionStatistics& of_other) {
  constexpr const char* where = "merge_attention";
  using From = ElementTraits<std::remove_const_t<Other>>;
  using To = ElementTraits<Out>;
  detail::require_view(where, "out", out);
  detail::require_view(where, "other", other);
  detail::require_equal(where, "other.tokens", other.tokens, "out.tokens", out.tokens);
  detail::require_equal(where, "other.heads", other.heads, "out.heads", out.heads);
  detail::require_equal(where, "other.head_dim", other.head_dim, "out.head_dim", out.head_dim);
  const std::int64_t rows = out.tokens * out.heads;
  detail::require_equal(where, "lse", static_cast<std::int64_t>(statistics.lse.size()),
                        "tokens * heads", rows);
  detail::require_both(where, "lse", statistics.lse, of_other.lse, rows);
  const bool entropy =
      detail::require_both(where, "entropy", statistics.entropy, of_other.entropy, rows);
  const bool mean = detail::require_both(where, "mean", statistics.mean, of_other.mean, rows);
  const bool variance =
      detail::require_both(where, "variance", statistics.variance, of_other.variance, rows);
  if (variance && !mean) detail::refuse(where, {Errc::unknown, "mean", 0.0});

  const auto at = [&](const AttentionStatistics& from, std::size_t row) {
    RowSummary<float> summary;
    summary.lse = from.lse[row];
    if (entropy) summary.entropy = from.entropy[row];
    if (mean) summary.mean = from.mean[row];
    if (variance) summary.variance = from.variance[row];
    return summary;
  };
  for (std::int64_t token = 0; token < out.tokens; ++token) {
    for (std::int64_t head = 0; head < out.heads; ++head) {
      const auto row = static_cast<std::size_t>(token * out.heads + head);
      const MergedRow<float> merged = merge(at(statistics, row), at(of_other, row));
      if (!(merged.second_weight > 0.0f)) continue;  // as it was, to the bit
      Out* to = out.head(token, head);
      const Other* from = other.head(token, head);
      for (int dim = 0; dim < out.head_dim; ++dim) {
        // A weight of 0 takes what it weighs out, whatever it is.
        const float kept =
            merged.first_weight > 0.0f ? merged.first_weight * To::load(to[dim]) : 0.0f;
        to[dim] = To::store(kept + merged.second_weight * From::load(from[dim]));
      }
      statistics.lse[row] = merged.summary.lse;
      if (entropy) statistics.entropy[row] = merged.summary.entropy;
      if (mean) statistics.mean[row] = merged.summary.mean;
      if (variance) statistics.variance[row] = merged.summary.variance;
    }
  }
}

}  // namespace v0
}  // namespace ropewalk
