// The rotation of one token's heads in plain loops: what every other kernel is compared with, and
// what runs where there is none. Row 7b.
#pragma once

#include <ropewalk/element.hpp>
#include <ropewalk/phase.hpp>
#include <ropewalk/rope_config.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The heads of one token and the row they are turned by. Rotated parts only: what lies around them
/// is the caller's work.
///   source, destination   first rotated element of head 0; the same memory, or memory
///                         that does not overlap
///   cos, sin              (pairs,), factors included; the sign of sin says the direction
template <typename T>
struct RotateJob {
  using Compute = typename ElementTraits<T>::Compute;

  const T* source = nullptr;
  T* destination = nullptr;
  std::int64_t source_stride = 0;  // elements from head to head
  std::int64_t destination_stride = 0;
  std::int64_t heads = 0;
  const Compute* cos = nullptr;
  const Compute* sin = nullptr;
  int pairs = 0;
  Pairing pairing = Pairing::half_split;
  const Compute* head_scale = nullptr;  // (heads,), or null: all one
  bool streaming = false;               // store past the caches; alignment was checked
};

// One step of the plain loops: of fixed length, so that compilers turn them into vector code.
inline constexpr int kRotateLanes = 16;

/// Turns at most kRotateLanes pairs (x, y). All are read before any is written.
///   kStep       distance between the pairs' elements: 1 half-split, 2 interleaved
///   partner     distance from x to y
template <int kStep, bool kScaled, typename T, typename Compute>
inline void rotate_lanes(const T* source, T* destination, std::int64_t partner, const Compute* cos,
                         const Compute* sin, Compute head_scale, int lanes) noexcept {
  using Traits = ElementTraits<T>;
  // One kind of work to a loop: compilers give up on longer ones.
  T raw[2][kRotateLanes];
  Compute x[kRotateLanes];
  Compute y[kRotateLanes];
  for (int lane = 0; lane < lanes; ++lane) {
    raw[0][lane] = source[kStep * lane];
    raw[1][lane] = source[kStep * lane + partner];
  }
  for (int lane = 0; lane < lanes; ++lane) x[lane] = Traits::load(raw[0][lane]);
  for (int lane = 0; lane < lanes; ++lane) y[lane] = Traits::load(raw[1][lane]);
  for (int lane = 0; lane < lanes; ++lane) {
    const Compute turned = x[lane] * cos[lane] - y[lane] * sin[lane];
    y[lane] = y[lane] * cos[lane] + x[lane] * sin[lane];
    x[lane] = turned;
  }
  if (kScaled) {
    for (int lane = 0; lane < lanes; ++lane) {
      x[lane] *= head_scale;
      y[lane] *= head_scale;
    }
  }
  for (int lane = 0; lane < lanes; ++lane) raw[0][lane] = Traits::store(x[lane]);
  for (int lane = 0; lane < lanes; ++lane) raw[1][lane] = Traits::store(y[lane]);
  if (kStep == 1) {
    for (int lane = 0; lane < lanes; ++lane) destination[lane] = raw[0][lane];
    for (int lane = 0; lane < lanes; ++lane) destination[lane + partner] = raw[1][lane];
  } else {
    for (int lane = 0; lane < lanes; ++lane) {
      destination[2 * lane] = raw[0][lane];
      destination[2 * lane + 1] = raw[1][lane];
    }
  }
}

template <int kStep, bool kScaled, typename T>
inline void rotate_heads(const RotateJob<T>& job) noexcept {
  using Compute = typename RotateJob<T>::Compute;
  const std::int64_t partner = kStep == 1 ? job.pairs : 1;
  for (std::int64_t head = 0; head < job.heads; ++head) {
    const T* source = job.source + head * job.source_stride;
    T* destination = job.destination + head * job.destination_stride;
    const Compute head_scale = kScaled ? job.head_scale[head] : Compute{1};
    int pair = 0;
    for (; pair + kRotateLanes <= job.pairs; pair += kRotateLanes) {
      rotate_lanes<kStep, kScaled>(source + kStep * pair, destination + kStep * pair, partner,
                                   job.cos + pair, job.sin + pair, head_scale, kRotateLanes);
    }
    if (pair < job.pairs) {
      rotate_lanes<kStep, kScaled>(source + kStep * pair, destination + kStep * pair, partner,
                                   job.cos + pair, job.sin + pair, head_scale, job.pairs - pair);
    }
  }
}

}  // namespace detail

namespace simd {

/// Plain loops, for any element type. A kernel is: the rows of angles it makes, the rotation of one
/// token's heads, the alignment its streaming stores need (0: it has none), and the fence after the
/// last of them.
struct Portable {
  static constexpr std::uint64_t kStreamAlignment = 0;  // bytes

  template <typename Real>
  static void fill_row(const PhaseTurns& turns, std::int64_t position, double factor, Real* cos,
                       Real* sin) noexcept {
    fill_phase_row(turns, position, factor, cos, sin);
  }

  template <typename T>
  static void rotate(const ropewalk::detail::RotateJob<T>& job) noexcept {
    if (job.pairing == Pairing::half_split) {
      job.head_scale == nullptr ? ropewalk::detail::rotate_heads<1, false>(job)
                                : ropewalk::detail::rotate_heads<1, true>(job);
    } else {
      job.head_scale == nullptr ? ropewalk::detail::rotate_heads<2, false>(job)
                                : ropewalk::detail::rotate_heads<2, true>(job);
    }
  }

  static void finish_streams() noexcept {}
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk
