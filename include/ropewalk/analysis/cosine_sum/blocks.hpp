// Sums of cosines for many consecutive distances. Row 9.
//
// Distances come in blocks around a middle that lies half way between two of them. With C, S the
// cosine and sine of a pair's angle at the middle and c, s those of an offset of b + 1/2 tokens,
//
//     even = sum of C c      odd = sum of S s      B(middle +- offset) = even -+ odd
//
// so that a pair and a distance cost one multiplication and addition, and a batch of blocks is a
// product of two matrices. All C, S, c, s are formed from exact angles: nothing drifts.
#pragma once

#include <ropewalk/phase/rows.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

inline constexpr int kSumReach = 128;            // offsets on either side of a middle
inline constexpr int kSumBlock = 2 * kSumReach;  // distances around one middle
inline constexpr int kSumMiddles = kPhaseLanes;  // middles of a batch
inline constexpr int kSumBatch = kSumMiddles * kSumBlock;
inline constexpr int kSumGroup = 4;  // middles that a kernel takes at a time

/// Offsets that a kernel takes at a time: two of the widest registers.
template <typename Real>
inline constexpr int kSumLanes = 128 / static_cast<int>(sizeof(Real));

/// One pair at consecutive offsets.
template <typename Real>
struct alignas(64) SumOffsets {
  Real cos[kSumLanes<Real>];
  Real sin[kSumLanes<Real>];
};

/// One pair at the middles of a batch: PhaseLanes, or the same in float.
template <typename Real>
struct alignas(64) SumSeeds {
  Real sin[kSumMiddles];
  Real cos[kSumMiddles];
};
template <>
struct SumSeeds<double> : PhaseLanes {};

/// The sums of a batch in order of distance, and per lane the smallest sum and size of a sum.
template <typename Real>
struct alignas(64) SumBatch {
  Real sums[kSumBatch];
  Real lowest[kSumLanes<Real>];
  Real nearest[kSumLanes<Real>];

  void clear() noexcept {
    for (int lane = 0; lane < kSumLanes<Real>; ++lane) {
      lowest[lane] = nearest[lane] = (std::numeric_limits<Real>::max)();
    }
  }
  Real smallest() const noexcept { return minimum_of(lowest); }
  Real smallest_size() const noexcept { return minimum_of(nearest); }

 private:
  static Real minimum_of(const Real* lanes) noexcept {
    Real result = lanes[0];
    for (int lane = 1; lane < kSumLanes<Real>; ++lane) {
      if (lanes[lane] < result) result = lanes[lane];
    }
    return result;
  }
};

}  // namespace detail

namespace simd {

/// The loops in plain C++; the kernels of simd/cosine_sum.hpp agree with them to the bound.
struct PortableCosineSum {
  using Phase = PortablePhase;

  /// One tile: a group of middles from `middle` on, the offsets from `offset` on.
  template <typename Real>
  static void tile(const ropewalk::detail::SumOffsets<Real>* offsets,
                   const ropewalk::detail::SumSeeds<Real>* seeds, int pairs, int middle, int offset,
                   ropewalk::detail::SumBatch<Real>& batch) noexcept {
    constexpr int lanes = ropewalk::detail::kSumLanes<Real>;
    for (int at = middle; at < middle + ropewalk::detail::kSumGroup; ++at) {
      Real even[static_cast<std::size_t>(lanes)] = {};
      Real odd[static_cast<std::size_t>(lanes)] = {};
      for (int pair = 0; pair < pairs; ++pair) {
        for (int lane = 0; lane < lanes; ++lane) {
          even[lane] += seeds[pair].cos[at] * offsets[pair].cos[lane];
        }
      }
      for (int pair = 0; pair < pairs; ++pair) {
        for (int lane = 0; lane < lanes; ++lane) {
          odd[lane] += seeds[pair].sin[at] * offsets[pair].sin[lane];
        }
      }
      Real* after =
          batch.sums + at * ropewalk::detail::kSumBlock + ropewalk::detail::kSumReach + offset;
      Real* before = batch.sums + at * ropewalk::detail::kSumBlock + ropewalk::detail::kSumReach -
                     offset - lanes;
      for (int lane = 0; lane < lanes; ++lane) {
        const Real a = even[lane] - odd[lane];
        const Real b = even[lane] + odd[lane];
        after[lane] = a;
        before[lanes - 1 - lane] = b;
        const Real low = a < b ? a : b;
        const Real size_a = a < Real{0} ? -a : a;
        const Real size_b = b < Real{0} ? -b : b;
        const Real size = size_a < size_b ? size_a : size_b;
        if (low < batch.lowest[lane]) batch.lowest[lane] = low;
        if (size < batch.nearest[lane]) batch.nearest[lane] = size;
      }
    }
  }
};

}  // namespace simd

namespace detail {

/// The sums of a spectrum, batch by batch.
///   Real         float where only the sign of all but small sums is wanted, at twice the pace
template <typename Kernel, typename Real>
class CosineSumBlocks {
 public:
  explicit CosineSumBlocks(const PhaseTurns& turns)
      : pairs_(turns.pairs()),
        half_(to_size(pairs_)),
        angles_(to_size(pairs_)),
        batch_steps_(to_size(pairs_)),
        seeds_(to_size(pairs_)),
        offsets_(to_size(pairs_) * to_size(kSumReach / kSumLanes<Real>)),
        batch_(1) {
    for (int pair = 0; pair < pairs_; ++pair) {
      const std::size_t index = to_size(pair);
      // The bit cut off is as small as the step's own rounding. That half a turn may be missing
      // does not matter: it changes the signs of C and c, S and s together.
      const Turns step = {turns.high[index], turns.low[index]};
      half_[index] = {step.high >> 1, step.high << 63 | step.low >> 1};
      batch_steps_[index] = multiples(multiply(half_[index], std::int64_t{2} * kSumBatch), 0, {});
      fill_offsets(pair);
    }
  }

