#include <ropewalk/analysis/coverage.hpp>

#include "support/catch.hpp"

#include <algorithm>
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

TEST_CASE("Llama-3-8B to 262144: the angles never seen in training, by schedule") {
  // Printed to three decimals.
  CHECK(to(262144, kTrained).excess_turns == Approx(16.458).margin(5e-4));
  CHECK(to(262144, rw::spectrum(kLlama3, rw::NtkAware{32.0})).excess_turns ==
        Approx(4.893).margin(5e-4));
  CHECK(to(262144, with_theta(207.1e6)).excess_turns == Approx(0.067).margin(5e-4));
  CHECK(to(262144, rw::spectrum(kLlama3, yarn(32.0))).excess_turns == 0.0);
  // Pair 35 missed 0.33 % of a turn, the slowest pair all but a few thousandths.
  const rw::Coverage none = to(262144, kTrained);
  CHECK(none.largest_excess_turns < 1.0);
  CHECK(none.largest_excess_turns * 29 > none.excess_turns);
}

TEST_CASE("Llama-3-8B to 262144: how far the frequencies move, by schedule") {
  const auto change = [](const rw::Spectrum& extended) {
    const rw::Coverage result = to(262144, extended);
    CHECK(result.moving_pairs == 64);
    return result.mean_abs_log2_change;
  };
  CHECK(change(kTrained) == 0.0);
  CHECK(change(rw::spectrum(kLlama3, rw::Linear{32.0})) == Approx(5.0).epsilon(1e-12));
  CHECK(change(rw::spectrum(kLlama3, rw::NtkAware{32.0})) == Approx(2.5).epsilon(1e-12));
  CHECK(change(rw::spectrum(kLlama3, rw::Llama3{32.0})) == Approx(2.415).margin(5e-4));
}

TEST_CASE("pair ranges add up to the coverage, with one turn and with three") {
  const rw::Spectrum extended = rw::spectrum(kLlama3, rw::NtkAware{32.0});
  for (const double kappa : {rw::kFullTurn, rw::kThreeTurns, 0.25}) {
    const rw::Coverage whole = to(262144, extended, kappa);
    const std::vector<rw::PairRange> ranges =
        rw::pair_ranges(kTrained, 8192, extended, 262144, kappa);
    REQUIRE(ranges.size() == 64);
    int complete = 0;
    int over_range = 0;
    double excess = 0.0;
    for (const rw::PairRange& range : ranges) {
      if (range.complete) ++complete;
      if (range.over_range) ++over_range;
      excess += range.excess_turns;
      CHECK(range.over_range == (range.excess_turns > 0.0));
      CHECK(range.trained_turns + range.excess_turns <= (std::max)(range.trained_turns, kappa));
    }
    CHECK(complete == whole.complete_pairs);
    CHECK(over_range == whole.over_range_pairs);
    CHECK(excess == whole.excess_turns);
  }
  const std::vector<rw::PairRange> ranges = rw::pair_ranges(kTrained, 8192, extended, 262144);
  CHECK(ranges[34].trained_turns == Approx(8192.0 / 6695.109).epsilon(1e-6));
  CHECK(ranges[34].complete);
  CHECK_FALSE(ranges[35].complete);
}

TEST_CASE("stopping pairs is not mistaken for keeping them") {
  const rw::Coverage stopped = to(262144, rw::spectrum(kLlama3, rw::Nope{}));
  CHECK(stopped.stopped_pairs == 64);
  CHECK(stopped.stopped_fast_pairs == 19);  // pairs 0 .. 18 turn at least 32 times
  CHECK(stopped.moving_pairs == 0);
  CHECK(stopped.still_pairs == 0);
  CHECK(stopped.over_range_pairs == 0);
  CHECK(to(262144, kTrained).stopped_pairs == 0);
}

TEST_CASE("a window bounds what its layers meet") {
  // Gemma 3: five sliding layers of theta 1e4 and 1024 keys to one full layer of theta 1e6.
  const rw::RopeConfig local{256, 256, 10000.0, 32768};
  const rw::RopeConfig global{256, 256, 1000000.0, 32768};
  const rw::Spectrum scaled = rw::spectrum(global, rw::Linear{8.0});
  const rw::RotaryLayer sliding{"sliding_attention", rw::spectrum(local), rw::spectrum(local),
                                1024};
  const rw::RotaryLayer full{"full_attention", rw::spectrum(global), rw::spectrum(global), 0};
  const rw::RotaryLayer extended{"full_attention", rw::spectrum(global), scaled, 0};
  CHECK(rw::layer_coverage(sliding, 32768, 131072).over_range_pairs == 0);
  CHECK(rw::layer_coverage(full, 32768, 131072).over_range_pairs > 0);
  CHECK(rw::layer_coverage(extended, 32768, 131072).over_range_pairs == 0);
  // Without its window the sliding layer would leave its range.
  CHECK(rw::coverage(sliding.trained, 32768, sliding.extended, 131072).over_range_pairs > 0);
  CHECK(rw::visible_length(131072, 1024) == 1024);
  CHECK(rw::visible_length(512, 1024) == 512);
  CHECK(rw::visible_length(131072, 0) == 131072);
  // A window longer than the training was lets new distances in.
  const rw::RotaryLayer wide{"sliding_attention", rw::spectrum(local), rw::spectrum(local), 8192};
  CHECK(rw::layer_coverage(wide, 4096, 131072).over_range_pairs > 0);
  CHECK_THROWS_WITH(rw::visible_length(0, 1), contains("length = 0"));
  CHECK_THROWS_WITH(rw::visible_length(1, -1), contains("window = -1"));
}

TEST_CASE("pair_ranges refuses what coverage refuses") {
  CHECK_THROWS_WITH(rw::pair_ranges(kTrained, 8192, {{1.0}, 1.0}, 8192), contains("extended = 1"));
  CHECK_THROWS_WITH(rw::pair_ranges(kTrained, 8192, kTrained, 8192, 0.0), contains("kappa = 0"));
}
