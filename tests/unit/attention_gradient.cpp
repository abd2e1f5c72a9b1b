#include <ropewalk/attention_gradient.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

// Every gradient against central differences of the loss in double, formed key by key from the
// definitions. The differences are good to about 1e-9 of the terms, the float gradients to 1e-5 of
// the sum of magnitudes; comparing with the norm of a gradient's array stands for the latter.

namespace {

using namespace ropewalk;

struct Problem {
  std::int64_t queries = 7;
  std::int64_t keys = 11;
  int heads = 4;
  int key_heads = 2;
  int depth = 6;
  int dim = 5;
  bool causal = true;
  std::int64_t window = kUnlimited;
  std::int64_t first_keys = 0;
  bool with_sink = false;
  bool with_bias = false;
  bool with_position_scale = false;
  bool with_statistics = false;
};

struct Values {
  std::vector<double> q, k, v, head_scale, position_scale, sink;
};

/// A bias that no rounding touches, the same in float and double.
struct SteppedBias {
  static constexpr bool kIdentity = false;
  void operator()(std::int64_t head, std::int64_t query, std::int64_t key, int count,
                  float* bias) const noexcept {
    for (int index = 0; index < count; ++index) bias[index] = at(head, query, key + index);
  }
  static float at(std::int64_t head, std::int64_t query, std::int64_t key) noexcept {
    return -0.25f * static_cast<float>(head + 1) * static_cast<float>((query - key) % 3);
  }
};

class Loss {
 public:
  Loss(const Problem& problem, ropewalk_test::Random& random) : problem_(problem) {
    fill(random, d_out, problem.queries * problem.heads * problem.dim);
    fill(random, d_lse, problem.queries * problem.heads);
    fill(random, d_entropy, problem.queries * problem.heads);
    if (!problem.with_statistics) {
      std::fill(d_lse.begin(), d_lse.end(), 0.0);
      std::fill(d_entropy.begin(), d_entropy.end(), 0.0);
    }
  }

  static void fill(ropewalk_test::Random& random, std::vector<double>& values, std::int64_t count) {
    values.resize(static_cast<std::size_t>(count));
    // Floats, so that both sides see the same numbers.
    for (double& value : values) value = static_cast<float>(random.uniform(-1.5, 1.5));
  }

  double operator()(const Values& x) const {
    const Problem& p = problem_;
    double loss = 0.0;
    for (std::int64_t i = 0; i < p.queries; ++i) {
      for (int h = 0; h < p.heads; ++h) loss += row(x, i, h);
    }
    return loss;
  }

  std::vector<double> d_out, d_lse, d_entropy;

 private:
  double row(const Values& x, std::int64_t i, int h) const {
    const Problem& p = problem_;
    const std::int64_t position = p.keys - p.queries + i;
    const int g = h / (p.heads / p.key_heads);
    std::vector<double> logits;
    std::vector<std::int64_t> seen;
    for (std::int64_t j = 0; j < p.keys; ++j) {
      if (p.causal && j > position) continue;
      const std::int64_t distance = position > j ? position - j : j - position;
      if (distance >= p.window && j >= p.first_keys) continue;
      double dot = 0.0;
      for (int d = 0; d < p.depth; ++d) {
        dot +=
            x.q[at((i * p.heads + h) * p.depth + d)] * x.k[at((j * p.key_heads + g) * p.depth + d)];
      }
      double logit = 0.5 * x.head_scale[at(h)] * x.position_scale[at(i)] * dot;
      if (p.with_bias) logit += static_cast<double>(SteppedBias::at(h, position, j));
      logits.push_back(logit);
      seen.push_back(j);
    }
    double sum = p.with_sink ? std::exp(x.sink[at(h)]) : 0.0;
    for (const double logit : logits) sum += std::exp(logit);
    const double lse = std::log(sum);
    double mean = p.with_sink ? std::exp(x.sink[at(h)] - lse) * x.sink[at(h)] : 0.0;
    double loss = 0.0;
    for (std::size_t n = 0; n < logits.size(); ++n) {
      const double weight = std::exp(logits[n] - lse);
      mean += weight * logits[n];
      for (int d = 0; d < p.dim; ++d) {
        loss += d_out[at((i * p.heads + h) * p.dim + d)] * weight *
                x.v[at((seen[n] * p.key_heads + g) * p.dim + d)];
      }
    }
    const std::size_t entry = at(i * p.heads + h);
    return loss + d_lse[entry] * lse + d_entropy[entry] * (lse - mean);
  }

  static std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

