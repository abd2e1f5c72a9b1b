// What every rope type reads alike: its name, its factor, the length it counts from. Leaf; interop
// only.
#pragma once

#include <ropewalk/interop/hugging_face/rotary_base.hpp>
#include <ropewalk/scaling.hpp>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// What the reading of one method needs beside its own object.
struct MethodInput {
  const TextModel& model;
  const Block& block;
  std::int64_t length;  // max_position_embeddings, 0 unknown
  int pairs;            // frequencies; the length of LongRoPE's lists
  double partial;
};

/// A method, and the length it counts from where that is its own.
struct Method {
  Scaling scaling;
  std::int64_t original_length = 0;  // 0: the method has none of its own
};

struct RopeType {
  std::string name;  // after synonyms
  std::string key;   // which key said so, "" where none did
};

/// rope_type, else type, else "default".
inline RopeType rope_type_of(Reading& reading, const TextModel& model, const Place& place) {
  const std::string_view key = reading.first_of(place, {"rope_type", "type"});
  if (key.empty()) return {"default", ""};
  RopeType type{reading.text(place, key).value_or("default"), place.key(key)};
  const struct {
    std::string_view other;
    std::string_view name;
    std::string_view families;  // whose classes take the synonym in transformers
  } synonyms[] = {{"su", "longrope", "phi3 phi4_multimodal"},
                  {"mrope", "default", "qwen2_vl_text qwen2_5_vl_text qwen2_5_omni_text"},
                  {"deepseek_yarn", "yarn", ""},
                  {"xdrope", "dynamic", "hunyuan_vl_text"}};
  for (const auto& synonym : synonyms) {
    if (type.name != synonym.other) continue;
    if (!model.known() || synonym.families.find(model.family) == std::string_view::npos) {
      reading.warn(type.key + " = \"" + type.name + "\" is read as \"" + std::string(synonym.name) +
                   "\"; transformers refuse it here");
    }
    type.name = std::string(synonym.name);
    break;
  }
  const bool phi = is_phi(model);
  if (phi && type.name == "yarn") {
    const bool lists = place.has("short_factor");
    reading.warn(type.key + " = \"yarn\" " +
                 (lists ? "is read as \"longrope\", as transformers do in "
                        : "is kept, but transformers read it as \"longrope\" in ") +
                 model.family);
    if (lists) type.name = "longrope";
  }
  return type;
}

inline std::optional<double> required_factor(Reading& reading, const MethodInput& input,
                                             std::string_view type) {
  const Place& place = input.block.place;
  const std::string why = "for rope_type \"" + std::string(type) + '"';
  if (!place.has("factor")) {
    reading.missing(place, "factor", why);
  } else if (place.present("factor") == nullptr) {
    reading.fail(place, "factor", "must be a number " + why);
  }
  reading.note(input.block.prefix() + "factor", place.key("factor"));
  return reading.at_least(place, "factor", 1.0);
}

/// The length a schedule extends: the top level's in a flat file, else the object's, else Lmax.
inline std::int64_t counted_from(Reading& reading, const MethodInput& input) {
  constexpr std::string_view name = "original_max_position_embeddings";
  const Place& own = input.block.place;
  const Place& top = input.model.place;
  const bool phi = is_phi(input.model);
  const std::int64_t inner = reading.integer(own, name).value_or(0);
  const std::int64_t outer = input.block.nested ? 0 : reading.integer(top, name).value_or(0);
  const std::string field = input.block.prefix() + "original_length";
  const Json* ignored = input.block.nested ? top.present(name) : nullptr;
  if (ignored != nullptr && *ignored != (inner > 0 ? inner : input.length)) {
    reading.warn(top.key(name) + " = " + shown(*ignored) +
                 " is ignored by transformers where layer types have parameters of their own");
  }
  if (outer > 0) {
    if (inner > 0 && inner != outer) {
      reading.warn(own.key(name) + " = " + std::to_string(inner) + " is ignored, because " +
                   top.key(name) + " = " + std::to_string(outer));
    }
    reading.note(field, top.key(name));
    return outer;
  }
  if (inner > 0) {
    if (phi && inner != 4096) {
      reading.warn(own.key(name) + " counts only at the top level in transformers, whose " +
                   input.model.family + " takes 4096 otherwise");
    }
    reading.note(field, own.key(name));
    return inner;
  }
  const std::int64_t assumed = phi ? 4096 : input.length;
  if (assumed == 0) reading.missing(own, name, "where max_position_embeddings is not given");
  reading.warn(own.key(name) + " is missing; taken as " + std::to_string(assumed) +
               (phi ? ", the " + input.model.default_source() : ", max_position_embeddings"));
  reading.note(field, phi ? input.model.default_source() : "max_position_embeddings");
  return assumed;
}

/// Lmax / L0 where the file leaves the factor out or null.
inline double factor_from_lengths(Reading& reading, const MethodInput& input,
                                  std::int64_t original) {
  if (input.length == 0)
    reading.missing(input.model.place, "max_position_embeddings", "where factor is not given");
  const std::string key = input.block.place.key("factor");
  reading.note(input.block.prefix() + "factor",
               "derived: max_position_embeddings / original_max_position_embeddings");
  if (reading.failed() || original == 0) return 1.0;
  return static_cast<double>(input.length) / static_cast<double>(original);
}

inline void compare_factor(Reading& reading, const MethodInput& input, double factor,
                           std::int64_t original) {
  if (input.length == 0 || original == 0) return;
  const double ratio = static_cast<double>(input.length) / static_cast<double>(original);
  if (ratio == factor || ratio == 1.0) return;
  char text[160];
  std::snprintf(text, sizeof text,
                " = %.17g is not max_position_embeddings / original_max_position_embeddings = "
                "%.17g; the explicit factor counts",
                factor, ratio);
  reading.warn(input.block.place.key("factor") + text);
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
