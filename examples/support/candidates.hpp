// Every way to a longer context, side by side.
#pragma once

#include <ropewalk/scaling.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// One way to a longer context. Where `reason` is not empty it does not apply, and only `method`,
/// `title` and `factor` have a meaning.
struct Candidate {
  std::string_view method;  ///< as in the JSON output
  std::string_view title;   ///< as in the table
  std::string reason;       ///< why it does not apply; empty where it does
  ropewalk::RopeConfig config;
  ropewalk::Scaling scaling;
  double factor = 1.0;  ///< target length / trained length
  double attention_factor = 1.0;
  int over_range_pairs = 0;
  int critical_dimension = 0;  ///< twice the pairs that turn fully within the target length
  double fast_resolution = 1.0;
  bool needs_training = false;

  bool applies() const { return reason.empty(); }
};

/// Where the candidates start from.
struct CandidateStart {
  ropewalk::RopeConfig plain;       ///< as trained: plain base, trained length
  ropewalk::Scaling plain_scaling;  ///< Unscaled or Proportional
  ropewalk::RopeConfig file_config;
  ropewalk::Scaling file_scaling;  ///< what the file does now; a method it already uses keeps its
                                   ///< own constants
  int complete_pairs = 0;          ///< made a full turn in training
  int still_pairs = 0;             ///< never move
};

/// Every method at a target length, always in the same order.
///   target_length   >= the trained length
std::vector<Candidate> list_candidates(const CandidateStart& start, std::int64_t target_length);

/// The same list where no method applies.
std::vector<Candidate> refuse_candidates(const std::string& reason, double factor);

/// Factor up to which methods that keep every pair on its trained arc are used without training.
inline constexpr double kUntrainedReach = 4.0;
