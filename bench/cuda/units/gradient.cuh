// What a unit of gradients compiles.
#pragma once

#include "units.hpp"

#include <ropewalk/cuda/scale_gradient.cuh>

namespace ropewalk_bench {

template <typename T, int kHeadDim>
rw::cuda::Status GradientUnit<T, kHeadDim>::gradients(const Params& params, cudaStream_t stream) {
  return rw::cuda::softmax_scale_gradients<kHeadDim>(params, stream);
}

}  // namespace ropewalk_bench
