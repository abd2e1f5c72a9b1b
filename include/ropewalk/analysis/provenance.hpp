// Which published rule gives a base, and with which numbers. Row 9.
#pragma once

#include <ropewalk/analysis/provenance/hypotheses.hpp>
#include <ropewalk/analysis/provenance/rounding.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// A base to be explained, and what is known of it.
struct ThetaQuestion {
  double theta = 0.0;               // > 1
  std::int64_t trained_length = 0;  // of the model that was extended, tokens, >= 7
  int rotary_dim = 128;             // even, >= 4
  std::optional<double> trained_theta = std::nullopt;  // unknown: what models of that length have
  std::optional<std::int64_t> target_length = std::nullopt;  // what it is said to reach; unknown:
                                                             // lengths people extend to
  std::optional<int> digits = std::nullopt;  // significant digits it was printed with, 1 .. 17;
                                             // unknown, or fewer: the fewest that write it
  double tolerance = 1e-6;       // relative, 0 .. 0.1; 1e-6 takes in float32 and 2 pi cut short
  double maximum_chance = 0.25;  // candidates that chance explains as well are left out; 0 .. 1

  Fault validate() const noexcept {
    const RopeConfig config{65536, rotary_dim, theta, 0, Pairing::half_split};
    if (const Fault fault = detail::check_ntk(config); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_length("trained_length", trained_length, 7);
        fault.code != Errc::ok) {
      return fault;
    }
    if (trained_theta) {
      const Fault fault = detail::check_finite("trained_theta", *trained_theta);
      if (fault.code != Errc::ok) return fault;
      if (!(*trained_theta > 1.0)) return {Errc::below_minimum, "trained_theta", *trained_theta};
      if (*trained_theta > kMaximumTheta) {
        return {Errc::above_maximum, "trained_theta", *trained_theta};
      }
    }
    if (target_length) {
      const Fault fault = detail::check_length("target_length", *target_length, trained_length);
      if (fault.code != Errc::ok) return fault;
    }
    const double printed = static_cast<double>(digits.value_or(1));
    if (printed < 1.0) return {Errc::below_minimum, "digits", printed};
    if (printed > detail::kMaximumDigits) return {Errc::above_maximum, "digits", printed};
    const struct {
      const char* field;
      double value;
      double maximum;
    } limits[] = {{"tolerance", tolerance, 0.1}, {"maximum_chance", maximum_chance, 1.0}};
    for (const auto& limit : limits) {
      const Fault fault = detail::check_at_least(limit.field, limit.value, 0.0);
      if (fault.code != Errc::ok) return fault;
      if (limit.value > limit.maximum) return {Errc::above_maximum, limit.field, limit.value};
    }
    return {};
  }
};

/// One rule that gives the base.
struct ThetaCandidate {
  ThetaRule rule = ThetaRule::hand_round;
  ThetaMatch match = ThetaMatch::none;
  double trained_theta = 0.0;        // what the rule starts from; 0 for hand_round
  double predicted_theta = 0.0;      // before any rounding
  double relative_difference = 0.0;  // (theta - predicted) / predicted
  double factor = 1.0;               // dynamic NTK's factor, NTK's alpha; 1 where the rule has none
  std::vector<std::int64_t> lengths = {};  // the rule is applied at, the last the target; empty
                                           // where it knows none. The order of a chain is free
  const PublishedPlan* plan = nullptr;     // of published

  /// How many of the rule's other hypotheses would agree this closely with a base drawn at random
  /// (even in ln(theta), within a factor of ten): well below 1, or the agreement says little.
  double expected_by_chance = 0.0;
};

/// What was found, rarest by chance first, then nearest.
struct ThetaExplanation {
  std::vector<ThetaCandidate> candidates = {};
  int digits = 0;      // taken as printed
  int hypotheses = 0;  // bases that were compared
  int left_out = 0;    // agreed, but chance would do as well (maximum_chance)

  /// Candidates of all rules but tables and round numbers, left out or not, that a base drawn at
  /// random and printed with as many digits would have.
  double expected_by_chance = 0.0;
};

