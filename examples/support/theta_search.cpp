#include <ropewalk/simd/cosine_sum.hpp>
#include <support/command_line.hpp>
#include <support/theta_search.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <future>
#include <iostream>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

std::atomic<bool> stop_wanted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch such");

extern "C" void ask_to_stop(int) {
  stop_wanted.store(true, std::memory_order_relaxed);
  std::signal(SIGINT, SIG_DFL);  // a second one ends the program in the usual way
}

bool keep_going() { return !stop_wanted.load(std::memory_order_relaxed); }

template <typename Kernel>
rw::ThetaScan scan_part(const ThetaQuestion& question, const rw::ThetaGrid& grid,
                        std::int64_t first, std::int64_t count) {
  return rw::scan_theta<Kernel>(question.config, question.length, grid, first, count, keep_going);
}

using ScanPart = rw::ThetaScan (*)(const ThetaQuestion&, const rw::ThetaGrid&, std::int64_t,
                                   std::int64_t);

ScanPart quickest_scan() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
    return scan_part<rw::simd::Avx512CosineSum>;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return scan_part<rw::simd::Avx2CosineSum>;
#endif
  return scan_part<rw::simd::NativeCosineSum>;
}

/// One line on standard error, if that is a terminal.
class Progress {
 public:
  void show(const char* what, const rw::ThetaGrid& grid, std::int64_t begun) const {
    if (!terminal_) return;
    constexpr std::int64_t width = 30;
    const std::int64_t filled = width * begun / grid.points;
    std::string line = "\r" + std::string(what) + " [";
    for (std::int64_t place = 0; place < width; ++place) line += place < filled ? '#' : '.';
    line += "] base " + number(grid.theta((std::min)(begun, grid.points - 1)), 4);
    std::cerr << line << "\x1b[K" << std::flush;
  }
  void clear() const {
    if (terminal_) std::cerr << "\r\x1b[K" << std::flush;
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) == 1;
};

/// A whole grid, or the part of it below the base at which the scan was stopped.
rw::ThetaScan scan_grid(const ThetaQuestion& question, const rw::ThetaGrid& grid,
                        const char* what) {
  constexpr std::int64_t part_points = 64;  // bases that work take far longer than those that fail
  const ScanPart scan = quickest_scan();
  const std::int64_t parts = (grid.points + part_points - 1) / part_points;
  std::vector<rw::ThetaScan> done(static_cast<std::size_t>(parts));
  std::atomic<std::int64_t> next{0};
  const auto work = [&] {
    for (std::int64_t part = next++; part < parts && keep_going(); part = next++) {
      const std::int64_t first = part * part_points;
      done[static_cast<std::size_t>(part)] =
          scan(question, grid, first, (std::min)(part_points, grid.points - first));
    }
  };
  std::vector<std::future<void>> workers;
  workers.reserve(static_cast<std::size_t>(question.threads));
  for (int thread = 0; thread < question.threads; ++thread)
    workers.push_back(std::async(std::launch::async, work));
  const Progress progress;
  for (std::future<void>& worker : workers) {
    while (worker.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready)
      progress.show(what, grid, (std::min)(next.load() * part_points, grid.points));
  }
  progress.clear();
  for (std::future<void>& worker : workers) worker.get();

  rw::ThetaScan whole;
  for (const rw::ThetaScan& part : done) {
    if (part.first != whole.end()) break;  // the one before was stopped, or this was not begun
    whole.append(part);
  }
  return whole;
}

}  // namespace

std::optional<double> ThetaAnswer::minimum() const {
  const auto fine_point = fine_scan.minimum();
  if (fine_grid && fine_point) return fine_grid->theta(*fine_point);
  if (const auto point = scan.minimum()) return grid.theta(*point);
  return std::nullopt;
}

std::optional<double> ThetaAnswer::safe() const {
  const auto point = scan.safe();
  if (complete() && point) return grid.theta(*point);
  return std::nullopt;
}

ThetaAnswer search_theta(const ThetaQuestion& question, const rw::ThetaGrid& grid) {
  std::signal(SIGINT, ask_to_stop);
  ThetaAnswer result{grid, scan_grid(question, grid, "scan "), std::nullopt, {}};
  const auto point = result.scan.minimum();
  if (!result.complete() || !point || *point == 0) return result;
  constexpr double finer = 50.0;
  const double found = grid.theta(*point);
  const double lowest = (std::max)(grid.lowest, found / 2.0);
  result.fine_grid = rw::theta_grid(lowest, found, 1.0 + (grid.ratio - 1.0) / finer);
  result.fine_scan = scan_grid(question, *result.fine_grid, "finer");
  return result;
}
