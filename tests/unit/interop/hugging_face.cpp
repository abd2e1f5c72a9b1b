#include <ropewalk/interop/hugging_face.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace rw = ropewalk;
using Json = nlohmann::json;

namespace {

/// A small model; `changes` replaces or adds keys.
std::string config(const char* changes, const char* model_type = "llama") {
  Json json = Json::parse(R"({"hidden_size": 512, "num_attention_heads": 8, "rope_theta": 10000.0,
                              "num_hidden_layers": 8, "max_position_embeddings": 4096})");
  if (*model_type != 0) json["model_type"] = model_type;
  json.update(Json::parse(changes));
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

std::string source(const rw::ModelConfig& config, std::string_view field) {
  std::string key;
  for (const rw::ValueSource& entry : config.sources) {
    if (entry.field == field) key = entry.key;
  }
  return key;
}

const rw::RopeVariant& first(const rw::ModelConfig& config) { return config.variants.front(); }

template <typename Method>
Method method(const rw::ModelConfig& config) {
  const auto* found = std::get_if<Method>(&config.variants.front().scaling);
  REQUIRE(found != nullptr);
  return *found;
}

}  // namespace

TEST_CASE("a config becomes dimensions, base, schedule and lengths, each with its key") {
  const auto llama = model(R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
      "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
      "num_hidden_layers": 32, "max_position_embeddings": 131072, "rope_theta": 500000.0,
      "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                       "original_max_position_embeddings": 8192, "rope_type": "llama3"}})");
  CHECK(llama.model_type == "llama");
  CHECK(llama.architectures == std::vector<std::string>{"LlamaForCausalLM"});
  CHECK(llama.layers == 32);
  CHECK(llama.heads == 32);
  CHECK(llama.kv_heads == 8);
  CHECK(llama.original_length == 8192);
  CHECK(llama.claimed_length == 131072);
  CHECK_FALSE(llama.new_style);
  CHECK(llama.warnings.empty());
  REQUIRE(llama.variants.size() == 1);
  CHECK(first(llama).rope_type == "llama3");
  CHECK(first(llama).config.head_dim == 128);
  CHECK(first(llama).config.rotary_dim == 128);
  CHECK(first(llama).config.theta == 500000.0);
  CHECK(first(llama).config.original_length == 8192);
  CHECK(first(llama).config.pairing == rw::Pairing::half_split);
  CHECK(method<rw::Llama3>(llama).high_freq_factor == 4.0);
  CHECK(source(llama, "theta") == "rope_theta");
  CHECK(source(llama, "factor") == "rope_scaling.factor");
  CHECK(source(llama, "rope_type") == "rope_scaling.rope_type");
  CHECK(source(llama, "original_length") == "rope_scaling.original_max_position_embeddings");
  CHECK(source(llama, "head_dim") == "derived: hidden_size / num_attention_heads");
  CHECK(source(llama, "layers") == "num_hidden_layers");
  CHECK(source(llama, "low_freq_factor") == "rope_scaling.low_freq_factor");
  CHECK(source(llama, "claimed_length") == "max_position_embeddings");
}

