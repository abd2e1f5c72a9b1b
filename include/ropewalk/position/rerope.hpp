// ReRoPE and Leaky ReRoPE: distances cut off, or slowed, at a window. Row 8.
//
// The published code also multiplies queries by log_n_untrained_position_scale (temperature.hpp).
#pragma once

#include <ropewalk/position/remap.hpp>

namespace ropewalk {
inline namespace v0 {

/// Distance min(r, window): all keys from the window on are equally far.
///   Valid for    1 <= window < original_length, or kUnlimited
///   Identity     window kUnlimited
///   Source       Su 2023, kexue.fm/archives/9708; bojone/rerope
struct Rerope {
  std::int64_t window = kUnlimited;  // 512 in the published code

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (window == kUnlimited) return {};
    return detail::check_trained(config, "window", window, 1);
  }

  std::int64_t relative(std::int64_t query, std::int64_t key) const noexcept {
    ROPEWALK_ASSERT(detail::is_query_key(query, key), "Rerope: 0 <= key <= query");
    return query - key < window ? query - key : window;
  }

  KeyRange keys(Pass pass, std::int64_t query) const noexcept {
    return detail::keys_by_window(pass, window, query);
  }

  std::int64_t query_position(Pass pass, std::int64_t query) const noexcept {
    return pass == Pass::distant ? window : query;
  }

  std::int64_t key_position(Pass pass, std::int64_t key) const noexcept {
    return pass == Pass::distant ? 0 : key;
  }
};

/// Distance r below the window, else window + (r - window) / factor, which is no whole number: the
/// distant pass counts in steps of 1 / factor token. Rotate it with the spectrum of
/// Linear{factor}, where query_position - key_position = factor times the distance.
///   Valid for    factor >= 1, 1 <= window < original_length, window (factor - 1) < 2^62
///   Identity     factor 1
///   Source       Su 2023, kexue.fm/archives/9708; bojone/rerope
struct LeakyRerope {
  std::int64_t window = 512;
  std::int64_t factor = 1;  // k of the source, 16 in the published code

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_length("factor", factor, 1); fault.code != Errc::ok) {
      return fault;
    }
    if (const Fault fault = detail::check_length("window", window, 1); fault.code != Errc::ok) {
      return fault;
    }
    if (factor == 1) return {};
    if (window > kLargestPosition / (factor - 1)) {
      return {Errc::above_maximum, "factor", static_cast<double>(factor)};
    }
    return detail::check_trained(config, "window", window, 1);
  }

  /// Tokens. Max error 1 ULP, none while the result has at most 53 bits.
  double relative(std::int64_t query, std::int64_t key) const noexcept {
    ROPEWALK_ASSERT(detail::is_query_key(query, key), "LeakyRerope: 0 <= key <= query");
    const std::int64_t r = query - key;
    if (r < window) return static_cast<double>(r);
    return static_cast<double>(r + window * (factor - 1)) / static_cast<double>(factor);
  }

  KeyRange keys(Pass pass, std::int64_t query) const noexcept {
    return detail::keys_by_window(pass, window, query);
  }

  /// In the distant pass in steps of 1 / factor token.
  std::int64_t query_position(Pass pass, std::int64_t query) const noexcept {
    return pass == Pass::distant ? query + window * (factor - 1) : query;
  }

  /// In the distant pass in steps of 1 / factor token.
  std::int64_t key_position(Pass, std::int64_t key) const noexcept { return key; }
};

}  // namespace v0
}  // namespace ropewalk
