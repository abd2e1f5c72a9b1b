#include <ropewalk/interop/engine_flags.hpp>

#include <nlohmann/json.hpp>

#include <clocale>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

namespace rw = ropewalk;
using Json = nlohmann::json;

namespace {

rw::ModelConfig plain_model(const char* model_type, double theta, std::int64_t length) {
  rw::ModelConfig model;
  model.model_type = model_type;
  model.claimed_length = length;
  model.original_length = length;
  rw::RopeVariant rope;
  rope.rope_type = "default";
  rope.config.theta = theta;
  rope.config.original_length = length;
  model.variants.push_back(rope);
  return model;
}

/// Llama-2 from 4096 to 8192 by a base, as in the tables people copy from.
rw::ModelConfig llama2() { return plain_model("llama", 10000.0, 4096); }

rw::EngineSchedule new_theta(const rw::ModelConfig& model, double theta, std::int64_t length) {
  rw::EngineSchedule schedule;
  schedule.config = model.variants.front().config;
  schedule.config.theta = theta;
  schedule.length = length;
  return schedule;
}

rw::EngineSchedule method(const rw::ModelConfig& model, rw::Scaling scaling, std::int64_t length) {
  rw::EngineSchedule schedule = new_theta(model, model.variants.front().config.theta, length);
  schedule.config.original_length = model.original_length;
  schedule.scaling = std::move(scaling);
  return schedule;
}

rw::Yarn yarn(double factor) {
  rw::Yarn method;
  method.factor = factor;
  return method;
}

/// Global and local layers as in Gemma 3.
rw::ModelConfig layered_model() {
  rw::ModelConfig model = plain_model("gemma3_text", 1e6, 16384);
  model.variants.front().layer_type = "full_attention";
  rw::RopeVariant local = model.variants.front();
  local.layer_type = "sliding_attention";
  local.config.theta = 10000.0;
  model.variants.push_back(local);
  return model;
}

std::string text_for(rw::Engine engine, const rw::ModelConfig& model,
                     const rw::EngineSchedule& schedule) {
  const rw::EngineLines lines = rw::engine_lines(engine, model, schedule);
  INFO(lines.text);
  REQUIRE_FALSE(lines.refused);
  return lines.text;
}

std::string refusal_of(rw::Engine engine, const rw::ModelConfig& model,
                       const rw::EngineSchedule& schedule) {
  const rw::EngineLines lines = rw::engine_lines(engine, model, schedule);
  INFO(lines.text);
  REQUIRE(lines.refused);
  REQUIRE_FALSE(lines.text.empty());
  return lines.text;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// The JSON after an option, unquoted as a shell does; the members of a config file in braces.
Json json_in(const std::string& text) {
  const std::size_t open = text.find('\'');
  if (open == std::string::npos) {
    const std::size_t brace = text.find("model_config=");
    return Json::parse(brace == std::string::npos
                           ? "{" + text + "}"
                           : text.substr(brace + 13, text.size() - brace - 14));
  }
  return Json::parse(text.substr(open + 1, text.find('\'', open + 1) - open - 1));
}

}  // namespace

TEST_CASE("a new base is spelled as each engine reads it") {
  const rw::ModelConfig model = llama2();
  const rw::EngineSchedule schedule = new_theta(model, 26784.0, 8192);
  CHECK(text_for(rw::Engine::llama_cpp, model, schedule) ==
        "llama-server -m MODEL.gguf -c 8192 --rope-freq-base 26784 --override-kv "
        "llama.context_length=int:8192");
  CHECK(text_for(rw::Engine::vllm, model, schedule) ==
        "vllm serve MODEL --hf-overrides '{\"rope_parameters\":{\"rope_type\":\"default\","
        "\"rope_theta\":26784.0},\"max_position_embeddings\":8192}' --max-model-len 8192");
  CHECK(text_for(rw::Engine::vllm_0_10, model, schedule) ==
        "vllm serve MODEL --hf-overrides '{\"rope_theta\":26784.0,"
        "\"max_position_embeddings\":8192}' --max-model-len 8192");
  CHECK(text_for(rw::Engine::transformers5, model, schedule) ==
        "\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":26784.0},"
        "\"max_position_embeddings\":8192");
  CHECK(text_for(rw::Engine::transformers4, model, schedule) ==
        "\"rope_theta\":26784.0,\"rope_scaling\":null,\"max_position_embeddings\":8192");
  CHECK(text_for(rw::Engine::koboldcpp, model, schedule) ==
        "koboldcpp --model MODEL.gguf --contextsize 8192 --ropeconfig 1.0 26784");
  CHECK(text_for(rw::Engine::lm_studio, model, schedule) ==
        "{\"contextLength\":8192,\"ropeFrequencyBase\":26784.0}");
  CHECK(has(text_for(rw::Engine::sglang, model, schedule), "--context-length 8192"));
  CHECK(has(text_for(rw::Engine::tensorrt_llm, model, schedule), "--max_seq_len 8192"));
  CHECK(has(text_for(rw::Engine::mlx, model, schedule), "\"rope_theta\": 26784.0"));
  const std::string ollama = text_for(rw::Engine::ollama, model, schedule);
  CHECK(has(ollama, "--override-kv llama.rope.freq_base=float:26784 "));
  CHECK(has(ollama, "PARAMETER num_ctx 8192"));
  CHECK_FALSE(has(ollama, "PARAMETER rope"));
}

