// Lines for the engines that read GGUF files: llama.cpp, Ollama, KoboldCpp, LM Studio. Leaf of
// interop/engine_flags.hpp.
#pragma once

#include <ropewalk/interop/engine_flags/gguf_architecture.hpp>
#include <ropewalk/interop/engine_flags/schedule.hpp>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Divisors that the converter baked into the file stay under every flag, so flags would scale
/// twice. Empty where there are none.
inline std::string baked_divisors(const ModelConfig& model, const EngineSchedule& schedule) {
  const Scaling& scaling = model.variants[schedule.variant].scaling;
  const char* tensor = std::holds_alternative<Llama3>(scaling)     ? "rope_freqs"
                       : std::holds_alternative<LongRope>(scaling) ? "rope_factors_long"
                                                                   : nullptr;
  if (tensor == nullptr) return {};
  return std::string("the GGUF file holds this model's divisors in the tensor ") + tensor +
         ", which no flag replaces, so a flag would scale twice; change config.json as for "
         "transformers4 and convert the model again";
}

/// What every engine on ggml would ignore or cannot do. Empty where it can.
inline std::string ggml_refusal(const ModelConfig& model, const EngineSchedule& schedule) {
  if (schedule.length > 2147483647)
    return "the engine counts the context in 32 bits, so it ends at 2147483647 tokens";
  if (schedule.as_in_file) return {};
  if (std::string baked = baked_divisors(model, schedule); !baked.empty()) return baked;
  if (std::holds_alternative<Llama3>(schedule.scaling)) {
    return "the Llama-3 rule has no flag, it lives in the tensor rope_freqs; change config.json as "
           "for transformers4 and convert the model again (the converter takes the original "
           "length from original_max_position_embeddings at the top of the file, else 8192)";
  }
  if (std::holds_alternative<DynamicNtk>(schedule.scaling)) {
    return "there is no dynamic NTK; the base it reaches at the target length can be given instead";
  }
  if (std::holds_alternative<NtkAware>(schedule.scaling))
    return "alpha has no flag; give the base it leads to";
  if (!theta_only(schedule) && !std::holds_alternative<Linear>(schedule.scaling) &&
      !std::holds_alternative<Proportional>(schedule.scaling) &&
      !std::holds_alternative<Yarn>(schedule.scaling)) {
    return "this method has no flag; it needs its divisors in the tensor rope_freqs";
  }
  if (const auto* yarn = std::get_if<Yarn>(&schedule.scaling)) {
    if (!yarn->truncate) {
      return "YaRN's range is always rounded here and truncate = false ignored, which turns the "
             "pairs between at other frequencies; put the divisors of spectrum --ggml-factors in "
             "the tensor rope_freqs";
    }
    const std::string_view arch = gguf_architecture(model.model_type);
    const bool file_has_slope = arch == "deepseek2" || arch == "mistral3" || arch == "mistral4";
    const bool slopes_cancel = file_has_slope && yarn->mscale && yarn->mscale_all_dim &&
                               *yarn->mscale == *yarn->mscale_all_dim &&
                               !yarn->explicit_attention_factor;
    if (!slopes_cancel && !same_factor(yarn->attention_factor(schedule.config),
                                       yarn_attention_factor(yarn->factor))) {
      return "YaRN's attention factor is always 0.1 ln(factor) + 1 here (--yarn-attn-factor is "
             "overwritten), and this schedule has another";
    }
    if (yarn->extrapolation_factor != 1.0)
      return "an extrapolation factor between 0 and 1 is not what --yarn-ext-factor does here";
  }
  return {};
}

inline double linear_factor(const Scaling& scaling) {
  if (const auto* linear = std::get_if<Linear>(&scaling)) return linear->factor;
  if (const auto* proportional = std::get_if<Proportional>(&scaling)) return proportional->factor;
  return 1.0;
}

/// The whole schedule as GGUF keys, each as --override-kv takes it.
inline std::vector<std::string> gguf_overrides(std::string_view arch, const ModelConfig& model,
                                               const EngineSchedule& schedule) {
  const std::string prefix(arch);
  const std::string length = std::to_string(schedule.length);
  std::vector<std::string> keys;
  if (!schedule.as_in_file) {
    const std::string scaling = prefix + ".rope.scaling.";
    if (const auto* yarn = std::get_if<Yarn>(&schedule.scaling)) {
      keys.push_back(scaling + "type=str:yarn");
      keys.push_back(scaling + "factor=float:" + float32_text(yarn->factor));
      keys.push_back(scaling + "original_context_length=int:" +
                     std::to_string(schedule.config.original_length));
    } else if (!theta_only(schedule)) {
      keys.push_back(scaling + "type=str:linear");
      keys.push_back(scaling + "factor=float:" + float32_text(linear_factor(schedule.scaling)));
    } else if (scaled_in_file(model, schedule)) {
      keys.push_back(scaling + "type=str:none");
    }
    keys.push_back(prefix + ".rope.freq_base=float:" + float32_text(schedule.config.theta));
  }
  keys.push_back(prefix + ".context_length=int:" + length);
  return keys;
}

/// A file with the schedule baked in, for engines without flags.
inline std::string baking_command(std::string_view arch, const ModelConfig& model,
                                  const EngineSchedule& schedule) {
  std::string command = "llama-quantize";
  for (const std::string& key : gguf_overrides(arch, model, schedule))
    command += " --override-kv " + key;
  return command + " MODEL.gguf EXTENDED.gguf COPY";
}

inline std::string unknown_architecture(const ModelConfig& model) {
  return "the GGUF key prefix of model_type \"" + model.model_type +
         "\" is not known here, and a key with another prefix is silently ignored";
}

