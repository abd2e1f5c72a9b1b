// What all attention kernels share: the keys of a tile that rows see, the range of logits, a power of
// two. Row 7b.
#pragma once

#include <ropewalk/element.hpp>
#include <ropewalk/row_statistics.hpp>

#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// 2^x for x <= 0; 0 below the normal floats.
///   Max error   2 units of 2^-24, relative
inline float exp2_of_negative(float x) noexcept {
  // A sum with 3 2^22 would round as well, but not under -ffast-math.
  const float bounded = x > -126.0f ? x : -126.0f;
  const auto whole = static_cast<std::int32_t>(bounded - 0.5f);
  const float rest = bounded - static_cast<float>(whole);
  float value = 1.5345812e-4f;
  value = value * rest + 1.3399931e-3f;
  value = value * rest + 9.6184890e-3f;
  value = value * rest + 5.5503288e-2f;
  value = value * rest + 2.4022647e-1f;
  value = value * rest + 6.9314721e-1f;
  value = value * rest + 1.0f;
  const float power = float_of(static_cast<std::uint32_t>(whole + 127) << 23);
  return x > -126.0f ? value * power : 0.0f;
}

/// Of scores that a tile multiplies by its coefficient, the largest magnitude taken here: beyond it
/// a float cannot hold the differences that matter. Rows with such logits are done in double.
inline constexpr float kLargestTileLogit = 1048576.0f;

/// The keys of a tile that a row sees: begin .. end - 1. Of none both are what they are here, so that
/// runs join without a question.
struct SeenKeys {
  int begin = 1 << 30;
  int end = 0;
};

/// The least run that holds both.
inline SeenKeys either(SeenKeys a, SeenKeys b) noexcept {
  return {a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}

/// Takes another largest logit, above the present one; returns what the outputs so far take. The sums
/// may be zeros though keys were seen: their owner has them.
inline float raise_row(RowStatistics<float>& row, float to) noexcept {
  const bool seen = row.maximum > RowStatistics<float>::kMaskedLogit / 2;
  const float shift = seen ? row.maximum - to : 0.0f;
  const float factor = seen ? exp2_of_negative(shift) : 0.0f;
  row.second = factor * (row.second + shift * (2 * row.first + shift * row.sum));
  row.first = factor * (row.first + shift * row.sum);
  row.sum = factor * row.sum;
  row.maximum = to;
  return factor;
}

/// Rows that will be read next, for prefetching. As addresses: they may lie past what there is.
struct RowsAhead {
  std::uintptr_t first = 0;
  std::int64_t stride = 0;   // bytes
  std::uintptr_t bytes = 0;  // of a row
  int rows = 0;
  std::uintptr_t at = 0;  // bytes of the first row that were asked for

  /// Calls ask(address) for the next `lines` lines of 64 bytes.
  template <typename Ask>
  void advance(std::uintptr_t lines, const Ask& ask) noexcept {
    for (; lines > 0 && rows > 0; --lines) {
      ask(first + at);
      at += 64;
      if (at < bytes) continue;
      at = 0;
      first += static_cast<std::uintptr_t>(stride);
      --rows;
    }
  }
};

/// Lines of 64 bytes that a row of so many elements takes at most.
template <typename Element>
constexpr std::uintptr_t lines_of(int count) noexcept {
  return (static_cast<std::uintptr_t>(count) * sizeof(Element) + 63) / 64;
}

/// |value| as bits: in the order of magnitudes, infinities and NaN above all numbers.
inline std::uint32_t magnitude_bits(float value) noexcept { return bits_of(value) & 0x7fffffffu; }

/// `largest * coefficient` within the bounds of a tile; largest as magnitude_bits.
inline bool is_tile_logit(std::uint32_t largest, float coefficient) noexcept {
  return largest < 0x7f800000u && float_of(largest) * coefficient <= kLargestTileLogit;
}

}  // namespace detail

}  // namespace v0
}  // namespace ropewalk
