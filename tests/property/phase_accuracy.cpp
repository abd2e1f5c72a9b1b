// phase.hpp against 192 bits: the product of the double and the position, its cosine and sine.
#include <ropewalk/phase.hpp>
#include <ropewalk/simd/phase.hpp>

#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

/// Errors of many sines and cosines.
struct Errors {
  std::int64_t values = 0;
  std::int64_t misrounded = 0;
  double absolute = 0.0;
  double ulps = 0.0;        // of all values
  double large_ulps = 0.0;  // of values of at least 2^-14

  template <typename Real>
  void count(Real value, const Mpfr& exact) {
    constexpr bool is_float = sizeof(Real) == sizeof(float);
    const Mpfr error = abs(Mpfr(static_cast<double>(value)) - exact);
    ++values;
    absolute = (std::max)(absolute, error.to_double());
    if (exact.is_zero()) return;
    const long exponent = static_cast<long>(mpfr_get_exp(exact.get()));
    const double in_ulps = ldexp(error, (is_float ? 24 : 53) - exponent).to_double();
    ulps = (std::max)(ulps, in_ulps);
    if (exponent > -14) large_ulps = (std::max)(large_ulps, in_ulps);
    if (is_float) {
      misrounded += static_cast<float>(value) != mpfr_get_flt(exact.get(), MPFR_RNDN);
    } else {
      misrounded += static_cast<double>(value) != exact.to_double();
    }
  }

  void print(const char* name) const {
    std::printf(
        "accuracy %-36s %8lld values, %8.2f misrounded per million, max %.3g absolute, "
        "%.8f ULP, %.8f from 2^-14 on\n",
        name, static_cast<long long>(values),
        1e6 * static_cast<double>(misrounded) / static_cast<double>(values), absolute, ulps,
        large_ulps);
  }
};

struct Exact {
  Mpfr sin;
  Mpfr cos;
};

/// The two factors carry 53 and at most 64 bits, so their product is exact.
Exact exact_values(double inv_freq, std::int64_t position) {
  const Mpfr angle = Mpfr(inv_freq) * Mpfr(position);
  Exact result;
  mpfr_sin_cos(result.sin.get(), result.cos.get(), angle.get(), MPFR_RNDN);
  return result;
}

double random_frequency(Random& random) {
  if (random.one_in(16)) return 1.0;  // pair 0 of every model
  const double theta = random.log_uniform(1e3, 1e10);
  return std::pow(theta, -random.unit());
}

std::int64_t random_position(Random& random, int bits) {
  return static_cast<std::int64_t>(random.bits() >> 1) >> (63 - bits);
}

struct Range {
  const char* name;
  int bits;
};
constexpr Range kRanges[] = {{"positions below 2^13", 13},
                             {"positions below 2^20", 20},
                             {"positions below 2^31", 31},
                             {"positions below 2^63", 63}};

std::uint64_t pairs_per_range() { return test_iterations(50000); }

// Single angles below 2^31: more than 10^6 in three ranges, a cosine and a sine each.
std::uint64_t single_angles(const Range& range) {
  return test_iterations(range.bits <= 31 ? 350000 : 50000);
}

