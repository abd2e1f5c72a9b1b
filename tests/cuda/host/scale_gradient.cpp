#include <ropewalk/attention_gradient.hpp>

#include "scale_gradient.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
using namespace ropewalk_test::gradient_cases;

namespace {

template <typename T, typename G>
void check_dots(const char* name, int shapes) {
  Random random(name);
  OnEmulation run(name);
  for (int shape = 0; shape < shapes; ++shape) {
    const Outcome outcome = dot_case<T, G>(random, run);
    INFO(outcome.text << " refused " << outcome.refused << " wrong " << outcome.wrong);
    REQUIRE(run.takes(outcome));
  }
  CHECK(run.wide > shapes / 20);
  CHECK(run.wide < shapes / 2);
  run.print();
}

}  // namespace

TEST_CASE("scale_gradients of the device is exact to its bound") {
  check_dots<float, float>("gradients from q and dq, f32", kShapes);
  check_dots<rw::float16, rw::float16>("gradients from q and dq, f16", kShapes);
  check_dots<rw::bfloat16, rw::bfloat16>("gradients from q and dq, bf16", kShapes);
  check_dots<rw::bfloat16, float>("gradients from q in bf16 and dq in f32", kShapes);
}

TEST_CASE("sums of many rows and heads are those of doubles, rounded once") {
  Random random("gradient sums");
  for (const std::int64_t rows : {1, 255, 4096, 4097, 70001, 200000}) {
    for (const int heads : {1, 2, 3, 32, 33, 71}) {
      if (rows * heads > kLargestSum) continue;
      rw::cuda::StatisticsScaleGradientParams params;
      params.rows = rows;
      params.heads = heads;
      std::vector<float> mean;
      std::vector<float> d_lse;
      for (std::int64_t i = 0; i < rows * heads; ++i) {
        mean.push_back(static_cast<float>(random.uniform(-1, 1)));
        d_lse.push_back(1.0f);
      }
      params.statistics.mean = mean.data();
      params.d_lse = d_lse.data();
      const std::vector<float> head_scale = random_scales(random, heads);
      const std::vector<float> position_scale = random_scales(random, rows);
      params.scale.head_scale = head_scale.data();
      params.scale.position_scale = position_scale.data();
      INFO(rows << " rows, " << heads << " heads");
      Results results(params, rows, heads, false);
      REQUIRE(rw::cuda::validate(params).code == rw::Errc::ok);
      REQUIRE(emulate_gradients(params, 1).error == "");
      CHECK(results.guards_stand());
      CHECK(wrong_sums(results, mean.data(), rows, heads, head_scale, position_scale) == 0);
      Results again(params, rows, heads, true);
      REQUIRE(emulate_gradients(params, 2).error == "");
      CHECK(again.same_as(results));
    }
  }
}

TEST_CASE("the gradient of a scale that is 0 is NaN, and those beside it are not") {
  rw::cuda::ScaleGradientParams<float> params;
  params.queries = 2;
  params.heads = 2;
  params.head_dim = 4;
  const std::vector<float> ones(16, 1.0f);
  params.q = {ones.data(), 16, 8, 4};
  params.dq = params.q;
  const float head_scale[2] = {0.0f, 0.5f};
  const float position_scale[2] = {-2.0f, 0.0f};
  params.head_scale = head_scale;
  params.position_scale = position_scale;
  Results results(params, 2, 2, true);
  REQUIRE(emulate_gradients(params, 1).error == "");
  CHECK(results.rows[0] == 4.0f);
  CHECK(rw::detail::bits_of(results.head_scale[0]) == 0x7fc00000u);
  CHECK(results.head_scale[1] == 16.0f);
  CHECK(results.position_scale[0] == -4.0f);
  CHECK(rw::detail::bits_of(results.position_scale[1]) == 0x7fc00000u);
}

