// What the tests of the rotation share: elements of every type, kernels this machine can run, and
// the bound the results are held to.
#pragma once

#include <ropewalk/rotate.hpp>
#include <ropewalk/simd/rotate.hpp>

#include "random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace ropewalk_test {

template <typename T>
double value_of(T element) {
  return static_cast<double>(ropewalk::ElementTraits<T>::load(element));
}

template <typename T>
T element_of(double value) {
  using Compute = typename ropewalk::ElementTraits<T>::Compute;
  return ropewalk::ElementTraits<T>::store(static_cast<Compute>(value));
}

template <typename T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

template <typename T>
std::vector<T> random_elements(Random& random, std::size_t size) {
  std::vector<T> elements(size);
  for (T& element : elements) element = element_of<T>(random.uniform(-4.0, 4.0));
  return elements;
}

/// Calls visit(kernel, name) for every kernel that this machine can run.
template <typename Visit>
void for_each_kernel(Visit visit) {
  namespace simd = ropewalk::simd;
  visit(simd::Portable{}, "Portable");
  visit(simd::Native{}, "Native");
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0) visit(simd::Avx2{}, "Avx2");
  if (__builtin_cpu_supports("avx512bw") != 0) visit(simd::Avx512{}, "Avx512");
  if (__builtin_cpu_supports("avx512bf16") != 0) visit(simd::Avx512Bf16{}, "Avx512Bf16");
#elif defined(__aarch64__)
  visit(simd::Neon{}, "Neon");
#endif
}

/// Half a unit in the last place of what an element can hold, for a result of this size.
template <typename T>
double storage_rounding(double result) {
  if (std::is_same_v<T, ropewalk::float16>) return std::ldexp(std::abs(result), -11) + 0x1p-25;
  // The last term is where AVX512-BF16 drops a result.
  if (std::is_same_v<T, ropewalk::bfloat16>) return std::ldexp(std::abs(result), -8) + 0x1p-126;
  return 0.0;
}

/// The bound stated at the top of rotate.hpp; for doubles a tighter one, which holds as well.
///   unit     unit roundoff of the coarser of arithmetic and table
///   size     norm of the pair, times the attention factor and the scales
///   scales   how many of head_scale and position_scale were given
template <typename T>
double rotation_bound(double unit, double size, int scales, double result) {
  const double rotation = unit == 0x1p-53 ? 5.1 : 3.1;
  const double computed = (rotation + 2.0 * scales) * unit * size;
  return computed + storage_rounding<T>(std::abs(result) + computed);
}

template <typename T>
constexpr double unit_roundoff() {
  return std::is_same_v<T, double> ? 0x1p-53 : 0x1p-24;
}

/// Memory with a view somewhere in it, its strides not those of a packed array.
template <typename T>
struct Strided {
  std::vector<T> memory;
  ropewalk::HeadView<T> view;

  Strided(Random& random, std::int64_t tokens, std::int64_t heads, int head_dim) {
    std::int64_t head_stride = head_dim + (random.one_in(3) ? 0 : random.integer(0, 5));
    std::int64_t token_stride = (std::max)(heads, std::int64_t{1}) * head_stride +
                                (random.one_in(3) ? 0 : random.integer(0, 9));
    if (random.one_in(3)) {  // the tokens of a head lie together
      token_stride = head_stride;
      head_stride = (std::max)(tokens, std::int64_t{1}) * token_stride + random.integer(0, 3);
    }
    const std::int64_t before = random.integer(0, 20);
    const std::int64_t extent = tokens * token_stride + heads * head_stride + head_dim;
    memory = random_elements<T>(random, static_cast<std::size_t>(before + extent + 20));
    view = {memory.data() + before, tokens, heads, head_dim, token_stride, head_stride};
    if (random.one_in(8)) {
      view.data = view.head(tokens > 0 ? tokens - 1 : 0, 0);
      view.token_stride = -token_stride;
    }
    if (random.one_in(8)) {
      view.data = view.head(0, heads > 0 ? heads - 1 : 0);
      view.head_stride = -head_stride;
    }
  }

  Strided(const Strided& other) : memory(other.memory), view(other.view) {
    view.data = memory.data() + (other.view.data - other.memory.data());
  }
  Strided& operator=(const Strided&) = delete;

  std::vector<bool> covered() const {
    std::vector<bool> inside(memory.size());
    for (std::int64_t token = 0; token < view.tokens; ++token) {
      for (std::int64_t head = 0; head < view.heads; ++head) {
        for (int dim = 0; dim < view.head_dim; ++dim) {
          inside[static_cast<std::size_t>(view.head(token, head) + dim - memory.data())] = true;
        }
      }
    }
    return inside;
  }
};

}  // namespace ropewalk_test
