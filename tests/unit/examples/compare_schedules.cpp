// compare_schedules and search_factors from outside: exit codes, messages, JSON keys, values.
#ifdef ROPEWALK_PROGRAMS_DIR

#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/program.hpp"

using ropewalk_test::contents;
using ropewalk_test::folder;
using ropewalk_test::Json;
using ropewalk_test::Outcome;

namespace {

Outcome run(const std::string& line) { return ropewalk_test::run_program(line); }

Json json_of(const std::string& line) { return ropewalk_test::json_of_program(line); }

void check_failure(const std::string& line, int exit_code, std::string_view message) {
  CHECK(ropewalk_test::check_program_failure(line, exit_code, message).out.empty());
}

}  // namespace

TEST_CASE("compare_schedules' object holds the published comparison of Llama-3-8B") {
  const Json json = json_of(
      "compare_schedules --model llama-3-8b --target-length 262144 --methods "
      "none,linear,ntk_aware,liu,yarn,llama3,theta=207100000,theta=10000000 --json");
  CHECK(json["trained_length"] == 8192);
  CHECK(json["critical_dimension"] == 70);
  struct Row {
    const char* method;
    int over_range;
    double excess;  // to half a unit of the last digit printed
    double fast;
    double change;
    int first_negative;  // 0: none
    double minimum;      // B, not divided
  };
  const std::vector<Row> rows = {
      {"none", 29, 16.458, 1.000, 0.0, 18438, -18.79},
      {"linear", 0, 0.0, 0.031, 5.000, 0, 5.96},
      {"ntk_aware", 28, 4.893, 0.610, 2.500, 194367, -2.41},
      {"liu", 0, 0.0, 0.410, 4.502, 0, 4.39},
      {"yarn", 0, 0.0, 1.000, 2.570, 246844, -1.25},
      {"llama3", 0, 0.0, 1.000, 2.415, 241522, -2.09},
      {"theta=207100000", 2, 0.067, 0.429, 4.279, 0, 4.50},
      {"theta=10000000", 29, 6.331, 0.656, 2.127, 144660, -5.01},
  };
  REQUIRE(json["schedules"].size() == rows.size());
  std::size_t index = 0;
  for (const Row& row : rows) {
    const Json& schedule = json["schedules"][index++];
    INFO(row.method);
    CHECK(schedule["method"] == row.method);
    const Json& figures = schedule["figures"];
    CHECK(figures["over_range_pairs"] == row.over_range);
    CHECK(figures["excess_turns"].get<double>() == Approx(row.excess).margin(0.0005));
    CHECK(figures["fast_resolution"].get<double>() == Approx(row.fast).margin(0.0005));
    CHECK(figures["mean_abs_log2_change"].get<double>() == Approx(row.change).margin(0.0005));
    CHECK(figures["minimum_mean_cosine"].get<double>() * 64 == Approx(row.minimum).margin(0.005));
    if (row.first_negative == 0) {
      CHECK(figures["first_negative_distance"].is_null());
    } else {
      CHECK(figures["first_negative_distance"] == row.first_negative);
    }
  }
}

TEST_CASE("every figure of the object has a role and its evidence") {
  const Json json =
      json_of("compare_schedules --model llama-2-7b --target-length 8192 --methods liu --json");
  CHECK(json["figures"].size() >= 10);
  for (const Json& figure : json["figures"]) {
    INFO(figure["key"]);
    const std::string role = figure["role"];
    CHECK((role == "gate" || role == "hint" || role == "descriptive"));
    CHECK(figure["evidence"].get<std::string>().size() > 20);
    CHECK(figure["meaning"].get<std::string>().size() > 20);
    CHECK(json["schedules"][0]["figures"].contains(figure["key"].get<std::string>()));
  }
  const Json& precise = json["schedules"][0]["last_precise_position"];
  for (const char* way :
       {"exact_turns", "float32_product", "float32_recurrence", "bfloat16_positions"})
    CHECK(precise.contains(way));
  CHECK(precise["exact_turns"] == json["precision_limit"]);
  CHECK(precise["float32_product"].get<int>() < json["precision_limit"].get<int>());
}

TEST_CASE("the table fits a screen and names the role of every column") {
  const Outcome outcome = run("compare_schedules --model llama-3-8b --target-length 16384");
  REQUIRE(outcome.exit_code == 0);
  int lines = 0;
  std::istringstream text(outcome.out);
  for (std::string line; std::getline(text, line); ++lines) {
    INFO(line);
    CHECK(line.size() <= 100);
  }
  CHECK(lines <= 45);
  CHECK_THAT(outcome.out, contains("gate") && contains("hint") && contains("descr."));
  CHECK_THAT(outcome.out, contains("Liu's law") && contains("as trained"));
  CHECK_THAT(run("compare_schedules --model llama-3-8b --target-length 16384 --evidence").out,
             contains("Men et al. 2024"));
}

TEST_CASE("a file's own scaling is one of the schedules") {
  const Json json = json_of("compare_schedules --model phi-3.5-mini --target-length 131072 --json");
  CHECK(json["schedules"][1]["method"] == "file");
  CHECK(json["schedules"][1]["rope_parameters"]["rope_type"] == "longrope");
  const Json unscaled = json_of("compare_schedules --model llama-2-7b --target-length 8192 --json");
  REQUIRE(unscaled["schedules"].size() > 1);
  for (const Json& schedule : unscaled["schedules"]) CHECK(schedule["method"] != "file");
}

