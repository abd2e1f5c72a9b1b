// The workspace of attention: enough, used, not left, and nothing allocated beside it.
#include <ropewalk/attention.hpp>

#include "support/attention_problem.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <vector>

namespace {
std::size_t allocations = 0;
}

// Inlined, they look to GCC like malloc() with delete, and new with free().
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr unsigned char kCanary = 0xa5;
constexpr std::size_t kGuard = 256;

/// Memory of exactly some bytes at some alignment, guarded on both sides.
struct Guarded {
  Guarded(std::size_t bytes, std::size_t shift)
      : memory(bytes + 2 * kGuard + 64, kCanary), first(kGuard + shift), size(bytes) {}

  rw::Span<unsigned char> span() { return {memory.data() + first, size}; }

  bool guards_stand() const {
    for (std::size_t index = 0; index < memory.size(); ++index) {
      const bool inside = index >= first && index < first + size;
      if (!inside && memory[index] != kCanary) return false;
    }
    return true;
  }

  bool was_used() const {
    for (std::size_t index = first; index < first + size; ++index) {
      if (memory[index] != kCanary) return true;
    }
    return false;
  }

  std::vector<unsigned char> memory;
  std::size_t first;
  std::size_t size;
};

struct Outcome {
  int problems = 0;
  int allocating = 0;
  int overrun = 0;
  int unused = 0;
  int other_results = 0;
};

template <typename Kernel, typename T, typename Executor>
void try_workspace(Random& random, const Executor& executor, bool count_allocations,
                   Outcome& outcome) {
  const AttentionProblem<T> problem = draw_problem<T>(random, 2.0);
  const auto expected = attend_problem<Kernel, float>(problem);
  rw::AttentionOptions options = problem.options();
  const std::size_t bytes =
      rw::attention_workspace<Kernel>(problem.q, problem.k, problem.v, options, executor.workers());
  Guarded workspace(bytes, static_cast<std::size_t>(random.integer(0, 63)));
  options.workspace = workspace.span();
  std::vector<float> out(expected.out_memory.size());
  std::vector<float> variance(expected.variance.size());
  rw::AttentionStatistics statistics;
  statistics.variance = variance;
  const auto to =
      rw::make_head_view(out.data(), problem.q.tokens, problem.q.heads, problem.v.head_dim);
  const auto run = [&](const auto& hooks) {
    const std::size_t before = allocations;
    rw::attend<Kernel>(problem.q, problem.k, problem.v, to, options, statistics, hooks);
    if (count_allocations && allocations != before) ++outcome.allocating;
  };
  if (problem.has_bias()) {
    rw::AttentionHooks<SlopeBias, rw::LoadedRows, rw::LoadedRows, Executor> hooks;
    hooks.bias = problem.bias;
    hooks.executor = executor;
    run(hooks);
  } else {
    rw::AttentionHooks<rw::NoBias, rw::LoadedRows, rw::LoadedRows, Executor> hooks;
    hooks.executor = executor;
    run(hooks);
  }
  ++outcome.problems;
  if (!workspace.guards_stand()) ++outcome.overrun;
  if (!workspace.was_used()) ++outcome.unused;
  if (std::memcmp(out.data(), expected.out_memory.data(), out.size() * sizeof(float)) != 0 ||
      std::memcmp(variance.data(), expected.variance.data(), variance.size() * sizeof(float)) !=
          0) {
    ++outcome.other_results;
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a workspace of the size asked for is enough, stays alone and changes nothing",
                   "", ROPEWALK_TEST_ATTENTION_KERNELS) {
  using Kernel = TestType;
  if (!runs_here<Kernel>()) return;
  Random random("attention workspace");
  Outcome outcome;
  const auto problems = static_cast<int>(test_iterations(300));
  for (int problem = 0; problem < problems; ++problem) {
    try_workspace<Kernel, float>(random, rw::OneThread{}, true, outcome);
    try_workspace<Kernel, rw::bfloat16>(random, rw::OneThread{}, true, outcome);
    if (problem % 4 == 0) {
      try_workspace<Kernel, float>(random, BackwardExecutor{}, true, outcome);
      try_workspace<Kernel, rw::float16>(random, ThreadExecutor{3}, false, outcome);
    }
  }
  INFO(seed_text());
  CHECK(outcome.problems >= 2 * problems);
  CHECK(outcome.allocating == 0);
  CHECK(outcome.overrun == 0);
  CHECK(outcome.unused == 0);
  CHECK(outcome.other_results == 0);
}

TEST_CASE("without a workspace attention allocates, which shows that allocations are counted") {
  std::vector<float> ones(64, 1.0f);
  std::vector<float> out(64);
  const auto view = rw::make_head_view<const float>(ones.data(), 4, 2, 8);
  const std::size_t before = allocations;
  rw::attend(view, view, view, rw::make_head_view(out.data(), 4, 2, 8));
  CHECK(allocations > before);
}

TEMPLATE_TEST_CASE("the workspace of many rows does not grow with the keys", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  const float* nowhere = reinterpret_cast<const float*>(std::uintptr_t{64});
  const auto bytes = [&](std::int64_t queries, std::int64_t keys, int workers) {
    const rw::HeadView<const float> q{nowhere, queries, 8, 64, 512, 64};
    const rw::HeadView<const float> k{nowhere, keys, 2, 64, 128, 64};
    return rw::attention_workspace<TestType>(q, k, k, {}, workers);
  };
  CHECK(bytes(1000, 1000, 1) == bytes(1000, 1000000, 1));
  CHECK(bytes(1000, 1000, 1) == bytes(1000000, 1000, 1));
  // Few rows are cut along the keys: a partial row, (head_dim,) and its sums, per part and head.
  constexpr std::int64_t part = rw::detail::kPartKeys;
  const std::size_t step = bytes(1, 40 * part, 1) - bytes(1, 20 * part, 1);
  CHECK(step >= 20 * 8 * 64 * sizeof(float));
  CHECK(step <= 20 * 8 * (64 * sizeof(float) + 64));
  constexpr std::int64_t most = rw::detail::kMostParts;
  CHECK(bytes(1, 1000 * most * part, 1) == bytes(1, most * part, 1));
  CHECK(bytes(1000, 1000, 5) - bytes(1000, 1000, 4) == bytes(1000, 1000, 4) - bytes(1000, 1000, 3));
}