/// The bounds of rows formed directly, for one kernel.
template <typename Kernel>
void check_rows(const std::string& name) {
  for (const Range& range : kRanges) {
    Random random(range.name);
    INFO(seed_text());
    INFO(range.name);
    constexpr int kPairs = 20;
    Errors as_float;
    Errors as_double;
    for (std::uint64_t i = 0; i < pairs_per_range() / kPairs; ++i) {
      rw::Spectrum spectrum;
      for (int pair = 0; pair < kPairs; ++pair) {
        spectrum.inv_freq.push_back(random_frequency(random));
      }
      const std::int64_t magnitude = random_position(random, range.bits);
      const std::int64_t position = random.one_in(4) ? -magnitude : magnitude;
      const rw::PhaseTurns turns = rw::phase_turns(spectrum);
      float cos[kPairs];
      float sin[kPairs];
      double precise_cos[kPairs];
      double precise_sin[kPairs];
      rw::fill_phase_row<Kernel>(turns, position, 1.0, cos, sin);
      rw::fill_phase_row<Kernel>(turns, position, 1.0, precise_cos, precise_sin);
      for (std::size_t pair = 0; pair < kPairs; ++pair) {
        const Exact exact = exact_values(spectrum.inv_freq[pair], position);
        as_float.count(cos[pair], exact.cos);
        as_float.count(sin[pair], exact.sin);
        as_double.count(precise_cos[pair], exact.cos);
        as_double.count(precise_sin[pair], exact.sin);
      }
    }
    as_float.print((name + " float row, " + range.name).c_str());
    as_double.print((name + " double row, " + range.name).c_str());
    CHECK(as_float.absolute <= 0x1p-25 * 1.000001);
    CHECK(as_float.ulps <= 0.5000001);
    CHECK(as_float.misrounded <= 1 + as_float.values / 10000000);
    if (range.bits <= 31) CHECK(as_double.ulps <= 4.5);
    CHECK(as_double.absolute <= 2.0e-16);
  }
}

/// The bounds of consecutive tables, for one kernel.
template <typename Kernel>
void check_consecutive_tables(const std::string& name) {
  for (const Range& range : kRanges) {
    Random random(range.name);
    INFO(seed_text());
    INFO(range.name);
    constexpr int kPairs = 5;
    constexpr int kRows = 40;
    Errors as_float;
    Errors as_double;
    for (std::uint64_t i = 0; i < pairs_per_range() / (kPairs * kRows); ++i) {
      rw::Spectrum spectrum;
      for (int pair = 0; pair < kPairs; ++pair) {
        spectrum.inv_freq.push_back(random_frequency(random));
      }
      const std::int64_t first = random_position(random, range.bits) - 20;
      if (first > (std::int64_t{1} << 62)) continue;  // keeps first + kRows in range
      const auto table = rw::phase_table<float, Kernel>(spectrum, first, kRows);
      const auto precise = rw::phase_table<double, Kernel>(spectrum, first, kRows);
      std::size_t entry = 0;
      for (int row = 0; row < kRows; ++row) {
        for (const double inv_freq : spectrum.inv_freq) {
          const Exact exact = exact_values(inv_freq, first + row);
          as_float.count(table.cos[entry], exact.cos);
          as_float.count(table.sin[entry], exact.sin);
          as_double.count(precise.cos[entry], exact.cos);
          as_double.count(precise.sin[entry], exact.sin);
          ++entry;
        }
      }
    }
    as_float.print((name + " float table, " + range.name).c_str());
    as_double.print((name + " double table, " + range.name).c_str());
    CHECK(as_float.absolute <= 0x1p-25 * 1.000001);
    CHECK(as_float.large_ulps <= 0.5001);
    CHECK(as_float.misrounded <= 1 + as_float.values / 10000000);
    CHECK(as_double.absolute <= 4e-16);
  }
}

}  // namespace

TEST_CASE("single angles are correctly rounded as float and within 4.5 ULP as double") {
  for (const Range& range : kRanges) {
    Random random(range.name);
    INFO(seed_text());
    INFO(range.name);
    Errors as_float;
    Errors as_double;
    for (std::uint64_t i = 0; i < single_angles(range); ++i) {
      const double inv_freq = random_frequency(random);
      const std::int64_t magnitude = random_position(random, range.bits);
      const std::int64_t position = random.one_in(4) ? -magnitude : magnitude;
      const rw::PhaseTurns turns = rw::phase_turns(rw::Spectrum{{inv_freq}, 1.0});
      const Exact exact = exact_values(inv_freq, position);
      const rw::SinCos<float> rounded = rw::sincos_float(rw::phase_words(turns, position, 0));
      as_float.count(rounded.cos, exact.cos);
      as_float.count(rounded.sin, exact.sin);
      const rw::SinCos<double> precise = rw::sincos_double(rw::phase_words(turns, position, 0));
      as_double.count(precise.cos, exact.cos);
      as_double.count(precise.sin, exact.sin);
    }
    as_float.print((std::string("float, direct, ") + range.name).c_str());
    as_double.print((std::string("double, direct, ") + range.name).c_str());
    CHECK(as_float.absolute <= 0x1p-25 * 1.000001);
    CHECK(as_float.ulps <= 0.5000001);
    // One value in about 10^9 lies so near to a rounding boundary that a double cannot tell.
    CHECK(as_float.misrounded <= 1 + as_float.values / 10000000);
    // At 2^63 tokens the 2^-129 turns of the step have grown to 2^-66.
    if (range.bits <= 31) CHECK(as_double.ulps <= 4.5);
    CHECK(as_double.absolute <= 2.0e-16);
  }
}

