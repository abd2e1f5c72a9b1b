// The smallest base for a length by the sum of cosines: a scan of bases, from which on they work
// and where they fail in between.
#include <ropewalk/analysis/minimum_theta.hpp>
#include <support/command_line.hpp>
#include <support/theta_search.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr int kInterrupted = 130;  // as shells report an end by Ctrl-C

nlohmann::ordered_json json_of(const rw::ThetaGrid& grid, const rw::ThetaScan& scan) {
  nlohmann::ordered_json json;
  json["lowest"] = grid.lowest;
  json["highest"] = grid.theta(grid.points - 1);
  json["ratio"] = grid.ratio;
  json["points"] = grid.points;
  json["scanned"] = scan.scanned;
  json["islands"] = nlohmann::ordered_json::array();
  for (const rw::ThetaIsland& island : scan.islands)
    json["islands"].push_back({grid.theta(island.first), grid.theta(island.last)});
  return json;
}

nlohmann::ordered_json json_of(const ThetaQuestion& question, const ThetaAnswer& answer) {
  const auto or_null = [](const std::optional<double>& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json json;
  json["head_dim"] = question.config.head_dim;
  json["length"] = question.length;
  json["condition"] = "B(m) >= 0 for every whole m in [0, length]";
  json["evidence"] = "hint about retrieval, not a gate; Men et al. 2024, arXiv 2405.14591";
  json["complete"] = answer.complete() && answer.fine_complete();
  json["minimum_theta"] = or_null(answer.minimum());
  json["safe_theta"] = or_null(answer.safe());
  json["grid"] = json_of(answer.grid, answer.scan);
  json["finer_grid"] = nullptr;
  if (answer.fine_grid) json["finer_grid"] = json_of(*answer.fine_grid, answer.fine_scan);
  return json;
}

std::string covered(const rw::ThetaGrid& grid, const rw::ThetaScan& scan) {
  std::string text = std::to_string(scan.scanned) + " of " + std::to_string(grid.points) + " bases";
  if (scan.scanned > 0)
    text += ", " + number(grid.lowest, 8) + " to " + number(grid.theta(scan.end() - 1), 8);
  return text + ", each " + number(grid.ratio) + " times the one before";
}

std::string text_of(const ThetaQuestion& question, const ThetaAnswer& answer) {
  const auto minimum = answer.minimum();
  const auto safe = answer.safe();
  std::string text = "B(m) >= 0 for every m from 0 to " + std::to_string(question.length) +
                     ", head_dim " + std::to_string(question.config.head_dim) + "\n";
  text += "  some base works   ";
  text += minimum ? "from " + number(*minimum, 8) + " on" : "none of those tried";
  text += "\n  all larger work   ";
  if (safe) {
    text += "from " + number(*safe, 8) + " on, as far as tried";
  } else {
    text += answer.complete() ? "no: the largest base tried fails" : "not known";
  }
  text += "\n  tried             " + covered(answer.grid, answer.scan);
  if (answer.fine_grid)
    text += "\n  then              " + covered(*answer.fine_grid, answer.fine_scan);
  text += "\n  islands           " + std::to_string(answer.scan.islands.size()) +
          " runs of neighbouring bases that work";
  // The widest gaps between them, which a base should not be put into.
  const std::vector<rw::ThetaIsland>& islands = answer.scan.islands;
  std::vector<std::size_t> gaps;
  for (std::size_t next = 1; next < islands.size(); ++next) gaps.push_back(next);
  const auto width = [&](std::size_t next) { return islands[next].first - islands[next - 1].last; };
  std::stable_sort(gaps.begin(), gaps.end(),
                   [&](std::size_t a, std::size_t b) { return width(a) > width(b); });
  if (gaps.size() > 5) gaps.resize(5);
  std::sort(gaps.begin(), gaps.end());
  for (const std::size_t next : gaps) {
    text += std::string("\n  ") +
            (next == gaps.front() ? "widest gaps      " : "                 ") + " " +
            number(answer.grid.theta(islands[next - 1].last + 1), 6) + " to " +
            number(answer.grid.theta(islands[next].first - 1), 6) + " fail";
  }
  return text + "\nA hint about retrieval (Men et al. 2024), not a gate: models in use fail it.\n";
}

double parse_number(const std::string& option, const std::string& text, double lowest,
                    double highest) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() ||
      !rw::detail::is_finite(value)) {
    throw Failure{kUsageError, option + " = " + text.substr(0, 40) + " is not a finite number"};
  }
  if (!(value >= lowest && value <= highest)) {
    throw Failure{kUsageError, option + " = " + text.substr(0, 40) + " is not in " +
                                   number(lowest) + " .. " + number(highest)};
  }
  return value;
}

int parse_count(const std::string& option, const std::string& text, int lowest, int highest) {
  const double value = parse_number(option, text, lowest, highest);
  if (value != std::floor(value))
    throw Failure{kUsageError, option + " = " + text.substr(0, 40) + " is not a whole number"};
  return static_cast<int>(value);
}

