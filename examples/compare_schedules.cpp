// What every way to a longer context does to a model's angles, side by side: a table, a JSON object,
// and a page with pictures.
#include <support/command_line.hpp>
#include <support/report/page.hpp>
#include <support/report/schedule_output.hpp>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace {

void write_file(const std::string& option, const std::filesystem::path& path,
                const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw Failure{kUsageError, option + ": cannot write " + path.string()};
}

void write_figures(const std::string& folder, const std::vector<report::LabelledFigure>& figures) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Failure{kUsageError, "--figures: cannot make the folder " + folder};
  for (const report::LabelledFigure& labelled : figures) {
    write_file("--figures", std::filesystem::path(folder) / (labelled.figure.id + ".svg"),
               report::draw(labelled.figure, true));
  }
}

int compare_schedules(int argc, char** argv) {
  CLI::App app{"What schedules for a longer context do to a model's angles", "compare_schedules"};
  app.footer(
      "Methods: " + report::method_names() +
      ".\nGate: schedules that work pass it, passing is not enough. Hint: went with measured\n"
      "quality in the few published cases. Descriptive: nothing ties it to quality.\n"
      "Exit codes: 1 usage, 2 unreadable or invalid config, 3 no valid schedule.");
  ModelChoice choice;
  choice.add_options(app);
  std::string target_text;
  std::string trained_text;
  std::string page_file;
  std::string figures_folder;
  std::optional<std::string> methods;
  report::ScheduleRequest request;
  bool json = false;
  bool evidence = false;
  bool list = false;
  app.add_option("--target-length", target_text, "Context wanted, in tokens")->type_name("N");
  app.add_option("--trained-length", trained_text, "Overrides the lengths in the config")
      ->type_name("N");
  app.add_option("--methods", methods, "Schedules, separated by commas")->type_name("LIST");
  app.add_option("--error-bound", request.error_bound, "On a cosine, for the last exact position")
      ->type_name("X");
  app.add_flag("--json", json, "One JSON object");
  app.add_flag("--evidence", evidence, "What is published for and against every figure");
  app.add_option("--report", page_file, "Writes a page with figures and tables")
      ->type_name("FILE.html");
  app.add_option("--figures", figures_folder, "Writes the figures, one SVG file each")
      ->type_name("DIR");
  app.add_flag("--list-models", list, "Names of the shipped models");

  return run_program(app, argc, argv, [&] {
    if (list) {
      std::cout << shipped_names();
      return 0;
    }
    if (target_text.empty()) throw Failure{kUsageError, "--target-length N is needed"};
    request.target_length = parse_length("--target-length", target_text);
    if (!trained_text.empty())
      request.trained_length = parse_length("--trained-length", trained_text);
    if (methods) request.methods = report::parse_methods(*methods);
    if (!(request.error_bound >= 1e-12 && request.error_bound < 2.0))
      throw Failure{kUsageError, "--error-bound must be at least 1e-12 and below 2"};
    const ropewalk::ModelConfig model = choice.load();
    const report::ScheduleReport compared =
        report::compare_schedules(model, choice.title(), request);
    if (!page_file.empty() || !figures_folder.empty()) {
      const std::vector<report::LabelledFigure> figures = report::schedule_figures(compared);
      if (!page_file.empty()) write_file("--report", page_file, report::page(compared, figures));
      if (!figures_folder.empty()) write_figures(figures_folder, figures);
    }
    std::cout << (json ? ropewalk::detail::json_text(report::json_of(compared)) + "\n"
                       : report::text_of(compared, evidence));
    return 0;
  });
}

}  // namespace

int main(int argc, char** argv) { return guarded(compare_schedules, argc, argv); }
