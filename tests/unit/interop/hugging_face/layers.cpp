#include <ropewalk/interop/hugging_face.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rw = ropewalk;
using Json = nlohmann::json;
using rw::MaskKind;

namespace {

/// The same law, folded by the compiler or not: under -ffast-math two units in the last place apart.
bool same(double a, double b) { return std::fabs(a - b) <= 4.5e-16 * std::fabs(b); }

std::string config(const char* model_type, const char* changes) {
  Json json = Json::parse(R"({"head_dim": 64, "num_attention_heads": 8, "rope_theta": 10000.0,
                              "num_hidden_layers": 8, "max_position_embeddings": 32768})");
  if (*model_type != 0) json["model_type"] = model_type;
  json.update(Json::parse(changes));
  return json.dump();
}

rw::ModelConfig model(const char* model_type, const char* changes = "{}") {
  const auto read = rw::read_hugging_face_config(config(model_type, changes));
  if (!read) FAIL(message(read.fault()));
  return read.value();
}

/// One letter per layer: F full, S sliding, C chunked, - none; small where the layer has no rotation.
std::string drawn(const rw::ModelConfig& config) {
  std::string result;
  for (const rw::LayerView& layer : config.layer_views) {
    constexpr char rotated[] = {'F', 'S', 'C', '?'};
    constexpr char still[] = {'f', 's', 'c', '-'};
    result += (layer.rotated ? rotated : still)[static_cast<int>(layer.mask)];
  }
  return result;
}

bool warns(const rw::ModelConfig& config, std::string_view words) {
  for (const std::string& warning : config.warnings) {
    if (warning.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("Llama 4: three chunked layers with rotation, one full without, sharpened there only") {
  const auto llama = model("llama4", R"({"no_rope_layers": [], "attention_chunk_size": 8192})");
  CHECK(drawn(llama) == "CCCfCCCf");
  REQUIRE(llama.variants.size() == 2);
  CHECK(llama.variants[0].rotated);
  CHECK(llama.variants[1].rope_type == "nope");
  for (const rw::LayerView& layer : llama.layer_views) {
    CHECK(layer.window == (layer.rotated ? 8192 : 0));
    CHECK((layer.position_scale.law == rw::PositionScale::Law::llama4) == !layer.rotated);
    CHECK(layer.position_scale.at(8190) == 1.0);
  }
  CHECK(same(llama.layer_views[3].position_scale.at(8191), rw::llama4_position_scale(8191)));
  CHECK(llama.layer_views[0].position_scale.at(8191) == 1.0);
  const auto untuned = model("llama4_text", R"({"attn_temperature_tuning": false})");
  CHECK(untuned.layer_views[3].position_scale.at(100000) == 1.0);
  const auto tuned = model("llama4_text", R"({"attn_temperature_tuning": 4, "attn_scale": 0.2})");
  CHECK(tuned.layer_views[3].position_scale.slope == 0.2);
}

TEST_CASE("no_rope_layers: 1 means that the layer has rope") {
  CHECK(drawn(model("smollm3", R"({"no_rope_layers": [1, 1, 0, 1, 1, 1, 1, 0]})")) == "FFfFFFFf");
  CHECK(drawn(model("smollm3")) == "FFFfFFFf");
  CHECK(drawn(model("smollm3", R"({"no_rope_layer_interval": 2})")) == "FfFfFfFf");
  CHECK(drawn(model("", R"({"no_rope_layer_interval": 4})")) == "FFFfFFFf");
  const auto smol = model("smollm3");
  CHECK(smol.layer_views[3].position_scale.law == rw::PositionScale::Law::none);
  CHECK(smol.variants[smol.layer_views[3].variant].rope_type == "nope");
}

TEST_CASE("Gemma 3: five sliding layers on their own base, one full on the scaled one") {
  const auto gemma = model("gemma3_text", R"({"num_hidden_layers": 7, "rope_theta": 1000000,
      "rope_local_base_freq": 20000, "sliding_window": 1024,
      "rope_scaling": {"rope_type": "linear", "factor": 8}})");
  CHECK(drawn(gemma) == "SSSSSFS");
  REQUIRE(gemma.variants.size() == 2);
  CHECK(gemma.variants[0].layer_type == "full_attention");
  CHECK(gemma.variants[0].rope_type == "linear");
  CHECK(gemma.variants[0].config.theta == 1e6);
  CHECK(gemma.variants[1].layer_type == "sliding_attention");
  CHECK(gemma.variants[1].rope_type == "default");
  CHECK(gemma.variants[1].config.theta == 20000.0);
  CHECK(gemma.layer_views[0].variant == 1);
  CHECK(gemma.layer_views[0].window == 1024);
  CHECK(gemma.layer_views[5].variant == 0);
  CHECK(gemma.layer_views[5].window == 0);
  CHECK(drawn(model("gemma3_text", R"({"sliding_window_pattern": 2})")) == "SFSFSFSF");
}

TEST_CASE("nested parameters are one variant per layer type, null is NoPE") {
  const auto nested = model("gemma4_text", R"({"head_dim": 64, "global_head_dim": 128,
      "sliding_window": 512, "num_hidden_layers": 2,
      "layer_types": ["sliding_attention", "full_attention"], "rope_parameters": {
        "sliding_attention": null,
        "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25,
                           "rope_theta": 1000000}}})");
  CHECK(drawn(nested) == "sF");
  REQUIRE(nested.variants.size() == 2);
  CHECK(nested.variants[0].layer_type == "full_attention");
  CHECK(nested.variants[0].config.head_dim == 128);
  CHECK(nested.variants[1].rope_type == "nope");
  CHECK(nested.variants[1].config.head_dim == 64);
  CHECK(nested.layer_views[0].softmax_multiplier == 8.0);
  const auto read = rw::read_hugging_face_config(config("llama", R"({
      "layer_types": ["full_attention", "full_attention", "full_attention", "full_attention",
          "full_attention", "full_attention", "full_attention", "sliding_attention"],
      "rope_parameters": {"full_attention": {"rope_type": "default"}}})"));
  REQUIRE_FALSE(read.ok());
  CHECK(read.fault().key == "rope_parameters.sliding_attention");
}

