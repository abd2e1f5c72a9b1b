// What a unit of decoding compiles.
#pragma once

#include "units.hpp"

#include <ropewalk/cuda/decode.cuh>

namespace ropewalk_bench {

template <typename T, int kHeadDim>
rw::cuda::Status DecodeUnit<T, kHeadDim>::decode(rw::cuda::Statistics level, const Params& params,
                                                 cudaStream_t stream) {
  using rw::cuda::Statistics;
  switch (level) {
    case Statistics::lse:
      return rw::cuda::decode<Statistics::lse, kHeadDim>(params, stream);
    case Statistics::entropy:
      return rw::cuda::decode<Statistics::entropy, kHeadDim>(params, stream);
    default:
      return rw::cuda::decode<Statistics::variance, kHeadDim>(params, stream);
  }
}

template <typename T, int kHeadDim>
std::size_t DecodeUnit<T, kHeadDim>::workspace(const Params& params) {
  return rw::cuda::decode_workspace(params);
}

}  // namespace ropewalk_bench
