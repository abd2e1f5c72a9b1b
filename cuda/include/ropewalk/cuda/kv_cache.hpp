// Where keys and values of tokens lie: pages, dense or named by a table. Host and device.
#pragma once

#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/strides.hpp>
#include <ropewalk/head_view.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace ropewalk {
inline namespace v0 {
namespace cuda {

/// A cache of keys and values: pages of `page_size` tokens. Pointers are to device memory.
///   T            float, float16, bfloat16; const for what is only read
///   Element (page, offset, head, dim) is
///       k[page * page_stride + offset * token_stride + head * head_stride + dim], v alike;
///       k and v may be parts of one buffer
///   Token `position` of a sequence is in page `page_table[sequence][position / page_size]` at
///       offset `position % page_size`. Without a table, in a dense cache, it is in page `sequence`
///       at offset `position`.
///   A table's entry that is negative or no page of the cache says that there is none: nothing is
///       written there or read from there.
template <typename T>
struct KvCache {
  T* k = nullptr;
  T* v = nullptr;
  std::int64_t pages = 0;
  std::int64_t page_size = 0;    ///< tokens; pages * page_size below 2^31
  std::int64_t page_stride = 0;  ///< strides in elements, >= 0
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;

  const std::int32_t* page_table = nullptr;  ///< (sequences, pages_per_sequence), or null: dense
  std::int64_t sequences = 0;                ///< rows of the table
  std::int64_t pages_per_sequence = 0;       ///< times page_size below 2^31

  /// A cache that is only read, of the same elements.
  template <typename Const,
            typename = std::enable_if_t<!std::is_const_v<T> && std::is_same_v<Const, const T>>>
  operator KvCache<Const>() const noexcept {
    return {k,           v,          pages,     page_size,         page_stride, token_stride,
            head_stride, page_table, sequences, pages_per_sequence};
  }

  /// Sequences that a position can be asked of.
  constexpr std::int64_t all_sequences() const noexcept {
    return page_table == nullptr ? pages : sequences;
  }

  /// Tokens that a sequence can hold.
  constexpr std::int64_t tokens_per_sequence() const noexcept {
    return page_table == nullptr ? page_size : pages_per_sequence * page_size;
  }
};

/// Errc::ok, or what makes this no cache of `heads` heads of `head_dim`; the field is named as that
/// of parameters that call the cache `cache`. Where T is not const, elements may not share memory.
template <typename T>
Fault validate(const KvCache<T>& cache, std::int64_t heads, int head_dim) noexcept {
  if (cache.k == nullptr) return {Errc::unknown, "cache.k", 0.0};
  if (cache.v == nullptr) return {Errc::unknown, "cache.v", 0.0};
  if (!std::is_const_v<T> && cache.k == cache.v) return {Errc::overlapping, "cache.v", 0.0};
  struct Size {
    const char* name;
    std::int64_t value;
    std::int64_t smallest;
  };
  const bool paged = cache.page_table != nullptr;
  const Size sizes[7] = {
      {"cache.pages", cache.pages, 1},
      {"cache.page_size", cache.page_size, 1},
      {"cache.page_stride", cache.page_stride, 0},
      {"cache.token_stride", cache.token_stride, 0},
      {"cache.head_stride", cache.head_stride, 0},
      {"cache.sequences", cache.sequences, paged ? 1 : 0},
      {"cache.pages_per_sequence", cache.pages_per_sequence, paged ? 1 : 0},
  };
  for (const Size& size : sizes) {
    if (size.value < size.smallest) {
      return {Errc::below_minimum, size.name, static_cast<double>(size.value)};
    }
  }
  constexpr std::int64_t most_tokens = 0x7fffffff;
  const std::int64_t slots = ropewalk::detail::add_product(0, cache.pages, cache.page_size);
  if (slots < 0 || slots > most_tokens) {
    return {Errc::above_maximum, "cache.pages", static_cast<double>(cache.pages)};
  }
  const std::int64_t longest =
      ropewalk::detail::add_product(0, cache.pages_per_sequence, cache.page_size);
  if (paged && (longest < 0 || longest > most_tokens)) {
    return {Errc::above_maximum, "cache.pages_per_sequence",
            static_cast<double>(cache.pages_per_sequence)};
  }
  if (paged && cache.sequences > most_tokens) {
    return {Errc::above_maximum, "cache.sequences", static_cast<double>(cache.sequences)};
  }

  detail::StridedAxis axes[3] = {{"cache.page_stride", cache.page_stride, cache.pages},
                                 {"cache.token_stride", cache.token_stride, cache.page_size},
                                 {"cache.head_stride", cache.head_stride, heads}};
  std::int64_t extent = 0;
  return detail::check_strides(axes, head_dim, sizeof(T), !std::is_const_v<T>, extent);
}

namespace detail {

/// A place for one token; page < 0: there is none.
struct CachePlace {
  std::int64_t page = -1;
  std::int32_t offset = 0;
};

/// The pages of the sequences of a sound cache, by value: what a kernel is told.
struct PageMap {
  const std::int32_t* table = nullptr;
  std::int32_t pages = 0;
  std::int32_t page_size = 1;
  std::int32_t sequences = 0;
  std::int32_t pages_per_sequence = 0;  // of a dense cache: 1

  /// The page of the tokens `index * page_size` and on of a sequence, or a negative number.
  ROPEWALK_HOST_DEVICE std::int32_t page(std::int64_t sequence, std::int64_t index) const noexcept {
    const bool inside =
        sequence >= 0 && sequence < sequences && index >= 0 && index < pages_per_sequence;
    if (!inside) return -1;
    if (table == nullptr) return static_cast<std::int32_t>(sequence);
    const std::int32_t number = table[sequence * pages_per_sequence + index];
    return number < pages ? number : -1;
  }

  /// Where token `position` of a sequence lies.
  ROPEWALK_HOST_DEVICE CachePlace place(std::int64_t sequence,
                                        std::int64_t position) const noexcept {
    // One comparison for both ends: what is negative is large. 32 bits divide quickly.
    if (static_cast<std::uint64_t>(position) > 0x7fffffffu) return {};
    const std::uint32_t token = static_cast<std::uint32_t>(position);
    const std::uint32_t size = static_cast<std::uint32_t>(page_size);
    const std::uint32_t index = token / size;
    return {page(sequence, index), static_cast<std::int32_t>(token - index * size)};
  }

  /// Where slot `page * page_size + offset` lies.
  ROPEWALK_HOST_DEVICE CachePlace slot(std::int64_t number) const noexcept {
    if (static_cast<std::uint64_t>(number) > 0x7fffffffu) return {};
    const std::uint32_t token = static_cast<std::uint32_t>(number);
    const std::uint32_t size = static_cast<std::uint32_t>(page_size);
    const std::uint32_t index = token / size;
    if (index >= static_cast<std::uint32_t>(pages)) return {};
    return {static_cast<std::int64_t>(index), static_cast<std::int32_t>(token - index * size)};
  }
};

template <typename T>
ROPEWALK_HIDDEN PageMap page_map(const KvCache<T>& cache) noexcept {
  PageMap map;
  map.table = cache.page_table;
  map.pages = static_cast<std::int32_t>(cache.pages);
  map.page_size = static_cast<std::int32_t>(cache.page_size);
  map.sequences = static_cast<std::int32_t>(cache.all_sequences());
  map.pages_per_sequence =
      cache.page_table == nullptr ? 1 : static_cast<std::int32_t>(cache.pages_per_sequence);
  return map;
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
