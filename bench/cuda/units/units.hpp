// The kernels of attention that are measured, compiled a head size at a time: units/.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>
#include <ropewalk/cuda/decode/params.hpp>
#include <ropewalk/cuda/launch.cuh>
#include <ropewalk/cuda/scale_gradient/params.hpp>

#include <cstddef>

namespace ropewalk_bench {

namespace rw = ropewalk;

/// Entry points for one element type and head size, every level of statistics.
template <typename T, int kHeadDim>
struct AttentionUnit {
  using Params = rw::cuda::AttentionParams<T>;
  static rw::cuda::Status attend(rw::cuda::Statistics level, const Params& params,
                                 cudaStream_t stream);
  static rw::cuda::Status statistics(rw::cuda::Statistics level, const Params& params,
                                     cudaStream_t stream);
};

template <typename T, int kHeadDim>
struct DecodeUnit {
  using Params = rw::cuda::DecodeParams<T>;
  static rw::cuda::Status decode(rw::cuda::Statistics level, const Params& params,
                                 cudaStream_t stream);
  static std::size_t workspace(const Params& params);
};

template <typename T, int kHeadDim>
struct GradientUnit {
  using Params = rw::cuda::SoftmaxScaleGradientParams<T>;
  static rw::cuda::Status gradients(const Params& params, cudaStream_t stream);
};

}  // namespace ropewalk_bench
