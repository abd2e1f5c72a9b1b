// Moving cached keys to other positions without wearing them out. Row 8.
//
// A cache that slides drops some tokens and moves the rest towards the beginning; every key must
// then be turned by the tokens it moved. Turning in place rounds every time. After 10,000 shifts by
// one token (head_dim 128, theta 10000, random keys, error of a pair over its norm: rms of all
// pairs | of the worst pair, 1 being as long as the pair itself):
//                in place every time    in place every 100     pending, turned once
//     float      1.9e-4  | 4.8e-4       1.9e-6 | 4.1e-6        4.1e-8 | 6.3e-8
//     float16    0.52    | 1.7          2.3e-3 | 9.1e-3        2.0e-4 | 2.5e-4
//     bfloat16   1.2     | 2.0          2.4e-2 | 0.14          1.6e-3 | 2.0e-3
// Slow pairs of 16-bit keys do not move at all: the step rounds away. The figures are printed by
// the test "in-place shifts of 16-bit keys wear them out, pending shifts do not".
#pragma once

#include <ropewalk/rotate.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// How far every slot of a key cache has yet to be turned. Shifts are added up here, exactly; the
/// keys stay as they were written and are turned once, when they are read (copy_turned, the error
/// of one rotation however many shifts there were), or now and then in place (settle, one rounding
/// per call instead of one per shift).
struct CacheShift {
  std::vector<std::int64_t> pending = {};  // (slots,) tokens; the key belongs that much further on

  CacheShift() = default;
  explicit CacheShift(std::int64_t slots) {
    detail::require("CacheShift", detail::check_at_least("slots", static_cast<double>(slots), 0.0));
    pending.resize(static_cast<std::size_t>(slots));
  }

  std::int64_t slots() const noexcept { return static_cast<std::int64_t>(pending.size()); }

  /// Moves the keys of slots first .. first + count - 1 by delta positions.
  ///   Throws       std::invalid_argument before anything changes: slots that do not exist, a sum
  ///                beyond int64
  void shift(std::int64_t first, std::int64_t count, std::int64_t delta) {
    require_slots("CacheShift::shift", first, count);
    for (std::int64_t slot = first; slot < first + count; ++slot) {
      const std::int64_t held = pending[static_cast<std::size_t>(slot)];
      if (delta > 0 ? held > kLargest - delta : held < -kLargest - 1 - delta) {
        detail::refuse("CacheShift::shift", {delta > 0 ? Errc::above_maximum : Errc::below_minimum,
                                             "delta", static_cast<double>(delta)});
      }
    }
    for (std::int64_t slot = first; slot < first + count; ++slot) {
      pending[static_cast<std::size_t>(slot)] += delta;
    }
  }

  /// New keys were written to these slots, turned for the positions they have.
  void written(std::int64_t first, std::int64_t count) {
    require_slots("CacheShift::written", first, count);
    for (std::int64_t slot = first; slot < first + count; ++slot) {
      pending[static_cast<std::size_t>(slot)] = 0;
    }
  }

  /// The keys of slots from .. from + count - 1 were copied to `to` and following, as by memmove.
  void moved(std::int64_t from, std::int64_t to, std::int64_t count) {
    require_slots("CacheShift::moved", from, count);
    require_slots("CacheShift::moved", to, count);
    for (std::int64_t step = 0; step < count; ++step) {
      const std::int64_t index = to < from ? step : count - 1 - step;
      pending[static_cast<std::size_t>(to + index)] =
          pending[static_cast<std::size_t>(from + index)];
    }
  }

  /// Writes keys of slots `first` and following elsewhere, turned to where they belong. `keys` and
  /// what is pending stay.
  template <typename Kernel = simd::Portable, typename Source, typename T>
  void copy_turned(HeadView<Source> keys, HeadView<T> turned, std::int64_t first,
                   const PhaseTurns& turns, Pairing pairing,
                   const RotateOptions& options = {}) const {
    require_slots("CacheShift::copy_turned", first, keys.tokens);
    rotate_copy_by<Kernel>(keys, turned, deltas(first, keys.tokens), turns, pairing, options);
  }

  /// Turns keys of slots `first` and following in place; nothing is pending for them afterwards.
  template <typename Kernel = simd::Portable, typename T>
  void settle(HeadView<T> keys, std::int64_t first, const PhaseTurns& turns, Pairing pairing,
              const RotateOptions& options = {}) {
    require_slots("CacheShift::settle", first, keys.tokens);
    rotate_by<Kernel>(keys, deltas(first, keys.tokens), turns, pairing, options);
    written(first, keys.tokens);
  }

 private:
  static constexpr std::int64_t kLargest = (std::numeric_limits<std::int64_t>::max)();

  void require_slots(const char* where, std::int64_t first, std::int64_t count) const {
    if (first < 0) detail::refuse(where, {Errc::below_minimum, "slot", static_cast<double>(first)});
    if (count < 0) {
      detail::refuse(where, {Errc::below_minimum, "count", static_cast<double>(count)});
    }
    if (first > slots() || count > slots() - first) {
      detail::refuse(where, {Errc::above_maximum, "slot + count",
                             static_cast<double>(first) + static_cast<double>(count)});
    }
  }

  Span<const std::int64_t> deltas(std::int64_t first, std::int64_t count) const noexcept {
    return {pending.data() + first, static_cast<std::size_t>(count)};
  }
};

}  // namespace v0
}  // namespace ropewalk
