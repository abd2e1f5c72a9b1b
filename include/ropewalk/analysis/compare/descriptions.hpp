// What each figure of a comparison means, and on what evidence. Row 9.
#pragma once

#include <ropewalk/analysis/compare/figures.hpp>

namespace ropewalk {
inline namespace v0 {

/// A figure in words; static storage.
struct FigureDescription {
  const char* key;       // of a JSON field
  const char* title;     // of a table's column
  const char* unit;      // "" for a plain ratio
  const char* meaning;   // one sentence
  const char* evidence;  // what is published for or against it
  FigureRole role;
  FigureAim aim;
};

/// The role in one word.
constexpr const char* role_name(FigureRole role) noexcept {
  switch (role) {
    case FigureRole::gate:
      return "gate";
    case FigureRole::hint:
      return "hint";
    case FigureRole::descriptive:
      return "descriptive";
  }
  return "";
}

/// What a figure is, what it may be used for, and why.
constexpr FigureDescription describe(ScheduleFigure figure) noexcept {
  switch (figure) {
    case ScheduleFigure::over_range_pairs:
      return {
          "over_range_pairs",
          "over range",
          "pairs",
          "Pairs that made no full turn in training and would turn further at the target.",
          "Schedules that work have none (Liu et al. 2023), but none is not enough: of two such "
          "schedules one retrieved 0.27 and one 0.00 at 30k tokens (Men et al. 2024), and YaRN "
          "and Liu's law scored 49 and 73 on RULER at 128k (LongRoPE2, 2025).",
          FigureRole::gate,
          FigureAim::smaller};
    case ScheduleFigure::over_range_pairs_three_turns:
      return {
          "over_range_pairs_three_turns",
          "over range, 3 turns",
          "pairs",
          "The same for pairs that made fewer than three full turns in training.",
          "Orders two schedules of LongRoPE2 (2025) against their variants as RULER does, in two "
          "models: four pairs, found after the fact.",
          FigureRole::hint,
          FigureAim::smaller};
    case ScheduleFigure::excess_turns:
      return {"excess_turns",
              "excess",
              "turns",
              "Angles never seen in training, added over the pairs that are over range.",
              "The size of what the gate counts; nothing is published on how quality follows it.",
              FigureRole::descriptive,
              FigureAim::smaller};
    case ScheduleFigure::largest_excess_turns:
      return {"largest_excess_turns",
              "largest excess",
              "turns",
              "Angles never seen in training, of the pair with the most of them.",
              "The size of what the gate counts; nothing is published on how quality follows it.",
              FigureRole::descriptive,
              FigureAim::smaller};
    case ScheduleFigure::fast_resolution:
      return {"fast_resolution",
              "fast pairs",
              "",
              "Geometric mean of new over trained frequency of the pairs with 32 turns or more in "
              "training; 0 where one of them stands still.",
              "Explains in words why position interpolation loses on short texts; no regression is "
              "published.",
              FigureRole::descriptive,
              FigureAim::larger};
    case ScheduleFigure::mean_abs_log2_change:
      return {"mean_abs_log2_change",
              "mean change",
              "octaves",
              "Mean of |log2(new / trained frequency)| over the pairs that turn.",
              "How far the model is moved; nothing is published on how quality follows it.",
              FigureRole::descriptive,
              FigureAim::none};
    case ScheduleFigure::stopped_pairs:
      return {"stopped_pairs",
              "stopped",
              "pairs",
              "Pairs that turned in training and stand still now: nothing new to meet, and nothing "
              "left to tell positions apart by.",
              "Some methods stop slow pairs on purpose (Giraffe); stopping all is no position at "
              "all, which every other figure but the fast pairs' rewards.",
              FigureRole::descriptive,
              FigureAim::smaller};
    case ScheduleFigure::first_negative_ratio:
      return {
          "first_negative_ratio",
          "first B < 0",
          "of the target length",
          "Smallest distance at which the sum of the pairs' cosines is negative, over the target "
          "length; 1 where there is none within it.",
          "Goes with retrieval and, as its authors say, not with perplexity (Men et al. 2024); "
          "models in use violate it: Qwen2.5-1M, Llama 3.1.",
          FigureRole::hint,
          FigureAim::larger};
    case ScheduleFigure::negative_fraction:
      return {"negative_fraction",
              "B < 0",
              "of all distances",
              "Share of the distances within the target length at which the sum is negative.",
              "Counts of 0 and 2554 stood against retrieval of 0.27 and 0.00 at 30k tokens (Men et "
              "al. 2024, one pair of models).",
              FigureRole::hint,
              FigureAim::smaller};
    case ScheduleFigure::minimum_mean_cosine:
      return {"minimum_mean_cosine",
              "smallest B / pairs",
              "",
              "Smallest mean of the pairs' cosines over the distances within the target length.",
              "As the first negative distance.",
              FigureRole::hint,
              FigureAim::larger};
    case ScheduleFigure::late_mean_cosine:
      return {"late_mean_cosine",
              "mean B / pairs, last half",
              "",
              "Mean of the pairs' cosines over the farther half of the distances.",
              "Ranks four schedules as RULER at 128k does, in two models (LongRoPE2, 2025); found "
              "after the fact, and blind to a factor on the logits.",
              FigureRole::hint,
              FigureAim::larger};
    case ScheduleFigure::reach_ratio:
      return {"reach_ratio",
              "reach",
              "of the target length",
              "Liu et al.'s limit of extrapolation for the base of the schedule, over the target "
              "length; none where the frequencies are those of no single base.",
              "The best evidence on where perplexity breaks after tuning, over many bases, but of "
              "one family of models (Liu et al. 2023).",
              FigureRole::hint,
              FigureAim::none};
    case ScheduleFigure::theta_to_law:
      return {"theta_to_law",
              "theta / law",
              "",
              "Base of the schedule over the base of Liu et al.'s extended law; none where the "
              "frequencies are those of no single base.",
              "Bases in use lie from 0.014 to 26 times the law's.",
              FigureRole::descriptive,
              FigureAim::none};
    case ScheduleFigure::theta_to_strict:
      return {"theta_to_strict",
              "theta / strict",
              "",
              "Base of the schedule over the smallest base that leaves no pair over range; none "
              "where the frequencies are those of no single base.",
              "Below 1 the gate fails.",
              FigureRole::descriptive,
              FigureAim::none};
    case ScheduleFigure::attention_factor:
      return {"attention_factor",
              "factor on cos, sin",
              "",
              "What cosines and sines are multiplied by; logits see its square.",
              "Fitted law by law to one family of models; none of the sums of cosines sees it.",
              FigureRole::descriptive,
              FigureAim::none};
  }
  return {"", "", "", "", "", FigureRole::descriptive, FigureAim::none};
}

}  // namespace v0
}  // namespace ropewalk
