// The program from outside: exit codes, what it prints, Ctrl-C.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <ropewalk/analysis/cosine_sum.hpp>
#include <ropewalk/spectrum.hpp>

#include <cstdint>
#include <string>

#include "support/catch.hpp"
#include "support/program.hpp"

namespace rw = ropewalk;
using ropewalk_test::Json;
using ropewalk_test::Outcome;

namespace {

Outcome run(const std::string& arguments, const std::string& before = "") {
  return ropewalk_test::run_program("minimum_theta " + arguments, before);
}

Json json_of(const std::string& arguments, int exit_code = 0) {
  return ropewalk_test::json_of_program("minimum_theta " + arguments + " --json", exit_code);
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
  CHECK(outcome.out.find("some base works   from 4") != std::string::npos);
  CHECK(outcome.out.find("all larger work   from ") != std::string::npos);
  CHECK(outcome.out.find("not a gate") != std::string::npos);
  CHECK(run(kSmall).err.empty());
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
    const Outcome outcome = run(entry.arguments);
    INFO(entry.arguments << "\n" << outcome.err);
    CHECK(outcome.exit_code == 1);
    CHECK(outcome.err.find(entry.message) != std::string::npos);
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
  CHECK(run(arguments).err.find("no base tried works") != std::string::npos);
}

TEST_CASE("Ctrl-C ends a scan at once, with what was covered") {
  const std::string endless = "--head-dim 128 --length 9007199254740992 --lowest-theta 1e9";
  // A loaded machine may need longer before the program listens; until then the signal ends it
  // without a word. One that hears and goes on is killed, exit code 137.
  Outcome outcome;
  for (const char* wait : {"0.5", "4", "30"}) {
    outcome =
        run(endless + " --json", std::string("timeout --preserve-status -k 60 -s INT ") + wait);
    if (!outcome.out.empty()) break;
  }
  INFO(outcome.out << outcome.err);
  CHECK(outcome.exit_code == 130);
  CHECK(outcome.err.find("stopped; covered ") != std::string::npos);
  const Json json = Json::parse(outcome.out);
  CHECK(json["complete"] == false);
  CHECK(json["safe_theta"].is_null());
  CHECK(json["grid"]["scanned"] < json["grid"]["points"]);
}
#endif
