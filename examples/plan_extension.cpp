// In which steps to train a model to a longer context: lengths, bases or factors, and the pairs
// that meet new angles at each hand-over.
#include <ropewalk/plan.hpp>
#include <support/command_line.hpp>
#include <support/length_report.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

namespace rw = ropewalk;

namespace {

using Method = std::variant<rw::LiuSteps, rw::DynamicNtkSteps, rw::YarnSteps, rw::AbfSteps>;

/// What one call says.
struct PlanOutput {
  const rw::ModelConfig& model;
  const LengthReport& report;
  std::string title;
  std::string method;
  rw::Plan plan;       // no stages: nothing to plan, for the reason
  std::string reason;  // one sentence
};

Method method_of(const std::string& name, const std::optional<double>& factor,
                 const std::optional<double>& theta, const LengthReport& report) {
  if (theta && name != "abf")
    throw Failure{kUsageError, "--theta is for --method abf; the other methods find theirs"};
  if (factor && name != "dynamic_ntk")
    throw Failure{kUsageError, "--factor is for --method dynamic_ntk; the others have none"};
  if (name == "liu") return rw::LiuSteps{};
  if (name == "dynamic_ntk") return rw::DynamicNtkSteps{factor.value_or(4.0)};
  if (name == "abf") return rw::AbfSteps{theta};
  if (name != "yarn") {
    throw Failure{kUsageError,
                  "--method " + name.substr(0, 40) + " is none of liu, dynamic_ntk, yarn, abf"};
  }
  if (std::holds_alternative<rw::Proportional>(report.plain_scaling))
    throw Failure{kNoSchedule, "no engine runs yarn on top of proportional rotation"};
  return rw::YarnSteps{};
}

std::vector<std::int64_t> parse_lengths(const std::string& text) {
  std::vector<std::int64_t> lengths;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');)
    lengths.push_back(parse_length("--lengths", part));
  return lengths;
}

/// A fault of the library under the name of the option, or as a method that does not apply.
Failure refusal(const rw::Fault& fault) {
  std::string field = fault.field;
  const bool asked = field == "stages" || field == "lengths" || field == "sequences" ||
                     field == "factor" || field == "base";
  if (field == "base") field = "theta";
  if (field == "lengths")
    return {kUsageError, "--lengths must rise from the trained length to --target-length"};
  return {
      asked ? kUsageError : kNoSchedule,
      (asked ? "--" : "") + field + " = " + number(fault.value) + " " + rw::message(fault.code)};
}

rw::Plan make_plan(const LengthReport& report, rw::PlanRequest request, const Method& method) {
  request.trained_scaling = report.plain_scaling;
  return std::visit(
      [&](const auto& steps) {
        if (const rw::Fault fault = rw::check(report.plain, request, steps);
            fault.code != rw::Errc::ok) {
          throw refusal(fault);
        }
        return rw::plan(report.plain, request, steps);
      },
      method);
}

/// Published plans that start from the same base, length and dimensions.
std::vector<const rw::PublishedPlan*> alike(const rw::RopeConfig& trained) {
  std::vector<const rw::PublishedPlan*> plans;
  for (const rw::PublishedPlan& plan : rw::kPublishedPlans) {
    if (plan.trained.theta == trained.theta && plan.trained.rotary_dim == trained.rotary_dim &&
        plan.trained.original_length == trained.original_length) {
      plans.push_back(&plan);
    }
  }
  return plans;
}

using Row = std::array<std::string, 8>;

std::string line(const Row& row) {
  constexpr std::array<std::size_t, 8> widths = {8, 10, 10, 19, 12, 12, 8, 0};
  std::string text = "  ";
  for (std::size_t column = 0; column < row.size(); ++column) {
    text += row[column];
    text.resize(std::max(text.size() + 1, text.size() + widths[column] -
                                              std::min(widths[column], row[column].size())),
                ' ');
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

/// Words broken into lines of a screen's width.
std::string wrapped(const std::string& words) {
  constexpr std::size_t kColumns = 100;
  std::string text;
  std::istringstream stream(words);
  std::size_t column = 0;
  for (std::string word; stream >> word; column += word.size() + 1) {
    const bool fits = column + word.size() <= kColumns;
    if (!fits) column = 0;
    text += (text.empty() ? "" : fits ? " " : "\n") + word;
  }
  return text + "\n";
}

std::string table(const rw::Plan& plan) {
  std::string text =
      line({"stage", "length", "factor", "theta", "attention", "over-range", "new", "tokens"});
  int index = 0;
  for (const rw::Stage& stage : plan.stages) {
    const rw::Spectrum spectrum = rw::spectrum(stage.config, stage.scaling);
    text += line({std::to_string(++index), std::to_string(stage.length), number(stage.factor, 6),
                  number(stage.config.theta, 12), number(spectrum.attention_factor, 5),
                  std::to_string(stage.over_range_pairs), std::to_string(stage.new_to_model_pairs),
                  stage.tokens > 0 ? std::to_string(stage.tokens) : "-"});
  }
  return text;
}

std::string text_of(const PlanOutput& output) {
  const rw::RopeConfig& plain = output.report.plain;
  std::string text = output.title;
  if (!output.model.model_type.empty()) text += " (" + output.model.model_type + ")";
  text += " from " + std::to_string(plain.original_length) + " to " +
          std::to_string(output.report.target_length) + " tokens\n";
  if (output.plan.stages.empty()) return text + wrapped("Nothing to plan: " + output.reason + ".");
  text += "theta " + number(plain.theta) + ", critical dimension " +
          std::to_string(output.report.critical_dimension()) + " of " +
          std::to_string(plain.rotary_dim) + "\n\n" + output.method + "\n" + table(output.plan);
  for (const rw::PublishedPlan* published : alike(plain)) {
    text += "\n" + wrapped(std::string(published->name) + ", published: " + published->source) +
            table(rw::plan_of(*published));
  }
  text +=
      "\nOver-range: pairs that made no full turn in the stage before and turn further in this "
      "one;\n"
      "new: further than in any stage before. Stages that work leave few; none says how long to "
      "train.\n";
  for (const std::string& warning : output.report.warnings) text += wrapped("warning: " + warning);
  return text;
}

nlohmann::ordered_json stages_json(const rw::Plan& plan) {
  nlohmann::ordered_json stages = nlohmann::ordered_json::array();
  for (const rw::Stage& stage : plan.stages) {
    const rw::Spectrum spectrum = rw::spectrum(stage.config, stage.scaling);
    nlohmann::ordered_json json;
    json["length"] = stage.length;
    json["theta"] = stage.config.theta;
    json["factor"] = stage.factor;
    json["attention_factor"] = spectrum.attention_factor;
    json["over_range_pairs"] = stage.over_range_pairs;
    json["new_to_model_pairs"] = stage.new_to_model_pairs;
    json["tokens"] = nullptr;
    if (stage.tokens > 0) json["tokens"] = stage.tokens;
    json["theta_over_liu"] = stage.config.theta / rw::theta_for_length(plan.trained, stage.length);
    stages.push_back(std::move(json));
  }
  return stages;
}

std::string json_of(const PlanOutput& output) {
  const rw::RopeConfig& plain = output.report.plain;
  nlohmann::ordered_json json;
  json["model_type"] = output.model.model_type;
  json["trained_length"] = plain.original_length;
  json["target_length"] = output.report.target_length;
  json["theta"] = plain.theta;
  json["head_dim"] = plain.head_dim;
  json["rotary_dim"] = plain.rotary_dim;
  json["critical_dimension"] = output.report.critical_dimension();
  json["method"] = output.method;
  json["stages"] = stages_json(output.plan);
  json["reason"] = output.reason;
  json["published"] = nlohmann::ordered_json::array();
  for (const rw::PublishedPlan* published : alike(plain)) {
    json["published"].push_back({{"name", published->name},
                                 {"source", published->source},
                                 {"stages", stages_json(rw::plan_of(*published))}});
  }
  json["warnings"] = output.report.warnings;
  return rw::detail::json_text(json);
}

int plan_extension(int argc, char** argv) {
  CLI::App app{"Stages of training to a longer context, from a model's config.json",
               "plan_extension"};
  app.footer(
      "Methods: liu, Liu's law at every stage; dynamic_ntk, each stage from the one before "
      "(factor\n"
      "4 is Gradient's model cards); yarn, with the stage's factor; abf, --theta or at every "
      "stage\n"
      "the next of 1, 2, 5 times a power of ten above Liu's law. Published plans from the same\n"
      "start are shown beside. One stage is the one-step plan; lengths of more grow evenly.\n"
      "Exit codes: 1 usage, 2 unreadable or invalid config, 3 no valid schedule.");
  ModelChoice choice;
  choice.add_options(app);
  std::string target_text;
  std::string from_text;
  std::string lengths_text;
  std::string method_name = "liu";
  std::string sequences_text;
  std::optional<double> theta;
  std::optional<double> factor;
  rw::PlanRequest request;
  bool json = false;
  bool list = false;
  app.add_option("--target-length", target_text, "Context wanted, in tokens")->type_name("N");
  app.add_option("--from", from_text, "Trained length, if not the config's")->type_name("N");
  app.add_option("--method", method_name, "liu (default), dynamic_ntk, yarn or abf")
      ->type_name("NAME");
  CLI::Option* stages =
      app.add_option("--stages", request.stages, "How many, 1 unless given")->type_name("K");
  app.add_option("--lengths", lengths_text, "Of the stages, instead of --stages")
      ->type_name("N,N,...")
      ->excludes(stages);
  app.add_option("--factor", factor, "Of dynamic_ntk, 4 unless given")->type_name("F");
  app.add_option("--theta", theta, "Of abf")->type_name("X");
  app.add_option("--sequences", sequences_text, "Trained on at each stage; plans the tokens")
      ->type_name("N");
  app.add_flag("--json", json, "One JSON object");
  app.add_flag("--list-models", list, "Names of the shipped models");

  return run_program(app, argc, argv, [&] {
    if (list) {
      std::cout << shipped_names();
      return 0;
    }
    if (target_text.empty()) throw Failure{kUsageError, "--target-length N is needed"};
    request.target_length = parse_length("--target-length", target_text);
    if (request.target_length < 7)
      throw Failure{kUsageError, "--target-length = " + target_text +
                                     ": below 7 tokens no pair makes a full turn"};
    std::optional<std::int64_t> from;
    if (!from_text.empty()) from = parse_length("--from", from_text);
    if (!lengths_text.empty()) request.lengths = parse_lengths(lengths_text);
    if (!sequences_text.empty()) request.sequences = parse_length("--sequences", sequences_text);
    const rw::ModelConfig model = choice.load();

    const LengthReport report = report_length(model, request.target_length, from);
    const Method method = method_of(method_name, factor, theta, report);
    PlanOutput output{model, report, choice.title(), method_name, {}, {}};
    const bool unanswerable = !report.diagnosed && !report.no_schedule.empty();
    if (unanswerable) {
      output.reason = report.no_schedule;
    } else if (report.no_schedule.empty() && report.recommended == "none") {
      output.reason = report.reason;
    } else {
      output.plan = make_plan(report, request, method);
      for (const rw::Stage& stage : output.plan.stages) {
        if (!rw::detail::fits_float32(stage.config.theta))
          throw Failure{kNoSchedule, rw::detail::theta_beyond_float32(stage.config.theta)};
      }
    }
    if (json) {
      std::cout << json_of(output) << "\n";
    } else if (!unanswerable) {
      std::cout << text_of(output);
    }
    if (unanswerable) throw Failure{kNoSchedule, output.reason};
    return 0;
  });
}

}  // namespace

int main(int argc, char** argv) { return guarded(plan_extension, argc, argv); }
