// Tensors to the bytes of a safetensors file, the same bytes for the same tensors. Leaf; interop only.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/safetensors/header.hpp>
#include <ropewalk/interop/safetensors/values.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// One tensor to write. The bytes are the caller's: row-major, lowest byte first.
struct TensorData {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  Span<const unsigned char> bytes;
};

namespace detail {

/// A JSON string, escaped no more than JSON asks for.
inline void append_quoted(std::string& text, std::string_view content) {
  constexpr char digits[] = "0123456789abcdef";
  constexpr std::string_view plain = "\"\\\b\f\n\r\t";
  constexpr std::string_view letters = "\"\\bfnrt";
  text += '"';
  for (const char character : content) {
    const auto byte = static_cast<unsigned char>(character);
    const std::size_t known = plain.find(character);
    if (known != std::string_view::npos) {
      (text += '\\') += letters[known];
    } else if (byte < 0x20) {
      ((text += "\\u00") += digits[byte >> 4]) += digits[byte & 15];
    } else {
      text += character;
    }
  }
  text += '"';
}

}  // namespace detail

/// The bytes in front of the data, for tensors in any order; `order` says which lies where. The
/// format's own order: element types from the last of Dtype to the first, then names, byte by byte.
struct SafetensorsLayout {
  std::vector<unsigned char> header;  ///< the eight bytes and the text
  std::vector<std::size_t> order;     ///< index of the tensor that comes first, second, ...
};

inline Result<SafetensorsLayout> lay_out_safetensors(Span<const TensorData> tensors,
                                                     Span<const MetadataEntry> metadata = {}) {
  SafetensorsLayout layout;
  for (std::size_t index = 0; index < tensors.size(); ++index) layout.order.push_back(index);
  std::sort(layout.order.begin(), layout.order.end(), [&](std::size_t a, std::size_t b) {
    if (tensors[a].dtype != tensors[b].dtype) return tensors[a].dtype > tensors[b].dtype;
    return tensors[a].name < tensors[b].name;
  });
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const MetadataEntry& entry : metadata) {
      if (text.back() != '{') text += ',';
      detail::append_quoted(text, entry.name);
      text += ':';
      detail::append_quoted(text, entry.text);
    }
    text += '}';
  }
  std::uint64_t end = 0;
  for (const std::size_t index : layout.order) {
    const TensorData& tensor = tensors[index];
    if (tensor.name == "__metadata__")
      return ReadFault{tensor.name, "", "is the format's own name and no tensor's"};
    if (text.size() > 1) text += ',';
    detail::append_quoted(text, tensor.name);
    ((text += ":{\"dtype\":\"") += dtype_name(tensor.dtype)) += "\",\"shape\":[";
    for (const std::int64_t size : tensor.shape) {
      if (text.back() != '[') text += ',';
      text += std::to_string(size);
    }
    text += "],\"data_offsets\":[" + std::to_string(end) + ',';
    end += tensor.bytes.size();
    text += std::to_string(end) + "]}";
  }
  text += '}';
  while (text.size() % 8 != 0) text += ' ';
  // What could not be read back is not written; the reader's rules are the only ones.
  const Result<SafetensorsHeader> read = detail::parse_safetensors_header(text);
  if (!read) return read.fault();
  layout.header.resize(detail::kLengthBytes);
  detail::put_little_endian(layout.header.data(), detail::kLengthBytes, text.size());
  layout.header.insert(layout.header.end(), text.begin(), text.end());
  return layout;
}

/// The bytes of a file. The same tensors, in whatever order, give the same bytes, which are those
/// that the format's own writer gives.
///   Returns   a fault that names the tensor where a name, shape or size cannot be written
inline Result<std::vector<unsigned char>> write_safetensors(
    Span<const TensorData> tensors, Span<const MetadataEntry> metadata = {}) {
  const Result<SafetensorsLayout> layout = lay_out_safetensors(tensors, metadata);
  if (!layout) return layout.fault();
  std::vector<unsigned char> bytes = layout.value().header;
  for (const std::size_t index : layout.value().order)
    bytes.insert(bytes.end(), tensors[index].bytes.begin(), tensors[index].bytes.end());
  return bytes;
}

}  // namespace v0
}  // namespace ropewalk
