// Runs of distances over the batches of blocks.hpp, with exact signs. Row 9.
#pragma once

#include <ropewalk/analysis/cosine_sum/blocks.hpp>
#include <ropewalk/analysis/cosine_sum/fixed_point.hpp>
#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/turns.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// How far the sum of `pairs` cosines of 2e-16 may be off, in any order of addition.
inline double direct_sum_bound(int pairs) noexcept {
  const double count = static_cast<double>(pairs);
  return count * (2.0e-16 + count * 0x1p-53);
}

/// Every cosine formed directly; in fixed point where that leaves the sign open.
inline double direct_sum(const PhaseTurns& turns, std::int64_t distance) noexcept {
  // The lowest int64 has no opposite and needs none: this only makes B even to the last bit.
  if (distance < 0 && distance > (std::numeric_limits<std::int64_t>::min)()) distance = -distance;
  double total = 0.0;
  for (int pair = 0; pair < turns.pairs(); ++pair) {
    total += sincos_double(phase_words(turns, distance, pair)).cos;
  }
  const double bound = direct_sum_bound(turns.pairs());
  return total <= bound && total >= -bound ? fixed_cosine_sum(turns, distance) : total;
}

/// A spectrum's steps, refused where a sum of cosines would mean nothing.
inline PhaseTurns cosine_sum_turns(const char* where, const Spectrum& spectrum) {
  if (spectrum.inv_freq.empty()) refuse(where, {Errc::wrong_length, "inv_freq", 0.0});
  return phase_turns(spectrum);
}

/// Errc::ok, or why there is no such run of distances.
inline Fault check_distances(std::int64_t first, std::int64_t count, std::int64_t fewest) noexcept {
  if (const Fault fault = check_length("first", first, 0); fault.code != Errc::ok) return fault;
  if (count < fewest) return {Errc::below_minimum, "count", static_cast<double>(count)};
  if (count > kMaximumLength + 1 - first) {
    return {Errc::above_maximum, "first + count",
            static_cast<double>(first) + static_cast<double>(count)};
  }
  return {};
}

/// visit(distance, sums, count, smallest) for every batch of a run, signs exact: sums that the bound
/// leaves open are formed again one by one. `smallest` is from before, and of the whole batch.
template <typename Kernel, typename Visit>
void for_each_batch(const PhaseTurns& turns, std::int64_t first, std::int64_t count, Visit visit) {
  if (count <= 0) return;
  CosineSumBlocks<Kernel, double> blocks(turns);
  const double bound = blocks.bound(turns.pairs());
  const std::int64_t end = first + count;
  for (std::int64_t batch = first / kSumBatch; batch * kSumBatch < end; ++batch) {
    const std::int64_t start = batch * kSumBatch;
    const int from = first > start ? static_cast<int>(first - start) : 0;
    const int to = end - start < kSumBatch ? static_cast<int>(end - start) : kSumBatch;
    SumBatch<double>& values = blocks.compute(batch, from, to);
    if (values.smallest_size() <= bound) {
      for (int at = from; at < to; ++at) {
        double& value = values.sums[at];
        if (value <= bound && value >= -bound) value = direct_sum(turns, start + at);
      }
    }
    if (start == 0) values.sums[0] = static_cast<double>(turns.pairs());
    visit(start + from, values.sums + from, to - from, values.smallest());
  }
}

template <typename Kernel>
void fill_sums(const PhaseTurns& turns, std::int64_t first, std::int64_t count, double* sums) {
  ROPEWALK_ASSERT(turns.pairs() > 0, "fill_cosine_sums: at least one pair");
  ROPEWALK_ASSERT(check_distances(first, count, 0).code == Errc::ok,
                  "fill_cosine_sums: first_distance, count >= 0, their sum at most 2^53 + 1");
  for_each_batch<Kernel>(turns, first, count,
                         [&](std::int64_t distance, const double* values, int size, double) {
                           std::memcpy(sums + (distance - first), values,
                                       static_cast<std::size_t>(size) * sizeof(double));
                         });
}

