// What people write instead. Each is checked against the same reference as the library.
#pragma once

#include <ropewalk/element.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/phase.hpp>
#include <ropewalk/rope_config.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#ifdef ROPEWALK_BENCH_EIGEN
#include <Eigen/Core>
#endif

namespace ropewalk_bench {

using ropewalk::HeadView;
using ropewalk::Pairing;
using ropewalk::PhaseTable;
using ropewalk::Span;

/// The loop of the model card, compiled as the rest is.
template <typename T, typename Real>
void naive_rotate(HeadView<const T> from, HeadView<T> to, Span<const std::int64_t> positions,
                  const PhaseTable<Real>& table, std::int64_t first_position, Pairing pairing) {
  using Traits = ropewalk::ElementTraits<T>;
  const int pairs = table.pairs;
  const bool half = pairing == Pairing::half_split;
  for (std::int64_t token = 0; token < from.tokens; ++token) {
    const std::int64_t row = positions[static_cast<std::size_t>(token)] - first_position;
    const Real* cos = table.cos.data() + row * pairs;
    const Real* sin = table.sin.data() + row * pairs;
    for (std::int64_t head = 0; head < from.heads; ++head) {
      const T* source = from.head(token, head);
      T* target = to.head(token, head);
      if (half) {
        for (int pair = 0; pair < pairs; ++pair) {
          const auto x = Traits::load(source[pair]);
          const auto y = Traits::load(source[pair + pairs]);
          target[pair] = Traits::store(x * cos[pair] - y * sin[pair]);
          target[pair + pairs] = Traits::store(y * cos[pair] + x * sin[pair]);
        }
      } else {
        for (int pair = 0; pair < pairs; ++pair) {
          const auto x = Traits::load(source[2 * pair]);
          const auto y = Traits::load(source[2 * pair + 1]);
          target[2 * pair] = Traits::store(x * cos[pair] - y * sin[pair]);
          target[2 * pair + 1] = Traits::store(y * cos[pair] + x * sin[pair]);
        }
      }
    }
  }
}

/// A row of libm's float sines, the angle a float product.
inline void libm_row(const std::vector<float>& inv_freq, std::int64_t position, float* cos,
                     float* sin) {
  for (std::size_t pair = 0; pair < inv_freq.size(); ++pair) {
    const float angle = static_cast<float>(position) * inv_freq[pair];
    sin[pair] = std::sin(angle);
    cos[pair] = std::cos(angle);
  }
}

/// The same with the angle, the sine and the cosine in double.
inline void libm_double_row(const std::vector<double>& inv_freq, std::int64_t position, float* cos,
                            float* sin) {
  for (std::size_t pair = 0; pair < inv_freq.size(); ++pair) {
    const double angle = static_cast<double>(position) * inv_freq[pair];
    sin[pair] = static_cast<float>(std::sin(angle));
    cos[pair] = static_cast<float>(std::cos(angle));
  }
}

#ifdef ROPEWALK_BENCH_EIGEN

template <typename T>
struct EigenElement {
  using Type = T;
};
template <>
struct EigenElement<ropewalk::float16> {
  using Type = Eigen::half;
};
template <>
struct EigenElement<ropewalk::bfloat16> {
  using Type = Eigen::bfloat16;
};

/// Half-split heads as array expressions, 16-bit elements cast to float and back.
template <typename T, typename Real>
void eigen_rotate(HeadView<const T> from, HeadView<T> to, Span<const std::int64_t> positions,
                  const PhaseTable<Real>& table, std::int64_t first_position) {
  using Element = typename EigenElement<T>::Type;
  using Row = Eigen::Map<const Eigen::Array<Real, Eigen::Dynamic, 1>>;
  using Source = Eigen::Map<const Eigen::Array<Element, Eigen::Dynamic, 1>>;
  using Result = Eigen::Map<Eigen::Array<Element, Eigen::Dynamic, 1>>;
  const int pairs = table.pairs;
  for (std::int64_t token = 0; token < from.tokens; ++token) {
    const std::int64_t row = positions[static_cast<std::size_t>(token)] - first_position;
    const Row cos(table.cos.data() + row * pairs, pairs);
    const Row sin(table.sin.data() + row * pairs, pairs);
    for (std::int64_t head = 0; head < from.heads; ++head) {
      const auto* source = reinterpret_cast<const Element*>(from.head(token, head));
      auto* target = reinterpret_cast<Element*>(to.head(token, head));
      const Source x(source, pairs);
      const Source y(source + pairs, pairs);
      Result(target, pairs) =
          (x.template cast<Real>() * cos - y.template cast<Real>() * sin).template cast<Element>();
      Result(target + pairs, pairs) =
          (y.template cast<Real>() * cos + x.template cast<Real>() * sin).template cast<Element>();
    }
  }
}

/// A row of float sines as array expressions.
inline void eigen_row(const std::vector<float>& inv_freq, std::int64_t position, float* cos,
                      float* sin) {
  using Row = Eigen::Map<const Eigen::ArrayXf>;
  const auto pairs = static_cast<Eigen::Index>(inv_freq.size());
  const Row step(inv_freq.data(), pairs);
  const auto scale = static_cast<float>(position);
  Eigen::Map<Eigen::ArrayXf>(sin, pairs) = (step * scale).sin();
  Eigen::Map<Eigen::ArrayXf>(cos, pairs) = (step * scale).cos();
}

#endif

}  // namespace ropewalk_bench
