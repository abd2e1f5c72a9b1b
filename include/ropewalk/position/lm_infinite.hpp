// LM-Infinite: the first keys and the last ones, no distance over a limit. Row 8.
#pragma once

#include <ropewalk/position/remap.hpp>

namespace ropewalk {
inline namespace v0 {

/// Distance min(r, window); a query sees the last `window` keys, itself included, and the first
/// `sinks` keys of the text, which it sees at distance `window` once they leave the window.
///   Valid for    sinks >= 0, 1 <= window <= original_length, or window kUnlimited. The paper takes
///                window = original_length, although that one distance was never trained
///   Identity     window kUnlimited
///   Source       Han et al. 2023, arXiv 2308.16137
struct LmInfinite {
  std::int64_t sinks = 10;           // keys always seen; the paper: 10 to 100
  std::int64_t window = kUnlimited;  // keys seen where they are

  Fault validate(const RopeConfig& config) const noexcept {
    return detail::check_sinks_and_window(config, sinks, 0, window);  // sinks share one distance
  }

  std::int64_t relative(std::int64_t query, std::int64_t key) const noexcept {
    ROPEWALK_ASSERT(detail::is_query_key(query, key), "LmInfinite: 0 <= key <= query");
    return query - key < window ? query - key : window;
  }

  KeyRange keys(Pass pass, std::int64_t query) const noexcept {
    ROPEWALK_ASSERT(detail::is_position(query), "LmInfinite: query >= 0");
    if (pass == Pass::neighbours) return detail::keys_within(window, query);
    if (pass != Pass::distant) return {};
    const KeyRange beyond = detail::keys_beyond(window, query);
    return {0, beyond.end < sinks ? beyond.end : sinks};
  }

  std::int64_t query_position(Pass pass, std::int64_t query) const noexcept {
    return pass == Pass::distant ? window : query;
  }

  std::int64_t key_position(Pass pass, std::int64_t key) const noexcept {
    return pass == Pass::distant ? 0 : key;
  }
};

}  // namespace v0
}  // namespace ropewalk
