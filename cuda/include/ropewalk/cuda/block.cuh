// What a kernel's body asks of the machine, as it is on a device: threads, asynchronous copies, matrix
// products. The host's emulation has the same members.
#pragma once

#include <ropewalk/cuda/chunk.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/fragment.hpp>
#include <ropewalk/element.hpp>

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// A thread's view of its block. Members that say "warp" are for all lanes of a warp together; those
/// that say "block" for all threads.
struct DeviceBlock {
  unsigned char* memory;  // shared, aligned to 16 bytes

  __device__ explicit DeviceBlock(unsigned char* shared) noexcept : memory(shared) {}

  __device__ int thread() const noexcept { return static_cast<int>(threadIdx.x); }
  __device__ int index_x() const noexcept { return static_cast<int>(blockIdx.x); }
  __device__ int index_y() const noexcept { return static_cast<int>(blockIdx.y); }
  __device__ int index_z() const noexcept { return static_cast<int>(blockIdx.z); }
  __device__ int size_x() const noexcept { return static_cast<int>(gridDim.x); }
  __device__ unsigned char* shared() const noexcept { return memory; }

  /// Block: a barrier.
  __device__ void sync() const noexcept { __syncthreads(); }
  /// Warp: a barrier.
  __device__ void sync_warp() const noexcept { __syncwarp(); }

  /// Copies 16 bytes to shared memory, or zeros where not `valid` (`global` is not read then). Both
  /// addresses are divisible by 16. Seen by this thread after wait(), by others after sync() too.
  __device__ void copy_chunk(void* shared_to, const void* global, bool valid) const noexcept {
    const int bytes = valid ? kChunkBytes : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared_to)),
                 "l"(global), "r"(bytes)
                 : "memory");
  }
  /// Ends a group of copies.
  __device__ void commit() const noexcept { asm volatile("cp.async.commit_group;" ::: "memory"); }
  /// Waits until all but the newest `kNewest` groups of this thread's copies have arrived.
  template <int kNewest>
  __device__ void wait() const noexcept {
    asm volatile("cp.async.wait_group %0;" ::"n"(kNewest) : "memory");
  }

  /// Warp: four 8 x 8 matrices, one word of each per lane; lane names row lane%8 of matrix lane/8.
  __device__ void load_matrices(std::uint32_t (&words)[4], const void* row) const noexcept {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(shared_address(row))
                 : "memory");
  }
  __device__ void load_transposed(std::uint32_t (&words)[4], const void* row) const noexcept {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(shared_address(row))
                 : "memory");
  }

  /// Warp: adds the product of 16 x 16 and 16 x 8 elements of T to an accumulator.
  template <typename T>
  __device__ void multiply(float (&sum)[4], const std::uint32_t (&left)[4], std::uint32_t right0,
                           std::uint32_t right1) const noexcept {
    if constexpr (std::is_same_v<T, float16>) {
      asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
          "{%8, %9}, {%0, %1, %2, %3};"
          : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
          : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right0), "r"(right1));
    } else {
      static_assert(std::is_same_v<T, bfloat16>, "products take float16 or bfloat16");
      asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
          "{%8, %9}, {%0, %1, %2, %3};"
          : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
          : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right0), "r"(right1));
    }
  }

  /// Two values rounded to T, the first in the lower half.
  template <typename T>
  __device__ std::uint32_t pack(float first, float second) const noexcept {
    return pack_two<T>(first, second);
  }

  /// Warp: the value of lane `lane ^ mask`.
  __device__ float exchange(float value, int mask) const noexcept {
    return __shfl_xor_sync(0xffffffffu, value, mask);
  }
  /// Warp: whether any lane says so.
  __device__ bool any(bool value) const noexcept { return __any_sync(0xffffffffu, value) != 0; }

  /// 2^x, relative error 2^-22 for x <= 0; 0 below -126.
  __device__ float power_of_two(float x) const noexcept {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
  }

 private:
  __device__ static std::uint32_t shared_address(const void* address) noexcept {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(address));
  }
};

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
