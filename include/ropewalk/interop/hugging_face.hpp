// A model's config.json to plain values: what it rotates with, layer by layer, and which key said
// so. Leaf; needs nlohmann/json, which nothing else in the library does.
#pragma once

#include <ropewalk/interop/hugging_face/layers.hpp>
#include <ropewalk/interop/model.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The configuration file of gpt-oss as released beside its own code: flat keys, no type.
inline bool original_gpt_oss(Reading& reading, const TextModel& model, Parameters& parameters) {
  const Place& top = model.place;
  const bool flat = model.family.empty() && top.present("rope_scaling_factor") != nullptr &&
                    top.present("initial_context_length") != nullptr &&
                    parameters.blocks.front().place.object == nullptr;
  if (!flat) return false;
  const Place source = top;
  const auto copy = [&](std::string_view from) {
    const Json* value = source.present(from);
    return value == nullptr ? Json() : *value;
  };
  Json object = Json::object();
  object["rope_type"] = "yarn";
  object["factor"] = copy("rope_scaling_factor");
  object["original_max_position_embeddings"] = copy("initial_context_length");
  object["beta_fast"] = copy("rope_ntk_beta");
  object["beta_slow"] = copy("rope_ntk_alpha");
  object["truncate"] = false;
  parameters.owned.push_back(std::move(object));
  parameters.blocks.front().place.object = &parameters.owned.back();
  reading.warn("rope_scaling_factor and initial_context_length are read as gpt-oss's own file");
  return true;
}

inline Result<ModelConfig> read_document(const Document& document) {
  Reading reading;
  reading.warnings = document.warnings;
  const TextModel model = text_model(reading, document.root);
  ModelConfig result;
  result.model_type = model.model_type;
  result.text_key = model.text_key;
  const Place top{&document.root, ""};
  if (const auto names = reading.texts(top, "architectures")) result.architectures = *names;
  if (result.architectures.empty()) {
    if (const auto names = reading.texts(model.place, "architectures"))
      result.architectures = *names;
  }
  const std::vector<std::string> file_types = file_layer_types(reading, model);
  const LayerTypes types = layer_types_of(reading, model, file_types);
  Parameters parameters = parameters_of_file(reading, model, file_types);
  if (reading.failed()) return reading.fault();
  original_gpt_oss(reading, model, parameters);

  result.new_style = parameters.new_style;
  result.layers = types.layers;
  result.heads = static_cast<int>(first_integer(
      reading, model.place, name_of_heads(reading, model.place), "heads", kMaximumCount));
  const std::string_view kv_name =
      reading.first_of(model.place, {"num_key_value_heads", "num_kv_heads", "n_head_kv",
                                     "multi_query_group_num", "attn_config.kv_n_heads"});
  result.kv_heads =
      static_cast<int>(first_integer(reading, model.place, kv_name, "kv_heads", kMaximumCount));
  if (result.kv_heads == 0) result.kv_heads = result.heads;

  std::int64_t length = file_length(reading, model);
  const bool rotates = rotates_at_all(reading, model);
  std::vector<double> multipliers;
  for (Block& block : parameters.blocks) {
    block.rotated = block.rotated && rotates;
    RopeVariant variant = variant_of(reading, model, block, length);
    if (reading.failed()) return reading.fault();
    multipliers.push_back(softmax_multiplier_of(reading, model, block, variant));
    result.variants.push_back(std::move(variant));
  }
  const Block& first = parameters.blocks.front();
  const Lengths lengths = lengths_of(reading, model, first, length, result.variants.front());
  result.original_length = lengths.original;
  result.claimed_length = lengths.claimed;
  const std::string length_key =
      reading.source("max_position_embeddings", "max_position_embeddings");
  if (length > 0) {
    const bool scaled = lengths.claimed != length;
    reading.note("claimed_length",
                 scaled ? "derived: factor * " +
                              reading.source(first.prefix() + "original_length", length_key)
                        : length_key);
    const bool divided = lengths.original != length;
    if (reading.source(first.prefix() + "original_length", "").empty()) {
      reading.note(first.prefix() + "original_length",
                   divided ? "derived: " + length_key + " / factor" : length_key);
    }
  }
  for (RopeVariant& variant : result.variants) {
    const bool plain = variant.rope_type == "default" || !variant.rotated;
    if (plain) variant.config.original_length = lengths.original;
  }
  result.softmax_multiplier = multipliers.front();
  const Sharpening sharpening = sharpening_of(reading, model, first);
  add_layer_views(reading, model, types, sharpening, multipliers, result);
  if (reading.boolean(model.place, "use_dynamic_ntk").value_or(false)) {
    reading.warn(model.place.key("use_dynamic_ntk") +
                 " is a rule of the model's own code, by powers "
                 "of two of the length, and ignored");
  }
  if (reading.failed()) return reading.fault();
  // A type that only sliding layers rotate in: name the variant after them.
  if (contains(kRotatedWhereSliding, model.family) && result.variants.size() == 2)
    result.variants.front().layer_type = "sliding_attention";
  result.sources = std::move(reading.sources);
  result.warnings = std::move(reading.warnings);
  return result;
}

}  // namespace detail

/// Reads the text of a model's config.json, as transformers 5 understand it; where they silently do
/// something surprising, so does this, with a warning.
///   json_text   one JSON object in UTF-8, at most 64 MiB, nested at most 64 deep
///   Returns     the model, every variant sound (check(config, scaling) is Errc::ok), or a fault
///               that names the key and its value; never throws on account of the text
///   Source      transformers 5.23, whose numbers tests/golden holds
inline Result<ModelConfig> read_hugging_face_config(std::string_view json_text) {
  const Result<detail::Document> document = detail::parse_document(json_text);
  if (!document) return document.fault();
  return detail::read_document(document.value());
}

/// The same for a file.
inline Result<ModelConfig> read_hugging_face_config_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return ReadFault{"", detail::shortened(path), "cannot be opened"};
  std::string text;
  char buffer[16384];
  std::size_t bytes = 0;
  while (text.size() <= detail::kMaximumText &&
         (bytes = std::fread(buffer, 1, sizeof buffer, file)) > 0)
    text.append(buffer, bytes);
  const bool broken = std::ferror(file) != 0;
  std::fclose(file);
  if (broken) return ReadFault{"", detail::shortened(path), "cannot be read"};
  return read_hugging_face_config(text);
}

}  // namespace v0
}  // namespace ropewalk