TEST_CASE("exllama's alpha leads back to the base that was asked for") {
  const rw::ModelConfig model = llama2();
  const std::string text = text_for(rw::Engine::exllama, model, new_theta(model, 26784.0, 8192));
  REQUIRE(has(text, "max_seq_len: 8192"));
  const std::size_t at = text.find("rope_alpha: ");
  REQUIRE(at != std::string::npos);
  const double alpha = std::strtod(text.c_str() + at + 12, nullptr);
  // 3 ULP each way, and strtod exact.
  CHECK(rw::exllama_theta(model.variants.front().config, alpha) ==
        Approx(26784.0).epsilon(6 * 2.3e-16));
}

TEST_CASE("YaRN carries factor, original length and theta wherever a dict is read") {
  const rw::ModelConfig model = plain_model("qwen3", 1e6, 32768);
  const rw::EngineSchedule schedule = method(model, yarn(4.0), 131072);
  CHECK(text_for(rw::Engine::llama_cpp, model, schedule) ==
        "llama-server -m MODEL.gguf -c 131072 --rope-scaling yarn --rope-scale 4 --yarn-orig-ctx "
        "32768 --override-kv qwen3.context_length=int:131072");
  for (const rw::Engine engine :
       {rw::Engine::vllm, rw::Engine::vllm_0_10, rw::Engine::sglang, rw::Engine::transformers5,
        rw::Engine::transformers4, rw::Engine::mlx, rw::Engine::tensorrt_llm}) {
    Json json = json_in(text_for(engine, model, schedule));
    if (json.contains("model_kwargs")) json = json["model_kwargs"];
    const Json dict = json.contains("rope_parameters") ? json["rope_parameters"]
                      : json.contains("rope_scaling")  ? json["rope_scaling"]
                                                       : json;
    INFO(dict.dump());
    CHECK(dict.value(engine == rw::Engine::mlx ? "type" : "rope_type", "") == "yarn");
    CHECK(dict.value("factor", 0.0) == 4.0);
    CHECK(dict.value("original_max_position_embeddings", 0) == 32768);
    CHECK(dict.value("rope_theta", 0.0) == 1e6);
    if (json != dict) CHECK(json.value("max_position_embeddings", 0) == 131072);
  }
  CHECK(has(text_for(rw::Engine::ollama, model, schedule), "qwen3.rope.scaling.type=str:yarn"));
  CHECK(has(refusal_of(rw::Engine::koboldcpp, model, schedule), "no YaRN flag"));
  CHECK(has(refusal_of(rw::Engine::lm_studio, model, schedule), "YaRN"));
  refusal_of(rw::Engine::exllama, model, schedule);
}

TEST_CASE("theta survives the way through each engine's digits") {
  const rw::ModelConfig model = plain_model("llama", 500000.0, 8192);
  const double theta = 283461213.47555685;
  const rw::EngineSchedule schedule = new_theta(model, theta, 262144);
  const std::string flags = text_for(rw::Engine::llama_cpp, model, schedule);
  const std::size_t at = flags.find("--rope-freq-base ");
  REQUIRE(at != std::string::npos);
  CHECK(std::strtof(flags.c_str() + at + 17, nullptr) == static_cast<float>(theta));
  const Json json = json_in(text_for(rw::Engine::vllm, model, schedule));
  CHECK(json["rope_parameters"]["rope_theta"].get<double>() == theta);
}

