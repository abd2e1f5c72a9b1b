// Which layers attend to what in each class, where the file has no list of its own. Leaf; interop
// only.
#pragma once

#include <ropewalk/interop/hugging_face/text_model.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The names in a file's own list, after renaming old ones; empty where the file has no list.
inline std::vector<std::string> file_layer_types(Reading& reading, const TextModel& model) {
  const std::string_view name = reading.first_of(model.place, {"layer_types", "layers_block_type"});
  if (name.empty()) return {};
  std::vector<std::string> types =
      reading.texts(model.place, name).value_or(std::vector<std::string>{});
  for (std::string& type : types) {
    if (type == "attention") type = "full_attention";
    if (type == "mamba") type = "linear_attention";
  }
  return types;
}

inline bool is_windowed(std::string_view type) {
  return type == "sliding_attention" || type == "window_attention" || type == "hybrid_sliding" ||
         type == "reference_sliding_attention";
}

inline bool has_attention(std::string_view type) {
  return type != "linear_attention" && type != "conv" && type != "recurrent";
}

/// The sliding window, null meaning none; `otherwise` where the key is absent.
inline std::int64_t window_of(Reading& reading, const TextModel& model, std::int64_t otherwise) {
  const Place& place = model.place;
  if (model.family == "modernbert") {
    const auto width = reading.integer(place, "local_attention");
    if (width) reading.note("window", place.key("local_attention"));
    return width.value_or(128) / 2;
  }
  if (place.has("sliding_window")) {
    const auto width = reading.integer(place, "sliding_window", 0);
    if (width) reading.note("window", place.key("sliding_window"));
    const bool both_ways = model.family == "gemma3_text" && width &&
                           reading.boolean(place, "use_bidirectional_attention").value_or(false);
    return both_ways ? *width / 2 + 1 : width.value_or(0);
  }
  if (otherwise > 0) reading.note("window", model.default_source());
  return otherwise;
}

/// Every `period`-th layer is full and the others are `local`, the last of each period or the first.
inline std::vector<std::string> periodic(int layers, std::int64_t period, bool last,
                                         std::string_view local) {
  std::vector<std::string> types;
  for (int layer = 0; layer < layers; ++layer) {
    const bool full = period > 0 && (layer + (last ? 1 : 0)) % period == 0;
    types.emplace_back(full ? std::string_view("full_attention") : local);
  }
  return types;
}

