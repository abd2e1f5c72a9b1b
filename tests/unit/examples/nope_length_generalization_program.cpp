// nope_length_generalization from outside, and what ships with it.
#ifdef ROPEWALK_PROGRAMS_DIR
#include <nope_length_generalization/evaluation.hpp>
#include <nope_length_generalization/result.hpp>
#include <nope_length_generalization/story.hpp>
#include <nope_length_generalization/weights.hpp>
#include <ropewalk/interop/head_scales.hpp>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/program.hpp"

using ropewalk_test::contents;
using ropewalk_test::folder;
using ropewalk_test::Json;
using ropewalk_test::Outcome;

namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(ROPEWALK_EXAMPLES_DIR) / "nope_length_generalization";

Outcome run(const std::string& arguments) {
  return ropewalk_test::run_program("nope_length_generalization " + arguments);
}

/// The numbers after a name at the start of a line of the README.
std::vector<double> readme_row(const std::string& name) {
  std::istringstream lines(contents((kFolder / "README.md").string()));
  std::vector<double> numbers;
  for (std::string line; numbers.empty() && std::getline(lines, line);) {
    if (line.rfind(name, 0) != 0) continue;
    std::istringstream words(line.substr(name.size()));
    for (double number = 0.0; words >> number;) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

TEST_CASE("the shipped weights lose at the trained length what the README says") {
  const lm::Text text = lm::read_text(kFolder / "heldout.txt");
  std::vector<lm::Window> windows =
      lm::spread_windows(text, static_cast<std::size_t>(lm::kLongest), 32);
  for (lm::Window& window : windows) {  // later bytes do not change earlier losses
    window.inputs.resize(256);
    window.targets.resize(256);
  }
  for (const lm::Positions positions : {lm::Positions::nope, lm::Positions::rope}) {
    lm::Shape shape;
    shape.positions = positions;
    const bool nope = positions == lm::Positions::nope;
    const std::vector<float> parameters = lm::read_weights(
        kFolder / "weights" / (nope ? "nope.safetensors" : "rope.safetensors"), shape);
    const lm::ByPosition means =
        lm::by_position(shape, parameters, windows, lm::stretched<float>(shape, 256), false, 2);
    const std::vector<double> printed = readme_row(nope ? "NoPE" : "RoPE");
    REQUIRE(printed.size() == 3);
    // Half a unit of the last digit printed, and as much for other orders of summing.
    CHECK(lm::loss_at(means, 256, lm::kScored) == Approx(printed[0]).epsilon(0).margin(0.001));
    CHECK(printed[0] < 1.6);  // clearly learned
  }
}

TEST_CASE("the shipped scales are of this model, one per head, none below 1") {
  const lm::Shape shape;
  for (const std::int64_t length : lm::kSearchLengths) {
    for (const std::uint64_t seed : lm::kSearchSeeds) {
      const std::string file = (kFolder / "weights" / lm::head_scales_file(length, seed)).string();
      const ropewalk::HeadScales scales = lm::value_of(ropewalk::read_head_scales_file(file), file);
      CHECK(scales.layers == shape.layers);
      CHECK(scales.heads == shape.heads);
      CHECK(scales.trained_length == shape.trained_length);
      CHECK(scales.target_length == length);
      for (const double scale : scales.head_scale) CHECK(scale >= 1.0);
    }
  }
}

TEST_CASE("nope_length_generalization's object has every way and its figures are files") {
  const std::string figures = folder().file("nope_figures");
  const Json json = ropewalk_test::json_of_program(
      "nope_length_generalization --windows 1 --json --figures " + figures);
  CHECK(json["windows"] == 1);
  CHECK(json["nope"].size() == 5);
  CHECK(json["rope"].size() == 7);
  for (const char* model : {"nope", "rope"}) {
    for (const Json& way : json[model]) {
      CHECK(way["loss"].size() == 3);
      CHECK(way["loss_by_position"].size() == 1024);
    }
  }
  CHECK(json["uniform"]["best"].size() == 5);
  CHECK(json["entropy"]["nope"].size() == 1024);
  CHECK(json["entropy"]["converged"].size() == 24);
  CHECK(json["searches"].size() == 2);
  for (const char* name :
       {"loss-by-position", "entropy-by-position", "uniform-scales", "scale-against-entropy-512",
        "scale-against-entropy-1024", "nope-ways", "rope-ways"}) {
    const std::string svg = contents(figures + "/" + name + ".svg");
    INFO(name);
    CHECK(svg.find("</svg>") != std::string::npos);
    CHECK(svg.find("nan") == std::string::npos);
  }
}

TEST_CASE("nope_length_generalization trains, and goes on where it stopped") {
  std::string words;
  for (int i = 0; i < 200; ++i) words += "the quick brown fox ";
  const std::string text = folder().write("words", words);
  const std::string out = folder().file("nope_out");
  const std::string line = "--train rope --text " + text + " --out " + out + " --steps ";
  REQUIRE(run(line + "1").exit_code == 0);
  const std::string first = contents(out + "/rope.safetensors");
  REQUIRE(run(line + "2").exit_code == 0);
  const std::string second = contents(out + "/rope.safetensors");
  CHECK(second.size() == first.size());
  CHECK(second != first);
  REQUIRE(run(line + "2").exit_code == 0);  // nothing left to do
  CHECK(contents(out + "/rope.safetensors") == second);
}

TEST_CASE("nope_length_generalization says what is missing") {
  CHECK(run("--train nope").exit_code == 1);
  CHECK(run("--train nope").err.find("--text FILE is needed") != std::string::npos);
  CHECK(run("--search").exit_code == 1);
  CHECK(run("--train alibi --text x").exit_code == 1);
  CHECK(run("--windows 0").exit_code == 1);
  const Outcome missing = run("--data " + folder().file("no_such_folder"));
  CHECK(missing.exit_code == 2);
  CHECK(missing.err.find("heldout.txt") != std::string::npos);
}
#endif