TEST_CASE("numbers have a point and no exponent whatever the locale prints") {
  CHECK(rw::detail::in_plain_digits("2,83461213e+08") == "283461213");
  CHECK(rw::detail::in_plain_digits("3\xd9\xab"
                                    "20000000e+00") == "3.2");
  CHECK(rw::detail::in_plain_digits("4.52181252e+10") == "45218125200");
  CHECK(rw::detail::in_plain_digits("3.12500000e-02") == "0.03125");
  CHECK(rw::detail::in_plain_digits("1.50000000e+30") == "1.5e30");
  CHECK(rw::detail::in_plain_digits("1.00000000e+00") == "1");
}

TEST_CASE("a comma locale changes no line") {
  const rw::ModelConfig model = plain_model("qwen3", 1e6, 40960);
  const auto all_lines = [&] {
    std::vector<std::string> lines;
    for (const rw::EngineName& engine : rw::kEngines) {
      const rw::EngineSchedule schedule = method(model, yarn(3.2), 131072);
      lines.push_back(rw::engine_lines(engine.engine, model, schedule).text);
      lines.push_back(rw::engine_lines(engine.engine, model, new_theta(model, 2.5, 131072)).text);
    }
    return lines;
  };
  const std::string before = std::setlocale(LC_ALL, nullptr);
  REQUIRE(std::setlocale(LC_ALL, "C") != nullptr);
  const std::vector<std::string> expected = all_lines();
  bool comma = false;
  for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "it_IT.UTF-8"}) {
    comma = comma || (std::setlocale(LC_ALL, name) != nullptr &&
                      std::string_view(std::localeconv()->decimal_point) == ",");
  }
  if (comma) {
    CHECK(all_lines() == expected);
  } else {
    WARN("SKIPPED: no locale with a decimal comma is installed on this machine");
  }
  std::setlocale(LC_ALL, before.c_str());
}

TEST_CASE("every engine's JSON parses inside its shell quotes") {
  const std::vector<rw::Scaling> methods = {rw::Unscaled{}, rw::Linear{4.0}, rw::DynamicNtk{4.0, 0},
                                            yarn(4.0), rw::Llama3{4.0, 1.0, 4.0}};
  for (const bool nested : {false, true}) {
    rw::ModelConfig model = plain_model("qwen3", 1e6, 32768);
    model.text_key = nested ? "text_config" : "";
    for (const rw::Scaling& scaling : methods) {
      rw::EngineSchedule schedule = method(model, scaling, 131072);
      schedule.config.theta = scaling.index() == 0 ? 9370821.04342499 : 1e6;
      for (const rw::Engine engine : {rw::Engine::vllm, rw::Engine::vllm_0_10, rw::Engine::sglang,
                                      rw::Engine::transformers5, rw::Engine::transformers4}) {
        const Json json = json_in(text_for(engine, model, schedule));
        CHECK(json.is_object());
        CHECK(json.contains("text_config") == nested);
      }
    }
  }
}

TEST_CASE("the architecture prefix comes from the model type") {
  CHECK(rw::gguf_architecture("qwen3") == "qwen3");
  CHECK(rw::gguf_architecture("mistral") == "llama");
  CHECK(rw::gguf_architecture("gpt_oss") == "gpt-oss");
  CHECK(rw::gguf_architecture("deepseek_v3") == "deepseek2");
  CHECK(rw::gguf_architecture("gemma3_text") == "gemma3");
  CHECK(rw::gguf_architecture("").empty());
  CHECK(rw::gguf_architecture("qwen99").empty());
}

TEST_CASE("an unknown architecture gets no key, and Ollama no command") {
  const rw::ModelConfig model = plain_model("qwen99", 1e6, 32768);
  const rw::EngineSchedule schedule = new_theta(model, 2e6, 65536);
  const rw::EngineLines lines = rw::engine_lines(rw::Engine::llama_cpp, model, schedule);
  CHECK_FALSE(lines.refused);
  CHECK_FALSE(has(lines.text, "--override-kv"));
  REQUIRE(lines.notes.size() == 1);
  CHECK(has(lines.notes.front(), "qwen99"));
  CHECK(has(refusal_of(rw::Engine::ollama, model, schedule), "qwen99"));
}

