// Which angles a model has seen, and which it would meet. Row 9.
#pragma once

#include <ropewalk/frequency.hpp>
#include <ropewalk/spectrum.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Full turns of every pair over a length.
///   length       tokens, >= 1
///   Returns      (pairs,) turns; 0 for a pair that never turns
///   Max error    2 ULP each
inline std::vector<double> rotations(const Spectrum& spectrum, std::int64_t length) {
  detail::require("rotations", detail::check_length("length", length, 1));
  std::vector<double> turns;
  turns.reserve(spectrum.inv_freq.size());
  for (const double inv_freq : spectrum.inv_freq) turns.push_back(rotations(inv_freq, length));
  return turns;
}

/// Turns from which a pair counts as complete. Liu et al. 2023, arXiv 2310.05209: one full circle.
inline constexpr double kFullTurn = 1.0;

/// Three turns put the first incomplete pair where LongRoPE2's search found it (arXiv 2502.20082):
/// pair 30 of Llama-3-8B (35 at one turn) and pair 25 of Phi-3-mini (31). Two data points, to which
/// any number above 2.78 and up to 3.26 fits: a hint, not a law.
inline constexpr double kThreeTurns = 3.0;

/// How far one pair turns over the trained length, and how far over the target length.
struct PairRange {
  double trained_turns = 0.0;
  double target_turns = 0.0;
  double excess_turns = 0.0;  // of the first kappa turns, what only the target length would reach
  bool complete = false;      // turned at least kappa times in training: no new angle to meet
  bool over_range = false;    // would turn further than in training, which was not kappa turns
};

/// What a schedule does to the angles a model was trained on. The counts are gates: schedules that
/// work leave no pair over its range, but not every schedule that leaves none works. The rest
/// describes.
struct Coverage {
  int pairs = 0;
  int complete_pairs = 0;        // turned at least kappa times in training
  int incomplete_pairs = 0;      // turned, but fewer than kappa times
  int still_pairs = 0;           // frequency 0 before and after: no angle to leave
  int over_range_pairs = 0;      // would turn further than in training, which was not kappa turns
  double fast_resolution = 1.0;  // geometric mean of new / trained frequency, pairs of >= 32 turns
  int fast_pairs = 0;            // how many pairs that mean is over; 0: there is none
  double longest_wavelength = 0.0;    // tokens, of the extended pairs that turn; 0: none turns
  double excess_turns = 0.0;          // sum of the pairs' excess
  double largest_excess_turns = 0.0;  // of the worst pair
  double mean_abs_log2_change = 0.0;  // of the frequencies of pairs that turn before and after
  int moving_pairs = 0;               // how many pairs that mean is over; 0: there is none
  int stopped_pairs = 0;              // turned in training, still now
  int stopped_fast_pairs = 0;         // those of them that turned at least 32 times
};

namespace detail {

inline constexpr double kFastTurns = 32.0;  // YaRN's beta_fast: pairs every schedule means to keep

/// One pair, frequencies and lengths sound.
inline PairRange pair_range(double before, std::int64_t trained_length, double after,
                            std::int64_t target_length, double kappa) noexcept {
  PairRange range;
  range.trained_turns = rotations(before, trained_length);
  range.target_turns = rotations(after, target_length);
  range.complete = range.trained_turns >= kappa;
  // Angles in proportion, not turns: dividing by 2 pi could round two equal arcs apart. The margin
  // is the rounding of the two frequencies; a strict base lands on its pair's arc exactly.
  const double trained_arc = before * static_cast<double>(trained_length);
  const double target_arc = after * static_cast<double>(target_length);
  constexpr double kRounding = 16.0 * 2.220446049250313e-16;
  range.over_range = !range.complete && target_arc > trained_arc * (1.0 + kRounding);
  if (range.over_range) {
    const double reached = range.target_turns < kappa ? range.target_turns : kappa;
    range.excess_turns = reached - range.trained_turns;
  }
  return range;
}

/// Errc::ok, or what makes two spectra incomparable.
inline Fault check_coverage(const Spectrum& trained, std::int64_t trained_length,
                            const Spectrum& extended, std::int64_t target_length,
                            double kappa) noexcept {
  if (const Fault fault = check_positive("kappa", kappa); fault.code != Errc::ok) return fault;
  Fault fault = check_length("trained_length", trained_length, 1);
  if (fault.code != Errc::ok) return fault;
  fault = check_length("target_length", target_length, 1);
  if (fault.code != Errc::ok) return fault;
  if (trained.inv_freq.empty()) return {Errc::wrong_length, "trained", 0.0};
  if (trained.inv_freq.size() != extended.inv_freq.size()) {
    return {Errc::wrong_length, "extended", static_cast<double>(extended.pairs())};
  }
  for (std::size_t pair = 0; pair < trained.inv_freq.size(); ++pair) {
    fault = check_at_least("trained.inv_freq", trained.inv_freq[pair], 0.0);
    if (fault.code == Errc::ok) {
      fault = check_at_least("extended.inv_freq", extended.inv_freq[pair], 0.0);
    }
    fault.index = static_cast<int>(pair);
    if (fault.code != Errc::ok) return fault;
  }
  return {};
}

}  // namespace detail

