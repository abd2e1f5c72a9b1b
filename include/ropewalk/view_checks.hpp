// What functions over several views refuse, and in which words. Row 1.
#pragma once

#include <ropewalk/head_view.hpp>

#include <cstdint>
#include <cstdio>
#include <stdexcept>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Refuses two sizes that must be one.
inline void require_equal(const char* where, const char* field, std::int64_t size,
                          const char* other, std::int64_t wanted) {
  if (size == wanted) return;
  char text[256];
  std::snprintf(text, sizeof text, "%s: %s has %lld, %s is %lld", where, field,
                static_cast<long long>(size), other, static_cast<long long>(wanted));
  ROPEWALK_THROW(std::invalid_argument(text));
}

/// Whether two sound views may hold an element in common. Exact where both have the same strides
/// and the heads of a token lie together, as parts of one fused buffer do; elsewhere it is the
/// ranges of memory that count.
template <typename A, typename B>
bool views_meet(const HeadView<A>& a, const HeadView<B>& b) noexcept {
  if (!ranges_meet(a, b)) return false;
  if (sizeof(A) != sizeof(B) || a.token_stride != b.token_stride) return true;
  // The stride of a single token says nothing, and may be too large to multiply.
  if (a.tokens == 1 || b.tokens == 1) return true;
  // Views whose ranges meet are closer than 2^63 bytes.
  const auto bytes = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(b.data) -
                                               reinterpret_cast<std::uintptr_t>(a.data));
  const std::int64_t size = sizeof(A);
  const std::int64_t step = magnitude(a.token_stride) * size;
  const auto extent = [&](const auto& view) {
    return ((view.heads - 1) * magnitude(view.head_stride) + view.head_dim) * size;
  };
  const std::int64_t a_extent = extent(a);
  const std::int64_t b_extent = extent(b);
  if (step < a_extent || step < b_extent) return true;
  if (a.head_stride < 0 || b.head_stride < 0) return true;
  // b's token begins `after` bytes behind the beginning of a's token, and a's next one follows.
  std::int64_t after = bytes % step;
  if (after < 0) after += step;
  return after < a_extent || step - after < b_extent;
}

/// Refuses two views that may hold an element in common.
///   words        subject of the sentence
template <typename A, typename B>
void require_apart(const char* where, const char* words, const HeadView<A>& a,
                   const HeadView<B>& b) {
  if (!views_meet(a, b)) return;
  char text[256];
  std::snprintf(text, sizeof text, "%s: %s %s", where, words, message(Errc::overlapping));
  ROPEWALK_THROW(std::invalid_argument(text));
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
