// The state of a search for scales as a file, to go on from later. Leaf; needs nlohmann/json.
#pragma once

#include <ropewalk/head_scale/search_state.hpp>
#include <ropewalk/interop/head_scales/document.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {
inline namespace v0 {
namespace detail {

inline constexpr std::string_view kHeadScaleStateFormat = "ropewalk head scale search";

inline std::string optional_text(const std::optional<double>& value) {
  return value ? Json(*value).dump() : "null";
}

/// A number or null, which must be there as one or the other.
inline std::optional<double> number_or_null(Reading& reading, const Place& place,
                                            std::string_view name) {
  if (place.has(name) && place.present(name) == nullptr) return std::nullopt;
  return required_number(reading, place, name);
}

inline HeadScaleOptions read_options(Reading& reading, const Place& options) {
  only_keys(reading, options,
            {"learning_rate", "beta1", "beta2", "epsilon", "gradient_clip", "lower_bound", "steps",
             "warmup", "floor"});
  HeadScaleOptions result;
  result.learning_rate = required_number(reading, options, "learning_rate");
  result.beta1 = required_number(reading, options, "beta1");
  result.beta2 = required_number(reading, options, "beta2");
  result.epsilon = required_number(reading, options, "epsilon");
  result.gradient_clip = number_or_null(reading, options, "gradient_clip");
  result.lower_bound = number_or_null(reading, options, "lower_bound");
  result.schedule.steps = required_integer(reading, options, "steps", 1, kMaximumLength);
  result.schedule.warmup = required_integer(reading, options, "warmup", 0, kMaximumLength);
  result.schedule.floor = required_number(reading, options, "floor");
  return result;
}

}  // namespace detail

/// A state as the text of a file; reading it gives the same bits, and a search that goes on from
/// there ends as if it had never stopped.
///   Throws       std::invalid_argument naming what validate() refuses
inline std::string write_head_scale_state(const HeadScaleState& state) {
  using detail::Json;
  detail::require("write_head_scale_state", state.validate());
  const HeadScaleOptions& options = state.options;
  const auto number = [](double value) { return Json(value).dump(); };
  const auto list = [&state](const std::vector<double>& values) {
    return detail::text_by_layer(values, state.heads);
  };
  return "{\n  \"format\": " + Json(detail::kHeadScaleStateFormat).dump() +
         ",\n  \"version\": 1,\n  \"options\": {\"learning_rate\": " +
         number(options.learning_rate) + ", \"beta1\": " + number(options.beta1) +
         ", \"beta2\": " + number(options.beta2) + ", \"epsilon\": " + number(options.epsilon) +
         ",\n    \"gradient_clip\": " + detail::optional_text(options.gradient_clip) +
         ", \"lower_bound\": " + detail::optional_text(options.lower_bound) +
         ",\n    \"steps\": " + std::to_string(options.schedule.steps) +
         ", \"warmup\": " + std::to_string(options.schedule.warmup) +
         ", \"floor\": " + number(options.schedule.floor) +
         "},\n  \"layers\": " + std::to_string(state.layers) +
         ",\n  \"heads\": " + std::to_string(state.heads) +
         ",\n  \"step\": " + std::to_string(state.step) +
         ",\n  \"head_scale\": " + list(state.head_scale) +
         ",\n  \"first_moment\": " + list(state.first_moment) +
         ",\n  \"second_moment\": " + list(state.second_moment) + "\n}\n";
}

/// Reads such a text.
///   text         UTF-8, at most 64 MiB; every key exactly once, and no other
///   Returns      a state for which validate() is Errc::ok, or a fault that names the key and its
///                value; never throws on account of the text
inline Result<HeadScaleState> read_head_scale_state(std::string_view text) {
  const Result<detail::Json> document = detail::parse_unambiguous(text);
  if (!document) return document.fault();
  const detail::Place top{&document.value(), ""};
  detail::Reading reading;
  detail::check_format(reading, top, detail::kHeadScaleStateFormat);
  detail::only_keys(reading, top,
                    {"format", "version", "options", "layers", "heads", "step", "head_scale",
                     "first_moment", "second_moment"});
  HeadScaleState state;
  const detail::Json* options = top.present("options");
  if (options == nullptr) reading.missing(top, "options", "here");
  if (options != nullptr && !options->is_object())
    reading.fail(top, "options", "must be an object");
  state.options = detail::read_options(reading, {options, "options"});
  const detail::HeadCounts counts = detail::required_head_counts(reading, top);
  state.layers = counts.layers;
  state.heads = counts.heads;
  state.step = detail::required_integer(reading, top, "step", 0, detail::kMaximumLength);
  const auto list = [&](std::string_view name) {
    return detail::numbers_by_layer(reading, top, name, state.layers, state.heads);
  };
  state.head_scale = list("head_scale");
  state.first_moment = list("first_moment");
  state.second_moment = list("second_moment");
  if (reading.failed()) return reading.fault();
  if (const Fault fault = state.options.validate(); fault.code != Errc::ok) {
    ReadFault options_fault = detail::read_fault(fault, state.heads);
    options_fault.key = "options." + options_fault.key;
    return options_fault;
  }
  if (const Fault fault = state.validate(); fault.code != Errc::ok)
    return detail::read_fault(fault, state.heads);
  return state;
}

/// The same for a file.
inline Result<HeadScaleState> read_head_scale_state_file(const std::string& path) {
  const Result<std::string> text = detail::text_of_file(path);
  if (!text) return text.fault();
  return read_head_scale_state(text.value());
}

}  // namespace v0
}  // namespace ropewalk
