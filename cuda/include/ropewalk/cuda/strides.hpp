// Whether elements that are named by several strides lie within what memory addresses, and apart.
#pragma once

#include <ropewalk/head_view.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// `count` steps of `stride` elements, named as the parameter that holds the stride.
struct StridedAxis {
  const char* name;
  std::int64_t stride;
  std::int64_t count;
};

/// Most elements of `bytes` bytes that an array can have.
constexpr std::int64_t most_elements(std::size_t bytes) noexcept {
  return (std::numeric_limits<std::ptrdiff_t>::max)() / static_cast<std::int64_t>(bytes);
}

/// Errc::ok and the elements from the first to the last, or the axis that leaves memory or, where
/// `is_written`, makes two elements one.
///   row          elements that lie together
///   bytes        of an element
inline Fault check_strides(StridedAxis (&axes)[3], std::int64_t row, std::size_t bytes,
                           bool is_written, std::int64_t& extent) noexcept {
  // From the smallest stride to the largest: each steps over all that the smaller ones reach.
  for (int pass = 0; pass < 2; ++pass) {
    for (int i = 0; i < 2; ++i) {
      if (axes[i].stride <= axes[i + 1].stride) continue;
      const StridedAxis larger = axes[i];
      axes[i] = axes[i + 1];
      axes[i + 1] = larger;
    }
  }
  extent = row;
  for (const StridedAxis& axis : axes) {
    if (axis.count < 2) continue;
    if (is_written && axis.stride < extent) {
      return {Errc::overlapping, axis.name, static_cast<double>(axis.stride)};
    }
    extent = ropewalk::detail::add_product(extent, axis.count - 1, axis.stride);
    if (extent < 0 || extent > most_elements(bytes)) {
      return {Errc::above_maximum, axis.name, static_cast<double>(axis.stride)};
    }
  }
  return {};
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
