// Sums of cosines over distance, against the double multiply-adds that the machine does in the same
// run: one of them is the least that a pair takes at a distance (analysis/cosine_sum/blocks.hpp).
// Axes: kernel; all sums, their summary, signs alone.
#include "programs.hpp"
#include "support/probes.hpp"

#include <ropewalk/analysis/minimum_theta.hpp>
#include <ropewalk/simd/cosine_sum.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

using ropewalk::simd::NativeCosineSum;
using ropewalk::simd::PortableCosineSum;

constexpr int kPairs = 64;
constexpr std::int64_t kDistances = std::int64_t{1} << 20;
constexpr double kPairDistances = 64.0 * 1048576.0;
// Sums stay at or above 0 up to its first negative distance, 1795662.
constexpr double kTheta = 3580165449.0;
constexpr std::int64_t kFirstNegative = 1795662;

ropewalk::Spectrum model() {
  ropewalk::RopeConfig config;
  config.theta = kTheta;
  return ropewalk::spectrum(config);
}

/// Keeps a result that nobody reads.
template <typename Value>
void keep(const Value& value) {
  asm volatile("" ::"m"(value));
}

template <typename Kernel>
Case fill_case(const std::string& name) {
  return {name, 0.0, kPairDistances, [name] {
            const ropewalk::PhaseTurns turns = ropewalk::phase_turns(model());
            std::vector<double> sums(static_cast<std::size_t>(kDistances));
            ropewalk::fill_cosine_sums<Kernel>(turns, 0, kDistances, sums.data());
            for (std::int64_t distance = 0; distance < kDistances; distance += 997) {
              const double error =
                  sums[static_cast<std::size_t>(distance)] - ropewalk::cosine_sum(turns, distance);
              require_answer(std::fabs(error) < 1e-12, name);  // twice the bound for 64 pairs
            }
            return repeated([turns, sums](int) mutable {
              ropewalk::fill_cosine_sums<Kernel>(turns, 0, kDistances, sums.data());
              keep(sums[0]);
            });
          }};
}

template <typename Kernel>
Case summary_case(const std::string& name) {
  return {name, 0.0, kPairDistances, [name] {
            const ropewalk::Spectrum spectrum = model();
            const auto wide = ropewalk::summarize_cosine_sum<Kernel>(spectrum, kFirstNegative, 1);
            require_answer(wide.negative == 1, name);
            return repeated([spectrum](int) {
              keep(ropewalk::summarize_cosine_sum<Kernel>(spectrum, 0, kDistances).negative);
            });
          }};
}

template <typename Kernel>
Case sign_case(const std::string& name) {
  return {name, 0.0, kPairDistances, [name] {
            const ropewalk::Spectrum spectrum = model();
            require_answer(
                ropewalk::first_negative_distance<Kernel>(spectrum, 2000000) == kFirstNegative,
                name);
            return repeated([spectrum](int) {
              keep(ropewalk::first_negative_distance<Kernel>(spectrum, kDistances - 1).has_value());
            });
          }};
}

/// What a summary would cost with libm.
Case libm_case() {
  constexpr std::int64_t distances = 1024;
  return {"libm cos", 0.0, static_cast<double>(kPairs * distances), [] {
            const std::vector<double> frequencies = model().inv_freq;
            return repeated([frequencies](int) {
              double lowest = kPairs;
              for (std::int64_t distance = 0; distance < distances; ++distance) {
                double sum = 0.0;
                for (const double frequency : frequencies) {
                  sum += std::cos(static_cast<double>(distance) * frequency);
                }
                lowest = sum < lowest ? sum : lowest;
              }
              keep(lowest);
            });
          }};
}

}  // namespace

void add_cosine_sums(std::vector<Group>& groups) {
  Group group;
  group.name = "cosine sums";
  group.title = "Sums of 64 cosines at 2^20 distances (libm: 2^10)";
  group.item = "pair and distance";
  group.repetitions = 15;
  group.limits = {"double multiply-add"};
  group.cases = {
      {"double multiply-add", 0.0, 8.0 * kFmaChains * kFmaSteps,
       [] { return repeated([](int) { fma_chains<DoubleLine>(); }); }},
      fill_case<NativeCosineSum>("all sums"),
      summary_case<NativeCosineSum>("summary"),
      sign_case<NativeCosineSum>("first negative distance"),
      fill_case<PortableCosineSum>("all sums in plain C++"),
      summary_case<PortableCosineSum>("summary in plain C++"),
      sign_case<PortableCosineSum>("first negative distance in plain C++"),
      libm_case(),
  };
  groups.push_back(group);
}

}  // namespace ropewalk_bench
