// Rotation of queries and keys by their positions. Row 8.
//
// A pair (x, y) of a head at a position with angle a becomes
//     x' = x cos a - y sin a        y' = y cos a + x sin a
// times the attention factor. Cosines and sines come from a PhaseTable, or straight from
// PhaseTurns: one exact row per token, which for a token of decoding is cheaper than a table that
// is not in the cache. Data may have any strides; every product of sizes is formed in 64 bits and
// refused when it does not fit.
//
//     rotate(q, k, positions, table, pairing);                  in place
//     rotate_copy(source, destination, positions, turns, pairing);
//     rotate_by(cached_keys, -discarded, turns, pairing);       no attention factor
//     rotate<simd::Native>(q, k, positions, table, pairing);    with <ropewalk/simd/rotate.hpp>
//
// Max error of an element, with u = 2^-24 for float and the 16-bit types, 2^-53 for double, A the
// attention factor (1 in rotate_by) and n = |(x, y)|:
//     3.1 u A n (double: 5.1 u A n, its cosines being good to 1.5 ULP), and 2 u A n more for each
//     of head_scale and position_scale (all times the scales);
//     the 16-bit types add half a unit in the last place of the result (float16 2^-11, bfloat16
//     2^-8 of it; at least 2^-25 and 2^-134), and kernels that say so drop bfloat16 results below
//     2^-126.
// With double elements and a float table, the table's u counts. Kernels agree with simd::Portable
// within twice the first bound and one last place of a 16-bit type.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase.hpp>
#include <ropewalk/rope_config.hpp>
#include <ropewalk/rotate/rows.hpp>
#include <ropewalk/rotate/sizes.hpp>
#include <ropewalk/simd/rotate_portable.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// What a rotation may do beyond turning every pair by its angle. Defaults change nothing.
struct RotateOptions {
  /// Element of a head at which the rotated part begins, 0 .. head_dim - rotary_dim; the others
  /// pass unturned (rotate_copy copies them).
  int first_dim = 0;

  /// Turns back: the sine's sign changes. Factors and scales apply as before, so this is the
  /// transpose of the rotation and therefore its backward: call it on the gradient with the options
  /// of the forward pass. It undoes a rotation where all factors are 1.
  bool inverse = false;

  /// Multiplies every element of a head, rotated or not, and so its logits: a temperature per head
  /// without an attention that knows of it. Empty, or (heads,).
  Span<const double> head_scale = {};

  /// The same per token, for the laws of temperature.hpp. Empty, or (tokens,).
  Span<const double> position_scale = {};

  /// The position of row 0 of a table: position p reads row p - first_position.
  std::int64_t first_position = 0;

  /// rotate_copy writes past the caches when the destination has at least so many bytes, the kernel
  /// has such stores and the rotated halves lie on its lines. Gains a quarter of the time where the
  /// destination is well beyond the last-level cache, loses up to a factor of three inside it.
  std::int64_t streaming_bytes = (std::numeric_limits<std::int64_t>::max)();
};

namespace detail {

/// A view that is turned, and what else happens to it.
template <typename T>
struct RotatePart {
  static_assert(!std::is_const_v<T>, "what is turned is written: take a view that is not const");

  HeadView<const T> source;
  HeadView<T> destination;
  RotateOptions options;

