#include <ropewalk/analysis/coverage.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <limits>
#include <vector>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama3{128, 128, 500000.0, 8192};
const rw::Spectrum kTrained = rw::spectrum(kLlama3);

rw::Coverage to(std::int64_t length, const rw::Spectrum& extended, double kappa = 1.0) {
  return rw::coverage(kTrained, 8192, extended, length, kappa);
}

rw::Spectrum with_theta(double theta) {
  rw::RopeConfig config = kLlama3;
  config.theta = theta;
  return rw::spectrum(config);
}

rw::Yarn yarn(double factor) {
  rw::Yarn method;
  method.factor = factor;
  return method;
}

}  // namespace

TEST_CASE("Llama-3-8B to 262144: pairs over their trained range, by schedule") {
  CHECK(to(262144, kTrained).over_range_pairs == 29);
  CHECK(to(262144, rw::spectrum(kLlama3, rw::Linear{32.0})).over_range_pairs == 0);
  CHECK(to(262144, rw::spectrum(kLlama3, rw::NtkAware{32.0})).over_range_pairs == 28);
  CHECK(to(262144, rw::spectrum(kLlama3, rw::DynamicNtk{4.0, 262144})).over_range_pairs == 11);
  CHECK(to(262144, with_theta(207.1e6)).over_range_pairs == 2);
  CHECK(to(262144, with_theta(rw::theta_for_length(kLlama3, 262144))).over_range_pairs == 0);
  CHECK(to(262144, with_theta(rw::strict_theta_for_length(kLlama3, 262144))).over_range_pairs == 0);
  CHECK(to(262144, rw::spectrum(kLlama3, yarn(32.0))).over_range_pairs == 0);
  CHECK(to(262144, rw::spectrum(kLlama3, rw::Llama3{32.0})).over_range_pairs == 0);
  CHECK(to(262144, with_theta(1e7)).over_range_pairs == 29);
}

TEST_CASE("Llama-3-8B to 1048576: pairs over their trained range, by schedule") {
  CHECK(to(1048576, rw::spectrum(kLlama3, rw::NtkAware{128.0})).over_range_pairs == 28);
  CHECK(to(1048576, with_theta(2.80e9)).over_range_pairs == 1);
  CHECK(to(1048576, with_theta(rw::theta_for_length(kLlama3, 1048576))).over_range_pairs == 0);
  CHECK(to(1048576, rw::spectrum(kLlama3, yarn(128.0))).over_range_pairs == 0);
  CHECK(to(1048576, with_theta(5e7)).over_range_pairs == 29);
}

TEST_CASE("Llama-3-8B to 262144: what happens to the fast pairs, by schedule") {
  const auto fast = [](const rw::Spectrum& extended) {
    return to(262144, extended).fast_resolution;
  };
  // Printed to three digits.
  CHECK(fast(kTrained) == 1.0);
  CHECK(fast(rw::spectrum(kLlama3, rw::Linear{32.0})) == Approx(1.0 / 32.0).epsilon(1e-12));
  CHECK(fast(rw::spectrum(kLlama3, rw::NtkAware{32.0})) == Approx(0.610).margin(5e-4));
  CHECK(fast(rw::spectrum(kLlama3, rw::DynamicNtk{4.0, 262144})) == Approx(0.502).margin(5e-4));
  CHECK(fast(with_theta(207.1e6)) == Approx(0.429).margin(5e-4));
  CHECK(fast(with_theta(283461213.0)) == Approx(0.410).margin(5e-4));
  CHECK(fast(rw::spectrum(kLlama3, yarn(32.0))) == 1.0);
  CHECK(fast(rw::spectrum(kLlama3, rw::Llama3{32.0})) == 1.0);
}

TEST_CASE("complete pairs at kappa 3 end where LongRoPE2's search found its critical pairs") {
  CHECK(to(8192, kTrained, 3.0).complete_pairs == 30);
  CHECK(to(8192, kTrained, 1.0).complete_pairs == 35);
  const rw::RopeConfig phi3{96, 96, 10000.0, 2048};
  const rw::Spectrum trained = rw::spectrum(phi3);
  CHECK(rw::coverage(trained, 2048, trained, 2048, 3.0).complete_pairs == 25);
  CHECK(rw::coverage(trained, 2048, trained, 2048, 1.0).complete_pairs == 31);
}

TEST_CASE("pairs that stand still have no angle to leave") {
  const rw::Spectrum partial = rw::spectrum({128, 128, 1e4, 4096}, rw::Proportional{0.25});
  const rw::Coverage result = rw::coverage(partial, 4096, partial, 1 << 20);
  CHECK(result.still_pairs == 48);
  CHECK(result.over_range_pairs == 0);
  CHECK(result.complete_pairs == 16);
  const rw::Spectrum nope = rw::spectrum({128, 128, 1e4, 4096}, rw::Nope{});
  const rw::Coverage none = rw::coverage(nope, 4096, nope, 1 << 20);
  CHECK(none.still_pairs == 64);
  CHECK(none.fast_pairs == 0);
  CHECK(none.longest_wavelength == 0.0);
}

TEST_CASE("turning a pair that stood still in training leaves its range") {
  const rw::Spectrum nope = rw::spectrum({4, 4, 1e4, 4096}, rw::Nope{});
  const rw::Spectrum plain = rw::spectrum({4, 4, 1e4, 4096});
  CHECK(rw::coverage(nope, 4096, plain, 4096).over_range_pairs == 2);
}

TEST_CASE("the same spectrum at the same length leaves nothing") {
  const rw::Coverage same = to(8192, kTrained);
  CHECK(same.over_range_pairs == 0);
  CHECK(same.fast_resolution == 1.0);
  CHECK(same.complete_pairs + same.incomplete_pairs + same.still_pairs == same.pairs);
  CHECK(same.longest_wavelength == Approx(2559195.5173713594).epsilon(1e-14));
}

TEST_CASE("rotations of a spectrum are those of its pairs") {
  const std::vector<double> turns = rw::rotations(kTrained, 8192);
  REQUIRE(turns.size() == 64);
  CHECK(turns[34] > 1.0);
  CHECK(turns[35] < 1.0);
  CHECK(turns[0] == Approx(8192.0 / rw::detail::kTwoPi).epsilon(1e-15));
}

TEST_CASE("coverage refuses mismatched, empty and unsound spectra by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const rw::Spectrum short_one{{1.0}, 1.0};
  CHECK_THROWS_WITH(rw::coverage(kTrained, 8192, short_one, 8192), contains("extended"));
  CHECK_THROWS_WITH(rw::coverage({}, 8192, {}, 8192), contains("trained"));
  CHECK_THROWS_WITH(rw::coverage({{nan}, 1.0}, 8192, {{1.0}, 1.0}, 8192),
                    contains("trained.inv_freq[0]"));
  CHECK_THROWS_WITH(rw::coverage({{1.0}, 1.0}, 8192, {{-1.0}, 1.0}, 8192),
                    contains("extended.inv_freq[0]"));
  CHECK_THROWS_WITH(rw::coverage(kTrained, 0, kTrained, 8192), contains("trained_length"));
  CHECK_THROWS_WITH(rw::coverage(kTrained, 8192, kTrained, -5), contains("target_length"));
  CHECK_THROWS_WITH(to(8192, kTrained, nan), contains("kappa"));
  CHECK_THROWS_WITH(rw::rotations(kTrained, 0), contains("length = 0"));
}