TEST_CASE("a value of the wrong kind is refused with its key and what it held") {
  const struct {
    const char* changes;
    const char* key;
    const char* value;
  } cases[] = {
      {R"({"rope_theta": "10000"})", "rope_theta", "\"10000\""},
      {R"({"rope_theta": true})", "rope_theta", "true"},
      {R"({"rope_theta": null})", "rope_theta", "null"},
      {R"({"rope_theta": [10000]})", "rope_theta", "a list of 1 entries"},
      {R"({"rope_theta": -10000})", "rope_theta", "-10000"},
      {R"({"rope_theta": 0})", "rope_theta", "0"},
      {R"({"rope_theta": 1})", "rope_theta", "1"},
      {R"({"rope_theta": 1e300})", "rope_theta", "1e+300"},
      {R"({"max_position_embeddings": "4096"})", "max_position_embeddings", "\"4096\""},
      {R"({"max_position_embeddings": 4096.5})", "max_position_embeddings", "4096.5"},
      {R"({"max_position_embeddings": -1})", "max_position_embeddings", "-1"},
      {R"({"max_position_embeddings": false})", "max_position_embeddings", "false"},
      {R"({"head_dim": 64.5})", "head_dim", "64.5"},
      {R"({"head_dim": -64})", "head_dim", "-64"},
      {R"({"head_dim": 0})", "head_dim", "0"},
      {R"({"head_dim": 63})", "head_dim", "63"},
      {R"({"head_dim": 1e9})", "head_dim", "1000000000.0"},
      {R"({"hidden_size": "512"})", "hidden_size", "\"512\""},
      {R"({"hidden_size": 4})", "hidden_size", "4"},
      {R"({"num_attention_heads": 0})", "num_attention_heads", "0"},
      {R"({"num_attention_heads": -8})", "num_attention_heads", "-8"},
      {R"({"num_hidden_layers": 1e6})", "num_hidden_layers", "1000000.0"},
      {R"({"model_type": 7})", "model_type", "7"},
      {R"({"architectures": "LlamaForCausalLM"})", "architectures", "\"LlamaForCausalLM\""},
      {R"({"architectures": [1]})", "architectures[0]", "1"},
      {R"({"partial_rotary_factor": "half"})", "partial_rotary_factor", "\"half\""},
      {R"({"partial_rotary_factor": -0.5})", "partial_rotary_factor", "-0.5"},
      {R"({"partial_rotary_factor": 0})", "partial_rotary_factor", "0"},
      {R"({"partial_rotary_factor": 1.5})", "partial_rotary_factor", "1.5"},
      {R"({"rope_scaling": "linear"})", "rope_scaling", "\"linear\""},
      {R"({"rope_scaling": [2.0]})", "rope_scaling", "a list of 1 entries"},
      {R"({"rope_parameters": 4})", "rope_parameters", "4"},
      {R"({"text_config": "llama"})", "text_config", "\"llama\""},
      {R"({"layer_types": "full_attention"})", "layer_types", "\"full_attention\""},
      {R"({"layer_types": [1, 2, 3, 4, 5, 6, 7, 8]})", "layer_types[0]", "1"},
      {R"({"layer_types": ["full_attention"]})", "layer_types", "a list of 1 entries"},
      {R"({"no_rope_layers": [1, 0]})", "no_rope_layers", "a list of 2 entries"},
      {R"({"no_rope_layers": [1, 0, 2, 0, 1, 1, 1, 1]})", "no_rope_layers[2]", "2"},
      {R"({"no_rope_layers": [true]})", "no_rope_layers[0]", "true"},
      {R"({"no_rope_layer_interval": 0})", "no_rope_layer_interval", "0"},
  };
  for (const auto& bad : cases) {
    INFO(bad.changes);
    const rw::ReadFault fault = refusal(config(bad.changes));
    CHECK(fault.key == bad.key);
    CHECK(fault.value == bad.value);
    CHECK_FALSE(fault.text.empty());
  }
}

TEST_CASE("16384.0 is a whole number; 16384.5 and \"16384\" are not") {
  const auto yarn = [](const char* length) {
    return config(("{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, "
                   "\"original_max_position_embeddings\": " +
                   std::string(length) + "}}")
                      .c_str());
  };
  CHECK(model(yarn("16384.0")).original_length == 16384);
  CHECK(model(yarn("16384")).original_length == 16384);
  CHECK(refusal(yarn("16384.5")).key == "rope_scaling.original_max_position_embeddings");
  CHECK(refusal(yarn("16384.5")).value == "16384.5");
  CHECK(refusal(yarn("\"16384\"")).value == "\"16384\"");
}

TEST_CASE("rope_parameters and rope_scaling mean the same; together, rope_scaling replaces") {
  const auto old_style = model(config(R"({"rope_scaling": {"type": "linear", "factor": 4}})"));
  const auto new_style = model(config(
      R"({"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500000}})"));
  CHECK(method<rw::Linear>(old_style).factor == 4.0);
  CHECK(method<rw::Linear>(new_style).factor == 4.0);
  CHECK(new_style.new_style);
  CHECK(first(new_style).config.theta == 500000.0);  // the object's wins over the top level's
  CHECK(source(new_style, "theta") == "rope_parameters.rope_theta");
  const auto both = model(config(
      R"({"rope_scaling": {"type": "linear", "factor": 2},
          "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500000}})"));
  CHECK(method<rw::Linear>(both).factor == 2.0);
  CHECK(first(both).config.theta == 10000.0);
  CHECK(warns(both, "rope_parameters is ignored"));
  const auto empty = model(
      config(R"({"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 4.0}})"));
  CHECK(method<rw::Linear>(empty).factor == 4.0);
}

TEST_CASE("null, {} and absent rope_scaling mean no scaling; \"none\" does with a warning") {
  for (const char* changes : {"{}", R"({"rope_scaling": null})", R"({"rope_scaling": {}})"}) {
    CHECK(first(model(config(changes))).rope_type == "default");
    CHECK(model(config(changes)).warnings.empty());
  }
  const auto none = model(config(R"({"rope_scaling": "none"})"));
  CHECK(first(none).rope_type == "default");
  CHECK(warns(none, "\"none\""));
}

