// What a safetensors header says, in plain values, and the rules it has to keep. Leaf; interop only.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/hugging_face/json_text.hpp>
#include <ropewalk/interop/model.hpp>
#include <ropewalk/interop/safetensors/dtype.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// One tensor of a file: bytes [begin, end) of the data that follows the header.
struct TensorEntry {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;  ///< empty: one element
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  std::uint64_t bytes() const noexcept { return end - begin; }
};

/// A name and a text of __metadata__.
struct MetadataEntry {
  std::string name;
  std::string text;
};

/// The header of a file. Its tensors lie one behind the other, from byte 0 of the data to the last.
struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;     ///< in the order of their data
  std::vector<MetadataEntry> metadata;  ///< in the order of the file
  std::uint64_t data_begin = 0;         ///< bytes before the data: 8 and the header's text
  std::uint64_t data_bytes = 0;

  /// nullptr where the file has no tensor of that name. Looks at every tensor.
  const TensorEntry* find(std::string_view name) const noexcept {
    for (const TensorEntry& tensor : tensors) {
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  }
};

namespace detail {

// What a header may hold at most. The length is the format's own limit; of the rest published files
// use a small part (the largest models have some 10^5 tensors in all, names of 100 bytes and rank 5).
inline constexpr std::uint64_t kMaximumHeader = 100000000;  // bytes of JSON
inline constexpr std::size_t kMaximumTensors = std::size_t{1} << 18;
inline constexpr std::size_t kMaximumRank = 64;        // what numpy and torch allow
inline constexpr std::size_t kMaximumName = 1024;      // bytes, of tensors and of metadata
inline constexpr std::size_t kMaximumMetadata = 4096;  // entries
inline constexpr std::uint64_t kLengthBytes = 8;       // in front of the header

/// Elements of a shape, none where the product leaves int64. A zero anywhere does not excuse it.
inline std::optional<std::int64_t> elements_of(const std::vector<std::int64_t>& shape) noexcept {
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) {
    elements = add_product(0, elements, size);
    if (elements < 0) return std::nullopt;
  }
  return elements;
}

/// Receives the parser's events; the three levels of a header are all it lets open.
class SafetensorsBuilder {
 public:
  explicit SafetensorsBuilder(std::string_view text) : text_(text) {}

  bool null() { return refuse("null", "is no value of a header"); }
  bool boolean(bool value) { return refuse(value ? "true" : "false", "is no value of a header"); }
  bool number_integer(Json::number_integer_t value) {
    return refuse(std::to_string(value), "must be a whole number from 0 up");
  }
  bool number_float(Json::number_float_t, const std::string& digits) {
    return refuse(shortened(digits), "must be a whole number from 0 up");
  }
  bool binary(Json::binary_t&) { return refuse("", "must be text"); }

