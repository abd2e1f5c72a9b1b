// One unit of a program whose units have different -m flags, compiled once for each: unit_flags.cmake
// names it by ROPEWALK_UNIT. ROPEWALK_UNITS(DO) lists all, with what the processor needs for them,
// in the unit that has main().
#include <ropewalk/phase.hpp>
#include <ropewalk/simd/convert.hpp>
#include <ropewalk/simd/phase.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace rw = ropewalk;

#define ROPEWALK_JOIN_(a, b) a##b
#define ROPEWALK_JOIN(a, b) ROPEWALK_JOIN_(a, b)

/// Two tables of 64 pairs, consecutive and chosen positions, and their float16 values.
struct Results {
  rw::PhaseTable<float> consecutive;
  rw::PhaseTable<float> chosen;
  std::vector<rw::float16> narrow;
};

Results ROPEWALK_JOIN(results_of_, ROPEWALK_UNIT)(const rw::PhaseTurns& turns);

/// What this unit's flags make of it.
Results ROPEWALK_JOIN(results_of_, ROPEWALK_UNIT)(const rw::PhaseTurns& turns) {
  constexpr std::int64_t rows = 100;
  std::vector<std::int64_t> positions;
  for (std::int64_t row = 0; row < rows; ++row) positions.push_back(row * row * row - 5000);
  Results results;
  results.consecutive = rw::phase_table<float, rw::simd::NativePhase>(turns, 1000000, rows);
  results.chosen = rw::phase_table<float, rw::simd::NativePhase>(turns, positions);
  const std::vector<float>& values = results.chosen.cos;
  results.narrow.resize(values.size());
  rw::simd::convert<rw::simd::NativeConvert>(
      values.data(), static_cast<std::int64_t>(values.size()), results.narrow.data());
  return results;
}

#ifdef ROPEWALK_UNITS
#define ROPEWALK_DECLARE(name, supported) Results results_of_##name(const rw::PhaseTurns& turns);
ROPEWALK_UNITS(ROPEWALK_DECLARE)

namespace {

int differences(const std::vector<float>& a, const std::vector<float>& b) {
  int different = a.size() == b.size() ? 0 : 1000;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) different += a[i] != b[i];
  return different;
}

/// Six 10^4 values: a kernel that is right differs in one of 10^7 or fewer.
int compare(const char* name, const Results& expected, const Results& found) {
  const int different = differences(expected.consecutive.cos, found.consecutive.cos) +
                        differences(expected.consecutive.sin, found.consecutive.sin) +
                        differences(expected.chosen.cos, found.chosen.cos) +
                        differences(expected.chosen.sin, found.chosen.sin);
  int narrow = 0;
  for (std::size_t i = 0; i < found.narrow.size(); ++i) {
    narrow += found.narrow[i].bits != rw::to_float16(found.chosen.cos[i]).bits;
  }
  std::printf("%s: %d different floats, %d different float16\n", name, different, narrow);
  return different > 1 || narrow != 0 ? 1 : 0;
}

}  // namespace

int main() {
  rw::Spectrum spectrum;
  for (int pair = 0; pair < 64; ++pair) spectrum.inv_freq.push_back(std::pow(1e4, -pair / 64.0));
  const rw::PhaseTurns turns = rw::phase_turns(spectrum);
  const Results expected = ROPEWALK_JOIN(results_of_, ROPEWALK_UNIT)(turns);
  int failures = 0;
#define ROPEWALK_COMPARE(name, supported) \
  if (supported) failures += compare(#name, expected, results_of_##name(turns));
  ROPEWALK_UNITS(ROPEWALK_COMPARE)
  return failures;
}
#endif
