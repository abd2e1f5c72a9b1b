// LongRoPE and LongRoPE2 factor search against a demonstration objective: the lists found, in the
// words of a model's config.json.
#include <ropewalk/analysis/factor_search.hpp>
#include <ropewalk/interop/engine_flags.hpp>
#include <support/command_line.hpp>
#include <support/length_report.hpp>

#include <charconv>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <variant>

namespace rw = ropewalk;

namespace {

std::uint64_t parse_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Failure{kUsageError,
                  "--seed = " + text.substr(0, 40) + " is not a whole number below 2^64"};
  }
  return seed;
}

rw::FactorStart parse_start(const std::string& text) {
  if (text == "longrope") return rw::FactorStart::long_rope;
  if (text == "longrope2") return rw::FactorStart::long_rope2;
  throw Failure{kUsageError,
                "--start " + text.substr(0, 40) + " is neither longrope nor longrope2"};
}

int search_factors(int argc, char** argv) {
  CLI::App app{"One divisor per pair, searched as LongRoPE and LongRoPE2 do", "search_factors"};
  app.footer(
      "The objective is a demonstration: angles beyond the trained ones, less the mean cosine "
      "over\n"
      "the farther half of the distances. It says nothing of perplexity; a search in earnest "
      "calls\n"
      "ropewalk::search_factors with a measurement of the model.\n"
      "Exit codes: 1 usage, 2 unreadable or invalid config, 3 nothing to search.");
  ModelChoice choice;
  choice.add_options(app);
  std::string target_text;
  std::string trained_text;
  std::string seed_text = "1";
  std::string start_text = "longrope2";
  rw::FactorSearch search;
  bool list = false;
  app.add_option("--target-length", target_text, "Context wanted, in tokens")->type_name("N");
  app.add_option("--trained-length", trained_text, "Overrides the lengths in the config")
      ->type_name("N");
  app.add_option("--start", start_text, "longrope or longrope2")->type_name("NAME");
  app.add_option("--seed", seed_text, "The same seed finds the same lists")->type_name("N");
  app.add_option("--iterations", search.iterations, "Generations")->type_name("N");
  app.add_option("--population", search.population, "Candidates at the start")->type_name("N");
  app.add_flag("--list-models", list, "Names of the shipped models");

  return run_program(app, argc, argv, [&] {
    if (list) {
      std::cout << shipped_names();
      return 0;
    }
    if (target_text.empty()) throw Failure{kUsageError, "--target-length N is needed"};
    const std::int64_t target = parse_length("--target-length", target_text);
    std::optional<std::int64_t> trained;
    if (!trained_text.empty()) trained = parse_length("--trained-length", trained_text);
    search.seed = parse_seed(seed_text);
    search.start = parse_start(start_text);
    if (search.parents > search.population) search.parents = search.population;
    if (const rw::Fault fault = search.validate(); fault.code != rw::Errc::ok) {
      throw Failure{kUsageError, "--" + std::string(fault.field) + " = " + number(fault.value) +
                                     " " + rw::message(fault.code)};
    }
    const rw::ModelConfig model = choice.load();
    const LengthReport report = report_length(model, target, trained);
    if (!report.diagnosed) throw Failure{kNoSchedule, report.no_schedule + report.reason};
    const std::int64_t from = report.plain.original_length;
    if (target <= from) {
      throw Failure{kNoSchedule, "the target lies within the " + std::to_string(from) +
                                     " tokens the model was trained to"};
    }
    if (target / from >= std::int64_t{1} << 30) {
      throw Failure{kUsageError, "--target-length " + target_text + " is 2^30 times the " +
                                     std::to_string(from) + " tokens trained on, or more"};
    }
    if (rw::detail::is_scaled(report.plain_scaling) ||
        std::holds_alternative<rw::Proportional>(report.plain_scaling)) {
      throw Failure{kNoSchedule, "no engine runs lists on top of proportional rotation"};
    }
    const rw::CosineObjective objective(report.plain, target);
    const rw::FactorSearchResult found =
        rw::search_factors(report.plain, target, objective, search);
    rw::EngineSchedule schedule;
    schedule.config = report.plain;
    schedule.scaling = found.method;
    schedule.length = target;
    schedule.variant = report.variant;
    const rw::EngineLines lines = rw::engine_lines(rw::Engine::transformers5, model, schedule);
    if (lines.refused) throw Failure{kNoSchedule, lines.text};
    std::cerr << app.get_name() << ": " << found.evaluations << " candidates, loss "
              << number(found.losses.front(), 6) << " to " << number(found.loss, 6);
    if (found.first_searched_pair > 0)
      std::cerr << ", searched from pair " << found.first_searched_pair;
    std::cerr << "\n";
    std::cout << "{" << lines.text << "}\n";
    return 0;
  });
}

}  // namespace

int main(int argc, char** argv) { return guarded(search_factors, argc, argv); }
