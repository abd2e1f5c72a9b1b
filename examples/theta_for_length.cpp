// Which theta, or which schedule, takes a model to a longer context: what its config says, what
// every method would do, which to take, and what to paste into an engine.
#include <support/command_line.hpp>
#include <support/length_output.hpp>

#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

std::vector<rw::EngineName> engines_of(const std::string& wanted) {
  if (wanted.empty() || wanted == "all") return {std::begin(rw::kEngines), std::end(rw::kEngines)};
  if (const auto engine = rw::engine_named(wanted))
    return {rw::kEngines[static_cast<std::size_t>(*engine)]};
  std::string names = "all";
  for (const rw::EngineName& entry : rw::kEngines) names += ", " + std::string(entry.name);
  throw Failure{kUsageError, "--for " + wanted.substr(0, 40) + " is none of " + names};
}

int theta_for_length(int argc, char** argv) {
  CLI::App app{"Theta and schedules for a longer context, from a model's config.json",
               "theta_for_length"};
  app.footer(
      "Critical dimension: twice the pairs that make a full turn, in training at the trained\n"
      "length, under a candidate at the target length. Over-range: pairs that never made one and\n"
      "would turn further than in training. Fast: mean of new over trained frequency of the pairs\n"
      "with 32 turns and more. Training: whether the model has to be tuned at the new length.\n"
      "Exit codes: 1 usage, 2 unreadable or invalid config, 3 no valid schedule.");
  ModelChoice choice;
  choice.add_options(app);
  std::string target_text;
  std::string trained_text;
  std::string wanted;
  bool json = false;
  bool quiet = false;
  bool list = false;
  app.add_option("--target-length", target_text, "Context wanted, in tokens")->type_name("N");
  app.add_option("--trained-length", trained_text, "Overrides the lengths in the config")
      ->type_name("N");
  app.add_option("--for", wanted, "Engine whose lines to print, or all")->type_name("ENGINE");
  app.add_flag("--json", json, "One JSON object");
  app.add_flag("--quiet", quiet, "Only the recommended theta");
  app.add_flag("--list-models", list, "Names of the shipped models");

  return run_program(app, argc, argv, [&] {
    if (list) {
      std::cout << shipped_names();
      return 0;
    }
    const std::vector<rw::EngineName> engines = engines_of(wanted);
    if (target_text.empty()) throw Failure{kUsageError, "--target-length N is needed"};
    const std::int64_t target = parse_length("--target-length", target_text);
    std::optional<std::int64_t> trained;
    if (!trained_text.empty()) trained = parse_length("--trained-length", trained_text);
    const rw::ModelConfig model = choice.load();

    const LengthReport report = report_length(model, target, trained);
    const LengthOutput output{model, report, choice.title(), engines, wanted.empty()};
    if (json) {
      std::cout << rw::detail::json_text(output.json()) << "\n";
    } else if (quiet && report.no_schedule.empty()) {
      std::cout << number(report.schedule().config.theta) << "\n";
      if (report.recommended == "yarn" || report.recommended == "llama3" ||
          report.recommended == "linear") {
        std::cerr << app.get_name() << ": recommended is " << report.recommended << " with factor "
                  << number(report.recommended_candidate()->factor) << ", not a theta alone\n";
      }
    } else if (!quiet) {
      std::cout << output.text();
    }
    if (!report.no_schedule.empty()) throw Failure{kNoSchedule, report.no_schedule};
    return 0;
  });
}

}  // namespace

int main(int argc, char** argv) { return guarded(theta_for_length, argc, argv); }
