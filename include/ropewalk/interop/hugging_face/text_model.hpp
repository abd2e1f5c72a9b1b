// Where the text model is in a file, and how wide its heads are. Leaf; interop only.
#pragma once

#include <ropewalk/interop/hugging_face/families.hpp>
#include <ropewalk/interop/hugging_face/family_defaults.hpp>
#include <ropewalk/interop/hugging_face/reading.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The object that describes the text model, and what its class is known to assume.
struct TextModel {
  Place place;
  std::string text_key;
  std::string model_type;
  std::string family;                        // of the tables
  const FamilyDefaults* defaults = nullptr;  // nullptr: a class the tables do not know

  bool known() const { return defaults != nullptr; }
  std::string default_source() const { return "default of " + family; }
};

/// The classes with Phi-3's own rules for LongRoPE.
inline bool is_phi(const TextModel& model) {
  return model.family == "phi3" || model.family == "phi4_multimodal";
}

inline bool describes_heads(const Place& place) {
  for (const std::string_view name : {"hidden_size", "head_dim", "num_attention_heads", "n_embd",
                                      "d_model", "qk_rope_head_dim"}) {
    if (place.present(name) != nullptr) return true;
  }
  return false;
}

/// Rotary keys at the top of a file whose text model is an object of its own: nothing reads them.
inline void warn_of_outer_keys(Reading& reading, const Place& top, const Place& inner) {
  for (const std::string_view name :
       {"rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor", "head_dim",
        "max_position_embeddings", "original_max_position_embeddings"}) {
    const Json* outer = top.present(name);
    if (outer == nullptr || (outer->is_object() && outer->empty())) continue;
    const Json* own = inner.find(name);
    if (own != nullptr && *own == *outer) continue;
    reading.warn(top.key(name) + " = " + shown(*outer) + " stands outside " + inner.path +
                 " and is ignored");
  }
}

inline TextModel text_model(Reading& reading, const Json& root) {
  TextModel model;
  model.place.object = &root;
  const Place top = model.place;
  const std::string outer = reading.text(top, "model_type").value_or("");
  for (const std::string_view name :
       {"text_config", "thinker_config.text_config", "llm_config", "language_config"}) {
    const Json* value = top.present(name);
    if (value == nullptr) continue;
    if (!value->is_object()) {
      reading.fail(top, name, "must be an object");
      return model;
    }
    const Place inner{value, std::string(name)};
    if (!describes_heads(inner) && describes_heads(top)) {
      reading.warn(inner.path + " says nothing about heads; the keys beside it are read");
      continue;
    }
    model.place = inner;
    model.text_key = inner.path;
    warn_of_outer_keys(reading, top, inner);
    break;
  }
  model.model_type = reading.text(model.place, "model_type").value_or("");
  model.family = std::string(family_of(model.model_type.empty() ? outer : model.model_type));
  if (model.model_type.empty()) model.model_type = model.text_key.empty() ? outer : model.family;
  model.defaults = defaults_of(model.family);
  if (!model.model_type.empty()) {
    const bool own = model.place.present("model_type") != nullptr;
    reading.note("model_type", own ? model.place.key("model_type") : "model_type");
  }
  if (contains(kNotRotary, model.family)) {
    reading.fail(model.place, "model_type",
                 "is a model whose positions are not rotary, so it has no frequencies");
  }
  return model;
}

inline std::string_view name_of_heads(Reading& reading, const Place& place) {
  return reading.first_of(place, {"num_attention_heads", "n_head", "n_heads", "num_heads"});
}

/// An integer under the first of several names; 0 where there is none.
inline std::int64_t first_integer(Reading& reading, const Place& place, std::string_view name,
                                  std::string_view field, std::int64_t maximum) {
  if (name.empty()) return 0;
  const std::optional<std::int64_t> value = reading.integer(place, name, 1, maximum);
  if (value) reading.note(std::string(field), place.key(name));
  return value.value_or(0);
}

