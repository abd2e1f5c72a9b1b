// What a rotation refuses, and in which words. Row 8.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/phase.hpp>
#include <ropewalk/view_checks.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

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
