// How far an engine's angles can be trusted: the error of the cosine, and the last position before
// it passes a bound. Row 9.
#pragma once

#include <ropewalk/analysis/precision/angle_path.hpp>
#include <ropewalk/analysis/precision/phase_errors.hpp>
#include <ropewalk/phase/turns.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Errors of cosines over some positions, against the spectrum's own frequencies in exact arithmetic.
struct CosineError {
  double maximum = 0.0;         // |error| of a cosine
  std::int64_t maximum_at = 0;  // its position, the first of several
  int maximum_pair = 0;
  double rms = 0.0;                       // over all pairs and positions
  std::vector<double> pair_maximum = {};  // (pairs,)
  double from_frequency = 0.0;            // radians: largest |position * (held - frequency)|
  double from_product = 0.0;              // radians: largest |angle - position * held|
};

/// The error of every cosine at consecutive positions. The engine's cosine function is taken to be
/// exact: libraries add up to a ULP, fast intrinsics far more.
///   spectrum     what is meant, finite, >= 0
///   first_position, positions   0 <= first_position, positions >= 1, ending below 2^29
///   Max error    4e-16 each
///   Throws       std::invalid_argument naming field and value
inline CosineError cosine_error(const Spectrum& spectrum, const AnglePath& path,
                                std::int64_t first_position, std::int64_t positions) {
  constexpr const char* where = "cosine_error";
  detail::require(where, detail::check_path(spectrum, path));
  detail::require(where, detail::check_length("first_position", first_position, 0));
  detail::require(where, detail::check_length("positions", positions, 1));
  if (first_position >= kMaximumPrecisionPosition ||
      positions > kMaximumPrecisionPosition - first_position) {
    detail::refuse(where, {Errc::above_maximum, "first_position + positions",
                           static_cast<double>(first_position) + static_cast<double>(positions)});
  }
  const PhaseTurns turns = phase_turns(spectrum);
  CosineError result;
  result.pair_maximum.resize(spectrum.inv_freq.size());
  detail::PhaseErrors block(spectrum, path);
  double squares = 0.0;
  for (std::int64_t row = 0; row < positions; row += detail::kErrorBlock) {
    const std::int64_t first = first_position + row;
    const std::int64_t rest = positions - row;
    const int count = static_cast<int>(rest < detail::kErrorBlock ? rest : detail::kErrorBlock);
    block.begin(first, count);
    for (int pair = 0; pair < spectrum.pairs(); ++pair) {
      const auto entry = static_cast<std::size_t>(pair);
      const double* errors = block.errors(pair);
      const double shift = block.held_frequency(pair) - spectrum.inv_freq[entry];
      for (int i = 0; i < count; ++i) {
        const std::int64_t position = first + i;
        const Turns exact = phase_words(turns, position, pair);
        const double error = std::fabs(detail::cosine_error_of(exact, errors[i], path.cosine_type));
        squares += error * error;
        if (error > result.pair_maximum[entry]) result.pair_maximum[entry] = error;
        if (error > result.maximum || (error == result.maximum && position < result.maximum_at)) {
          result.maximum = error;
          result.maximum_at = position;
          result.maximum_pair = pair;
        }
        const double from_frequency = static_cast<double>(position) * shift;
        const double from_product = std::fabs(errors[i] - from_frequency);
        if (std::fabs(from_frequency) > result.from_frequency) {
          result.from_frequency = std::fabs(from_frequency);
        }
        if (from_product > result.from_product) result.from_product = from_product;
      }
    }
  }
  result.rms =
      std::sqrt(squares / (static_cast<double>(positions) * static_cast<double>(spectrum.pairs())));
  return result;
}

/// How far every pair stays within a bound.
struct PrecisionBudget {
  double bound = 0.0;              // on |error| of a cosine
  std::int64_t limit = 0;          // last position looked at
  std::int64_t safe_position = 0;  // all pairs hold at 0 .. safe_position; limit: at least that far
  int first_pair = -1;             // that fails right after it, the fastest of several; -1: none
  std::vector<std::int64_t> pair_safe_position = {};  // (pairs,) the same, pair by pair
};

