#include <ropewalk/scaling/yarn.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};

double ratio(const rw::Yarn& method, const rw::RopeConfig& config, int pair) {
  return method.inv_freq(config, pair) / rw::inverse_frequency(config, pair);
}

rw::Yarn yarn(double factor) {
  rw::Yarn method;
  method.factor = factor;
  return method;
}

}  // namespace

TEST_CASE("the code's ramp on Llama-2 at factor 16 has the published ratios") {
  const double expected[][2] = {{20, 1.0},
                                {21, 0.963942307692},
                                {25, 0.819711538462},
                                {30, 0.639423076923},
                                {35, 0.459134615385},
                                {40, 0.278846153846},
                                {45, 0.0985576923077},
                                {46, 0.0625},
                                {63, 0.0625}};
  for (const auto& [pair, value] : expected) {
    CHECK(ratio(yarn(16.0), kLlama2, static_cast<int>(pair)) == Approx(value).epsilon(1e-11));
  }
}

TEST_CASE("correction ranges of known models") {
  const auto range = [](const rw::RopeConfig& config) {
    return yarn(4.0).correction_range(config);
  };
  CHECK(range(kLlama2).low == 20.0);
  CHECK(range(kLlama2).high == 46.0);
  CHECK(range({128, 128, 1e4, 2048}).low == 16.0);
  CHECK(range({128, 128, 1e4, 2048}).high == 41.0);
  CHECK(range({128, 128, 5e5, 8192}).low == 18.0);
  CHECK(range({128, 128, 5e5, 8192}).high == 35.0);
  CHECK(range({64, 64, 1e4, 4096}).low == 10.0);
  CHECK(range({64, 64, 1e4, 4096}).high == 23.0);
  CHECK(range({128, 128, 1e6, 32768}).low == 23.0);
  CHECK(range({128, 128, 1e6, 32768}).high == 40.0);
  CHECK(range({256, 256, 1e4, 131072}).low == 90.0);
  CHECK(range({256, 256, 1e4, 131072}).high == 139.0);
}

TEST_CASE("without truncation the range keeps its fractions") {
  rw::Yarn gpt_oss = yarn(32.0);
  gpt_oss.truncate = false;
  const auto range = gpt_oss.correction_range({64, 64, 150000.0, 4096});
  CHECK(range.low == Approx(8.092779116).epsilon(1e-9));
  CHECK(range.high == Approx(17.3980245).epsilon(1e-8));
}

TEST_CASE("the range is held to the dimension, not to the pairs") {
  // High end 34.55 for 32 pairs: an implementation that clamps to pairs - 1 has 31 here.
  CHECK(yarn(2.0).correction_range({64, 64, 1e4, 131072}).high == 35.0);
}

TEST_CASE("equal betas give a step and no division by zero") {
  rw::Yarn kimi = yarn(32.0);
  kimi.beta_fast = 1.0;
  const rw::RopeConfig config{64, 64, 50000.0, 4096};
  const auto range = kimi.correction_range(config);
  CHECK(range.high > range.low);
  for (int pair = 0; pair < config.pairs(); ++pair) {
    const double value = ratio(kimi, config, pair);
    CHECK(value >= 1.0 / 32.0 * (1.0 - 1e-15));
    CHECK(value <= 1.0);
  }
}

TEST_CASE("the extrapolation factor 0 is position interpolation") {
  rw::Yarn method = yarn(8.0);
  method.extrapolation_factor = 0.0;
  for (int pair = 0; pair < 64; ++pair) {
    CHECK(method.inv_freq(kLlama2, pair) == rw::inverse_frequency(kLlama2, pair) / 8.0);
  }
}

TEST_CASE("the factor on cos and sin and the softmax multiplier are two numbers") {
  rw::Yarn v3 = yarn(40.0);
  v3.mscale = 1.0;
  v3.mscale_all_dim = 1.0;
  CHECK(v3.attention_factor(kLlama2) == 1.0);
  CHECK(v3.softmax_multiplier() == Approx(1.87385420709263).epsilon(1e-14));
  rw::Yarn v2 = yarn(40.0);
  v2.mscale = 0.707;
  v2.mscale_all_dim = 0.707;
  CHECK(v2.attention_factor(kLlama2) == 1.0);
  CHECK(v2.softmax_multiplier() == Approx(1.58962616512087).epsilon(1e-14));
}

TEST_CASE("attention factor: explicit, then the ratio when both slopes count, then the law") {
  rw::Yarn method = yarn(8.0);
  CHECK(method.attention_factor(kLlama2) == Approx(1.2079441541679836).epsilon(1e-15));
  CHECK(method.softmax_multiplier() == 1.0);
  method.mscale = 0.707;
  CHECK(method.attention_factor(kLlama2) == Approx(1.2079441541679836).epsilon(1e-15));
  method.mscale_all_dim = 0.0;
  CHECK(method.attention_factor(kLlama2) == Approx(1.2079441541679836).epsilon(1e-15));
  method.mscale_all_dim = 1.0;
  CHECK(method.attention_factor(kLlama2) ==
        Approx((1.0 + 0.0707 * std::log(8.0)) / 1.2079441541679836).epsilon(1e-15));
  method.explicit_attention_factor = 1.25;
  CHECK(method.attention_factor(kLlama2) == 1.25);
  rw::Yarn multiplied = yarn(8.0);
  multiplied.attn_factor = 0.5;
  CHECK(multiplied.attention_factor(kLlama2) == Approx(0.6039720770839918).epsilon(1e-15));
}

TEST_CASE("YaRN refuses by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto field = [](const rw::Yarn& method, const rw::RopeConfig& config = kLlama2) {
    return std::string(method.validate(config).field);
  };
  CHECK(field(yarn(nan)) == "factor");
  CHECK(field(yarn(0.5)) == "factor");
  CHECK(field(yarn(2.0), {128, 128, 1e4, 0}) == "original_length");
  rw::Yarn method = yarn(2.0);
  method.beta_slow = 64.0;
  CHECK(field(method) == "beta_fast");
  method = yarn(2.0);
  method.beta_slow = 0.0;
  CHECK(field(method) == "beta_slow");
  method = yarn(2.0);
  method.beta_fast = nan;
  CHECK(field(method) == "beta_fast");
  method = yarn(2.0);
  method.extrapolation_factor = 1.5;
  CHECK(field(method) == "extrapolation_factor");
  method = yarn(2.0);
  method.attn_factor = 0.0;
  CHECK(field(method) == "attn_factor");
  method = yarn(2.0);
  method.mscale = -1.0;
  CHECK(field(method) == "mscale");
  method = yarn(2.0);
  method.mscale_all_dim = nan;
  CHECK(field(method) == "mscale_all_dim");
  // Even the slowest pair turns more than 32 times: the ramp would run backwards.
  CHECK(field(yarn(2.0), {64, 64, 1e4, std::int64_t{1} << 40}) == "beta_fast");
  method = yarn(2.0);
  method.explicit_attention_factor = -1.0;
  CHECK(field(method) == "attention_factor");
}
