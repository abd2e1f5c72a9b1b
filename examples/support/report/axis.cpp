#include <support/report/axis.hpp>
#include <support/report/svg.hpp>

#include <algorithm>
#include <cmath>

namespace report {

namespace {

constexpr double kRounding = 1e-9;  // of an axis' end that a tick may miss

/// A power of ten, exact for the exponents that occur.
double power_of_ten(int exponent) {
  double power = 1.0;
  for (int step = exponent < 0 ? -exponent : exponent; step > 0; --step) power *= 10.0;
  return exponent < 0 ? 1.0 / power : power;
}

std::string tokens_text(double value) {
  if (value >= 1e12) return "1e" + fixed(std::round(std::log10(value)), 0);
  for (const auto& [unit, suffix] : {std::pair{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    if (value >= unit) return fixed(value / unit, 0) + suffix;
  }
  return fixed(value, 0);
}

std::string power_text(double value) {
  const int exponent = static_cast<int>(std::lround(std::log10(value)));
  if (exponent > 5 || exponent < -4) return "1e" + std::to_string(exponent);
  return exponent >= 0 ? fixed(value, 0) : fixed(value, -exponent);
}

std::string ratio_text(double value) {
  return value < 1.0 ? "1/" + fixed(1.0 / value, 0) : fixed(value, 0);
}

std::vector<Tick> linear_ticks(const Axis& axis, double length, double spacing) {
  const double least = (axis.high - axis.low) * spacing / length;
  const int exponent = static_cast<int>(std::floor(std::log10(least)));
  double step = 0.0;
  for (const double multiple : {1.0, 2.0, 5.0, 10.0}) {
    step = multiple * power_of_ten(exponent);
    if (step >= least * (1.0 - kRounding)) break;
  }
  const int decimals = step < 1.0 ? static_cast<int>(std::ceil(-std::log10(step) - kRounding)) : 0;
  std::vector<Tick> found;
  const auto first = static_cast<int>(std::ceil(axis.low / step - kRounding));
  const auto last = static_cast<int>(std::floor(axis.high / step + kRounding));
  for (int index = first; index <= last; ++index)
    found.push_back({index * step, fixed(index * step, decimals)});
  return found;
}

/// Ticks at powers of a base, every n-th with text.
std::vector<Tick> power_ticks(const Axis& axis, double length, double spacing) {
  const bool halves = axis.scale == AxisScale::ratios;
  const double base = halves ? 2.0 : 10.0;
  const double unit = std::log(base);
  const int first = static_cast<int>(std::ceil(std::log(axis.low) / unit - kRounding));
  const int last = static_cast<int>(std::floor(std::log(axis.high) / unit + kRounding));
  const double per_power = length * unit / std::log(axis.high / axis.low);
  const int every = std::max(1, static_cast<int>(std::ceil(spacing / per_power - kRounding)));
  std::vector<Tick> found;
  for (int exponent = first - 1; exponent <= last; ++exponent) {
    const double value = halves ? std::ldexp(1.0, exponent) : power_of_ten(exponent);
    const bool labelled = exponent % every == 0;
    std::string text;
    if (labelled && axis.scale == AxisScale::tokens) text = tokens_text(value);
    if (labelled && axis.scale == AxisScale::powers) text = power_text(value);
    if (labelled && halves) text = ratio_text(value);
    found.push_back({value, text});
    // Where a decade is wide, 2 and 5 of it as well: from 5 to 10 it is the narrowest.
    if (axis.scale != AxisScale::tokens || per_power * std::log10(2.0) < spacing) continue;
    for (const double multiple : {2.0, 5.0})
      found.push_back({multiple * value, tokens_text(multiple * value)});
  }
  std::erase_if(found, [&](const Tick& tick) {
    return tick.value < axis.low * (1.0 - kRounding) || tick.value > axis.high * (1.0 + kRounding);
  });
  return found;
}

}  // namespace

double Axis::position(double value) const {
  const double held = std::clamp(value, low, high);
  if (scale == AxisScale::linear) return (held - low) / (high - low);
  return std::log(held / low) / std::log(high / low);
}

std::vector<Tick> ticks(const Axis& axis, double length, double spacing) {
  return axis.scale == AxisScale::linear ? linear_ticks(axis, length, spacing)
                                         : power_ticks(axis, length, spacing);
}

}  // namespace report
