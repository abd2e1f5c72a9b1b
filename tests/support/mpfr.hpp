// A number of 192 bits for expected values: MPFR without its memory management. Every operation
// rounds to nearest, so expected values carry about 139 more bits than a double.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <type_traits>

#include <gmp.h>

// Before <mpfr.h>: makes mpfr_set_sj available.
#ifndef MPFR_USE_INTMAX_T
#define MPFR_USE_INTMAX_T 1
#endif
#include <mpfr.h>

namespace ropewalk_test {

class Mpfr {
 public:
  static constexpr int kBits = 192;

  Mpfr() { initialize(); }
  Mpfr(double value) : Mpfr() { mpfr_set_d(number_, value, MPFR_RNDN); }
  template <typename Integer, std::enable_if_t<std::is_integral_v<Integer>, int> = 0>
  Mpfr(Integer value) : Mpfr() {
    mpfr_set_sj(number_, static_cast<std::intmax_t>(value), MPFR_RNDN);
  }
  Mpfr(const Mpfr& other) : Mpfr() { mpfr_set(number_, other.number_, MPFR_RNDN); }
  Mpfr& operator=(const Mpfr& other) {
    mpfr_set(number_, other.number_, MPFR_RNDN);
    return *this;
  }

  /// The decimal number exactly as written, unlike the nearest double.
  static Mpfr decimal(const char* text) {
    Mpfr result;
    mpfr_set_str(result.number_, text, 10, MPFR_RNDN);
    return result;
  }
  static Mpfr pi() {
    static const Mpfr value = [] {
      Mpfr result;
      mpfr_const_pi(result.number_, MPFR_RNDN);
      return result;
    }();
    return value;
  }

  mpfr_ptr get() { return number_; }
  mpfr_srcptr get() const { return number_; }
  double to_double() const { return mpfr_get_d(number_, MPFR_RNDN); }
  bool is_zero() const { return mpfr_zero_p(number_) != 0; }
  bool is_finite() const { return mpfr_number_p(number_) != 0; }
  std::string to_string(int digits = 25) const {
    char text[96];
    mpfr_snprintf(text, sizeof text, "%.*Rg", digits, number_);
    return text;
  }

 private:
  void initialize() {
    mpfr_custom_init(limbs_.data(), kBits);
    mpfr_custom_init_set(number_, MPFR_ZERO_KIND, 0, kBits, limbs_.data());
  }

  // On the stack: allocating would take as long as adding.
  std::array<mp_limb_t, (kBits + GMP_NUMB_BITS - 1) / GMP_NUMB_BITS> limbs_;
  mpfr_t number_;
};

template <typename Operation>
Mpfr unary(const Mpfr& a, Operation operation) {
  Mpfr result;
  operation(result.get(), a.get(), MPFR_RNDN);
  return result;
}

template <typename Operation>
Mpfr binary(const Mpfr& a, const Mpfr& b, Operation operation) {
  Mpfr result;
  operation(result.get(), a.get(), b.get(), MPFR_RNDN);
  return result;
}

inline Mpfr operator+(const Mpfr& a, const Mpfr& b) { return binary(a, b, mpfr_add); }
inline Mpfr operator-(const Mpfr& a, const Mpfr& b) { return binary(a, b, mpfr_sub); }
inline Mpfr operator*(const Mpfr& a, const Mpfr& b) { return binary(a, b, mpfr_mul); }
inline Mpfr operator/(const Mpfr& a, const Mpfr& b) { return binary(a, b, mpfr_div); }
inline Mpfr operator-(const Mpfr& a) { return unary(a, mpfr_neg); }

inline bool operator<(const Mpfr& a, const Mpfr& b) { return mpfr_less_p(a.get(), b.get()) != 0; }
inline bool operator>(const Mpfr& a, const Mpfr& b) { return b < a; }
inline bool operator<=(const Mpfr& a, const Mpfr& b) {
  return mpfr_lessequal_p(a.get(), b.get()) != 0;
}
inline bool operator>=(const Mpfr& a, const Mpfr& b) { return b <= a; }
inline bool operator==(const Mpfr& a, const Mpfr& b) { return mpfr_equal_p(a.get(), b.get()) != 0; }

inline Mpfr abs(const Mpfr& a) { return unary(a, mpfr_abs); }
inline Mpfr log(const Mpfr& a) { return unary(a, mpfr_log); }
inline Mpfr log1p(const Mpfr& a) { return unary(a, mpfr_log1p); }
inline Mpfr exp(const Mpfr& a) { return unary(a, mpfr_exp); }
inline Mpfr expm1(const Mpfr& a) { return unary(a, mpfr_expm1); }
inline Mpfr sqrt(const Mpfr& a) { return unary(a, mpfr_sqrt); }
inline Mpfr cos(const Mpfr& a) { return unary(a, mpfr_cos); }
inline Mpfr sin(const Mpfr& a) { return unary(a, mpfr_sin); }
inline Mpfr rint(const Mpfr& a) { return unary(a, mpfr_rint); }  // ties to even
inline Mpfr pow(const Mpfr& a, const Mpfr& b) { return binary(a, b, mpfr_pow); }
inline Mpfr floor(const Mpfr& a) {
  Mpfr result;
  mpfr_floor(result.get(), a.get());
  return result;
}
inline Mpfr ceil(const Mpfr& a) {
  Mpfr result;
  mpfr_ceil(result.get(), a.get());
  return result;
}
/// a * 2^exponent, exact.
inline Mpfr ldexp(const Mpfr& a, long exponent) {
  Mpfr result;
  mpfr_mul_2si(result.get(), a.get(), exponent, MPFR_RNDN);
  return result;
}

}  // namespace ropewalk_test
