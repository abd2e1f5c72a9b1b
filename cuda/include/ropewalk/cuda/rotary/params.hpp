// What the rotary kernels are asked, and what they refuse. Host code without CUDA types; pointers are
// to device memory.
#pragma once

#include <ropewalk/cuda/phase.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/rope_config.hpp>
#include <ropewalk/view_checks.hpp>

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
};

/// A cache of keys and values: pages of `page_size` tokens. A dense cache has one page per sequence.
///   Element (page, offset, head, dim) is
///       k[page * page_stride + offset * token_stride + head * head_stride + dim], v alike
template <typename T>
struct KvCache {
  T* k = nullptr;
  T* v = nullptr;
  std::int64_t pages = 0;
  std::int64_t page_size = 0;    ///< tokens; pages * page_size below 2^31
  std::int64_t page_stride = 0;  ///< strides in elements, >= 0
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;

  /// (tokens,) page * page_size + offset; a token with a negative slot, or one beyond the cache, is
  /// not written.
  const std::int64_t* slots = nullptr;
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

  const std::int64_t* positions = nullptr;
  const std::int32_t* positions32 = nullptr;
  RotaryAngles angles;  ///< pairs 0 writes the keys as they are
  Pairing pairing = Pairing::half_split;
  int first_dim = 0;
  bool inverse = false;
  const float* head_scale = nullptr;
  const float* position_scale = nullptr;
};

namespace detail {

inline Fault named(const char* field, Fault fault) noexcept {
  if (fault.code != Errc::ok) fault.field = field;
  return fault;
}

inline Fault first_of(Fault first, Fault second) noexcept {
  return first.code != Errc::ok ? first : second;
}

template <typename T>
bool same_view(const HeadView<const T>& a, const HeadView<T>& b) noexcept {
  return a.data == b.data && a.token_stride == b.token_stride && a.head_stride == b.head_stride;
}

/// What is read and what is written of it: as large, and either the same or apart.
template <typename T>
Fault check_pair(const char* name, const char* out_name, const HeadView<const T>& from,
                 const HeadView<T>& to) noexcept {
  Fault fault = first_of(named(name, from.validate()), named(out_name, to.validate()));
  if (fault.code != Errc::ok) return fault;
  if (from.heads > kMaximumHeads)
    return {Errc::above_maximum, name, static_cast<double>(from.heads)};
  if (from.tokens != to.tokens || from.heads != to.heads || from.head_dim != to.head_dim) {
    return {Errc::wrong_count, out_name, static_cast<double>(to.heads)};
  }
  if (!same_view(from, to) && ropewalk::detail::views_meet(from, to)) {
    return {Errc::overlapping, out_name, 0.0};
  }
  return {};
}

template <typename Params>
Fault check_positions(const Params& params, std::int64_t tokens) noexcept {
  if (tokens == 0) return {};
  if (params.positions == nullptr && params.positions32 == nullptr) {
    return {Errc::unknown, "positions", 0.0};
  }
  if (params.positions != nullptr && params.positions32 != nullptr) {
    return {Errc::wrong_count, "positions32", 2.0};
  }
  return {};
}

template <typename Params>
Fault check_angles(const Params& params, int smallest, int head_dim) noexcept {
  const RotaryAngles& angles = params.angles;
  if (angles.pairs < smallest) {
    return {Errc::below_minimum, "angles.pairs", static_cast<double>(angles.pairs)};
  }
  if (angles.pairs > kMaximumPairs) {
    return {Errc::above_maximum, "angles.pairs", static_cast<double>(angles.pairs)};
  }
  if (params.first_dim < 0) {
    return {Errc::below_minimum, "first_dim", static_cast<double>(params.first_dim)};
  }
  if (head_dim > kMaximumHeadDim) {
    return {Errc::above_maximum, "head_dim", static_cast<double>(head_dim)};
  }
  if (params.first_dim > head_dim - 2 * angles.pairs) {
    return {Errc::above_maximum, "first_dim", static_cast<double>(params.first_dim)};
  }
  if ((angles.cos == nullptr) != (angles.sin == nullptr)) {
    return {Errc::unknown, angles.cos == nullptr ? "angles.cos" : "angles.sin", 0.0};
  }
  if (angles.cos != nullptr && angles.rows < 0) {
    return {Errc::below_minimum, "angles.rows", static_cast<double>(angles.rows)};
  }
  return {};
}

}  // namespace detail

