// LongRoPE: one searched divisor per pair. Row 5.
#pragma once

#include <ropewalk/frequency.hpp>
#include <ropewalk/temperature.hpp>

#include <cstddef>
#include <optional>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Each pair slowed by its own divisor, from one list up to the trained length and from another
/// beyond it. Empty lists change nothing.
///   Source       Ding et al. 2024, arXiv 2402.13753; Hugging Face rope_type "longrope" ("su")
struct LongRope {
  std::vector<double> short_factor = {};  // (pairs,) divisors, finite, >= 2^-53; empty: all 1
  std::vector<double> long_factor = {};   // (pairs,) divisors, finite, >= 2^-53; empty: all 1
  double factor = 1.0;      // target length / original length; enters attention_factor only
  std::int64_t length = 0;  // tokens so far: beyond original_length the long list holds
  std::optional<double> explicit_attention_factor =
      std::nullopt;  // final value, replaces the formula; >= 0

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault = check_list("short_factor", short_factor, config.pairs());
        fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = check_list("long_factor", long_factor, config.pairs());
        fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_positive("factor", factor); fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_length("length", length, 0); fault.code != Errc::ok) {
      return fault;
    }
    if (explicit_attention_factor) {
      if (const Fault fault =
              detail::check_at_least("attention_factor", *explicit_attention_factor, 0.0);
          fault.code != Errc::ok) {
        return fault;
      }
    } else if (factor > 1.0) {
      // ln(1) is zero, and the formula divides by ln(original_length).
      return detail::check_original_length(config, 2);
    }
    if (length > 0) return detail::check_original_length(config, 1);
    return {};
  }

  /// The list that holds at the length of the moment.
  const std::vector<double>& divisors(const RopeConfig& config) const noexcept {
    return length > config.original_length ? long_factor : short_factor;
  }

  /// Radians per token. Max error 3 ULP.
  double inv_freq(const RopeConfig& config, int pair) const {
    const std::vector<double>& list = divisors(config);
    const double plain = inverse_frequency(config, pair);
    return list.empty() ? plain : plain / list[static_cast<std::size_t>(pair)];
  }

  /// The factor on cos and sin, the same for both lists: the explicit one, else
  /// sqrt(1 + ln(factor) / ln(original_length)). Max error 4 ULP.
  double attention_factor(const RopeConfig& config) const {
    if (explicit_attention_factor) return *explicit_attention_factor;
    if (factor <= 1.0) return 1.0;
    return longrope_attention_factor(factor, config.original_length);
  }

 private:
  static constexpr double kSmallestDivisor = 1.0 / static_cast<double>(detail::kMaximumLength);

  static Fault check_list(const char* field, const std::vector<double>& list, int pairs) noexcept {
    if (list.empty()) return {};
    if (list.size() != static_cast<std::size_t>(pairs)) {
      return {Errc::wrong_length, field, static_cast<double>(list.size())};
    }
    int index = 0;
    for (const double divisor : list) {
      Fault fault = detail::check_at_least(field, divisor, kSmallestDivisor);
      fault.index = index++;
      if (fault.code != Errc::ok) return fault;
    }
    return {};
  }
};

}  // namespace v0
}  // namespace ropewalk