  bool number_unsigned(Json::number_unsigned_t value) {
    if (level_ != Level::list) return refuse(std::to_string(value), "must not be a number");
    constexpr std::uint64_t largest = std::uint64_t{1} << 62;
    if (value > largest) return refuse(std::to_string(value), "is above 2^62");
    if (!in_shape_) {
      if (offsets_ == 2) return refuse("", "must have two entries");
      (offsets_ == 0 ? tensor_.begin : tensor_.end) = value;
      ++offsets_;
      return true;
    }
    if (tensor_.shape.size() >= kMaximumRank)
      return refuse("", "has more than " + std::to_string(kMaximumRank) + " dimensions");
    tensor_.shape.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool string(std::string& value) {
    if (level_ == Level::metadata) {
      header_.metadata.push_back({std::move(key_), std::move(value)});
      return true;
    }
    if (level_ != Level::tensor || key_ != "dtype")
      return refuse('"' + shortened(value) + '"', "must not be a string");
    const std::optional<Dtype> dtype = find_dtype(value);
    if (!dtype) return refuse('"' + shortened(value) + '"', "is no element type of the format");
    tensor_.dtype = *dtype;
    return true;
  }

  bool start_object(std::size_t) {
    if (level_ == Level::none) {
      level_ = Level::top;
    } else if (level_ == Level::top && name_ == "__metadata__") {
      level_ = Level::metadata;
    } else if (level_ == Level::top) {
      level_ = Level::tensor;
      tensor_ = {};
      seen_dtype_ = seen_shape_ = seen_offsets_ = false;
      offsets_ = 0;
    } else {
      return refuse("", "must not be an object");
    }
    return true;
  }

  bool end_object() {
    key_.clear();
    if (level_ == Level::tensor) {
      if (!seen_dtype_) return refuse("", "has no dtype");
      if (!seen_shape_) return refuse("", "has no shape");
      if (!seen_offsets_) return refuse("", "has no data_offsets");
      tensor_.name = name_;
      header_.tensors.push_back(std::move(tensor_));
    }
    if (level_ == Level::top) name_.clear();
    level_ = level_ == Level::top ? Level::none : Level::top;
    return true;
  }

  bool start_array(std::size_t) {
    const bool shape = key_ == "shape";
    if (level_ != Level::tensor || (!shape && key_ != "data_offsets"))
      return refuse("", "must not be a list");
    in_shape_ = shape;
    level_ = Level::list;
    return true;
  }

  bool end_array() {
    if (!in_shape_ && offsets_ != 2) return refuse("", "must have two entries");
    level_ = Level::tensor;
    return true;
  }

  bool key(std::string& name) {
    std::string& slot = level_ == Level::top ? name_ : key_;
    slot = std::move(name);
    if (level_ == Level::tensor) return field();
    if (slot.size() > kMaximumName)
      return refuse("", "has a name of more than " + std::to_string(kMaximumName) + " bytes");
    if (level_ == Level::metadata) {
      for (const MetadataEntry& entry : header_.metadata) {
        if (entry.name == key_) return refuse("", "is given twice");
      }
      if (header_.metadata.size() >= kMaximumMetadata) return refuse("", "is one entry too many");
      return true;
    }
    if (name_ == "__metadata__") {
      if (seen_metadata_) return refuse("", "is given twice");
      seen_metadata_ = true;
    } else if (header_.tensors.size() >= kMaximumTensors) {
      return refuse("", "is one tensor too many");
    }
    return true;
  }

  template <typename Exception>
  bool parse_error(std::size_t position, const std::string&, const Exception&) {
    if (position > text_.size()) return refuse("", "the header ends before its JSON does", true);
    return refuse("", "the header is not JSON (UTF-8) at byte " + std::to_string(position), true);
  }

  SafetensorsHeader& header() { return header_; }
  const ReadFault& fault() const { return fault_; }

 private:
  enum class Level { none, top, metadata, tensor, list };

  bool field() {
    bool* seen = nullptr;
    if (key_ == "dtype") seen = &seen_dtype_;
    if (key_ == "shape") seen = &seen_shape_;
    if (key_ == "data_offsets") seen = &seen_offsets_;
    if (seen == nullptr) return refuse("", "is no field of a tensor");
    if (*seen) return refuse("", "is given twice");
    *seen = true;
    return true;
  }

  bool refuse(std::string value, std::string text, bool of_file = false) {
    if (!fault_.text.empty()) return false;
    std::string path = shortened(name_);
    if (!key_.empty()) path += (path.empty() ? "" : ".") + shortened(key_);
    if (path.empty()) {
      of_file = true;
      text = "the header " + text;
    }
    fault_ = {of_file ? "" : path, std::move(value), std::move(text)};
    return false;
  }

  std::string_view text_;
  SafetensorsHeader header_;
  ReadFault fault_;
  Level level_ = Level::none;
  std::string name_;  // of the tensor, or __metadata__
  std::string key_;   // within it
  TensorEntry tensor_;
  int offsets_ = 0;
  bool in_shape_ = false;
  bool seen_dtype_ = false;
  bool seen_shape_ = false;
  bool seen_offsets_ = false;
  bool seen_metadata_ = false;
};

/// Sizes that fit, names that differ, data without gap or overlap. Sorts the tensors by their data.
inline std::optional<ReadFault> settle(SafetensorsHeader& header) {
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
  for (std::size_t index = 1; index < header.tensors.size(); ++index) {
    if (header.tensors[index].name == header.tensors[index - 1].name)
      return ReadFault{shortened(header.tensors[index].name), "", "is given twice"};
  }
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) {
              if (a.begin != b.begin) return a.begin < b.begin;
              return a.end != b.end ? a.end < b.end : a.name < b.name;
            });
  std::uint64_t end = 0;
  for (const TensorEntry& tensor : header.tensors) {
    const std::string name = shortened(tensor.name);
    const std::string range = std::to_string(tensor.begin) + " .. " + std::to_string(tensor.end);
    if (tensor.begin != end || tensor.end < tensor.begin) {
      return ReadFault{name + ".data_offsets", range,
                       "must begin where the tensor before it ends, at " + std::to_string(end)};
    }
    const std::optional<std::int64_t> elements = elements_of(tensor.shape);
    const std::int64_t bits = elements ? add_product(0, *elements, dtype_bits(tensor.dtype)) : -1;
    if (bits < 0) return ReadFault{name + ".shape", "", "has more elements than 64 bits can count"};
    if (bits % 8 != 0)
      return ReadFault{name + ".shape", "", "ends within a byte, which no tensor may"};
    if (tensor.bytes() != static_cast<std::uint64_t>(bits / 8)) {
      return ReadFault{name + ".data_offsets", range,
                       "must span the " + std::to_string(bits / 8) + " bytes of the shape"};
    }
    end = tensor.end;
  }
  header.data_bytes = end;
  return std::nullopt;
}

/// The JSON text of a header, without the eight bytes before it.
inline Result<SafetensorsHeader> parse_safetensors_header(std::string_view text) {
  if (text.size() > kMaximumHeader) {
    return ReadFault{"", std::to_string(text.size()) + " bytes",
                     "the header is longer than " + std::to_string(kMaximumHeader) + " bytes"};
  }
  if (text.empty() || text.front() != '{')
    return ReadFault{"", shortened(text.substr(0, 1)), "the header must begin with {"};
  // nlohmann's parser takes a NUL byte for the end of the text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return ReadFault{"", "\\x00",
                     "the header is not JSON (UTF-8) at byte " + std::to_string(nul + 1)};
  }
  SafetensorsBuilder builder(text);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return builder.fault();
  SafetensorsHeader header = std::move(builder.header());
  if (std::optional<ReadFault> fault = settle(header)) return *fault;
  header.data_begin = kLengthBytes + text.size();
  return header;
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
