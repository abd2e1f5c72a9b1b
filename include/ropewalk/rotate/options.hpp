// What a caller may ask of a rotation. Row 8.
#pragma once

#include <ropewalk/head_view.hpp>

#include <cstdint>
#include <limits>

namespace ropewalk {
inline namespace v0 {

/// What a rotation may do beyond turning every pair by its angle. Defaults change nothing.
struct RotateOptions {
  /// Element of a head at which the rotated part begins, 0 .. head_dim - rotary_dim; the others
  /// pass unturned (rotate_copy copies them).
  int first_dim = 0;

  /// Turns back: the sine's sign changes. Factors and scales apply as before, so this is the
  /// transpose of the rotation and therefore its backward: call it on the gradient with the options
  /// of the forward pass. It undoes a rotation where all factors are 1.
  bool inverse = false;

  /// Multiplies every element of a head, rotated or not, and so its logits: a temperature per head
  /// without an attention that knows of it. Empty, or (heads,).
  Span<const double> head_scale = {};

  /// The same per token, for the laws of temperature.hpp. Empty, or (tokens,).
  Span<const double> position_scale = {};

  /// The position of row 0 of a table: position p reads row p - first_position.
  std::int64_t first_position = 0;

  /// rotate_copy writes past the caches when the destination has at least so many bytes, the kernel
  /// has such stores and the rotated halves lie on its lines. Gains a quarter of the time where the
  /// destination is well beyond the last-level cache, loses up to a factor of three inside it.
  std::int64_t streaming_bytes = (std::numeric_limits<std::int64_t>::max)();
};

}  // namespace v0
}  // namespace ropewalk
