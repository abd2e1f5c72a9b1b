// Kernels of decoding, as a user's file would have them: each size of head, type and level once or
// more, the largest with all statistics, which take the most registers.
#include <ropewalk/cuda/decode.cuh>

#include "unit.hpp"

namespace ROPEWALK_TEST_UNIT {

/// 0 where the entry points answer as they must without a launch.
int decode() {
  namespace rc = ropewalk::cuda;
  rc::DecodeParams<ropewalk::bfloat16> brain;
  rc::DecodeParams<ropewalk::float16> half;
  half.blocks = brain.blocks = 1;
  // No heads: refused.
  const bool refused =
      rc::decode<rc::Statistics::variance, 64, 128, 256>(brain, nullptr) == cudaErrorInvalidValue &&
      rc::decode<rc::Statistics::lse, 96>(brain, nullptr) == cudaErrorInvalidValue &&
      rc::decode<rc::Statistics::entropy, 128>(half, nullptr) == cudaErrorInvalidValue &&
      rc::decode_workspace(brain) == 0;
  // No sequences: done. A size that is not compiled: refused whatever else.
  half.shape.heads = half.shape.kv_heads = 4;
  half.shape.head_dim = 128;
  const bool sound = rc::decode<rc::Statistics::entropy, 128>(half, nullptr) == cudaSuccess &&
                     rc::decode_workspace(half) >= 2 * 16 * 132 * sizeof(float);
  brain.shape = half.shape;
  const rc::Status other = rc::decode<rc::Statistics::lse, 96>(brain, nullptr);
  return refused && sound && other.fault.code == ropewalk::Errc::unsupported ? 0 : 1;
}

}  // namespace ROPEWALK_TEST_UNIT
