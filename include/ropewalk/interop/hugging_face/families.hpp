// Which model types behave alike in transformers 5.23. Leaf; interop only.
#pragma once

#include <cstddef>
#include <string_view>

namespace ropewalk {
inline namespace v0 {
namespace detail {

template <std::size_t Size>
constexpr bool contains(const std::string_view (&names)[Size], std::string_view name) {
  for (const std::string_view entry : names) {
    if (entry == name) return true;
  }
  return false;
}

/// Files whose model_type is that of a composite, an older name, or remote code with a class of its
/// own here.
struct FamilyName {
  std::string_view model_type;
  std::string_view family;
};

inline constexpr FamilyName kFamilyNames[] = {
    {"llama4", "llama4_text"},
    {"gemma3", "gemma3_text"},
    {"gemma3n", "gemma3n_text"},
    {"gemma4", "gemma4_text"},
    {"gemma4_unified", "gemma4_unified_text"},
    {"t5gemma2", "t5gemma2_text"},
    {"t5gemma2_decoder", "t5gemma2_text"},
    {"paligemma", "gemma"},
    {"mistral3", "mistral"},
    {"mistral_large4", "mistral_large4_text"},
    {"llava", "llama"},
    {"llava_next", "llama"},
    {"idefics3", "llama"},
    {"smolvlm", "llama"},
    {"mllama", "mllama_text_model"},
    {"qwen2_vl", "qwen2_vl_text"},
    {"qwen2_5_vl", "qwen2_5_vl_text"},
    {"qwen2_5_omni", "qwen2_5_omni_text"},
    {"qwen3_vl", "qwen3_vl_text"},
    {"qwen3_vl_moe", "qwen3_vl_moe_text"},
    {"qwen3_omni_moe", "qwen3_omni_moe_text"},
    {"qwen3_5", "qwen3_5_text"},
    {"qwen3_5_moe", "qwen3_5_moe_text"},
    {"glm4v", "glm4v_text"},
    {"glm4v_moe", "glm4v_moe_text"},
    {"glm_ocr", "glm_ocr_text"},
    {"ernie4_5_vl_moe", "ernie4_5_vl_moe_text"},
    {"hunyuan", "hunyuan_v1_moe"},
    {"hunyuan_vl", "hunyuan_vl_text"},
    {"kimi_k2", "deepseek_v3"},
    {"kimi_k25", "deepseek_v3"},
    {"kimi_vl", "deepseek_v3"},
    {"modernbert-decoder", "modernbert"},
    {"phi4mm", "phi4_multimodal"},
    {"minimax_m3_vl", "minimax_m3_vl_text"},
};

inline std::string_view family_of(std::string_view model_type) {
  for (const FamilyName& entry : kFamilyNames) {
    if (entry.model_type == model_type) return entry.family;
  }
  return model_type;
}

/// Full and sliding layers rotate with different bases, and an old file has a key for each.
struct LocalGlobal {
  std::string_view family;
  std::string_view global_key;
  double global_theta;
  std::string_view local_key;  // "": the old format has none
  double local_theta;
  bool scaled_locally;  // rope_scaling holds for sliding layers too
};

inline constexpr LocalGlobal kLocalGlobal[] = {
    {"gemma3_text", "rope_theta", 1e6, "rope_local_base_freq", 1e4, false},
    {"gemma3n_text", "rope_theta", 1e6, "rope_local_base_freq", 1e4, false},
    {"t5gemma2_text", "rope_theta", 1e6, "rope_local_base_freq", 1e4, false},
    {"modernbert", "global_rope_theta", 160000, "local_rope_theta", 1e4, true},
    {"olmo3", "rope_theta", 5e5, "", 5e5, false},
};

inline const LocalGlobal* local_global_of(std::string_view family) {
  for (const LocalGlobal& entry : kLocalGlobal) {
    if (entry.family == family) return &entry;
  }
  return nullptr;
}

/// Classes that are scaled even when the file says nothing about it.
struct FamilyParameters {
  std::string_view family;
  std::string_view json;  // in place of rope_parameters
};

inline constexpr FamilyParameters kFamilyParameters[] = {
    {"gpt_oss",
     R"({"rope_type":"yarn","factor":32,"beta_fast":32,"beta_slow":1,"truncate":false,
         "original_max_position_embeddings":4096})"},
    {"openai_privacy_filter",
     R"({"rope_type":"yarn","factor":32,"beta_fast":32,"beta_slow":1,"truncate":false,
         "original_max_position_embeddings":4096})"},
    {"apertus",
     R"({"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,
         "original_max_position_embeddings":8192,"rope_theta":12000000})"},
    {"cwm",
     R"({"rope_type":"llama3","factor":16,"low_freq_factor":1,"high_freq_factor":4,
         "original_max_position_embeddings":8192,"rope_theta":1000000})"},
    {"higgs_audio_v2",
     R"({"rope_type":"llama3","factor":32,"low_freq_factor":0.125,"high_freq_factor":0.5,
         "original_max_position_embeddings":1024,"rope_theta":500000})"},
    {"ministral3",
     R"({"rope_type":"yarn","factor":16,"beta_fast":32,"beta_slow":1,"mscale":1,"mscale_all_dim":1,
         "original_max_position_embeddings":16384,"rope_theta":1000000,
         "llama_4_scaling_beta":0.1})"},
    {"mistral4",
     R"({"rope_type":"yarn","factor":128,"beta_fast":32,"beta_slow":1,"mscale":1,
         "mscale_all_dim":1,"original_max_position_embeddings":8192,"rope_theta":10000,
         "llama_4_scaling_beta":0.1})"},
    {"mistral_large4_text",
     R"({"rope_type":"yarn","factor":2048,"beta_fast":32,"beta_slow":1,"attention_factor":1,
         "original_max_position_embeddings":512,"rope_theta":10000})"},
    {"gemma4_text",
     R"({"full_attention":{"rope_type":"proportional","partial_rotary_factor":0.25,
         "rope_theta":1000000},
         "sliding_attention":{"rope_type":"default","rope_theta":10000}})"},
    {"gemma4_unified_text",
     R"({"full_attention":{"rope_type":"proportional","partial_rotary_factor":0.25,
         "rope_theta":1000000},
         "sliding_attention":{"rope_type":"default","rope_theta":10000}})"},
};