/// How far every pair turns under an extended spectrum at a target length, against what the trained
/// spectrum showed at the trained length.
///   trained, extended    the same number of pairs, finite, >= 0
///   trained_length, target_length   tokens, >= 1
///   kappa        turns from which a pair counts as complete, finite, > 0
///   Returns      (pairs,)
///   Max error    2 ULP each number of turns
///   Throws       std::invalid_argument naming what is unsound
inline std::vector<PairRange> pair_ranges(const Spectrum& trained, std::int64_t trained_length,
                                          const Spectrum& extended, std::int64_t target_length,
                                          double kappa = kFullTurn) {
  detail::require("pair_ranges",
                  detail::check_coverage(trained, trained_length, extended, target_length, kappa));
  std::vector<PairRange> ranges;
  ranges.reserve(trained.inv_freq.size());
  for (std::size_t pair = 0; pair < trained.inv_freq.size(); ++pair) {
    ranges.push_back(detail::pair_range(trained.inv_freq[pair], trained_length,
                                        extended.inv_freq[pair], target_length, kappa));
  }
  return ranges;
}

/// Compares an extended spectrum at a target length with the spectrum trained at a trained length.
///   trained, extended    the same number of pairs, finite, >= 0
///   trained_length, target_length   tokens, >= 1
///   kappa        turns from which a pair counts as complete, finite, > 0: kFullTurn, kThreeTurns
///   Source       Liu et al. 2023, arXiv 2310.05209 (one turn)
///   Throws       std::invalid_argument naming what is unsound
inline Coverage coverage(const Spectrum& trained, std::int64_t trained_length,
                         const Spectrum& extended, std::int64_t target_length,
                         double kappa = kFullTurn) {
  constexpr const char* where = "coverage";
  detail::require(where,
                  detail::check_coverage(trained, trained_length, extended, target_length, kappa));
  Coverage result;
  result.pairs = trained.pairs();
  double fast_log_ratios = 0.0;
  double absolute_log_ratios = 0.0;
  for (std::size_t pair = 0; pair < trained.inv_freq.size(); ++pair) {
    const double before = trained.inv_freq[pair];
    const double after = extended.inv_freq[pair];
    const PairRange range = detail::pair_range(before, trained_length, after, target_length, kappa);
    const bool fast = range.trained_turns >= detail::kFastTurns;
    if (range.complete) ++result.complete_pairs;
    if (!range.complete && before > 0.0) ++result.incomplete_pairs;
    if (range.over_range) ++result.over_range_pairs;
    result.excess_turns += range.excess_turns;
    if (range.excess_turns > result.largest_excess_turns) {
      result.largest_excess_turns = range.excess_turns;
    }
    if (before > 0.0 && after > 0.0) {
      const double log_ratio = std::log(after) - std::log(before);  // the quotient may overflow
      absolute_log_ratios += std::fabs(log_ratio);
      ++result.moving_pairs;
      if (fast) fast_log_ratios += log_ratio;
      if (fast) ++result.fast_pairs;
    }
    if (before == 0.0 && after == 0.0) ++result.still_pairs;
    if (before > 0.0 && after == 0.0) {
      ++result.stopped_pairs;
      if (fast) ++result.stopped_fast_pairs;
    }
    // Beyond the range of double a pair is as good as still.
    const double turn = after > 0.0 ? wavelength(after) : 0.0;
    if (detail::is_finite(turn) && turn > result.longest_wavelength) {
      result.longest_wavelength = turn;
    }
  }
  if (result.fast_pairs > 0) {
    const double mean = std::exp(fast_log_ratios / static_cast<double>(result.fast_pairs));
    result.fast_resolution = detail::finite_result(where, "fast_resolution", mean, mean);
  }
  if (result.moving_pairs > 0) {
    constexpr double ln2 = 0.6931471805599453;
    result.mean_abs_log2_change =
        absolute_log_ratios / (ln2 * static_cast<double>(result.moving_pairs));
  }
  return result;
}

/// One type of layer: how it turns, and how far back its queries see.
struct RotaryLayer {
  const char* layer_type = "";  // "full_attention", "sliding_attention", ...; not owned
  Spectrum trained = {};        // zero frequencies where the layer does not rotate
  Spectrum extended = {};
  std::int64_t window = 0;  // keys a query sees, its own included (or the chunk); 0: all of them
};

/// Tokens over which a layer's queries and keys can lie apart: the length, or the window if shorter.
///   length       tokens, >= 1
///   window       tokens; 0: none
inline std::int64_t visible_length(std::int64_t length, std::int64_t window) {
  detail::require("visible_length", detail::check_length("length", length, 1));
  detail::require("visible_length", detail::check_length("window", window, 0));
  return window > 0 && window < length ? window : length;
}

/// Coverage of one type of layer. A window bounds the relative angles before and after alike, so a
/// layer whose window the training filled has nothing to leave unless its frequencies grow.
///   Throws       as coverage()
inline Coverage layer_coverage(const RotaryLayer& layer, std::int64_t trained_length,
                               std::int64_t target_length, double kappa = kFullTurn) {
  return coverage(layer.trained, visible_length(trained_length, layer.window), layer.extended,
                  visible_length(target_length, layer.window), kappa);
}

}  // namespace v0
}  // namespace ropewalk
