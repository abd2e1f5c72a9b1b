// Angle errors of an engine, a block of positions at a time. Row 9.
#pragma once

#include <ropewalk/analysis/precision/angle_path.hpp>
#include <ropewalk/element.hpp>
#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/turns.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {

/// Positions looked at are below this: up to here the product with a float is exact in double.
inline constexpr std::int64_t kMaximumPrecisionPosition = std::int64_t{1} << 29;

namespace detail {

inline constexpr int kErrorBlock = 256;
// The most that rounding to nearest changes a number, relative.
inline constexpr double kFloatUnit = 0x1p-24;
inline constexpr double kDoubleUnit = 0x1p-53;
inline constexpr double kBfloat16Unit = 0x1p-8;

inline float round_to_bfloat16(float value) noexcept { return to_float(to_bfloat16(value)); }

/// A cosine as kept in a table.
inline double round_cosine(double value, CosineType type) noexcept {
  switch (type) {
    case CosineType::float64:
      return value;
    case CosineType::float32:
      return static_cast<double>(static_cast<float>(value));
    case CosineType::float16:
      return static_cast<double>(to_float(to_float16(static_cast<float>(value))));
    case CosineType::bfloat16:
      return static_cast<double>(round_to_bfloat16(static_cast<float>(value)));
  }
  return value;
}

/// The most that rounding a number of at most 1 to that type changes it.
inline double cosine_rounding(CosineType type) noexcept {
  switch (type) {
    case CosineType::float64:
      return 0.0;
    case CosineType::float32:
      return 0x1p-25;
    case CosineType::float16:
      return 0x1p-12 + 0x1p-25;  // by way of float
    case CosineType::bfloat16:
      return 0x1p-9 + 0x1p-25;
  }
  return 0.0;
}

/// Angle errors of consecutive positions, one pair after the other. Keeps references.
class PhaseErrors {
 public:
  PhaseErrors(const Spectrum& spectrum, const AnglePath& path) : spectrum_(spectrum), path_(path) {}

  const AnglePath& path() const noexcept { return path_; }
  std::int64_t first() const noexcept { return first_; }
  int count() const noexcept { return count_; }

  /// count <= kErrorBlock; positions in [0, kMaximumPrecisionPosition).
  void begin(std::int64_t first, int count) noexcept {
    first_ = first;
    count_ = count;
    pair_ = 0;
    const bool narrow = path_.formation == AngleFormation::bfloat16_product;
    for (int i = 0; i < count; ++i) {
      const auto position = static_cast<std::int32_t>(first) + i;
      position_[i] = static_cast<double>(position);
      const auto rounded = static_cast<float>(position);
      rounded_[i] = narrow ? round_to_bfloat16(rounded) : rounded;
      angle_[i] = rounded;
    }
  }

  double frequency(int pair) const noexcept {
    return spectrum_.inv_freq[static_cast<std::size_t>(pair)];
  }

  /// The frequency an engine holds for a pair, or would hold if its steps were not rounded.
  double held_frequency(int pair) const noexcept {
    const auto entry = static_cast<std::size_t>(pair);
    switch (path_.formation) {
      case AngleFormation::exact_turns:
      case AngleFormation::float64_product:
        return frequency(pair);
      case AngleFormation::float32_product:
        return static_cast<double>(path_.inv_freq[entry]);
      case AngleFormation::float32_recurrence:
        return static_cast<double>(pair_scale(pair)) *
               std::pow(static_cast<double>(path_.step), static_cast<double>(pair));
      case AngleFormation::bfloat16_product:
        return static_cast<double>(round_to_bfloat16(path_.inv_freq[entry]));
    }
    return 0.0;
  }

  /// Whether the pair never turns, neither here nor in the spectrum.
  bool stands_still(int pair) const noexcept {
    return frequency(pair) == 0.0 && held_frequency(pair) == 0.0;
  }

  /// A bound on |error| / position for positions up to `last`.
  double slope(int pair, std::int64_t last) const noexcept {
    const double held = held_frequency(pair);
    double rounding = 0.0;  // relative: of the position, and of every product
    switch (path_.formation) {
      case AngleFormation::exact_turns:
        return 0.0;
      case AngleFormation::float64_product:
        rounding = kDoubleUnit;
        break;
      case AngleFormation::float32_product:
        rounding = last > (1 << 24) ? 2.0 * kFloatUnit : kFloatUnit;
        break;
      case AngleFormation::float32_recurrence:
        rounding = static_cast<double>(pair + 2) * kFloatUnit;
        break;
      case AngleFormation::bfloat16_product:
        rounding = 2.0 * kBfloat16Unit;
        break;
    }
    // The margin covers products of roundings and the double arithmetic of this line.
    return (std::fabs(held - frequency(pair)) + held * rounding) * (1.0 + 0x1p-6);
  }

