// Every rotary kernel, as a user's file would have them.
#include <ropewalk/cuda/rotary.cuh>

#include "unit.hpp"

namespace ROPEWALK_TEST_UNIT {

namespace rw = ropewalk;

template <typename T>
rw::cuda::Status both(const rw::cuda::RotaryParams<T>& rotary,
                      const rw::cuda::KvWriteParams<T>& write, cudaStream_t stream) {
  const rw::cuda::Status status = rw::cuda::rotate(rotary, stream);
  return status == cudaSuccess ? rw::cuda::rotate_and_store(write, stream) : status;
}

/// 0 where the entry points answer as they must without a launch.
int rotary() {
  // Empty problems are sound and launch nothing.
  rw::cuda::KvWriteParams<float> write;
  write.k.head_dim = write.v.head_dim = 2;
  rw::cuda::RotaryParams<float> rotary;
  rotary.q.head_dim = rotary.q_out.head_dim = 2;
  rotary.angles.pairs = 1;
  rw::cuda::KvWriteParams<rw::float16> half_write;
  rw::cuda::RotaryParams<rw::float16> half;
  rw::cuda::KvWriteParams<rw::bfloat16> brain_write;
  rw::cuda::RotaryParams<rw::bfloat16> brain;
  // Parameters without a pair are refused.
  const bool sound = both<float>(rotary, write, nullptr) == cudaSuccess;
  const bool refused = both<rw::float16>(half, half_write, nullptr) == cudaErrorInvalidValue &&
                       both<rw::bfloat16>(brain, brain_write, nullptr) == cudaErrorInvalidValue;
  return sound && refused ? 0 : 1;
}

}  // namespace ROPEWALK_TEST_UNIT
