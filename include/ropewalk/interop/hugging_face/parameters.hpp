// Which object of a file holds the rotary parameters, of the model or of each layer type. Leaf;
// interop only.
#pragma once

#include <ropewalk/interop/hugging_face/text_model.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The parameters of the whole model or of one layer type.
struct Block {
  std::string layer_type;           // "" for the whole model
  Place place;                      // without object: nothing is said, so rope_type is "default"
  bool rotated = true;              // false: the file says null, NoPE
  bool nested = false;              // one entry of several
  std::string_view theta_key = {};  // the base's own key at the top, where a block has one
  double assumed_theta = 0.0;       // where that is missing; 0: ask the model's defaults

  std::string prefix() const { return layer_type.empty() ? "" : layer_type + '.'; }
};

struct Parameters {
  std::vector<Block> blocks;  // full attention first
  bool new_style = false;
  std::vector<Json> owned;  // objects that are not in the file
};

inline constexpr std::string_view kLayerTypes[] = {"full_attention",
                                                   "sliding_attention",
                                                   "chunked_attention",
                                                   "window_attention",
                                                   "indexed_attention",
                                                   "compressed_sparse_attention",
                                                   "heavily_compressed_attention",
                                                   "minimax_m3_sparse",
                                                   "conv",
                                                   "moe",
                                                   "hybrid",
                                                   "hybrid_sliding",
                                                   "reference_sliding_attention",
                                                   "linear_attention",
                                                   "sparse",
                                                   "dense",
                                                   "main",
                                                   "compress"};

/// rope_scaling or rope_parameters; nothing where it is absent, null or empty.
inline std::optional<Place> rope_object(Reading& reading, const Place& parent,
                                        std::string_view name) {
  const Json* value = parent.present(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string() && value->get<std::string>() == "none") {
    reading.warn(parent.key(name) + " = \"none\" is read as null; transformers refuse it");
    return std::nullopt;
  }
  if (!value->is_object()) {
    reading.fail(parent, name, "must be an object or null");
    return std::nullopt;
  }
  if (value->empty()) return std::nullopt;
  return Place{value, parent.key(name)};
}

inline bool is_layer_type(std::string_view key, const std::vector<std::string>& file_types) {
  return contains(kLayerTypes, key) ||
         std::find(file_types.begin(), file_types.end(), key) != file_types.end();
}

inline bool is_nested(const Place& place, const std::vector<std::string>& file_types) {
  for (const auto& entry : place.object->items()) {
    if (is_layer_type(entry.key(), file_types) &&
        (entry.value().is_object() || entry.value().is_null()))
      return true;
  }
  return false;
}

inline std::vector<Block> nested_blocks(Reading& reading, const TextModel& model,
                                        const Place& place,
                                        const std::vector<std::string>& file_types) {
  std::vector<Block> blocks;
  for (const auto& entry : place.object->items()) {
    const std::string& name = entry.key();
    if (!is_layer_type(name, file_types)) {
      reading.warn(place.key(name) + " stands beside entries of layer types and is ignored");
      continue;
    }
    Block block;
    block.layer_type = name;
    block.nested = true;
    block.rotated = !entry.value().is_null();
    block.place = {block.rotated ? &entry.value() : nullptr, place.key(name)};
    if (block.rotated && !entry.value().is_object())
      reading.fail(place, name, "must be an object or null");
    blocks.push_back(std::move(block));
  }
  if (const LocalGlobal* family = local_global_of(model.family)) {
    for (const std::string_view name : {"full_attention", "sliding_attention"}) {
      const bool local = name == "sliding_attention";
      const auto same = [name](const Block& block) { return block.layer_type == name; };
      auto block = std::find_if(blocks.begin(), blocks.end(), same);
      if (block == blocks.end()) {
        reading.warn(place.key(name) + " is missing; rope_type \"default\" is assumed");
        Block added;
        added.layer_type = std::string(name);
        added.nested = true;
        added.place.path = place.key(name);
        block = blocks.insert(blocks.end(), std::move(added));
      } else if (!block->rotated) {
        reading.warn(place.key(name) +
                     " = null is read as layers without rotation; "
                     "transformers rotate them plainly in " +
                     model.family);
      }
      block->theta_key = local ? family->local_key : family->global_key;
      block->assumed_theta = local ? family->local_theta : family->global_theta;
    }
  }
  const auto rank = [](const Block& block) {
    return (block.rotated ? 0 : 2) + (block.layer_type == "full_attention" ? 0 : 1);
  };
  std::stable_sort(blocks.begin(), blocks.end(),
                   [rank](const Block& a, const Block& b) { return rank(a) < rank(b); });
  return blocks;
}

