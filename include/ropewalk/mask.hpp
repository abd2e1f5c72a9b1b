// Which keys a query sees: causal, window, first keys and chunk together. Row 7, host and device.
//
// Whatever is combined, a query sees at most two runs of keys: some of the first ones, and a band
// that ends where causality or the keys do. Attention walks the two.
#pragma once

#include <ropewalk/error.hpp>

#include <cstdint>
#include <limits>

namespace ropewalk {
inline namespace v0 {

/// A window that nothing leaves: the identity of everything that has a window.
inline constexpr std::int64_t kUnlimited = (std::numeric_limits<std::int64_t>::max)();

/// Positions of a text end here, so that position + offset never overflows.
inline constexpr std::int64_t kLargestPosition = (std::int64_t{1} << 62) - 1;

/// Keys first .. end - 1; empty where first == end.
struct KeyRange {
  std::int64_t first = 0;
  std::int64_t end = 0;

  ROPEWALK_HOST_DEVICE constexpr bool contains(std::int64_t key) const noexcept {
    return first <= key && key < end;
  }
  ROPEWALK_HOST_DEVICE constexpr std::int64_t size() const noexcept { return end - first; }
};

/// The keys of a query: both ranges may be empty, `first_keys` lies before `band`.
struct VisibleKeys {
  KeyRange first_keys;
  KeyRange band;

  ROPEWALK_HOST_DEVICE constexpr bool contains(std::int64_t key) const noexcept {
    return first_keys.contains(key) || band.contains(key);
  }
  ROPEWALK_HOST_DEVICE constexpr std::int64_t size() const noexcept {
    return first_keys.size() + band.size();
  }
};

namespace detail {

ROPEWALK_HOST_DEVICE constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) noexcept {
  return a < b ? a : b;
}

ROPEWALK_HOST_DEVICE constexpr std::int64_t larger(std::int64_t a, std::int64_t b) noexcept {
  return a < b ? b : a;
}

// Device code may use constants, but not call std::numeric_limits.
inline constexpr std::int64_t kLargestInt64 = (std::numeric_limits<std::int64_t>::max)();
inline constexpr std::int64_t kLowestInt64 = (std::numeric_limits<std::int64_t>::min)();

/// Sum and difference of any value and one >= 0, the ends of int64 standing for what lies beyond.
ROPEWALK_HOST_DEVICE constexpr std::int64_t plus(std::int64_t value, std::int64_t step) noexcept {
  return value > kLargestInt64 - step ? kLargestInt64 : value + step;
}

ROPEWALK_HOST_DEVICE constexpr std::int64_t minus(std::int64_t value, std::int64_t step) noexcept {
  return value < kLowestInt64 + step ? kLowestInt64 : value - step;
}

}  // namespace detail

/// What every query may see. The default is causal attention; `causal = false` alone sees all keys.
struct AttentionMask {
  /// No key after the query.
  bool causal = true;

  /// Keys less than so many positions away, the query's own being one: 1 sees itself alone. Without
  /// `causal` as many after the query. >= 1, or kUnlimited.
  std::int64_t window = kUnlimited;

  /// Keys at positions below this are seen whatever window and chunk say (causality still holds):
  /// the attention sinks of StreamingLLM and LM-Infinite. >= 0, and 0 shows none.
  std::int64_t first_keys = 0;

  /// Keys in the query's own chunk, floor(position / chunk): Llama 4. >= 1, or kUnlimited.
  std::int64_t chunk = kUnlimited;

  Fault validate() const noexcept {
    if (window < 1) return {Errc::below_minimum, "window", static_cast<double>(window)};
    if (first_keys < 0) {
      return {Errc::below_minimum, "first_keys", static_cast<double>(first_keys)};
    }
    if (chunk < 1) return {Errc::below_minimum, "chunk", static_cast<double>(chunk)};
    return {};
  }

  /// The keys that a query sees, as positions within `all`.
  ///   query    position, |query| <= kLargestPosition
  ///   all      positions of the keys there are, as bounded
  ROPEWALK_HOST_DEVICE constexpr VisibleKeys keys(std::int64_t query, KeyRange all) const noexcept {
    using detail::larger;
    using detail::smaller;
    const std::int64_t end = causal ? smaller(all.end, query + 1) : all.end;
    KeyRange band{all.first, end};
    if (window != kUnlimited) {
      band.first = larger(band.first, detail::minus(query, window - 1));
      band.end = smaller(band.end, detail::plus(query, window));
    }
    if (chunk != kUnlimited) {
      const std::int64_t rest = query % chunk;
      const std::int64_t start = query - (rest < 0 ? rest + chunk : rest);
      band.first = larger(band.first, start);
      band.end = smaller(band.end, detail::plus(start, chunk));
    }
    KeyRange first{all.first, smaller(end, first_keys)};
    if (first_keys == 0 || first.end <= first.first) first = {all.first, all.first};
    band.first = larger(band.first, first.end);
    if (band.end <= band.first) band = {first.end, first.end};
    return {first, band};
  }
};

}  // namespace v0
}  // namespace ropewalk
