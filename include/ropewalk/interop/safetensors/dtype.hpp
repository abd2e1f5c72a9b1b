// Element types of a safetensors file: names, sizes, the order files are written in. Leaf; interop
// only.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>

namespace ropewalk {
inline namespace v0 {

/// Element type of a tensor in a safetensors file. In the order in which the format's own writer
/// sorts, from the last to the first.
enum class Dtype {
  boolean,
  f4,
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64
};

namespace detail {

struct DtypeFacts {
  std::string_view name;  // in the file
  int bits;               // of one element
};

inline constexpr DtypeFacts kDtypes[] = {
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64}};
static_assert(std::size(kDtypes) == static_cast<std::size_t>(Dtype::u64) + 1,
              "one entry per element type");

}  // namespace detail

/// The name in a file: "F32", "BF16", ...
constexpr std::string_view dtype_name(Dtype dtype) noexcept {
  return detail::kDtypes[static_cast<std::size_t>(dtype)].name;
}

/// Bits of one element: 4, 6, or 8 times a power of two.
constexpr int dtype_bits(Dtype dtype) noexcept {
  return detail::kDtypes[static_cast<std::size_t>(dtype)].bits;
}

/// The type of a name as files spell it; none for any other text.
constexpr std::optional<Dtype> find_dtype(std::string_view name) noexcept {
  for (std::size_t index = 0; index < std::size(detail::kDtypes); ++index) {
    if (detail::kDtypes[index].name == name) return static_cast<Dtype>(index);
  }
  return std::nullopt;
}

}  // namespace v0
}  // namespace ropewalk
