// Attention and its statistics: of every size of head, level and type something, of the largest all
// that needs most registers.
#include <ropewalk/cuda/attention.cuh>

#include "unit.hpp"

namespace ROPEWALK_TEST_UNIT {

namespace rw = ropewalk;

template <typename T>
rw::cuda::Status all(const rw::cuda::AttentionParams<T>& params, cudaStream_t stream);

template <>
rw::cuda::Status all(const rw::cuda::AttentionParams<rw::bfloat16>& params, cudaStream_t stream) {
  using rw::cuda::Statistics;
  const rw::cuda::Status status = rw::cuda::attend<Statistics::variance, 128, 64>(params, stream);
  if (status != cudaSuccess) return status;
  return rw::cuda::attention_statistics<Statistics::lse, 256>(params, stream);
}

template <>
rw::cuda::Status all(const rw::cuda::AttentionParams<rw::float16>& params, cudaStream_t stream) {
  using rw::cuda::Statistics;
  const rw::cuda::Status status = rw::cuda::attend<Statistics::entropy, 96, 256>(params, stream);
  if (status != cudaSuccess) return status;
  return rw::cuda::attention_statistics<Statistics::variance, 128>(params, stream);
}

/// 0 where the entry points answer as they must without a launch.
int attention() {
  rw::cuda::AttentionParams<rw::bfloat16> brain;
  brain.shape.heads = brain.shape.kv_heads = 1;
  brain.shape.head_dim = 128;  // compiled with values, and no query to compute
  rw::cuda::AttentionParams<rw::float16> half;
  half.shape.heads = half.shape.kv_heads = 1;
  half.shape.head_dim = 64;  // not compiled
  const rw::cuda::Status missing = all(half, nullptr);
  const bool refused = missing == cudaErrorInvalidValue &&
                       missing.fault.code == rw::Errc::unsupported && missing.fault.value == 64.0;
  const bool sound = all(brain, nullptr).fault.value == 128.0;  // the statistics' size is not
  return refused && sound ? 0 : 1;
}

}  // namespace ROPEWALK_TEST_UNIT
