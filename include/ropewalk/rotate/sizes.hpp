// What a rotation refuses, and in which words. Row 8.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <stdexcept>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Refuses two sizes that must be one.
inline void require_equal(const char* where, const char* field, std::int64_t size,
                          const char* other, std::int64_t wanted) {
  if (size == wanted) return;
  char text[256];
  std::snprintf(text, sizeof text, "%s: %s has %lld, %s is %lld", where, field,
                static_cast<long long>(size), other, static_cast<long long>(wanted));
  ROPEWALK_THROW(std::invalid_argument(text));
}

/// Whether two sound views may hold an element in common. Exact where both have the same strides
/// and the heads of a token lie together, as parts of one fused buffer do; elsewhere it is the
/// ranges of memory that count.
template <typename A, typename B>
bool views_meet(const HeadView<A>& a, const HeadView<B>& b) noexcept {
  static_assert(sizeof(A) == sizeof(B), "views of one element type");
  if (!ranges_meet(a, b)) return false;
  if (a.token_stride != b.token_stride) return true;
  // Views whose ranges meet are closer than 2^63 bytes.
  const auto bytes = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(b.data) -
                                               reinterpret_cast<std::uintptr_t>(a.data));
  const std::int64_t size = sizeof(A);
  const std::int64_t step = magnitude(a.token_stride) * size;
  const auto extent = [&](const auto& view) {
    return ((view.heads - 1) * magnitude(view.head_stride) + view.head_dim) * size;
  };
  const std::int64_t a_extent = extent(a);
  const std::int64_t b_extent = extent(b);
  if (step < a_extent || step < b_extent) return true;
  if (a.head_stride < 0 || b.head_stride < 0) return true;
  // b's token begins `after` bytes behind the beginning of a's token, and a's next one follows.
  std::int64_t after = bytes % step;
  if (after < 0) after += step;
  return after < a_extent || step - after < b_extent;
}

/// Refuses two views that may hold an element in common.
///   words        subject of the sentence
template <typename A, typename B>
void require_apart(const char* where, const char* words, const HeadView<A>& a,
                   const HeadView<B>& b) {
  if (!views_meet(a, b)) return;
  char text[256];
  std::snprintf(text, sizeof text, "%s: %s %s", where, words, message(Errc::overlapping));
  ROPEWALK_THROW(std::invalid_argument(text));
}

/// Refuses a rotated part that does not fit a head.
inline void require_dims(const char* where, int first_dim, std::int64_t pairs, int head_dim) {
  if (first_dim < 0) {
    refuse(where, {Errc::below_minimum, "first_dim", static_cast<double>(first_dim)});
  }
  if (2 * pairs > head_dim) {
    refuse(where, {Errc::above_maximum, "rotary_dim", static_cast<double>(2 * pairs)});
  }
  if (2 * pairs + first_dim > head_dim) {
    refuse(where, {Errc::above_maximum, "first_dim", static_cast<double>(first_dim)});
  }
}

/// Refuses a table whose lists do not have its size.
template <typename Real>
void require_table(const char* where, const PhaseTable<Real>& table) {
  if (table.positions < 0) {
    refuse(where, {Errc::below_minimum, "positions", static_cast<double>(table.positions)});
  }
  if (table.pairs < 0) {
    refuse(where, {Errc::below_minimum, "pairs", static_cast<double>(table.pairs)});
  }
  const std::int64_t size = add_product(0, table.positions, table.pairs);
  const char* words = "positions * pairs";
  require_equal(where, "cos", static_cast<std::int64_t>(table.cos.size()), words, size);
  require_equal(where, "sin", static_cast<std::int64_t>(table.sin.size()), words, size);
}

inline void require_turns(const char* where, const PhaseTurns& turns) {
  require_equal(where, "low", static_cast<std::int64_t>(turns.low.size()), "high",
                static_cast<std::int64_t>(turns.high.size()));
}

/// Refuses a position whose row a table does not have.
inline void require_rows(const char* where, Span<const std::int64_t> positions,
                         std::int64_t first_position, std::int64_t rows) {
  const auto count = static_cast<std::uint64_t>(rows);
  for (const std::int64_t position : positions) {
    // As unsigned numbers the difference of two int64 is exact when it is not negative.
    const std::uint64_t row =
        static_cast<std::uint64_t>(position) - static_cast<std::uint64_t>(first_position);
    if (position >= first_position && row < count) continue;
    const Errc code = position < first_position ? Errc::below_minimum : Errc::above_maximum;
    refuse(where, {code, "position", static_cast<double>(position)});
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