TEST_CASE("what an engine would ignore is refused with the reason") {
  rw::ModelConfig model = plain_model("gpt_oss", 150000.0, 4096);
  rw::Yarn whole = yarn(32.0);
  whole.truncate = false;
  const rw::EngineSchedule schedule = method(model, whole, 131072);
  for (const rw::Engine engine : {rw::Engine::llama_cpp, rw::Engine::ollama, rw::Engine::vllm_0_10,
                                  rw::Engine::mlx, rw::Engine::tensorrt_llm})
    CHECK(has(refusal_of(engine, model, schedule), "truncate"));
  CHECK(json_in(text_for(rw::Engine::vllm, model, schedule))["rope_parameters"]["truncate"] ==
        false);

  rw::Yarn cool = yarn(8.0);
  cool.explicit_attention_factor = 1.0;
  model = plain_model("qwen3", 1e6, 32768);
  const rw::EngineSchedule without = method(model, cool, 262144);
  CHECK(has(refusal_of(rw::Engine::llama_cpp, model, without), "attention factor"));
  CHECK(has(refusal_of(rw::Engine::mlx, model, without), "attention_factor"));

  const rw::EngineSchedule rule = method(model, rw::Llama3{8.0, 1.0, 4.0}, 262144);
  CHECK(has(refusal_of(rw::Engine::llama_cpp, model, rule), "rope_freqs"));
  CHECK(has(refusal_of(rw::Engine::ollama, model, rule), "rope_freqs"));
  CHECK(has(refusal_of(rw::Engine::lm_studio, model, method(model, rw::Linear{2.0}, 65536)),
            "opposite senses"));
}

TEST_CASE("vLLM and SGLang get an explicit attention factor as the multiplier they read") {
  const rw::ModelConfig model = plain_model("qwen3", 1e6, 32768);
  rw::Yarn cool = yarn(8.0);
  cool.explicit_attention_factor = 1.0;
  const rw::EngineSchedule schedule = method(model, cool, 262144);
  for (const rw::Engine engine : {rw::Engine::vllm, rw::Engine::sglang}) {
    const Json json = json_in(text_for(engine, model, schedule));
    const Json& dict =
        json.contains("rope_parameters") ? json["rope_parameters"] : json["rope_scaling"];
    CHECK_FALSE(dict.contains("attention_factor"));
    // One division.
    CHECK(dict["attn_factor"].get<double>() * rw::yarn_attention_factor(8.0) ==
          Approx(1.0).epsilon(3e-16));
  }
}

TEST_CASE("DeepSeek keeps its two slopes and needs no other factor") {
  rw::ModelConfig model = plain_model("deepseek_v3", 10000.0, 4096);
  rw::Yarn slopes = yarn(40.0);
  slopes.mscale = 1.0;
  slopes.mscale_all_dim = 1.0;
  model.variants.front().scaling = slopes;
  const rw::EngineSchedule schedule = method(model, slopes, 163840);
  const Json dict = json_in(text_for(rw::Engine::vllm, model, schedule))["rope_parameters"];
  CHECK(dict.value("mscale_all_dim", 0.0) == 1.0);
  CHECK_FALSE(dict.contains("attn_factor"));
  CHECK(has(text_for(rw::Engine::llama_cpp, model, schedule), "--rope-scale 40 "));
}

TEST_CASE("divisors baked into a GGUF file are not scaled a second time") {
  rw::ModelConfig model = plain_model("llama", 500000.0, 8192);
  model.variants.front().scaling = rw::Llama3{8.0, 1.0, 4.0};
  const rw::EngineSchedule schedule = new_theta(model, 2e7, 65536);
  for (const rw::Engine engine :
       {rw::Engine::llama_cpp, rw::Engine::ollama, rw::Engine::koboldcpp, rw::Engine::lm_studio})
    CHECK(has(refusal_of(engine, model, schedule), "rope_freqs"));
}

