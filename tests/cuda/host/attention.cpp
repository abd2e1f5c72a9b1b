#include "attention_problem.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
using rc::Statistics;

namespace {

using T = rw::bfloat16;

T element(double value) { return rw::ElementTraits<T>::store(static_cast<float>(value)); }

/// One sequence, one head of 64: rows and keys of zeros, to be filled.
struct Plain {
  DeviceProblem<T> problem;

  Plain(int queries, int keys) {
    rc::AttentionParams<T>& params = problem.params;
    params.shape = {1, queries, keys, 1, 1, 64};
    params.scale.softmax_scale = 1.0;
    params.mask.causal = false;
    problem.query_tokens = queries;
    problem.sequences.push_back({queries, keys, std::int64_t{keys} - queries, -1, -1});
    problem.q.assign(index_of(queries * 64), T{0});
    problem.k.assign(index_of(keys * 64), T{0});
    problem.v.assign(index_of(keys * 64), T{0});
    params.q = {problem.q.data(), 0, 64, 64};
    params.k = {problem.k.data(), 0, 64, 64};
    params.v = {problem.v.data(), 0, 64, 64};
  }

  /// Key `key` has the logit q[row][0] * value.
  void set(int key, double logit, double value) {
    problem.k[index_of(key * 64)] = element(logit);
    for (int dim = 0; dim < 64; ++dim) problem.v[index_of(key * 64 + dim)] = element(value);
  }

  EmulatedResult<T> run() const {
    return emulate<rc::detail::ForwardTraits<T, 64, Statistics::variance, true>>(problem, 1);
  }
};

float lse_of(const EmulatedResult<T>& result, int row) {
  return result.lse[EmulatedResult<T>::kGuard + index_of(row)];
}
float entropy_of(const EmulatedResult<T>& result, int row) {
  return result.entropy[EmulatedResult<T>::kGuard + index_of(row)];
}
float out_of(const EmulatedResult<T>& result, int row) {
  return rw::to_float(result.view.data[row * result.view.token_stride]);
}
bool is_nan(float value) { return (rw::detail::bits_of(value) & 0x7fffffffu) > 0x7f800000u; }

}  // namespace

TEST_CASE("one huge logit takes all the weight") {
  Plain plain(3, 200);
  for (int key = 0; key < 200; ++key) plain.set(key, 0.5, 1.0);
  plain.set(150, 1000.0, -3.0);
  for (int row = 0; row < 3; ++row)
    plain.problem.q[index_of(row * 64)] = element(row == 1 ? -500.0 : 500.0);
  const EmulatedResult<T> result = plain.run();
  REQUIRE(result.report.error == "");
  CHECK(out_of(result, 0) == -3.0f);
  // The largest logit's product is rounded, its distance to itself is that: below 2^-4.
  CHECK(std::fabs(entropy_of(result, 0)) <= 0x1p-24f);
  CHECK(std::fabs(lse_of(result, 0) - 500000.0f) <= 0.25f);  // four units in the last place
  // Of the row that turns away from it, all the others share the weight.
  CHECK(out_of(result, 1) == 1.0f);
  CHECK(std::fabs(entropy_of(result, 1) - std::log(199.0f)) <= 1e-5f);
}

TEST_CASE("what is added to all logits leaves the entropy as it is") {
  float entropy[2] = {};
  for (const int shifted : {0, 1}) {
    Plain plain(1, 300);
    plain.problem.q[0] = element(1.0);
    plain.problem.q[1] = element(128.0);
    for (int key = 0; key < 300; ++key) {
      plain.set(key, 0.125 * (key % 17), key);
      plain.problem.k[index_of(key * 64 + 1)] = element(shifted * 64.0);  // 8192 to each logit
    }
    const EmulatedResult<T> result = plain.run();
    REQUIRE(result.report.error == "");
    entropy[shifted] = entropy_of(result, 0);
  }
  CHECK(entropy[0] > 5.0f);
  // Scaled logits of 8192 log2(e) have units of 2^-10, which rounding moves by half of one.
  CHECK(std::fabs(entropy[0] - entropy[1]) <= 1e-3f);
}

TEST_CASE("a sink far above takes the weight, one far below changes nothing") {
  Plain plain(1, 70);
  plain.problem.q[0] = element(1.0);
  for (int key = 0; key < 70; ++key) plain.set(key, 0.0, 2.0);
  const EmulatedResult<T> without = plain.run();
  CHECK(out_of(without, 0) == 2.0f);
  for (const float sink : {1e4f, -1e4f, 1e30f, -1e30f}) {
    plain.problem.sink_logit = {sink};
    plain.problem.params.scale.sink_logit = plain.problem.sink_logit.data();
    const EmulatedResult<T> result = plain.run();
    REQUIRE(result.report.error == "");
    CAPTURE(sink);
    if (sink > 0) {
      CHECK(out_of(result, 0) == 0.0f);
      CHECK(std::fabs(lse_of(result, 0) / sink - 1.0f) <= 4.0f * 0x1p-24f);
      CHECK(entropy_of(result, 0) == 0.0f);
    } else {
      CHECK(out_of(result, 0) == 2.0f);
      CHECK(lse_of(result, 0) == lse_of(without, 0));
      CHECK(entropy_of(result, 0) == entropy_of(without, 0));
    }
  }
}

#ifndef ROPEWALK_TEST_FAST_MATH  // which knows no NaN
TEST_CASE("a NaN stays in the rows that see it, and is told by all of them") {
  Plain plain(40, 100);
  plain.problem.params.mask.causal = true;  // query i sees keys up to 60 + i
  for (int row = 0; row < 40; ++row) plain.problem.q[index_of(row * 64)] = element(1.0);
  for (int key = 0; key < 100; ++key) plain.set(key, 0.25, 1.0);
  plain.problem.k[index_of(80 * 64)] = T{0x7fff};
  plain.problem.q[index_of(5 * 64)] = T{0x7fff};  // all scores of a row
  const EmulatedResult<T> result = plain.run();
  REQUIRE(result.report.error == "");
  for (int row = 0; row < 40; ++row) {
    CAPTURE(row);
    const bool expected = row >= 20 || row == 5;
    CHECK(is_nan(out_of(result, row)) == expected);
    CHECK(is_nan(lse_of(result, row)) == expected);
    CHECK(is_nan(entropy_of(result, row)) == expected);
  }
}
#endif

TEST_CASE(
    "shared memory of every kernel is what a card of 100 KB to a processor gives two or one") {
  using rc::detail::ForwardTraits;
  CHECK(ForwardTraits<T, 64, Statistics::variance, true>::kSharedBytes <= 48 * 1024);
  CHECK(ForwardTraits<T, 96, Statistics::variance, true>::kSharedBytes <= 64 * 1024);
  CHECK(ForwardTraits<T, 128, Statistics::variance, true>::kSharedBytes <=
        80 * 1024);  // two of 164
  CHECK(ForwardTraits<T, 256, Statistics::variance, true>::kSharedBytes <= 99 * 1024);
}
