#include <ropewalk/head_scale/target_entropy.hpp>

#include <ropewalk/attention.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
using Status = rw::EntropySearchStatus;

namespace {

using Rows = std::vector<std::vector<double>>;

/// Entropy and variance of explicit softmaxes, in long double: the mean over rows.
rw::HeadEntropy explicit_entropy(const Rows& rows, double head_scale) {
  long double entropy = 0.0L;
  long double variance = 0.0L;
  for (const std::vector<double>& row : rows) {
    const long double largest = static_cast<long double>(*std::max_element(row.begin(), row.end()));
    long double sum = 0.0L;
    long double first = 0.0L;
    long double second = 0.0L;
    for (const double logit : row) {
      const long double z =
          static_cast<long double>(head_scale) * (static_cast<long double>(logit) - largest);
      const long double weight = std::exp(z);
      sum += weight;
      first += weight * z;
      second += weight * z * z;
    }
    const long double mean = first / sum;
    entropy += std::log(sum) - mean;
    variance += (std::max)(0.0L, second / sum - mean * mean);
  }
  const long double count = static_cast<long double>(rows.size());
  return {static_cast<double>(entropy / count), static_cast<double>(variance / count)};
}

Rows random_rows(Random& random, std::int64_t rows, std::int64_t keys, double spread) {
  Rows result(static_cast<std::size_t>(rows));
  for (std::vector<double>& row : result) {
    for (std::int64_t key = 0; key < keys; ++key) {
      // sums of uniforms: bell-shaped, with a tail now and then
      double logit = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
      if (random.one_in(40)) logit *= 3.0;
      row.push_back(spread * logit);
    }
  }
  return result;
}

/// 200 halvings of [lower, upper] in ln(scale).
double bisected(const Rows& rows, double target, double lower, double upper) {
  double low = std::log(lower);
  double high = std::log(upper);
  for (int i = 0; i < 200; ++i) {
    const double middle = 0.5 * (low + high);
    (explicit_entropy(rows, std::exp(middle)).entropy > target ? low : high) = middle;
  }
  return std::exp(0.5 * (low + high));
}

}  // namespace

TEST_CASE("the scale that gives an entropy back is the one it was taken at") {
  const Rows rows = {{0.0, 1.0, 2.5, -1.0}, {3.0, 0.0, 0.5, 0.5}};
  rw::EntropySearch search;
  search.tolerance = 1e-14;
  const auto head = [&](double head_scale) { return explicit_entropy(rows, head_scale); };
  const auto found = rw::scale_for_entropy(head(1.7).entropy, head, search);
  CHECK(found.status == Status::reached);
  CHECK(found.head_scale == Approx(1.7).epsilon(1e-13));
  CHECK(found.evaluations <= 8);
}

TEST_CASE("on random softmaxes the scale agrees with a fine bisection") {
  Random random("target_entropy");
  int most = 0;
  double total = 0.0;
  constexpr int repetitions = 400;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    const std::int64_t keys = random.length(2, 300);
    const Rows rows =
        random_rows(random, random.integer(1, 5), keys, random.log_uniform(0.05, 8.0));
    rw::EntropySearch search;
    search.tolerance = 1e-11;
    search.start = random.log_uniform(0.1, 10.0);
    const double wanted = random.log_uniform(0.07, 15.0);
    const auto head = [&](double head_scale) { return explicit_entropy(rows, head_scale); };
    const rw::HeadEntropy there = head(wanted);
    if (there.variance < 1e-3) continue;  // no scale is well determined
    const auto found = rw::scale_for_entropy(there.entropy, head, search);
    INFO(seed_text() << ", repetition " << repetition);
    REQUIRE(found.status == Status::reached);
    CHECK(std::fabs(found.entropy - there.entropy) <= search.tolerance);
    const double exact = bisected(rows, there.entropy, search.lower, search.upper);
    // ln(scale) differs by the tolerance over the slope, which is the variance; the factor is for
    // the variance's own change on the way, and 1e-14 for what an entropy in double can tell.
    const double allowed = 2.0 * (search.tolerance + 1e-14) / there.variance;
    CHECK(std::fabs(std::log(found.head_scale / exact)) <= allowed);
    most = (std::max)(most, found.evaluations);
    total += found.evaluations;
  }
  INFO("evaluations: " << total / repetitions << " on average, at most " << most);
  CHECK(most <= 30);
  CHECK(total / repetitions <= 8.0);
}

