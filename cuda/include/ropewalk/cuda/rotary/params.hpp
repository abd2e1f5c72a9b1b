// What the rotary kernels are asked. Host code without CUDA types; pointers are to device memory.
#pragma once

#include <ropewalk/cuda/kv_cache.hpp>
#include <ropewalk/cuda/phase.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/rope_config.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {

inline constexpr int kMaximumPairs = 256;
inline constexpr int kMaximumHeadDim = 1024;
inline constexpr int kMaximumHeads = 16384;

/// Angles, by value: from steps in turns, or from a table of cosines and sines.
struct RotaryAngles {
  int pairs = 0;  ///< 1 .. kMaximumPairs; twice as many elements of a head rotate

  std::uint64_t step[kMaximumPairs] = {};  ///< (pairs,) 2^-64 turns per token
  float attention_factor = 1.0f;           ///< on cos and sin formed from steps

  /// Where not null, read instead of the steps: (rows, pairs) float in device memory, factors
  /// included, row `position - first_position`. A position outside the table gives NaN.
  const float* cos = nullptr;
  const float* sin = nullptr;
  std::int64_t rows = 0;
  std::int64_t row_stride = 0;  ///< elements from row to row
  std::int64_t first_position = 0;
};

/// The angles of a spectrum, for every position.
///   turns        1 .. kMaximumPairs pairs
///   Throws       std::invalid_argument naming what is wrong
inline RotaryAngles rotary_angles(const PhaseTurns& turns) {
  ropewalk::detail::require("rotary_angles", ropewalk::detail::check_turns(turns));
  if (turns.pairs() > kMaximumPairs) {
    ropewalk::detail::refuse("rotary_angles",
                             {Errc::above_maximum, "pairs", static_cast<double>(turns.pairs())});
  }
  RotaryAngles angles;
  angles.pairs = turns.pairs();
  angles.attention_factor = static_cast<float>(turns.attention_factor);
  for (int pair = 0; pair < angles.pairs; ++pair) {
    const auto index = static_cast<std::size_t>(pair);
    angles.step[pair] = nearest_word({turns.high[index], turns.low[index]});
  }
  return angles;
}

/// Rotation of the queries and keys of some tokens. Defaults change nothing.
///   T            float, float16, bfloat16 (__half and __nv_bfloat16 have the same bytes)
template <typename T>
struct RotaryParams {
  HeadView<const T> q;  ///< (tokens, heads, head_dim), any strides: packed qkv or apart
  HeadView<T> q_out;    ///< q itself, or memory that overlaps neither q nor k
  HeadView<const T> k;  ///< as many tokens; heads 0: none
  HeadView<T> k_out;

  const std::int64_t* positions = nullptr;    ///< (tokens,), either these
  const std::int32_t* positions32 = nullptr;  ///< or these
  RotaryAngles angles;
  Pairing pairing = Pairing::half_split;
  int first_dim = 0;     ///< element of a head at which the rotated part begins; others are copied
  bool inverse = false;  ///< turns back: the backward pass

  const float* head_scale = nullptr;      ///< (q.heads,) on the queries, or null
  const float* position_scale = nullptr;  ///< (tokens,) on the queries, or null

  /// Lets the kernel begin while the previous one of the stream ends, from compute capability 9.0
  /// on (programmatic dependent launch): it waits before it reads or writes. Changes no result.
  bool overlap_previous = false;
};

/// Where the keys and values of each token go in a cache: by slots, or by sequences and positions.
/// What has no place there is not written: a negative slot, a sequence or a position that is
/// negative or beyond the cache, an entry of the page table that is.
struct KvTargets {
  /// (tokens,) page * page_size + offset. The page table is not asked.
  const std::int64_t* slots = nullptr;

  /// Or the sequence of each token, (tokens,),
  const std::int32_t* sequences = nullptr;
  /// or where each sequence begins, (sequence_count + 1,), not falling: tokens starts[s] to
  /// starts[s + 1] - 1 are of sequence s, those before the first and behind the last of none.
  const std::int32_t* starts = nullptr;
  std::int64_t sequence_count = 0;

  /// (tokens,) indices in the cache of a token's sequence; both null: the rotary positions.
  const std::int64_t* positions = nullptr;
  const std::int32_t* positions32 = nullptr;
};

/// Rotation of queries and keys, the keys written to a cache together with the values. The queries'
/// fields as in RotaryParams; head_dim of k and v is the cache's.
template <typename T>
struct KvWriteParams {
  HeadView<const T> q;  ///< heads 0: none
  HeadView<T> q_out;
  HeadView<const T> k;
  HeadView<const T> v;  ///< as many tokens and heads as k
  KvCache<T> cache;     ///< overlaps none of the views
  KvTargets targets;    ///< no two tokens to one place

  const std::int64_t* positions = nullptr;
  const std::int32_t* positions32 = nullptr;
  RotaryAngles angles;  ///< pairs 0 writes the keys as they are
  Pairing pairing = Pairing::half_split;
  int first_dim = 0;
  bool inverse = false;
  const float* head_scale = nullptr;
  const float* position_scale = nullptr;
  bool overlap_previous = false;
};

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