namespace detail {

/// Collects what agrees.
class ThetaSearch {
 public:
  explicit ThetaSearch(const ThetaQuestion& question)
      : question_(question), printed_{question.theta, digits_of(question), question.tolerance} {}

  ThetaExplanation run() {
    RopeConfig trained{question_.rotary_dim, question_.rotary_dim, 0.0, question_.trained_length,
                       Pairing::half_split};
    std::vector<double> bases = usual_bases(question_.trained_length);
    if (question_.trained_theta) bases = {*question_.trained_theta};
    const auto visit = [this](const ThetaHypothesis& hypothesis) { compare(hypothesis); };
    for (const double base : bases) {
      trained.theta = base;
      const ThetaHypotheses<decltype(visit)> from(trained, question_.target_length.value_or(0),
                                                  visit);
      from.unchanged();
      // Rules only raise a base, and one far below is out of their reach.
      if (!(question_.theta > base)) continue;
      from.laws();
      from.chains();
      from.alphas();
    }
    for (const PublishedPlan& plan : kPublishedPlans) compare(plan);
    judge();
    compare_with_round_numbers();
    return std::move(result_);
  }

 private:
  static constexpr double kWindow = 4.605170185988092;  // ln 100: a factor of ten each way

  static int digits_of(const ThetaQuestion& question) noexcept {
    const int fewest = fewest_digits(question.theta);
    return question.digits.value_or(1) > fewest ? *question.digits : fewest;
  }

  static std::size_t rule(ThetaRule rule) noexcept { return static_cast<std::size_t>(rule); }

  void compare(const ThetaHypothesis& hypothesis) {
    ++result_.hypotheses;
    if (std::fabs(std::log(hypothesis.predicted / question_.theta)) <= kWindow / 2.0) {
      ++near_[rule(hypothesis.rule)];
    }
    const ThetaMatch match = printed_.match(hypothesis.predicted);
    if (match == ThetaMatch::none) return;
    ThetaCandidate candidate;
    candidate.rule = hypothesis.rule;
    candidate.match = match;
    candidate.trained_theta = hypothesis.base;
    candidate.predicted_theta = hypothesis.predicted;
    candidate.factor = hypothesis.factor;
    candidate.lengths.assign(hypothesis.lengths, hypothesis.lengths + hypothesis.steps);
    found_.push_back(std::move(candidate));
  }

  /// Tables agree exactly or not at all.
  void compare(const PublishedPlan& plan) {
    if (plan.bases != PublishedBases::by_hand) return;
    double before = 0.0;
    for (const PublishedStage& stage : plan.stages) {
      ++result_.hypotheses;
      const bool again = stage.theta == before;
      before = stage.theta;
      if (!again && std::fabs(std::log(stage.theta / question_.theta)) <= kWindow / 2.0) {
        ++near_[rule(ThetaRule::published)];
      }
      if (stage.theta != question_.theta) continue;
      ThetaCandidate candidate;
      candidate.rule = ThetaRule::published;
      candidate.match = ThetaMatch::exact;
      candidate.trained_theta = plan.trained.theta;
      candidate.predicted_theta = stage.theta;
      candidate.lengths = {stage.length};
      candidate.plan = &plan;
      found_.push_back(std::move(candidate));
    }
  }

  void compare_with_round_numbers() {
    ++result_.hypotheses;
    if (fewest_digits(question_.theta) > 2) return;
    ThetaCandidate candidate;
    candidate.match = ThetaMatch::exact;
    candidate.predicted_theta = question_.theta;
    candidate.expected_by_chance = 1.0;  // every number of two digits is one
    result_.candidates.push_back(std::move(candidate));
  }

  double chance(const ThetaCandidate& candidate) const {
    constexpr double kRoundNumbers = 180.0;  // of two digits, within a factor of ten each way
    const double agreeing = static_cast<double>(near_[rule(candidate.rule)]);
    if (candidate.rule == ThetaRule::published) return agreeing / kRoundNumbers;
    return agreeing * printed_.width(candidate.match) / kWindow;
  }

