// A schedule in the words of a config.json. Leaf of interop/engine_flags.hpp.
#pragma once

#include <ropewalk/interop/engine_flags/schedule.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The members of one rope_parameters object for a method; nothing where Hugging Face has no name
/// for it.
struct RopeMembers {
  std::string_view rope_type;
  OrderedJson values = OrderedJson::object();
};

inline std::optional<RopeMembers> rope_members(const RopeConfig& config, const Scaling& scaling) {
  RopeMembers members;
  OrderedJson& values = members.values;
  if (std::holds_alternative<Unscaled>(scaling)) {
    members.rope_type = "default";
  } else if (const auto* proportional = std::get_if<Proportional>(&scaling)) {
    members.rope_type = "proportional";
    if (proportional->factor != 1.0) values["factor"] = proportional->factor;
  } else if (const auto* linear = std::get_if<Linear>(&scaling)) {
    members.rope_type = "linear";
    values["factor"] = linear->factor;
  } else if (const auto* dynamic = std::get_if<DynamicNtk>(&scaling)) {
    members.rope_type = "dynamic";
    values["factor"] = dynamic->factor;
  } else if (const auto* alpha = std::get_if<NtkAware>(&scaling)) {
    members.rope_type = "dynamic";
    values["alpha"] = alpha->factor;
  } else if (const auto* yarn = std::get_if<Yarn>(&scaling)) {
    members.rope_type = "yarn";
    values["factor"] = yarn->factor;
    values["original_max_position_embeddings"] = config.original_length;
    if (yarn->beta_fast != Yarn{}.beta_fast) values["beta_fast"] = yarn->beta_fast;
    if (yarn->beta_slow != Yarn{}.beta_slow) values["beta_slow"] = yarn->beta_slow;
    if (!yarn->truncate) values["truncate"] = false;
    if (yarn->mscale) values["mscale"] = *yarn->mscale;
    if (yarn->mscale_all_dim) values["mscale_all_dim"] = *yarn->mscale_all_dim;
    if (yarn->explicit_attention_factor)
      values["attention_factor"] = *yarn->explicit_attention_factor;
    if (yarn->extrapolation_factor != 1.0 || yarn->attn_factor != 1.0) return std::nullopt;
  } else if (const auto* llama3 = std::get_if<Llama3>(&scaling)) {
    members.rope_type = "llama3";
    values["factor"] = llama3->factor;
    values["original_max_position_embeddings"] = config.original_length;
    values["low_freq_factor"] = llama3->low_freq_factor;
    values["high_freq_factor"] = llama3->high_freq_factor;
  } else if (const auto* searched = std::get_if<LongRope>(&scaling)) {
    members.rope_type = "longrope";
    values["factor"] = searched->factor;
    values["original_max_position_embeddings"] = config.original_length;
    values["short_factor"] = searched->short_factor;
    values["long_factor"] = searched->long_factor;
    if (searched->explicit_attention_factor)
      values["attention_factor"] = *searched->explicit_attention_factor;
  } else {
    return std::nullopt;
  }
  return members;
}

/// The share that makes int(head_dim * share) the rotary dimension.
inline double partial_rotary_factor(const RopeConfig& config) {
  const double head_dim = static_cast<double>(config.head_dim);
  const double share = static_cast<double>(config.rotary_dim) / head_dim;
  const double up = share + share * 2.220446049250313e-16;
  return static_cast<int>(head_dim * share) == config.rotary_dim ? share : up;
}

/// What a rope object holds besides its method: the keys that a replaced object would lose.
inline void add_kept_members(const ModelConfig& model, std::size_t variant, OrderedJson& values) {
  const RopeVariant& rope = model.variants[variant];
  if (const auto* proportional = std::get_if<Proportional>(&rope.scaling)) {
    values["partial_rotary_factor"] = proportional->partial_rotary_factor;
  } else if (rope.config.rotary_dim != rope.config.head_dim) {
    values["partial_rotary_factor"] = partial_rotary_factor(rope.config);
  }
  if (!rope.mrope_section.empty()) values["mrope_section"] = rope.mrope_section;
  if (rope.mrope_interleaved) values["mrope_interleaved"] = true;
  for (const LayerView& layer : model.layer_views) {
    if (layer.variant == variant && layer.position_scale.law == PositionScale::Law::ministral) {
      values["llama_4_scaling_beta"] = layer.position_scale.slope;
      break;
    }
  }
}

