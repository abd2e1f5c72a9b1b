#include "evaluation.hpp"

#include "parallel.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace lm {

ByPosition by_position(const Shape& shape, const std::vector<float>& parameters,
                       const std::vector<Window>& windows, const Stretch<float>& stretch,
                       bool entropy, int threads) {
  constexpr int lanes = 8;  // summed in order, whatever the threads
  const auto positions = static_cast<std::int64_t>(windows.front().inputs.size());
  const Model model(shape, parameters);
  struct Lane {
    std::vector<double> loss;
    ropewalk::EntropyCurve entropy;
  };
  std::vector<Lane> sums(lanes, {std::vector<double>(static_cast<std::size_t>(positions)),
                                 ropewalk::EntropyCurve(positions, shape.layers, shape.heads)});
  parallel(std::min(threads, lanes), lanes, [&](int lane, int) {
    Lane& own = sums[static_cast<std::size_t>(lane)];
    Activations<float> activations;
    activations.entropies = entropy;
    for (std::size_t i = static_cast<std::size_t>(lane); i < windows.size(); i += lanes) {
      model.forward(windows[i].inputs, windows[i].targets, stretch, activations);
      for (std::size_t position = 0; position < own.loss.size(); ++position)
        own.loss[position] +=
            static_cast<double>(activations.losses(static_cast<Eigen::Index>(position)));
      for (int layer = 0; entropy && layer < shape.layers; ++layer) {
        const Rows<float>& rows = activations.layers[static_cast<std::size_t>(layer)].entropy;
        own.entropy.add(layer, {rows.data(), static_cast<std::size_t>(rows.size())});
      }
    }
  });
  ByPosition means;
  means.loss.resize(static_cast<std::size_t>(positions));
  if (entropy) means.entropy.emplace(positions, shape.layers, shape.heads);
  for (const Lane& lane : sums) {
    for (std::size_t position = 0; position < means.loss.size(); ++position)
      means.loss[position] += lane.loss[position] / static_cast<double>(windows.size());
    if (entropy) means.entropy->add(lane.entropy);
  }
  return means;
}

double loss_at(const ByPosition& means, std::int64_t length, std::int64_t scored) {
  const auto end = means.loss.begin() + length;
  return std::accumulate(end - scored, end, 0.0) / static_cast<double>(scored);
}

std::vector<Window> spread_windows(const Text& text, std::size_t length, std::size_t windows) {
  std::vector<Window> all = all_windows(text, length);
  if (all.empty()) throw std::runtime_error("no document is long enough for a window");
  const std::size_t wanted = std::min(windows, all.size());
  std::vector<Window> chosen;
  for (std::size_t i = 0; i < wanted; ++i) chosen.push_back(all[i * all.size() / wanted]);
  return chosen;
}

}  // namespace lm