/// Errc::ok, or the first field that cannot be computed with.
template <typename T>
Fault validate(const RotaryParams<T>& params) noexcept {
  using ropewalk::detail::views_meet;
  Fault fault = detail::check_pair("q", "q_out", params.q, params.q_out);
  if (fault.code == Errc::ok && params.k.heads != 0) {
    fault = detail::check_pair("k", "k_out", params.k, params.k_out);
    if (fault.code != Errc::ok) return fault;
    if (params.k.tokens != params.q.tokens) {
      return {Errc::wrong_count, "k.tokens", static_cast<double>(params.k.tokens)};
    }
    if (params.k.head_dim != params.q.head_dim) {
      return {Errc::wrong_count, "k.head_dim", static_cast<double>(params.k.head_dim)};
    }
    if (views_meet(params.q_out, params.k_out) || views_meet(params.q, params.k_out)) {
      return {Errc::overlapping, "k_out", 0.0};
    }
    if (views_meet(params.q_out, params.k)) return {Errc::overlapping, "q_out", 0.0};
  }
  if (fault.code != Errc::ok) return fault;
  return detail::first_of(detail::check_positions(params, params.q.tokens),
                          detail::check_angles(params, 1, params.q.head_dim));
}

template <typename T>
Fault validate(const KvWriteParams<T>& params) noexcept {
  using ropewalk::detail::views_meet;
  Fault fault = detail::first_of(detail::named("k", params.k.validate()),
                                 detail::named("v", params.v.validate()));
  if (fault.code != Errc::ok) return fault;
  if (params.k.heads > kMaximumHeads) {
    return {Errc::above_maximum, "k", static_cast<double>(params.k.heads)};
  }
  if (params.v.tokens != params.k.tokens || params.v.heads != params.k.heads ||
      params.v.head_dim != params.k.head_dim) {
    return {Errc::wrong_count, "v", static_cast<double>(params.v.heads)};
  }
  if (params.q.heads != 0) {
    fault = detail::check_pair("q", "q_out", params.q, params.q_out);
    if (fault.code != Errc::ok) return fault;
    if (params.q.tokens != params.k.tokens || params.q.head_dim != params.k.head_dim) {
      return {Errc::wrong_count, "q", static_cast<double>(params.q.tokens)};
    }
    if (views_meet(params.q_out, params.k) || views_meet(params.q_out, params.v)) {
      return {Errc::overlapping, "q_out", 0.0};
    }
  }
  fault = detail::first_of(detail::check_positions(params, params.k.tokens),
                           detail::check_angles(params, 0, params.k.head_dim));
  if (fault.code != Errc::ok) return fault;
  const KvCache<T>& cache = params.cache;
  if (params.k.empty()) return {};
  if (cache.k == nullptr) return {Errc::unknown, "cache.k", 0.0};
  if (cache.v == nullptr) return {Errc::unknown, "cache.v", 0.0};
  if (cache.slots == nullptr) return {Errc::unknown, "cache.slots", 0.0};
  const std::int64_t sizes[5] = {cache.pages, cache.page_size, cache.page_stride,
                                 cache.token_stride, cache.head_stride};
  const char* names[5] = {"cache.pages", "cache.page_size", "cache.page_stride",
                          "cache.token_stride", "cache.head_stride"};
  for (int i = 0; i < 5; ++i) {
    if (sizes[i] < (i < 2 ? 1 : 0)) {
      return {Errc::below_minimum, names[i], static_cast<double>(sizes[i])};
    }
  }
  const std::int64_t slots = ropewalk::detail::add_product(0, cache.pages, cache.page_size);
  if (slots < 0 || slots > 0x7fffffff) {
    return {Errc::above_maximum, "cache.pages", static_cast<double>(cache.pages)};
  }
  return {};
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
