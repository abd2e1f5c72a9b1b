#include <ropewalk/row_statistics.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace rw = ropewalk;
using ropewalk_test::Random;

namespace {

constexpr long double kLn2 = 0.693147180559945309417232121458176568L;

template <typename Real>
using Row = rw::RowStatistics<Real>;

template <typename Real>
constexpr double unit() {
  return std::numeric_limits<Real>::epsilon() / 2;
}

/// The definitions in long double, of base-2 logits as given.
struct Exact {
  long double lse = 0, entropy = 0, mean = 0, variance = 0;
  long double square = 0;  // mean square of the distance to the largest

  template <typename Real>
  explicit Exact(const std::vector<Real>& logits) {
    long double top = static_cast<long double>(logits[0]);
    for (const Real logit : logits) top = (std::max)(top, static_cast<long double>(logit));
    long double sum = 0, first = 0;
    for (const Real logit : logits) {
      const long double x = kLn2 * (static_cast<long double>(logit) - top);
      const long double weight = std::exp(x);
      sum += weight;
      first += weight * x;
      square += weight * x * x;
    }
    square /= sum;
    const long double centre = first / sum;
    for (const Real logit : logits) {
      const long double x = kLn2 * (static_cast<long double>(logit) - top);
      variance += std::exp(x) / sum * (x - centre) * (x - centre);
    }
    lse = kLn2 * top + std::log(sum);
    mean = kLn2 * top + centre;
    entropy = std::log(sum) - centre;
  }
};

/// Errors over what row_statistics.hpp states for sums that are `terms` additions deep.
struct Shares {
  double entropy = 0, lse = 0, mean = 0, variance = 0;
  double entropy_error = 0;

  template <typename Real>
  void see(const rw::RowSummary<Real>& found, const Exact& exact, double terms, double count) {
    const double u = unit<Real>();
    const double sums = (terms + 8.0) * u * (1.0 + std::log2(count));
    const auto error = [](Real value, long double right) {
      return static_cast<double>(std::abs(static_cast<long double>(value) - right));
    };
    const double own = 2.0 * u * static_cast<double>(std::abs(exact.lse));
    entropy_error = (std::max)(entropy_error, error(found.entropy, exact.entropy));
    entropy = (std::max)(entropy, error(found.entropy, exact.entropy) / sums);
    lse = (std::max)(lse, error(found.lse, exact.lse) / (sums + own));
    mean = (std::max)(mean, error(found.mean, exact.mean) / (sums + own));
    const double moment = (terms + 8.0) * u * static_cast<double>(exact.square) + u * u;
    variance = (std::max)(variance, error(found.variance, exact.variance) / moment);
  }

