// The built programs from outside: exit codes, standard error, JSON keys.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <ropewalk/interop/engine_flags.hpp>
#include <ropewalk/spectrum.hpp>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/program.hpp"

namespace rw = ropewalk;
using ropewalk_test::contents;
using ropewalk_test::folder;
using ropewalk_test::Json;
using ropewalk_test::Outcome;

namespace {

Outcome run(const std::string& line) { return ropewalk_test::run_program(line); }

Json json_of(const std::string& line) { return ropewalk_test::json_of_program(line); }

void check_failure(const std::string& line, int exit_code, std::string_view message) {
  ropewalk_test::check_program_failure(line, exit_code, message);
}

}  // namespace

TEST_CASE("theta_for_length's object has every key and every method") {
  const Json json = json_of("theta_for_length --model llama-3-8b --target-length 262144 --json");
  for (const char* key :
       {"trained_length", "target_length", "head_dim", "rotary_dim", "theta", "critical_dimension",
        "critical_pair", "candidates", "recommended", "paste", "warnings"})
    CHECK(json.contains(key));
  CHECK(json["trained_length"] == 8192);
  CHECK(json["critical_dimension"] == 70);
  CHECK(json["candidates"].size() == 9);
  for (const Json& candidate : json["candidates"]) {
    for (const char* key : {"method", "theta", "factor", "attention_factor", "over_range_pairs",
                            "critical_dimension"})
      CHECK(candidate.contains(key));
  }
  CHECK(json["candidates"][0]["method"] == "liu");
  // 2 ULP, the law's bound.
  CHECK(json["candidates"][0]["theta"].get<double>() ==
        Approx(283461213.47555687962).epsilon(2 * 2.3e-16));
  CHECK(json["paste"].size() == std::size(rw::kEngines));
  for (const rw::EngineName& engine : rw::kEngines)
    CHECK(json["paste"].contains(std::string(engine.name)));
}

TEST_CASE("a method that does not apply has null for its numbers and a reason") {
  const Json json = json_of("theta_for_length --model qwen2.5-7b --target-length 65536 --json");
  for (const Json& candidate : json["candidates"]) {
    if (candidate["method"] != "koboldcpp") continue;
    CHECK(candidate["theta"].is_null());
    CHECK(candidate["over_range_pairs"].is_null());
    CHECK(candidate["critical_dimension"].is_null());
    CHECK(candidate["reason"].is_string());
  }
}

TEST_CASE("--for narrows the lines to one engine") {
  const Json json =
      json_of("theta_for_length --model llama-2-7b --target-length 8192 --for vllm --json");
  CHECK(json["paste"].size() == 1);
  CHECK(json["paste"].contains("vllm"));
  CHECK(
      json_of("theta_for_length --model llama-2-7b --target-length 8192 --for all --json")["paste"]
          .size() == std::size(rw::kEngines));
}

TEST_CASE("a length within the claimed one exits 0 and recommends none") {
  const Json json = json_of("theta_for_length --model llama-3.1-8b --target-length 131072 --json");
  CHECK(json["recommended"] == "none");
  CHECK(json["trained_length"] == 8192);
  for (const auto& [engine, text] : json["paste"].items())
    CHECK(text.get<std::string>().find("nothing to change") == 0);
}

TEST_CASE("wrong usage exits 1 with a message") {
  check_failure("theta_for_length", 1, "--target-length");
  check_failure("theta_for_length --target-length 8192", 1, "--model");
  check_failure("theta_for_length --model llama-2-7b --config x --target-length 8192", 1,
                "exactly one");
  check_failure("theta_for_length --model llama-2-7b", 1, "--target-length");
  check_failure("theta_for_length --model lama-2-7b --target-length 8192", 1, "llama-2-7b");
  check_failure("theta_for_length --model llama-2-7b --target-length 8192 --for gcc", 1,
                "llama.cpp");
  check_failure("theta_for_length --model llama-2-7b --target-length 8192 --frobnicate", 1,
                "frobnicate");
  check_failure("theta_for_length --model llama-2-7b --target-length 8192 --trained-length 0", 1,
                "--trained-length");
  for (const char* length :
       {"0", "-5", "nan", "1e5", "''", "9007199254740993", "99999999999999999999"})
    check_failure(std::string("theta_for_length --model llama-2-7b --target-length ") + length, 1,
                  "--target-length");
  check_failure("spectrum", 1, "--config");
  check_failure("spectrum --model llama-2-7b --sequence-length 0", 1, "--sequence-length");
  check_failure("spectrum --model gemma-3-27b --layer-type foo", 1, "sliding_attention");
  check_failure("spectrum --model llama-2-7b --layer-type foo", 1, "foo");
}

