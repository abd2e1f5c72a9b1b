#include <ropewalk/analysis/sliding_perplexity.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace rw = ropewalk;
using ropewalk_test::Random;
using Document = std::vector<std::int32_t>;

namespace {

constexpr int kVocabulary = 7;

rw::SlidingWindows windows(std::int64_t context, std::int64_t stride, std::int64_t most = 0) {
  rw::SlidingWindows sizes;
  sizes.context = context;
  sizes.stride = stride;
  sizes.maximum_windows = most;
  return sizes;
}

Document random_document(Random& random, std::int64_t length) {
  Document document(static_cast<std::size_t>(length));
  for (std::int32_t& token : document) {
    token = static_cast<std::int32_t>(random.integer(0, kVocabulary - 1));
  }
  return document;
}

/// Predicts a token from the counts of what followed the same token within the window so far: every
/// loss depends on where the window begins and on all tokens before the one predicted.
double loss_of(rw::Span<const std::int32_t> before, std::int32_t token) {
  double same = 1.0;
  double all = kVocabulary;
  for (std::size_t i = 1; i < before.size(); ++i) {
    if (before[i - 1] != before[before.size() - 1]) continue;
    all += 1.0;
    if (before[i] == token) same += 1.0;
  }
  return -std::log(same / all);
}

double window_loss(rw::Span<const std::int32_t> window, std::int64_t scored) {
  double sum = 0.0;
  for (std::size_t i = window.size() - static_cast<std::size_t>(scored); i < window.size(); ++i) {
    sum += loss_of({window.data(), i}, window[i]);
  }
  return sum;
}

/// (first token of the window, scored token), listed as the evaluation is described: for every end.
std::vector<std::pair<std::int64_t, std::int64_t>> listed(std::int64_t length, std::int64_t context,
                                                          std::int64_t stride) {
  std::vector<std::pair<std::int64_t, std::int64_t>> all;
  for (std::int64_t end = context; end < length; end += stride) {
    const std::int64_t begin = end - context;
    for (std::int64_t token = end - stride; token < end; ++token) {
      if (token > begin) all.emplace_back(begin, token);
    }
  }
  return all;
}

}  // namespace

TEST_CASE("11 tokens in windows of 6 with stride 2: three windows, tokens 4 to 9 scored") {
  Document document(11);
  for (std::size_t i = 0; i < document.size(); ++i) document[i] = static_cast<std::int32_t>(i);
  rw::SlidingPerplexity evaluation(windows(6, 2));
  std::vector<std::int32_t> scored;
  std::vector<std::int32_t> begins;
  const auto model = [&](rw::Span<const std::int32_t> window, std::int64_t count) {
    CHECK(window.size() == 6);
    CHECK(count == 2);
    begins.push_back(window[0]);
    scored.push_back(window[4]);
    scored.push_back(window[5]);
    return 2.0 * static_cast<double>(begins.size());
  };
  CHECK(evaluation.add(rw::Span<const std::int32_t>(document), model) == 3);
  CHECK(begins == std::vector<std::int32_t>{0, 2, 4});
  CHECK(scored == std::vector<std::int32_t>{4, 5, 6, 7, 8, 9});
  CHECK(evaluation.windows() == 3);
  CHECK(evaluation.loss() == 2.0);  // of 1, 2 and 3 a token
  CHECK(evaluation.perplexity().value() == std::exp(2.0));
}

TEST_CASE("the paper's setting: 256 tokens a window, 8192 windows are 2^21 tokens") {
  rw::SlidingWindows sizes;
  sizes.context = 2048;
  CHECK(sizes.stride == 256);
  CHECK(sizes.scored() == 256);
  CHECK(sizes.windows(2048) == 0);
  CHECK(sizes.windows(2049) == 1);
  CHECK(sizes.windows(2048 + 256) == 1);
  CHECK(sizes.windows(2049 + 256) == 2);
  CHECK(8192 * sizes.scored() == std::int64_t{1} << 21);
}

TEST_CASE("losses are those of a list of every window and token, for all small sizes") {
  Random random("sliding perplexity");
  INFO(ropewalk_test::seed_text());
  for (std::int64_t context = 2; context <= 9; ++context) {
    for (std::int64_t stride = 1; stride <= context; ++stride) {
      rw::SlidingPerplexity evaluation(windows(context, stride));
      double sum = 0.0;
      std::size_t tokens = 0;
      std::int64_t count = 0;
      for (std::int64_t length = 0; length <= 3 * context + 2; ++length) {
        const Document document = random_document(random, length);
        for (const auto& [begin, token] : listed(length, context, stride)) {
          const rw::Span<const std::int32_t> before(document.data() + begin,
                                                    static_cast<std::size_t>(token - begin));
          sum += loss_of(before, document[static_cast<std::size_t>(token)]);
          ++tokens;
        }
        const std::int64_t added =
            evaluation.add(rw::Span<const std::int32_t>(document), window_loss);
        CHECK((added == 0) == (length <= context));
        count += added;
      }
      INFO("context " << context << ", stride " << stride);
      REQUIRE(tokens == static_cast<std::size_t>(count * windows(context, stride).scored()));
      CHECK(evaluation.windows() == count);
      // Two orders of summing at most 200 losses of one sign.
      CHECK(evaluation.loss() == Approx(sum / static_cast<double>(tokens)).epsilon(1e-13));
    }
  }
}