  bool in_place() const noexcept { return source.data == destination.data; }
  bool scales() const noexcept {
    return !options.head_scale.empty() || !options.position_scale.empty();
  }
};

/// Whether the destination is written past the caches.
template <typename Kernel, typename T>
bool streams(const RotatePart<T>& part, int pairs) noexcept {
  if constexpr (Kernel::kStreamAlignment == 0) {
    return false;
  } else {
    const HeadView<T>& to = part.destination;
    if (part.in_place() || to.empty()) return false;
    const std::int64_t head_bytes = static_cast<std::int64_t>(sizeof(T)) * to.head_dim;
    if (to.tokens * to.heads < part.options.streaming_bytes / head_bytes) return false;
    const auto address = reinterpret_cast<std::uintptr_t>(to.data + part.options.first_dim);
    const std::uint64_t steps = static_cast<std::uint64_t>(to.token_stride) |
                                static_cast<std::uint64_t>(to.head_stride) |
                                static_cast<std::uint64_t>(pairs);
    return (address | (steps * sizeof(T))) % Kernel::kStreamAlignment == 0;
  }
}

/// The elements of one token's heads outside the rotated part: copied, and scaled where asked.
template <typename T>
void pass_around(const RotateJob<T>& job, int pairs, int first_dim, int head_dim,
                 typename RotateJob<T>::Compute position_scale, bool scales) noexcept {
  using Compute = typename RotateJob<T>::Compute;
  using Traits = ElementTraits<T>;
  // Counted from the first rotated element.
  const int ranges[2][2] = {{-first_dim, 0}, {2 * pairs, head_dim - first_dim}};
  for (std::int64_t head = 0; head < job.heads; ++head) {
    const T* source = job.source + head * job.source_stride;
    T* destination = job.destination + head * job.destination_stride;
    const Compute head_scale = job.head_scale == nullptr ? Compute{1} : job.head_scale[head];
    for (const auto& range : ranges) {
      if (scales) {
        for (int dim = range[0]; dim < range[1]; ++dim) {
          destination[dim] = Traits::store(Traits::load(source[dim]) * position_scale * head_scale);
        }
      } else {
        for (int dim = range[0]; dim < range[1]; ++dim) destination[dim] = source[dim];
      }
    }
  }
}

/// Turns the heads of one token; what of the job differs from token to token is set here.
template <typename Kernel, typename T, typename Compute = typename RotateJob<T>::Compute>
void rotate_token(const RotatePart<T>& part, std::int64_t token, RotateJob<T>& job,
                  const RotateRow<Compute>& row, RowBuffer<Compute>& scaled_row) noexcept {
  const int first_dim = part.options.first_dim;
  const bool identity = row.identity && !part.scales();
  if (identity && part.in_place()) return;
  job.source = part.source.head(token, 0) + first_dim;
  job.destination = part.destination.head(token, 0) + first_dim;
  job.cos = row.cos;
  job.sin = row.sin;
  Compute position_scale{1};
  if (!part.options.position_scale.empty()) {
    position_scale =
        static_cast<Compute>(part.options.position_scale[static_cast<std::size_t>(token)]);
    const RotateRow<Compute> scaled =
        scaled_row.scaled(row.cos, row.sin, position_scale, position_scale, job.pairs);
    job.cos = scaled.cos;
    job.sin = scaled.sin;
  }
  const int pairs = identity ? 0 : job.pairs;
  if (pairs > 0) Kernel::rotate(job);
  if (part.source.head_dim > 2 * pairs && (part.scales() || !part.in_place())) {
    pass_around(job, pairs, first_dim, part.source.head_dim, position_scale, part.scales());
  }
}

/// Turns every token of one or two parts that were checked.
template <typename Kernel, typename T, typename Rows, std::size_t kParts>
void rotate_parts(const RotatePart<T> (&parts)[kParts], Rows& rows, Pairing pairing) {
  using Compute = typename RotateJob<T>::Compute;
  RotateJob<T> jobs[kParts];
  std::vector<Compute> head_scale[kParts];
  for (std::size_t part = 0; part < kParts; ++part) {
    for (const double by : parts[part].options.head_scale) {
      head_scale[part].push_back(static_cast<Compute>(by));
    }
    jobs[part].source_stride = parts[part].source.head_stride;
    jobs[part].destination_stride = parts[part].destination.head_stride;
    jobs[part].heads = parts[part].source.heads;
    jobs[part].pairs = rows.pairs();
    jobs[part].pairing = pairing;
    jobs[part].head_scale = head_scale[part].empty() ? nullptr : head_scale[part].data();
    jobs[part].streaming = streams<Kernel>(parts[part], rows.pairs());
  }
  RowBuffer<Compute> scaled_row(rows.pairs());
  for (std::int64_t token = 0; token < parts[0].source.tokens; ++token) {
    const RotateRow<Compute> row = rows.row(token);
    for (std::size_t part = 0; part < kParts; ++part) {
      // A view without heads may be without data.
      if (jobs[part].heads == 0) continue;
      rotate_token<Kernel>(parts[part], token, jobs[part], row, scaled_row);
    }
  }
  for (const RotateJob<T>& job : jobs) {
    if (job.streaming) Kernel::finish_streams();
  }
}

/// Checks of one part that need its sizes only.
template <typename T>
void require_part(const char* where, const RotatePart<T>& part, int pairs) {
  // A view may be turned onto itself, with the same strides.
  const bool same = part.in_place() && part.source.token_stride == part.destination.token_stride &&
                    part.source.head_stride == part.destination.head_stride;
  require(where, part.destination.validate());
  if (!same) require(where, part.source.validate());
  require_dims(where, part.options.first_dim, pairs, part.source.head_dim);
  const HeadView<const T>& from = part.source;
  const HeadView<T>& to = part.destination;
  require_equal(where, "destination.tokens", to.tokens, "source.tokens", from.tokens);
  require_equal(where, "destination.heads", to.heads, "source.heads", from.heads);
  require_equal(where, "destination.head_dim", to.head_dim, "source.head_dim", from.head_dim);
  const auto head_scales = static_cast<std::int64_t>(part.options.head_scale.size());
  if (head_scales != 0) require_equal(where, "head_scale", head_scales, "heads", from.heads);
  const auto position_scales = static_cast<std::int64_t>(part.options.position_scale.size());
  if (position_scales != 0) {
    require_equal(where, "position_scale", position_scales, "tokens", from.tokens);
  }
  if (!same) require_apart(where, "the destination overlaps the source", from, to);
}

inline void require_positions(const char* where, Span<const std::int64_t> positions,
                              std::int64_t tokens) {
  require_equal(where, "positions", static_cast<std::int64_t>(positions.size()), "tokens", tokens);
}

/// What the angles of a call are made from, checked.
template <typename Kernel, typename T, typename Real>
TableRows<Real, typename RotateJob<T>::Compute> rows_of(const char* where,
                                                        Span<const std::int64_t> positions,
                                                        const PhaseTable<Real>& table,
                                                        const RotateOptions& options) {
  require_table(where, table);
  require_rows(where, positions, options.first_position, table.positions);
  return {table, positions, options.first_position, options.inverse};
}

template <typename Kernel, typename T>
TurnsRows<Kernel, typename RotateJob<T>::Compute> rows_of(const char* where,
                                                          Span<const std::int64_t> positions,
                                                          const PhaseTurns& turns,
                                                          const RotateOptions& options) {
  require_turns(where, turns);
  return {turns, positions, turns.attention_factor, options.inverse};
}

/// Checks the parts against the rows, then turns them.
template <typename Kernel, typename T, typename Rows, std::size_t kParts>
void rotate_checked(const char* where, const RotatePart<T> (&parts)[kParts], Rows&& rows,
                    Pairing pairing) {
  for (const RotatePart<T>& part : parts) require_part(where, part, rows.pairs());
  if (kParts == 2) {
    require_apart(where, "q overlaps k", parts[0].destination, parts[kParts - 1].destination);
  }
  rotate_parts<Kernel>(parts, rows, pairing);
}

/// The options of the keys that are turned together with queries.
inline RotateOptions without_scales(RotateOptions options) noexcept {
  options.head_scale = {};
  options.position_scale = {};
  return options;
}

}  // namespace detail

