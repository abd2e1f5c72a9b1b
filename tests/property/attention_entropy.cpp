// What the entropy of a softmax can be, and how it moves with the scale of the logits.
#include <ropewalk/analysis/entropy.hpp>
#include <ropewalk/attention.hpp>
#include <ropewalk/row_statistics.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr double kRoundingUnit = std::numeric_limits<double>::epsilon() / 2.0;

/// Some uniform, some at both ends only, some nearly constant with a few that stand out.
std::vector<double> random_logits(Random& random, std::int64_t keys, double bound) {
  std::vector<double> logits(static_cast<std::size_t>(keys));
  const std::int64_t kind = random.integer(0, 2);
  for (double& logit : logits) {
    if (kind == 0) logit = random.uniform(-bound, bound);
    if (kind == 1) logit = random.one_in(2) ? bound : -bound;
    if (kind == 2) logit = random.one_in(50) ? bound : -bound * random.uniform(0.99, 1.0);
  }
  return logits;
}

rw::RowSummary<double> row_of(const std::vector<double>& logits, double scale) {
  rw::RowStatistics<double> row;
  for (const double logit : logits) row.add(logit * scale * rw::kLog2E);
  return row.summary();
}

/// Of RowStatistics: n + 8 rounding units times 1 + log2 n, and those of the products added here,
/// three per logit of size at most `bound`. Four times as much: with -ffast-math exponentials come
/// from vector routines good to 4 ULP.
double entropy_rounding(const std::vector<double>& logits, double bound) {
  const auto keys = static_cast<double>(logits.size());
  return 4.0 * kRoundingUnit * ((keys + 8.0) * (1.0 + std::log2(keys)) + 3.0 * bound * bound + 3.0);
}

std::string text_of(std::size_t keys, double bound, double scale) {
  return seed_text() + ": " + std::to_string(keys) + " keys, logits to " + std::to_string(bound) +
         ", scale " + std::to_string(scale);
}

}  // namespace

TEST_CASE("the entropy of n logits in -B .. B lies between ln n - 2 B and ln n") {
  Random random("entropy bounds");
  const std::uint64_t rows = test_iterations() / 100;
  for (std::uint64_t i = 0; i < rows; ++i) {
    const std::int64_t keys = random.length(1, 4096);
    const double bound = random.log_uniform(1e-3, 30.0);
    const std::vector<double> logits = random_logits(random, keys, bound);
    const double entropy = row_of(logits, 1.0).entropy;
    const double rounding = entropy_rounding(logits, bound);
    INFO(text_of(logits.size(), bound, 1.0));
    CHECK(entropy >= rw::minimum_entropy(keys, bound) - rounding);
    CHECK(entropy <= rw::maximum_entropy(keys - 1) + rounding);
  }
}

TEST_CASE("the entropy is ln n exactly where all logits are equal") {
  Random random("entropy of equal logits");
  for (int i = 0; i < 200; ++i) {
    const std::int64_t keys = random.length(2, 4096);
    std::vector<double> logits(static_cast<std::size_t>(keys), random.uniform(-30.0, 30.0));
    const double largest = rw::maximum_entropy(keys - 1);
    INFO(text_of(logits.size(), 30.0, 1.0));
    // The logits cancel: what is left is a logarithm, times ln 2.
    CHECK(std::abs(row_of(logits, 1.0).entropy - largest) <= 4.0 * kRoundingUnit * largest);
    // One logit off by d costs, to second order, d^2 / (2 n) (1 - 1 / n).
    logits[0] += 0.125;
    const auto n = static_cast<double>(keys);
    const double cost = 0.125 * 0.125 / (2.0 * n) * (1.0 - 1.0 / n);
    CHECK(row_of(logits, 1.0).entropy <= largest - 0.7 * cost + entropy_rounding(logits, 30.0));
  }
}

