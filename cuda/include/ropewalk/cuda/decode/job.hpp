// A decoding as its kernels are told of it, by value.
#pragma once

#include <ropewalk/cuda/decode/params.hpp>
#include <ropewalk/cuda/decode/shared.hpp>
#include <ropewalk/cuda/device.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// A unit that a block began and others go on with.
struct alignas(16) DecodeHeader {
  std::int32_t sequence = -1;  // < 0: none
  std::int32_t unit = 0;
  std::int32_t last_block = 0;
  std::int32_t unused = 0;
};
static_assert(sizeof(DecodeHeader) == kDecodeHeaderBytes, "as the workspace was measured");

/// Four floats that are moved as one.
struct alignas(16) FourFloats {
  float value[4];
};

/// A row: where it lies.
struct DecodeRow {
  std::int64_t index = 0;  // of the statistics
  std::int64_t token = 0;  // sequence * queries + query
  std::int32_t sequence = 0;
  std::int32_t query = 0;
  std::int32_t head = 0;
  bool exists = false;
};

template <typename T>
struct DecodeJob {
  const T* q = nullptr;
  T* out = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  std::int64_t q_sequence_stride = 0;
  std::int64_t q_token_stride = 0;
  std::int64_t q_head_stride = 0;
  std::int64_t out_sequence_stride = 0;
  std::int64_t out_token_stride = 0;
  std::int64_t out_head_stride = 0;
  std::int64_t page_stride = 0;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  PageMap pages;
  DecodeLine line;

  std::int32_t heads = 0;
  std::int32_t group = 1;       // heads of a kv head
  std::int32_t row_blocks = 1;  // units of a kv head
  std::int32_t head_dim = 0;
  std::int32_t padded_dim = 0;
  std::int32_t blocks = 0;

  float scale = 0.0f;  // in base 2
  const float* head_scale = nullptr;
  const float* position_scale = nullptr;
  const float* sink_logit = nullptr;
  RowOutputs statistics;

  RotaryAngles angles;
  std::int32_t first_dim = 0;
  bool interleaved = false;

  DecodeHeader* headers = nullptr;  // (blocks,)
  float* records = nullptr;         // (2 * blocks, decode_record_floats)

  /// Row `row` of a unit: heads of a group are neighbours.
  ROPEWALK_HOST_DEVICE DecodeRow row(int sequence, int unit, int row) const noexcept {
    DecodeRow result;
    const int kv_head = unit / row_blocks;
    const int within = (unit - kv_head * row_blocks) * kDecodeRows + row;
    result.sequence = sequence;
    result.query = within / group;
    result.head = kv_head * group + (within - result.query * group);
    result.exists = result.query < line.queries;
    result.token = std::int64_t{sequence} * line.queries + result.query;
    result.index = result.token * heads + result.head;
    return result;
  }
};

/// The job of parameters that were validated.
template <typename T>
ROPEWALK_HIDDEN DecodeJob<T> decode_job(const DecodeParams<T>& params, int blocks) noexcept {
  const AttentionShape& shape = params.shape;
  DecodeJob<T> job;
  job.q = params.q.data;
  job.out = params.out.data;
  job.k = params.cache.k;
  job.v = params.cache.v;
  job.q_sequence_stride = params.q.sequence_stride;
  job.q_token_stride = params.q.token_stride;
  job.q_head_stride = params.q.head_stride;
  job.out_sequence_stride = params.out.sequence_stride;
  job.out_token_stride = params.out.token_stride;
  job.out_head_stride = params.out.head_stride;
  job.page_stride = params.cache.page_stride;
  job.token_stride = params.cache.token_stride;
  job.head_stride = params.cache.head_stride;
  job.pages = page_map(params.cache);
  job.line.key_counts = params.key_counts;
  job.line.sequences = shape.sequences;
  job.line.most_keys = static_cast<std::int32_t>(params.cache.tokens_per_sequence());
  job.line.queries = shape.queries;
  job.line.units = static_cast<std::int32_t>(decode_units(shape));
  job.line.mask = params.mask;
  job.heads = shape.heads;
  job.group = shape.heads / shape.kv_heads;
  job.row_blocks = job.line.units / shape.kv_heads;
  job.head_dim = shape.head_dim;
  job.padded_dim = padded_head_dim(shape.head_dim);
  job.blocks = blocks;
  job.scale = base_two_scale(params.scale, shape.head_dim);
  job.head_scale = params.scale.head_scale;
  job.position_scale = params.scale.position_scale;
  job.sink_logit = params.scale.sink_logit;
  job.statistics = params.statistics;
  job.angles = params.angles;
  job.first_dim = params.first_dim;
  job.interleaved = params.pairing == Pairing::interleaved;
  auto* memory = static_cast<unsigned char*>(params.workspace);
  job.headers = reinterpret_cast<DecodeHeader*>(memory);
  job.records = reinterpret_cast<float*>(memory + decode_records_at(blocks));
  return job;
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