TEST_CASE("a new base switches the file's own scaling off") {
  rw::ModelConfig model = plain_model("llama", 10000.0, 4096);
  model.variants.front().scaling = yarn(16.0);
  const rw::EngineSchedule schedule = new_theta(model, 1e6, 131072);
  CHECK(has(text_for(rw::Engine::llama_cpp, model, schedule), "--rope-scaling none "));
  CHECK(has(text_for(rw::Engine::ollama, model, schedule), "llama.rope.scaling.type=str:none"));
  CHECK(json_in(text_for(rw::Engine::transformers5, model, schedule))["rope_scaling"].is_null());
  CHECK(json_in(text_for(rw::Engine::vllm_0_10, model, schedule))["rope_scaling"].is_null());
  CHECK(has(text_for(rw::Engine::mlx, model, schedule), "\"rope_scaling\": None"));
  refusal_of(rw::Engine::exllama, model, schedule);
  refusal_of(rw::Engine::lm_studio, model, schedule);
}

namespace {

/// The rope object that vLLM or SGLang ends up with: the file's, updated by the override.
Json merged(Json in_file, rw::Engine engine, const rw::ModelConfig& model,
            const rw::EngineSchedule& schedule) {
  const Json json = json_in(text_for(engine, model, schedule));
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (json.contains(key)) in_file.update(json[key]);
  }
  if (json.contains("rope_type")) in_file.update(json);  // --rope-scaling takes the object itself
  return in_file;
}

constexpr rw::Engine kMerging[] = {rw::Engine::vllm, rw::Engine::vllm_0_10, rw::Engine::sglang};

}  // namespace

TEST_CASE("no key of the file's YaRN survives a merge against the schedule") {
  rw::ModelConfig model = plain_model("ministral3", 1e6, 16384);
  rw::Yarn old = yarn(16.0);
  old.mscale = 1.0;
  old.mscale_all_dim = 1.0;
  old.explicit_attention_factor = 1.2079;
  old.beta_fast = 64.0;
  old.beta_slow = 2.0;
  model.variants.front().rope_type = "yarn";
  model.variants.front().scaling = old;
  const Json in_file = {{"rope_type", "yarn"},   {"type", "yarn"},
                        {"factor", 16.0},        {"mscale", 1.0},
                        {"mscale_all_dim", 1.0}, {"attention_factor", 1.2079},
                        {"beta_fast", 64.0},     {"beta_slow", 2.0},
                        {"attn_factor", 3.0},    {"original_max_position_embeddings", 16384}};
  for (const bool slopes : {false, true}) {
    rw::Yarn wanted = yarn(64.0);
    if (slopes) {
      wanted.mscale = 1.0;
      wanted.mscale_all_dim = 1.0;
    }
    const rw::EngineSchedule schedule = method(model, wanted, 1048576);
    const double final_factor = wanted.attention_factor(schedule.config);
    for (const rw::Engine engine : kMerging) {
      const Json dict = merged(in_file, engine, model, schedule);
      INFO(dict.dump());
      // One division.
      CHECK(dict["attn_factor"].get<double>() * rw::yarn_attention_factor(64.0) ==
            Approx(final_factor).epsilon(3e-16));
      CHECK(dict["attention_factor"] == final_factor);
      rw::Yarn by_slopes = yarn(64.0);
      by_slopes.mscale = dict["mscale"].get<double>();
      by_slopes.mscale_all_dim = dict["mscale_all_dim"].get<double>();
      CHECK(by_slopes.attention_factor(schedule.config) == final_factor);
      CHECK(dict["beta_fast"] == 32.0);
      CHECK(dict["beta_slow"] == 1.0);
      CHECK(dict["factor"] == 64.0);
    }
  }
  rw::Yarn whole = yarn(16.0);
  whole.truncate = false;
  model.variants.front().scaling = whole;
  for (const rw::Engine engine : kMerging) {
    CHECK(merged(Json::object({{"truncate", false}}), engine, model,
                 method(model, yarn(64.0), 1048576))["truncate"] == true);
  }
}

TEST_CASE("a merged new base leaves neither a factor nor a second name of the method") {
  rw::ModelConfig model = plain_model("llama", 10000.0, 4096);
  model.variants.front().rope_type = "linear";
  model.variants.front().scaling = rw::Linear{4.0};
  const Json in_file = {{"type", "linear"}, {"factor", 4.0}};
  for (const rw::Engine engine : {rw::Engine::vllm, rw::Engine::sglang}) {
    const Json dict = merged(in_file, engine, model, new_theta(model, 1e6, 65536));
    CHECK(dict["rope_type"] == "default");
    CHECK(dict["type"] == "default");
    CHECK(dict["factor"] == 1.0);
  }
  model.variants.front().scaling = rw::NtkAware{8.0};
  const rw::EngineSchedule dynamic = method(model, rw::DynamicNtk{4.0, 0}, 16384);
  CHECK(has(refusal_of(rw::Engine::vllm, model, dynamic), "alpha"));
  CHECK(has(refusal_of(rw::Engine::vllm_0_10, model, dynamic), "alpha"));
}