  double largest() const {
    return (std::max)((std::max)(entropy, lse), (std::max)(mean, variance));
  }
};

template <typename Real>
std::vector<Real> draw_logits(Random& random, std::size_t count, double offset, double spread) {
  std::vector<Real> logits(count);
  for (Real& logit : logits) {
    // The sum of three uniform numbers: a middle and two tails.
    const double x =
        random.uniform(-1.0, 1.0) + random.uniform(-1.0, 1.0) + random.uniform(-1.0, 1.0);
    logit = static_cast<Real>(offset + spread * x);
  }
  return logits;
}

template <typename Real>
Row<Real> row_of(const Real* logits, std::size_t count) {
  Row<Real> row;
  for (std::size_t index = 0; index < count; ++index) row.add(logits[index]);
  return row;
}

/// Rows of 64 logits, merged two by two.
template <typename Real>
Row<Real> tree_of(const std::vector<Real>& logits) {
  constexpr std::size_t block = 64;
  std::vector<Row<Real>> rows;
  for (std::size_t first = 0; first < logits.size(); first += block) {
    rows.push_back(row_of(logits.data() + first, (std::min)(block, logits.size() - first)));
  }
  while (rows.size() > 1) {
    std::vector<Row<Real>> half;
    for (std::size_t index = 0; index < rows.size(); index += 2) {
      half.push_back(rows[index]);
      if (index + 1 < rows.size()) half.back().merge(rows[index + 1]);
    }
    rows = half;
  }
  return rows[0];
}

template <typename T>
bool same_bits(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

}  // namespace

TEST_CASE("n equal logits have the entropy ln n, their own mean and no variance") {
  Row<float> row;
  CHECK(row.empty());
  for (int key = 0; key < 8; ++key) row.add(2.5f);
  CHECK_FALSE(row.empty());
  const rw::RowSummary<float> summary = row.summary();
  CHECK(static_cast<double>(summary.entropy) == Approx(std::log(8.0)).epsilon(1e-7));
  CHECK(static_cast<double>(rw::bits_of_nats(summary.entropy)) == Approx(3.0).epsilon(2e-7));
  CHECK(static_cast<double>(summary.lse) == Approx(5.5 * std::log(2.0)).epsilon(1e-7));
  CHECK(static_cast<double>(summary.mean) == Approx(2.5 * std::log(2.0)).epsilon(1e-7));
  CHECK(summary.variance == 0.0f);
}

TEMPLATE_TEST_CASE("a row without keys tells lowest() and zeros, in any number of masked keys", "",
                   float, double) {
  Row<TestType> row;
  for (int masked = 0; masked < 5; ++masked) {
    CHECK(row.empty());
    const rw::RowSummary<TestType> summary = row.summary();
    CHECK(summary.empty());
    CHECK(summary.lse == std::numeric_limits<TestType>::lowest());
    CHECK(summary.entropy == TestType{0});
    CHECK(summary.mean == TestType{0});
    CHECK(summary.variance == TestType{0});
    row.add(Row<TestType>::kMaskedLogit);
  }
}

TEMPLATE_TEST_CASE("logits added one by one keep the stated errors at any offset", "", float,
                   double) {
  Random random("row statistics");
  Shares shares;
  for (const std::size_t count : {1u, 2u, 3u, 17u, 64u, 1000u, 4096u, 131072u}) {
    for (const double offset : {0.0, 100.0, -100.0, 1e4, -1e4}) {
      for (const double spread : {0.0, 0.5, 4.0, 30.0}) {
        const auto logits = draw_logits<TestType>(random, count, offset, spread);
        const Exact exact(logits);
        const auto summary = row_of(logits.data(), count).summary();
        const auto n = static_cast<double>(count);
        shares.see(summary, exact, n, n);
      }
    }
  }
  INFO(ropewalk_test::seed_text());
  std::printf("row statistics, one by one: entropy off by up to %.3g\n", shares.entropy_error);
  CHECK(shares.entropy <= 1.0);
  CHECK(shares.lse <= 1.0);
  CHECK(shares.mean <= 1.0);
  CHECK(shares.variance <= 1.0);
}

TEMPLATE_TEST_CASE("blocks merged two by two keep the errors of a block and the logarithm", "",
                   float, double) {
  Random random("row statistics, blocks");
  Shares shares;
  for (const std::size_t count : {65u, 1000u, 4096u, 131072u}) {
    for (const double offset : {0.0, 100.0, 1e4, -1e4}) {
      for (const double spread : {0.5, 4.0, 30.0}) {
        const auto logits = draw_logits<TestType>(random, count, offset, spread);
        const Exact exact(logits);
        const auto n = static_cast<double>(count);
        shares.see(tree_of(logits).summary(), exact, 64.0 + std::log2(n / 64.0), n);
      }
    }
  }
  INFO(ropewalk_test::seed_text());
  std::printf("row statistics, in blocks: entropy off by up to %.3g\n", shares.entropy_error);
  CHECK(shares.largest() <= 1.0);
}

TEST_CASE("an offset that is exact in every logit changes not one bit of entropy and variance") {
  Random random("row statistics, offset");
  for (int attempt = 0; attempt < 200; ++attempt) {
    const auto count = static_cast<std::size_t>(random.length(1, 300));
    std::vector<float> logits(count);
    for (float& logit : logits) logit = static_cast<float>(random.integer(-400, 400)) / 16.0f;
    const auto plain = row_of(logits.data(), count).summary();
    for (const float offset : {100.0f, -4096.0f, 10000.0f}) {
      std::vector<float> moved = logits;
      for (float& logit : moved) logit += offset;
      const auto summary = row_of(moved.data(), count).summary();
      REQUIRE(same_bits(summary.entropy, plain.entropy));
      REQUIRE(same_bits(summary.variance, plain.variance));
    }
  }
}

TEMPLATE_TEST_CASE("masked keys change not one bit, before, between or after the others", "", float,
                   double) {
  Random random("row statistics, masked");
  constexpr TestType kMasked = Row<TestType>::kMaskedLogit;
  for (int attempt = 0; attempt < 500; ++attempt) {
    const auto count = static_cast<std::size_t>(random.length(1, 60));
    const double offset = random.one_in(3) ? -1e13 : 0.0;
    const auto logits = draw_logits<TestType>(random, count, offset, random.log_uniform(0.1, 1e3));
    Row<TestType> plain;
    Row<TestType> mixed;
    for (const TestType logit : logits) {
      plain.add(logit);
      for (std::int64_t masked = random.integer(0, 3); masked > 0; --masked) mixed.add(kMasked);
      mixed.add(logit);
    }
    mixed.add(kMasked);
    REQUIRE(mixed.maximum == plain.maximum);
    REQUIRE(mixed.sum == plain.sum);
    REQUIRE(mixed.first == plain.first);
    REQUIRE(mixed.second == plain.second);
  }
}

TEMPLATE_TEST_CASE("raising gives the factor that sums of the caller's own take", "", float,
                   double) {
  Row<TestType> row;
  CHECK(row.raise(TestType{3}) == TestType{0});
  row = {};
  row.add(TestType{3});
  CHECK(row.raise(TestType{5}) == static_cast<TestType>(0.25));
  CHECK(row.maximum == TestType{5});
  CHECK(row.sum == static_cast<TestType>(0.25));
  CHECK(row.first == static_cast<TestType>(-0.5));
  CHECK(row.second == TestType{1});
  CHECK(row.raise(TestType{5}) == TestType{1});
  // What is left of a row far below is nothing, not infinity times zero.
  CHECK(row.raise(Row<TestType>::kLargestLogit) == TestType{0});
  CHECK(row.sum == TestType{0});
  CHECK(row.first == TestType{0});
  CHECK(row.second == TestType{0});
}

TEMPLATE_TEST_CASE("the largest logits there may be give finite rows", "", float, double) {
  constexpr TestType kLargest = Row<TestType>::kLargestLogit;
  for (const bool upwards : {true, false}) {
    Row<TestType> row;
    row.add(upwards ? -kLargest : kLargest);
    row.add(upwards ? kLargest : -kLargest);
    row.add(TestType{0});
    row.add(kLargest);
    const auto summary = row.summary();
    CHECK(static_cast<double>(summary.entropy) == Approx(std::log(2.0)).epsilon(1e-6));
    CHECK(static_cast<double>(summary.lse / kLargest) == Approx(std::log(2.0)).epsilon(1e-6));
    CHECK(static_cast<double>(summary.mean / kLargest) == Approx(std::log(2.0)).epsilon(1e-6));
    CHECK(summary.variance == TestType{0});
  }
  Row<TestType> low;
  low.add(-kLargest);
  CHECK_FALSE(low.empty());
  CHECK(low.summary().entropy == TestType{0});
  CHECK(static_cast<double>(low.summary().lse / kLargest) == Approx(-std::log(2.0)).epsilon(1e-6));
}

TEMPLATE_TEST_CASE("a row is that of its parts, however they are cut, grouped and ordered", "",
                   float, double) {
  Random random("row statistics, merge");
  Shares shares;
  for (int attempt = 0; attempt < 300; ++attempt) {
    const auto count = static_cast<std::size_t>(random.length(1, 2000));
    const double offset = random.one_in(2) ? 0.0 : random.uniform(-1e4, 1e4);
    const auto logits = draw_logits<TestType>(random, count, offset, random.log_uniform(0.1, 20.0));
    std::vector<Row<TestType>> parts;
    for (std::size_t first = 0; first < count;) {
      const auto size = static_cast<std::size_t>(
          random.integer(random.one_in(3) ? 0 : 1, static_cast<std::int64_t>(count - first)));
      parts.push_back(row_of(logits.data() + first, size));  // now and then an empty one
      first += size;
    }
    while (parts.size() > 1) {
      const auto last = static_cast<std::int64_t>(parts.size()) - 1;
      const auto to = static_cast<std::size_t>(random.integer(0, last - 1));
      const auto from =
          static_cast<std::size_t>(random.integer(static_cast<std::int64_t>(to) + 1, last));
      if (random.one_in(2)) std::swap(parts[to], parts[from]);
      parts[to].merge(parts[from]);
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(from));
    }
    const auto n = static_cast<double>(count);
    shares.see(parts[0].summary(), Exact(logits), n, n);
  }
  INFO(ropewalk_test::seed_text());
  CHECK(shares.largest() <= 1.0);
}

