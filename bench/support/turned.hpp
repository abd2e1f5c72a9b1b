// The reference that answers are held to before they are timed: long double angles.
#pragma once

#include <ropewalk/element.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/rope_config.hpp>
#include <ropewalk/spectrum.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace ropewalk_bench {

using ropewalk::HeadView;
using ropewalk::Pairing;
using ropewalk::Span;

inline ropewalk::Spectrum spectrum_for(int head_dim) {
  ropewalk::RopeConfig config;
  config.head_dim = head_dim;
  config.rotary_dim = head_dim;
  config.theta = 500000.0;
  return ropewalk::spectrum(config);
}

/// The first, the middle and the last token as they were, and whether a view holds them turned.
template <typename T>
class Turned {
 public:
  Turned(HeadView<T> source, const ropewalk::Spectrum& spectrum,
         const std::vector<std::int64_t>& positions, Pairing pairing)
      : spectrum_(spectrum), pairing_(pairing) {
    for (const std::int64_t token : {std::int64_t{0}, source.tokens / 2, source.tokens - 1}) {
      Kept kept;
      kept.token = token;
      kept.position = positions[static_cast<std::size_t>(token)];
      const T* const first = source.head(token, 0);
      kept.heads.assign(first, first + source.heads * source.head_dim);
      kept_.push_back(kept);
    }
  }

  /// Within the rounding of the element: with u = 2^-24 (double 2^-53) and n = |(x, y)|, 3.1 u n of
  /// rotate.hpp and 1.5 u n of the table, half a unit of a 16-bit type. Long double angles are good
  /// to 2^-46 here, which matters to doubles only.
  bool holds(HeadView<const T> to) const {
    using Traits = ropewalk::ElementTraits<T>;
    const double unit = std::is_same_v<T, double> ? 0x1p-53 : 0x1p-24;
    const double store = std::is_same_v<T, ropewalk::float16>    ? 0x1p-11
                         : std::is_same_v<T, ropewalk::bfloat16> ? 0x1p-8
                                                                 : 0.0;
    const auto pairs = static_cast<int>(spectrum_.inv_freq.size());
    const bool half = pairing_ == Pairing::half_split;
    const auto value = [](T element) { return static_cast<double>(Traits::load(element)); };
    bool right = true;
    for (const Kept& kept : kept_) {
      for (int pair = 0; pair < pairs; ++pair) {
        const long double step = spectrum_.inv_freq[static_cast<std::size_t>(pair)];
        const long double angle = static_cast<long double>(kept.position) * step;
        const double cos = static_cast<double>(std::cos(angle));
        const double sin = static_cast<double>(std::sin(angle));
        const int first = half ? pair : 2 * pair;
        const int second = half ? pair + pairs : 2 * pair + 1;
        for (std::int64_t head = 0; head < to.heads; ++head) {
          const T* const source = kept.heads.data() + head * to.head_dim;
          const T* const result = to.head(kept.token, head);
          const double x = value(source[first]);
          const double y = value(source[second]);
          const double bound =
              std::hypot(x, y) * ((3.1 + 1.5) * unit + store + 0x1p-44) + 0x1p-25 * store;
          // Written so that no NaN passes.
          right = right && std::abs(value(result[first]) - (x * cos - y * sin)) <= bound &&
                  std::abs(value(result[second]) - (y * cos + x * sin)) <= bound;
        }
      }
    }
    return right;
  }

 private:
  struct Kept {
    std::int64_t token = 0;
    std::int64_t position = 0;
    std::vector<T> heads;  // (heads, head_dim)
  };
  ropewalk::Spectrum spectrum_;
  Pairing pairing_;
  std::vector<Kept> kept_;
};

}  // namespace ropewalk_bench
