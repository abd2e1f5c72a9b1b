// Which bases keep the sum of cosines from turning negative up to a length. Row 9.
//
// Such bases form islands: a base may fail though smaller ones work. So a grid is scanned from one
// end to the other and nothing is bisected; what lies between two points of the grid is not known.
#pragma once

#include <ropewalk/analysis/cosine_sum.hpp>
#include <ropewalk/frequency.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Bases at equal ratios: lowest, lowest * ratio, lowest * ratio^2, ...
struct ThetaGrid {
  double lowest = 2.0;      // > 1
  double ratio = 1.0001;    // of neighbours, > 1
  std::int64_t points = 1;  // >= 1

  /// A base of the grid, 0 <= point < points.
  ///   Max error    4 ULP, formed anew for each point
  double theta(std::int64_t point) const noexcept {
    const auto power =
        detail::multiply(detail::logarithm(ratio), {static_cast<double>(point), 0.0});
    return lowest * detail::exponential(power);
  }

  /// Errc::ok, or the first field that cannot be computed with.
  Fault validate() const noexcept {
    if (!detail::is_finite(lowest)) return {Errc::not_finite, "lowest", lowest};
    if (!(lowest > 1.0)) return {Errc::below_minimum, "lowest", lowest};
    if (lowest > kMaximumTheta) return {Errc::above_maximum, "lowest", lowest};
    if (!detail::is_finite(ratio)) return {Errc::not_finite, "ratio", ratio};
    if (!(ratio >= 1.0 + kFinestRatio)) return {Errc::below_minimum, "ratio", ratio};
    if (ratio > kMaximumTheta) return {Errc::above_maximum, "ratio", ratio};
    if (const Fault fault = detail::check_length("points", points, 1); fault.code != Errc::ok) {
      return fault;
    }
    const double highest = std::log(lowest) + static_cast<double>(points - 1) * std::log(ratio);
    if (highest > std::log(kMaximumTheta) * (1.0 + 1e-12)) {
      return {Errc::above_maximum, "points", static_cast<double>(points)};
    }
    return {};
  }

  /// Bases nearer to each other than this differ in no frequency that a double can hold.
  static constexpr double kFinestRatio = 1e-12;
};

/// The grid from one base to the last point that does not exceed another.
///   lowest, highest   1 < lowest <= highest <= kMaximumTheta
///   ratio             1 + 1e-12 and more
///   Throws            std::invalid_argument naming field and value
inline ThetaGrid theta_grid(double lowest, double highest, double ratio) {
  constexpr const char* where = "theta_grid";
  ThetaGrid grid{lowest, ratio, 1};
  detail::require(where, grid.validate());
  detail::require(where, detail::check_at_least("highest", highest, lowest));
  if (highest > kMaximumTheta) {
    detail::refuse(where, {Errc::above_maximum, "highest", highest});
  }
  const double steps = std::floor((std::log(highest) - std::log(lowest)) / std::log(ratio) + 1e-9);
  grid.points = static_cast<std::int64_t>(steps) + 1;
  detail::require(where, grid.validate());
  return grid;
}

/// A run of neighbouring points of a grid that all work.
struct ThetaIsland {
  std::int64_t first = 0;
  std::int64_t last = 0;  // included
};

/// Which points of a grid work, over the run of points that was scanned.
struct ThetaScan {
  std::int64_t first = 0;                 // point
  std::int64_t scanned = 0;               // points, from first on
  std::vector<ThetaIsland> islands = {};  // in order, apart from each other

  std::int64_t end() const noexcept { return first + scanned; }

  /// The smallest point that works: some base does.
  std::optional<std::int64_t> minimum() const noexcept {
    if (islands.empty()) return std::nullopt;
    return islands.front().first;
  }

  /// The point from which on every point scanned works; nothing where the last one does not.
  std::optional<std::int64_t> safe() const noexcept {
    if (islands.empty() || islands.back().last + 1 != end()) return std::nullopt;
    return islands.back().first;
  }

  /// One more point.
  void append(bool works) {
    const std::int64_t point = end();
    ++scanned;
    if (!works) return;
    if (!islands.empty() && islands.back().last + 1 == point) {
      islands.back().last = point;
    } else {
      islands.push_back({point, point});
    }
  }

