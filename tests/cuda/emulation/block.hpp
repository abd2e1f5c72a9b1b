// A block of threads on the host: the members of DeviceBlock, every thread a fiber. What a device leaves
// to chance is made unkind here: warps run in random order, shared memory begins as NaN, an asynchronous
// copy destroys its destination at once and arrives only when it is waited for. Lanes that meet at
// different operations, addresses outside and threads that wait forever end the launch with a text.
#pragma once

#include <ropewalk/cuda/chunk.hpp>
#include <ropewalk/cuda/fragment.hpp>
#include <ropewalk/element.hpp>

#include "../../support/random.hpp"
#include "fiber.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace ropewalk_test {

struct LaunchSize {
  int x = 1;
  int y = 1;
  int z = 1;
  int threads = 128;
  std::size_t shared_bytes = 0;
};

/// What a launch told beside its results.
struct LaunchReport {
  std::string error;                  ///< empty: none
  std::int64_t matrix_reads = 0;      ///< of 8 rows of 16 bytes
  std::int64_t matrix_conflicts = 0;  ///< of those, bank groups asked more than once
  std::int64_t products = 0;          ///< of 16 x 8 x 16
};

class EmulatedGrid;

/// A thread's view of its block.
class EmulatedBlock {
 public:
  int thread() const { return thread_; }
  int index_x() const { return x_; }
  int index_y() const { return y_; }
  int index_z() const { return z_; }
  int size_x() const;
  unsigned char* shared() const;

  void sync();
  void sync_warp();

  void copy_chunk(void* shared_to, const void* global, bool valid);
  void commit() { groups_.emplace_back(); }
  template <int kNewest>
  void wait() {
    // The last group is the one that is still open.
    while (groups_.size() > std::size_t{kNewest} + 1) {
      for (const Copy& copy : groups_.front()) arrive(copy);
      groups_.pop_front();
    }
  }

  void load_matrices(std::uint32_t (&words)[4], const void* row) { load(words, row, false); }
  void load_transposed(std::uint32_t (&words)[4], const void* row) { load(words, row, true); }

  template <typename T>
  void multiply(float (&sum)[4], const std::uint32_t (&left)[4], std::uint32_t right0,
                std::uint32_t right1);

  template <typename T>
  std::uint32_t pack(float first, float second) const {
    return ropewalk::cuda::detail::pack_two<T>(first, second);
  }

  float exchange(float value, int mask);
  bool any(bool value);

  float power_of_two(float x) const {
    const float result = std::exp2(x);
    return result < 0x1p-126f ? 0.0f : result;
  }

 private:
  friend class EmulatedGrid;

  struct Copy {
    void* to;
    const void* from;
    bool valid;
  };

  static void arrive(const Copy& copy) {
    if (copy.valid) {
      std::memcpy(copy.to, copy.from, 16);
    } else {
      std::memset(copy.to, 0, 16);
    }
  }
  void load(std::uint32_t (&words)[4], const void* row, bool transposed);
  int lane() const { return thread_ % ropewalk::cuda::detail::kLanes; }

  EmulatedGrid* grid_ = nullptr;
  Fiber* fiber_ = nullptr;
  int thread_ = 0;
  int x_ = 0;
  int y_ = 0;
  int z_ = 0;
  bool waiting_ = false;
  std::deque<std::vector<Copy>> groups_ = std::deque<std::vector<Copy>>(1);
};

/// Runs launches, one block after the other.
class EmulatedGrid {
 public:
  /// Runs body(block) for every thread of every block.
  ///   seed         of the order in which warps run
  template <typename Body>
  LaunchReport run(const LaunchSize& size, std::uint64_t seed, Body&& body) {
    size_ = size;
    report_ = {};
    Random random("warps " + std::to_string(seed));
    // 16-byte aligned, as the device's.
    shared_.assign(size.shared_bytes / 16 + 1, Sixteen{});
    threads_.resize(static_cast<std::size_t>(size.threads));
    fibers_.resize(static_cast<std::size_t>(size.threads));
    for (int z = 0; z < size.z; ++z) {
      for (int y = 0; y < size.y; ++y) {
        for (int x = 0; x < size.x && report_.error.empty(); ++x) {
          std::memset(shared_.data(), 0xff, shared_.size() * sizeof(Sixteen));
          start(x, y, z, body);
          schedule(random);
        }
      }
    }
    return report_;
  }

 private:
  friend class EmulatedBlock;

  struct alignas(16) Sixteen {
    unsigned char bytes[16];
  };
  /// Threads that have come to an operation that they do together.
  struct Meeting {
    int arrived = 0;
    const char* what = nullptr;
    void* argument[32] = {};
  };

