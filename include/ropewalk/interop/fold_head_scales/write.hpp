// A checkpoint copied file by file, its query projections scaled on the way. Leaf; interop only.
#pragma once

#include <ropewalk/head_view.hpp>
#include <ropewalk/interop/fold_head_scales/checkpoint.hpp>
#include <ropewalk/interop/fold_head_scales/layer.hpp>
#include <ropewalk/interop/fold_head_scales/scale.hpp>
#include <ropewalk/interop/head_scales/document.hpp>
#include <ropewalk/interop/safetensors.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// What was written.
struct FoldReport {
  std::vector<FoldRounding> rounding;  ///< one per tensor of the plan
  std::uint64_t bytes = 0;             ///< of all files
};

/// Multiplies a run of a tensor's elements in place, as its bytes stand in the file. A factor of
/// exactly 1 leaves every bit as it was, NaN and infinities too.
///   bytes           whole elements
///   first_element   index in the tensor of the first of them
///   Returns         what rounding did, or a fault that names the element: one that is no finite
///                   number, or becomes none
inline Result<FoldRounding> scale_elements(Span<unsigned char> bytes, const TensorEntry& tensor,
                                           const FoldedTensor& fold, std::uint64_t first_element) {
  FoldRounding rounding;
  if (bytes.empty()) return rounding;
  const auto size = static_cast<std::size_t>(dtype_bits(tensor.dtype)) / 8;
  const auto columns = static_cast<std::uint64_t>(fold.columns);
  std::uint64_t row = first_element / columns;
  std::uint64_t column = first_element % columns;
  for (std::size_t offset = 0; offset + size <= bytes.size(); offset += size) {
    const double factor = fold.factor[static_cast<std::size_t>(fold.transposed ? column : row)];
    const std::uint64_t element = row * columns + column;
    if (++column == columns) {
      column = 0;
      ++row;
    }
    if (factor == 1.0) continue;
    unsigned char* const at = bytes.data() + offset;
    const detail::ElementFault fault =
        tensor.dtype == Dtype::f64 ? detail::scale_double(at, factor, rounding)
                                   : detail::scale_element(at, tensor.dtype, factor, rounding);
    if (fault == detail::ElementFault::none) continue;
    return ReadFault{detail::shortened(tensor.name), "element " + std::to_string(element),
                     fault == detail::ElementFault::overflow
                         ? "is beyond the range of " + std::string(dtype_name(tensor.dtype)) +
                               " once it is scaled"
                         : "is not a finite number"};
  }
  return rounding;
}

namespace detail {

/// Files under a temporary name, removed again unless they were put in place.
class NewFiles {
 public:
  NewFiles() = default;
  NewFiles(const NewFiles&) = delete;
  NewFiles& operator=(const NewFiles&) = delete;
  ~NewFiles() {
    for (const std::string& path : unfinished_) std::remove((path + kSuffix).c_str());
  }

  /// The temporary file that becomes `path`; nullptr where it cannot be made, or is there already.
  File create(const std::string& path) {
    File file(std::fopen((path + kSuffix).c_str(), "wbx"));
    if (file != nullptr) unfinished_.push_back(path);
    return file;
  }

  /// Renames all, in the order in which they were created.
  std::optional<ReadFault> put_in_place() {
    while (!unfinished_.empty()) {
      const std::string path = unfinished_.front();
#ifdef _WIN32
      std::remove(path.c_str());  // there, rename does not replace
#endif
      if (std::rename((path + kSuffix).c_str(), path.c_str()) != 0)
        return file_fault(path, "cannot be written");
      unfinished_.erase(unfinished_.begin());
    }
    return std::nullopt;
  }

  static constexpr const char* kSuffix = ".part";

 private:
  std::vector<std::string> unfinished_;
};

inline constexpr std::size_t kCopyBytes = std::size_t{1} << 20;  // a multiple of every element

/// Copies one file; `folds` are the tensors of it that are scaled, indices into the plan.
class FileFold {
 public:
  FileFold(std::FILE* from, std::FILE* to, const FoldPlan& plan, FoldReport& report)
      : from_(from), to_(to), plan_(plan), report_(report), buffer_(kCopyBytes) {}

  std::optional<ReadFault> copy(std::size_t shard, const SafetensorsHeader& header,
                                const std::string& path) {
    std::vector<std::size_t> fold_of(header.tensors.size(), plan_.tensors.size());
    for (std::size_t index = 0; index < plan_.tensors.size(); ++index) {
      if (plan_.tensors[index].shard == shard) fold_of[plan_.tensors[index].tensor] = index;
    }
    if (std::optional<ReadFault> fault = move(header.data_begin, path, nullptr, 0)) return fault;
    for (std::size_t index = 0; index < header.tensors.size(); ++index) {
      const TensorEntry& tensor = header.tensors[index];
      const TensorEntry* scaled = fold_of[index] < plan_.tensors.size() ? &tensor : nullptr;
      if (std::optional<ReadFault> fault = move(tensor.bytes(), path, scaled, fold_of[index]))
        return fault;
    }
    if (std::fgetc(from_) != EOF) return file_fault(path, "has changed while it was read");
    return std::nullopt;
  }

