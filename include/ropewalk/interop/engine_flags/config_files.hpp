// Members of files and arguments of loaders: transformers, exllama, MLX. Leaf of
// interop/engine_flags.hpp.
#pragma once

#include <ropewalk/interop/engine_flags/rope_object.hpp>
#include <ropewalk/theta.hpp>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Members of config.json, to take the place of those of the same name.
inline EngineLines config_members(const ModelConfig& model, OrderedJson members) {
  const std::string text = json_text(placed(model, std::move(members)));
  EngineLines lines;
  lines.text = text.substr(1, text.size() - 2);
  if (nested_text(model))
    lines.notes.emplace_back("merge the members into " + model.text_key + ", keep its others");
  return lines;
}

inline EngineLines transformers5_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  const std::optional<OrderedJson> object = schedule_object(model, schedule);
  if (!object) return refused(unnamed_method());
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (yarn != nullptr && !yarn->truncate && per_layer_type(model) && !schedule.as_in_file)
    return refused("truncate = false is ignored inside an object for one layer type");
  const std::optional<OrderedJson> parameters = rope_parameters(model, schedule, *object);
  if (!parameters) return refused(unnamed_method());
  OrderedJson members = OrderedJson::object();
  if (!schedule.as_in_file) {
    members["rope_parameters"] = *parameters;
    // Where both exist, the old object replaces the new one whole.
    if (!model.new_style && scaled_in_file(model, schedule)) members["rope_scaling"] = nullptr;
  }
  members["max_position_embeddings"] = stated_length(model, schedule, false);
  return config_members(model, std::move(members));
}

inline EngineLines transformers4_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  if (beyond_old_keys(model))
    return refused("rope_parameters per layer type exist from transformers 5 on");
  const std::optional<OrderedJson> object = schedule_object(model, schedule);
  if (!object) return refused(unnamed_method());
  OrderedJson members = OrderedJson::object();
  if (!schedule.as_in_file) {
    members["rope_theta"] = schedule.config.theta;
    const bool keeps_sections = object->contains("mrope_section");
    members["rope_scaling"] =
        theta_only(schedule) && !keeps_sections ? OrderedJson(nullptr) : OrderedJson(*object);
  }
  members["max_position_embeddings"] = stated_length(model, schedule, false);
  EngineLines lines = config_members(model, std::move(members));
  if (model.new_style) {
    lines.notes.emplace_back(
        "the file is written for transformers 5; is its model_type known to 4?");
  }
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (yarn != nullptr && !schedule.as_in_file) {
    lines.notes.emplace_back(yarn->truncate
                                 ? "needs 4.49 or later: before, YaRN's range counted from "
                                   "max_position_embeddings"
                                 : "needs 4.55 or later: before, truncate was ignored");
  }
  return lines;
}

inline EngineLines exllama_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  if (schedule.as_in_file)
    return {false, "model:\n  max_seq_len: " + std::to_string(schedule.length), {}};
  if (std::holds_alternative<Yarn>(schedule.scaling) ||
      std::holds_alternative<Llama3>(schedule.scaling) ||
      std::holds_alternative<DynamicNtk>(schedule.scaling)) {
    return refused(
        "alpha and a linear factor are all it can be told; change config.json as for "
        "transformers4");
  }
  if (!theta_only(schedule) && !std::holds_alternative<Linear>(schedule.scaling))
    return refused(unnamed_method());
  if (std::holds_alternative<Proportional>(schedule.scaling))
    return refused("alpha's exponent knows nothing of proportional rotation");
  if (per_layer_type(model)) {
    return refused(
        "layers of different types rotate differently in this model, and alpha would move them "
        "all");
  }
  if (scaled_in_file(model, schedule)) {
    return refused(
        "rope_alpha acts on top of the scaling in config.json; change config.json as "
        "for transformers4");
  }
  if (schedule.config.rotary_dim < 4)
    return refused("alpha's exponent needs at least two rotated pairs");
  double alpha = 1.0;
  if (schedule.config.theta != model.variants[schedule.variant].config.theta)
    alpha = exllama_alpha(model.variants[schedule.variant].config, schedule.config.theta);
  const auto* linear = std::get_if<Linear>(&schedule.scaling);
  OrderedJson values = OrderedJson::object();  // only for its way of writing numbers
  values["alpha"] = alpha;
  values["factor"] = linear == nullptr ? 1.0 : linear->factor;
  EngineLines lines;
  lines.text = "model:\n  max_seq_len: " + std::to_string(schedule.length) +
               "\n  rope_scale: " + json_text(values["factor"]) +
               "\n  rope_alpha: " + json_text(values["alpha"]);
  return lines;
}

/// JSON as a Python literal.
inline std::string python_text(const OrderedJson& json) {
  std::string text;
  if (json.is_object()) {
    for (const auto& [key, value] : json.items())
      text += (text.empty() ? "" : ", ") + json_text(key) + ": " + python_text(value);
    return "{" + text + "}";
  }
  if (json.is_null()) return "None";
  if (json.is_boolean()) return json.get<bool>() ? "True" : "False";
  return json_text(json);
}

inline EngineLines mlx_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  if (nested_text(model)) {
    return refused("model_config replaces " + model.text_key +
                   " as a whole; change config.json as for transformers4 or transformers5");
  }
  if (beyond_old_keys(model)) {
    return refused(
        "model_config replaces rope_parameters of every layer type; change config.json "
        "as for transformers5");
  }
  const std::optional<OrderedJson> object = schedule_object(model, schedule);
  if (!object) return refused(unnamed_method());
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (yarn != nullptr && !schedule.as_in_file) {
    if (yarn->explicit_attention_factor)
      return refused("attention_factor is ignored here; only mscale and mscale_all_dim are read");
    if (!yarn->truncate) return refused("truncate = false is ignored here");
  }
  OrderedJson members = OrderedJson::object();
  if (!schedule.as_in_file) {
    members["rope_theta"] = schedule.config.theta;
    if (model.new_style) {
      members["rope_parameters"] = *object;
    } else if (!theta_only(schedule)) {
      OrderedJson old =
          OrderedJson::object();  // "type" is the key read first; both would be a trap elsewhere
      old["type"] = (*object)["rope_type"];
      for (const auto& [key, value] : object->items()) {
        if (key != "rope_type") old[key] = value;
      }
      members["rope_scaling"] = old;
    } else if (scaled_in_file(model, schedule)) {
      members["rope_scaling"] = nullptr;
    }
  }
  members["max_position_embeddings"] = stated_length(model, schedule, false);
  return {false,
          "model, tokenizer = mlx_lm.load(\"MODEL\", model_config=" + python_text(members) + ")",
          {}};
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
