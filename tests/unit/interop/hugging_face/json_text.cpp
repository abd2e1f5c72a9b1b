#include <ropewalk/interop/hugging_face.hpp>
#include <ropewalk/interop/hugging_face/json_text.hpp>

#include "support/catch.hpp"

#include <cstdio>
#include <string>
#include <string_view>

namespace rw = ropewalk;

namespace {

rw::ReadFault refusal(std::string_view text) {
  const auto read = rw::read_hugging_face_config(text);
  INFO(rw::detail::shortened(text));
  REQUIRE_FALSE(read.ok());
  REQUIRE_FALSE(read.fault().text.empty());
  return read.fault();
}

bool says(const rw::ReadFault& fault, std::string_view words) {
  return message(fault).find(words) != std::string::npos;
}

constexpr std::string_view kLlama =
    R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":4096,
"num_attention_heads":32,"num_key_value_heads":8,"num_hidden_layers":32,
"max_position_embeddings":131072,"rope_theta":500000.0,"rope_scaling":{"factor":8.0,
"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192,
"rope_type":"llama3"}})";

}  // namespace

TEST_CASE("a real config cut short at any byte is refused") {
  REQUIRE(rw::read_hugging_face_config(kLlama).ok());
  for (std::size_t bytes = 0; bytes < kLlama.size(); ++bytes) {
    const rw::ReadFault fault = refusal(kLlama.substr(0, bytes));
    CHECK(says(fault, "byte"));
  }
}

TEST_CASE("a real config with one byte replaced is read or refused, never worse") {
  int refused = 0;
  for (std::size_t at = 0; at < kLlama.size(); ++at) {
    for (const char byte : {'\0', '"', '{', '[', '-', '9', 'e', '\x80', '\xff'}) {
      std::string text(kLlama);
      text[at] = byte;
      const auto read = rw::read_hugging_face_config(text);
      if (!read) {
        CHECK_FALSE(read.fault().text.empty());
        ++refused;
      }
    }
  }
  CHECK(refused > 500);
}

TEST_CASE("a text that is not one JSON object is refused with the place") {
  CHECK(says(refusal(""), "ends at byte 0"));
  CHECK(says(refusal("   \n"), "ends at byte 4"));
  CHECK(says(refusal("[1, 2]"), "a list of 2 entries: must be an object"));
  CHECK(says(refusal("17"), "17: must be an object"));
  CHECK(says(refusal("null"), "must be an object"));
  CHECK(says(refusal("{} {}"), "byte"));
  CHECK(says(refusal("hello"), "hello: is not JSON"));
}

TEST_CASE("a NUL byte is refused wherever it stands, and its place named") {
  const std::string sound = R"({"rope_theta": 1e4})";
  for (std::size_t at = 0; at <= sound.size(); ++at) {
    std::string text = sound;
    text.insert(at, 1, '\0');
    const rw::ReadFault fault = refusal(text);
    CHECK(says(fault, ("a NUL byte at byte " + std::to_string(at + 1)).c_str()));
  }
  CHECK(says(refusal(sound + '\0' + "{"), "byte 20"));
}

TEST_CASE("a number that JSON does not have is refused with its key") {
  for (const char* number : {"NaN", "Infinity", "-Infinity", "0x10", "01", "+1", "1.", ".5"}) {
    const rw::ReadFault fault =
        refusal("{\"rope_scaling\": {\"factor\": " + std::string(number) + "}}");
    INFO(number << " -> " << message(fault));
    CHECK(fault.key == "rope_scaling.factor");
  }
  CHECK(refusal("{\"rope_theta\": NaN}").value == "NaN");
}

TEST_CASE("a number beyond double is refused with key and value") {
  const rw::ReadFault fault = refusal(R"({"rope_theta": 1e999})");
  CHECK(fault.key == "rope_theta");
  CHECK(fault.value == "1e999");
  CHECK(says(fault, "does not fit a double"));
  CHECK(refusal(R"({"a": [1, -1e400]})").key == "a[1]");
}

TEST_CASE("whole numbers beyond 64 bits are refused where a length is wanted") {
  const rw::ReadFault fault = refusal(R"({"model_type":"llama","head_dim":128,
      "max_position_embeddings":123456789012345678901234567890})");
  CHECK(fault.key == "max_position_embeddings");
  CHECK(says(fault, "at most"));
}

