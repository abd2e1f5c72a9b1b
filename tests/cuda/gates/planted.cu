// What a gate must refuse, each behind its macro; nothing else.
#include <ropewalk/cuda/launch.cuh>

__global__ void sound(float* x) { x[threadIdx.x] = 1.0f; }

#ifdef ROPEWALK_TEST_PLANT_WARNING
__global__ void planted() { int unused; }
#endif

#ifdef ROPEWALK_TEST_PLANT_SPILL
// More values at once than the 64 registers of 1024 threads hold.
__global__ void __launch_bounds__(1024) planted(const float* in, float* out) {
  constexpr int kValues = 128;
  float values[kValues];
  for (int i = 0; i < kValues; ++i) values[i] = in[i * 1024 + threadIdx.x];
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kValues; ++i) {
      values[i] = values[i] * values[(5 * i + 3) % kValues] + values[(i + 1) % kValues];
    }
  }
  for (int i = 0; i < kValues; ++i) out[i * 1024 + threadIdx.x] = values[i];
}
#endif

#ifdef ROPEWALK_TEST_PLANT_STACK
// An array with an index that no compiler knows.
__global__ void planted(const int* in, int* out) {
  int values[64];
  for (int i = 0; i < 64; ++i) values[i] = in[i];
  for (int i = 0; i < in[64]; ++i) values[in[i] & 63] += i;
  out[0] = values[in[65] & 63];
}
#endif

#ifdef ROPEWALK_TEST_PLANT_HASTE
// Reads before the kernel that writes it has ended.
__global__ void planted(const float* in, float* out) {
  const float value = in[threadIdx.x];
  ropewalk::cuda::detail::wait_for_previous();
  out[threadIdx.x] = value;
}
#endif
