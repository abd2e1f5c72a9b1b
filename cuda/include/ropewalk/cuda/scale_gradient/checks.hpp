// The workspace of the scales' gradients, and what they refuse before they launch. Host code without
// CUDA types; nothing that lies on the device is read.
#pragma once

#include <ropewalk/cuda/attention/checks.hpp>
#include <ropewalk/cuda/scale_gradient/params.hpp>
#include <ropewalk/head_view.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

inline constexpr int kSumThreads = 256;
inline constexpr int kLargestParts = 512;  // of a column that are added apart

/// Columns that neighbouring lanes take: a power of two.
constexpr int sum_width(int columns) noexcept {
  int width = 1;
  while (width < columns && width < 32) width *= 2;
  return width;
}

/// Into how many parts the rows of a sum over (rows, columns) are cut: 16 rows to a thread, more where
/// they are many.
constexpr std::int64_t sum_parts(std::int64_t rows, int columns) noexcept {
  const std::int64_t rows_at_once = kSumThreads / sum_width(columns) * std::int64_t{16};
  const std::int64_t parts = rows / rows_at_once + (rows % rows_at_once != 0);
  return parts < 1 ? 1 : (parts > kLargestParts ? std::int64_t{kLargestParts} : parts);
}

/// Where the workspace holds what.
struct ScaleGradientRoom {
  std::int64_t rows = 0;   // bytes of g; 0: the caller's own
  std::int64_t parts = 0;  // bytes of the parts of the sums over rows; 0: none
  constexpr std::int64_t bytes() const noexcept { return rows + parts; }
};

constexpr std::int64_t kLargestRoom = (std::numeric_limits<std::int64_t>::max)() / 16;

/// Negative where the sizes go beyond what can be counted.
inline ScaleGradientRoom scale_gradient_room(std::int64_t rows, int heads,
                                             const ScaleGradients& gradients) noexcept {
  using ropewalk::detail::add_product;
  ScaleGradientRoom room;
  const std::int64_t entries = add_product(0, rows, heads);
  if (entries < 0 || entries > kLargestRoom) return {-1, 0};
  if (gradients.rows == nullptr) room.rows = (entries * 4 + 15) / 16 * 16;
  const std::int64_t parts = sum_parts(rows, heads);
  if (gradients.head_scale != nullptr && parts > 1) room.parts = parts * heads * 8;
  return room;
}

/// What every gradient needs: sizes that can be counted, somewhere to write, room to work in. What is
/// written joins `memory`, and may meet nothing of it.
template <typename Params>
Fault check_gradients(std::int64_t rows, int heads, const Params& params,
                      ArgumentMemory& memory) noexcept {
  if (heads < 1) return {Errc::below_minimum, "heads", static_cast<double>(heads)};
  if (rows < 0) return {Errc::below_minimum, "rows", static_cast<double>(rows)};
  const ScaleGradients& to = params.gradients;
  const ScaleGradientRoom room = scale_gradient_room(rows, heads, to);
  if (room.rows < 0) return {Errc::above_maximum, "rows", static_cast<double>(rows)};
  if (to.head_scale == nullptr && to.position_scale == nullptr && to.rows == nullptr) {
    return {Errc::unknown, "gradients", 0.0};
  }
  for (const Fault& fault :
       {check_array(to.head_scale, heads, "gradients.head_scale", memory),
        check_array(to.position_scale, rows, "gradients.position_scale", memory),
        check_array(to.rows, rows * heads, "gradients.rows", memory)}) {
    if (fault.code != Errc::ok) return fault;
  }
  if (room.bytes() > 0) {
    if (params.workspace == nullptr) return {Errc::unknown, "workspace", 0.0};
    const auto rest = reinterpret_cast<std::uintptr_t>(params.workspace) % 16;
    if (rest != 0) return {Errc::indivisible, "workspace", static_cast<double>(rest)};
    if (params.workspace_bytes < static_cast<std::size_t>(room.bytes())) {
      return {Errc::below_minimum, "workspace_bytes", static_cast<double>(params.workspace_bytes)};
    }
    memory.add(params.workspace, room.bytes(), "workspace", true);
  }
  return memory.overlap();
}

template <typename T, typename G>
std::int64_t gradient_rows(const ScaleGradientParams<T, G>& params) noexcept {
  return ropewalk::detail::add_product(0, params.sequences, params.queries);
}

