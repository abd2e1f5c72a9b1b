// What a unit of attention compiles.
#pragma once

#include "units.hpp"

#include <ropewalk/cuda/attention.cuh>

namespace ropewalk_bench {

template <typename T, int kHeadDim>
rw::cuda::Status AttentionUnit<T, kHeadDim>::attend(rw::cuda::Statistics level,
                                                    const Params& params, cudaStream_t stream) {
  using rw::cuda::Statistics;
  switch (level) {
    case Statistics::lse:
      return rw::cuda::attend<Statistics::lse, kHeadDim>(params, stream);
    case Statistics::entropy:
      return rw::cuda::attend<Statistics::entropy, kHeadDim>(params, stream);
    default:
      return rw::cuda::attend<Statistics::variance, kHeadDim>(params, stream);
  }
}

template <typename T, int kHeadDim>
rw::cuda::Status AttentionUnit<T, kHeadDim>::statistics(rw::cuda::Statistics level,
                                                        const Params& params, cudaStream_t stream) {
  using rw::cuda::Statistics;
  return level == Statistics::entropy
             ? rw::cuda::attention_statistics<Statistics::entropy, kHeadDim>(params, stream)
             : rw::cuda::attention_statistics<Statistics::variance, kHeadDim>(params, stream);
}

}  // namespace ropewalk_bench
