// The machine's limits by footprint: copies, touch, reads, fills with and without the caches, and
// the peak of float multiply-adds. Axes: bytes per thread and buffer, threads.
#include "programs.hpp"
#include "support/memory.hpp"
#include "support/probes.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

/// Every probe does what it says.
void check_probes() {
  alignas(64) static std::uint64_t words[512] = {};
  alignas(64) static std::uint64_t copy[512] = {};
  constexpr std::size_t bytes = 64 * 37;
  const auto wrote = [] { return std::memcmp(words, copy, bytes) == 0 && copy[bytes / 8] == 0; };
  Noise noise(7);
  for (std::size_t word = 0; word < bytes / 8; ++word) words[word] = noise.bits();
  std::memset(copy, 0, sizeof copy);
  vector_copy(words, copy, bytes);
  require_answer(wrote(), "vector copy");
  std::memset(copy, 0, bytes);
  stream_copy(words, copy, bytes);
  require_answer(wrote(), "streaming copy");
  touch(copy, bytes);
  bool flipped = copy[bytes / 8] == 0;
  for (std::size_t word = 0; word < bytes / 8; ++word) {
    flipped = flipped && copy[word] == (words[word] ^ 0x8000000000000000u);
  }
  require_answer(flipped, "touch");
  fill(words, bytes);
  stream_fill(copy, bytes);
  require_answer(wrote() && words[0] == 0x3f8000003f800000u, "fills");
}

Group bandwidths(const std::string& where, std::size_t bytes, bool from_memory, int threads) {
  // A thread's slot: source and destination.
  const std::size_t stride = bytes + 4096 - 256;  // see Work::stride()
  const std::size_t slot = (2 * stride + 4095) / 4096 * 4096;
  const double moved = static_cast<double>(bytes) * threads;
  const auto one = [=](const char* name, double factor, auto work) {
    return Case{name, factor * moved, moved / 64, [=] {
                  check_probes();
                  Memory::all().scribble();
                  Memory::all().rewind();
                  const Slots slots(slot * static_cast<std::size_t>(threads), from_memory);
                  return repeated([=](int thread) {
                    work(slots.take(thread) + slot * static_cast<std::size_t>(thread));
                  });
                }};
  };
  using Data = unsigned char*;
  Group group;
  group.name = "limits/" + where + "/" + threads_text(threads);
  group.title = "Limits in " + where + ", " + std::to_string(bytes >> 10) + " KiB x2 per thread";
  group.item = "64 B";
  group.threads = threads;
  group.limits = {"memcpy"};
  group.cases = {
      one("memcpy", 2, [=](Data data) { std::memcpy(data + stride, data, bytes); }),
      one("vector copy", 2, [=](Data data) { vector_copy(data, data + stride, bytes); }),
      one("streaming copy", 2, [=](Data data) { stream_copy(data, data + stride, bytes); }),
      one("touch", 2, [=](Data data) { touch(data, bytes); }),
      one("read", 1, [=](Data data) { read(data, bytes); }),
      one("fill", 1, [=](Data data) { fill(data, bytes); }),
      one("streaming fill", 1, [=](Data data) { stream_fill(data, bytes); }),
  };
  return group;
}

Group fma_peak(int threads) {
  Group group;
  group.name = "limits/multiply-add/" + threads_text(threads);
  group.threads = threads;
  group.cases = {{"fma", 0.0, 2.0 * 16 * kFmaChains * kFmaSteps * threads,
                  [] { return repeated([](int) { fma_chains(); }); }}};
  group.print = [threads](const Results& results) {
    const Spread ns = results.begin()->second.spread();
    std::printf("\nf32 multiply-add peak, %s: %.0f GFLOP/s (quartiles %.0f .. %.0f)\n",
                threads_text(threads).c_str(), 1.0 / ns.median, 1.0 / ns.high, 1.0 / ns.low);
  };
  return group;
}

}  // namespace

void add_roofline(std::vector<Group>& groups) {
  for (const int threads : {1, 2}) {
    groups.push_back(bandwidths("L1", 16 << 10, false, threads));
    groups.push_back(bandwidths("L2", 256 << 10, false, threads));
    groups.push_back(bandwidths("L3", 4 << 20, false, threads));
    groups.push_back(bandwidths("memory", 64 << 20, true, threads));
    groups.push_back(fma_peak(threads));
  }
}

}  // namespace ropewalk_bench
