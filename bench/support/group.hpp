// Benchmarks in groups: the cases of a group are registered with Google Benchmark together, with
// the limits they are held against, so that the repetitions of all of them interleave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace ropewalk_bench {

/// One thread's share of a case's work, `times` times over.
using Run = std::function<void(int thread, std::int64_t times)>;

/// What is timed.
struct Case {
  std::string name;
  double bytes = 0.0;            // read and written by one run of all threads, each once
  double items = 1.0;            // what nanoseconds are counted per
  std::function<Run()> prepare;  // called before the first repetition; checks the answer
  /// For a run with threads of its own, which is called on one: sends them to sleep.
  std::function<void()> rest = {};
};

/// A median and the quartiles around it.
struct Spread {
  double median = 0.0;
  double low = 0.0;
  double high = 0.0;
};

/// The repetitions of one case.
struct Samples {
  std::vector<double> ns = {};  // per item
  double bytes_per_item = 0.0;

  Spread spread() const;
  double gigabytes_per_second() const { return bytes_per_item / spread().median; }
  /// Ratio of medians; from the quartiles that put it lowest to those that put it highest.
  Spread over(const Samples& other) const;
};

/// By name of the case; a filter leaves cases out.
using Results = std::map<std::string, Samples>;

/// One of the project's own bounds: the time of `name` over that of `over`, or in nanoseconds per
/// item where there is no `over`. Floor is what a release must hold, target what it aims at.
struct Bound {
  std::string what;
  std::string unit;
  std::string name;
  std::string over;
  double floor = 0.0;
  double target = 0.0;
  bool at_least = false;  // else at most
};

/// Cases that are measured side by side.
struct Group {
  std::string name;  // --benchmark_filter sees "name/case"
  std::string title;
  std::string item;
  int threads = 1;
  int repetitions = 21;  // unless --benchmark_repetitions says otherwise
  std::vector<Case> cases = {};
  std::vector<std::string> limits = {};  // the cases that all are divided by
  std::vector<Bound> bounds = {};
  std::function<void(const Results&)> print = {};  // instead of a table of the group
};

/// A case's loop around one run; the compiler may neither merge runs nor drop them.
template <typename Once>
Run repeated(Once once) {
  return [once](int thread, std::int64_t times) mutable {
    for (std::int64_t time = 0; time < times; ++time) {
      once(thread);
      asm volatile("" ::: "memory");
    }
  };
}

inline std::string threads_text(int threads) {
  return std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

/// Ends the program when an answer that is about to be timed is wrong.
void require_answer(bool right, const std::string& name);

/// Runs the groups that the command line selects, one after another; prints a table for each, and
/// the bounds at the end. Takes the flags of Google Benchmark. Returns the exit status.
int run_groups(int argc, char** argv, const std::string& title, const std::vector<Group>& groups);

}  // namespace ropewalk_bench
