// Errors in units in the last place of the exact value, and the loop that measures a function.
#pragma once

#include "catch.hpp"
#include "mpfr.hpp"
#include "random.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>

namespace ropewalk_test {

/// |value - exact| in units in the last place of a double of the exact value's size; infinite for
/// NaN and infinities. A correctly rounded result has at most 0.5.
inline double ulp_error(double value, const Mpfr& exact) {
  const Mpfr computed = value;
  if (!computed.is_finite()) return std::numeric_limits<double>::infinity();
  if (exact.is_zero()) return computed.is_zero() ? 0.0 : std::numeric_limits<double>::infinity();
  const long last_place = (std::max)(static_cast<long>(mpfr_get_exp(exact.get())) - 53, -1074L);
  return ldexp(abs(computed - exact), -last_place).to_double();
}

/// By how much a relative change of the inputs is enlarged: the sum over the first `perturbed`
/// inputs of |f(x (1 + h)) - f(x)| / (h |f(x)|) with h = 2^-64, in 192 bits.
template <std::size_t Inputs, typename Reference>
double condition_number(const Reference& reference, const std::array<double, Inputs>& inputs,
                        std::size_t perturbed = Inputs) {
  std::array<Mpfr, Inputs> point;
  for (std::size_t i = 0; i < Inputs; ++i) point[i] = inputs[i];
  const Mpfr value = reference(point);
  if (value.is_zero()) return 0.0;
  const Mpfr nudge = Mpfr(1) + ldexp(Mpfr(1), -64);
  double sum = 0.0;
  for (std::size_t i = 0; i < perturbed; ++i) {
    point[i] = Mpfr(inputs[i]) * nudge;
    sum += ldexp(abs((reference(point) - value) / value), 64).to_double();
    point[i] = inputs[i];
  }
  return sum;
}

enum class Against { flat, condition };

/// What a function promises: at most `ulps` (Against::flat), or that times max(1, condition
/// number).
struct Bound {
  double ulps;            // as IEEE 754 computes
  double fast_math_ulps;  // with -ffast-math: what was measured, times a margin of about 2
  Against against = Against::flat;

  double now() const {
#ifdef ROPEWALK_TEST_FAST_MATH
    return fast_math_ulps;
#else
    return ulps;
#endif
  }
};

/// Runs `function` on random inputs, compares with `reference`, prints one line with the largest
/// error found and fails when one is over the bound.
///   draw        Random& -> std::array<double, n>; whole numbers travel as doubles
///   function    const std::array<double, n>& -> double
///   reference   const std::array<Mpfr, n>& -> Mpfr, the formula as printed
///   perturbed   how many leading inputs are real numbers that enter the condition number
template <typename Draw, typename Function, typename Reference>
void measure(const char* name, Bound bound, std::size_t perturbed, Draw draw, Function function,
             Reference reference) {
  Random random(name);
  using Inputs = decltype(draw(random));
  constexpr std::size_t size = std::tuple_size<Inputs>::value;
  const std::uint64_t iterations = test_iterations();
  double largest = 0.0;
  double largest_conditioned = 0.0;
  double over_bound = 0.0;
  Inputs worst{};
  Inputs offending{};
  for (std::uint64_t iteration = 0; iteration < iterations; ++iteration) {
    const Inputs inputs = draw(random);
    std::array<Mpfr, size> exact_inputs;
    for (std::size_t i = 0; i < size; ++i) exact_inputs[i] = inputs[i];
    const double error = ulp_error(function(inputs), reference(exact_inputs));
    if (!(error <= largest)) {
      largest = error;
      worst = inputs;
    }
    // Costs several references, so only where it can matter: over the bound, or now and then where
    // it could raise the largest quotient, which is for information.
    double conditioned = error;
    const bool over = !(error <= bound.now());
    if (over || (error > largest_conditioned && iteration % 16 == 0)) {
      conditioned = error / (std::max)(1.0, condition_number(reference, inputs, perturbed));
      largest_conditioned = (std::max)(largest_conditioned, conditioned);
    }
    const double judged = bound.against == Against::flat ? error : conditioned;
    if (over && !(judged <= bound.now()) && !(judged <= over_bound)) {
      over_bound = judged;
      offending = inputs;
    }
  }
  const auto text = [](const Inputs& inputs) {
    std::string list;
    for (const double input : inputs) {
      char number[40];
      std::snprintf(number, sizeof number, " %.17g", input);
      list += number;
    }
    return list;
  };
  std::printf("accuracy %-34s max %8.3f ULP, %8.3f over max(1, condition), at%s\n", name, largest,
              largest_conditioned, text(worst).c_str());
  INFO(seed_text());
  INFO(name << " at" << text(offending));
  CHECK(over_bound <= 0.0);
}

}  // namespace ropewalk_test
