// What the warps of a block do to shared memory, recorded from a body that runs, and every order in
// which they may do it.
//
// An asynchronous copy destroys its place when it is issued and fills it at any time until its own warp
// has waited for it. A read is sound where, in whatever order the warps run, what the body means it to
// see has been waited for and nothing newer has been issued. What it means to see is the last copy
// before the barrier that precedes the read, or the reading warp's own. Recorded are asynchronous copies
// and ldmatrix; what threads read and write by plain addresses is not.
#pragma once

#include "block.hpp"

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

namespace ropewalk_test {

enum class Act { copy, commit, wait, barrier, read };

/// One thing a warp does, its lanes together.
struct WarpOp {
  Act act = Act::copy;
  int newest = 0;         // of a wait
  std::set<int> places;   // of a copy or read: chunks of 16 bytes
  bool left_out = false;  // by a test
};

using WarpProgram = std::vector<WarpOp>;

/// Collects the programs of the warps of one block.
class Recording {
 public:
  explicit Recording(int threads)
      : warps_(static_cast<std::size_t>(threads / 32)),
        cursor_(static_cast<std::size_t>(threads)) {}

  void copy(int thread, int place) {
    Warp& warp = warp_of(thread);
    const std::size_t at = cursor_[static_cast<std::size_t>(thread)];
    if (warp.copies.size() <= at) warp.copies.resize(at + 1);
    warp.copies[at].insert(place);
  }
  void act(int thread, Act act, int newest, int place = -1) {
    Warp& warp = warp_of(thread);
    const std::size_t at = cursor_[static_cast<std::size_t>(thread)]++;
    if (at == warp.ops.size()) warp.ops.push_back({act, newest, {}, false});
    WarpOp& op = warp.ops[at];
    lanes_agree = lanes_agree && op.act == act && op.newest == newest;
    if (place >= 0) op.places.insert(place);
  }

  /// What is one thing to all orders is one: neighbouring reads, and copies that end together.
  std::vector<WarpProgram> programs() const {
    std::vector<WarpProgram> programs;
    for (const Warp& warp : warps_) {
      WarpProgram program;
      for (std::size_t at = 0; at < warp.ops.size(); ++at) {
        if (at < warp.copies.size() && !warp.copies[at].empty()) {
          program.push_back({Act::copy, 0, warp.copies[at], false});
        }
        const WarpOp& op = warp.ops[at];
        if (op.act == Act::read && !program.empty() && program.back().act == Act::read) {
          program.back().places.insert(op.places.begin(), op.places.end());
        } else {
          program.push_back(op);
        }
      }
      programs.push_back(program);
    }
    return programs;
  }

  bool lanes_agree = true;

 private:
  struct Warp {
    std::vector<WarpOp> ops;
    std::vector<std::set<int>> copies;  // before each of them
  };
  Warp& warp_of(int thread) { return warps_[static_cast<std::size_t>(thread / 32)]; }

  std::vector<Warp> warps_;
  std::vector<std::size_t> cursor_;
};

/// A block that records what it passes on.
class RecordingBlock {
 public:
  RecordingBlock(EmulatedBlock& block, Recording& recording) : block_(block), to_(recording) {}

  int thread() const { return block_.thread(); }
  int index_x() const { return block_.index_x(); }
  int index_y() const { return block_.index_y(); }
  int index_z() const { return block_.index_z(); }
  int size_x() const { return block_.size_x(); }
  unsigned char* shared() const { return block_.shared(); }

  void sync() {
    to_.act(thread(), Act::barrier, 0);
    block_.sync();
  }
  void sync_warp() { block_.sync_warp(); }

  void copy_chunk(void* shared_to, const void* global, bool valid) {
    to_.copy(thread(), place(shared_to));
    block_.copy_chunk(shared_to, global, valid);
  }
  void commit() {
    to_.act(thread(), Act::commit, 0);
    block_.commit();
  }
  template <int kNewest>
  void wait() {
    to_.act(thread(), Act::wait, kNewest);
    block_.wait<kNewest>();
  }
  void load_matrices(std::uint32_t (&words)[4], const void* row) {
    to_.act(thread(), Act::read, 0, place(row));
    block_.load_matrices(words, row);
  }
  void load_transposed(std::uint32_t (&words)[4], const void* row) {
    to_.act(thread(), Act::read, 0, place(row));
    block_.load_transposed(words, row);
  }
  template <typename T>
  void multiply(float (&sum)[4], const std::uint32_t (&left)[4], std::uint32_t right0,
                std::uint32_t right1) {
    block_.multiply<T>(sum, left, right0, right1);
  }
  template <typename T>
  std::uint32_t pack(float first, float second) const {
    return block_.pack<T>(first, second);
  }
  float exchange(float value, int mask) { return block_.exchange(value, mask); }
  bool any(bool value) { return block_.any(value); }
  float power_of_two(float x) const { return block_.power_of_two(x); }

