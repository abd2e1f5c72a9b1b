// What a search for divisors moves through: where it starts, how candidates change. Row 9.
#pragma once

#include <ropewalk/plan/counter_random.hpp>
#include <ropewalk/scaling/linear.hpp>
#include <ropewalk/scaling/long_rope.hpp>
#include <ropewalk/scaling/ntk_aware.hpp>
#include <ropewalk/scaling/yarn.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Whose first candidates and whose bounds; s is target / trained length.
enum class FactorStart {
  long_rope,  ///< every pair in [1, 1.25 s]; from PI, NTK-aware and YaRN (Ding et al. 2024, table 1)
  long_rope2  ///< slow pairs in [s, 2 s]: no pair leaves its trained arc. The first slow pair is
              ///< drawn between the first with fewer than ten turns in training and the first with
              ///< fewer than one; faster pairs follow the base that slows it so (Shang et al. 2025)
};

/// How to search. The defaults are those of LongRoPE's code.
struct FactorSearch {
  FactorStart start = FactorStart::long_rope;
  int population = 64;          // candidates at the start, 3 .. 100000
  int iterations = 40;          // 0 .. 1000000
  int parents = 32;             // best candidates that live on, 1 .. population
  int mutations = 16;           // new candidates of an iteration by mutation, 0 .. 100000
  int crossovers = 16;          // and by crossover, 0 .. 100000
  double mutation_share = 0.3;  // chance of each divisor to be drawn anew, 0 .. 1
  std::uint64_t seed = 1;

  Fault validate() const noexcept {
    const struct {
      const char* field;
      int value;
      int least;
      int most;
    } counts[] = {{"population", population, 3, 100000},
                  {"iterations", iterations, 0, 1000000},
                  {"parents", parents, 1, population},
                  {"mutations", mutations, 0, 100000},
                  {"crossovers", crossovers, 0, 100000}};
    for (const auto& count : counts) {
      const double value = static_cast<double>(count.value);
      if (count.value < count.least) return {Errc::below_minimum, count.field, value};
      if (count.value > count.most) return {Errc::above_maximum, count.field, value};
    }
    if (const Fault fault = detail::check_at_least("mutation_share", mutation_share, 0.0);
        fault.code != Errc::ok) {
      return fault;
    }
    if (mutation_share > 1.0) return {Errc::above_maximum, "mutation_share", mutation_share};
    return {};
  }
};

namespace detail {

/// Divisors in hundredths: whole numbers, so that no compiler can round them differently.
struct FactorCandidate {
  std::vector<std::int64_t> steps = {};  // (pairs,) never decreasing
  int first = 0;                         // searched from here on; faster pairs follow
};

/// All candidates of one config, target length and start.
class FactorSpace {
 public:
  FactorSpace(const RopeConfig& config, std::int64_t target_length, FactorStart start)
      : config_(config), target_length_(target_length), start_(start) {
    constexpr const char* where = "search_factors";
    constexpr std::int64_t kLargestFactor = std::int64_t{1} << 30;
    require(where, check_ntk(config));
    require(where, check_original_length(config, 7));
    require(where, check_length("target_length", target_length, config.original_length + 1));
    if (target_length / config.original_length >= kLargestFactor) {
      refuse(where, {Errc::above_maximum, "target_length", static_cast<double>(target_length)});
    }
    factor_ = static_cast<double>(target_length) / static_cast<double>(config.original_length);
    if (start == FactorStart::long_rope) {
      low_ = 100;
      high_ = static_cast<std::int64_t>(std::floor(125.0 * factor_));
    } else {
      low_ = static_cast<std::int64_t>(std::ceil(100.0 * factor_));
      high_ = 2 * low_;
      last_first_ = slow_pair(1.0);
      first_first_ = slow_pair(10.0);
    }
  }

  LongRope method(const FactorCandidate& candidate) const {
    LongRope method;
    method.short_factor.assign(candidate.steps.size(), 1.0);
    method.long_factor.reserve(candidate.steps.size());
    for (const std::int64_t steps : candidate.steps) method.long_factor.push_back(divisor(steps));
    method.factor = factor_;
    method.length = target_length_;
    return method;
  }

  /// The first candidates, `population` of them or a few more.
  std::vector<FactorCandidate> start(const FactorSearch& search, CounterRandom& random) const {
    std::vector<FactorCandidate> all;
    const auto population = static_cast<std::size_t>(search.population);
    if (start_ == FactorStart::long_rope) {
      all.push_back(rounded(Linear{factor_}));
      all.push_back(rounded(NtkAware{factor_}));
      // Its ramp runs backwards for a few short lengths, and validate() says so.
      const Yarn yarn{factor_};
      if (yarn.validate(config_).code == Errc::ok) all.push_back(rounded(yarn));
      const std::size_t seeds = all.size();
      for (std::size_t next = 0; all.size() < population; ++next) {
        all.push_back(mutated(all[next % seeds], search.mutation_share, random));
      }
    } else {
      while (all.size() < population) all.push_back(drawn(random));
    }
    return all;
  }

