// Memory that is measured: one mapping in large pages, filled with random values, and, where a case
// claims the speed of memory, so much of it that no cache holds what comes next.
#pragma once

#include <ropewalk/element.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace ropewalk_bench {

/// Bytes of a data cache of this machine, 0 if it does not say.
inline std::size_t cache_bytes(int level) {
#ifdef _SC_LEVEL1_DCACHE_SIZE
  const int name = level == 1   ? _SC_LEVEL1_DCACHE_SIZE
                   : level == 2 ? _SC_LEVEL2_CACHE_SIZE
                                : _SC_LEVEL3_CACHE_SIZE;
  const long bytes = sysconf(name);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
#else
  return static_cast<std::size_t>(0 * level);
#endif
}

/// Four times the last-level cache, 1 GiB at least: the whole of it passes between two visits.
inline std::size_t memory_bytes() {
  const std::size_t step = std::size_t{64} << 20;
  const std::size_t wanted = std::max(std::size_t{1} << 30, 4 * cache_bytes(3));
  return std::min(std::size_t{4} << 30, (wanted + step - 1) / step * step);
}

/// xorshift64*, quick enough to fill memory with.
class Noise {
 public:
  explicit Noise(std::uint64_t seed) : state_(seed | 1) {}
  std::uint64_t bits() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  /// In [-1, 1).
  double unit() { return static_cast<double>(static_cast<std::int64_t>(bits())) * 0x1p-63; }

 private:
  std::uint64_t state_;
};

/// The program's one mapping.
class Memory {
 public:
  static Memory& all() {
    static Memory memory;
    return memory;
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { munmap(data_, memory_bytes()); }

  std::size_t bytes() const { return memory_bytes(); }
  unsigned char* data() const { return data_; }

  /// Values of a type in [-1, 1), unless they are there already: a random block of a length that no
  /// row divides, over and over.
  template <typename T>
  void randomize() {
    static const char kind = 0;
    if (kind_ == &kind) return;
    kind_ = &kind;
    Noise noise(2);
    std::vector<T> block(1000003);
    for (T& value : block) {
      using Traits = ropewalk::ElementTraits<T>;
      value = Traits::store(static_cast<typename Traits::Compute>(noise.unit()));
    }
    const std::size_t block_bytes = block.size() * sizeof(T);
    for (std::size_t at = 0; at < bytes(); at += block_bytes) {
      std::memcpy(data_ + at, block.data(), std::min(block_bytes, bytes() - at));
    }
  }

  /// What follows writes other things than values of one type.
  void scribble() { kind_ = nullptr; }

  /// The next piece, a multiple of its size from the start. All cases go on where the last one
  /// stopped, so that none finds in a cache what another left. Every thread counts for itself, and
  /// all threads do as many runs, so they are in the same piece.
  unsigned char* next(int thread, std::size_t piece) {
    std::size_t& cursor = cursors_[static_cast<std::size_t>(thread)].at;
    std::size_t at = (cursor + piece - 1) / piece * piece;
    if (at + piece > bytes()) at = 0;
    cursor = at + piece;
    return data_ + at;
  }
  void rewind() { cursors_ = {}; }

 private:
  struct alignas(128) Cursor {
    std::size_t at = 0;
  };

  Memory() {
    void* const data =
        mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
      std::fprintf(stderr, "no memory for %zu bytes\n", bytes());
      std::exit(1);
    }
#ifdef MADV_HUGEPAGE
    madvise(data, bytes(), MADV_HUGEPAGE);
#endif
    data_ = static_cast<unsigned char*>(data);
    std::memset(data_, 0, bytes());
  }

  unsigned char* data_ = nullptr;
  const void* kind_ = nullptr;  // identifies the type of the values
  std::array<Cursor, 16> cursors_ = {};
};

/// Equal pieces of the memory, one after another.
class Slots {
 public:
  /// All pieces that fit when the case claims the speed of memory, else one piece again and again.
  Slots(std::size_t slot_bytes, bool all)
      : slot_bytes_((slot_bytes + 4095) / 4096 * 4096), all_(all) {
    if (slot_bytes_ > Memory::all().bytes()) {
      std::fprintf(stderr, "a piece of %zu bytes does not fit\n", slot_bytes_);
      std::exit(1);
    }
  }

  std::size_t bytes() const { return slot_bytes_; }
  std::size_t count() const { return all_ ? Memory::all().bytes() / slot_bytes_ : 1; }
  unsigned char* first() const { return Memory::all().data(); }
  unsigned char* take(int thread) const {
    return all_ ? Memory::all().next(thread, slot_bytes_) : first();
  }

 private:
  std::size_t slot_bytes_;
  bool all_;
};

}  // namespace ropewalk_bench
