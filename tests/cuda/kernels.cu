// Every rotary kernel, for the gates and the device tests: as a user's file would have them.
#include <ropewalk/cuda/rotary.cuh>

#include "kernels.hpp"

namespace rw = ropewalk;

namespace {

template <typename T>
rw::cuda::Status both(const rw::cuda::RotaryParams<T>& rotary,
                      const rw::cuda::KvWriteParams<T>& write, cudaStream_t stream) {
  const rw::cuda::Status status = rw::cuda::rotate(rotary, stream);
  return status == cudaSuccess ? rw::cuda::rotate_and_store(write, stream) : status;
}

}  // namespace

int ROPEWALK_TEST_UNIT() {
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

#ifdef ROPEWALK_TEST_PLANT_WARNING
// What the gate must refuse.
__global__ void planted() { int unused; }
#endif
#ifdef ROPEWALK_TEST_PLANT_SPILL
// The same: twice as many threads as the registers suffice for.
__global__ void __launch_bounds__(1024)
    planted(const __grid_constant__ rw::cuda::detail::RotaryJob<rw::float16> job) {
  using rw::cuda::detail::CachePolicy;
  rw::cuda::detail::rotary_thread<rw::float16, true, CachePolicy::keep, 8>(
      job, {blockIdx.x, static_cast<int>(blockIdx.y), static_cast<int>(threadIdx.x),
            static_cast<int>(threadIdx.y), static_cast<int>(threadIdx.z)});
}
#endif