TEST_CASE("rope_type wins over type, with a warning where they differ") {
  const auto differ =
      model(config(R"({"rope_scaling": {"rope_type": "linear", "type": "dynamic", "factor": 4}})"));
  CHECK(first(differ).rope_type == "linear");
  CHECK(warns(differ, "rope_scaling.type = \"dynamic\" is ignored"));
  const auto same = model(
      config(R"({"rope_scaling": {"rope_type": "dynamic", "type": "dynamic", "factor": 4}})"));
  CHECK(same.warnings.empty());
}

TEST_CASE("an unknown rope type is refused with its key") {
  for (const char* key : {"type", "rope_type"}) {
    for (const char* type : {"cubic", "Linear", "", "ntk"}) {
      const Json object = {{key, type}, {"factor", 2.0}};
      const rw::ReadFault fault = refusal(config(Json{{"rope_scaling", object}}.dump().c_str()));
      CHECK(fault.key == "rope_scaling." + std::string(key));
      CHECK(fault.value == '"' + std::string(type) + '"');
    }
  }
}

TEST_CASE("the base is found under every name it goes by") {
  const auto theta = [](const char* keys, const char* type) {
    Json json = Json::parse(R"({"head_dim": 64, "max_position_embeddings": 2048})");
    if (*type != 0) json["model_type"] = type;
    json.update(Json::parse(keys));
    return first(model(json.dump())).config.theta;
  };
  CHECK(theta(R"({"rope_theta": 5e5})", "llama") == 5e5);
  CHECK(theta(R"({"rotary_emb_base": 20000})", "gpt_neox") == 20000);
  CHECK(theta(R"({"rotary_emb_base": 20000, "rope_theta": 5e5})", "gpt_neox") == 20000);
  CHECK(theta(R"({"rotary_emb_base": 20000, "rope_theta": 5e5})", "llama") == 5e5);
  CHECK(theta(R"({"rotary_base": 30000})", "") == 30000);
  CHECK(theta(R"({"rope_base": 40000})", "") == 40000);
  CHECK(theta(R"({"rope_freq_constant": 50000})", "") == 50000);
  CHECK(theta(R"({"attn_config": {"rope_theta": 500000}})", "dbrx") == 500000);
  CHECK(theta(R"({"rope_ratio": 500})", "chatglm") == 5e6);
}

TEST_CASE("a missing base is the class's, or 10000, with a warning") {
  const auto without = [](const char* type) {
    Json json = Json::parse(config("{}", type));
    json.erase("rope_theta");
    return model(json.dump());
  };
  CHECK(first(without("llama")).config.theta == 10000.0);
  CHECK(warns(without("llama"), "rope_theta is missing; taken as 10000"));
  CHECK(first(without("")).config.theta == 10000.0);
  CHECK(warns(without(""), "rope_theta is missing"));
  CHECK(first(without("mixtral")).config.theta == 1e6);
  CHECK(warns(without("mixtral"), "taken as 1000000"));
  CHECK(source(without("mixtral"), "theta") == "default of mixtral");
  CHECK(first(without("smollm3")).config.theta == 2e6);
}

TEST_CASE("the rotated share is found under every name it goes by") {
  const auto rotary = [](const char* keys, const char* type) {
    Json json =
        Json::parse(R"({"head_dim": 80, "max_position_embeddings": 2048, "rope_theta": 1e4})");
    if (*type != 0) json["model_type"] = type;
    json.update(Json::parse(keys));
    return first(model(json.dump())).config.rotary_dim;
  };
  CHECK(rotary("{}", "llama") == 80);
  CHECK(rotary(R"({"partial_rotary_factor": 0.4})", "phi") == 32);
  CHECK(rotary(R"({"rope_parameters": {"partial_rotary_factor": 0.5}})", "phi") == 40);
  CHECK(rotary(R"({"rope_parameters": {"partial_rotary_factor": 0.5},
                   "partial_rotary_factor": 0.4})",
               "phi") == 40);
  CHECK(rotary(R"({"rotary_pct": 0.25})", "gpt_neox") == 20);
  CHECK(rotary(R"({"rotary_emb_fraction": 0.5})", "") == 40);
  CHECK(rotary(R"({"rope_pct": 0.5})", "") == 40);
  CHECK(rotary(R"({"rope_percent": 0.5})", "") == 40);
  CHECK(rotary(R"({"rotary_dim": 64})", "gptj") == 64);
  CHECK(rotary("{}", "gptj") == 64);
  CHECK(rotary("{}", "phi") == 40);
  CHECK(rotary("{}", "stablelm") == 20);
  CHECK(rotary("{}", "chatglm") == 40);
}

