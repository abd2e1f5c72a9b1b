// One block of rows on its walk over the keys, tile by tile. Row 8.
#pragma once

#include <ropewalk/attention/blocks.hpp>
#include <ropewalk/attention/call.hpp>
#include <ropewalk/attention/exact.hpp>
#include <ropewalk/attention/options.hpp>
#include <ropewalk/row_statistics.hpp>
#include <ropewalk/simd/attention_portable.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ropewalk {
inline namespace v0 {
namespace detail {

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
    for (int row = 0; row < all_rows(); ++row) {
      const RowPlace place = place_of(row);
      room_.coefficients[row] = static_cast<float>(kLog2E * call_.coefficient(place));
      room_.ones[row] = 1.0f;
      room_.statistics[row] = {};
      room_.totals[row] = {};
      room_.in_range[row] = true;
      load_query(row, place);
    }
    const std::int64_t outputs = all_rows() * Kernel::output_size(dim());
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
    settle();
  }

  /// Writes the rows to where the caller wants them; all keys were seen.
  void finish() {
    for (int row = 0; row < all_rows(); ++row) {
      call_.write(sequence_, place_of(row), room_.totals[row], outputs(row), room_.in_range[row],
                  room_.loaded, room_.exact);
    }
  }

  /// Keeps the rows of one key head, of a part of the keys.
  void keep(int head, const PartialRows& to) const noexcept {
    for (int index = 0; index < block_.rows; ++index) {
      const int row = head * block_.rows + index;
      to.statistics[index] = room_.totals[row];
      to.in_range[index] = room_.in_range[row];
      std::memcpy(to.outputs + std::int64_t{index} * dim(), outputs(row),
                  static_cast<std::size_t>(dim()) * sizeof(float));
    }
  }

 private:
  int depth() const noexcept { return call_.q.head_dim; }
  int dim() const noexcept { return call_.v.head_dim; }
  int all_rows() const noexcept { return block_.rows * block_.heads; }
  RowPlace place_of(int row) const noexcept {
    AttentionBlock own = block_;
    own.key_head += row / block_.rows;
    return call_.place(sequence_, own, row % block_.rows);
  }
  float* outputs(int row) const noexcept {
    return room_.outputs + row * Kernel::output_size(dim());
  }

  static void widen(KeyRange& range, KeyRange by) noexcept {
    if (by.size() == 0) return;
    range.first = smaller(range.first, by.first);
    range.end = larger(range.end, by.end);
  }

  void load_query(int row, const RowPlace& place) {
    if (direct_) {
      const std::int64_t size = Kernel::plain_size(depth());
      float* plain = room_.plain + row * size;
      load_row(call_.q, call_.hooks.query_rows, place.token, place.head, plain);
      for (std::int64_t index = depth(); index < size; ++index) plain[index] = 0.0f;
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
    const std::int64_t step = direct_ ? Kernel::kDirectKeys : Kernel::kKeys;
    std::int64_t unsettled = 0;
    for (std::int64_t position = keys.first; position < keys.end; position += step) {
      const auto count = static_cast<int>(smaller(keys.end - position, step));
      see_tile(position, count, visible);
      if (direct_) {
        direct_tile<kMoments>(position, count, keys.end);
      } else {
        packed_tile<kMoments>(position, count, keys.end);
      }
      unsettled += count;
      if (unsettled >= kSettledKeys) settle();
      if (unsettled >= kSettledKeys) unsettled = 0;
    }
  }

  /// Brings the sums of the last keys to those before, in double: floats would gather an error that
  /// grows with the number of tiles.
  void settle() noexcept {
    for (int row = 0; row < all_rows(); ++row) {
      RowStatistics<float>& recent = room_.statistics[row];
      if (recent.empty()) continue;
      RowStatistics<double>& total = room_.totals[row];
      const double maximum = static_cast<double>(recent.maximum);
      if (maximum > total.maximum) total.raise(maximum);
      total.sum += static_cast<double>(recent.sum);
      total.first += static_cast<double>(recent.first);
      total.second += static_cast<double>(recent.second);
      // The maximum stays: outputs are held against it.
      recent.sum = recent.first = recent.second = 0.0f;
    }
  }

  std::int64_t key_at(std::int64_t position) const noexcept {
    return sequence_.first_key + (position - sequence_.key_position);
  }

  /// What each row sees of a tile.
  void see_tile(std::int64_t position, int count, KeyRange VisibleKeys::*visible) noexcept {
    const auto within = [&](std::int64_t key) {
      return static_cast<int>(larger(0, smaller(key - position, std::int64_t{count})));
    };
    for (int row = 0; row < block_.rows; ++row) {
      const KeyRange seen = room_.visible[row].*visible;
      const SeenKeys keys{within(seen.first), within(seen.end)};
      room_.seen[row] = keys.begin < keys.end ? keys : SeenKeys{};
    }
    for (int row = block_.rows; row < all_rows(); ++row) {
      room_.seen[row] = room_.seen[row - block_.rows];
    }
  }

  /// Calls function(rows, stride) with the keys of a tile: where they lie, or loaded and transformed.
  template <typename Function>
  void with_keys(std::int64_t key_head, std::int64_t position, int count, Function&& function) {
    const std::int64_t key = key_at(position);
    if constexpr (Call::kPlainKeys) {
      function(call_.k.head(key, key_head), call_.k.token_stride);
    } else {
      for (int index = 0; index < count; ++index) {
        load_row(call_.k, call_.hooks.key_rows, key + index, key_head,
                 room_.loaded + std::int64_t{index} * depth());
      }
      function(static_cast<const float*>(room_.loaded), std::int64_t{depth()});
    }
  }

  /// While scores are summed the values of the same tile are asked for, and the next keys meanwhile.
  template <int kMoments>
  void packed_tile(std::int64_t position, int count, std::int64_t end) {
    const std::int64_t key_head = block_.key_head;
    with_keys(key_head, position, count, [&](const auto* rows, std::int64_t stride) {
      Kernel::pack_keys(rows, stride, count, depth(), room_.keys);
    });
    const std::int64_t next = position + count;
    Kernel::multiply_keys(room_.queries, room_.keys, depth(), room_.seen, block_.rows,
                          ahead(call_.v, position, next), room_.scores);
    weigh_tile<kMoments>(position, room_.weights);
    Kernel::pack_values(call_.v.head(key_at(position), key_head), call_.v.token_stride, count,
                        dim(), room_.values);
    Kernel::multiply_values(room_.weights, room_.values, dim(), room_.seen, block_.rows,
                            ahead(call_.k, next, smaller(end, next + Kernel::kKeys)), room_.factors,
                            room_.outputs);
  }

  /// The same without packing: a few keys of every head of the block, then the next ones, and the
  /// next tile asked for meanwhile, all in the order of memory.
  template <int kMoments>
  void direct_tile(std::int64_t position, int count, std::int64_t end) {
    const int step = block_.heads > 1 ? Kernel::kDirectStep : Kernel::kDirectKeys;
    const std::int64_t next = position + count;
    const std::int64_t next_end = smaller(end, next + Kernel::kDirectKeys);
    RowsAhead next_keys = ahead(call_.k, next, next_end);
    RowsAhead next_values = ahead(call_.v, next, next_end);
    for (int first = 0; first < count; first += step) {
      const int some = count - first < step ? count - first : step;
      for (int head = 0; head < block_.heads; ++head) {
        const int row = head * block_.rows;
        with_keys(block_.key_head + head, position + first, some,
                  [&](const auto* keys, std::int64_t stride) {
                    Kernel::direct_keys(room_.plain + row * Kernel::plain_size(depth()),
                                        block_.rows, keys, stride, some, depth(), next_keys,
                                        scores(row) + first);
                  });
      }
    }
    weigh_tile<kMoments>(position, room_.scores);
    for (int first = 0; first < count; first += step) {
      const int some = count - first < step ? count - first : step;
      for (int head = 0; head < block_.heads; ++head) {
        const int row = head * block_.rows;
        const T* values = call_.v.head(key_at(position + first), block_.key_head + head);
        Kernel::direct_values(scores(row) + first, block_.rows, values, call_.v.token_stride, some,
                              dim(), next_values, (first == 0 ? room_.factors : room_.ones) + row,
                              outputs(row));
      }
    }
  }

  float* scores(int row) const noexcept { return room_.scores + std::int64_t{row} * Kernel::kKeys; }

  /// Rows of a view at positions first .. end - 1, of all key heads of the block.
  RowsAhead ahead(const HeadView<const T>& view, std::int64_t first,
                  std::int64_t end) const noexcept {
    if (end <= first) return {};
    const std::int64_t last = view.head_stride < 0 ? block_.heads - 1 : 0;
    const T* row = view.head(key_at(first), block_.key_head + last);
    constexpr std::int64_t size = sizeof(T);
    const std::int64_t width = (block_.heads - 1) * magnitude(view.head_stride) + view.head_dim;
    return {reinterpret_cast<std::uintptr_t>(row), view.token_stride * size,
            static_cast<std::uintptr_t>(width * size), static_cast<int>(end - first)};
  }

  template <int kMoments, typename Weight>
  void weigh_tile(std::int64_t position, Weight* weights) {
    const float* coefficients = room_.coefficients;
    if constexpr (!Call::kPlainLogits) {
      for (int row = 0; row < all_rows(); ++row) {
        add_bias(row, position, room_.seen[row], scores(row));
      }
      coefficients = room_.ones;
    }
    Kernel::template weigh<kMoments>(room_.scores, room_.seen, all_rows(), coefficients,
                                     room_.statistics, room_.factors, room_.in_range, weights);
  }

  void add_bias(int row, std::int64_t position, SeenKeys seen, float* scores) {
    if (seen.begin >= seen.end) return;
    const RowPlace place = place_of(row);
    call_.hooks.bias(place.head, place.position, position + seen.begin, seen.end - seen.begin,
                     room_.bias);
    const float coefficient = room_.coefficients[row];
    for (int key = seen.begin; key < seen.end; ++key) {
      scores[key] =
          scores[key] * coefficient + room_.bias[key - seen.begin] * static_cast<float>(kLog2E);
    }
  }

  const Call& call_;
  const AttentionSequence& sequence_;
  const AttentionBlock& block_;
  const Room& room_;
  bool direct_;
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
