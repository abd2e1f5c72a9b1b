// What is printed: the machine, a table per group, the bounds.
#include "report.hpp"

#include "group.hpp"
#include "memory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#ifndef ROPEWALK_BENCH_FLAGS
#define ROPEWALK_BENCH_FLAGS "flags unknown"
#endif

namespace ropewalk_bench {

Spread Samples::spread() const {
  std::vector<double> sorted = ns;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    const double part = place - static_cast<double>(below);
    return sorted[below] * (1.0 - part) + sorted[above] * part;
  };
  return {at(0.5), at(0.25), at(0.75)};
}

Spread Samples::over(const Samples& other) const {
  const Spread mine = spread();
  const Spread theirs = other.spread();
  return {mine.median / theirs.median, mine.low / theirs.high, mine.high / theirs.low};
}

void require_answer(bool right, const std::string& name) {
  if (right) return;
  std::fprintf(stderr, "wrong answer: %s\n", name.c_str());
  std::exit(1);
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown processor";
}

std::string flags_text() { return ROPEWALK_BENCH_FLAGS; }

std::string compiler_name() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

void print_header(const std::string& title) {
  char date[32] = {};
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d %H:%M", std::localtime(&now));
  double load[1] = {};
  if (getloadavg(load, 1) < 1) load[0] = -1.0;
  std::printf("# %s\n\n", title.c_str());
  std::printf("%s, %u processors, L1d %zu KiB, L2 %zu KiB, L3 %zu MiB; load at the start %.1f\n",
              processor_name().c_str(), std::thread::hardware_concurrency(), cache_bytes(1) >> 10,
              cache_bytes(2) >> 10, cache_bytes(3) >> 20, load[0]);
  std::printf("%s; %s; %s\n", compiler_name().c_str(), ROPEWALK_BENCH_FLAGS, date);
  std::printf("medians and quartiles of the repetitions; memory: %zu MiB in turn\n",
              memory_bytes() >> 20);
  std::fflush(stdout);
}

void print_group(const Group& group, const Results& results) {
  std::printf("\n%s, %s\n\n| | ns/%s | quartiles | GB/s |", group.title.c_str(),
              threads_text(group.threads).c_str(), group.item.c_str());
  for (const std::string& limit : group.limits) std::printf(" x %s |", limit.c_str());
  std::printf("\n|---|---|---|---|");
  for (std::size_t limit = 0; limit < group.limits.size(); ++limit) std::printf("---|");
  std::printf("\n");
  for (const Case& one : group.cases) {
    const auto found = results.find(one.name);
    if (found == results.end()) continue;
    const Spread ns = found->second.spread();
    std::printf("| %s | %.4g | %.3g .. %.3g | %.3g |", one.name.c_str(), ns.median, ns.low, ns.high,
                found->second.gigabytes_per_second());
    for (const std::string& limit : group.limits) {
      const auto by = results.find(limit);
      if (by == results.end()) {
        std::printf(" |");
      } else {
        std::printf(" %.2f |", found->second.over(by->second).median);
      }
    }
    std::printf("\n");
  }
  std::fflush(stdout);
}

namespace {

std::string verdict(double bound, double measured, bool at_least) {
  if (at_least ? measured >= bound : measured <= bound) return "met";
  const double missed = at_least ? bound / measured - 1.0 : measured / bound - 1.0;
  char text[32];
  std::snprintf(text, sizeof text, "missed by %.1f %%", 100.0 * missed);
  return text;
}

}  // namespace

std::string bound_line(const Bound& bound, const Results& results) {
  const auto found = results.find(bound.name);
  const auto by = results.find(bound.over);
  if (found == results.end() || (!bound.over.empty() && by == results.end())) return {};
  const Spread measured =
      bound.over.empty() ? found->second.spread() : found->second.over(by->second);
  const char* const sign = bound.at_least ? ">=" : "<=";
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, "%s %.3g | %s %.3g | **%.3g** | %.3g .. %.3g", sign,
                bound.floor, sign, bound.target, measured.median, measured.low, measured.high);
  return "| " + bound.what + " | " + bound.unit + " | " + numbers + " | " +
         verdict(bound.floor, measured.median, bound.at_least) + " | " +
         verdict(bound.target, measured.median, bound.at_least) + " |\n";
}

}  // namespace ropewalk_bench
