// What the programs share at their edges: exit codes, lengths, where a model comes from.
#pragma once

#include <ropewalk/interop/model.hpp>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <string_view>

inline constexpr int kUsageError = 1;
inline constexpr int kBadConfig = 2;
inline constexpr int kNoSchedule = 3;

/// Ends a program: the message goes to standard error.
struct Failure {
  int exit_code;
  std::string message;
};

/// A length as a person types it: digits only, 1 .. 2^53. Throws Failure naming the option.
std::int64_t parse_length(std::string_view option, const std::string& text);

/// The two ways to name a model, exactly one of which is given.
struct ModelChoice {
  std::string config_file;
  std::string model_name;

  void add_options(CLI::App& app);

  /// Throws Failure: usage for none, both or an unknown name (with close ones), bad config
  /// for a file that cannot be read or holds a fault.
  ropewalk::ModelConfig load() const;

  /// How to call it in a heading.
  std::string title() const;
};

/// The shipped names, one per line.
std::string shipped_names();

/// Digits of a number, the same in every locale. 0 significant digits: as many as round-trip.
std::string number(double value, int significant_digits = 0);

/// Parses, runs, and turns every failure into its exit code and a message on standard error.
int run_program(CLI::App& app, int argc, char** argv, int (*program)(void*), void* state);

template <typename Program>
int run_program(CLI::App& app, int argc, char** argv, Program program) {
  return run_program(
      app, argc, argv, [](void* state) { return (*static_cast<Program*>(state))(); }, &program);
}

/// main's last resort: nothing escapes it.
int guarded(int (*body)(int, char**), int argc, char** argv) noexcept;
