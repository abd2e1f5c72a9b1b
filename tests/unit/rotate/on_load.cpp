#include <ropewalk/attention_gradient.hpp>
#include <ropewalk/rotate.hpp>
#include <ropewalk/rotate/on_load.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <vector>

namespace {

using namespace ropewalk;

std::vector<float> numbers(ropewalk_test::Random& random, std::size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.uniform(-1.0, 1.0));
  return values;
}

constexpr std::int64_t kTokens = 70;  // more than a tile
constexpr int kHeads = 2;
constexpr int kDim = 12;

HeadView<const float> queries(const std::vector<float>& q) {
  return make_head_view(q.data(), kTokens, kHeads, kDim);
}
HeadView<const float> keys(const std::vector<float>& k) {
  return make_head_view(k.data(), kTokens, 1, kDim);
}

PhaseTable<float> table() {
  RopeConfig config;
  config.head_dim = kDim;
  config.rotary_dim = 8;
  return phase_table<float>(spectrum(config), 100, 200);
}

std::vector<std::int64_t> positions() {
  std::vector<std::int64_t> list;
  for (std::int64_t token = 0; token < kTokens; ++token) list.push_back(299 - token);
  return list;
}

}  // namespace

TEST_CASE("rows turned on their way into attention are those that rotate() turns") {
  ropewalk_test::Random random("on_load");
  const std::vector<float> q = numbers(random, kTokens * kHeads * kDim);
  const std::vector<float> k = numbers(random, kTokens * kDim);
  const PhaseTable<float> angles = table();
  const std::vector<std::int64_t> where = positions();
  RotateOptions options;
  options.first_dim = 4;
  options.first_position = 100;
  for (const Pairing pairing : {Pairing::half_split, Pairing::interleaved}) {
    std::vector<float> turned_q = q;
    std::vector<float> turned_k = k;
    rotate(make_head_view(turned_q.data(), kTokens, kHeads, kDim),
           make_head_view(turned_k.data(), kTokens, 1, kDim), where, angles, pairing, options);
    std::vector<float> expected(q.size());
    attend(queries(turned_q), keys(turned_k), keys(k),
           make_head_view(expected.data(), kTokens, kHeads, kDim));
    const RotateOnLoad<> query_rows(queries(q), where, angles, pairing, options);
    const RotateOnLoad<> key_rows(keys(k), where, angles, pairing, options);
    const AttentionHooks<NoBias, RotateOnLoad<>, RotateOnLoad<>> hooks{
        {}, query_rows, key_rows, {}};
    std::vector<float> out(q.size());
    attend(queries(q), keys(k), keys(k), make_head_view(out.data(), kTokens, kHeads, kDim), {}, {},
           hooks);
    CHECK(out == expected);
  }
}

TEST_CASE("gradients go back through the rotation") {
  ropewalk_test::Random random("on_load backward");
  const std::vector<float> q = numbers(random, kTokens * kHeads * kDim);
  const std::vector<float> k = numbers(random, kTokens * kDim);
  const std::vector<float> d_out = numbers(random, q.size());
  const PhaseTable<float> angles = table();
  const std::vector<std::int64_t> where = positions();
  RotateOptions options;
  options.first_position = 100;
  std::vector<float> turned_q = q;
  std::vector<float> turned_k = k;
  rotate(make_head_view(turned_q.data(), kTokens, kHeads, kDim),
         make_head_view(turned_k.data(), kTokens, 1, kDim), where, angles, Pairing::half_split,
         options);
  std::vector<float> out(q.size()), lse(kTokens * kHeads);
  AttentionStatistics statistics;
  statistics.lse = lse;
  const auto out_view = make_head_view(out.data(), kTokens, kHeads, kDim);
  attend(queries(turned_q), keys(turned_k), keys(k), out_view, {}, statistics);
  SavedRows saved;
  saved.lse = lse;
  struct Slopes {
    std::vector<float> q, k, v;
  };
  const auto backward = [&](const std::vector<float>& query, const std::vector<float>& key,
                            const auto& hooks) {
    Slopes slopes{std::vector<float>(q.size()), std::vector<float>(k.size()),
                  std::vector<float>(k.size())};
    attend_backward(queries(query), keys(key), keys(k), out_view, saved, queries(d_out),
                    make_head_view(slopes.q.data(), kTokens, kHeads, kDim),
                    make_head_view(slopes.k.data(), kTokens, 1, kDim),
                    make_head_view(slopes.v.data(), kTokens, 1, kDim), {}, {}, {}, hooks);
    return slopes;
  };
  Slopes apart = backward(turned_q, turned_k, AttentionHooks<>());
  RotateOptions back = options;
  back.inverse = true;
  rotate(make_head_view(apart.q.data(), kTokens, kHeads, kDim),
         make_head_view(apart.k.data(), kTokens, 1, kDim), where, angles, Pairing::half_split,
         back);
  const RotateOnLoad<> query_rows(queries(q), where, angles, Pairing::half_split, options);
  const RotateOnLoad<> key_rows(keys(k), where, angles, Pairing::half_split, options);
  const Slopes fused = backward(
      q, k, AttentionHooks<NoBias, RotateOnLoad<>, RotateOnLoad<>>{{}, query_rows, key_rows, {}});
  CHECK(fused.v == apart.v);
  // The same operations on the same numbers, but a compiler may fuse some of them differently here
  // and there: one rounding each way of numbers of order 1.
  for (std::size_t index = 0; index < q.size(); ++index) {
    REQUIRE(fused.q[index] == Approx(apart.q[index]).margin(4e-6));
  }
  for (std::size_t index = 0; index < k.size(); ++index) {
    REQUIRE(fused.k[index] == Approx(apart.k[index]).margin(4e-5));
  }
}

TEST_CASE("a rotation on load refuses what does not fit the view") {
  const std::vector<float> q(kTokens * kHeads * kDim);
  const PhaseTable<float> angles = table();
  std::vector<std::int64_t> where = positions();
  const auto make = [&](const RotateOptions& options) {
    return RotateOnLoad<>(queries(q), where, angles, Pairing::half_split, options);
  };
  RotateOptions options;
  CHECK_THROWS_WITH(make(options), contains("position = 299"));
  options.first_position = 100;
  CHECK_NOTHROW(make(options));
  options.first_dim = 5;
  CHECK_THROWS_WITH(make(options), contains("first_dim = 5"));
  options.first_dim = 0;
  const std::vector<double> scales(kHeads, 1.0);
  options.head_scale = scales;
  CHECK_THROWS_WITH(make(options), contains("head_scale has 2"));
  options.head_scale = {};
  where.pop_back();
  CHECK_THROWS_WITH(make(options), contains("positions has 69"));
  where.clear();
  CHECK_NOTHROW(make(options));
}
