// What a forward kernel is compiled for and what it is told. Host and device.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>
#include <ropewalk/cuda/attention/row_sums.hpp>
#include <ropewalk/cuda/attention/schedule.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/fragment.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// A number of elements, as arrays count.
ROPEWALK_HOST_DEVICE constexpr std::size_t extent(int count) noexcept {
  return static_cast<std::size_t>(count);
}

/// What a forward kernel is compiled for.
///   T            float16 or bfloat16
///   kHeadDim     64, 96, 128 or 256
///   kWithValues  false: statistics alone
template <typename T, int kHeadDim, Statistics kLevel, bool kWithValues>
struct ForwardTraits {
  using Element = T;
  static constexpr int kDim = kHeadDim;
  static constexpr Statistics kStatistics = kLevel;
  static constexpr bool kValues = kWithValues;

  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kLanes;
  /// Of 16 rows, of a warp: as many as output and scores leave registers for.
  static constexpr int kFragments = kDim <= 128 ? 2 : 1;
  static constexpr int kWarpRows = kFragments * kProductRows;
  static constexpr int kRows = kWarps * kWarpRows;
  /// 64 spill a few bytes where the output takes most registers of a thread beside 32 rows' scores.
  static constexpr int kKeys = kWithValues && kDim == 128 ? 48 : 64;

  static constexpr int kQueryBytes = kRows * kDim * 2;
  static constexpr int kKeyBytes = kKeys * kDim * 2;
  struct alignas(16) Row {
    float scale;  // of logits in base 2, its sign moved to the queries
    RowKeys keys;
  };
  /// What is the same for the whole block, and needed too seldom to stay in registers.
  struct alignas(16) Plan {
    const T* k;  // key 0 and its value
    const T* v;
    /// Elements to the tile's first row: of an address the compiler would not know that it is global.
    std::int64_t out;
    std::int64_t row;  // of the statistics, the same row's
    KeyBlocks blocks;
    std::int32_t head;
    std::int32_t rows;  // of the tile
    std::int32_t keys;  // of the sequence
  };
  static constexpr int kPlanAt = kQueryBytes + 2 * kKeyBytes;
  static constexpr int kRowsAt = kPlanAt + static_cast<int>(sizeof(Plan));
  /// Whether a thread's sums wait in shared memory while products need the registers.
  static constexpr bool kParksSums = kWithValues && (kDim == 96 || kDim == 128);
  static constexpr int kSums = kLevel == Statistics::lse       ? 2
                               : kLevel == Statistics::entropy ? 3
                                                               : 4;
  static constexpr int kSumsAt = kRowsAt + kRows * static_cast<int>(sizeof(Row));
  static constexpr int kSharedBytes =
      kSumsAt + (kParksSums ? (kFragments * 2 * kSums + 1) * kThreads * 4 : 0);
  static_assert(kSharedBytes <= 99 * 1024, "what cards of 100 KB to a processor give one block");
};

/// What a forward kernel is told.
template <typename T>
struct ForwardJob {
  BatchView<const T> q;
  BatchView<const T> k;
  BatchView<const T> v;
  BatchView<T> out;
  SequenceMap sequences;
  TileOrder order;
  AttentionMask mask;
  RowOutputs statistics;
  const float* head_scale = nullptr;
  const float* position_scale = nullptr;
  const float* sink_logit = nullptr;
  float softmax_scale = 0.0f;  // in base 2
  std::int32_t head_dim = 0;
  std::int32_t heads = 0;
};

/// The job of sound parameters.
template <typename Traits, typename T>
ROPEWALK_HIDDEN ForwardJob<T> forward_job(const AttentionParams<T>& params) noexcept {
  ForwardJob<T> job;
  job.q = params.q;
  job.k = params.k;
  job.v = params.v;
  job.out = params.out;
  job.sequences = sequence_map(params);
  job.order = tile_order(params.shape, Traits::kRows);
  job.mask = params.mask;
  job.statistics = params.statistics;
  job.head_scale = params.scale.head_scale;
  job.position_scale = params.scale.position_scale;
  job.sink_logit = params.scale.sink_logit;
  job.softmax_scale = base_two_scale(params.scale, params.shape.head_dim);
  job.head_dim = params.shape.head_dim;
  job.heads = params.shape.heads;
  return job;
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
