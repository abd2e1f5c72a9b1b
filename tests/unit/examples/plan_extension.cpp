// The program from outside: exit codes, what it prints.
#ifdef ROPEWALK_PROGRAMS_DIR

#include <sstream>
#include <string>

#include "support/catch.hpp"
#include "support/program.hpp"

using ropewalk_test::Json;
using ropewalk_test::Outcome;

namespace {

Outcome run(const std::string& arguments) {
  return ropewalk_test::run_program("plan_extension " + arguments);
}

Json json_of(const std::string& arguments) {
  return ropewalk_test::json_of_program("plan_extension " + arguments + " --json");
}

void check_failure(const std::string& arguments, int exit_code, const std::string& message) {
  CHECK(ropewalk_test::check_program_failure("plan_extension " + arguments, exit_code, message)
            .out.empty());
}

}  // namespace

TEST_CASE("plan_extension's object has every stage with its base and its hand-over") {
  const Json json = json_of("--model llama-3-8b --target-length 1048576 --stages 3");
  for (const char* key :
       {"trained_length", "target_length", "theta", "head_dim", "rotary_dim", "critical_dimension",
        "method", "stages", "reason", "published", "warnings"})
    CHECK(json.contains(key));
  CHECK(json["trained_length"] == 8192);
  CHECK(json["critical_dimension"] == 70);
  CHECK(json["method"] == "liu");
  REQUIRE(json["stages"].size() == 3);
  CHECK(json["stages"][0]["length"] == 40960);
  CHECK(json["stages"][2]["length"] == 1048576);
  // 2 ULP, the law's bound.
  CHECK(json["stages"][2]["theta"].get<double>() ==
        Approx(3580165449.1130344973).epsilon(2 * 2.3e-16));
  for (const Json& stage : json["stages"]) {
    CHECK(stage["over_range_pairs"] == 0);
    CHECK(stage["new_to_model_pairs"] == 0);
    CHECK(stage["tokens"].is_null());
    CHECK(stage["attention_factor"] == 1.0);
    CHECK(stage["theta_over_liu"].get<double>() == Approx(1.0).epsilon(1e-14));
  }
}

TEST_CASE("plan_extension reproduces Gradient's model cards") {
  const Json json = json_of(
      "--model llama-3-8b --target-length 1048576 --method dynamic_ntk --lengths "
      "65536,262144,1048576 --sequences 960");
  REQUIRE(json["stages"].size() == 3);
  CHECK(json["stages"][0]["theta"].get<double>() == Approx(15296098.403706).epsilon(1e-12));
  CHECK(json["stages"][1]["theta"].get<double>() == Approx(207112190.37028).epsilon(1e-12));
  CHECK(json["stages"][2]["theta"].get<double>() == Approx(2804339921.7138).epsilon(1e-12));
  CHECK(json["stages"][0]["over_range_pairs"] == 4);
  CHECK(json["stages"][0]["tokens"] == 62914560);
  bool shown = false;
  for (const Json& published : json["published"])
    shown = shown || published["name"] == "gradient-cards";
  CHECK(shown);
}

TEST_CASE("plan_extension plans with every method, and shows published plans of the same start") {
  const Json yarn = json_of("--model llama-2-7b --target-length 131072 --method yarn --stages 2");
  CHECK(yarn["stages"][1]["factor"] == 32.0);
  CHECK(yarn["stages"][1]["theta"] == 10000.0);
  CHECK(yarn["stages"][1]["attention_factor"].get<double>() ==
        Approx(1.3465735902799727).epsilon(1e-14));
  const Json abf = json_of("--model llama-2-7b --target-length 32768 --method abf --theta 500000");
  CHECK(abf["stages"][0]["theta"] == 500000.0);
  CHECK(json_of("--model llama-2-7b --target-length 32768 --method abf")["stages"][0]["theta"] ==
        200000.0);
  std::string names;
  for (const Json& published : abf["published"])
    names += published["name"].get<std::string>() + " ";
  CHECK(names.find("lwm-text ") != std::string::npos);
  CHECK(names.find("easycontext-llama-2-7b ") != std::string::npos);
  CHECK(names.find("gradient") == std::string::npos);
  const Json from = json_of("--model llama-3-8b --target-length 131072 --from 65536");
  CHECK(from["trained_length"] == 65536);
  CHECK(from["stages"][0]["factor"] == 2.0);
}

