// The sum of all pairs' cosines over distance: how much better a query matches a key like itself
// than another one, on average and as far as rotation alone goes. Row 9.
//
// Men et al. call it B(m) and ask a base for B >= 0 up to the length wanted. A hint about retrieval:
// it is not strict, models in use violate it, and it says nothing about perplexity.
//
// Functions over many distances take a kernel: simd::PortableCosineSum unless one of
// <ropewalk/simd/cosine_sum.hpp> is named. Results agree to the stated bounds, signs exactly.
#pragma once

#include <ropewalk/analysis/cosine_sum/runs.hpp>
#include <ropewalk/phase/turns.hpp>

#include <cstdint>
#include <optional>

namespace ropewalk {
inline namespace v0 {

/// B at one distance: the sum over all pairs of cos(distance * inv_freq). The attention factor is
/// not in it; a pair of frequency 0 adds 1. B is even, B(0) is the number of pairs.
///
/// Its sign is exact for the steps given: a sum that doubles cannot tell from 0 is formed again in
/// 128 bits. No sum over a spectrum is 0 (a sum of cosines of rational angles never is, by
/// Lindemann's theorem), so +0 is returned only where 128 bits do not tell either.
///   distance     tokens, any int64
///   Max error    pairs * (2e-16 + pairs * 2^-53); below that size pairs * 2^-95 and a rounding,
///                and |distance| * pairs * 2^-126
///   Source       Men et al. 2024, arXiv 2405.14591
inline double cosine_sum(const PhaseTurns& turns, std::int64_t distance) noexcept {
  return detail::direct_sum(turns, distance);
}

/// The same from a spectrum, exact for its doubles. A frequency that is itself off by 2 ULP moves B
/// by up to distance * inv_freq * 2^-52 per pair: 1e-9 at a million tokens for usual models, where
/// B falls below 0 by 0.01 to 1 from one token to the next.
///   spectrum     at least one pair; inv_freq finite, 0 .. 2^63
///   Throws       std::invalid_argument naming field and value
inline double cosine_sum(const Spectrum& spectrum, std::int64_t distance) {
  return cosine_sum(detail::cosine_sum_turns("cosine_sum", spectrum), distance);
}

/// B divided by the number of pairs: 1 at distance 0, its sign exact.
///   Max error    that of cosine_sum, divided likewise
///   Throws       what cosine_sum throws
inline double mean_cosine(const Spectrum& spectrum, std::int64_t distance) {
  return cosine_sum(detail::cosine_sum_turns("mean_cosine", spectrum), distance) /
         static_cast<double>(spectrum.pairs());
}

/// B over consecutive distances, into the caller's memory. Values do not depend on how distances
/// are cut into runs: several threads may each fill a run, of some ten thousand or more, since
/// each call first makes a table of 128 offsets.
///   turns        at least one pair
///   first_distance, count   >= 0; their sum at most 2^53 + 1
///   sums         (count,)
///   Max error    pairs * (6e-16 + (pairs + 4) * 2^-53), 5.2e-13 for 64 pairs; the sign is exact,
///                and the value at distance 0
template <typename Kernel = simd::PortableCosineSum>
void fill_cosine_sums(const PhaseTurns& turns, std::int64_t first_distance, std::int64_t count,
                      double* sums) {
  detail::fill_sums<Kernel>(turns, first_distance, count, sums);
}

/// B over a run of distances.
struct CosineSumSummary {
  std::int64_t first = 0;       // smallest distance
  std::int64_t count = 0;       // distances, first .. first + count - 1
  std::int64_t negative = 0;    // of them with B < 0
  double minimum = 0.0;         // smallest B
  std::int64_t minimum_at = 0;  // its distance, the first where several are equal
  double mean = 0.0;            // of B

  double negative_fraction() const noexcept {
    return static_cast<double>(negative) / static_cast<double>(count);
  }
};

/// How often B is negative over a run of distances, its minimum and its mean.
///   first, count   tokens, >= 0 and >= 1; their sum at most 2^53 + 1
///   Max error      negative is exact; minimum and mean twice that of fill_cosine_sums, and
///                  minimum_at is that of a B within as much of the smallest
///   Throws         std::invalid_argument naming field and value
template <typename Kernel = simd::PortableCosineSum>
CosineSumSummary summarize_cosine_sum(const Spectrum& spectrum, std::int64_t first,
                                      std::int64_t count) {
  return detail::summarize_sums<Kernel, CosineSumSummary>(spectrum, first, count);
}

/// The smallest distance in [0, limit] with B < 0, or nothing. Not monotone in theta: a larger base
/// may turn negative earlier.
///   spectrum     at least one pair; inv_freq finite, 0 .. 2^63
///   limit        tokens, 0 .. 2^53, itself included
///   Max error    none for the spectrum's doubles, see cosine_sum
///   Throws       std::invalid_argument naming field and value
///   Source       Men et al. 2024, arXiv 2405.14591
template <typename Kernel = simd::PortableCosineSum>
std::optional<std::int64_t> first_negative_distance(const Spectrum& spectrum, std::int64_t limit) {
  return detail::first_negative<Kernel>(spectrum, limit);
}

}  // namespace v0
}  // namespace ropewalk
