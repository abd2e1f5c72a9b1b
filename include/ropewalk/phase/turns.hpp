// Angles as fixed-point fractions of a turn. Row 7.
//
// An angle is a fraction of a turn in 128 bits. Products with positions wrap around as angles do,
// so nothing is lost however far the position: phase(m) - phase(n) = phase(m - n) to the last bit.
#pragma once

#include <ropewalk/spectrum.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// A fraction of a turn in two words, high * 2^-64 + low * 2^-128; sums wrap around at one turn.
struct Turns {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
};

/// How far every pair turns from one token to the next.
struct PhaseTurns {
  std::vector<std::uint64_t> high = {};  // (pairs,) step in 2^-64 turns
  std::vector<std::uint64_t> low = {};   // (pairs,) its next 64 bits
  double attention_factor = 1.0;         // on cos and sin of a table; never part of an angle

  int pairs() const noexcept { return static_cast<int>(high.size()); }
};

namespace detail {

/// High word of the 128-bit product.
ROPEWALK_HOST_DEVICE constexpr std::uint64_t multiply_high(std::uint64_t a,
                                                           std::uint64_t b) noexcept {
  constexpr std::uint64_t half = 0xffffffffu;
  const std::uint64_t low = (a & half) * (b & half);
  const std::uint64_t middle = (a >> 32) * (b & half) + (low >> 32);
  const std::uint64_t other = (a & half) * (b >> 32) + (middle & half);
  return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
}

/// The carry out of a + b = sum, in operations every vector unit has.
ROPEWALK_HOST_DEVICE constexpr std::uint64_t carry_of(std::uint64_t a, std::uint64_t b,
                                                      std::uint64_t sum) noexcept {
  return ((a & b) | ((a | b) & ~sum)) >> 63;
}

ROPEWALK_HOST_DEVICE constexpr Turns sum(Turns a, Turns b) noexcept {
  const std::uint64_t low = a.low + b.low;
  return {a.high + b.high + carry_of(a.low, b.low, low), low};
}

/// times * step mod one turn, exact for every int64.
ROPEWALK_HOST_DEVICE constexpr Turns multiply(Turns step, std::int64_t times) noexcept {
  const std::uint64_t factor = static_cast<std::uint64_t>(times);
  // As an unsigned factor a negative one is 2^64 too large.
  const std::uint64_t excess = step.low & (0 - (factor >> 63));
  return {multiply_high(step.low, factor) + step.high * factor - excess, step.low * factor};
}

/// radians / 2 pi mod one turn, to the nearest 2^-128 turn for the double as given.
///   |radians|    below 2^64
///   Max error    0.5 + 2^-64 of the last place
ROPEWALK_HOST_DEVICE inline Turns turns_of(double radians) noexcept {
  constexpr int kWords = 6;
  // floor(2^256 / 2 pi), least significant word first.
  constexpr std::uint64_t kInverse[4] = {0x7f9458eaf7aef158u, 0x36d8a5664f10e410u,
                                         0x7f09d5f47d4d3770u, 0x28be60db9391054au};
  std::uint64_t bits = 0;
  std::memcpy(&bits, &radians, sizeof bits);
  const int biased = static_cast<int>((bits >> 52) & 0x7ffu);
  const std::uint64_t fraction = bits & 0x000fffffffffffffu;
  const std::uint64_t mantissa = biased == 0 ? fraction : fraction | 0x0010000000000000u;
  std::uint64_t product[kWords] = {};
  for (int word = 0; word < 4; ++word) {
    const std::uint64_t low = mantissa * kInverse[word];
    product[word] += low;
    product[word + 1] =
        multiply_high(mantissa, kInverse[word]) + static_cast<std::uint64_t>(product[word] < low);
  }
  // radians = mantissa * 2^(biased - 1075) and the product carries 2^256; 2^128 are wanted.
  const int shift = 128 + 1075 - (biased == 0 ? 1 : biased);
  const auto word_at = [&product](int bit) noexcept {
    const int word = bit / 64;
    const int offset = bit % 64;
    if (word >= kWords) return std::uint64_t{0};
    const std::uint64_t above = word + 1 < kWords ? product[word + 1] : 0;
    return product[word] >> offset | above << 1 << (63 - offset);
  };
  const std::uint64_t half = word_at(shift - 1) & 1u;
  const Turns turns = sum({word_at(shift + 64), word_at(shift)}, {0, half});
  return bits >> 63 == 0 ? turns : sum({~turns.high, ~turns.low}, {0, 1});
}

/// Errc::ok, or what makes steps that were written by hand no steps.
inline Fault check_turns(const PhaseTurns& turns) noexcept {
  if (turns.low.size() != turns.high.size()) {
    return {Errc::wrong_count, "low", static_cast<double>(turns.low.size())};
  }
  return check_at_least("attention_factor", turns.attention_factor, 0.0);
}

}  // namespace detail

/// The steps of a spectrum in fixed point, nearest for the doubles as given.
///   spectrum     inv_freq finite, 0 .. 2^63; attention_factor finite, >= 0
///   Max error    0.5 of 2^-128 turns
///   Throws       std::invalid_argument naming field and value
inline PhaseTurns phase_turns(const Spectrum& spectrum) {
  PhaseTurns result;
  result.high.reserve(spectrum.inv_freq.size());
  result.low.reserve(spectrum.inv_freq.size());
  for (std::size_t pair = 0; pair < spectrum.inv_freq.size(); ++pair) {
    const double inv_freq = spectrum.inv_freq[pair];
    Fault fault = detail::check_at_least("inv_freq", inv_freq, 0.0);
    if (fault.code == Errc::ok && inv_freq > 0x1p63) {
      fault = {Errc::above_maximum, "inv_freq", inv_freq};
    }
    fault.index = static_cast<int>(pair);
    detail::require("phase_turns", fault);
    const Turns turns = detail::turns_of(inv_freq);
    result.high.push_back(turns.high);
    result.low.push_back(turns.low);
  }
  detail::require("phase_turns",
                  detail::check_at_least("attention_factor", spectrum.attention_factor, 0.0));
  result.attention_factor = spectrum.attention_factor;
  return result;
}

/// position * step mod one turn, all 128 bits: differences of these are those of the positions.
///   position     any int64
///   Max error    |position| * 2^-129 turns against the spectrum's double
inline Turns phase_words(const PhaseTurns& turns, std::int64_t position, int pair) noexcept {
  ROPEWALK_ASSERT(pair >= 0 && pair < turns.pairs(), "phase: 0 <= pair < pairs");
  const auto index = static_cast<std::size_t>(pair);
  return detail::multiply({turns.high[index], turns.low[index]}, position);
}

/// The angle of a pair at a position, in 2^-64 turns: the top word of phase_words, cut off.
///   position     any int64
///   Max error    one unit
inline std::uint64_t phase(const PhaseTurns& turns, std::int64_t position, int pair) noexcept {
  return phase_words(turns, position, pair).high;
}

}  // namespace v0
}  // namespace ropewalk