TEST_CASE("gradients of what entropy and lse cost are the slopes of entropy and lse") {
  Random random("gradients of statistics");
  for (int i = 0; i < 300; ++i) {
    const int rows = static_cast<int>(random.length(1, 5));
    const int heads = static_cast<int>(random.length(1, 4));
    const auto entries = static_cast<std::size_t>(rows * heads);
    const bool sinks = random.one_in(2);
    const bool d_entropy = random.one_in(2);
    const bool d_lse = !d_entropy || random.one_in(2);
    std::vector<float> sink_logit;
    for (int head = 0; head < heads; ++head) {
      sink_logit.push_back(static_cast<float>(random.uniform(-4, 4)));
    }
    std::vector<float> lse, mean, variance, at_entropy, at_lse;
    std::vector<double> expected, bounds;
    for (std::size_t entry = 0; entry < entries; ++entry) {
      std::vector<double> logits;
      for (std::int64_t key = random.length(1, 30); key > 0; --key) {
        logits.push_back(random.uniform(-5, 5));
      }
      const double sink = as_double(sink_logit[entry % static_cast<std::size_t>(heads)]);
      // Statistics of logits that are `times` as large, the sink as it was.
      const auto row = [&](double times) {
        rw::RowStatistics<double> statistics;
        for (const double logit : logits) statistics.add(rw::kLog2E * times * logit);
        if (sinks) statistics.add(rw::kLog2E * sink);
        return statistics.summary();
      };
      const rw::RowSummary<double> summary = row(1);
      lse.push_back(static_cast<float>(summary.lse));
      mean.push_back(static_cast<float>(summary.mean));
      variance.push_back(static_cast<float>(summary.variance));
      at_entropy.push_back(static_cast<float>(random.uniform(-1, 1)));
      at_lse.push_back(static_cast<float>(random.uniform(-1, 1)));
      const auto loss = [&](double times) {
        const rw::RowSummary<double> at = row(times);
        return (d_entropy ? as_double(at_entropy.back()) * at.entropy : 0.0) +
               (d_lse ? as_double(at_lse.back()) * at.lse : 0.0);
      };
      constexpr double h = 1e-3;
      expected.push_back((8 * (loss(1 + h) - loss(1 - h)) - (loss(1 + 2 * h) - loss(1 - 2 * h))) /
                         (12 * h));
      // Statistics of magnitude below 30 rounded to float, sinks' weights to 20 units of that; and
      // h^4 / 30 of a fifth derivative below 5^5 * 120 (lse: a cumulant; entropy: six times it).
      bounds.push_back(30 * 40 * kUnit + h * h * h * h * 4 * 3125 * 7);
    }
    rw::cuda::StatisticsScaleGradientParams params;
    params.rows = rows;
    params.heads = heads;
    params.statistics.mean = mean.data();
    if (sinks) params.statistics.lse = lse.data();
    if (d_entropy) params.statistics.variance = variance.data();
    if (d_entropy) params.d_entropy = at_entropy.data();
    if (d_lse) params.d_lse = at_lse.data();
    if (sinks) params.scale.sink_logit = sink_logit.data();
    Results results(params, rows, heads, true);
    REQUIRE(rw::cuda::validate(params).code == rw::Errc::ok);
    REQUIRE(emulate_gradients(params, 1).error == "");
    for (std::size_t entry = 0; entry < entries; ++entry) {
      INFO(seed_text() << " call " << i << " entry " << entry << " sinks " << sinks);
      CHECK(std::fabs(as_double(results.rows[static_cast<std::int64_t>(entry)]) -
                      expected[entry]) <= bounds[entry]);
    }
    if (!d_entropy || d_lse || sinks) continue;
    // What the host's library calls the slopes of the entropy are means over the rows.
    std::vector<double> slopes(static_cast<std::size_t>(heads));
    rw::entropy_scale_slopes(variance, rows, slopes);
    for (float& by : at_entropy) by = 1.0f / static_cast<float>(rows);
    REQUIRE(emulate_gradients(params, 1).error == "");
    for (int head = 0; head < heads; ++head) {
      CHECK(as_double(results.head_scale[head]) ==
            Approx(slopes[static_cast<std::size_t>(head)]).epsilon(4 * kUnit));
    }
  }
}

