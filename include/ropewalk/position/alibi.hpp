// ALiBi: logits lowered in proportion to distance, by a slope per head. Row 8.
#pragma once

#include <ropewalk/rope_config.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

inline Fault check_alibi(int heads, double max_bias) noexcept {
  constexpr int most = 65536;
  if (heads < 1) return {Errc::below_minimum, "heads", static_cast<double>(heads)};
  if (heads > most) return {Errc::above_maximum, "heads", static_cast<double>(heads)};
  if (const Fault fault = check_positive("max_bias", max_bias); fault.code != Errc::ok) {
    return fault;
  }
  // 2^-1022 is the smallest normal double.
  if (max_bias > 1022.0) return {Errc::above_maximum, "max_bias", max_bias};
  return {};
}

/// 2^(-max_bias numerator / denominator) for a power of two as denominator, 2^17 at most, and a
/// quotient of at most 1. In whole numbers, 53 bits behind the point: rounding the product would
/// cost max_bias / 3 ULP, and a compensation for it does not survive -ffast-math.
inline double power_of_half(double max_bias, int numerator, int denominator) noexcept {
  constexpr std::uint64_t word = 0xffffffffu;
  const auto bias = static_cast<std::uint64_t>(std::llround(max_bias * 0x1p53));  // below 2^63
  const auto times = static_cast<std::uint64_t>(numerator);
  const std::uint64_t low = (bias & word) * times;
  const std::uint64_t high = (bias >> 32) * times + (low >> 32);
  const std::uint64_t one = static_cast<std::uint64_t>(denominator) << 21;  // 1 in units of high
  const double rest = static_cast<double>(high % one) + static_cast<double>(low & word) * 0x1p-32;
  return std::ldexp(std::exp2(-rest / static_cast<double>(one)), -static_cast<int>(high / one));
}

}  // namespace detail

/// Slope of one head: 2^(-max_bias (head + 1) / n), n the number of heads if that is a power of
/// two. Otherwise n is the next lower one, and head n + k takes 2^(-max_bias (2 k + 1) / 2 n):
/// every other slope of twice as many heads. Slopes are then not sorted by head.
///   heads        1 .. 65536
///   head         0 <= head < heads
///   max_bias     > 0, at most 1022; 8 in the paper, max_alibi_bias of GGUF files
///   Max error    2 ULP
///   Source       Press et al. 2021, arXiv 2108.12409; ggml, CTranslate2
inline double alibi_slope(int heads, int head, double max_bias = 8.0) {
  detail::require("alibi_slope", detail::check_alibi(heads, max_bias));
  const double index = static_cast<double>(head);
  if (head < 0) detail::refuse("alibi_slope", {Errc::below_minimum, "head", index});
  if (head >= heads) detail::refuse("alibi_slope", {Errc::above_maximum, "head", index});
  int power = 1;
  while (power <= heads / 2) power *= 2;
  return head < power ? detail::power_of_half(max_bias, head + 1, power)
                      : detail::power_of_half(max_bias, 2 * (head - power) + 1, 2 * power);
}

/// The slopes of all heads.
///   Returns      (heads,), head 0 first
inline std::vector<double> alibi_slopes(int heads, double max_bias = 8.0) {
  detail::require("alibi_slopes", detail::check_alibi(heads, max_bias));
  std::vector<double> slopes(static_cast<std::size_t>(heads));
  int head = 0;
  for (double& slope : slopes) slope = alibi_slope(heads, head++, max_bias);
  return slopes;
}

/// What is added to a logit: -slope |query - key|. Any two positions; nothing overflows.
///   Max error    1/2 ULP up to distances of 2^53, 3/2 beyond
inline double alibi_bias(double slope, std::int64_t query, std::int64_t key) noexcept {
  const auto from = static_cast<std::uint64_t>(query < key ? query : key);
  const auto to = static_cast<std::uint64_t>(query < key ? key : query);
  return -slope * static_cast<double>(to - from);
}

}  // namespace v0
}  // namespace ropewalk