 private:
  std::optional<ReadFault> move(std::uint64_t bytes, const std::string& path,
                                const TensorEntry* tensor, std::size_t fold) {
    std::uint64_t element = 0;
    while (bytes > 0) {
      const std::size_t count = bytes < kCopyBytes ? static_cast<std::size_t>(bytes) : kCopyBytes;
      if (std::fread(buffer_.data(), 1, count, from_) != count)
        return file_fault(path, "has changed while it was read, or cannot be read");
      if (tensor != nullptr) {
        const Result<FoldRounding> rounding =
            scale_elements({buffer_.data(), count}, *tensor, plan_.tensors[fold], element);
        if (!rounding) return rounding.fault();
        FoldRounding& sum = report_.rounding[fold];
        sum.elements += rounding.value().elements;
        sum.underflows += rounding.value().underflows;
        if (rounding.value().largest_error > sum.largest_error)
          sum.largest_error = rounding.value().largest_error;
        element += count / (static_cast<std::size_t>(dtype_bits(tensor->dtype)) / 8);
      }
      if (std::fwrite(buffer_.data(), 1, count, to_) != count)
        return file_fault(path, "cannot be copied: the new file cannot be written");
      report_.bytes += count;
      bytes -= count;
    }
    return std::nullopt;
  }

  std::FILE* from_;
  std::FILE* to_;
  const FoldPlan& plan_;
  FoldReport& report_;
  std::vector<unsigned char> buffer_;
};

inline bool exists(const std::string& path) {
  return File(std::fopen(path.c_str(), "rb")) != nullptr;
}

}  // namespace detail

/// Writes the scaled copy of a checkpoint. Headers, other tensors and the index are copied byte for
/// byte; a tensor is never in memory as a whole. All files are written under another name (.part)
/// first and renamed when every one is complete, the index last.
///   checkpoint   open_checkpoint's
///   plan         plan_fold's for its headers
///   output       the new file, or for a checkpoint with an index the new index, beside which its
///                files go; the folder must be there
///   overwrite    false: a file that is there already is a fault, the checkpoint's own included
///   Returns      what was written, or a fault; then nothing is left behind, unless a rename failed
///                after another had succeeded
inline Result<FoldReport> write_folded(const Checkpoint& checkpoint, const FoldPlan& plan,
                                       const std::string& output, bool overwrite = false) {
  const detail::SplitPath target = detail::split_path(output);
  const bool indexed = !checkpoint.index.empty();
  if (indexed != detail::ends_with(output, ".json")) {
    return detail::file_fault(output, indexed ? "must end in .json, as the index that is copied"
                                              : "must not end in .json: one file is copied");
  }
  std::vector<std::string> names = indexed ? checkpoint.files : std::vector{target.name};
  if (indexed) names.push_back(target.name);
  if (!overwrite) {
    for (const std::string& name : names) {
      if (detail::exists(target.folder + name))
        return detail::file_fault(target.folder + name, "is there already");
    }
  }
  FoldReport report;
  report.rounding.resize(plan.tensors.size());
  detail::NewFiles files;
  for (std::size_t shard = 0; shard < checkpoint.files.size(); ++shard) {
    const std::string source = checkpoint.folder + checkpoint.files[shard];
    detail::File from(std::fopen(source.c_str(), "rb"));
    if (from == nullptr) return detail::file_fault(source, "cannot be opened");
    const std::string path = target.folder + names[shard];
    detail::File to = files.create(path);
    if (to == nullptr)
      return detail::file_fault(path + detail::NewFiles::kSuffix,
                                "cannot be made, or is there from an earlier attempt");
    detail::FileFold fold(from.get(), to.get(), plan, report);
    if (std::optional<ReadFault> fault = fold.copy(shard, checkpoint.headers[shard], source))
      return *fault;
    if (std::fclose(to.release()) != 0) return detail::file_fault(path, "cannot be written");
  }
  if (indexed) {
    const Result<std::string> text = detail::text_of_file(checkpoint.folder + checkpoint.index);
    if (!text) return text.fault();
    detail::File to = files.create(output);
    if (to == nullptr ||
        std::fwrite(text.value().data(), 1, text.value().size(), to.get()) != text.value().size() ||
        std::fclose(to.release()) != 0)
      return detail::file_fault(output, "cannot be written");
    report.bytes += text.value().size();
  }
  if (std::optional<ReadFault> fault = files.put_in_place()) return *fault;
  return report;
}

}  // namespace v0
}  // namespace ropewalk