TEST_CASE("DeepSeek's slopes and an explicit attention factor meet in the multiplier") {
  rw::ModelConfig model = plain_model("deepseek_v3", 10000.0, 4096);
  rw::Yarn slopes = yarn(40.0);
  slopes.mscale = 0.707;
  slopes.mscale_all_dim = 1.0;
  model.variants.front().rope_type = "yarn";
  model.variants.front().scaling = slopes;
  slopes.explicit_attention_factor = 1.5;
  for (const rw::Engine engine : kMerging) {
    const Json dict = merged({{"mscale", 0.707}, {"mscale_all_dim", 1.0}}, engine, model,
                             method(model, slopes, 163840));
    CHECK(dict["mscale_all_dim"] == 1.0);  // the softmax scale reads it
    // A division and a multiplication.
    CHECK(dict["attn_factor"].get<double>() * rw::deepseek_attention_factor(40.0, 0.707, 1.0) ==
          Approx(1.5).epsilon(5e-16));
  }
}

TEST_CASE("a base beyond float32 is refused by every engine") {
  const rw::ModelConfig model = llama2();
  rw::EngineSchedule scaled = method(model, yarn(2.0), 8192);
  scaled.config.theta = 1e39;
  for (const rw::EngineName& engine : rw::kEngines) {
    INFO(engine.name);
    CHECK(has(refusal_of(engine.engine, model, new_theta(model, 3.5e38, 8192)), "float32"));
    CHECK(has(refusal_of(engine.engine, model, scaled), "theta = 1e39"));
    CHECK_FALSE(rw::engine_lines(engine.engine, model, new_theta(model, 3.4e38, 8192)).refused);
  }
}

TEST_CASE("a refusal's command stands on a line of its own") {
  const rw::ModelConfig model = plain_model("qwen3", 1e6, 32768);
  const std::string text =
      refusal_of(rw::Engine::koboldcpp, model, method(model, yarn(4.0), 131072));
  const std::size_t line = text.find('\n');
  REQUIRE(line != std::string::npos);
  CHECK(text.find("llama-quantize ") == line + 1);
  CHECK(text.find('\n', line + 1) == std::string::npos);
}

TEST_CASE("layers of other types keep what they have") {
  rw::ModelConfig model = layered_model();
  model.text_key = "text_config";
  const rw::EngineSchedule schedule = method(model, yarn(8.0), 131072);
  for (const rw::Engine engine : {rw::Engine::vllm, rw::Engine::transformers5}) {
    const Json json = json_in(text_for(engine, model, schedule))["text_config"];
    CHECK(json["rope_parameters"]["full_attention"]["rope_type"] == "yarn");
    CHECK(json["rope_parameters"]["sliding_attention"]["rope_type"] == "default");
    CHECK(json["rope_parameters"]["sliding_attention"]["rope_theta"] == 10000.0);
    CHECK(json["max_position_embeddings"] == 131072);
  }
  CHECK(has(text_for(rw::Engine::vllm, model, schedule), "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 "));
  refusal_of(rw::Engine::exllama, model, new_theta(model, 2e6, 131072));
  refusal_of(rw::Engine::mlx, model, schedule);
  model.new_style = true;
  refusal_of(rw::Engine::transformers4, model, schedule);
  refusal_of(rw::Engine::vllm_0_10, model, schedule);
}

TEST_CASE("an old vLLM is told the length of a Llama-3 schedule, which it does not multiply") {
  const rw::ModelConfig model = plain_model("llama", 500000.0, 8192);
  const Json json = json_in(
      text_for(rw::Engine::vllm_0_10, model, method(model, rw::Llama3{8.0, 1.0, 4.0}, 65536)));
  CHECK(json["max_position_embeddings"] == 65536);
  CHECK(json["rope_scaling"]["rope_type"] == "llama3");
}

