#include <ropewalk/interop/head_scale_state.hpp>

#include <ropewalk/head_scale/search.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
using Json = nlohmann::json;

namespace {

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

bool same_bits(const rw::HeadScaleState& a, const rw::HeadScaleState& b) {
  const rw::HeadScaleOptions& x = a.options;
  const rw::HeadScaleOptions& y = b.options;
  return a.layers == b.layers && a.heads == b.heads && a.step == b.step &&
         x.learning_rate == y.learning_rate && x.beta1 == y.beta1 && x.beta2 == y.beta2 &&
         x.epsilon == y.epsilon && x.gradient_clip == y.gradient_clip &&
         x.lower_bound == y.lower_bound && x.schedule.steps == y.schedule.steps &&
         x.schedule.warmup == y.schedule.warmup && x.schedule.floor == y.schedule.floor &&
         same_bits(a.head_scale, b.head_scale) && same_bits(a.first_moment, b.first_moment) &&
         same_bits(a.second_moment, b.second_moment);
}

/// One step down a bowl whose walls differ by head.
void step(rw::HeadScaleSearch& search) {
  std::vector<double> gradient;
  double loss = 0.0;
  for (std::size_t i = 0; i < search.head_scale().size(); ++i) {
    const double distance = search.head_scale()[i] - (0.9 + 0.1 * static_cast<double>(i));
    gradient.push_back(static_cast<double>(i + 1) / 3.0 * distance);
    loss += 0.5 * gradient.back() * distance;
  }
  REQUIRE(search.step(loss, gradient).code == rw::Errc::ok);
}

rw::HeadScaleSearch after(int steps) {
  rw::HeadScaleOptions options;
  options.learning_rate = 0.05;
  options.schedule = {40, 5, 1.0 / 3.0};
  rw::HeadScaleSearch search(3, 4, 1.6, options);
  for (int i = 0; i < steps; ++i) step(search);
  return search;
}

std::string refusal(const Json& json) {
  const auto read = rw::read_head_scale_state(json.dump());
  INFO(json);
  REQUIRE_FALSE(read.ok());
  return message(read.fault());
}

std::string changed(const char* pointer, const Json& value) {
  Json json = Json::parse(rw::write_head_scale_state(after(3).state()));
  json[Json::json_pointer(pointer)] = value;
  return refusal(json);
}

}  // namespace

TEST_CASE("a search that was written and read after any step ends with the same bits") {
  rw::HeadScaleSearch whole = after(40);
  REQUIRE(whole.finished());
  for (int steps = 0; steps <= 40; ++steps) {
    const rw::HeadScaleSearch stopped = after(steps);
    const auto read = rw::read_head_scale_state(rw::write_head_scale_state(stopped.state()));
    REQUIRE(read.ok());
    REQUIRE(same_bits(read.value(), stopped.state()));
    rw::HeadScaleSearch resumed(read.value());
    while (resumed.searching()) step(resumed);
    CHECK(same_bits(resumed.state(), whole.state()));
  }
}

TEST_CASE("any state that is sound is written and read with the same bits") {
  Random random("head_scale_state round trip");
  for (int repetition = 0; repetition < 300; ++repetition) {
    rw::HeadScaleState state =
        rw::head_scale_state(random.integer(1, 4), random.integer(1, 20), 1.0);
    const auto any = [&random](double largest) { return random.log_uniform(1e-300, largest); };
    rw::HeadScaleOptions& options = state.options;
    options.learning_rate = any(1e300);
    options.beta1 = random.unit();
    options.beta2 = random.unit();
    options.epsilon = any(1e300);
    options.gradient_clip = random.one_in(2) ? std::optional<double>(any(1e300)) : std::nullopt;
    options.lower_bound = random.one_in(2) ? std::optional<double>(-any(1e300)) : std::nullopt;
    options.schedule = {random.length(200, std::int64_t{1} << 31), random.integer(0, 199),
                        random.unit()};
    state.step = random.integer(0, options.schedule.steps);
    for (std::size_t i = 0; i < state.head_scale.size(); ++i) {
      state.head_scale[i] = any(1e300);
      state.first_moment[i] = random.one_in(2) ? any(1e300) : -any(1e300);
      state.second_moment[i] = any(1e300);
    }
    const auto read = rw::read_head_scale_state(rw::write_head_scale_state(state));
    INFO(seed_text());
    REQUIRE(read.ok());
    CHECK(same_bits(read.value(), state));
  }
}

