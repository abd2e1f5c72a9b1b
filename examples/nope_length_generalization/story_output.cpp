#include "story_output.hpp"

#include <support/report/svg.hpp>

#include <algorithm>
#include <cmath>

namespace lm {

namespace {

using report::fixed;

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string row_of(const Way& way, bool indented) {
  std::string row = padded((indented ? "  " : "") + way.name, 34);
  for (std::size_t i = 0; i < way.loss.size(); ++i) {
    row += right(fixed(way.loss[i], 3), 9);
    row += way.spread.empty() ? "        " : padded(" (" + fixed(way.spread[i], 3) + ")", 8);
  }
  row.erase(row.find_last_not_of(' ') + 1);
  return row + "\n";
}

std::string ways_text(const Story& story) {
  std::string text = padded("held-out loss, nats per byte, at", 34);
  for (const std::int64_t length : kLengths) text += padded(right(std::to_string(length), 9), 17);
  text.erase(text.find_last_not_of(' ') + 1);
  text += "\n";
  for (const std::vector<Way>* ways : {&story.nope, &story.rope}) {
    for (const Way& way : *ways) text += row_of(way, &way != &ways->front());
  }
  return text;
}

std::string uniform_text(const UniformScales& uniform) {
  std::string text = padded("best single scale of NoPE at", 34);
  for (const std::int64_t length : uniform.lengths) text += right(std::to_string(length), 9);
  text += "\n" + std::string(34, ' ');
  for (const double best : uniform.best) text += right(fixed(best, 2), 9);
  text += "\n1 + a ln(length / trained): a = " + fixed(uniform.fit.slope, 3) + ", standard error " +
          fixed(uniform.fit.standard_error, 3);
  if (uniform.fit.r_squared) text += ", R^2 = " + fixed(*uniform.fit.r_squared, 3);
  return text + "\n";
}

std::string knee_text(const std::string& name, const std::optional<ropewalk::EntropyKnee>& knee) {
  if (!knee) return name + ": mean entropy has no knee";
  return name + ": mean entropy rises faster from position " + fixed(knee->position, 0) + " on (" +
         fixed(knee->slope_before, 2) + " nats per e-fold before, " + fixed(knee->slope_after, 2) +
         " after)";
}

std::string heads_text(const Story& story, const SearchedHeads& heads) {
  std::string text = "\nscales per head searched at " + std::to_string(heads.target_length) +
                     ", mean of " + std::to_string(heads.head_scale.size()) +
                     " searches (entropy at the trained length)\n";
  const auto per_layer = static_cast<std::size_t>(story.shape.heads);
  for (std::size_t layer = 0; layer * per_layer < heads.mean.size(); ++layer) {
    text += "  layer " + std::to_string(layer);
    for (std::size_t i = layer * per_layer; i < (layer + 1) * per_layer; ++i)
      text += right(fixed(heads.mean[i], 2) + " (" + fixed(story.converged[i], 2) + ")", 14);
    text += "\n";
  }
  text += "  standard deviation between searches " + fixed(heads.spread, 3);
  if (heads.with_entropy) {
    text += "; scale against entropy: Pearson " + fixed(heads.with_entropy->pearson, 2) +
            ", Spearman " + fixed(heads.with_entropy->spearman, 2);
  }
  return text + "\n";
}

nlohmann::ordered_json json_of(const Way& way) {
  nlohmann::ordered_json json{{"name", way.name}, {"loss", way.loss}};
  if (!way.spread.empty()) json["spread"] = way.spread;
  json["loss_by_position"] = way.curve;
  return json;
}

nlohmann::ordered_json json_of(const std::optional<ropewalk::EntropyKnee>& knee) {
  if (!knee) return nullptr;
  return {{"position", knee->position},
          {"slope_before", knee->slope_before},
          {"slope_after", knee->slope_after}};
}

}  // namespace

std::string text_of(const Story& story) {
  std::string text =
      "Two byte-level transformers trained at " + std::to_string(story.shape.trained_length) +
      " bytes; " + std::to_string(story.windows) + " held-out windows of " +
      std::to_string(kLongest) + ".\nLoss at a length: the last " + std::to_string(kScored) +
      " positions before it; (largest - smallest) of the searches.\n\n";
  text += ways_text(story) + "\n" + uniform_text(story.uniform) + "\n";
  text += knee_text("NoPE", story.nope_knee) + "\n" + knee_text("RoPE", story.rope_knee) + "\n";
  for (const SearchedHeads& heads : story.searched) text += heads_text(story, heads);
  return text;
}

nlohmann::ordered_json json_of(const Story& story) {
  nlohmann::ordered_json json{{"trained_length", story.shape.trained_length},
                              {"windows", story.windows},
                              {"scored_positions", kScored},
                              {"lengths", kLengths}};
  for (const Way& way : story.nope) json["nope"].push_back(json_of(way));
  for (const Way& way : story.rope) json["rope"].push_back(json_of(way));
  const UniformScales& uniform = story.uniform;
  json["uniform"] = {{"lengths", uniform.lengths}, {"head_scale", uniform.head_scale},
                     {"loss", uniform.loss},       {"best", uniform.best},
                     {"slope", uniform.fit.slope}, {"standard_error", uniform.fit.standard_error}};
  if (uniform.fit.r_squared) json["uniform"]["r_squared"] = *uniform.fit.r_squared;
  json["entropy"] = {{"nope", story.nope_entropy},
                     {"rope", story.rope_entropy},
                     {"scaled_nope", story.scaled_entropy},
                     {"nope_knee", json_of(story.nope_knee)},
                     {"rope_knee", json_of(story.rope_knee)},
                     {"converged", story.converged}};
  for (const SearchedHeads& heads : story.searched) {
    nlohmann::ordered_json entry{{"target_length", heads.target_length},
                                 {"head_scale", heads.head_scale},
                                 {"mean", heads.mean},
                                 {"standard_deviation", heads.spread}};
    if (heads.with_entropy) {
      entry["pearson"] = heads.with_entropy->pearson;
      entry["spearman"] = heads.with_entropy->spearman;
    }
    json["searches"].push_back(entry);
  }
  return json;
}

}  // namespace lm
