#include <ropewalk/cuda/fragment.hpp>
#include <ropewalk/cuda/swizzle.hpp>

#include "../emulation/block.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
namespace cd = rw::cuda::detail;

namespace {

constexpr int kRows = 16;
constexpr int kKeys = 16;

template <typename T>
std::vector<T> random_elements(Random& random, int count) {
  std::vector<T> elements(static_cast<std::size_t>(count));
  for (T& element : elements) {
    element = rw::ElementTraits<T>::store(static_cast<float>(random.uniform(-2, 2)));
  }
  return elements;
}

/// Copies a tile of 16 rows to shared memory.
template <int kDim, typename T>
void copy_tile(EmulatedBlock& block, const T* from, unsigned char* to) {
  constexpr int kChunks = kDim / 8;
  for (int i = block.thread(); i < 16 * kChunks; i += cd::kLanes) {
    const int at = cd::Swizzle<kChunks>::at(i / kChunks, i % kChunks);
    block.copy_chunk(to + at * 16, from + i * 8, true);
  }
}

/// scores = q k^T, sums = scores v, both by one warp.
template <int kDim, typename T>
LaunchReport multiply_tiles(const std::vector<T>& q, const std::vector<T>& k,
                            const std::vector<T>& v, std::vector<float>& scores,
                            std::vector<float>& sums) {
  constexpr int kChunks = kDim / 8;
  using Places = cd::Swizzle<kChunks>;
  EmulatedGrid grid;
  const LaunchSize size{1, 1, 1, cd::kLanes, std::size_t{3} * 16 * kDim * 2};
  return grid.run(size, 1, [&](EmulatedBlock& block) {
    unsigned char* tile_q = block.shared();
    unsigned char* tile_k = tile_q + 16 * kDim * 2;
    unsigned char* tile_v = tile_k + 16 * kDim * 2;
    copy_tile<kDim>(block, q.data(), tile_q);
    copy_tile<kDim>(block, k.data(), tile_k);
    copy_tile<kDim>(block, v.data(), tile_v);
    block.commit();
    block.wait<0>();
    block.sync();
    const int lane = block.thread();
    float score[2][4] = {};
    for (int depth = 0; depth < kDim / 16; ++depth) {
      std::uint32_t left[4];
      std::uint32_t right[4];
      const cd::MatrixRow a = cd::left_rows(lane);
      const cd::MatrixRow b = cd::right_rows(lane);
      block.load_matrices(left, tile_q + Places::at(a.row, 2 * depth + a.chunk) * 16);
      block.load_matrices(right, tile_k + Places::at(b.row, 2 * depth + b.chunk) * 16);
      block.multiply<T>(score[0], left, right[0], right[1]);
      block.multiply<T>(score[1], left, right[2], right[3]);
    }
    std::uint32_t weights[4];
    for (int tile = 0; tile < 2; ++tile) {
      for (int i = 0; i < 4; ++i) {
        const int row = cd::accumulator_row(lane, i);
        const int column = 8 * tile + cd::accumulator_column(lane, i);
        scores[static_cast<std::size_t>(row * kKeys + column)] = score[tile][i];
      }
      weights[2 * tile] = block.pack<T>(score[tile][0], score[tile][1]);
      weights[2 * tile + 1] = block.pack<T>(score[tile][2], score[tile][3]);
    }
    for (int pair = 0; pair < kDim / 16; ++pair) {
      std::uint32_t right[4];
      const cd::MatrixRow b = cd::right_rows_transposed(lane);
      block.load_transposed(right, tile_v + Places::at(b.row, 2 * pair + b.chunk) * 16);
      for (int half = 0; half < 2; ++half) {
        float sum[4] = {};
        block.multiply<T>(sum, weights, right[2 * half], right[2 * half + 1]);
        for (int i = 0; i < 4; ++i) {
          const int row = cd::accumulator_row(lane, i);
          const int dim = 16 * pair + 8 * half + cd::accumulator_column(lane, i);
          sums[static_cast<std::size_t>(row * kDim + dim)] = sum[i];
        }
      }
    }
  });
}

template <int kDim, typename T>
void check_products(const char* stream) {
  Random random(stream);
  const std::vector<T> q = random_elements<T>(random, kRows * kDim);
  const std::vector<T> k = random_elements<T>(random, kKeys * kDim);
  const std::vector<T> v = random_elements<T>(random, kKeys * kDim);
  std::vector<float> scores(kRows * kKeys, std::nanf(""));
  std::vector<float> sums(kRows * kDim, std::nanf(""));
  const LaunchReport report = multiply_tiles<kDim>(q, k, v, scores, sums);
  REQUIRE(report.error == "");
  CHECK(report.matrix_reads == 4 * 3 * kDim / 16);
  CHECK(report.matrix_conflicts == 0);
  const auto at = [](const std::vector<T>& from, int index) {
    return static_cast<double>(rw::to_float(from[static_cast<std::size_t>(index)]));
  };
  for (int row = 0; row < kRows; ++row) {
    std::vector<double> weights;
    for (int key = 0; key < kKeys; ++key) {
      double exact = 0;
      for (int d = 0; d < kDim; ++d) exact += at(q, row * kDim + d) * at(k, key * kDim + d);
      const float got = scores[static_cast<std::size_t>(row * kKeys + key)];
      // Rounded once per 16 elements, to floats no larger than the sum of the magnitudes, 4 each.
      CHECK(std::fabs(static_cast<double>(got) - exact) <= kDim / 16 * 4.0 * kDim * 0x1p-24);
      weights.push_back(static_cast<double>(rw::to_float(rw::ElementTraits<T>::store(got))));
    }
    for (int d = 0; d < kDim; ++d) {
      double exact = 0;
      double size = 0;
      for (int key = 0; key < kKeys; ++key) {
        const double product = weights[static_cast<std::size_t>(key)] * at(v, key * kDim + d);
        exact += product;
        size += std::fabs(product);
      }
      const float got = sums[static_cast<std::size_t>(row * kDim + d)];
      CHECK(std::fabs(static_cast<double>(got) - exact) <= size * 0x1p-24);  // one rounding
    }
  }
}

}  // namespace

