#include <ropewalk/interop/engine_flags.hpp>
#include <ropewalk/spectrum.hpp>
#include <support/command_line.hpp>
#include <support/report/figure.hpp>
#include <support/report/schedule_report.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace rw = ropewalk;

namespace report {

namespace {

constexpr std::string_view kUsual[] = {"none",        "file", "liu",    "strict", "ntk_aware",
                                       "dynamic_ntk", "yarn", "llama3", "linear"};
constexpr std::string_view kFurther[] = {"koboldcpp", "tabbyapi"};
constexpr std::string_view kTheta = "theta=";
constexpr std::size_t kMostMethods = kStyles;
constexpr std::int64_t kShortestLength = 7;  // below it no pair makes a full turn
constexpr std::int64_t kLongestLength = std::int64_t{1} << 30;
constexpr std::int64_t kPrecisionLimit = std::int64_t{1} << 24;

bool is_known(std::string_view name) {
  return std::find(std::begin(kUsual), std::end(kUsual), name) != std::end(kUsual) ||
         std::find(std::begin(kFurther), std::end(kFurther), name) != std::end(kFurther);
}

/// The base of "theta=X"; nothing where X is no number above 1.
std::optional<double> base_of(std::string_view method) {
  if (method.substr(0, kTheta.size()) != kTheta) return std::nullopt;
  const std::string_view digits = method.substr(kTheta.size());
  double theta = 0.0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), theta);
  const bool whole = error == std::errc{} && end == digits.data() + digits.size();
  if (!whole || !std::isfinite(theta) || !(theta > 1.0) || theta > rw::kMaximumTheta)
    return std::nullopt;
  return theta;
}

void check_method(const std::string& name, const std::vector<std::string>& before) {
  const std::string shown = name.substr(0, 40);
  if (name.empty()) throw Failure{kUsageError, "--methods holds an empty name: " + method_names()};
  if (name.rfind(kTheta, 0) == 0 && !base_of(name)) {
    throw Failure{kUsageError, "--methods: " + shown +
                                   " is no base: a number above 1, at most 1e100, is needed"};
  }
  if (!is_known(name) && !base_of(name)) {
    throw Failure{kUsageError, "--methods: " + shown + " is none of " + method_names()};
  }
  if (std::find(before.begin(), before.end(), name) != before.end())
    throw Failure{kUsageError, "--methods names " + shown + " twice"};
}

class Gathering {
 public:
  Gathering(const rw::ModelConfig& model, const ScheduleRequest& request, ScheduleReport& report)
      : request_(request), rope_(model.variants[report.length.variant]), report_(report) {}

  void run() {
    for (const std::string& method : methods()) report_.entries.push_back(entry(method));
    std::vector<rw::Schedule> schedules;
    for (ScheduleEntry& entry : report_.entries) add(entry, schedules);
    if (schedules.empty()) throw Failure{kNoSchedule, "no schedule applies: " + first_reason()};
    report_.comparison = rw::compare(
        rw::spectrum(report_.length.plain, report_.length.plain_scaling), report_.trained_length(),
        request_.target_length, rw::Span<const rw::Schedule>(schedules.data(), schedules.size()));
    measure_precision();
    feature();
  }

 private:
  std::vector<std::string> methods() const {
    if (!request_.methods.empty()) return request_.methods;
    std::vector<std::string> usual(std::begin(kUsual), std::end(kUsual));
    if (!rw::detail::is_scaled(rope_.scaling)) std::erase(usual, "file");
    return usual;
  }

  ScheduleEntry entry(const std::string& method) const {
    ScheduleEntry entry;
    entry.method = method;
    entry.config = report_.length.plain;
    entry.scaling = report_.length.plain_scaling;
    if (method == "none") {
      entry.title = "as trained";
    } else if (method == "file") {
      entry.title = "the file's own";
      entry.config = rope_.config;
      entry.scaling = rw::at_length(rope_.scaling, request_.target_length);
    } else if (const std::optional<double> theta = base_of(method)) {
      entry.title = "theta " + number(*theta);
      entry.config.theta = *theta;
    } else {
      for (const Candidate& candidate : report_.length.candidates) {
        if (candidate.method != method) continue;
        entry.title = candidate.title;
        entry.reason = candidate.reason;
        entry.config = candidate.config;
        entry.scaling = candidate.scaling;
      }
    }
    return entry;
  }

