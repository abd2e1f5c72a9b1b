// Search for one divisor per pair, as LongRoPE and LongRoPE2 do it. Row 9.
#pragma once

#include <ropewalk/analysis/factor_search/candidates.hpp>
#include <ropewalk/analysis/factor_search/objective.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// What a search found.
struct FactorSearchResult {
  LongRope method = {};         // long_factor as found, short_factor all 1, factor target / trained
  double loss = 0.0;            // of the objective
  int first_searched_pair = 0;  // faster pairs follow from it (long_rope2); 0: all were searched
  std::int64_t evaluations = 0;     // of the objective
  std::vector<double> losses = {};  // (iterations + 1,) smallest so far, the start first
};

namespace detail {

/// A candidate and what the objective says of it.
struct RatedFactors {
  FactorCandidate candidate;
  double loss = 0.0;
};

template <typename Objective>
class FactorSearchRun {
 public:
  FactorSearchRun(const FactorSpace& space, const FactorSearch& search, const Objective& objective)
      : space_(space), search_(search), objective_(objective), random_(search.seed) {}

  FactorSearchResult run() {
    for (FactorCandidate& candidate : space_.start(search_, random_)) rate(std::move(candidate));
    result_.losses.push_back(pool_.front().loss);
    for (int iteration = 0; iteration < search_.iterations; ++iteration) {
      next_generation();
      result_.losses.push_back(pool_.front().loss);
    }
    const RatedFactors& best = pool_.front();
    result_.method = space_.method(best.candidate);
    result_.method.length = 0;
    result_.loss = best.loss;
    result_.first_searched_pair = best.candidate.first;
    return std::move(result_);
  }

 private:
  void next_generation() {
    const auto parents = static_cast<std::size_t>(search_.parents);
    if (pool_.size() > parents) pool_.resize(parents);
    std::vector<FactorCandidate> children;
    children.reserve(static_cast<std::size_t>(search_.mutations) +
                     static_cast<std::size_t>(search_.crossovers));
    for (int count = 0; count < search_.mutations; ++count) {
      children.push_back(space_.mutated(any_parent(), search_.mutation_share, random_));
    }
    for (int count = 0; count < search_.crossovers; ++count) {
      const FactorCandidate& mother = any_parent();
      children.push_back(space_.crossed(mother, any_parent(), random_));
    }
    for (FactorCandidate& child : children) {
      if (!known(child)) rate(std::move(child));
    }
  }

  const FactorCandidate& any_parent() {
    return pool_[static_cast<std::size_t>(
                     random_.integer(0, static_cast<std::int64_t>(pool_.size()) - 1))]
        .candidate;
  }

  bool known(const FactorCandidate& candidate) const {
    for (const RatedFactors& rated : pool_) {
      if (rated.candidate.steps == candidate.steps) return true;
    }
    return false;
  }

  /// Kept in order of loss, of equal ones the elder first.
  void rate(FactorCandidate candidate) {
    const double loss = objective_(static_cast<const LongRope&>(space_.method(candidate)));
    require("search_factors", check_finite("objective", loss));
    ++result_.evaluations;
    std::size_t place = pool_.size();
    while (place > 0 && loss < pool_[place - 1].loss) --place;
    pool_.insert(pool_.begin() + static_cast<std::ptrdiff_t>(place), {std::move(candidate), loss});
  }

  const FactorSpace& space_;
  const FactorSearch& search_;
  const Objective& objective_;
  CounterRandom random_;
  std::vector<RatedFactors> pool_;
  FactorSearchResult result_;
};

}  // namespace detail

/// Searches divisors that never decrease from one pair to the next slower one and make `objective`
/// small, by mutation and crossover from the schedules the two papers start from.
///   config         original_length >= 7, rotary_dim >= 4
///   target_length  tokens, above original_length, at most 2^30 times as many
///   objective      double(const LongRope&), smaller is better; must be finite. It is given a method
///                  with the candidate as long_factor and the target as length, so that
///                  spectrum(config, method) is the candidate's spectrum: a perplexity that the
///                  caller measures, or CosineObjective
///   Returns        a method that validates, for engines through EngineSchedule. Divisors are
///                  multiples of 1/100 within the bounds at FactorStart
///   Same result    for the same seed and arguments wherever the objective orders the candidates
///                  alike: the search draws and compares whole numbers. With CosineObjective that
///                  is every compiler and optimization level, but not -ffast-math
///   Source         Ding et al. 2024, arXiv 2402.13753; Shang et al. 2025, arXiv 2502.20082. Their
///                  positions left as they are at the start of a text have no key in a config and
///                  are not searched; a crossover that would decrease takes the other parent's
///                  divisor instead of being thrown away
///   Throws         std::invalid_argument naming what is unsound
template <typename Objective>
FactorSearchResult search_factors(const RopeConfig& config, std::int64_t target_length,
                                  const Objective& objective, const FactorSearch& search = {}) {
  static_assert(std::is_invocable_r_v<double, const Objective&, const LongRope&>,
                "search_factors needs an objective: double operator()(const LongRope&) const");
  detail::require("search_factors", search.validate());
  const detail::FactorSpace space(config, target_length, search.start);
  return detail::FactorSearchRun<Objective>(space, search, objective).run();
}

}  // namespace v0
}  // namespace ropewalk
