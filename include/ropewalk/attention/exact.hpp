// One row of attention in double, for logits or outputs that leave the range of a tile. Row 8.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/attention/options.hpp>
#include <ropewalk/element.hpp>
#include <ropewalk/row_statistics.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The bits of -infinity, the bias of a hidden key.
inline constexpr std::uint32_t kHiddenBits = 0xff800000u;

/// A double as the float next to it, the ends of float standing for finite ones beyond.
inline float saturated(double value) noexcept {
  if (!is_finite(value)) return static_cast<float>(value);
  constexpr double largest = static_cast<double>((std::numeric_limits<float>::max)());
  if (value > largest) return (std::numeric_limits<float>::max)();
  if (value < -largest) return std::numeric_limits<float>::lowest();
  return static_cast<float>(value);
}

/// One row of a head view as floats, transformed.
template <typename Transform, typename T>
void load_row(const HeadView<const T>& view, const Transform& transform, std::int64_t token,
              std::int64_t head, float* to) {
  const T* from = view.head(token, head);
  for (int dim = 0; dim < view.head_dim; ++dim) to[dim] = ElementTraits<T>::load(from[dim]);
  if constexpr (!Transform::kIdentity) transform(token, head, to);
}

/// The rows a query meets, as attention in double sees them.
template <typename T, typename Hooks>
struct ExactRow {
  const HeadView<const T>& q;
  const HeadView<const T>& k;
  const HeadView<const T>& v;
  const Hooks& hooks;
  std::int64_t query = 0;
  std::int64_t head = 0;
  std::int64_t key_head = 0;
  double coefficient = 1.0;  // of q . k, nats
  double sink = 0.0;
  bool has_sink = false;
  std::int64_t query_position = 0;
  std::int64_t key_position = 0;  // of key `first_key`
  std::int64_t first_key = 0;
  VisibleKeys visible;

  /// Fills outputs (v.head_dim,), already divided. `room` holds two rows of floats. A logit that is
  /// not finite makes everything NaN.
  RowSummary<double> attend(double* outputs, float* room) const {
    for (int dim = 0; dim < v.head_dim; ++dim) outputs[dim] = 0.0;
    RowStatistics<double> row;
    bool sound = true;
    float* query_row = room;
    float* other = room + q.head_dim;
    load_row(q, hooks.query_rows, query, head, query_row);
    for (const KeyRange range : {visible.first_keys, visible.band}) {
      for (std::int64_t position = range.first; position < range.end; ++position) {
        sound = see(position, query_row, other, row, outputs) && sound;
      }
    }
    if (has_sink) raise_to(kLog2E * sink, row, outputs);
    if (has_sink) row.add(kLog2E * sink);
    if (!sound) {
      const auto nan = static_cast<double>(float_of(0x7fc00000u));
      for (int dim = 0; dim < v.head_dim; ++dim) outputs[dim] = nan;
      return {nan, nan, nan, nan};
    }
    if (!row.empty()) {
      for (int dim = 0; dim < v.head_dim; ++dim) outputs[dim] /= row.sum;
    }
    return row.summary();
  }

 private:
  void raise_to(double logit, RowStatistics<double>& row, double* outputs) const {
    if (!(logit > row.maximum)) return;
    const double factor = row.raise(logit);
    for (int dim = 0; dim < v.head_dim; ++dim) outputs[dim] *= factor;
  }

  bool see(std::int64_t position, const float* query_row, float* other, RowStatistics<double>& row,
           double* outputs) const {
    const std::int64_t key = first_key + (position - key_position);
    load_row(k, hooks.key_rows, key, key_head, other);
    double dot = 0.0;
    for (int dim = 0; dim < q.head_dim; ++dim) {
      dot += static_cast<double>(query_row[dim]) * static_cast<double>(other[dim]);
    }
    double logit = kLog2E * coefficient * dot;
    if constexpr (!std::decay_t<decltype(hooks.bias)>::kIdentity) {
      float bias = 0.0f;
      hooks.bias(head, query_position, position, 1, &bias);
      if (bits_of(bias) == kHiddenBits) return true;
      logit += kLog2E * static_cast<double>(bias);
    }
    if (!is_finite(logit)) return false;
    raise_to(logit, row, outputs);
    const double weight = std::exp2(logit - row.maximum);
    row.add(logit);
    load_row(v, LoadedRows{}, key, key_head, other);
    for (int dim = 0; dim < v.head_dim; ++dim) {
      outputs[dim] += weight * static_cast<double>(other[dim]);
    }
    return true;
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
