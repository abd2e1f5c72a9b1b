// Gradients of attention's scales on the device, three ways:
//
//     scale_gradients(params, stream)             from anybody's dq: one dot product per row
//     softmax_scale_gradients(params, stream)     without any dq: the cost of a forward pass
//     statistics_scale_gradients(params, stream)  of a loss on the rows' entropy or lse
//
// each followed by the sums over rows and heads. Nothing is allocated and nothing waits: calls may be
// captured into a graph. Nothing depends on chance: the same call gives the same bits.
//
// Error of g of a row, u = 2^-24: from dq (head_dim / 32 + 13) u sum |q dq|. From the softmax, z the
// logits and C = entropy + p s of a sink: (keys / 64 + 40 + 4 |z| and the logit's own error in units of
// u) u sum p |dP| (1 + |z - lse| + C): what is saved is lse rounded to float, so |z| beyond 1e3 costs
// digits. Sums add one rounding to float.
#pragma once

#include <ropewalk/cuda/block.cuh>
#include <ropewalk/cuda/launch.cuh>
#include <ropewalk/cuda/scale_gradient/checks.hpp>
#include <ropewalk/cuda/scale_gradient/rows.hpp>
#include <ropewalk/cuda/scale_gradient/softmax.hpp>
#include <ropewalk/cuda/scale_gradient/sums.hpp>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

template <typename T, typename G, bool kWide>
ROPEWALK_KERNEL __launch_bounds__(kRowThreads)
    row_dots_kernel(const __grid_constant__ RowDots<T, G> job) {
  wait_for_previous();
  DeviceBlock block(nullptr);
  dot_rows<T, G, kWide>(block, job);
}

// A template for its linkage alone.
template <typename Job>
ROPEWALK_KERNEL __launch_bounds__(kRowThreads)
    statistics_slopes_kernel(const __grid_constant__ Job job) {
  wait_for_previous();
  DeviceBlock block(nullptr);
  slope_of_statistics(block, job);
}

template <int kDim, typename T>
ROPEWALK_KERNEL __launch_bounds__(SlopeTile<kDim>::kThreads, SlopeTile<kDim>::kBlocks)
    softmax_slopes_kernel(const __grid_constant__ SlopeJob<T> job) {
  wait_for_previous();
  extern __shared__ __align__(128) unsigned char shared[];
  DeviceBlock block(shared);
  slope_block<kDim>(block, job);
}

template <typename In, typename Out>
ROPEWALK_KERNEL __launch_bounds__(kSumThreads)
    column_sums_kernel(const __grid_constant__ ColumnSums<In, Out> job) {
  wait_for_previous();
  release_next();
  __shared__ __align__(16) unsigned char shared[kSumSharedBytes];
  DeviceBlock block(shared);
  sum_columns(block, job);
}

template <typename Job>
ROPEWALK_KERNEL __launch_bounds__(kSumThreads) row_totals_kernel(const __grid_constant__ Job job) {
  wait_for_previous();
  release_next();
  DeviceBlock block(nullptr);
  sum_rows(block, job);
}

template <typename Job>
ROPEWALK_HIDDEN Status launch_slopes(void (*kernel)(Job), std::int64_t blocks, int threads,
                                     int shared_bytes, const Job& job,
                                     cudaStream_t stream) noexcept {
  if (blocks == 0) return {};
  if (blocks > 0x7fffffff) {
    return refused({Errc::above_maximum, "rows", static_cast<double>(blocks)});
  }
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(blocks), 1, 1);
  shape.block = dim3(static_cast<unsigned>(threads), 1, 1);
  shape.shared_bytes = static_cast<std::size_t>(shared_bytes);
  return {launch(kernel, shape, stream, job), {}};
}

/// Begins while the kernel before ends: that is this call's own, and the sum waits for it.
template <typename Job>
ROPEWALK_HIDDEN Status launch_sums(void (*kernel)(Job), const ScaleGradientSums::Grid& grid,
                                   const Job& job, cudaStream_t stream) noexcept {
  if (grid.blocks == 0) return {};
  if (grid.blocks > 0x7fffffff) {
    return refused({Errc::above_maximum, "rows", static_cast<double>(grid.blocks)});
  }
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(grid.blocks), static_cast<unsigned>(grid.groups), 1);
  shape.block = dim3(static_cast<unsigned>(kSumThreads), 1, 1);
  shape.overlap_previous = true;
  return {launch(kernel, shape, stream, job), {}};
}

inline ROPEWALK_HIDDEN Status launch_all_sums(const ScaleGradientSums& sums,
                                              cudaStream_t stream) noexcept {
  Status status =
      launch_sums(column_sums_kernel<float, double>, sums.parts_grid, sums.parts, stream);
  if (status != cudaSuccess) return status;
  if (sums.parts_grid.blocks != 0) {
    status = launch_sums(column_sums_kernel<double, float>, sums.heads_grid, sums.heads_of_parts,
                         stream);
  } else {
    status = launch_sums(column_sums_kernel<float, float>, sums.heads_grid, sums.heads, stream);
  }
  if (status != cudaSuccess) return status;
  return launch_sums(row_totals_kernel<RowTotals>, sums.rows_grid, sums.rows, stream);
}

