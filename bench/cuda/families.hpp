// What is measured, a file each.
#pragma once

#include "support/bench.hpp"
#include "support/device.cuh"

namespace ropewalk_bench {

/// A copy and a matrix product: what the others are read against.
void measure_ceilings(Report& report, const Device& device);

void rotary_cases(Report& report, const Device& device);
void cache_write_cases(Report& report, const Device& device);
void forward_cases(Report& report, const Device& device);
void decode_cases(Report& report, const Device& device);
void gradient_cases(Report& report, const Device& device);

}  // namespace ropewalk_bench