/// Full layers with the file's parameters, sliding layers plain or with the same, from an old file.
inline std::vector<Block> local_and_global_blocks(const Place& parameters, const Place& local,
                                                  const LocalGlobal& family) {
  std::vector<Block> blocks(2);
  blocks[0].layer_type = "full_attention";
  blocks[0].place = parameters;
  blocks[0].theta_key = family.global_key;
  blocks[0].assumed_theta = family.global_theta;
  blocks[1].layer_type = "sliding_attention";
  blocks[1].place = local;
  blocks[1].theta_key = family.local_key;
  blocks[1].assumed_theta = family.local_theta;
  return blocks;
}

/// A base beside parameters that the class supplies and that have a base of their own.
inline void warn_of_ignored_base(Reading& reading, const TextModel& model, const Place& supplied) {
  const Json* theta = model.place.present("rope_theta");
  if (theta == nullptr) return;
  const Json* own = supplied.find("rope_theta");
  const bool by_type = supplied.has("full_attention");
  if (by_type || (own != nullptr && *own != *theta)) {
    reading.warn(model.place.key("rope_theta") + " = " + shown(*theta) +
                 " is ignored, because the " + supplied.path + " has a base of its own");
  }
}

inline Parameters parameters_of_file(Reading& reading, const TextModel& model,
                                     const std::vector<std::string>& file_types) {
  Parameters result;
  const auto old_style = rope_object(reading, model.place, "rope_scaling");
  const auto new_style = rope_object(reading, model.place, "rope_parameters");
  if (old_style && new_style) {
    reading.warn(new_style->path + " is ignored, because " + old_style->path +
                 " replaces it in transformers");
  }
  result.new_style = !old_style && new_style;
  Place chosen = old_style ? *old_style : new_style.value_or(Place{nullptr, model.place.path});
  if (chosen.object == nullptr && !parameters_of(model.family).empty()) {
    result.owned.push_back(Json::parse(parameters_of(model.family), nullptr, false));
    chosen = {&result.owned.back(), model.default_source()};
    reading.warn("the file has no rotary parameters; taken is the " + model.default_source());
    warn_of_ignored_base(reading, model, chosen);
  }
  const bool stated = chosen.object != nullptr && is_nested(chosen, file_types);
  if (contains(kOwnSchedules, model.family) && !stated &&
      (chosen.object == nullptr || model.family == "deepseek_v4")) {
    const bool missing = chosen.object == nullptr;
    reading.fail(missing ? model.place.key("rope_parameters") : chosen.path, "",
                 std::string(missing ? "is missing" : "has no entries main and compress") +
                     ", and the class " + model.family +
                     " has a schedule of its own that the file does not state");
  }
  if (reading.failed()) return result;
  if (chosen.object != nullptr && is_nested(chosen, file_types)) {
    result.blocks = nested_blocks(reading, model, chosen, file_types);
    return result;
  }
  if (const LocalGlobal* family = local_global_of(model.family)) {
    if (result.new_style) {
      reading.warn(chosen.path + " has no entries of layer types, so transformers ignore it in " +
                   model.family);
      chosen = {nullptr, chosen.path};
    }
    const Place local = family->scaled_locally ? chosen : Place{nullptr, chosen.path};
    result.blocks = local_and_global_blocks(chosen, local, *family);
    // transformers spread the one object over entries of layer types, and read those.
    for (Block& block : result.blocks) block.nested = true;
    const Json* type = chosen.present("type");
    if (type != nullptr && *type != "default" && chosen.present("rope_type") == nullptr) {
      reading.warn(chosen.key("type") + " = " + shown(*type) +
                   " counts here; transformers 5 read only rope_type in an old " + model.family +
                   " file and would not scale");
    }
    return result;
  }
  if (!model.known()) {
    const auto local = rope_object(reading, model.place, "swa_rope_parameters");
    const std::string_view key = reading.first_of(
        model.place, {"swa_rope_theta", "rope_local_base_freq", "local_rope_theta"});
    if (local || !key.empty()) {
      const bool global = model.place.present("global_rope_theta") != nullptr;
      const LocalGlobal family{{}, global ? "global_rope_theta" : "rope_theta", 0, key, 0, false};
      const Place plain{nullptr, chosen.path};
      result.blocks = local_and_global_blocks(chosen, local.value_or(plain), family);
      return result;
    }
  }
  Block block;
  block.place = chosen;
  result.blocks.push_back(std::move(block));
  return result;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
