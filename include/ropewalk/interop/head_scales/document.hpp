// What files of scales have in common: one object of known keys, none twice, and lists by layer.
// Leaf; interop only.
#pragma once

#include <ropewalk/error.hpp>
#include <ropewalk/head_scale/search_state.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/hugging_face/reading.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Whole file as text; one byte over the limit is enough to refuse it later.
inline Result<std::string> text_of_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return ReadFault{"", shortened(path), "cannot be opened"};
  std::string text;
  char buffer[16384];
  std::size_t bytes = 0;
  while (text.size() <= kMaximumText && (bytes = std::fread(buffer, 1, sizeof buffer, file)) > 0)
    text.append(buffer, bytes);
  const bool broken = std::ferror(file) != 0;
  std::fclose(file);
  if (broken) return ReadFault{"", shortened(path), "cannot be read"};
  return text;
}

/// A text that is one JSON object in which no key is given twice.
inline Result<Json> parse_unambiguous(std::string_view text) {
  if (text.size() > kMaximumText)
    return ReadFault{"", std::to_string(text.size()) + " bytes", "is too large"};
  // nlohmann's parser takes a NUL byte for the end of the text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return ReadFault{"", "\\x00",
                     "is not JSON (UTF-8): a NUL byte at byte " + std::to_string(nul + 1)};
  }
  DocumentBuilder builder(text);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return builder.fault();
  if (!builder.repeated().empty()) {
    return ReadFault{builder.repeated().front(), "", "is given twice"};
  }
  if (!builder.document().is_object())
    return ReadFault{"", shown(builder.document()), "must be an object"};
  return std::move(builder.document());
}

/// Refuses keys that nobody would read.
inline void only_keys(Reading& reading, const Place& place,
                      std::initializer_list<std::string_view> names) {
  if (place.object == nullptr || !place.object->is_object()) return;
  for (const auto& entry : place.object->items()) {
    bool known = false;
    for (const std::string_view name : names) known = known || entry.key() == name;
    if (known) continue;
    reading.fail(place.key(shortened(entry.key())), shown(entry.value()),
                 "is no key of this format");
  }
}

inline std::int64_t required_integer(Reading& reading, const Place& place, std::string_view name,
                                     std::int64_t minimum, std::int64_t maximum) {
  if (place.present(name) == nullptr) reading.missing(place, name, "here");
  return reading.integer(place, name, minimum, maximum).value_or(minimum);
}

inline double required_number(Reading& reading, const Place& place, std::string_view name) {
  const Json* value = place.present(name);
  if (value == nullptr) reading.missing(place, name, "here");
  if (value != nullptr && !value->is_number()) reading.fail(place, name, "must be a number");
  return reading.failed() ? 0.0 : value->get<double>();
}

inline std::string required_text(Reading& reading, const Place& place, std::string_view name) {
  if (place.present(name) == nullptr) reading.missing(place, name, "here");
  return reading.text(place, name).value_or("");
}

/// The first two keys of every format here: what it is, and in which version.
inline void check_format(Reading& reading, const Place& top, std::string_view format) {
  const std::string found = required_text(reading, top, "format");
  if (found != format) reading.fail(top, "format", "must be \"" + std::string(format) + '"');
  const std::int64_t version = required_integer(reading, top, "version", 1, kMaximumLength);
  if (version != 1) reading.fail(top, "version", "is not known here, only version 1 is");
}

/// The keys "layers" and "heads", before anything is made as large as they say.
struct HeadCounts {
  std::int64_t layers = 1;
  std::int64_t heads = 1;
};

inline HeadCounts required_head_counts(Reading& reading, const Place& place) {
  const HeadCounts counts{required_integer(reading, place, "layers", 1, kMaximumCount),
                          required_integer(reading, place, "heads", 1, kMaximumCount)};
  const Fault fault = check_head_counts(counts.layers, counts.heads);
  if (fault.code != Errc::ok) reading.fail(place, fault.field, message(fault.code));
  return counts;
}

/// "head_scale[2][5]" for entry 2 * heads + 5.
inline std::string entry_key(std::string_view name, std::size_t index, std::int64_t heads) {
  const std::size_t row = static_cast<std::size_t>(heads);
  return std::string(name) + '[' + std::to_string(index / row) + "][" +
         std::to_string(index % row) + ']';
}

/// A list of `layers` lists of `heads` numbers, flat.
inline std::vector<double> numbers_by_layer(Reading& reading, const Place& place,
                                            std::string_view name, std::int64_t layers,
                                            std::int64_t heads) {
  std::vector<double> numbers;
  const Json* list = place.present(name);
  if (list == nullptr) reading.missing(place, name, "here");
  if (reading.failed()) return numbers;
  const auto check = [&reading](const std::string& key, const Json& value, std::int64_t entries,
                                const char* what) {
    if (!value.is_array()) {
      reading.fail(key, shown(value), "must be a list");
    } else if (value.size() != static_cast<std::size_t>(entries)) {
      reading.fail(key, shown(value),
                   std::string("must have one entry per ") + what + ", which are " +
                       std::to_string(entries));
    }
  };
  check(std::string(name), *list, layers, "layer");
  if (reading.failed()) return numbers;
  numbers.reserve(static_cast<std::size_t>(layers * heads));
  std::size_t layer = 0;
  for (const Json& row : *list) {
    check(std::string(name) + '[' + std::to_string(layer++) + ']', row, heads, "head");
    if (reading.failed()) return numbers;
    for (const Json& entry : row) {
      if (!entry.is_number()) {
        reading.fail(entry_key(name, numbers.size(), heads), shown(entry), "must be a number");
        return numbers;
      }
      numbers.push_back(entry.get<double>());
    }
  }
  return numbers;
}

/// The same as text, one layer per line: the shortest decimals that read back as the same doubles.
inline std::string text_by_layer(Span<const double> numbers, std::int64_t heads) {
  std::string text = "[";
  std::size_t index = 0;
  for (const double number : numbers) {
    const bool first = index++ % static_cast<std::size_t>(heads) == 0;
    if (first) text += index == 1 ? "\n    [" : "],\n    [";
    if (!first) text += ", ";
    text += Json(number).dump();
  }
  return text + "]\n  ]";
}

/// A value's fault as a reader reports it.
inline ReadFault read_fault(const Fault& fault, std::int64_t heads) {
  std::string key = fault.field;
  if (fault.index >= 0) key = entry_key(key, static_cast<std::size_t>(fault.index), heads);
  return {std::move(key), Json(fault.value).dump(), message(fault.code)};
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
