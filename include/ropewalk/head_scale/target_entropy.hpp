// The scale at which a head's attention has a wanted entropy. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>

#include <cmath>
#include <cstdint>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {

/// What attention at one scale reports of a head, both as means over the same rows.
struct HeadEntropy {
  double entropy = 0.0;   // nats
  double variance = 0.0;  // of the logits, head_scale included, under the row's probabilities
};

/// Where to look for a scale.
struct EntropySearch {
  double lower = 0.0625;    // smallest head_scale, >= 2^-64
  double upper = 16.0;      // largest head_scale, above lower, <= 2^64
  double start = 1.0;       // tried first; moved into [lower, upper]
  double tolerance = 1e-5;  // |entropy - target| that is close enough, nats, >= 0; a float32
                            // attention's own statistics are no better than this
  int evaluations = 100;    // at most, >= 1; 3 to 8 are usual

  /// Errc::ok, or the first field that cannot be computed with.
  Fault validate() const noexcept {
    const Fault low = detail::check_at_least("lower", lower, 0x1p-64);
    if (low.code != Errc::ok) return low;
    if (const Fault high = detail::check_finite("upper", upper); high.code != Errc::ok) return high;
    if (upper > 0x1p64) return {Errc::above_maximum, "upper", upper};
    if (!(lower < upper)) return {Errc::wrong_order, "upper", upper};
    if (const Fault fault = detail::check_positive("start", start); fault.code != Errc::ok) {
      return fault;
    }
    if (evaluations < 1) {
      return {Errc::below_minimum, "evaluations", static_cast<double>(evaluations)};
    }
    return detail::check_at_least("tolerance", tolerance, 0.0);
  }
};

enum class EntropySearchStatus {
  reached,        ///< within the tolerance
  above_reach,    ///< even at the lower bound the entropy is below the target
  below_reach,    ///< even at the upper bound the entropy is above the target
  not_converged,  ///< out of evaluations, or no double lies between too little and too much
  not_finite      ///< at this scale entropy or variance was not finite, or the variance negative
};

/// The scale that was found, or the nearest to it that was tried.
struct ScaleForEntropy {
  EntropySearchStatus status = EntropySearchStatus::not_converged;
  double head_scale = 1.0;
  double entropy = 0.0;  // at that scale, nats
  int evaluations = 0;
};

namespace detail {

/// Two scales with the solution between them. An end is a bound until it has been tried.
struct ScaleBracket {
  double low = 0.0;   // here the entropy is above the target
  double high = 0.0;  // here below
  bool low_tried = false;
  bool high_tried = false;

  struct Step {
    double head_scale = 0.0;
    bool newton = false;
  };

  void narrow(double tried, bool too_high) noexcept {
    (too_high ? low : high) = tried;
    (too_high ? low_tried : high_tried) = true;
  }

  /// What to try after an end: Newton's step in ln(head_scale), where the slope of the entropy is
  /// -variance, if it stays inside; else the opposite end, so that bounds are tried before anything
  /// is bisected; else the middle.
  Step next(double tried, double surplus, double variance) const noexcept {
    const double end = surplus > 0.0 ? high : low;
    // |surplus / variance| < |ln(end / tried)|, without a division that may overflow.
    if (std::fabs(surplus) < variance * std::fabs(std::log(end / tried))) {
      const double newton = tried * std::exp(surplus / variance);
      if (newton > low && newton < high) return {newton, true};
    }
    if (!(surplus > 0.0 ? high_tried : low_tried)) return {end, false};
    return {std::sqrt(low) * std::sqrt(high), false};
  }

  /// Whether trying this scale could not narrow the bracket.
  bool exhausted(double head_scale) const noexcept {
    return low_tried && high_tried && !(head_scale > low && head_scale < high);
  }
};

}  // namespace detail

/// The head_scale at which a head's mean entropy is `target`, from entropies and variances alone: no
/// gradient is needed, since d entropy / d ln(head_scale) = -variance. Entropy never rises with the
/// scale, so Newton's steps are kept within a bracket, which is bisected after one that did not halve
/// what was missing.
///   target       nats, finite, >= 0
///   head         HeadEntropy(double head_scale): runs the model and takes both means over the same
///                rows (AttentionStatistics has both per row). Called at scales in [lower, upper]
///   Returns      see EntropySearchStatus; where nothing was reached, the scale tried whose entropy
///                came nearest (a bound, where the target is out of reach). A head whose logits are
///                all equal has one entropy at every scale, and any other is out of reach
///   Throws       std::invalid_argument naming field and value
template <typename Head>
ScaleForEntropy scale_for_entropy(double target, Head&& head, const EntropySearch& search = {}) {
  static_assert(std::is_invocable_r_v<HeadEntropy, Head&, double>,
                "scale_for_entropy needs a head: HeadEntropy operator()(double head_scale)");
  detail::require("scale_for_entropy", search.validate());
  detail::require("scale_for_entropy", detail::check_at_least("target", target, 0.0));
  detail::ScaleBracket bracket{search.lower, search.upper};
  double tried = search.start < search.lower ? search.lower : search.start;
  if (tried > search.upper) tried = search.upper;
  double nearest = 0.0;
  double last = 0.0;  // |surplus| before a step of Newton's; 0 where there was none
  ScaleForEntropy found;
  while (found.evaluations < search.evaluations) {
    const HeadEntropy at = head(tried);
    ++found.evaluations;
    const double surplus = at.entropy - target;
    if (!detail::is_finite(surplus) || !detail::is_finite(at.variance) || at.variance < 0.0) {
      return {EntropySearchStatus::not_finite, tried, at.entropy, found.evaluations};
    }
    const double miss = std::fabs(surplus);
    if (found.evaluations == 1 || miss < nearest) {
      nearest = miss;
      found.head_scale = tried;
      found.entropy = at.entropy;
    }
    if (miss <= search.tolerance) {
      found.status = EntropySearchStatus::reached;
      return found;
    }
    const bool too_high = surplus > 0.0;
    if (too_high ? tried >= search.upper : tried <= search.lower) {
      found.status = too_high ? EntropySearchStatus::below_reach : EntropySearchStatus::above_reach;
      return found;
    }
    bracket.narrow(tried, too_high);
    // Near the solution Newton's steps do far better than to halve what is missing.
    const bool newton_failed = last > 0.0 && miss > 0.5 * last;
    const detail::ScaleBracket::Step next =
        bracket.next(tried, surplus, newton_failed ? 0.0 : at.variance);
    if (bracket.exhausted(next.head_scale)) return found;
    last = next.newton ? miss : 0.0;
    tried = next.head_scale;
  }
  return found;
}

}  // namespace v0
}  // namespace ropewalk
