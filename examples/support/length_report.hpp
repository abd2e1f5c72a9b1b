// What a length asks of a model, and what to do about it.
#pragma once

#include <ropewalk/interop/engine_flags.hpp>
#include <ropewalk/interop/model.hpp>
#include <support/candidates.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a length asks of a model, and what can be done.
struct LengthReport {
  std::size_t variant = 0;           ///< of model.variants: the layers that see every token
  ropewalk::RopeConfig plain;        ///< as trained: plain base, trained length
  ropewalk::Scaling plain_scaling;   ///< Unscaled or Proportional
  std::int64_t claimed_length = 0;   ///< what the file says it reaches; 0 unknown
  std::int64_t original_length = 0;  ///< what the file says it was trained to; 0 unknown
  std::int64_t target_length = 0;
  bool diagnosed = false;             ///< the four below are known
  int critical_pair = 0;              ///< pairs that made a full turn in training
  int still_pairs = 0;                ///< pairs that never move
  double longest_wavelength = 0.0;    ///< of the pairs that turn, as trained; tokens
  std::vector<Candidate> candidates;  ///< every method, always in the same order
  std::string_view recommended = "none";
  std::string reason;                 ///< one sentence
  bool change_length = false;         ///< with "none": the engine's length still has to be raised
  std::vector<std::string> warnings;  ///< of this report, not of the file
  std::string no_schedule;            ///< why there is no valid schedule; empty where there is one

  int critical_dimension() const { return 2 * critical_pair; }
  const Candidate* recommended_candidate() const;

  /// What engines shall run: the recommended schedule, or the present one at the target length.
  ropewalk::EngineSchedule schedule() const;
};

/// The report for a target length.
///   trained_length   overrides what the file says, as original and as claimed length
///   Throws           nothing for a model that was read without a fault
LengthReport report_length(const ropewalk::ModelConfig& model, std::int64_t target_length,
                           std::optional<std::int64_t> trained_length);
