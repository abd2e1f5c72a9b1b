// What each layer runs with: variant, mask, position scale, softmax multiplier. Leaf; interop only.
#pragma once

#include <ropewalk/interop/hugging_face/layer_types.hpp>
#include <ropewalk/interop/hugging_face/variants.hpp>

#include <algorithm>
#include <cmath>
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

/// The multiplier of 1 / sqrt(query head_dim) that the layers of a block have.
inline double softmax_multiplier_of(Reading& reading, const TextModel& model, const Block& block,
                                    const RopeVariant& variant) {
  const Place& place = model.place;
  const double head_dim = variant.config.head_dim;
  if (contains(kSquaredScale, model.family)) {
    const double slope = reading.at_least(block.place, "mscale_all_dim", 0.0).value_or(0.0);
    const double factor = reading.positive(block.place, "factor").value_or(1.0);
    if (reading.failed() || variant.rope_type == "default" || slope == 0.0) return 1.0;
    reading.note(block.prefix() + "softmax_multiplier", block.place.key("mscale_all_dim"));
    return deepseek_softmax_multiplier(factor, slope);
  }
  if (contains(kQueryScalar, model.family)) {
    const auto value = reading.positive(place, "query_pre_attn_scalar");
    reading.note(block.prefix() + "softmax_multiplier",
                 value ? place.key("query_pre_attn_scalar") : model.default_source());
    return std::sqrt(head_dim / value.value_or(256.0));
  }
  if (contains(kUnitScale, model.family)) {
    reading.note(block.prefix() + "softmax_multiplier", model.default_source());
    return std::sqrt(head_dim);
  }
  const bool hyperclova = model.family == "hyperclovax";
  if (contains(kAttentionMultiplier, model.family) || hyperclova) {
    const auto value = reading.positive(place, "attention_multiplier");
    reading.note(block.prefix() + "softmax_multiplier",
                 value ? place.key("attention_multiplier") : model.default_source());
    if (!value && hyperclova) return 1.0;
    const double assumed = model.family == "granite_docling_text" ? 0.015625 : 1.0;
    return value.value_or(assumed) * std::sqrt(head_dim);
  }
  return 1.0;
}

/// The law that sharpens with position, and whether it holds on layers without rotation only.
struct Sharpening {
  PositionScale scale;
  bool unrotated_only = false;
};

inline Sharpening sharpening_of(Reading& reading, const TextModel& model, const Block& block) {
  using Law = PositionScale::Law;
  const Place& place = model.place;
  if (model.family == "llama4_text") {
    const Json* tuning = place.present("attn_temperature_tuning");
    bool on = tuning == nullptr ? !place.has("attn_temperature_tuning") : false;
    if (tuning != nullptr && tuning->is_boolean()) {
      on = tuning->get<bool>();
    } else if (tuning != nullptr) {
      on = reading.integer(place, "attn_temperature_tuning", 0).value_or(0) != 0;
    }
    const std::int64_t floor_scale = reading.integer(place, "floor_scale").value_or(8192);
    const double slope = reading.at_least(place, "attn_scale", 0.0).value_or(0.1);
    reading.note("position_scale",
                 tuning != nullptr ? place.key("attn_temperature_tuning") : model.default_source());
    if (!on) return {};
    return {{Law::llama4, slope, floor_scale}, true};
  }
  const auto ministral = [&](const Place& from, std::string_view name) -> Sharpening {
    const double beta = reading.at_least(from, name, 0.0).value_or(0.0);
    const auto length = reading.integer(from, "original_max_position_embeddings");
    if (!length)
      reading.missing(from, "original_max_position_embeddings", "for the position scale");
    reading.note("position_scale", from.key(name));
    return {{Law::ministral, beta, length.value_or(1)}, false};
  };
  if (block.place.present("llama_4_scaling_beta") != nullptr) {
    const bool taken = model.family == "ministral3" || model.family == "mistral4" ||
                       model.family == "mistral_large4_text" || !model.known();
    if (taken) return ministral(block.place, "llama_4_scaling_beta");
    reading.warn(block.place.key("llama_4_scaling_beta") + " is ignored by transformers in " +
                 model.family);
  }
  if (const auto native = rope_object(reading, place, "llama_4_scaling"))
    return ministral(*native, "beta");
  if (reading.boolean(place, "use_logn_attn").value_or(false)) {
    const auto length = reading.integer(place, "seq_length", 2);
    if (!length) reading.missing(place, "seq_length", "for use_logn_attn");
    reading.note("position_scale", place.key("use_logn_attn"));
    return {{Law::log_n, 0.0, length.value_or(2)}, false};
  }
  return {};
}

