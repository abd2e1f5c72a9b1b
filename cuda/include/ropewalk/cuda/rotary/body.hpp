// What one thread of the rotary kernels does, and how many there are. Host and device: a host loop
// over all threads computes what the kernel computes.
//
// A block is (columns, lanes, tokens). A column is a fixed part of a head, two chunks: those of the
// pairs it turns, or two that pass. It forms its cosines and sines once and goes with them over the
// heads of its token, `lanes` apart.
#pragma once

#include <ropewalk/cuda/chunk.hpp>
#include <ropewalk/cuda/rotary/params.hpp>

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
  const std::int64_t* slots = nullptr;
  std::uint32_t all_slots = 0;
  std::uint32_t page_size = 1;
  int first_dim = 0;
  int head_dim = 0;
  int turning = 0;  // columns that turn, the first ones
  int passing = 0;  // columns behind them that pass what lies around the turned part
  bool interleaved = false;
  bool inverse = false;
  bool wide = false;

  int columns = 1;  // threads of a block
  int lanes = 1;
  int block_tokens = 1;
  int heads_per_group = 1;  // grid (blocks, groups)
  int groups = 1;
  std::int64_t blocks = 0;
};

/// Which thread.
struct RotaryThread {
  std::int64_t block = 0;
  int group = 0;
  int column = 0;
  int lane = 0;
  int token = 0;
};

/// Where a column's two chunks begin within a head; `second` < 0: there is none.
struct ColumnDims {
  int first = 0;
  int second = -1;
};

/// The chunks that a column passes on, of those around `gap` elements from `gap_first` on.
template <int kElements>
ROPEWALK_HOST_DEVICE constexpr ColumnDims passing_dims(int column, int passing, int gap_first,
                                                       int gap, int head_dim) noexcept {
  int first = column * kElements;
  int second = (column + passing) * kElements;
  if (first >= gap_first) first += gap;
  if (second >= gap_first) second += gap;
  return {first, second < head_dim ? second : -1};
}

/// The chunks of the pairs that a column turns.
template <int kElements>
ROPEWALK_HOST_DEVICE constexpr ColumnDims turning_dims(int column, int pairs, int first_dim,
                                                       bool interleaved) noexcept {
  const int first = first_dim + column * kElements * (interleaved ? 2 : 1);
  return {first, first + (interleaved ? kElements : pairs)};
}

/// Cosines and sines of a column's pairs at a position.
template <std::size_t kSize>
ROPEWALK_HOST_DEVICE inline void column_angles(const RotaryAngles& angles, std::int64_t position,
                                               int first_pair, bool inverse, float (&cosine)[kSize],
                                               float (&sine)[kSize]) noexcept {
  constexpr int kElements = static_cast<int>(kSize);
  if (angles.cos == nullptr) {
    for (int i = 0; i < kElements; ++i) {
      const SinCos<float> turned = sincos_single(phase_word(angles.step[first_pair + i], position));
      cosine[i] = turned.cos * angles.attention_factor;
      sine[i] = turned.sin * angles.attention_factor;
    }
  } else {
    // Two's complement: a position before the table is a row beyond it.
    const std::uint64_t row =
        static_cast<std::uint64_t>(position) - static_cast<std::uint64_t>(angles.first_position);
    const bool inside = row < static_cast<std::uint64_t>(angles.rows);
    const std::int64_t at =
        inside ? static_cast<std::int64_t>(row) * angles.row_stride + first_pair : 0;
    const float nan = ropewalk::detail::float_of(0x7fc00000u);
    for (int i = 0; i < kElements; ++i) {
      cosine[i] = inside ? angles.cos[at + i] : nan;
      sine[i] = inside ? angles.sin[at + i] : nan;
    }
  }
  if (inverse) {
    for (int i = 0; i < kElements; ++i) sine[i] = -sine[i];
  }
}

/// Turns the pairs of two chunks: (a[i], b[i]) half-split, neighbours interleaved.
template <std::size_t kSize>
ROPEWALK_HOST_DEVICE inline void turn(float (&a)[kSize], float (&b)[kSize],
                                      const float (&cosine)[kSize], const float (&sine)[kSize],
                                      bool interleaved, float by) noexcept {
  constexpr int kElements = static_cast<int>(kSize);
  if (kElements == 1 || !interleaved) {
    for (int i = 0; i < kElements; ++i) {
      const float x = a[i];
      const float y = b[i];
      a[i] = (x * cosine[i] - y * sine[i]) * by;
      b[i] = (y * cosine[i] + x * sine[i]) * by;
    }
    return;
  }
  constexpr int kHalf = kElements / 2;
  for (int i = 0; i < kHalf; ++i) {
    const float x0 = a[2 * i];
    const float y0 = a[2 * i + 1];
    const float x1 = b[2 * i];
    const float y1 = b[2 * i + 1];
    a[2 * i] = (x0 * cosine[i] - y0 * sine[i]) * by;
    a[2 * i + 1] = (y0 * cosine[i] + x0 * sine[i]) * by;
    b[2 * i] = (x1 * cosine[kHalf + i] - y1 * sine[kHalf + i]) * by;
    b[2 * i + 1] = (y1 * cosine[kHalf + i] + x1 * sine[kHalf + i]) * by;
  }
}

/// Multiplies what passes, where something multiplies it.
template <std::size_t kSize>
ROPEWALK_HOST_DEVICE inline void multiply_all(float (&values)[kSize], float by) noexcept {
  constexpr int kElements = static_cast<int>(kSize);
  for (int i = 0; i < kElements; ++i) values[i] *= by;
}

