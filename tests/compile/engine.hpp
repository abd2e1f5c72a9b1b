// What the units of the program engine_flags share: expectations without a test framework.
#pragma once

#include <ropewalk/ropewalk.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

inline int failures = 0;

/// Relative; 1e-11 suits vectors that are printed with at least 12 digits.
inline void expect(const char* name, double got, double expected, double tolerance = 1e-11) {
  if (std::fabs(got - expected) <= tolerance * std::fabs(expected)) return;
  std::printf("%s: expected %.17g, got %.17g\n", name, expected, got);
  ++failures;
}

inline void expect_equal(const char* name, std::int64_t got, std::int64_t expected) {
  if (got == expected) return;
  std::printf("%s: expected %lld, got %lld\n", name, static_cast<long long>(expected),
              static_cast<long long>(got));
  ++failures;
}

inline void expect_refused(const char* name, const ropewalk::Fault& fault, ropewalk::Errc code,
                           const char* field) {
  if (fault.code == code && std::strcmp(fault.field, field) == 0) return;
  std::printf("%s: expected %s to be refused, got '%s' %s\n", name, field, fault.field,
              ropewalk::message(fault.code));
  ++failures;
}

// From bits, because -ffast-math knows no NaN and no infinity.
inline double from_bits(std::uint64_t bits) {
  double value = 0.0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// engine_rotation.cpp
void elements();
void phases();
void rotations();
void kernels();
void cache_shifts();
void positions();
void position_refusals();

// engine_attention.cpp
void attentions();

// engine_head_scale.cpp
void head_scales();

// engine_analysis.cpp
void coverages();
void cosine_sums();
void theta_scans();
void precision();
void comparisons();
void explanations();
void plans();
void samplers();
void factor_searches();

// engine_evaluation.cpp
void evaluations();
