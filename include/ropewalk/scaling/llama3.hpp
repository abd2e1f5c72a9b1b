// Llama 3.1's rule by frequency. Row 5.
#pragma once

#include <ropewalk/scaling/ntk_by_parts.hpp>

namespace ropewalk {
inline namespace v0 {

/// NTK-by-parts with a narrow band, no temperature: wavelengths shorter than L0 / high_freq_factor
/// are kept, longer than L0 / low_freq_factor slowed by factor, those between mixed.
///   Source       Llama 3.1; Hugging Face rope_type "llama3"; GGUF tensor rope_freqs
struct Llama3 {
  double factor = 1.0;            // finite, >= 1
  double low_freq_factor = 1.0;   // finite, > 0
  double high_freq_factor = 4.0;  // finite, >= low_freq_factor; equal (Llama-4 Scout) is a step

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_factor(factor); fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_positive("low_freq_factor", low_freq_factor);
        fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_positive("high_freq_factor", high_freq_factor);
        fault.code != Errc::ok) {
      return fault;
    }
    if (high_freq_factor < low_freq_factor) {
      return {Errc::wrong_order, "high_freq_factor", high_freq_factor};
    }
    if (factor > 1.0) return detail::check_original_length(config, 1);
    return {};
  }

  /// Radians per token. Max error 4 ULP times the condition number of the ramp.
  double inv_freq(const RopeConfig& config, int pair) const {
    return NtkByParts{factor, high_freq_factor, low_freq_factor}.inv_freq(config, pair);
  }
};

}  // namespace v0
}  // namespace ropewalk
