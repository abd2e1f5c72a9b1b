// g of every row where it needs no softmax: from q and dq, or from the statistics of the row. Bodies
// over a Block of kRowThreads threads.
#pragma once

#include <ropewalk/cuda/chunk.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/fragment.hpp>
#include <ropewalk/cuda/scale_gradient/params.hpp>
#include <ropewalk/row_statistics.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

inline constexpr int kRowThreads = 128;
inline constexpr int kEntriesAhead =
    4;  // dot products of a lane whose loads are under way together

/// A (sequence, query, head): digits of an entry's number, or of a distance between two.
struct EntryDigits {
  std::int64_t sequence = 0;
  std::int64_t query = 0;
  std::int32_t head = 0;
};

ROPEWALK_HOST_DEVICE constexpr EntryDigits digits_of(std::int64_t entry, std::int64_t queries,
                                                     std::int32_t heads) noexcept {
  const std::int64_t row = entry / heads;
  const std::int64_t sequence = row / queries;
  return {sequence, row - sequence * queries, static_cast<std::int32_t>(entry - row * heads)};
}

/// The entry behind `at` by `step`, without a division.
ROPEWALK_HOST_DEVICE constexpr EntryDigits advanced(EntryDigits at, const EntryDigits& step,
                                                    std::int64_t queries,
                                                    std::int32_t heads) noexcept {
  at.head += step.head;
  const bool next_row = at.head >= heads;
  if (next_row) at.head -= heads;
  at.query += step.query + (next_row ? 1 : 0);
  const bool next_sequence = at.query >= queries;
  if (next_sequence) at.query -= queries;
  at.sequence += step.sequence + (next_sequence ? 1 : 0);
  return at;
}

/// The dot products of all (row, head), row-major, which are called entries.
template <typename T, typename G>
struct RowDots {
  BatchView<const T> q;
  BatchView<const G> dq;
  float* slopes = nullptr;  // (rows, heads)
  std::int64_t entries = 0;
  std::int64_t queries = 0;
  std::int32_t heads = 0;
  std::int32_t head_dim = 0;
  std::int32_t lanes = 1;  // of an entry, a power of two up to 32
  bool wide = false;       // 16 bytes at once
  EntryDigits step;        // from one entry of a lane to its next

  /// Of one block.
  ROPEWALK_HOST_DEVICE constexpr int block_entries() const noexcept {
    return kRowThreads / lanes * kEntriesAhead;
  }
  constexpr std::int64_t blocks() const noexcept {
    return entries / block_entries() + (entries % block_entries() != 0);
  }
};

/// Elements of q and of dq that a lane takes at once: 16 bytes of the narrower type.
template <typename T, typename G, bool kWide>
inline constexpr std::size_t kDotStep =
    Chunk<T, kWide>::kSize > Chunk<G, kWide>::kSize ? Chunk<T, kWide>::kSize
                                                    : Chunk<G, kWide>::kSize;

/// kElements elements as floats, loaded in as many chunks as they are.
template <typename T, bool kWide, std::size_t kElements>
struct DotOperand {
  using Part = Chunk<T, kWide>;
  static constexpr std::size_t kParts = kElements / Part::kSize;
  typename Part::Raw raw[kParts];

  ROPEWALK_DEVICE void load(const T* from) noexcept {
    ROPEWALK_UNROLL
    for (std::size_t i = 0; i < kParts; ++i) {
      raw[i] = Part::template load<CachePolicy::once>(from + i * Part::kSize);
    }
  }
  ROPEWALK_DEVICE void unpack(float (&values)[kElements]) const noexcept {
    ROPEWALK_UNROLL
    for (std::size_t i = 0; i < kParts; ++i) {
      float part[Part::kSize];
      Part::unpack(raw[i], part);
      ROPEWALK_UNROLL
      for (std::size_t j = 0; j < Part::kSize; ++j) values[i * Part::kSize + j] = part[j];
    }
  }
};

/// First element of an entry.
template <typename T>
ROPEWALK_DEVICE const T* entry_of(const BatchView<const T>& view, const EntryDigits& at) noexcept {
  return view.data + at.sequence * view.sequence_stride + at.query * view.token_stride +
         at.head * view.head_stride;
}

