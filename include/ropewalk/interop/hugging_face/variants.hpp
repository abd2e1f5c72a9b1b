// One block of parameters to one variant: dimensions, base, method, sections. Leaf; interop only.
#pragma once

#include <ropewalk/interop/hugging_face/methods.hpp>
#include <ropewalk/spectrum.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Mistral 4 takes its share of the whole query head. Where that is not qk_rope_head_dim, which is
/// all that its attention hands over, transformers stop with an error; that width is kept here.
inline void check_mistral4(Reading& reading, const TextModel& model, const Block& block,
                           std::string_view rope_type, int head_dim, const Found& partial) {
  const std::int64_t rest =
      reading.integer(model.place, "qk_nope_head_dim", 0, kMaximumCount).value_or(64);
  const double whole = static_cast<double>(rest + head_dim);
  constexpr std::string_view old_key = "rope_scaling";
  const std::string& path = block.place.path;
  const bool old_style = path.size() >= old_key.size() &&
                         path.compare(path.size() - old_key.size(), old_key.size(), old_key) == 0;
  // transformers fill in the share in rope_parameters only.
  double share = old_style ? 1.0 : head_dim / whole;
  if (!partial.key.empty()) share = partial.value;
  if (rope_type == "default") share = 1.0;  // and ignore it there
  const int width = static_cast<int>(whole * share);
  if (reading.failed() || width == head_dim) return;
  reading.warn(block.place.key("partial_rotary_factor") + ": transformers turn " +
               std::to_string(width) + " elements here and fail; the " + std::to_string(head_dim) +
               " of " + reading.source(block.prefix() + "head_dim", "qk_rope_head_dim") +
               " are taken");
}

/// How many elements rotate: a key that says it outright, else the share of the head, rounded down.
inline int rotary_elements(Reading& reading, const TextModel& model, const Block& block,
                           int head_dim, const Found& partial) {
  const std::string field = block.prefix() + "rotary_dim";
  if (model.family == "mistral4") return head_dim;  // its share is that of the whole query head
  const bool from_file = !partial.key.empty() && partial.key != model.default_source();
  if (!from_file && model.place.present("rotary_dim") != nullptr) {
    const auto value = reading.integer(model.place, "rotary_dim", 1, head_dim);
    reading.note(field, model.place.key("rotary_dim"));
    return static_cast<int>(value.value_or(head_dim));
  }
  if (!from_file && (model.family == "gptj" || model.family == "codegen") && head_dim > 64) {
    reading.note(field, model.default_source());
    return 64;
  }
  reading.note(field, partial.key.empty() ? "derived: head_dim" : partial.key);
  return static_cast<int>(static_cast<double>(head_dim) * partial.value);
}

/// transformers turn one element more than an odd number, with the exponents of the odd number. The
/// same frequencies come from the even number with the base raised to (odd + 1) / odd.
inline void make_even(Reading& reading, const TextModel& model, const Block& block,
                      const RopeType& type, const Found& theta, const Found& partial,
                      RopeConfig& config) {
  const int odd = config.rotary_dim;
  const std::string which = std::to_string(odd) + " of " + std::to_string(config.head_dim);
  const bool equivalent = type.name == "default" || type.name == "linear" ||
                          type.name == "llama3" || (type.name == "longrope" && !is_phi(model));
  if (!equivalent || odd >= config.head_dim) {
    const bool share = !partial.key.empty() && odd < config.head_dim;
    reading.fail(share ? partial.key : reading.source(block.prefix() + "head_dim", "head_dim"),
                 share ? shown(Json(partial.value)) : std::to_string(config.head_dim),
                 "leaves an odd number of rotated elements, " + which);
    return;
  }
  config.rotary_dim = odd + 1;
  config.theta = power_ratio(theta.value, odd + 1, odd);
  char text[96];
  std::snprintf(text, sizeof text, "; as in transformers %d rotate, which is theta %.17g", odd + 1,
                config.theta);
  reading.warn("an odd number of elements would rotate, " + which + text);
}