TEST_CASE(
    "every token but the first context - stride is scored once, up to the last whole window") {
  for (const std::int64_t stride : {1, 3, 7}) {
    constexpr std::int64_t kContext = 8;
    const auto all = listed(40, kContext, stride);
    std::int64_t next = kContext - stride;
    if (next == 0) next = 1;
    for (const auto& [begin, token] : all) CHECK(token == next++);
  }
}

TEST_CASE("evaluation stops at the largest number of windows, across documents") {
  Random random("sliding perplexity, bounded");
  const Document first = random_document(random, 20);
  const Document second = random_document(random, 30);
  rw::SlidingPerplexity bounded(windows(6, 2, 10));
  rw::SlidingPerplexity whole(windows(6, 2));
  CHECK(bounded.add(rw::Span<const std::int32_t>(first), window_loss) == 7);
  CHECK(bounded.add(rw::Span<const std::int32_t>(second), window_loss) == 3);
  CHECK(bounded.add(rw::Span<const std::int32_t>(second), window_loss) == 0);
  CHECK(bounded.windows() == 10);
  whole.add(rw::Span<const std::int32_t>(first), window_loss);
  whole.add(rw::Span<const std::int32_t>(second.data(), 11), window_loss);
  CHECK(bounded.loss() == whole.loss());
}

TEST_CASE("uniform guesses have the vocabulary as perplexity") {
  const std::vector<unsigned char> document(100);
  rw::SlidingPerplexity evaluation(windows(10, 4));
  evaluation.add(rw::Span<const unsigned char>(document),
                 [](rw::Span<const unsigned char>, std::int64_t scored) {
                   return static_cast<double>(scored) * std::log(256.0);
                 });
  CHECK(evaluation.perplexity().value() == Approx(256.0).epsilon(1e-12));
}

TEST_CASE("a perplexity beyond double is none, where the loss still stands") {
  const Document document(10);
  const auto with_loss = [&](double loss) {
    rw::SlidingPerplexity evaluation(windows(4, 1));
    evaluation.add(rw::Span<const std::int32_t>(document),
                   [=](rw::Span<const std::int32_t>, std::int64_t) { return loss; });
    CHECK(evaluation.loss() == loss);
    return evaluation.perplexity();
  };
  CHECK(with_loss(709.0).value() == Approx(std::exp(709.0)));
  CHECK_FALSE(with_loss(710.0).has_value());
  CHECK_FALSE(with_loss(1e300).has_value());
  CHECK(with_loss(0.0).value() == 1.0);
}

TEST_CASE("unsound sizes, no window at all and losses that are not finite are refused by name") {
  const auto refused = [](const rw::SlidingWindows& sizes) {
    const std::string field = sizes.validate().field;
    CHECK_THROWS_WITH(rw::SlidingPerplexity(sizes), contains(field));
    return field;
  };
  CHECK(refused(windows(1, 1)) == "context");
  CHECK(refused(windows(0, 256)) == "context");
  CHECK(refused(windows(-5, 1)) == "context");
  CHECK(refused(windows(8, 0)) == "stride");
  CHECK(refused(windows(8, 9)) == "stride");
  CHECK(refused(windows(8, 8, -1)) == "maximum_windows");
  CHECK(refused(windows((std::int64_t{1} << 53) + 1, 1)) == "context");

  rw::SlidingPerplexity evaluation(windows(4, 2));
  CHECK_THROWS_WITH(evaluation.loss(), contains("windows = 0"));
  CHECK_THROWS_WITH(evaluation.perplexity(), contains("windows = 0"));
  const Document document(9);
  for (const double loss :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    int calls = 0;
    rw::SlidingPerplexity broken(windows(4, 2));
    CHECK_THROWS_WITH(broken.add(rw::Span<const std::int32_t>(document),
                                 [&](rw::Span<const std::int32_t>, std::int64_t) {
                                   return ++calls == 2 ? loss : 1.0;
                                 }),
                      contains("loss"));
    CHECK(broken.windows() == 1);
    CHECK(broken.loss() == 0.5);
  }
}
