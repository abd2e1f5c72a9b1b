// The rest of engine.cpp: row statistics, masks, attention, its backward and its merging.
#include "engine.hpp"

#include <cstddef>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr double kFloat = 1e-6;
constexpr double kLn2 = 0.69314718055994531;
constexpr double kLn3 = 1.0986122886681098;

/// One query that sees `keys` equal keys, whose values are 0, 1, 2, ...
struct Uniform {
  explicit Uniform(std::int64_t keys) : k(static_cast<std::size_t>(keys), 1.0f), v(k) {
    for (std::size_t key = 0; key < v.size(); ++key) v[key] = static_cast<float>(key);
    options.softmax_scale = 1.0;
  }

  rw::HeadView<float> query() { return rw::make_head_view(&q, 1, 1, 1); }
  rw::HeadView<float> keys() { return view(k); }
  rw::HeadView<float> values() { return view(v); }
  rw::HeadView<float> output() { return rw::make_head_view(&out, 1, 1, 1); }

  static rw::HeadView<float> view(std::vector<float>& list) {
    return rw::make_head_view(list.data(), static_cast<std::int64_t>(list.size()), 1, 1);
  }

  template <typename Hooks = rw::AttentionHooks<>>
  void run(const Hooks& hooks = {}) {
    rw::AttentionStatistics statistics;
    statistics.lse = {&lse, 1};
    statistics.entropy = {&entropy, 1};
    statistics.mean = {&mean, 1};
    statistics.variance = {&variance, 1};
    rw::attend(query(), keys(), values(), output(), options, statistics, hooks);
  }

  float q = 0.5f;
  std::vector<float> k, v;
  float out = 0.0f, lse = 0.0f, entropy = 0.0f, mean = 0.0f, variance = 0.0f;
  rw::AttentionOptions options;
};

void rows() {
  rw::RowStatistics<float> row;
  expect_equal("an empty row", row.empty() ? 1 : 0, 1);
  for (int key = 0; key < 4; ++key) row.add(10000.0f);
  expect("entropy of four equal keys", row.summary().entropy, 2.0 * kLn2, kFloat);
  expect("the same in bits", rw::bits_of_nats(row.summary().entropy), 2.0, kFloat);
  rw::RowStatistics<float> other;
  for (int key = 0; key < 4; ++key) other.add(10000.0f);
  const rw::MergedRow<float> merged = rw::merge(row.summary(), other.summary());
  expect("a merged entropy", merged.summary.entropy, 3.0 * kLn2, kFloat);
  expect("a merged weight", merged.first_weight, 0.5, kFloat);
  expect_equal(
      "a row without keys",
      rw::merge(rw::RowSummary<float>(), row.summary()).summary.lse == row.summary().lse ? 1 : 0,
      1);
  row.merge(other);
  expect("the same by sums", row.summary().entropy, 3.0 * kLn2, kFloat);
}

void masks() {
  rw::AttentionMask mask;
  mask.window = 3;
  mask.first_keys = 1;
  const rw::VisibleKeys seen = mask.keys(10, {0, 100});
  expect_equal("first keys", seen.first_keys.end, 1);
  expect_equal("the window's first key", seen.band.first, 8);
  expect_equal("the window's end", seen.band.end, 11);
  mask.window = 0;
  expect_refused("window 0", mask.validate(), rw::Errc::below_minimum, "window");
}

