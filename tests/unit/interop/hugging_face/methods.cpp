#include <ropewalk/interop/hugging_face.hpp>

#include "support/catch.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace rw = ropewalk;
using Json = nlohmann::json;

namespace {

/// A small model with 8 pairs and this object as rope_scaling.
std::string scaled(const Json& object, const char* model_type = "llama", const Json& more = {}) {
  Json json = {{"hidden_size", 64},        {"num_attention_heads", 4},
               {"rope_theta", 1e4},        {"max_position_embeddings", 4096},
               {"model_type", model_type}, {"rope_scaling", object}};
  if (more.is_object()) json.update(more);
  return json.dump();
}

rw::ModelConfig model(const std::string& text) {
  const auto read = rw::read_hugging_face_config(text);
  if (!read) FAIL(text << " -> " << message(read.fault()));
  return read.value();
}

rw::ReadFault refusal(const std::string& text) {
  const auto read = rw::read_hugging_face_config(text);
  INFO(text);
  REQUIRE_FALSE(read.ok());
  return read.fault();
}

bool warns(const rw::ModelConfig& config, std::string_view words) {
  for (const std::string& warning : config.warnings) {
    if (warning.find(words) != std::string::npos) return true;
  }
  return false;
}

template <typename Method>
Method method(const rw::ModelConfig& config) {
  const auto* found = std::get_if<Method>(&config.variants.front().scaling);
  REQUIRE(found != nullptr);
  return *found;
}

const std::vector<double> kOnes(8, 1.0);

/// A sound object of each type, every required key present.
std::vector<Json> sound() {
  return {{{"type", "linear"}, {"factor", 4.0}},
          {{"type", "dynamic"}, {"factor", 4.0}},
          {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 1024}},
          {{"type", "llama3"},
           {"factor", 8.0},
           {"low_freq_factor", 1.0},
           {"high_freq_factor", 4.0},
           {"original_max_position_embeddings", 1024}},
          {{"type", "longrope"},
           {"short_factor", kOnes},
           {"long_factor", kOnes},
           {"original_max_position_embeddings", 1024}}};
}

}  // namespace

TEST_CASE("each rope type is read without a warning when its object is complete") {
  for (const Json& object : sound()) {
    const auto read = model(scaled(object));
    INFO(object);
    CHECK(read.variants[0].rope_type == object["type"].get<std::string>());
    if (object["type"] != "linear") CHECK(read.warnings.empty());
  }
}

TEST_CASE("a required key that is missing is named, for every rope type") {
  for (const Json& object : sound()) {
    for (const auto& entry : object.items()) {
      if (entry.key() == "type" || entry.key() == "original_max_position_embeddings") continue;
      if (entry.key() == "factor" && object["type"] == "longrope") continue;
      Json without = object;
      without.erase(entry.key());
      const rw::ReadFault fault = refusal(scaled(without));
      CHECK(fault.key == "rope_scaling." + entry.key());
      CHECK(fault.text.find("is required for rope_type") != std::string::npos);
    }
  }
}

TEST_CASE("every number of every rope type is refused as text, truth value, list and negative") {
  for (const Json& object : sound()) {
    for (const auto& entry : object.items()) {
      if (!entry.value().is_number()) continue;
      for (const Json& bad :
           {Json("2"), Json(true), Json::array({2}), Json(-2.0), Json::object()}) {
        Json changed = object;
        changed[entry.key()] = bad;
        const rw::ReadFault fault = refusal(scaled(changed));
        INFO(message(fault));
        CHECK(fault.key == "rope_scaling." + entry.key());
        CHECK_FALSE(fault.value.empty());
      }
    }
  }
}

TEST_CASE("optional numbers are checked as required ones are") {
  for (const char* key :
       {"beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor"}) {
    for (const Json& bad : {Json("32"), Json(false), Json(-1.0), Json::array()}) {
      Json object = {{"type", "yarn"}, {"factor", 4.0}, {key, bad}};
      CHECK(refusal(scaled(object)).key == "rope_scaling." + std::string(key));
    }
  }
  CHECK(refusal(scaled({{"type", "yarn"}, {"factor", 4}, {"truncate", 0}})).key ==
        "rope_scaling.truncate");
}

TEST_CASE("a factor below 1 is refused with its value") {
  for (const char* type : {"linear", "dynamic", "yarn"}) {
    const rw::ReadFault fault = refusal(scaled({{"type", type}, {"factor", 0.5}}));
    CHECK(fault.key == "rope_scaling.factor");
    CHECK(fault.value == "0.5");
  }
}

