// Loss and entropy of a model by position.
#pragma once

#include "data.hpp"
#include "model.hpp"
#include "shape.hpp"

#include <ropewalk/analysis/entropy.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace lm {

/// Means over windows of one length.
struct ByPosition {
  std::vector<double> loss;                       ///< (positions,) nats
  std::optional<ropewalk::EntropyCurve> entropy;  ///< where asked for
};

/// What a model does with windows of equal length. The same for any number of threads.
ByPosition by_position(const Shape& shape, const std::vector<float>& parameters,
                       const std::vector<Window>& windows, const Stretch<float>& stretch,
                       bool entropy, int threads);

/// Loss at a length: the mean over the last `scored` positions before it.
double loss_at(const ByPosition& means, std::int64_t length, std::int64_t scored);

/// So many of the windows of a text, evenly spread over it.
std::vector<Window> spread_windows(const Text& text, std::size_t length, std::size_t windows);

}  // namespace lm
