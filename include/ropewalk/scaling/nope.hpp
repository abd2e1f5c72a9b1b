// No position encoding. Row 5.
#pragma once

#include <ropewalk/rope_config.hpp>

namespace ropewalk {
inline namespace v0 {

/// No rotation at all: every frequency is zero, every wavelength infinite. The only method that is
/// not the identity by default.
///   Source       Haviv et al. 2022, arXiv 2203.16634; Kazemnejad et al. 2023, arXiv 2305.19466
struct Nope {
  Fault validate(const RopeConfig& config) const noexcept { return config.validate(); }

  /// Radians per token: 0, exactly.
  double inv_freq(const RopeConfig&, int) const { return 0.0; }
};

}  // namespace v0
}  // namespace ropewalk