 private:
  int place(const void* address) const {
    return static_cast<int>((static_cast<const unsigned char*>(address) - block_.shared()) / 16);
  }

  EmulatedBlock& block_;
  Recording& to_;
};

/// Runs one block of a body and returns its programs; empty where it failed.
template <typename Body>
std::vector<WarpProgram> record(int threads, std::size_t shared_bytes, Body&& body) {
  EmulatedGrid grid;
  Recording recording(threads);
  LaunchSize size;
  size.threads = threads;
  size.shared_bytes = shared_bytes;
  const LaunchReport report = grid.run(size, 1, [&](EmulatedBlock& block) {
    RecordingBlock recording_block(block, recording);
    body(recording_block);
  });
  if (!report.error.empty() || !recording.lanes_agree) return {};
  return recording.programs();
}

/// What all orders of some programs came to.
struct Exploration {
  std::string fault;  ///< empty: none
  std::int64_t states = 0;
};

/// Goes through every order. What reads mean to see is taken from the programs as they were recorded;
/// then operations may be left out.
class Explorer {
 public:
  explicit Explorer(const std::vector<WarpProgram>& programs) : programs_(programs) {
    phases_.resize(warps());
    for (std::size_t warp = 0; warp < warps(); ++warp) {
      int phase = 0;
      for (const WarpOp& op : programs_[warp]) {
        phases_[warp].push_back(phase);
        phase += op.act == Act::barrier;
      }
    }
    demand();
  }

  const std::vector<WarpProgram>& programs() const { return programs_; }

  /// How many operations of a kind a warp has.
  int count(Act act, std::size_t warp = 0) const {
    return static_cast<int>(std::count_if(programs_[warp].begin(), programs_[warp].end(),
                                          [act](const WarpOp& op) { return op.act == act; }));
  }

  /// The same with the index-th operation of a kind left out, of all warps or of one.
  Explorer without(Act act, int index, int only_warp = -1) const {
    Explorer changed = *this;
    changed.change(act, index, only_warp, [](WarpOp& op) { op.left_out = true; });
    return changed;
  }
  /// The same with the index-th wait letting one group more be under way.
  Explorer waiting_less(int index) const {
    Explorer changed = *this;
    changed.change(Act::wait, index, -1, [](WarpOp& op) { ++op.newest; });
    return changed;
  }

  Exploration explore() const {
    Exploration result;
    result.fault = unsound_;
    if (!result.fault.empty()) return result;
    const std::vector<std::vector<int>> arrivals = arrival_of_copies();
    std::unordered_set<std::string> seen;
    std::vector<std::vector<int>> open{std::vector<int>(warps(), 0)};
    const auto key = [](const std::vector<int>& state) {
      std::string text;
      for (const int at : state) text += std::to_string(at) + " ";
      return text;
    };
    seen.insert(key(open.front()));
    const auto reach = [&](std::vector<int> state) {
      if (seen.insert(key(state)).second) open.push_back(std::move(state));
    };
    while (!open.empty()) {
      const std::vector<int> state = open.back();
      open.pop_back();
      ++result.states;
      std::size_t at_barrier = 0;
      std::size_t done = 0;
      bool moved = false;
      for (std::size_t warp = 0; warp < warps(); ++warp) {
        if (state[warp] == size(warp)) {
          ++done;
          continue;
        }
        const WarpOp& op = programs_[warp][static_cast<std::size_t>(state[warp])];
        if (op.act == Act::barrier && !op.left_out) {
          ++at_barrier;
          continue;
        }
        if (!op.left_out) {
          result.fault = fault_of(warp, state, arrivals);
          if (!result.fault.empty()) return result;
        }
        std::vector<int> next = state;
        ++next[warp];
        reach(std::move(next));
        moved = true;
      }
      if (moved || done == warps()) continue;
      if (at_barrier < warps()) {
        result.fault = "warps wait for others that do not come";
        return result;
      }
      std::vector<int> next = state;
      for (int& at : next) ++at;
      reach(std::move(next));
    }
    return result;
  }

 private:
  /// Of one operation towards one warp: copies up to `arrived` must be there, and those from `before`
  /// on not be issued.
  struct Demand {
    int arrived = -1;
    int before = INT_MAX;
  };

  std::size_t warps() const { return programs_.size(); }
  int size(std::size_t warp) const { return static_cast<int>(programs_[warp].size()); }

