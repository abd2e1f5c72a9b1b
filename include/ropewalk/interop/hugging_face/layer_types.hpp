// Which kind of attention each layer has, and whether it rotates. Leaf; interop only.
#pragma once

#include <ropewalk/interop/hugging_face/layer_patterns.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// What a file says about its layers before rotation comes in.
struct LayerTypes {
  int layers = 0;                  // 0: the file does not say
  std::vector<std::string> types;  // (layers,), or empty where one kind is all there is
  std::vector<bool> rotated;       // (layers,), or empty: every attention layer
  std::int64_t window = 0;         // of sliding layers; 0: there is none, or unknown
  std::int64_t chunk = 0;          // of chunked layers
};

/// no_rope_layers, where 1 means that the layer HAS rope, or its interval; empty where all rotate.
inline std::vector<bool> rotated_layers(Reading& reading, const TextModel& model, int layers) {
  const Place& place = model.place;
  const bool llama4 = model.family == "llama4_text";
  const bool by_class =
      llama4 || model.family == "smollm3" || model.family == "mistral_large4_text";
  const auto flags = reading.integers(place, "no_rope_layers", 1);
  if (flags && !(llama4 && flags->empty())) {
    if (layers > 0 && flags->size() != static_cast<std::size_t>(layers)) {
      reading.fail(place, "no_rope_layers",
                   "must have one entry per layer, " + std::to_string(layers));
    }
    reading.note("no_rope_layers", place.key("no_rope_layers"));
    return {flags->begin(), flags->end()};
  }
  const auto interval = reading.integer(place, "no_rope_layer_interval", 1, kMaximumCount);
  if (!by_class && !interval) return {};
  reading.note("no_rope_layers",
               interval ? place.key("no_rope_layer_interval") : model.default_source());
  std::vector<bool> rotated(static_cast<std::size_t>(layers));
  for (int layer = 0; layer < layers; ++layer)
    rotated[static_cast<std::size_t>(layer)] = (layer + 1) % interval.value_or(4) != 0;
  return rotated;
}

inline LayerTypes layer_types_of(Reading& reading, const TextModel& model,
                                 const std::vector<std::string>& from_file) {
  LayerTypes result;
  const Place& place = model.place;
  const std::string_view name =
      reading.first_of(place, {"num_hidden_layers", "n_layer", "n_layers", "num_layers"});
  result.layers = static_cast<int>(first_integer(reading, place, name, "layers", kMaximumCount));
  if (!from_file.empty()) {
    if (result.layers == 0) {
      result.layers = static_cast<int>(from_file.size());
      reading.warn(place.key("num_hidden_layers") +
                   " is missing; taken as the length of the list of layer types");
    } else if (from_file.size() != static_cast<std::size_t>(result.layers)) {
      const bool own = place.present("layer_types") != nullptr;
      reading.fail(place, own ? "layer_types" : "layers_block_type",
                   "must have one entry per layer, " + std::to_string(result.layers));
    }
  }
  result.window = family_window(reading, model);
  result.rotated = rotated_layers(reading, model, result.layers);
  if (result.layers == 0) {
    result.layers = static_cast<int>(result.rotated.size());
  }
  result.types = from_file.empty() ? class_layer_types(reading, model, result.layers, result.window)
                                   : from_file;
  if (model.family == "llama4_text") {
    result.chunk = reading.integer(place, "attention_chunk_size")
                       .value_or(place.has("attention_chunk_size") ? 0 : 8192);
    reading.note("window", place.has("attention_chunk_size") ? place.key("attention_chunk_size")
                                                             : model.default_source());
    if (result.types.empty()) {
      for (const bool rotated : result.rotated) {
        const bool chunked = rotated && result.chunk > 0;
        result.types.emplace_back(chunked ? "chunked_attention" : "full_attention");
      }
    }
  } else {
    result.chunk = reading.integer(place, "attention_chunk_size").value_or(0);
  }
  if (contains(kRotatedWhereSliding, model.family) && result.rotated.empty()) {
    const bool hybrid = model.family.rfind("exaone", 0) != 0 || result.window > 0;
    for (const std::string& type : result.types)
      result.rotated.push_back(!hybrid || is_windowed(type));
  }
  return result;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
