// The other half of two_units_a.cpp.
#include "two_units.hpp"

Seen seen_from_the_other_unit() {
  const ropewalk::Spectrum linear =
      ropewalk::spectrum({128, 128, 500000.0, 8192}, ropewalk::Linear{4.0});
  return {&ropewalk::kVersionMajor, &ropewalk::theta_for_length, &ropewalk::spectrum,
          &ropewalk::rotate<ropewalk::simd::Portable>, linear.inv_freq[1]};
}
