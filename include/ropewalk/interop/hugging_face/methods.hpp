// One object of rotary parameters to one scaling method: which keys each rope type needs, takes and
// does not know. Leaf; interop only.
#pragma once

#include <ropewalk/interop/hugging_face/method_input.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

inline Method yarn_method(Reading& reading, const MethodInput& input) {
  const Place& place = input.block.place;
  Yarn yarn;
  const std::int64_t original = counted_from(reading, input);
  if (place.has("factor") && place.present("factor") == nullptr) {
    yarn.factor = factor_from_lengths(reading, input, original);
    reading.warn(place.key("factor") + " is null; the ratio of the lengths is taken");
  } else {
    yarn.factor = required_factor(reading, input, "yarn").value_or(1.0);
    compare_factor(reading, input, yarn.factor, original);
  }
  // 0 stands for the default in transformers.
  const double fast = reading.at_least(place, "beta_fast", 0.0).value_or(0.0);
  const double slow = reading.at_least(place, "beta_slow", 0.0).value_or(0.0);
  if (fast > 0.0) yarn.beta_fast = fast;
  if (slow > 0.0) yarn.beta_slow = slow;
  if (yarn.beta_fast < yarn.beta_slow) {
    const bool own_slow = place.present("beta_fast") == nullptr;
    reading.fail(place, own_slow ? "beta_slow" : "beta_fast", "leaves beta_fast below beta_slow");
  }
  yarn.mscale = reading.at_least(place, "mscale", 0.0);
  yarn.mscale_all_dim = reading.at_least(place, "mscale_all_dim", 0.0);
  yarn.explicit_attention_factor = reading.at_least(place, "attention_factor", 0.0);
  yarn.truncate = reading.boolean(place, "truncate").value_or(true);
  if (input.block.nested && !yarn.truncate) {
    reading.warn(place.key("truncate") + " is ignored by transformers in an entry of a layer type");
    yarn.truncate = true;
  }
  return {yarn, original};
}

inline Method llama3_method(Reading& reading, const MethodInput& input) {
  const Place& place = input.block.place;
  Llama3 llama;
  llama.factor = required_factor(reading, input, "llama3").value_or(1.0);
  for (const std::string_view name : {"low_freq_factor", "high_freq_factor"}) {
    if (!place.has(name)) reading.missing(place, name, "for rope_type \"llama3\"");
    const std::optional<double> value = reading.positive(place, name);
    if (!value) reading.fail(place, name, "must be a number");
    (name == "low_freq_factor" ? llama.low_freq_factor : llama.high_freq_factor) =
        value.value_or(1.0);
  }
  if (llama.high_freq_factor < llama.low_freq_factor)
    reading.fail(place, "high_freq_factor", "is below low_freq_factor");
  const std::int64_t original = counted_from(reading, input);
  if (input.length > 0 && original >= input.length) {
    reading.warn(place.key("original_max_position_embeddings") + " = " + std::to_string(original) +
                 " is not below max_position_embeddings = " + std::to_string(input.length));
  }
  return {llama, original};
}

inline Method longrope_method(Reading& reading, const MethodInput& input) {
  const Place& place = input.block.place;
  LongRope method;
  for (const std::string_view name : {"short_factor", "long_factor"}) {
    auto& list = name == "short_factor" ? method.short_factor : method.long_factor;
    if (!place.has(name)) reading.missing(place, name, "for rope_type \"longrope\"");
    std::optional<std::vector<double>> values = reading.positives(place, name);
    if (!values) {
      reading.fail(place, name, "must be a list of numbers");
    } else if (values->size() != static_cast<std::size_t>(input.pairs)) {
      reading.fail(place, name,
                   "must have one entry per rotated pair, " + std::to_string(input.pairs));
    } else {
      list = std::move(*values);
    }
  }
  const std::int64_t original = counted_from(reading, input);
  if (const std::optional<double> factor = reading.positive(place, "factor")) {
    reading.note(input.block.prefix() + "factor", place.key("factor"));
    method.factor = *factor;
    compare_factor(reading, input, *factor, original);
  } else {
    method.factor = factor_from_lengths(reading, input, original);
  }
  method.explicit_attention_factor = reading.at_least(place, "attention_factor", 0.0);
  if (input.model.family == "phimoe" || input.model.family == "phi3small") {
    const std::optional<double> below = reading.at_least(place, "short_mscale", 0.0);
    const std::optional<double> beyond = reading.at_least(place, "long_mscale", 0.0);
    if (below && beyond && *below != *beyond) {
      reading.warn(place.key("short_mscale") +
                   " differs from long_mscale; attention_factor is "
                   "long_mscale, which is wrong up to the original length");
    }
    if (beyond) method.explicit_attention_factor = beyond;
  }
  return {method, original};
}

