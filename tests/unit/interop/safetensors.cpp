#include <ropewalk/interop/safetensors.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/random.hpp"

namespace rw = ropewalk;
using ropewalk_test::Random;
using Bytes = std::vector<unsigned char>;

namespace {

/// A file of any header text and `data` zero bytes.
Bytes file_of(std::string_view header, std::size_t data) {
  Bytes bytes(8 + header.size() + data);
  rw::detail::put_little_endian(bytes.data(), 8, header.size());
  std::copy(header.begin(), header.end(), bytes.begin() + 8);
  return bytes;
}

void check_refused(std::string_view header, std::size_t data, const std::string& key,
                   const std::string& text) {
  INFO(header);
  const auto read = rw::read_safetensors(file_of(header, data));
  REQUIRE_FALSE(read);
  CHECK(read.fault().key == key);
  CHECK_THAT(rw::message(read.fault()), contains(text));
}

bool accepted(std::string_view header, std::size_t data) {
  return rw::read_safetensors(file_of(header, data)).ok();
}

constexpr std::string_view kOne = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

}  // namespace

TEST_CASE("a file written is the file read") {
  const std::vector<float> weights{1.0f, -2.5f, 0.0f, 65504.0f, 1e-7f, 3.0f};
  const Bytes as_float = rw::float_bytes(weights, rw::Dtype::f32);
  const Bytes as_half = rw::float_bytes(weights, rw::Dtype::f16);
  const Bytes as_brain = rw::float_bytes(weights, rw::Dtype::bf16);
  const Bytes steps{1, 0, 0, 0, 0, 0, 0, 0};
  const std::vector<rw::TensorData> tensors{{"layers.0.weight", rw::Dtype::f32, {2, 3}, as_float},
                                            {"half", rw::Dtype::f16, {6}, as_half},
                                            {"brain", rw::Dtype::bf16, {3, 2, 1}, as_brain},
                                            {"step", rw::Dtype::i64, {}, steps},
                                            {"empty", rw::Dtype::u8, {0, 7}, {}}};
  const std::vector<rw::MetadataEntry> metadata{{"format", "pt"}, {"licence", "\"MIT\"\n\x01\\"}};
  const auto written = rw::write_safetensors(tensors, metadata);
  REQUIRE(written);
  const auto read = rw::read_safetensors(written.value());
  REQUIRE(read);
  const rw::SafetensorsHeader& header = read.value().header;
  CHECK(header.data_begin % 8 == 0);
  CHECK(header.data_begin + header.data_bytes == written.value().size());
  REQUIRE(header.tensors.size() == tensors.size());
  for (const rw::TensorData& tensor : tensors) {
    const rw::TensorEntry* entry = header.find(tensor.name);
    REQUIRE(entry != nullptr);
    CHECK(entry->dtype == tensor.dtype);
    CHECK(entry->shape == tensor.shape);
    const auto first = read.value().data.begin() + static_cast<std::ptrdiff_t>(entry->begin);
    CHECK(Bytes(first, first + static_cast<std::ptrdiff_t>(entry->bytes())) ==
          Bytes(tensor.bytes.begin(), tensor.bytes.end()));
  }
  REQUIRE(header.metadata.size() == 2);
  CHECK(header.metadata[1].name == "licence");
  CHECK(header.metadata[1].text == metadata[1].text);
  CHECK(read.value().floats("layers.0.weight").value() == weights);
  CHECK(read.value().floats("half").value()[3] == 65504.0f);
  CHECK(read.value().floats("brain").value()[1] == -2.5f);
  CHECK(read.value().floats("step").fault().value == "I64");
  CHECK_THAT(rw::message(read.value().floats("none").fault()), contains("is no tensor"));
}

TEST_CASE("the order of the tensors does not change the bytes, and is the format's own") {
  const Bytes data(8);
  std::vector<rw::TensorData> tensors{{"b", rw::Dtype::f16, {4}, data},
                                      {"a", rw::Dtype::u8, {8}, data},
                                      {"c", rw::Dtype::i64, {1}, data},
                                      {"a.b", rw::Dtype::f16, {2, 2}, data}};
  const Bytes first = rw::write_safetensors(tensors).value();
  std::swap(tensors[0], tensors[3]);
  std::swap(tensors[1], tensors[2]);
  CHECK(rw::write_safetensors(tensors).value() == first);
  const rw::SafetensorsHeader header = rw::read_safetensors(first).value().header;
  std::string order;
  for (const rw::TensorEntry& tensor : header.tensors) order += tensor.name + " ";
  CHECK(order == "c a.b b a ");
}