void forward() {
  Uniform uniform(3);
  uniform.run();
  expect("mean of the values", uniform.out, 1.0, kFloat);
  expect("lse", uniform.lse, kLn3 + 0.5, kFloat);
  expect("entropy", uniform.entropy, kLn3, kFloat);
  expect("mean logit", uniform.mean, 0.5, kFloat);
  expect("variance", 1.0 + static_cast<double>(uniform.variance), 1.0, kFloat);
  Uniform large(3);
  large.q = 1e30f;
  large.k = {1e30f, 1e30f, -1e30f};
  large.run();
  expect("logits beyond float", large.out, 0.5, kFloat);
  expect("their entropy", large.entropy, kLn2, kFloat);
  Uniform empty(3);
  empty.options.query_position = -1;
  empty.run();
  expect_equal("a query before all keys", empty.out == 0.0f && empty.lse < -3e38f ? 1 : 0, 1);
  Uniform spoiled(3);
  spoiled.k[1] = static_cast<float>(from_bits(0x7ff8000000000000u));
  spoiled.run();
  std::uint32_t bits = 0;
  std::memcpy(&bits, &spoiled.out, sizeof bits);
  expect_equal("a NaN comes out", (bits & 0x7fffffffu) > 0x7f800000u ? 1 : 0, 1);
  Uniform sunk(3);
  const double sink[1] = {0.5};
  sunk.options.sink_logit = sink;
  sunk.run();
  expect("a sink's part", sunk.out, 0.75, kFloat);
  Uniform biased(3);
  biased.run(rw::AttentionHooks<rw::AlibiBias>{rw::AlibiBias(1), {}, {}, {}});
  const double e = std::exp(-1.0 / 256.0);
  expect("ALiBi", biased.out, (e + 2.0) / (1.0 + e + e * e), kFloat);
  expect_equal("a workspace",
               rw::attention_workspace(sunk.query(), sunk.keys(), sunk.values()) > 1000 ? 1 : 0, 1);
}

void gradients() {
  Uniform x(3);
  x.k = {1.0f, 2.0f, 3.0f};
  x.run();
  float one = 1.0f;
  float dq = 0.0f;
  std::vector<float> dk(3), dv(3);
  double by_backward = 0.0;
  double by_softmax = 0.0;
  rw::SavedRows saved;
  saved.lse = {&x.lse, 1};
  rw::AttentionGradients to;
  to.head_scale = {&by_backward, 1};
  const auto slope = rw::make_head_view(&one, 1, 1, 1);
  rw::attend_backward(x.query(), x.keys(), x.values(), x.output(), saved, slope,
                      rw::make_head_view(&dq, 1, 1, 1), Uniform::view(dk), Uniform::view(dv),
                      x.options, to);
  to.head_scale = {&by_softmax, 1};
  rw::softmax_scale_gradients(x.query(), x.keys(), x.values(), saved, slope, x.options, to);
  // Keys are values plus one: d out / d scale is q times the variance of the keys.
  expect("gradient of a scale", by_backward, static_cast<double>(x.variance) / 0.5, 4 * kFloat);
  expect("the same without dq", by_softmax, by_backward, 4 * kFloat);
  expect("gradient of the values", dv[0] + dv[1] + dv[2], 1.0, kFloat);
  double entropy_slope = 0.0;
  rw::entropy_scale_slopes({&x.variance, 1}, 1, {&entropy_slope, 1});
  expect("slope of the entropy", entropy_slope, -static_cast<double>(x.variance));
}

void merged_parts() {
  Uniform first(2);
  Uniform second(2);
  first.run();
  second.run();
  second.out = 4.0f;
  const auto of = [](Uniform& part) {
    rw::AttentionStatistics statistics;
    statistics.lse = {&part.lse, 1};
    return statistics;
  };
  rw::merge_attention(first.output(), of(first), second.output(), of(second));
  expect("merged outputs", first.out, 2.25, kFloat);
}

void on_load() {
  const rw::RopeConfig config{128, 128, 10000.0};
  std::vector<float> row(128);
  row[0] = 1.0f;
  const rw::PhaseTable<float> table = rw::phase_table<float>(rw::spectrum(config), 1, 1);
  const rw::RotateOnLoad<> turn(rw::make_head_view(row.data(), 1, 1, 128), {}, table,
                                rw::Pairing::half_split);
  turn(0, 0, row.data());
  expect("a row turned on load", row[64], std::sin(1.0), kFloat);
}

}  // namespace

void attentions() {
  rows();
  masks();
  forward();
  gradients();
  merged_parts();
  on_load();
}