  Problem problem_;
};

std::vector<float> floats(const std::vector<double>& values) {
  return std::vector<float>(values.begin(), values.end());
}

/// Central differences, their step the cube root of the rounding unit.
std::vector<double> differences(const Loss& loss, Values x, std::vector<double> Values::*member) {
  std::vector<double> slopes;
  for (std::size_t index = 0; index < (x.*member).size(); ++index) {
    const double value = (x.*member)[index];
    const double step = 6e-6;
    (x.*member)[index] = value + step;
    const double above = loss(x);
    (x.*member)[index] = value - step;
    const double below = loss(x);
    (x.*member)[index] = value;
    slopes.push_back((above - below) / (2.0 * step));
  }
  return slopes;
}

template <typename Real>
double distance(const std::vector<Real>& found, const std::vector<double>& wanted) {
  REQUIRE(found.size() == wanted.size());
  double square = 0.0;
  double worst = 0.0;
  for (std::size_t index = 0; index < wanted.size(); ++index) {
    square += wanted[index] * wanted[index];
    worst = std::max(worst, std::abs(static_cast<double>(found[index]) - wanted[index]));
  }
  return worst / std::max(1.0, std::sqrt(square));
}

struct Gradients {
  std::vector<float> dq, dk, dv;
  std::vector<double> head_scale, position_scale, sink, head_scale_way2, position_scale_way2;
};

template <typename Hooks>
Gradients gradients_of(const Problem& p, const Values& x, const Loss& loss, const Hooks& hooks) {
  const std::vector<float> q = floats(x.q), k = floats(x.k), v = floats(x.v);
  const std::vector<float> d_out = floats(loss.d_out);
  const std::vector<float> d_lse = floats(loss.d_lse), d_entropy = floats(loss.d_entropy);
  std::vector<float> out(d_out.size()), lse(d_lse.size()), mean(d_lse.size());
  AttentionOptions options;
  options.softmax_scale = 0.5;
  options.head_scale = x.head_scale;
  if (p.with_position_scale) options.position_scale = x.position_scale;
  if (p.with_sink) options.sink_logit = x.sink;
  options.mask.causal = p.causal;
  options.mask.window = p.window;
  options.mask.first_keys = p.first_keys;
  const auto qv = make_head_view(q.data(), p.queries, p.heads, p.depth);
  const auto kv = make_head_view(k.data(), p.keys, p.key_heads, p.depth);
  const auto vv = make_head_view(v.data(), p.keys, p.key_heads, p.dim);
  AttentionStatistics statistics;
  statistics.lse = lse;
  statistics.mean = mean;
  attend(qv, kv, vv, make_head_view(out.data(), p.queries, p.heads, p.dim), options, statistics,
         hooks);
  Gradients g;
  g.dq.assign(q.size(), 9.0f);
  g.dk.assign(k.size(), 9.0f);
  g.dv.assign(v.size(), 9.0f);
  g.head_scale.assign(x.head_scale.size(), 9.0);
  g.position_scale.assign(x.position_scale.size(), 9.0);
  if (p.with_sink) g.sink.assign(x.sink.size(), 9.0);
  SavedRows saved;
  saved.lse = lse;
  saved.mean = mean;
  AttentionGradients parameters{g.head_scale, g.position_scale, g.sink};
  StatisticsGradients arriving;
  if (p.with_statistics) arriving = {d_lse, d_entropy};
  const auto dv = make_head_view(d_out.data(), p.queries, p.heads, p.dim);
  attend_backward(qv, kv, vv, make_head_view(out.data(), p.queries, p.heads, p.dim), saved, dv,
                  make_head_view(g.dq.data(), p.queries, p.heads, p.depth),
                  make_head_view(g.dk.data(), p.keys, p.key_heads, p.depth),
                  make_head_view(g.dv.data(), p.keys, p.key_heads, p.dim), options, parameters,
                  arriving, hooks);
  if (!p.with_statistics) {
    g.head_scale_way2.assign(x.head_scale.size(), 9.0);
    g.position_scale_way2.assign(x.position_scale.size(), 9.0);
    softmax_scale_gradients(qv, kv, vv, saved, dv, options,
                            {g.head_scale_way2, g.position_scale_way2, {}}, hooks);
  }
  return g;
}

void check(const Problem& p, ropewalk_test::Random& random) {
  const Loss loss(p, random);
  Values x;
  Loss::fill(random, x.q, p.queries * p.heads * p.depth);
  Loss::fill(random, x.k, p.keys * p.key_heads * p.depth);
  Loss::fill(random, x.v, p.keys * p.key_heads * p.dim);
  x.head_scale.resize(static_cast<std::size_t>(p.heads));
  for (double& scale : x.head_scale) scale = random.uniform(0.5, 2.0);
  x.position_scale.assign(static_cast<std::size_t>(p.queries), 1.0);
  if (p.with_position_scale) {
    for (double& scale : x.position_scale) scale = random.uniform(0.5, 2.0);
  }
  Loss::fill(random, x.sink, p.heads);

  AttentionHooks<SteppedBias> biased;
  const Gradients g =
      p.with_bias ? gradients_of(p, x, loss, biased) : gradients_of(p, x, loss, AttentionHooks<>());
  const double bound = 1e-5;
  CHECK(distance(g.dq, differences(loss, x, &Values::q)) < bound);
  CHECK(distance(g.dk, differences(loss, x, &Values::k)) < bound);
  CHECK(distance(g.dv, differences(loss, x, &Values::v)) < bound);
  const std::vector<double> of_heads = differences(loss, x, &Values::head_scale);
  const std::vector<double> of_positions = differences(loss, x, &Values::position_scale);
  CHECK(distance(g.head_scale, of_heads) < bound);
  CHECK(distance(g.position_scale, of_positions) < bound);
  if (p.with_sink) CHECK(distance(g.sink, differences(loss, x, &Values::sink)) < bound);
  if (!p.with_statistics) {
    CHECK(distance(g.head_scale_way2, of_heads) < bound);
    CHECK(distance(g.position_scale_way2, of_positions) < bound);
  }
}

}  // namespace