TEST_CASE("random tensors survive a round trip") {
  INFO(ropewalk_test::seed_text());
  Random random("safetensors round trip");
  for (int round = 0; round < 200; ++round) {
    std::vector<Bytes> contents;
    std::vector<rw::TensorData> tensors;
    const std::int64_t count = random.integer(0, 12);
    contents.reserve(static_cast<std::size_t>(count));
    for (std::int64_t index = 0; index < count; ++index) {
      rw::TensorData tensor;
      tensor.name = std::to_string(index) + std::string(random.bits() % 40, '.') +
                    (random.one_in(3) ? "\xc3\xa9\"\\" : "");
      tensor.dtype = static_cast<rw::Dtype>(random.bits() % 22);
      std::int64_t elements = 1;
      for (std::int64_t rank = random.integer(0, 4); rank > 0; --rank) {
        tensor.shape.push_back(random.integer(random.one_in(9) ? 0 : 1, 6));
        elements *= tensor.shape.back();
      }
      if (elements * rw::dtype_bits(tensor.dtype) % 8 != 0) {
        tensor.shape.push_back(4);  // whole bytes for elements of 4 and 6 bits
        elements *= 4;
      }
      Bytes content(static_cast<std::size_t>(elements * rw::dtype_bits(tensor.dtype) / 8));
      for (unsigned char& byte : content) byte = static_cast<unsigned char>(random.bits());
      contents.push_back(std::move(content));
      tensor.bytes = contents.back();
      tensors.push_back(std::move(tensor));
    }
    const auto written = rw::write_safetensors(tensors);
    REQUIRE(written);
    const auto read = rw::read_safetensors(written.value());
    REQUIRE(read);
    REQUIRE(read.value().header.tensors.size() == tensors.size());
    for (const rw::TensorData& tensor : tensors) {
      const rw::TensorEntry* entry = read.value().header.find(tensor.name);
      REQUIRE(entry != nullptr);
      CHECK(entry->dtype == tensor.dtype);
      CHECK(entry->shape == tensor.shape);
      CHECK(std::equal(tensor.bytes.begin(), tensor.bytes.end(),
                       read.value().data.begin() + static_cast<std::ptrdiff_t>(entry->begin)));
    }
  }
}

TEST_CASE("a file cut at any byte, or a byte longer, is refused") {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}})";
  const Bytes whole = file_of(header, 10);
  REQUIRE(rw::read_safetensors(whole));
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    const auto read = rw::read_safetensors(
        Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes)));
    CAPTURE(bytes);
    REQUIRE_FALSE(read);
    CHECK_FALSE(read.fault().text.empty());
  }
  // A header cut anywhere, with a length that agrees with the cut.
  for (std::size_t bytes = 0; bytes < header.size(); ++bytes) {
    CAPTURE(bytes);
    CHECK_FALSE(accepted(std::string_view(header).substr(0, bytes), 10));
  }
  CHECK_FALSE(accepted(header, 11));
}

TEST_CASE("one changed byte of a header never gives a tensor that the data do not hold") {
  const Bytes whole = file_of(
      R"({"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"I8","shape":[2],"data_offsets":[8,10]}})",
      10);
  int read_again = 0;
  for (std::size_t at = 0; at < whole.size() - 10; ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes changed = whole;
      changed[at] = static_cast<unsigned char>(value);
      const auto read = rw::read_safetensors(changed);
      if (!read) continue;
      ++read_again;
      std::uint64_t end = 0;
      for (const rw::TensorEntry& tensor : read.value().header.tensors) {
        REQUIRE(tensor.begin == end);
        REQUIRE(tensor.end <= read.value().data.size());
        end = tensor.end;
      }
      REQUIRE(end == read.value().data.size());
    }
  }
  CHECK(read_again > 186);  // that many other names alone, and types of the same size
}

