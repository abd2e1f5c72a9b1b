// Rotation kernel for 64-bit Arm; empty elsewhere. Row 7b.
#pragma once

#if defined(__aarch64__) && defined(__ARM_NEON)

#include <ropewalk/simd/rotate_portable.hpp>

#include <cstdint>
#include <type_traits>

#include <arm_neon.h>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Four elements to and from float, and four pairs that lie side by side.
struct NeonLanes {
  static float32x4_t widen(uint16x4_t bits, const float16*) noexcept {
    return vcvt_f32_f16(vreinterpret_f16_u16(bits));
  }
  static float32x4_t widen(uint16x4_t bits, const bfloat16*) noexcept {
    return vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
  }
  static uint16x4_t narrow(float32x4_t value, const float16*) noexcept {
    return vreinterpret_u16_f16(vcvt_f16_f32(value));
  }
  static uint16x4_t narrow(float32x4_t value, const bfloat16*) noexcept {
    const uint32x4_t bits = vreinterpretq_u32_f32(value);
    const uint32x4_t upper = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
    const uint32x4_t rounded =
        vshrq_n_u32(vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd), 16);
    const uint32x4_t magnitude = vandq_u32(bits, vdupq_n_u32(0x7fffffff));
    const uint32x4_t nan = vcgtq_u32(magnitude, vdupq_n_u32(0x7f800000));
    return vmovn_u32(vbslq_u32(nan, vorrq_u32(upper, vdupq_n_u32(0x0040)), rounded));
  }

  static float32x4_t load(const float* from) noexcept { return vld1q_f32(from); }
  template <typename T>
  static float32x4_t load(const T* from) noexcept {
    return widen(vld1_u16(&from->bits), from);
  }
  static void store(float* to, float32x4_t value) noexcept { vst1q_f32(to, value); }
  template <typename T>
  static void store(T* to, float32x4_t value) noexcept {
    vst1_u16(&to->bits, narrow(value, to));
  }

  static float32x4x2_t load_pairs(const float* from) noexcept { return vld2q_f32(from); }
  template <typename T>
  static float32x4x2_t load_pairs(const T* from) noexcept {
    const uint16x4x2_t bits = vld2_u16(&from->bits);
    return {{widen(bits.val[0], from), widen(bits.val[1], from)}};
  }
  static void store_pairs(float* to, float32x4x2_t value) noexcept { vst2q_f32(to, value); }
  template <typename T>
  static void store_pairs(T* to, float32x4x2_t value) noexcept {
    const uint16x4x2_t bits = {{narrow(value.val[0], to), narrow(value.val[1], to)}};
    vst2_u16(&to->bits, bits);
  }

  static float32x4x2_t turn(float32x4_t x, float32x4_t y, const float* cos, const float* sin,
                            float head_scale) noexcept {
    const float32x4_t c = vld1q_f32(cos);
    const float32x4_t s = vld1q_f32(sin);
    const float32x4_t a = vfmsq_f32(vmulq_f32(x, c), y, s);
    const float32x4_t b = vfmaq_f32(vmulq_f32(y, c), x, s);
    return {{vmulq_n_f32(a, head_scale), vmulq_n_f32(b, head_scale)}};
  }
};

