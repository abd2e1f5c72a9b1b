// Threads that begin together, each on a processor of its own where there are several: a scheduler
// under load puts two on one. They are started before the time is taken and sleep in between.
#pragma once

#include "group.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace ropewalk_bench {

class Team {
 public:
  /// The caller is thread 0.
  explicit Team(int threads) : threads_(threads), ends_(static_cast<std::size_t>(threads)) {
    sched_getaffinity(0, sizeof allowed_, &allowed_);
    for (int thread = 1; thread < threads; ++thread) {
      workers_.emplace_back([this, thread] { serve(thread); });
    }
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team() {
    stop_ = true;
    ++call_;
    call_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    sched_setaffinity(0, sizeof allowed_, &allowed_);
  }

  /// Wall seconds from the common start until the last thread is through.
  double time(const Run& run, std::int64_t times) {
    pin(0);
    run_ = &run;
    times_ = times;
    ready_ = 0;
    done_ = 0;
    ++call_;
    call_.notify_all();
    while (ready_ != threads_ - 1) std::this_thread::yield();
    const auto start = Clock::now();
    go_ = call_.load();
    run(0, times);
    ends_[0].at = Clock::now();
    while (done_ != threads_ - 1) std::this_thread::yield();
    Clock::time_point last = ends_[0].at;
    for (const End& end : ends_) last = std::max(last, end.at);
    return std::chrono::duration<double>(last - start).count();
  }

  /// The same for a run that brings its own threads.
  static double time_alone(const Run& run, std::int64_t times) {
    const auto start = Clock::now();
    run(0, times);
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

 private:
  using Clock = std::chrono::steady_clock;

  struct alignas(128) End {
    Clock::time_point at;
  };

  void serve(int thread) {
    pin(thread);
    int seen = 0;
    for (;;) {
      call_.wait(seen);
      seen = call_;
      if (stop_) return;
      ++ready_;
      while (go_ != seen) {
      }
      (*run_)(thread, times_);
      ends_[static_cast<std::size_t>(thread)].at = Clock::now();
      ++done_;
    }
  }

  /// Puts the calling thread on the processor of its number among those allowed.
  void pin(int thread) const {
    const int wanted = thread % std::max(1, CPU_COUNT(&allowed_));
    int found = 0;
    for (std::size_t processor = 0; processor < CPU_SETSIZE; ++processor) {
      if (!CPU_ISSET(processor, &allowed_) || found++ != wanted) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(processor, &one);
      sched_setaffinity(0, sizeof one, &one);
      return;
    }
  }

  int threads_;
  cpu_set_t allowed_ = {};
  std::vector<End> ends_;
  std::atomic<int> call_ = 0;
  std::atomic<int> go_ = 0;
  std::atomic<int> ready_ = 0;
  std::atomic<int> done_ = 0;
  std::atomic<bool> stop_ = false;
  const Run* run_ = nullptr;
  std::int64_t times_ = 0;
  std::vector<std::thread> workers_;
};

}  // namespace ropewalk_bench