TEST_CASE("what a header must not say is refused by name") {
  check_refused("", 0, "", "must begin with {");
  check_refused("[]", 0, "", "must begin with {");
  check_refused(std::string(" ") + std::string(kOne), 8, "", "must begin with {");
  check_refused(std::string(kOne) + "x", 8, "", "is not JSON");
  check_refused(std::string(kOne) + std::string(1, '\0'), 8, "", "is not JSON");
  check_refused("{\"\xff\":{}}", 0, "", "is not JSON");
  check_refused(kOne, 9, "", "describes 8");
  check_refused(kOne, 7, "", "describes 8");
  const struct {
    const char* tensor;
    const char* key;
    const char* text;
  } wrong[] = {
      {R"({"shape":[1],"data_offsets":[0,4]})", "a", "has no dtype"},
      {R"({"dtype":"F32","data_offsets":[0,4]})", "a", "has no shape"},
      {R"({"dtype":"F32","shape":[1]})", "a", "has no data_offsets"},
      {R"({"dtype":"f32","shape":[1],"data_offsets":[0,4]})", "a.dtype", "no element type"},
      {R"({"dtype":"F31","shape":[1],"data_offsets":[0,4]})", "a.dtype", "no element type"},
      {R"({"dtype":4,"shape":[1],"data_offsets":[0,4]})", "a.dtype", "must not be a number"},
      {R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})", "a.dtype", "twice"},
      {R"({"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]})", "a.shape", "twice"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]})", "a.data_offsets",
       "twice"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1})", "a.x", "no field"},
      {R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})", "a.shape", "must not be a number"},
      {R"({"dtype":"F32","shape":"1","data_offsets":[0,4]})", "a.shape", "must not be a string"},
      {R"({"dtype":"F32","shape":null,"data_offsets":[0,4]})", "a.shape", "no value"},
      {R"({"dtype":"F32","shape":true,"data_offsets":[0,4]})", "a.shape", "no value"},
      {R"({"dtype":"F32","shape":{},"data_offsets":[0,4]})", "a.shape", "must not be an object"},
      {R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})", "a.shape", "whole number"},
      {R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", "a.shape", "whole number"},
      {R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})", "a.shape", "must not be a string"},
      {R"({"dtype":"F32","shape":[[1]],"data_offsets":[0,4]})", "a.shape", "must not be a list"},
      {R"({"dtype":"F32","shape":[{}],"data_offsets":[0,4]})", "a.shape", "must not be an object"},
      {R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})", "a.shape",
       "above 2^62"},
      {R"({"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]})", "a.shape",
       "whole number"},
      {R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})", "a.shape",
       "more elements"},
      {R"({"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]})", "a.shape",
       "more elements"},
      {R"({"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]})", "a.shape",
       "more elements"},
      {R"({"dtype":"F4","shape":[1],"data_offsets":[0,1]})", "a.shape", "within a byte"},
      {R"({"dtype":"F6_E2M3","shape":[3],"data_offsets":[0,3]})", "a.shape", "within a byte"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})", "a.data_offsets", "two entries"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[4]})", "a.data_offsets", "two entries"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,3]})", "a.data_offsets", "span the 4 bytes"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,5]})", "a.data_offsets", "span the 4 bytes"},
      {R"({"dtype":"F32","shape":[0],"data_offsets":[0,4]})", "a.data_offsets", "span the 0 bytes"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", "a.data_offsets", "must begin"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})", "a.data_offsets", "at 0"},
      {R"([])", "a", "must not be a list"},
      {R"(1)", "a", "must not be a number"},
      {R"("F32")", "a", "must not be a string"},
  };
  for (const auto& entry : wrong)
    check_refused(std::string("{\"a\":") + entry.tensor + "}", 4, entry.key, entry.text);
}

TEST_CASE("gaps, overlaps and names given twice are refused") {
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)";
  const auto b = [&](const char* offsets) {
    return "{" + a + R"("b":{"dtype":"F32","shape":[1],"data_offsets":)" + offsets + "}}";
  };
  CHECK(accepted(b("[4,8]"), 8));
  check_refused(b("[5,9]"), 9, "b.data_offsets",
                "must begin where the tensor before it ends, at 4");
  check_refused(b("[3,7]"), 7, "b.data_offsets", "at 4");
  check_refused(b("[0,4]"), 8, "b.data_offsets", "at 4");
  check_refused("{" + a + a.substr(0, a.size() - 1) + "}", 4, "a", "given twice");
  check_refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "__metadata__", "given twice");
  check_refused(R"({"__metadata__":{"x":"","x":""}})", 0, "__metadata__.x", "given twice");
  check_refused(R"({"__metadata__":{"x":1}})", 0, "__metadata__.x", "must not be a number");
  check_refused(R"({"__metadata__":{"x":{}}})", 0, "__metadata__.x", "must not be an object");
  check_refused(R"({"__metadata__":[]})", 0, "__metadata__", "must not be a list");
  check_refused(R"({"__metadata__":null})", 0, "__metadata__", "is no value");
}

