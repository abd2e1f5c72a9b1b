// Sums of the rows' g: over rows for head scales, over heads for position scales. In double, each in an
// order that the shape alone decides. Bodies over a Block of kSumThreads threads.
#pragma once

#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/scale_gradient/checks.hpp>
#include <ropewalk/element.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// Sums over the rows of (rows, columns), part by part: block (part, group of `width` columns).
///   In, Out      float g to double parts, those to float gradients; or g to gradients at once
template <typename In, typename Out>
struct ColumnSums {
  const In* values = nullptr;
  Out* sums = nullptr;  // (parts, columns)
  std::int64_t rows = 0;
  std::int64_t part_rows = 0;
  std::int32_t columns = 0;
  std::int32_t width = 1;            // sum_width(columns)
  const float* divide_by = nullptr;  // (columns,) or null
};

/// Sums over the columns of (rows, columns): `width` lanes to a row.
struct RowTotals {
  const float* values = nullptr;
  float* sums = nullptr;  // (rows,)
  std::int64_t rows = 0;
  std::int32_t columns = 0;
  std::int32_t width = 1;
  const float* divide_by = nullptr;  // (rows,) or null
};

inline constexpr int kSumSharedBytes = kSumThreads * static_cast<int>(sizeof(double));

/// A sum as the gradient of the scale that it is divided by.
ROPEWALK_DEVICE float gradient_of(double sum, const float* divide_by, std::int64_t at) noexcept {
  if (divide_by == nullptr) return static_cast<float>(sum);
  const float by = divide_by[at];
  if (by == 0.0f) return ropewalk::detail::float_of(0x7fc00000u);
  return static_cast<float>(sum / static_cast<double>(by));
}

template <typename In, typename Out, typename Block>
ROPEWALK_DEVICE void sum_columns(Block& block, const ColumnSums<In, Out>& job) noexcept {
  auto* memory = reinterpret_cast<double*>(block.shared());
  const int thread = block.thread();
  const int column = block.index_y() * job.width + thread % job.width;
  const int down = kSumThreads / job.width;
  const std::int64_t part = block.index_x();
  const std::int64_t first = part * job.part_rows;
  const std::int64_t end = job.rows - first < job.part_rows ? job.rows : first + job.part_rows;
  double sums[4] = {};
  if (column < job.columns) {
    for (std::int64_t row = first + thread / job.width; row < end; row += 4 * down) {
      ROPEWALK_UNROLL
      for (int i = 0; i < 4; ++i) {
        const std::int64_t at = row + i * down;
        if (at < end) sums[i] += static_cast<double>(job.values[at * job.columns + column]);
      }
    }
  }
  memory[thread] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (int stride = kSumThreads / 2; stride >= job.width; stride /= 2) {
    block.sync();
    if (thread < stride) memory[thread] += memory[thread + stride];
  }
  if (thread >= job.width || column >= job.columns) return;
  // A thread's last sum is its own.
  if constexpr (sizeof(Out) == sizeof(double)) {
    job.sums[part * job.columns + column] = memory[thread];
  } else {
    job.sums[part * job.columns + column] = gradient_of(memory[thread], job.divide_by, column);
  }
}

/// Warp: a double of lane `lane ^ mask`.
template <typename Block>
ROPEWALK_DEVICE double exchange_double(Block& block, double value, int mask) noexcept {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  using ropewalk::detail::bits_of;
  using ropewalk::detail::float_of;
  const float low = block.exchange(float_of(static_cast<std::uint32_t>(bits)), mask);
  const float high = block.exchange(float_of(static_cast<std::uint32_t>(bits >> 32)), mask);
  bits = static_cast<std::uint64_t>(bits_of(high)) << 32 | bits_of(low);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <typename Block>
ROPEWALK_DEVICE void sum_rows(Block& block, const RowTotals& job) noexcept {
  const int lane = block.thread() % job.width;
  const std::int64_t row =
      std::int64_t{block.index_x()} * (kSumThreads / job.width) + block.thread() / job.width;
  double sum = 0.0;
  if (row < job.rows) {
    for (int column = lane; column < job.columns; column += job.width) {
      sum += static_cast<double>(job.values[row * job.columns + column]);
    }
  }
  for (int mask = job.width / 2; mask > 0; mask /= 2) sum += exchange_double(block, sum, mask);
  if (lane == 0 && row < job.rows) job.sums[row] = gradient_of(sum, job.divide_by, row);
}

/// The launches that turn g into gradients, in this order; each is left out where `blocks` is 0.
struct ScaleGradientSums {
  struct Grid {
    std::int64_t blocks = 0;
    int groups = 1;
  };
  Grid parts_grid;
  ColumnSums<float, double> parts;
  Grid heads_grid;  // either of the two
  ColumnSums<double, float> heads_of_parts;
  ColumnSums<float, float> heads;
  Grid rows_grid;
  RowTotals rows;
};

/// The sums of slopes (rows, heads).
///   parts        memory for them where scale_gradient_room() asks for some
inline ScaleGradientSums scale_gradient_sums(std::int64_t rows, int heads, const float* slopes,
                                             double* parts, const float* head_scale,
                                             const float* position_scale,
                                             const ScaleGradients& gradients) noexcept {
  ScaleGradientSums sums;
  const int width = sum_width(heads);
  if (gradients.head_scale != nullptr) {
    const std::int64_t count = sum_parts(rows, heads);
    const int groups = heads / width + (heads % width != 0);
    sums.heads_grid = {1, groups};
    if (count == 1) {
      sums.heads = {slopes, gradients.head_scale, rows, rows, heads, width, head_scale};
    } else {
      sums.parts_grid = {count, groups};
      const std::int64_t part_rows = rows / count + (rows % count != 0);
      sums.parts = {slopes, parts, rows, part_rows, heads, width, nullptr};
      sums.heads_of_parts = {parts, gradients.head_scale, count, count, heads, width, head_scale};
    }
  }
  if (gradients.position_scale != nullptr) {
    const int rows_at_once = kSumThreads / width;
    sums.rows_grid = {rows / rows_at_once + (rows % rows_at_once != 0), 1};
    sums.rows = {slopes, gradients.position_scale, rows, heads, width, position_scale};
  }
  return sums;
}

/// Where a call's g and parts lie, in the workspace or the caller's.
struct SlopeMemory {
  float* slopes = nullptr;  // (rows, heads)
  double* parts = nullptr;
  std::size_t entries = 0;
};

/// Of params that were validated.
template <typename Params>
SlopeMemory slope_memory(const Params& params) noexcept {
  const std::int64_t rows = gradient_rows(params);
  const int heads = gradient_heads(params);
  const ScaleGradientRoom room = scale_gradient_room(rows, heads, params.gradients);
  auto* memory = static_cast<unsigned char*>(params.workspace);
  SlopeMemory result;
  result.slopes = room.rows == 0 ? params.gradients.rows : reinterpret_cast<float*>(memory);
  if (room.parts != 0) result.parts = reinterpret_cast<double*>(memory + room.rows);
  result.entries = static_cast<std::size_t>(rows * heads);
  return result;
}

template <typename Params>
ScaleGradientSums sums_of(const Params& params, const SlopeMemory& memory, const float* head_scale,
                          const float* position_scale) noexcept {
  return scale_gradient_sums(gradient_rows(params), gradient_heads(params), memory.slopes,
                             memory.parts, head_scale, position_scale, params.gradients);
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
