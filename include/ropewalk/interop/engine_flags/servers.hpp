// Commands for the servers that take parts of a config.json: vLLM, SGLang, TensorRT-LLM. Leaf of
// interop/engine_flags.hpp.
#pragma once

#include <ropewalk/interop/engine_flags/rope_object.hpp>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// vLLM and SGLang know m(factor) * attn_factor only, except for DeepSeek's kin, where they read
/// both mscale keys. Anything else is put as attn_factor; the keys they ignore are left out.
inline void spell_attention_factor(const ModelConfig& model, const EngineSchedule& schedule,
                                   OrderedJson& object) {
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (yarn == nullptr || (deepseek_kin(model) && !yarn->explicit_attention_factor)) return;
  object.erase("mscale");
  object.erase("mscale_all_dim");
  object.erase("attention_factor");
  const double wanted = yarn->attention_factor(schedule.config);
  const double given = yarn_attention_factor(yarn->factor);
  if (!same_factor(wanted, given)) object["attn_factor"] = wanted / given;
}

/// False where the original length times factor, rounded down, would fall short of the target.
inline bool reaches_target(const EngineSchedule& schedule, double factor) {
  return static_cast<double>(schedule.config.original_length) * factor >=
         static_cast<double>(schedule.length);
}

inline bool vllm_needs_permission(const ModelConfig& model, const EngineSchedule& schedule) {
  if (nested_text(model) || per_layer_type(model) || schedule.as_in_file) return true;
  if (const auto* yarn = std::get_if<Yarn>(&schedule.scaling))
    return !reaches_target(schedule, yarn->factor);
  if (const auto* linear = std::get_if<Linear>(&schedule.scaling))
    return !reaches_target(schedule, linear->factor);
  if (const auto* dynamic = std::get_if<DynamicNtk>(&schedule.scaling))
    return !reaches_target(schedule, dynamic->factor);
  return false;
}

inline std::string vllm_serve(const ModelConfig& model, const EngineSchedule& schedule) {
  return vllm_needs_permission(model, schedule)
             ? "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 vllm serve MODEL "
             : "vllm serve MODEL ";
}

inline EngineLines vllm_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  const auto* proportional = std::get_if<Proportional>(&schedule.scaling);
  if (proportional != nullptr && proportional->factor != 1.0 && !schedule.as_in_file)
    return refused("factor is ignored under proportional rotation");
  std::optional<OrderedJson> object = schedule_object(model, schedule);
  if (!object) return refused(unnamed_method());
  spell_attention_factor(model, schedule, *object);
  const std::optional<OrderedJson> parameters = rope_parameters(model, schedule, *object);
  if (!parameters) return refused(unnamed_method());
  OrderedJson members = OrderedJson::object();
  if (!schedule.as_in_file) members["rope_parameters"] = *parameters;
  members["max_position_embeddings"] = stated_length(model, schedule, true);
  EngineLines lines;
  lines.text = vllm_serve(model, schedule) + "--hf-overrides " +
               quoted_json(placed(model, std::move(members))) + " --max-model-len " +
               std::to_string(schedule.length);
  if (std::holds_alternative<Yarn>(schedule.scaling) &&
      !model.variants[schedule.variant].mrope_section.empty()) {
    lines.notes.emplace_back(
        "counts YaRN's range from four times the original length in models with M-RoPE, which "
        "keeps more pairs unscaled than elsewhere");
  }
  return lines;
}

