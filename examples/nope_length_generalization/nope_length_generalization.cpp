// Two small language models, one without positions and one with rotated queries and keys: what each
// does beyond the length it was trained at, and what a temperature per head is worth.
#include "story_output.hpp"
#include "tasks.hpp"

#include <support/command_line.hpp>
#include <support/report/figure.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

namespace {

namespace fs = std::filesystem;

void write_figures(const fs::path& folder, const lm::Story& story) {
  fs::create_directories(folder);
  for (const report::Figure& figure : lm::figures_of(story)) {
    const fs::path path = folder / (figure.id + ".svg");
    std::ofstream file(path, std::ios::binary);
    file << report::draw(figure, true);
    if (!file.flush()) throw Failure{kUsageError, "--figures: cannot write " + path.string()};
  }
}

int nope_length_generalization(int argc, char** argv) {
  CLI::App app{"Small language models with and without positions beyond their trained length",
               "nope_length_generalization"};
  lm::StoryRequest story;
  story.data = ROPEWALK_NOPE_DATA;
  story.threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 64u));
  std::string train;
  std::string text;
  std::string out = "nope_length_generalization_out";
  std::string figures;
  std::int64_t steps = 0;
  bool search = false;
  bool json = false;
  app.add_option("--data", story.data, "Folder with heldout.txt and weights/, if not the example's")
      ->type_name("DIR");
  app.add_option("--windows", story.windows, "Held-out windows of 1024 bytes; more take longer")
      ->check(CLI::Range(1, 100000));
  app.add_option("--threads", story.threads, "Change nothing but the time")
      ->check(CLI::Range(1, 256));
  app.add_option("--figures", figures, "Writes the figures, one SVG file each")->type_name("DIR");
  app.add_flag("--json", json, "One JSON object");
  app.add_option("--train", train, "Trains a model from the start, or goes on where it stopped")
      ->check(CLI::IsMember({"nope", "rope"}));
  app.add_option("--steps", steps, "Steps of training")->check(CLI::Range(1, 10000000));
  app.add_flag("--search", search, "Searches the scales of the heads");
  app.add_option("--text", text, "Text to train or search on, see text.sh")->type_name("FILE");
  app.add_option("--out", out, "Where training and searching write")->type_name("DIR");

  return run_program(app, argc, argv, [&] {
    if ((search || !train.empty()) && text.empty())
      throw Failure{kUsageError, "--text FILE is needed: text.sh makes it"};
    if (!train.empty()) {
      lm::train({.positions = train == "nope" ? lm::Positions::nope : lm::Positions::rope,
                 .text = text,
                 .out = out,
                 .steps = steps,
                 .threads = story.threads});
    }
    if (search) lm::search({story.data, text, out, story.threads});
    if (search || !train.empty()) return 0;
    const lm::Story told = lm::tell_story(story);
    if (!figures.empty()) write_figures(figures, told);
    std::cout << (json ? lm::json_of(told).dump(1) + "\n" : lm::text_of(told));
    return 0;
  });
}

}  // namespace

int main(int argc, char** argv) { return guarded(nope_length_generalization, argc, argv); }