TEST_CASE("what scale_gradients of the device cannot do is refused by name") {
  const std::vector<float> data(64, 1.0f);
  float out[8];
  float in[8];
  const auto text = [](const rw::Fault& fault) {
    return std::string(fault.field) + " " + std::to_string(static_cast<long long>(fault.value)) +
           " " + rw::message(fault.code);
  };
  using Dots = rw::cuda::ScaleGradientParams<float>;
  const auto dots = [&](auto&& change) {
    Dots params;
    params.queries = 4;
    params.heads = 2;
    params.head_dim = 8;
    params.q = {data.data(), 64, 16, 8};
    params.dq = params.q;
    params.gradients.rows = out;
    change(params);
    return text(rw::cuda::validate(params));
  };
  CHECK_THAT(dots([](Dots&) {}), contains("is sound"));
  CHECK_THAT(dots([](Dots& p) { p.sequences = -1; }), contains("sequences -1 is below"));
  CHECK_THAT(dots([](Dots& p) { p.queries = -2; }), contains("queries -2 is below"));
  CHECK_THAT(dots([](Dots& p) { p.heads = 0; }), contains("heads 0 is below"));
  CHECK_THAT(dots([](Dots& p) { p.head_dim = 0; }), contains("head_dim 0 is below"));
  CHECK_THAT(dots([](Dots& p) { p.sequences = p.queries = std::int64_t{1} << 40; }),
             contains("sequences 1099511627776 is above"));
  CHECK_THAT(dots([](Dots& p) { p.q.data = nullptr; }), contains("q 0 is needed"));
  CHECK_THAT(dots([](Dots& p) { p.dq.data = nullptr; }), contains("dq 0 is needed"));
  CHECK_THAT(dots([](Dots& p) { p.dq.token_stride = -1; }), contains("dq -1 is below"));
  CHECK_THAT(dots([](Dots& p) { p.q.token_stride = std::int64_t{1} << 61; }), contains("q"));
  CHECK_THAT(dots([](Dots& p) { p.gradients.rows = const_cast<float*>(p.q.data); }),
             contains("gradients.rows 0 makes elements share memory"));
  CHECK_THAT(dots([](Dots& p) { p.gradients.rows = nullptr; }), contains("gradients 0 is needed"));
  CHECK_THAT(dots([&](Dots& p) {
               p.gradients = {out, nullptr, nullptr};
             }),
             contains("workspace 0 is needed"));
  CHECK_THAT(dots([&](Dots& p) {
               p.gradients = {out, nullptr, nullptr};
               p.workspace = out;
               while (reinterpret_cast<std::uintptr_t>(p.workspace) % 16 != 0) {
                 p.workspace = static_cast<float*>(p.workspace) + 1;
               }
               p.workspace_bytes = 31;
             }),
             contains("workspace_bytes 31 is below"));

  using Rows = rw::cuda::StatisticsScaleGradientParams;
  const auto statistics = [&](auto&& change) {
    Rows params;
    params.rows = 4;
    params.heads = 2;
    params.statistics = {in, in, in, in};
    params.d_entropy = params.d_lse = data.data();
    params.gradients.rows = out;
    change(params);
    return text(rw::cuda::validate(params));
  };
  CHECK_THAT(statistics([](Rows&) {}), contains("is sound"));
  CHECK_THAT(statistics([&](Rows& p) { p.gradients.rows = in; }),
             contains("gradients.rows 0 makes elements share memory"));
  CHECK_THAT(statistics([&](Rows& p) { p.rows = std::int64_t{1} << 62; }), contains("rows"));
  CHECK_THAT(statistics([](Rows& p) { p.d_entropy = p.d_lse = nullptr; }),
             contains("d_entropy 0 is needed"));
  CHECK_THAT(statistics([](Rows& p) { p.statistics.variance = nullptr; }),
             contains("statistics.variance 0 is needed"));
  CHECK_THAT(statistics([](Rows& p) { p.statistics.mean = nullptr; }),
             contains("statistics.mean 0 is needed"));
  CHECK_THAT(statistics([&](Rows& p) {
               p.scale.sink_logit = data.data();
               p.statistics.lse = nullptr;
             }),
             contains("statistics.lse 0 is needed"));
}
