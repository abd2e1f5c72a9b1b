#include <ropewalk/theta.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama3{128, 128, 500000.0, 8192};
const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};

// Printed reference values carry at least 12 digits unless said otherwise.
Approx near(double value, double relative = 1e-12) { return Approx(value).epsilon(relative); }

int over_range_pairs(const rw::RopeConfig& config, double theta, std::int64_t length) {
  int count = 0;
  for (int pair = 0; pair < config.pairs(); ++pair) {
    const double seen = rw::rotations(rw::inverse_frequency(config, pair), config.original_length);
    const double met = rw::rotations(rw::inverse_frequency(theta, pair, config.rotary_dim), length);
    // 1e-12: a strict base puts its own pair on the trained arc, equal up to rounding.
    if (seen < 1.0 && met > seen * (1.0 + 1e-12)) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("Llama-3-8B's theta for longer contexts is Liu's law") {
  CHECK(rw::theta_for_length(kLlama3, 65536) == near(22443169.369432785885));
  CHECK(rw::theta_for_length(kLlama3, 262144) == near(283461213.47555687962));
  CHECK(rw::theta_for_length(kLlama3, 524288) == near(1007391702.690092064));
  CHECK(rw::theta_for_length(kLlama3, 1048576) == near(3580165449.1130344973));
  CHECK(rw::theta_for_length(kLlama3, 4194304) == near(45218125209.670028039));
}

TEST_CASE("Gradient's released configs are Liu's law rounded down") {
  CHECK(std::floor(rw::theta_for_length(kLlama3, 262144)) == 283461213.0);
  CHECK(std::floor(rw::theta_for_length(kLlama3, 1048576)) == 3580165449.0);
}

TEST_CASE("Liu's law on other models") {
  CHECK(rw::theta_for_length(kLlama2, 16384) == near(71738.436200099877));
  CHECK(rw::theta_for_length({128, 128, 1e6, 32768}, 131072) == near(9370821.04342499));
}

TEST_CASE("Liu's law in two steps is Liu's law in one") {
  rw::RopeConfig halfway = kLlama3;
  halfway.original_length = 65536;
  halfway.theta = rw::theta_for_length(kLlama3, 65536);
  CHECK(rw::theta_for_length(halfway, 1048576) ==
        near(rw::theta_for_length(kLlama3, 1048576), 1e-13));
}

TEST_CASE("the critical dimension of Llama-3-8B is 70, of Llama-2 92") {
  CHECK(rw::critical_dimension(kLlama3) == 70);
  CHECK(rw::critical_pair(kLlama3) == 35);
  CHECK(rw::critical_dimension(kLlama2) == 92);
}

TEST_CASE("critical dimensions of other models") {
  CHECK(rw::critical_dimension({128, 128, 1e4, 2048}) == 82);
  CHECK(rw::critical_dimension({64, 64, 1e4, 2048}) == 42);
  CHECK(rw::critical_dimension({128, 128, 1e6, 32768}) == 80);
  CHECK(rw::critical_dimension({96, 24, 1e4, 2048}) == 16);
  CHECK(rw::critical_dimension({96, 96, 1e4, 2048}) == 62);
  CHECK(rw::critical_dimension({64, 64, 150000.0, 4096}) == 36);
}

TEST_CASE("the critical pair is the number of wavelengths within the trained length") {
  for (const double theta : {1.5, 500.0, 1e4, 5e5, 1e7}) {
    for (const std::int64_t length : {1, 6, 7, 100, 2048, 8192, 131072}) {
      const rw::RopeConfig config{128, 128, theta, length};
      int within = 0;
      for (int pair = 0; pair < config.pairs(); ++pair) {
        if (rw::wavelength(rw::inverse_frequency(config, pair)) <= static_cast<double>(length)) {
          ++within;
        }
      }
      INFO("theta " << theta << " length " << length);
      CHECK(rw::critical_pair(config) == within);
    }
  }
}

TEST_CASE("NTK-aware bases are the published ones") {
  CHECK(rw::ntk_theta(kLlama2, 2.0) == near(20221.261689737912));
  CHECK(rw::ntk_theta(kLlama2, 4.0) == near(40889.942432486216));
  CHECK(rw::ntk_theta(kLlama2, 8.0) == near(82684.622640562218));
  CHECK(rw::ntk_theta({64, 64, 1e4, 0}, 8.0) == near(85550.375885685379));
  CHECK(rw::ntk_theta(kLlama3, 8.0) == near(4134231.1320281109));
  CHECK(rw::ntk_theta(kLlama3, 32.0) == near(16904847.299122));
  CHECK(rw::ntk_theta(kLlama3, 128.0) == near(69123823.289108));
}

TEST_CASE("dynamic NTK keeps the base up to the trained length and moves it after") {
  const rw::RopeConfig config{128, 128, 1e4, 2048};
  CHECK(rw::dynamic_ntk_theta(config, 2.0, 0) == 1e4);
  CHECK(rw::dynamic_ntk_theta(config, 2.0, 2048) == 1e4);
  CHECK(rw::dynamic_ntk_theta(config, 2.0, 2049) > 1e4);
  CHECK(rw::dynamic_ntk_theta(config, 2.0, 4096) == near(30527.736748806698));
  CHECK(rw::dynamic_ntk_theta(config, 1.0, 4096) == near(20221.261689737912));
}

TEST_CASE("Gradient's model-card bases are dynamic NTK with factor 4, chained") {
  const auto step = [](double theta, std::int64_t from, std::int64_t to) {
    return rw::dynamic_ntk_theta({128, 128, theta, from}, 4.0, to);
  };
  const double at_65k = step(500000.0, 8192, 65536);
  const double at_262k = step(at_65k, 65536, 262144);
  CHECK(at_65k == near(15296098.403706));
  CHECK(at_262k == near(207112190.37028));
  CHECK(step(at_262k, 262144, 524288) == near(1062356863.3494));
  CHECK(step(at_262k, 262144, 1048576) == near(2804339921.7138));
}

TEST_CASE("the strict base is the smallest with no pair over its trained range") {
  CHECK(rw::strict_theta_for_length(kLlama2, 32768) == near(180498.2624, 1e-9));
  CHECK(rw::strict_theta_for_length(kLlama2, 131072) == near(1242000.324, 1e-9));
  CHECK(rw::strict_theta_for_length(kLlama3, 65536) == near(22404463.67, 1e-9));
  CHECK(rw::strict_theta_for_length(kLlama3, 262144) == near(282646915.5, 1e-9));
  CHECK(rw::strict_theta_for_length(kLlama3, 1048576) == near(3565775107.0, 1e-9));
  for (const rw::RopeConfig& config : {kLlama2, kLlama3, rw::RopeConfig{96, 96, 1e4, 2048}}) {
    for (const std::int64_t factor : {2, 3, 8, 32, 128}) {
      const std::int64_t length = factor * config.original_length;
      const double strict = rw::strict_theta_for_length(config, length);
      CHECK(over_range_pairs(config, strict, length) == 0);
      CHECK(over_range_pairs(config, 0.999 * strict, length) > 0);
    }
  }
}

TEST_CASE("the strict base needs no change where every pair turned, and no pair is no answer") {
  CHECK(rw::strict_theta_for_length({128, 128, 10.0, 131072}, 1 << 20) == 10.0);
  CHECK_NOTHROW(rw::strict_theta_for_length({2, 2, 5e5, 7}, 70));
  CHECK_THROWS_WITH(rw::strict_theta_for_length({128, 128, 5e5, 6}, 60),
                    contains("original_length"));
}

TEST_CASE("NTK-aware, the strict base and Liu's law are one family") {
  const double factor = 32.0;
  const std::int64_t length = 262144;
  CHECK(rw::align_theta(kLlama3, factor, 63.0) == near(rw::ntk_theta(kLlama3, factor), 1e-14));
  CHECK(rw::align_theta(kLlama3, factor, 35.0) ==
        near(rw::strict_theta_for_length(kLlama3, length), 1e-14));
  const double index = rw::pair_index_of_wavelength(kLlama3, 8192.0);
  CHECK(rw::align_theta(kLlama3, factor, index) ==
        near(rw::theta_for_length(kLlama3, length), 1e-14));
  // Phi-3-mini as LongRoPE2 extends it: 96 dimensions, critical pair 31.
  CHECK(rw::align_theta({96, 96, 1e4, 2048}, 64.0, 31.0) ==
        near(10000.0 * std::pow(64.0, 96.0 / 62.0)));
}

TEST_CASE("a base's extrapolation limit is the published one") {
  const double limits[][2] = {{2e4, 7754.346},  {4e4, 12761.757}, {8e4, 21002.732},
                              {1e5, 24656.411}, {2e5, 40578.424}, {5e5, 78399.729},
                              {1e6, 129026.783}};
  for (const auto& [theta, length] : limits) {
    CHECK(rw::extrapolation_limit(kLlama2, theta) == near(length, 1e-7));
  }
  CHECK(rw::extrapolation_limit(kLlama3, 283461213.0) == near(263413.075, 1e-8));
  CHECK(rw::extrapolation_limit(kLlama3, 3580165449.0) == near(1054315.581, 1e-8));
}

TEST_CASE("a base no larger than the trained one is held to the trained length") {
  CHECK(rw::extrapolation_limit(kLlama2, 10000.0) == 4096.0);
  CHECK(rw::extrapolation_limit(kLlama2, 500.0) == 4096.0);
}

TEST_CASE("the small-base thresholds are the published ones") {
  const rw::SmallBaseThresholds at_4096 = rw::small_base_thresholds(4096);
  CHECK(at_4096.quarter_turn == near(2607.5945876176132));
  CHECK(at_4096.half_turn == near(1303.7972938088066));
  CHECK(at_4096.full_turn == near(651.8986469044033));
  CHECK(rw::small_base_thresholds(16384).quarter_turn == near(10430.378350470453));
}

TEST_CASE("other programs' alphas give the bases those programs use") {
  CHECK(rw::text_generation_webui_theta(2.5) == near(25366.0, 1e-4));
  CHECK(rw::text_generation_webui_alpha(rw::text_generation_webui_theta(2.5)) == near(2.5));
  CHECK(rw::exllama_theta(kLlama2, 2.0) == near(rw::ntk_theta(kLlama2, 2.0), 1e-15));
  CHECK(rw::exllama_alpha(kLlama2, rw::exllama_theta(kLlama2, 2.6)) == near(2.6));
  CHECK(rw::exllama_theta(kLlama2, rw::tabbyapi_alpha(2.0)) == near(26705.0, 1e-4));
  CHECK(rw::exllama_theta(kLlama3, rw::tabbyapi_alpha(8.0)) == near(13028068.0, 1e-7));
}

TEST_CASE("tabbyAPI's alpha drops below 1 just above factor 1") {
  CHECK(rw::tabbyapi_alpha(1.0) == 1.0);
  CHECK(rw::tabbyapi_alpha(0.5) == 1.0);
  CHECK(rw::tabbyapi_alpha(1.0 + 1e-9) == near(0.95938, 1e-6));
}

TEST_CASE("KoboldCpp's base is Liu's law for two bases only") {
  // The pull request that introduced it prints these, in float32.
  CHECK(rw::koboldcpp_theta(kLlama3, 16384).value() == near(1776948.1, 5e-7));
  CHECK(rw::koboldcpp_theta(kLlama2, 8192).value() == near(26784.0, 1e-4));
  CHECK(rw::koboldcpp_theta(kLlama2, 12288).value() == near(47661.0, 1e-4));
  CHECK(rw::koboldcpp_theta(kLlama2, 16384).value() == near(71738.0, 1e-4));
  CHECK_FALSE(rw::koboldcpp_theta({128, 128, 1e6, 32768}, 131072).has_value());
  CHECK_FALSE(rw::koboldcpp_theta(kLlama3, 8192).has_value());
  CHECK_FALSE(rw::koboldcpp_theta({128, 128, 1e4, 512}, 2048).has_value());
}

TEST_CASE("KoboldCpp corrects Solar models further") {
  const rw::RopeConfig solar{128, 128, 10000.0, 4096};
  const double x = std::log10(8.0 * 8192 / 6.28318);
  const double y = std::log10(8.0 * 4096 / 6.28318);
  const double expected = std::pow(1e4, x / y) * (1.0 + (x - y) / (x * y - (x + y)));
  CHECK(rw::koboldcpp_theta(solar, 8192, rw::KoboldCppModel::solar).value() == near(expected));
}

TEST_CASE("laws refuse what they cannot answer, by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const rw::RopeConfig unknown{128, 128, 1e4, 0};
  CHECK_THROWS_WITH(rw::theta_for_length(unknown, 8192), contains("original_length"));
  CHECK_THROWS_WITH(rw::critical_dimension(unknown), contains("original_length"));
  CHECK_THROWS_WITH(rw::theta_for_length(kLlama3, 4096), contains("length = 4096"));
  CHECK_THROWS_WITH(rw::theta_for_length({128, 128, 1e4, 6}, 60), contains("original_length = 6"));
  CHECK_THROWS_WITH(rw::theta_for_length({128, 128, nan, 4096}, 8192), contains("theta"));
  CHECK_THROWS_WITH(rw::theta_for_length({128, 128, 1.0, 4096}, 8192), contains("theta"));
  CHECK_THROWS_WITH(rw::theta_for_length({128, 127, 1e4, 4096}, 8192),
                    contains("rotary_dim = 127 must be even"));
  CHECK_THROWS_WITH(rw::ntk_theta({2, 2, 1e4, 0}, 2.0), contains("rotary_dim"));
  CHECK_THROWS_WITH(rw::ntk_theta(kLlama2, 0.5), contains("factor = 0.5"));
  CHECK_THROWS_WITH(rw::ntk_theta(kLlama2, nan), contains("factor"));
  CHECK_THROWS_WITH(rw::ntk_theta({4, 4, 1e4, 0}, 1e300), contains("range of double"));
  CHECK_THROWS_WITH(rw::dynamic_ntk_theta(kLlama2, 0.5, 8192), contains("factor"));
  CHECK_THROWS_WITH(rw::dynamic_ntk_theta(kLlama2, 2.0, -1), contains("length = -1"));
  CHECK_THROWS_WITH(rw::align_theta(kLlama2, 2.0, 0.0), contains("pair"));
  CHECK_THROWS_WITH(rw::theta_for_length({128, 128, 1e101, 4096}, 8192), contains("theta"));
  CHECK_THROWS_WITH(rw::koboldcpp_theta({128, 128, 1e4, 7}, 4096, rw::KoboldCppModel::solar),
                    contains("length = 4096"));
  CHECK_THROWS_WITH(rw::extrapolation_limit(kLlama2, nan), contains("theta"));
  CHECK_THROWS_WITH(rw::small_base_thresholds(6), contains("length"));
  CHECK_THROWS_WITH(rw::tabbyapi_alpha(nan), contains("factor"));
  CHECK_THROWS_WITH(rw::exllama_alpha(kLlama2, -1.0), contains("theta"));
}

TEST_CASE("lengths up to 2^53 are answered and longer ones refused") {
  const std::int64_t largest = std::int64_t{1} << 53;
  CHECK(rw::theta_for_length(kLlama3, largest) > 1e20);
  CHECK_THROWS_WITH(rw::theta_for_length(kLlama3, largest + 1), contains("length"));
  CHECK_THROWS_WITH(rw::theta_for_length(kLlama3, std::numeric_limits<std::int64_t>::max()),
                    contains("length"));
}
