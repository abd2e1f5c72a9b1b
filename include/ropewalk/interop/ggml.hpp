// What ggml's rope needs to run any schedule. Leaf.
#pragma once

#include <ropewalk/spectrum.hpp>

#include <cstddef>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// What a pair that stands still is divided by: its angle vanishes at every position below 2^63.
inline constexpr double kGgmlStill = 1e30;

/// The divisors with which ggml's rope runs a schedule it has never heard of: plain frequency over
/// scheduled frequency, one per pair (ggml_rope_ext's tensor c, GGUF's rope_freqs.weight). The call
/// then takes freq_base = config.theta, freq_scale = 1, ext_factor = 0 and attn_factor =
/// spectrum.attention_factor; the rest of its parameters have no effect.
///   spectrum     one frequency per pair of config
///   config       sound; the model as it was trained
///   Returns      (pairs,) finite, > 0; 1 where nothing changes, 1e30 for pairs that stand still
///   Max error    3 ULP beside that of the schedule
///   Throws       std::invalid_argument where the two do not belong together
inline std::vector<double> freq_factors(const Spectrum& spectrum, const RopeConfig& config) {
  detail::require("freq_factors", config.validate());
  if (spectrum.pairs() != config.pairs()) {
    detail::refuse("freq_factors",
                   {Errc::wrong_length, "inv_freq", static_cast<double>(spectrum.inv_freq.size())});
  }
  std::vector<double> factors;
  factors.reserve(spectrum.inv_freq.size());
  int pair = 0;
  for (const double inv_freq : spectrum.inv_freq) {
    Fault fault = detail::check_at_least("inv_freq", inv_freq, 0.0);
    fault.index = pair;
    detail::require("freq_factors", fault);
    const double factor = inv_freq > 0.0 ? inverse_frequency(config, pair) / inv_freq : kGgmlStill;
    factors.push_back(factor < kGgmlStill ? factor : kGgmlStill);
    ++pair;
  }
  return factors;
}

}  // namespace v0
}  // namespace ropewalk
