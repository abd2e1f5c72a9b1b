// What makes a struct a scaling method, and how its optional parts are found. Row 5.
#pragma once

#include <ropewalk/rope_config.hpp>

#include <type_traits>
#include <utility>

namespace ropewalk {
inline namespace v0 {
namespace detail {

template <typename Method, typename = void>
struct HasInvFreq : std::false_type {};
template <typename Method>
struct HasInvFreq<Method, std::void_t<decltype(std::declval<const Method&>().inv_freq(
                              std::declval<const RopeConfig&>(), 0))>>
    : std::is_convertible<decltype(std::declval<const Method&>().inv_freq(
                              std::declval<const RopeConfig&>(), 0)),
                          double> {};

template <typename Method, typename = void>
struct HasValidate : std::false_type {};
template <typename Method>
struct HasValidate<Method, std::void_t<decltype(std::declval<const Method&>().validate(
                               std::declval<const RopeConfig&>()))>> : std::true_type {};

template <typename Method, typename = void>
struct HasAttentionFactor : std::false_type {};
template <typename Method>
struct HasAttentionFactor<Method,
                          std::void_t<decltype(std::declval<const Method&>().attention_factor(
                              std::declval<const RopeConfig&>()))>> : std::true_type {};

}  // namespace detail

/// True for any struct with `double inv_freq(const RopeConfig&, int pair) const`; nothing has to be
/// registered. `validate(config)` and `attention_factor(config)` are used where they exist.
template <typename Method>
struct is_scaling_method : detail::HasInvFreq<Method> {};

template <typename Method>
inline constexpr bool is_scaling_method_v = is_scaling_method<Method>::value;

namespace detail {

/// The first fault of a config and one method.
template <typename Method>
Fault fault_of(const RopeConfig& config, const Method& method) noexcept {
  static_assert(is_scaling_method_v<Method>,
                "a scaling method needs: double inv_freq(const RopeConfig&, int pair) const");
  if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
  if constexpr (HasValidate<Method>::value) {
    return method.validate(config);
  } else {
    return {};
  }
}

/// The factor a method puts on cos and sin; 1 for methods that leave the logits alone.
template <typename Method>
double attention_factor_of(const RopeConfig& config, const Method& method) {
  if constexpr (HasAttentionFactor<Method>::value) {
    return method.attention_factor(config);
  } else {
    return 1.0;
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
