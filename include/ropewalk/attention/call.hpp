// A checked call of attention: what a row is multiplied by, and how a row that saw all its keys is
// written. Row 8.
#pragma once

#include <ropewalk/attention/blocks.hpp>
#include <ropewalk/attention/exact.hpp>
#include <ropewalk/attention/options.hpp>
#include <ropewalk/element.hpp>
#include <ropewalk/row_statistics.hpp>
#include <ropewalk/simd/attention_tile.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Where a row of a block stands.
struct RowPlace {
  std::int64_t token = 0;     // of q
  std::int64_t head = 0;      // of q
  std::int64_t position = 0;  // of the query
};

/// A checked call: every size is sound, every optional list has its length.
template <typename T, typename Out, typename Hooks>
struct AttentionCall {
  using Element = T;
  static constexpr bool kPlainQueries = std::decay_t<decltype(Hooks::query_rows)>::kIdentity;
  static constexpr bool kPlainKeys = std::decay_t<decltype(Hooks::key_rows)>::kIdentity;
  static constexpr bool kPlainLogits = std::decay_t<decltype(Hooks::bias)>::kIdentity;

  HeadView<const T> q;
  HeadView<const T> k;
  HeadView<const T> v;
  HeadView<Out> out;
  const AttentionOptions& options;
  const AttentionStatistics& statistics;
  const Hooks& hooks;
  double softmax_scale = 1.0;
  std::int64_t group = 1;  // query heads per key head

  /// Whether the heads of a token lie closer together than its neighbour's.
  bool heads_side_by_side() const noexcept {
    return k.heads > 1 && magnitude(k.head_stride) < magnitude(k.token_stride) &&
           magnitude(v.head_stride) < magnitude(v.token_stride);
  }

  /// Rows of the block's key heads, one after another.
  RowPlace place(const AttentionSequence& sequence, const AttentionBlock& block,
                 int row) const noexcept {
    const std::int64_t query = (block.first_row + row) / group;
    const std::int64_t first = sequence.query_position == kEndsWithKeys
                                   ? sequence.key_position + sequence.keys - sequence.queries
                                   : sequence.query_position;
    return {sequence.first_query + query, block.key_head * group + (block.first_row + row) % group,
            first + query};
  }

  /// What q . k of a row is multiplied by, in nats.
  double coefficient(const RowPlace& place) const noexcept {
    double scale = softmax_scale;
    if (!options.head_scale.empty()) {
      scale *= options.head_scale[static_cast<std::size_t>(place.head)];
    }
    if (!options.position_scale.empty()) {
      scale *= options.position_scale[static_cast<std::size_t>(place.token)];
    }
    return scale;
  }

  /// Writes one row of which all keys were seen: `outputs` not yet divided. Whatever left the range
  /// of a tile is done again in double.
  ///   loaded, exact   room for two rows of floats, and for outputs in double
  void write(const AttentionSequence& sequence, const RowPlace& place, RowStatistics<double> row,
             float* outputs, bool in_range, float* loaded, double* exact) const {
    double factor = 1.0;
    if (!options.sink_logit.empty()) {
      const double sink = kLog2E * options.sink_logit[static_cast<std::size_t>(place.head)];
      if (sink > row.maximum) factor = row.raise(sink);
      row.add(sink);
    }
    const auto share = static_cast<float>(row.empty() ? 0.0 : factor / row.sum);
    std::uint32_t largest = 0;
    for (int index = 0; index < v.head_dim; ++index) {
      outputs[index] *= share;
      const std::uint32_t bits = magnitude_bits(outputs[index]);
      largest = bits > largest ? bits : largest;
    }
    const std::int64_t entry = place.token * q.heads + place.head;
    if (in_range && largest < 0x7f800000u) {
      write_statistics(entry, row.summary());
    } else {
      write_statistics(entry, attend_exactly(sequence, place, loaded, exact));
      for (int index = 0; index < v.head_dim; ++index) outputs[index] = saturated(exact[index]);
    }
    Out* to = out.head(place.token, place.head);
    for (int index = 0; index < v.head_dim; ++index) {
      to[index] = ElementTraits<Out>::store(outputs[index]);
    }
  }

 private:
  void write_statistics(std::int64_t entry, const RowSummary<double>& summary) const noexcept {
    const auto index = static_cast<std::size_t>(entry);
    // An empty row says so with the lowest double, which saturates to the lowest float.
    if (!statistics.lse.empty()) statistics.lse[index] = saturated(summary.lse);
    if (!statistics.entropy.empty()) statistics.entropy[index] = saturated(summary.entropy);
    if (!statistics.mean.empty()) statistics.mean[index] = saturated(summary.mean);
    if (!statistics.variance.empty()) statistics.variance[index] = saturated(summary.variance);
  }

  RowSummary<double> attend_exactly(const AttentionSequence& sequence, const RowPlace& place,
                                    float* loaded, double* exact) const {
    const KeyRange all{sequence.key_position, sequence.key_position + sequence.keys};
    const bool has_sink = !options.sink_logit.empty();
    const ExactRow<T, Hooks> row{
        q,
        k,
        v,
        hooks,
        place.token,
        place.head,
        place.head / group,
        coefficient(place),
        has_sink ? options.sink_logit[static_cast<std::size_t>(place.head)] : 0.0,
        has_sink,
        place.position,
        sequence.key_position,
        sequence.first_key,
        options.mask.keys(place.position, all)};
    return row.attend(exact, loaded);
  }
};

/// Brings the parts of a row together: statistics merged, outputs weighed to their common maximum.
inline RowStatistics<double> merge_parts(const PartialRows& parts, std::int64_t count,
                                         std::int64_t stride, std::int64_t row, int dim,
                                         float* outputs) noexcept {
  RowStatistics<double> whole;
  for (std::int64_t part = 0; part < count; ++part) {
    whole.merge(parts.statistics[part * stride + row]);
  }
  for (int index = 0; index < dim; ++index) outputs[index] = 0.0f;
  for (std::int64_t part = 0; part < count; ++part) {
    const RowStatistics<double>& other = parts.statistics[part * stride + row];
    if (other.empty()) continue;
    const auto weight = static_cast<float>(std::exp2(other.maximum - whole.maximum));
    const float* from = parts.outputs + (part * stride + row) * dim;
    for (int index = 0; index < dim; ++index) outputs[index] += weight * from[index];
  }
  return whole;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
