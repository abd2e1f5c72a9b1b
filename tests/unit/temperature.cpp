#include <ropewalk/temperature.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

namespace rw = ropewalk;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Expected values are written with 15 significant digits from 40-digit arithmetic unless a test says
// otherwise: half a unit of the last digit, plus the 4 ULP a law may be off.
bool agrees(double value, double printed, int digits = 15) {
  if (printed == 0.0) return value == 0.0;
  const double last_digit = std::pow(10.0, std::floor(std::log10(std::fabs(printed))) + 1 - digits);
  return std::fabs(value - printed) <=
         0.51 * last_digit + 4.0 * std::numeric_limits<double>::epsilon() * std::fabs(printed);
}

template <typename Call>
std::string refusal(Call call) {
  try {
    const double value = call();
    return "accepted, " + std::to_string(value);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("YaRN's factor at 8 is the paper's 1.208 and the logits see its square") {
  CHECK(agrees(rw::yarn_attention_factor(8.0), 1.2079441541679836, 17));
  const double factors[] = {2, 4, 8, 16, 32, 40};
  const double expected[] = {1.0693147180559945, 1.1386294361119891, 1.2079441541679836,
                             1.2772588722239781, 1.3465735902799727, 1.3688879454113936};
  const double squares[] = {1.14343396625117, 1.29647699278071, 1.45912907958861,
                            1.63139022667,    1.81326043404,    1.87385420709263};
  const int square_digits[] = {15, 15, 15, 12, 12, 15};
  for (int i = 0; i < 6; ++i) {
    CHECK(agrees(rw::yarn_attention_factor(factors[i]), expected[i], 17));
    CHECK(agrees(rw::deepseek_softmax_multiplier(factors[i], 1.0), squares[i], square_digits[i]));
  }
}

TEST_CASE("DeepSeek's factor on cos and sin is not its multiplier of the softmax scale") {
  CHECK(rw::deepseek_attention_factor(40.0, 1.0, 1.0) == 1.0);
  CHECK(agrees(rw::deepseek_softmax_multiplier(40.0, 1.0), 1.87385420709263));
  CHECK(rw::deepseek_attention_factor(40.0, 0.707, 0.707) == 1.0);
  CHECK(agrees(rw::deepseek_softmax_multiplier(40.0, 0.707), 1.58962616512087));
  CHECK(agrees(std::sqrt(rw::deepseek_softmax_multiplier(40.0, 0.707)), 1.26080377740586));
  CHECK(
      agrees(rw::deepseek_softmax_multiplier(40.0, 1.0) / std::sqrt(192.0), 0.13523377886088, 14));
  CHECK(agrees(rw::deepseek_attention_factor(40.0, 1.0, 0.707), 1.36888794541139 / 1.26080377740586,
               14));
  CHECK(rw::deepseek_attention_factor(40.0, 1.0, 0.0) == rw::yarn_attention_factor(40.0));
  CHECK(rw::deepseek_softmax_multiplier(40.0, 0.0) == 1.0);
}

TEST_CASE("Dual Chunk Attention and LongRoPE have factors of their own") {
  CHECK(agrees(rw::dual_chunk_attention_factor(2.0), 1.034657359028, 13));
  CHECK(agrees(rw::dual_chunk_attention_factor(8.0), 1.10397207708399));
  CHECK(agrees(rw::dual_chunk_attention_factor(16.0), 1.13862943611199));
  CHECK(agrees(rw::longrope_attention_factor(32.0, 4096), 1.1902380714238083, 17));
  CHECK(agrees(rw::longrope_attention_factor(64.0, 2048), 1.2431631210161221, 17));
  CHECK(agrees(rw::longrope_attention_factor(16.0, 8192), 1.1435437497937312, 17));
}

TEST_CASE("no law of a factor touches a model that is not extended") {
  for (const double factor : {1.0, 0.75, 1e-300}) {
    CHECK(rw::yarn_attention_factor(factor) == 1.0);
    CHECK(rw::yarn_attention_factor(factor, 0.707) == 1.0);
    CHECK(rw::deepseek_attention_factor(factor, 1.0, 0.5) == 1.0);
    CHECK(rw::deepseek_softmax_multiplier(factor, 1.0) == 1.0);
    CHECK(rw::dual_chunk_attention_factor(factor) == 1.0);
    CHECK(rw::longrope_attention_factor(factor, 4096) == 1.0);
    CHECK(rw::nope_softmax_multiplier(factor, 0.3010) == 1.0);
  }
}

TEST_CASE("the NoPE fits give the multipliers of their papers") {
  const double factors[] = {1, 2, 4, 8};
  const double early[] = {1, 1.20863730134854, 1.41727460269709, 1.62591190404563};
  const double late[] = {1, 1.27538737483647, 1.55077474967293, 1.8261621245094};
  for (int i = 0; i < 4; ++i) {
    CHECK(agrees(rw::nope_softmax_multiplier(factors[i], rw::kNopeSlope10kSteps), early[i]));
    CHECK(agrees(rw::nope_softmax_multiplier(factors[i], rw::kNopeSlope50kSteps), late[i], 14));
  }
  CHECK(agrees(rw::nope_softmax_multiplier(2.0, rw::kDropeSlopeScratch), 1.2855766383907, 14));
  CHECK(agrees(rw::nope_softmax_multiplier(8.0, rw::kDropeSlopeScratch), 1.85672991517209));
  CHECK(agrees(rw::nope_softmax_multiplier(2.0, rw::kDropeSlopeSmolLm), 1.07139415959767));
  CHECK(agrees(rw::nope_softmax_multiplier(8.0, rw::kDropeSlopeSmolLm), 1.21418247879302));
}

TEST_CASE("adaptive temperature follows its polynomial and leaves rows outside the fit alone") {
  CHECK(agrees(rw::adaptive_softmax_multiplier(1.0), 1.27));
  CHECK(agrees(rw::adaptive_softmax_multiplier(2.0), 2.099));
  CHECK(agrees(rw::adaptive_softmax_multiplier(3.0), 2.25));
  CHECK(agrees(rw::adaptive_softmax_multiplier(4.0), 2.389));
  CHECK(agrees(rw::adaptive_softmax_multiplier(5.0), 2.294));
  for (const double entropy : {0.0, 0.25, 0.5, 0.848, 5.945, 6.0, 7.0, 1e300}) {
    CHECK(rw::adaptive_softmax_multiplier(entropy) == 1.0);
  }
  CHECK(rw::adaptive_softmax_multiplier(0.849) > 1.0);
  CHECK(rw::adaptive_softmax_multiplier(5.944) > 1.0);
}

TEST_CASE("log-n is 1 at the trained length and grows with the logarithm of the keys") {
  CHECK(rw::log_n_position_scale(4095, 4096) == 1.0);
  CHECK(agrees(rw::log_n_position_scale(4096, 4096), 1.00002934812336));
  CHECK(agrees(rw::log_n_position_scale(8191, 4096), 1.08333333333333));
  CHECK(agrees(rw::log_n_position_scale(131071, 4096), 1.41666666666667));
  CHECK(rw::log_n_position_scale(0, 4096) == 0.0);
}

TEST_CASE("log-n for untrained models never blunts what the model was trained with") {
  for (const std::int64_t position : {0, 1, 100, 4094, 4095}) {
    CHECK(rw::log_n_untrained_position_scale(position, 4096) == 1.0);
    CHECK(rw::qwen_position_scale(position, 4096) == 1.0);
  }
  CHECK(agrees(rw::log_n_untrained_position_scale(8191, 4096), 1.08333333333333));
  CHECK(agrees(rw::qwen_position_scale(2048, 2048), 1.00006402445557));
  CHECK(agrees(rw::qwen_position_scale(4095, 2048), 1.09090909090909));
  CHECK(agrees(rw::qwen_position_scale(8191, 2048), 1.18181818181818));
  CHECK(rw::qwen_position_scale(2047, 2048) == 1.0);
}

TEST_CASE("Su's entropy invariance is normalised at 512 keys") {
  CHECK(agrees(rw::entropy_invariant_position_scale(63), 2.0 / 3.0));
  CHECK(rw::entropy_invariant_position_scale(511) == 1.0);
  CHECK(agrees(rw::entropy_invariant_position_scale(1023), 1.11111111111111));
  CHECK(agrees(rw::entropy_invariant_position_scale(4095), 4.0 / 3.0));
  CHECK(agrees(rw::entropy_invariant_position_scale(131071), 17.0 / 9.0));
}

TEST_CASE("Chiang and Cholak's law is the bare natural logarithm") {
  CHECK(agrees(rw::chiang_cholak_position_scale(19), 2.99573, 6));
  CHECK(rw::chiang_cholak_position_scale(0) == 0.0);
}

TEST_CASE("SSMax keeps the weight of one outstanding key as the others multiply") {
  const std::int64_t keys[] = {10, 1000, 100000};
  const double expected[] = {0.940101330364695, 0.999645667020519, 0.999998221741535};
  for (int i = 0; i < 3; ++i) {
    const double multiplier = rw::ssmax_position_scale(keys[i] - 1, 0.43);
    // Softmax over n - 1 logits of -2 and one of 3.
    const double others = static_cast<double>(keys[i] - 1) * std::exp(multiplier * -5.0);
    CHECK(agrees(1.0 / (1.0 + others), expected[i], 14));
  }
  CHECK(rw::ssmax_position_scale(999, -0.5) < 0.0);
}

TEST_CASE("InfoScale is 1 at its length and bounded") {
  CHECK(agrees(rw::infoscale_position_scale(63, 512, 128), 0.823065339229925));
  CHECK(rw::infoscale_position_scale(511, 512, 128) == 1.0);
  CHECK(agrees(rw::infoscale_position_scale(1023, 512, 128), 1.05129114844886));
  CHECK(agrees(rw::infoscale_position_scale(4095, 512, 128), 1.14553541333466));
  CHECK(agrees(rw::infoscale_position_scale(32767, 512, 128), 1.27063778068214));
  CHECK(rw::infoscale_position_scale(0, 512, 128) == 0.0);
}

TEST_CASE("SWAN's logarithm comes without a normalisation") {
  CHECK(rw::swan_position_scale(0, 0.0) == 0.0);
  CHECK(agrees(rw::swan_position_scale(0, 1.0), 0.693147180559945));
  CHECK(agrees(rw::swan_position_scale(9, 90.0), 4.60517018598809));
}

TEST_CASE("Llama 4 counts keys and Ministral counts positions") {
  CHECK(rw::llama4_position_scale(8190) == 1.0);
  CHECK(agrees(rw::llama4_position_scale(8191), 1.06931471805599));
  CHECK(agrees(rw::llama4_position_scale(16383), 1.10986122886681));
  CHECK(agrees(rw::llama4_position_scale(131071), 1.28332133440562));
  CHECK(agrees(rw::llama4_position_scale(9999999), 1.71074254741107));
  CHECK(rw::llama4_position_scale(8191, 8192, 0.0) == 1.0);
  CHECK(rw::ministral_position_scale(16383, 16384, 0.1) == 1.0);
  CHECK(agrees(rw::ministral_position_scale(16384, 16384, 0.1), 1.06931471805599));
  CHECK(agrees(rw::ministral_position_scale(262143, 16384, 0.1), 1.27725887222398));
}

TEST_CASE("scale-invariant attention leaves the key at distance 0 alone") {
  CHECK(rw::scale_invariant_logit(0).multiplier == 1.0);
  CHECK(rw::scale_invariant_logit(0).offset == 0.0);
  CHECK(agrees(rw::scale_invariant_logit(10).multiplier, 1.54476352919141));
  CHECK(agrees(rw::scale_invariant_logit(10).offset, -1.38629436111989));
  CHECK(agrees(rw::scale_invariant_logit(1000).multiplier, 3.19847479803773));
  CHECK(agrees(rw::scale_invariant_logit(1000).offset, -9.23024103368252));
  CHECK(rw::scale_invariant_logit(20, 20.0).offset == rw::scale_invariant_logit(10).offset);
}

TEST_CASE("a refused argument is named with its value") {
  CHECK(refusal([] { return rw::yarn_attention_factor(0.0); }) ==
        "yarn_attention_factor: factor = 0 must be greater than zero");
  CHECK(refusal([] { return rw::yarn_attention_factor(4.0, -0.5); }) ==
        "yarn_attention_factor: mscale = -0.5 is below the smallest value allowed");
  CHECK(refusal([] { return rw::deepseek_attention_factor(4.0, 1.0, -2.0); }) ==
        "deepseek_attention_factor: mscale_all_dim = -2 is below the smallest value allowed");
  CHECK(refusal([] { return rw::longrope_attention_factor(4.0, 1); }) ==
        "longrope_attention_factor: original_length = 1 is below the smallest value allowed");
  CHECK(refusal([] { return rw::llama4_position_scale(-1); }) ==
        "llama4_position_scale: position = -1 is below the smallest value allowed");
  CHECK(refusal([] { return rw::llama4_position_scale(std::int64_t{1} << 53); }) ==
        "llama4_position_scale: position = 9007199254740992 is above the largest value allowed");
  CHECK(refusal([] { return rw::ministral_position_scale(0, 0, 0.1); }) ==
        "ministral_position_scale: original_length = 0 is below the smallest value allowed");
  CHECK(refusal([] { return rw::infoscale_position_scale(5, 512, 0); }) ==
        "infoscale_position_scale: head_dim = 0 is below the smallest value allowed");
  CHECK(refusal([] { return rw::entropy_invariant_position_scale(5, 1); }) ==
        "entropy_invariant_position_scale: reference_length = 1 is below the smallest value "
        "allowed");
  CHECK(refusal([] { return rw::scale_invariant_logit(5, 0.0).offset; }) ==
        "scale_invariant_logit: tau = 0 must be greater than zero");
}

TEST_CASE("no argument that is not a finite number gets through") {
  for (const double bad : {kNaN, kInfinity, -kInfinity}) {
    CHECK_THROWS_AS(rw::yarn_attention_factor(bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::yarn_attention_factor(4.0, bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::yarn_attention_factor(0.5, bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::deepseek_attention_factor(4.0, bad, 1.0), std::invalid_argument);
    CHECK_THROWS_AS(rw::deepseek_attention_factor(4.0, 1.0, bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::deepseek_softmax_multiplier(4.0, bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::dual_chunk_attention_factor(bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::longrope_attention_factor(bad, 4096), std::invalid_argument);
    CHECK_THROWS_AS(rw::nope_softmax_multiplier(bad, 0.3), std::invalid_argument);
    CHECK_THROWS_AS(rw::nope_softmax_multiplier(4.0, bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::adaptive_softmax_multiplier(bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::ssmax_position_scale(5, bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::swan_position_scale(5, bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::llama4_position_scale(5, 8192, bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::ministral_position_scale(5, 8192, bad), std::invalid_argument);
    CHECK_THROWS_AS(rw::scale_invariant_logit(5, bad), std::invalid_argument);
  }
}

TEST_CASE("a law that leaves the range of double says so") {
  CHECK_THROWS_AS(rw::deepseek_softmax_multiplier(4.0, 1e200), std::invalid_argument);
  CHECK_THROWS_AS(rw::ssmax_position_scale(1000, 1e308), std::invalid_argument);
  CHECK_THROWS_AS(rw::scale_invariant_logit(std::int64_t{1} << 52, 1e-307), std::invalid_argument);
}
