#include <ropewalk/spectrum.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama3{128, 128, 500000.0, 8192};

// A caller's own method, registered nowhere: every pair at half speed.
struct HalfSpeed {
  double inv_freq(const rw::RopeConfig& config, int pair) const {
    return 0.5 * rw::inverse_frequency(config, pair);
  }
};

struct Sharpened {
  double sharpening = 1.5;
  rw::Fault validate(const rw::RopeConfig&) const noexcept {
    if (!(sharpening > 1.0)) return {rw::Errc::below_minimum, "sharpening", sharpening};
    return {};
  }
  double inv_freq(const rw::RopeConfig& config, int pair) const {
    return rw::inverse_frequency(config, pair);
  }
  double attention_factor(const rw::RopeConfig&) const { return sharpening; }
};

struct Broken {
  double value = 0.0;
  double inv_freq(const rw::RopeConfig&, int pair) const { return pair == 3 ? value : 1.0; }
};

struct NoMethod {};

}  // namespace

TEST_CASE("the plain spectrum is one frequency per pair, slowing, without attention factor") {
  const rw::Spectrum plain = rw::spectrum(kLlama3);
  REQUIRE(plain.inv_freq.size() == 64);
  CHECK(plain.attention_factor == 1.0);
  CHECK(plain.inv_freq[0] == 1.0);
  for (std::size_t pair = 1; pair < plain.inv_freq.size(); ++pair) {
    CHECK(plain.inv_freq[pair] < plain.inv_freq[pair - 1]);
  }
}

TEST_CASE("partial rotation spreads the frequencies over the rotated pairs only") {
  const rw::Spectrum neox = rw::spectrum({96, 24, 10000.0, 2048});
  REQUIRE(neox.inv_freq.size() == 12);
  CHECK(neox.inv_freq[1] == Approx(std::pow(1e4, -2.0 / 24.0)).epsilon(1e-15));
}

TEMPLATE_TEST_CASE("a method's defaults leave the spectrum as it was", "", rw::Unscaled, rw::Linear,
                   rw::NtkAware, rw::DynamicNtk, rw::NtkByParts, rw::Yarn, rw::LongRope, rw::Llama3,
                   rw::Proportional, rw::PowerBasis, rw::TruncatedBasis, rw::NtkMixed) {
  for (const rw::RopeConfig& config : {kLlama3, rw::RopeConfig{}, rw::RopeConfig{96, 24, 1e4, 2048},
                                       rw::RopeConfig{64, 4, 1.5, 1}}) {
    const rw::Spectrum plain = rw::spectrum(config);
    const rw::Spectrum same = rw::spectrum(config, TestType{});
    CHECK(same.inv_freq == plain.inv_freq);
    CHECK(same.attention_factor == 1.0);
    CHECK(rw::spectrum(config, rw::Scaling{TestType{}}).inv_freq == plain.inv_freq);
  }
}

TEST_CASE("NoPE is the zero spectrum") {
  const rw::Spectrum nope = rw::spectrum(kLlama3, rw::Nope{});
  REQUIRE(nope.inv_freq.size() == 64);
  for (const double inv_freq : nope.inv_freq) CHECK(inv_freq == 0.0);
}

TEST_CASE("a caller's own method needs no registration") {
  STATIC_REQUIRE(rw::is_scaling_method_v<HalfSpeed>);
  STATIC_REQUIRE_FALSE(rw::is_scaling_method_v<NoMethod>);
  const rw::Spectrum half = rw::spectrum(kLlama3, HalfSpeed{});
  CHECK(half.inv_freq[0] == 0.5);
  CHECK(half.attention_factor == 1.0);
  CHECK(rw::spectrum(kLlama3, Sharpened{}).attention_factor == 1.5);
  CHECK_THROWS_WITH(rw::spectrum(kLlama3, Sharpened{0.5}), contains("sharpening = 0.5"));
}

TEST_CASE("a method that returns no frequency is caught, with the pair named") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, infinity, -1.0}) {
    CHECK_THROWS_WITH(rw::spectrum(kLlama3, Broken{bad}), contains("inv_freq[3]"));
  }
  CHECK_NOTHROW(rw::spectrum(kLlama3, Broken{0.0}));
}