  /// Rarest by chance first; then a plan that starts or ends where the question does; then nearest.
  bool precedes(const ThetaCandidate& a, const ThetaCandidate& b) const {
    if (a.expected_by_chance != b.expected_by_chance) {
      return a.expected_by_chance < b.expected_by_chance;
    }
    if (strangeness(a) != strangeness(b)) return strangeness(a) < strangeness(b);
    return std::fabs(a.relative_difference) < std::fabs(b.relative_difference);
  }

  /// In how many of trained length, target length and trained base a plan is another case.
  int strangeness(const ThetaCandidate& candidate) const {
    if (candidate.plan == nullptr) return 0;
    const RopeConfig& trained = candidate.plan->trained;
    return (trained.original_length != question_.trained_length ? 1 : 0) +
           (question_.target_length && candidate.lengths.back() != *question_.target_length ? 1
                                                                                            : 0) +
           (question_.trained_theta && trained.theta != *question_.trained_theta ? 1 : 0);
  }

  void judge() {
    result_.digits = printed_.digits;
    double widest = printed_.width(ThetaMatch::exact);
    for (const ThetaMatch match : {ThetaMatch::rounded_to_digits, ThetaMatch::within_tolerance}) {
      if (printed_.width(match) > widest) widest = printed_.width(match);
    }
    for (int tried = 0; tried < static_cast<int>(ThetaRule::published); ++tried) {
      result_.expected_by_chance += near_[tried] * widest / kWindow;
    }
    for (ThetaCandidate& candidate : found_) {
      candidate.relative_difference =
          (question_.theta - candidate.predicted_theta) / candidate.predicted_theta;
      candidate.expected_by_chance = chance(candidate);
      if (candidate.expected_by_chance > question_.maximum_chance) {
        ++result_.left_out;
        continue;
      }
      std::size_t place = result_.candidates.size();
      while (place > 0 && precedes(candidate, result_.candidates[place - 1])) --place;
      result_.candidates.insert(result_.candidates.begin() + static_cast<std::ptrdiff_t>(place),
                                candidate);
    }
  }

  const ThetaQuestion& question_;
  PrintedTheta printed_;
  std::vector<ThetaCandidate> found_ = {};
  int near_[kThetaRules] = {};
  ThetaExplanation result_ = {};
};

}  // namespace detail

/// Which published rules give a base, and with which numbers: Liu's law in one step; dynamic NTK
/// with factor 2, 4 or the ratio of the lengths, chained over up to three stages (and a last one to
/// a known target); NTK-aware with that ratio or with an alpha of two digits; the entries of
/// kPublishedPlans that follow no formula; round numbers.
///
/// Agreement is evidence, not proof. Random bases (even in ln from 1e5 to 1e11, no target given)
/// with a candidate other than a table or a round number, by digits printed and trained length:
///                 3 digits   4 digits   5 digits   6 digits   more
///     4096          6 %       0.7 %      0.07 %     0.01 %    at most 0.01 %
///     8192         12 %       1.8 %      0.16 %     0.02 %    at most 0.02 %
/// The first has one trained base to start from, the second two. A target length halves these.
///   question     what is known; the more, the fewer candidates by chance
///   Throws       std::invalid_argument naming field and value
inline ThetaExplanation explain_theta(const ThetaQuestion& question) {
  detail::require("explain_theta", question.validate());
  return detail::ThetaSearch(question).run();
}

/// The length at which Liu's law gives a base: theta_for_length the other way round. Any base has
/// one; a round length is what makes it evidence.
///   trained      original_length >= 7
///   theta        finite, > 1
///   Max error    4 ULP times the condition number
///   Source       Liu et al. 2023, arXiv 2310.05209
inline double liu_length(const RopeConfig& trained, double theta) {
  detail::require("liu_length", detail::check_original_length(trained, 7));
  RopeConfig extended = trained;
  extended.theta = theta;
  detail::require("liu_length", extended.validate());
  const auto turns =
      detail::subtract(detail::log_of_length(trained.original_length), detail::kLogTwoPi);
  const auto power = detail::divide(detail::logarithm(theta), detail::logarithm(trained.theta));
  const double length =
      detail::exponential(detail::add(detail::multiply(turns, power), detail::kLogTwoPi));
  return detail::finite_result("liu_length", "theta", theta, length);
}

}  // namespace v0
}  // namespace ropewalk
