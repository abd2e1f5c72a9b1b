// The model as it was trained. Row 5.
#pragma once

#include <ropewalk/frequency.hpp>

namespace ropewalk {
inline namespace v0 {

/// No extension: theta^(-2 pair / rotary_dim).
///   Source       Su et al. 2021, arXiv 2104.09864; Hugging Face rope_type "default"
struct Unscaled {
  Fault validate(const RopeConfig& config) const noexcept { return config.validate(); }

  /// Radians per token. Max error 2 ULP.
  double inv_freq(const RopeConfig& config, int pair) const {
    return inverse_frequency(config, pair);
  }
};

}  // namespace v0
}  // namespace ropewalk
