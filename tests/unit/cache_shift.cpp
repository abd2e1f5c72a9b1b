#include <ropewalk/cache_shift.hpp>

#include "support/catch.hpp"
#include "support/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <vector>

namespace rw = ropewalk;
using ropewalk_test::Random;

namespace {

constexpr auto kHalf = rw::Pairing::half_split;
constexpr int kDim = 128;
constexpr std::int64_t kShifts = 10000;

rw::PhaseTurns turns() {
  rw::RopeConfig config;
  config.head_dim = config.rotary_dim = kDim;
  return rw::phase_turns(rw::spectrum(config));
}

/// Errors of pairs over their norms.
struct Drift {
  double rms = 0.0;    // of all pairs
  double worst = 0.0;  // of the pair with the largest rms over the keys
};

template <typename T>
Drift drift(const std::vector<T>& keys, const std::vector<T>& moved) {
  const std::int64_t tokens = static_cast<std::int64_t>(keys.size()) / kDim;
  std::vector<double> exact;
  for (const T& key : keys) exact.push_back(ropewalk_test::value_of(key));
  rw::rotate_by(rw::make_head_view(exact.data(), tokens, 1, kDim), -kShifts, turns(), kHalf);
  Drift result;
  constexpr std::size_t half = kDim / 2;
  for (std::size_t pair = 0; pair < half; ++pair) {
    double sum = 0.0;
    for (std::size_t base = 0; base < keys.size(); base += kDim) {
      const std::size_t x = base + pair;
      const double error = std::hypot(ropewalk_test::value_of(moved[x]) - exact[x],
                                      ropewalk_test::value_of(moved[x + half]) - exact[x + half]);
      const double relative = error / std::hypot(exact[x], exact[x + half]);
      sum += relative * relative / static_cast<double>(tokens);
    }
    result.rms += sum / static_cast<double>(half);
    result.worst = (std::max)(result.worst, std::sqrt(sum));
  }
  result.rms = std::sqrt(result.rms);
  return result;
}

/// In place, settled every `batch` shifts; all shifts pending at the end where batch is 0.
template <typename T>
Drift shift_by_one(std::int64_t batch) {
  Random random("drift");
  const std::vector<T> keys = ropewalk_test::random_elements<T>(random, 16 * kDim);
  std::vector<T> moved = keys;
  const auto view = rw::make_head_view(moved.data(), 16, 1, kDim);
  rw::CacheShift shift(16);
  for (std::int64_t count = 1; count <= kShifts; ++count) {
    shift.shift(0, 16, -1);
    if (batch != 0 && count % batch == 0) {
      shift.settle<rw::simd::Native>(view, 0, turns(), kHalf);
    }
  }
  if (batch == 0) {
    shift.copy_turned<rw::simd::Native>(rw::make_head_view(keys.data(), 16, 1, kDim), view, 0,
                                        turns(), kHalf);
  }
  return drift(keys, moved);
}

template <typename T>
Drift report(const char* name) {
  const Drift in_place = shift_by_one<T>(1);
  const Drift batched = shift_by_one<T>(100);
  const Drift pending = shift_by_one<T>(0);
  std::printf(
      "drift %-9s 10000 shifts by one: in place %.2g | %.2g, settled every 100 %.2g | %.2g, "
      "pending %.2g | %.2g\n",
      name, in_place.rms, in_place.worst, batched.rms, batched.worst, pending.rms, pending.worst);
  CHECK(batched.rms < in_place.rms);
  CHECK(pending.rms < batched.rms);
  return pending;
}

}  // namespace

TEST_CASE("in-place shifts of 16-bit keys wear them out, pending shifts do not") {
  // One rotation and one rounding: 3.1 u of the norm and half a last place of each element.
  CHECK(report<float>("float").worst <= 3.1 * std::sqrt(2.0) * 0x1p-24);
  CHECK(report<rw::float16>("float16").worst <= 0x1p-11 + 0x1p-20);
  CHECK(report<rw::bfloat16>("bfloat16").worst <= 0x1p-8 + 0x1p-20);
  CHECK(shift_by_one<rw::bfloat16>(1).worst > 0.5);  // half of what it should be, or worse
}

TEST_CASE("slots are shifted, written and moved on their own") {
  rw::CacheShift shift(6);
  shift.shift(2, 4, -3);
  shift.shift(4, 2, -1);
  CHECK(shift.pending == std::vector<std::int64_t>{0, 0, -3, -3, -4, -4});
  shift.moved(2, 1, 4);
  CHECK(shift.pending == std::vector<std::int64_t>{0, -3, -3, -4, -4, -4});
  shift.moved(1, 2, 4);
  CHECK(shift.pending == std::vector<std::int64_t>{0, -3, -3, -3, -4, -4});
  shift.written(5, 1);
  CHECK(shift.pending == std::vector<std::int64_t>{0, -3, -3, -3, -4, 0});
}

TEST_CASE("settled keys are where they belong and nothing is pending for them") {
  Random random("settle");
  const std::vector<double> original = ropewalk_test::random_elements<double>(random, 3 * kDim);
  std::vector<double> keys = original;
  std::vector<double> expected = original;
  std::vector<double> copied(original.size());
  rw::CacheShift shift(5);
  shift.shift(1, 3, -7);
  shift.shift(3, 1, 2);
  const auto view = rw::make_head_view(keys.data(), 3, 1, kDim);
  shift.copy_turned(view, rw::make_head_view(copied.data(), 3, 1, kDim), 1, turns(), kHalf);
  CHECK(keys == original);
  shift.settle(view, 1, turns(), kHalf);
  const std::vector<std::int64_t> deltas = {-7, -7, -5};
  rw::rotate_by(rw::make_head_view(expected.data(), 3, 1, kDim), deltas, turns(), kHalf);
  CHECK(keys == expected);
  CHECK(copied == expected);
  CHECK(shift.pending == std::vector<std::int64_t>(5, 0));
}

TEST_CASE("slots that do not exist and sums beyond 64 bits are refused, and nothing changes") {
  rw::CacheShift shift(3);
  CHECK_THROWS_AS(shift.shift(0, 4, 1), std::invalid_argument);
  CHECK_THROWS_AS(shift.shift(-1, 1, 1), std::invalid_argument);
  CHECK_THROWS_AS(shift.shift(1, -1, 1), std::invalid_argument);
  CHECK_THROWS_AS(shift.moved(0, 2, 2), std::invalid_argument);
  CHECK_THROWS_AS(shift.written(3, 1), std::invalid_argument);
  CHECK_THROWS_AS(rw::CacheShift(-1), std::invalid_argument);
  shift.shift(2, 1, std::numeric_limits<std::int64_t>::min());
  CHECK_THROWS_AS(shift.shift(0, 3, -1), std::invalid_argument);
  CHECK(shift.pending == std::vector<std::int64_t>{0, 0, std::numeric_limits<std::int64_t>::min()});
}
