// What a base may have come from: the rules, with the parameters people use. Row 9.
#pragma once

#include <ropewalk/plan/published.hpp>
#include <ropewalk/theta.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Rules that published bases come from.
enum class ThetaRule {
  unchanged,    ///< the base of a model as it was trained
  liu,          ///< theta_for_length, one step (any chain of steps gives the same)
  dynamic_ntk,  ///< dynamic_ntk_theta at a length, or chained over several
  ntk_aware,    ///< ntk_theta with the lengths' ratio
  ntk_alpha,    ///< exllama_theta with an alpha of at most two digits
  published,    ///< an entry of a table without a formula: kPublishedPlans, by_hand
  hand_round    ///< at most two significant digits; says nothing of the length
};
inline constexpr int kThetaRules = 7;

namespace detail {

/// A base that a rule gives.
struct ThetaHypothesis {
  ThetaRule rule = ThetaRule::unchanged;
  double base = 0.0;  // what the rule starts from
  double predicted = 0.0;
  double factor = 1.0;           // dynamic NTK's factor, NTK's alpha; 1 where the rule has none
  std::int64_t lengths[4] = {};  // the rule is applied at, in order
  int steps = 0;                 // how many of them
};

/// Lengths that people extend to: powers of two, doublings of the trained one, round thousands.
inline std::vector<std::int64_t> usual_lengths(std::int64_t trained_length) {
  constexpr std::int64_t longest = std::int64_t{1} << 24;
  std::vector<std::int64_t> lengths;
  const auto add = [&](std::int64_t length) {
    if (length > trained_length && length <= longest) lengths.push_back(length);
  };
  for (int bits = 13; bits <= 24; ++bits) add(std::int64_t{1} << bits);
  const bool power_of_two = (trained_length & (trained_length - 1)) == 0;
  for (std::int64_t length = trained_length; !power_of_two && length < longest; length *= 2) {
    add(length);
  }
  for (const std::int64_t thousands : {10,  12,  16,  20,  24,  32,   48,   64,   80,   100,  128,
                                       160, 200, 256, 500, 512, 1000, 1024, 2000, 4000, 10000}) {
    add(1000 * thousands);
  }
  return lengths;
}

/// Bases that models trained at a length have; all three where the length is not among them.
inline std::vector<double> usual_bases(std::int64_t trained_length) {
  switch (trained_length) {
    case 2048:
    case 4096:
      return {1e4};
    case 8192:
      return {5e5, 1e4};
    case 32768:
    case 40960:
      return {1e6};
    default:
      return {1e4, 5e5, 1e6};
  }
}

/// Calls `visit` with every base that rules give from one trained base.
template <typename Visit>
class ThetaHypotheses {
 public:
  /// target_length 0: not known.
  ThetaHypotheses(const RopeConfig& trained, std::int64_t target_length, const Visit& visit)
      : trained_(trained), target_(target_length), visit_(visit) {}

  void unchanged() const { offer({ThetaRule::unchanged, trained_.theta, trained_.theta}); }

  void laws() const {
    std::vector<std::int64_t> lengths = {target_};
    if (target_ == 0) lengths = usual_lengths(trained_.original_length);
    for (const std::int64_t length : lengths) {
      if (length <= trained_.original_length) continue;
      const double ratio =
          static_cast<double>(length) / static_cast<double>(trained_.original_length);
      if (liu_stays_finite(length)) {
        offer_at(ThetaRule::liu, theta_for_length(trained_, length), length, 1.0);
      }
      offer_at(ThetaRule::ntk_aware, ntk_theta(trained_, ratio), length, ratio);
      // The factor that Hugging Face's documents suggest is the ratio itself.
      const double own = dynamic_ntk_theta(trained_, ratio, length);
      if (ratio != 2.0 && ratio != 4.0) offer_at(ThetaRule::dynamic_ntk, own, length, ratio);
    }
  }

  /// Two digits over three decades. Ratios of usual lengths are ntk_aware's.
  void alphas() const {
    for (const double decade : {0.1, 1.0, 10.0}) {
      for (int digits = 10; digits < 100; ++digits) {
        const double alpha = digits * decade;
        const bool doubling = alpha == 2.0 || alpha == 4.0 || alpha == 8.0 || alpha == 16.0 ||
                              alpha == 32.0 || alpha == 64.0;
        if (alpha > 1.0 && !doubling) offer_alpha(alpha);
      }
    }
    offer_alpha(1000.0);
  }

  /// Chains of doublings, fourfold and eightfold steps, the largest first: the order changes
  /// nothing. To a known target the last step is whatever is left.
  void chains() const {
    for (const double factor : {2.0, 4.0}) {
      ThetaHypothesis start{ThetaRule::dynamic_ntk, trained_.theta, trained_.theta, factor};
      extend(start, trained_.original_length, 8);
    }
  }

 private:
  void offer(const ThetaHypothesis& hypothesis) const {
    if (hypothesis.predicted <= kMaximumTheta) visit_(hypothesis);
  }

  /// Trained lengths near 2 pi give powers beyond the range of double.
  bool liu_stays_finite(std::int64_t length) const {
    const double power = std::log(static_cast<double>(length) / kTwoPi) /
                         std::log(static_cast<double>(trained_.original_length) / kTwoPi);
    return power * std::log(trained_.theta) < 700.0;
  }

  void offer_at(ThetaRule rule, double predicted, std::int64_t length, double factor) const {
    offer({rule, trained_.theta, predicted, factor, {length}, 1});
  }

  void offer_alpha(double alpha) const {
    offer({ThetaRule::ntk_alpha, trained_.theta, exllama_theta(trained_, alpha), alpha});
  }

  /// One step more of a chain that has come to `length`.
  ThetaHypothesis stepped(const ThetaHypothesis& chain, std::int64_t length,
                          std::int64_t to) const {
    RopeConfig config = trained_;
    config.theta = chain.predicted;
    config.original_length = length;
    ThetaHypothesis longer = chain;
    longer.predicted = dynamic_ntk_theta(config, chain.factor, to);
    longer.lengths[longer.steps++] = to;
    return longer;
  }

  void extend(const ThetaHypothesis& chain, std::int64_t length, std::int64_t largest) const {
    if (target_ != 0) {
      // Doublings at the end are found as chains of doublings already.
      const bool listed = target_ == 2 * length || target_ == 4 * length || target_ == 8 * length;
      if (target_ > length && (!listed || target_ / length <= largest)) {
        offer(stepped(chain, length, target_));
      }
    }
    if (chain.steps == 3) return;
    for (std::int64_t ratio = largest; ratio >= 2; ratio /= 2) {
      constexpr std::int64_t longest = std::int64_t{1} << 24;
      const std::int64_t end = target_ == 0 ? longest : target_ - 1;
      if (length > end / ratio) continue;
      const ThetaHypothesis longer = stepped(chain, length, length * ratio);
      if (longer.predicted > kMaximumTheta / 1e6) continue;
      if (target_ == 0) offer(longer);
      extend(longer, length * ratio, ratio);
    }
  }

  const RopeConfig& trained_;
  std::int64_t target_;
  const Visit& visit_;
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
