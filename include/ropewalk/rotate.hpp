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
// Nothing is allocated for up to 512 rotated elements to a head without head_scale: the room is on
// the stack.
//
// Max error of an element, with u = 2^-24 for float and the 16-bit types, 2^-53 for double, A the
// attention factor (1 in rotate_by) and n = |(x, y)|:
//     3.1 u A n; double 5.6 u A n from turns, 8.2 u A n from a table (tests hold it to 5.1);
//     2 u A n more for each of head_scale and position_scale (all times the scales);
//     the 16-bit types add half a unit in the last place of the result (float16 2^-11, bfloat16
//     2^-8 of it; at least 2^-25 and 2^-134), and kernels that say so drop bfloat16 results below
//     2^-126.
// That is u A n for the two products (|x c| + |y s| <= A n), u A n for their sum, and the row's part:
// float rows are correctly rounded, u A n; a double is off by 2e-16 A from turns and 4e-16 A in a
// table, sqrt 2 times that for the pair (2.6 and 5.1 u A n), and u A n for its factor's rounding.
// With double elements and a float table, the table's u counts. Kernels agree with simd::Portable
// within twice the first bound and one last place of a 16-bit type.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase.hpp>
#include <ropewalk/rope_config.hpp>
#include <ropewalk/rotate/options.hpp>
#include <ropewalk/rotate/parts.hpp>
#include <ropewalk/rotate/rows.hpp>
#include <ropewalk/rotate/sizes.hpp>
#include <ropewalk/simd/rotate_portable.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {

namespace detail {

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
template <typename Kernel, typename Source, typename T, typename Rows, std::size_t kParts>
void rotate_checked(const char* where, const RotatePart<Source, T> (&parts)[kParts], Rows&& rows,
                    Pairing pairing) {
  for (const RotatePart<Source, T>& part : parts) require_part(where, part, rows.pairs());
  if (kParts == 2) {
    require_apart(where, "the overlap of q and k", parts[0].destination,
                  parts[kParts - 1].destination);
  }
  rotate_parts<Kernel>(parts, rows, pairing);
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
void rotate(const HeadView<T>& view, Span<const std::int64_t> positions, const Angles& angles,
            Pairing pairing, const RotateOptions& options = {}) {
  detail::require_positions("rotate", positions, view.tokens);
  const detail::RotatePart<T, T> parts[1] = {{view, view, options}};
  detail::rotate_checked<Kernel>(
      "rotate", parts, detail::rows_of<Kernel, T>("rotate", positions, angles, options), pairing);
}

/// Turns the queries and keys of the same tokens in place; angles are formed once.
///   q, k         as many tokens, any numbers of heads; no element in common
///   options      scales multiply the queries only
template <typename Kernel = simd::Portable, typename T, typename Angles>
void rotate(const HeadView<T>& q, const HeadView<T>& k, Span<const std::int64_t> positions,
            const Angles& angles, Pairing pairing, const RotateOptions& options = {}) {
  detail::require_positions("rotate", positions, q.tokens);
  detail::require_equal("rotate", "k.tokens", k.tokens, "q.tokens", q.tokens);
  const detail::RotatePart<T, T> parts[2] = {{q, q, options}, {k, k, options, false}};
  detail::rotate_checked<Kernel>(
      "rotate", parts, detail::rows_of<Kernel, T>("rotate", positions, angles, options), pairing);
}

/// Turns the heads of every token by the row of the same index: for tables of chosen positions, and
/// of positions that are not one number per token (several axes).
///   table        table.positions is view.tokens
template <typename Kernel = simd::Portable, typename T, typename Real>
void rotate(const HeadView<T>& view, const PhaseTable<Real>& table, Pairing pairing,
            const RotateOptions& options = {}) {
  detail::require_equal("rotate", "table.positions", table.positions, "tokens", view.tokens);
  const detail::RotatePart<T, T> parts[1] = {{view, view, options}};
  detail::rotate_checked<Kernel>("rotate", parts,
                                 detail::rows_of<Kernel, T>("rotate", {}, table, options), pairing);
}

/// Writes the turned heads elsewhere, the elements around the rotated part copied.
///   source       not overlapping destination, unless they are the same view
template <typename Kernel = simd::Portable, typename Source, typename T, typename Angles>
void rotate_copy(const HeadView<Source>& source, const HeadView<T>& destination,
                 Span<const std::int64_t> positions, const Angles& angles, Pairing pairing,
                 const RotateOptions& options = {}) {
  detail::require_positions("rotate_copy", positions, source.tokens);
  const detail::RotatePart<Source, T> parts[1] = {{source, destination, options}};
  detail::rotate_checked<Kernel>(
      "rotate_copy", parts, detail::rows_of<Kernel, T>("rotate_copy", positions, angles, options),
      pairing);
}

/// Turns rotated keys on by `delta` positions, as if they had been written at position + delta. The
/// attention factor, which they have already, is not applied again.
///   delta        tokens, negative towards the beginning, any int64
///   Max error    of one call; repeated shifts of 16-bit keys pile up: see CacheShift
template <typename Kernel = simd::Portable, typename T>
void rotate_by(const HeadView<T>& view, std::int64_t delta, const PhaseTurns& turns,
               Pairing pairing, const RotateOptions& options = {}) {
  detail::require_turns("rotate_by", turns);
  const detail::RotatePart<T, T> parts[1] = {{view, view, options}};
  detail::rotate_checked<Kernel>("rotate_by", parts,
                                 detail::OneRow<Kernel, typename detail::RotateJob<T>::Compute>(
                                     turns, delta, 1.0, options.inverse),
                                 pairing);
}

/// The same with a delta per token; tokens with delta 0 are left alone.
///   deltas       (tokens,)
template <typename Kernel = simd::Portable, typename T>
void rotate_by(const HeadView<T>& view, Span<const std::int64_t> deltas, const PhaseTurns& turns,
               Pairing pairing, const RotateOptions& options = {}) {
  detail::require_turns("rotate_by", turns);
  detail::require_equal("rotate_by", "deltas", static_cast<std::int64_t>(deltas.size()), "tokens",
                        view.tokens);
  const detail::RotatePart<T, T> parts[1] = {{view, view, options}};
  detail::rotate_checked<Kernel>("rotate_by", parts,
                                 detail::TurnsRows<Kernel, typename detail::RotateJob<T>::Compute>(
                                     turns, deltas, 1.0, options.inverse),
                                 pairing);
}

/// The same written elsewhere.
template <typename Kernel = simd::Portable, typename Source, typename T>
void rotate_copy_by(const HeadView<Source>& source, const HeadView<T>& destination,
                    Span<const std::int64_t> deltas, const PhaseTurns& turns, Pairing pairing,
                    const RotateOptions& options = {}) {
  detail::require_turns("rotate_copy_by", turns);
  detail::require_equal("rotate_copy_by", "deltas", static_cast<std::int64_t>(deltas.size()),
                        "tokens", source.tokens);
  const detail::RotatePart<Source, T> parts[1] = {{source, destination, options}};
  detail::rotate_checked<Kernel>("rotate_copy_by", parts,
                                 detail::TurnsRows<Kernel, typename detail::RotateJob<T>::Compute>(
                                     turns, deltas, 1.0, options.inverse),
                                 pairing);
}

}  // namespace v0
}  // namespace ropewalk
