#include "story.hpp"

#include "result.hpp"
#include "weights.hpp"

#include <ropewalk/interop/head_scales.hpp>
#include <ropewalk/scaling.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rw = ropewalk;

namespace lm {

namespace {

/// Evaluates one of the two models under stretches of any kind.
class Evaluator {
 public:
  Evaluator(const StoryRequest& request, Positions positions, std::vector<Window> windows)
      : windows_(std::move(windows)), threads_(request.threads) {
    shape_.positions = positions;
    const char* file = positions == Positions::nope ? "nope.safetensors" : "rope.safetensors";
    parameters_ = read_weights(request.data / "weights" / file, shape_);
  }

  const Shape& shape() const { return shape_; }

  ByPosition under(const Stretch<float>& stretch, bool entropy = false) const {
    return by_position(shape_, parameters_, windows_, stretch, entropy, threads_);
  }

  ByPosition under_scales(std::vector<double> head_scale, bool entropy = false) const {
    Stretch<float> stretch = stretched<float>(shape_, kLongest);
    stretch.head_scale = std::move(head_scale);
    return under(stretch, entropy);
  }

  ByPosition under_one_scale(double head_scale) const {
    return under_scales(
        std::vector<double>(static_cast<std::size_t>(shape_.all_heads()), head_scale));
  }

  template <typename Method>
  ByPosition under_method(const Method& method) const {
    return under(stretched<float>(shape_, kLongest, method));
  }

