// Packing of attention's operands as pairs of bfloat16, with AVX-512. Row 7b.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)

#include <ropewalk/element.hpp>
#include <ropewalk/simd/attention_avx512_lanes.hpp>
#include <ropewalk/simd/attention_avx512_tiles.hpp>
#include <ropewalk/simd/rotate_avx512_bf16.hpp>

#include <cstdint>
#include <type_traits>

// As in rotate_avx512.hpp.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Sixteen words of two elements each; floats are rounded. Zeros past `count` elements.
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
__m512i load_pairs_avx512(const bfloat16* from, int count) noexcept {
  return _mm512_maskz_loadu_epi16(Bf16Lanes::mask_of(count), from);
}
ROPEWALK_TARGET_INLINE(ROPEWALK_AVX512)
__m512i load_pairs_avx512(const float* from, int count) noexcept {
  const __m512 low = _mm512_maskz_loadu_ps(AttentionLanes::mask_of(count), from);
  const __m512 high = _mm512_maskz_loadu_ps(AttentionLanes::mask_of(count - 16), from + 16);
#if defined(__GNUC__)
  __m512i narrow;  // by name, as in rotate_avx512_bf16.hpp
  __asm__("vcvtne2ps2bf16 {%2, %1, %0|%0, %1, %2}" : "=v"(narrow) : "v"(high), "v"(low));
  return narrow;
#else
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
#endif
}

/// One row, (size,) with zeros past `count`; size a multiple of 32.
template <typename Element>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void narrow_row_avx512(const Element* from, int count, std::int64_t size,
                              bfloat16* to) noexcept {
  for (int index = 0; index < size; index += 32) {
    _mm512_storeu_si512(to + index, load_pairs_avx512(from + index, count - index));
  }
}

/// Keys (count, depth) as panels of words, each two neighbouring elements; zeros past `count`.
template <typename Element>
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void pack_key_pairs_avx512(const Element* rows, std::int64_t stride, int count, int depth,
                                  int tile_keys, bfloat16* to) noexcept {
  using Lanes = AttentionLanes;
  const std::int64_t words = ((depth + 1) / 2 + 15) / 16 * 16;
  alignas(64) float spare[16][16];
  for (int key = 0; key < tile_keys; key += 16) {
    float* panel = reinterpret_cast<float*>(to) +
                   (key / kAttentionPanel) * kAttentionPanel * words + key % kAttentionPanel;
    const int keys = count - key;
    for (int dim = 0; dim < depth; dim += 32, panel += 16 * kAttentionPanel) {
      const Element* from = rows + key * stride + dim;
      if (std::is_same_v<Element, bfloat16> && keys >= 16 && dim + 32 <= depth) {
        Lanes::transpose(reinterpret_cast<const unsigned char*>(from),
                         stride * std::int64_t{sizeof(Element)}, panel, kAttentionPanel);
        continue;
      }
      for (int row = 0; row < 16; ++row) {
        const __m512i pairs = row < keys ? load_pairs_avx512(from + row * stride, depth - dim)
                                         : _mm512_setzero_si512();
        _mm512_store_si512(spare[row], pairs);
      }
      Lanes::transpose(reinterpret_cast<const unsigned char*>(spare), sizeof spare[0], panel,
                       kAttentionPanel);
    }
  }
}

/// Values (count, dim) as panels of words, each of two neighbouring keys; zeros past both.
ROPEWALK_TARGET(ROPEWALK_AVX512)
inline void pack_value_pairs_avx512(const bfloat16* rows, std::int64_t stride, int count, int dim,
                                    int tile_keys, bfloat16* to) noexcept {
  using Lanes = AttentionLanes;
  for (int first = 0; first < dim; first += kAttentionPanel) {
    const int left = dim - first;
    const int columns = left >= kAttentionPanel ? kAttentionColumns : (left + 15) / 16;
    for (int key = 0; key < tile_keys; key += 2, to += 32 * columns) {
      const bfloat16* from = rows + (key < count ? key : 0) * stride + first;
      for (int column = 0; column < columns; ++column) {
        const __mmask16 mask = Lanes::mask_of(left - 16 * column);
        const __mmask16 one = key < count ? mask : __mmask16{0};
        const __mmask16 two = key + 1 < count ? mask : __mmask16{0};
        const __m512 low = Lanes::load(from + 16 * column, one);
        const __m512 high = Lanes::load(from + (key + 1 < count ? stride : 0) + 16 * column, two);
        const __m512i word = _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(low), 16),
                                             _mm512_castps_si512(high));
        _mm512_storeu_si512(to + 32 * column, word);
      }
    }
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