template <int kDim, typename T>
ROPEWALK_HIDDEN Status launch_softmax_slopes(const SoftmaxScaleGradientParams<T>& params,
                                             float* slopes, cudaStream_t stream) noexcept {
  using Tile = SlopeTile<kDim>;
  const SlopeJob<T> job = slope_job<kDim>(params, slopes);
  const Status status = launch_slopes(softmax_slopes_kernel<kDim, T>, job.order.size(),
                                      Tile::kThreads, Tile::kSharedBytes, job, stream);
  // Of what a launch asks only its memory is too much for some card.
  if (status.error != cudaErrorInvalidValue || status.fault.code != Errc::ok) return status;
  return refused({Errc::unsupported, "shape.head_dim", static_cast<double>(job.head_dim)});
}

/// Launches the one of the compiled sizes that `size` is.
template <int kFirst, int... kRest, typename T>
ROPEWALK_HIDDEN Status launch_slopes_of_size(int size, const SoftmaxScaleGradientParams<T>& params,
                                             float* slopes, cudaStream_t stream) noexcept {
  static_assert(padded_head_dim(kFirst) == kFirst, "compile for 64, 96, 128 or 256");
  if (size == kFirst) return launch_softmax_slopes<kFirst>(params, slopes, stream);
  if constexpr (sizeof...(kRest) == 0) {
    return refused({Errc::unsupported, "shape.head_dim",
                    static_cast<double>(params.attention.shape.head_dim)});
  } else {
    return launch_slopes_of_size<kRest...>(size, params, slopes, stream);
  }
}

}  // namespace detail

/// Gradients of the scales from q and its gradient.
///   Refuses      what validate(params) does
template <typename T, typename G>
ROPEWALK_HIDDEN Status scale_gradients(const ScaleGradientParams<T, G>& params,
                                       cudaStream_t stream) noexcept {
  const Fault fault = validate(params);
  if (fault.code != Errc::ok) return detail::refused(fault);
  const detail::SlopeMemory memory = detail::slope_memory(params);
  const detail::RowDots<T, G> job = detail::row_dots(params, memory.slopes);
  const Status status =
      job.wide ? detail::launch_slopes(detail::row_dots_kernel<T, G, true>, job.blocks(),
                                       detail::kRowThreads, 0, job, stream)
               : detail::launch_slopes(detail::row_dots_kernel<T, G, false>, job.blocks(),
                                       detail::kRowThreads, 0, job, stream);
  if (status != cudaSuccess) return status;
  return detail::launch_all_sums(
      detail::sums_of(params, memory, params.head_scale, params.position_scale), stream);
}

/// Gradients of the scales from the gradient of the attention's output.
///   kHeadDims    sizes of head to compile, of 64, 96, 128, 256; none: all
///   Refuses      what validate(params) does, and a head_dim whose size was not compiled
template <int... kHeadDims, typename T>
ROPEWALK_HIDDEN Status softmax_scale_gradients(const SoftmaxScaleGradientParams<T>& params,
                                               cudaStream_t stream) noexcept {
  const Fault fault = validate(params);
  if (fault.code != Errc::ok) return detail::refused(fault);
  const detail::SlopeMemory memory = detail::slope_memory(params);
  if (params.attention.query_starts != nullptr && memory.entries > 0) {
    // Tokens between and behind the sequences belong to none.
    const cudaError_t error =
        cudaMemsetAsync(memory.slopes, 0, memory.entries * sizeof(float), stream);
    if (error != cudaSuccess) return {error, {}};
  }
  const int size = detail::padded_head_dim(params.attention.shape.head_dim);
  Status status;
  if constexpr (sizeof...(kHeadDims) == 0) {
    status = detail::launch_slopes_of_size<64, 96, 128, 256>(size, params, memory.slopes, stream);
  } else {
    status = detail::launch_slopes_of_size<kHeadDims...>(size, params, memory.slopes, stream);
  }
  if (status != cudaSuccess) return status;
  const LogitScale& scale = params.attention.scale;
  return detail::launch_all_sums(
      detail::sums_of(params, memory, scale.head_scale, scale.position_scale), stream);
}

/// Gradients of the scales from gradients at the rows' entropy and lse.
///   Refuses      what validate(params) does
ROPEWALK_HIDDEN inline Status statistics_scale_gradients(
    const StatisticsScaleGradientParams& params, cudaStream_t stream) noexcept {
  const Fault fault = validate(params);
  if (fault.code != Errc::ok) return detail::refused(fault);
  const detail::SlopeMemory memory = detail::slope_memory(params);
  const detail::StatisticsSlopes job = detail::statistics_slopes(params, memory.slopes);
  const std::int64_t blocks =
      job.entries / detail::kRowThreads + (job.entries % detail::kRowThreads != 0);
  const Status status =
      detail::launch_slopes(detail::statistics_slopes_kernel<detail::StatisticsSlopes>, blocks,
                            detail::kRowThreads, 0, job, stream);
  if (status != cudaSuccess) return status;
  return detail::launch_all_sums(
      detail::sums_of(params, memory, params.scale.head_scale, params.scale.position_scale),
      stream);
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
