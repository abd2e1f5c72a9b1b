#include <ropewalk/cuda/attention/forward.hpp>
#include <ropewalk/cuda/pipeline.hpp>
#include <ropewalk/cuda/scale_gradient/softmax.hpp>

#include "../emulation/protocol.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
namespace cd = rw::cuda::detail;

namespace {

struct alignas(16) Chunk {
  std::uint32_t words[4] = {};
};

/// stream_tiles with a tile of one chunk per thread, all of which every warp reads.
template <int kStages>
std::vector<WarpProgram> record_stream(int warps, int tiles) {
  const int threads = 32 * warps;
  const std::size_t stage_bytes = static_cast<std::size_t>(threads) * 16;
  const Chunk source;
  std::vector<int> copied(static_cast<std::size_t>(threads));
  return record(threads, kStages * stage_bytes, [&](RecordingBlock& block) {
    const int thread = block.thread();
    const auto copy = [&](int tile, int stage) {
      ++copied[static_cast<std::size_t>(thread)];
      REQUIRE(copied[static_cast<std::size_t>(thread)] == tile + 1);
      block.copy_chunk(block.shared() + (stage * threads + thread) * 16, &source, true);
    };
    const auto use = [&](int, int stage) {
      for (int warp = 0; warp < warps; ++warp) {
        std::uint32_t words[4];
        const int row = stage * threads + warp * 32 + thread % 32;
        block.load_matrices(words, block.shared() + row * 16);
      }
    };
    cd::stream_tiles<kStages>(block, tiles, copy, use);
  });
}

struct Totals {
  int protocols = 0;
  int faults = 0;
  std::int64_t states = 0;
};

/// Sound as it is, and unsound without any one of its waits and barriers from `first` on.
void check_protocol(const std::vector<WarpProgram>& programs, Totals& totals, int first = 0) {
  REQUIRE_FALSE(programs.empty());
  const Explorer protocol(programs);
  const Exploration all = protocol.explore();
  CHECK(all.fault == "");
  ++totals.protocols;
  totals.states += all.states;
  const auto finds = [&totals](const Explorer& changed) {
    const Exploration found = changed.explore();
    totals.faults += !found.fault.empty();
    totals.states += found.states;
    return found.fault;
  };
  for (int i = first; i < protocol.count(Act::wait); ++i) {
    INFO("wait " << i);
    CHECK_THAT(finds(protocol.without(Act::wait, i)), contains("arrived"));
    CHECK_THAT(finds(protocol.waiting_less(i)), contains("arrived"));
  }
  if (programs.size() < 2) return;
  for (int i = first; i < protocol.count(Act::barrier); ++i) {
    INFO("barrier " << i);
    CHECK(finds(protocol.without(Act::barrier, i)) != "");
    CHECK_THAT(finds(protocol.without(Act::barrier, i, 1)),
               contains("do not come") || contains("arrived") || contains("overwritten"));
  }
}

template <int kStages>
void check_streams(Totals& totals) {
  for (int warps = 1; warps <= 3; ++warps) {
    for (int tiles = 0; tiles <= 5; ++tiles) {
      INFO(kStages << " stages, " << warps << " warps, " << tiles << " tiles");
      const std::vector<WarpProgram> programs = record_stream<kStages>(warps, tiles);
      check_protocol(programs, totals);
      CHECK(Explorer(programs).count(Act::wait) == tiles);
      CHECK(Explorer(programs).count(Act::barrier) == tiles);
    }
  }
}

/// Queries and keys of one head, under a mask with first keys, a gap and a diagonal.
struct Inputs {
  std::vector<Chunk> rows, columns;
  std::vector<float> statistics;
  rw::cuda::AttentionParams<rw::float16> params;