/// Classes whose layers rotate with two schedules of their own even when the file says nothing
/// about it, over layer types that only the class knows.
inline constexpr std::string_view kOwnSchedules[] = {"beam",
                                                     "deepseek_v4",
                                                     "diffusion_gemma_text",
                                                     "dots3_note_text",
                                                     "embedding_gemma2_text",
                                                     "laguna",
                                                     "lfm3",
                                                     "mellum",
                                                     "mimo_v2_flash",
                                                     "neomme",
                                                     "ultrabert",
                                                     "zaya"};

inline std::string_view parameters_of(std::string_view family) {
  for (const FamilyParameters& entry : kFamilyParameters) {
    if (entry.family == family) return entry.json;
  }
  return {};
}

/// Multi-head latent attention: only qk_rope_head_dim elements of a head rotate, stored apart.
inline constexpr std::string_view kLatent[] = {"axk1",           "axk2",
                                               "bailing_hybrid", "deepseek_v2",
                                               "deepseek_v3",    "deepseek_v32",
                                               "glm4_moe_lite",  "glm_moe_dsa",
                                               "hy_v4",          "kimi_linear",
                                               "longcat_flash",  "minicpm3",
                                               "mistral4",       "mistral_large4_text",
                                               "youtu"};

/// Latent classes that read head_dim before qk_rope_head_dim, and take a null head_dim for the
/// quotient of hidden_size and heads.
inline constexpr std::string_view kHeadDimFirst[] = {"axk1", "deepseek_v3", "youtu"};

/// The softmax scale carries the square of YaRN's law with slope mscale_all_dim.
inline constexpr std::string_view kSquaredScale[] = {
    "axk1",         "axk2",          "bailing_hybrid",      "deepseek_v2", "deepseek_v3",
    "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa",         "hy_v4",       "longcat_flash",
    "minicpm3",     "mistral4",      "mistral_large4_text", "youtu"};

