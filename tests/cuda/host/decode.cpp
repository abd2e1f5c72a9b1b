#include "cuda/emulation/decode.hpp"
#include "cuda/decode_run.hpp"
#include "cuda/emulation.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
namespace rc = rw::cuda;
namespace cd = rw::cuda::detail;

namespace {

constexpr rc::Statistics kAll = rc::Statistics::variance;

#if defined(__SANITIZE_ADDRESS__) || defined(ROPEWALK_TEST_EMULATED) || !defined(__OPTIMIZE__)
constexpr int kShapes = 100;  // per type, where each takes several times as long
#else
constexpr int kShapes = 500;
#endif

/// Runs both kernels, warps in an order of their own.
template <rc::Statistics kLevel = kAll, typename T>
LaunchReport decode(const DecodeRun<T>& run, std::uint64_t seed) {
  const rw::Fault fault = rc::validate(run.params, run.params.blocks, kLevel);
  if (fault.code == rw::Errc::ok)
    return emulate_decode<kLevel>(run.params, run.params.blocks, seed);
  LaunchReport report;
  report.error = fault.field;
  return report;
}

template <typename T>
void check_random_shapes(const char* stream, int shapes) {
  Random random(stream);
  int variants = 0;
  for (int shape = 0; shape < shapes; ++shape) {
    const DecodeCase<T> problem(random, random_head_dim(random));
    bool whole = true;
    for (const char there : problem.present) whole = whole && there != 0;
    const auto blocks = static_cast<int>(random.integer(1, 12));
    INFO(problem.text() << " blocks " << blocks << " shape " << shape);
    const bool paged = !whole || random.one_in(2);
    DecodeRun<T> run(problem, problem.k, random_layout(random, problem.page_size, paged), blocks,
                     random);
    const LaunchReport report = decode(run, 1);
    REQUIRE(report.error == "");
    CHECK(report.matrix_conflicts == 0);
    REQUIRE(run.count_wrong() == 0);
    if (shape % 3 != 0) continue;
    // The same numbers elsewhere in memory, other warps first.
    ++variants;
    DecodeRun<T> other(problem, problem.k,
                       random_layout(random, whole ? 7 : problem.page_size, !whole || !paged),
                       blocks, random);
    REQUIRE(decode(other, 2).error == "");
    REQUIRE(rows_differ(run, other) == 0);
  }
  std::printf("decode %s: %d shapes, %d of them twice\n", stream, shapes, variants);
}

/// Keys as rotate() of the device makes them of `raw`.
template <typename T>
std::vector<T> rotated_keys(const DecodeCase<T>& problem, const std::vector<T>& raw,
                            const DecodeAngles& by) {
  std::vector<T> result(raw.size());
  std::vector<std::int64_t> positions;
  const rc::RotaryParams<T> params = key_rotation(problem, raw, by, result, positions);
  REQUIRE(rc::validate(params).code == rw::Errc::ok);
  emulate_launch(params);
  return result;
}

template <typename T>
void check_rotation(const char* stream, int shapes) {
  Random random(stream);
  for (int shape = 0; shape < shapes; ++shape) {
    DecodeCase<T> problem(random,
                          8 * static_cast<int>(random.integer(2, random.one_in(8) ? 32 : 16)));
    const DecodeAngles angles(random, problem.shape.head_dim, problem.most_keys);
    const std::vector<T> raw = problem.k;
    problem.k = rotated_keys(problem, raw, angles);
    const auto blocks = static_cast<int>(random.integer(1, 12));
    INFO(problem.text() << " blocks " << blocks << " pairs " << angles.angles.pairs << " table "
                        << (angles.angles.cos != nullptr));
    const DecodeLayout layout = random_layout(random, problem.page_size, true);
    DecodeRun<T> stored(problem, problem.k, layout, blocks, random);
    REQUIRE(decode(stored, 1).error == "");
    REQUIRE(stored.count_wrong() == 0);
    DecodeRun<T> turned(problem, raw, layout, blocks, random);
    angles.ask(turned.params);
    REQUIRE(decode(turned, 2).error == "");
    REQUIRE(rows_differ(stored, turned) == 0);
  }
}

}  // namespace

TEST_CASE(
    "decoding is attention to the keys in use, whatever the layout, the mask and the shares") {
  check_random_shapes<rw::bfloat16>("bfloat16", kShapes);
  check_random_shapes<rw::float16>("float16", kShapes);
}