TEST_CASE("a null factor is the ratio of the lengths where transformers say so, else refused") {
  const auto yarn = model(
      scaled({{"type", "yarn"}, {"factor", nullptr}, {"original_max_position_embeddings", 1024}}));
  CHECK(method<rw::Yarn>(yarn).factor == 4.0);
  CHECK(warns(yarn, "factor is null"));
  const auto longrope = model(scaled({{"type", "longrope"},
                                      {"factor", nullptr},
                                      {"short_factor", kOnes},
                                      {"long_factor", kOnes},
                                      {"original_max_position_embeddings", 1024}}));
  CHECK(method<rw::LongRope>(longrope).factor == 4.0);
  for (const char* type : {"linear", "dynamic"})
    CHECK(refusal(scaled({{"type", type}, {"factor", nullptr}})).key == "rope_scaling.factor");
}

TEST_CASE("YaRN takes the explicit factor and says when the lengths disagree with it") {
  const auto differ = model(
      scaled({{"type", "yarn"}, {"factor", 8.0}, {"original_max_position_embeddings", 1024}}));
  CHECK(method<rw::Yarn>(differ).factor == 8.0);
  CHECK(warns(differ, "the explicit factor counts"));
  const auto whole = model(
      scaled({{"type", "yarn"}, {"factor", 8.0}, {"original_max_position_embeddings", 4096}}));
  CHECK(whole.warnings.empty());
}

TEST_CASE("beta_fast below beta_slow is an error that names what was given") {
  const auto fault =
      refusal(scaled({{"type", "yarn"}, {"factor", 4.0}, {"beta_fast", 1}, {"beta_slow", 32}}));
  CHECK(fault.key == "rope_scaling.beta_fast");
  CHECK(fault.value == "1");
  CHECK(refusal(scaled({{"type", "yarn"}, {"factor", 4.0}, {"beta_slow", 64}})).key ==
        "rope_scaling.beta_slow");
  CHECK(method<rw::Yarn>(
            model(scaled({{"type", "yarn"}, {"factor", 4.0}, {"beta_fast", 1}, {"beta_slow", 1}})))
            .beta_fast == 1.0);
}

TEST_CASE("null and 0 betas mean the defaults, null options mean absent") {
  const auto yarn = method<rw::Yarn>(model(scaled({{"type", "yarn"},
                                                   {"factor", 4.0},
                                                   {"beta_fast", nullptr},
                                                   {"beta_slow", 0},
                                                   {"attention_factor", nullptr},
                                                   {"mscale", nullptr},
                                                   {"truncate", nullptr}})));
  CHECK(yarn.beta_fast == 32.0);
  CHECK(yarn.beta_slow == 1.0);
  CHECK(yarn.truncate);
  CHECK_FALSE(yarn.explicit_attention_factor);
  CHECK_FALSE(yarn.mscale);
}