TEST_CASE("the entries of nested parameters take the top level's base and their own length") {
  const auto nested = model("mistral", R"({"original_max_position_embeddings": 256,
      "rope_theta": 500000, "rope_parameters": {
        "full_attention": {"rope_type": "yarn", "factor": 4, "truncate": false,
                           "original_max_position_embeddings": 8192},
        "sliding_attention": {"rope_theta": 20000}}})");
  REQUIRE(nested.variants.size() == 2);
  CHECK(nested.variants[0].config.theta == 500000.0);
  CHECK(nested.variants[0].config.original_length == 8192);
  CHECK(std::get<rw::Yarn>(nested.variants[0].scaling).truncate);
  CHECK(warns(nested, "truncate is ignored by transformers"));
  CHECK(nested.variants[1].config.theta == 20000.0);
}

TEST_CASE("a list of layer types gives the number of layers where the file leaves it out") {
  Json json = Json::parse(config("gemma3_text", R"({"layer_types": ["sliding_attention",
      "sliding_attention", "full_attention"]})"));
  json.erase("num_hidden_layers");
  const auto read = rw::read_hugging_face_config(json.dump());
  REQUIRE(read.ok());
  CHECK(drawn(read.value()) == "SSF");
  CHECK(warns(read.value(), "num_hidden_layers is missing"));
}

TEST_CASE("Cohere 2, EXAONE 4 and AFMoE rotate on sliding layers only") {
  const auto cohere = model("cohere2", R"({"sliding_window": 4096})");
  CHECK(drawn(cohere) == "SSSfSSSf");
  REQUIRE(cohere.variants.size() == 2);
  CHECK(cohere.variants[0].layer_type == "sliding_attention");
  CHECK(cohere.variants[0].rotated);
  CHECK(cohere.variants[1].layer_type == "full_attention");
  CHECK_FALSE(cohere.variants[1].rotated);
  CHECK(cohere.layer_views[0].window == 4096);
  CHECK(drawn(model("cohere2", R"({"sliding_window_pattern": 2})")) == "SfSfSfSf");
  CHECK(drawn(model("exaone4", R"({"sliding_window": 4096, "sliding_window_pattern": "LLLG"})")) ==
        "SSSfSSSf");
  CHECK(drawn(model("exaone4", R"({"sliding_window": null})")) == "FFFFFFFF");
  CHECK(drawn(model("afmoe")) == "SSSfSSSf");
}

TEST_CASE("gpt-oss, Gemma 2, OLMo 3 and ModernBERT alternate as their classes do") {
  CHECK(drawn(model("gpt_oss")) == "SFSFSFSF");
  CHECK(model("gpt_oss").layer_views[0].window == 128);
  CHECK(drawn(model("gemma2")) == "SFSFSFSF");
  CHECK(drawn(model("olmo3")) == "SSSFSSSF");
  CHECK(drawn(model("modernbert", R"({"local_attention": 128})")) == "FSSFSSFS");
  CHECK(model("modernbert").layer_views[1].window == 64);
}

