// The programs are tested where they are built.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <ropewalk/interop/hugging_face.hpp>
#include <support/command_line.hpp>
#include <support/length_output.hpp>
#include <support/models.hpp>

#include <algorithm>
#include <iterator>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

namespace rw = ropewalk;

namespace {

rw::ModelConfig shipped(std::string_view name) {
  const ShippedModel* const end = shipped_models() + shipped_model_count();
  const ShippedModel* const at = std::find_if(
      shipped_models(), end, [&](const ShippedModel& model) { return model.name == name; });
  REQUIRE(at != end);
  return rw::read_hugging_face_config(at->json).value();
}

/// Both forms of the answer for every engine.
std::string printed(std::string_view name, std::int64_t target) {
  const rw::ModelConfig model = shipped(name);
  const LengthReport report = report_length(model, target, std::nullopt);
  const LengthOutput output{
      model, report, std::string(name),
      std::vector<rw::EngineName>(std::begin(rw::kEngines), std::end(rw::kEngines)), false};
  return output.text() + output.json().dump();
}

/// 1.234,5 for 1234.5.
class CommaNumbers : public std::numpunct<char> {
 protected:
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

class CommaLocale {
 public:
  CommaLocale()
      : before_(std::locale::global(std::locale(std::locale::classic(), new CommaNumbers))) {}
  ~CommaLocale() { std::locale::global(before_); }
  CommaLocale(const CommaLocale&) = delete;
  CommaLocale& operator=(const CommaLocale&) = delete;

 private:
  std::locale before_;
};

}  // namespace

TEST_CASE("a global locale with commas changes no digit of the output") {
  for (const char* name : {"llama-3-8b", "qwen3-8b", "ministral-3-3b"}) {
    INFO(name);
    const std::string expected = printed(name, 1048576);
    const CommaLocale locale;
    std::ostringstream stream;
    stream << 1234.5;
    REQUIRE(stream.str() == "1.234,5");  // else the comparison would say nothing
    CHECK(printed(name, 1048576) == expected);
    CHECK(number(283461213.47555685) == "283461213.47555685");
    CHECK(number(1234.5, 17) == "1234.5");
    CHECK(parse_length("--target-length", "262144") == 262144);
  }
}

TEST_CASE("every command is printed on one line, whatever its length") {
  const rw::ModelConfig model = shipped("ministral-3-3b");
  const LengthReport report = report_length(model, 1048576, std::nullopt);
  const LengthOutput output{
      model, report, "ministral-3-3b", {{rw::Engine::koboldcpp, "koboldcpp"}}, false};
  const std::string text = output.text();
  const rw::EngineLines lines = rw::engine_lines(rw::Engine::koboldcpp, model, report.schedule());
  REQUIRE(lines.refused);
  const std::size_t command = lines.text.find("\nllama-quantize");
  REQUIRE(command != std::string::npos);
  CHECK(lines.text.size() - command > 100);
  CHECK(text.find(lines.text.substr(command) + "\n") != std::string::npos);
}
#endif