  template <typename Change>
  void change(Act act, int index, int only_warp, Change&& apply) {
    for (std::size_t warp = 0; warp < warps(); ++warp) {
      if (only_warp >= 0 && static_cast<int>(warp) != only_warp) continue;
      int at = 0;
      for (WarpOp& op : programs_[warp]) {
        if (op.act == act && at++ == index) apply(op);
      }
    }
  }

  void demand() {
    struct Copy {
      std::size_t warp;
      int op;
      int phase;
    };
    std::vector<std::vector<Copy>> copies;  // of each place
    demands_.resize(warps());
    for (std::size_t warp = 0; warp < warps(); ++warp) {
      demands_[warp].assign(programs_[warp].size(), std::vector<Demand>(warps()));
      for (int i = 0; i < size(warp); ++i) {
        const WarpOp& op = programs_[warp][static_cast<std::size_t>(i)];
        if (op.act != Act::copy) continue;
        for (const int place : op.places) {
          if (copies.size() <= static_cast<std::size_t>(place)) {
            copies.resize(static_cast<std::size_t>(place) + 1);
          }
          copies[static_cast<std::size_t>(place)].push_back(
              {warp, i, phases_[warp][static_cast<std::size_t>(i)]});
        }
      }
    }
    for (std::size_t warp = 0; warp < warps(); ++warp) {
      for (int i = 0; i < size(warp); ++i) {
        const WarpOp& op = programs_[warp][static_cast<std::size_t>(i)];
        if (op.act != Act::copy && op.act != Act::read) continue;
        const int phase = phases_[warp][static_cast<std::size_t>(i)];
        std::vector<Demand>& demands = demands_[warp][static_cast<std::size_t>(i)];
        for (const int place : op.places) {
          const Copy* meant = nullptr;
          for (const Copy& copy : place_of(copies, place)) {
            const bool own = copy.warp == warp;
            if (own && copy.op == i) continue;
            const bool earlier = own ? copy.op < i : copy.phase < phase;
            Demand& towards = demands[copy.warp];
            if (earlier) {
              if (meant == nullptr || copy.phase > meant->phase ||
                  (copy.warp == meant->warp && copy.op > meant->op)) {
                meant = &copy;
              } else if (copy.phase == meant->phase && copy.warp != meant->warp) {
                unsound_ = "two warps copy to one place";
              }
              // All earlier ones are over: what arrives late would overwrite.
              towards.arrived = std::max(towards.arrived, copy.op);
            } else {
              towards.before = std::min(towards.before, copy.op);
            }
          }
          if (op.act == Act::read && meant == nullptr) unsound_ = "nobody copies what is read";
        }
      }
    }
  }

  template <typename Copies>
  static auto place_of(const Copies& copies, int place) -> typename Copies::value_type {
    const auto at = static_cast<std::size_t>(place);
    return at < copies.size() ? copies[at] : typename Copies::value_type{};
  }

  /// The operation of its own warp after which each copy has arrived; INT_MAX: none.
  std::vector<std::vector<int>> arrival_of_copies() const {
    std::vector<std::vector<int>> arrivals(warps());
    for (std::size_t warp = 0; warp < warps(); ++warp) {
      const WarpProgram& program = programs_[warp];
      arrivals[warp].assign(program.size(), INT_MAX);
      std::vector<int> group(program.size(), 0);
      int groups = 0;
      for (std::size_t i = 0; i < program.size(); ++i) {
        group[i] = groups;
        if (program[i].left_out) continue;
        groups += program[i].act == Act::commit;
        if (program[i].act != Act::wait) continue;
        for (std::size_t copy = 0; copy < i; ++copy) {
          const bool over = group[copy] < groups - program[i].newest;
          if (over && arrivals[warp][copy] == INT_MAX) arrivals[warp][copy] = static_cast<int>(i);
        }
      }
    }
    return arrivals;
  }

  std::string fault_of(std::size_t warp, const std::vector<int>& state,
                       const std::vector<std::vector<int>>& arrivals) const {
    const auto at = static_cast<std::size_t>(state[warp]);
    const bool reads = programs_[warp][at].act == Act::read;
    for (std::size_t other = 0; other < warps(); ++other) {
      const Demand& demand = demands_[warp][at][other];
      // Of a warp's copies the last to be demanded arrives last.
      if (demand.arrived >= 0 &&
          state[other] <= arrivals[other][static_cast<std::size_t>(demand.arrived)]) {
        return reads ? "read before it arrived" : "copied over what has not arrived";
      }
      if (reads && demand.before < state[other]) return "read after it was overwritten";
    }
    return "";
  }

  std::vector<WarpProgram> programs_;
  std::vector<std::vector<int>> phases_;                   // barriers before each operation
  std::vector<std::vector<std::vector<Demand>>> demands_;  // of each operation towards each warp
  std::string unsound_;
};

}  // namespace ropewalk_test
