// The bytes of a safetensors file to its header and data. Leaf; interop only.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/safetensors/header.hpp>
#include <ropewalk/interop/safetensors/values.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// A file in memory.
struct Safetensors {
  SafetensorsHeader header;
  std::vector<unsigned char> data;  ///< (header.data_bytes,)

  /// As read_floats; a fault also where there is no such tensor.
  Result<std::vector<float>> floats(std::string_view name) const {
    const TensorEntry* tensor = header.find(name);
    if (tensor == nullptr)
      return ReadFault{detail::shortened(name), "", "is no tensor of the file"};
    return read_floats(data, *tensor);
  }
};

/// Reads the header at the start of a file. Every rule of the format holds for what is returned:
/// data without gaps or overlaps that end where the file does, sizes that agree with shapes, no name
/// twice. Stricter than the format's own reader in four points: a header begins with { (as the
/// format's description says), nothing is given twice, a tensor has no other fields, and names of
/// more than 1024 bytes, ranks above 64 and more than 2^18 tensors are refused.
///   bytes        the first bytes of the file, at least 8 and the header
///   file_bytes   length of the whole file
///   Returns      the header, or a fault that names the tensor; never throws on account of the bytes
///   Source       the safetensors format; python's safetensors 0.8 reads and writes the same
inline Result<SafetensorsHeader> read_safetensors_header(Span<const unsigned char> bytes,
                                                         std::uint64_t file_bytes) {
  if (bytes.size() < detail::kLengthBytes || file_bytes < detail::kLengthBytes)
    return ReadFault{"", std::to_string(bytes.size()) + " bytes", "is too short for a header"};
  const std::uint64_t length = detail::little_endian(bytes.data(), detail::kLengthBytes);
  if (length > detail::kMaximumHeader) {
    return ReadFault{
        "", std::to_string(length) + " bytes",
        "the header is longer than " + std::to_string(detail::kMaximumHeader) + " bytes"};
  }
  if (length > bytes.size() - detail::kLengthBytes || length > file_bytes - detail::kLengthBytes)
    return ReadFault{"", std::to_string(length) + " bytes", "ends before its header does"};
  Result<SafetensorsHeader> header = detail::parse_safetensors_header(
      {reinterpret_cast<const char*>(bytes.data()) + detail::kLengthBytes,
       static_cast<std::size_t>(length)});
  if (!header) return header;
  const std::uint64_t there = file_bytes - header.value().data_begin;
  if (there != header.value().data_bytes) {
    return ReadFault{"", std::to_string(there) + " bytes of data",
                     "the header describes " + std::to_string(header.value().data_bytes)};
  }
  return header;
}

/// Reads a whole file from memory. The data are copied.
inline Result<Safetensors> read_safetensors(Span<const unsigned char> bytes) {
  Result<SafetensorsHeader> header = read_safetensors_header(bytes, bytes.size());
  if (!header) return header.fault();
  Safetensors file{header.value(), {}};
  file.data.assign(bytes.begin() + file.header.data_begin, bytes.end());
  return file;
}

}  // namespace v0
}  // namespace ropewalk
