#include "tasks.hpp"

#include "data.hpp"
#include "evaluation.hpp"
#include "result.hpp"
#include "scale_search.hpp"
#include "story.hpp"
#include "training.hpp"
#include "weights.hpp"

#include <ropewalk/head_scale/grid.hpp>
#include <ropewalk/interop/head_scale_state.hpp>
#include <ropewalk/interop/head_scales.hpp>
#include <support/report/svg.hpp>

#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>

namespace rw = ropewalk;

namespace lm {

namespace {

using report::fixed;

constexpr std::int64_t kProgressSteps = 100;
constexpr std::int64_t kCheckpointSteps = 500;

class Clock {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::path partial = path;
  partial += ".part";
  std::ofstream file(partial, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.string());
  std::filesystem::rename(partial, path);
}

std::string percent(std::int64_t done, std::int64_t all) {
  return fixed(100.0 * static_cast<double>(done) / static_cast<double>(all), 1) + " %";
}

}  // namespace

void train(const TrainingRequest& request) {
  Shape shape;
  shape.positions = request.positions;
  TrainingPlan plan;
  if (request.steps > 0) plan.steps = request.steps;
  plan.threads = request.threads;
  const std::string name = request.positions == Positions::nope ? "nope" : "rope";
  const Text text = read_text(request.text);
  std::filesystem::create_directories(request.out);
  const std::filesystem::path state_file = request.out / (name + ".state");
  TrainingState state = std::filesystem::exists(state_file) ? read_state(state_file, shape)
                                                            : initial_state(shape, plan.seed);
  const Clock clock;
  const std::int64_t first = state.step;
  double loss = 0.0;
  while (state.step < plan.steps) {
    loss += train_step(shape, plan, text, state);
    if (state.step % kProgressSteps == 0) {
      const double pace = clock.seconds() / static_cast<double>(state.step - first);
      std::cerr << name << " step " << state.step << " of " << plan.steps << " ("
                << percent(state.step, plan.steps) << "), loss "
                << fixed(loss / static_cast<double>(kProgressSteps), 4) << ", "
                << fixed(plan.batch_tokens / pace, 0) << " bytes/s, "
                << fixed(pace * static_cast<double>(plan.steps - state.step) / 60.0, 1)
                << " min left\n";
      loss = 0.0;
    }
    if (state.step % kCheckpointSteps == 0) write_state(state_file, state);
  }
  write_state(state_file, state);
  write_weights(request.out / (name + ".safetensors"), shape, state.parameters);
}

namespace {

/// The best single scale at a length on windows of the training text, in steps of 0.01.
double best_uniform_scale(const Shape& shape, const std::vector<float>& parameters,
                          const Text& text, std::int64_t length, int threads) {
  constexpr int windows = 32;
  constexpr std::uint64_t seed = 1000;  // none of the searches'
  std::vector<Window> sample;
  for (std::uint64_t i = 0; i < windows; ++i)
    sample.push_back(random_window(text, static_cast<std::size_t>(length), seed, i));
  const auto loss = [&](double head_scale) {
    Stretch<float> stretch = stretched<float>(shape, length);
    stretch.head_scale.assign(stretch.head_scale.size(), head_scale);
    return loss_at(by_position(shape, parameters, sample, stretch, false, threads), length, length);
  };
  // A hundredth at a time around the best of every tenth.
  rw::UniformScaleSearch coarse;
  for (int tenths = 10; tenths <= 20; ++tenths) {
    const rw::UniformScaleSearch one =
        rw::search_uniform_scale(rw::HeadScaleGrid{10 * tenths, 10 * tenths}, loss);
    if (tenths == 10 || one.best.loss < coarse.best.loss) coarse = one;
  }
  const int centre = static_cast<int>(100.0 * coarse.best.head_scale + 0.5);
  const rw::HeadScaleGrid fine{std::max(100, centre - 9), centre + 9};
  return rw::search_uniform_scale(fine, loss).best.head_scale;
}

}  // namespace

void search(const SearchRequest& request) {
  Shape shape;
  const std::vector<float> parameters =
      read_weights(request.data / "weights" / "nope.safetensors", shape);
  const Text text = read_text(request.text);
  std::filesystem::create_directories(request.out);
  for (const std::int64_t length : kSearchLengths) {
    std::optional<double> start;
    for (const std::uint64_t seed : kSearchSeeds) {
      const std::string file = head_scales_file(length, seed);
      const std::filesystem::path result = request.out / file;
      const std::filesystem::path state_file = request.out / (file + ".state");
      if (std::filesystem::exists(result)) continue;
      if (!start) {
        start = best_uniform_scale(shape, parameters, text, length, request.threads);
        std::cerr << "best single scale at " << length << ": " << fixed(*start, 2) << "\n";
      }
      rw::HeadScaleSearch scales(shape.layers, shape.heads, *start);
      if (std::filesystem::exists(state_file)) {
        scales = rw::HeadScaleSearch(
            value_of(rw::read_head_scale_state_file(state_file.string()), state_file.string()));
      }
      const Clock clock;
      double loss = 0.0;
      run_search(scales, shape, parameters, text,
                 {.target_length = length, .seed = seed, .threads = request.threads},
                 [&](std::int64_t step, double batch_loss) {
                   loss += batch_loss;
                   if ((step + 1) % 20 != 0) return;
                   std::cerr << "search at " << length << ", seed " << seed << ", step " << step + 1
                             << ": loss " << fixed(loss / 20.0, 4) << ", "
                             << fixed(clock.seconds(), 0) << " s\n";
                   loss = 0.0;
                   write_text(state_file, rw::write_head_scale_state(scales.state()));
                 });
      const rw::Span<const double> found = scales.head_scale();
      write_text(result, rw::write_head_scales({.model = "nope_length_generalization",
                                                .layers = shape.layers,
                                                .heads = shape.heads,
                                                .trained_length = shape.trained_length,
                                                .target_length = length,
                                                .head_scale = {found.begin(), found.end()}}));
      std::filesystem::remove(state_file);
    }
  }
}

}  // namespace lm