TEST_CASE("the limits hold on both sides") {
  const std::string name(1024, 'n');
  const auto named = [](const std::string& text) {
    return "{\"" + text + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  };
  CHECK(accepted(named(name), 1));
  CHECK(accepted(named(""), 1));
  CHECK_FALSE(accepted(named(name + "n"), 1));
  const auto ranked = [](int rank) {
    std::string shape = "1";
    for (int index = 1; index < rank; ++index) shape += ",1";
    return R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})";
  };
  CHECK(accepted(ranked(64), 1));
  check_refused(ranked(65), 1, "a.shape", "more than 64 dimensions");

  std::string deep(100000, '[');
  check_refused("{\"a\":" + deep, 0, "a", "must not be a list");
  deep.assign(100000, '{');
  CHECK_FALSE(accepted(deep, 0));

  const std::string too_long = "{" + std::string(rw::detail::kMaximumHeader, ' ') + "}";
  check_refused(too_long, 0, "", "longer than 100000000 bytes");
  Bytes huge(16, 0xff);
  const auto read = rw::read_safetensors(huge);
  REQUIRE_FALSE(read);
  CHECK_THAT(rw::message(read.fault()), contains("18446744073709551615 bytes"));
}

TEST_CASE("more tensors than the limit are refused") {
  std::string header = "{";
  for (std::size_t index = 0; index <= rw::detail::kMaximumTensors; ++index) {
    header += (index == 0 ? "\"" : ",\"") + std::to_string(index) +
              R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  CHECK_FALSE(accepted(header + "}", 0));
}

TEST_CASE("trailing space, scalars, empty tensors and an empty file are sound") {
  CHECK(accepted("{}", 0));
  CHECK(accepted(std::string(kOne) + " \n\t ", 8));
  CHECK(accepted(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4));
  CHECK(accepted(
      R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"F64","shape":[0,9],"data_offsets":[1,1]}})",
      1));
  CHECK(accepted(R"({"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", 1));
  CHECK(accepted(R"({"a":{"dtype":"F6_E3M2","shape":[4],"data_offsets":[0,3]}})", 3));
}

TEST_CASE("what could not be read back is not written") {
  const Bytes four(4);
  const auto refused = [&](rw::TensorData tensor) {
    const std::vector<rw::TensorData> tensors{std::move(tensor)};
    const auto written = rw::write_safetensors(tensors);
    return written ? std::string("written") : rw::message(written.fault());
  };
  CHECK(refused({"a", rw::Dtype::f32, {1}, four}) == "written");
  CHECK_THAT(refused({"a", rw::Dtype::f32, {2}, four}), contains("span the 8 bytes"));
  CHECK_THAT(refused({"a", rw::Dtype::f32, {-1}, four}), contains("whole number"));
  CHECK_THAT(refused({"\xff", rw::Dtype::f32, {1}, four}), contains("not JSON (UTF-8)"));
  CHECK_THAT(refused({"__metadata__", rw::Dtype::f32, {1}, four}), contains("own name"));
  CHECK_THAT(refused({std::string(2000, 'n'), rw::Dtype::f32, {1}, four}), contains("1024 bytes"));
  const std::vector<rw::TensorData> twice{{"a", rw::Dtype::f32, {1}, four},
                                          {"a", rw::Dtype::f32, {1}, four}};
  CHECK_THAT(rw::message(rw::write_safetensors(twice).fault()), contains("given twice"));
}

TEST_CASE("the names of element types are those of find_dtype") {
  for (int index = 0; index < 22; ++index) {
    const auto dtype = static_cast<rw::Dtype>(index);
    CHECK(rw::find_dtype(rw::dtype_name(dtype)) == dtype);
  }
  CHECK_FALSE(rw::find_dtype("BF32"));
  CHECK_FALSE(rw::find_dtype(""));
}