/// The pattern of the class where the file has no list. Empty: all layers alike.
inline std::vector<std::string> class_layer_types(Reading& reading, const TextModel& model,
                                                  int layers, std::int64_t window) {
  constexpr std::string_view sliding = "sliding_attention";
  const std::string& family = model.family;
  const struct {
    std::string_view family;
    std::string_view key;  // "": the period is fixed
    std::int64_t period;
    bool last;  // the full layer closes the period
    std::string_view local;
  } patterns[] = {
      {"gemma2", "", 2, true, sliding},
      {"gpt_oss", "", 2, true, sliding},
      {"vaultgemma", "", 2, true, sliding},
      {"t5_gemma_module", "", 2, true, sliding},
      {"gemma3_text", "sliding_window_pattern", 6, true, sliding},
      {"t5gemma2_text", "sliding_window_pattern", 6, true, sliding},
      {"gemma3n_text", "", 5, true, sliding},
      {"gemma4_text", "", 6, true, sliding},
      {"gemma4_unified_text", "", 6, true, sliding},
      {"olmo3", "", 4, true, sliding},
      {"cohere2", "sliding_window_pattern", 4, true, sliding},
      {"cohere2_moe", "sliding_window_pattern", 4, true, sliding},
      {"afmoe", "global_attn_every_n_layers", 4, true, sliding},
      {"modernbert", "global_attn_every_n_layers", 3, false, sliding},
      {"cwm", "", 4, false, sliding},
      {"granite_swa", "", 4, false, sliding},
      {"qwen3_next", "full_attention_interval", 4, true, "linear_attention"},
      {"qwen3_5_text", "full_attention_interval", 4, true, "linear_attention"},
      {"qwen3_5_moe_text", "full_attention_interval", 4, true, "linear_attention"},
      {"olmo_hybrid", "", 4, true, "linear_attention"},
  };
  for (const auto& pattern : patterns) {
    if (pattern.family != family) continue;
    std::int64_t period = pattern.period;
    if (!pattern.key.empty()) {
      const auto value = reading.integer(model.place, pattern.key, 1, kMaximumCount);
      if (value) reading.note("layer_types", model.place.key(pattern.key));
      period = value.value_or(period);
    }
    std::vector<std::string> types = periodic(layers, period, pattern.last, pattern.local);
    if (family.rfind("gemma4", 0) == 0 && !types.empty()) types.back() = "full_attention";
    return types;
  }
  if (family == "exaone4" || family == "exaone_moe") {
    if (window == 0) return {};
    const Json* pattern = model.place.present("sliding_window_pattern");
    if (pattern != nullptr && pattern->is_string()) {
      const std::string letters = pattern->get<std::string>();
      std::vector<std::string> types;
      for (int layer = 0; layer < layers && !letters.empty(); ++layer) {
        const char letter = letters[static_cast<std::size_t>(layer) % letters.size()];
        if (letter != 'L' && letter != 'G')
          reading.fail(model.place, "sliding_window_pattern", "must be of the letters L and G");
        types.emplace_back(letter == 'L' ? sliding : "full_attention");
      }
      return types;
    }
    const auto period = reading.integer(model.place, "sliding_window_pattern", 1, kMaximumCount);
    return periodic(layers, period.value_or(4), true, sliding);
  }
  const bool from_layer = family == "qwen2" || family == "qwen2_vl_text" || family == "qwen3" ||
                          family == "qwen2_5_vl_text" || family == "dots1" ||
                          family == "qwen2_5_omni_text" || family == "qwen2_moe";
  if (from_layer && window > 0) {
    const std::int64_t first =
        reading.integer(model.place, "max_window_layers", 0, kMaximumCount).value_or(28);
    std::vector<std::string> types;
    for (int layer = 0; layer < layers; ++layer) {
      const bool local =
          family == "qwen2_moe" ? (layer + 1) % 2 != 0 && layer < first : layer >= first;
      types.emplace_back(local ? sliding : "full_attention");
    }
    return types;
  }
  return {};
}

/// The window every layer of a class has where all are alike, or that of its sliding layers.
inline std::int64_t family_window(Reading& reading, const TextModel& model) {
  const std::string& family = model.family;
  const struct {
    std::string_view family;
    std::int64_t window;  // where the key is absent
    bool optional;        // use_sliding_window decides, false where absent
  } windows[] = {
      {"mistral", 4096, false},
      {"mixtral", 0, false},
      {"phi3", 0, false},
      {"starcoder2", 0, false},
      {"ministral", 4096, false},
      {"ministral3", 0, false},
      {"phi4_multimodal", 0, false},
      {"phimoe", 0, false},
      {"gpt_oss", 128, false},
      {"gemma2", 4096, false},
      {"gemma3_text", 4096, false},
      {"gemma3n_text", 512, false},
      {"gemma4_text", 512, false},
      {"gemma4_unified_text", 512, false},
      {"t5gemma2_text", 4096, false},
      {"vaultgemma", 4096, false},
      {"t5_gemma_module", 4096, false},
      {"olmo3", 4096, false},
      {"cohere2", 4096, false},
      {"cohere2_moe", 4096, false},
      {"exaone4", 4096, false},
      {"exaone_moe", 4096, false},
      {"afmoe", 1024, false},
      {"modernbert", 128, false},
      {"cwm", 8192, false},
      {"granite_swa", 4096, false},
      {"qwen2", 4096, true},
      {"qwen2_vl_text", 4096, true},
      {"qwen2_5_vl_text", 4096, true},
      {"qwen2_5_omni_text", 32768, true},
      {"qwen3", 4096, true},
      {"dots1", 4096, true},
      {"qwen2_moe", 4096, true},
      {"qwen3_moe", 4096, true},
      {"smollm3", 0, true},
  };
  for (const auto& entry : windows) {
    if (entry.family != family) continue;
    if (entry.optional && !reading.boolean(model.place, "use_sliding_window").value_or(false))
      return 0;
    return window_of(reading, model, entry.window);
  }
  const bool listed = model.place.present("layer_types") != nullptr;
  if (model.known() && !listed) return 0;  // the class does not read the key
  if (!reading.boolean(model.place, "use_sliding_window").value_or(true)) return 0;
  return window_of(reading, model, 0);
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
