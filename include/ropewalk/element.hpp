// The 16-bit element types of caches and checkpoints, and their exact conversions. Row 1.
#pragma once

#include <ropewalk/config.hpp>

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {

/// IEEE binary16 storage: sign, 5 exponent bits, 10 fraction bits. Two bytes, trivially copyable: a
/// buffer of an engine's own uint16_t, or of Eigen::half, may be viewed as an array of these.
struct float16 {
  std::uint16_t bits;
};

/// The upper half of a float: sign, 8 exponent bits, 7 fraction bits. Two bytes, as float16.
struct bfloat16 {
  std::uint16_t bits;
};

static_assert(sizeof(float16) == 2 && std::is_trivially_copyable_v<float16>,
              "float16 must be viewable over two bytes");
static_assert(sizeof(bfloat16) == 2 && std::is_trivially_copyable_v<bfloat16>,
              "bfloat16 must be viewable over two bytes");

namespace detail {

ROPEWALK_HOST_DEVICE inline std::uint32_t bits_of(float value) noexcept {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

ROPEWALK_HOST_DEVICE inline float float_of(std::uint32_t bits) noexcept {
  float value = 0.0f;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace detail

/// The value of a float16, exact for all 65,536; a NaN keeps its payload and becomes quiet.
///   Matches      F16C's vcvtph2ps bit for bit
ROPEWALK_HOST_DEVICE inline float to_float(float16 element) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(element.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = element.bits & 0x7fffu;
  // Subnormals through an integer conversion: denormal floats may be flushed to zero.
  const std::uint32_t subnormal =
      detail::bits_of(static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f);
  const std::uint32_t normal = (magnitude << 13) + (112u << 23);
  const std::uint32_t special =
      (magnitude << 13) | 0x7f800000u | (magnitude > 0x7c00u ? 0x00400000u : 0u);
  const std::uint32_t bits =
      magnitude < 0x0400u ? subnormal : (magnitude >= 0x7c00u ? special : normal);
  return detail::float_of(sign | bits);
}

/// The value of a bfloat16, exact for all 65,536.
ROPEWALK_HOST_DEVICE inline float to_float(bfloat16 element) noexcept {
  return detail::float_of(static_cast<std::uint32_t>(element.bits) << 16);
}

/// The nearest float16, ties to even; beyond 65504 (from 65520 on) an infinity, NaN stays NaN (quiet,
/// with the top of its payload).
///   Matches      F16C's vcvtps2ph bit for bit
ROPEWALK_HOST_DEVICE inline float16 to_float16(float value) noexcept {
  const std::uint32_t bits = detail::bits_of(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const std::uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x03ffu);
  // Adding 1/2 aligns a subnormal's last bit with the float's, and the addition rounds it.
  const std::uint32_t subnormal = detail::bits_of(detail::float_of(magnitude) + 0.5f) - 0x3f000000u;
  const std::uint32_t rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
  const std::uint32_t normal = (rounded - (112u << 23)) >> 13;
  std::uint32_t result = magnitude < 0x38800000u ? subnormal : normal;
  if (magnitude >= 0x477ff000u) result = 0x7c00u;
  if (magnitude > 0x7f800000u) result = nan;
  return {static_cast<std::uint16_t>(sign | result)};
}

/// The nearest bfloat16, ties to even; overflow gives an infinity, NaN stays NaN (quiet, with the top
/// of its payload). Denormal values are rounded, not flushed, unlike AVX512-BF16's vcvtneps2bf16.
ROPEWALK_HOST_DEVICE inline bfloat16 to_bfloat16(float value) noexcept {
  const std::uint32_t bits = detail::bits_of(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t nan = (bits >> 16) | 0x0040u;
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return {static_cast<std::uint16_t>(is_nan ? nan : rounded)};
}

/// How the elements of a view are read and written. Specialised for float, double, float16, bfloat16.
///   Compute      the type arithmetic runs in: double for double, else float
template <typename Element>
struct ElementTraits;

template <>
struct ElementTraits<float> {
  using Compute = float;
  ROPEWALK_HOST_DEVICE static float load(float element) noexcept { return element; }
  ROPEWALK_HOST_DEVICE static float store(float value) noexcept { return value; }
};

template <>
struct ElementTraits<double> {
  using Compute = double;
  ROPEWALK_HOST_DEVICE static double load(double element) noexcept { return element; }
  ROPEWALK_HOST_DEVICE static double store(double value) noexcept { return value; }
};

template <>
struct ElementTraits<float16> {
  using Compute = float;
  ROPEWALK_HOST_DEVICE static float load(float16 element) noexcept { return to_float(element); }
  ROPEWALK_HOST_DEVICE static float16 store(float value) noexcept { return to_float16(value); }
};

template <>
struct ElementTraits<bfloat16> {
  using Compute = float;
  ROPEWALK_HOST_DEVICE static float load(bfloat16 element) noexcept { return to_float(element); }
  ROPEWALK_HOST_DEVICE static bfloat16 store(float value) noexcept { return to_bfloat16(value); }
};

}  // namespace v0
}  // namespace ropewalk