TEST_CASE("fragments and swizzled tiles give the products of the matrices") {
  check_products<64, rw::bfloat16>("products 64 bf16");
  check_products<64, rw::float16>("products 64 f16");
  check_products<96, rw::bfloat16>("products 96");
  check_products<128, rw::float16>("products 128");
  check_products<256, rw::bfloat16>("products 256");
}

TEST_CASE("the emulation reports what a device would get wrong") {
  EmulatedGrid grid;
  const LaunchSize size{1, 1, 1, 64, 1024};
  const std::vector<std::uint32_t> source(4 * 64, 0x3f803f80u);
  std::vector<std::uint32_t> seen(64);
  const auto read = [&](EmulatedBlock& block, bool waits, bool syncs) {
    const auto lane = static_cast<std::size_t>(block.thread());
    // aligned: 16 bytes of a vector whose beginning malloc aligns
    block.copy_chunk(block.shared() + lane * 16, source.data() + lane * 4, true);
    block.commit();
    if (waits) block.wait<0>();
    if (syncs) block.sync();
    std::memcpy(&seen[lane], block.shared() + (63 - lane) * 16, 4);
  };
  const auto all_arrived = [&] {
    for (const std::uint32_t word : seen) {
      if (word != 0x3f803f80u) return false;
    }
    return true;
  };
  CHECK(grid.run(size, 1, [&](EmulatedBlock& block) { read(block, true, true); }).error == "");
  CHECK(all_arrived());
  grid.run(size, 1, [&](EmulatedBlock& block) { read(block, false, true); });
  CHECK_FALSE(all_arrived());  // not waited for
  grid.run(size, 1, [&](EmulatedBlock& block) { read(block, true, false); });
  CHECK_FALSE(all_arrived());  // no barrier

  const auto failure = [&](auto&& body) { return grid.run(size, 1, body).error; };
  CHECK_THAT(failure([](EmulatedBlock& block) {
               if (block.thread() != 7) block.sync();
             }),
             contains("wait for others"));
  CHECK_THAT(failure([](EmulatedBlock& block) {
               if (block.thread() == 7) {
                 block.any(true);
               } else {
                 block.exchange(1.0f, 1);
               }
             }),
             contains("meet at"));
  CHECK_THAT(failure([&](EmulatedBlock& block) {
               block.copy_chunk(block.shared() + 1024, source.data(), true);
             }),
             contains("outside of shared memory"));
  CHECK_THAT(failure([&](EmulatedBlock& block) {
               block.copy_chunk(block.shared() + 8, source.data(), true);
             }),
             contains("not aligned"));
  CHECK_THAT(failure([](EmulatedBlock& block) {
               std::uint32_t words[4];
               block.load_matrices(words, block.shared() + 1020);
             }),
             contains("ldmatrix"));
}
