// Views of what an engine owns: a run of values, and the heads of some tokens. Row 1.
#pragma once

#include <ropewalk/error.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

namespace ropewalk {
inline namespace v0 {

/// A non-owning run of `size` values. Converts from arrays and from anything with data() and size(),
/// std::vector and std::span among them; as an argument also from a temporary one.
template <typename T>
class Span {
 public:
  constexpr Span() noexcept = default;
  constexpr Span(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <std::size_t kSize>
  constexpr Span(T (&array)[kSize]) noexcept : data_(array), size_(kSize) {}
  template <
      typename Container,
      typename = std::enable_if_t<
          !std::is_same_v<std::decay_t<Container>, Span> &&
          std::is_convertible_v<
              std::remove_pointer_t<decltype(std::declval<Container&>().data())> (*)[], T (*)[]> &&
          std::is_convertible_v<decltype(std::declval<Container&>().size()), std::size_t>>>
  constexpr Span(Container&& container) noexcept
      : data_(container.data()), size_(container.size()) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }
  constexpr T& operator[](std::size_t index) const noexcept { return data_[index]; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

namespace detail {

/// base + times * step for values >= 0, or -1 past the range of int64 (or when base is -1 already).
constexpr std::int64_t add_product(std::int64_t base, std::int64_t times,
                                   std::int64_t step) noexcept {
  if (base < 0) return -1;
#if defined(__GNUC__)
  // A division costs as much as all other checks of a rotation.
  std::int64_t product = 0;
  std::int64_t sum = 0;
  if (__builtin_mul_overflow(times, step, &product)) return -1;
  return __builtin_add_overflow(base, product, &sum) ? -1 : sum;
#else
  constexpr std::int64_t largest = (std::numeric_limits<std::int64_t>::max)();
  if (times != 0 && step > (largest - base) / times) return -1;
  return base + times * step;
#endif
}

/// |value|; the lowest int64, which has none, becomes the largest.
constexpr std::int64_t magnitude(std::int64_t value) noexcept {
  constexpr std::int64_t largest = (std::numeric_limits<std::int64_t>::max)();
  return value < -largest ? largest : (value < 0 ? -value : value);
}

}  // namespace detail

/// The heads of some tokens, (tokens, heads, head_dim), in memory that somebody else owns. Element
/// (token, head, dim) is data[token * token_stride + head * head_stride + dim].
///   T            float, double, float16, bfloat16; const for what is only read
///   strides      in elements, any sign; a view that is written may not hold an element twice, a
///                view that is only read may (stride 0 repeats one head, or one token)
///   alignment    that of T
template <typename T>
struct HeadView {
  T* data = nullptr;
  std::int64_t tokens = 0;
  std::int64_t heads = 0;
  int head_dim = 0;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;

  /// First element of one head of one token.
  T* head(std::int64_t token, std::int64_t index) const noexcept {
    return data + (token * token_stride + index * head_stride);
  }

  bool empty() const noexcept { return tokens == 0 || heads == 0; }

  /// A view that is only read, of the same elements.
  template <typename Const,
            typename = std::enable_if_t<!std::is_const_v<T> && std::is_same_v<Const, const T>>>
  operator HeadView<Const>() const noexcept {
    return {data, tokens, heads, head_dim, token_stride, head_stride};
  }

  /// Errc::ok, or what makes this no view: a negative size, no data, strides under which two
  /// elements share memory (only where T is not const; the heads of a token must lie inside one
  /// another's gaps or the tokens inside the heads', which every layout in use does), or an extent
  /// past what a pointer difference can hold.
  Fault validate() const noexcept {
    constexpr int maximum_dim = 65536;
    const double sizes[2] = {static_cast<double>(tokens), static_cast<double>(heads)};
    if (tokens < 0) return {Errc::below_minimum, "tokens", sizes[0]};
    if (heads < 0) return {Errc::below_minimum, "heads", sizes[1]};
    if (head_dim < 1) return {Errc::below_minimum, "head_dim", static_cast<double>(head_dim)};
    if (head_dim > maximum_dim) {
      return {Errc::above_maximum, "head_dim", static_cast<double>(head_dim)};
    }
    if (empty()) return {};
    if (data == nullptr) return {Errc::unknown, "data", 0.0};
    if (detail::add_product(0, tokens, heads) < 0) return {Errc::above_maximum, "tokens", sizes[0]};

    const std::int64_t token_step = detail::magnitude(token_stride);
    const std::int64_t head_step = detail::magnitude(head_stride);
    constexpr std::int64_t largest =
        (std::numeric_limits<std::ptrdiff_t>::max)() / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t heads_extent = detail::add_product(head_dim, heads - 1, head_step);
    const std::int64_t tokens_extent = detail::add_product(head_dim, tokens - 1, token_step);
    const std::int64_t extent = detail::add_product(heads_extent, tokens - 1, token_step);
    if (heads_extent < 0 || heads_extent > largest) {
      return {Errc::above_maximum, "head_stride", static_cast<double>(head_stride)};
    }
    if (extent < 0 || extent > largest) {
      return {Errc::above_maximum, "token_stride", static_cast<double>(token_stride)};
    }
    if (std::is_const_v<T>) return {};
    if (heads > 1 && head_step < head_dim) {
      return {Errc::overlapping, "head_stride", static_cast<double>(head_stride)};
    }
    if (tokens > 1 && token_step < head_dim) {
      return {Errc::overlapping, "token_stride", static_cast<double>(token_stride)};
    }
    if (heads > 1 && tokens > 1 && token_step < heads_extent && head_step < tokens_extent) {
      return {Errc::overlapping, "token_stride", static_cast<double>(token_stride)};
    }
    return {};
  }
};

/// The view of a contiguous (tokens, heads, head_dim) array.
template <typename T>
HeadView<T> make_head_view(T* data, std::int64_t tokens, std::int64_t heads,
                           int head_dim) noexcept {
  // A product past int64 saturates here and is then refused by validate().
  const std::int64_t row =
      heads >= 0 && head_dim >= 0 ? detail::add_product(0, heads, head_dim) : 0;
  return {
      data,    tokens, heads, head_dim, row < 0 ? (std::numeric_limits<std::int64_t>::max)() : row,
      head_dim};
}

/// Whether the memory from the first to the last element of one sound view meets that of another.
/// Views of interleaved parts of one buffer meet without sharing an element.
template <typename A, typename B>
bool ranges_meet(const HeadView<A>& a, const HeadView<B>& b) noexcept {
  if (a.empty() || b.empty()) return false;
  const auto range = [](const auto& view) {
    const std::int64_t along_tokens = (view.tokens - 1) * view.token_stride;
    const std::int64_t along_heads = (view.heads - 1) * view.head_stride;
    const std::int64_t first =
        (along_tokens < 0 ? along_tokens : 0) + (along_heads < 0 ? along_heads : 0);
    const std::int64_t last =
        (along_tokens > 0 ? along_tokens : 0) + (along_heads > 0 ? along_heads : 0) + view.head_dim;
    return std::pair<std::uintptr_t, std::uintptr_t>(
        reinterpret_cast<std::uintptr_t>(view.data + first),
        reinterpret_cast<std::uintptr_t>(view.data + last));
  };
  const auto first = range(a);
  const auto second = range(b);
  return first.first < second.second && second.first < first.second;
}

}  // namespace v0
}  // namespace ropewalk
