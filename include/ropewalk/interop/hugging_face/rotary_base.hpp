// The base number and the rotated share that go with a block of parameters. Leaf; interop only.
#pragma once

#include <ropewalk/interop/hugging_face/parameters.hpp>

#include <cstdio>
#include <string_view>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The base number of a block and the key that gave it.
inline Found theta_of(Reading& reading, const TextModel& model, const Block& block) {
  const auto take = [&](const Place& place, std::string_view name) {
    const std::optional<double> value = reading.number(place, name);
    if (!value) reading.fail(place, name, "must be a number");
    return Found{value.value_or(0.0), place.key(name)};
  };
  const Place& top = model.place;
  if (block.place.has("rope_theta")) return take(block.place, "rope_theta");
  const bool own_key = block.assumed_theta > 0.0 || !block.theta_key.empty();
  if (own_key) {
    if (!block.theta_key.empty() && top.has(block.theta_key)) return take(top, block.theta_key);
  } else {
    const bool neox = model.family == "gpt_neox" || model.family == "gpt_neox_japanese";
    const std::string_view name =
        neox ? reading.first_of(top, {"rotary_emb_base", "rope_theta"})
             : reading.first_of(top, {"rope_theta", "rotary_emb_base", "rotary_base", "rope_base",
                                      "attn_config.rope_theta", "rope_freq_constant"});
    if (neox && name == "rope_theta") {
      reading.warn(top.key(name) + " holds here, but transformers read only rotary_emb_base in " +
                   model.family);
    }
    if (!name.empty()) return take(top, name);
    if (top.has("rope_theta")) return take(top, "rope_theta");
    if (top.present("rope_ratio") != nullptr) {
      const Found ratio = take(top, "rope_ratio");
      return {10000.0 * ratio.value, "derived: 10000 * " + ratio.key};
    }
  }
  double theta = 10000.0;
  if (own_key && block.assumed_theta > 0.0) {
    theta = block.assumed_theta;
  } else if (model.known()) {
    theta = model.defaults->theta;
  }
  if (own_key && block.theta_key.empty()) return {theta, model.default_source()};
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.17g", theta);
  const std::string_view missing = block.theta_key.empty() ? "rope_theta" : block.theta_key;
  reading.warn((own_key        ? top
                : block.nested ? block.place
                               : top)
                   .key(missing) +
               " is missing; taken as " + digits);
  return {theta, model.known() ? model.default_source() : "default"};
}

/// The share of a head that rotates, in (0, 1], and the key that gave it ("" where nothing did).
inline Found partial_of(Reading& reading, const TextModel& model, const Block& block) {
  const auto take = [&](const Place& place, std::string_view name) {
    const double value = reading.number(place, name).value_or(1.0);
    if (!(value > 0.0) || value > 1.0) reading.fail(place, name, "must be above 0 and at most 1");
    return Found{value, place.key(name)};
  };
  if (block.place.present("partial_rotary_factor") != nullptr)
    return take(block.place, "partial_rotary_factor");
  if (local_global_of(model.family) == nullptr) {
    const bool neox = model.family == "gpt_neox" || model.family == "gpt_neox_japanese";
    const std::string_view name =
        neox ? reading.first_of(model.place, {"rotary_pct", "partial_rotary_factor"})
             : reading.first_of(model.place, {"partial_rotary_factor", "rotary_pct",
                                              "rotary_emb_fraction", "rope_pct", "rope_percent"});
    if (neox && name == "partial_rotary_factor") {
      reading.warn(model.place.key(name) +
                   " holds here, but transformers read only rotary_pct in " + model.family);
    }
    if (!name.empty()) return take(model.place, name);
  }
  if (model.known() && model.defaults->partial != 1.0)
    return {model.defaults->partial, model.default_source()};
  if (model.family == "chatglm") return {0.5, model.default_source()};
  return {1.0, ""};
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
