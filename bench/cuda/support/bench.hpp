// The measured cases: what they are, what they are held against, and where they are printed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace ropewalk_bench {

struct Options {
  std::string filter;  // cases whose "family/name" holds this
  std::string csv;     // a file, or empty
  int repetitions = 21;
  bool all = false;   // every size
  bool list = false;  // names only
};

/// What a comparison asks of this project.
///   higher       ratio = peer's time / ours, at least as given; else ours / peer's, at most
struct Bound {
  double acceptable = 0;
  double target = 0;
  bool higher = true;
};

/// Sizes of an attention, for whoever measures the same elsewhere. Zeros where there is none.
struct CaseShape {
  std::int64_t sequences = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t queries = 0;
  std::int64_t keys = 0;
  std::string mask;        // causal, full
  std::string statistics;  // lse, entropy, variance
};

/// One measured case.
struct Row {
  std::string family;
  std::string name;
  std::string element;
  CaseShape shape;
  double seconds = 0;  // median
  double low = 0;      // quartiles
  double high = 0;
  double work = 0;  // bytes or operations
  bool bytes = true;
  std::string peer;  // empty: none in this run
  double ratio = 0;
  bool has_bound = false;
  Bound bound;

  double rate() const { return seconds > 0 ? work / seconds : 0; }
  std::string verdict() const;  // target, acceptable, missed; empty without a bound
};

/// What the memory and the matrix units of this card gave in this run; 0 where it was not measured.
struct Ceilings {
  double copy = 0;    // bytes read and written per second
  double matmul = 0;  // operations per second
};

/// Takes rows, prints them and writes them to the file as they come, so that a run that is cut short
/// leaves what it had.
class Report {
 public:
  explicit Report(const Options& options);
  ~Report();
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  /// Whether this case is asked for. Prints its name where only names are.
  bool wants(const std::string& family, const std::string& name) const;

  void note(const std::string& text) const;
  void add(const Row& row);
  /// The bounds once more, together.
  void print_bounds() const;

  const Options& options() const { return options_; }
  Ceilings ceilings;

 private:
  Options options_;
  std::FILE* file_ = nullptr;
  std::string family_;
  std::vector<Row> rows_;
};

/// Relative difference that a comparison of an answer ends the program at.
void require_close(const std::string& what, double value, double expected, double bound);

}  // namespace ropewalk_bench
