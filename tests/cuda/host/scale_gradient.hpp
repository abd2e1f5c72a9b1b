// The launches of the entry points of the scales' gradients, done by the emulation.
#pragma once

#include "../emulation/block.hpp"
#include "../scale_gradient_cases.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk_test {
namespace gradient_cases {

/// The emulation rounds once to 16 elements; its 2^x is the compiler's.
#ifdef ROPEWALK_TEST_FAST_MATH
constexpr Arithmetic kEmulated = {1.0 / 16, 8};
#else
constexpr Arithmetic kEmulated = {1.0 / 16, 2};
#endif

/// How much is emulated; less where every change of fibers asks the kernel of the system.
#ifdef ROPEWALK_TEST_SWAP_CONTEXTS
constexpr int kShapes = 50;
constexpr std::int64_t kLargestSum = 20000;
#else
constexpr int kShapes = 500;
constexpr std::int64_t kLargestSum = 300000;
#endif

/// Launches, one after the other; the first error stays.
class Launches {
 public:
  explicit Launches(std::uint64_t seed) : seed_(seed) {}

  template <typename Body>
  void run(std::int64_t blocks, int groups, int threads, int shared_bytes, Body&& body) {
    if (blocks == 0 || !error.empty()) return;
    LaunchSize size;
    size.x = static_cast<int>(blocks);
    size.y = groups;
    size.threads = threads;
    size.shared_bytes = static_cast<std::size_t>(shared_bytes);
    // Stacks are kept from launch to launch.
    static EmulatedGrid grids[2];
    const LaunchReport report = grids[threads > 128 ? 1 : 0].run(size, seed_, body);
    error = report.error;
    matrix_conflicts += report.matrix_conflicts;
    products += report.products;
  }

  void sum(const ropewalk::cuda::detail::ScaleGradientSums& sums) {
    using namespace ropewalk::cuda::detail;
    const auto all = [this](const ScaleGradientSums::Grid& grid, auto&& body) {
      run(grid.blocks, grid.groups, kSumThreads, kSumSharedBytes, body);
    };
    all(sums.parts_grid, [&](EmulatedBlock& block) { sum_columns(block, sums.parts); });
    if (sums.parts_grid.blocks != 0) {
      all(sums.heads_grid, [&](EmulatedBlock& block) { sum_columns(block, sums.heads_of_parts); });
    } else {
      all(sums.heads_grid, [&](EmulatedBlock& block) { sum_columns(block, sums.heads); });
    }
    all(sums.rows_grid, [&](EmulatedBlock& block) { sum_rows(block, sums.rows); });
  }

  std::string error;
  std::int64_t matrix_conflicts = 0;
  std::int64_t products = 0;

 private:
  std::uint64_t seed_;
};

/// scale_gradients() of the device.
template <typename T, typename G>
Launches emulate_gradients(const ropewalk::cuda::ScaleGradientParams<T, G>& params,
                           std::uint64_t seed) {
  using namespace ropewalk::cuda::detail;
  Launches launches(seed);
  const SlopeMemory memory = slope_memory(params);
  const RowDots<T, G> job = row_dots(params, memory.slopes);
  launches.run(job.blocks(), 1, kRowThreads, 0, [&](EmulatedBlock& block) {
    if (job.wide) {
      dot_rows<T, G, true>(block, job);
    } else {
      dot_rows<T, G, false>(block, job);
    }
  });
  launches.sum(sums_of(params, memory, params.head_scale, params.position_scale));
  return launches;
}

/// softmax_scale_gradients() of the device for one size of head.
template <int kDim, typename T>
Launches emulate_gradients(const ropewalk::cuda::SoftmaxScaleGradientParams<T>& params,
                           std::uint64_t seed) {
  using namespace ropewalk::cuda::detail;
  using Tile = SlopeTile<kDim>;
  Launches launches(seed);
  const SlopeMemory memory = slope_memory(params);
  if (params.attention.query_starts != nullptr && memory.entries > 0) {
    std::memset(memory.slopes, 0, memory.entries * sizeof(float));
  }
  const SlopeJob<T> job = slope_job<kDim>(params, memory.slopes);
  launches.run(job.order.size(), 1, Tile::kThreads, Tile::kSharedBytes,
               [&](EmulatedBlock& block) { slope_block<kDim>(block, job); });
  const ropewalk::cuda::LogitScale& scale = params.attention.scale;
  launches.sum(sums_of(params, memory, scale.head_scale, scale.position_scale));
  return launches;
}

template <typename T>
Launches emulate_gradients(const ropewalk::cuda::SoftmaxScaleGradientParams<T>& params,
                           std::uint64_t seed) {
  switch (ropewalk::cuda::detail::padded_head_dim(params.attention.shape.head_dim)) {
    case 64:
      return emulate_gradients<64>(params, seed);
    case 96:
      return emulate_gradients<96>(params, seed);
    case 128:
      return emulate_gradients<128>(params, seed);
    default:
      return emulate_gradients<256>(params, seed);
  }
}

/// statistics_scale_gradients() of the device.
inline Launches emulate_gradients(const ropewalk::cuda::StatisticsScaleGradientParams& params,
                                  std::uint64_t seed) {
  using namespace ropewalk::cuda::detail;
  Launches launches(seed);
  const SlopeMemory memory = slope_memory(params);
  const StatisticsSlopes job = statistics_slopes(params, memory.slopes);
  launches.run((job.entries + kRowThreads - 1) / kRowThreads, 1, kRowThreads, 0,
               [&](EmulatedBlock& block) { slope_of_statistics(block, job); });
  launches.sum(sums_of(params, memory, params.scale.head_scale, params.scale.position_scale));
  return launches;
}

/// Runs the calls of a case, warps in an order of its own each.
class OnEmulation {
 public:
  explicit OnEmulation(std::string name) : name_(std::move(name)) {}

  template <typename Params>
  void operator()(const Params& params, const std::vector<Array>&) const {
    const Launches launches = emulate_gradients(params, seed_++);
    if (error.empty()) error = launches.error;
    matrix_conflicts += launches.matrix_conflicts;
  }

  /// Takes what came of a call; false where something is wrong.
  bool takes(const Outcome& outcome) {
    ++calls;
    rows += outcome.rows;
    wide += outcome.wide;
    worst = outcome.worst > worst ? outcome.worst : worst;
    return outcome.refused.empty() && outcome.wrong == 0 && error.empty();
  }
  void print() const {
    std::printf("%s: %d shapes", name_.c_str(), calls);
    if (wide > 0) std::printf(" (%d by 16 bytes)", wide);
    std::printf(", %lld rows, largest error %.2f of its bound\n", static_cast<long long>(rows),
                worst);
  }

  mutable std::string error;
  mutable std::int64_t matrix_conflicts = 0;
  int calls = 0;
  int wide = 0;
  std::int64_t rows = 0;
  double worst = 0.0;

 private:
  std::string name_;
  mutable std::uint64_t seed_ = 1;
};

}  // namespace gradient_cases
}  // namespace ropewalk_test
