// What attention on the device refuses before it launches: sizes, strides, and memory that would be
// written while it is read. Host code without CUDA types; nothing that lies on the device is read.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>
#include <ropewalk/cuda/strides.hpp>
#include <ropewalk/head_view.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// Memory of an argument, first byte to the one behind the last.
struct ByteRange {
  std::uintptr_t first = 0;
  std::uintptr_t end = 0;
  const char* name = "";
  bool is_written = false;
};

/// The arguments of one call.
class ArgumentMemory {
 public:
  void add(const void* data, std::int64_t bytes, const char* name, bool is_written) noexcept {
    if (data == nullptr || bytes <= 0 || count_ == kMost) return;
    const auto first = reinterpret_cast<std::uintptr_t>(data);
    ranges_[count_++] = {first, first + static_cast<std::uintptr_t>(bytes), name, is_written};
  }

  /// The last argument that is written and meets another one, or Errc::ok.
  Fault overlap() const noexcept {
    for (int i = count_ - 1; i >= 0; --i) {
      for (int j = count_ - 1; j >= 0; --j) {
        const ByteRange& a = ranges_[i];
        const ByteRange& b = ranges_[j];
        if (i != j && a.is_written && a.first < b.end && b.first < a.end) {
          return {Errc::overlapping, a.name, 0.0};
        }
      }
    }
    return {};
  }

 private:
  static constexpr int kMost = 24;
  ByteRange ranges_[kMost];
  int count_ = 0;
};

/// Tokens that a view of a batch shows.
struct BatchSize {
  std::int64_t sequences = 0;
  std::int64_t tokens = 0;  ///< of a sequence; packed: of the longest
  std::int64_t heads = 0;
  std::int64_t head_dim = 0;
  bool is_packed = false;
};

/// check_view(), and whether its elements lie within what int64 addresses and, where they are
/// written, apart. What of its memory is known to be used joins `memory`: of packed tokens the first
/// alone, since the device only knows how many there are.
template <typename T>
Fault check_batch(const BatchView<T>& view, const BatchSize& size, const char* name,
                  ArgumentMemory& memory) noexcept {
  if (size.sequences == 0 || size.tokens == 0) return {};
  if (const Fault fault = check_view(view, name); fault.code != Errc::ok) return fault;
  StridedAxis axes[3] = {{name, view.sequence_stride, size.is_packed ? 1 : size.sequences},
                         {name, view.token_stride, size.is_packed ? 1 : size.tokens},
                         {name, view.head_stride, size.heads}};
  std::int64_t extent = 0;
  if (const Fault fault =
          check_strides(axes, size.head_dim, sizeof(T), !std::is_const_v<T>, extent);
      fault.code != Errc::ok) {
    return fault;
  }
  if (size.is_packed && !std::is_const_v<T> && view.token_stride < size.head_dim) {
    return {Errc::overlapping, name, static_cast<double>(view.token_stride)};
  }
  const std::int64_t all_tokens = ropewalk::detail::add_product(0, size.sequences, size.tokens);
  const std::int64_t packed_extent =
      ropewalk::detail::add_product(extent, all_tokens, view.token_stride);
  if (size.is_packed && (packed_extent < 0 || packed_extent > most_elements(sizeof(T)))) {
    return {Errc::above_maximum, name, static_cast<double>(view.token_stride)};
  }
  memory.add(view.data, extent * static_cast<std::int64_t>(sizeof(T)), name, !std::is_const_v<T>);
  return {};
}

/// An array of `count` floats or int32; null is none.
template <typename T>
Fault check_array(T* data, std::int64_t count, const char* name, ArgumentMemory& memory) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  if (address % sizeof(T) != 0) {
    return {Errc::indivisible, name, static_cast<double>(address % sizeof(T))};
  }
  memory.add(data, count * static_cast<std::int64_t>(sizeof(T)), name, !std::is_const_v<T>);
  return {};
}