TEST_CASE("an odd number of rotated elements keeps the frequencies of transformers") {
  const auto odd = model(config(R"({"head_dim": 64, "partial_rotary_factor": 0.33})", "phi"));
  CHECK(first(odd).config.rotary_dim == 22);
  CHECK(warns(odd, "an odd number of elements would rotate, 21 of 64"));
  const rw::Spectrum spectrum = rw::spectrum(first(odd).config, first(odd).scaling);
  REQUIRE(spectrum.pairs() == 11);
  for (int pair = 0; pair < 11; ++pair) {
    const double exact = std::pow(10000.0, -2.0 * pair / 21.0);
    // The base is rounded twice and the exponent of pow once.
    CHECK(std::fabs(spectrum.inv_freq[static_cast<std::size_t>(pair)] / exact - 1.0) <= 4e-15);
  }
  for (const char* type : {"yarn", "dynamic"}) {
    const Json object = {{"type", type}, {"factor", 2}, {"partial_rotary_factor", 0.33}};
    const auto fault = refusal(config(Json{{"rope_scaling", object}}.dump().c_str()));
    CHECK(fault.key == "rope_scaling.partial_rotary_factor");
    CHECK(fault.value == "0.33");
  }
}

TEST_CASE("the width of a head is given, null, of the class, latent, or a quotient") {
  const auto head_dim = [](const char* changes, const char* type = "llama") {
    return first(model(config(changes, type))).config.head_dim;
  };
  CHECK(head_dim("{}") == 64);
  CHECK(head_dim(R"({"head_dim": null})") == 64);
  CHECK(head_dim(R"({"head_dim": 128})") == 128);
  CHECK(head_dim("{}", "qwen3") == 128);
  CHECK(head_dim("{}", "gemma2") == 256);
  CHECK(head_dim(R"({"kv_channels": 96})", "jetmoe") == 96);
  CHECK(head_dim(R"({"attention_head_dim": 96})", "zamba2") == 96);
  CHECK(head_dim(R"({"qk_rope_head_dim": 32, "head_dim": 192})", "deepseek_v2") == 32);
  CHECK(head_dim(R"({"qk_rope_head_dim": 32})", "deepseek_v3") == 32);
  CHECK(head_dim(R"({"qk_rope_head_dim": 32, "head_dim": 48})", "deepseek_v3") == 48);
  CHECK(head_dim("{}", "minicpm3") == 32);
  CHECK(head_dim(R"({"qk_rope_head_dim": 32})", "") == 32);
  CHECK(warns(model(config(R"({"num_attention_heads": 9})")), "is not whole"));
  const auto none = refusal(R"({"model_type": "llama", "num_attention_heads": 8})");
  CHECK(none.key == "hidden_size");
  CHECK(refusal(R"({"model_type": "llama", "hidden_size": 512})").key == "num_attention_heads");
}

TEST_CASE("a null head_dim is the quotient of width and heads, not the class's own number") {
  const auto head_dim = [](const char* changes, const char* type) {
    return first(model(config(changes, type))).config.head_dim;
  };
  for (const char* type : {"ernie4_5", "internlm3", "seed_oss", "paddleocr_vl_text"}) {
    CHECK(head_dim("{}", type) == 128);
    CHECK(head_dim(R"({"head_dim": null})", type) == 64);
  }
  constexpr const char* null_width = R"({"head_dim": null, "qk_rope_head_dim": 32})";
  for (const char* type : {"deepseek_v3", "axk1", "youtu"}) {
    INFO(type);
    CHECK(head_dim(R"({"qk_rope_head_dim": 32})", type) == 32);
    CHECK(head_dim(null_width, type) == 64);
    CHECK(head_dim(R"({"head_dim": 48, "qk_rope_head_dim": 32})", type) == 48);
    CHECK(warns(model(config(null_width, type)), "qk_rope_head_dim is ignored"));
  }
  for (const char* type : {"deepseek_v2", "minicpm3"}) CHECK(head_dim(null_width, type) == 32);
  CHECK(head_dim("{}", "jetmoe") == 128);
}

TEST_CASE("full layers of Gemma 4 have 512 elements unless the file says otherwise") {
  const auto head_dim = [](const char* changes) {
    return first(model(config(changes, "gemma4_text"))).config.head_dim;
  };
  CHECK(head_dim("{}") == 512);
  CHECK(head_dim(R"({"head_dim": 128})") == 512);
  CHECK(head_dim(R"({"head_dim": 128, "global_head_dim": 384})") == 384);
  const auto sliding = model(config(R"({"head_dim": 128})", "gemma4_text"));
  CHECK(rw::find_variant(sliding, "sliding_attention")->config.head_dim == 128);
}