template <typename T>
std::int64_t gradient_rows(const SoftmaxScaleGradientParams<T>& params) noexcept {
  if (params.attention.query_starts != nullptr) return params.rows;
  const AttentionShape& shape = params.attention.shape;
  return std::int64_t{shape.sequences} * shape.queries;
}

inline std::int64_t gradient_rows(const StatisticsScaleGradientParams& params) noexcept {
  return params.rows;
}

template <typename T, typename G>
int gradient_heads(const ScaleGradientParams<T, G>& params) noexcept {
  return params.heads;
}

template <typename T>
int gradient_heads(const SoftmaxScaleGradientParams<T>& params) noexcept {
  return params.attention.shape.heads;
}

inline int gradient_heads(const StatisticsScaleGradientParams& params) noexcept {
  return params.heads;
}

}  // namespace detail

/// Bytes of device memory that a call with these params, whatever their workspace, works in.
///   Params       ScaleGradientParams, SoftmaxScaleGradientParams or StatisticsScaleGradientParams,
///                sound but for the workspace
template <typename Params>
std::size_t scale_gradient_workspace(const Params& params) noexcept {
  return static_cast<std::size_t>(detail::scale_gradient_room(detail::gradient_rows(params),
                                                              detail::gradient_heads(params),
                                                              params.gradients)
                                      .bytes());
}

namespace detail {

/// The rows of q or of dq: what int64 addresses, in memory that nothing written meets.
template <typename T, typename Params>
Fault check_dot_rows(const BatchView<const T>& view, const Params& params, const char* name,
                     ArgumentMemory& memory) noexcept {
  if (gradient_rows(params) == 0) return {};
  if (view.data == nullptr) return {Errc::unknown, name, 0.0};
  const std::int64_t steps[3][2] = {{params.sequences, view.sequence_stride},
                                    {params.queries, view.token_stride},
                                    {params.heads, view.head_stride}};
  constexpr std::int64_t largest =
      (std::numeric_limits<std::ptrdiff_t>::max)() / static_cast<std::int64_t>(sizeof(T));
  std::int64_t extent = params.head_dim;
  for (const auto& [count, stride] : steps) {
    if (stride < 0) return {Errc::below_minimum, name, static_cast<double>(stride)};
    extent = ropewalk::detail::add_product(extent, count - 1, stride);
    if (extent < 0 || extent > largest) {
      return {Errc::above_maximum, name, static_cast<double>(stride)};
    }
  }
  return check_array(view.data, extent, name, memory);
}

}  // namespace detail

/// Errc::ok, or the first field that cannot be computed with. Data on the device is not looked at.
template <typename T, typename G>
Fault validate(const ScaleGradientParams<T, G>& params) noexcept {
  const std::int64_t sizes[4] = {params.sequences, params.queries, params.heads, params.head_dim};
  const char* const names[4] = {"sequences", "queries", "heads", "head_dim"};
  for (int i = 0; i < 4; ++i) {
    if (sizes[i] < i / 2) {
      return {Errc::below_minimum, names[i], static_cast<double>(sizes[i])};
    }
  }
  const std::int64_t rows = detail::gradient_rows(params);
  if (rows < 0) return {Errc::above_maximum, "sequences", static_cast<double>(params.sequences)};
  detail::ArgumentMemory memory;
  for (const Fault& fault :
       {detail::check_dot_rows(params.q, params, "q", memory),
        detail::check_dot_rows(params.dq, params, "dq", memory),
        detail::check_array(params.head_scale, params.heads, "head_scale", memory),
        detail::check_array(params.position_scale, rows, "position_scale", memory)}) {
    if (fault.code != Errc::ok) return fault;
  }
  return detail::check_gradients(rows, params.heads, params, memory);
}

