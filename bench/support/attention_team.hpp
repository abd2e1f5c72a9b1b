// An executor of attend() whose workers are the threads of a Team: thread 0 calls attend(), the others
// serve it. Nobody sleeps in between, so a call costs no wake-up, and each has its own processor.
#pragma once

#include <ropewalk/attention/options.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace ropewalk_bench {

class AttentionTeam {
 public:
  explicit AttentionTeam(int threads)
      : threads_(threads), seen_(static_cast<std::size_t>(threads)) {}
  AttentionTeam(const AttentionTeam&) = delete;
  AttentionTeam& operator=(const AttentionTeam&) = delete;

  int threads() const { return threads_; }

  /// Thread 0: all tasks, by all threads.
  void run(std::int64_t tasks, const std::function<void(std::int64_t, int)>& task) {
    tasks_ = tasks;
    task_ = &task;
    begin();
    take_tasks(0);
    await();
  }

  /// Thread 0, when it has no more tasks: serve() returns.
  void finish() {
    if (threads_ == 1) return;
    task_ = nullptr;
    begin();
    await();
  }

  /// The other threads: tasks until thread 0 finishes.
  void serve(int thread) {
    int& seen = seen_[static_cast<std::size_t>(thread)].round;
    for (;;) {
      while (round_ == seen) {
      }
      seen = round_;
      const bool more = task_ != nullptr;
      if (more) take_tasks(thread);
      ++done_;
      if (!more) return;
    }
  }

 private:
  struct alignas(128) Seen {
    int round = 0;
  };

  void begin() {
    next_ = 0;
    done_ = 0;
    ++round_;
  }
  void await() const {
    while (done_ != threads_ - 1) {
    }
  }
  void take_tasks(int worker) {
    for (std::int64_t index = next_++; index < tasks_; index = next_++) (*task_)(index, worker);
  }

  int threads_;
  std::vector<Seen> seen_;
  std::int64_t tasks_ = 0;
  const std::function<void(std::int64_t, int)>* task_ = nullptr;
  alignas(128) std::atomic<std::int64_t> next_ = 0;
  alignas(128) std::atomic<int> done_ = 0;
  alignas(128) std::atomic<int> round_ = 0;
};

/// What attend() takes as its executor.
struct TeamExecutor {
  AttentionTeam* team = nullptr;

  int workers() const { return team->threads(); }
  template <typename Task>
  void run(std::int64_t tasks, Task&& task) const {
    team->run(tasks, std::ref(task));
  }
};

using TeamHooks = ropewalk::AttentionHooks<ropewalk::NoBias, ropewalk::LoadedRows,
                                           ropewalk::LoadedRows, TeamExecutor>;

}  // namespace ropewalk_bench
