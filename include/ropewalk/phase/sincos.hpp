// Sine and cosine of a fixed-point fraction of a turn. Row 7.
//
// Formed in double and rounded once; nothing here calls the mathematical library.
#pragma once

#include <ropewalk/phase/turns.hpp>

#include <cstdint>
#include <cstring>

namespace ropewalk {
inline namespace v0 {

/// Sine and cosine of one angle.
template <typename Real>
struct SinCos {
  Real sin;
  Real cos;
};

namespace detail {

ROPEWALK_HOST_DEVICE inline std::uint64_t double_bits(double value) noexcept {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

ROPEWALK_HOST_DEVICE inline double double_of(std::uint64_t bits) noexcept {
  double value = 0.0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// The int64 of these bits as double, |value| < 2^62, one rounding.
ROPEWALK_HOST_DEVICE inline double whole_double(std::uint64_t bits) noexcept {
#if defined(__aarch64__) || defined(__CUDA_ARCH__)
  return static_cast<double>(static_cast<std::int64_t>(bits));
#else
  // Through two int32, whose conversion every vector unit has; under all flags alike, so that units
  // of one program may differ in them.
  const auto upper =
      static_cast<std::int32_t>(static_cast<std::uint32_t>((bits + 0x80000000u) >> 32));
  const auto lower = static_cast<std::int32_t>(static_cast<std::uint32_t>(bits));
  return static_cast<double>(upper) * 0x1p32 + static_cast<double>(lower);
#endif
}

// Minimax on |x| <= pi / 4 with t = x^2: sin x = x + x t P(t) to 3.5e-18 of itself, cos x =
// 1 - t/2 + t^2 Q(t) to 4.7e-20: what is left is the rounding of the evaluation. Read only by
// constant expressions, so that device code may use them too.
inline constexpr double kSineTerms[6] = {-0x1.5555555555549p-3,  0x1.111111110f881p-7,
                                         -0x1.a01a019c126c5p-13, 0x1.71de3578757a3p-19,
                                         -0x1.ae5e66d5beb3ap-26, 0x1.5d932f87aeff1p-33};
inline constexpr double kCosineTerms[6] = {0x1.555555555554cp-5,  -0x1.6c16c16c15184p-10,
                                           0x1.a01a019cb2700p-16, -0x1.27e4f80a772d0p-22,
                                           0x1.1ee9ec4849ff4p-29, -0x1.8faecf809fb77p-37};
inline constexpr double kRadiansPerUnit = 0x1.921fb54442d18p-62;  // 2 pi / 2^64

/// Sine and cosine of a fraction of a turn, without a branch so that loops over it vectorise.
ROPEWALK_HOST_DEVICE inline SinCos<double> sincos_of(std::uint64_t high,
                                                     std::uint64_t low) noexcept {
  const std::uint64_t quadrant = (high + (std::uint64_t{1} << 61)) >> 62;
  const std::uint64_t remainder = high - (quadrant << 62);  // two's complement, within 2^61
  const auto rest = static_cast<std::int32_t>(low >> 33);
  const double units = whole_double(remainder) + static_cast<double>(rest) * 0x1p-31;
  const double x = units * kRadiansPerUnit;
  const double t = x * x;
  constexpr double p0 = kSineTerms[0], p1 = kSineTerms[1], p2 = kSineTerms[2];
  constexpr double p3 = kSineTerms[3], p4 = kSineTerms[4], p5 = kSineTerms[5];
  constexpr double q0 = kCosineTerms[0], q1 = kCosineTerms[1], q2 = kCosineTerms[2];
  constexpr double q3 = kCosineTerms[3], q4 = kCosineTerms[4], q5 = kCosineTerms[5];
  const double p = p0 + t * (p1 + t * (p2 + t * (p3 + t * (p4 + t * p5))));
  const double q = q0 + t * (q1 + t * (q2 + t * (q3 + t * (q4 + t * q5))));
  const std::uint64_t sine = double_bits(x + (x * t) * p);
  const std::uint64_t cosine = double_bits(1.0 + t * (t * q - 0.5));
  const std::uint64_t exchange = (sine ^ cosine) & (0 - (quadrant & 1u));
  const std::uint64_t sine_sign = (quadrant & 2u) << 62;
  const std::uint64_t cosine_sign = ((quadrant + 1u) & 2u) << 62;
  return {double_of((sine ^ exchange) ^ sine_sign), double_of((cosine ^ exchange) ^ cosine_sign)};
}

}  // namespace detail

/// Sine and cosine of an angle in turns.
///   Max error    4.5 ULP of the sine and cosine of the 128 bits (2.8 seen), 2e-16 absolute
ROPEWALK_HOST_DEVICE inline SinCos<double> sincos_double(Turns phase) noexcept {
  return detail::sincos_of(phase.high, phase.low);
}

/// The same from the top word alone.
ROPEWALK_HOST_DEVICE inline SinCos<double> sincos_double(std::uint64_t phase) noexcept {
  return detail::sincos_of(phase, 0);
}

/// Sine and cosine of an angle in turns as float.
///   Max error    0.5000001 ULP
ROPEWALK_HOST_DEVICE inline SinCos<float> sincos_float(Turns phase) noexcept {
  const SinCos<double> exact = detail::sincos_of(phase.high, phase.low);
  return {static_cast<float>(exact.sin), static_cast<float>(exact.cos)};
}

/// The same from the top word alone.
ROPEWALK_HOST_DEVICE inline SinCos<float> sincos_float(std::uint64_t phase) noexcept {
  return sincos_float(Turns{phase, 0});
}

}  // namespace v0
}  // namespace ropewalk
