// Every kernel of the scales' gradients, as a user's file would have them.
#include <ropewalk/cuda/scale_gradient.cuh>

#include "unit.hpp"

namespace ROPEWALK_TEST_UNIT {

namespace rw = ropewalk;

/// Parameters without heads are refused.
template <typename T, typename G>
bool refuses_dots() {
  return rw::cuda::scale_gradients(rw::cuda::ScaleGradientParams<T, G>{}, nullptr) ==
         cudaErrorInvalidValue;
}

template <typename T>
bool refuses_softmax() {
  return rw::cuda::softmax_scale_gradients(rw::cuda::SoftmaxScaleGradientParams<T>{}, nullptr) ==
         cudaErrorInvalidValue;
}

/// 0 where the entry points answer as they must without a launch.
int scale_gradient() {
  // Without rows and without sums to give, nothing is launched.
  float rows = 0.0f;
  rw::cuda::ScaleGradientParams<float> none;
  none.heads = none.head_dim = 1;
  none.gradients.rows = &rows;
  const bool sound = rw::cuda::scale_gradients(none, nullptr) == cudaSuccess;
  const bool refused = refuses_dots<rw::float16, rw::float16>() &&
                       refuses_dots<rw::bfloat16, rw::bfloat16>() &&
                       refuses_dots<rw::bfloat16, float>() && refuses_softmax<rw::float16>() &&
                       refuses_softmax<rw::bfloat16>() &&
                       rw::cuda::statistics_scale_gradients({}, nullptr) == cudaErrorInvalidValue;
  return sound && refused ? 0 : 1;
}

}  // namespace ROPEWALK_TEST_UNIT