TEST_CASE("the original length of the top level wins over the object's, which wins over Lmax") {
  const Json object = {
      {"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 1024}};
  const auto top = model(scaled(object, "llama", {{"original_max_position_embeddings", 512}}));
  CHECK(top.original_length == 512);
  CHECK(warns(top, "rope_scaling.original_max_position_embeddings = 1024 is ignored"));
  CHECK(model(scaled(object)).original_length == 1024);
  const auto absent = model(scaled({{"type", "yarn"}, {"factor", 4.0}}));
  CHECK(absent.original_length == 4096);
  CHECK(warns(absent, "original_max_position_embeddings is missing; taken as 4096"));
  const auto nothing = refusal(
      R"({"head_dim": 64, "rope_theta": 1e4, "rope_scaling": {"type": "yarn", "factor": 4}})");
  CHECK(nothing.key == "rope_scaling.original_max_position_embeddings");
}

TEST_CASE("LongRoPE's lists need one positive number per rotated pair") {
  for (const char* name : {"short_factor", "long_factor"}) {
    for (const Json& bad :
         {Json(std::vector<double>(7, 1.0)), Json(std::vector<double>(9, 1.0)), Json::array(),
          Json(1.0), Json("ones"), Json(nullptr), Json::array({1, 1, 1, "1", 1, 1, 1, 1}),
          Json::array({1, 1, 1, 0, 1, 1, 1, 1}), Json::array({1, 1, 1, -2, 1, 1, 1, 1}),
          Json::array({1, 1, 1, nullptr, 1, 1, 1, 1}), Json::array({1, 1, 1, 1e300, 1, 1, 1, 1})}) {
      Json object = {{"type", "longrope"},
                     {"short_factor", kOnes},
                     {"long_factor", kOnes},
                     {"original_max_position_embeddings", 1024}};
      object[name] = bad;
      const rw::ReadFault fault = refusal(scaled(object));
      INFO(message(fault));
      const std::string key = "rope_scaling." + std::string(name);
      const bool entry = bad.is_array() && bad.size() == 8;
      CHECK(fault.key == (entry ? key + "[3]" : key));
    }
  }
}

TEST_CASE("su is longrope and its original length is the top level's") {
  const Json object = {{"type", "su"}, {"short_factor", kOnes}, {"long_factor", kOnes}};
  const auto phi = model(scaled(object, "phi3", {{"original_max_position_embeddings", 1024}}));
  CHECK(phi.variants[0].rope_type == "longrope");
  CHECK(phi.warnings.empty());
  CHECK(method<rw::LongRope>(phi).factor == 4.0);
  CHECK(warns(model(scaled(object)), "is read as \"longrope\""));
}

TEST_CASE("Phi-3.5-MoE multiplies cos and sin by its own factor") {
  const Json object = {{"type", "longrope"},   {"short_factor", kOnes},
                       {"long_factor", kOnes}, {"short_mscale", 1.25},
                       {"long_mscale", 1.25},  {"original_max_position_embeddings", 1024}};
  const auto moe = model(scaled(object, "phimoe"));
  CHECK(rw::spectrum(moe.variants[0].config, moe.variants[0].scaling).attention_factor == 1.25);
  const auto other = model(scaled(object, "phi3"));
  CHECK(rw::spectrum(other.variants[0].config, other.variants[0].scaling).attention_factor != 1.25);
}

TEST_CASE("LongRoPE over an odd number of elements is refused in Phi-3 as by its class") {
  const std::vector<double> five(5, 2.0);
  const Json object = {{"type", "longrope"},
                       {"short_factor", five},
                       {"long_factor", five},
                       {"partial_rotary_factor", 0.6},
                       {"original_max_position_embeddings", 1024}};
  CHECK(refusal(scaled(object, "phi3")).key == "rope_scaling.partial_rotary_factor");
  CHECK(model(scaled(object)).variants[0].config.rotary_dim == 10);
}

TEST_CASE("llama3 accepts equal bounds and refuses reversed ones") {
  Json object = {{"type", "llama3"},
                 {"factor", 16.0},
                 {"low_freq_factor", 1.0},
                 {"high_freq_factor", 1.0},
                 {"original_max_position_embeddings", 1024}};
  CHECK(method<rw::Llama3>(model(scaled(object))).high_freq_factor == 1.0);
  object["low_freq_factor"] = 2.0;
  CHECK(refusal(scaled(object)).key == "rope_scaling.high_freq_factor");
  object["low_freq_factor"] = 0.0;
  CHECK(refusal(scaled(object)).key == "rope_scaling.low_freq_factor");
  object["low_freq_factor"] = 1.0;
  object["original_max_position_embeddings"] = 8192;
  CHECK(warns(model(scaled(object)), "is not below max_position_embeddings"));
}

TEST_CASE("HunYuan's alpha is a fixed NTK-aware base") {
  const Json object = {{"type", "dynamic"}, {"alpha", 1000.0}, {"factor", 1.0}};
  CHECK(method<rw::NtkAware>(model(scaled(object, "hunyuan_v1_moe"))).factor == 1000.0);
  CHECK(method<rw::DynamicNtk>(model(scaled(object))).factor == 1.0);
  const Json xdrope = {{"type", "xdrope"}, {"alpha", 1000.0}, {"xdrope_section", {2, 2, 2, 2}}};
  const auto vision = model(scaled(xdrope, "hunyuan_vl"));
  CHECK(method<rw::NtkAware>(vision).factor == 1000.0);
  CHECK(vision.variants[0].mrope_section == std::vector<int>{2, 2, 2, 2});
}

TEST_CASE("a proportional head keeps its whole width and turns its fastest share") {
  const auto read = model(
      scaled({{"rope_type", "proportional"}, {"partial_rotary_factor", 0.5}, {"factor", 2.0}}));
  CHECK(read.variants[0].config.rotary_dim == 16);
  CHECK(method<rw::Proportional>(read).partial_rotary_factor == 0.5);
  CHECK(method<rw::Proportional>(read).factor == 2.0);
  CHECK(warns(model(scaled({{"rope_type", "proportional"}})), "partial_rotary_factor is missing"));
}

TEST_CASE("keys that no one reads are named") {
  for (Json object : sound()) {
    object["finetuned"] = true;
    CHECK(warns(model(scaled(object)), "rope_scaling.finetuned is not known"));
  }
  CHECK(warns(model(scaled({{"factor", 2.0}})), "rope_scaling.factor is not known"));
  CHECK(model(scaled({{"factor", 2.0}})).variants[0].rope_type == "default");
}

TEST_CASE("a partial factor that the class ignores holds here, with a warning") {
  const auto llama = model(scaled(nullptr, "llama", {{"partial_rotary_factor", 0.5}}));
  CHECK(llama.variants[0].config.rotary_dim == 8);
  CHECK(warns(llama, "transformers ignore it in llama"));
  CHECK(model(scaled(nullptr, "phi", {{"partial_rotary_factor", 0.5}})).warnings.empty());
}
