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
  double longest_wavelength = 0.0;  // tokens, of the extended pairs that turn; 0: none turns
};

/// Compares an extended spectrum at a target length with the spectrum trained at a trained length.
///   trained, extended    the same number of pairs, finite, >= 0
///   trained_length, target_length   tokens, >= 1
///   kappa        turns from which a pair counts as complete, finite, > 0; 1 is Liu et al.'s
///   Source       Liu et al. 2023, arXiv 2310.05209 (kappa 1). kappa 3 gives the critical pairs
///                LongRoPE2 found by search: 30 for Llama-3-8B, 25 for Phi-3-mini, two data points
///   Throws       std::invalid_argument naming what is unsound
inline Coverage coverage(const Spectrum& trained, std::int64_t trained_length,
                         const Spectrum& extended, std::int64_t target_length, double kappa = 1.0) {
  constexpr const char* where = "coverage";
  detail::require(where, detail::check_positive("kappa", kappa));
  detail::require(where, detail::check_length("trained_length", trained_length, 1));
  detail::require(where, detail::check_length("target_length", target_length, 1));
  if (trained.inv_freq.empty()) detail::refuse(where, {Errc::wrong_length, "trained", 0.0});
  if (trained.inv_freq.size() != extended.inv_freq.size()) {
    detail::refuse(where, {Errc::wrong_length, "extended", static_cast<double>(extended.pairs())});
  }
  constexpr double kFastTurns = 32.0;  // YaRN's beta_fast: pairs every schedule means to keep
  Coverage result;
  result.pairs = trained.pairs();
  double log_ratios = 0.0;
  int pair = 0;
  for (const double before : trained.inv_freq) {
    const double after = extended.inv_freq[static_cast<std::size_t>(pair)];
    Fault fault = detail::check_at_least("trained.inv_freq", before, 0.0);
    if (fault.code == Errc::ok) fault = detail::check_at_least("extended.inv_freq", after, 0.0);
    fault.index = pair++;
    detail::require(where, fault);
    const double seen = rotations(before, trained_length);
    if (before == 0.0 && after == 0.0) ++result.still_pairs;
    if (seen >= kappa) {
      ++result.complete_pairs;
    } else if (before > 0.0) {
      ++result.incomplete_pairs;
    }
    // Angles in proportion, not turns: dividing by 2 pi could round two equal arcs apart. The
    // margin is the rounding of the two frequencies; a strict base lands on its pair's arc exactly.
    const double trained_arc = before * static_cast<double>(trained_length);
    const double target_arc = after * static_cast<double>(target_length);
    constexpr double kRounding = 16.0 * 2.220446049250313e-16;
    if (seen < kappa && target_arc > trained_arc * (1.0 + kRounding)) ++result.over_range_pairs;
    if (seen >= kFastTurns && after > 0.0) {
      log_ratios += std::log(after) - std::log(before);  // the quotient may overflow
      ++result.fast_pairs;
    }
    // Beyond the range of double a pair is as good as still.
    const double turn = after > 0.0 ? wavelength(after) : 0.0;
    if (detail::is_finite(turn) && turn > result.longest_wavelength) {
      result.longest_wavelength = turn;
    }
  }
  if (result.fast_pairs > 0) {
    const double mean = std::exp(log_ratios / static_cast<double>(result.fast_pairs));
    result.fast_resolution = detail::finite_result(where, "fast_resolution", mean, mean);
  }
  return result;
}

}  // namespace v0
}  // namespace ropewalk