template <typename Kernel, typename Summary>
Summary summarize_sums(const Spectrum& spectrum, std::int64_t first, std::int64_t count) {
  constexpr const char* where = "summarize_cosine_sum";
  const PhaseTurns turns = cosine_sum_turns(where, spectrum);
  require(where, check_distances(first, count, 1));
  Summary summary;
  summary.first = first;
  summary.count = count;
  double total = 0.0;
  const auto visit = [&](std::int64_t distance, const double* values, int size, double smallest) {
    constexpr int lanes = 8;  // so that no addition waits for the one before
    double sums[lanes] = {};
    int at = 0;
    for (; at + lanes <= size; at += lanes) {
      for (int lane = 0; lane < lanes; ++lane) sums[lane] += values[at + lane];
    }
    for (; at < size; ++at) sums[0] += values[at];
    for (const double sum : sums) total += sum;
    const bool begins = distance == first;
    if (begins) summary.minimum = values[0];
    if (begins) summary.minimum_at = first;
    if (smallest > CosineSumBlocks<Kernel, double>::bound(turns.pairs()) &&
        smallest >= summary.minimum) {
      return;
    }
    for (at = 0; at < size; ++at) {
      if (values[at] < 0.0) ++summary.negative;
      if (values[at] < summary.minimum) {
        summary.minimum = values[at];
        summary.minimum_at = distance + at;
      }
    }
  };
  for_each_batch<Kernel>(turns, first, count, visit);
  summary.mean = total / static_cast<double>(count);
  return summary;
}

/// How a search for a negative sum ended.
struct NegativeSearch {
  std::int64_t distance = -1;  // the first with B < 0; -1: none found
  std::int64_t checked = 0;    // distances from 0 on that were looked at
};

/// Whether pairs that stand still outweigh all others at every distance. Those too slow for a step
/// of 2^-128 turns count: within 2^53 tokens they have not left 1.
inline bool never_negative(const PhaseTurns& turns) noexcept {
  int still = 0;
  for (std::size_t pair = 0; pair < turns.high.size(); ++pair) {
    if ((turns.high[pair] | turns.low[pair]) == 0) ++still;
  }
  return still >= turns.pairs() - still;
}

/// The first negative sum in [0, limit]; ends early when keep_going(), asked before every batch of
/// 4096 distances, returns false.
template <typename Kernel, typename Real, typename KeepGoing>
NegativeSearch search_negative(const PhaseTurns& turns, std::int64_t limit, KeepGoing& keep_going) {
  NegativeSearch search;
  CosineSumBlocks<Kernel, Real> blocks(turns);
  const double bound = blocks.bound(turns.pairs());
  for (std::int64_t batch = 0; search.checked <= limit && keep_going(); ++batch) {
    const std::int64_t start = batch * kSumBatch;
    const int to = limit - start < kSumBatch ? static_cast<int>(limit - start) + 1 : kSumBatch;
    const SumBatch<Real>& values = blocks.compute(batch, 0, to);
    if (static_cast<double>(values.smallest()) < bound) {
      for (int at = 0; at < to; ++at) {
        if (static_cast<double>(values.sums[at]) < bound && direct_sum(turns, start + at) < 0.0) {
          return {start + at, start + at + 1};
        }
      }
    }
    search.checked = start + to;
  }
  return search;
}

/// The same in the type that is quicker for this many pairs.
template <typename Kernel, typename KeepGoing>
NegativeSearch find_negative(const PhaseTurns& turns, std::int64_t limit, KeepGoing&& keep_going) {
  if (never_negative(turns)) return {-1, limit + 1};
  if (turns.pairs() <= CosineSumBlocks<Kernel, float>::kMaximumPairs) {
    return search_negative<Kernel, float>(turns, limit, keep_going);
  }
  return search_negative<Kernel, double>(turns, limit, keep_going);
}

template <typename Kernel>
std::optional<std::int64_t> first_negative(const Spectrum& spectrum, std::int64_t limit) {
  constexpr const char* where = "first_negative_distance";
  const PhaseTurns turns = cosine_sum_turns(where, spectrum);
  require(where, check_length("limit", limit, 0));
  const NegativeSearch search = find_negative<Kernel>(turns, limit, [] { return true; });
  if (search.distance < 0) return std::nullopt;
  return search.distance;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