namespace detail {

/// The last position up to which a pair's angle is certain to be within the bound.
inline std::int64_t covered_position(const PhaseErrors& block, int pair, double angle_bound,
                                     std::int64_t limit) noexcept {
  if (block.stands_still(pair)) return limit;  // the cosine is 1, in every type
  if (!(angle_bound > 0.0)) return 0;          // position 0 has no error
  const double slope = block.slope(pair, limit);
  if (slope * static_cast<double>(limit) <= angle_bound) return limit;
  return static_cast<std::int64_t>(angle_bound / slope);
}

/// The first position from `from` to the end of the block whose cosine fails; the end if none does.
inline std::int64_t first_failure(PhaseErrors& block, const PhaseTurns& turns, int pair,
                                  std::int64_t from, double bound, double angle_bound) noexcept {
  const double* errors = block.errors(pair);
  const int start = static_cast<int>(from - block.first());
  double largest = 0.0;
  for (int i = start; i < block.count(); ++i) {
    const double size = std::fabs(errors[i]);
    largest = size > largest ? size : largest;
  }
  const std::int64_t end = block.first() + block.count();
  if (largest <= angle_bound) return end;
  for (int i = start; i < block.count(); ++i) {
    if (std::fabs(errors[i]) <= angle_bound) continue;
    const std::int64_t position = block.first() + i;
    const double error =
        cosine_error_of(phase_words(turns, position, pair), errors[i], block.path().cosine_type);
    if (std::fabs(error) > bound) return position;
  }
  return end;
}

}  // namespace detail

/// The largest position up to which every cosine, at that and every earlier position, is within a
/// bound of the exact one: one less than the first failure.
///
/// Nothing is sampled. Every position from 0 to limit is either covered by a proven bound on the
/// angle's error, which grows in proportion to the position, or looked at.
///   bound        |error| of a cosine that is still accepted, finite, >= 1e-12
///   limit        last position to look at, 1 .. 2^29 - 1
///   Throws       std::invalid_argument naming field and value
inline PrecisionBudget precision_budget(const Spectrum& spectrum, const AnglePath& path,
                                        double bound, std::int64_t limit = 1 << 24) {
  constexpr const char* where = "precision_budget";
  constexpr double kSmallestBound = 1e-12;  // well above the 4e-16 an error is known to
  detail::require(where, detail::check_path(spectrum, path));
  detail::require(where, detail::check_at_least("bound", bound, kSmallestBound));
  detail::require(where, detail::check_length("limit", limit, 1));
  if (limit >= kMaximumPrecisionPosition) {
    detail::refuse(where, {Errc::above_maximum, "limit", static_cast<double>(limit)});
  }
  const PhaseTurns turns = phase_turns(spectrum);
  detail::PhaseErrors block(spectrum, path);
  // |cosine error| <= |angle error| + the rounding of the cosine.
  const double angle_bound = bound - detail::cosine_rounding(path.cosine_type);
  PrecisionBudget result;
  result.bound = bound;
  result.limit = limit;
  result.pair_safe_position.assign(spectrum.inv_freq.size(), limit);

  std::vector<std::int64_t> next;  // (pairs,) first position not yet covered; past limit: done
  std::int64_t first = limit + 1;
  for (int pair = 0; pair < spectrum.pairs(); ++pair) {
    next.push_back(1 + detail::covered_position(block, pair, angle_bound, limit));
    if (next.back() < first) first = next.back();
  }
  while (first <= limit) {
    const std::int64_t rest = limit + 1 - first;
    const int count = static_cast<int>(rest < detail::kErrorBlock ? rest : detail::kErrorBlock);
    const std::int64_t end = first + count;
    std::int64_t following = limit + 1;
    block.begin(first, count);
    for (int pair = 0; pair < spectrum.pairs(); ++pair) {
      std::int64_t& from = next[static_cast<std::size_t>(pair)];
      if (from < end) {
        const std::int64_t failure =
            detail::first_failure(block, turns, pair, from, bound, angle_bound);
        if (failure < end) result.pair_safe_position[static_cast<std::size_t>(pair)] = failure - 1;
        from = failure < end ? limit + 1 : end;
      }
      if (from < following) following = from;
    }
    first = following;
  }

  result.safe_position = limit;
  for (int pair = 0; pair < spectrum.pairs(); ++pair) {
    const std::int64_t safe = result.pair_safe_position[static_cast<std::size_t>(pair)];
    if (safe >= result.safe_position) continue;
    result.safe_position = safe;
    result.first_pair = pair;
  }
  return result;
}

}  // namespace v0
}  // namespace ropewalk
