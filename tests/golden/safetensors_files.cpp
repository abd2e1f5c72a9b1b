// Files that the format's own writer wrote, read to the byte and written again to the byte. How they
// were made is in README.md beside them.
#include <ropewalk/interop/safetensors.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace rw = ropewalk;
using Bytes = std::vector<unsigned char>;
using Json = nlohmann::json;

namespace {

constexpr const char* kFiles[] = {"every_type", "floats", "shapes", "nothing"};

std::string path_of(const std::string& name) { return ROPEWALK_TEST_DATA "/safetensors/" + name; }

Bytes bytes_of(const std::string& hex) {
  Bytes bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
    bytes.push_back(static_cast<unsigned char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
  return bytes;
}

Json content_of(const std::string& name) {
  std::ifstream file(path_of("content.json"));
  REQUIRE(file);
  return Json::parse(file)[name];
}

}  // namespace

TEST_CASE("every tensor of the format's own files is read to the byte") {
  for (const char* name : kFiles) {
    const Json content = content_of(name);
    const auto read = rw::load_safetensors(path_of(std::string(name) + ".safetensors"));
    INFO(name);
    REQUIRE(read);
    REQUIRE(read.value().header.tensors.size() == content["tensors"].size());
    for (const Json& record : content["tensors"]) {
      INFO(record["name"]);
      const rw::TensorEntry* tensor = read.value().header.find(record["name"].get<std::string>());
      REQUIRE(tensor != nullptr);
      CHECK(rw::dtype_name(tensor->dtype) == record["dtype"].get<std::string>());
      CHECK(tensor->shape == record["shape"].get<std::vector<std::int64_t>>());
      const auto first = read.value().data.begin();
      CHECK(Bytes(first + static_cast<std::ptrdiff_t>(tensor->begin),
                  first + static_cast<std::ptrdiff_t>(tensor->end)) ==
            bytes_of(record["bytes"].get<std::string>()));
    }
    const Json metadata = content["metadata"].is_null() ? Json::object() : content["metadata"];
    CHECK(read.value().header.metadata.size() == metadata.size());
    for (const rw::MetadataEntry& entry : read.value().header.metadata)
      CHECK(metadata.at(entry.name).get<std::string>() == entry.text);
  }
}

TEST_CASE("F32, F16 and BF16 of the format's own files have the values torch says") {
  const rw::Safetensors file = rw::load_safetensors(path_of("floats.safetensors")).value();
  const Json content = content_of("floats");
  for (const Json& record : content["tensors"]) {
    const auto values = file.floats(record["name"].get<std::string>());
    REQUIRE(values);
    REQUIRE(values.value().size() == record["float32_bits"].size());
    for (std::size_t index = 0; index < values.value().size(); ++index)
      CHECK(rw::detail::bits_of(values.value()[index]) == record["float32_bits"][index]);
  }
}

TEST_CASE("the same tensors written here are the same file") {
  for (const char* name : kFiles) {
    INFO(name);
    const Json content = content_of(name);
    std::vector<Bytes> contents;
    for (const Json& record : content["tensors"])
      contents.push_back(bytes_of(record["bytes"].get<std::string>()));
    std::vector<rw::TensorData> tensors;
    for (const Json& record : content["tensors"]) {
      rw::TensorData tensor;
      tensor.name = record["name"].get<std::string>();
      tensor.dtype = rw::find_dtype(record["dtype"].get<std::string>()).value();
      tensor.shape = record["shape"].get<std::vector<std::int64_t>>();
      tensor.bytes = contents[tensors.size()];
      tensors.push_back(std::move(tensor));
    }
    std::vector<rw::MetadataEntry> metadata;
    const Json entries = content["metadata"].is_null() ? Json::object() : content["metadata"];
    for (const auto& [key, text] : entries.items())
      metadata.push_back({key, text.get<std::string>()});
    const auto written = rw::write_safetensors(tensors, metadata);
    REQUIRE(written);
    std::ifstream file(path_of(std::string(name) + ".safetensors"), std::ios::binary);
    const Bytes expected{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    CHECK(written.value() == expected);
  }
}
