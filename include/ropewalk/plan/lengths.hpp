// Lengths of the stages between a trained length and a target. Row 9.
#pragma once

#include <ropewalk/theta.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Stages beyond this many are a mistake: no published plan has ten.
inline constexpr int kMaximumStages = 64;

namespace detail {

/// The nearest whole number of at most `bits` binary digits; halves go up.
inline std::int64_t round_to_bits(double value, int bits) noexcept {
  const int shift = std::ilogb(value) + 1 - bits;
  if (shift <= 0) return static_cast<std::int64_t>(std::floor(value + 0.5));
  return static_cast<std::int64_t>(std::ldexp(std::floor(std::ldexp(value, -shift) + 0.5), shift));
}

inline Fault check_stages(int stages) noexcept {
  if (stages < 1) return {Errc::below_minimum, "stages", static_cast<double>(stages)};
  if (stages > kMaximumStages) return {Errc::above_maximum, "stages", static_cast<double>(stages)};
  return {};
}

/// A stage needs at least one token more than the one before; one stage may be the trained length.
inline Fault check_room(std::int64_t trained_length, std::int64_t target_length,
                        int stages) noexcept {
  const bool room = stages == 1 || target_length - trained_length >= stages;
  if (!room) return {Errc::no_solution, "stages", static_cast<double>(stages)};
  return {};
}

}  // namespace detail

/// Lengths that grow by about the same factor from stage to stage, rounded to as few binary digits
/// as keep them rising (five or more): sequences of 40960 tokens divide well, of 41285 not.
///   trained_length   tokens, >= 1
///   target_length    tokens, >= trained_length; more than it where there are stages in between
///   stages           1 .. kMaximumStages
///   Returns      (stages,) rising, all above trained_length (unless that is the target), the last
///                target_length
///   Throws       std::invalid_argument; `stages` where the lengths leave no room for them
inline std::vector<std::int64_t> stage_lengths(std::int64_t trained_length,
                                               std::int64_t target_length, int stages) {
  constexpr const char* where = "stage_lengths";
  detail::require(where, detail::check_length("trained_length", trained_length, 1));
  detail::require(where, detail::check_length("target_length", target_length, trained_length));
  detail::require(where, detail::check_stages(stages));
  detail::require(where, detail::check_room(trained_length, target_length, stages));
  const double factor = static_cast<double>(target_length) / static_cast<double>(trained_length);
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(stages), target_length);
  for (int bits = 5; bits <= 53; ++bits) {
    std::int64_t before = trained_length;
    bool rising = true;
    for (int stage = 0; stage + 1 < stages; ++stage) {
      const double grown = detail::power_ratio(factor, stage + 1, stages);
      std::int64_t& length = lengths[static_cast<std::size_t>(stage)];
      length = detail::round_to_bits(static_cast<double>(trained_length) * grown, bits);
      rising = rising && length > before;
      before = length;
    }
    if (rising && (stages == 1 || before < target_length)) return lengths;
  }
  // Hardly longer than the trained length: one token at a time, and the rest at the end.
  for (int stage = 0; stage + 1 < stages; ++stage) {
    lengths[static_cast<std::size_t>(stage)] = trained_length + stage + 1;
  }
  return lengths;
}

}  // namespace v0
}  // namespace ropewalk
