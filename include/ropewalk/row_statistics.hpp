// The softmax of one row, seen key by key: what attention needs and what its row tells. Row 7, host
// and device.
//
// Logits z come in base 2, y = z log2(e). With m the largest so far and x = y - m <= 0 a row keeps
//     sum = sum 2^x        first = sum 2^x x        second = sum 2^x x^2
// so that m cancels exactly from the entropy, log2(sum) - first / sum: two terms, neither negative,
// and no difference of numbers as large as the logits. Rows of parts of the keys merge to the row of
// all of them, whatever the parts.
#pragma once

#include <ropewalk/config.hpp>

#include <cmath>
#include <limits>

namespace ropewalk {
inline namespace v0 {

inline constexpr double kLog2E = 1.4426950408889634;
inline constexpr double kLn2 = 0.6931471805599453;

/// What a softmax row tells beside its output, of a row of logits z with probabilities p.
template <typename Real>
struct RowSummary {
  static constexpr Real kNoKeys = (std::numeric_limits<Real>::lowest)();

  Real lse = kNoKeys;  ///< ln of the sum of e^z; lowest() without keys
  Real entropy = 0;    ///< -sum p ln p in nats, 0 without keys
  Real mean = 0;       ///< sum p z, 0 without keys
  Real variance = 0;   ///< sum p (z - mean)^2, 0 without keys

  ROPEWALK_HOST_DEVICE constexpr bool empty() const noexcept { return lse <= kNoKeys; }
};

/// An entropy in bits, from nats.
template <typename Real>
ROPEWALK_HOST_DEVICE constexpr Real bits_of_nats(Real nats) noexcept {
  return nats * static_cast<Real>(kLog2E);
}

namespace detail {

/// Limits of base-2 logits: the square of a masked one is finite, and so is that of the difference
/// of any two that are not masked.
template <typename Real>
struct LogitLimits {
  static constexpr Real kLargest = static_cast<Real>(1e14);
  static constexpr Real kMasked = static_cast<Real>(-1e15);
};

template <>
struct LogitLimits<double> {
  static constexpr double kLargest = 1e140;
  static constexpr double kMasked = -1e150;
};

}  // namespace detail

/// Sums of a softmax row over the keys seen so far.
///   Real         float or double
///   Valid for    base-2 logits of magnitude up to kLargestLogit; a masked key is not added, or
///                added as kMaskedLogit where skipping costs more than adding
///   Error        of n logits given exactly, u the rounding unit of Real: n u relative in sum, so
///                the entropy to about (n + 8) u (1 + log2 n), whatever is added to all logits; lse
///                and mean to that and their own rounding, 2 u |lse|; the variance to (n + 8) u times
///                the mean square of the distance to the largest logit. Blocks added apart and
///                merged shorten n to block + log of their number
///   Source       derived from the definitions; shifting before summing, as any online softmax
template <typename Real>
struct RowStatistics {
  static constexpr Real kLargestLogit = detail::LogitLimits<Real>::kLargest;
  static constexpr Real kMaskedLogit = detail::LogitLimits<Real>::kMasked;

  Real maximum = kMaskedLogit;
  Real sum = 0;
  Real first = 0;
  Real second = 0;

  /// True while no key has been seen, masked ones not counted.
  ROPEWALK_HOST_DEVICE constexpr bool empty() const noexcept {
    return maximum <= kMaskedLogit / 2 || sum <= 0;
  }

  /// Takes another largest logit, not below the present one. Returns the factor that sums over
  /// 2^x of the caller (the output row) take.
  ROPEWALK_HOST_DEVICE Real raise(Real to) noexcept {
    // From an empty row 2^-(to - maximum) is 0; x would be huge, and 0 times its square is not 0 in
    // every arithmetic.
    const Real factor = empty() ? Real{0} : power_of_two(maximum - to);
    const Real shift = factor > 0 ? maximum - to : Real{0};
    second = factor * (second + shift * (2 * first + shift * sum));
    first = factor * (first + shift * sum);
    sum = factor * sum;
    maximum = to;
    return factor;
  }

  /// Sees one more key.
  ROPEWALK_HOST_DEVICE void add(Real logit) noexcept {
    if (logit > maximum) raise(logit);
    const Real x = logit - maximum;
    const Real weight = power_of_two(x);
    sum += weight;
    first += weight * x;
    second += weight * x * x;
  }

  /// Sees all keys of another row. An empty one changes nothing.
  ROPEWALK_HOST_DEVICE void merge(RowStatistics other) noexcept {
    if (other.empty()) return;
    if (empty()) {
      *this = other;
      return;
    }
    if (other.maximum > maximum) {
      raise(other.maximum);
    } else {
      other.raise(maximum);
    }
    sum += other.sum;
    first += other.first;
    second += other.second;
  }

  ROPEWALK_HOST_DEVICE RowSummary<Real> summary() const noexcept {
    if (empty()) return {};
    constexpr Real ln2 = static_cast<Real>(kLn2);
    const Real log_sum = log_of_two(sum);
    const Real mean = first / sum;  // <= 0: of the logits less the largest
    const Real square = second / sum - mean * mean;
    return {ln2 * (maximum + log_sum), ln2 * (log_sum - mean), ln2 * (maximum + mean),
            ln2 * ln2 * (square < 0 ? Real{0} : square)};
  }

 private:
  ROPEWALK_HOST_DEVICE static Real power_of_two(Real exponent) noexcept {
    using std::exp2;
    return exp2(exponent);
  }
  ROPEWALK_HOST_DEVICE static Real log_of_two(Real value) noexcept {
    using std::log2;
    return log2(value);
  }
};

/// Two parts of the keys of one row as one, and what each part's output weighs in the whole:
/// output = first_weight * first's + second_weight * second's.
template <typename Real>
struct MergedRow {
  RowSummary<Real> summary;
  Real first_weight = 0;
  Real second_weight = 0;
};

/// Merges what two disjoint parts of the keys told. An empty part weighs 0 and changes nothing;
/// associative and commutative to rounding.
///   Valid for    finite members
///   Error        u the rounding unit of Real: weights to u (4 + 2 |lse - lse'|), so less exact than
///                RowStatistics::merge where the logits themselves are large
///   Source       the grouping property of the entropy: H = sum w (H_part - ln w)
template <typename Real>
ROPEWALK_HOST_DEVICE MergedRow<Real> merge(const RowSummary<Real>& a,
                                           const RowSummary<Real>& b) noexcept {
  using std::exp;
  using std::log1p;
  if (b.empty()) return {a, a.empty() ? Real{0} : Real{1}, Real{0}};
  if (a.empty()) return {b, Real{0}, Real{1}};
  const bool a_leads = a.lse >= b.lse;
  const RowSummary<Real>& more = a_leads ? a : b;
  const RowSummary<Real>& less = a_leads ? b : a;
  // Halves, because the difference of two finite numbers need not be finite.
  const Real half_gap = less.lse / 2 - more.lse / 2;
  const Real ratio = half_gap < -1000 ? Real{0} : exp(2 * half_gap);
  const Real log_total = log1p(ratio);
  const Real weight = 1 / (1 + ratio);
  const Real rest = ratio / (1 + ratio);
  if (!(rest > 0)) {
    return {more, a_leads ? Real{1} : Real{0}, a_leads ? Real{0} : Real{1}};
  }
  const Real step = less.mean - more.mean;
  RowSummary<Real> whole;
  whole.lse = more.lse + log_total;
  whole.entropy =
      weight * (more.entropy + log_total) + rest * (less.entropy + log_total - 2 * half_gap);
  whole.mean = more.mean + rest * step;
  whole.variance = weight * more.variance + rest * less.variance + weight * rest * step * step;
  return {whole, a_leads ? weight : rest, a_leads ? rest : weight};
}

}  // namespace v0
}  // namespace ropewalk
