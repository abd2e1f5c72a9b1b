// A key cache that slides: the first tokens stay as attention sinks, the oldest others are dropped,
// the rest move up. Prints how far the keys are from those of a cache written afresh.
//
//     before   [s s s s a a a a b b b b b b b b]     keep 4, discard 4, 16 slots
//     after    [s s s s b b b b b b b b - - - -]     b moved 4 slots and 4 positions down
#include <ropewalk/cache_shift.hpp>
#include <ropewalk/simd/rotate.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr int kDim = 64;
constexpr std::int64_t kSlots = 256;
constexpr std::int64_t kKeep = 4;
constexpr std::int64_t kDiscard = 1;  // the hardest case: one token at a time

/// A key as a model might produce it for token `token`, before rotation.
void write_key(std::int64_t token, rw::bfloat16* key) {
  for (int dim = 0; dim < kDim; ++dim) {
    const auto phase = static_cast<float>((token * 31 + dim * 17) % 101);
    key[dim] = rw::to_bfloat16(std::sin(phase));
  }
}

using Cache = std::vector<rw::bfloat16>;

rw::HeadView<rw::bfloat16> slots(Cache& cache, std::int64_t first, std::int64_t count) {
  return rw::make_head_view(cache.data() + first * kDim, count, 1, kDim);
}

/// Drops `discard` slots after the first `keep` of `used`; what lies behind them moves up.
void drop(Cache& cache, rw::CacheShift& shift, std::int64_t used) {
  const std::int64_t rest = used - kKeep - kDiscard;
  std::copy_n(cache.begin() + (kKeep + kDiscard) * kDim, rest * kDim, cache.begin() + kKeep * kDim);
  shift.moved(kKeep + kDiscard, kKeep, rest);
  shift.shift(kKeep, rest, -kDiscard);
}

double largest_difference(const Cache& a, const Cache& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(rw::to_float(a[i])) -
                                         static_cast<double>(rw::to_float(b[i]))));
  }
  return largest;
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): it passes nothing that is refused
int main() {
  rw::RopeConfig config;
  config.head_dim = config.rotary_dim = kDim;
  const rw::PhaseTurns turns = rw::phase_turns(rw::spectrum(config));

  Cache pending_cache(kSlots * kDim);   // keys as written, turned when they are read
  Cache in_place_cache(kSlots * kDim);  // turned at every shift
  rw::CacheShift pending(kSlots);
  rw::CacheShift at_once(kSlots);
  Cache fresh(kSlots * kDim);  // every key written at the position it ends up at

  constexpr std::int64_t kTokens = 4096;
  std::int64_t used = 0;
  for (std::int64_t token = 0; token < kTokens; ++token) {
    if (used == kSlots) {
      drop(pending_cache, pending, used);
      drop(in_place_cache, at_once, used);
      used -= kDiscard;
      at_once.settle<rw::simd::Native>(slots(in_place_cache, 0, used), 0, turns, config.pairing);
    }
    for (Cache* cache : {&pending_cache, &in_place_cache}) {
      const auto slot = slots(*cache, used, 1);
      write_key(token, slot.data);
      rw::rotate_by<rw::simd::Native>(slot, used, turns, config.pairing);
    }
    pending.written(used, 1);
    at_once.written(used, 1);
    ++used;
  }

  for (std::int64_t slot = 0; slot < kSlots; ++slot) {
    write_key(slot < kKeep ? slot : kTokens - kSlots + slot, slots(fresh, slot, 1).data);
    rw::rotate_by<rw::simd::Native>(slots(fresh, slot, 1), slot, turns, config.pairing);
  }
  Cache turned(kSlots * kDim);
  pending.copy_turned<rw::simd::Native>(slots(pending_cache, 0, kSlots), slots(turned, 0, kSlots),
                                        0, turns, config.pairing);

  const double turned_once = largest_difference(turned, fresh);
  const double turned_often = largest_difference(in_place_cache, fresh);
  std::printf("bfloat16 keys, %lld tokens through %lld slots, %lld sinks, %lld dropped at a time\n",
              static_cast<long long>(kTokens), static_cast<long long>(kSlots),
              static_cast<long long>(kKeep), static_cast<long long>(kDiscard));
  std::printf("largest error of a key element: turned once %.3f, turned at every shift %.3f\n",
              turned_once, turned_often);
  // Elements are below 1.5, so three roundings to bfloat16 are within 3 * 2^-8 * 1.5.
  if (turned_once <= 3 * 1.5 / 256) return EXIT_SUCCESS;
  std::printf("turned once should be within %.3f\n", 3 * 1.5 / 256);
  return EXIT_FAILURE;
}
