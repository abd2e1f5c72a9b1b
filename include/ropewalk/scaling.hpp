// Every method in one value, for schedules that come from a file. Row 5.
#pragma once

#include <ropewalk/scaling/dynamic_ntk.hpp>
#include <ropewalk/scaling/giraffe.hpp>
#include <ropewalk/scaling/linear.hpp>
#include <ropewalk/scaling/llama3.hpp>
#include <ropewalk/scaling/long_rope.hpp>
#include <ropewalk/scaling/nope.hpp>
#include <ropewalk/scaling/ntk_aware.hpp>
#include <ropewalk/scaling/ntk_by_parts.hpp>
#include <ropewalk/scaling/ntk_mixed.hpp>
#include <ropewalk/scaling/proportional.hpp>
#include <ropewalk/scaling/resonance.hpp>
#include <ropewalk/scaling/unscaled.hpp>
#include <ropewalk/scaling/yarn.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>

namespace ropewalk {
inline namespace v0 {

/// Any of the methods. Unscaled first, so a default value changes nothing. Where the method is
/// known when the program is written, use the method itself.
using Scaling = std::variant<Unscaled, Nope, Linear, NtkAware, DynamicNtk, NtkByParts, Yarn,
                             LongRope, Llama3, Proportional, PowerBasis, TruncatedBasis, NtkMixed>;

namespace detail {

template <typename Method, typename = void>
struct HasLength : std::false_type {};
template <typename Method>
struct HasLength<Method, std::void_t<decltype(std::declval<Method&>().length)>> : std::true_type {};

/// Calls `use` with the method a value holds. A template although there is one Scaling, so that a
/// translation unit that never asks pays no compile time for the thirteen cases.
template <std::size_t kIndex = 0, typename Variant, typename Use>
auto with_method(Variant& scaling, const Use& use) -> decltype(use(*std::get_if<0>(&scaling))) {
  if constexpr (kIndex + 1 < std::variant_size_v<Scaling>) {
    if (scaling.index() != kIndex) return with_method<kIndex + 1>(scaling, use);
  }
  return use(*std::get_if<kIndex>(&scaling));
}

}  // namespace detail

/// The same method at another length of the moment. Only methods with a `length` (DynamicNtk,
/// LongRope, a caller's own) depend on it; the others come back as they were.
///   length       tokens so far, >= 0 (checked by validate)
template <typename Method>
Method at_length(Method method, std::int64_t length) {
  if constexpr (std::is_same_v<Method, Scaling>) {
    detail::with_method(method, [&](auto& held) { held = at_length(held, length); });
  } else if constexpr (detail::HasLength<Method>::value) {
    method.length = length;
  }
  return method;
}

}  // namespace v0
}  // namespace ropewalk
