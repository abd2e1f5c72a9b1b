// Positions to train with that stand for a longer text than the window holds. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/plan/counter_random.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ropewalk {
inline namespace v0 {

// One struct per published sampler. Sample number n of a seed is always the same, on every machine
// and whichever samples were drawn before it.

namespace detail {

inline constexpr std::int64_t kMaximumWindow = std::int64_t{1} << 28;  // positions of one sample

inline Fault check_window(std::int64_t window, std::int64_t target_length) noexcept {
  if (const Fault fault = check_length("window", window, 1); fault.code != Errc::ok) return fault;
  if (window > kMaximumWindow) {
    return {Errc::above_maximum, "window", static_cast<double>(window)};
  }
  return check_length("target_length", target_length, window);
}

}  // namespace detail

/// Positions 0 .. window - 1 cut into chunks, each moved further than the one before it:
///
///     window 8, 2 chunks     0 1 2 | 3 4 5 6 7     becomes     0 1 2     u+3 u+4 u+5 u+6 u+7
///
/// Cuts are drawn anew for every sample, all alike likely. The move u of a chunk is uniform between
/// that of the chunk before and target_length - window; the first chunk does not move.
///   Source       Zhu et al. 2023, arXiv 2309.10400. Its code, for two chunks, cuts within the
///                first half only
struct PoseSampler {
  std::int64_t window = 0;         // tokens of a training sequence, 1 .. 2^28
  std::int64_t target_length = 0;  // tokens to be covered, >= window
  std::int64_t chunks = 2;         // 1 .. window; 1 leaves positions as they are

  Fault validate() const noexcept {
    if (const Fault fault = detail::check_window(window, target_length); fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_length("chunks", chunks, 1); fault.code != Errc::ok) {
      return fault;
    }
    if (chunks > window) return {Errc::above_maximum, "chunks", static_cast<double>(chunks)};
    return {};
  }

  /// (window,) strictly rising positions in [0, target_length).
  ///   Throws       std::invalid_argument naming field and value
  std::vector<std::int64_t> positions(std::uint64_t seed, std::uint64_t sample) const {
    detail::require("PoseSampler", validate());
    CounterRandom random(seed, sample);
    const std::vector<std::int64_t> cuts =
        detail::distinct_rising(random, 1, window - 1, chunks - 1);
    std::vector<std::int64_t> result(static_cast<std::size_t>(window));
    std::int64_t moved = 0;
    std::size_t chunk = 0;
    for (std::int64_t token = 0; token < window; ++token) {
      if (chunk < cuts.size() && cuts[chunk] == token) {
        moved = random.integer(moved, target_length - window);
        ++chunk;
      }
      result[static_cast<std::size_t>(token)] = token + moved;
    }
    return result;
  }
};

/// Whole positions, and what they are divided by: the frequencies of Linear{scale} turn them so.
struct ScaledPositions {
  std::int64_t scale = 1;
  std::vector<std::int64_t> positions = {};  // (window,) strictly rising
};

/// Position interpolation by another whole scale in every sample, at another place of the longer
/// text: token m stands at (m + offset) / scale. Scales are uniform in 1 .. maximum_scale, offsets
/// in 0 .. window (scale - 1), so that all stay within the trained positions.
///
/// Rotation sees distances only, which one offset for all tokens does not change. The first
/// `fixed_tokens` stay at 0, 1, ...: the offset then lies between them and the rest.
///   Source       Liu et al. 2024, arXiv 2401.06951 (E2-LLM), windows of the trained length
struct E2Sampler {
  std::int64_t window = 0;         // tokens of a training sequence: the trained length, 1 .. 2^28
  std::int64_t maximum_scale = 1;  // the target length in windows, >= 1; 1 changes nothing
  std::int64_t fixed_tokens = 0;   // 0 .. window

  Fault validate() const noexcept {
    if (const Fault fault = detail::check_window(window, window); fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_length("maximum_scale", maximum_scale, 1);
        fault.code != Errc::ok) {
      return fault;
    }
    if (maximum_scale > detail::kMaximumLength / window) {
      return {Errc::above_maximum, "maximum_scale", static_cast<double>(maximum_scale)};
    }
    if (const Fault fault = detail::check_length("fixed_tokens", fixed_tokens, 0);
        fault.code != Errc::ok) {
      return fault;
    }
    if (fixed_tokens > window) {
      return {Errc::above_maximum, "fixed_tokens", static_cast<double>(fixed_tokens)};
    }
    return {};
  }

  std::int64_t target_length() const noexcept { return window * maximum_scale; }

  /// Positions in [0, window * scale) and their scale.
  ///   Throws       std::invalid_argument naming field and value
  ScaledPositions positions(std::uint64_t seed, std::uint64_t sample) const {
    detail::require("E2Sampler", validate());
    CounterRandom random(seed, sample);
    const std::int64_t scale = random.integer(1, maximum_scale);
    const std::int64_t offset = random.integer(0, window * (scale - 1));
    ScaledPositions result;
    result.scale = scale;
    result.positions.resize(static_cast<std::size_t>(window));
    for (std::int64_t token = 0; token < window; ++token) {
      result.positions[static_cast<std::size_t>(token)] =
          token < fixed_tokens ? token : token + offset;
    }
    return result;
  }
};

/// Random positions in order: every set of `window` positions below target_length is as likely.
///   Source       Ruoss et al. 2023, arXiv 2305.16843
struct RandomSampler {
  std::int64_t window = 0;         // tokens of a training sequence, 1 .. 2^28
  std::int64_t target_length = 0;  // tokens to be covered, >= window; window changes nothing

  Fault validate() const noexcept { return detail::check_window(window, target_length); }

  /// (window,) strictly rising positions in [0, target_length).
  ///   Throws       std::invalid_argument naming field and value
  std::vector<std::int64_t> positions(std::uint64_t seed, std::uint64_t sample) const {
    detail::require("RandomSampler", validate());
    CounterRandom random(seed, sample);
    return detail::distinct_rising(random, 0, target_length - 1, window);
  }
};

}  // namespace v0
}  // namespace ropewalk