TEST_CASE("Mistral 4 turns qk_rope_head_dim elements, and says where transformers would not") {
  constexpr const char* fails = "elements here and fail";
  const auto mistral = [](const char* changes) { return model(config(changes, "mistral4")); };
  const auto plain = mistral("{}");
  CHECK(first(plain).config.rotary_dim == 64);
  CHECK_FALSE(warns(plain, fails));
  const auto filled_in = mistral(R"({"qk_nope_head_dim": 96, "qk_rope_head_dim": 32,
      "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}})");
  CHECK(first(filled_in).config.rotary_dim == 32);
  CHECK_FALSE(warns(filled_in, fails));
  const auto old_style = mistral(R"({"rope_scaling": {"rope_type": "linear", "factor": 4.0}})");
  CHECK(first(old_style).config.rotary_dim == 64);
  CHECK(warns(old_style, "transformers turn 128 elements here and fail"));
  const auto shared = mistral(
      R"({"rope_scaling": {"rope_type": "linear", "factor": 4, "partial_rotary_factor": 0.5}})");
  CHECK_FALSE(warns(shared, fails));
  CHECK(warns(mistral(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}})"),
              "transformers turn 128"));
}

TEST_CASE("a class that is scaled by default is so where the file is silent") {
  const auto silent = [](const char* type) { return model(config("{}", type)); };
  CHECK(method<rw::Llama3>(silent("cwm")).factor == 16.0);
  CHECK(first(silent("cwm")).config.theta == 1e6);
  CHECK(silent("cwm").original_length == 8192);
  CHECK(warns(silent("cwm"), "rope_theta = 10000.0 is ignored"));
  CHECK(method<rw::Llama3>(silent("apertus")).factor == 8.0);
  CHECK(method<rw::Llama3>(silent("apertus")).high_freq_factor == 4.0);
  CHECK(first(silent("apertus")).config.theta == 1.2e7);
  CHECK(method<rw::Llama3>(silent("higgs_audio_v2")).low_freq_factor == 0.125);
  CHECK(method<rw::Yarn>(silent("mistral_large4_text")).factor == 2048.0);
  CHECK(method<rw::Yarn>(silent("mistral_large4_text")).explicit_attention_factor == 1.0);
  CHECK(silent("mistral_large4_text").original_length == 512);
  CHECK(first(silent("gemma4_unified_text")).rope_type == "proportional");
  CHECK(silent("gemma4_unified_text").variants.size() == 2);
  // What the file does say wins.
  const auto given = model(config(R"({"rope_scaling": {"type": "linear", "factor": 2}})", "cwm"));
  CHECK(method<rw::Linear>(given).factor == 2.0);
  CHECK(first(given).config.theta == 10000.0);
}

TEST_CASE("gpt-oss takes the base of the file before that of its class") {
  for (const char* type : {"gpt_oss", "openai_privacy_filter"}) {
    CHECK(first(model(config(R"({"rope_theta": 500000})", type))).config.theta == 5e5);
    Json json = Json::parse(config("{}", type));
    json.erase("rope_theta");
    CHECK(first(model(json.dump())).config.theta == 150000.0);
    CHECK(method<rw::Yarn>(model(json.dump())).factor == 32.0);
  }
}

TEST_CASE("a class with several schedules of its own is refused where the file has none") {
  for (const char* type :
       {"laguna", "mellum", "mimo_v2_flash", "zaya", "neomme", "deepseek_v4", "dots3_note_text",
        "lfm3", "diffusion_gemma_text", "embedding_gemma2_text", "ultrabert", "beam"}) {
    INFO(type);
    const rw::ReadFault fault = refusal(config("{}", type));
    CHECK(fault.key == "rope_parameters");
    CHECK(fault.text.find("the class " + std::string(type) + " has a schedule of its own") !=
          std::string::npos);
  }
  CHECK(refusal(config(R"({"rope_scaling": {"type": "yarn", "factor": 16}})", "deepseek_v4")).key ==
        "rope_scaling");
  const auto stated = model(config(R"({"rope_parameters": {
      "full_attention": {"rope_type": "default", "rope_theta": 5e5},
      "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}})",
                                   "mellum"));
  CHECK(stated.variants.size() == 2);
}