TEST_CASE("the page and the pictures are written beside the table") {
  const std::string page = folder().file("page.html");
  const std::string pictures = folder().file("pictures");
  const Outcome outcome =
      run("compare_schedules --model llama-2-7b --target-length 8192 --methods none,yarn,linear "
          "--report '" +
          page + "' --figures '" + pictures + "'");
  CHECK(outcome.exit_code == 0);
  const std::string html = contents(page);
  CHECK_THAT(html, contains("<!DOCTYPE html>") && contains("</html>"));
  CHECK(html.find("<script") == std::string::npos);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(pictures)) {
    CHECK(entry.path().extension() == ".svg");
    CHECK_THAT(contents(entry.path().string()), contains("prefers-color-scheme:dark"));
    ++files;
  }
  CHECK(files == 6);
}

TEST_CASE("compare_schedules exits 1 where it is used wrongly") {
  const std::string start = "compare_schedules --model llama-2-7b ";
  check_failure("compare_schedules", 1, "--target-length");
  check_failure("compare_schedules --target-length 8192", 1, "exactly one");
  check_failure(start + "--target-length 6", 1, "below 7");
  check_failure(start + "--target-length 0", 1, "at least 1");
  check_failure(start + "--target-length nan", 1, "not a number");
  check_failure(start + "--target-length 4095", 1, "below the trained length");
  check_failure(start + "--target-length 1073741825", 1, "above 1073741824");
  check_failure(start + "--target-length 8192 --methods ''", 1, "--methods is empty");
  check_failure(start + "--target-length 8192 --methods liu,,yarn", 1, "empty name");
  check_failure(start + "--target-length 8192 --methods lui", 1, "lui is none of");
  check_failure(start + "--target-length 8192 --methods liu,liu", 1, "twice");
  for (const char* theta :
       {"theta=", "theta=1", "theta=nan", "theta=inf", "theta=-5", "theta=1x", "theta=1e101"})
    check_failure(start + "--target-length 8192 --methods " + theta, 1, "no base");
  check_failure(start + "--target-length 8192 --error-bound 0", 1, "--error-bound");
  check_failure(start + "--target-length 8192 --error-bound nan", 1, "--error-bound");
  check_failure(start + "--target-length 8192 --error-bound 1e-13", 1, "--error-bound");
  check_failure(start + "--target-length 8192 --methods none --report /nonexistent/x.html", 1,
                "--report: cannot write");
  check_failure(start + "--target-length 8192 --methods none --figures /dev/null/x", 1,
                "--figures");
  std::string many = "none";
  for (int theta = 2; theta < 15; ++theta) many += ",theta=" + std::to_string(theta);
  check_failure(start + "--target-length 8192 --methods " + many, 1, "at most 12");
}

TEST_CASE("compare_schedules exits 3 where no schedule applies") {
  check_failure("compare_schedules --model llama-2-7b --trained-length 5 --target-length 8192", 3,
                "below 7");
  check_failure("compare_schedules --model qwen2.5-7b --target-length 65536 --methods koboldcpp", 3,
                "KoboldCpp");
}

TEST_CASE("a base that no engine's float holds does not apply, and says so") {
  const std::string start = "compare_schedules --model llama-2-7b --target-length 8192 --methods ";
  check_failure(start + "theta=1e39", 3, "float32");
  const Outcome outcome = run(start + "liu,theta=1e39");
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.out, contains("- theta = 1e39"));
}

TEST_CASE("output that cannot be written is a failure") {
  // What follows && takes the file that run() writes to.
  CHECK(run("compare_schedules --list-models >/dev/full && :").exit_code == 1);
}

TEST_CASE("search_factors prints lists that a config takes, the same for the same seed") {
  const std::string command =
      "search_factors --model llama-3-8b --target-length 131072 --iterations 5 ";
  const Json json = json_of(command + "--seed 7");
  CHECK(json["max_position_embeddings"] == 131072);
  CHECK(json["rope_parameters"]["rope_type"] == "longrope");
  CHECK(json["rope_parameters"]["factor"] == 16.0);
  const auto found = json["rope_parameters"]["long_factor"].get<std::vector<double>>();
  REQUIRE(found.size() == 64);
  for (std::size_t pair = 1; pair < found.size(); ++pair) CHECK(found[pair] >= found[pair - 1]);
  CHECK(json_of(command + "--seed 7") == json);
  CHECK(json_of(command + "--seed 8") != json);
  CHECK(json_of(command + "--seed 7 --start longrope") != json);
}

TEST_CASE("search_factors says what is wrong") {
  const std::string start = "search_factors --model llama-2-7b ";
  check_failure("search_factors --model llama-2-7b", 1, "--target-length");
  check_failure(start + "--target-length 8192 --seed x", 1, "--seed");
  check_failure(start + "--target-length 8192 --start ntk", 1, "neither");
  check_failure(start + "--target-length 8192 --population 2", 1, "--population");
  check_failure(start + "--target-length 8192 --iterations -1", 1, "--iterations");
  check_failure(start + "--target-length 4096", 3, "within");
  check_failure(start + "--target-length 9007199254740992", 1, "--target-length");
}
#endif
