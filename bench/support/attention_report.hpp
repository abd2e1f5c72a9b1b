// Tables of what is counted per operation.
#pragma once

#include "group.hpp"

#include <cstdio>

namespace ropewalk_bench {

/// The limit that such a group holds.
inline constexpr const char* kPeakCase = "multiply-add";

/// Rates beside the peak of the same run.
inline void print_rates(const Group& group, const Results& results) {
  std::printf(
      "\n%s, %s\n\n| | GFLOP/s | quartiles | share of the multiply-add peak |\n"
      "|---|---|---|---|\n",
      group.title.c_str(), threads_text(group.threads).c_str());
  const auto peak = results.find(kPeakCase);
  for (const Case& one : group.cases) {
    const auto found = results.find(one.name);
    if (found == results.end()) continue;
    const Spread ns = found->second.spread();
    std::printf("| %s | %.4g | %.3g .. %.3g |", one.name.c_str(), 1.0 / ns.median, 1.0 / ns.high,
                1.0 / ns.low);
    if (peak == results.end()) {
      std::printf(" |\n");
    } else {
      std::printf(" %.1f %% |\n", 100.0 * peak->second.over(found->second).median);
    }
  }
  std::fflush(stdout);
}

}  // namespace ropewalk_bench