TEST_CASE("plan_extension has nothing to plan where the model reaches the target") {
  for (const char* arguments :
       {"--model llama-3-8b --target-length 8192", "--model llama-3.1-8b --target-length 131072",
        "--model mistral-7b-v0.1 --target-length 100000"}) {
    const Json json = json_of(arguments);
    CHECK(json["stages"].empty());
    CHECK_FALSE(json["reason"].get<std::string>().empty());
  }
}

TEST_CASE("plan_extension's text is a table of stages") {
  const Outcome outcome = run("--model llama-3-8b --target-length 262144 --stages 5");
  REQUIRE(outcome.exit_code == 0);
  CHECK(outcome.out.find("283461213.476") != std::string::npos);
  CHECK(outcome.out.find("critical dimension 70 of 128") != std::string::npos);
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK(line.size() <= 100);
  }
}

TEST_CASE("plan_extension refuses by name, with the exit codes of theta_for_length") {
  const std::string llama = "--model llama-3-8b ";
  check_failure("", 1, "--target-length");
  check_failure("--target-length 65536", 1, "--model");
  check_failure(llama, 1, "--target-length");
  for (const char* length : {"0", "6", "-5", "nan", "1e5", "''", "99999999999999999999"})
    check_failure(llama + "--target-length " + length, 1, "--target-length");
  check_failure(llama + "--target-length 65536 --stages 0", 1, "--stages = 0");
  check_failure(llama + "--target-length 65536 --stages 65", 1, "--stages = 65");
  check_failure(llama + "--target-length 65536 --stages two", 1, "stages");
  check_failure(llama + "--target-length 8200 --stages 9", 1, "--stages = 9");
  check_failure(llama + "--target-length 65536 --method foo", 1, "dynamic_ntk");
  check_failure(llama + "--target-length 65536 --method ''", 1, "--method");
  check_failure(llama + "--target-length 65536 --theta 1e6", 1, "--theta");
  check_failure(llama + "--target-length 65536 --factor 2", 1, "--factor");
  check_failure(llama + "--target-length 65536 --stages 2 --lengths 16384,65536", 1, "--lengths");
  for (const char* theta : {"nan", "0.5", "inf", "400000"})
    check_failure(llama + "--target-length 65536 --method abf --theta " + theta, 1, "--theta");
  for (const char* factor : {"nan", "0.5", "inf"}) {
    check_failure(llama + "--target-length 65536 --method dynamic_ntk --factor " + factor, 1,
                  "--factor");
  }
  check_failure(llama + "--target-length 65536 --lengths 16384,16384,65536", 1, "--lengths");
  check_failure(llama + "--target-length 65536 --lengths 16384", 1, "--lengths");
  check_failure(llama + "--target-length 65536 --lengths 16384,x", 1, "--lengths");
  check_failure(llama + "--target-length 65536 --sequences 0", 1, "--sequences");
  check_failure(llama + "--target-length 65536 --from 0", 1, "--from");
  check_failure("--config /nonexistent.json --target-length 65536", 2, "nonexistent");
  check_failure(llama + "--target-length 65536 --from 3", 3, "trained length 3");
  check_failure("--model gemma-4-26b-a4b --target-length 3000000 --method yarn", 3, "proportional");
  CHECK(run("--help").exit_code == 0);
  CHECK(run("--version").exit_code == 0);
  CHECK(run("--list-models").out.find("llama-3-8b\n") != std::string::npos);
}

TEST_CASE("plan_extension answers for every shipped model") {
  std::istringstream names(run("--list-models").out);
  int models = 0;
  for (std::string name; std::getline(names, name); ++models) {
    const Json json = json_of("--model " + name + " --target-length 3000000 --stages 3");
    INFO(name);
    CHECK((json["stages"].size() == 3 || !json["reason"].get<std::string>().empty()));
  }
  CHECK(models >= 25);
}
#endif
