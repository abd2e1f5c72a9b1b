#include <ropewalk/interop/hugging_face/reading.hpp>

#include "support/catch.hpp"

namespace rw = ropewalk;
using rw::detail::Json;
using rw::detail::Place;
using rw::detail::Reading;

TEST_CASE("a place finds keys inside objects and names them with their path") {
  const Json json = Json::parse(R"({"a": {"b": {"c": 3}}, "d": null})");
  const Place top{&json, ""};
  CHECK(*top.find("a.b.c") == 3);
  CHECK(top.find("a.x") == nullptr);
  CHECK(top.find("a.b.c.d") == nullptr);
  CHECK(top.has("d"));
  CHECK(top.present("d") == nullptr);
  CHECK(top.key("a.b") == "a.b");
  CHECK(Place{&json, "text_config"}.key("a") == "text_config.a");
  CHECK(Place{}.find("a") == nullptr);
}

TEST_CASE("the first fault stays and makes every later value absent") {
  const Json json = Json::parse(R"({"a": "x", "b": 3, "c": -1})");
  const Place top{&json, ""};
  Reading reading;
  CHECK(reading.number(top, "b") == 3.0);
  CHECK_FALSE(reading.number(top, "a"));
  CHECK(reading.failed());
  CHECK_FALSE(reading.number(top, "b"));
  CHECK_FALSE(reading.positive(top, "c"));
  CHECK(reading.fault().key == "a");
  CHECK(reading.fault().value == "\"x\"");
}

TEST_CASE("numbers are never converted in silence") {
  const Json json = Json::parse(
      R"({"whole": 16384.0, "half": 16384.5, "text": "16384", "yes": true, "big": 1e39,
          "most": 9007199254740992, "more": 9007199254740993, "huge": 18446744073709551615})");
  const Place top{&json, ""};
  const auto refused = [&](const char* key) {
    Reading reading;
    CHECK_FALSE(reading.integer(top, key));
    return reading.failed() && reading.fault().key == key;
  };
  Reading reading;
  CHECK(reading.integer(top, "whole") == 16384);
  CHECK(reading.integer(top, "most") == 9007199254740992);
  CHECK(refused("half"));
  CHECK(refused("text"));
  CHECK(refused("yes"));
  CHECK(refused("big"));
  CHECK(refused("more"));
  CHECK(refused("huge"));
  CHECK_FALSE(reading.number(top, "big"));
  CHECK(reading.fault().text.find("float32") != std::string::npos);
}

TEST_CASE("the first present name is taken and a second that disagrees gets a warning") {
  const Json json = Json::parse(R"({"a": null, "b": 2, "c": 2.0, "d": 3})");
  const Place top{&json, ""};
  Reading reading;
  CHECK(reading.first_of(top, {"a", "b", "c"}) == "b");
  CHECK(reading.warnings.empty());
  CHECK(reading.first_of(top, {"c", "d"}) == "c");
  REQUIRE(reading.warnings.size() == 1);
  CHECK(reading.warnings[0] == "d = 3 is ignored, because c = 2.0");
  CHECK(reading.first_of(top, {"x", "y"}).empty());
}

TEST_CASE("lists are of one kind, and a wrong entry is named") {
  const Json json = Json::parse(R"({"ok": [1, 2.5], "bad": [1, "2"], "texts": ["a", 1]})");
  const Place top{&json, "rope"};
  Reading reading;
  CHECK(reading.positives(top, "ok") == std::vector<double>{1.0, 2.5});
  CHECK_FALSE(reading.positives(top, "bad"));
  CHECK(reading.fault().key == "rope.bad[1]");
  Reading second;
  CHECK_FALSE(second.texts(top, "texts"));
  CHECK(second.fault().key == "rope.texts[1]");
}
