// Files that hold one scale per head of a model. Leaf; needs nlohmann/json.
//
//   {
//     "format": "ropewalk head scales", "version": 1,
//     "model": "...", "layers": 2, "heads": 3, "trained_length": 2048, "target_length": 8192,
//     "multiplies": "softmax_scale",
//     "head_scale": [[1.25, 1.0, 1.5], [1.125, 1.75, 1.0]]
//   }
#pragma once

#include <ropewalk/head_scale/search_state.hpp>
#include <ropewalk/interop/head_scales/document.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// One scale per head, and what it was found for. head_scale multiplies on top of softmax_scale,
/// whatever that is in the model (1/sqrt(head_dim) as a rule): 1 leaves a head as it was trained.
struct HeadScales {
  std::string model;                ///< name, not empty, UTF-8
  std::int64_t layers = 0;          ///< 1 .. 65536, 131072 heads in all
  std::int64_t heads = 0;           ///< query heads of a layer
  std::int64_t trained_length = 0;  ///< tokens, >= 1
  std::int64_t target_length = 0;   ///< tokens, >= trained_length
  std::vector<double> head_scale;   ///< (layers, heads) row-major, > 0, within float's range

  /// Errc::ok, or the first field that no file may hold, and its entry.
  Fault validate() const noexcept {
    if (model.empty()) return {Errc::unknown, "model", 0.0};
    if (const Fault fault = detail::check_head_counts(layers, heads); fault.code != Errc::ok) {
      return fault;
    }
    const Fault trained = detail::check_length("trained_length", trained_length, 1);
    if (trained.code != Errc::ok) return trained;
    const Fault target = detail::check_length("target_length", target_length, 1);
    if (target.code != Errc::ok) return target;
    if (target_length < trained_length) {
      return {Errc::wrong_order, "target_length", static_cast<double>(target_length)};
    }
    const Fault entries =
        detail::check_entries("head_scale", layers * heads, head_scale, detail::kSmallestReal);
    if (entries.code != Errc::ok) return entries;
    int index = 0;
    for (const double value : head_scale) {
      if (value > detail::kLargestReal) return {Errc::above_maximum, "head_scale", value, index};
      ++index;
    }
    return {};
  }
};

namespace detail {

inline constexpr std::string_view kHeadScalesFormat = "ropewalk head scales";

}  // namespace detail

/// Scales as the text of a file; reading it gives the same bits.
///   Throws       std::invalid_argument naming what validate() refuses, or a name that is not UTF-8
inline std::string write_head_scales(const HeadScales& scales) {
  using detail::Json;
  detail::require("write_head_scales", scales.validate());
  const std::string name = Json(scales.model).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (Json::parse(name).get<std::string>() != scales.model) {
    ROPEWALK_THROW(std::invalid_argument("write_head_scales: model is not UTF-8"));
  }
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  return "{\n  \"format\": " + Json(detail::kHeadScalesFormat).dump() + ",\n  \"version\": 1" +
         ",\n  \"model\": " + name + ",\n  \"layers\": " + number(scales.layers) +
         ",\n  \"heads\": " + number(scales.heads) +
         ",\n  \"trained_length\": " + number(scales.trained_length) +
         ",\n  \"target_length\": " + number(scales.target_length) +
         ",\n  \"multiplies\": \"softmax_scale\"" +
         ",\n  \"head_scale\": " + detail::text_by_layer(scales.head_scale, scales.heads) + "\n}\n";
}

/// Reads such a text.
///   text         UTF-8, at most 64 MiB; every key above exactly once, and no other
///   Returns      scales for which validate() is Errc::ok, or a fault that names the key and its
///                value; never throws on account of the text
inline Result<HeadScales> read_head_scales(std::string_view text) {
  const Result<detail::Json> document = detail::parse_unambiguous(text);
  if (!document) return document.fault();
  const detail::Place top{&document.value(), ""};
  detail::Reading reading;
  detail::check_format(reading, top, detail::kHeadScalesFormat);
  detail::only_keys(reading, top,
                    {"format", "version", "model", "layers", "heads", "trained_length",
                     "target_length", "multiplies", "head_scale"});
  HeadScales scales;
  scales.model = detail::required_text(reading, top, "model");
  if (scales.model.empty()) reading.fail(top, "model", "must name the model");
  const detail::HeadCounts counts = detail::required_head_counts(reading, top);
  scales.layers = counts.layers;
  scales.heads = counts.heads;
  scales.trained_length =
      detail::required_integer(reading, top, "trained_length", 1, detail::kMaximumLength);
  scales.target_length =
      detail::required_integer(reading, top, "target_length", 1, detail::kMaximumLength);
  if (detail::required_text(reading, top, "multiplies") != "softmax_scale")
    reading.fail(top, "multiplies", "must be \"softmax_scale\", on top of which the scales count");
  scales.head_scale =
      detail::numbers_by_layer(reading, top, "head_scale", scales.layers, scales.heads);
  if (reading.failed()) return reading.fault();
  if (const Fault fault = scales.validate(); fault.code != Errc::ok)
    return detail::read_fault(fault, scales.heads);
  return scales;
}

/// The same for a file.
inline Result<HeadScales> read_head_scales_file(const std::string& path) {
  const Result<std::string> text = detail::text_of_file(path);
  if (!text) return text.fault();
  return read_head_scales(text.value());
}

}  // namespace v0
}  // namespace ropewalk