/// All that one thread does.
///   kHeadsAhead  heads whose loads are under way together
template <typename T, bool kWide, CachePolicy kStores, std::size_t kHeadsAhead = 4>
ROPEWALK_HOST_DEVICE inline void rotary_thread(const RotaryJob<T>& job,
                                               const RotaryThread& id) noexcept {
  using Pack = Chunk<T, kWide>;
  using Raw = typename Pack::Raw;
  constexpr int kElements = Pack::kElements;
  constexpr std::size_t kSize = Pack::kSize;
  constexpr int kHeads = static_cast<int>(kHeadsAhead);
  constexpr CachePolicy kLoads = CachePolicy::once;
  const std::int64_t token = id.block * job.block_tokens + id.token;
  if (token >= job.tokens) return;
  const std::int64_t position = job.positions != nullptr
                                    ? job.positions[token]
                                    : static_cast<std::int64_t>(job.positions32[token]);
  const int column = id.column;
  const bool turns = column < job.turning;
  float cosine[kSize] = {};
  float sine[kSize] = {};
  ColumnDims dims;
  if (turns) {
    dims = turning_dims<kElements>(column, job.angles.pairs, job.first_dim, job.interleaved);
    column_angles(job.angles, position, column * kElements, job.inverse, cosine, sine);
  } else {
    dims = passing_dims<kElements>(column - job.turning, job.passing, job.first_dim,
                                   2 * job.angles.pairs, job.head_dim);
  }
  const float token_scale = job.position_scale != nullptr ? job.position_scale[token] : 1.0f;
  std::int64_t page = 0;
  std::int64_t row = token;
  bool stored = true;
  if (job.slots != nullptr) {
    const std::int64_t slot = job.slots[token];
    stored = slot >= 0 && slot < static_cast<std::int64_t>(job.all_slots);
    const std::uint32_t number = stored ? static_cast<std::uint32_t>(slot) : 0u;
    page = number / job.page_size;
    row = number % job.page_size;
  }

  const int q_heads = job.operand[0].heads;
  const int qk_heads = q_heads + job.operand[1].heads;
  const int all_heads = qk_heads + job.operand[2].heads;
  const int begin = id.group * job.heads_per_group;
  const int end = all_heads - begin < job.heads_per_group ? all_heads : begin + job.heads_per_group;
  for (int group = begin + id.lane; group < end; group += kHeads * job.lanes) {
    Raw first[kHeadsAhead];
    Raw second[kHeadsAhead];
    T* to[kHeadsAhead];
    bool turned[kHeadsAhead];
    bool two[kHeadsAhead];
    int second_at[kHeadsAhead];
    float by[kHeadsAhead];
    for (int i = 0; i < kHeads; ++i) {
      const int head = group + i * job.lanes;
      to[i] = nullptr;
      if (head >= end) continue;
      const int which = (head >= q_heads ? 1 : 0) + (head >= qk_heads ? 1 : 0);
      const RotaryOperand<T>& operand = job.operand[which];
      const int index = head - (which == 0 ? 0 : (which == 1 ? q_heads : qk_heads));
      turned[i] = operand.turned && turns;
      ColumnDims at = dims;
      if (!operand.turned) {
        at = passing_dims<kElements>(column, operand.passing, job.head_dim, 0, job.head_dim);
      }
      const int passing = operand.turned ? column - job.turning : column;
      if (!turned[i] && passing >= operand.passing) continue;
      if (operand.paged && !stored) continue;
      two[i] = at.second >= 0;
      second_at[i] = at.second - at.first;
      by[i] = 1.0f;
      if (which == 0) {
        by[i] = job.head_scale != nullptr ? job.head_scale[index] * token_scale : token_scale;
      }
      const T* from = operand.source + token * operand.source_token_stride +
                      index * operand.source_head_stride + at.first;
      to[i] = operand.destination + (operand.paged ? page * operand.page_stride : 0) +
              (operand.paged ? row : token) * operand.destination_token_stride +
              index * operand.destination_head_stride + at.first;
      first[i] = Pack::template load<kLoads>(from);
      if (two[i]) second[i] = Pack::template load<kLoads>(from + second_at[i]);
    }
    for (int i = 0; i < kHeads; ++i) {
      if (to[i] == nullptr) continue;
      if (turned[i] || by[i] != 1.0f) {
        float a[kSize];
        float b[kSize] = {};
        Pack::unpack(first[i], a);
        if (two[i]) Pack::unpack(second[i], b);
        if (turned[i]) {
          turn(a, b, cosine, sine, job.interleaved, by[i]);
        } else {
          multiply_all(a, by[i]);
          multiply_all(b, by[i]);
        }
        first[i] = Pack::pack(a);
        if (two[i]) second[i] = Pack::pack(b);
      }
      Pack::template store<kStores>(to[i], first[i]);
      if (two[i]) Pack::template store<kStores>(to[i] + second_at[i], second[i]);
    }
  }
}

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
void set_launch(RotaryJob<T>& job) noexcept {
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
void set_common(RotaryJob<T>& job, const Params& params) noexcept {
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
RotaryJob<T> rotary_job(const RotaryParams<T>& params) noexcept {
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
RotaryJob<T> rotary_job(const KvWriteParams<T>& params) noexcept {
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
  job.slots = cache.slots;
  job.all_slots = static_cast<std::uint32_t>(cache.pages * cache.page_size);
  job.page_size = static_cast<std::uint32_t>(cache.page_size);
  set_launch(job);
  return job;
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