/// All that one block does. A lane adds up its products in float, the lanes of an entry in a tree.
template <typename T, typename G, bool kWide, typename Block>
ROPEWALK_DEVICE void dot_rows(Block& block, const RowDots<T, G>& job) noexcept {
  constexpr std::size_t kSize = kDotStep<T, G, kWide>;
  constexpr int kElements = static_cast<int>(kSize);
  constexpr int kAhead = kEntriesAhead;
  const int lane = block.thread() % job.lanes;
  const int groups = kRowThreads / job.lanes;
  const std::int64_t first =
      std::int64_t{block.index_x()} * job.block_entries() + block.thread() / job.lanes;
  const T* q[kAhead];
  const G* dq[kAhead];
  bool valid[kAhead];
  // Behind the last entry the last one is read again.
  EntryDigits at = digits_of(first < job.entries ? first : job.entries - 1, job.queries, job.heads);
  ROPEWALK_UNROLL
  for (int i = 0; i < kAhead; ++i) {
    valid[i] = first + i * groups < job.entries;
    q[i] = entry_of(job.q, at);
    dq[i] = entry_of(job.dq, at);
    if (first + (i + 1) * groups < job.entries) at = advanced(at, job.step, job.queries, job.heads);
  }
  float sums[kAhead] = {};
  for (int dim = lane * kElements; dim < job.head_dim; dim += job.lanes * kElements) {
    DotOperand<T, kWide, kSize> left[kAhead];
    DotOperand<G, kWide, kSize> right[kAhead];
    ROPEWALK_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      left[i].load(q[i] + dim);
      right[i].load(dq[i] + dim);
    }
    ROPEWALK_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      float a[kSize];
      float b[kSize];
      left[i].unpack(a);
      right[i].unpack(b);
      ROPEWALK_UNROLL
      for (int element = 0; element < kElements; ++element) {
        sums[i] = std::fma(a[element], b[element], sums[i]);
      }
    }
  }
  ROPEWALK_UNROLL
  for (int i = 0; i < kAhead; ++i) {
    for (int mask = job.lanes / 2; mask > 0; mask /= 2) {
      sums[i] += block.exchange(sums[i], mask);
    }
    if (lane == 0 && valid[i]) {
      job.slopes[first + i * groups] = sums[i];
    }
  }
}

template <typename T, typename G>
bool wide_dots(const ScaleGradientParams<T, G>& params) noexcept {
  constexpr auto elements = static_cast<std::int64_t>(kDotStep<T, G, true>);
  const auto addresses = reinterpret_cast<std::uintptr_t>(params.q.data) |
                         reinterpret_cast<std::uintptr_t>(params.dq.data);
  const auto of = [](std::int64_t stride, std::size_t size) {
    return stride * static_cast<std::int64_t>(size) % 16 == 0;
  };
  const auto aligned = [&of](const auto& view, std::size_t size) {
    return of(view.sequence_stride, size) && of(view.token_stride, size) &&
           of(view.head_stride, size);
  };
  return params.head_dim % elements == 0 && addresses % 16 == 0 && aligned(params.q, sizeof(T)) &&
         aligned(params.dq, sizeof(G));
}

/// The launch of parameters that were validated.
template <typename T, typename G>
RowDots<T, G> row_dots(const ScaleGradientParams<T, G>& params, float* slopes) noexcept {
  RowDots<T, G> job;
  job.q = params.q;
  job.dq = params.dq;
  job.slopes = slopes;
  job.entries = params.sequences * params.queries * params.heads;
  job.queries = params.queries;
  job.heads = params.heads;
  job.head_dim = params.head_dim;
  job.wide = wide_dots(params);
  const int step = job.wide ? static_cast<int>(kDotStep<T, G, true>) : 1;
  while (job.lanes < 32 && job.lanes * step < params.head_dim) job.lanes *= 2;
  if (job.entries > 0) job.step = digits_of(kRowThreads / job.lanes, job.queries, job.heads);
  return job;
}

/// g from gradients at the statistics of (row, head) entries.
struct StatisticsSlopes {
  RowOutputs statistics;
  const float* d_lse = nullptr;
  const float* d_entropy = nullptr;
  const float* sink_logit = nullptr;
  float* slopes = nullptr;
  std::int64_t entries = 0;
  std::int32_t heads = 1;
};

template <typename Block>
ROPEWALK_DEVICE void slope_of_statistics(Block& block, const StatisticsSlopes& job) noexcept {
  const std::int64_t entry = std::int64_t{block.index_x()} * kRowThreads + block.thread();
  if (entry >= job.entries) return;
  const float mean = job.statistics.mean != nullptr ? job.statistics.mean[entry] : 0.0f;
  float of_sink = 0.0f;  // its part of the mean
  float sink = 0.0f;
  if (job.sink_logit != nullptr) {
    sink = job.sink_logit[entry % job.heads];
    const float x = (sink - job.statistics.lse[entry]) * static_cast<float>(kLog2E);
    of_sink = block.power_of_two(x < 0.0f ? x : 0.0f) * sink;
  }
  float slope = 0.0f;
  if (job.d_entropy != nullptr) {
    // Without a sink nothing is added, not even 0 times what has no bound.
    const float more = of_sink != 0.0f ? of_sink * (sink - mean) : 0.0f;
    slope = job.d_entropy[entry] * (more - job.statistics.variance[entry]);
  }
  if (job.d_lse != nullptr) slope = std::fma(job.d_lse[entry], mean - of_sink, slope);
  job.slopes[entry] = slope;
}

inline StatisticsSlopes statistics_slopes(const StatisticsScaleGradientParams& params,
                                          float* slopes) noexcept {
  return {
      params.statistics,          params.d_lse, params.d_entropy, params.scale.sink_logit, slopes,
      params.rows * params.heads, params.heads};
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