/// Turns the heads of every token in place.
///   Kernel       simd::Portable, or one of <ropewalk/simd/rotate.hpp>
///   positions    (tokens,), in any order; with a table each in options.first_position +
///                [0, table.positions), with turns any int64
///   angles       PhaseTable<float>, PhaseTable<double> or PhaseTurns; twice the pairs rotate
///   Max error    at the top of this file
///   Throws       std::invalid_argument before anything is written: an unsound view, counts that do
///                not agree, a position outside the table, first_dim + rotary_dim over head_dim
template <typename Kernel = simd::Portable, typename T, typename Angles>
void rotate(HeadView<T> view, Span<const std::int64_t> positions, const Angles& angles,
            Pairing pairing, const RotateOptions& options = {}) {
  detail::require_positions("rotate", positions, view.tokens);
  const detail::RotatePart<T> parts[1] = {{view, view, options}};
  detail::rotate_checked<Kernel>(
      "rotate", parts, detail::rows_of<Kernel, T>("rotate", positions, angles, options), pairing);
}

/// Turns the queries and keys of the same tokens in place; angles are formed once.
///   q, k         as many tokens, any numbers of heads; no element in common
///   options      scales multiply the queries only
template <typename Kernel = simd::Portable, typename T, typename Angles>
void rotate(HeadView<T> q, HeadView<T> k, Span<const std::int64_t> positions, const Angles& angles,
            Pairing pairing, const RotateOptions& options = {}) {
  detail::require_positions("rotate", positions, q.tokens);
  detail::require_equal("rotate", "k.tokens", k.tokens, "q.tokens", q.tokens);
  const detail::RotatePart<T> parts[2] = {{q, q, options}, {k, k, detail::without_scales(options)}};
  detail::rotate_checked<Kernel>(
      "rotate", parts, detail::rows_of<Kernel, T>("rotate", positions, angles, options), pairing);
}