TEST_CASE("gradients of attention are those of its definition") {
  ropewalk_test::Random random("attention_gradient");
  Problem p;
  SECTION("plain") {}
  SECTION("more keys than a tile, several blocks of rows") {
    p.queries = 70;
    p.keys = 75;
    p.heads = 2;
    p.key_heads = 1;
    p.depth = 3;
    p.dim = 2;
  }
  SECTION("all keys") { p.causal = false; }
  SECTION("window and first keys") {
    p.window = 3;
    p.first_keys = 2;
  }
  SECTION("queries before all keys") { p.keys = 5; }
  SECTION("position scale") { p.with_position_scale = true; }
  SECTION("bias") { p.with_bias = true; }
  SECTION("sink") { p.with_sink = true; }
  SECTION("bias, sink and position scale") {
    p.with_bias = p.with_sink = p.with_position_scale = true;
  }
  SECTION("gradients that arrive at lse and entropy") { p.with_statistics = true; }
  SECTION("the same with a sink and a bias") {
    p.with_statistics = p.with_sink = p.with_bias = true;
  }
  check(p, random);
}

TEST_CASE("entropy falls with the logarithm of the scale by the variance") {
  ropewalk_test::Random random("entropy_scale_slopes");
  const std::int64_t tokens = 40;
  std::vector<double> wide;
  Loss::fill(random, wide, tokens * 2 * 8);
  const std::vector<float> q = floats(wide);
  Loss::fill(random, wide, tokens * 8);
  const std::vector<float> k = floats(wide);
  std::vector<float> out(q.size()), entropy(80), variance(80);
  const auto mean_entropy = [&](double scale) {
    const std::vector<double> scales(2, scale);
    AttentionOptions options;
    options.head_scale = scales;
    AttentionStatistics statistics;
    statistics.entropy = entropy;
    statistics.variance = variance;
    attend(make_head_view(q.data(), tokens, 2, 8), make_head_view(k.data(), tokens, 1, 8),
           make_head_view(k.data(), tokens, 1, 8), make_head_view(out.data(), tokens, 2, 8),
           options, statistics);
    double sum = 0.0;
    for (std::size_t row = 0; row < entropy.size(); row += 2)
      sum += static_cast<double>(entropy[row]);
    return sum / static_cast<double>(tokens);
  };
  const double step = 0.02;
  const double above = mean_entropy(std::exp(step));
  const double below = mean_entropy(std::exp(-step));
  mean_entropy(1.0);
  std::vector<double> slopes(2);
  entropy_scale_slopes(variance, tokens, slopes);
  // The difference is off by step^2 / 6 of the third derivative (of order 1) and 1e-6 / step.
  CHECK(slopes[0] == Approx((above - below) / (2.0 * step)).margin(2e-4));
  CHECK(slopes[0] < -0.1);
  CHECK_THROWS_WITH(entropy_scale_slopes(variance, 0, slopes), contains("tokens = 0"));
  CHECK_THROWS_WITH(entropy_scale_slopes(variance, 39, slopes), contains("variance has 80"));
}