TEST_CASE("Qwen slides from max_window_layers on, and only where use_sliding_window is true") {
  const char* on =
      R"({"use_sliding_window": true, "sliding_window": 1024, "max_window_layers": 5})";
  const char* off =
      R"({"use_sliding_window": false, "sliding_window": 1024, "max_window_layers": 5})";
  CHECK(drawn(model("qwen2", on)) == "FFFFFSSS");
  CHECK(drawn(model("qwen3", on)) == "FFFFFSSS");
  CHECK(drawn(model("qwen2", off)) == "FFFFFFFF");
  CHECK(drawn(model("qwen2", R"({"sliding_window": 1024, "max_window_layers": 5})")) == "FFFFFFFF");
  CHECK(model("qwen2", on).layer_views[7].window == 1024);
  CHECK(model("qwen2", on).variants.size() == 1);
}

TEST_CASE("Mistral slides everywhere or nowhere") {
  CHECK(drawn(model("mistral", R"({"sliding_window": 4096})")) == "SSSSSSSS");
  CHECK(drawn(model("mistral", R"({"sliding_window": null})")) == "FFFFFFFF");
  CHECK(drawn(model("mistral")) == "SSSSSSSS");  // the class's 4096
  CHECK(drawn(model("mixtral")) == "FFFFFFFF");
  CHECK(drawn(model("llama", R"({"sliding_window": 4096})")) == "FFFFFFFF");
}

TEST_CASE("layers without attention have no mask and no rotation") {
  const auto qwen = model("qwen3_next", R"({"full_attention_interval": 4})");
  CHECK(drawn(qwen) == "---F---F");
  CHECK(qwen.variants.size() == 1);
  CHECK(rw::find_variant(qwen, "full_attention") == &qwen.variants[0]);
  CHECK(rw::find_variant(qwen, "linear_attention") == nullptr);
  CHECK(drawn(model("granitemoehybrid", R"({"num_hidden_layers": 3,
      "layer_types": ["mamba", "attention", "mamba"]})")) == "-F-");
}

TEST_CASE("Ministral sharpens on every layer, from its original length on") {
  const auto ministral = model("ministral3", R"({"sliding_window": null, "rope_parameters": {
      "rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 16384,
      "rope_theta": 1000000, "llama_4_scaling_beta": 0.1, "mscale": 1, "mscale_all_dim": 1}})");
  REQUIRE(ministral.layer_views.size() == 8);
  for (const rw::LayerView& layer : ministral.layer_views) {
    CHECK(layer.position_scale.at(16383) == 1.0);
    CHECK(same(layer.position_scale.at(16384), rw::ministral_position_scale(16384, 16384, 0.1)));
    CHECK(layer.softmax_multiplier == 1.0);
  }
  CHECK(ministral.softmax_multiplier == 1.0);
  const auto ignored = model("qwen3", R"({"rope_parameters": {"rope_type": "yarn", "factor": 16.0,
      "original_max_position_embeddings": 16384, "llama_4_scaling_beta": 0.1}})");
  CHECK(ignored.layer_views[0].position_scale.at(1000000) == 1.0);
  CHECK(warns(ignored, "llama_4_scaling_beta is ignored"));
}

TEST_CASE("Qwen's first generation sharpens beyond its trained length") {
  const auto qwen = model("qwen", R"({"seq_length": 8192, "use_logn_attn": true,
                                      "use_dynamic_ntk": true, "rotary_emb_base": 10000})");
  CHECK(qwen.layer_views[0].position_scale.at(8191) == 1.0);
  CHECK(same(qwen.layer_views[0].position_scale.at(16383), rw::qwen_position_scale(16383, 8192)));
  CHECK(warns(qwen, "use_dynamic_ntk"));
}

TEST_CASE("each layer carries the softmax multiplier of its variant") {
  const auto deepseek = model("deepseek_v3", R"({"rope_scaling": {"type": "yarn", "factor": 40,
      "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096}})");
  for (const rw::LayerView& layer : deepseek.layer_views)
    CHECK(layer.softmax_multiplier == deepseek.softmax_multiplier);
  CHECK(deepseek.softmax_multiplier == rw::deepseek_softmax_multiplier(40.0, 1.0));
}
