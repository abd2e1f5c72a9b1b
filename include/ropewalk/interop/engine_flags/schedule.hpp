// What is handed to an engine, and how its parts are written down. Leaf of
// interop/engine_flags.hpp.
#pragma once

#include <ropewalk/interop/model.hpp>
#include <ropewalk/spectrum.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// The schedule a model shall run with.
struct EngineSchedule {
  RopeConfig config;  ///< theta: the base to run with; original_length: what scaling counts from
  Scaling scaling;    ///< on top of that base
  std::int64_t length = 0;  ///< context to serve, tokens, >= 1
  std::size_t variant = 0;  ///< which of the model's ways of rotating it replaces; the others stay
  bool as_in_file = false;  ///< config and scaling are the file's own: only the length is new
};

/// What to paste, or why there is nothing to paste.
struct EngineLines {
  bool refused = false;
  std::string text;  ///< commands or config members; refused: the reason, one sentence, and where
                     ///< there is a way around it the command for it on a line of its own
  std::vector<std::string> notes;  ///< what to know about this engine before pasting
};

namespace detail {

using OrderedJson = nlohmann::ordered_json;

inline EngineLines refused(std::string reason) { return {true, std::move(reason), {}}; }

/// A printed number ("%.8e" in whatever locale) with a point, without trailing zeros, and without an
/// exponent where plain digits are readable.
inline std::string in_plain_digits(const char* printed) {
  std::string digits;
  // The decimal separator may be anything, even several bytes.
  for (; *printed != '\0' && *printed != 'e'; ++printed) {
    if (*printed >= '0' && *printed <= '9') digits += *printed;
  }
  const int exponent =
      *printed == 'e' ? static_cast<int>(std::strtol(printed + 1, nullptr, 10)) : 0;
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
  if (exponent < -5 || exponent > 20) {
    if (digits.size() > 1) digits.insert(1, 1, '.');
    return digits + "e" + std::to_string(exponent);
  }
  if (exponent < 0)
    return "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const std::size_t whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return digits + std::string(whole - digits.size(), '0');
  return digits.substr(0, whole) + "." + digits.substr(whole);
}

/// Nine significant digits: enough for any float32.
///   value        finite, > 0
inline std::string float32_text(double value) {
  char printed[64];
  std::snprintf(printed, sizeof printed, "%.8e", value);
  return in_plain_digits(printed);
}

/// One line of JSON. Numbers round-trip and carry a point in every locale.
inline std::string json_text(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

/// A word for a POSIX shell.
inline std::string shell_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char letter : text) {
    if (letter == '\'') {
      quoted += "'\\''";
    } else {
      quoted += letter;
    }
  }
  return quoted + "'";
}

inline std::string quoted_json(const OrderedJson& json) { return shell_quoted(json_text(json)); }

/// True where engines, which keep frequencies in float32, can hold a base.
///   theta        finite
inline bool fits_float32(double theta) noexcept {
  return theta <= static_cast<double>((std::numeric_limits<float>::max)());
}

inline std::string theta_beyond_float32(double theta) {
  return "theta = " + float32_text(theta) + " does not fit float32, in which engines compute";
}

/// True where a method does more to the frequencies than to choose their base.
inline bool is_scaled(const Scaling& scaling) {
  if (const auto* proportional = std::get_if<Proportional>(&scaling))
    return proportional->factor != 1.0;
  return !std::holds_alternative<Unscaled>(scaling);
}

/// True where the schedule is a base and nothing else.
inline bool theta_only(const EngineSchedule& schedule) { return !is_scaled(schedule.scaling); }

/// True where the file already scales the layers in question.
inline bool scaled_in_file(const ModelConfig& model, const EngineSchedule& schedule) {
  return is_scaled(model.variants[schedule.variant].scaling);
}

/// DeepSeek's kin, for which engines read mscale and mscale_all_dim and correct the softmax scale.
inline bool deepseek_kin(const ModelConfig& model) {
  return model.model_type.rfind("deepseek", 0) == 0 || model.model_type.rfind("kimi", 0) == 0;
}

/// True where two factors on cos and sin are the same to more digits than any engine keeps.
inline bool same_factor(double a, double b) {
  const double difference = a > b ? a - b : b - a;
  return difference <= 1e-6 * b;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
