// The story as text, as JSON and as figures.
#pragma once

#include "story.hpp"

#include <support/report/figure.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace lm {

std::string text_of(const Story& story);
nlohmann::ordered_json json_of(const Story& story);

/// Loss and entropy by position, uniform scales, scales against entropy, ways of both models.
std::vector<report::Figure> figures_of(const Story& story);

}  // namespace lm