TEST_CASE("the largest search that is allowed can be written and read") {
  const rw::HeadScaleState state = rw::head_scale_state(65536, 2, 1.1);
  const auto read = rw::read_head_scale_state(rw::write_head_scale_state(state));
  REQUIRE(read.ok());
  CHECK(same_bits(read.value(), state));
}

TEST_CASE("states that no search can go on from are refused by key and value") {
  CHECK(changed("/format", "ropewalk head scales") ==
        "format = \"ropewalk head scales\": must be \"ropewalk head scale search\"");
  CHECK(changed("/version", 7) == "version = 7: is not known here, only version 1 is");
  CHECK(changed("/options", 7) == "options = 7: must be an object");
  CHECK(changed("/options/beta3", 7) == "options.beta3 = 7: is no key of this format");
  CHECK(changed("/options/beta1", "x") == "options.beta1 = \"x\": must be a number");
  CHECK(changed("/options/beta1", Json()) == "options.beta1 = null: is required here and missing");
  CHECK(changed("/options/beta1", 1.0) ==
        "options.beta1 = 1.0: is above the largest value allowed");
  CHECK_THAT(changed("/options/warmup", 40), contains("options.warmup = 40.0"));
  CHECK_THAT(changed("/options/gradient_clip", 0), contains("options.gradient_clip = 0.0"));
  CHECK(changed("/options/steps", 2.5) == "options.steps = 2.5: must be a whole number");
  CHECK_THAT(changed("/step", 41), contains("step = 41.0: is above"));
  CHECK_THAT(changed("/heads", 5), contains("head_scale[0]") && contains("which are 5"));
  CHECK_THAT(changed("/head_scale/2/1", 0.5), contains("head_scale[2][1] = 0.5: is below"));
  CHECK(changed("/first_moment/1/3", "x") == "first_moment[1][3] = \"x\": must be a number");
  CHECK_THAT(changed("/second_moment/0/0", -1), contains("second_moment[0][0] = -1.0: is below"));
  CHECK(changed("/third_moment", 1) == "third_moment = 1: is no key of this format");
  Json json = Json::parse(rw::write_head_scale_state(after(3).state()));
  json["options"].erase("lower_bound");
  CHECK(refusal(json) == "options.lower_bound: is required here and missing");
  json.erase("options");
  CHECK(refusal(json) == "options: is required here and missing");
}

TEST_CASE("a key that a state gives twice is refused") {
  std::string text = rw::write_head_scale_state(after(1).state());
  const std::string key = "\"beta1\": 0.9, ";
  const std::size_t at = text.find(key);
  REQUIRE(at != std::string::npos);
  text.insert(at, key);
  const auto read = rw::read_head_scale_state(text);
  REQUIRE_FALSE(read.ok());
  CHECK(message(read.fault()) == "options.beta1: is given twice");
}

TEST_CASE("a state that is unsound is not written") {
  rw::HeadScaleState state = rw::head_scale_state(1, 2, 1.5);
  state.first_moment[1] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(rw::write_head_scale_state(state), contains("first_moment[1]"));
}

TEST_CASE("a state's file that is not there is refused by its name") {
  const auto read = rw::read_head_scale_state_file("no such folder/state.json");
  REQUIRE_FALSE(read.ok());
  CHECK(message(read.fault()) == "the file = no such folder/state.json: cannot be opened");
}
