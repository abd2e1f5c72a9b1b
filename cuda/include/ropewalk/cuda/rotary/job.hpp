// A launch of the rotary kernels: what every thread is told, and how many there are. Host code, but
// for the structs.
#pragma once

#include <ropewalk/cuda/chunk.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/rotary/checks.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// Queries, keys or values of a launch.
template <typename T>
struct RotaryOperand {
  const T* source = nullptr;
  T* destination = nullptr;
  std::int64_t source_token_stride = 0;
  std::int64_t source_head_stride = 0;
  std::int64_t destination_token_stride = 0;  // of a cache: of the tokens of a page
  std::int64_t destination_head_stride = 0;
  std::int64_t page_stride = 0;
  int heads = 0;
  int passing = 0;  // columns that pass: what is not turned, unless it is there already
  bool turned = false;
  bool paged = false;
};

/// Where keys and values go, as a thread asks it.
struct KvPlaces {
  KvTargets targets;
  PageMap pages;

  ROPEWALK_HOST_DEVICE CachePlace of(std::int64_t token, std::int64_t position) const noexcept {
    if (targets.slots != nullptr) return pages.slot(targets.slots[token]);
    if (targets.positions != nullptr) position = targets.positions[token];
    if (targets.positions32 != nullptr) position = targets.positions32[token];
    const std::int64_t sequence =
        targets.sequences != nullptr ? targets.sequences[token] : sequence_of(token);
    return pages.place(sequence, position);
  }

  /// The last sequence that begins at the token or before it, -1 where none holds it.
  ROPEWALK_HOST_DEVICE std::int64_t sequence_of(std::int64_t token) const noexcept {
    std::int64_t above = targets.sequence_count;
    if (token < targets.starts[0] || token >= targets.starts[above]) return -1;
    std::int64_t found = 0;
    while (above - found > 1) {
      const std::int64_t middle = found + (above - found) / 2;
      if (targets.starts[middle] <= token) {
        found = middle;
      } else {
        above = middle;
      }
    }
    return found;
  }
};

/// A launch: what every thread is told, by value.
template <typename T>
struct RotaryJob {
  RotaryOperand<T> operand[3];  // q, k, v
  RotaryAngles angles;
  std::int64_t tokens = 0;
  const std::int64_t* positions = nullptr;
  const std::int32_t* positions32 = nullptr;
  const float* head_scale = nullptr;
  const float* position_scale = nullptr;
  KvPlaces places;
  int first_dim = 0;
  int head_dim = 0;
  int turning = 0;  // columns that turn, the first ones
  int passing = 0;  // columns behind them that pass what lies around the turned part
  bool interleaved = false;
  bool inverse = false;
  bool wide = false;
  bool stores = false;  // to a cache

  int columns = 1;  // threads of a block
  int lanes = 1;
  int block_tokens = 1;
  int heads_per_group = 1;  // grid (blocks, groups)
  int groups = 1;
  std::int64_t blocks = 0;
};

/// Elements in one chunk.
template <typename T>
constexpr int chunk_elements(bool wide) noexcept {
  return wide ? 16 / static_cast<int>(sizeof(T)) : 1;
}

constexpr int divide_up(int a, int b) noexcept { return (a + b - 1) / b; }

/// Whether every chunk of 16 bytes lies at an address divisible by 16.
template <typename T>
bool wide_chunks(const RotaryJob<T>& job) noexcept {
  constexpr std::uint64_t elements = chunk_elements<T>(true);
  std::uint64_t steps = static_cast<std::uint64_t>(job.first_dim) |
                        static_cast<std::uint64_t>(job.angles.pairs) |
                        static_cast<std::uint64_t>(job.head_dim);
  std::uintptr_t addresses = 0;
  for (const RotaryOperand<T>& operand : job.operand) {
    if (operand.heads == 0) continue;
    steps |= static_cast<std::uint64_t>(operand.source_token_stride) |
             static_cast<std::uint64_t>(operand.source_head_stride) |
             static_cast<std::uint64_t>(operand.destination_token_stride) |
             static_cast<std::uint64_t>(operand.destination_head_stride) |
             static_cast<std::uint64_t>(operand.page_stride);
    addresses |= reinterpret_cast<std::uintptr_t>(operand.source) |
                 reinterpret_cast<std::uintptr_t>(operand.destination);
  }
  return steps % elements == 0 && addresses % 16 == 0;
}

