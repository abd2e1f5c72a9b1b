// How device code is marked, how kernels are launched and how an entry point answers.
#pragma once

#include <ropewalk/cuda/device.hpp>
#include <ropewalk/error.hpp>

#include <cuda_runtime.h>

#include <cstddef>

/// A kernel in a header: a template, hidden as what it is launched by.
#define ROPEWALK_KERNEL ROPEWALK_HIDDEN __global__ void

namespace ropewalk {
inline namespace v0 {
namespace cuda {

/// What an entry point answers. It converts to cudaError_t.
///   error        cudaErrorInvalidValue with the refused field in `fault`; else what the launch
///                said: cudaErrorNoKernelImageForDevice where the program was not compiled for the
///                card
struct [[nodiscard]] Status {
  cudaError_t error = cudaSuccess;
  Fault fault = {};

  constexpr operator cudaError_t() const noexcept { return error; }
};

namespace detail {

constexpr Status refused(const Fault& fault) noexcept { return {cudaErrorInvalidValue, fault}; }

/// Size of a launch.
struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;   // dynamic shared memory
  bool overlap_previous = false;  // the kernel calls wait_for_previous() in every thread
};

/// In a kernel: everything the kernels before it in the stream wrote is there from here on. Before
/// the first access to memory that one of them touches, in every thread; nothing below compute
/// capability 9.0 and in launches that do not overlap.
__device__ __forceinline__ void wait_for_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// In a kernel: the next one of the stream may begin, up to its wait_for_previous(), as soon as
/// every block of this one was here or has ended. It still sees all that this one writes.
__device__ __forceinline__ void release_next() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/// Launches a kernel. Asks for dynamic shared memory beyond 48 KiB where the shape does, and for
/// the overlap where both card and machine code know it: code for an older architecture, compiled
/// by the driver for a newer card, does not wait and must not overlap.
template <typename... Parameters, typename... Arguments>
ROPEWALK_HIDDEN cudaError_t launch(void (*kernel)(Parameters...), const LaunchShape& shape,
                                   cudaStream_t stream, const Arguments&... arguments) noexcept {
  constexpr std::size_t shared_of_all_cards = 48 * 1024;
  if (shape.shared_bytes > shared_of_all_cards) {
    const cudaError_t error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                   cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                   static_cast<int>(shape.shared_bytes));
    if (error != cudaSuccess) return error;
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  cudaLaunchAttribute overlap = {};
  if (shape.overlap_previous) {
    constexpr int first_version = 90;  // 10 * major + minor
    cudaFuncAttributes compiled = {};
    const cudaError_t error =
        cudaFuncGetAttributes(&compiled, reinterpret_cast<const void*>(kernel));
    if (error != cudaSuccess) return error;
    if (compiled.ptxVersion >= first_version && compiled.binaryVersion >= first_version) {
      overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
      overlap.val.programmaticStreamSerializationAllowed = 1;
      config.attrs = &overlap;
      config.numAttrs = 1;
    }
  }
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
