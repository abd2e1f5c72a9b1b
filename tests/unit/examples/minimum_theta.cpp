// The program from outside: exit codes, what it prints, Ctrl-C.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <ropewalk/analysis/cosine_sum.hpp>
#include <ropewalk/spectrum.hpp>

#include <sys/wait.h>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "support/catch.hpp"

namespace rw = ropewalk;
using Json = nlohmann::json;

namespace {

struct Outcome {
  int exit_code = -1;
  std::string text;
};

/// One stream of the program; the other is dropped. `before` stands before its name.
Outcome run(const std::string& arguments, bool errors = false, const std::string& before = "") {
  const std::string command = before + " '" ROPEWALK_PROGRAMS_DIR "'/minimum_theta " + arguments +
                              (errors ? " 2>&1 >/dev/null" : " 2>/dev/null");
  Outcome outcome;
  FILE* const stream = popen(command.c_str(), "r");
  REQUIRE(stream != nullptr);
  char buffer[4096];
  for (std::size_t size = 0; (size = std::fread(buffer, 1, sizeof buffer, stream)) > 0;)
    outcome.text.append(buffer, size);
  const int status = pclose(stream);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

Json json_of(const std::string& arguments, int exit_code = 0, const std::string& before = "") {
  const Outcome outcome = run(arguments + " --json", false, before);
  INFO(arguments << "\n" << outcome.text);
  REQUIRE(outcome.exit_code == exit_code);
  return Json::parse(outcome.text);
}

bool works(double theta, int head_dim, std::int64_t length) {
  rw::RopeConfig config;
  config.head_dim = head_dim;
  config.rotary_dim = head_dim;
  config.theta = theta;
  return !rw::first_negative_distance(rw::spectrum(config), length);
}

constexpr const char* kSmall =
    "--head-dim 128 --length 1024 --lowest-theta 1000 --highest-theta 20000 --ratio 1.001";

}  // namespace

TEST_CASE("minimum_theta's object has the bases and both grids") {
  const Json json = json_of(kSmall);
  CHECK(json["head_dim"] == 128);
  CHECK(json["length"] == 1024);
  CHECK(json["complete"] == true);
  CHECK(json["evidence"].get<std::string>().find("hint") == 0);
  for (const char* grid : {"grid", "finer_grid"}) {
    for (const char* key : {"lowest", "highest", "ratio", "points", "scanned", "islands"})
      CHECK(json[grid].contains(key));
    CHECK(json[grid]["scanned"] == json[grid]["points"]);
  }
  const double minimum = json["minimum_theta"];
  const double safe = json["safe_theta"];
  CHECK(minimum < safe);
  CHECK(works(minimum, 128, 1024));
  CHECK(works(safe, 128, 1024));
  // The finer grid found a base at least as small as the first, and safe begins the last island.
  CHECK(minimum <= json["grid"]["islands"][0][0].get<double>());
  CHECK(safe == json["grid"]["islands"].back()[0].get<double>());
  CHECK_FALSE(works(safe / json["grid"]["ratio"].get<double>(), 128, 1024));
}

TEST_CASE("threads do not change the answer") {
  const Json one = json_of(std::string(kSmall) + " --threads 1");
  CHECK(json_of(std::string(kSmall) + " --threads 2") == one);
  CHECK(json_of(std::string(kSmall) + " --threads 5") == one);
}

TEST_CASE(
    "minimum_theta's screen has the numbers of its object, and no progress outside a terminal") {
  const Outcome outcome = run(kSmall);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.text.find("some base works   from 4") != std::string::npos);
  CHECK(outcome.text.find("all larger work   from ") != std::string::npos);
  CHECK(outcome.text.find("not a gate") != std::string::npos);
  CHECK(run(kSmall, true).text.empty());
}

TEST_CASE("minimum_theta exits 1 on wrong usage with a message") {
  const struct {
    const char* arguments;
    const char* message;
  } wrong[] = {{"", "--head-dim"},
               {"--head-dim 128", "--length"},
               {"--length 4096", "--head-dim"},
               {"--head-dim 128 --length 6", "at least 7"},
               {"--head-dim 128 --length 0", "--length"},
               {"--head-dim 128 --length -5", "--length"},
               {"--head-dim 128 --length nan", "--length"},
               {"--head-dim 128 --length 1e5", "--length"},
               {"--head-dim 128 --length 9007199254740993", "--length"},
               {"--head-dim 0 --length 4096", "--head-dim"},
               {"--head-dim 127 --length 4096", "even"},
               {"--head-dim 12.5 --length 4096", "whole"},
               {"--head-dim nan --length 4096", "--head-dim"},
               {"--head-dim 70000 --length 4096", "--head-dim"},
               {"--head-dim 128 --length 4096 --ratio 1", "--ratio"},
               {"--head-dim 128 --length 4096 --ratio nan", "--ratio"},
               {"--head-dim 128 --length 4096 --ratio inf", "--ratio"},
               {"--head-dim 128 --length 4096 --lowest-theta 1", "--lowest-theta"},
               {"--head-dim 128 --length 4096 --lowest-theta x", "--lowest-theta"},
               {"--head-dim 128 --length 4096 --highest-theta 1.5", "--highest-theta"},
               {"--head-dim 128 --length 4096 --highest-theta nan", "--highest-theta"},
               {"--head-dim 128 --length 4096 --threads 0", "--threads"},
               {"--head-dim 128 --length 4096 --frobnicate", "frobnicate"}};
  for (const auto& entry : wrong) {
    const Outcome outcome = run(entry.arguments, true);
    INFO(entry.arguments << "\n" << outcome.text);
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.text.find(entry.message) != std::string::npos);
  }
  CHECK(run("--help").exit_code == 0);
  CHECK(run("--version").exit_code == 0);
}

TEST_CASE("a grid without a base that works exits 3 and still answers") {
  const char* arguments = "--head-dim 2 --length 100 --highest-theta 1000 --ratio 1.1";
  const Json json = json_of(arguments, 3);
  CHECK(json["minimum_theta"].is_null());
  CHECK(json["safe_theta"].is_null());
  CHECK(json["grid"]["islands"].empty());
  CHECK(json["finer_grid"].is_null());
  CHECK(run(arguments, true).text.find("no base tried works") != std::string::npos);
}

TEST_CASE("Ctrl-C ends a scan at once, with what was covered") {
  const std::string endless = "--head-dim 128 --length 9007199254740992 --lowest-theta 1e9";
  for (const bool errors : {false, true}) {
    // A loaded machine may need longer before the program listens; until then the signal ends it
    // without a word. One that hears and goes on is killed, exit code 137.
    Outcome outcome;
    for (const char* wait : {"0.5", "4", "30"}) {
      outcome = run(endless + " --json", errors,
                    std::string("timeout --preserve-status -k 60 -s INT ") + wait);
      if (!outcome.text.empty()) break;
    }
    INFO(outcome.text);
    CHECK(outcome.exit_code == 130);
    if (errors) {
      CHECK(outcome.text.find("stopped; covered ") != std::string::npos);
    } else {
      const Json json = Json::parse(outcome.text);
      CHECK(json["complete"] == false);
      CHECK(json["safe_theta"].is_null());
      CHECK(json["grid"]["scanned"] < json["grid"]["points"]);
    }
  }
}
#endif
