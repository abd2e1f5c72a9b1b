// The rotation of one token's heads in plain loops: what every other kernel is compared with, and
// what runs where there is none. Row 7b.
#pragma once

#include <ropewalk/element.hpp>
#include <ropewalk/phase.hpp>
#include <ropewalk/rope_config.hpp>

#include <cstdint>
#include <type_traits>

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
  // Ask for elements so far ahead, and go through addresses in order; 0: the data are in a cache.
  std::int64_t prefetch = 0;
};

// One step of the plain loops, in pairs: of fixed length, so that compilers turn them into vector
// code. GCC 12 unrolls 16 passes whole before it looks for vectors, which it then finds for float
// and bfloat16 but not for float16 and double. ns per head of 128, half-split | interleaved:
//                float       bfloat16    float16     double
//   steps of 16  9 | 10      32 | 32     340 | 340   91 | 73
//   steps of 32  16 | 39     29 | 129    85 | 178    42 | 68
template <typename T>
inline constexpr int kRotateLanes =
    std::is_same_v<T, float16> || std::is_same_v<T, double> ? 32 : 16;

// Conversions of a step's elements: bit by bit those of element.hpp, written without a choice.

template <typename T, typename Compute>
inline void load_step(const T* from, Compute* to, int lanes) noexcept {
  for (int lane = 0; lane < lanes; ++lane) to[lane] = ElementTraits<T>::load(from[lane]);
}

template <typename T, typename Compute>
inline void store_step(const Compute* from, T* to, int lanes) noexcept {
  for (int lane = 0; lane < lanes; ++lane) to[lane] = ElementTraits<T>::store(from[lane]);
}

/// All bits where the condition holds.
constexpr std::uint32_t all_bits(bool condition) noexcept {
  return 0u - static_cast<std::uint32_t>(condition);
}

inline void load_step(const float16* from, float* to, int lanes) noexcept {
  std::uint32_t denormal[kRotateLanes<float16>];
  for (int lane = 0; lane < lanes; ++lane) {
    const auto magnitude = static_cast<std::int32_t>(from[lane].bits & 0x7fffu);
    denormal[lane] = bits_of(static_cast<float>(magnitude) * 0x1p-24f);
  }
  for (int lane = 0; lane < lanes; ++lane) {
    const std::uint32_t sign = static_cast<std::uint32_t>(from[lane].bits & 0x8000u) << 16;
    const std::uint32_t magnitude = from[lane].bits & 0x7fffu;
    const std::uint32_t large =
        (magnitude << 13) + (112u << 23) + (all_bits(magnitude >= 0x7c00u) & (112u << 23));
    const std::uint32_t quiet = all_bits(magnitude > 0x7c00u) & 0x00400000u;
    const std::uint32_t subnormal = all_bits(magnitude < 0x0400u);
    to[lane] = float_of(sign | quiet | (denormal[lane] & subnormal) | (large & ~subnormal));
  }
}

inline void store_step(const float* from, float16* to, int lanes) noexcept {
  std::uint32_t denormal[kRotateLanes<float16>];
  std::uint32_t result[kRotateLanes<float16>];
  for (int lane = 0; lane < lanes; ++lane) {
    denormal[lane] = bits_of(float_of(bits_of(from[lane]) & 0x7fffffffu) + 0.5f) - 0x3f000000u;
  }
  for (int lane = 0; lane < lanes; ++lane) {
    const std::uint32_t magnitude = bits_of(from[lane]) & 0x7fffffffu;
    const std::uint32_t normal =
        (magnitude + 0x0fffu + ((magnitude >> 13) & 1u) - (112u << 23)) >> 13;
    const std::uint32_t subnormal = all_bits(magnitude < 0x38800000u);
    const std::uint32_t infinite = all_bits(magnitude >= 0x477ff000u);
    const std::uint32_t nan = all_bits(magnitude > 0x7f800000u);
    const std::uint32_t finite = (denormal[lane] & subnormal) | (normal & ~subnormal);
    const std::uint32_t payload = 0x0200u | ((magnitude >> 13) & 0x03ffu);
    result[lane] = (finite & ~infinite) | (infinite & 0x7c00u) | (nan & payload);
  }
  for (int lane = 0; lane < lanes; ++lane) {
    const std::uint32_t sign = (bits_of(from[lane]) >> 16) & 0x8000u;
    to[lane].bits = static_cast<std::uint16_t>(sign | result[lane]);
  }
}

/// Turns at most kRotateLanes<T> pairs (x, y). All are read before any is written.
///   kStep       distance between the pairs' elements: 1 half-split, 2 interleaved
///   partner     distance from x to y
template <int kStep, bool kScaled, typename T, typename Compute>
inline void rotate_lanes(const T* source, T* destination, std::int64_t partner, const Compute* cos,
                         const Compute* sin, Compute head_scale, int lanes) noexcept {
  constexpr bool kDirect = kStep == 1 && kRotateLanes<T> == 32;
  // One kind of work to a loop: compilers give up on longer ones.
  Compute x[kRotateLanes<T>] = {};
  Compute y[kRotateLanes<T>] = {};
  T raw[2][kRotateLanes<T>] = {};
  if (kDirect) {
    load_step(source, x, lanes);
    load_step(source + partner, y, lanes);
  } else {
    for (int lane = 0; lane < lanes; ++lane) {
      raw[0][lane] = source[kStep * lane];
      raw[1][lane] = source[kStep * lane + partner];
    }
    load_step(raw[0], x, lanes);
    load_step(raw[1], y, lanes);
  }
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
  if (kDirect) {
    store_step(x, destination, lanes);
    store_step(y, destination + partner, lanes);
    return;
  }
  store_step(x, raw[0], lanes);
  store_step(y, raw[1], lanes);
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
  constexpr int kLanes = kRotateLanes<T>;
  const std::int64_t partner = kStep == 1 ? job.pairs : 1;
  for (std::int64_t head = 0; head < job.heads; ++head) {
    const T* source = job.source + head * job.source_stride;
    T* destination = job.destination + head * job.destination_stride;
    const Compute head_scale = kScaled ? job.head_scale[head] : Compute{1};
    int pair = 0;
    for (; pair + kLanes <= job.pairs; pair += kLanes) {
      rotate_lanes<kStep, kScaled>(source + kStep * pair, destination + kStep * pair, partner,
                                   job.cos + pair, job.sin + pair, head_scale, kLanes);
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
