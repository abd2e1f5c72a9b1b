// Safetensors files on disk: the header alone, or all of it. Leaf; interop only.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/safetensors/header.hpp>
#include <ropewalk/interop/safetensors/read.hpp>
#include <ropewalk/interop/safetensors/values.hpp>
#include <ropewalk/interop/safetensors/write.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

struct FileCloser {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

inline ReadFault file_fault(const std::string& path, std::string text) {
  return {"", shortened(path), std::move(text)};
}

/// Opens a file and reads its header; the file then stands at the first byte of the data.
inline Result<SafetensorsHeader> open_safetensors(const std::string& path, File& file) {
  file.reset(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return file_fault(path, "cannot be opened");
  // Where long has 32 bits, files beyond 2 GiB are refused here.
  const bool sought = std::fseek(file.get(), 0, SEEK_END) == 0;
  const long size = sought ? std::ftell(file.get()) : -1;
  if (size < 0 || std::fseek(file.get(), 0, SEEK_SET) != 0)
    return file_fault(path, "cannot be measured");
  const auto file_bytes = static_cast<std::uint64_t>(size);
  std::vector<unsigned char> bytes(kLengthBytes);
  if (std::fread(bytes.data(), 1, kLengthBytes, file.get()) != kLengthBytes)
    return file_fault(path, "is too short for a header");
  const std::uint64_t length = little_endian(bytes.data(), kLengthBytes);
  if (length <= kMaximumHeader && length <= file_bytes - kLengthBytes) {
    bytes.resize(static_cast<std::size_t>(kLengthBytes + length));
    const std::size_t count = bytes.size() - kLengthBytes;
    if (std::fread(bytes.data() + kLengthBytes, 1, count, file.get()) != count)
      return file_fault(path, "cannot be read");
  }
  return read_safetensors_header(bytes, file_bytes);
}

}  // namespace detail

/// As read_safetensors_header, for a file; reads no more of it than the header.
inline Result<SafetensorsHeader> read_safetensors_header_file(const std::string& path) {
  detail::File file;
  return detail::open_safetensors(path, file);
}

/// Reads a whole file into memory.
inline Result<Safetensors> load_safetensors(const std::string& path) {
  detail::File file;
  const Result<SafetensorsHeader> header = detail::open_safetensors(path, file);
  if (!header) return header.fault();
  Safetensors content{header.value(), {}};
  content.data.resize(static_cast<std::size_t>(content.header.data_bytes));
  const std::size_t count = content.data.size();
  if (count > 0 && std::fread(content.data.data(), 1, count, file.get()) != count)
    return detail::file_fault(path, "cannot be read");
  return content;
}

/// Writes a whole file, under another name first and renamed when it is complete, so that `path`
/// never holds half of it.
///   Returns   the bytes written
inline Result<std::uint64_t> save_safetensors(const std::string& path,
                                              Span<const TensorData> tensors,
                                              Span<const MetadataEntry> metadata = {}) {
  const Result<std::vector<unsigned char>> bytes = write_safetensors(tensors, metadata);
  if (!bytes) return bytes.fault();
  const std::string unfinished = path + ".part";
  std::FILE* file = std::fopen(unfinished.c_str(), "wb");
  if (file == nullptr) return ReadFault{"", detail::shortened(unfinished), "cannot be written"};
  const std::vector<unsigned char>& content = bytes.value();
  const bool whole = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  const bool closed = std::fclose(file) == 0;
  if (!whole || !closed || std::rename(unfinished.c_str(), path.c_str()) != 0) {
    std::remove(unfinished.c_str());
    return ReadFault{"", detail::shortened(path), "cannot be written"};
  }
  return static_cast<std::uint64_t>(content.size());
}

}  // namespace v0
}  // namespace ropewalk
