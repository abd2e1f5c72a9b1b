// A table in plain C++ for one instruction set. Compiled several times, each with a library of its
// own name: to the linker the same templates from units with different flags would be one.
#include <ropewalk/phase.hpp>

#include <cstdint>

#define ROPEWALK_BENCH_JOIN(a, b) a##b
#define ROPEWALK_BENCH_NAME(a, b) ROPEWALK_BENCH_JOIN(a, b)

extern "C" void ROPEWALK_BENCH_NAME(plain_table_, ROPEWALK_BENCH_ISA)(std::int64_t first_position,
                                                                      std::int64_t positions,
                                                                      float* cos, float* sin);

extern "C" void ROPEWALK_BENCH_NAME(plain_table_, ROPEWALK_BENCH_ISA)(std::int64_t first_position,
                                                                      std::int64_t positions,
                                                                      float* cos, float* sin) {
  static const ropewalk::PhaseTurns turns = [] {
    ropewalk::RopeConfig config;
    config.theta = 500000.0;
    return ropewalk::phase_turns(ropewalk::spectrum(config));
  }();
  ropewalk::fill_phase_rows(turns, first_position, positions, cos, sin);
}