TEST_CASE("a config that cannot be used exits 2 with a message") {
  const std::string bad = folder().write("bad.json", R"({"model_type": "llama", "hidden_size": )");
  const std::string wrong = folder().write(
      "wrong.json", R"({"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32,
      "max_position_embeddings": 8192, "rope_theta": "ten thousand"})");
  for (const char* program :
       {"theta_for_length --target-length 8192 --config ", "spectrum --config "}) {
    check_failure(program + folder().file("missing.json"), 2, "missing.json");
    check_failure(program + bad, 2, "bad.json");
    check_failure(program + wrong, 2, "rope_theta");
  }
}

TEST_CASE("a length without a valid schedule exits 3 with a message and still answers in JSON") {
  const char* arguments =
      "theta_for_length --model llama-2-7b --trained-length 3 --target-length 8192 --json";
  check_failure(arguments, 3, "trained length 3");
  const Json json = Json::parse(run(arguments).out);
  CHECK(json["recommended"] == "none");
  CHECK(json["candidates"].size() == 9);
  for (const auto& [engine, text] : json["paste"].items())
    CHECK(text.get<std::string>().find("refused: ") == 0);
}

TEST_CASE("help and version exit 0") {
  for (const char* program : {"theta_for_length", "spectrum"}) {
    CHECK(run(std::string(program) + " --help").exit_code == 0);
    CHECK(run(std::string(program) + " --version").exit_code == 0);
    CHECK(run(std::string(program) + " --list-models").out.find("llama-3-8b\n") !=
          std::string::npos);
  }
}

TEST_CASE("--quiet prints one number") {
  const Outcome outcome = run("theta_for_length --model llama-3-8b --target-length 262144 --quiet");
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find_first_not_of("0123456789.\n") == std::string::npos);
  CHECK(std::strtod(outcome.out.c_str(), nullptr) ==
        Approx(283461213.47555687962).epsilon(2 * 2.3e-16));
}

TEST_CASE("the default screen is a screen") {
  const Outcome outcome = run("theta_for_length --model llama-3-8b --target-length 262144");
  REQUIRE(outcome.exit_code == 0);
  int lines = 0;
  std::istringstream text(outcome.out);
  for (std::string line; std::getline(text, line);) ++lines;
  CHECK(lines <= 45);
  CHECK(outcome.out.find("Critical dimension 70 of 128") != std::string::npos);
  CHECK(outcome.out.find("Recommended: liu") != std::string::npos);
  CHECK(outcome.out.find("--rope-freq-base 283461213") != std::string::npos);
}

TEST_CASE("spectrum's object holds the frequencies in 17 digits") {
  const Json json = json_of("spectrum --model gpt-oss-20b --json --ggml-factors");
  for (const char* key : {"rope_type", "rotary_dim", "theta", "attention_factor",
                          "softmax_multiplier", "inv_freq", "warnings"})
    CHECK(json.contains(key));
  CHECK(json["rope_type"] == "yarn");
  CHECK(json["rotary_dim"] == 64);
  REQUIRE(json["inv_freq"].size() == 32);
  rw::RopeConfig config;
  config.head_dim = 64;
  config.rotary_dim = 64;
  config.theta = 150000.0;
  config.original_length = 4096;
  rw::Yarn yarn;
  yarn.factor = 32.0;
  yarn.truncate = false;
  const rw::Spectrum expected = rw::spectrum(config, yarn);
  for (std::size_t pair = 0; pair < 32; ++pair) {
    // Equal builds give equal bits; the tests may be built with -ffast-math, the program not.
    CHECK(json["inv_freq"][pair].get<double>() == Approx(expected.inv_freq[pair]).epsilon(1e-12));
    CHECK(json["ggml_factors"][pair].get<double>() * json["inv_freq"][pair].get<double>() ==
          Approx(rw::inverse_frequency(config, static_cast<int>(pair))).epsilon(1e-12));
  }
}

TEST_CASE("--sequence-length moves a schedule that depends on it, --layer-type picks the layers") {
  const Json at_start = json_of("spectrum --model phi-3.5-mini --json");
  const Json long_list = json_of("spectrum --model phi-3.5-mini --sequence-length 8192 --json");
  CHECK(at_start["inv_freq"] != long_list["inv_freq"]);
  CHECK(json_of("spectrum --model phi-3.5-mini --sequence-length 4096 --json")["inv_freq"] ==
        at_start["inv_freq"]);
  CHECK(json_of("spectrum --model gemma-3-27b --json")["theta"] == 1e6);
  CHECK(json_of("spectrum --model gemma-3-27b --layer-type sliding_attention --json")["theta"] ==
        1e4);
}

TEST_CASE("every shipped model is answered by both programs") {
  std::istringstream names(run("spectrum --list-models").out);
  int models = 0;
  for (std::string name; std::getline(names, name); ++models) {
    INFO(name);
    json_of("spectrum --model " + name + " --json");
    const Json json =
        json_of("theta_for_length --model " + name + " --target-length 2000000 --json");
    CHECK(json["critical_pair"].get<int>() > 0);
  }
  CHECK(models >= 25);
}
#endif
