#include "bench.hpp"

#include <cmath>
#include <cstdlib>

namespace ropewalk_bench {
namespace {

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return format("%.2f us", seconds * 1e6);
  return format("%.3f ms", seconds * 1e3);
}

std::string rate_text(const Row& row) {
  if (row.work <= 0) return "";
  return format(row.bytes ? "%.3f TB/s" : "%.1f TFLOP/s", row.rate() * 1e-12);
}

std::string bound_text(const Row& row) {
  if (!row.has_bound) return "";
  return format(row.bound.higher ? ">= %.2f" : "<= %.2f", row.bound.acceptable) + " / " +
         format("%.2f", row.bound.target);
}

}  // namespace

std::string Row::verdict() const {
  if (!has_bound) return "";
  const auto holds = [this](double limit) {
    return bound.higher ? ratio >= limit : ratio <= limit;
  };
  return holds(bound.target) ? "target" : (holds(bound.acceptable) ? "acceptable" : "missed");
}

Report::Report(const Options& options) : options_(options) {
  if (options_.csv.empty() || options_.list) return;
  file_ = std::fopen(options_.csv.c_str(), "w");
  if (file_ == nullptr) {
    std::fprintf(stderr, "%s cannot be written\n", options_.csv.c_str());
    std::exit(2);
  }
  std::fputs(
      "family,case,element,sequences,heads,kv_heads,head_dim,queries,keys,mask,statistics,seconds,"
      "low,high,rate,unit,peer,ratio,sense,acceptable,target,verdict\n",
      file_);
}

Report::~Report() {
  if (file_ != nullptr) std::fclose(file_);
}

bool Report::wants(const std::string& family, const std::string& name) const {
  const std::string whole = family + "/" + name;
  if (whole.find(options_.filter) == std::string::npos) return false;
  if (!options_.list) return true;
  std::printf("%s\n", whole.c_str());
  return false;
}

void Report::note(const std::string& text) const {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void Report::add(const Row& row) {
  if (row.family != family_) {
    std::printf("\n| %s | time | quartiles | rate | ratio | to | acceptable / target | met |\n",
                row.family.c_str());
    std::printf("|---|---|---|---|---|---|---|---|\n");
    family_ = row.family;
  }
  std::printf("| %s | %s | %s .. %s | %s | %s | %s | %s | %s |\n", row.name.c_str(),
              time_text(row.seconds).c_str(), time_text(row.low).c_str(),
              time_text(row.high).c_str(), rate_text(row).c_str(),
              row.peer.empty() ? "" : format("%.3f", row.ratio).c_str(), row.peer.c_str(),
              bound_text(row).c_str(), row.verdict().c_str());
  std::fflush(stdout);
  rows_.push_back(row);
  if (file_ == nullptr) return;
  const auto number = [](std::int64_t value) { return static_cast<long long>(value); };
  const CaseShape& shape = row.shape;
  std::fprintf(file_, "%s,%s,%s,%lld,%lld,%lld,%lld,%lld,%lld,%s,%s,", row.family.c_str(),
               row.name.c_str(), row.element.c_str(), number(shape.sequences), number(shape.heads),
               number(shape.kv_heads), number(shape.head_dim), number(shape.queries),
               number(shape.keys), shape.mask.c_str(), shape.statistics.c_str());
  std::fprintf(file_, "%.9g,%.9g,%.9g,%.6g,%s,%s,%.6g,%s,%g,%g,%s\n", row.seconds, row.low,
               row.high, row.rate(), row.bytes ? "byte/s" : "flop/s", row.peer.c_str(), row.ratio,
               row.has_bound ? (row.bound.higher ? "at least" : "at most") : "",
               row.bound.acceptable, row.bound.target, row.verdict().c_str());
  std::fflush(file_);
}

void Report::print_bounds() const {
  int target = 0;
  int acceptable = 0;
  int missed = 0;
  for (const Row& row : rows_) {
    target += row.verdict() == "target";
    acceptable += row.verdict() == "acceptable";
    missed += row.verdict() == "missed";
  }
  std::printf("\nBounds: %d met the target, %d are acceptable, %d missed\n", target, acceptable,
              missed);
  for (const Row& row : rows_) {
    if (row.verdict() != "missed") continue;
    std::printf("- missed: %s/%s, %.3f of %s, asked %s\n", row.family.c_str(), row.name.c_str(),
                row.ratio, row.peer.c_str(), bound_text(row).c_str());
  }
}

void require_close(const std::string& what, double value, double expected, double bound) {
  if (std::fabs(value - expected) <= bound) return;  // a NaN is not
  std::fflush(stdout);
  std::fprintf(stderr, "%s is %.9g, not %.9g within %.3g\n", what.c_str(), value, expected, bound);
  std::exit(1);
}

}  // namespace ropewalk_bench