TEST_CASE("keys beside the schedule are kept: sections, share, position scale") {
  rw::ModelConfig model = plain_model("qwen3_5_text", 1e7, 262144);
  model.text_key = "text_config";
  rw::RopeVariant& rope = model.variants.front();
  rope.config.head_dim = 256;
  rope.config.rotary_dim = 64;
  rope.mrope_section = {11, 11, 10};
  rope.mrope_interleaved = true;
  rw::LayerView layer;
  layer.position_scale.law = rw::PositionScale::Law::ministral;
  layer.position_scale.slope = 0.1;
  model.layer_views.push_back(layer);
  const Json json = json_in(text_for(rw::Engine::vllm, model, method(model, yarn(4.0), 1010000)));
  const Json& dict = json["text_config"]["rope_parameters"];
  CHECK(dict["mrope_section"] == Json::array({11, 11, 10}));
  CHECK(dict["mrope_interleaved"] == true);
  CHECK(dict["partial_rotary_factor"] == 0.25);
  CHECK(dict["llama_4_scaling_beta"] == 0.1);
}

TEST_CASE("the share of rotated dimensions truncates back to the same dimension") {
  for (int head_dim = 2; head_dim <= 512; head_dim += 2) {
    for (int rotary_dim = 2; rotary_dim <= head_dim; rotary_dim += 2) {
      rw::RopeConfig config;
      config.head_dim = head_dim;
      config.rotary_dim = rotary_dim;
      const int back = static_cast<int>(head_dim * rw::detail::partial_rotary_factor(config));
      if (back != rotary_dim) FAIL(head_dim << " " << rotary_dim << " " << back);
    }
  }
  SUCCEED();
}

TEST_CASE("dynamic NTK keeps the length it counts from") {
  const rw::ModelConfig model = plain_model("internlm3", 5e7, 32768);
  const rw::EngineSchedule schedule = method(model, rw::DynamicNtk{6.0, 0}, 196608);
  CHECK(json_in(text_for(rw::Engine::transformers5, model, schedule))["max_position_embeddings"] ==
        32768);
  refusal_of(rw::Engine::llama_cpp, model, schedule);
}

TEST_CASE("a schedule as in the file changes nothing but the length") {
  rw::ModelConfig model = plain_model("llama4_text", 500000.0, 8192);
  model.variants.front().scaling = rw::Llama3{16.0, 1.0, 1.0};
  rw::EngineSchedule schedule = method(model, model.variants.front().scaling, 1048576);
  schedule.as_in_file = true;
  for (const rw::EngineName& engine : rw::kEngines) {
    const std::string text = text_for(engine.engine, model, schedule);
    INFO(text);
    CHECK(has(text, "1048576"));
    CHECK_FALSE(has(text, "rope_theta"));
    CHECK_FALSE(has(text, "rope-freq-base"));
    CHECK_FALSE(has(text, "llama3"));
  }
}

TEST_CASE("lengths and schedules outside the domain are refused, never wrapped") {
  const rw::ModelConfig model = llama2();
  const rw::EngineSchedule far = new_theta(model, 1e9, std::int64_t{1} << 40);
  CHECK(has(refusal_of(rw::Engine::llama_cpp, model, far), "32 bits"));
  CHECK(has(text_for(rw::Engine::vllm, model, far), "1099511627776"));
  for (const rw::EngineName& engine : rw::kEngines) {
    CHECK(has(refusal_of(engine.engine, model, new_theta(model, 26784.0, 0)), "length"));
    CHECK(has(refusal_of(engine.engine, model, new_theta(model, 0.5, 8192)), "theta"));
    rw::EngineSchedule missing = new_theta(model, 26784.0, 8192);
    missing.variant = 7;
    refusal_of(engine.engine, model, missing);
  }
}

TEST_CASE("every engine is found under its own name and no other") {
  std::size_t index = 0;
  for (const rw::EngineName& entry : rw::kEngines) {
    CHECK(static_cast<std::size_t>(entry.engine) == index++);
    REQUIRE(rw::engine_named(entry.name).has_value());
    CHECK(*rw::engine_named(entry.name) == entry.engine);
  }
  CHECK_FALSE(rw::engine_named("VLLM").has_value());
  CHECK_FALSE(rw::engine_named("").has_value());
}

TEST_CASE("a quote in a name cannot leave its shell word") {
  CHECK(rw::detail::shell_quoted("it's") == "'it'\\''s'");
}