TEST_CASE("one object of an old Gemma 3 or OLMo 3 file is read as entries of layer types are") {
  const char* yarn = R"({"head_dim": 64, "original_max_position_embeddings": 512,
      "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "truncate": false}})";
  for (const char* type : {"gemma3_text", "olmo3", "modernbert"}) {
    INFO(type);
    const auto read = model(config(yarn, type));
    CHECK(first(read).config.original_length == 4096);
    CHECK(method<rw::Yarn>(read).truncate);
    CHECK(warns(read, "original_max_position_embeddings = 512 is ignored"));
    CHECK(warns(read, "rope_scaling.truncate is ignored"));
    const auto by_type =
        model(config(R"({"rope_scaling": {"type": "linear", "factor": 8.0}})", type));
    CHECK(method<rw::Linear>(by_type).factor == 8.0);
    CHECK(warns(by_type, "rope_scaling.type = \"linear\" counts here"));
    const auto by_rope_type =
        model(config(R"({"rope_scaling": {"rope_type": "linear", "factor": 8.0}})", type));
    CHECK_FALSE(warns(by_rope_type, "counts here"));
  }
  const auto flat = model(config(yarn, "llama"));
  CHECK(first(flat).config.original_length == 512);
  CHECK_FALSE(method<rw::Yarn>(flat).truncate);
}

TEST_CASE("GPT-NeoX's base and share under other names count, with a warning") {
  for (const char* type : {"gpt_neox", "gpt_neox_japanese"}) {
    const auto other = model(config(R"({"rope_theta": 5e5})", type));
    CHECK(first(other).config.theta == 5e5);
    CHECK(warns(other, "rope_theta holds here, but transformers read only rotary_emb_base"));
    const auto own = model(config(R"({"rope_theta": 5e5, "rotary_emb_base": 20000})", type));
    CHECK(first(own).config.theta == 20000.0);
    CHECK_FALSE(warns(own, "read only rotary_emb_base"));
    CHECK(warns(model(config(R"({"partial_rotary_factor": 0.5})", type)), "read only rotary_pct"));
  }
}

TEST_CASE("rotary keys beside text_config are named, unless they repeat what is inside") {
  const Json inner = Json::parse(config("{}"));
  for (const auto& outer :
       {Json{{"rope_theta", 5e5}}, Json{{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}},
        Json{{"rope_parameters", {{"rope_type", "default"}}}}, Json{{"partial_rotary_factor", 0.5}},
        Json{{"max_position_embeddings", 8192}}}) {
    Json json = outer;
    json["text_config"] = inner;
    const auto read = model(json.dump());
    INFO(outer);
    CHECK(warns(read, outer.begin().key() + " = "));
    CHECK(warns(read, "stands outside text_config and is ignored"));
    CHECK(first(read).config.theta == 10000.0);
    CHECK(first(read).rope_type == "default");
  }
  Json same = {
      {"rope_theta", 10000.0}, {"max_position_embeddings", 4096}, {"rope_scaling", nullptr}};
  same["text_config"] = inner;
  CHECK(model(same.dump()).warnings.empty());
}

TEST_CASE("a base too small for YaRN's range is named, and so is a length too short") {
  const auto base = refusal(config(R"({"rope_theta": 1.5, "rope_scaling": {"type": "yarn",
      "factor": 4, "original_max_position_embeddings": 4096}})"));
  CHECK(base.key == "rope_theta");
  CHECK(base.value == "1.5");
  CHECK(base.text == "is too small for YaRN's range at an original length of 4096");
  const auto length = refusal(config(R"({"rope_scaling": {"type": "yarn", "factor": 4,
      "truncate": false, "original_max_position_embeddings": 4}})"));
  CHECK(length.key == "rope_scaling.original_max_position_embeddings");
  CHECK(length.value == "4");
}

TEST_CASE("lengths, heads and layers are found under every name they go by") {
  for (const char* key : {"max_position_embeddings", "n_positions", "n_ctx", "max_length",
                          "max_sequence_length", "model_max_length", "seq_length", "max_seq_len"}) {
    const Json json = {{"head_dim", 64}, {"rope_theta", 1e4}, {key, 2048}};
    CHECK(model(json.dump()).claimed_length == 2048);
    CHECK(source(model(json.dump()), "max_position_embeddings") == key);
  }
  const auto gptj = model(R"({"model_type": "gptj", "n_embd": 4096, "n_head": 16, "n_layer": 28,
                              "n_positions": 2048, "rotary_dim": 64})");
  CHECK(first(gptj).config.head_dim == 256);
  CHECK(first(gptj).config.rotary_dim == 64);
  CHECK(first(gptj).config.pairing == rw::Pairing::interleaved);
  CHECK(gptj.layers == 28);
  const auto dbrx = model(R"({"model_type": "dbrx", "d_model": 6144, "n_heads": 48, "n_layers": 40,
      "max_seq_len": 32768, "attn_config": {"kv_n_heads": 8, "rope_theta": 500000}})");
  CHECK(first(dbrx).config.head_dim == 128);
  CHECK(dbrx.kv_heads == 8);
  CHECK(dbrx.claimed_length == 32768);
}

