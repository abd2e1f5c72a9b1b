// NTK-aware scaling: a larger base. Row 5.
#pragma once

#include <ropewalk/theta.hpp>

namespace ropewalk {
inline namespace v0 {

/// The base of ntk_theta: the slowest pair slowed by factor, pair 0 kept. Pairs in between that
/// never turned in training are slowed by less than factor, so the real reach is below factor.
///   Source       bloc97 2023; exllama "alpha", HunYuan "alpha"
struct NtkAware {
  double factor = 1.0;  // finite, >= 1; exllama's and HunYuan's alpha

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = detail::check_ntk(config); fault.code != Errc::ok) return fault;
    return detail::check_factor(factor);
  }

  /// Radians per token. Max error 4 ULP.
  double inv_freq(const RopeConfig& config, int pair) const {
    return inverse_frequency(ntk_theta(config, factor), pair, config.rotary_dim);
  }
};

}  // namespace v0
}  // namespace ropewalk
