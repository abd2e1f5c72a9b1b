// What attention on the device is asked, and what it refuses. Host code without CUDA types; pointers
// are to device memory.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/element.hpp>
#include <ropewalk/error.hpp>
#include <ropewalk/mask.hpp>

#include <cmath>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {

inline constexpr int kLargestAttentionHeadDim = 256;

/// What is compiled into an attention: each level holds the one before it. Beyond the one extra
/// multiply-add per score that the entropy takes, and two more of the variance, nothing is paid.
enum class Statistics {
  lse,      ///< lse
  entropy,  ///< lse, entropy and mean
  variance  ///< all four
};

/// Tokens of several sequences. Element (sequence, token, head, dim) is
///     data[sequence * sequence_stride + token * token_stride + head * head_stride + dim]
/// Sequences that are packed one behind the other are one run of tokens, sequence_stride 0.
/// data is divisible by 16 bytes and every stride by 8 elements, since rows are read 16 bytes at once.
template <typename T>
struct BatchView {
  T* data = nullptr;
  std::int64_t sequence_stride = 0;  ///< elements, >= 0
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
};

/// Sizes of an attention.
struct AttentionShape {
  int sequences = 0;
  int queries = 0;  ///< tokens of a sequence; packed: no less than of the longest
  int keys = 0;     ///< the same
  int heads =
      0;  ///< of q; a multiple of kv_heads: query head h reads kv head h / (heads / kv_heads)
  int kv_heads = 0;
  int head_dim =
      0;  ///< a multiple of 8, up to 256: computed as the next of 64, 96, 128, 256 with zeros
};

/// Where row statistics go: (rows, heads) floats, row-major, each null where it is not wanted. Rows are
/// sequence * queries + query, or the tokens of q where sequences are packed. A row that sees no key
/// has output 0, lse the lowest float and 0 for the rest; a sink logit counts as a key.
struct RowOutputs {
  float* lse = nullptr;       ///< ln of the sum of e^logit
  float* entropy = nullptr;   ///< nats
  float* mean = nullptr;      ///< of the logits under the softmax
  float* variance = nullptr;  ///< of the logits under the softmax
};

/// What turns q . k into logits: softmax_scale * head_scale[head] * position_scale[row] * (q . k).
struct LogitScale {
  double softmax_scale = 0.0;         ///< 0 stands for 1/sqrt(head_dim); 0 .. 2e38
  const float* head_scale = nullptr;  ///< (heads,) finite, or null; a negative one turns the signs
  const float* position_scale = nullptr;  ///< (rows,) finite, or null
  const float* sink_logit =
      nullptr;  ///< (heads,) |.| <= 1e30, or null: a key of this logit, no value;
                ///< below -3e14 it weighs nothing
};

/// Attention of some queries to the keys of their sequences.
///   T            float16 or bfloat16
template <typename T>
struct AttentionParams {
  AttentionShape shape;
  BatchView<const T> q;
  BatchView<const T> k;
  BatchView<const T>
      v;  ///< null data where only statistics are asked. Finite for all keys in use, seen
          ///< or not: weight 0 times NaN is NaN; key_counts bound what is in use
  BatchView<T> out;  ///< the same; memory of its own
  LogitScale scale;
  AttentionMask mask;  ///< of positions: key j stands at j, query i of n at keys - n + i

  const std::int32_t* query_starts = nullptr;  ///< packed q: (sequences + 1,) ascending; else null
  const std::int32_t* key_starts = nullptr;    ///< packed k and v: the same
  const std::int32_t* key_counts = nullptr;    ///< (sequences,) of `keys`, where not all are in use
  const std::int32_t* query_positions =
      nullptr;  ///< (sequences,) of first queries, or null: as above

  RowOutputs statistics;

  /// The kernel may begin before the one before it in the stream has ended, and waits for it: a few
  /// microseconds less between the two. From compute capability 9.0 on; elsewhere nothing changes.
  bool overlap_previous = false;
};