TEST_CASE("the text model is found inside a composite, and its keys are named with the path") {
  for (const char* key : {"text_config", "llm_config", "language_config"}) {
    const Json json = {{"model_type", "composite"}, {key, Json::parse(config("{}"))}};
    const auto read = model(json.dump());
    CHECK(read.text_key == key);
    CHECK(read.model_type == "llama");
    CHECK(source(read, "theta") == std::string(key) + ".rope_theta");
  }
  Json inner = Json::parse(config(R"({"rope_theta": "x"})"));
  CHECK(refusal(Json{{"text_config", inner}}.dump()).key == "text_config.rope_theta");
  inner = Json::parse(config("{}", ""));
  const auto gemma = model(Json{{"model_type", "gemma3"}, {"text_config", inner}}.dump());
  CHECK(gemma.model_type == "gemma3_text");
  CHECK(gemma.variants.size() == 2);
}

TEST_CASE("models without rotary positions are refused, and those without any have NoPE") {
  for (const char* type : {"gpt2", "bert", "opt", "bloom", "t5"})
    CHECK(refusal(config("{}", type)).key == "model_type");
  CHECK(refusal(config(R"({"alibi": true})", "falcon")).key == "alibi");
  const auto jamba = model(config("{}", "jamba"));
  CHECK_FALSE(first(jamba).rotated);
  CHECK(first(jamba).rope_type == "nope");
  const rw::Spectrum spectrum = rw::spectrum(first(jamba).config, first(jamba).scaling);
  for (const double inv_freq : spectrum.inv_freq) CHECK(inv_freq == 0.0);
  CHECK_FALSE(
      first(model(config(R"({"position_embedding_type": "nope"})", "granitemoehybrid"))).rotated);
  CHECK(first(model(config(R"({"position_embedding_type": "rope"})", "granitemoehybrid"))).rotated);
  CHECK_FALSE(first(model(config(R"({"use_rope": false})", ""))).rotated);
  CHECK_FALSE(first(model(config(R"({"mla_use_nope": true})", "kimi_linear"))).rotated);
}

TEST_CASE("original and claimed lengths follow from the method") {
  const auto lengths = [](const char* changes, const char* type = "llama") {
    const auto read = model(config(changes, type));
    return std::pair(read.original_length, read.claimed_length);
  };
  using Pair = std::pair<std::int64_t, std::int64_t>;
  CHECK(lengths("{}") == Pair(4096, 4096));
  CHECK(lengths(R"({"rope_scaling": {"type": "linear", "factor": 4}})") == Pair(4096, 16384));
  CHECK(lengths(R"({"rope_scaling": {"type": "dynamic", "factor": 4}})") == Pair(4096, 16384));
  CHECK(lengths(R"({"rope_scaling": {"type": "yarn", "factor": 4,
      "original_max_position_embeddings": 4096}})") == Pair(4096, 16384));
  CHECK(lengths(R"({"rope_scaling": {"type": "yarn", "factor": 4,
      "original_max_position_embeddings": 1024}})") == Pair(1024, 4096));
  CHECK(lengths(R"({"rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 1,
      "high_freq_factor": 4, "original_max_position_embeddings": 1024}})") == Pair(1024, 4096));
  CHECK(lengths(R"({"rope_scaling": {"type": "linear", "factor": 4},
                    "sliding_window": 512})",
                "gemma3_text") == Pair(1024, 4096));
  CHECK(warns(model(config(R"({"rope_scaling": {"type": "linear", "factor": 4}})")),
              "before is assumed"));
}

TEST_CASE("pairs are neighbours in the checkpoints that store them so") {
  for (const char* type : {"cohere", "cohere2", "glm", "glm4", "gptj", "llama4", "deepseek_v2",
                           "deepseek_v3", "kimi_k2", "helium", "ernie4_5", "chatglm"}) {
    INFO(type);
    CHECK(first(model(config("{}", type))).config.pairing == rw::Pairing::interleaved);
  }
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3", "gemma3_text", "phi3", "gpt_neox",
                           "gpt_oss", "smollm3", "unheard_of"}) {
    INFO(type);
    CHECK(first(model(config("{}", type))).config.pairing == rw::Pairing::half_split);
  }
}