inline EngineLines vllm_0_10_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  if (beyond_old_keys(model))
    return refused("rope_parameters per layer type are unknown before vLLM 0.11.1");
  std::optional<OrderedJson> object = schedule_object(model, schedule);
  if (!object) return refused(unnamed_method());
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (yarn != nullptr && !yarn->truncate && !schedule.as_in_file)
    return refused("truncate = false is ignored before vLLM 0.11.1");
  spell_attention_factor(model, schedule, *object);
  const std::string length = std::to_string(schedule.length);
  EngineLines lines;
  // The flag leaves the length to be multiplied by factor, which is not done for llama3.
  if (!theta_only(schedule) && !nested_text(model) && !schedule.as_in_file &&
      !std::holds_alternative<Llama3>(schedule.scaling) &&
      schedule.config.theta == model.variants[schedule.variant].config.theta) {
    lines.text = vllm_serve(model, schedule) + "--rope-scaling " + quoted_json(*object) +
                 " --max-model-len " + length;
    return lines;
  }
  OrderedJson members = OrderedJson::object();
  if (!schedule.as_in_file) {
    members["rope_theta"] = schedule.config.theta;
    const bool keeps_sections = object->contains("mrope_section");
    if (!theta_only(schedule) || keeps_sections) {
      members["rope_scaling"] = *object;
    } else if (scaled_in_file(model, schedule)) {
      members["rope_scaling"] = nullptr;
    }
  }
  members["max_position_embeddings"] = stated_length(model, schedule, true);
  lines.text = vllm_serve(model, schedule) + "--hf-overrides " +
               quoted_json(placed(model, std::move(members))) + " --max-model-len " + length;
  return lines;
}

inline EngineLines sglang_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  std::optional<OrderedJson> object = schedule_object(model, schedule);
  if (!object) return refused(unnamed_method());
  spell_attention_factor(model, schedule, *object);
  const std::optional<OrderedJson> parameters = rope_parameters(model, schedule, *object);
  if (!parameters) return refused(unnamed_method());
  OrderedJson members = OrderedJson::object();
  if (!schedule.as_in_file) {
    if (!per_layer_type(model)) members["rope_theta"] = schedule.config.theta;
    // Releases on transformers 5 read rope_scaling as another name of rope_parameters.
    members[per_layer_type(model) || nested_text(model) ? "rope_parameters" : "rope_scaling"] =
        *parameters;
  }
  members["max_position_embeddings"] = stated_length(model, schedule, true);
  EngineLines lines;
  lines.text =
      "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=1 python -m sglang.launch_server "
      "--model-path MODEL --json-model-override-args " +
      quoted_json(placed(model, std::move(members))) + " --context-length " +
      std::to_string(schedule.length);
  if (nested_text(model)) {
    lines.notes.emplace_back("needs a release of mid-2026 or later: before, an override inside " +
                             model.text_key + " replaced that whole part of the config");
  }
  return lines;
}

inline EngineLines tensorrt_llm_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  if (per_layer_type(model) && !schedule.as_in_file)
    return refused("model_kwargs is not known to tell layer types apart");
  if (nested_text(model)) {
    return refused(
        "model_kwargs ignores unknown keys and is not known to reach nested ones; "
        "change config.json as for transformers4 or transformers5");
  }
  const std::optional<OrderedJson> object = schedule_object(model, schedule);
  if (!object) return refused(unnamed_method());
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (yarn != nullptr && !schedule.as_in_file) {
    if (yarn->explicit_attention_factor || !yarn->truncate) {
      return refused(
          "attention_factor and truncate are not among the keys known to be read, and "
          "unknown keys are ignored");
    }
  }
  OrderedJson members = OrderedJson::object();
  if (!schedule.as_in_file) {
    members["rope_theta"] = schedule.config.theta;
    if (!theta_only(schedule) || object->contains("mrope_section")) {
      members["rope_scaling"] = *object;
    } else if (scaled_in_file(model, schedule)) {
      members["rope_scaling"] = nullptr;
    }
  }
  members["max_position_embeddings"] = stated_length(model, schedule, false);
  OrderedJson extra = OrderedJson::object();  // JSON is YAML
  extra["model_kwargs"] = std::move(members);
  EngineLines lines;
  lines.text = "echo " + quoted_json(extra) +
               " > extra.yml && trtllm-serve MODEL --extra_llm_api_options extra.yml "
               "--max_seq_len " +
               std::to_string(schedule.length);
  lines.notes.emplace_back("ignores unknown keys in model_kwargs without a word");
  return lines;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