  /// Each searched divisor drawn anew with the given chance, between its two neighbours.
  FactorCandidate mutated(FactorCandidate candidate, double share, CounterRandom& random) const {
    for (std::size_t pair = first_of(candidate); pair < candidate.steps.size(); ++pair) {
      if (!happens(share, random)) continue;
      const bool fastest = pair == first_of(candidate);
      const bool slowest = pair + 1 == candidate.steps.size();
      const std::int64_t low = fastest ? low_ : candidate.steps[pair - 1];
      const std::int64_t high = slowest ? high_ : candidate.steps[pair + 1];
      candidate.steps[pair] = random.integer(low, high);
    }
    follow(candidate);
    return candidate;
  }

  /// Each searched divisor from either parent, from the one that does not decrease where only one
  /// does not. The first searched pair is the mother's.
  FactorCandidate crossed(const FactorCandidate& mother, const FactorCandidate& father,
                          CounterRandom& random) const {
    FactorCandidate child = mother;
    std::int64_t low = low_;
    for (std::size_t pair = first_of(mother); pair < child.steps.size(); ++pair) {
      const std::int64_t one = mother.steps[pair];
      const std::int64_t other = father.steps[pair];
      const bool take_other = random.integer(0, 1) == 1;
      // A parent's own divisor is never below the one before it, whichever that was.
      const bool other_fits = other >= low;
      child.steps[pair] = other_fits && (take_other || one < low) ? other : one;
      low = child.steps[pair];
    }
    follow(child);
    return child;
  }

 private:
  /// One hundredth is LongRoPE's step.
  static double divisor(std::int64_t steps) noexcept { return static_cast<double>(steps) / 100.0; }

  static std::size_t first_of(const FactorCandidate& candidate) noexcept {
    return static_cast<std::size_t>(candidate.first);
  }

  /// True with a chance of 0 .. 1.
  static bool happens(double chance, CounterRandom& random) {
    return static_cast<double>(random.bits() >> 11) * 0x1p-53 < chance;
  }

  /// The first pair that made fewer turns in training, held to the pairs there are.
  int slow_pair(double turns) const {
    const double length = static_cast<double>(config_.original_length) / turns;
    const double pair = std::ceil(pair_index(config_, length).high);
    const int last = config_.pairs() - 1;
    if (!(pair > 0.0)) return 0;
    return pair < static_cast<double>(last) ? static_cast<int>(pair) : last;
  }

  /// What a method divides by, in hundredths.
  template <typename Method>
  FactorCandidate rounded(const Method& method) const {
    FactorCandidate candidate;
    std::int64_t least = low_;
    for (int pair = 0; pair < config_.pairs(); ++pair) {
      const double divisor = inverse_frequency(config_, pair) / method.inv_freq(config_, pair);
      std::int64_t steps = std::llround(100.0 * divisor);
      if (steps < least) steps = least;
      if (steps > high_) steps = high_;
      candidate.steps.push_back(steps);
      least = steps;
    }
    return candidate;
  }

  /// Slow pairs anywhere within the bounds, in order.
  FactorCandidate drawn(CounterRandom& random) const {
    FactorCandidate candidate;
    candidate.first = static_cast<int>(random.integer(first_first_, last_first_));
    candidate.steps.assign(static_cast<std::size_t>(config_.pairs()), low_);
    for (std::size_t pair = first_of(candidate); pair < candidate.steps.size(); ++pair) {
      const std::int64_t steps = random.integer(low_, high_);
      std::size_t place = pair;
      for (; place > first_of(candidate) && candidate.steps[place - 1] > steps; --place) {
        candidate.steps[place] = candidate.steps[place - 1];
      }
      candidate.steps[place] = steps;
    }
    follow(candidate);
    return candidate;
  }

  /// Pairs faster than the first searched one take the divisors of the base that gives it its own.
  void follow(FactorCandidate& candidate) const {
    if (candidate.first == 0) return;
    const double slowed = divisor(candidate.steps[first_of(candidate)]);
    for (int pair = 0; pair < candidate.first; ++pair) {
      candidate.steps[static_cast<std::size_t>(pair)] =
          std::llround(100.0 * power_ratio(slowed, pair, candidate.first));
    }
  }

  RopeConfig config_;
  std::int64_t target_length_;
  FactorStart start_;
  double factor_ = 1.0;
  std::int64_t low_ = 0;  // bounds of a searched divisor, in hundredths
  std::int64_t high_ = 0;
  int first_first_ = 0;  // bounds of the first searched pair
  int last_first_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
