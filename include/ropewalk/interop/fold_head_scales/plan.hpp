// Which elements of which tensors get which factor, decided before a byte is written. Leaf; interop
// only.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/fold_head_scales/layer.hpp>
#include <ropewalk/interop/fold_head_scales/model.hpp>
#include <ropewalk/interop/fold_head_scales/names.hpp>
#include <ropewalk/interop/head_scales.hpp>
#include <ropewalk/interop/safetensors/header.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

inline constexpr double kSmallestHeadScale = 1e-6;
inline constexpr double kLargestHeadScale = 1e6;

inline std::optional<ReadFault> check_scales(const FoldModel& model,
                                             Span<const LayerHeadScales> layers) {
  if (layers.empty()) return ReadFault{"head_scale", "", "has no layers"};
  for (std::size_t index = 0; index < layers.size(); ++index) {
    const LayerHeadScales& layer = layers[index];
    const std::string key = "head_scale of layer " + std::to_string(layer.layer);
    if (layer.layer < 0) return ReadFault{key, "", "must be a layer from 0 up"};
    for (std::size_t other = 0; other < index; ++other) {
      if (layers[other].layer == layer.layer) return ReadFault{key, "", "is given twice"};
    }
    if (layer.head_scale.empty()) return ReadFault{key, "", "has no heads"};
    if (model.heads > 0 && layer.head_scale.size() != static_cast<std::size_t>(model.heads)) {
      return ReadFault{key, std::to_string(layer.head_scale.size()) + " heads",
                       "differs from the " + std::to_string(model.heads) + " of the model"};
    }
    for (const double scale : layer.head_scale) {
      const bool sound =
          is_finite(scale) && scale >= kSmallestHeadScale && scale <= kLargestHeadScale;
      if (sound) continue;
      const std::string value = is_finite(scale) ? Json(scale).dump() : "not a finite number";
      return ReadFault{key, value, "must be between 1e-6 and 1e6"};
    }
  }
  return std::nullopt;
}

inline void sort_tensor(Span<const SafetensorsHeader> shards, TensorPlace place,
                        std::string_view prefix, Span<const LayerHeadScales> scales,
                        std::vector<LayerTensors>& layers) {
  const std::string& name = shards[place.shard].tensors[place.tensor].name;
  if (std::string_view(name).substr(0, prefix.size()) != prefix) return;
  const std::optional<LayerName> layer = layer_name(name);
  if (!layer) return;
  for (std::size_t index = 0; index < scales.size(); ++index) {
    if (scales[index].layer != layer->layer) continue;
    const std::optional<QueryName> query = query_name(name);
    if (!query) {
      layers[index].others.push_back(place);
      continue;
    }
    QueryModule* module = nullptr;
    for (QueryModule& known : layers[index].modules) {
      if (known.name.module == query->module) module = &known;
    }
    if (module == nullptr) {
      layers[index].modules.push_back({*query, {}, {}});
      module = &layers[index].modules.back();
    }
    module->tensors.push_back(place);
    module->leaves.push_back(query->leaf);
  }
}

}  // namespace detail

/// The scales of a file layer by layer. Layers whose every scale is 1 are left out: they stay as they
/// are, whatever they are made of.
///   scales   sound: validate() is Errc::ok
inline std::vector<LayerHeadScales> layer_head_scales(const HeadScales& scales) {
  ROPEWALK_ASSERT(scales.validate().code == Errc::ok, "layer_head_scales: sound scales");
  std::vector<LayerHeadScales> layers;
  for (std::int64_t layer = 0; layer < scales.layers; ++layer) {
    const auto first = scales.head_scale.begin() + layer * scales.heads;
    LayerHeadScales one{static_cast<int>(layer), {first, first + scales.heads}};
    bool changes = false;
    for (const double scale : one.head_scale) changes = changes || scale != 1.0;
    if (changes) layers.push_back(std::move(one));
  }
  return layers;
}

/// Decides what to scale. Looks at headers only.
///   shards    the headers of the checkpoint's files, one for a checkpoint of one file
///   model     read_fold_model's; FoldModel{} where there is no config
///   layers    the scales; layers that are not named keep their weights
///   prefix    what the names of the tensors begin with, for checkpoints with several stacks of
///             layers ("language_model."); "" where there is one
///   Returns   the plan, or a fault that names the tensor or the layer
inline Result<FoldPlan> plan_fold(Span<const SafetensorsHeader> shards, const FoldModel& model,
                                  Span<const LayerHeadScales> layers,
                                  std::string_view prefix = "") {
  if (std::optional<ReadFault> fault = detail::check_scales(model, layers)) return *fault;
  if (model.refusal) return *model.refusal;
  std::vector<detail::LayerTensors> found(layers.size());
  for (std::size_t shard = 0; shard < shards.size(); ++shard) {
    for (std::size_t tensor = 0; tensor < shards[shard].tensors.size(); ++tensor)
      detail::sort_tensor(shards, {shard, tensor}, prefix, layers, found);
  }
  FoldPlan plan;
  plan.warnings = model.warnings;
  if (model.model_type.empty()) {
    plan.warnings.emplace_back(
        "without a config a norm or a clip of q that has no tensor would not be seen");
  }
  std::vector<std::size_t> order;
  for (std::size_t index = 0; index < layers.size(); ++index) order.push_back(index);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return layers[a].layer < layers[b].layer; });
  for (const std::size_t index : order) {
    const int layer = layers[index].layer;
    const std::string key = "layer " + std::to_string(layer);
    const std::vector<detail::QueryModule>& modules = found[index].modules;
    if (modules.empty())
      return ReadFault{key, "", "has no query projection in the checkpoint that is known here"};
    const detail::QueryName& first = found[order.front()].modules.front().name;
    const detail::QueryName& other = modules.back().name;
    if (modules.size() > 1 || other.prefix != first.prefix) {
      const detail::QueryName& here = modules.size() > 1 ? modules.front().name : first;
      return ReadFault{key, "",
                       "is in question: both " + detail::shortened(here.module) + " and " +
                           detail::shortened(other.module) +
                           " make queries; a prefix of the names would tell them apart"};
    }
    const auto silent = static_cast<std::size_t>(layer);
    if (silent < model.norm_after_query.size() && model.norm_after_query[silent]) {
      return ReadFault{key, detail::shortened(model.model_type),
                       "has a norm after the query projection, by its config: it divides a scale "
                       "of the rows away again"};
    }
    detail::LayerFold fold(shards, model, layers[index], found[index]);
    if (std::optional<ReadFault> fault = fold.add_to(plan)) return *fault;
  }
  return plan;
}

}  // namespace v0
}  // namespace ropewalk
