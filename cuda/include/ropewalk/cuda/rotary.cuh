// Rotation on the device: queries and keys turned by exact angles, head and position scales folded
// into the queries, keys and values written to a cache on the way.
//
//     RotaryParams<bfloat16> params;                       views of device memory
//     params.angles = rotary_angles(phase_turns(spectrum));
//     if (const cuda::Status status = cuda::rotate(params, stream); status != cudaSuccess) ...
//
// Nothing is allocated and nothing waits: calls may be captured into a graph, with the angles and
// addresses of the moment.
//
// Max error of an element, u = 2^-24, A the attention factor, n = |(x, y)|: (2.7 + 3) u A n from
// steps (1.1e-7 sqrt 2 of the angles, one rounding each of the factor, the products and the sum),
// 3.1 u A n from a table of correctly rounded floats; 2 u A n more for scales (all times the
// scales); the 16-bit types add half a unit in the last place of the result.
#pragma once

#include <ropewalk/cuda/launch.cuh>
#include <ropewalk/cuda/rotary/body.hpp>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// Bounds the registers so that half of the threads a processor holds run together.
inline constexpr int kRotaryThreads = 512;

template <typename T, bool kWide, CachePolicy kStores>
ROPEWALK_KERNEL __launch_bounds__(kRotaryThreads)
    rotary_kernel(const __grid_constant__ RotaryJob<T> job) {
  wait_for_previous();
  release_next();
  const RotaryThread id{static_cast<std::int64_t>(blockIdx.x), static_cast<int>(blockIdx.y),
                        static_cast<int>(threadIdx.x), static_cast<int>(threadIdx.y),
                        static_cast<int>(threadIdx.z)};
  rotary_thread<T, kWide, kStores>(job, id);
}

template <CachePolicy kStores, typename T>
ROPEWALK_HIDDEN Status launch_rotary(const RotaryJob<T>& job, bool overlap_previous,
                                     cudaStream_t stream) noexcept {
  static_assert(sizeof(RotaryJob<T>) <= 4096, "a launch must fit what every driver can pass");
  if (job.blocks == 0) return {};
  if (job.blocks > 0x7fffffff) {
    return refused({Errc::above_maximum, "tokens", static_cast<double>(job.tokens)});
  }
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(job.blocks), static_cast<unsigned>(job.groups), 1);
  shape.block = dim3(static_cast<unsigned>(job.columns), static_cast<unsigned>(job.lanes),
                     static_cast<unsigned>(job.block_tokens));
  shape.overlap_previous = overlap_previous;
  return {job.wide ? launch(rotary_kernel<T, true, kStores>, shape, stream, job)
                   : launch(rotary_kernel<T, false, kStores>, shape, stream, job),
          {}};
}

}  // namespace detail

/// Turns queries and keys.
///   Refuses      what validate(params) does
template <typename T>
ROPEWALK_HIDDEN Status rotate(const RotaryParams<T>& params, cudaStream_t stream) noexcept {
  const Fault fault = validate(params);
  if (fault.code != Errc::ok) return detail::refused(fault);
  return detail::launch_rotary<detail::CachePolicy::once>(detail::rotary_job(params),
                                                          params.overlap_previous, stream);
}

/// Turns queries and keys, and writes keys and values to a cache.
///   Refuses      what validate(params) does
template <typename T>
ROPEWALK_HIDDEN Status rotate_and_store(const KvWriteParams<T>& params,
                                        cudaStream_t stream) noexcept {
  const Fault fault = validate(params);
  if (fault.code != Errc::ok) return detail::refused(fault);
  // The cache is read next: what is written may stay.
  return detail::launch_rotary<detail::CachePolicy::keep>(detail::rotary_job(params),
                                                          params.overlap_previous, stream);
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