TEST_CASE("one head's scale is found from the statistics that attention reports") {
  constexpr std::int64_t tokens = 96;
  constexpr std::int64_t heads = 2;
  constexpr int dim = 16;
  Random random("target_entropy attention");
  std::vector<float> q(tokens * heads * dim);
  std::vector<float> k(q.size());
  for (float& x : q) x = static_cast<float>(random.uniform(-2.0, 2.0));
  for (float& x : k) x = static_cast<float>(random.uniform(-2.0, 2.0));
  std::vector<float> out(q.size());
  std::vector<float> entropy(tokens * heads);
  std::vector<float> variance(tokens * heads);
  rw::AttentionStatistics statistics;
  statistics.entropy = entropy;
  statistics.variance = variance;
  const auto head = [&](double head_scale) {
    const double scales[heads] = {1.0, head_scale};
    rw::AttentionOptions options;
    options.head_scale = scales;
    const auto view = [&](std::vector<float>& rows) {
      return rw::make_head_view(rows.data(), tokens, heads, dim);
    };
    rw::attend(view(q), view(k), view(k), view(out), options, statistics);
    rw::HeadEntropy means;
    for (std::size_t row = 1; row < entropy.size(); row += heads) {
      means.entropy += static_cast<double>(entropy[row]) / tokens;
      means.variance += static_cast<double>(variance[row]) / tokens;
    }
    return means;
  };
  Rows rows;  // the second head's logits, query by query
  for (std::size_t i = 0; i < tokens; ++i) {
    rows.emplace_back();
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = 0.0;
      for (std::size_t d = 0; d < dim; ++d) {
        sum += static_cast<double>(q[(i * heads + 1) * dim + d]) *
               static_cast<double>(k[(j * heads + 1) * dim + d]);
      }
      rows.back().push_back(sum / 4.0);  // 1/sqrt(16)
    }
  }
  for (const double wanted : {0.5, 1.3, 2.0}) {
    const rw::HeadEntropy there = explicit_entropy(rows, wanted);
    const auto found = rw::scale_for_entropy(there.entropy, head);
    INFO(seed_text());
    REQUIRE(found.status == Status::reached);
    CHECK(found.evaluations <= 8);
    // The tolerance and attention's own 1e-5 of a mean of several nats, over the slope.
    const double allowed = 1.1 * (1e-5 + 1e-5 * (1.0 + there.entropy)) / there.variance;
    CHECK(std::fabs(std::log(found.head_scale / wanted)) <= allowed);
  }
}

TEST_CASE("a target above what the lower bound gives is out of reach, and the bound is returned") {
  const Rows rows = {{0.0, 1.0, 2.5, -1.0}};
  const auto head = [&](double head_scale) { return explicit_entropy(rows, head_scale); };
  const auto above = rw::scale_for_entropy(std::log(4.0) + 0.01, head);
  CHECK(above.status == Status::above_reach);
  CHECK(above.head_scale == rw::EntropySearch{}.lower);
  CHECK(above.entropy == head(above.head_scale).entropy);
  rw::EntropySearch sharper_only;
  sharper_only.lower = 1.0;
  const auto bounded = rw::scale_for_entropy(head(0.9).entropy, head, sharper_only);
  CHECK(bounded.status == Status::above_reach);
  CHECK(bounded.head_scale == 1.0);
  CHECK(bounded.evaluations == 1);
}

TEST_CASE("a target below what the upper bound gives is out of reach, and the bound is returned") {
  const Rows rows = {{0.0, 0.1, 0.05, -0.1}};
  const auto head = [&](double head_scale) { return explicit_entropy(rows, head_scale); };
  const auto found = rw::scale_for_entropy(0.01, head);
  CHECK(found.status == Status::below_reach);
  CHECK(found.head_scale == rw::EntropySearch{}.upper);
  const Rows tied = {{2.0, 2.0, -1.0}};  // two largest: never below ln 2
  const auto two = rw::scale_for_entropy(
      0.5, [&](double head_scale) { return explicit_entropy(tied, head_scale); });
  CHECK(two.status == Status::below_reach);
}

TEST_CASE("equal logits have one entropy at every scale") {
  const Rows rows = {std::vector<double>(8, 0.25)};
  const auto head = [&](double head_scale) { return explicit_entropy(rows, head_scale); };
  CHECK(rw::scale_for_entropy(std::log(8.0), head).status == Status::reached);
  CHECK(rw::scale_for_entropy(std::log(8.0) + 0.1, head).status == Status::above_reach);
  CHECK(rw::scale_for_entropy(std::log(8.0) - 0.1, head).status == Status::below_reach);
}

