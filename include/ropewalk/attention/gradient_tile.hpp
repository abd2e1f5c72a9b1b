// Tiles of the backward pass: scores and the products with dout of some rows and keys. Row 8.
//
// With p = e^(z - lse), D = dout . out and the gradients that reach lse (l) and entropy (h),
//     dz_j = p_j (dout . v_j - D + l - h (z_j - mean))
//     dv_j = sum p_j dout      dq = c sum dz_j k_j      dk_j = sum c dz_j q
// where c scales q . k. Products run through the kernel of the forward pass, in float.
#pragma once

#include <ropewalk/attention/blocks.hpp>
#include <ropewalk/attention/exact.hpp>
#include <ropewalk/attention/gradient_options.hpp>
#include <ropewalk/attention/tile.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// A checked backward call. `Call` is that of the forward pass, its out being what attend() wrote.
template <typename Call, typename Out>
struct BackwardCall {
  const Call& forward;
  HeadView<const Out> out;
  HeadView<const Out> d_out;
  HeadView<float> dq;
  HeadView<float> dk;
  HeadView<float> dv;
  const SavedRows& saved;
  const StatisticsGradients& arriving;
  Span<float> deltas;  // (tokens, heads) delta() of every row, or empty

  /// D - l of a row.
  double delta(std::int64_t token, std::int64_t head, std::size_t entry) const noexcept {
    const Out* row = out.head(token, head);
    const Out* slope = d_out.head(token, head);
    double sum = 0.0;
    for (int index = 0; index < out.head_dim; ++index) {
      sum += static_cast<double>(ElementTraits<Out>::load(row[index])) *
             static_cast<double>(ElementTraits<Out>::load(slope[index]));
    }
    if (!arriving.lse.empty()) sum -= static_cast<double>(arriving.lse[entry]);
    return sum;
  }
};

/// What a row of the backward pass needs beside its vectors.
struct GradientRow {
  float coefficient = 0.0f;  // of q . k, nats
  float lse = 0.0f;
  float delta = 0.0f;    // D - l
  float entropy = 0.0f;  // h
  float mean = 0.0f;
};

/// Memory of one worker; rows and keys come in tiles of kKeys.
struct GradientRoom {
  float* query_rows = nullptr;  // (kKeys, depth), transformed
  float* out_rows = nullptr;    // (kKeys, dim) of dout
  float* key_rows = nullptr;    // (kKeys, depth), transformed
  float* value_rows = nullptr;  // (kKeys, dim)
  float* left_queries = nullptr;
  float* left_outs = nullptr;
  float* right_queries = nullptr;  // as values: summed over rows
  float* right_outs = nullptr;
  float* keys = nullptr;        // as keys: transposed
  float* values = nullptr;      // as keys: transposed
  float* right_keys = nullptr;  // as values
  float* weights = nullptr;     // (kKeys, kKeys) p, then its transpose
  float* slopes = nullptr;      // (kKeys, kKeys) dz
  float* turned = nullptr;      // (kKeys, kKeys)
  float* bias = nullptr;        // (kKeys,)
  float* ones = nullptr;        // (kKeys,) factors: everything is added to
  float* dq = nullptr;          // (kKeys, output size of depth)
  float* dk = nullptr;          // (kKeys, output size of depth)
  float* dv = nullptr;          // (kKeys, output size of dim)
  GradientRow* rows = nullptr;  // (kKeys,)
};

template <typename Kernel>
GradientRoom take_gradient_room(Arena& arena, int depth, int dim) noexcept {
  constexpr std::int64_t tile = Kernel::kKeys;
  const std::int64_t widest = depth > dim ? depth : dim;
  GradientRoom room;
  room.query_rows = arena.take<float>(tile * depth);
  room.out_rows = arena.take<float>(tile * widest);
  room.key_rows = arena.take<float>(tile * widest);
  room.value_rows = arena.take<float>(tile * widest);
  room.left_queries = arena.take<float>(tile * Kernel::query_size(depth));
  room.left_outs = arena.take<float>(tile * Kernel::query_size(dim));
  room.right_queries = arena.take<float>(Kernel::values_size(depth));
  room.right_outs = arena.take<float>(Kernel::values_size(dim));
  room.keys = arena.take<float>(Kernel::keys_size(depth));
  room.values = arena.take<float>(Kernel::keys_size(dim));
  room.right_keys = arena.take<float>(Kernel::values_size(depth));
  room.weights = arena.take<float>(tile * tile);
  room.slopes = arena.take<float>(tile * tile);
  room.turned = arena.take<float>(tile * tile);
  room.bias = arena.take<float>(tile);
  room.ones = arena.take<float>(tile);
  room.dq = arena.take<float>(tile * Kernel::output_size(depth));
  room.dk = arena.take<float>(tile * Kernel::output_size(depth));
  room.dv = arena.take<float>(tile * Kernel::output_size(dim));
  room.rows = arena.take<GradientRow>(tile);
  return room;
}

inline void clear(float* values, std::int64_t count) noexcept {
  for (std::int64_t index = 0; index < count; ++index) values[index] = 0.0f;
}

/// The rows and keys of one key head of one sequence, a tile of each at a time.
template <typename Kernel, typename Backward>
class GradientTiles {
 public:
  static constexpr int kTile = Kernel::kKeys;