TEST_CASE("deep nesting is refused before it can hurt") {
  CHECK(says(refusal(std::string(100000, '[')), "nested deeper than 64"));
  std::string objects;
  for (int level = 0; level < 100000; ++level) objects += "{\"a\":";
  CHECK(says(refusal(objects), "nested deeper than 64"));
  std::string closed =
      "{\"head_dim\":64,\"x\":" + std::string(63, '[') + std::string(63, ']') + '}';
  CHECK(rw::read_hugging_face_config(closed).ok());
  closed = "{\"head_dim\":64,\"x\":" + std::string(64, '[') + std::string(64, ']') + '}';
  CHECK(says(refusal(closed), "nested deeper than 64"));
}

TEST_CASE("lists, objects and texts over the limits are refused") {
  std::string list = "{\"long_factor\":[1";
  for (int entry = 0; entry < 65536; ++entry) list += ",1";
  list += "]}";
  const rw::ReadFault fault = refusal(list);
  CHECK(says(fault, "one entry too many"));
  CHECK(fault.key == "long_factor[65536]");
  std::string object = "{\"a0\":1";
  for (int entry = 1; entry <= 65536; ++entry) object += ",\"a" + std::to_string(entry) + "\":1";
  CHECK(says(refusal(object + '}'), "one key too many"));
  std::string values = "{\"a\":[[]";
  for (int entry = 0; entry < 20; ++entry) {
    values += ",[0";
    for (int inner = 1; inner < 60000; ++inner) values += ",0";
    values += ']';
  }
  CHECK(says(refusal(values + "]}"), "one value too many"));
  const std::string large((std::size_t{64} << 20) + 1, ' ');
  CHECK(says(refusal(large), "too large"));
}

TEST_CASE("bytes that are not UTF-8 are refused, in keys and in values") {
  for (const char* bad : {"\xff", "\xc3\x28", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", "\xc0\xaf"}) {
    CHECK(says(refusal("{\"model_type\":\"" + std::string(bad) + "\"}"), "UTF-8"));
    CHECK(says(refusal("{\"" + std::string(bad) + "\":1}"), "UTF-8"));
  }
  CHECK(says(refusal("\xff\xfe{}"), "UTF-8"));
  CHECK(rw::read_hugging_face_config("{\"head_dim\":64,\"name\":\"\xc3\xa9\"}").ok());
}

TEST_CASE("what a fault shows of the file is short and printable") {
  const rw::ReadFault fault =
      refusal("{\"head_dim\":64,\"rope_theta\":\"" + std::string(5000, 'x') + "\\u0007\"}");
  CHECK(fault.value.size() < 100);
  CHECK(fault.value.find("...") != std::string::npos);
  CHECK(rw::detail::shortened("a\x07\n") == "a\\x07\\x0a");
}

TEST_CASE("a key given twice counts once, the last one, with a warning") {
  const auto read = rw::read_hugging_face_config(
      R"({"head_dim":64,"rope_theta":1e4,"rope_scaling":{"type":"linear","factor":2,"factor":4},
          "rope_theta":5e5})");
  REQUIRE(read.ok());
  CHECK(read.value().variants[0].config.theta == 5e5);
  CHECK(std::get<rw::Linear>(read.value().variants[0].scaling).factor == 4.0);
  int twice = 0;
  for (const std::string& warning : read.value().warnings)
    twice += warning.find("is given twice") != std::string::npos ? 1 : 0;
  CHECK(twice == 2);
  CHECK(read.value().warnings[0].rfind("rope_scaling.factor", 0) == 0);
}

TEST_CASE("a byte order mark is skipped with a warning") {
  const auto read = rw::read_hugging_face_config("\xef\xbb\xbf{\"head_dim\":64}");
  REQUIRE(read.ok());
  CHECK(read.value().warnings[0].find("byte order mark") != std::string::npos);
}

TEST_CASE("a file that cannot be read is a fault that names it") {
  const auto missing = rw::read_hugging_face_config_file("no/such/config.json");
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.fault().value == "no/such/config.json");
  const auto folder = rw::read_hugging_face_config_file(ROPEWALK_TEST_DATA);
  REQUIRE_FALSE(folder.ok());
  CHECK_FALSE(folder.fault().text.empty());
}

TEST_CASE("a file reads as its text does") {
  const std::string path = "ropewalk_json_text_test.json";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  REQUIRE(file != nullptr);
  REQUIRE(std::fwrite(kLlama.data(), 1, kLlama.size(), file) == kLlama.size());
  REQUIRE(std::fclose(file) == 0);
  const auto read = rw::read_hugging_face_config_file(path);
  std::remove(path.c_str());
  REQUIRE(read.ok());
  CHECK(read.value().variants[0].rope_type == "llama3");
  CHECK(read.value().claimed_length == 131072);
}
