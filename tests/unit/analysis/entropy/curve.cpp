#include <ropewalk/analysis/entropy/curve.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace rw = ropewalk;
using ropewalk_test::Random;

TEST_CASE("the mean is that of equations 1 and 2: over samples, layers and heads") {
  // 2 samples of 3 tokens through 2 layers of 2 heads; all sums are exact.
  rw::EntropyCurve curve(3, 2, 2);
  curve.add(0, std::vector<float>{0.0f, 0.0f, 0.25f, 0.5f, 1.0f, 0.75f});
  curve.add(1, std::vector<float>{0.0f, 0.0f, 0.5f, 0.25f, 0.5f, 0.25f});
  curve.add(0, std::vector<float>{0.0f, 0.0f, 0.75f, 0.5f, 0.0f, 0.25f});
  curve.add(1, std::vector<float>{0.0f, 0.0f, 0.5f, 0.75f, 0.5f, 0.75f});
  CHECK(curve.mean() == std::vector<double>{0.0, 0.5, 0.5});
  CHECK(curve.of_head(0, 0) == std::vector<double>{0.0, 0.5, 0.5});
  CHECK(curve.of_head(1, 0) == std::vector<double>{0.0, 0.5, 0.5});
  CHECK(curve.of_head(0, 1) == std::vector<double>{0.0, 0.5, 0.5});
  CHECK(curve.converged(1) == std::vector<double>{0.5, 0.5, 0.5, 0.5});
  CHECK(curve.samples(1, 2) == 2);
}

TEST_CASE("a curve is what a plain sum over every row gives, however the rows come") {
  constexpr std::int64_t kPositions = 37;
  constexpr std::int64_t kLayers = 3;
  constexpr std::int64_t kHeads = 5;
  Random random("entropy curve");
  INFO(ropewalk_test::seed_text());
  rw::EntropyCurve curve(kPositions, kLayers, kHeads);
  rw::EntropyCurve other(kPositions, kLayers, kHeads);
  std::vector<double> sums(kPositions * kLayers * kHeads);
  std::vector<double> counts(sums.size());
  for (int part = 0; part < 400; ++part) {
    // The first ones reach every position.
    const std::int64_t layer = part < kLayers ? part : random.integer(0, kLayers - 1);
    const std::int64_t first = part < kLayers ? 0 : random.integer(0, kPositions - 1);
    const std::int64_t tokens = part < kLayers ? kPositions : random.integer(1, kPositions - first);
    std::vector<float> entropy(static_cast<std::size_t>(tokens * kHeads));
    for (std::size_t i = 0; i < entropy.size(); ++i) {
      const std::int64_t token = static_cast<std::int64_t>(i) / kHeads;
      const auto bound = rw::maximum_entropy(first + token);
      entropy[i] = static_cast<float>(random.uniform(0.0, bound));
      const auto cell = static_cast<std::size_t>(((first + token) * kLayers + layer) * kHeads +
                                                 static_cast<std::int64_t>(i) % kHeads);
      sums[cell] += static_cast<double>(entropy[i]);
      counts[cell] += 1.0;
    }
    (part % 2 == 0 ? curve : other).add(layer, entropy, first);
    if (part % 100 == 99) {  // what two threads gathered
      curve.add(other);
      other = rw::EntropyCurve(kPositions, kLayers, kHeads);
    }
  }
  // 400 roundings to double of sums of one sign, and one division.
  const double bound = 402 * std::numeric_limits<double>::epsilon();
  const std::vector<double> mean = curve.mean();
  const std::vector<double> converged = curve.converged();  // 10 of 37 positions
  for (std::int64_t layer = 0; layer < kLayers; ++layer) {
    for (std::int64_t head = 0; head < kHeads; ++head) {
      const std::vector<double> own = curve.of_head(layer, head);
      double tail = 0.0;
      for (std::int64_t position = 0; position < kPositions; ++position) {
        const auto cell = static_cast<std::size_t>((position * kLayers + layer) * kHeads + head);
        CHECK(own[static_cast<std::size_t>(position)] ==
              Approx(sums[cell] / counts[cell]).epsilon(bound));
        if (position >= kPositions - 10) tail += sums[cell] / counts[cell];
      }
      CHECK(converged[static_cast<std::size_t>(layer * kHeads + head)] ==
            Approx(tail / 10.0).epsilon(bound));
    }
  }
  for (std::int64_t position = 0; position < kPositions; ++position) {
    double sum = 0.0;
    double count = 0.0;
    for (std::int64_t i = 0; i < kLayers * kHeads; ++i) {
      sum += sums[static_cast<std::size_t>(position * kLayers * kHeads + i)];
      count += counts[static_cast<std::size_t>(position * kLayers * kHeads + i)];
    }
    CHECK(mean[static_cast<std::size_t>(position)] == Approx(sum / count).epsilon(bound));
  }
}