namespace detail {

inline constexpr int kHeadDims[4] = {64, 96, 128, 256};

/// The size of head that is computed for one of `head_dim`.
constexpr int padded_head_dim(int head_dim) noexcept {
  for (const int size : kHeadDims) {
    if (head_dim <= size) return size;
  }
  return 0;
}

inline Fault check_shape(const AttentionShape& shape) noexcept {
  struct {
    int value;
    int least;
    const char* name;
  } const sizes[6] = {
      {shape.sequences, 0, "shape.sequences"}, {shape.queries, 0, "shape.queries"},
      {shape.keys, 0, "shape.keys"},           {shape.heads, 1, "shape.heads"},
      {shape.kv_heads, 1, "shape.kv_heads"},   {shape.head_dim, 8, "shape.head_dim"}};
  for (const auto& size : sizes) {
    if (size.value < size.least) {
      return {Errc::below_minimum, size.name, static_cast<double>(size.value)};
    }
  }
  constexpr int most_keys = 0x7fffffff - 64;  // numbers of keys of a tile stay in 31 bits
  if (shape.keys > most_keys) {
    return {Errc::above_maximum, "shape.keys", static_cast<double>(shape.keys)};
  }
  if (shape.heads % shape.kv_heads != 0) {
    return {Errc::indivisible, "shape.heads", static_cast<double>(shape.heads)};
  }
  if (shape.head_dim % 8 != 0) {
    return {Errc::indivisible, "shape.head_dim", static_cast<double>(shape.head_dim)};
  }
  if (shape.head_dim > kLargestAttentionHeadDim) {
    return {Errc::above_maximum, "shape.head_dim", static_cast<double>(shape.head_dim)};
  }
  return {};
}

template <typename T>
Fault check_view(const BatchView<T>& view, const char* name) noexcept {
  static_assert(sizeof(T) == 2, "attention takes float16 or bfloat16");
  if (view.data == nullptr) return {Errc::unknown, name, 0.0};
  const auto address = reinterpret_cast<std::uintptr_t>(view.data);
  if (address % 16 != 0) return {Errc::indivisible, name, static_cast<double>(address % 16)};
  const std::int64_t strides[3] = {view.sequence_stride, view.token_stride, view.head_stride};
  for (const std::int64_t stride : strides) {
    if (stride < 0) return {Errc::below_minimum, name, static_cast<double>(stride)};
    if (stride % 8 != 0) return {Errc::indivisible, name, static_cast<double>(stride)};
  }
  return {};
}

inline Fault check_scale(const LogitScale& scale) noexcept {
  if (!ropewalk::detail::is_finite(scale.softmax_scale)) {
    return {Errc::not_finite, "scale.softmax_scale", scale.softmax_scale};
  }
  if (scale.softmax_scale < 0) {
    return {Errc::below_minimum, "scale.softmax_scale", scale.softmax_scale};
  }
  constexpr double most = 2e38;  // times log2 e still a float
  if (scale.softmax_scale > most) {
    return {Errc::above_maximum, "scale.softmax_scale", scale.softmax_scale};
  }
  return {};
}

/// softmax_scale in base 2: what q . k is multiplied by, head and position scales aside.
inline float base_two_scale(const LogitScale& scale, int head_dim) noexcept {
  constexpr double log2_e = 1.4426950408889634;
  const double natural = scale.softmax_scale > 0.0 ? scale.softmax_scale
                                                   : 1.0 / std::sqrt(static_cast<double>(head_dim));
  return static_cast<float>(natural * log2_e);
}

/// Outputs that the compiled level does not have.
inline Fault check_statistics(const RowOutputs& outputs, Statistics level) noexcept {
  if (level == Statistics::lse && outputs.entropy != nullptr) {
    return {Errc::unsupported, "statistics.entropy", 0.0};
  }
  if (level == Statistics::lse && outputs.mean != nullptr) {
    return {Errc::unsupported, "statistics.mean", 0.0};
  }
  if (level != Statistics::variance && outputs.variance != nullptr) {
    return {Errc::unsupported, "statistics.variance", 0.0};
  }
  return {};
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
