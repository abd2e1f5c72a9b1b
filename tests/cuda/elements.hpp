// Elements of the types that kernels take, for tests that nvcc compiles as well.
#pragma once

#include <ropewalk/element.hpp>

#include <cmath>
#include <cstring>
#include <type_traits>

namespace ropewalk_test {

template <typename T>
double as_double(T element) {
  return static_cast<double>(ropewalk::ElementTraits<T>::load(element));
}

template <typename T>
T as_element(double value) {
  return ropewalk::ElementTraits<T>::store(static_cast<float>(value));
}

template <typename T>
bool same_element(T a, T b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

/// Half a unit in the last place of what an element can hold, for a result of this size.
template <typename T>
double half_unit(double result) {
  if (std::is_same_v<T, ropewalk::float16>) return std::ldexp(std::fabs(result), -11) + 0x1p-25;
  if (std::is_same_v<T, ropewalk::bfloat16>) return std::ldexp(std::fabs(result), -8) + 0x1p-134;
  return 0.0;
}

}  // namespace ropewalk_test
