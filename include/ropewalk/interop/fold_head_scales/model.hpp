// Where a model keeps the rows of its queries, and what forbids scaling them, from its config.json.
// Leaf; interop only.
#pragma once

#include <ropewalk/interop/head_scales/document.hpp>
#include <ropewalk/interop/hugging_face.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Where the rows of query head h lie in a projection, for H query heads and K key heads, in blocks
/// of head_dim rows (columns, where the weight is stored as (in, out), as Conv1D does).
enum class QueryLayout {
  separate,      ///< q alone:                             [q0 q1 ... qH-1]
  concatenated,  ///< Phi-3, GPT-2, DBRX:                  [q0 ... qH-1][k0 ... kK-1][v0 ... vK-1]
  per_head,      ///< GPT-NeoX, BLOOM, K = H:              [q0 k0 v0][q1 k1 v1] ...
  per_group,  ///< Falcon, InternLM2, G = H / K:        [q0 ... qG-1 k0 v0][qG ... q2G-1 k1 v1] ...
  quarters    ///< CodeGen, K = H, in four parts each:  [q0 ... qH/4-1 v k][qH/4 ... v k] ...
};

/// What the fold needs to know of a model. Zeros where nothing says it: the scales then say how many
/// heads there are, and the projection's rows how wide they are.
struct FoldModel {
  std::string model_type;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;                    ///< 0 also where q is wider than what is rotated (MLA)
  std::optional<QueryLayout> fused;    ///< of a fused projection; none: the type is not known
  std::vector<bool> norm_after_query;  ///< (layers,) or empty: no layer has a norm that
                                       ///< leaves no tensor in the checkpoint
  std::optional<ReadFault> refusal;    ///< why no layer of it can be scaled: it clips q (clip_qkv)
  std::vector<std::string> warnings;
};

namespace detail {

struct FusedFamily {
  std::string_view model_type;
  QueryLayout layout;
};

/// Model types with one projection for q, k and v. Falcon's and GPT-BigCode's depend on more keys.
inline constexpr FusedFamily kFusedFamilies[] = {{"baichuan", QueryLayout::concatenated},
                                                 {"bloom", QueryLayout::per_head},
                                                 {"chatglm", QueryLayout::concatenated},
                                                 {"codegen", QueryLayout::quarters},
                                                 {"dbrx", QueryLayout::concatenated},
                                                 {"gpt2", QueryLayout::concatenated},
                                                 {"gpt_neox", QueryLayout::per_head},
                                                 {"gpt_neox_japanese", QueryLayout::per_head},
                                                 {"internlm2", QueryLayout::per_group},
                                                 {"modernbert", QueryLayout::concatenated},
                                                 {"mpt", QueryLayout::concatenated},
                                                 {"openai-gpt", QueryLayout::concatenated},
                                                 {"persimmon", QueryLayout::per_head},
                                                 {"phi3", QueryLayout::concatenated},
                                                 {"phi4_multimodal", QueryLayout::concatenated},
                                                 {"qwen", QueryLayout::concatenated}};

/// Model types that divide q by its own length without a weight, so that no tensor shows it. Llama 4
/// does so by a key, in the layers that rotate.
inline constexpr std::string_view kSilentNorms[] = {
    "deepseek_v4", "muse_glimmer", "muse_glimmer_text", "muse_spark", "muse_spark_text",
    "nanochat",    "neomme",       "neomme_text"};

inline std::optional<QueryLayout> fused_layout(Reading& reading, const Place& place,
                                               const FoldModel& model) {
  const std::string& type = model.model_type;
  if (type == "falcon" || type == "RefinedWeb" || type == "RefinedWebModel") {
    if (reading.boolean(place, "new_decoder_architecture").value_or(false))
      return QueryLayout::per_group;
    const bool one_key = reading.boolean(place, "multi_query").value_or(true);
    return one_key ? QueryLayout::concatenated : QueryLayout::per_head;
  }
  if (type == "gpt_bigcode") {
    const bool one_key = reading.boolean(place, "multi_query").value_or(true);
    return one_key ? QueryLayout::concatenated : QueryLayout::per_head;
  }
  for (const FusedFamily& family : kFusedFamilies) {
    if (family.model_type == type) return family.layout;
  }
  return std::nullopt;
}

inline int fold_kv_heads(Reading& reading, const Place& place, const FoldModel& model) {
  const std::string& type = model.model_type;
  const bool falcon = type == "falcon" || type == "RefinedWeb" || type == "RefinedWebModel";
  if (type == "gpt_bigcode" || (falcon && model.fused == QueryLayout::concatenated))
    return model.fused == QueryLayout::concatenated ? 1 : model.heads;
  const std::string_view name =
      reading.first_of(place, {"num_key_value_heads", "num_kv_heads", "n_head_kv",
                               "multi_query_group_num", "attn_config.kv_n_heads"});
  if (name.empty()) return model.heads;
  const bool unused = name == "multi_query_group_num" &&
                      !reading.boolean(place, "multi_query_attention").value_or(true);
  if (unused) return model.heads;
  return static_cast<int>(reading.integer(place, name, 1, kMaximumCount).value_or(0));
}

/// Marks the layers whose q is divided by its own length, for what no tensor shows.
inline void find_silent_norms(Reading& reading, const Document& document, const Place& place,
                              FoldModel& model) {
  constexpr std::int64_t most_layers = 4096;
  const std::int64_t layers =
      reading
          .integer(
              place,
              reading.first_of(place, {"num_hidden_layers", "n_layer", "n_layers", "num_layers"}),
              1, most_layers)
          .value_or(most_layers);
  const auto count = static_cast<std::size_t>(layers);
  for (const std::string_view type : kSilentNorms) {
    if (model.model_type == type) model.norm_after_query.assign(count, true);
  }
  const bool llama4 = model.model_type == "llama4_text" || model.model_type == "llama4";
  for (const char* name : {"use_qk_norm", "qk_norm", "use_qk_layernorm", "qk_layernorm",
                           "qk_layernorms", "attn_config.qk_ln", "attn_config.qk_gn"}) {
    const Json* value = place.present(name);
    const bool by_default = llama4 && value == nullptr && std::string_view(name) == "use_qk_norm";
    if (!by_default && (value == nullptr || !value->is_boolean() || !value->get<bool>())) continue;
    model.norm_after_query.assign(count, true);
    if (!llama4) return;
    const Result<ModelConfig> rotary = read_document(document);
    if (!rotary) return;  // all layers stay marked
    for (std::size_t layer = 0; layer < rotary.value().layer_views.size() && layer < count; ++layer)
      model.norm_after_query[layer] = rotary.value().layer_views[layer].rotated;
    return;
  }
}

inline Place text_part(const Json& root) {
  const Place top{&root, ""};
  for (const std::string_view name :
       {"text_config", "thinker_config.text_config", "llm_config", "language_config"}) {
    const Json* value = top.present(name);
    if (value == nullptr || !value->is_object()) continue;
    const Place inner{value, std::string(name)};
    if (describes_heads(inner) || !describes_heads(top)) return inner;
  }
  return top;
}

}  // namespace detail

