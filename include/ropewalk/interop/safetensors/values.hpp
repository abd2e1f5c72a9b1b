// Elements of a tensor as floats and back, whatever the machine's byte order. Leaf; interop only.
#pragma once

#include <ropewalk/element.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/safetensors/header.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// `count` bytes as a number, the lowest first.
inline std::uint64_t little_endian(const unsigned char* bytes, std::size_t count) noexcept {
  std::uint64_t value = 0;
  for (std::size_t index = count; index-- > 0;) value = value << 8 | bytes[index];
  return value;
}

inline void put_little_endian(unsigned char* bytes, std::size_t count,
                              std::uint64_t value) noexcept {
  for (std::size_t index = 0; index < count; ++index, value >>= 8)
    bytes[index] = static_cast<unsigned char>(value & 0xffu);
}

/// One element of F32, F16 or BF16.
inline float float_element(Dtype dtype, const unsigned char* bytes) noexcept {
  if (dtype == Dtype::f32) return float_of(static_cast<std::uint32_t>(little_endian(bytes, 4)));
  const auto bits = static_cast<std::uint16_t>(little_endian(bytes, 2));
  return dtype == Dtype::f16 ? to_float(float16{bits}) : to_float(bfloat16{bits});
}

inline bool holds_floats(Dtype dtype) noexcept {
  return dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16;
}

}  // namespace detail

/// The elements of a tensor of F32, F16 or BF16, exact, in the order of the file (row-major).
///   data   the data of the file, all of it: tensor.end <= data.size()
inline Result<std::vector<float>> read_floats(Span<const unsigned char> data,
                                              const TensorEntry& tensor) {
  const std::string name = detail::shortened(tensor.name);
  if (!detail::holds_floats(tensor.dtype)) {
    return ReadFault{name, std::string(dtype_name(tensor.dtype)),
                     "is none of F32, F16 and BF16, which can be read as floats"};
  }
  if (tensor.begin > tensor.end || tensor.end > data.size())
    return ReadFault{name, "", "lies outside the data given"};
  const auto size = static_cast<std::size_t>(dtype_bits(tensor.dtype)) / 8;
  const unsigned char* const first = data.data() + tensor.begin;
  std::vector<float> values(static_cast<std::size_t>(tensor.bytes()) / size);
  for (std::size_t index = 0; index < values.size(); ++index)
    values[index] = detail::float_element(tensor.dtype, first + index * size);
  return values;
}

/// Floats as the bytes of a tensor, rounded to nearest, ties to even (element.hpp).
///   Asserted   dtype is F32, F16 or BF16
inline std::vector<unsigned char> float_bytes(Span<const float> values, Dtype dtype) {
  ROPEWALK_ASSERT(detail::holds_floats(dtype), "float_bytes: F32, F16 or BF16");
  const auto size = static_cast<std::size_t>(dtype_bits(dtype)) / 8;
  std::vector<unsigned char> bytes(values.size() * size);
  for (std::size_t index = 0; index < values.size(); ++index) {
    std::uint64_t bits = detail::bits_of(values[index]);
    if (dtype == Dtype::f16) bits = to_float16(values[index]).bits;
    if (dtype == Dtype::bf16) bits = to_bfloat16(values[index]).bits;
    detail::put_little_endian(bytes.data() + index * size, size, bits);
  }
  return bytes;
}

}  // namespace v0
}  // namespace ropewalk
