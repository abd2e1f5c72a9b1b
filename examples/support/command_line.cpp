#include <ropewalk/interop/hugging_face.hpp>
#include <ropewalk/version.hpp>
#include <support/command_line.hpp>
#include <support/models.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <iostream>
#include <numeric>
#include <vector>

namespace rw = ropewalk;

namespace {

std::vector<std::string_view> names() {
  std::vector<std::string_view> all;
  for (std::size_t index = 0; index < shipped_model_count(); ++index)
    all.push_back(shipped_models()[index].name);
  return all;
}

/// Letters to insert, drop or replace to get from one word to the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string lower_case(std::string text) {
  for (char& letter : text) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return text;
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(end - a.begin());
}

/// True where a name may have been meant: a third of the letters wrong, or begun alike.
bool is_close(std::string_view wanted, std::string_view name) {
  return edit_distance(wanted, name) <= wanted.size() / 3 ||
         common_prefix(wanted, name) >= std::clamp<std::size_t>(wanted.size(), 3, 4);
}

/// Up to three names that are near to what was typed, nearest first.
std::vector<std::string_view> close_names(const std::string& typed) {
  const std::string wanted = lower_case(typed.substr(0, 64));
  std::vector<std::string_view> close;
  for (const std::string_view name : names()) {
    if (is_close(wanted, name)) close.push_back(name);
  }
  std::stable_sort(close.begin(), close.end(), [&](std::string_view a, std::string_view b) {
    return edit_distance(wanted, a) < edit_distance(wanted, b);
  });
  if (close.size() > 3) close.resize(3);
  return close;
}

std::string unknown_model(const std::string& typed) {
  std::string text = "no shipped model is called " + typed.substr(0, 64);
  const std::vector<std::string_view> close = close_names(typed);
  if (close.empty()) return text + "; --list-models shows all";
  text += close.size() == 1 ? "; the closest name is " : "; the closest names are ";
  for (const std::string_view name : close)
    text += (name == close.front() ? "" : ", ") + std::string(name);
  return text + " (--list-models shows all)";
}

std::string sentence(const rw::ReadFault& fault) {
  std::string text = fault.key.empty() ? "" : fault.key + ": ";
  text += fault.text;
  if (!fault.value.empty()) text += " (" + fault.value + ")";
  return text;
}

/// What a terminal should not be sent, in messages that quote a file or a command line.
std::string printable(const std::string& text) {
  std::string shown;
  for (const char letter : text)
    shown += static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f ? '?' : letter;
  return shown;
}

}  // namespace

std::int64_t parse_length(std::string_view option, const std::string& text) {
  const std::string name(option);
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) {
    throw Failure{kUsageError, name + " = " + text.substr(0, 40) +
                                   " is not a number of tokens: write digits only, like 262144"};
  }
  std::int64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc{} || length > rw::detail::kMaximumLength) {
    throw Failure{kUsageError, name + " = " + text.substr(0, 40) +
                                   " is above the largest length, " +
                                   std::to_string(rw::detail::kMaximumLength)};
  }
  if (length < 1) throw Failure{kUsageError, name + " = 0 must be at least 1"};
  return length;
}

void ModelChoice::add_options(CLI::App& app) {
  app.add_option("--config", config_file, "A model's config.json")->type_name("FILE");
  app.add_option("--model", model_name, "A shipped model, see --list-models")->type_name("NAME");
}

rw::ModelConfig ModelChoice::load() const {
  if (config_file.empty() == model_name.empty()) {
    throw Failure{kUsageError, "give exactly one of --config FILE and --model NAME"};
  }
  if (!config_file.empty()) {
    const rw::Result<rw::ModelConfig> read = rw::read_hugging_face_config_file(config_file);
    if (!read) throw Failure{kBadConfig, config_file + ": " + sentence(read.fault())};
    return read.value();
  }
  for (std::size_t index = 0; index < shipped_model_count(); ++index) {
    const ShippedModel& shipped = shipped_models()[index];
    if (shipped.name != lower_case(model_name)) continue;
    const rw::Result<rw::ModelConfig> read = rw::read_hugging_face_config(shipped.json);
    if (!read) throw Failure{kBadConfig, model_name + ": " + sentence(read.fault())};
    return read.value();
  }
  throw Failure{kUsageError, unknown_model(model_name)};
}

std::string ModelChoice::title() const {
  return config_file.empty() ? lower_case(model_name) : config_file;
}

std::string shipped_names() {
  std::string text;
  for (const std::string_view name : names()) text += std::string(name) + "\n";
  return text;
}

std::string number(double value, int significant_digits) {
  char text[512];
  char* const last = text + sizeof text;
  const bool shortest = significant_digits == 0;
  std::to_chars_result end =
      shortest ? std::to_chars(text, last, value)
               : std::to_chars(text, last, value, std::chars_format::general, significant_digits);
  // Plain digits where they are readable.
  if (std::find(text, end.ptr, 'e') != end.ptr && value >= 1.0 && value < 1e17) {
    end = shortest ? std::to_chars(text, last, value, std::chars_format::fixed)
                   : std::to_chars(text, last, value, std::chars_format::fixed, 0);
  }
  return {text, end.ptr};
}

int run_program(CLI::App& app, int argc, char** argv, int (*program)(void*), void* state) {
  app.set_version_flag("--version", "ropewalk " + std::to_string(rw::kVersionMajor) + "." +
                                        std::to_string(rw::kVersionMinor) + "." +
                                        std::to_string(rw::kVersionPatch));
  try {
    app.parse(argc, argv);
    const int exit_code = program(state);
    if (!std::cout.flush()) throw Failure{kUsageError, "standard output cannot be written"};
    return exit_code;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;
  } catch (const Failure& failure) {
    std::cerr << app.get_name() << ": " << printable(failure.message) << "\n";
    return failure.exit_code;
  } catch (const std::exception& error) {
    std::cerr << app.get_name() << ": " << printable(error.what()) << "\n";
    return kBadConfig;
  }
}

int guarded(int (*body)(int, char**), int argc, char** argv) noexcept {
  try {
    return body(argc, argv);
  } catch (...) {
    std::fputs("stopped by an unexpected error\n", stderr);
    return kBadConfig;
  }
}
