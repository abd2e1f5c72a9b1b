// What one unit of the two tells the other.
#pragma once

#include <ropewalk/ropewalk.hpp>

#include <cstdint>

struct Seen {
  const int* version;
  double (*theta_for_length)(const ropewalk::RopeConfig&, std::int64_t);
  ropewalk::Spectrum (*spectrum)(const ropewalk::RopeConfig&, const ropewalk::Scaling&);
  double inv_freq;
};

Seen seen_from_the_other_unit();