TEST_CASE("consecutive tables are good to 4e-16 before they are rounded") {
  check_consecutive_tables<rw::simd::PortablePhase>("plain");
}

TEST_CASE("the machine's own kernel keeps the bounds of rows and tables") {
  check_rows<rw::simd::NativePhase>("native");
  check_consecutive_tables<rw::simd::NativePhase>("native");
}

#if defined(__x86_64__) && defined(__GNUC__)
TEST_CASE("kernels of other x86 machines keep the bounds too") {
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    check_rows<rw::simd::Avx2Phase>("avx2");
    check_consecutive_tables<rw::simd::Avx2Phase>("avx2");
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
    check_rows<rw::simd::Avx512Phase>("avx512");
    check_consecutive_tables<rw::simd::Avx512Phase>("avx512");
  }
  if (__builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi2")) {
    check_rows<rw::simd::Avx512IfmaPhase>("avx512 ifma");
  }
}
#endif

TEST_CASE("steps are the nearest 2^-128 turns of the double") {
  Random random("steps");
  INFO(seed_text());
  double largest = 0.0;
  for (std::uint64_t i = 0; i < test_iterations(50000); ++i) {
    const double inv_freq =
        random.one_in(4) ? random.log_uniform(1e-300, 1e-30) : random.log_uniform(1e-30, 0x1p40);
    const rw::PhaseTurns turns = rw::phase_turns(rw::Spectrum{{inv_freq}, 1.0});
    // 192 bits of the quotient leave 24 below the unit at 2^40 radians.
    const Mpfr units = ldexp(Mpfr(inv_freq) / (Mpfr(2) * Mpfr::pi()), 128);
    Mpfr step = ldexp(Mpfr(static_cast<double>(turns.high[0] >> 32)), 96);
    step = step + ldexp(Mpfr(static_cast<double>(turns.high[0] & 0xffffffffu)), 64);
    step = step + ldexp(Mpfr(static_cast<double>(turns.low[0] >> 32)), 32);
    step = step + Mpfr(static_cast<double>(turns.low[0] & 0xffffffffu));
    const Mpfr turn = ldexp(Mpfr(1), 128);
    const Mpfr off = units - step;
    largest = (std::max)(largest, abs(off - turn * rint(off / turn)).to_double());
  }
  std::printf("accuracy %-36s max %.6f of 2^-128 turns\n", "phase_turns", largest);
  CHECK(largest <= 0.500001);
}

TEST_CASE("the float32 table rounds the cosine and sine of its float angles correctly") {
  Random random("float32 table");
  INFO(seed_text());
  Errors errors;
  for (std::uint64_t i = 0; i < pairs_per_range(); ++i) {
    const auto inv_freq = static_cast<float>(random_frequency(random));
    const int bits = static_cast<int>(random.integer(1, 40));
    const std::int64_t magnitude = random_position(random, bits);
    const std::int64_t position = random.one_in(4) ? -magnitude : magnitude;
    const auto table =
        rw::phase_table_float32(rw::Span<const float>(&inv_freq, 1), 1.0, position, 1);
    const float angle = rw::angle_float32(position, inv_freq);
    const Exact exact = exact_values(static_cast<double>(angle), 1);
    errors.count(table.cos[0], exact.cos);
    errors.count(table.sin[0], exact.sin);
  }
  errors.print("float32-compatible table");
  CHECK(errors.ulps <= 0.5000001);
}
