// What every position remap offers, and how attention walks it in passes. Row 8.
//
// A remap replaces the distance query - key by another, so that long texts reuse trained ones.
// Rotation knows positions, not distances, so attention runs once per pass: each pass covers one
// range of keys, has its own query and key positions, and within it their difference is the
// remapped distance. The passes share one softmax: merge by log-sum-exp, or fill one row of logits.
//
// A remap is a struct with:
//   Fault validate(const RopeConfig&)     the first parameter that makes no sense
//   relative(query, key)                  the distance the model is shown
//   KeyRange keys(Pass, query)            keys of this query in this pass, may be empty
//   query_position(Pass, query), key_position(Pass, key)
// A key in no range is not seen at all. Texts count from 0: 0 <= key <= query <= kLargestPosition.
#pragma once

#include <ropewalk/mask.hpp>
#include <ropewalk/rope_config.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// Which keys a run of attention covers. Only DualChunk has a successive pass.
enum class Pass {
  neighbours,  ///< close keys, distances as in the text; intra-chunk
  successive,  ///< the chunk before the query's own
  distant      ///< all keys further away; inter-chunk
};

inline constexpr Pass kPasses[3] = {Pass::neighbours, Pass::successive, Pass::distant};

/// True where some pass of the remap covers the key.
template <typename Remap>
bool is_visible(const Remap& remap, std::int64_t query, std::int64_t key) noexcept {
  for (const Pass pass : kPasses) {
    if (remap.keys(pass, query).contains(key)) return true;
  }
  return false;
}

/// The pass that covers a visible key.
template <typename Remap>
Pass pass_of(const Remap& remap, std::int64_t query, std::int64_t key) noexcept {
  ROPEWALK_ASSERT(is_visible(remap, query, key), "pass_of: a key that the query sees");
  for (const Pass pass : kPasses) {
    if (remap.keys(pass, query).contains(key)) return pass;
  }
  return Pass::distant;
}

/// The fault of a query and a key from outside, or Errc::ok: 0 <= key <= query <= kLargestPosition.
inline Fault check_query_key(std::int64_t query, std::int64_t key) noexcept {
  if (key < 0) return {Errc::below_minimum, "key", static_cast<double>(key)};
  if (query < 0) return {Errc::below_minimum, "query", static_cast<double>(query)};
  if (key > query) return {Errc::wrong_order, "key", static_cast<double>(key)};
  if (query > kLargestPosition) return {Errc::above_maximum, "query", static_cast<double>(query)};
  return {};
}

namespace detail {

inline bool is_query_key(std::int64_t query, std::int64_t key) noexcept {
  return 0 <= key && key <= query && query <= kLargestPosition;
}

inline bool is_position(std::int64_t position) noexcept {
  return 0 <= position && position <= kLargestPosition;
}

/// What has to lie inside the trained length, where distances were seen.
inline Fault check_trained(const RopeConfig& config, const char* field, std::int64_t value,
                           std::int64_t minimum) noexcept {
  if (const Fault fault = check_length(field, value, minimum); fault.code != Errc::ok) return fault;
  if (config.original_length == 0) return {Errc::unknown, "original_length", 0.0};
  if (value >= config.original_length) {
    return {Errc::above_maximum, field, static_cast<double>(value)};
  }
  return {};
}

/// Sinks before a window of 1 key or more; `places` for the sinks and the window fit the trained
/// length together.
inline Fault check_sinks_and_window(const RopeConfig& config, std::int64_t sinks,
                                    std::int64_t places, std::int64_t window) noexcept {
  if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
  if (const Fault fault = check_length("sinks", sinks, 0); fault.code != Errc::ok) return fault;
  if (window == kUnlimited) return {};
  if (const Fault fault = check_length("window", window, 1); fault.code != Errc::ok) return fault;
  if (config.original_length == 0) return {Errc::unknown, "original_length", 0.0};
  if (window > config.original_length - places) {
    return {Errc::above_maximum, "window", static_cast<double>(window)};
  }
  return {};
}

/// The query itself and the window - 1 keys before it.
inline KeyRange keys_within(std::int64_t window, std::int64_t query) noexcept {
  return {query < window ? 0 : query - window + 1, query + 1};
}

/// All keys before those.
inline KeyRange keys_beyond(std::int64_t window, std::int64_t query) noexcept {
  return {0, query < window ? 0 : query - window + 1};
}

/// The two passes of a window: its own keys are neighbours, all before them distant.
inline KeyRange keys_by_window(Pass pass, std::int64_t window, std::int64_t query) noexcept {
  ROPEWALK_ASSERT(is_position(query), "keys: query >= 0");
  if (pass == Pass::neighbours) return keys_within(window, query);
  return pass == Pass::distant ? keys_beyond(window, query) : KeyRange{};
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
