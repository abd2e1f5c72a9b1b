// Attention on the device that tells what its rows saw: output, logarithm of the sum of exponentials,
// entropy, mean and variance of the logits.
//
//     AttentionParams<bfloat16> params;                    views of device memory, sizes, scales, mask
//     params.statistics.entropy = entropy;
//     const Status status = attend<Statistics::entropy>(params, stream);
//     if (status != cudaSuccess) ...                       status.fault names a refused field
//
// Nothing is allocated and nothing waits: calls may be captured into a graph. Results do not depend
// on chance: the same call gives the same bits.
//
// A size of head is compiled for each of 64, 96, 128, 256, or for those named only,
// attend<Statistics::lse, 64, 128>(...); a head_dim in between is padded with zeros.
//
// Error: logits to (2 head_dim + 6) u sum |q_i k_i| scale, u = 2^-24, whether a product's sum is
// rounded or cut off; sums relative to (keys / 24 + 40) u; weights are rounded to the type once before
// they meet the values, and the output once.
#pragma once

#include <ropewalk/cuda/attention/checks.hpp>
#include <ropewalk/cuda/attention/forward.hpp>
#include <ropewalk/cuda/block.cuh>
#include <ropewalk/cuda/launch.cuh>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

template <typename Traits>
ROPEWALK_KERNEL __launch_bounds__(Traits::kThreads, 2)
    forward_kernel(const __grid_constant__ ForwardJob<typename Traits::Element> job) {
  extern __shared__ __align__(128) unsigned char shared[];
  wait_for_previous();
  release_next();
  DeviceBlock block(shared);
  forward<Traits>(block, job);
}

template <typename Traits, typename T>
ROPEWALK_HIDDEN Status launch_forward(const AttentionParams<T>& params,
                                      cudaStream_t stream) noexcept {
  const ForwardJob<T> job = forward_job<Traits>(params);
  const std::int64_t blocks = job.order.size();
  if (blocks == 0) return {};
  if (blocks > 0x7fffffff) {
    return refused(
        {Errc::above_maximum, "shape.queries", static_cast<double>(job.order.row_tiles)});
  }
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(blocks), 1, 1);
  shape.block = dim3(static_cast<unsigned>(Traits::kThreads), 1, 1);
  shape.shared_bytes = static_cast<std::size_t>(Traits::kSharedBytes);
  shape.overlap_previous = params.overlap_previous;
  return {launch(forward_kernel<Traits>, shape, stream, job), {}};
}

/// Launches the one of the compiled sizes that `size` is.
template <Statistics kStatistics, bool kValues, int kFirst, int... kRest, typename T>
ROPEWALK_HIDDEN Status launch_head_dim(int size, const AttentionParams<T>& params,
                                       cudaStream_t stream) noexcept {
  static_assert(padded_head_dim(kFirst) == kFirst, "compile for 64, 96, 128 or 256");
  if (size == kFirst) {
    return launch_forward<ForwardTraits<T, kFirst, kStatistics, kValues>>(params, stream);
  }
  if constexpr (sizeof...(kRest) == 0) {
    return refused(
        {Errc::unsupported, "shape.head_dim", static_cast<double>(params.shape.head_dim)});
  } else {
    return launch_head_dim<kStatistics, kValues, kRest...>(size, params, stream);
  }
}

template <Statistics kStatistics, bool kValues, int... kHeadDims, typename T>
ROPEWALK_HIDDEN Status attend_checked(const AttentionParams<T>& params,
                                      cudaStream_t stream) noexcept {
  Fault fault = validate(params);
  if (fault.code == Errc::ok) fault = check_statistics(params.statistics, kStatistics);
  if (fault.code == Errc::ok) fault = check_values(params, kValues);
  if (fault.code != Errc::ok) return refused(fault);
  const int size = padded_head_dim(params.shape.head_dim);
  if constexpr (sizeof...(kHeadDims) == 0) {
    return launch_head_dim<kStatistics, kValues, 64, 96, 128, 256>(size, params, stream);
  } else {
    return launch_head_dim<kStatistics, kValues, kHeadDims...>(size, params, stream);
  }
}

}  // namespace detail

/// Attention, with the statistics that `params` name up to the level.
///   kHeadDims    sizes of head to compile, of 64, 96, 128, 256; none: all
///   Refuses      what validate(params) does, outputs beyond the level, and a head_dim whose size was
///                not compiled
template <Statistics kStatistics, int... kHeadDims, typename T>
ROPEWALK_HIDDEN Status attend(const AttentionParams<T>& params, cudaStream_t stream) noexcept {
  return detail::attend_checked<kStatistics, true, kHeadDims...>(params, stream);
}

/// The statistics alone: one of the two products, to run beside an attention that does not tell them.
/// `params` as of attend() with v and out left null.
template <Statistics kStatistics, int... kHeadDims, typename T>
ROPEWALK_HIDDEN Status attention_statistics(const AttentionParams<T>& params,
                                            cudaStream_t stream) noexcept {
  return detail::attend_checked<kStatistics, false, kHeadDims...>(params, stream);
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
