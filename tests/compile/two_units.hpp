// What one unit of the two tells the other.
#pragma once

#include <ropewalk/ropewalk.hpp>

#include <cstdint>

using Rotate = void(const ropewalk::HeadView<ropewalk::bfloat16>&,
                    ropewalk::Span<const std::int64_t>, const ropewalk::PhaseTurns&,
                    ropewalk::Pairing, const ropewalk::RotateOptions&);

struct Seen {
  const int* version;
  double (*theta_for_length)(const ropewalk::RopeConfig&, std::int64_t);
  ropewalk::Spectrum (*spectrum)(const ropewalk::RopeConfig&, const ropewalk::Scaling&);
  Rotate* rotate;
  double inv_freq;
};

Seen seen_from_the_other_unit();