/// Chooses the threads of a launch. Few tokens: a thread per head; many: a warp per token.
template <typename T>
ROPEWALK_HIDDEN void set_launch(RotaryJob<T>& job) noexcept {
  constexpr int kThreads = 128;            // of a block, where a token has fewer
  constexpr std::int64_t kFull = 1 << 18;  // threads that keep a large card busy
  constexpr int kLargestDepth = 64;        // of a block, whatever the card
  job.wide = wide_chunks(job);
  const int elements = chunk_elements<T>(job.wide);
  job.turning = job.angles.pairs / elements;
  int columns = 1;
  std::int64_t heads = 0;
  for (RotaryOperand<T>& operand : job.operand) {
    if (operand.heads == 0) continue;
    heads += operand.heads;
    const int turned = operand.turned ? 2 * job.angles.pairs : 0;
    if (operand.passing != 0) operand.passing = divide_up((job.head_dim - turned) / elements, 2);
    const int wanted = operand.passing + (operand.turned ? job.turning : 0);
    if (wanted > columns) columns = wanted;
  }
  job.passing = divide_up((job.head_dim - 2 * job.angles.pairs) / elements, 2);
  job.columns = columns;
  job.lanes = columns >= 32 ? 1 : 32 / columns;
  if (job.lanes > heads) job.lanes = heads < 1 ? 1 : static_cast<int>(heads);
  int block_tokens = kThreads / (job.columns * job.lanes);
  if (block_tokens > kLargestDepth) block_tokens = kLargestDepth;
  if (block_tokens > job.tokens) block_tokens = static_cast<int>(job.tokens);
  job.block_tokens = block_tokens < 1 ? 1 : block_tokens;
  const int passes = divide_up(static_cast<int>(heads), job.lanes);
  // tokens * columns * heads threads would do one head each.
  const double all = static_cast<double>(job.tokens) * job.columns * static_cast<double>(heads);
  const double wanted = all / static_cast<double>(kFull);
  const int per_thread = wanted < 1.0 ? 1 : (wanted > passes ? passes : static_cast<int>(wanted));
  job.heads_per_group = job.lanes * (per_thread < 1 ? 1 : per_thread);
  job.groups = divide_up(static_cast<int>(heads), job.heads_per_group);
  job.blocks = heads == 0 ? 0 : (job.tokens + job.block_tokens - 1) / job.block_tokens;
}

template <typename T>
RotaryOperand<T> operand_of(const HeadView<const T>& from, const HeadView<T>& to) noexcept {
  RotaryOperand<T> operand;
  operand.source = from.data;
  operand.destination = to.data;
  operand.source_token_stride = from.token_stride;
  operand.source_head_stride = from.head_stride;
  operand.destination_token_stride = to.token_stride;
  operand.destination_head_stride = to.head_stride;
  operand.heads = static_cast<int>(from.heads);
  return operand;
}

template <typename Params, typename T>
ROPEWALK_HIDDEN void set_common(RotaryJob<T>& job, const Params& params) noexcept {
  job.angles = params.angles;
  job.positions = params.positions;
  job.positions32 = params.positions32;
  job.head_scale = params.head_scale;
  job.position_scale = params.position_scale;
  job.first_dim = params.first_dim;
  job.interleaved = params.pairing == Pairing::interleaved;
  job.inverse = params.inverse;
}

/// The launch of parameters that were validated.
template <typename T>
ROPEWALK_HIDDEN RotaryJob<T> rotary_job(const RotaryParams<T>& params) noexcept {
  RotaryJob<T> job;
  set_common(job, params);
  job.tokens = params.q.tokens;
  job.head_dim = params.q.head_dim;
  job.operand[0] = operand_of(params.q, params.q_out);
  const bool scaled = params.head_scale != nullptr || params.position_scale != nullptr;
  const bool rest = params.q.head_dim > 2 * params.angles.pairs;
  job.operand[0].passing = rest && (scaled || !same_view(params.q, params.q_out)) ? 1 : 0;
  job.operand[0].turned = true;
  if (params.k.heads != 0) {
    job.operand[1] = operand_of(params.k, params.k_out);
    job.operand[1].passing = rest && !same_view(params.k, params.k_out) ? 1 : 0;
    job.operand[1].turned = true;
  }
  set_launch(job);
  return job;
}

template <typename T>
ROPEWALK_HIDDEN RotaryJob<T> rotary_job(const KvWriteParams<T>& params) noexcept {
  RotaryJob<T> job;
  set_common(job, params);
  job.tokens = params.k.tokens;
  job.head_dim = params.k.head_dim;
  const bool rest = params.k.head_dim > 2 * params.angles.pairs;
  if (params.q.heads != 0) {
    const bool scaled = params.head_scale != nullptr || params.position_scale != nullptr;
    job.operand[0] = operand_of(params.q, params.q_out);
    job.operand[0].passing = rest && (scaled || !same_view(params.q, params.q_out)) ? 1 : 0;
    job.operand[0].turned = true;
  }
  const KvCache<T>& cache = params.cache;
  for (int which = 1; which < 3; ++which) {
    const bool keys = which == 1;
    const HeadView<T> to{keys ? cache.k : cache.v, params.k.tokens,    params.k.heads,
                         params.k.head_dim,        cache.token_stride, cache.head_stride};
    job.operand[which] = operand_of(keys ? params.k : params.v, to);
    job.operand[which].page_stride = cache.page_stride;
    job.operand[which].passing = !keys || rest ? 1 : 0;
    job.operand[which].turned = keys;
    job.operand[which].paged = true;
  }
  job.stores = !params.k.empty();
  job.places.targets = params.targets;
  job.places.pages = page_map(cache);
  set_launch(job);
  return job;
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