inline Method dynamic_method(Reading& reading, const MethodInput& input) {
  const Place& place = input.block.place;
  const double alpha = reading.at_least(place, "alpha", 0.0).value_or(0.0);
  const bool hunyuan = input.model.family.rfind("hunyuan", 0) == 0;
  if (alpha > 0.0 && (hunyuan || place.present("factor") == nullptr)) {
    if (!hunyuan) {
      reading.warn(place.key("alpha") +
                   " is read as a fixed NTK-aware base, as vLLM does; "
                   "transformers require factor here");
    }
    reading.note(input.block.prefix() + "factor", place.key("alpha"));
    if (alpha < 1.0) reading.fail(place, "alpha", "must be at least 1");
    return {NtkAware{alpha}, 0};
  }
  if (alpha > 0.0) reading.warn(place.key("alpha") + " is ignored, because factor is given");
  DynamicNtk method;
  method.factor = required_factor(reading, input, "dynamic").value_or(1.0);
  if (input.length == 0)
    reading.missing(input.model.place, "max_position_embeddings", "for rope_type \"dynamic\"");
  return {method, input.length};
}

/// Notes the keys of the object that this rope type reads, and warns of those that nothing reads.
inline void note_keys(Reading& reading, const MethodInput& input, std::string_view type) {
  if (input.block.place.object == nullptr) return;
  constexpr std::string_view always =
      " rope_type type rope_theta partial_rotary_factor mrope_section mrope_interleaved "
      "xdrope_section llama_4_scaling_beta max_position_embeddings ";
  constexpr struct {
    std::string_view type;
    std::string_view keys;
  } known[] = {
      {"linear", " factor original_max_position_embeddings "},
      {"dynamic", " factor alpha "},
      {"yarn",
       " factor original_max_position_embeddings attention_factor beta_fast beta_slow mscale "
       "mscale_all_dim truncate "},
      {"longrope",
       " factor original_max_position_embeddings attention_factor short_factor long_factor "
       "short_mscale long_mscale "},
      {"llama3", " factor original_max_position_embeddings low_freq_factor high_freq_factor "},
      {"proportional", " factor "}};
  std::string_view own;
  for (const auto& entry : known) {
    if (entry.type == type) own = entry.keys;
  }
  for (const auto& entry : input.block.place.object->items()) {
    const std::string& name = entry.key();
    const std::string word = ' ' + name + ' ';
    if (always.find(word) != std::string_view::npos) continue;
    if (own.find(word) != std::string_view::npos) {
      if (!entry.value().is_null() && name != "original_max_position_embeddings")
        reading.note(input.block.prefix() + name, input.block.place.key(name));
      continue;
    }
    reading.warn(input.block.place.key(shortened(entry.key())) + " is not known to rope_type \"" +
                 std::string(type) + "\" and ignored");
  }
}

/// The method of one rope type; fails on a type that is none.
inline Method method_of(Reading& reading, const MethodInput& input, const RopeType& type) {
  note_keys(reading, input, type.name);
  if (type.name == "default") return {Unscaled{}, 0};
  if (type.name == "linear") {
    const double factor = required_factor(reading, input, "linear").value_or(1.0);
    return {Linear{factor}, 0};
  }
  if (type.name == "dynamic") return dynamic_method(reading, input);
  if (type.name == "yarn") return yarn_method(reading, input);
  if (type.name == "longrope") return longrope_method(reading, input);
  if (type.name == "llama3") return llama3_method(reading, input);
  if (type.name == "proportional") {
    Proportional method;
    method.partial_rotary_factor = input.partial;
    method.factor = reading.at_least(input.block.place, "factor", 1.0).value_or(1.0);
    return {method, 0};
  }
  reading.fail(
      type.key, '"' + shortened(type.name) + '"',
      "is not a rope type: default, linear, dynamic, yarn, longrope, llama3, proportional");
  return {Unscaled{}, 0};
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
