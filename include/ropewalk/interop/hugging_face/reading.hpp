// Checked access to the values of a config, by dotted key path. Leaf; interop only.
#pragma once

#include <ropewalk/interop/hugging_face/json_text.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// An object of the file, or one that is not there (no keys), and the path of its keys.
struct Place {
  const Json* object = nullptr;
  std::string path;  // "" at the top, "text_config.rope_scaling", ...

  std::string key(std::string_view name) const {
    return path.empty() ? std::string(name) : path + '.' + std::string(name);
  }

  /// The value, which may be null; nullptr where the key is absent. Dots lead into objects.
  const Json* find(std::string_view name) const {
    const Json* value = object;
    while (value != nullptr && value->is_object()) {
      const std::size_t dot = name.find('.');
      const auto entry = value->find(std::string(name.substr(0, dot)));
      if (entry == value->end()) return nullptr;
      value = &*entry;
      if (dot == std::string_view::npos) return value;
      name.remove_prefix(dot + 1);
    }
    return nullptr;
  }

  bool has(std::string_view name) const { return find(name) != nullptr; }

  /// The value, or nullptr where the key is absent or null.
  const Json* present(std::string_view name) const {
    const Json* value = find(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
};

/// A number with the key it came from.
struct Found {
  double value = 0.0;
  std::string key;
};

// Every engine computes rotary tables in float32, so what does not fit there fits nowhere.
inline constexpr double kLargestReal = 3.4028234663852886e38;    // float32's largest
inline constexpr double kSmallestReal = 1.1754943508222875e-38;  // its smallest normal
inline constexpr std::int64_t kMaximumCount = 65536;             // heads, layers, elements per head

/// The state of one reading: the first fault stays, warnings and sources collect. After a fault
/// every accessor says "absent", so the caller may look once, at the end of a step.
class Reading {
 public:
  bool failed() const { return !fault_.text.empty(); }
  const ReadFault& fault() const { return fault_; }
  std::vector<std::string> warnings;
  std::vector<ValueSource> sources;

  void fail(std::string key, std::string value, std::string text) {
    if (!failed()) fault_ = {std::move(key), std::move(value), std::move(text)};
  }
  void fail(const Place& place, std::string_view name, std::string text) {
    const Json* value = place.find(name);
    fail(place.key(name), value == nullptr ? "" : shown(*value), std::move(text));
  }
  void missing(const Place& place, std::string_view name, std::string_view why) {
    fail(place, name, "is required " + std::string(why) + " and missing");
  }
  void warn(std::string text) { warnings.push_back(std::move(text)); }
  /// Says where a field came from; a later word on the same field replaces an earlier one.
  void note(std::string field, std::string key) {
    for (ValueSource& entry : sources) {
      if (entry.field != field) continue;
      entry.key = std::move(key);
      return;
    }
    sources.push_back({std::move(field), std::move(key)});
  }

  /// The key a field was noted with.
  std::string source(std::string_view field, std::string otherwise) const {
    for (const ValueSource& entry : sources) {
      if (entry.field == field) otherwise = entry.key;
    }
    return otherwise;
  }

  /// A real number; whole or not, never a string or a truth value.
  std::optional<double> number(const Place& place, std::string_view name) {
    const Json* value = failed() ? nullptr : place.present(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) return refused(place, name, "must be a number");
    return fitting(place.key(name), *value);
  }

  std::optional<double> positive(const Place& place, std::string_view name) {
    const std::optional<double> value = number(place, name);
    if (value && *value < kSmallestReal) return refused(place, name, "must be greater than zero");
    return value;
  }

  std::optional<double> at_least(const Place& place, std::string_view name, double minimum) {
    const std::optional<double> value = number(place, name);
    if (value && *value < minimum) {
      return refused(place, name, "must be at least " + std::to_string(static_cast<int>(minimum)));
    }
    return value;
  }

  /// A whole number, written 4096 or 4096.0.
  std::optional<std::int64_t> integer(const Place& place, std::string_view name,
                                      std::int64_t minimum = 1,
                                      std::int64_t maximum = kMaximumLength) {
    const Json* value = failed() ? nullptr : place.present(name);
    if (value == nullptr) return std::nullopt;
    return whole(place.key(name), *value, minimum, maximum);
  }

  std::optional<bool> boolean(const Place& place, std::string_view name) {
    const Json* value = failed() ? nullptr : place.present(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_boolean()) return value->get<bool>();
    refused(place, name, "must be true or false");
    return std::nullopt;
  }

  std::optional<std::string> text(const Place& place, std::string_view name) {
    const Json* value = failed() ? nullptr : place.present(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_string()) return value->get<std::string>();
    refused(place, name, "must be a string");
    return std::nullopt;
  }

  std::optional<std::vector<std::string>> texts(const Place& place, std::string_view name) {
    return list<std::string>(place, name, [this](const std::string& key, const Json& entry) {
      if (entry.is_string()) return std::optional<std::string>(entry.get<std::string>());
      fail(key, shown(entry), "must be a string");
      return std::optional<std::string>();
    });
  }

  std::optional<std::vector<double>> positives(const Place& place, std::string_view name) {
    return list<double>(place, name, [this](const std::string& key, const Json& entry) {
      if (!entry.is_number()) {
        fail(key, shown(entry), "must be a number");
        return std::optional<double>();
      }
      const std::optional<double> value = fitting(key, entry);
      if (value && *value < kSmallestReal) fail(key, shown(entry), "must be greater than zero");
      return value;
    });
  }

  std::optional<std::vector<int>> integers(const Place& place, std::string_view name, int maximum) {
    return list<int>(place, name, [this, maximum](const std::string& key, const Json& entry) {
      const std::optional<std::int64_t> value = whole(key, entry, 0, maximum);
      return value ? std::optional<int>(static_cast<int>(*value)) : std::optional<int>();
    });
  }

  /// The first of several names for the same value. Others that disagree get a warning.
  std::string_view first_of(const Place& place, std::initializer_list<std::string_view> names) {
    std::string_view chosen;
    for (const std::string_view name : names) {
      const Json* value = place.present(name);
      if (value == nullptr) continue;
      if (chosen.empty()) {
        chosen = name;
      } else if (*value != *place.find(chosen)) {
        warn(place.key(name) + " = " + shown(*value) + " is ignored, because " + place.key(chosen) +
             " = " + shown(*place.find(chosen)));
      }
    }
    return chosen;
  }

 private:
  std::optional<double> refused(const Place& place, std::string_view name, std::string text) {
    fail(place, name, std::move(text));
    return std::nullopt;
  }

  std::optional<double> fitting(const std::string& key, const Json& value) {
    const double result = value.get<double>();
    if (is_finite(result) && std::fabs(result) <= kLargestReal) return result;
    fail(key, shown(value), "does not fit float32, in which every engine computes");
    return std::nullopt;
  }

  std::optional<std::int64_t> whole(const std::string& key, const Json& value, std::int64_t minimum,
                                    std::int64_t maximum) {
    const double real = value.is_number() ? value.get<double>() : 0.5;
    if (!is_finite(real) || real != std::floor(real)) {
      fail(key, shown(value), "must be a whole number");
    } else if (real < static_cast<double>(minimum)) {
      fail(key, shown(value), "must be at least " + std::to_string(minimum));
    } else if (real > static_cast<double>(maximum) || value > maximum) {
      fail(key, shown(value), "must be at most " + std::to_string(maximum));
    } else {
      return static_cast<std::int64_t>(real);
    }
    return std::nullopt;
  }

  template <typename Value, typename Convert>
  std::optional<std::vector<Value>> list(const Place& place, std::string_view name,
                                         Convert convert) {
    const Json* value = failed() ? nullptr : place.present(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_array()) {
      refused(place, name, "must be a list");
      return std::nullopt;
    }
    std::vector<Value> result;
    result.reserve(value->size());
    for (const Json& entry : *value) {
      const std::string key = place.key(name) + '[' + std::to_string(result.size()) + ']';
      std::optional<Value> converted = convert(key, entry);
      if (failed() || !converted) return std::nullopt;
      result.push_back(std::move(*converted));
    }
    return result;
  }

  ReadFault fault_;
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