  static void add(ScheduleEntry& entry, std::vector<rw::Schedule>& schedules) {
    if (!entry.applies()) return;
    if (!rw::detail::fits_float32(entry.config.theta)) {
      entry.reason = rw::detail::theta_beyond_float32(entry.config.theta);
      return;
    }
    try {
      rw::Spectrum spectrum = rw::spectrum(entry.config, entry.scaling);
      entry.compared = schedules.size();
      schedules.push_back({"", std::move(spectrum)});
    } catch (const std::invalid_argument& fault) {
      entry.reason = fault.what();
    }
  }

  std::string first_reason() const {
    for (const ScheduleEntry& entry : report_.entries) {
      if (!entry.applies()) return entry.reason;
    }
    return "none was asked for";
  }

  void measure_precision() {
    report_.error_bound = request_.error_bound;
    report_.precision_limit = std::max(kPrecisionLimit, 2 * request_.target_length);
    report_.precision_limit = std::min(report_.precision_limit, rw::kMaximumPrecisionPosition - 1);
    report_.precision.resize(report_.comparison.schedules.size());
    for (const ScheduleEntry& entry : report_.entries) {
      if (!entry.applies()) continue;
      const rw::Spectrum& spectrum = report_.compared(entry).spectrum;
      const rw::AnglePath paths[] = {rw::exact_path(), rw::float32_path(spectrum),
                                     rw::ggml_cpu_path(entry.config, spectrum),
                                     rw::bfloat16_path(spectrum)};
      for (const rw::AnglePath& path : paths) {
        report_.precision[entry.compared].push_back(
            rw::precision_budget(spectrum, path, request_.error_bound, report_.precision_limit));
      }
    }
  }

  /// The recommended schedule; else the first that is not the trained one.
  void feature() {
    for (const ScheduleEntry& entry : report_.entries) {
      if (entry.applies() && entry.method == report_.length.recommended) {
        report_.featured = entry.compared;
        return;
      }
    }
    for (const ScheduleEntry& entry : report_.entries) {
      if (entry.applies() && entry.method != "none") {
        report_.featured = entry.compared;
        return;
      }
    }
  }

  const ScheduleRequest& request_;
  const rw::RopeVariant& rope_;
  ScheduleReport& report_;
};

void check_lengths(const ScheduleRequest& request, const LengthReport& length) {
  const std::int64_t target = request.target_length;
  const std::string tokens = std::to_string(target);
  if (target < kShortestLength) {
    throw Failure{kUsageError,
                  "--target-length " + tokens + " is below 7, where no pair makes a full turn"};
  }
  if (target > kLongestLength) {
    throw Failure{kUsageError, "--target-length " + tokens + " is above " +
                                   std::to_string(kLongestLength) +
                                   ": every distance is visited, for every schedule"};
  }
  if (!length.diagnosed) {
    throw Failure{kNoSchedule, length.no_schedule.empty() ? length.reason : length.no_schedule};
  }
  const std::int64_t trained = length.plain.original_length;
  if (target < trained) {
    throw Failure{kUsageError, "--target-length " + tokens + " is below the trained length, " +
                                   std::to_string(trained) + ": there is nothing to extend"};
  }
}

}  // namespace

std::string method_names() {
  std::string names;
  for (const std::string_view name : kUsual) names += std::string(name) + ", ";
  for (const std::string_view name : kFurther) names += std::string(name) + ", ";
  return names + "theta=X";
}

std::vector<std::string> parse_methods(const std::string& list) {
  if (list.empty()) throw Failure{kUsageError, "--methods is empty: " + method_names()};
  std::vector<std::string> methods;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string name = list.substr(at, end - at);
    check_method(name, methods);
    methods.push_back(name);
    at = end + 1;
  }
  if (methods.size() > kMostMethods) {
    throw Failure{kUsageError, "--methods names " + std::to_string(methods.size()) +
                                   " schedules; at most " + std::to_string(kMostMethods) +
                                   " can be told apart in a figure"};
  }
  return methods;
}

ScheduleReport compare_schedules(const rw::ModelConfig& model, const std::string& title,
                                 const ScheduleRequest& request) {
  ScheduleReport report;
  report.model = &model;
  report.title = title;
  report.length = report_length(model, request.target_length, request.trained_length);
  check_lengths(request, report.length);
  Gathering(model, request, report).run();
  return report;
}

}  // namespace report
