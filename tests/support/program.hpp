// The built programs from outside: a command line in, exit code and both streams out.
#pragma once

#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include "support/catch.hpp"

namespace ropewalk_test {

using Json = nlohmann::json;

struct Outcome {
  int exit_code = -1;  // -1 where a signal ended it
  std::string out;
  std::string err;
};

/// A folder of this process, gone when it ends.
class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("ropewalk_programs_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }

  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(file(name), std::ios::binary) << text;
    return file(name);
  }

 private:
  std::filesystem::path path_;
};

inline const Folder& folder() {
  static const Folder instance;
  return instance;
}

inline std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Runs "NAME ARGUMENTS"; `before` stands before the program's path.
inline Outcome run_program(const std::string& line, const std::string& before = "") {
  const std::string command = before + " '" ROPEWALK_PROGRAMS_DIR "'/" + line + " >'" +
                              folder().file("out") + "' 2>'" + folder().file("err") + "'";
  const int status = std::system(command.c_str());
  Outcome outcome;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.out = contents(folder().file("out"));
  outcome.err = contents(folder().file("err"));
  return outcome;
}

/// What a program that succeeds prints as JSON.
inline Json json_of_program(const std::string& line, int exit_code = 0) {
  const Outcome outcome = run_program(line);
  INFO(line << "\nout: " << outcome.out << "\nerr: " << outcome.err);
  REQUIRE(outcome.exit_code == exit_code);
  return Json::parse(outcome.out);
}

/// A program that fails: exit code, and a message that names what was wrong.
inline Outcome check_program_failure(const std::string& line, int exit_code,
                                     std::string_view message) {
  const Outcome outcome = run_program(line);
  INFO(line << "\nout: " << outcome.out << "\nerr: " << outcome.err);
  CHECK(outcome.exit_code == exit_code);
  CHECK(outcome.err.find(message) != std::string::npos);
  CHECK_FALSE(outcome.err.empty());
  return outcome;
}

}  // namespace ropewalk_test
