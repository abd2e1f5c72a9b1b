// Any bytes at all: either a header all of whose tensors lie in the data, or a fault that says
// something. The first two bytes choose how the rest is read: as a whole file, or as a header's text
// with so much data behind it.
#include <ropewalk/interop/fold_head_scales.hpp>
#include <ropewalk/interop/safetensors.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace rw = ropewalk;

void require_at(bool condition, int line) {
  if (condition) return;
  std::fprintf(stderr, "line %d: a promise of the reader is broken\n", line);
  std::abort();
}
#define ROPEWALK_FUZZ_REQUIRE(condition) require_at(condition, __LINE__)

/// What was read is written again, and read to the same.
void write_again(const rw::Safetensors& file) {
  std::vector<rw::TensorData> tensors;
  for (const rw::TensorEntry& tensor : file.header.tensors) {
    tensors.push_back(
        {tensor.name,
         tensor.dtype,
         tensor.shape,
         {file.data.data() + tensor.begin, static_cast<std::size_t>(tensor.bytes())}});
  }
  const auto written = rw::write_safetensors(tensors, file.header.metadata);
  ROPEWALK_FUZZ_REQUIRE(written.ok());
  const auto read = rw::read_safetensors(written.value());
  ROPEWALK_FUZZ_REQUIRE(read.ok());
  ROPEWALK_FUZZ_REQUIRE(read.value().header.tensors.size() == file.header.tensors.size());
  for (const rw::TensorEntry& tensor : file.header.tensors) {
    const rw::TensorEntry* again = read.value().header.find(tensor.name);
    ROPEWALK_FUZZ_REQUIRE(again != nullptr && again->shape == tensor.shape &&
                          again->dtype == tensor.dtype && again->bytes() == tensor.bytes());
  }
}

/// A plan for layer 0 touches nothing but rows of its projection, whatever the names and shapes.
void plan(const rw::SafetensorsHeader& header, rw::QueryLayout fused, int heads) {
  rw::FoldModel model;
  model.model_type = "fuzzed";
  model.heads = heads;
  model.kv_heads = heads;
  model.fused = fused;
  const rw::LayerHeadScales scales{0, std::vector<double>(static_cast<std::size_t>(heads), 1.5)};
  const auto planned = rw::plan_fold({&header, 1}, model, {&scales, 1});
  if (!planned) {
    ROPEWALK_FUZZ_REQUIRE(!planned.fault().text.empty());
    return;
  }
  for (const rw::FoldedTensor& fold : planned.value().tensors) {
    const rw::TensorEntry& tensor = header.tensors.at(fold.tensor);
    std::uint64_t elements = 1;
    for (const std::int64_t size : tensor.shape) elements *= static_cast<std::uint64_t>(size);
    const std::uint64_t rows = fold.factor.size();
    ROPEWALK_FUZZ_REQUIRE(fold.columns >= 0);
    const auto columns = static_cast<std::uint64_t>(fold.columns);
    ROPEWALK_FUZZ_REQUIRE(fold.transposed ? columns == rows : rows * columns == elements);
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls this name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t data_bytes = static_cast<std::size_t>(data[0]) << 4 | (data[1] & 15u);
  std::vector<unsigned char> bytes(data + 2, data + size);
  if ((data[1] & 128u) == 0) {
    std::vector<unsigned char> length(8);
    rw::detail::put_little_endian(length.data(), 8, bytes.size());
    bytes.insert(bytes.begin(), length.begin(), length.end());
    bytes.resize(bytes.size() + data_bytes);
  }
  const auto read = rw::read_safetensors(bytes);
  if (!read) {
    ROPEWALK_FUZZ_REQUIRE(!read.fault().text.empty());
    ROPEWALK_FUZZ_REQUIRE(!message(read.fault()).empty());
    return 0;
  }
  const rw::SafetensorsHeader& header = read.value().header;
  ROPEWALK_FUZZ_REQUIRE(header.data_begin + header.data_bytes == bytes.size());
  std::uint64_t end = 0;
  for (const rw::TensorEntry& tensor : header.tensors) {
    ROPEWALK_FUZZ_REQUIRE(tensor.begin == end && tensor.end >= end);
    end = tensor.end;
    const auto floats = rw::read_floats(read.value().data, tensor);
    if (floats) ROPEWALK_FUZZ_REQUIRE(floats.value().size() <= tensor.bytes() / 2);
  }
  ROPEWALK_FUZZ_REQUIRE(end == read.value().data.size());
  write_again(read.value());
  plan(header, rw::QueryLayout::per_group, 1);
  plan(header, rw::QueryLayout::concatenated, 2);
  plan(header, rw::QueryLayout::quarters, 4);
  return 0;
}
