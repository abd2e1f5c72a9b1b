// What the rotary kernels refuse. Host code without CUDA types.
#pragma once

#include <ropewalk/cuda/rotary/params.hpp>
#include <ropewalk/view_checks.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {

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

/// One way to say where tokens go.
template <typename T>
Fault check_targets(const KvTargets& targets, const KvCache<T>& cache) noexcept {
  const int ways = (targets.slots != nullptr ? 1 : 0) + (targets.sequences != nullptr ? 1 : 0) +
                   (targets.starts != nullptr ? 1 : 0);
  if (ways == 0) return {Errc::unknown, "targets.slots", 0.0};
  if (ways > 1) {
    return {Errc::wrong_count, targets.starts != nullptr ? "targets.starts" : "targets.sequences",
            static_cast<double>(ways)};
  }
  const int positions =
      (targets.positions != nullptr ? 1 : 0) + (targets.positions32 != nullptr ? 1 : 0);
  if (positions > (targets.slots != nullptr ? 0 : 1)) {
    return {Errc::wrong_count,
            targets.positions32 != nullptr ? "targets.positions32" : "targets.positions",
            static_cast<double>(positions)};
  }
  const auto count = static_cast<double>(targets.sequence_count);
  if (targets.starts != nullptr && targets.sequence_count < 1) {
    return {Errc::below_minimum, "targets.sequence_count", count};
  }
  if (targets.starts != nullptr && targets.sequence_count > cache.all_sequences()) {
    return {Errc::above_maximum, "targets.sequence_count", count};
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
  if (params.k.empty()) return {};
  return detail::first_of(validate(params.cache, params.k.heads, params.k.head_dim),
                          detail::check_targets(params.targets, params.cache));
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