template <typename T>
Fault validate(const SoftmaxScaleGradientParams<T>& params) noexcept {
  const AttentionParams<T>& attention = params.attention;
  const AttentionShape& shape = attention.shape;
  for (const Fault& fault : {detail::check_shape(shape), detail::check_scale(attention.scale),
                             detail::check_mask(attention.mask)}) {
    if (fault.code != Errc::ok) return fault;
  }
  const std::int64_t rows = detail::gradient_rows(params);
  const bool packed_q = attention.query_starts != nullptr;
  const detail::BatchSize queries{shape.sequences, shape.queries, shape.heads, shape.head_dim,
                                  packed_q};
  const detail::BatchSize keys{shape.sequences, shape.keys, shape.kv_heads, shape.head_dim,
                               attention.key_starts != nullptr};
  const RowOutputs& saved = attention.statistics;
  const LogitScale& scale = attention.scale;
  if (rows > 0 && saved.lse == nullptr) return {Errc::unknown, "statistics.lse", 0.0};
  if (rows > 0 && saved.entropy == nullptr) return {Errc::unknown, "statistics.entropy", 0.0};
  if (packed_q && rows < 1 && shape.sequences > 0 && shape.queries > 0) {
    return {Errc::below_minimum, "rows", static_cast<double>(rows)};
  }
  const std::int64_t entries = ropewalk::detail::add_product(0, rows < 0 ? 0 : rows, shape.heads);
  if (entries < 0 || entries > detail::kLargestRoom) {
    return {Errc::above_maximum, "rows", static_cast<double>(rows)};
  }
  const std::int64_t starts = std::int64_t{shape.sequences} + 1;
  detail::ArgumentMemory memory;
  const auto check = [&memory](const auto* data, std::int64_t count, const char* name) {
    return detail::check_array(data, count, name, memory);
  };
  for (const Fault& fault : {
           detail::check_batch(attention.q, queries, "q", memory),
           detail::check_batch(attention.k, keys, "k", memory),
           detail::check_batch(attention.v, keys, "v", memory),
           detail::check_batch(params.d_out, queries, "d_out", memory),
           check(saved.lse, entries, "statistics.lse"),
           check(saved.entropy, entries, "statistics.entropy"),
           check(scale.head_scale, shape.heads, "scale.head_scale"),
           check(scale.position_scale, rows, "scale.position_scale"),
           check(scale.sink_logit, shape.heads, "scale.sink_logit"),
           check(attention.query_starts, starts, "query_starts"),
           check(attention.key_starts, starts, "key_starts"),
           check(attention.key_counts, shape.sequences, "key_counts"),
           check(attention.query_positions, shape.sequences, "query_positions"),
       }) {
    if (fault.code != Errc::ok) return fault;
  }
  return detail::check_gradients(rows, shape.heads, params, memory);
}

inline Fault validate(const StatisticsScaleGradientParams& params) noexcept {
  const RowOutputs& saved = params.statistics;
  const bool entropy = params.d_entropy != nullptr;
  const bool lse = params.d_lse != nullptr;
  const bool sink = params.scale.sink_logit != nullptr;
  if (params.rows > 0) {
    if (!entropy && !lse) return {Errc::unknown, "d_entropy", 0.0};
    if (entropy && saved.variance == nullptr) return {Errc::unknown, "statistics.variance", 0.0};
    if ((lse || sink) && saved.mean == nullptr) return {Errc::unknown, "statistics.mean", 0.0};
    if (sink && saved.lse == nullptr) return {Errc::unknown, "statistics.lse", 0.0};
  }
  const std::int64_t entries =
      ropewalk::detail::add_product(0, params.rows < 0 ? 0 : params.rows, params.heads);
  if (entries < 0 || entries > detail::kLargestRoom) {
    return {Errc::above_maximum, "rows", static_cast<double>(params.rows)};
  }
  detail::ArgumentMemory memory;
  const auto check = [&memory](const float* data, std::int64_t count, const char* name) {
    return detail::check_array(data, count, name, memory);
  };
  for (const Fault& fault : {
           check(saved.lse, entries, "statistics.lse"),
           check(saved.mean, entries, "statistics.mean"),
           check(saved.variance, entries, "statistics.variance"),
           check(params.d_lse, entries, "d_lse"),
           check(params.d_entropy, entries, "d_entropy"),
           check(params.scale.head_scale, params.heads, "scale.head_scale"),
           check(params.scale.position_scale, params.rows, "scale.position_scale"),
           check(params.scale.sink_logit, params.heads, "scale.sink_logit"),
       }) {
    if (fault.code != Errc::ok) return fault;
  }
  return detail::check_gradients(params.rows, params.heads, params, memory);
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