TEST_CASE("more sequences than threads, most of them empty, are each decoded once") {
  Random random("decode many");
  for (const int blocks : {1, 3}) {
    DecodeCase<rw::bfloat16> problem(random, 8);
    while (problem.shape.queries != 1 || problem.shape.heads > 2) {
      problem = DecodeCase<rw::bfloat16>(random, 8);
    }
    const DecodeCase<rw::bfloat16> few = problem;
    constexpr int kTimes = 150;
    const auto repeat = [](auto& list) {
      const auto once = list;
      for (int i = 1; i < kTimes; ++i) list.insert(list.end(), once.begin(), once.end());
    };
    problem.shape.sequences *= kTimes;
    repeat(problem.q);
    repeat(problem.k);
    repeat(problem.v);
    repeat(problem.present);
    repeat(problem.counts);
    repeat(problem.position_scale);
    for (std::size_t i = 0; i < problem.counts.size(); ++i) {
      if (i % 16 != 7) problem.counts[i] = 0;
    }
    INFO(few.text() << " blocks " << blocks);
    DecodeRun<rw::bfloat16> run(problem, problem.k, {true, problem.page_size, 0}, blocks, random);
    REQUIRE(decode(run, 1).error == "");
    CHECK(run.count_wrong() == 0);
  }
}

TEST_CASE("a cache of keys before rotation gives the bits of one of keys after it") {
  check_rotation<rw::bfloat16>("rotated bfloat16", kShapes / 8);
  check_rotation<rw::float16>("rotated float16", kShapes / 8);
}

TEST_CASE("what is not compiled into a decoding changes nothing of what is") {
  Random random("decode levels");
  for (int shape = 0; shape < 20; ++shape) {
    const DecodeCase<rw::bfloat16> problem(random, random_head_dim(random));
    const DecodeLayout layout = random_layout(random, problem.page_size, true);
    const auto blocks = static_cast<int>(random.integer(1, 9));
    DecodeRun<rw::bfloat16> all(problem, problem.k, layout, blocks, random);
    DecodeRun<rw::bfloat16> some(problem, problem.k, layout, blocks, random);
    DecodeRun<rw::bfloat16> least(problem, problem.k, layout, blocks, random);
    some.params.statistics.variance = nullptr;
    least.params.statistics = {least.lse.data(), nullptr, nullptr, nullptr};
    REQUIRE(decode(all, 1).error == "");
    REQUIRE(decode<rc::Statistics::entropy>(some, 2).error == "");
    REQUIRE(decode<rc::Statistics::lse>(least, 3).error == "");
    int wrong = 0;
    for (std::int64_t row = 0; row < all.rows(); ++row) {
      wrong += !some.variance.untouched(row) + !least.entropy.untouched(row);
      wrong += !least.mean.untouched(row) + !least.variance.untouched(row);
      // Copied: what was not written is compared with what was not written.
      some.variance[row] = least.variance[row] = all.variance[row];
      least.mean[row] = all.mean[row];
      least.entropy[row] = all.entropy[row];
    }
    // The entropy's sums are the same in either level but for a fused multiply-add.
    for (std::int64_t row = 0; row < all.rows(); ++row) {
      wrong += !(std::fabs(some.entropy[row] - all.entropy[row]) <= 1e-5f * (1 + all.entropy[row]));
      wrong +=
          !(std::fabs(some.mean[row] - all.mean[row]) <= 1e-5f * (8 + std::fabs(all.mean[row])));
      some.entropy[row] = all.entropy[row];
      some.mean[row] = all.mean[row];
    }
    REQUIRE(wrong == 0);
    CHECK(rows_differ(all, some) == 0);
    CHECK(rows_differ(all, least) == 0);
  }
}

TEST_CASE("a block order that is another changes no bit, and no run leaves anything to the next") {
  Random random("decode order");
  for (int shape = 0; shape < 12; ++shape) {
    const DecodeCase<rw::float16> problem(random, random_head_dim(random));
    const DecodeLayout layout = random_layout(random, problem.page_size, true);
    const auto blocks = static_cast<int>(random.integer(2, 12));
    DecodeRun<rw::float16> run(problem, problem.k, layout, blocks, random);
    REQUIRE(decode(run, 1).error == "");
    for (std::uint64_t seed = 2; seed < 6; ++seed) {
      DecodeRun<rw::float16> again(problem, problem.k, layout, blocks, random);
      // The workspace as the run before left it.
      again.params.workspace = run.params.workspace;
      REQUIRE(decode(again, seed).error == "");
      REQUIRE(rows_differ(run, again) == 0);
    }
  }
}