 private:
  Shape shape_;
  std::vector<float> parameters_;
  std::vector<Window> windows_;
  int threads_;
};

Way way_of(std::string name, const ByPosition& means) {
  Way way{std::move(name), {}, {}, means.loss};
  for (const std::int64_t length : kLengths) way.loss.push_back(loss_at(means, length, kScored));
  return way;
}

/// The mean of several runs, and how far they lie apart.
Way mean_way(std::string name, const std::vector<Way>& runs) {
  Way way{std::move(name), {}, {}, std::vector<double>(runs.front().curve.size())};
  const auto count = static_cast<double>(runs.size());
  for (std::size_t i = 0; i < std::size(kLengths); ++i) {
    double sum = 0.0;
    double low = runs.front().loss[i];
    double high = low;
    for (const Way& run : runs) {
      sum += run.loss[i];
      low = std::min(low, run.loss[i]);
      high = std::max(high, run.loss[i]);
    }
    way.loss.push_back(sum / count);
    way.spread.push_back(high - low);
  }
  for (const Way& run : runs) {
    for (std::size_t i = 0; i < way.curve.size(); ++i) way.curve[i] += run.curve[i] / count;
  }
  return way;
}

/// Where a parabola through the lowest point and its neighbours is lowest; an end that is itself
/// the lowest stays.
double lowest_place(const std::vector<double>& x, const std::vector<double>& y) {
  const auto at = static_cast<std::size_t>(std::min_element(y.begin(), y.end()) - y.begin());
  if (at == 0 || at + 1 == y.size()) return x[at];
  const double step = x[at + 1] - x[at];
  const double bend = y[at + 1] - 2.0 * y[at] + y[at - 1];
  return bend > 0.0 ? x[at] - 0.5 * step * (y[at + 1] - y[at - 1]) / bend : x[at];
}

UniformScales uniform_scales(const Evaluator& nope, const ByPosition& as_trained) {
  constexpr int highest = 20;  // tenths
  UniformScales uniform;
  uniform.lengths = {256, 384, 512, 768, 1024};
  for (int tenths = 10; tenths <= highest; ++tenths) {
    const double head_scale = tenths / 10.0;
    const ByPosition means = tenths == 10 ? as_trained : nope.under_one_scale(head_scale);
    uniform.head_scale.push_back(head_scale);
    std::vector<double>& losses = uniform.loss.emplace_back();
    for (const std::int64_t length : uniform.lengths)
      losses.push_back(loss_at(means, length, kScored));
  }
  std::vector<double> factors;
  for (std::size_t length = 0; length < uniform.lengths.size(); ++length) {
    std::vector<double> losses;
    for (const std::vector<double>& row : uniform.loss) losses.push_back(row[length]);
    uniform.best.push_back(lowest_place(uniform.head_scale, losses));
    factors.push_back(static_cast<double>(uniform.lengths[length]) /
                      static_cast<double>(nope.shape().trained_length));
  }
  uniform.fit = rw::fit_uniform_scale(factors, uniform.best);
  return uniform;
}

SearchedHeads searched_heads(const StoryRequest& request, const Shape& shape,
                             std::int64_t target_length) {
  SearchedHeads heads;
  heads.target_length = target_length;
  const auto count = static_cast<std::size_t>(shape.all_heads());
  heads.mean.assign(count, 0.0);
  for (const std::uint64_t seed : kSearchSeeds) {
    const std::string path =
        (request.data / "weights" / head_scales_file(target_length, seed)).string();
    const rw::HeadScales read = value_of(rw::read_head_scales_file(path), path);
    if (read.layers != shape.layers || read.heads != shape.heads)
      throw std::runtime_error(path + " is of another model");
    heads.head_scale.push_back(read.head_scale);
  }
  const auto seeds = static_cast<double>(heads.head_scale.size());
  for (std::size_t head = 0; head < count; ++head) {
    double square = 0.0;
    for (const auto& scales : heads.head_scale) heads.mean[head] += scales[head] / seeds;
    for (const auto& scales : heads.head_scale) {
      square += (scales[head] - heads.mean[head]) * (scales[head] - heads.mean[head]);
    }
    heads.spread += std::sqrt(square / (seeds - 1.0)) / static_cast<double>(count);
  }
  return heads;
}

/// What the entropy of every head has come to when the trained length is reached.
std::vector<double> converged(const rw::EntropyCurve& entropy, std::int64_t trained_length) {
  std::vector<double> means;
  for (std::int64_t layer = 0; layer < entropy.layers(); ++layer) {
    for (std::int64_t head = 0; head < entropy.heads(); ++head) {
      const std::vector<double> curve = entropy.of_head(layer, head);
      const auto end = curve.begin() + trained_length;
      means.push_back(std::accumulate(end - kScored / 2, end, 0.0) / (kScored / 2));
    }
  }
  return means;
}

void tell_of_nope(const StoryRequest& request, const Evaluator& nope, Story& story) {
  const ByPosition as_trained = nope.under(stretched<float>(nope.shape(), kLongest), true);
  story.nope.push_back(way_of("NoPE", as_trained));
  story.nope_entropy = as_trained.entropy->mean();
  story.nope_knee = rw::entropy_knee(story.nope_entropy);
  story.converged = converged(*as_trained.entropy, nope.shape().trained_length);

  story.uniform = uniform_scales(nope, as_trained);
  for (const std::size_t length : {std::size_t{2}, std::size_t{4}}) {
    const double best = story.uniform.best[length];
    story.nope.push_back(
        way_of("one scale, best at " + std::to_string(story.uniform.lengths[length]),
               nope.under_one_scale(best)));
  }
  for (const std::int64_t target_length : kSearchLengths) {
    SearchedHeads heads = searched_heads(request, nope.shape(), target_length);
    heads.with_entropy = rw::correlation(story.converged, heads.mean);
    std::vector<Way> runs;
    for (const std::vector<double>& scales : heads.head_scale) {
      const bool entropy = runs.empty() && target_length == kLongest;
      const ByPosition means = nope.under_scales(scales, entropy);
      if (entropy) story.scaled_entropy = means.entropy->mean();
      runs.push_back(way_of("", means));
    }
    story.nope.push_back(mean_way("a scale per head for " + std::to_string(target_length), runs));
    story.searched.push_back(std::move(heads));
  }
}

void tell_of_rope(const Evaluator& rope, Story& story) {
  const ByPosition as_trained = rope.under(stretched<float>(rope.shape(), kLongest), true);
  story.rope.push_back(way_of("RoPE", as_trained));
  story.rope_entropy = as_trained.entropy->mean();
  story.rope_knee = rw::entropy_knee(story.rope_entropy);
  for (const double factor : {2.0, 4.0}) {
    const std::string by = factor == 2.0 ? ", factor 2" : ", factor 4";
    story.rope.push_back(
        way_of("linear (PI)" + by, rope.under_method(rw::Linear{.factor = factor})));
    story.rope.push_back(
        way_of("NTK-aware" + by, rope.under_method(rw::NtkAware{.factor = factor})));
    story.rope.push_back(way_of("YaRN" + by, rope.under_method(rw::Yarn{.factor = factor})));
  }
}

}  // namespace

std::string head_scales_file(std::int64_t target_length, std::uint64_t seed) {
  return "head_scales_" + std::to_string(target_length) + "_seed_" + std::to_string(seed) + ".json";
}

Story tell_story(const StoryRequest& request) {
  const Text text = read_text(request.data / "heldout.txt");
  const std::vector<Window> windows =
      spread_windows(text, static_cast<std::size_t>(kLongest), request.windows);
  Story story;
  story.windows = windows.size();
  const Evaluator nope(request, Positions::nope, windows);
  const Evaluator rope(request, Positions::rope, windows);
  story.shape = nope.shape();
  tell_of_nope(request, nope, story);
  tell_of_rope(rope, story);
  return story;
}

}  // namespace lm
