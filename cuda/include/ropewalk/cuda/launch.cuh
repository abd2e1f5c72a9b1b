// How device code is marked and how an entry point answers.
#pragma once

#include <ropewalk/error.hpp>

#include <cuda_runtime.h>

/// A kernel in a header: a template, private to the shared object that launches it, so that two
/// vendored copies do not meet.
#ifdef __GNUC__
#define ROPEWALK_HIDDEN __attribute__((visibility("hidden")))
#else
#define ROPEWALK_HIDDEN
#endif
#define ROPEWALK_KERNEL ROPEWALK_HIDDEN __global__ void

namespace ropewalk {
inline namespace v0 {
namespace cuda {

/// What an entry point answers. It converts to cudaError_t.
///   error        cudaErrorInvalidValue with the refused field in `fault`; else what the launch said:
///                cudaErrorNoKernelImageForDevice where the program was not compiled for the card
struct Status {
  cudaError_t error = cudaSuccess;
  Fault fault = {};

  constexpr operator cudaError_t() const noexcept { return error; }
};

namespace detail {

constexpr Status refused(const Fault& fault) noexcept { return {cudaErrorInvalidValue, fault}; }

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
