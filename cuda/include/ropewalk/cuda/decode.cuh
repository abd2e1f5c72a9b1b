// Decoding on the device: attention of the newest tokens to a dense or paged cache, with statistics.
//
//     DecodeParams<bfloat16> params;                       views of device memory, a cache
//     params.workspace_bytes = cuda::decode_workspace(params);
//     params.workspace = ...;                              once: it serves calls of this head_dim
//     if (const cuda::Status status = cuda::decode<Statistics::entropy, 128>(params, stream); ...
//
// Work is cut into equal shares on the device, from the lengths there: nothing is planned on the host,
// nothing is allocated and nothing waits, and a captured graph stays right as sequences grow. Results
// depend on the number of blocks, and are the same bits from run to run.
#pragma once

#include <ropewalk/cuda/block.cuh>
#include <ropewalk/cuda/decode/body.hpp>
#include <ropewalk/cuda/decode/checks.hpp>
#include <ropewalk/cuda/decode/merge.hpp>
#include <ropewalk/cuda/launch.cuh>

#include <cstddef>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

template <Statistics kStatistics, int kDim, typename T>
ROPEWALK_KERNEL __launch_bounds__(kDecodeThreads, DecodeShared<kDim>::kResident)
    decode_kernel(const __grid_constant__ DecodeJob<T> job) {
  extern __shared__ __align__(128) unsigned char memory[];
  wait_for_previous();
  release_next();
  DeviceBlock block(memory);
  decode_block<kStatistics, kDim>(block, job);
}

template <typename T>
ROPEWALK_KERNEL __launch_bounds__(kDecodeThreads)
    merge_kernel(const __grid_constant__ DecodeJob<T> job) {
  extern __shared__ __align__(128) unsigned char memory[];
  wait_for_previous();
  DeviceBlock block(memory);
  merge_records(block, job);
}

template <Statistics kStatistics, int kDim, typename T>
ROPEWALK_HIDDEN cudaError_t launch_decode(const DecodeJob<T>& job, bool overlap_previous,
                                          cudaStream_t stream) noexcept {
  static_assert(sizeof(DecodeJob<T>) <= 4096, "a launch must fit what every driver can pass");
  const auto blocks = static_cast<unsigned>(job.blocks);
  const cudaError_t error =
      launch(decode_kernel<kStatistics, kDim, T>,
             {dim3(blocks), dim3(kDecodeThreads), DecodeShared<kDim>::kBytes, overlap_previous},
             stream, job);
  if (error != cudaSuccess || blocks == 1) return error;  // one block completes every unit
  const int rows = job.group * job.line.queries;
  const auto merged = static_cast<unsigned>(rows < kDecodeRows ? rows : kDecodeRows);
  return launch(merge_kernel<T>,
                {dim3(blocks, merged), dim3(kDecodeThreads), kMergeSharedBytes, true}, stream, job);
}

/// As many blocks as the device runs at once.
ROPEWALK_HIDDEN inline cudaError_t count_decode_blocks(int head_dim, int& blocks) noexcept {
  int device = 0;
  int processors = 0;
  int shared = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  }
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerMultiprocessor, device);
  }
  if (error == cudaSuccess) blocks = decode_blocks(processors, shared, head_dim);
  return error;
}

}  // namespace detail

/// Bytes of workspace that decode(params) wants on the current device; 0 where it refuses
/// params.shape. Neither allocates nor waits.
template <typename T>
ROPEWALK_HIDDEN std::size_t decode_workspace(const DecodeParams<T>& params) noexcept {
  if (detail::check_shape(params.shape).code != Errc::ok) return 0;
  int blocks = params.blocks;
  if (blocks == 0 && detail::count_decode_blocks(params.shape.head_dim, blocks) != cudaSuccess) {
    return 0;
  }
  return blocks < 0 ? 0 : detail::decode_workspace_bytes(params.shape, blocks);
}

/// Attention of the newest tokens to a cache.
///   kStatistics  the statistics that are compiled: asking for more is refused
///   kDims        of 64, 96, 128, 256, those that are compiled; none named: all. Any other head_dim
///                is computed as the next of the four, and refused where that is not compiled
///   Refuses      what validate(params, blocks, level) does, with the field and its value; blocks 0 are
///                those of the device by then
template <Statistics kStatistics, int... kDims, typename T>
ROPEWALK_HIDDEN Status decode(const DecodeParams<T>& params, cudaStream_t stream) noexcept {
  if constexpr (sizeof...(kDims) == 0) {
    return decode<kStatistics, 64, 96, 128, 256>(params, stream);
  } else {
    static_assert(((detail::padded_head_dim(kDims) == kDims) && ...),
                  "head_dim is computed as 64, 96, 128 or 256");
    int blocks = params.blocks;
    if (blocks == 0) {
      const cudaError_t error = detail::count_decode_blocks(params.shape.head_dim, blocks);
      if (error != cudaSuccess) return {error, {}};
    }
    const Fault fault = validate(params, blocks, kStatistics);
    if (fault.code != Errc::ok) return detail::refused(fault);
    const int padded = detail::padded_head_dim(params.shape.head_dim);
    if (!((padded == kDims) || ...)) {
      return detail::refused(
          {Errc::unsupported, "shape.head_dim", static_cast<double>(params.shape.head_dim)});
    }
    if (params.shape.sequences == 0 || params.shape.queries == 0) return {};
    const detail::DecodeJob<T> job = detail::decode_job(params, blocks);
    cudaError_t error = cudaSuccess;
    static_cast<void>(((padded == kDims && (error = detail::launch_decode<kStatistics, kDims>(
                                                job, params.overlap_previous, stream),
                                            true)) ||
                       ...));
    return {error, {}};
  }
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
