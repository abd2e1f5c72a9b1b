// Which published rule a base may have come from: the rules that give it, and how often chance
// would do as well.
#include <ropewalk/analysis/provenance.hpp>
#include <support/command_line.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr std::string_view kRules[rw::kThetaRules] = {
    "unchanged", "liu", "dynamic_ntk", "ntk_aware", "ntk_alpha", "published", "hand_round"};
constexpr std::string_view kMatches[] = {"exact", "floored", "rounded to a whole number",
                                         "rounded to the printed digits", "within tolerance"};

/// A base as a person types it, and the digits that stand for precision.
struct TypedTheta {
  double value = 0.0;
  std::optional<int> digits;
};

/// Digits with a decimal point, an exponent, or K, M or B behind them. A fraction counts as
/// precision, as in 2.80B; the .0 of a config file does not.
TypedTheta parse_theta(std::string_view option, const std::string& typed) {
  const auto bad = [&](const char* why) {
    return Failure{kUsageError, std::string(option) + " = " + typed.substr(0, 40) + " " + why};
  };
  std::string text = typed;
  std::string exponent;
  if (!text.empty()) {
    switch (text.back()) {
      case 'k':
      case 'K':
        exponent = "e3";
        break;
      case 'm':
      case 'M':
        exponent = "e6";
        break;
      case 'b':
      case 'B':
        exponent = "e9";
        break;
      default:
        break;
    }
  }
  if (!exponent.empty()) text.pop_back();
  const std::size_t e = text.find_first_of("eE");
  if (e != std::string::npos && exponent.empty()) {
    exponent = text.substr(e);
    text.resize(e);
    if (exponent.size() > 1 && exponent[1] == '+') exponent.erase(1, 1);
  }
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string::npos)
    throw bad("is not a number: write it like 283461213, 2.8e9 or 207.1M");
  TypedTheta theta;
  const std::string whole = text + exponent;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), theta.value);
  if (error == std::errc::result_out_of_range) throw bad("is out of the range of double");
  if (error != std::errc{} || end != whole.data() + whole.size())
    throw bad("is not a number: write it like 283461213, 2.8e9 or 207.1M");
  if (!(theta.value > 1.0)) throw bad("must be above 1");
  const std::size_t point = text.find('.');
  if (point == std::string::npos) return theta;
  const bool only_zeros = text.find_first_not_of('0', point + 1) == std::string::npos;
  if (only_zeros && exponent.empty()) return theta;
  text.erase(point, 1);
  text.erase(0, text.find_first_not_of('0'));
  theta.digits = std::min(static_cast<int>(text.size()), 17);
  return theta;
}

std::string joined(const std::vector<std::int64_t>& lengths) {
  std::string text;
  for (const std::int64_t length : lengths)
    text += (text.empty() ? "" : ", ") + std::to_string(length);
  return text;
}

/// The numbers of a rule in words.
std::string numbers(const rw::ThetaCandidate& candidate) {
  switch (candidate.rule) {
    case rw::ThetaRule::unchanged:
      return "the base as trained";
    case rw::ThetaRule::liu:
      return "one step to " + joined(candidate.lengths);
    case rw::ThetaRule::dynamic_ntk:
      return "factor " + number(candidate.factor, 6) +
             (candidate.lengths.size() > 1 ? ", chained at " : ", at ") + joined(candidate.lengths);
    case rw::ThetaRule::ntk_aware:
      return "factor " + number(candidate.factor, 6) + ", to " + joined(candidate.lengths);
    case rw::ThetaRule::ntk_alpha:
      return "alpha " + number(candidate.factor, 6);
    case rw::ThetaRule::published:
      return std::string(candidate.plan->name) + " at " + joined(candidate.lengths);
    case rw::ThetaRule::hand_round:
      break;
  }
  return "at most two significant digits";
}

/// What every base is under Liu's law and NTK, round or not.
struct Equivalent {
  double trained_theta;
  double liu_length;
  double ntk_alpha;
};

