// T5's relative position buckets: which learned bias a distance takes. Row 8.
#pragma once

#include <ropewalk/rope_config.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace ropewalk {
inline namespace v0 {

enum class T5Direction {
  causal,        ///< decoder: keys after the query count as distance 0
  bidirectional  ///< encoder: half of the buckets for keys after the query
};

/// With N buckets per direction and E = N / 2: distances below E have one bucket each, distance n
/// from E on takes E + floor((N - E) ln(n / E) / ln(max_distance / E)), at most N - 1.
///   Valid for    buckets 2 .. 256, in both directions even and >= 4; E < max_distance < 2^31
///   Source       Raffel et al. 2019, arXiv 1910.10683; Hugging Face relative_attention_num_buckets
struct T5Buckets {
  int buckets = 32;
  std::int64_t max_distance = 128;
  T5Direction direction = T5Direction::bidirectional;

  int per_direction() const noexcept {
    return direction == T5Direction::causal ? buckets : buckets / 2;
  }

  Fault validate() const noexcept {
    const bool both = direction == T5Direction::bidirectional;
    if (!both && direction != T5Direction::causal) {
      return {Errc::unknown, "direction", static_cast<double>(direction)};
    }
    const double count = static_cast<double>(buckets);
    if (buckets < (both ? 4 : 2)) return {Errc::below_minimum, "buckets", count};
    if (buckets > 256) return {Errc::above_maximum, "buckets", count};
    if (both && buckets % 2 != 0) return {Errc::odd, "buckets", count};
    const double distance = static_cast<double>(max_distance);
    if (max_distance <= per_direction() / 2) return {Errc::below_minimum, "max_distance", distance};
    if (max_distance > (std::numeric_limits<std::int32_t>::max)()) {
      return {Errc::above_maximum, "max_distance", distance};
    }
    return {};
  }
};

/// Where each bucket begins, and the bucket of every pair of positions.
struct T5Table {
  std::vector<std::int64_t> first_distance = {};  // (N,) smallest distance of a bucket, ascending
  T5Direction direction = T5Direction::bidirectional;

  /// 0 <= bucket < buckets. Any two positions; nothing overflows.
  int bucket(std::int64_t query, std::int64_t key) const noexcept {
    ROPEWALK_ASSERT(!first_distance.empty(), "T5Table: made by t5_table()");
    const bool after = key > query;
    const auto from = static_cast<std::uint64_t>(after ? query : key);
    const auto to = static_cast<std::uint64_t>(after ? key : query);
    const bool both = direction == T5Direction::bidirectional;
    const int found = after && !both ? 0 : last_not_above(to - from);
    return after && both ? found + static_cast<int>(first_distance.size()) : found;
  }

 private:
  int last_not_above(std::uint64_t distance) const noexcept {
    std::size_t low = 0;
    std::size_t high = first_distance.size();
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      (static_cast<std::uint64_t>(first_distance[middle]) <= distance ? low : high) = middle;
    }
    return static_cast<int>(low);
  }
};

namespace detail {

/// A natural number of any size, 32 bits per word, lowest first.
struct Natural {
  std::vector<std::uint32_t> words = {1};

  void multiply(std::int64_t by, int times) {
    for (; times > 0; --times) {
      std::uint64_t carry = 0;
      for (std::uint32_t& word : words) {
        carry += static_cast<std::uint64_t>(word) * static_cast<std::uint64_t>(by);
        word = static_cast<std::uint32_t>(carry);
        carry >>= 32;
      }
      if (carry != 0) words.push_back(static_cast<std::uint32_t>(carry));
    }
  }

  bool is_less(const Natural& other) const noexcept {
    if (words.size() != other.words.size()) return words.size() < other.words.size();
    for (std::size_t i = words.size(); i-- > 0;) {
      if (words[i] != other.words[i]) return words[i] < other.words[i];
    }
    return false;
  }
};

/// True when n lies in bucket exact + step or beyond, in whole numbers:
/// n^steps >= max_distance^step exact^(steps - step).
inline bool reaches(std::int64_t n, int step, int steps, std::int64_t exact,
                    std::int64_t max_distance) {
  Natural left;
  Natural right;
  left.multiply(n, steps);
  right.multiply(max_distance, step);
  right.multiply(exact, steps - step);
  return !left.is_less(right);
}

}  // namespace detail

/// The table of a model's buckets. Exact: edges that are whole numbers (16, 32 and 64 with the
/// defaults) are decided by integers, where a floating-point logarithm may miss by one.
///   Throws       std::invalid_argument naming field and value
inline T5Table t5_table(const T5Buckets& options) {
  detail::require("t5_table", options.validate());
  const int per_direction = options.per_direction();
  const int exact = per_direction / 2;
  const int steps = per_direction - exact;
  const std::int64_t limit = options.max_distance;
  T5Table table;
  table.direction = options.direction;
  for (int bucket = 0; bucket < exact; ++bucket) table.first_distance.push_back(bucket);
  const double ratio = std::log(static_cast<double>(limit) / exact);
  for (int step = 0; step < steps; ++step) {
    // Rounded down, and good to far more than 31 bits: at most the edge.
    auto edge = static_cast<std::int64_t>(exact * std::exp(ratio * step / steps));
    while (!detail::reaches(edge, step, steps, exact, limit)) ++edge;
    table.first_distance.push_back(edge);
  }
  return table;
}

}  // namespace v0
}  // namespace ropewalk
