// The programs are tested where they are built.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <support/command_line.hpp>

#include <cstdint>
#include <string>

#include "support/catch.hpp"

namespace {

int exit_code_of(const std::string& text) {
  try {
    parse_length("--target-length", text);
  } catch (const Failure& failure) {
    CHECK(failure.message.find("--target-length") != std::string::npos);
    return failure.exit_code;
  }
  return 0;
}

}  // namespace

TEST_CASE("a length is digits only, from 1 to 2^53") {
  CHECK(parse_length("--target-length", "1") == 1);
  CHECK(parse_length("--target-length", "0000262144") == 262144);
  CHECK(parse_length("--target-length", "9007199254740992") == std::int64_t{1} << 53);
  for (const char* text :
       {"", "0", "-1", "+1", " 1", "1 ", "1e5", "1.0", "256k", "nan", "inf", "0x10", "1,000",
        "9007199254740993", "18446744073709551617", "99999999999999999999999999999999"})
    CHECK(exit_code_of(text) == kUsageError);
}

TEST_CASE("numbers are printed in plain digits that read back the same") {
  CHECK(number(500000.0) == "500000");
  CHECK(number(1e6) == "1000000");
  CHECK(number(283461213.47555685) == "283461213.47555685");
  CHECK(number(283461213.47555685, 12) == "283461213.476");
  CHECK(number(1e16, 7) == "10000000000000000");
  CHECK(number(0.03125, 3) == "0.0312");
  CHECK(number(0.1, 17) == "0.10000000000000001");
}

TEST_CASE("exactly one of config and model is asked for") {
  ModelChoice choice;
  for (const bool both : {false, true}) {
    choice.config_file = both ? "config.json" : "";
    choice.model_name = both ? "llama-3-8b" : "";
    try {
      choice.load();
      FAIL("loaded without a choice");
    } catch (const Failure& failure) {
      CHECK(failure.exit_code == kUsageError);
    }
  }
}

TEST_CASE("an unknown model suggests the names near to it and no others") {
  const auto message_for = [](const char* name) {
    ModelChoice choice;
    choice.model_name = name;
    try {
      choice.load();
    } catch (const Failure& failure) {
      CHECK(failure.exit_code == kUsageError);
      return failure.message;
    }
    return std::string("loaded");
  };
  for (const char* near : {"lama3-8b", "llama3", "LLAMA", "llama-3-8c"}) {
    INFO(near);
    CHECK(message_for(near).find("llama-3-8b") != std::string::npos);
  }
  CHECK(message_for("qwen").find("qwen") != message_for("qwen").rfind("qwen"));
  for (const char* far : {"nope", "x", "zzzzzzzzzzzz"}) {
    const std::string message = message_for(far);
    INFO(message);
    CHECK(message.find("closest") == std::string::npos);
    CHECK(message.find("--list-models") != std::string::npos);
  }
}

TEST_CASE("shipped names are found in any case") {
  ModelChoice choice;
  choice.model_name = "Llama-3-8B";
  CHECK(choice.load().original_length == 8192);
}
#endif