std::vector<Equivalent> equivalents(const rw::ThetaQuestion& question) {
  std::vector<double> bases = rw::detail::usual_bases(question.trained_length);
  if (question.trained_theta) bases = {*question.trained_theta};
  std::vector<Equivalent> list;
  for (const double base : bases) {
    const rw::RopeConfig trained{question.rotary_dim, question.rotary_dim, base,
                                 question.trained_length};
    if (question.theta < base) continue;
    try {
      list.push_back({base, rw::liu_length(trained, question.theta),
                      rw::exllama_alpha(trained, question.theta)});
    } catch (const std::invalid_argument&) {  // a base so near 1 that no double holds the length
    }
  }
  return list;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

std::string text_of(const rw::ThetaQuestion& question, const rw::ThetaExplanation& found) {
  std::string text = "theta " + number(question.theta) + " (" + std::to_string(found.digits) +
                     (found.digits == 1 ? " digit)" : " digits)") + ", trained length " +
                     std::to_string(question.trained_length);
  if (question.target_length) text += ", said to reach " + std::to_string(*question.target_length);
  text += "\n\n";
  if (found.candidates.empty()) {
    text += "No published rule gives this base.\n";
  } else {
    text += "rule         from      numbers                                            predicted\n";
    text += "             agrees as                      difference     by chance\n";
  }
  for (const rw::ThetaCandidate& candidate : found.candidates) {
    const bool has_base = candidate.trained_theta > 0.0;
    text += padded(std::string(kRules[static_cast<std::size_t>(candidate.rule)]), 13) +
            padded(has_base ? number(candidate.trained_theta) : "-", 10) +
            padded(numbers(candidate), 51) + number(candidate.predicted_theta, 15) + "\n" +
            padded("", 13) +
            padded(std::string(kMatches[static_cast<std::size_t>(candidate.match)]), 31) +
            padded(number(candidate.relative_difference, 3), 15) +
            number(candidate.expected_by_chance, 2) + "\n";
    if (candidate.plan != nullptr) text += padded("", 13) + candidate.plan->source + "\n";
  }
  text += "\n" + std::to_string(found.hypotheses) + " bases compared; a random base of as many " +
          "digits would agree with " + number(found.expected_by_chance, 2) + " of them.\n";
  if (found.left_out > 0) {
    text += std::to_string(found.left_out) +
            " that agree are left out, because chance explains them as well (--maximum-chance).\n";
  }
  const std::vector<Equivalent> same = equivalents(question);
  if (!same.empty()) text += "Every base has these, so they are no evidence:\n";
  for (const Equivalent& equivalent : same) {
    text += "  from " + padded(number(equivalent.trained_theta), 10) + "Liu's law at " +
            number(equivalent.liu_length, 9) + " tokens, NTK alpha " +
            number(equivalent.ntk_alpha, 6) + "\n";
  }
  return text;
}

nlohmann::ordered_json json_of(const rw::ThetaCandidate& candidate) {
  nlohmann::ordered_json json;
  json["rule"] = kRules[static_cast<std::size_t>(candidate.rule)];
  json["match"] = kMatches[static_cast<std::size_t>(candidate.match)];
  json["trained_theta"] = nullptr;
  if (candidate.trained_theta > 0.0) json["trained_theta"] = candidate.trained_theta;
  json["predicted_theta"] = candidate.predicted_theta;
  json["relative_difference"] = candidate.relative_difference;
  json["factor"] = nullptr;
  if (candidate.rule == rw::ThetaRule::dynamic_ntk || candidate.rule == rw::ThetaRule::ntk_aware ||
      candidate.rule == rw::ThetaRule::ntk_alpha) {
    json["factor"] = candidate.factor;
  }
  json["lengths"] = candidate.lengths;
  json["target_length"] = nullptr;
  if (!candidate.lengths.empty()) json["target_length"] = candidate.lengths.back();
  json["steps"] = candidate.lengths.size();
  json["plan"] = nullptr;
  json["source"] = nullptr;
  if (candidate.plan != nullptr) {
    json["plan"] = candidate.plan->name;
    json["source"] = candidate.plan->source;
  }
  json["expected_by_chance"] = candidate.expected_by_chance;
  json["numbers"] = numbers(candidate);
  return json;
}

std::string json_of(const rw::ThetaQuestion& question, const rw::ThetaExplanation& found) {
  nlohmann::ordered_json json;
  json["theta"] = question.theta;
  json["digits"] = found.digits;
  json["trained_length"] = question.trained_length;
  json["target_length"] = nullptr;
  if (question.target_length) json["target_length"] = *question.target_length;
  json["rotary_dim"] = question.rotary_dim;
  json["candidates"] = nlohmann::ordered_json::array();
  for (const rw::ThetaCandidate& candidate : found.candidates)
    json["candidates"].push_back(json_of(candidate));
  json["hypotheses"] = found.hypotheses;
  json["left_out"] = found.left_out;
  json["expected_by_chance"] = found.expected_by_chance;
  json["equivalents"] = nlohmann::ordered_json::array();
  for (const Equivalent& equivalent : equivalents(question)) {
    json["equivalents"].push_back({{"trained_theta", equivalent.trained_theta},
                                   {"liu_length", equivalent.liu_length},
                                   {"ntk_alpha", equivalent.ntk_alpha}});
  }
  return json.dump(2);
}

/// A fault of the library under the name of the option.
Failure usage(const rw::Fault& fault) {
  std::string option = fault.field;
  if (option == "rotary_dim") option = "head_dim";
  std::replace(option.begin(), option.end(), '_', '-');
  return {kUsageError, "--" + option + " = " + number(fault.value) + " " + rw::message(fault.code)};
}

int explain_theta(int argc, char** argv) {
  CLI::App app{"Which published rule a rotary base comes from", "explain_theta"};
  app.footer(
      "Rules: Liu's law in one step; dynamic NTK, also chained over stages; NTK-aware, and its\n"
      "alpha in two digits; the tables of LWM, EasyContext, Qwen2.5-1M, Llama 2 Long and Code\n"
      "Llama; round numbers. By chance: how many of the rule's hypotheses would agree as closely\n"
      "with a random base; near 1 the agreement says nothing.\n"
      "Exit codes: 0 also where no rule gives the base, 1 usage.");
  std::string theta_text;
  std::string trained_text;
  std::string target_text;
  std::string head_dim_text = "128";
  std::string base_text;
  double chance = rw::ThetaQuestion{}.maximum_chance;
  double tolerance = rw::ThetaQuestion{}.tolerance;
  bool json = false;
  app.add_option("--theta", theta_text,
                 "The base: 283461213, 2.8e9 or, as model cards have it, 207.1M")
      ->type_name("X");
  app.add_option("--trained-length", trained_text, "Tokens the model was trained to before")
      ->type_name("N");
  app.add_option("--target-length", target_text, "Tokens the base is said to reach")
      ->type_name("N");
  app.add_option("--head-dim", head_dim_text, "Rotated dimensions of a head, 128 unless given")
      ->type_name("D");
  app.add_option("--trained-theta", base_text, "The base before; default: usual at that length")
      ->type_name("X");
  app.add_option("--tolerance", tolerance, "Relative difference that still agrees, 1e-6")
      ->type_name("R");
  app.add_option("--maximum-chance", chance, "Candidates above it are left out, 0.25")
      ->type_name("P");
  app.add_flag("--json", json, "One JSON object");

  return run_program(app, argc, argv, [&] {
    if (theta_text.empty()) throw Failure{kUsageError, "--theta X is needed"};
    if (trained_text.empty()) throw Failure{kUsageError, "--trained-length N is needed"};
    rw::ThetaQuestion question;
    const TypedTheta theta = parse_theta("--theta", theta_text);
    question.theta = theta.value;
    question.digits = theta.digits;
    question.trained_length = parse_length("--trained-length", trained_text);
    if (!target_text.empty()) question.target_length = parse_length("--target-length", target_text);
    if (!base_text.empty())
      question.trained_theta = parse_theta("--trained-theta", base_text).value;
    question.rotary_dim = static_cast<int>(
        std::min<std::int64_t>(parse_length("--head-dim", head_dim_text), 1 << 30));
    question.tolerance = tolerance;
    question.maximum_chance = chance;
    if (const rw::Fault fault = question.validate(); fault.code != rw::Errc::ok) throw usage(fault);
    const rw::ThetaExplanation found = rw::explain_theta(question);
    std::cout << (json ? json_of(question, found) + "\n" : text_of(question, found));
    return 0;
  });
}

}  // namespace

int main(int argc, char** argv) { return guarded(explain_theta, argc, argv); }
