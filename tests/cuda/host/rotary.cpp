#include "cuda/emulation.hpp"
#include "cuda/rotary_cases.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr int kShapes = 600;

/// Runs a call's threads on the host; counts those that move 16 bytes at a time, and those that no
/// card would take.
struct OnHost {
  int* wide;
  int* impossible;

  template <typename Params>
  void operator()(const Params& params, const std::vector<Array>&) const {
    *impossible += !launchable(rw::cuda::detail::rotary_job(params));
    *wide += emulate_launch(params);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("the rotary kernel's threads compute what rotate() does, for random shapes", "",
                   float, rw::float16, rw::bfloat16) {
  Random random("cuda rotary");
  int wide = 0, impossible = 0;
  for (int iteration = 0; iteration < kShapes; ++iteration) {
    const Outcome outcome = rotation_case<TestType>(random, OnHost{&wide, &impossible});
    INFO(outcome.text << " " << outcome.refused);
    REQUIRE(outcome.refused.empty());
    REQUIRE(impossible == 0);
    REQUIRE(outcome.wrong == 0);
  }
  std::printf("rotary kernel on the host: %d shapes, %d of them 16 bytes at a time\n", kShapes,
              wide);
  CHECK(wide > kShapes / 4);
  CHECK(wide < kShapes * 3 / 4);
}

TEMPLATE_TEST_CASE("keys and values arrive in the places they were given and nowhere else", "",
                   float, rw::float16, rw::bfloat16) {
  Random random("cuda kv write");
  int wide = 0, impossible = 0, skipped = 0;
  int by_way[5] = {};
  for (int iteration = 0; iteration < kShapes; ++iteration) {
    const Outcome outcome = store_case<TestType>(random, OnHost{&wide, &impossible});
    INFO(outcome.text << " " << outcome.refused);
    REQUIRE(outcome.refused.empty());
    REQUIRE(impossible == 0);
    REQUIRE(outcome.wrong == 0);
    skipped += outcome.skipped;
    by_way[outcome.way] += 1;
  }
  CHECK(wide > kShapes / 4);
  CHECK(skipped > kShapes / 2);
  for (const int shapes : by_way) CHECK(shapes > kShapes / 10);
}

TEST_CASE("what a rotation on the device cannot do is refused by the field") {
  std::vector<float> memory(64);
  std::vector<std::int64_t> positions(2);
  const auto sound = [&] {
    rw::cuda::RotaryParams<float> params;
    params.q_out = rw::make_head_view(memory.data(), 2, 2, 8);
    params.q = params.q_out;
    params.positions = positions.data();
    params.angles.pairs = 4;
    return params;
  };
  const auto field_of = [](const rw::cuda::RotaryParams<float>& params) {
    const rw::Fault fault = rw::cuda::validate(params);
    return std::string(fault.code == rw::Errc::ok ? "" : fault.field);
  };
  CHECK(field_of(sound()).empty());
  auto params = sound();
  params.positions = nullptr;
  CHECK(field_of(params) == "positions");
  params = sound();
  params.angles.pairs = 0;
  CHECK(field_of(params) == "angles.pairs");
  params = sound();
  params.angles.pairs = rw::cuda::kMaximumPairs + 1;
  CHECK(field_of(params) == "angles.pairs");
  params = sound();
  params.first_dim = 1;
  CHECK(field_of(params) == "first_dim");
  params = sound();
  params.q_out.data += 1;
  CHECK(field_of(params) == "q_out");
  params = sound();
  params.angles.cos = memory.data();
  CHECK(field_of(params) == "angles.sin");
  params = sound();
  params.k_out = rw::make_head_view(memory.data() + 16, 2, 2, 8);
  params.k = params.k_out;
  CHECK(field_of(params) == "k_out");
}

TEST_CASE("a position outside the table gives NaN, not another position's angle") {
  std::vector<float> memory(8, 1.0f);
  const std::int64_t positions[2] = {9, 12};
  const float table[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  rw::cuda::RotaryParams<float> params;
  params.q_out = rw::make_head_view(memory.data(), 2, 1, 4);
  params.q = params.q_out;
  params.positions = positions;
  params.angles.pairs = 2;
  params.angles.cos = params.angles.sin = table;
  params.angles.rows = 2;
  params.angles.row_stride = 2;
  params.angles.first_position = 11;
  emulate_launch(params);
  for (int i = 0; i < 4; ++i) {
    CHECK((rw::detail::bits_of(memory[static_cast<std::size_t>(i)]) & 0x7fffffffu) > 0x7f800000u);
  }
  CHECK(memory[4] == 0.0f);
  CHECK(memory[6] == 2.0f);
}

TEST_CASE("the largest and the smallest launches are within what a card takes") {
  std::vector<float> memory(1);
  const std::int64_t position = 0;
  for (const int pairs : {1, 3, 8, 64, rw::cuda::kMaximumPairs}) {
    for (const int head_dim : {2 * pairs, 2 * pairs + 1, rw::cuda::kMaximumHeadDim}) {
      for (const std::int64_t heads : {1, 2, 33, rw::cuda::kMaximumHeads}) {
        for (const std::int64_t tokens : {1, 2, 63, 1000, 1 << 20}) {
          INFO(pairs << " " << head_dim << " " << heads << " " << tokens);
          rw::cuda::RotaryParams<float> params;
          params.q_out = rw::make_head_view(memory.data(), tokens, heads, head_dim);
          params.q = params.q_out;
          params.positions = &position;
          params.angles.pairs = pairs;
          REQUIRE(rw::cuda::validate(params).code == rw::Errc::ok);
          const auto job = rw::cuda::detail::rotary_job(params);
          REQUIRE(launchable(job));
          CHECK(job.blocks * job.block_tokens >= tokens);
          CHECK(std::int64_t{job.groups} * job.heads_per_group >= heads);
        }
      }
    }
  }
}

TEST_CASE("without pairs keys and values are written as they are") {
  std::vector<float> keys = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
  std::vector<float> values = {7.0f, 8.0f, 9.0f, 10.0f, 11.0f, 12.0f};
  std::vector<float> cache_k(12, 0.0f), cache_v(12, 0.0f);
  const std::int64_t positions[2] = {5, 6};
  const std::int64_t slots[2] = {3, 0};
  rw::cuda::KvWriteParams<float> params;
  params.k = rw::make_head_view<const float>(keys.data(), 2, 1, 3);
  params.v = rw::make_head_view<const float>(values.data(), 2, 1, 3);
  params.positions = positions;
  params.cache = {cache_k.data(), cache_v.data(), 2, 2, 6, 3, 3};
  params.targets.slots = slots;
  REQUIRE(rw::cuda::validate(params).code == rw::Errc::ok);
  emulate_launch(params);
  CHECK(cache_k == std::vector<float>{4, 5, 6, 0, 0, 0, 0, 0, 0, 1, 2, 3});
  CHECK(cache_v == std::vector<float>{10, 11, 12, 0, 0, 0, 0, 0, 0, 7, 8, 9});
}

TEST_CASE("queries without keys turn and look for no place in a cache") {
  std::vector<float> memory = {1.0f, 2.0f, 3.0f, 4.0f};
  const float cosine[2] = {0.0f, 0.0f};
  const float sine[2] = {1.0f, 1.0f};
  const std::int64_t positions[2] = {0, 0};
  rw::cuda::KvWriteParams<float> params;
  params.q_out = rw::make_head_view(memory.data(), 2, 1, 2);
  params.q = params.q_out;
  params.k.tokens = params.v.tokens = 2;
  params.k.head_dim = params.v.head_dim = 2;
  params.positions = positions;
  params.angles.pairs = 1;
  params.angles.cos = cosine;
  params.angles.sin = sine;
  params.angles.rows = 1;
  params.angles.row_stride = 1;
  REQUIRE(rw::cuda::validate(params).code == rw::Errc::ok);
  emulate_launch(params);
  CHECK(memory == std::vector<float>{-2, 1, -4, 3});
}

TEST_CASE("a write to a cache that cannot be made is refused by the field") {
  std::vector<float> memory(512);
  std::vector<std::int64_t> numbers(2);
  std::vector<std::int32_t> ids(3);
  using Params = rw::cuda::KvWriteParams<float>;
  const auto field_after = [&](auto change) {
    Params params;
    params.k = rw::make_head_view<const float>(memory.data(), 2, 2, 8);
    params.v = rw::make_head_view<const float>(memory.data() + 32, 2, 2, 8);
    params.positions = numbers.data();
    params.cache = {memory.data() + 64, memory.data() + 192, 2, 4, 64, 16, 8, ids.data(), 1, 2};
    params.targets.slots = numbers.data();
    change(params);
    const rw::Fault fault = rw::cuda::validate(params);
    return std::string(fault.code == rw::Errc::ok ? "" : fault.field);
  };
  CHECK(field_after([](Params&) {}).empty());
  CHECK(field_after([](Params& params) { params.cache.k = nullptr; }) == "cache.k");
  CHECK(field_after([](Params& params) { params.cache.v = nullptr; }) == "cache.v");
  CHECK(field_after([](Params& params) { params.cache.v = params.cache.k; }) == "cache.v");
  CHECK(field_after([](Params& params) { params.cache.pages = 0; }) == "cache.pages");
  CHECK(field_after([](Params& params) { params.cache.pages = 1 << 29; }) == "cache.pages");
  CHECK(field_after([](Params& params) { params.cache.page_size = 0; }) == "cache.page_size");
  CHECK(field_after([](Params& params) { params.cache.page_stride = 63; }) == "cache.page_stride");
  CHECK(field_after([](Params& params) { params.cache.token_stride = -1; }) ==
        "cache.token_stride");
  CHECK(field_after([](Params& params) { params.cache.head_stride = 7; }) == "cache.head_stride");
  CHECK(field_after([](Params& params) { params.cache.sequences = 0; }) == "cache.sequences");
  CHECK(field_after([](Params& params) { params.cache.pages_per_sequence = 0; }) ==
        "cache.pages_per_sequence");
  CHECK(field_after([](Params& params) { params.cache.pages_per_sequence = 1 << 29; }) ==
        "cache.pages_per_sequence");
  CHECK(field_after([](Params& params) { params.targets.slots = nullptr; }) == "targets.slots");
  CHECK(field_after([&](Params& params) { params.targets.sequences = ids.data(); }) ==
        "targets.sequences");
  CHECK(field_after([&](Params& params) { params.targets.starts = ids.data(); }) ==
        "targets.starts");
  CHECK(field_after([&](Params& params) { params.targets.positions = numbers.data(); }) ==
        "targets.positions");
  const auto by_starts = [&](std::int64_t count) {
    return field_after([&](Params& params) {
      params.targets.slots = nullptr;
      params.targets.starts = ids.data();
      params.targets.sequence_count = count;
      params.targets.positions32 = ids.data();
    });
  };
  CHECK(by_starts(1).empty());
  CHECK(by_starts(0) == "targets.sequence_count");
  CHECK(by_starts(2) == "targets.sequence_count");
}
