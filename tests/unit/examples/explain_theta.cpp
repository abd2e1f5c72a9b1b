// The program from outside: exit codes, what it prints.
#ifdef ROPEWALK_PROGRAMS_DIR

#include <string>

#include "support/catch.hpp"
#include "support/program.hpp"

using ropewalk_test::Json;
using ropewalk_test::Outcome;

namespace {

Outcome run(const std::string& arguments) {
  return ropewalk_test::run_program("explain_theta " + arguments);
}

Json json_of(const std::string& arguments) {
  return ropewalk_test::json_of_program("explain_theta " + arguments + " --json");
}

void check_failure(const std::string& arguments, int exit_code, const std::string& message) {
  CHECK(ropewalk_test::check_program_failure("explain_theta " + arguments, exit_code, message)
            .out.empty());
}

}  // namespace

TEST_CASE("explain_theta finds Liu's law behind Gradient's config") {
  const Json json = json_of("--theta 283461213.0 --trained-length 8192");
  for (const char* key :
       {"theta", "digits", "trained_length", "target_length", "rotary_dim", "candidates",
        "hypotheses", "left_out", "expected_by_chance", "equivalents"})
    CHECK(json.contains(key));
  CHECK(json["digits"] == 9);
  REQUIRE(json["candidates"].size() == 1);
  const Json& liu = json["candidates"][0];
  CHECK(liu["rule"] == "liu");
  CHECK(liu["match"] == "floored");
  CHECK(liu["trained_theta"] == 500000.0);
  CHECK(liu["target_length"] == 262144);
  CHECK(liu["predicted_theta"].get<double>() == Approx(283461213.47555687962).epsilon(1e-14));
  CHECK(liu["factor"].is_null());
  CHECK(json["equivalents"][0]["liu_length"].get<double>() == Approx(262144.0).margin(1e-3));
}

TEST_CASE("explain_theta reads model cards: digits after the point are precision") {
  const struct {
    const char* theta;
    int digits;
    int steps;
  } cards[] = {
      {"15.3M", 3, 1}, {"207.1M", 4, 2}, {"1.06B", 3, 3}, {"2.80B", 3, 3}, {"2.80e9", 3, 3}};
  for (const auto& card : cards) {
    const Json json = json_of(std::string("--trained-length 8192 --theta ") + card.theta);
    INFO(card.theta);
    CHECK(json["digits"] == card.digits);
    const Json& chain = json["candidates"][0];
    CHECK(chain["rule"] == "dynamic_ntk");
    CHECK(chain["factor"] == 4.0);
    CHECK(chain["steps"] == card.steps);
  }
}

TEST_CASE("explain_theta names tables and their source, and says when nothing agrees") {
  const Json table = json_of("--theta 50000000 --trained-length 4096 --target-length 1048576");
  CHECK(table["candidates"][0]["plan"] == "lwm-text");
  CHECK(table["candidates"][0]["source"].get<std::string>().find("2402.08268") !=
        std::string::npos);
  const Json nothing = json_of("--theta 123456789 --trained-length 8192");
  CHECK(nothing["candidates"].empty());
  const Outcome text = run("--theta 123456789 --trained-length 8192");
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("no evidence") != std::string::npos);
  CHECK(text.out.find("No published rule gives this base") != std::string::npos);
}

TEST_CASE("explain_theta's options change what is asked") {
  const Json json = json_of(
      "--theta 9370821.04342499 --trained-length 32768 --head-dim 128 --trained-theta 1000000 "
      "--target-length 131072");
  CHECK(json["candidates"][0]["rule"] == "liu");
  CHECK(json["rotary_dim"] == 128);
  // NTK's exponent depends on the dimensions.
  CHECK(json_of("--theta 85550.375885685379 --trained-length 4096 --head-dim "
                "64")["candidates"][0]["rule"] == "ntk_aware");
  CHECK(json_of("--theta 85550.375885685379 --trained-length 4096")["candidates"].empty());
  CHECK(json_of("--theta 1e6 --trained-length 8192 --trained-theta 1.0000001")["equivalents"]
            .empty());
  CHECK_FALSE(json_of("--theta 283000000 --trained-length 8192 --tolerance 0.01 --maximum-chance "
                      "1")["candidates"]
                  .empty());
}

TEST_CASE("explain_theta refuses what is no base, length or dimension") {
  for (const char* theta : {"nan", "inf", "-5", "''", "0x10", "1.5e", "M", "1e999", "1,5"})
    check_failure(std::string("--trained-length 8192 --theta ") + theta, 1, "--theta");
  for (const char* theta : {"1", "0", "0.5"})
    check_failure(std::string("--trained-length 8192 --theta ") + theta, 1, "above 1");
  check_failure("--theta 1e101 --trained-length 8192", 1, "--theta");
  check_failure("--theta 1e6", 1, "--trained-length");
  check_failure("--trained-length 8192", 1, "--theta");
  check_failure("--theta 1e6 --trained-length 6", 1, "--trained-length = 6");
  check_failure("--theta 1e6 --trained-length 1e5", 1, "--trained-length");
  check_failure("--theta 1e6 --trained-length 8192 --target-length 5", 1, "--target-length = 5");
  check_failure("--theta 1e6 --trained-length 8192 --head-dim 3", 1, "--head-dim = 3");
  check_failure("--theta 1e6 --trained-length 8192 --head-dim 2", 1, "--head-dim = 2");
  check_failure("--theta 1e6 --trained-length 8192 --head-dim 99999999999", 1, "--head-dim");
  check_failure("--theta 1e6 --trained-length 8192 --trained-theta 1", 1, "--trained-theta");
  check_failure("--theta 1e6 --trained-length 8192 --tolerance nan", 1, "--tolerance");
  check_failure("--theta 1e6 --trained-length 8192 --maximum-chance 2", 1, "--maximum-chance");
  check_failure("--theta 1e6 --trained-length 8192 --frobnicate", 1, "frobnicate");
  CHECK(run("--help").exit_code == 0);
  CHECK(run("--version").exit_code == 0);
}
#endif
