// Tables of cosines and sines as cases: 64 pairs, float. A pair of values is 8 bytes, written once.
#pragma once

#include "group.hpp"
#include "memory.hpp"
#include "rotation_cases.hpp"

#include <ropewalk/phase.hpp>
#include <ropewalk/simd/phase.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk_bench {

inline constexpr int kPairs = 64;
inline constexpr std::int64_t kSmallRows = 496;                       // 248 KiB
inline constexpr std::int64_t kLargeRows = std::int64_t{1} << 20;     // 512 MiB
inline constexpr std::int64_t kBaselineRows = std::int64_t{1} << 15;  // 16 MiB at a time
inline constexpr std::int64_t kFirst = std::int64_t{1} << 20;

/// Frequencies in every form that a method takes.
struct Steps {
  PhaseTurns turns;
  std::vector<double> doubles;
  std::vector<float> floats;
};

inline const Steps& steps() {
  static const Steps all = [] {
    const ropewalk::Spectrum spectrum = spectrum_for(2 * kPairs);
    return Steps{ropewalk::phase_turns(spectrum),
                 spectrum.inv_freq,
                 {spectrum.inv_freq.begin(), spectrum.inv_freq.end()}};
  }();
  return all;
}

inline std::vector<std::int64_t> consecutive(std::int64_t rows) {
  std::vector<std::int64_t> positions;
  for (std::int64_t row = 0; row < rows; ++row) positions.push_back(kFirst + row);
  return positions;
}

/// Random ones below 2^31.
inline std::vector<std::int64_t> scattered(std::int64_t rows) {
  Noise noise(11);
  std::vector<std::int64_t> positions;
  for (std::int64_t row = 0; row < rows; ++row) {
    positions.push_back(static_cast<std::int64_t>(noise.bits() >> 33));
  }
  return positions;
}

/// What a method's angles are: how wrong it may be follows from it.
enum class Angle { exact, float_product, double_product };

/// Half an ULP of a value up to 1, and the rounding of an angle of up to `position` radians.
inline double allowed_error(Angle angle, std::int64_t position) {
  const double radians = static_cast<double>(position);
  const double rounding = angle == Angle::float_product    ? 2.5 * 0x1p-24
                          : angle == Angle::double_product ? 2.5 * 0x1p-53
                                                           : 0x1p-63;  // of the reference itself
  return 0x1.001p-25 + (angle == Angle::float_product ? 0x1p-24 : 0.0) + radians * rounding;
}

/// Whether a table holds what it should, at some of its rows where there are many.
inline bool table_holds(Angle angle, const std::vector<std::int64_t>& positions, const float* cos,
                        const float* sin) {
  bool right = true;
  const std::size_t stride = std::max<std::size_t>(1, positions.size() / 248);
  for (std::size_t row = 0; row < positions.size(); row += stride) {
    const double allowed = allowed_error(angle, positions[row]);
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
      const auto radians = static_cast<long double>(positions[row]) *
                           static_cast<long double>(steps().doubles[pair]);
      const std::size_t entry = row * kPairs + pair;
      // Written so that no NaN passes.
      right = right &&
              std::abs(std::cos(radians) - static_cast<long double>(cos[entry])) <= allowed &&
              std::abs(std::sin(radians) - static_cast<long double>(sin[entry])) <= allowed;
    }
  }
  return right;
}

/// Where tables lie, and who fills them.
struct Place {
  bool from_memory = false;
  int threads = 1;
};

/// fill(first row, rows, cos, sin); no check for limits, which leave `positions` empty.
template <typename Fill>
Case table_case(const std::string& name, const Place& place, std::int64_t rows, Angle angle,
                const std::vector<std::int64_t>& positions, Fill fill) {
  const std::size_t bytes = 2 * static_cast<std::size_t>(rows) * kPairs * sizeof(float);
  return {name, static_cast<double>(bytes), static_cast<double>(rows * kPairs), [=] {
            Memory::all().scribble();
            Memory::all().rewind();
            const Slots slots(bytes, place.from_memory);
            const Run run = repeated([=](int thread) {
              auto* const cos = reinterpret_cast<float*>(slots.take(thread));
              const Share share = share_of(rows, thread, place.threads);
              const std::int64_t entry = share.first * kPairs;
              fill(share.first, share.count, cos + entry, cos + rows * kPairs + entry);
            });
            for (int thread = 0; thread < place.threads; ++thread) run(thread, 1);
            const auto* const cos = reinterpret_cast<const float*>(slots.first());
            require_answer(
                positions.empty() || table_holds(angle, positions, cos, cos + rows * kPairs), name);
            return run;
          }};
}

template <typename Fill>
Case limit_case(const std::string& name, const Place& place, std::int64_t rows, Fill fill) {
  return table_case(name, place, rows, Angle::exact, {},
                    [fill](std::int64_t, std::int64_t count, float* cos, float* sin) {
                      const auto bytes = static_cast<std::size_t>(count) * kPairs * sizeof(float);
                      fill(cos, bytes);
                      fill(sin, bytes);
                    });
}

/// The library's own ways, with the machine's instructions and without.
template <bool kNative>
Case consecutive_case(const std::string& name, const Place& place, std::int64_t rows) {
  return table_case(name, place, rows, Angle::exact, consecutive(rows),
                    [](std::int64_t first, std::int64_t count, float* cos, float* sin) {
                      if constexpr (kNative) {
                        ropewalk::fill_phase_rows<ropewalk::simd::NativePhase>(
                            steps().turns, kFirst + first, count, cos, sin);
                      } else {
                        ropewalk::fill_phase_rows(steps().turns, kFirst + first, count, cos, sin);
                      }
                    });
}

template <bool kNative>
Case scattered_case(const std::string& name, const Place& place, std::int64_t rows) {
  const std::vector<std::int64_t> positions = scattered(rows);
  return table_case(name, place, rows, Angle::exact, positions,
                    [positions](std::int64_t first, std::int64_t count, float* cos, float* sin) {
                      const Span<const std::int64_t> part(positions.data() + first,
                                                          static_cast<std::size_t>(count));
                      if constexpr (kNative) {
                        ropewalk::fill_phase_rows<ropewalk::simd::NativePhase>(steps().turns, part,
                                                                               cos, sin);
                      } else {
                        ropewalk::fill_phase_rows(steps().turns, part, cos, sin);
                      }
                    });
}

/// A table of its own, copied: what the convenient call costs with its allocation.
template <typename Table>
Case owned_case(const std::string& name, const Place& place, std::int64_t rows, Angle angle,
                Table table) {
  return table_case(name, place, rows, angle, consecutive(rows),
                    [table](std::int64_t first, std::int64_t count, float* cos, float* sin) {
                      const PhaseTable<float> made = table(kFirst + first, count);
                      std::copy(made.cos.begin(), made.cos.end(), cos);
                      std::copy(made.sin.begin(), made.sin.end(), sin);
                    });
}

/// Rows one by one, by a function of position.
template <typename Row>
Case row_case(const std::string& name, const Place& place, std::int64_t rows, Angle angle,
              Row row) {
  return table_case(name, place, rows, angle, consecutive(rows),
                    [row](std::int64_t first, std::int64_t count, float* cos, float* sin) {
                      for (std::int64_t index = 0; index < count; ++index) {
                        row(kFirst + first + index, cos + index * kPairs, sin + index * kPairs);
                      }
                    });
}

}  // namespace ropewalk_bench