/// Turns the heads of every token by the row of the same index: for tables of chosen positions, and
/// of positions that are not one number per token (several axes).
///   table        table.positions is view.tokens
template <typename Kernel = simd::Portable, typename T, typename Real>
void rotate(HeadView<T> view, const PhaseTable<Real>& table, Pairing pairing,
            const RotateOptions& options = {}) {
  detail::require_equal("rotate", "table.positions", table.positions, "tokens", view.tokens);
  const detail::RotatePart<T> parts[1] = {{view, view, options}};
  detail::rotate_checked<Kernel>("rotate", parts,
                                 detail::rows_of<Kernel, T>("rotate", {}, table, options), pairing);
}

/// Writes the turned heads elsewhere, the elements around the rotated part copied.
///   source       not overlapping destination, unless they are the same view
template <typename Kernel = simd::Portable, typename Source, typename T, typename Angles>
void rotate_copy(HeadView<Source> source, HeadView<T> destination,
                 Span<const std::int64_t> positions, const Angles& angles, Pairing pairing,
                 const RotateOptions& options = {}) {
  detail::require_positions("rotate_copy", positions, source.tokens);
  const detail::RotatePart<T> parts[1] = {{source, destination, options}};
  detail::rotate_checked<Kernel>(
      "rotate_copy", parts, detail::rows_of<Kernel, T>("rotate_copy", positions, angles, options),
      pairing);
}

/// Turns rotated keys on by `delta` positions, as if they had been written at position + delta. The
/// attention factor, which they have already, is not applied again.
///   delta        tokens, negative towards the beginning, any int64
///   Max error    of one call; repeated shifts of 16-bit keys pile up: see CacheShift
template <typename Kernel = simd::Portable, typename T>
void rotate_by(HeadView<T> view, std::int64_t delta, const PhaseTurns& turns, Pairing pairing,
               const RotateOptions& options = {}) {
  detail::require_turns("rotate_by", turns);
  const detail::RotatePart<T> parts[1] = {{view, view, options}};
  detail::rotate_checked<Kernel>("rotate_by", parts,
                                 detail::OneRow<Kernel, typename detail::RotateJob<T>::Compute>(
                                     turns, delta, 1.0, options.inverse),
                                 pairing);
}

/// The same with a delta per token; tokens with delta 0 are left alone.
///   deltas       (tokens,)
template <typename Kernel = simd::Portable, typename T>
void rotate_by(HeadView<T> view, Span<const std::int64_t> deltas, const PhaseTurns& turns,
               Pairing pairing, const RotateOptions& options = {}) {
  detail::require_turns("rotate_by", turns);
  detail::require_equal("rotate_by", "deltas", static_cast<std::int64_t>(deltas.size()), "tokens",
                        view.tokens);
  const detail::RotatePart<T> parts[1] = {{view, view, options}};
  detail::rotate_checked<Kernel>("rotate_by", parts,
                                 detail::TurnsRows<Kernel, typename detail::RotateJob<T>::Compute>(
                                     turns, deltas, 1.0, options.inverse),
                                 pairing);
}

/// The same written elsewhere.
template <typename Kernel = simd::Portable, typename Source, typename T>
void rotate_copy_by(HeadView<Source> source, HeadView<T> destination,
                    Span<const std::int64_t> deltas, const PhaseTurns& turns, Pairing pairing,
                    const RotateOptions& options = {}) {
  detail::require_turns("rotate_copy_by", turns);
  detail::require_equal("rotate_copy_by", "deltas", static_cast<std::int64_t>(deltas.size()),
                        "tokens", source.tokens);
  const detail::RotatePart<T> parts[1] = {{source, destination, options}};
  detail::rotate_checked<Kernel>("rotate_copy_by", parts,
                                 detail::TurnsRows<Kernel, typename detail::RotateJob<T>::Compute>(
                                     turns, deltas, 1.0, options.inverse),
                                 pairing);
}

}  // namespace v0
}  // namespace ropewalk