/// A whole rope object; null for a way of not rotating. Nothing where the method has no name.
inline std::optional<OrderedJson> rope_entry(const ModelConfig& model, std::size_t variant,
                                             const RopeConfig& config, const Scaling& scaling) {
  if (std::holds_alternative<Nope>(scaling)) return OrderedJson(nullptr);
  const std::optional<RopeMembers> members = rope_members(config, scaling);
  if (!members) return std::nullopt;
  OrderedJson object = OrderedJson::object();
  object["rope_type"] = members->rope_type;
  object["rope_theta"] = config.theta;
  for (const auto& [key, value] : members->values.items()) object[key] = value;
  add_kept_members(model, variant, object);
  return object;
}

/// The schedule's own object, without regard to layers of other types.
inline std::optional<OrderedJson> schedule_object(const ModelConfig& model,
                                                  const EngineSchedule& schedule) {
  return rope_entry(model, schedule.variant, schedule.config, schedule.scaling);
}

/// True where the config has one rope object per layer type: layers that rotate differently, or a
/// file that says so. Layers without rotation beside others share the one object and ignore it.
inline bool per_layer_type(const ModelConfig& model) {
  int rotated = 0;
  for (const RopeVariant& rope : model.variants) {
    rotated += rope.rotated ? 1 : 0;
    if (rope.layer_type.empty()) continue;
    const std::string object = "rope_parameters." + rope.layer_type + ".";
    for (const ValueSource& source : model.sources) {
      if (source.key.find(object) != std::string::npos) return true;
    }
  }
  return rotated > 1;
}

/// The whole value of rope_parameters: one object, or one per layer type with the others as the
/// file has them.
inline std::optional<OrderedJson> rope_parameters(const ModelConfig& model,
                                                  const EngineSchedule& schedule,
                                                  const OrderedJson& changed) {
  if (!per_layer_type(model)) return changed;
  OrderedJson all = OrderedJson::object();
  std::size_t index = 0;
  for (const RopeVariant& rope : model.variants) {
    const std::optional<OrderedJson> object =
        index == schedule.variant ? changed : rope_entry(model, index, rope.config, rope.scaling);
    if (!object) return std::nullopt;
    all[rope.layer_type] = *object;
    ++index;
  }
  return all;
}

inline bool nested_text(const ModelConfig& model) { return !model.text_key.empty(); }

/// The overriding members at the place where the file has the text model.
inline OrderedJson placed(const ModelConfig& model, OrderedJson members) {
  if (!nested_text(model)) return members;
  OrderedJson outer = OrderedJson::object();
  outer[model.text_key] = std::move(members);
  return outer;
}

/// Old configs have one rope_scaling for the full-attention layers; files that were born with
/// rope_parameters per layer type cannot be written that way.
inline bool beyond_old_keys(const ModelConfig& model) {
  return model.new_style && per_layer_type(model);
}

/// What max_position_embeddings has to say: the target, except where the engine counts dynamic NTK
/// from it or multiplies it by a linear factor. (Layers of other types are not multiplied, so there
/// it is the target again.)
inline std::int64_t stated_length(const ModelConfig& model, const EngineSchedule& schedule,
                                  bool multiplied) {
  if (schedule.as_in_file) return schedule.length;
  const bool counts =
      std::holds_alternative<DynamicNtk>(schedule.scaling) ||
      (multiplied && !per_layer_type(model) && std::holds_alternative<Linear>(schedule.scaling));
  return counts ? schedule.config.original_length : schedule.length;
}

inline std::string unnamed_method() { return "this method has no rope_type of its own"; }

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
