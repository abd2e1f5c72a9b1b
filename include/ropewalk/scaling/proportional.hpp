// p-RoPE: only the fastest pairs turn. Row 5.
#pragma once

#include <ropewalk/frequency.hpp>

namespace ropewalk {
inline namespace v0 {

/// The fastest share of a head's pairs turn at the frequencies of the whole head; the rest stand
/// still. Not the same as a smaller rotary_dim, which spreads the frequencies over fewer pairs.
///   Source       Barbero et al. 2024, arXiv 2410.06205; Hugging Face rope_type "proportional"
///                (Gemma 4's global layers)
struct Proportional {
  double partial_rotary_factor = 1.0;  // share of pairs that turn, 0 .. 1
  double factor = 1.0;                 // finite, >= 1; slows every pair

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault =
            detail::check_at_least("partial_rotary_factor", partial_rotary_factor, 0.0);
        fault.code != Errc::ok) {
      return fault;
    }
    if (partial_rotary_factor > 1.0) {
      return {Errc::above_maximum, "partial_rotary_factor", partial_rotary_factor};
    }
    return detail::check_factor(factor);
  }

  /// Pairs that turn: the product rounded down twice, as the source does.
  int rotated_pairs(const RopeConfig& config) const noexcept {
    return static_cast<int>(partial_rotary_factor * static_cast<double>(config.rotary_dim)) / 2;
  }

  /// Radians per token, 0 for pairs that stand still. Max error 3 ULP.
  double inv_freq(const RopeConfig& config, int pair) const {
    if (pair >= rotated_pairs(config)) return 0.0;
    return inverse_frequency(config, pair) / factor;
  }
};

}  // namespace v0
}  // namespace ropewalk