/// Reads what the fold needs from the text of a model's config.json. Needs less of a config than
/// read_hugging_face_config does: models that do not rotate are read as well.
///   json_text   as for read_hugging_face_config
///   Returns     the model, or a fault that names the key
inline Result<FoldModel> read_fold_model(std::string_view json_text) {
  const Result<detail::Document> document = detail::parse_document(json_text);
  if (!document) return document.fault();
  detail::Reading reading;
  const detail::Place place = detail::text_part(document.value().root);
  FoldModel model;
  model.model_type = reading.text(place, "model_type").value_or("");
  model.heads = static_cast<int>(detail::first_integer(
      reading, place, detail::name_of_heads(reading, place), "heads", detail::kMaximumCount));
  model.fused = detail::fused_layout(reading, place, model);
  model.kv_heads = detail::fold_kv_heads(reading, place, model);
  const bool latent = place.present("qk_rope_head_dim") != nullptr;
  const std::string_view width =
      latent ? std::string_view()
             : reading.first_of(place, {"head_dim", "kv_channels", "attention_head_dim"});
  if (!width.empty()) {
    model.head_dim =
        static_cast<int>(reading.integer(place, width, 1, detail::kMaximumCount).value_or(0));
  }
  for (const char* name : {"clip_qkv", "attn_config.clip_qkv"}) {
    const std::optional<double> clip = reading.number(place, name);
    if (!clip || *clip == 0.0) continue;
    model.refusal =
        ReadFault{place.key(name), detail::shown(*place.find(name)),
                  "clips q behind its projection, so a scaled row gives no scaled logit"};
  }
  if (place.present("attn_logit_softcapping") != nullptr) {
    reading.warn(place.key("attn_logit_softcapping") +
                 " bends the logits after the scale, not before it");
  }
  detail::find_silent_norms(reading, document.value(), place, model);
  if (reading.failed()) return reading.fault();
  model.warnings = reading.warnings;
  return model;
}

/// The same for a file.
inline Result<FoldModel> read_fold_model_file(const std::string& path) {
  const Result<std::string> text = detail::text_of_file(path);
  if (!text) return text.fault();
  return read_fold_model(text.value());
}

}  // namespace v0
}  // namespace ropewalk
