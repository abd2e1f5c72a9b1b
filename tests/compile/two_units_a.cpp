// Half of a program of two units that both include the umbrella: a definition that is not inline
// does not link, one that is static has two addresses.
#include "two_units.hpp"

#include <cstdio>

// NOLINTNEXTLINE(bugprone-exception-escape): an exception would fail the test
int main() {
  const ropewalk::Spectrum here =
      ropewalk::spectrum({128, 128, 500000.0, 8192}, ropewalk::Linear{4.0});
  const Seen there = seen_from_the_other_unit();
  if (&ropewalk::kVersionMajor != there.version ||
      &ropewalk::theta_for_length != there.theta_for_length ||
      static_cast<decltype(there.spectrum)>(&ropewalk::spectrum) != there.spectrum ||
      static_cast<Rotate*>(&ropewalk::rotate<ropewalk::simd::Portable>) != there.rotate ||
      here.inv_freq[1] != there.inv_freq) {
    std::puts("the two units do not share their definitions");
    return 1;
  }
  return 0;
}