inline void read_sections(Reading& reading, const TextModel& model, const Block& block,
                          RopeVariant& variant) {
  const int pairs = variant.config.pairs();
  const std::string& family = model.family;
  const auto starts = [&family](std::string_view with) { return family.rfind(with, 0) == 0; };
  const std::string_view name = reading.first_of(block.place, {"mrope_section", "xdrope_section"});
  if (!name.empty()) {
    const auto sections = reading.integers(block.place, name, pairs);
    if (!sections) return;
    std::int64_t sum = 0;
    for (const int section : *sections) sum += section;
    if (sections->size() < 2 || sections->size() > 4)
      reading.fail(block.place, name, "must have 2 to 4 entries, one per axis");
    if (sum != pairs) {
      reading.fail(block.place, name,
                   "adds up to " + std::to_string(sum) + ", not to the " + std::to_string(pairs) +
                       " rotated pairs");
    }
    variant.mrope_section = *sections;
    reading.note(block.prefix() + "mrope_section", block.place.key(name));
  } else if (starts("qwen2_vl") || starts("qwen2_5_vl")) {
    if (pairs == 64) variant.mrope_section = {16, 24, 24};
  } else if (starts("qwen3_vl")) {
    if (pairs == 64) variant.mrope_section = {24, 20, 20};
  } else if (starts("qwen3_5")) {
    if (pairs == 32) variant.mrope_section = {11, 11, 10};
  }
  const auto interleaved = reading.boolean(block.place, "mrope_interleaved");
  const bool always = starts("qwen3_vl") || starts("qwen3_5") || starts("qwen3_omni");
  variant.mrope_interleaved =
      !variant.mrope_section.empty() && (always || interleaved.value_or(false));
  if (always && interleaved && !*interleaved) {
    reading.warn(block.place.key("mrope_interleaved") + " = false is ignored by transformers in " +
                 family);
  }
}

/// Turns the first fault of config and method into one that names the file's key.
inline void check_variant(Reading& reading, const Block& block, const RopeVariant& variant) {
  const Fault fault = check(variant.config, variant.scaling);
  if (fault.code == Errc::ok || reading.failed()) return;
  const auto* yarn = std::get_if<Yarn>(&variant.scaling);
  if (yarn != nullptr && fault.code == Errc::no_solution) {
    const std::string length = std::to_string(variant.config.original_length);
    char theta[32];
    std::snprintf(theta, sizeof theta, "%.17g", variant.config.theta);
    if (yarn->correction_range(variant.config).high < 0.0) {  // whatever the base is
      reading.fail(reading.source(block.prefix() + "original_length", "original_length"), length,
                   "is too short for YaRN's range");
    } else {
      reading.fail(reading.source(block.prefix() + "theta", "rope_theta"), theta,
                   "is too small for YaRN's range at an original length of " + length);
    }
    return;
  }
  std::string key = reading.source(block.prefix() + fault.field, block.place.key(fault.field));
  if (fault.index >= 0) key += '[' + std::to_string(fault.index) + ']';
  char value[32];
  std::snprintf(value, sizeof value, "%.17g", fault.value);
  reading.fail(std::move(key), value, std::string(fault.field) + ' ' + message(fault.code));
}