TEST_CASE("the bounds of an entropy are ln(position + 1) and ln(keys) - 2 B") {
  CHECK(rw::maximum_entropy(0) == 0.0);
  CHECK(rw::maximum_entropy(2047) == Approx(7.62461898615938).epsilon(1e-14));
  CHECK(rw::minimum_entropy(2048, 0.0) == rw::maximum_entropy(2047));
  CHECK(rw::minimum_entropy(2048, 3.0) == Approx(1.62461898615938).epsilon(1e-13));
  CHECK(rw::minimum_entropy(2048, 4.0) == 0.0);
  CHECK(rw::minimum_entropy(1, 0.0) == 0.0);
  CHECK(rw::normalized_entropy(rw::maximum_entropy(99), 99) == 1.0);
  CHECK(rw::normalized_entropy(0.0, 99) == 0.0);
  CHECK(rw::normalized_entropy(std::log(2.0), 3) == Approx(0.5).epsilon(1e-15));
  CHECK(rw::normalized_entropy(0.0, 0) == 1.0);
}

TEST_CASE("what is no entropy curve is refused by name, and leaves the curve as it was") {
  const float not_a_number = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(rw::EntropyCurve(0, 1, 1), contains("positions = 0"));
  CHECK_THROWS_WITH(rw::EntropyCurve(1, 0, 1), contains("layers = 0"));
  CHECK_THROWS_WITH(rw::EntropyCurve(1, 1, -1), contains("heads = -1"));
  CHECK_THROWS_WITH(rw::EntropyCurve(std::int64_t{1} << 40, 1 << 20, 1 << 20),
                    contains("above the largest"));
  rw::EntropyCurve curve(4, 1, 2);
  CHECK_THROWS_WITH(curve.add(1, std::vector<float>(2)), contains("layer = 1"));
  CHECK_THROWS_WITH(curve.add(-1, std::vector<float>(2)), contains("layer = -1"));
  CHECK_THROWS_WITH(curve.add(0, std::vector<float>(3)), contains("entropy.size = 3"));
  CHECK_THROWS_WITH(curve.add(0, std::vector<float>()), contains("entropy.size = 0"));
  CHECK_THROWS_WITH(curve.add(0, std::vector<float>(4), 3), contains("tokens = 2"));
  CHECK_THROWS_WITH(curve.add(0, std::vector<float>(2), 4), contains("first_position = 4"));
  CHECK_THROWS_WITH(curve.add(0, std::vector<float>(2), -1), contains("first_position = -1"));
  CHECK_THROWS_WITH(curve.add(0, std::vector<float>{0.0f, not_a_number}), contains("not a finite"));
  CHECK_THROWS_WITH(curve.add(0, std::vector<float>{0.0f, infinite}), contains("not a finite"));
  CHECK(curve.samples(0, 0) == 0);
  curve.add(0, std::vector<float>(6));
  CHECK_THROWS_WITH(curve.mean(), contains("position = 3"));
  CHECK_THROWS_WITH(curve.of_head(0, 0), contains("position = 3"));
  CHECK_THROWS_WITH(curve.of_head(0, 2), contains("head = 2"));
  CHECK_THROWS_WITH(curve.converged(1), contains("position = 3"));
  CHECK_THROWS_WITH(curve.converged(0), contains("last_positions = 0"));
  CHECK_THROWS_WITH(curve.converged(5), contains("last_positions = 5"));
  CHECK_THROWS_WITH(curve.samples(0, 4), contains("position = 4"));
  CHECK_THROWS_WITH(curve.add(rw::EntropyCurve(4, 2, 2)), contains("layers = 2"));
  CHECK_THROWS_WITH(rw::maximum_entropy(-1), contains("position = -1"));
  CHECK_THROWS_WITH(rw::minimum_entropy(0, 1.0), contains("keys = 0"));
  CHECK_THROWS_WITH(rw::minimum_entropy(2, -1.0), contains("logit_bound = -1"));
  CHECK_THROWS_WITH(rw::minimum_entropy(2, static_cast<double>(not_a_number)),
                    contains("logit_bound"));
  CHECK_THROWS_WITH(rw::normalized_entropy(static_cast<double>(infinite), 3), contains("entropy"));
}