template <typename T>
void rotate_half_neon(const RotateJob<T>& job) noexcept {
  using Lanes = NeonLanes;
  constexpr int kLanes = 4;
  constexpr int kBlocks = 4;  // stored half by half, in the order of addresses
  for (std::int64_t head = 0; head < job.heads; ++head) {
    const T* source = job.source + head * job.source_stride;
    T* destination = job.destination + head * job.destination_stride;
    const T* partner = source + job.pairs;
    T* destination_partner = destination + job.pairs;
    const float scale = job.head_scale == nullptr ? 1.0f : job.head_scale[head];
    int pair = 0;
    for (; pair + kLanes * kBlocks <= job.pairs; pair += kLanes * kBlocks) {
      float32x4x2_t turned[kBlocks];
      for (int block = 0; block < kBlocks; ++block) {
        const int at = pair + kLanes * block;
        turned[block] = Lanes::turn(Lanes::load(source + at), Lanes::load(partner + at),
                                    job.cos + at, job.sin + at, scale);
      }
      for (int block = 0; block < kBlocks; ++block) {
        Lanes::store(destination + pair + kLanes * block, turned[block].val[0]);
      }
      for (int block = 0; block < kBlocks; ++block) {
        Lanes::store(destination_partner + pair + kLanes * block, turned[block].val[1]);
      }
    }
    for (; pair + kLanes <= job.pairs; pair += kLanes) {
      const float32x4x2_t turned =
          Lanes::turn(Lanes::load(source + pair), Lanes::load(partner + pair), job.cos + pair,
                      job.sin + pair, scale);
      Lanes::store(destination + pair, turned.val[0]);
      Lanes::store(destination_partner + pair, turned.val[1]);
    }
    if (pair == job.pairs) continue;
    T spare[2 * kLanes] = {};
    float row[2 * kLanes] = {};
    for (int lane = 0; pair + lane < job.pairs; ++lane) {
      spare[lane] = source[pair + lane];
      spare[kLanes + lane] = partner[pair + lane];
      row[lane] = job.cos[pair + lane];
      row[kLanes + lane] = job.sin[pair + lane];
    }
    const float32x4x2_t turned =
        Lanes::turn(Lanes::load(spare), Lanes::load(spare + kLanes), row, row + kLanes, scale);
    Lanes::store(spare, turned.val[0]);
    Lanes::store(spare + kLanes, turned.val[1]);
    for (int lane = 0; pair + lane < job.pairs; ++lane) {
      destination[pair + lane] = spare[lane];
      destination_partner[pair + lane] = spare[kLanes + lane];
    }
  }
}

template <typename T>
void rotate_interleaved_neon(const RotateJob<T>& job) noexcept {
  using Lanes = NeonLanes;
  constexpr int kLanes = 4;
  for (std::int64_t head = 0; head < job.heads; ++head) {
    const T* source = job.source + head * job.source_stride;
    T* destination = job.destination + head * job.destination_stride;
    const float scale = job.head_scale == nullptr ? 1.0f : job.head_scale[head];
    int pair = 0;
    for (; pair + kLanes <= job.pairs; pair += kLanes) {
      const float32x4x2_t both = Lanes::load_pairs(source + 2 * pair);
      Lanes::store_pairs(
          destination + 2 * pair,
          Lanes::turn(both.val[0], both.val[1], job.cos + pair, job.sin + pair, scale));
    }
    if (pair == job.pairs) continue;
    T spare[2 * kLanes] = {};
    float row[2 * kLanes] = {};
    for (int lane = 0; pair + lane < job.pairs; ++lane) {
      spare[2 * lane] = source[2 * (pair + lane)];
      spare[2 * lane + 1] = source[2 * (pair + lane) + 1];
      row[lane] = job.cos[pair + lane];
      row[kLanes + lane] = job.sin[pair + lane];
    }
    const float32x4x2_t both = Lanes::load_pairs(spare);
    Lanes::store_pairs(spare, Lanes::turn(both.val[0], both.val[1], row, row + kLanes, scale));
    for (int lane = 0; pair + lane < job.pairs; ++lane) {
      destination[2 * (pair + lane)] = spare[2 * lane];
      destination[2 * (pair + lane) + 1] = spare[2 * lane + 1];
    }
  }
}

}  // namespace detail

namespace simd {

/// Advanced SIMD, which every 64-bit Arm has. Doubles run through the plain loops.
struct Neon : Portable {
  template <typename T>
  static void rotate(const ropewalk::detail::RotateJob<T>& job) noexcept {
    if constexpr (std::is_same_v<T, double>) {
      Portable::rotate(job);
    } else if (job.pairing == Pairing::half_split) {
      ropewalk::detail::rotate_half_neon(job);
    } else {
      ropewalk::detail::rotate_interleaved_neon(job);
    }
  }
};

}  // namespace simd
}  // namespace v0
}  // namespace ropewalk

#endif