/// A power of ten well above every base that was ever seen to fail: 100 times the fit of Men et
/// al., of which bases fail up to 10 times at head_dim 128 and lengths to 2^20.
double default_highest(std::int64_t length) {
  const double fit = 0.0424 * std::pow(static_cast<double>(length), 1.628);
  return std::pow(10.0, (std::max)(4.0, std::ceil(std::log10(100.0 * fit))));
}

struct Options {
  std::string head_dim;
  std::string length;
  std::string lowest = "2";
  std::string highest;
  std::string ratio = "1.0001";
  std::string threads;

  void add(CLI::App& app) {
    app.add_option("--head-dim", head_dim, "Rotated elements per head, even")->type_name("D");
    app.add_option("--length", length, "Tokens up to which B may not be negative")->type_name("N");
    app.add_option("--lowest-theta", lowest, "First base of the grid, 2 unless given")
        ->type_name("X");
    app.add_option("--highest-theta", highest, "Last base; 100 times 0.0424 N^1.628, rounded up")
        ->type_name("X");
    app.add_option("--ratio", ratio, "Of neighbouring bases, 1.0001 unless given")->type_name("R");
    app.add_option("--threads", threads, "As many as the machine runs unless given")
        ->type_name("T");
  }

  ThetaQuestion question() const {
    if (head_dim.empty()) throw Failure{kUsageError, "--head-dim D is needed"};
    if (length.empty()) throw Failure{kUsageError, "--length N is needed"};
    ThetaQuestion result;
    result.config.head_dim = parse_count("--head-dim", head_dim, 2, 65536);
    if (result.config.head_dim % 2 != 0)
      throw Failure{kUsageError, "--head-dim = " + head_dim.substr(0, 40) + " must be even"};
    result.config.rotary_dim = result.config.head_dim;
    result.length = parse_length("--length", length);
    if (result.length < 7) {
      throw Failure{kUsageError,
                    "--length = " + length + " must be at least 7, one turn of the fastest pair"};
    }
    const auto here = static_cast<int>((std::max)(1u, std::thread::hardware_concurrency()));
    result.threads =
        threads.empty() ? (std::min)(here, 256) : parse_count("--threads", threads, 1, 256);
    return result;
  }

  rw::ThetaGrid grid(std::int64_t tokens) const {
    const double from = parse_number("--lowest-theta", lowest, 1.0 + 1e-9, rw::kMaximumTheta);
    const double to = highest.empty()
                          ? (std::max)(from, default_highest(tokens))
                          : parse_number("--highest-theta", highest, from, rw::kMaximumTheta);
    const rw::ThetaGrid result =
        rw::theta_grid(from, to, parse_number("--ratio", ratio, 1.0 + 1e-9, 1e6));
    constexpr std::int64_t most_points = std::int64_t{1} << 28;
    if (result.points > most_points) {
      throw Failure{kUsageError, "--ratio = " + ratio.substr(0, 40) + " asks for " +
                                     std::to_string(result.points) + " bases, more than " +
                                     std::to_string(most_points)};
    }
    return result;
  }
};

int minimum_theta(int argc, char** argv) {
  CLI::App app{"The smallest rotary base for a length by the sum of cosines B(m) = sum cos(m w)",
               "minimum_theta"};
  app.footer(
      "Bases that work form islands, so a grid of them is scanned: the smallest that works is "
      "known\n"
      "up to the grid, and `all larger' means those tried. Ctrl-C ends the scan and prints what "
      "it\n"
      "has shown. Exit codes: 1 usage, 3 no base tried works, 130 stopped before the end.");
  Options options;
  options.add(app);
  bool json = false;
  app.add_flag("--json", json, "One JSON object");

  return run_program(app, argc, argv, [&] {
    const ThetaQuestion question = options.question();
    const rw::ThetaGrid grid = options.grid(question.length);
    const ThetaAnswer result = search_theta(question, grid);
    if (json) {
      std::cout << json_of(question, result).dump() << "\n";
    } else {
      std::cout << text_of(question, result);
    }
    if (!result.complete() || !result.fine_complete()) {
      const bool in_fine = result.complete();
      std::cout << std::flush;
      std::cerr << app.get_name() << ": stopped; covered "
                << (in_fine ? "the grid, and of the finer one " +
                                  covered(*result.fine_grid, result.fine_scan)
                            : covered(result.grid, result.scan))
                << "\n";
      return kInterrupted;
    }
    if (!result.minimum()) {
      throw Failure{kNoSchedule, "no base tried works for " + std::to_string(question.length) +
                                     " tokens: " + covered(result.grid, result.scan)};
    }
    return 0;
  });
}

}  // namespace

int main(int argc, char** argv) { return guarded(minimum_theta, argc, argv); }