inline EngineLines llama_cpp_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  if (std::string reason = ggml_refusal(model, schedule); !reason.empty())
    return refused(std::move(reason));
  const std::string length = std::to_string(schedule.length);
  EngineLines lines;
  lines.text = "llama-server -m MODEL.gguf -c " + length;
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (schedule.as_in_file) {
    // Nothing but the length.
  } else if (yarn != nullptr) {
    lines.text += " --rope-scaling yarn --rope-scale " + float32_text(yarn->factor) +
                  " --yarn-orig-ctx " + std::to_string(schedule.config.original_length);
    // By flag, because the file's own values are read for two architectures only.
    if (yarn->beta_fast != Yarn{}.beta_fast)
      lines.text += " --yarn-beta-fast " + float32_text(yarn->beta_fast);
    if (yarn->beta_slow != Yarn{}.beta_slow)
      lines.text += " --yarn-beta-slow " + float32_text(yarn->beta_slow);
  } else if (!theta_only(schedule)) {
    lines.text +=
        " --rope-scaling linear --rope-scale " + float32_text(linear_factor(schedule.scaling));
  } else if (scaled_in_file(model, schedule)) {
    lines.text += " --rope-scaling none";
  }
  if (!schedule.as_in_file &&
      schedule.config.theta != model.variants[schedule.variant].config.theta)
    lines.text += " --rope-freq-base " + float32_text(schedule.config.theta);
  const std::string_view arch = gguf_architecture(model.model_type);
  if (arch.empty()) {
    lines.notes.emplace_back("no --override-kv line for the context length: " +
                             unknown_architecture(model));
  } else {
    // Servers before mid-2026 cap the context at the length in the file.
    lines.text += " --override-kv " + std::string(arch) + ".context_length=int:" + length;
  }
  return lines;
}

inline EngineLines ollama_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  const std::string no_parameter = "Ollama has no rope parameter and ignores one in a Modelfile: ";
  if (std::string reason = ggml_refusal(model, schedule); !reason.empty())
    return refused(no_parameter + reason);
  const std::string_view arch = gguf_architecture(model.model_type);
  if (arch.empty()) {
    return refused(no_parameter + "the GGUF file has to be edited, but " +
                   unknown_architecture(model));
  }
  const auto* yarn = std::get_if<Yarn>(&schedule.scaling);
  if (yarn != nullptr && !schedule.as_in_file) {
    const bool usual = yarn->beta_fast == Yarn{}.beta_fast && yarn->beta_slow == Yarn{}.beta_slow;
    if (!usual && arch != "grok" && arch != "mistral3") {
      return refused(no_parameter +
                     "the GGUF file would carry beta_fast and beta_slow, but they are not read "
                     "for this architecture");
    }
  }
  EngineLines lines;
  lines.text = baking_command(arch, model, schedule) +
               " && printf 'FROM ./EXTENDED.gguf\\nPARAMETER num_ctx " +
               std::to_string(schedule.length) +
               "\\n' > Modelfile && ollama create EXTENDED -f Modelfile";
  lines.notes.emplace_back(
      "has no rope parameter, so the schedule is written into a copy of the GGUF");
  return lines;
}

inline EngineLines koboldcpp_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  if (std::string reason = ggml_refusal(model, schedule); !reason.empty())
    return refused(std::move(reason));
  const std::string length = std::to_string(schedule.length);
  if (schedule.as_in_file) {
    // Beyond what it takes for the trained length the program chooses a base by itself.
    EngineLines lines;
    lines.text = "koboldcpp --model MODEL.gguf --contextsize " + length +
                 " --overridenativecontext " + length;
    return lines;
  }
  if (std::holds_alternative<Yarn>(schedule.scaling)) {
    const std::string_view arch = gguf_architecture(model.model_type);
    return refused("KoboldCpp has no YaRN flag, it takes YaRN from the file only" +
                   (arch.empty()
                        ? ": " + unknown_architecture(model)
                        : ", which this writes:\n" + baking_command(arch, model, schedule)));
  }
  EngineLines lines;
  lines.text = "koboldcpp --model MODEL.gguf --contextsize " + length;
  // Without --ropeconfig the program would choose a base by itself. Its first number is the
  // reciprocal of factor.
  const double factor = linear_factor(schedule.scaling);
  const std::string reciprocal = factor == 1.0 ? "1.0" : float32_text(1.0 / factor);
  lines.text += " --ropeconfig " + reciprocal + " " + float32_text(schedule.config.theta);
  return lines;
}

inline EngineLines lm_studio_lines(const ModelConfig& model, const EngineSchedule& schedule) {
  if (std::string reason = ggml_refusal(model, schedule); !reason.empty())
    return refused(std::move(reason));
  OrderedJson values = OrderedJson::object();
  values["contextLength"] = schedule.length;
  if (schedule.as_in_file) return {false, json_text(values), {}};
  if (std::holds_alternative<Yarn>(schedule.scaling))
    return refused("LM Studio offers no YaRN, only a base and a frequency scale");
  if (!theta_only(schedule)) {
    return refused(
        "LM Studio's text and llama.cpp read ropeFrequencyScale in opposite senses, so a linear "
        "factor cannot be handed over safely");
  }
  if (scaled_in_file(model, schedule)) {
    return refused(
        "the scaling in the GGUF file would stay on under a new base, and LM Studio has no way to "
        "switch it off");
  }
  values["ropeFrequencyBase"] = schedule.config.theta;
  return {false, json_text(values), {}};
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