TEMPLATE_TEST_CASE("an empty part merges as nothing, bit for bit, from either side", "", float,
                   double) {
  const std::vector<TestType> logits = {static_cast<TestType>(0.3), static_cast<TestType>(-7.1),
                                        static_cast<TestType>(2.9)};
  const Row<TestType> row = row_of(logits.data(), logits.size());
  Row<TestType> masked;
  masked.add(Row<TestType>::kMaskedLogit);
  for (const Row<TestType>& nothing : {Row<TestType>{}, masked}) {
    Row<TestType> left = row;
    left.merge(nothing);
    CHECK(same_bits(left, row));
    Row<TestType> right = nothing;
    right.merge(row);
    CHECK(same_bits(right, row));
    Row<TestType> neither = nothing;
    neither.merge(nothing);
    CHECK(neither.empty());
  }
  const rw::RowSummary<TestType> summary = row.summary();
  const auto with_right = rw::merge(summary, rw::RowSummary<TestType>{});
  CHECK(same_bits(with_right.summary, summary));
  CHECK(with_right.first_weight == TestType{1});
  CHECK(with_right.second_weight == TestType{0});
  const auto with_left = rw::merge(rw::RowSummary<TestType>{}, summary);
  CHECK(same_bits(with_left.summary, summary));
  CHECK(with_left.first_weight == TestType{0});
  CHECK(with_left.second_weight == TestType{1});
  const auto neither = rw::merge(rw::RowSummary<TestType>{}, rw::RowSummary<TestType>{});
  CHECK(neither.summary.empty());
  CHECK(neither.first_weight == TestType{0});
  CHECK(neither.second_weight == TestType{0});
}

