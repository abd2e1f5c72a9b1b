// One block of rows on its walk over the keys, tile by tile. Row 8.
#pragma once

#include <ropewalk/attention/blocks.hpp>
#include <ropewalk/attention/exact.hpp>
#include <ropewalk/attention/options.hpp>
#include <ropewalk/element.hpp>
#include <ropewalk/row_statistics.hpp>
#include <ropewalk/simd/attention_portable.hpp>

#include <cmath>
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

/// One block of rows. Order of use: start, walk, then finish or keep.
template <typename Kernel, typename Call>
class BlockWalk {
 public:
  using T = typename Call::Element;
  using Factor = typename Kernel::template Factor<T>;
  using Room = BlockRoom<Factor>;

  BlockWalk(const Call& call, const AttentionSequence& sequence, const AttentionBlock& block,
            const Room& room) noexcept
      : call_(call),
        sequence_(sequence),
        block_(block),
        room_(room),
        direct_(block.rows <= Kernel::kDirectRows) {}

  /// Reads the queries; no key has been seen.
  void start() {
    for (int row = 0; row < block_.rows; ++row) {
      const RowPlace place = call_.place(sequence_, block_, row);
      room_.coefficients[row] = static_cast<float>(kLog2E * call_.coefficient(place));
      room_.statistics[row] = {};
      room_.in_range[row] = true;
      load_query(row, place);
    }
    const std::int64_t outputs = std::int64_t{block_.rows} * dim();
    for (std::int64_t index = 0; index < outputs; ++index) room_.outputs[index] = 0.0f;
  }

  /// Sees the keys at positions `keys`.
  ///   kMoments   as for the kernel's weigh()
  template <int kMoments>
  void walk(KeyRange keys) {
    KeyRange first{keys.end, keys.first};
    KeyRange band{keys.end, keys.first};
    for (int row = 0; row < block_.rows; ++row) {
      const RowPlace place = call_.place(sequence_, block_, row);
      room_.visible[row] = call_.options.mask.keys(place.position, keys);
      widen(first, room_.visible[row].first_keys);
      widen(band, room_.visible[row].band);
    }
    // A row's band begins behind the first keys of every row, so a tile holds one run per row.
    walk_tiles<kMoments>(first, &VisibleKeys::first_keys);
    walk_tiles<kMoments>(band, &VisibleKeys::band);
  }

  /// Writes the rows to where the caller wants them; all keys were seen.
  void finish() {
    for (int row = 0; row < block_.rows; ++row) {
      call_.write(sequence_, call_.place(sequence_, block_, row), room_.statistics[row],
                  room_.outputs + std::int64_t{row} * dim(), room_.in_range[row], room_.loaded,
                  room_.exact);
    }
  }

  /// Keeps the rows of a part of the keys.
  void keep(const PartialRows& to) const noexcept {
    for (int row = 0; row < block_.rows; ++row) {
      to.statistics[row] = room_.statistics[row];
      to.in_range[row] = room_.in_range[row];
    }
    const std::int64_t outputs = std::int64_t{block_.rows} * dim();
    for (std::int64_t index = 0; index < outputs; ++index) to.outputs[index] = room_.outputs[index];
  }

 private:
  int depth() const noexcept { return call_.q.head_dim; }
  int dim() const noexcept { return call_.v.head_dim; }

  static void widen(KeyRange& range, KeyRange by) noexcept {
    if (by.size() == 0) return;
    range.first = smaller(range.first, by.first);
    range.end = larger(range.end, by.end);
  }

  void load_query(int row, const RowPlace& place) {
    if (direct_) {
      load_row(call_.q, call_.hooks.query_rows, place.token, place.head,
               room_.plain + std::int64_t{row} * depth());
      return;
    }
    Factor* packed = room_.queries + row * Kernel::query_size(depth());
    if constexpr (Call::kPlainQueries) {
      Kernel::pack_query(call_.q.head(place.token, place.head), depth(), packed);
    } else {
      load_row(call_.q, call_.hooks.query_rows, place.token, place.head, room_.loaded);
      Kernel::pack_query(static_cast<const float*>(room_.loaded), depth(), packed);
    }
  }

  template <int kMoments>
  void walk_tiles(KeyRange keys, KeyRange VisibleKeys::*visible) {
    for (std::int64_t position = keys.first; position < keys.end; position += Kernel::kKeys) {
      const auto count =
          static_cast<int>(smaller(keys.end - position, std::int64_t{Kernel::kKeys}));
      if (direct_) {
        direct_tile<kMoments>(position, count, visible);
      } else {
        packed_tile<kMoments>(position, count, visible);
      }
    }
  }

  std::int64_t key_at(std::int64_t position) const noexcept {
    return sequence_.first_key + (position - sequence_.key_position);
  }

