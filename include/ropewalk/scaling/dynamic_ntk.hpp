// Dynamic NTK: the base follows the length. Row 5.
#pragma once

#include <ropewalk/theta.hpp>

namespace ropewalk {
inline namespace v0 {

/// The base of dynamic_ntk_theta at the length of the moment. Keys cached at another length were
/// turned by another base: cache them unrotated, or freeze the length.
///   Source       emozilla 2023; Hugging Face rope_type "dynamic" (original_length is then
///                max_position_embeddings); vLLM and SGLang freeze length at factor * L0
struct DynamicNtk {
  double factor = 1.0;      // finite, >= 1
  std::int64_t length = 0;  // tokens so far; up to original_length nothing changes

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = detail::check_ntk(config); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_factor(factor); fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_length("length", length, 0); fault.code != Errc::ok) {
      return fault;
    }
    if (length > 0) return detail::check_original_length(config, 1);
    return {};
  }

  /// The base at this length.
  double theta(const RopeConfig& config) const {
    if (length == 0) return config.theta;
    return dynamic_ntk_theta(config, factor, length);
  }

  /// Radians per token. Max error 4 ULP.
  double inv_freq(const RopeConfig& config, int pair) const {
    return inverse_frequency(theta(config), pair, config.rotary_dim);
  }
};

}  // namespace v0
}  // namespace ropewalk
