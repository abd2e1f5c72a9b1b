// The rest of engine.cpp: entropy curves, sliding perplexity and passkey retrieval.
#include "engine.hpp"

#include <cstddef>
#include <vector>

namespace rw = ropewalk;

namespace {

using Text = std::vector<char>;

Text bytes(rw::Span<const char> text, bool) { return {text.begin(), text.end()}; }

void entropy_refusals() {
  rw::KneeSearch search;
  expect_refused("a sound search", search.validate(), rw::Errc::ok, "");
  search.minimum_gain = from_bits(0x7ff8000000000000u);
  expect_refused("a gain NaN", search.validate(), rw::Errc::not_finite, "minimum_gain");
  rw::SlidingWindows windows;
  expect_refused("no context", windows.validate(), rw::Errc::below_minimum, "context");
  windows.context = 255;
  expect_refused("a context below the stride", windows.validate(), rw::Errc::above_maximum,
                 "stride");
  rw::PasskeyGrid grid;
  expect_refused("no length", grid.validate(), rw::Errc::below_minimum, "maximum_length");
}

}  // namespace

void evaluations() {
  rw::EntropyCurve curve(4096, 1, 2);
  std::vector<float> entropy(8192);
  for (std::int64_t position = 0; position < 4096; ++position) {
    const double x = rw::maximum_entropy(position);
    const auto token = static_cast<std::size_t>(position);
    entropy[2 * token] = static_cast<float>(x > 6.0 ? 0.5 + 0.1 * x + (x - 6.0) : 0.5 + 0.1 * x);
    entropy[2 * token + 1] = static_cast<float>(0.5 * x);
  }
  curve.add(0, entropy);
  const auto knee = rw::entropy_knee(curve.of_head(0, 0));
  expect_equal("entropy_knee", knee.has_value(), 1);
  if (knee.has_value()) {
    expect("entropy_knee, position", knee->position, std::exp(6.0) - 1.0, 0.025);
    expect("entropy_knee, slope_after", knee->slope_after, 1.1, 0.01);
  }
  expect_equal("entropy_knee, of a line", rw::entropy_knee(curve.of_head(0, 1)).has_value(), 0);
  expect_equal("EntropyCurve::mean", static_cast<std::int64_t>(curve.mean().size()), 4096);
  expect_equal("EntropyCurve::samples", curve.samples(0, 4095), 1);
  const std::vector<double> scales = {1.5, 1.0};
  const auto together = rw::correlation(curve.converged(), scales);
  expect("correlation", together.has_value() ? together->spearman : 0.0,
         curve.converged()[0] > curve.converged()[1] ? 1.0 : -1.0);
  expect("minimum_entropy", rw::minimum_entropy(2048, 3.0), 1.62461898615938);
  expect("normalized_entropy", rw::normalized_entropy(std::log(2.0), 3), 0.5);

  rw::SlidingWindows windows;
  windows.context = 512;
  rw::SlidingPerplexity perplexity(windows);
  const std::vector<int> document(1025);
  perplexity.add(rw::Span<const int>(document), [](rw::Span<const int>, std::int64_t scored) {
    return static_cast<double>(scored) * std::log(20.0);
  });
  expect_equal("SlidingPerplexity::windows", perplexity.windows(), 3);
  expect("SlidingPerplexity::loss", perplexity.loss(), std::log(20.0));
  expect("SlidingPerplexity::perplexity", perplexity.perplexity().value_or(0.0), 20.0);

  rw::PasskeyGrid grid;
  grid.maximum_length = 16384;
  expect_equal("PasskeyGrid::cases", grid.cases().front().position, 1126);
  const auto model = [](const Text& prompt, std::int64_t count) {
    // "... {key} is the secret number." stands once: the key before it.
    const char mark[] = " is the secret number.";
    for (std::size_t i = 0; i + sizeof mark < prompt.size(); ++i) {
      if (std::memcmp(prompt.data() + i, mark, sizeof mark - 1) != 0) continue;
      return Text(prompt.begin() + (static_cast<std::ptrdiff_t>(i) - count),
                  prompt.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return Text();
  };
  grid.keys = 1;
  const rw::PasskeyTable table = rw::passkey_retrieval(grid, rw::PasskeyTexts{}, bytes, model);
  expect("passkey_retrieval", table.mean_accuracy(16384).value_or(0.0), 1.0);
  expect("PasskeyTable::accuracy", table.accuracy(0, 9), 1.0);
  expect_equal("bits_of_nats", rw::bits_of_nats(rw::kLn2) == 1.0, 1);
  entropy_refusals();
}
