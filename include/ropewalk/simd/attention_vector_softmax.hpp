// Scores of a tile into softmax weights in registers of four or eight floats. Row 7b.
#pragma once

#include <ropewalk/row_statistics.hpp>
#include <ropewalk/simd/attention_tile.hpp>
#include <ropewalk/simd/attention_vector_tiles.hpp>

#include <cstdint>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// 2^x for x <= 0, as exp2_of_negative(), with its polynomial and its error.
template <typename Lanes>
ROPEWALK_VECTOR_INLINE typename Lanes::Vector power_of_two_vector(
    typename Lanes::Vector x) noexcept {
  const typename Lanes::Vector least = Lanes::set(-126.0f);
  const typename Lanes::Vector bounded = Lanes::larger(x, least);
  const typename Lanes::Vector whole = Lanes::nearest(bounded);
  const typename Lanes::Vector rest = Lanes::subtract(bounded, whole);
  typename Lanes::Vector value = Lanes::set(1.5345812e-4f);
  value = Lanes::multiply_add(value, rest, Lanes::set(1.3399931e-3f));
  value = Lanes::multiply_add(value, rest, Lanes::set(9.6184890e-3f));
  value = Lanes::multiply_add(value, rest, Lanes::set(5.5503288e-2f));
  value = Lanes::multiply_add(value, rest, Lanes::set(2.4022647e-1f));
  value = Lanes::multiply_add(value, rest, Lanes::set(6.9314721e-1f));
  value = Lanes::multiply_add(value, rest, Lanes::set(1.0f));
  return Lanes::kept(Lanes::multiply(value, Lanes::power(whole)), Lanes::above(x, least));
}

/// Sums of one row over a tile, lane by lane.
template <typename Lanes>
struct VectorSums {
  typename Lanes::Vector sum;
  typename Lanes::Vector first;
  typename Lanes::Vector second;
};

/// The largest score of a row and its largest magnitude as magnitude_bits, an infinity or NaN among
/// the latter: the largest of numbers and NaN may be any of the numbers.
struct ScoreRange {
  float largest = 0.0f;
  std::uint32_t magnitude = 0;
};

template <typename Lanes>
ROPEWALK_VECTOR_INLINE ScoreRange range_of_row(const float* scores, SeenKeys seen) noexcept {
  constexpr int kLanes = Lanes::kLanes;
  if (seen.begin >= seen.end) return {};
  // A score that is seen, for the lanes that see none.
  const typename Lanes::Vector some = Lanes::set(scores[seen.begin]);
  typename Lanes::Vector largest = some;
  typename Lanes::Vector magnitude = Lanes::zero();
  for (int key = seen.begin / kLanes * kLanes; key < seen.end; key += kLanes) {
    typename Lanes::Vector score = Lanes::load(scores + key);
    if (key < seen.begin || key + kLanes > seen.end) {
      score = Lanes::either(Lanes::lanes(seen.begin - key, seen.end - key), score, some);
    }
    largest = Lanes::larger(largest, score);
    magnitude = Lanes::larger_magnitude(magnitude, score);
  }
  return {Lanes::largest(largest), Lanes::largest_bits(magnitude)};
}

/// Adds kLanes weights to the sums and returns them.
template <typename Lanes, int kMoments>
ROPEWALK_VECTOR_INLINE typename Lanes::Vector weigh_lanes(typename Lanes::Vector score,
                                                          typename Lanes::Vector coefficient,
                                                          typename Lanes::Vector maximum,
                                                          typename Lanes::Vector visible,
                                                          VectorSums<Lanes>& sums) noexcept {
  // Rounding of the maximum's product may leave a positive rest.
  const typename Lanes::Vector logit = Lanes::multiply_subtract(score, coefficient, maximum);
  const typename Lanes::Vector x = Lanes::kept(Lanes::smaller(logit, Lanes::zero()), visible);
  const typename Lanes::Vector weight = Lanes::kept(power_of_two_vector<Lanes>(x), visible);
  sums.sum = Lanes::add(sums.sum, weight);
  if (kMoments > 0) {
    const typename Lanes::Vector part = Lanes::multiply(weight, x);
    sums.first = Lanes::add(sums.first, part);
    if (kMoments > 1) sums.second = Lanes::multiply_add(part, x, sums.second);
  }
  return weight;
}

/// As PortableAttention::weigh, for one row; false where it leaves the range.
template <typename Lanes, int kMoments, int kKeys>
ROPEWALK_VECTOR inline bool weigh_row_vector(const float* scores, SeenKeys seen, float coefficient,
                                             RowStatistics<float>& row, float& factor,
                                             float* weights) noexcept {
  constexpr int kLanes = Lanes::kLanes;
  const ScoreRange range = range_of_row<Lanes>(scores, seen);
  const bool good = is_tile_logit(range.magnitude, coefficient);
  factor = 1.0f;
  if (seen.begin >= seen.end || !good) {
    for (int key = 0; key < kKeys; key += kLanes) Lanes::store(weights + key, Lanes::zero());
    return good;
  }
  const float largest = range.largest * coefficient;
  if (largest > row.maximum) factor = raise_row(row, largest);

  const typename Lanes::Vector scale = Lanes::set(coefficient);
  const typename Lanes::Vector maximum = Lanes::set(row.maximum);
  const typename Lanes::Vector all = Lanes::lanes(0, kLanes);
  VectorSums<Lanes> sums = {Lanes::zero(), Lanes::zero(), Lanes::zero()};
  int key = 0;
  for (; key + kLanes <= seen.begin; key += kLanes) Lanes::store(weights + key, Lanes::zero());
  for (; key < seen.end; key += kLanes) {
    typename Lanes::Vector score = Lanes::load(scores + key);
    typename Lanes::Vector visible = all;
    if (key < seen.begin || key + kLanes > seen.end) {
      visible = Lanes::lanes(seen.begin - key, seen.end - key);
      score = Lanes::kept(score, visible);
    }
    Lanes::store(weights + key, weigh_lanes<Lanes, kMoments>(score, scale, maximum, visible, sums));
  }
  for (; key < kKeys; key += kLanes) Lanes::store(weights + key, Lanes::zero());
  row.sum += Lanes::total(sums.sum);
  if (kMoments > 0) row.first += Lanes::total(sums.first);
  if (kMoments > 1) row.second += Lanes::total(sums.second);
  return true;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
