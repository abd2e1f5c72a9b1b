#include <ropewalk/interop/head_scales.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
using Json = nlohmann::json;

namespace {

rw::HeadScales sample() {
  return {"a model", 2, 3, 2048, 8192, {1.25, 1.0, 1.5, 1.125, 1.75, 1.0}};
}

Json document() { return Json::parse(rw::write_head_scales(sample())); }

std::string refusal(const std::string& text) {
  const auto read = rw::read_head_scales(text);
  INFO(text);
  REQUIRE_FALSE(read.ok());
  return message(read.fault());
}

/// The refusal of the sample with one key replaced; null removes it.
std::string changed(const char* key, const Json& value) {
  Json json = document();
  json[key] = value;
  if (value.is_null()) json.erase(key);
  return refusal(json.dump());
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

}  // namespace

TEST_CASE("a file of scales names its model and has one line per layer") {
  CHECK(rw::write_head_scales(sample()) ==
        "{\n"
        "  \"format\": \"ropewalk head scales\",\n"
        "  \"version\": 1,\n"
        "  \"model\": \"a model\",\n"
        "  \"layers\": 2,\n"
        "  \"heads\": 3,\n"
        "  \"trained_length\": 2048,\n"
        "  \"target_length\": 8192,\n"
        "  \"multiplies\": \"softmax_scale\",\n"
        "  \"head_scale\": [\n"
        "    [1.25, 1.0, 1.5],\n"
        "    [1.125, 1.75, 1.0]\n"
        "  ]\n"
        "}\n");
}

TEST_CASE("what was written is read with the same bits") {
  Random random("head_scales round trip");
  for (int repetition = 0; repetition < 200; ++repetition) {
    rw::HeadScales scales = sample();
    scales.model = "model \"\\\n\t\xc3\xa9 " + std::to_string(repetition);
    scales.layers = random.integer(1, 6);
    scales.heads = random.integer(1, 40);
    scales.trained_length = random.length(1, std::int64_t{1} << 52);
    scales.target_length = scales.trained_length + random.integer(0, 1000);
    scales.head_scale.clear();
    for (std::int64_t i = 0; i < scales.layers * scales.heads; ++i) {
      scales.head_scale.push_back(random.log_uniform(1.2e-38, 3.3e38));
    }
    const auto read = rw::read_head_scales(rw::write_head_scales(scales));
    INFO(seed_text());
    REQUIRE(read.ok());
    CHECK(read.value().model == scales.model);
    CHECK(read.value().layers == scales.layers);
    CHECK(read.value().heads == scales.heads);
    CHECK(read.value().trained_length == scales.trained_length);
    CHECK(read.value().target_length == scales.target_length);
    CHECK(same_bits(read.value().head_scale, scales.head_scale));
  }
}

TEST_CASE("a file by another hand is read, whatever its layout") {
  const auto read = rw::read_head_scales(
      R"({"head_scale": [[1, 2e0]], "multiplies": "softmax_scale", "target_length": 4096.0,
          "trained_length": 1024, "heads": 2, "layers": 1, "model": "m", "version": 1,
          "format": "ropewalk head scales"})");
  REQUIRE(read.ok());
  CHECK(read.value().head_scale == std::vector<double>{1.0, 2.0});
  CHECK(read.value().target_length == 4096);
}

TEST_CASE("every key is required and named when it is missing") {
  const Json whole = document();
  for (const auto& entry : whole.items()) {
    const std::string& key = entry.key();
    INFO(key);
    CHECK_THAT(changed(key.c_str(), Json()), contains(key));
    CHECK_THAT(changed(key.c_str(), Json()), contains("is required here and missing"));
  }
}

TEST_CASE("values of the wrong kind or out of range are refused by key and value") {
  CHECK(changed("format", "other") == "format = \"other\": must be \"ropewalk head scales\"");
  CHECK(changed("version", 2) == "version = 2: is not known here, only version 1 is");
  CHECK(changed("version", "1") == "version = \"1\": must be a whole number");
  CHECK(changed("model", "") == "model = \"\": must name the model");
  CHECK(changed("model", 3) == "model = 3: must be a string");
  CHECK(changed("layers", 0) == "layers = 0: must be at least 1");
  CHECK(changed("layers", 2.5) == "layers = 2.5: must be a whole number");
  CHECK(changed("layers", 65537) == "layers = 65537: must be at most 65536");
  CHECK(changed("heads", -3) == "heads = -3: must be at least 1");
  CHECK(changed("trained_length", 0) == "trained_length = 0: must be at least 1");
  CHECK_THAT(changed("target_length", 2047), contains("target_length = 2047"));
  CHECK_THAT(changed("target_length", std::uint64_t{1} << 60), contains("target_length = "));
  CHECK_THAT(changed("multiplies", "1/sqrt(head_dim)"),
             contains("multiplies = ") && contains("softmax_scale"));
  CHECK(changed("comment", "hello") == "comment = \"hello\": is no key of this format");
}

