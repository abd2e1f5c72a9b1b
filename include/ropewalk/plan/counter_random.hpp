// Random numbers that are the same everywhere: every bit is spelled out. Row 9.
#pragma once

#include <ropewalk/config.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// SplitMix64: number n of a seed is a hash of seed + n times a constant, so that nothing but the
/// count is remembered. The distributions of <random> differ between standard libraries; these
/// whole-number ones do not.
///   Source       Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"; the
///                constants are Stafford's variant 13
class CounterRandom {
 public:
  /// The numbers of one sample of a seed. Samples of a seed do not overlap in practice: each starts
  /// at a hash of its own.
  explicit CounterRandom(std::uint64_t seed, std::uint64_t sample = 0) noexcept
      : state_(mix(seed + mix(sample + kGamma))) {}

  /// 64 random bits.
  std::uint64_t bits() noexcept { return mix(state_ += kGamma); }

  /// Uniform in low .. high, both included, without bias.
  ///   low <= high
  std::int64_t integer(std::int64_t low, std::int64_t high) noexcept {
    ROPEWALK_ASSERT(low <= high, "CounterRandom::integer: low <= high");
    const std::uint64_t values =
        static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
    if (values == 0) return static_cast<std::int64_t>(bits());  // the whole range
    // 2^64 mod values numbers are thrown away; what is left divides evenly.
    const std::uint64_t surplus = (std::uint64_t{0} - values) % values;
    std::uint64_t drawn = bits();
    while (drawn < surplus) drawn = bits();
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + drawn % values);
  }

  /// SplitMix64's step from a counter to a number.
  static std::uint64_t mix(std::uint64_t z) noexcept {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  static constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15u;

 private:
  std::uint64_t state_;
};

namespace detail {

/// Heap sort, rising.
inline void sort_rising(std::vector<std::int64_t>& values) {
  const auto sift = [&values](std::size_t root, std::size_t size) {
    for (std::size_t child = 2 * root + 1; child < size; child = 2 * root + 1) {
      if (child + 1 < size && values[child + 1] > values[child]) ++child;
      if (values[child] <= values[root]) return;
      std::swap(values[root], values[child]);
      root = child;
    }
  };
  for (std::size_t root = values.size() / 2; root-- > 0;) sift(root, values.size());
  for (std::size_t size = values.size(); size-- > 1;) {
    std::swap(values[0], values[size]);
    sift(0, size);
  }
}

/// `count` different whole numbers of low .. high, rising; every such set is equally likely.
///   0 <= count <= high - low + 1
inline std::vector<std::int64_t> distinct_rising(CounterRandom& random, std::int64_t low,
                                                 std::int64_t high, std::int64_t count) {
  const std::int64_t range = high - low + 1;
  std::vector<std::int64_t> chosen;
  if (count > range / 2) {  // choose those left out instead
    const std::vector<std::int64_t> left_out = distinct_rising(random, low, high, range - count);
    chosen.reserve(static_cast<std::size_t>(count));
    std::size_t next = 0;
    for (std::int64_t value = low; value <= high; ++value) {
      if (next < left_out.size() && left_out[next] == value) {
        ++next;
      } else {
        chosen.push_back(value);
      }
    }
    return chosen;
  }
  // No value is preferred by any step, so neither is any set.
  while (static_cast<std::int64_t>(chosen.size()) < count) {
    const std::int64_t missing = count - static_cast<std::int64_t>(chosen.size());
    for (std::int64_t i = 0; i < missing; ++i) chosen.push_back(random.integer(low, high));
    sort_rising(chosen);
    std::size_t kept = 0;
    for (const std::int64_t value : chosen) {
      if (kept == 0 || chosen[kept - 1] != value) chosen[kept++] = value;
    }
    chosen.resize(kept);
  }
  return chosen;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
