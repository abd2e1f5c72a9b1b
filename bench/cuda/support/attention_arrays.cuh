// Arrays of an attention on the device, several sets of them, and rows of them as doubles.
#pragma once

#include "bench.hpp"
#include "device.cuh"
#include "exact_row.hpp"

#include <ropewalk/cuda/attention/params.hpp>

#include <string>
#include <type_traits>
#include <vector>

namespace ropewalk_bench {

template <typename T>
constexpr const char* element_name() {
  return sizeof(T) == 4 ? "f32" : (std::is_same_v<T, ropewalk::float16> ? "f16" : "bf16");
}

/// Half a unit in the last place, relative.
template <typename T>
constexpr double rounding_of() {
  return std::is_same_v<T, ropewalk::float16> ? 0x1p-11 : 0x1p-8;
}

inline ropewalk::cuda::AttentionShape shape_of(const CaseShape& shape) {
  return {static_cast<int>(shape.sequences), static_cast<int>(shape.queries),
          static_cast<int>(shape.keys),      static_cast<int>(shape.heads),
          static_cast<int>(shape.kv_heads),  static_cast<int>(shape.head_dim)};
}

/// (sequence, token, head, dim), contiguous.
template <typename T>
ropewalk::cuda::BatchView<T> contiguous(T* data, std::int64_t tokens, std::int64_t heads,
                                        std::int64_t head_dim) {
  return {data, tokens * heads * head_dim, heads * head_dim, head_dim};
}

/// One set of inputs of an attention of `shape`.
template <typename T>
struct AttentionSet {
  DeviceArray<T> q, k, v;

  AttentionSet(const CaseShape& shape, std::uint64_t seed)
      : q(normal_array<T>(shape.sequences * shape.queries * shape.heads * shape.head_dim, 1.0,
                          3 * seed)),
        k(normal_array<T>(shape.sequences * shape.keys * shape.kv_heads * shape.head_dim, 1.0,
                          3 * seed + 1)),
        v(normal_array<T>(k.size(), 1.0, 3 * seed + 2)) {}

  std::int64_t bytes() const {
    return static_cast<std::int64_t>(q.bytes() + k.bytes() + v.bytes());
  }
};

/// Where rows go: outputs and statistics of one call at a time.
template <typename T>
struct AttentionResults {
  DeviceArray<T> out;
  DeviceArray<float> lse, entropy, mean, variance;

  explicit AttentionResults(const CaseShape& shape)
      : out(shape.sequences * shape.queries * shape.heads * shape.head_dim),
        lse(shape.sequences * shape.queries * shape.heads),
        entropy(lse.size()),
        mean(lse.size()),
        variance(lse.size()) {}

  void poison() {
    out.poison();
    for (DeviceArray<float>* array : {&lse, &entropy, &mean, &variance}) array->poison();
  }

  ropewalk::cuda::RowOutputs statistics(ropewalk::cuda::Statistics level) const {
    using ropewalk::cuda::Statistics;
    ropewalk::cuda::RowOutputs outputs;
    outputs.lse = lse.data();
    if (level != Statistics::lse) {
      outputs.entropy = entropy.data();
      outputs.mean = mean.data();
    }
    if (level == Statistics::variance) outputs.variance = variance.data();
    return outputs;
  }

  /// Row `row` of head `head` as the call of this level left it.
  RowFound row(const CaseShape& shape, std::int64_t row, std::int64_t head,
               ropewalk::cuda::Statistics level, bool with_output) const {
    using ropewalk::cuda::Statistics;
    const std::int64_t at = row * shape.heads + head;
    const auto one = [at](const DeviceArray<float>& array) {
      return download_rows(array.data() + at, 1, 1, 1)[0];
    };
    RowFound found;
    if (with_output) {
      found.out = download_rows(out.data() + at * shape.head_dim, 1, shape.head_dim,
                                static_cast<int>(shape.head_dim));
    }
    found.lse = one(lse);
    found.has_entropy = level != Statistics::lse;
    if (found.has_entropy) {
      found.entropy = one(entropy);
      found.mean = one(mean);
    }
    found.has_variance = level == Statistics::variance;
    if (found.has_variance) found.variance = one(variance);
    return found;
  }
};

}  // namespace ropewalk_bench