#ifndef ROPEWALK_TEST_FAST_MATH  // which promises that there is no NaN
TEST_CASE("NaN in a query makes its row NaN and no other") {
  Random random("decode NaN");
  DecodeCase<rw::bfloat16> problem(random, 64);
  while (problem.shape.heads < 2 || problem.counts[0] < problem.shape.queries ||
         !problem.head_scale.empty() || problem.mask.window != rw::kUnlimited) {
    problem = DecodeCase<rw::bfloat16>(random, 64);
  }
  problem.present.assign(problem.present.size(), 1);
  for (int d = 0; d < 64; d += 63) {
    DecodeRun<rw::bfloat16> run(problem, problem.k, {}, 3, random);
    run.q[0 + d] = rw::to_bfloat16(std::nanf(""));  // of the first row
    REQUIRE(decode(run, 1).error == "");
    const auto is_nan = [](float value) {
      return (rw::detail::bits_of(value) & 0x7fffffffu) > 0x7f800000u;
    };
    CHECK(is_nan(run.lse[0]));
    CHECK(is_nan(rw::to_float(run.out[0])));
    CHECK_FALSE(is_nan(run.lse[1]));
  }
}
#endif

TEST_CASE("parameters that cannot be computed with are refused by name and value") {
  Random random("decode refusals");
  const DecodeCase<rw::bfloat16> problem(random, 64);
  DecodeRun<rw::bfloat16> run(problem, problem.k, {}, 4, random);
  const auto refused = [&](auto&& change) {
    auto params = run.params;
    change(params);
    const rw::Fault fault = rc::validate(params, params.blocks, rc::Statistics::entropy);
    if (fault.code == rw::Errc::ok) return std::string("nothing");
    return std::string(fault.field) + " " + std::to_string(static_cast<std::int64_t>(fault.value));
  };
  run.params.statistics.variance = nullptr;
  using Params = rc::DecodeParams<rw::bfloat16>;
  CHECK(refused([](Params&) {}) == "nothing");
  CHECK(refused([](Params& p) { p.workspace_bytes -= 1; }) ==
        "workspace_bytes " + std::to_string(run.params.workspace_bytes - 1));
  CHECK(refused([](Params& p) { p.workspace = nullptr; }) == "workspace 0");
  CHECK(refused([](Params& p) { p.workspace = static_cast<char*>(p.workspace) + 4; }) ==
        "workspace 4");
  CHECK(refused([](Params& p) { p.blocks = -2; }) == "blocks -2");
  CHECK(refused([](Params& p) { p.blocks = 65537; }) == "blocks 65537");
  CHECK(refused([](Params& p) { p.key_counts = nullptr; }) == "key_counts 0");
  CHECK(refused([](Params& p) { p.cache.token_stride += 4; }) == "cache.token_stride 4");
  CHECK(refused([](Params& p) { p.cache.k += 1; }) == "cache.k 2");
  CHECK(refused([](Params& p) { p.cache.v = nullptr; }) == "cache.v 0");
  CHECK(refused([](Params& p) { p.shape.head_dim = 60; }) == "shape.head_dim 60");
  CHECK(refused([](Params& p) { p.shape.head_dim = 264; }) == "shape.head_dim 264");
  CHECK(refused([](Params& p) { p.shape.sequences = 77; }) == "shape.sequences 77");
  CHECK(refused([](Params& p) { p.q.data += 4; }) == "q 8");
  CHECK(refused([](Params& p) { p.out.head_stride = -8; }) == "out -8");
  CHECK(refused([](Params& p) { p.mask.window = 0; }) == "mask.window 0");
  CHECK(refused([](Params& p) { p.scale.softmax_scale = -1; }) == "scale.softmax_scale -1");
  CHECK(refused([](Params& p) { p.statistics.variance = p.statistics.lse; }) ==
        "statistics.variance 0");
  CHECK(refused([](Params& p) { p.angles.pairs = 12; }) == "angles.pairs 12");
  CHECK(refused([](Params& p) { p.angles.pairs = 40; }) == "first_dim 0");
  CHECK(refused([](Params& p) {
          p.angles.pairs = 16;
          p.first_dim = 40;
        }) == "first_dim 40");
  CHECK(refused([](Params& p) { p.shape.queries = 1 << 30; }) == "shape.queries 1073741824");
  CHECK(refused([](Params& p) { p.statistics.mean = p.statistics.lse; }) == "statistics.mean 0");
  CHECK(refused([](Params& p) { p.statistics.lse = static_cast<float*>(p.workspace); }) ==
        "workspace 0");
  CHECK(refused([](Params& p) { p.out.data = const_cast<rw::bfloat16*>(p.cache.v); }) == "out 0");
  // What is asked of nothing is done.
  CHECK(refused([](Params& p) {
          p.shape.sequences = 0;
          p.workspace = nullptr;
        }) == "nothing");
}