/// The variant of a block. config.original_length is what the method counts from, or
/// max_position_embeddings where it does not.
inline RopeVariant variant_of(Reading& reading, const TextModel& model, const Block& block,
                              std::int64_t length) {
  RopeVariant variant;
  variant.layer_type = block.layer_type;
  variant.rotated = block.rotated;
  RopeConfig& config = variant.config;
  config.head_dim = rotary_head_dim(reading, model, block.layer_type, block.prefix());
  config.original_length = length;
  config.pairing =
      contains(kInterleaved, model.family) ? Pairing::interleaved : Pairing::half_split;
  if (model.place.present("rope_interleave") != nullptr &&
      !reading.boolean(model.place, "rope_interleave").value_or(true))
    config.pairing = Pairing::half_split;
  if (reading.failed()) return variant;
  if (config.head_dim == 0) {  // qk_rope_head_dim 0: nothing is left to rotate
    variant.rotated = false;
    config.head_dim =
        static_cast<int>(reading.integer(model.place, "qk_nope_head_dim", 1, kMaximumCount)
                             .value_or(model.defaults != nullptr ? 64 : 128));
  }
  if (!variant.rotated) {
    variant.rope_type = "nope";
    variant.scaling = Nope{};
    config.rotary_dim = config.head_dim / 2 * 2;
    if (config.rotary_dim < 2)
      reading.fail("head_dim", std::to_string(config.head_dim), "leaves no pair of elements");
    return variant;
  }
  const RopeType type = rope_type_of(reading, model, block.place);
  variant.rope_type = type.name;
  reading.note(block.prefix() + "rope_type", type.key.empty() ? "default" : type.key);
  const Found theta = theta_of(reading, model, block);
  const Found partial = partial_of(reading, model, block);
  reading.note(block.prefix() + "theta", theta.key);
  config.theta = theta.value;
  if (reading.failed()) return variant;
  if (!(theta.value > 1.0)) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.17g", theta.value);
    reading.fail(theta.key, digits, "must be above 1");
    return variant;
  }
  if (type.name == "proportional") {
    config.rotary_dim = config.head_dim;
    reading.note(block.prefix() + "rotary_dim", "derived: head_dim");
    reading.note(block.prefix() + "partial_rotary_factor",
                 partial.key.empty() ? "default" : partial.key);
    if (partial.key.empty())
      reading.warn(block.place.key("partial_rotary_factor") + " is missing; taken as 1");
  } else {
    if (model.family == "mistral4")
      check_mistral4(reading, model, block, type.name, config.head_dim, partial);
    config.rotary_dim = rotary_elements(reading, model, block, config.head_dim, partial);
    const bool ignored = type.name == "default" && partial.value != 1.0 && model.known() &&
                         !contains(kPartialByDefault, model.family);
    if (ignored) {
      reading.warn(partial.key + " holds here, but transformers ignore it in " + model.family +
                   " for rope_type \"default\"");
    }
  }
  if (config.rotary_dim < 1) {
    reading.fail(partial.key, shown(Json(partial.value)),
                 "leaves nothing to rotate of head_dim " + std::to_string(config.head_dim));
  }
  if (!reading.failed() && config.rotary_dim % 2 != 0)
    make_even(reading, model, block, type, theta, partial, config);
  if (reading.failed()) return variant;
  const MethodInput input{model, block, length, config.pairs(), partial.value};
  Method method = method_of(reading, input, type);
  variant.scaling = std::move(method.scaling);
  if (method.original_length > 0) config.original_length = method.original_length;
  read_sections(reading, model, block, variant);
  check_variant(reading, block, variant);
  return variant;
}

/// The lengths before and after scaling, from the first variant.
struct Lengths {
  std::int64_t original = 0;
  std::int64_t claimed = 0;
};

inline std::int64_t times(std::int64_t length, double factor) {
  const double product = static_cast<double>(length) * factor;
  const double largest = static_cast<double>(kMaximumLength);
  return product >= largest ? kMaximumLength : static_cast<std::int64_t>(std::floor(product + 0.5));
}

inline Lengths lengths_of(Reading& reading, const TextModel& model, const Block& block,
                          std::int64_t length, RopeVariant& variant) {
  Lengths result{length, length};
  const std::int64_t own = variant.config.original_length;
  if (const auto* yarn = std::get_if<Yarn>(&variant.scaling)) {
    result = {own, (std::max)(length, times(own, yarn->factor))};
  } else if (std::get_if<Llama3>(&variant.scaling) != nullptr ||
             std::get_if<LongRope>(&variant.scaling) != nullptr) {
    result = {own, (std::max)(length, own)};
  } else if (const auto* dynamic = std::get_if<DynamicNtk>(&variant.scaling)) {
    result.claimed = times(length, dynamic->factor);
  } else if (const auto* linear = std::get_if<Linear>(&variant.scaling)) {
    const auto original = reading.integer(block.place, "original_max_position_embeddings");
    if (original) {
      reading.note(block.prefix() + "original_length",
                   block.place.key("original_max_position_embeddings"));
      result = {*original, (std::max)(length, times(*original, linear->factor))};
    } else if (length > 0 && (model.family == "gemma3_text" || model.family == "gemma3n_text")) {
      result.original = (std::max)(std::int64_t{1}, times(length, 1.0 / linear->factor));
    } else if (linear->factor > 1.0 && length > 0) {
      result.claimed = times(length, linear->factor);
      reading.warn(
          "the file does not say whether max_position_embeddings counts before or after "
          "the linear factor; before is assumed, so " +
          std::to_string(result.claimed) + " tokens are claimed");
    }
    variant.config.original_length = result.original;
  }
  return result;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