/// The softmax scale is query_pre_attn_scalar^-1/2; 256 where the file is silent.
inline constexpr std::string_view kQueryScalar[] = {
    "gemma2", "gemma3_text", "t5gemma2_text", "vaultgemma", "t5_gemma_module", "step3p5"};

/// Queries and keys are normalised and the softmax scale is 1.
inline constexpr std::string_view kUnitScale[] = {"gemma3n_text", "gemma4_text",
                                                  "gemma4_unified_text"};

/// attention_multiplier is the softmax scale itself; 1 where the file is silent.
inline constexpr std::string_view kAttentionMultiplier[] = {
    "granite",     "granitemoe",     "granitemoeshared",    "granitemoehybrid",
    "granite_swa", "granitemoe_swa", "granite_docling_text"};

/// Checkpoints whose rotated pairs are neighbours.
inline constexpr std::string_view kInterleaved[] = {"axk1",
                                                    "axk2",
                                                    "bailing_hybrid",
                                                    "blt",
                                                    "chatglm",
                                                    "codegen",
                                                    "cohere",
                                                    "cohere2",
                                                    "cohere2_moe",
                                                    "deepseek_v2",
                                                    "deepseek_v3",
                                                    "deepseek_v32",
                                                    "deepseek_v4",
                                                    "dots3_note_text",
                                                    "ernie4_5",
                                                    "ernie4_5_moe",
                                                    "ernie4_5_vl_moe_text",
                                                    "glm",
                                                    "glm4",
                                                    "glm4_moe_lite",
                                                    "glm4v_text",
                                                    "glm_moe_dsa",
                                                    "glm_ocr_text",
                                                    "gptj",
                                                    "helium",
                                                    "llama4_text",
                                                    "longcat_flash",
                                                    "mistral4",
                                                    "mistral_large4_text",
                                                    "moonshine",
                                                    "moonshine_streaming",
                                                    "openai_privacy_filter",
                                                    "roformer",
                                                    "youtu"};

/// Only sliding layers rotate.
inline constexpr std::string_view kRotatedWhereSliding[] = {"afmoe", "cohere2", "cohere2_moe",
                                                            "exaone4", "exaone_moe"};

/// Full layers have heads of global_head_dim elements.
inline constexpr std::string_view kGlobalHeads[] = {"gemma4_text", "gemma4_unified_text",
                                                    "diffusion_gemma_text"};

/// partial_rotary_factor counts in these classes for rope_type "default" as well.
inline constexpr std::string_view kPartialByDefault[] = {"phi",
                                                         "phi3",
                                                         "phi4_multimodal",
                                                         "gpt_neox",
                                                         "glm",
                                                         "glm4",
                                                         "glm4_moe",
                                                         "glm4_moe_lite",
                                                         "glm4v_text",
                                                         "glm4v_moe_text",
                                                         "glm_image_text",
                                                         "glm_ocr_text",
                                                         "nemotron",
                                                         "persimmon",
                                                         "stablelm",
                                                         "qwen3_next",
                                                         "qwen3_5_text",
                                                         "qwen3_5_moe_text",
                                                         "minimax_m2",
                                                         "minimax_m3_vl_text",
                                                         "recurrent_gemma",
                                                         "solar_open",
                                                         "bamba",
                                                         "deepseek_v4",
                                                         "laguna",
                                                         "mellum",
                                                         "neomme",
                                                         "step3p5",
                                                         "zaya",
                                                         "mimo_v2_flash",
                                                         "gptj",
                                                         "codegen",
                                                         "chatglm",
                                                         "mistral4",
                                                         "gpt_neox_japanese",
                                                         "qwen4_exp_text",
                                                         "dots3_note_text",
                                                         "diffusion_gemma_text",
                                                         "gemma4_text"};

/// No layer rotates.
inline constexpr std::string_view kUnrotated[] = {"jamba", "nemotron_h"};

/// Positions are learned, added as biases or relative: not rotary, so there is nothing to read.
inline constexpr std::string_view kNotRotary[] = {
    "albert",  "bart", "bert",        "bloom",   "deberta-v2", "distilbert",
    "electra", "gpt2", "gpt_bigcode", "gpt_neo", "mamba",      "mamba2",
    "mt5",     "opt",  "roberta",     "t5",      "whisper",    "xlm-roberta"};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
