// What one thread moves at once: 16 bytes of elements, or one element where alignment forbids more.
// Host and device: the host's form is the reference of the device's conversions.
#pragma once

#include <ropewalk/element.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// How memory is asked: plainly, or as data that is read or written once and need not stay.
enum class CachePolicy { keep, once };

struct alignas(16) SixteenBytes {
  std::uint32_t word[4];
};

/// Two values rounded to T, the first in the lower half: at the lower address.
///   T            float16 or bfloat16
template <typename T>
ROPEWALK_HOST_DEVICE inline std::uint32_t pack_two(float first, float second) noexcept {
#ifdef __CUDA_ARCH__
  std::uint32_t word;
  if constexpr (std::is_same_v<T, float16>) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  } else {
    static_assert(std::is_same_v<T, bfloat16>, "two elements of 16 bits to a word");
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  }
  return word;
#else
  return static_cast<std::uint32_t>(ElementTraits<T>::store(first).bits) |
         static_cast<std::uint32_t>(ElementTraits<T>::store(second).bits) << 16;
#endif
}

/// Elements of T as floats and back.
///   T            float, float16, bfloat16
///   kWide        16 bytes at addresses divisible by 16; else one element
template <typename T, bool kWide>
struct Chunk {
  static_assert(std::is_same_v<typename ElementTraits<T>::Compute, float>,
                "device rotation takes float, float16 or bfloat16");
  static constexpr int kElements = kWide ? 16 / static_cast<int>(sizeof(T)) : 1;
  static constexpr std::size_t kSize = kWide ? 16 / sizeof(T) : 1;  // the same, for arrays
  using Raw = std::conditional_t<kWide, SixteenBytes, T>;

  template <CachePolicy kPolicy>
  ROPEWALK_HOST_DEVICE static Raw load(const T* from) noexcept {
#ifdef __CUDA_ARCH__
    if constexpr (kWide) {
      const uint4* address = reinterpret_cast<const uint4*>(from);
      const uint4 value = kPolicy == CachePolicy::once ? __ldcs(address) : *address;
      return {{value.x, value.y, value.z, value.w}};
    } else {
      return *from;
    }
#else
    Raw raw;
    std::memcpy(&raw, from, sizeof raw);
    return raw;
#endif
  }

  template <CachePolicy kPolicy>
  ROPEWALK_HOST_DEVICE static void store(T* to, Raw raw) noexcept {
#ifdef __CUDA_ARCH__
    if constexpr (kWide) {
      const uint4 value = {raw.word[0], raw.word[1], raw.word[2], raw.word[3]};
      uint4* address = reinterpret_cast<uint4*>(to);
      if constexpr (kPolicy == CachePolicy::once) {
        __stcs(address, value);
      } else {
        *address = value;
      }
    } else {
      *to = raw;
    }
#else
    std::memcpy(to, &raw, sizeof raw);
#endif
  }

  ROPEWALK_HOST_DEVICE static void unpack(const Raw& raw, float (&values)[kSize]) noexcept {
    if constexpr (!kWide) {
      values[0] = ElementTraits<T>::load(raw);
    } else if constexpr (std::is_same_v<T, float>) {
      for (int i = 0; i < 4; ++i) values[i] = ropewalk::detail::float_of(raw.word[i]);
    } else {
      for (int i = 0; i < 4; ++i) unpack_two(raw.word[i], values[2 * i], values[2 * i + 1]);
    }
  }

  ROPEWALK_HOST_DEVICE static Raw pack(const float (&values)[kSize]) noexcept {
    if constexpr (!kWide) {
      return ElementTraits<T>::store(values[0]);
    } else {
      SixteenBytes raw;
      for (int i = 0; i < 4; ++i) {
        if constexpr (std::is_same_v<T, float>) {
          raw.word[i] = ropewalk::detail::bits_of(values[i]);
        } else {
          raw.word[i] = pack_two<T>(values[2 * i], values[2 * i + 1]);
        }
      }
      return raw;
    }
  }

 private:
  // The element at the lower address is the lower half of the word.
  ROPEWALK_HOST_DEVICE static void unpack_two(std::uint32_t word, float& first,
                                              float& second) noexcept {
#ifdef __CUDA_ARCH__
    if constexpr (std::is_same_v<T, float16>) {
      asm("{ .reg .f16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h; }"
          : "=f"(first), "=f"(second)
          : "r"(word));
      return;
    }
#endif
    first = ElementTraits<T>::load(T{static_cast<std::uint16_t>(word)});
    second = ElementTraits<T>::load(T{static_cast<std::uint16_t>(word >> 16)});
  }
};

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
