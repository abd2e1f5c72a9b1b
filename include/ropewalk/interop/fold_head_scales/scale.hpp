// Weights times a scale, rounded once to the type they are stored in. Leaf; interop only.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/safetensors/dtype.hpp>
#include <ropewalk/interop/safetensors/values.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// What scaling did to the elements of a tensor, or of several.
struct FoldRounding {
  std::uint64_t elements = 0;  ///< scaled, by whatever factor
  double largest_error =
      0.0;  ///< of the stored elements, relative to weight * scale, over normal ones
  std::uint64_t underflows = 0;  ///< not zero before, subnormal or zero now
};

namespace detail {

/// A binary floating-point type: precision with the hidden bit, exponent of its smallest subnormal.
struct FloatFormat {
  int precision;
  int lowest;
  std::uint32_t infinity;  // bits
};

constexpr FloatFormat format_of(Dtype dtype) noexcept {
  if (dtype == Dtype::f16) return {11, -24, 0x7c00u};
  if (dtype == Dtype::bf16) return {8, -133, 0x7f80u};
  return {24, -149, 0x7f800000u};
}

struct ScaledBits {
  std::uint32_t bits = 0;  // infinity of the format, or above, where the product overflows
  bool subnormal = false;  // or zero
};

/// |weight * factor| as the bits of a format: the exact product rounded to nearest, ties to even. In
/// integers, so that neither -ffast-math nor flushed denormals change a bit.
///   weight   finite, not 0
///   factor   finite, > 0, a normal double
inline ScaledBits scaled_bits(float weight, double factor, FloatFormat format) noexcept {
  const std::uint32_t weight_bits = bits_of(weight) & 0x7fffffffu;
  std::uint64_t factor_bits = 0;
  std::memcpy(&factor_bits, &factor, sizeof factor_bits);
  const bool small_weight = weight_bits < 0x00800000u;
  const std::uint64_t w = small_weight ? weight_bits : (weight_bits & 0x7fffffu) | 0x800000u;
  const std::uint64_t f = (factor_bits & 0xfffffffffffffu) | 0x10000000000000u;
  const int w_exponent = small_weight ? -149 : static_cast<int>(weight_bits >> 23) - 150;
  const int f_exponent = static_cast<int>(factor_bits >> 52) - 1075;
  // 24 by 53 bits in two halves; what falls off the end leaves a sticky bit. At least 27 bits stay,
  // which is two more than any format here keeps.
  constexpr int half = 26;
  const std::uint64_t low = w * (f & ((std::uint64_t{1} << half) - 1));
  std::uint64_t product = w * (f >> half) + (low >> half);
  if ((low & ((std::uint64_t{1} << half) - 1)) != 0) product |= 1;
  const int exponent = w_exponent + f_exponent + half;  // of the product's lowest bit

  int width = 1;
  std::uint64_t upper = product;
  for (int step = 32; step > 0; step /= 2) {
    const bool longer = upper >> step != 0;
    width += longer ? step : 0;
    upper = longer ? upper >> step : upper;
  }
  const int unit = exponent + width - format.precision;
  const int kept =
      unit > format.lowest ? unit : format.lowest;  // exponent of the result's last bit
  const int shift = kept - exponent;                // at least 3
  ScaledBits result;
  result.subnormal = true;
  if (shift > 62) return result;
  std::uint64_t quotient = product >> shift;
  const std::uint64_t rest = product - (quotient << shift);
  const std::uint64_t tie = std::uint64_t{1} << (shift - 1);
  if (rest > tie || (rest == tie && (quotient & 1) != 0)) ++quotient;
  const int implicit = format.precision - 1;
  // The quotient carries the hidden bit, which adds the 1 that the exponent of normal numbers has.
  const std::int64_t bits = (static_cast<std::int64_t>(kept - format.lowest) << implicit) +
                            static_cast<std::int64_t>(quotient);
  result.bits = bits >= format.infinity ? format.infinity : static_cast<std::uint32_t>(bits);
  result.subnormal = bits < (std::int64_t{1} << implicit);
  return result;
}

enum class ElementFault { none, not_finite, overflow };

/// Scales one element of F32, F16 or BF16 in place. Zero stays the zero it was.
inline ElementFault scale_element(unsigned char* bytes, Dtype dtype, double factor,
                                  FoldRounding& rounding) noexcept {
  const float weight = float_element(dtype, bytes);
  const std::uint32_t magnitude = bits_of(weight) & 0x7fffffffu;
  if (magnitude >= 0x7f800000u) return ElementFault::not_finite;
  ++rounding.elements;
  if (magnitude == 0) return ElementFault::none;
  const FloatFormat format = format_of(dtype);
  const ScaledBits scaled = scaled_bits(weight, factor, format);
  if (scaled.bits >= format.infinity) return ElementFault::overflow;
  const std::size_t size = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
  const std::uint32_t sign = bytes[size - 1] & 0x80u;
  put_little_endian(bytes, size, scaled.bits);
  bytes[size - 1] = static_cast<unsigned char>(bytes[size - 1] | sign);
  if (scaled.subnormal) {
    ++rounding.underflows;
    return ElementFault::none;
  }
  const double exact = static_cast<double>(weight) * factor;
  if (!(std::fabs(exact) > 0.0)) return ElementFault::none;  // denormals taken for zero
  const double error = std::fabs(static_cast<double>(float_element(dtype, bytes)) - exact);
  const double relative = error / std::fabs(exact);
  if (relative > rounding.largest_error) rounding.largest_error = relative;
  return ElementFault::none;
}

/// The same for F64.
inline ElementFault scale_double(unsigned char* bytes, double factor,
                                 FoldRounding& rounding) noexcept {
  const std::uint64_t bits = little_endian(bytes, 8);
  double weight = 0.0;
  std::memcpy(&weight, &bits, sizeof weight);
  if (!is_finite(weight)) return ElementFault::not_finite;
  ++rounding.elements;
  const double product = weight * factor;
  if (!is_finite(product)) return ElementFault::overflow;
  std::uint64_t scaled = 0;
  std::memcpy(&scaled, &product, sizeof scaled);
  const bool was_zero = bits << 1 == 0;
  const bool subnormal = (scaled & 0x7ff0000000000000u) == 0;
  if (!was_zero && subnormal) ++rounding.underflows;
  put_little_endian(bytes, 8, scaled);
  return ElementFault::none;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
