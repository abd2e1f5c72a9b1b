// StreamingLLM: positions are places in a cache of fixed size. Row 8.
#pragma once

#include <ropewalk/position/remap.hpp>

namespace ropewalk {
inline namespace v0 {

/// The cache keeps the first `sinks` tokens and the last `window`; distances are counted in places
/// of the cache, not in the text. Drawn for sinks 2, window 3 when token 7 is the query:
///   text    0 1 2 3 4 5 6 7
///   place   0 1 - - - 2 3 4
///   Valid for    sinks >= 0, window >= 1, sinks + window <= original_length, or window kUnlimited
///   Identity     window kUnlimited
///   Source       Xiao et al. 2023, arXiv 2309.17453
struct Streaming {
  std::int64_t sinks = 4;
  std::int64_t window = kUnlimited;  // most recent tokens kept, the query among them

  Fault validate(const RopeConfig& config) const noexcept {
    return detail::check_sinks_and_window(config, sinks, sinks, window);
  }

  /// True once the cache has had to drop a token for this query.
  bool is_full(std::int64_t query) const noexcept {
    return query >= sinks && query - sinks >= window;
  }

  /// The place of a token in the cache when `query` is the newest one.
  ///   key          one that the query sees: is_visible(streaming, query, key)
  std::int64_t cache_index(std::int64_t query, std::int64_t key) const noexcept {
    ROPEWALK_ASSERT(detail::is_query_key(query, key), "Streaming: 0 <= key <= query");
    ROPEWALK_ASSERT(is_visible(*this, query, key), "Streaming: a key that is in the cache");
    if (!is_full(query) || key < sinks) return key;
    return key - (query - window + 1) + sinks;
  }

  std::int64_t relative(std::int64_t query, std::int64_t key) const noexcept {
    return cache_index(query, query) - cache_index(query, key);
  }

  /// Recent tokens, whose distance is that of the text; then the sinks.
  KeyRange keys(Pass pass, std::int64_t query) const noexcept {
    ROPEWALK_ASSERT(detail::is_position(query), "Streaming: query >= 0");
    if (pass == Pass::neighbours) {
      return is_full(query) ? detail::keys_within(window, query) : KeyRange{0, query + 1};
    }
    return pass == Pass::distant && is_full(query) ? KeyRange{0, sinks} : KeyRange{};
  }

  /// Differences are those of cache_index; recent tokens need no new rotation as the cache moves.
  std::int64_t query_position(Pass pass, std::int64_t query) const noexcept {
    return pass == Pass::distant && is_full(query) ? sinks + (window - 1) : query;
  }

  std::int64_t key_position(Pass, std::int64_t key) const noexcept { return key; }
};

}  // namespace v0
}  // namespace ropewalk
