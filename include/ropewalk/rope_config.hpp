// What a model was trained with. Row 2.
#pragma once

#include <ropewalk/arithmetic.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// Which two elements of a head form a rotated pair (a and b, drawn for rotary_dim 4, head_dim 8):
enum class Pairing {
  half_split,  ///< [a0 a1 b0 b1 - - - -]  GPT-NeoX, Hugging Face checkpoints; ggml NEOX
  interleaved  ///< [a0 b0 a1 b1 - - - -]  RoFormer, GPT-J, Meta's own Llama files; ggml NORMAL
};

/// Far beyond float32, and small enough that no method leaves the range of double.
inline constexpr double kMaximumTheta = 1e100;

/// The rotary part of a model as it was trained, before any extension.
struct RopeConfig {
  int head_dim = 128;      // elements per head, 1 .. 65536
  int rotary_dim = 128;    // how many of them rotate; even, 2 .. head_dim
  double theta = 10000.0;  // the base number; > 1, at most kMaximumTheta
  std::int64_t original_length =
      0;  // tokens seen in training; 0: unknown, refused by what needs it
  Pairing pairing = Pairing::half_split;

  int pairs() const noexcept { return rotary_dim / 2; }

  /// Errc::ok, or the first field that cannot be computed with.
  Fault validate() const noexcept {
    constexpr int maximum_dim = 65536;
    const double dims[2] = {static_cast<double>(head_dim), static_cast<double>(rotary_dim)};
    if (head_dim < 1) return {Errc::below_minimum, "head_dim", dims[0]};
    if (head_dim > maximum_dim) return {Errc::above_maximum, "head_dim", dims[0]};
    if (rotary_dim < 2) return {Errc::below_minimum, "rotary_dim", dims[1]};
    if (rotary_dim > head_dim) return {Errc::above_maximum, "rotary_dim", dims[1]};
    if (rotary_dim % 2 != 0) return {Errc::odd, "rotary_dim", dims[1]};
    if (!detail::is_finite(theta)) return {Errc::not_finite, "theta", theta};
    if (!(theta > 1.0)) return {Errc::below_minimum, "theta", theta};
    if (theta > kMaximumTheta) return {Errc::above_maximum, "theta", theta};
    return detail::check_length("original_length", original_length, 0);
  }
};

namespace detail {

/// The fault of a law that needs the trained length: longer than 2 pi, so that one pair can turn.
inline Fault check_original_length(const RopeConfig& config, std::int64_t minimum) noexcept {
  if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
  if (config.original_length == 0) return {Errc::unknown, "original_length", 0.0};
  return check_length("original_length", config.original_length, minimum);
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