/// Whether a key of the whole model takes the rotation from every layer.
inline bool rotates_at_all(Reading& reading, const TextModel& model) {
  const Place& place = model.place;
  if (contains(kUnrotated, model.family)) {
    reading.note("rope_type", model.default_source());
    return false;
  }
  for (const std::string_view key : {"alibi", "attn_config.alibi"}) {
    if (reading.boolean(place, key).value_or(false))
      reading.fail(place, key, "adds position biases, so there are no frequencies");
  }
  if (const auto use = reading.boolean(place, "use_rope"); use && !*use) {
    reading.note("rope_type", place.key("use_rope"));
    return false;
  }
  if (const auto nope = reading.boolean(place, "mla_use_nope"); nope && *nope) {
    reading.note("rope_type", place.key("mla_use_nope"));
    return false;
  }
  if (const auto kind = reading.text(place, "position_embedding_type")) {
    const bool granite = model.family.rfind("granite", 0) == 0;
    if (*kind == "nope" && (granite || !model.known())) {
      reading.note("rope_type", place.key("position_embedding_type"));
      return false;
    }
    if (*kind != "rope" && *kind != "rotary") {
      reading.warn(place.key("position_embedding_type") + " = \"" + shortened(*kind) +
                   "\" is ignored");
    }
  }
  return true;
}

/// Index of the variant without rotation, which is added where a layer needs it.
inline std::size_t unrotated_variant(std::vector<RopeVariant>& variants, std::string layer_type) {
  for (std::size_t index = 0; index < variants.size(); ++index) {
    if (!variants[index].rotated) return index;
  }
  RopeVariant nope;
  nope.layer_type = std::move(layer_type);
  nope.rope_type = "nope";
  nope.rotated = false;
  nope.config = variants.front().config;
  nope.scaling = Nope{};
  variants.push_back(std::move(nope));
  return variants.size() - 1;
}

/// Index of the variant of a layer type in a model with one per type.
inline std::optional<std::size_t> variant_index(const std::vector<RopeVariant>& variants,
                                                std::string_view layer_type) {
  for (std::size_t index = 0; index < variants.size(); ++index) {
    if (variants[index].layer_type == layer_type) return index;
  }
  return std::nullopt;
}

/// Fills layer_views, and adds the variant without rotation where layers need one.
inline void add_layer_views(Reading& reading, const TextModel& model, const LayerTypes& types,
                            const Sharpening& sharpening, const std::vector<double>& multipliers,
                            ModelConfig& result) {
  std::vector<RopeVariant>& variants = result.variants;
  const bool by_type = !variants.front().layer_type.empty();
  const bool typed_nope = contains(kRotatedWhereSliding, model.family);
  for (int layer = 0; layer < types.layers; ++layer) {
    const auto index = static_cast<std::size_t>(layer);
    LayerView view;
    if (!types.types.empty()) view.layer_type = types.types[index];
    const std::string_view type = view.layer_type;
    if (!type.empty() && !has_attention(type)) {
      view.mask = MaskKind::none;
      view.rotated = false;
      result.layer_views.push_back(std::move(view));
      continue;
    }
    if (by_type && !type.empty()) {
      const auto found = variant_index(variants, type);
      if (!found) {
        reading.fail(model.place.key(result.new_style ? "rope_parameters" : "rope_scaling") + '.' +
                         std::string(type),
                     "", "is missing, and layer " + std::to_string(layer) + " is of this type");
        return;
      }
      view.variant = *found;
    }
    view.rotated =
        variants[view.variant].rotated && (types.rotated.empty() || types.rotated[index]);
    if (!view.rotated && variants[view.variant].rotated)
      view.variant = unrotated_variant(variants, typed_nope ? std::string(type) : "nope");
    if (is_windowed(type) || (type.empty() && types.window > 0)) {
      view.mask = MaskKind::sliding;
      view.window = types.window;
    } else if (type == "chunked_attention") {
      view.mask = MaskKind::chunked;
      view.window = types.chunk;
    }
    if (!sharpening.unrotated_only || !view.rotated) view.position_scale = sharpening.scale;
    view.softmax_multiplier = multipliers[(std::min)(view.variant, multipliers.size() - 1)];
    result.layer_views.push_back(std::move(view));
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