TEST_CASE("a bound that gives the target exactly is reached") {
  const Rows rows = {{0.0, 1.0, 2.5, -1.0}};
  const auto head = [&](double head_scale) { return explicit_entropy(rows, head_scale); };
  rw::EntropySearch search;
  search.lower = 0.5;
  search.upper = 2.0;
  CHECK(rw::scale_for_entropy(head(0.5).entropy, head, search).status == Status::reached);
  CHECK(rw::scale_for_entropy(head(2.0).entropy, head, search).status == Status::reached);
}

TEST_CASE("variances that mislead cost evaluations and not the solution") {
  // An entropy of 2 - ln(scale), with variances far too large, far too small, zero, or random.
  Random random("target_entropy misleading");
  const double target = 2.0 - std::log(3.0);
  for (const double wrong : {1e-6, 0.01, 1.5, 100.0, 1e6, 0.0, -1.0}) {
    const auto found = rw::scale_for_entropy(target, [&](double head_scale) {
      const double variance = wrong < 0.0 ? random.log_uniform(1e-6, 1e6) : wrong;
      return rw::HeadEntropy{2.0 - std::log(head_scale), variance};
    });
    INFO("variance " << wrong << ", " << seed_text());
    CHECK(found.status == Status::reached);
    CHECK(found.head_scale == Approx(3.0).epsilon(2e-5));
    CHECK(found.evaluations <= 60);
  }
}

TEST_CASE("an entropy that jumps over the target ends at the jump") {
  const auto found = rw::scale_for_entropy(1.0, [](double head_scale) {
    return rw::HeadEntropy{head_scale < 2.5 ? 1.5 : 0.75, 0.5};
  });
  CHECK(found.status == Status::not_converged);
  CHECK(found.entropy == 0.75);  // the nearer side
  CHECK(found.head_scale >= 2.5);
  // It ends where no double is left to try, before it runs out of evaluations.
  CHECK(found.evaluations <= 70);
}

TEST_CASE("the number of evaluations is a bound, and what came nearest is returned") {
  rw::EntropySearch search;
  search.evaluations = 3;
  search.tolerance = 0.0;
  int calls = 0;
  const auto found = rw::scale_for_entropy(
      1.0,
      [&](double head_scale) {
        ++calls;
        return rw::HeadEntropy{2.0 - std::log(head_scale), 7.0};
      },
      search);
  CHECK(found.status == Status::not_converged);
  CHECK(calls == 3);
  CHECK(found.evaluations == 3);
  CHECK(found.entropy == 2.0 - std::log(found.head_scale));
}

TEST_CASE("an entropy or variance that is not finite ends the search where it happened") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto broken = [&](rw::HeadEntropy beyond) {
    return rw::scale_for_entropy(0.5, [beyond](double head_scale) {
      return head_scale > 1.0 ? beyond : rw::HeadEntropy{1.0, 0.5};
    });
  };
  for (const rw::HeadEntropy beyond :
       {rw::HeadEntropy{nan, 0.5}, rw::HeadEntropy{0.5, nan}, rw::HeadEntropy{0.6, -0.1},
        rw::HeadEntropy{std::numeric_limits<double>::infinity(), 0.5}}) {
    const auto found = broken(beyond);
    CHECK(found.status == Status::not_finite);
    CHECK(found.head_scale == Approx(std::exp(1.0)).epsilon(1e-15));
    CHECK(found.evaluations == 2);
  }
}

TEST_CASE("searches for an entropy without a meaning are refused by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto head = [](double) { return rw::HeadEntropy{1.0, 1.0}; };
  const auto refused = [&](rw::EntropySearch search, const char* words) {
    CHECK_THROWS_WITH(rw::scale_for_entropy(1.0, head, search), contains(words));
  };
  refused({0.0, 16.0}, "lower = 0");
  refused({nan, 16.0}, "lower");
  refused({1.0, nan}, "upper");
  refused({1.0, 1e30}, "upper = 1e+30 is above");
  refused({1.0, 1.0}, "upper = 1 is on the wrong side");
  refused({1.0, 2.0, 0.0}, "start = 0");
  refused({1.0, 2.0, 1.0, nan}, "tolerance");
  refused({1.0, 2.0, 1.0, -1.0}, "tolerance = -1");
  refused({1.0, 2.0, 1.0, 0.0, 0}, "evaluations = 0");
  CHECK_THROWS_WITH(rw::scale_for_entropy(nan, head), contains("target"));
  CHECK_THROWS_WITH(rw::scale_for_entropy(-0.1, head), contains("target = -0.1"));
}
