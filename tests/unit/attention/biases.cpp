#include <ropewalk/attention.hpp>
#include <ropewalk/attention/biases.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <limits>
#include <vector>

// With q = 0 the logits are the biases alone, and with a value of 1 at one key the output is its
// weight: attention read back key by key, against the softmax of the bias functions in double.

namespace {

using namespace ropewalk;

constexpr std::int64_t kTokens = 90;

/// Weights of the keys of one query of one head.
template <typename Bias>
std::vector<float> weights_of(const Bias& bias, int heads, int head, std::int64_t query) {
  const std::vector<float> q(static_cast<std::size_t>(heads), 0.0f);
  const std::vector<float> k(kTokens, 0.0f);
  std::vector<float> v(kTokens * kTokens, 0.0f);
  for (std::size_t key = 0; key < kTokens; ++key) v[key * kTokens + key] = 1.0f;
  std::vector<float> out(static_cast<std::size_t>(heads) * kTokens);
  AttentionHooks<Bias> hooks{bias, {}, {}, {}};
  AttentionOptions options;
  options.mask.causal = false;
  options.query_position = query;
  attend(make_head_view(q.data(), 1, heads, 1), make_head_view(k.data(), kTokens, 1, 1),
         make_head_view(v.data(), kTokens, 1, static_cast<int>(kTokens)),
         make_head_view(out.data(), 1, heads, static_cast<int>(kTokens)), options, {}, hooks);
  const auto first = out.begin() + head * kTokens;
  return std::vector<float>(first, first + kTokens);
}

template <typename Function>
void check_weights(const std::vector<float>& found, Function&& bias) {
  double sum = 0.0;
  for (std::int64_t key = 0; key < kTokens; ++key) sum += std::exp(bias(key));
  for (std::int64_t key = 0; key < kTokens; ++key) {
    const double weight = std::exp(bias(key)) / sum;
    // Logits up to 90 are off by a few 2^-24 of themselves.
    REQUIRE(found[static_cast<std::size_t>(key)] == Approx(weight).epsilon(3e-5).margin(1e-7));
  }
}

struct HideOdd {
  static constexpr bool kIdentity = false;
  void operator()(std::int64_t, std::int64_t, std::int64_t first_key, int count,
                  float* bias) const noexcept {
    for (int index = 0; index < count; ++index) {
      bias[index] = (first_key + index) % 2 == 0 ? 0.0f : -std::numeric_limits<float>::infinity();
    }
  }
};

}  // namespace

TEST_CASE("ALiBi as a hook is the ALiBi of its formula") {
  const int heads = 6;
  for (const int head : {0, 3, 5}) {
    const double slope = alibi_slope(heads, head);
    check_weights(weights_of(AlibiBias(heads), heads, head, 40),
                  [&](std::int64_t key) { return alibi_bias(slope, 40, key); });
  }
  CHECK_THROWS_WITH(AlibiBias(0), contains("heads = 0"));
}

TEST_CASE("T5's buckets as a hook give each key the number of its bucket") {
  ropewalk_test::Random random("t5 hook");
  const int heads = 3;
  T5Buckets buckets;
  const T5Table table = t5_table(buckets);
  std::vector<float> weights(static_cast<std::size_t>(buckets.buckets * heads));
  for (float& weight : weights) weight = static_cast<float>(random.uniform(-2.0, 2.0));
  check_weights(weights_of(T5Bias(table, weights, heads), heads, 1, 44), [&](std::int64_t key) {
    return static_cast<double>(
        weights[static_cast<std::size_t>(table.bucket(44, key) * heads + 1)]);
  });
  weights.pop_back();
  CHECK_THROWS_WITH(T5Bias(table, weights, heads), contains("weights has 95"));
  CHECK_THROWS_WITH(T5Bias(table, weights, 0), contains("heads = 0"));
}

TEST_CASE("a bias of minus infinity hides a key") {
  const std::vector<float> found = weights_of(HideOdd(), 2, 1, 0);
  for (std::size_t key = 0; key < found.size(); ++key) {
    REQUIRE(found[key] == Approx(key % 2 == 0 ? 1.0 / 45.0 : 0.0));
  }
}
