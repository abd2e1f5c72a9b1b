// Commands for the servers that take parts of a config.json: vLLM, SGLang, TensorRT-LLM. Leaf of
// interop/engine_flags.hpp.
#pragma once

#include <ropewalk/interop/engine_flags/rope_object.hpp>
#include <ropewalk/temperature.hpp>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// vLLM and SGLang know m(factor) * attn_factor only, except for DeepSeek's kin, where they read
/// both mscale keys (by default 1 and 0). Anything else is put as attn_factor. Keys they ignore are
/// left out, except where the file has them: there each gets the value that agrees.
inline void spell_attention_factor(const ModelConfig& model, const EngineSchedule& schedule,
                                   OrderedJson& object) {
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (yarn == nullptr) return;
  const Scaling& in_file = model.variants[schedule.variant].scaling;
  const auto* old = std::get_if<Yarn>(&in_file);
  const auto* searched = std::get_if<LongRope>(&in_file);
  const bool kin = deepseek_kin(model);
  const bool old_slope = old != nullptr && old->mscale.has_value();
  const bool old_slope_all = old != nullptr && old->mscale_all_dim.has_value();
  const bool old_factor = (old != nullptr && old->explicit_attention_factor.has_value()) ||
                          (searched != nullptr && searched->explicit_attention_factor.has_value());
  if (!kin) {
    object.erase("mscale");
    object.erase("mscale_all_dim");
  }
  object.erase("attention_factor");
  const double slope = yarn->mscale.value_or(1.0);
  const double slope_all = yarn->mscale_all_dim.value_or(0.0);
  if (old_slope) object["mscale"] = slope;
  if (old_slope_all) object["mscale_all_dim"] = slope_all;
  const double wanted = yarn->attention_factor(schedule.config);
  const double given = kin ? deepseek_attention_factor(yarn->factor, slope, slope_all)
                           : yarn_attention_factor(yarn->factor);
  const bool same = same_factor(wanted, given);
  if (old_factor || (!kin && (old_slope || old_slope_all))) object["attention_factor"] = wanted;
  if (!same || (!kin && old != nullptr)) object["attn_factor"] = same ? 1.0 : wanted / given;
}

/// These servers merge an override into the file's own rope object, so a key that is left out keeps
/// what the file says. Every such key that the schedule does not share is stated.
inline void state_merged_members(const ModelConfig& model, const EngineSchedule& schedule,
                                 OrderedJson& object) {
  spell_attention_factor(model, schedule, object);
  const RopeVariant& rope = model.variants[schedule.variant];
  const bool scaled = is_scaled(rope.scaling);
  // Both names of one key must agree.
  if ((scaled || !rope.mrope_section.empty()) && object["rope_type"] != rope.rope_type)
    object["type"] = object["rope_type"];
  if (scaled && !object.contains("factor")) object["factor"] = 1.0;
  const auto* old = std::get_if<Yarn>(&rope.scaling);
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (old == nullptr || yarn == nullptr) return;
  if (old->beta_fast != Yarn{}.beta_fast) object["beta_fast"] = yarn->beta_fast;
  if (old->beta_slow != Yarn{}.beta_slow) object["beta_slow"] = yarn->beta_slow;
  if (!old->truncate) object["truncate"] = yarn->truncate;
}

/// vLLM reads a merged alpha before factor, and nothing that can be stated takes it away. Empty
/// where there is none.
inline std::string merged_alpha(const ModelConfig& model, const EngineSchedule& schedule) {
  const bool stays = !schedule.as_in_file && std::holds_alternative<DynamicNtk>(schedule.scaling) &&
                     std::holds_alternative<NtkAware>(model.variants[schedule.variant].scaling);
  return stays ? "alpha in the file stays under every override and is read before factor" : "";
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
  if (std::string alpha = merged_alpha(model, schedule); !alpha.empty())
    return refused(std::move(alpha));
  const auto* proportional = std::get_if<Proportional>(&schedule.scaling);
  if (proportional != nullptr && proportional->factor != 1.0 && !schedule.as_in_file)
    return refused("factor is ignored under proportional rotation");
  std::optional<OrderedJson> object = schedule_object(model, schedule);
  if (!object) return refused(unnamed_method());
  state_merged_members(model, schedule, *object);
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
  if (std::string alpha = merged_alpha(model, schedule); !alpha.empty())
    return refused(std::move(alpha));
  if (beyond_old_keys(model))
    return refused("rope_parameters per layer type are unknown before vLLM 0.11.1");
  std::optional<OrderedJson> object = schedule_object(model, schedule);
  if (!object) return refused(unnamed_method());
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (yarn != nullptr && !yarn->truncate && !schedule.as_in_file)
    return refused("truncate = false is ignored before vLLM 0.11.1");
  state_merged_members(model, schedule, *object);
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
  state_merged_members(model, schedule, *object);
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
