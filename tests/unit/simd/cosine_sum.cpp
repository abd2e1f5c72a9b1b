#include <ropewalk/analysis/minimum_theta.hpp>
#include <ropewalk/simd/cosine_sum.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

rw::Spectrum plain(double theta, int rotary_dim) {
  rw::RopeConfig config;
  config.head_dim = rotary_dim;
  config.rotary_dim = rotary_dim;
  config.theta = theta;
  return rw::spectrum(config);
}

/// Every value of some batches within the bound of the direct sum, the extremes those of the values.
template <typename Kernel, typename Real>
void check_batches(const rw::Spectrum& spectrum) {
  const rw::PhaseTurns turns = rw::phase_turns(spectrum);
  using Blocks = rw::detail::CosineSumBlocks<Kernel, Real>;
  Blocks blocks(turns);
  // The direct sum's own error is a part of the double one's.
  const double bound = Blocks::bound(turns.pairs()) + rw::detail::direct_sum_bound(turns.pairs());
  for (const std::int64_t batch : {std::int64_t{0}, std::int64_t{3}, std::int64_t{1} << 40}) {
    const auto& values = blocks.compute(batch, 0, rw::detail::kSumBatch);
    double lowest = 1e300;
    double nearest = 1e300;
    double worst = 0.0;
    for (int at = 0; at < rw::detail::kSumBatch; ++at) {
      const double value = static_cast<double>(values.sums[at]);
      const double direct = rw::cosine_sum(turns, batch * rw::detail::kSumBatch + at);
      lowest = (std::min)(lowest, value);
      nearest = (std::min)(nearest, std::fabs(value));
      worst = (std::max)(worst, std::fabs(value - direct));
    }
    CHECK(worst <= bound);
    CHECK(static_cast<double>(values.smallest()) == lowest);
    CHECK(static_cast<double>(values.smallest_size()) == nearest);
    // Far below: errors in the order of values, say, would not be.
    CHECK(worst < 0.01);
  }
}

template <typename Kernel>
void check_kernel() {
  for (const int rotary_dim : {2, 4, 10, 64, 128, 256}) {
    INFO(rotary_dim);
    check_batches<Kernel, double>(plain(1e4, rotary_dim));
    check_batches<Kernel, float>(plain(1e4, rotary_dim));
    check_batches<Kernel, double>(plain(3.7e8, rotary_dim));
  }
  const rw::Spectrum spectrum = plain(1e7, 128);
  CHECK(rw::first_negative_distance<Kernel>(spectrum, 200000) == 144660);
  CHECK(rw::first_negative_distance<Kernel>(spectrum, 144659) == std::nullopt);
  const auto expected = rw::summarize_cosine_sum(spectrum, 100, 200000);
  const auto summary = rw::summarize_cosine_sum<Kernel>(spectrum, 100, 200000);
  const double bound = 2.0 * rw::detail::CosineSumBlocks<Kernel, double>::bound(64);
  CHECK(summary.negative == expected.negative);
  CHECK(std::fabs(summary.minimum - expected.minimum) <= bound);
  CHECK(std::fabs(summary.mean - expected.mean) <= bound);
  std::vector<double> sums(5000);
  std::vector<double> expected_sums(5000);
  rw::fill_cosine_sums<Kernel>(rw::phase_turns(spectrum), 12345, 5000, sums.data());
  rw::fill_cosine_sums(rw::phase_turns(spectrum), 12345, 5000, expected_sums.data());
  for (std::size_t at = 0; at < sums.size(); ++at) {
    if (!(std::fabs(sums[at] - expected_sums[at]) <= bound)) FAIL_CHECK("differs at " << at);
  }
  const rw::ThetaGrid grid = rw::theta_grid(100.0, 1e5, 1.01);
  const auto go_on = [] { return true; };
  rw::RopeConfig config;
  const rw::ThetaScan scan = rw::scan_theta<Kernel>(config, 500, grid, 0, grid.points, go_on);
  const rw::ThetaScan portable = rw::scan_theta(config, 500, grid);
  CHECK(scan.scanned == portable.scanned);
  REQUIRE(scan.islands.size() == portable.islands.size());
  for (std::size_t at = 0; at < scan.islands.size(); ++at) {
    CHECK(scan.islands[at].first == portable.islands[at].first);
    CHECK(scan.islands[at].last == portable.islands[at].last);
  }
}

}  // namespace

TEST_CASE("sums of the portable kernel are within the bound") {
  check_kernel<rw::simd::PortableCosineSum>();
}

TEST_CASE("sums of the native kernel are within the bound") {
  check_kernel<rw::simd::NativeCosineSum>();
}

#if defined(__x86_64__) && defined(__GNUC__)
TEST_CASE("sums of the AVX2 kernel are within the bound") {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return;
  check_kernel<rw::simd::Avx2CosineSum>();
}

TEST_CASE("sums of the AVX-512 kernel are within the bound") {
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq")) return;
  check_kernel<rw::simd::Avx512CosineSum>();
}
#endif
