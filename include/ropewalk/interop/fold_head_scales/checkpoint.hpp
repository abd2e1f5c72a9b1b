// A checkpoint on disk: one safetensors file, or an index and the files it names. Leaf; interop only.
#pragma once

#include <ropewalk/interop/head_scales/document.hpp>
#include <ropewalk/interop/hugging_face/json_text.hpp>
#include <ropewalk/interop/safetensors.hpp>

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

/// The headers of a checkpoint, and where its files are.
struct Checkpoint {
  std::string folder;                      ///< of all files, with the slash, or ""
  std::string index;                       ///< name of the index, "" for a checkpoint of one file
  std::vector<std::string> files;          ///< names, in the order of `headers`
  std::vector<SafetensorsHeader> headers;  ///< one per file
};

namespace detail {

inline constexpr std::size_t kMaximumShards = 4096;

/// A name of a file beside the index: no folder, and nothing that leads out of this one.
inline bool is_plain_file_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  for (const char letter : name) {
    if (letter == '/' || letter == '\\' || letter == ':' || letter == '\0') return false;
  }
  return true;
}

/// Receives the parser's events of an index and keeps the names of its weight_map. Tensors are many,
/// so the document is not built.
class IndexBuilder {
 public:
  struct Entry {
    std::string tensor;
    std::string file;
  };

  bool null() { return scalar(); }
  bool boolean(bool) { return scalar(); }
  bool number_integer(Json::number_integer_t) { return scalar(); }
  bool number_unsigned(Json::number_unsigned_t) { return scalar(); }
  bool number_float(Json::number_float_t, const std::string&) { return scalar(); }
  bool binary(Json::binary_t&) { return scalar(); }
  bool string(std::string& value) {
    if (!in_map_) return scalar();
    if (!is_plain_file_name(value))
      return refuse("weight_map." + shortened(key_), '"' + shortened(value) + '"',
                    "must be the name of a file beside the index");
    entries_.push_back({std::move(key_), std::move(value)});
    return true;
  }
  bool start_object(std::size_t) {
    const bool map = depth_ == 1 && key_ == "weight_map";
    if (in_map_) return refuse("weight_map." + shortened(key_), "", "must be a string");
    if (map && seen_map_) return refuse("weight_map", "", "is given twice");
    in_map_ = map;
    seen_map_ = seen_map_ || map;
    return deeper();
  }
  bool start_array(std::size_t) { return scalar() && deeper(); }
  bool end_object() {
    in_map_ = false;
    --depth_;
    return true;
  }
  bool end_array() {
    --depth_;
    return true;
  }
  bool key(std::string& name) {
    if (depth_ == 1 || in_map_) key_ = std::move(name);
    if (in_map_ && entries_.size() >= kMaximumTensors)
      return refuse("weight_map", "", "has one tensor too many");
    return true;
  }
  template <typename Exception>
  bool parse_error(std::size_t position, const std::string&, const Exception&) {
    return refuse("", "", "is not JSON (UTF-8) at byte " + std::to_string(position));
  }

  bool seen_map() const { return seen_map_; }
  std::vector<Entry>& entries() { return entries_; }
  const ReadFault& fault() const { return fault_; }

 private:
  bool scalar() {
    if (in_map_) return refuse("weight_map." + shortened(key_), "", "must be a string");
    if (depth_ == 0) return refuse("", "", "must be an object");
    if (depth_ == 1 && key_ == "weight_map") return refuse("weight_map", "", "must be an object");
    return true;
  }
  bool deeper() {
    if (depth_ >= kMaximumDepth) return refuse("", "", "is nested too deep");
    ++depth_;
    return true;
  }
  bool refuse(std::string key, std::string value, std::string text) {
    if (fault_.text.empty()) fault_ = {std::move(key), std::move(value), std::move(text)};
    return false;
  }

  std::vector<Entry> entries_;
  ReadFault fault_;
  std::string key_;
  std::size_t depth_ = 0;
  bool in_map_ = false;
  bool seen_map_ = false;
};