  GradientTiles(const Backward& call, const AttentionSequence& sequence, std::int64_t key_head,
                const GradientRoom& room) noexcept
      : call_(call), sequence_(sequence), room_(room) {
    block_.key_head = key_head;
  }

 protected:
  const auto& forward() const noexcept { return call_.forward; }
  int depth() const noexcept { return forward().q.head_dim; }
  int dim() const noexcept { return forward().v.head_dim; }
  std::int64_t rows() const noexcept { return sequence_.queries * forward().group; }
  std::int64_t token_of(std::int64_t key) const noexcept { return sequence_.first_key + key; }

  void choose_rows(std::int64_t first) noexcept {
    block_.first_row = first;
    block_.rows = static_cast<int>(smaller(rows() - first, std::int64_t{kTile}));
  }
  RowPlace place(int row) const noexcept { return forward().place(sequence_, block_, row); }

  static void pack_keys(const float* rows, int count, int width, float* to) noexcept {
    Kernel::pack_keys(rows, std::int64_t{width}, count, width, to);
  }
  static void pack_values(const float* rows, int count, int width, float* to) noexcept {
    Kernel::pack_values(rows, std::int64_t{width}, count, width, to);
  }

  void load_keys(std::int64_t key, int count) {
    const auto& f = forward();
    for (int index = 0; index < count; ++index) {
      load_row(f.k, f.hooks.key_rows, token_of(key + index), block_.key_head,
               room_.key_rows + std::int64_t{index} * depth());
      load_row(f.v, LoadedRows{}, token_of(key + index), block_.key_head,
               room_.value_rows + std::int64_t{index} * dim());
    }
    pack_keys(room_.key_rows, count, depth(), room_.keys);
    pack_keys(room_.value_rows, count, dim(), room_.values);
  }

  GradientRow row_at(const RowPlace& place) const noexcept {
    const auto entry = static_cast<std::size_t>(place.token * forward().q.heads + place.head);
    GradientRow row;
    row.coefficient = static_cast<float>(forward().coefficient(place));
    row.lse = call_.saved.lse[entry];
    row.delta = call_.deltas.empty() ? 0.0f : call_.deltas[entry];
    if (!call_.arriving.entropy.empty()) {
      row.entropy = call_.arriving.entropy[entry];
      row.mean = call_.saved.mean[entry];
    }
    return row;
  }

  void load_rows() {
    const auto& f = forward();
    for (int row = 0; row < block_.rows; ++row) {
      const RowPlace at = place(row);
      room_.rows[row] = row_at(at);
      float* query = room_.query_rows + std::int64_t{row} * depth();
      float* out = room_.out_rows + std::int64_t{row} * dim();
      load_row(f.q, f.hooks.query_rows, at.token, at.head, query);
      load_row(call_.d_out, LoadedRows{}, at.token, at.head, out);
      Kernel::pack_query(static_cast<const float*>(query), depth(),
                         room_.left_queries + row * Kernel::query_size(depth()));
      Kernel::pack_query(static_cast<const float*>(out), dim(),
                         room_.left_outs + row * Kernel::query_size(dim()));
    }
  }

  /// False where no row of the block sees a key of the tile.
  bool see_keys(std::int64_t key, int count) noexcept {
    const std::int64_t position = sequence_.key_position + key;
    bool any = false;
    for (int row = 0; row < block_.rows; ++row) {
      visible_[row] =
          forward().options.mask.keys(place(row).position, {position, position + count});
      seen_[row] =
          either(within(visible_[row].first_keys, position), within(visible_[row].band, position));
      any = any || visible_[row].size() > 0;
    }
    return any;
  }

  static SeenKeys within(KeyRange range, std::int64_t position) noexcept {
    if (range.size() == 0) return {};
    return {static_cast<int>(range.first - position), static_cast<int>(range.end - position)};
  }

  /// Scores to `weights`, products of dout and values to `slopes`, the biases of a row to `bias`.
  void multiply() noexcept {
    Kernel::multiply_keys(room_.left_queries, room_.keys, depth(), seen_, block_.rows, {},
                          room_.weights);
    Kernel::multiply_keys(room_.left_outs, room_.values, dim(), seen_, block_.rows, {},
                          room_.slopes);
  }

  void load_bias(int row, std::int64_t key, int count) {
    if constexpr (!std::decay_t<decltype(call_.forward)>::kPlainLogits) {
      const RowPlace at = place(row);
      forward().hooks.bias(at.head, at.position, sequence_.key_position + key, count, room_.bias);
    } else {
      clear(room_.bias, count);
    }
  }

  /// The first keys, and the band, that a row sees of the tile at `key`.
  SeenKeys first_run(int row, std::int64_t key) const noexcept {
    return within(visible_[row].first_keys, sequence_.key_position + key);
  }
  SeenKeys band_run(int row, std::int64_t key) const noexcept {
    return within(visible_[row].band, sequence_.key_position + key);
  }

  const Backward& call_;
  const AttentionSequence& sequence_;
  const GradientRoom& room_;
  AttentionBlock block_;
  VisibleKeys visible_[static_cast<std::size_t>(kTile)];
  SeenKeys seen_[static_cast<std::size_t>(kTile)];  // the run that holds what is visible
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
