// The prefix of a model's keys in a GGUF file. Leaf of interop/engine_flags.hpp.
#pragma once

#include <string_view>

namespace ropewalk {
inline namespace v0 {

/// The architecture under which llama.cpp's converter files a model type, and with which every
/// metadata key of the file begins; "" where it is not known, because a key with the wrong prefix
/// is silently ignored.
///   model_type   of the text model, as Hugging Face's config.json spells it
///   Source       llama.cpp, gguf-py constants and converter
inline std::string_view gguf_architecture(std::string_view model_type) noexcept {
  struct Entry {
    std::string_view model_type;
    std::string_view architecture;
  };
  constexpr Entry entries[] = {
      {"afmoe", "afmoe"},
      {"apertus", "apertus"},
      {"arcee", "arcee"},
      {"baichuan", "baichuan"},
      {"bitnet", "bitnet"},
      {"chatglm", "chatglm"},
      {"cohere", "command-r"},
      {"cohere2", "cohere2"},
      {"dbrx", "dbrx"},
      {"deepseek", "deepseek"},
      {"deepseek_v2", "deepseek2"},
      {"deepseek_v3", "deepseek2"},
      {"dots1", "dots1"},
      {"ernie4_5", "ernie4_5"},
      {"ernie4_5_moe", "ernie4_5-moe"},
      {"exaone", "exaone"},
      {"exaone4", "exaone4"},
      {"exaone_moe", "exaone-moe"},
      {"falcon", "falcon"},
      {"falcon_h1", "falcon-h1"},
      {"gemma", "gemma"},
      {"gemma2", "gemma2"},
      {"gemma3", "gemma3"},
      {"gemma3_text", "gemma3"},
      {"gemma3n", "gemma3n"},
      {"gemma3n_text", "gemma3n"},
      {"gemma4", "gemma4"},
      {"gemma4_text", "gemma4"},
      {"glm4", "glm4"},
      {"glm4_moe", "glm4moe"},
      {"gpt_neox", "gptneox"},
      {"gpt_oss", "gpt-oss"},
      {"gptj", "gptj"},
      {"granite", "granite"},
      {"granitemoe", "granitemoe"},
      {"granitemoehybrid", "granitehybrid"},
      {"grok", "grok"},
      {"hunyuan_v1_dense", "hunyuan-dense"},
      {"hunyuan_v1_moe", "hunyuan-moe"},
      {"internlm2", "internlm2"},
      {"internlm3", "llama"},
      {"jamba", "jamba"},
      {"kimi_k2", "deepseek2"},
      {"kimi_linear", "kimi-linear"},
      {"lfm2", "lfm2"},
      {"lfm2_moe", "lfm2moe"},
      {"llama", "llama"},
      {"llama4", "llama4"},
      {"llama4_text", "llama4"},
      {"minicpm", "minicpm"},
      {"minicpm3", "minicpm3"},
      {"minimax_m2", "minimax-m2"},
      {"ministral3", "mistral3"},
      {"mistral", "llama"},
      {"mistral3", "mistral3"},
      {"mistral4", "mistral4"},
      {"mixtral", "llama"},
      {"modernbert", "modern-bert"},
      {"nemotron", "nemotron"},
      {"nemotron_h", "nemotron_h"},
      {"olmo", "olmo"},
      {"olmo2", "olmo2"},
      {"olmo3", "olmo2"},
      {"olmoe", "olmoe"},
      {"orion", "orion"},
      {"phi", "phi2"},
      {"phi3", "phi3"},
      {"phimoe", "phimoe"},
      {"qwen", "qwen"},
      {"qwen2", "qwen2"},
      {"qwen2_5_vl", "qwen2vl"},
      {"qwen2_5_vl_text", "qwen2vl"},
      {"qwen2_moe", "qwen2moe"},
      {"qwen2_vl", "qwen2vl"},
      {"qwen2_vl_text", "qwen2vl"},
      {"qwen3", "qwen3"},
      {"qwen3_5", "qwen35"},
      {"qwen3_5_moe", "qwen35moe"},
      {"qwen3_5_moe_text", "qwen35moe"},
      {"qwen3_5_text", "qwen35"},
      {"qwen3_moe", "qwen3moe"},
      {"qwen3_next", "qwen3next"},
      {"qwen3_vl", "qwen3vl"},
      {"qwen3_vl_moe", "qwen3vlmoe"},
      {"qwen3_vl_moe_text", "qwen3vlmoe"},
      {"qwen3_vl_text", "qwen3vl"},
      {"seed_oss", "seed_oss"},
      {"smollm3", "smollm3"},
      {"stablelm", "stablelm"},
      {"starcoder2", "starcoder2"},
      {"xverse", "xverse"},
  };
  for (const Entry& entry : entries) {
    if (entry.model_type == model_type) return entry.architecture;
  }
  return {};
}

}  // namespace v0
}  // namespace ropewalk