TEST_CASE("a larger scale never raises the entropy, and lowers it at the rate of the variance") {
  Random random("entropy by scale");
  const std::uint64_t rows = test_iterations() / 100;
  for (std::uint64_t i = 0; i < rows; ++i) {
    const std::int64_t keys = random.length(2, 1024);
    const double bound = random.log_uniform(1e-2, 8.0);
    const double scale = random.log_uniform(0.1, 4.0);
    const std::vector<double> logits = random_logits(random, keys, bound);
    const double rounding = entropy_rounding(logits, 4.5 * bound);
    INFO(text_of(logits.size(), bound, scale));

    const rw::RowSummary<double> row = row_of(logits, scale);
    CHECK(row_of(logits, scale * random.uniform(1.0, 1.5)).entropy <= row.entropy + 2.0 * rounding);

    // dH / d ln(scale) = -variance, by a central difference over 2 h. Its third derivative is
    // -(4 Var + 5 k3 + k4) with the cumulants k of the scaled logits; these are spread over at most
    // R, so |k3| <= R Var and |k4| <= R^2 Var. Over h it changes by less than a factor of 2.
    constexpr double kStep = 1.0 / 4096.0;
    const double slope = (row_of(logits, scale * std::exp(kStep)).entropy -
                          row_of(logits, scale * std::exp(-kStep)).entropy) /
                         (2.0 * kStep);
    const double spread = 2.0 * bound * scale;
    const double truncation =
        2.0 * kStep * kStep / 6.0 * row.variance * (4.0 + spread * (5.0 + spread));
    CHECK(std::abs(slope + row.variance) <= truncation + rounding / kStep);
  }
}

TEST_CASE("attention's heads lose entropy as their scales rise, down to one key") {
  constexpr std::int64_t kTokens = 64;
  constexpr std::int64_t kHeads = 6;
  constexpr int kDim = 16;
  const std::vector<double> scales = {0.0, 0.5, 1.0, 1.5, 3.0, 1e4};
  Random random("entropy of heads");
  INFO(seed_text());
  std::vector<float> q(kTokens * kHeads * kDim);
  std::vector<float> k(kTokens * kDim);
  std::vector<float> out(q.size());
  for (float& value : k) value = static_cast<float>(random.uniform(-1.0, 1.0));
  for (std::int64_t token = 0; token < kTokens; ++token) {  // every head asks the same
    float* row = q.data() + token * kHeads * kDim;
    for (int dim = 0; dim < kDim; ++dim) row[dim] = static_cast<float>(random.uniform(-1.0, 1.0));
    for (std::int64_t head = 1; head < kHeads; ++head) {
      std::copy_n(row, kDim, row + head * kDim);
    }
  }
  std::vector<float> entropy(kTokens * kHeads);
  rw::AttentionOptions options;
  options.head_scale = scales;
  rw::AttentionStatistics statistics;
  statistics.entropy = entropy;
  rw::attend(rw::make_head_view(q.data(), kTokens, kHeads, kDim),
             rw::make_head_view(k.data(), kTokens, 1, kDim),
             rw::make_head_view(k.data(), kTokens, 1, kDim),
             rw::make_head_view(out.data(), kTokens, kHeads, kDim), options, statistics);
  rw::EntropyCurve curve(kTokens, 1, kHeads);
  curve.add(0, entropy);
  for (std::int64_t position = 0; position < kTokens; ++position) {
    const auto at = [&](std::int64_t head) {
      return static_cast<double>(entropy[static_cast<std::size_t>(position * kHeads + head)]);
    };
    // |logits| <= 16 / 4 times the scale: attention's own bound, 1e-5 max(1, |value|).
    const double bound = 1e-5 * (std::max)(1.0, rw::maximum_entropy(position));
    CHECK(std::abs(at(0) - rw::maximum_entropy(position)) <= bound);
    for (std::int64_t head = 1; head + 1 < kHeads; ++head) {
      const auto scale = scales[static_cast<std::size_t>(head)];
      CHECK(at(head) <= at(head - 1) + bound);
      CHECK(at(head) >= rw::minimum_entropy(position + 1, 4.0 * scale) - bound);
    }
    CHECK(at(5) <= at(4) + bound);
  }
  CHECK_FALSE(rw::entropy_knee(curve.of_head(0, 0)).has_value());
  const std::vector<double> converged = curve.converged();
  const auto together = rw::correlation(converged, scales);
  REQUIRE(together.has_value());
  CHECK(together->spearman == Approx(-1.0).epsilon(1e-12));
}