TEST_CASE("a bad config is refused before a method sees it") {
  CHECK(rw::check({128, 127, 1e4, 0}, HalfSpeed{}).code == rw::Errc::odd);
  CHECK(std::string(rw::check({128, 130, 1e4, 0}, HalfSpeed{}).field) == "rotary_dim");
  CHECK_THROWS_AS(rw::spectrum({0, 0, 1e4, 0}), std::invalid_argument);
}

TEST_CASE("check answers what spectrum would throw") {
  const rw::Scaling scaling = rw::Linear{0.5};
  const rw::Fault fault = rw::check(kLlama3, scaling);
  CHECK(fault.code == rw::Errc::below_minimum);
  CHECK(std::string(fault.field) == "factor");
  CHECK(fault.value == 0.5);
  CHECK_THROWS_WITH(rw::spectrum(kLlama3, scaling), contains("factor = 0.5"));
}

TEST_CASE("what check accepts, spectrum computes, up to the ends of every field") {
  const rw::RopeConfig steep{4, 4, rw::kMaximumTheta, 1};
  const double factor = 9007199254740992.0;  // 2^53
  const std::int64_t longest = std::int64_t{1} << 53;
  rw::LongRope divisors;
  divisors.short_factor = {1.0 / factor, 1e300};
  divisors.explicit_attention_factor = 1.0;
  rw::Yarn yarn;
  yarn.factor = factor;
  yarn.attn_factor = 1e9;
  const rw::Scaling ends[] = {rw::Linear{factor},
                              rw::NtkAware{factor},
                              rw::DynamicNtk{factor, longest},
                              rw::NtkByParts{factor},
                              yarn,
                              divisors,
                              rw::Llama3{factor},
                              rw::Proportional{1.0, factor},
                              rw::PowerBasis{1024.0},
                              rw::TruncatedBasis{1e300},
                              rw::NtkMixed{factor, 1.0}};
  for (const rw::Scaling& scaling : ends) {
    INFO("alternative " << scaling.index());
    rw::RopeConfig config = steep;
    if (std::holds_alternative<rw::Yarn>(scaling)) config.original_length = 8192;
    REQUIRE(rw::check(config, scaling).code == rw::Errc::ok);
    CHECK_NOTHROW(rw::spectrum(config, scaling));
  }
  CHECK(rw::check(steep, rw::NtkAware{2.0 * factor}).code == rw::Errc::above_maximum);
  CHECK(rw::check(steep, rw::PowerBasis{1e308}).code == rw::Errc::above_maximum);
  divisors.short_factor[0] = 1e-320;
  CHECK(std::string(rw::check(steep, divisors).field) == "short_factor");
  yarn.attn_factor = 1e308;
  CHECK(std::string(rw::check({4, 4, 1e4, 8192}, yarn).field) == "attn_factor");
}

TEST_CASE("Resonance over a method that fails is refused, not fatal") {
  CHECK_THROWS_WITH(rw::spectrum(kLlama3, rw::Resonance<Broken>{Broken{1e300}}),
                    contains("inv_freq[3]"));
  CHECK_THROWS_WITH(
      rw::spectrum(kLlama3, rw::Resonance<rw::DynamicNtk>{rw::DynamicNtk{1e300, 9000}}),
      contains("factor"));
}

TEST_CASE("the length of the moment reaches only the methods that depend on it") {
  const rw::Scaling dynamic = rw::at_length(rw::DynamicNtk{2.0}, 16384);
  CHECK(std::get<rw::DynamicNtk>(dynamic).length == 16384);
  CHECK(rw::spectrum(kLlama3, dynamic).inv_freq[63] <
        rw::spectrum(kLlama3, rw::DynamicNtk{2.0}).inv_freq[63]);
  const rw::Scaling linear = rw::at_length(rw::Linear{2.0}, 16384);
  CHECK(rw::spectrum(kLlama3, linear).inv_freq == rw::spectrum(kLlama3, rw::Linear{2.0}).inv_freq);
}