/// Elements per head that enter the rotation: of the rotary part alone where the model keeps it
/// apart. 0 where the file says that this part is empty.
inline int rotary_head_dim(Reading& reading, const TextModel& model, std::string_view layer_type,
                           const std::string& prefix) {
  const Place& place = model.place;
  const auto take = [&](std::string_view name, std::int64_t minimum = 1) -> std::optional<int> {
    const std::optional<std::int64_t> value = reading.integer(place, name, minimum, kMaximumCount);
    if (!value) return std::nullopt;
    reading.note(prefix + "head_dim", place.key(name));
    return static_cast<int>(*value);
  };
  const auto assume = [&](int value) {
    reading.note(prefix + "head_dim", model.default_source());
    return value;
  };
  // A null is no absence: the class's own width then gives way to the quotient.
  const bool null_width = place.has("head_dim") && place.present("head_dim") == nullptr;
  const int assumed = model.known() && !null_width ? model.defaults->head_dim : 0;
  const bool latent = contains(kLatent, model.family) ||
                      (!model.known() && place.present("qk_rope_head_dim") != nullptr);
  if (contains(kGlobalHeads, model.family) && layer_type == "full_attention") {
    if (const auto value = take("global_head_dim")) return *value;
    return assume(512);
  }
  if (latent) {
    const bool own_first = contains(kHeadDimFirst, model.family) && place.has("head_dim");
    if (own_first && place.present("qk_rope_head_dim") != nullptr &&
        *place.find("head_dim") != *place.find("qk_rope_head_dim")) {
      reading.warn(place.key("qk_rope_head_dim") + " is ignored, because transformers read " +
                   place.key("head_dim") + (null_width ? " = null" : "") + " first");
    }
    if (!own_first) {
      if (const auto value = take("qk_rope_head_dim", 0)) return *value;
      if (model.known()) return assume(model.defaults->head_dim);
    }
  }
  const std::string_view own =
      reading.first_of(place, {"head_dim", "kv_channels", "attention_head_dim"});
  if (!own.empty()) return take(own).value_or(0);
  if (assumed > 0) return assume(assumed);

  const std::string_view width = reading.first_of(place, {"hidden_size", "n_embd", "d_model"});
  const std::string_view heads = name_of_heads(reading, place);
  if (width.empty()) reading.missing(place, "hidden_size", "where head_dim is not given");
  if (heads.empty()) reading.missing(place, "num_attention_heads", "where head_dim is not given");
  const auto columns = reading.integer(place, width, 1, std::int64_t{1} << 31);
  const auto count = reading.integer(place, heads, 1, kMaximumCount);
  if (!columns || !count) return 0;
  const std::string derived = place.key(width) + " / " + place.key(heads);
  if (*columns % *count != 0) reading.warn(derived + " is not whole and rounded down to head_dim");
  const std::int64_t quotient = *columns / *count;
  if (quotient < 1 || quotient > kMaximumCount)
    reading.fail(place, width, "gives a head_dim of " + std::to_string(quotient));
  reading.note(prefix + "head_dim", "derived: " + derived);
  return static_cast<int>((std::min)(quotient, kMaximumCount));
}

/// What the file says it can be used to (max_position_embeddings); 0: unknown.
inline std::int64_t file_length(Reading& reading, const TextModel& model) {
  const std::string_view name = reading.first_of(
      model.place, {"max_position_embeddings", "n_positions", "max_seq_len", "seq_length",
                    "max_sequence_length", "model_max_length", "n_ctx", "max_length"});
  if (!name.empty())
    return first_integer(reading, model.place, name, "max_position_embeddings", kMaximumLength);
  if (!model.known() || model.defaults->length == 0) {
    reading.warn(model.place.key("max_position_embeddings") + " is missing; the length is unknown");
    return 0;
  }
  const std::int64_t length = model.defaults->length;
  reading.warn(model.place.key("max_position_embeddings") + " is missing; taken as " +
               std::to_string(length) + ", the " + model.default_source());
  reading.note("max_position_embeddings", model.default_source());
  return length;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
