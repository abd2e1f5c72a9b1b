// Which distances between tokens a set of training positions shows, and how often. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/plan/positions.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// What some samples of positions showed of [0, target_length). Descriptive: a distance that was
/// never seen was never trained, but nobody has published how often is enough.
struct DistanceCoverage {
  std::int64_t samples = 0;
  std::int64_t pairs = 0;           // token pairs, key not after query, over all samples
  std::int64_t seen_distances = 0;  // of the target_length distances 0 .. target_length - 1
  std::int64_t seen_positions = 0;  // of as many positions
  std::optional<std::int64_t> first_unseen_distance = std::nullopt;
  std::int64_t longest_unseen_run = 0;  // distances in a row that no pair had
  std::int64_t rarest_count = 0;        // of a distance that was seen
  std::int64_t commonest_count = 0;
};

/// Counts distances exactly, without visiting every pair of tokens: runs of positions in a row are
/// taken together, which for the few chunks of PoSE costs next to nothing.
class DistanceCounter {
 public:
  static constexpr std::int64_t kMaximumTarget = std::int64_t{1} << 26;  // 1 GiB of counts

  ///   target_length  distances 0 .. target_length - 1 are counted; 1 .. 2^26
  ///   Throws         std::invalid_argument
  explicit DistanceCounter(std::int64_t target_length) {
    detail::require("DistanceCounter", detail::check_length("target_length", target_length, 1));
    if (target_length > kMaximumTarget) {
      detail::refuse("DistanceCounter",
                     {Errc::above_maximum, "target_length", static_cast<double>(target_length)});
    }
    bends_.resize(static_cast<std::size_t>(target_length) + 2);
    steps_.resize(static_cast<std::size_t>(target_length) + 1);
  }

  /// Adds one sample: every token sees itself and those before it.
  ///   positions    strictly rising, in [0, target_length)
  ///   Throws       std::invalid_argument naming the entry; the counts are then as before
  void add(Span<const std::int64_t> positions) {
    check(positions);
    runs_.clear();
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (i > 0 && positions[i] == positions[i - 1] + 1) {
        ++runs_.back().length;
      } else {
        runs_.push_back({positions[i], 1});
      }
    }
    for (std::size_t later = 0; later < runs_.size(); ++later) {
      const Run& query = runs_[later];
      steps_[index(query.first)] += 1;
      steps_[index(query.first + query.length)] -= 1;
      // Within a run of n: n - d pairs at distance d.
      bend(0, query.length);
      bend(1, -query.length - 1);
      bend(query.length + 1, 1);
      for (std::size_t earlier = 0; earlier < later; ++earlier)
        add_trapezium(runs_[earlier], query);
    }
    ++samples_;
  }

  /// Adds one sample of E2Sampler, as the distances of the longest text that turn the same: at
  /// scale maximum_scale a distance maximum_scale / scale times as long, rounded down.
  ///   maximum_scale   of the sampler, >= sample.scale; target_length is then the sampler's
  ///   Throws       std::invalid_argument; the counts are then as before
  void add(const ScaledPositions& sample, std::int64_t maximum_scale) {
    constexpr const char* where = "DistanceCounter::add";
    detail::require(where, detail::check_length("scale", sample.scale, 1));
    detail::require(where, detail::check_length("maximum_scale", maximum_scale, sample.scale));
    if (sample.positions.empty()) return add(sample.positions);
    const std::int64_t last = sample.positions.back();
    const std::int64_t target = target_length();
    if (last > (target - 1) / maximum_scale * sample.scale + sample.scale - 1) {
      detail::refuse(where, {Errc::above_maximum, "positions", static_cast<double>(last)});
    }
    DistanceCounter own(last + 1);
    own.add(sample.positions);
    const auto stretched = [&](std::int64_t value) { return value * maximum_scale / sample.scale; };
    std::int64_t distance = 0;
    for (const std::int64_t count : own.counts()) {
      const std::int64_t seen = stretched(distance++);
      bend(seen, count);
      bend(seen + 1, -2 * count);
      bend(seen + 2, count);
    }
    for (const std::int64_t position : sample.positions) {
      steps_[index(stretched(position))] += 1;
      steps_[index(stretched(position)) + 1] -= 1;
    }
    ++samples_;
  }

  std::int64_t target_length() const noexcept {
    return static_cast<std::int64_t>(bends_.size()) - 2;
  }

  /// (target_length,) pairs of tokens at each distance so far.
  std::vector<std::int64_t> counts() const {
    std::vector<std::int64_t> result(bends_.size() - 2);
    std::int64_t slope = 0;
    std::int64_t count = 0;
    for (std::size_t distance = 0; distance < result.size(); ++distance) {
      slope += bends_[distance];
      count += slope;
      result[distance] = count;
    }
    return result;
  }

  /// The counts in short.
  DistanceCoverage coverage() const {
    DistanceCoverage result;
    result.samples = samples_;
    std::int64_t run = 0;
    std::int64_t distance = 0;
    for (const std::int64_t count : counts()) {
      result.pairs += count;
      run = count == 0 ? run + 1 : 0;
      if (run > result.longest_unseen_run) result.longest_unseen_run = run;
      if (count == 0 && !result.first_unseen_distance) result.first_unseen_distance = distance;
      if (count > 0) {
        if (result.seen_distances == 0 || count < result.rarest_count) result.rarest_count = count;
        if (count > result.commonest_count) result.commonest_count = count;
        ++result.seen_distances;
      }
      ++distance;
    }
    std::int64_t here = 0;
    for (const std::int64_t step : steps_) {
      here += step;
      if (here > 0) ++result.seen_positions;
    }
    return result;
  }

 private:
  struct Run {
    std::int64_t first;
    std::int64_t length;
  };

  static std::size_t index(std::int64_t value) noexcept { return static_cast<std::size_t>(value); }

  void check(Span<const std::int64_t> positions) const {
    const std::int64_t target = target_length();
    std::int64_t before = -1;
    int entry = 0;
    for (const std::int64_t position : positions) {
      const double value = static_cast<double>(position);
      if (position <= before) {
        detail::refuse("DistanceCounter::add", {Errc::wrong_order, "positions", value, entry});
      }
      if (position >= target) {
        detail::refuse("DistanceCounter::add", {Errc::above_maximum, "positions", value, entry});
      }
      before = position;
      ++entry;
    }
  }

  /// A change of slope of the counts; counts beyond the target are of no interest.
  void bend(std::int64_t distance, std::int64_t by) {
    if (distance < static_cast<std::int64_t>(bends_.size())) bends_[index(distance)] += by;
  }

  /// Pairs between two runs: as many at each distance as a trapezium is high.
  void add_trapezium(const Run& key, const Run& query) {
    const std::int64_t nearest = query.first - (key.first + key.length - 1);
    bend(nearest, 1);
    bend(nearest + key.length, -1);
    bend(nearest + query.length, -1);
    bend(nearest + key.length + query.length, 1);
  }

  std::vector<std::int64_t> bends_;  // second differences of the counts
  std::vector<std::int64_t> steps_;  // first differences of how often a position was taken
  std::vector<Run> runs_ = {};
  std::int64_t samples_ = 0;
};

}  // namespace v0
}  // namespace ropewalk
