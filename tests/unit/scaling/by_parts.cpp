#include <ropewalk/scaling/llama3.hpp>
#include <ropewalk/scaling/ntk_by_parts.hpp>
#include <ropewalk/scaling/yarn.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};
const rw::RopeConfig kLlama31{128, 128, 500000.0, 8192};

}  // namespace

TEST_CASE("the paper's ramp on Llama-2 at factor 16 has the published ratios") {
  const rw::NtkByParts method{16.0};
  const double expected[][2] = {{20, 1.0},
                                {21, 0.992298802647},
                                {25, 0.572128645433},
                                {30, 0.295157505215},
                                {35, 0.160281554521},
                                {40, 0.0946013466068},
                                {45, 0.0626172183066},
                                {46, 0.0625}};
  for (const auto& [place, value] : expected) {
    const int pair = static_cast<int>(place);
    CHECK(method.inv_freq(kLlama2, pair) / rw::inverse_frequency(kLlama2, pair) ==
          Approx(value).epsilon(1e-11));
  }
}

TEST_CASE("the paper's ramp and the code's differ by up to 3.96 at factor 32") {
  double largest = 0.0;
  for (int pair = 0; pair < 64; ++pair) {
    rw::Yarn code;
    code.factor = 32.0;
    const double ratio =
        code.inv_freq(kLlama2, pair) / rw::NtkByParts{32.0}.inv_freq(kLlama2, pair);
    largest = std::fmax(largest, std::fmax(ratio, 1.0 / ratio));
  }
  CHECK(largest == Approx(3.96).epsilon(2e-3));
}

TEST_CASE("Llama 3.1 keeps pairs 0 to 28, mixes 29 to 34 and divides the rest by 8") {
  const rw::Llama3 rule{8.0, 1.0, 4.0};
  for (int pair = 0; pair < 64; ++pair) {
    const double plain = rw::inverse_frequency(kLlama31, pair);
    const double scaled = rule.inv_freq(kLlama31, pair);
    if (pair <= 28) CHECK(scaled == plain);
    if (pair >= 35) CHECK(scaled == plain / 8.0);
    if (pair > 28 && pair < 35) {
      CHECK(scaled < plain);
      CHECK(scaled > plain / 8.0);
    }
  }
}

TEST_CASE("Llama 3.1's frequencies are the published ones") {
  const rw::Llama3 rule{8.0, 1.0, 4.0};
  const struct {
    int pair;
    double inv_freq;
  } expected[] = {
      {28, 0.003211445994752591},   {29, 0.0021665707635033586},  {30, 0.0013718935677611382},
      {31, 0.00085675141291963208}, {32, 0.00052484616099295467}, {33, 0.00031269375038406513},
      {34, 0.00017850781276799642}, {35, 9.556212353964683e-5},   {63, 3.0689259889145111e-7}};
  for (const auto& row : expected) {
    CHECK(rule.inv_freq(kLlama31, row.pair) == Approx(row.inv_freq).epsilon(1e-14));
  }
}

TEST_CASE("equal low and high factors are a step, as Llama-4 Scout ships them") {
  const rw::Llama3 scout{16.0, 1.0, 1.0};
  CHECK(scout.validate(kLlama31).code == rw::Errc::ok);
  for (int pair = 0; pair < 64; ++pair) {
    const double plain = rw::inverse_frequency(kLlama31, pair);
    CHECK(scout.inv_freq(kLlama31, pair) == (pair <= 34 ? plain : plain / 16.0));
  }
}

TEST_CASE("ramps the wrong way round are refused by name") {
  CHECK(std::string(rw::Llama3{8.0, 4.0, 1.0}.validate(kLlama31).field) == "high_freq_factor");
  CHECK(std::string(rw::Llama3{8.0, 0.0, 4.0}.validate(kLlama31).field) == "low_freq_factor");
  CHECK(std::string(rw::Llama3{0.5}.validate(kLlama31).field) == "factor");
  CHECK(std::string(rw::NtkByParts{8.0, 1.0, 2.0}.validate(kLlama31).field) == "beta_fast");
  CHECK(std::string(rw::NtkByParts{8.0, 32.0, -1.0}.validate(kLlama31).field) == "beta_slow");
  CHECK(std::string(rw::NtkByParts{8.0}.validate({128, 128, 1e4, 0}).field) == "original_length");
}