TEST_CASE("M-RoPE has plain frequencies, its sections, and both layouts") {
  const auto chunked = model(config(
      R"({"head_dim": 128, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}})",
      "qwen2_vl"));
  CHECK(first(chunked).rope_type == "default");
  CHECK(first(chunked).mrope_section == std::vector<int>{16, 24, 24});
  CHECK_FALSE(first(chunked).mrope_interleaved);
  CHECK(chunked.warnings.empty());
  const auto interleaved = model(config(
      R"({"head_dim": 128, "rope_parameters": {"rope_type": "default", "mrope_interleaved": true,
          "mrope_section": [24, 20, 20], "rope_theta": 5000000}})",
      "qwen3_vl_text"));
  CHECK(first(interleaved).mrope_section == std::vector<int>{24, 20, 20});
  CHECK(first(interleaved).mrope_interleaved);
  CHECK(warns(model(config(R"({"rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]}})")),
              "is read as \"default\""));
  const auto section = [](const char* list) {
    return refusal(config(
        ("{\"rope_scaling\": {\"type\": \"mrope\", \"mrope_section\": " + std::string(list) + "}}")
            .c_str(),
        "qwen2_vl"));
  };
  CHECK(section("[8, 12, 11]").text.find("adds up to 31") != std::string::npos);
  CHECK(section("[32]").key == "rope_scaling.mrope_section");
  CHECK(section("[8, -12, 36]").key == "rope_scaling.mrope_section[1]");
  CHECK(section("32").value == "32");
}

TEST_CASE("a class that is scaled by default is scaled when the file is silent") {
  Json json = Json::parse(config("{}", "gpt_oss"));
  json.erase("rope_theta");
  const auto oss = model(json.dump());
  CHECK(first(oss).rope_type == "yarn");
  CHECK(first(oss).config.theta == 150000.0);
  CHECK(first(oss).config.head_dim == 64);
  CHECK_FALSE(method<rw::Yarn>(oss).truncate);
  CHECK(warns(oss, "default of gpt_oss"));
}

TEST_CASE("gpt-oss's own file is read as the converted one is") {
  const auto original = model(R"({"num_hidden_layers": 24, "hidden_size": 2880, "head_dim": 64,
      "num_attention_heads": 64, "num_key_value_heads": 8, "sliding_window": 128,
      "initial_context_length": 4096, "rope_theta": 150000, "rope_scaling_factor": 32.0,
      "rope_ntk_alpha": 1, "rope_ntk_beta": 32})");
  CHECK(first(original).rope_type == "yarn");
  CHECK(first(original).config.original_length == 4096);
  CHECK(method<rw::Yarn>(original).factor == 32.0);
  CHECK_FALSE(method<rw::Yarn>(original).truncate);
}

TEST_CASE("the softmax multiplier is that of the model's own code") {
  const auto multiplier = [](const char* changes, const char* type) {
    return model(config(changes, type)).softmax_multiplier;
  };
  constexpr const char* v3 = R"({"rope_scaling": {"type": "yarn", "factor": 40, "mscale": 1.0,
      "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096}})";
  constexpr const char* v2 = R"({"rope_scaling": {"type": "yarn", "factor": 40, "mscale": 0.707,
      "mscale_all_dim": 0.707, "original_max_position_embeddings": 4096}})";
  // Fourteen decimals are given.
  CHECK(std::fabs(multiplier(v3, "deepseek_v3") - 1.8738542070926) <= 1e-13);
  CHECK(std::fabs(multiplier(v2, "deepseek_v2") - 1.5896261651208) <= 1e-13);
  CHECK(multiplier(v3, "kimi_k2") == multiplier(v3, "deepseek_v3"));
  CHECK(multiplier(v3, "llama") == 1.0);
  CHECK(multiplier(v3, "ministral3") == 1.0);
  CHECK(multiplier("{}", "deepseek_v3") == 1.0);
  CHECK(multiplier(R"({"head_dim": 128, "query_pre_attn_scalar": 32})", "gemma2") == 2.0);
  CHECK(multiplier(R"({"head_dim": 64})", "gemma2") == 0.5);
  CHECK(multiplier(R"({"attention_multiplier": 0.25})", "granite") == 2.0);
  CHECK(multiplier(R"({"head_dim": 256})", "gemma3n_text") == 16.0);
  CHECK(multiplier("{}", "cohere") == 1.0);
  CHECK(refusal(config(R"({"query_pre_attn_scalar": 0})", "gemma2")).key ==
        "query_pre_attn_scalar");
  CHECK(refusal(config(R"({"attention_multiplier": "1"})", "granite")).value == "\"1\"");
}
