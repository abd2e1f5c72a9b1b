// One kernel for each instruction that cubin_check knows: where an architecture or a toolkit
// encodes one otherwise, its count is 0 and the gate of this file fails.
#include <ropewalk/cuda/launch.cuh>

#include <cstdint>

__global__ void plain(const float* in, float* out) { out[threadIdx.x] = in[threadIdx.x]; }

__global__ void sixteen_bytes(const uint4* in, uint4* out) { out[threadIdx.x] = in[threadIdx.x]; }

__global__ void shared_memory(const float* in, float* out) {
  __shared__ float tile[64];
  tile[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

__global__ void copies(const uint4* in, uint4* out) {
  __shared__ uint4 tile[64];
  const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(tile + threadIdx.x));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(in + threadIdx.x));
  asm volatile("cp.async.commit_group; cp.async.wait_group 0;" ::: "memory");
  __syncthreads();
  std::uint32_t a, b, c, d;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(a), "=r"(b), "=r"(c), "=r"(d)
               : "r"(to));
  out[threadIdx.x] = {a, b, c, d};
}

__global__ void products(const std::uint32_t* in, float* out) {
  const std::uint32_t a = in[threadIdx.x], b = in[threadIdx.x + 32];
  float c[4] = {}, d[4] = {};
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %4, %5, %5}, "
      "{%4, %5}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a), "r"(b));
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %4, %5, %5}, "
      "{%4, %5}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a), "r"(b));
  out[threadIdx.x] = c[0] + c[1] + c[2] + c[3] + d[0] + d[1] + d[2] + d[3];
}

__global__ void exponential(float* x) { asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(x[threadIdx.x])); }

__global__ void atomic_sum(float* x) { atomicAdd(x + threadIdx.x, 1.0f); }
__global__ void atomic_sum_back(float* x) { x[99] = atomicAdd(x + threadIdx.x, 1.0f); }
__global__ void atomic_count(int* x) { atomicAdd(x + threadIdx.x, 3); }
__global__ void atomic_count_back(int* x) { x[99] = atomicAdd(x + threadIdx.x, x[3]); }
__global__ void atomic_compare(int* x) { x[99] = atomicCAS(x + threadIdx.x, 3, 4); }

template <typename T>
__device__ void shared_sum(T* x, int at) {
  __shared__ T tile[64];
  tile[threadIdx.x] = x[0];
  __syncthreads();
  atomicAdd(tile + at, x[2]);
  __syncthreads();
  x[threadIdx.x] = tile[threadIdx.x];
}

__global__ void atomic_shared_uniform(int* x, int at) { shared_sum(x, at); }
__global__ void atomic_shared_count(int* x) { shared_sum(x, x[threadIdx.x]); }
__global__ void atomic_shared_sum(float* x, int at) { shared_sum(x, at); }

__global__ void dependent(float* x) {
  ropewalk::cuda::detail::wait_for_previous();
  const float value = x[threadIdx.x];
  ropewalk::cuda::detail::release_next();
  x[threadIdx.x] = 2.0f * value;
}