  /// A scan of the points that follow: how threads' parts are put together.
  void append(const ThetaScan& next) {
    ROPEWALK_ASSERT(next.first == end(), "ThetaScan: the part appended begins where this one ends");
    scanned += next.scanned;
    for (const ThetaIsland& island : next.islands) {
      if (!islands.empty() && islands.back().last + 1 == island.first) {
        islands.back().last = island.last;
      } else {
        islands.push_back(island);
      }
    }
  }
};

namespace detail {

/// Where bases before this one failed. The next one on a fine grid mostly fails at one of the same
/// distances, which a few cosines show; where it does not, all distances are searched.
class FailedDistances {
 public:
  bool show_failure(const PhaseTurns& turns) noexcept {
    for (int at = 0; at < used_; ++at) {
      const std::int64_t distance = distances_[at];
      if (!(direct_sum(turns, distance) < 0.0)) continue;
      for (; at > 0; --at) distances_[at] = distances_[at - 1];
      distances_[0] = distance;
      return true;
    }
    return false;
  }

  void remember(std::int64_t distance) noexcept {
    if (used_ < kDistances) ++used_;
    for (int at = used_ - 1; at > 0; --at) distances_[at] = distances_[at - 1];
    distances_[0] = distance;
  }

 private:
  static constexpr int kDistances = 8;
  std::int64_t distances_[kDistances] = {};
  int used_ = 0;
};

inline Fault check_theta_scan(const RopeConfig& config, std::int64_t length, const ThetaGrid& grid,
                              std::int64_t first, std::int64_t count) noexcept {
  RopeConfig model = config;
  model.theta = 2.0;
  if (const Fault fault = model.validate(); fault.code != Errc::ok) return fault;
  if (const Fault fault = check_length("length", length, 7); fault.code != Errc::ok) return fault;
  if (const Fault fault = grid.validate(); fault.code != Errc::ok) return fault;
  if (first < 0) return {Errc::below_minimum, "first", static_cast<double>(first)};
  if (count < 0) return {Errc::below_minimum, "count", static_cast<double>(count)};
  if (first > grid.points || count > grid.points - first) {
    return {Errc::above_maximum, "first + count",
            static_cast<double>(first) + static_cast<double>(count)};
  }
  return {};
}

template <typename Kernel, typename KeepGoing>
ThetaScan scan_theta(const RopeConfig& config, std::int64_t length, const ThetaGrid& grid,
                     std::int64_t first, std::int64_t count, KeepGoing& keep_going) {
  require("scan_theta", check_theta_scan(config, length, grid, first, count));
  ThetaScan scan;
  scan.first = first;
  FailedDistances failed;
  RopeConfig model = config;
  while (scan.scanned < count && keep_going()) {
    model.theta = grid.theta(scan.end());
    const PhaseTurns turns = phase_turns(spectrum(model));
    if (failed.show_failure(turns)) {
      scan.append(false);
      continue;
    }
    const NegativeSearch search = find_negative<Kernel>(turns, length, keep_going);
    if (search.distance < 0 && search.checked <= length) break;
    if (search.distance >= 0) failed.remember(search.distance);
    scan.append(search.distance < 0);
  }
  return scan;
}

}  // namespace detail

/// Tries bases of a grid: a base works when B(m) >= 0 at every whole distance m in [0, length]
/// (Men et al.'s test; others leave `length` itself out). Nothing is sampled and no sign is guessed,
/// but a grid may step over an island: the smallest base that works is at most the one found.
///   config       head_dim and rotary_dim; theta is taken from the grid
///   length       tokens, >= 7
///   first, count points of the grid; threads share a scan by its points, ThetaScan::append joins
///   Kernel       as for cosine sums
///   keep_going   bool(): asked before every base and every 4096 distances; false ends the scan with
///                the points that are done
///   Throws       std::invalid_argument naming field and value
///   Source       Men et al. 2024, arXiv 2405.14591
template <typename Kernel = simd::PortableCosineSum, typename KeepGoing>
ThetaScan scan_theta(const RopeConfig& config, std::int64_t length, const ThetaGrid& grid,
                     std::int64_t first, std::int64_t count, KeepGoing&& keep_going) {
  return detail::scan_theta<Kernel>(config, length, grid, first, count, keep_going);
}

/// The whole grid.
template <typename Kernel = simd::PortableCosineSum>
ThetaScan scan_theta(const RopeConfig& config, std::int64_t length, const ThetaGrid& grid) {
  return scan_theta<Kernel>(config, length, grid, 0, grid.points, [] { return true; });
}

}  // namespace v0
}  // namespace ropewalk