  /// How far a sum may be from that of the exact angles.
  ///
  /// With u the unit of rounding and e the error of C, S, c, s, a pair's |Cc| + |Ss| is at most 1,
  /// so the products of inexact values are off by 2 sqrt(2) e per pair, and any order of adding
  /// `pairs` of them twice, multiplied or fused, by (pairs + 4) u per pair.
  static double bound(int pairs) noexcept {
    constexpr bool is_float = sizeof(Real) == sizeof(float);
    constexpr double unit = is_float ? 0x1p-24 : 0x1p-53;
    constexpr double inexact = 2.1e-16 + (is_float ? 0x1p-25 : 0.0);
    const double count = static_cast<double>(pairs);
    return count * (2.83 * inexact + (count + 4.0) * unit);
  }

  /// Up to which the bound holds: more would be 1 GiB of doubles.
  static constexpr int kMaximumPairs = sizeof(Real) == sizeof(float) ? 4096 : 1 << 26;

  /// The sums from distance batch * kSumBatch on, at least those in [first, last) of the batch.
  SumBatch<Real>& compute(std::int64_t batch, int first, int last) noexcept {
    SumBatch<Real>& result = batch_[0];
    result.clear();
    seed(batch);
    const int first_middle = first / kSumBlock / kSumGroup * kSumGroup;
    for (int offset = 0; offset < kSumReach; offset += kSumLanes<Real>) {
      const SumOffsets<Real>* offsets =
          offsets_.data() + to_size(offset / kSumLanes<Real>) * to_size(pairs_);
      for (int middle = first_middle; middle * kSumBlock < last; middle += kSumGroup) {
        Kernel::tile(offsets, seeds_.data(), pairs_, middle, offset, result);
      }
    }
    return result;
  }

 private:
  static std::size_t to_size(int value) noexcept { return static_cast<std::size_t>(value); }

  /// start, start + times * step, start + 2 times * step, ...
  static TurnLanes multiples(Turns start, std::int64_t times, Turns step) noexcept {
    TurnLanes result = {};
    const Turns stride = multiply(step, times);
    for (int lane = 0; lane < kPhaseLanes; ++lane) {
      result.high[lane] = start.high;
      result.low[lane] = start.low;
      start = sum(start, stride);
    }
    return result;
  }

  void fill_offsets(int pair) noexcept {
    const Turns half = half_[to_size(pair)];
    TurnLanes angles = multiples(half, 2, half);
    const TurnLanes step = multiples(multiply(half, std::int64_t{2} * kPhaseLanes), 0, {});
    for (int offset = 0; offset < kSumReach; offset += kPhaseLanes) {
      PhaseLanes values;
      Kernel::Phase::sincos(angles, 1.0, 1.0, values);
      Kernel::Phase::add(step, angles);
      SumOffsets<Real>& target =
          offsets_[to_size(offset / kSumLanes<Real>) * to_size(pairs_) + to_size(pair)];
      Kernel::Phase::narrow(values.cos, target.cos + offset % kSumLanes<Real>);
      Kernel::Phase::narrow(values.sin, target.sin + offset % kSumLanes<Real>);
    }
  }

  /// Cosines and sines at the middles of a batch; the angles move on to the next one, exactly.
  void seed(std::int64_t batch) noexcept {
    if (batch != next_batch_) {
      const std::int64_t halves = 2 * (batch * kSumBatch + kSumReach) - 1;
      for (std::size_t pair = 0; pair < half_.size(); ++pair) {
        angles_[pair] =
            multiples(multiply(half_[pair], halves), std::int64_t{2} * kSumBlock, half_[pair]);
      }
    }
    next_batch_ = batch + 1;
    for (std::size_t pair = 0; pair < half_.size(); ++pair) {
      if constexpr (std::is_same_v<Real, double>) {
        Kernel::Phase::sincos(angles_[pair], 1.0, 1.0, seeds_[pair]);
      } else {
        PhaseLanes values;
        Kernel::Phase::sincos(angles_[pair], 1.0, 1.0, values);
        Kernel::Phase::narrow(values.cos, seeds_[pair].cos);
        Kernel::Phase::narrow(values.sin, seeds_[pair].sin);
      }
      Kernel::Phase::add(batch_steps_[pair], angles_[pair]);
    }
  }

  int pairs_;
  std::vector<Turns> half_;             // (pairs,) of half a token
  std::int64_t next_batch_ = -1;        // whose middles angles_ are at
  std::vector<TurnLanes> angles_;       // (pairs,) at the middles
  std::vector<TurnLanes> batch_steps_;  // (pairs,) from a batch to the next, the same in all lanes
  std::vector<SumSeeds<Real>> seeds_;   // (pairs,)
  std::vector<SumOffsets<Real>> offsets_;  // (kSumReach / lanes, pairs)
  std::vector<SumBatch<Real>> batch_;      // one, too large for some stacks
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
