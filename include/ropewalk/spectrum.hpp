// The one way to frequencies. Row 6.
#pragma once

#include <ropewalk/scaling.hpp>

#include <cstddef>
#include <type_traits>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// What a model rotates with: everything later stages need, nothing of how it came about.
struct Spectrum {
  std::vector<double> inv_freq = {};  // (pairs,) radians per token, finite, >= 0
  double attention_factor = 1.0;      // on cos and sin; logits see its square

  int pairs() const noexcept { return static_cast<int>(inv_freq.size()); }
};

namespace detail {

template <typename Method>
Spectrum spectrum_of(const RopeConfig& config, const Method& method) {
  require("spectrum", fault_of(config, method));
  Spectrum result;
  result.inv_freq.resize(static_cast<std::size_t>(config.pairs()));
  int pair = 0;
  for (double& inv_freq : result.inv_freq) {
    inv_freq = method.inv_freq(config, pair);
    Fault fault = check_at_least("inv_freq", inv_freq, 0.0);
    fault.index = pair++;
    require("spectrum", fault);
  }
  result.attention_factor = attention_factor_of(config, method);
  require("spectrum", check_at_least("attention_factor", result.attention_factor, 0.0));
  return result;
}

}  // namespace detail

/// Frequencies of a model under a scaling method: one of the library's, the caller's own struct, or
/// a Scaling that came from a file.
///   config       sound; original_length known where the method needs it
///   Returns      one frequency per pair, pair 0 first
///   Max error    that of the method's inv_freq
///   Throws       std::invalid_argument naming field and value, also when a frequency or the factor
///                comes out as anything but a finite number >= 0. Where exceptions are off, ask
///                check(config, method) first
template <typename Method>
Spectrum spectrum(const RopeConfig& config, const Method& method) {
  if constexpr (std::is_same_v<Method, Scaling>) {
    return detail::with_method(method,
                               [&](const auto& held) { return detail::spectrum_of(config, held); });
  } else {
    return detail::spectrum_of(config, method);
  }
}

/// Frequencies of a model as it was trained.
inline Spectrum spectrum(const RopeConfig& config) { return spectrum(config, Unscaled{}); }

/// The first fault of a config and a method (or a Scaling), or Errc::ok. Never throws.
template <typename Method>
Fault check(const RopeConfig& config, const Method& method) noexcept {
  if constexpr (std::is_same_v<Method, Scaling>) {
    return detail::with_method(method,
                               [&](const auto& held) { return detail::fault_of(config, held); });
  } else {
    return detail::fault_of(config, method);
  }
}

}  // namespace v0
}  // namespace ropewalk