  template <typename Body>
  void start(int x, int y, int z, Body& body) {
    warps_.assign(static_cast<std::size_t>((size_.threads + 31) / 32), Meeting{});
    barrier_ = {};
    for (int thread = 0; thread < size_.threads; ++thread) {
      const auto at = static_cast<std::size_t>(thread);
      EmulatedBlock& block = threads_[at];
      block = EmulatedBlock{};
      block.grid_ = this;
      block.fiber_ = &fibers_[at];
      block.thread_ = thread;
      block.x_ = x;
      block.y_ = y;
      block.z_ = z;
      fibers_[at].start([&block, &body] { body(block); });
    }
  }

  /// Runs the lanes of one warp after the other, warps in random order, until all are done.
  void schedule(Random& random) {
    const int warps = (size_.threads + 31) / 32;
    for (;;) {
      bool all_done = true;
      bool any_ran = false;
      const int first = static_cast<int>(random.integer(0, warps - 1));
      for (int offset = 0; offset < warps; ++offset) {
        const int warp = (first + offset) % warps;
        bool ran = false;
        for (int lane = 0; lane < 32 && warp * 32 + lane < size_.threads; ++lane) {
          const auto at = static_cast<std::size_t>(warp * 32 + lane);
          if (fibers_[at].done()) continue;
          all_done = false;
          if (threads_[at].waiting_) continue;
          fibers_[at].resume();
          if (!report_.error.empty()) return;
          ran = true;
        }
        if (ran) {
          any_ran = true;
          break;
        }
      }
      if (all_done) return;
      if (!any_ran) {
        report_.error = "threads wait for others that do not come";
        return;
      }
    }
  }

  void fail(EmulatedBlock& block, const std::string& text) {
    if (report_.error.empty()) {
      report_.error = text + ", block " + std::to_string(block.x_) + ", thread " +
                      std::to_string(block.thread_);
    }
    block.waiting_ = true;
    for (;;) block.fiber_->leave();
  }

  /// Waits for the other lanes; the last one does `act(arguments)` for all.
  template <typename Act>
  void meet(EmulatedBlock& block, const char* what, void* argument, Act&& act) {
    const int warp = block.thread_ / 32;
    Meeting& meeting = warps_[static_cast<std::size_t>(warp)];
    const int lanes = size_.threads - warp * 32 < 32 ? size_.threads - warp * 32 : 32;
    if (meeting.arrived == 0) {
      meeting.what = what;
    } else if (meeting.what != what) {
      fail(block, std::string("lanes of a warp meet at ") + meeting.what + " and " + what);
    }
    meeting.argument[block.lane()] = argument;
    if (++meeting.arrived < lanes) {
      block.waiting_ = true;
      block.fiber_->leave();
      return;
    }
    meeting.arrived = 0;
    act(meeting.argument);
    for (int lane = 0; lane < lanes; ++lane) {
      threads_[static_cast<std::size_t>(warp * 32 + lane)].waiting_ = false;
    }
  }

  void meet_all(EmulatedBlock& block) {
    if (warps_[static_cast<std::size_t>(block.thread_ / 32)].arrived != 0) {
      fail(block, "a lane is at the barrier while others of its warp work together");
    }
    if (++barrier_.arrived < size_.threads) {
      block.waiting_ = true;
      block.fiber_->leave();
      return;
    }
    barrier_.arrived = 0;
    for (EmulatedBlock& other : threads_) other.waiting_ = false;
  }

  bool inside(const void* address, std::size_t bytes) const {
    const auto* first = reinterpret_cast<const unsigned char*>(shared_.data());
    const auto* at = static_cast<const unsigned char*>(address);
    return at >= first && at + bytes <= first + size_.shared_bytes;
  }

  LaunchSize size_;
  LaunchReport report_;
  std::vector<Sixteen> shared_;
  std::deque<EmulatedBlock> threads_;
  std::deque<Fiber> fibers_;
  std::vector<Meeting> warps_;
  Meeting barrier_;
};

inline int EmulatedBlock::size_x() const { return grid_->size_.x; }

inline unsigned char* EmulatedBlock::shared() const {
  return reinterpret_cast<unsigned char*>(grid_->shared_.data());
}

inline void EmulatedBlock::sync() { grid_->meet_all(*this); }

inline void EmulatedBlock::sync_warp() {
  grid_->meet(*this, "a barrier", nullptr, [](void**) {});
}