inline Fault check_mask(const AttentionMask& mask) noexcept {
  if (mask.window < 1) {
    return {Errc::below_minimum, "mask.window", static_cast<double>(mask.window)};
  }
  if (mask.first_keys < 0) {
    return {Errc::below_minimum, "mask.first_keys", static_cast<double>(mask.first_keys)};
  }
  if (mask.chunk < 1) return {Errc::below_minimum, "mask.chunk", static_cast<double>(mask.chunk)};
  return {};
}

/// Whether values and an output are there just where they are wanted.
template <typename T>
Fault check_values(const AttentionParams<T>& params, bool wanted) noexcept {
  const AttentionShape& shape = params.shape;
  if (!wanted) {
    if (params.v.data != nullptr) return {Errc::unsupported, "v", 0.0};
    return {params.out.data != nullptr ? Errc::unsupported : Errc::ok, "out", 0.0};
  }
  if (shape.sequences == 0 || shape.queries == 0) return {};
  if (params.out.data == nullptr) return {Errc::unknown, "out", 0.0};
  if (shape.keys > 0 && params.v.data == nullptr) return {Errc::unknown, "v", 0.0};
  return {};
}

}  // namespace detail

/// Errc::ok, or what makes these no parameters of an attention. Data on the device is not looked at:
/// kernels cut the tokens of a sequence to the shape, and that starts lie within q, k and v is the
/// caller's word.
template <typename T>
Fault validate(const AttentionParams<T>& params) noexcept {
  const AttentionShape& shape = params.shape;
  const Fault first[3] = {detail::check_shape(shape), detail::check_scale(params.scale),
                          detail::check_mask(params.mask)};
  for (const Fault& fault : first) {
    if (fault.code != Errc::ok) return fault;
  }
  const bool packed_q = params.query_starts != nullptr;
  const bool packed_k = params.key_starts != nullptr;
  const detail::BatchSize queries{shape.sequences, shape.queries, shape.heads, shape.head_dim,
                                  packed_q};
  const detail::BatchSize keys{shape.sequences, shape.keys, shape.kv_heads, shape.head_dim,
                               packed_k};
  const std::int64_t rows = packed_q ? 1 : std::int64_t{shape.sequences} * shape.queries;
  // Of a batch's rows times heads, 2^93 at most, a double tells what does not fit.
  const double most =
      static_cast<double>(shape.sequences) * shape.queries * static_cast<double>(shape.heads);
  if (most > 0x1p60) return {Errc::above_maximum, "shape.queries", most};
  const std::int64_t outputs = rows * shape.heads;

  detail::ArgumentMemory memory;
  const RowOutputs& to = params.statistics;
  const bool values = params.v.data != nullptr || params.out.data != nullptr;
  const std::int64_t starts = std::int64_t{shape.sequences} + 1;
  const LogitScale& scale = params.scale;
  const Fault faults[15] = {
      detail::check_batch(params.q, queries, "q", memory),
      detail::check_batch(params.k, keys, "k", memory),
      values ? detail::check_batch(params.v, keys, "v", memory) : Fault{},
      values ? detail::check_batch(params.out, queries, "out", memory) : Fault{},
      detail::check_array(scale.head_scale, shape.heads, "scale.head_scale", memory),
      detail::check_array(scale.position_scale, rows, "scale.position_scale", memory),
      detail::check_array(scale.sink_logit, shape.heads, "scale.sink_logit", memory),
      detail::check_array(params.query_starts, starts, "query_starts", memory),
      detail::check_array(params.key_starts, starts, "key_starts", memory),
      detail::check_array(params.key_counts, shape.sequences, "key_counts", memory),
      detail::check_array(params.query_positions, shape.sequences, "query_positions", memory),
      detail::check_array(to.lse, outputs, "statistics.lse", memory),
      detail::check_array(to.entropy, outputs, "statistics.entropy", memory),
      detail::check_array(to.mean, outputs, "statistics.mean", memory),
      detail::check_array(to.variance, outputs, "statistics.variance", memory),
  };
  for (const Fault& fault : faults) {
    if (fault.code != Errc::ok) return fault;
  }
  return memory.overlap();
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