TEST_CASE("scales of the wrong count or value are refused by layer and head") {
  const auto scales = [](const char* list) { return changed("head_scale", Json::parse(list)); };
  CHECK(scales("3") == "head_scale = 3: must be a list");
  CHECK(scales("[[1, 1, 1]]") ==
        "head_scale = a list of 1 entries: must have one entry per layer, which are 2");
  CHECK(scales("[[1, 1, 1], [1, 1]]") ==
        "head_scale[1] = a list of 2 entries: must have one entry per head, which are 3");
  CHECK(scales("[[1, 1, 1], 7]") == "head_scale[1] = 7: must be a list");
  CHECK(scales("[[1, 1, 1], [1, \"1\", 1]]") == "head_scale[1][1] = \"1\": must be a number");
  CHECK(scales("[[1, 1, null], [1, 1, 1]]") == "head_scale[0][2] = null: must be a number");
  CHECK_THAT(scales("[[1, 1, 1], [0, 1, 1]]"), contains("head_scale[1][0] = 0.0: is below"));
  CHECK_THAT(scales("[[1, -1.5, 1], [1, 1, 1]]"), contains("head_scale[0][1] = -1.5: is below"));
  CHECK_THAT(scales("[[1, 1, 1], [1, 1, 1e39]]"), contains("head_scale[1][2] = 1e+39: is above"));
  CHECK_THAT(scales("[[1, 1e-39, 1], [1, 1, 1]]"), contains("head_scale[0][1] = 1e-39: is below"));
}

TEST_CASE("texts that are no such file are refused, never thrown at") {
  const std::string text = rw::write_head_scales(sample());
  CHECK_THAT(refusal(""), contains("ends at byte 0"));
  CHECK_THAT(refusal("[]"), contains("must be an object"));
  CHECK_THAT(refusal(text.substr(0, text.size() / 2)), contains("before the JSON does"));
  CHECK_THAT(refusal(replaced(text, "1.75", "NaN")), contains("NaN"));
  CHECK_THAT(refusal(replaced(text, "1.75", "1e999")), contains("1e999: does not fit a double"));
  CHECK_THAT(refusal(text + std::string(1, '\0')), contains("NUL"));
  CHECK_THAT(refusal(replaced(text, "\"heads\"", "\"layers\": 2, \"heads\"")),
             contains("layers: is given twice"));
  CHECK_THAT(refusal(std::string((std::size_t{64} << 20) + 1, ' ')), contains("is too large"));
  // A limit holds before anything is allocated by the counts that a file claims.
  Json claims = document();
  claims["layers"] = 65536;
  claims["heads"] = 65536;
  claims["head_scale"] = std::vector<Json>(65536, Json::array());
  CHECK(refusal(claims.dump()) == "heads = 65536: is above the largest value allowed");
}

TEST_CASE("any change of a byte is read as sound scales or refused with words") {
  Random random("head_scales bytes");
  const std::string sound = rw::write_head_scales(sample());
  int refused = 0;
  for (int repetition = 0; repetition < 20000; ++repetition) {
    std::string text = sound;
    for (std::int64_t changes = random.integer(1, 3); changes > 0; --changes) {
      const auto at =
          static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(text.size()) - 1));
      if (random.one_in(3)) {
        text.erase(at, static_cast<std::size_t>(random.integer(1, 4)));
      } else {
        text[at] = static_cast<char>(random.integer(0, 255));
      }
    }
    const auto read = rw::read_head_scales(text);
    INFO(text << '\n' << seed_text());
    if (read) {
      REQUIRE(read.value().validate().code == rw::Errc::ok);
    } else {
      ++refused;
      REQUIRE_FALSE(read.fault().text.empty());
    }
  }
  CHECK(refused > 10000);
  CHECK(refused < 20000);
}

TEST_CASE("scales that no file may hold are not written") {
  const auto refused = [](auto change, const char* words) {
    rw::HeadScales scales = sample();
    change(scales);
    CHECK_THROWS_WITH(rw::write_head_scales(scales), contains(words));
    CHECK_THROWS_AS(rw::write_head_scales(scales), std::invalid_argument);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refused([](auto& s) { s.model.clear(); }, "model");
  refused([](auto& s) { s.model.assign(1, '\xff'); }, "model is not UTF-8");
  refused([](auto& s) { s.layers = 0; }, "layers = 0");
  refused([](auto& s) { s.heads = 4; }, "head_scale = 6 differs");
  refused([](auto& s) { s.heads = 65537; }, "heads = 65537 is above");
  refused([](auto& s) { s.trained_length = 0; }, "trained_length = 0");
  refused([](auto& s) { s.target_length = 100; }, "target_length = 100");
  refused([&](auto& s) { s.head_scale[4] = nan; }, "head_scale[4]");
  refused([](auto& s) { s.head_scale[2] = 0.0; }, "head_scale[2] = 0 is below");
  refused([](auto& s) { s.head_scale[5] = 1e300; }, "head_scale[5]");
}

TEST_CASE("a file of scales that is not there is refused by its name") {
  const auto read = rw::read_head_scales_file("no such folder/scales.json");
  REQUIRE_FALSE(read.ok());
  CHECK(message(read.fault()) == "the file = no such folder/scales.json: cannot be opened");
}

TEST_CASE("a file of scales is read back from where it was written") {
  const std::string path = "head_scales_test.json";
  const std::string text = rw::write_head_scales(sample());
  std::FILE* file = std::fopen(path.c_str(), "wb");
  REQUIRE(file != nullptr);
  CHECK(std::fwrite(text.data(), 1, text.size(), file) == text.size());
  std::fclose(file);
  const auto read = rw::read_head_scales_file(path);
  std::remove(path.c_str());
  REQUIRE(read.ok());
  CHECK(same_bits(read.value().head_scale, sample().head_scale));
}
