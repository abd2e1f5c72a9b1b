// A length report as one screen of text or as one JSON object.
#pragma once

#include <support/length_report.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

/// What is said about a length, and how much of it.
struct LengthOutput {
  const ropewalk::ModelConfig& model;
  const LengthReport& report;
  std::string title;
  std::vector<ropewalk::EngineName> engines;  ///< whose lines are wanted
  bool all_engines = true;                    ///< they are not a choice of the user

  std::string text() const;
  nlohmann::ordered_json json() const;
};
