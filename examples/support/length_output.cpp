#include <support/command_line.hpp>
#include <support/length_output.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace rw = ropewalk;

namespace {

constexpr std::size_t kColumns = 100;  // of a screen

/// The key a value came from; fields of one layer type carry its name.
std::string source_of(const LengthOutput& output, std::string_view field) {
  const std::string& layer_type = output.model.variants[output.report.variant].layer_type;
  const std::string qualified = layer_type + "." + std::string(field);
  for (const rw::ValueSource& source : output.model.sources) {
    if (!layer_type.empty() && source.field == qualified) return source.key;
  }
  for (const rw::ValueSource& source : output.model.sources) {
    if (source.field == field) return source.key;
  }
  return {};
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

/// Words broken into lines of the screen's width, continued under `indent`.
std::string wrapped(const std::string& first, const std::string& words) {
  const std::string indent(first.size(), ' ');
  std::string text;
  std::string line = first;
  std::size_t at = 0;
  while (at < words.size()) {
    const std::size_t end = std::min(words.find(' ', at), words.size());
    const std::string word = words.substr(at, end - at);
    if (line.size() > indent.size() && line.size() + 1 + word.size() > kColumns) {
      text += line + "\n";
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + word;
    at = end + 1;
  }
  return text + line + "\n";
}

std::string fact(std::string_view name, const std::string& value, const std::string& source) {
  std::string line = "  " + padded(std::string(name), 17) + padded(value, 14) + source;
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

/// A length, which a file may state, imply, or leave to its claimed length.
std::string length_fact(const LengthOutput& output, std::string_view name, std::int64_t length,
                        std::string_view field) {
  std::string source = source_of(output, field);
  // Dynamic NTK counts from the length in the file; everything else claims that length.
  const bool dynamic = output.model.variants[output.report.variant].rope_type == "dynamic";
  const LengthReport& report = output.report;
  if (source.empty() && length == (dynamic ? report.original_length : report.claimed_length))
    source = source_of(output, "max_position_embeddings");
  if (source.empty() && length > 0) source = "derived: claimed length and factor";
  return fact(name, length == 0 ? "unknown" : std::to_string(length), source);
}

std::string facts(const LengthOutput& output) {
  const LengthReport& report = output.report;
  const rw::RopeVariant& rope = output.model.variants[report.variant];
  std::string text = output.title;
  if (!output.model.model_type.empty()) text += " (" + output.model.model_type + ")";
  text += " to " + std::to_string(report.target_length) + " tokens\n";
  const auto stated = [&](std::string_view name, const std::string& value) {
    text += fact(name, value, source_of(output, name));
  };
  stated("theta", number(report.plain.theta));
  stated("head_dim", std::to_string(report.plain.head_dim));
  if (report.plain.rotary_dim != report.plain.head_dim)
    stated("rotary_dim", std::to_string(report.plain.rotary_dim));
  if (rope.rope_type != "default") stated("rope_type", rope.rope_type);
  text += length_fact(output, "original length", report.original_length, "original_length");
  if (report.claimed_length != report.original_length)
    text += length_fact(output, "claimed length", report.claimed_length, "claimed_length");
  if (report.plain.original_length != report.original_length) {
    text +=
        fact("trained length", std::to_string(report.plain.original_length), "--trained-length");
  } else if (report.claimed_length != report.original_length) {
    text += "  The laws start from the original length and the plain base.\n";
  }
  return text;
}

std::string diagnosis(const LengthReport& report) {
  if (!report.diagnosed) return {};
  const int pairs = report.plain.pairs();
  const int never = pairs - report.critical_pair - report.still_pairs;
  std::string text =
      "\nCritical dimension " + std::to_string(report.critical_dimension()) + " of " +
      std::to_string(report.plain.rotary_dim) + ": " + std::to_string(report.critical_pair) +
      " pairs made a full turn in training, " + std::to_string(never) + " never did" +
      (report.still_pairs > 0 ? ", " + std::to_string(report.still_pairs) + " stand still" : "") +
      ".\n";
  const double ratio = report.longest_wavelength / static_cast<double>(report.target_length);
  return text + "Longest wavelength " + number(report.longest_wavelength, 7) + " tokens, " +
         number(ratio, 3) + " times the target.\n";
}

using Row = std::array<std::string, 9>;

Row row_of(const Candidate& candidate, bool recommended) {
  const std::string mark = recommended ? "* " : "  ";
  return {mark + std::string(candidate.method),       std::string(candidate.title),
          number(candidate.config.theta, 12),         number(candidate.factor, 6),
          number(candidate.attention_factor, 5),      std::to_string(candidate.critical_dimension),
          std::to_string(candidate.over_range_pairs), number(candidate.fast_resolution, 3),
          candidate.needs_training ? "yes" : "no"};
}

std::string table(const LengthReport& report) {
  if (!report.no_schedule.empty()) return {};
  constexpr std::array<std::size_t, 9> widths = {14, 13, 16, 8, 11, 10, 12, 8, 8};
  const Row head = {"  method", "",           "theta", "factor",  "attention",
                    "crit.dim", "over-range", "fast",  "training"};
  const auto line = [&](const Row& row) {
    std::string text;
    for (std::size_t column = 0; column < row.size(); ++column)
      text += padded(row[column] + " ", widths[column]);
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };
  std::string text = "\n" + line(head);
  for (const Candidate& candidate : report.candidates) {
    if (candidate.applies()) {
      text += line(row_of(candidate, candidate.method == report.recommended));
    } else {
      const std::string name = padded("  " + std::string(candidate.method), widths[0]) +
                               padded(std::string(candidate.title), widths[1]);
      text += wrapped(name, "- " + candidate.reason);
    }
  }
  return text;
}

/// What a program prints for one engine: the lines, a refusal, or that nothing changes.
rw::EngineLines paste(const LengthOutput& output, rw::Engine engine) {
  const LengthReport& report = output.report;
  if (!report.no_schedule.empty()) return {true, report.no_schedule, {}};
  if (report.recommended == "none" && !report.change_length)
    return {false, "nothing to change: " + report.reason, {}};
  return rw::engine_lines(engine, output.model, report.schedule());
}

/// The reason in the screen's width; a command after it stays whole, to be copied.
std::string refusal_text(const std::string& refusal) {
  const std::size_t end = std::min(refusal.find('\n'), refusal.size());
  std::string text = wrapped("  ", "refused: " + refusal.substr(0, end));
  if (end < refusal.size()) text += refusal.substr(end + 1) + "\n";
  return text;
}

std::string paste_text(const LengthOutput& output) {
  const LengthReport& report = output.report;
  if (report.recommended == "none" && !report.change_length) return {};
  std::string text = "\n";
  for (const rw::EngineName& engine : output.engines) {
    // One screen: four engines stand for the rest unless engines were asked for.
    const bool shown = !output.all_engines || engine.engine == rw::Engine::llama_cpp ||
                       engine.engine == rw::Engine::vllm || engine.engine == rw::Engine::sglang ||
                       engine.engine == rw::Engine::transformers5;
    if (!shown) continue;
    const rw::EngineLines lines = paste(output, engine.engine);
    text += std::string(engine.name) + ":\n";
    if (lines.refused) {
      text += refusal_text(lines.text);
    } else {
      text += lines.text + "\n";
    }
    for (const std::string& note : lines.notes) text += wrapped("  note: ", note);
  }
  if (output.all_engines) text += "--for ENGINE and --for all show the other engines.\n";
  return text;
}

std::string warnings_text(const LengthOutput& output) {
  std::string text;
  for (const auto* warnings : {&output.model.warnings, &output.report.warnings}) {
    for (const std::string& warning : *warnings) text += wrapped("warning: ", warning);
  }
  return text.empty() ? text : "\n" + text;
}

nlohmann::ordered_json candidate_json(const Candidate& candidate) {
  nlohmann::ordered_json json;
  json["method"] = candidate.method;
  for (const char* key : {"theta", "factor", "attention_factor", "over_range_pairs",
                          "critical_dimension", "fast_resolution", "needs_training"})
    json[key] = nullptr;
  json["factor"] = candidate.factor;
  if (!candidate.applies()) {
    json["reason"] = candidate.reason;
    return json;
  }
  json["theta"] = candidate.config.theta;
  json["attention_factor"] = candidate.attention_factor;
  json["over_range_pairs"] = candidate.over_range_pairs;
  json["critical_dimension"] = candidate.critical_dimension;
  json["fast_resolution"] = candidate.fast_resolution;
  json["needs_training"] = candidate.needs_training;
  return json;
}

}  // namespace

std::string LengthOutput::text() const {
  std::string text = facts(*this) + diagnosis(report) + table(report);
  if (report.no_schedule.empty()) {
    text += "\n" +
            wrapped("Recommended: ", std::string(report.recommended) + ": " + report.reason + ".");
    text += paste_text(*this);
  }
  return text + warnings_text(*this);
}

nlohmann::ordered_json LengthOutput::json() const {
  nlohmann::ordered_json json;
  json["model_type"] = model.model_type;
  json["trained_length"] = report.plain.original_length;
  json["original_length"] = report.original_length;
  json["claimed_length"] = report.claimed_length;
  json["target_length"] = report.target_length;
  json["head_dim"] = report.plain.head_dim;
  json["rotary_dim"] = report.plain.rotary_dim;
  json["theta"] = report.plain.theta;
  json["rope_type"] = model.variants[report.variant].rope_type;
  json["critical_dimension"] = report.critical_dimension();
  json["critical_pair"] = report.critical_pair;
  json["candidates"] = nlohmann::ordered_json::array();
  for (const Candidate& candidate : report.candidates)
    json["candidates"].push_back(candidate_json(candidate));
  json["recommended"] = report.recommended;
  json["reason"] = report.no_schedule.empty() ? report.reason : report.no_schedule;
  json["paste"] = nlohmann::ordered_json::object();
  json["warnings"] = nlohmann::ordered_json::array();
  for (const auto* warnings : {&model.warnings, &report.warnings}) {
    for (const std::string& warning : *warnings) json["warnings"].push_back(warning);
  }
  for (const rw::EngineName& engine : engines) {
    const rw::EngineLines lines = paste(*this, engine.engine);
    json["paste"][std::string(engine.name)] = (lines.refused ? "refused: " : "") + lines.text;
    for (const std::string& note : lines.notes)
      json["warnings"].push_back(std::string(engine.name) + ": " + note);
  }
  json["sources"] = nlohmann::ordered_json::object();
  for (const rw::ValueSource& source : model.sources) json["sources"][source.field] = source.key;
  return json;
}