inline void EmulatedBlock::copy_chunk(void* shared_to, const void* global, bool valid) {
  if (!grid_->inside(shared_to, 16)) grid_->fail(*this, "a copy goes outside of shared memory");
  if (reinterpret_cast<std::uintptr_t>(shared_to) % 16 != 0 ||
      (valid && reinterpret_cast<std::uintptr_t>(global) % 16 != 0)) {
    grid_->fail(*this, "a copy is not aligned");
  }
  std::memset(shared_to, 0xff, 16);
  groups_.back().push_back({shared_to, global, valid});
}

inline void EmulatedBlock::load(std::uint32_t (&words)[4], const void* row, bool transposed) {
  if (!grid_->inside(row, 16)) grid_->fail(*this, "ldmatrix reads outside of shared memory");
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) {
    grid_->fail(*this, "ldmatrix is not aligned");
  }
  struct Argument {
    const void* row;
    std::uint32_t* words;
  } argument{row, words};
  const auto act = [this, transposed](void** lanes) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      std::uint16_t element[8][8];
      unsigned groups = 0;
      for (int i = 0; i < 8; ++i) {
        const void* from = static_cast<Argument*>(lanes[matrix * 8 + i])->row;
        std::memcpy(element[i], from, 16);
        groups |= 1u << reinterpret_cast<std::uintptr_t>(from) / 16 % 8;
      }
      grid_->report_.matrix_reads += 1;
      grid_->report_.matrix_conflicts += groups != 0xffu;
      for (int lane = 0; lane < 32; ++lane) {
        const int at = lane / 4;
        const int pair = 2 * (lane % 4);
        const std::uint32_t low = transposed ? element[pair][at] : element[at][pair];
        const std::uint32_t high = transposed ? element[pair + 1][at] : element[at][pair + 1];
        static_cast<Argument*>(lanes[lane])->words[matrix] = low | high << 16;
      }
    }
  };
  grid_->meet(*this, transposed ? "ldmatrix.trans" : "ldmatrix", &argument, act);
}

template <typename T>
void EmulatedBlock::multiply(float (&sum)[4], const std::uint32_t (&left)[4], std::uint32_t right0,
                             std::uint32_t right1) {
  struct Argument {
    float* sum;
    const std::uint32_t* left;
    std::uint32_t right[2];
  } argument{sum, left, {right0, right1}};
  const auto value = [](std::uint32_t word, int half) {
    return ropewalk::to_float(T{static_cast<std::uint16_t>(word >> (16 * half))});
  };
  const auto act = [this, value](void** lanes) {
    // The operands as the instruction's documentation lays them out, not by the maps under test.
    float a[16][16];
    float b[16][8];
    for (int lane = 0; lane < 32; ++lane) {
      const auto* own = static_cast<Argument*>(lanes[lane]);
      const int group = lane >> 2;
      const int within = lane & 3;
      for (int half = 0; half < 2; ++half) {
        for (int word = 0; word < 4; ++word) {
          a[group + (word & 1) * 8][2 * within + half + (word >> 1) * 8] =
              value(own->left[word], half);
        }
        for (int word = 0; word < 2; ++word) {
          b[2 * within + half + word * 8][group] = value(own->right[word], half);
        }
      }
    }
    for (int lane = 0; lane < 32; ++lane) {
      auto* own = static_cast<Argument*>(lanes[lane]);
      for (int i = 0; i < 4; ++i) {
        const int row = (lane >> 2) + (i >= 2 ? 8 : 0);
        const int column = 2 * (lane & 3) + (i & 1);
        double total = static_cast<double>(own->sum[i]);
        for (int depth = 0; depth < 16; ++depth) {
          total += static_cast<double>(a[row][depth]) * static_cast<double>(b[depth][column]);
        }
        own->sum[i] = static_cast<float>(total);
      }
    }
    ++grid_->report_.products;
  };
  grid_->meet(*this, "a product", &argument, act);
}

inline float EmulatedBlock::exchange(float value, int mask) {
  float given = value;
  float got = 0.0f;
  struct Argument {
    float* given;
    float* got;
    int mask;
  } argument{&given, &got, mask};
  grid_->meet(*this, "an exchange", &argument, [](void** lanes) {
    for (int lane = 0; lane < 32; ++lane) {
      auto* own = static_cast<Argument*>(lanes[lane]);
      *own->got = *static_cast<Argument*>(lanes[lane ^ own->mask])->given;
    }
  });
  return got;
}

inline bool EmulatedBlock::any(bool value) {
  bool result = value;
  grid_->meet(*this, "a vote", &result, [](void** lanes) {
    bool all = false;
    for (int lane = 0; lane < 32; ++lane) all = all || *static_cast<bool*>(lanes[lane]);
    for (int lane = 0; lane < 32; ++lane) *static_cast<bool*>(lanes[lane]) = all;
  });
  return result;
}

}  // namespace ropewalk_test