  /// Calls function(rows, stride) with the keys of a tile: where they lie, or loaded and transformed.
  template <typename Function>
  void with_keys(std::int64_t position, int count, Function&& function) {
    const std::int64_t key = key_at(position);
    if constexpr (Call::kPlainKeys) {
      function(call_.k.head(key, block_.key_head), call_.k.token_stride);
    } else {
      for (int index = 0; index < count; ++index) {
        load_row(call_.k, call_.hooks.key_rows, key + index, block_.key_head,
                 room_.loaded + std::int64_t{index} * depth());
      }
      function(static_cast<const float*>(room_.loaded), std::int64_t{depth()});
    }
  }

  template <int kMoments>
  void packed_tile(std::int64_t position, int count, KeyRange VisibleKeys::*visible) {
    with_keys(position, count, [&](const auto* rows, std::int64_t stride) {
      Kernel::pack_keys(rows, stride, count, depth(), room_.keys);
    });
    Kernel::multiply_keys(room_.queries, block_.rows, room_.keys, depth(), room_.scores);
    weigh_tile<kMoments>(position, visible, room_.weights);
    Kernel::pack_values(call_.v.head(key_at(position), block_.key_head), call_.v.token_stride,
                        count, dim(), room_.values);
    Kernel::multiply_values(room_.weights, block_.rows, room_.values, count, dim(), room_.factors,
                            room_.outputs, dim());
  }

  template <int kMoments>
  void direct_tile(std::int64_t position, int count, KeyRange VisibleKeys::*visible) {
    with_keys(position, count, [&](const auto* rows, std::int64_t stride) {
      Kernel::direct_keys(room_.plain, block_.rows, rows, stride, count, depth(), room_.scores);
    });
    weigh_tile<kMoments>(position, visible, room_.scores);
    Kernel::direct_values(room_.scores, block_.rows,
                          call_.v.head(key_at(position), block_.key_head), call_.v.token_stride,
                          count, dim(), room_.factors, room_.outputs, dim());
  }

  template <int kMoments, typename Weight>
  void weigh_tile(std::int64_t position, KeyRange VisibleKeys::*visible, Weight* weights) {
    for (int row = 0; row < block_.rows; ++row) {
      const KeyRange seen = room_.visible[row].*visible;
      const auto begin =
          static_cast<int>(larger(0, smaller(seen.first - position, std::int64_t{Kernel::kKeys})));
      const auto end =
          static_cast<int>(larger(0, smaller(seen.end - position, std::int64_t{Kernel::kKeys})));
      float* scores = room_.scores + std::int64_t{row} * Kernel::kKeys;
      float coefficient = room_.coefficients[row];
      if constexpr (!Call::kPlainLogits) {
        add_bias(row, position, begin, end, scores);
        coefficient = 1.0f;
      }
      const WeighedRow weighed =
          Kernel::template weigh<kMoments>(scores, begin, end, coefficient, room_.statistics[row],
                                           weights + std::int64_t{row} * Kernel::kKeys);
      room_.factors[row] = weighed.factor;
      room_.in_range[row] = room_.in_range[row] && weighed.in_range;
    }
  }

  void add_bias(int row, std::int64_t position, int begin, int end, float* scores) {
    if (begin >= end) return;
    const RowPlace place = call_.place(sequence_, block_, row);
    call_.hooks.bias(place.head, place.position, position + begin, end - begin, room_.bias);
    const float coefficient = room_.coefficients[row];
    for (int key = begin; key < end; ++key) {
      scores[key] =
          scores[key] * coefficient + room_.bias[key - begin] * static_cast<float>(kLog2E);
    }
  }

  const Call& call_;
  const AttentionSequence& sequence_;
  const AttentionBlock& block_;
  const Room& room_;
  bool direct_;
};

/// Brings the parts of a row together: statistics merged, outputs weighed to their common maximum.
inline RowStatistics<double> merge_parts(const PartialRows& parts, std::int64_t count,
                                         std::int64_t stride, std::int64_t row, int dim,
                                         float* outputs) noexcept {
  RowStatistics<double> whole;
  for (int index = 0; index < dim; ++index) outputs[index] = 0.0f;
  for (std::int64_t part = 0; part < count; ++part) {
    RowStatistics<double> other = parts.statistics[part * stride + row];
    if (other.empty()) continue;
    float kept = 1.0f;
    float added = 1.0f;
    if (other.maximum > whole.maximum) {
      kept = static_cast<float>(whole.raise(other.maximum));
    } else {
      added = static_cast<float>(other.raise(whole.maximum));
    }
    whole.sum += other.sum;
    whole.first += other.first;
    whole.second += other.second;
    const float* from = parts.outputs + (part * stride + row) * dim;
    for (int index = 0; index < dim; ++index) {
      outputs[index] = kept * outputs[index] + added * from[index];
    }
  }
  return whole;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