  Inputs(int head_dim, int queries, int keys)
      : rows(static_cast<std::size_t>(queries * head_dim / 8)),
        columns(static_cast<std::size_t>(keys * head_dim / 8)),
        statistics(static_cast<std::size_t>(queries)) {
    params.shape = {1, queries, keys, 1, 1, head_dim};
    params.q = {reinterpret_cast<const rw::float16*>(rows.data()), 0, head_dim, head_dim};
    params.k = {reinterpret_cast<const rw::float16*>(columns.data()), 0, head_dim, head_dim};
    params.v = params.k;
    params.out = {reinterpret_cast<rw::float16*>(rows.data()), 0, head_dim, head_dim};
    params.mask.window = 40;
    params.mask.first_keys = 20;
    params.statistics.lse = params.statistics.entropy = statistics.data();
  }
};

/// One block of the gradient's kernel.
template <int kDim>
std::vector<WarpProgram> record_slopes(int queries, int keys) {
  using Tile = cd::SlopeTile<kDim>;
  const Inputs inputs(kDim, queries, keys);
  std::vector<float> slopes(static_cast<std::size_t>(queries));
  rw::cuda::SoftmaxScaleGradientParams<rw::float16> params;
  params.attention = inputs.params;
  params.d_out = inputs.params.q;
  const auto job = cd::slope_job<kDim>(params, slopes.data());
  return record(Tile::kThreads, Tile::kSharedBytes,
                [&](RecordingBlock& block) { cd::slope_block<kDim>(block, job); });
}

/// One block of the forward kernel.
template <int kDim, bool kValues>
std::vector<WarpProgram> record_forward(int queries, int keys) {
  using Traits = cd::ForwardTraits<rw::float16, kDim, rw::cuda::Statistics::entropy, kValues>;
  const Inputs inputs(kDim, queries, keys);
  const auto job = cd::forward_job<Traits>(inputs.params);
  return record(Traits::kThreads, Traits::kSharedBytes,
                [&](RecordingBlock& block) { cd::forward<Traits>(block, job); });
}

}  // namespace

TEST_CASE("no order of warps breaks a stream of tiles, and none of its waits or barriers is idle") {
  Totals totals;
  check_streams<2>(totals);
  check_streams<3>(totals);
  check_streams<4>(totals);
  std::printf("streams: %d protocols in every order, %d planted faults found, %lld states\n",
              totals.protocols, totals.faults, static_cast<long long>(totals.states));
  CHECK(totals.protocols == 3 * 3 * 6);
}

TEST_CASE("no order of warps breaks the gradient's kernel, and none of its waits is idle") {
  Totals totals;
  check_protocol(record_slopes<64>(100, 300), totals);
  check_protocol(record_slopes<128>(70, 200), totals);
  check_protocol(record_slopes<256>(20, 90), totals);
  std::printf("gradient: %d protocols in every order, %d planted faults found, %lld states\n",
              totals.protocols, totals.faults, static_cast<long long>(totals.states));
}

TEST_CASE("no order of warps breaks the forward kernel, and none of its waits is idle") {
  Totals totals;
  // Towards copies its first two waits and barriers do the same work; the first are there for what
  // threads write to shared memory themselves, which is not recorded.
  constexpr int kPrepares = 2;
  check_protocol(record_forward<64, true>(100, 300), totals, kPrepares);
  check_protocol(record_forward<128, true>(128, 200), totals, kPrepares);
  check_protocol(record_forward<256, true>(20, 90), totals, kPrepares);
  check_protocol(record_forward<64, false>(100, 300), totals, kPrepares);
  check_protocol(record_forward<128, false>(1, 200), totals, kPrepares);
  std::printf("forward: %d protocols in every order, %d planted faults found, %lld states\n",
              totals.protocols, totals.faults, static_cast<long long>(totals.states));
}

TEST_CASE("the model tells protocols that are unsound for other reasons") {
  const auto fault = [](auto&& body) {
    const Chunk source;
    const auto programs = record(64, 4096, [&](RecordingBlock& block) { body(block, &source); });
    return programs.empty() ? std::string("did not run") : Explorer(programs).explore().fault;
  };
  const auto read = [](RecordingBlock& block, int first) {
    std::uint32_t words[4];
    block.load_matrices(words, block.shared() + (first + block.thread() % 32) * 16);
  };
  const auto copy = [](RecordingBlock& block, const void* from) {
    block.copy_chunk(block.shared() + block.thread() * 16, from, true);
    block.commit();
  };
  CHECK(fault([&](RecordingBlock& block, const void* from) {
          copy(block, from);
          block.wait<0>();
          block.sync();
          read(block, 0);
          read(block, 32);
        }) == "");
  CHECK(fault([&](RecordingBlock& block, const void*) { read(block, 0); }) ==
        "nobody copies what is read");
  CHECK(fault([&](RecordingBlock& block, const void* from) {
          copy(block, from);
          block.wait<0>();
          block.sync();
          read(block, 64 - 32);
          copy(block, from);  // while the other warp may still read
        }) == "read after it was overwritten");
  CHECK(fault([&](RecordingBlock& block, const void* from) {
          copy(block, from);
          copy(block, from);
          block.wait<0>();
        }) == "copied over what has not arrived");
  CHECK(fault([&](RecordingBlock& block, const void* from) {
          block.copy_chunk(block.shared() + block.thread() % 32 * 16, from, true);
          block.commit();
          block.wait<0>();
          block.sync();
          read(block, 0);
        }) == "two warps copy to one place");
}
