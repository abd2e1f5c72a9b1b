// What one thread of the rotary kernels does. Host and device: a host loop over all threads
// computes what the kernel computes.
//
// A block is (columns, lanes, tokens). A column is a fixed part of a head, two chunks: those of the
// pairs it turns, or two that pass. It forms its cosines and sines once and goes with them over the
// heads of its token, `lanes` apart.
#pragma once

#include <ropewalk/cuda/chunk.hpp>
#include <ropewalk/cuda/rotary/job.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

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

/// Turns the pairs of two chunks: (a[i], b[i]) half-split, neighbours interleaved. Which product is
/// fused with the sum is said, so that every kernel that turns gives the same bits.
template <std::size_t kSize>
ROPEWALK_HOST_DEVICE inline void turn(float (&a)[kSize], float (&b)[kSize],
                                      const float (&cosine)[kSize], const float (&sine)[kSize],
                                      bool interleaved, float by) noexcept {
  constexpr int kElements = static_cast<int>(kSize);
  if (kElements == 1 || !interleaved) {
    for (int i = 0; i < kElements; ++i) {
      const float x = a[i];
      const float y = b[i];
      a[i] = std::fma(x, cosine[i], -(y * sine[i])) * by;
      b[i] = std::fma(y, cosine[i], x * sine[i]) * by;
    }
    return;
  }
  constexpr int kHalf = kElements / 2;
  for (int i = 0; i < kHalf; ++i) {
    const float x0 = a[2 * i];
    const float y0 = a[2 * i + 1];
    const float x1 = b[2 * i];
    const float y1 = b[2 * i + 1];
    a[2 * i] = std::fma(x0, cosine[i], -(y0 * sine[i])) * by;
    a[2 * i + 1] = std::fma(y0, cosine[i], x0 * sine[i]) * by;
    b[2 * i] = std::fma(x1, cosine[kHalf + i], -(y1 * sine[kHalf + i])) * by;
    b[2 * i + 1] = std::fma(y1, cosine[kHalf + i], x1 * sine[kHalf + i]) * by;
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
  const CachePlace place = job.stores ? job.places.of(token, position) : CachePlace{};

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
      if (operand.paged && place.page < 0) continue;
      two[i] = at.second >= 0;
      second_at[i] = at.second - at.first;
      by[i] = 1.0f;
      if (which == 0) {
        by[i] = job.head_scale != nullptr ? job.head_scale[index] * token_scale : token_scale;
      }
      const T* from = operand.source + token * operand.source_token_stride +
                      index * operand.source_head_stride + at.first;
      to[i] = operand.destination + (operand.paged ? place.page * operand.page_stride : 0) +
              (operand.paged ? place.offset : token) * operand.destination_token_stride +
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

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
