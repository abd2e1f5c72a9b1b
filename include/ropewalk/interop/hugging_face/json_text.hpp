// Text to JSON values, with limits that hold before anything can be exhausted. Leaf; interop only.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/interop/model.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#else
#error \
    "ropewalk/interop/hugging_face.hpp needs nlohmann/json (Debian: apt-get install nlohmann-json3-dev)"
#endif

namespace ropewalk {
inline namespace v0 {
namespace detail {

using Json = nlohmann::json;

// What a config may hold at most. The largest published ones have 0.2 MB, depth 5, and lists of a
// few thousand entries.
inline constexpr std::size_t kMaximumText = std::size_t{64} << 20;   // bytes
inline constexpr std::size_t kMaximumDepth = 64;                     // open objects and lists
inline constexpr std::size_t kMaximumEntries = 65536;                // of one object or list
inline constexpr std::size_t kMaximumValues = std::size_t{1} << 20;  // in the whole text

/// Text from a file made safe to print: one line, ASCII, at most 60 characters.
inline std::string shortened(std::string_view text) {
  constexpr std::size_t longest = 60;
  constexpr char digits[] = "0123456789abcdef";
  std::string result;
  for (const char character : text) {
    if (result.size() >= longest) {
      result += "...";
      break;
    }
    const auto byte = static_cast<unsigned char>(character);
    if (byte >= 0x20 && byte < 0x7f) {
      result += character;
    } else {
      result += "\\x";
      result += digits[byte >> 4];
      result += digits[byte & 15];
    }
  }
  return result;
}

/// A value as a fault shows it.
inline std::string shown(const Json& value) {
  if (value.is_object()) return "an object of " + std::to_string(value.size()) + " keys";
  if (value.is_array()) return "a list of " + std::to_string(value.size()) + " entries";
  if (const auto* text = value.get_ptr<const Json::string_t*>())
    return '"' + shortened(*text) + '"';
  return value.dump();
}

/// Receives the parser's events, builds the values, refuses what is over a limit and remembers
/// where. Recursion happens nowhere; nlohmann's parser keeps its own stack as well.
class DocumentBuilder {
 public:
  explicit DocumentBuilder(std::string_view text) : text_(text) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(Json::number_integer_t value) { return add(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return add(value); }
  bool number_float(Json::number_float_t value, const std::string& digits) {
    if (!is_finite(value)) return refuse(shortened(digits), "does not fit a double");
    return add(value);
  }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { return refuse("", "must be text"); }
  bool start_object(std::size_t) { return open(Json::value_t::object); }
  bool start_array(std::size_t) { return open(Json::value_t::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    Level& level = levels_.back();
    level.key = std::move(name);
    if (level.value->size() >= kMaximumEntries) return refuse("", "is one key too many");
    if (level.value->contains(level.key)) repeated_.push_back(path());
    return true;
  }

  template <typename Exception>
  bool parse_error(std::size_t position, const std::string& last_token, const Exception& error) {
    constexpr int out_of_range = 406;
    if (error.id == out_of_range) return refuse(shortened(last_token), "does not fit a double");
    constexpr std::string_view ends = ",:[]{}\" \n\r\t";
    const std::size_t seen = (std::min)(position, text_.size());
    std::size_t first = seen == 0 ? 0 : seen - 1;
    std::size_t last = seen;
    while (first > 0 && ends.find(text_[first - 1]) == std::string_view::npos) --first;
    while (last < text_.size() && ends.find(text_[last]) == std::string_view::npos) ++last;
    if (position > text_.size() || text_.empty())
      return refuse("", "ends at byte " + std::to_string(text_.size()) + " before the JSON does");
    return refuse(shortened(text_.substr(first, last - first)),
                  "is not JSON (UTF-8) at byte " + std::to_string(position));
  }

  Json& document() { return document_; }
  const ReadFault& fault() const { return fault_; }
  const std::vector<std::string>& repeated() const { return repeated_; }

 private:
  struct Level {
    Json* value;
    std::string key;
  };

  std::string path() const {
    std::string result;
    for (const Level& level : levels_) {
      if (level.value->is_array()) {
        result += '[' + std::to_string(level.value->size()) + ']';
      } else {
        if (!result.empty()) result += '.';
        result += shortened(level.key);
      }
    }
    return result;
  }

  bool refuse(std::string value, std::string text) {
    if (fault_.text.empty()) fault_ = {path(), std::move(value), std::move(text)};
    return false;
  }

  template <typename Value>
  bool add(Value&& value) {
    return place(Json(std::forward<Value>(value))) != nullptr;
  }

  bool open(Json::value_t kind) {
    if (levels_.size() >= kMaximumDepth)
      return refuse("", "is nested deeper than " + std::to_string(kMaximumDepth) + " levels");
    Json* value = place(Json(kind));
    if (value != nullptr) levels_.push_back({value, {}});
    return value != nullptr;
  }

  bool close() {
    levels_.pop_back();
    return true;
  }

  Json* place(Json&& value) {
    if (++values_ > kMaximumValues) {
      refuse("", "is one value too many for a config");
      return nullptr;
    }
    if (levels_.empty()) {
      document_ = std::move(value);
      return &document_;
    }
    Json& parent = *levels_.back().value;
    if (!parent.is_array()) {
      Json& slot = parent[levels_.back().key];
      slot = std::move(value);
      return &slot;
    }
    if (parent.size() >= kMaximumEntries) {
      refuse("", "is one entry too many");
      return nullptr;
    }
    parent.push_back(std::move(value));
    return &parent.back();
  }

  std::string_view text_;
  Json document_;
  ReadFault fault_;
  std::vector<Level> levels_;
  std::vector<std::string> repeated_;
  std::size_t values_ = 0;
};

/// A text that is one JSON object.
// NOLINTNEXTLINE(bugprone-exception-escape): nlohmann's moves do not throw, whatever they contain.
struct Document {
  Json root;
  std::vector<std::string> warnings;
};

inline Result<Document> parse_document(std::string_view text) {
  if (text.size() > kMaximumText)
    return ReadFault{"", std::to_string(text.size()) + " bytes", "is too large for a config"};
  Document document;
  constexpr std::string_view mark = "\xef\xbb\xbf";
  if (text.substr(0, mark.size()) == mark) {
    document.warnings.emplace_back(
        "the file starts with a byte order mark, which transformers refuses");
  }
  // nlohmann's parser takes a NUL byte for the end of the text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return ReadFault{"", "\\x00",
                     "is not JSON (UTF-8): a NUL byte at byte " + std::to_string(nul + 1)};
  }
  DocumentBuilder builder(text);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return builder.fault();
  if (!builder.document().is_object())
    return ReadFault{"", shown(builder.document()), "must be an object"};
  document.root = std::move(builder.document());
  for (const std::string& key : builder.repeated())
    document.warnings.push_back(key + " is given twice; the last one counts");
  return document;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
