// The random numbers that evaluations seeded in numpy have drawn. Row 9.
#pragma once

#include <ropewalk/config.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// numpy.random.RandomState: what numpy.random.seed(seed) and numpy.random.randint() give, in every
/// version of numpy, which keeps them as they are.
///   Source       Matsumoto and Nishimura 1998, "Mersenne Twister" (MT19937); the same words as
///                std::mt19937
class NumpyRandom {
 public:
  explicit NumpyRandom(std::uint32_t seed) noexcept {
    state_[0] = seed;
    for (std::uint32_t i = 1; i < kWords; ++i) {
      state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
    }
  }

  /// 32 random bits.
  std::uint32_t bits() noexcept {
    if (next_ == kWords) refill();
    std::uint32_t word = state_[next_++];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
  }

  /// Uniform in low .. end - 1: randint(low, end). Numbers under the lowest mask of ones that holds
  /// the range are drawn until one is inside it.
  ///   0 < end - low < 2^32
  std::int64_t integer(std::int64_t low, std::int64_t end) noexcept {
    ROPEWALK_ASSERT(low < end && end - low <= std::int64_t{0xffffffff},
                    "NumpyRandom::integer: 0 < end - low < 2^32");
    const auto largest = static_cast<std::uint32_t>(end - low - 1);
    if (largest == 0) return low;  // draws nothing
    std::uint32_t mask = largest;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    std::uint32_t drawn = bits() & mask;
    while (drawn > largest) drawn = bits() & mask;
    return low + static_cast<std::int64_t>(drawn);
  }

 private:
  static constexpr std::uint32_t kWords = 624;
  static constexpr std::uint32_t kMiddle = 397;

  void refill() noexcept {
    for (std::uint32_t i = 0; i < kWords; ++i) {
      const std::uint32_t joined =
          (state_[i] & 0x80000000u) | (state_[(i + 1) % kWords] & 0x7fffffffu);
      state_[i] =
          state_[(i + kMiddle) % kWords] ^ (joined >> 1) ^ ((joined & 1u) != 0 ? 0x9908b0dfu : 0u);
    }
    next_ = 0;
  }

  std::uint32_t state_[kWords];
  std::uint32_t next_ = kWords;
};

}  // namespace v0
}  // namespace ropewalk