inline Result<std::vector<IndexBuilder::Entry>> read_index(std::string_view text) {
  if (text.size() > kMaximumText) return ReadFault{"", "", "is too large for an index"};
  if (text.find('\0') != std::string_view::npos)
    return ReadFault{"", "\\x00", "is not JSON (UTF-8)"};
  IndexBuilder builder;
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return builder.fault();
  std::vector<IndexBuilder::Entry> entries = std::move(builder.entries());
  if (!builder.seen_map()) return ReadFault{"weight_map", "", "is missing"};
  if (entries.empty()) return ReadFault{"weight_map", "", "names no tensor"};
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.tensor < b.tensor; });
  for (std::size_t index = 1; index < entries.size(); ++index) {
    if (entries[index].tensor == entries[index - 1].tensor)
      return ReadFault{"weight_map." + shortened(entries[index].tensor), "", "is given twice"};
  }
  return entries;
}

/// Whether the index and the files it names agree on where every tensor is.
inline std::optional<ReadFault> check_index(const std::vector<IndexBuilder::Entry>& entries,
                                            const Checkpoint& checkpoint) {
  std::size_t tensors = 0;
  for (std::size_t shard = 0; shard < checkpoint.headers.size(); ++shard) {
    for (const TensorEntry& tensor : checkpoint.headers[shard].tensors) {
      const auto entry = std::lower_bound(
          entries.begin(), entries.end(), tensor.name,
          [](const IndexBuilder::Entry& a, const std::string& name) { return a.tensor < name; });
      const bool known = entry != entries.end() && entry->tensor == tensor.name &&
                         entry->file == checkpoint.files[shard];
      if (!known) {
        return ReadFault{shortened(tensor.name), shortened(checkpoint.files[shard]),
                         "is in this file and not in the index's weight_map"};
      }
      ++tensors;
    }
  }
  if (tensors == entries.size()) return std::nullopt;
  return ReadFault{"weight_map", "", "names a tensor that its file does not hold"};
}

inline bool ends_with(std::string_view text, std::string_view end) noexcept {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

struct SplitPath {
  std::string folder;  // with the slash, or ""
  std::string name;
};

inline SplitPath split_path(const std::string& path) {
#ifdef _WIN32
  const std::size_t slash = path.find_last_of("/\\");
#else
  const std::size_t slash = path.rfind('/');
#endif
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash + 1), path.substr(slash + 1)};
}

}  // namespace detail

/// Reads the headers of a checkpoint.
///   path      a file, or an index (a name that ends in .json), whose files lie beside it
///   Returns   the headers, or a fault that names the tensor or the file
inline Result<Checkpoint> open_checkpoint(const std::string& path) {
  const detail::SplitPath split = detail::split_path(path);
  Checkpoint checkpoint;
  checkpoint.folder = split.folder;
  std::vector<detail::IndexBuilder::Entry> entries;
  if (detail::ends_with(path, ".json")) {
    checkpoint.index = split.name;
    const Result<std::string> text = detail::text_of_file(path);
    if (!text) return text.fault();
    const Result<std::vector<detail::IndexBuilder::Entry>> read = detail::read_index(text.value());
    if (!read) return read.fault();
    entries = read.value();
    for (const detail::IndexBuilder::Entry& entry : entries) checkpoint.files.push_back(entry.file);
    std::sort(checkpoint.files.begin(), checkpoint.files.end());
    checkpoint.files.erase(std::unique(checkpoint.files.begin(), checkpoint.files.end()),
                           checkpoint.files.end());
    if (checkpoint.files.size() > detail::kMaximumShards)
      return ReadFault{"weight_map", "", "names too many files"};
  } else {
    checkpoint.files.push_back(split.name);
  }
  for (const std::string& file : checkpoint.files) {
    const Result<SafetensorsHeader> header = read_safetensors_header_file(split.folder + file);
    if (!header) {
      ReadFault fault = header.fault();
      if (!checkpoint.index.empty()) fault.text += " (in " + detail::shortened(file) + ")";
      return fault;
    }
    checkpoint.headers.push_back(header.value());
  }
  if (!checkpoint.index.empty()) {
    if (std::optional<ReadFault> fault = detail::check_index(entries, checkpoint)) return *fault;
  }
  return checkpoint;
}

}  // namespace v0
}  // namespace ropewalk