TEMPLATE_TEST_CASE("summaries of parts merge to that of the whole in any order and grouping", "",
                   float, double) {
  // Each part's lse has its own rounding, which the weights inherit; with parts of up to 200 keys
  // and three merges that is at most 4 (u |lse| 2 + 208 u) in a weight, and a weight moves the
  // entropy by ln n + |difference of lse| at most, the variance by its square.
  Random random("row summary");
  double worst = 0.0;
  for (int attempt = 0; attempt < 500; ++attempt) {
    std::vector<TestType> all;
    std::vector<rw::RowSummary<TestType>> parts;
    const double offset = random.one_in(2) ? 0.0 : random.uniform(-1e3, 1e3);
    for (int part = 0; part < 3; ++part) {
      const auto count = static_cast<std::size_t>(random.length(1, 200));
      const auto logits = draw_logits<TestType>(random, count, offset + random.uniform(-5.0, 5.0),
                                                random.log_uniform(0.1, 5.0));
      parts.push_back(row_of(logits.data(), count).summary());
      all.insert(all.end(), logits.begin(), logits.end());
    }
    const Exact exact(all);
    const auto merged = [](const rw::RowSummary<TestType>& a, const rw::RowSummary<TestType>& b) {
      return rw::merge(a, b).summary;
    };
    const double u = unit<TestType>();
    const double weight = 4.0 * u * (2.0 * static_cast<double>(std::abs(exact.lse)) + 208.0);
    const double distance = 30.0 + std::log(600.0);  // of any two logits, and of lse from them
    for (const auto& whole : {merged(merged(parts[0], parts[1]), parts[2]),
                              merged(parts[0], merged(parts[1], parts[2])),
                              merged(merged(parts[2], parts[0]), parts[1])}) {
      const auto part_of = [&](TestType found, long double right, double bound) {
        const auto error = std::abs(static_cast<long double>(found) - right);
        worst = (std::max)(worst, static_cast<double>(error) / bound);
      };
      const double own = 4.0 * u * static_cast<double>(std::abs(exact.lse));
      part_of(whole.lse, exact.lse, weight + own);
      part_of(whole.entropy, exact.entropy, weight * distance);
      part_of(whole.mean, exact.mean, weight * distance + own);
      part_of(whole.variance, exact.variance, weight * distance * distance);
    }
    const auto pair = rw::merge(parts[0], parts[1]);
    REQUIRE(std::abs(static_cast<double>(pair.first_weight + pair.second_weight) - 1.0) <= 2.0 * u);
  }
  INFO(ropewalk_test::seed_text());
  CHECK(worst <= 1.0);
}

TEMPLATE_TEST_CASE("merging finite summaries never gives a NaN", "", float, double) {
  using Limits = std::numeric_limits<TestType>;
  std::vector<rw::RowSummary<TestType>> summaries = {{}};
  for (const TestType lse : {Limits::lowest() / 2, static_cast<TestType>(-1e30), TestType{0},
                             static_cast<TestType>(88), (Limits::max)()}) {
    for (const TestType mean : {Limits::lowest(), TestType{0}, (Limits::max)()}) {
      for (const TestType variance : {TestType{0}, Limits::denorm_min(), (Limits::max)()}) {
        summaries.push_back({lse, TestType{3}, mean, variance});
      }
    }
  }
  // Infinities are what a mean beyond the range gives; a NaN is what the bits must not say.
  const auto is_number = [](TestType value) {
    std::uint64_t bits = 0;
    const auto wide = static_cast<double>(value);
    std::memcpy(&bits, &wide, sizeof bits);
    return (bits & 0x7fffffffffffffffu) <= 0x7ff0000000000000u;
  };
  int broken = 0;
  for (const auto& a : summaries) {
    for (const auto& b : summaries) {
      const auto whole = rw::merge(a, b);
      for (const TestType value :
           {whole.summary.lse, whole.summary.entropy, whole.summary.mean, whole.summary.variance,
            whole.first_weight, whole.second_weight}) {
        if (!is_number(value)) ++broken;
      }
    }
  }
  CHECK(broken == 0);
}
