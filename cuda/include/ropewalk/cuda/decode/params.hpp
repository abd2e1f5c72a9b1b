// What decoding is asked. Host code without CUDA types; pointers are to device memory.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>
#include <ropewalk/cuda/kv_cache.hpp>
#include <ropewalk/cuda/rotary/params.hpp>
#include <ropewalk/rope_config.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {

/// Attention of the newest tokens of some sequences to the keys of a cache. Key j stands at position
/// j; of n queries the last one stands at the last key, as after the write of their own keys.
///   T            float16 or bfloat16
template <typename T>
struct DecodeParams {
  AttentionShape shape;    ///< `keys` is not read
  BatchView<const T> q;    ///< rotated
  BatchView<T> out;        ///< memory of its own
  KvCache<const T> cache;  ///< k and v divisible by 16 bytes, strides by 8 elements; pages of a
                           ///< multiple of 16 tokens keep neighbouring keys together
  const std::int32_t* key_counts = nullptr;  ///< (sequences,) tokens in the cache; what the cache
                                             ///< cannot hold is not there
  LogitScale scale;
  AttentionMask mask;
  RowOutputs statistics;  ///< (sequences * queries, heads)

  /// For a cache of keys as they were before rotation: key j is turned by these angles at j and
  /// rounded to T as it is read, which gives what rotate_and_store would have kept. pairs 0: keys
  /// are used as they are. Pairs and first_dim are multiples of 8.
  RotaryAngles angles;
  Pairing pairing = Pairing::half_split;
  int first_dim = 0;

  /// Of decode_workspace() bytes, divisible by 16; not shared by calls that may overlap. Its contents
  /// need not be kept between calls.
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  int blocks = 0;  ///< of threads; 0: as many as the device runs at once

  /// Lets the kernel begin while the previous one of the stream ends, from compute capability 9.0 on
  /// (programmatic dependent launch): it waits before it reads or writes. Changes no result.
  bool overlap_previous = false;
};

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