  /// (count(),) angle minus position times frequency, in radians; pairs in increasing order.
  ///   Max error    2^-52 of itself and 2^-77 of the angle
  const double* errors(int pair) noexcept {
    if (path_.formation == AngleFormation::exact_turns) {
      for (int i = 0; i < count_; ++i) error_[i] = 0.0;
      return error_;
    }
    form_angles(pair);
    // position * high is exact, and as near to the angle as it is, so is the first difference.
    const double high = static_cast<double>(static_cast<float>(frequency(pair)));
    const double low = frequency(pair) - high;
    for (int i = 0; i < count_; ++i) {
      error_[i] = (error_[i] - position_[i] * high) - position_[i] * low;
    }
    return error_;
  }

 private:
  float pair_scale(int pair) const noexcept {
    return path_.pair_scale.empty() ? 1.0f : path_.pair_scale[static_cast<std::size_t>(pair)];
  }

  /// The engine's angles, into error_.
  void form_angles(int pair) noexcept {
    const auto entry = static_cast<std::size_t>(pair);
    switch (path_.formation) {
      case AngleFormation::exact_turns:
        break;
      case AngleFormation::float64_product: {
        const double held = frequency(pair);
        for (int i = 0; i < count_; ++i) error_[i] = position_[i] * held;
        break;
      }
      case AngleFormation::float32_product: {
        const float held = path_.inv_freq[entry];
        for (int i = 0; i < count_; ++i) {
          const float angle = rounded_[i] * held;
          error_[i] = static_cast<double>(angle);
        }
        break;
      }
      case AngleFormation::float32_recurrence: {
        const float step = path_.step;
        for (; pair_ < pair; ++pair_) {
          for (int i = 0; i < count_; ++i) angle_[i] *= step;
        }
        const float scale = pair_scale(pair);
        for (int i = 0; i < count_; ++i) {
          const float angle = angle_[i] * scale;
          error_[i] = static_cast<double>(angle);
        }
        break;
      }
      case AngleFormation::bfloat16_product: {
        const float held = round_to_bfloat16(path_.inv_freq[entry]);
        for (int i = 0; i < count_; ++i) {
          error_[i] = static_cast<double>(round_to_bfloat16(rounded_[i] * held));
        }
        break;
      }
    }
  }

  const Spectrum& spectrum_;
  const AnglePath& path_;
  std::int64_t first_ = 0;
  int count_ = 0;
  int pair_ = 0;  // angle_ is that of this pair
  double position_[kErrorBlock] = {};
  float rounded_[kErrorBlock] = {};  // the position as the engine holds it
  float angle_[kErrorBlock] = {};    // float32_recurrence, before pair_scale
  double error_[kErrorBlock] = {};
};

/// The error of one cosine, the exact angle and its error given.
inline double cosine_error_of(Turns exact, double phase_error, CosineType type) noexcept {
  const SinCos<double> value = sincos_double(exact);
  const double half = std::sin(0.5 * phase_error);
  const double change = -2.0 * half * half * value.cos - std::sin(phase_error) * value.sin;
  if (type == CosineType::float64) return change;
  return round_cosine(value.cos + change, type) - value.cos;
}

/// Errc::ok, or what cannot be computed with.
inline Fault check_path(const Spectrum& spectrum, const AnglePath& path) noexcept {
  if (spectrum.inv_freq.empty()) return {Errc::wrong_length, "spectrum", 0.0};
  const std::size_t pairs = spectrum.inv_freq.size();
  const bool held = path.formation == AngleFormation::float32_product ||
                    path.formation == AngleFormation::bfloat16_product;
  if (held && path.inv_freq.size() != pairs) {
    return {Errc::wrong_length, "path.inv_freq", static_cast<double>(path.inv_freq.size())};
  }
  if (!path.pair_scale.empty() && path.pair_scale.size() != pairs) {
    return {Errc::wrong_length, "path.pair_scale", static_cast<double>(path.pair_scale.size())};
  }
  constexpr double largest = 0x1p32;  // radians per token: far beyond any, and angles stay finite
  Fault fault;
  const auto check = [&fault](const char* field, double value, std::size_t entry) noexcept {
    if (fault.code != Errc::ok) return;
    fault = check_at_least(field, value, 0.0);
    if (fault.code == Errc::ok && value > largest) fault = {Errc::above_maximum, field, value};
    fault.index = static_cast<int>(entry);
  };
  for (std::size_t entry = 0; entry < pairs; ++entry) {
    check("inv_freq", spectrum.inv_freq[entry], entry);
    if (held) check("path.inv_freq", static_cast<double>(path.inv_freq[entry]), entry);
    if (!path.pair_scale.empty()) {
      check("path.pair_scale", static_cast<double>(path.pair_scale[entry]), entry);
    }
  }
  if (fault.code != Errc::ok) return fault;
  if (path.formation != AngleFormation::float32_recurrence) return {};
  fault = check_positive("path.step", static_cast<double>(path.step));
  if (fault.code == Errc::ok && path.step > 1.0f) {
    fault = {Errc::above_maximum, "path.step", static_cast<double>(path.step)};
  }
  return fault;
}

}  // namespace detail

}  // namespace v0
}  // namespace ropewalk
