// Google Benchmark, group by group: registration, a reporter that keeps every repetition, tables.
#include "group.hpp"
#include "report.hpp"
#include "team.hpp"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk_bench {

namespace {

/// Keeps every repetition of the group at hand. Hands all on to a JSON file where one is asked for,
/// which Google Benchmark itself would begin anew with every group.
class Collector : public benchmark::BenchmarkReporter {
 public:
  Collector(std::string title, const std::string& json_path) : title_(std::move(title)) {
    SetErrorStream(&nowhere_);  // groups without a selected case are no mistake
    if (json_path.empty()) return;
    file_.open(json_path);
    if (!file_) {
      std::fprintf(stderr, "cannot write %s\n", json_path.c_str());
      std::exit(1);
    }
    json_ = std::make_unique<benchmark::JSONReporter>();
    json_->SetOutputStream(&file_);
  }

  bool ReportContext(const Context& context) override {
    if (!began_) {
      print_header(title_);
      if (json_) json_->ReportContext(context);
    }
    began_ = true;
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      const std::string& name = run.run_name.function_name;
      const double items = run.counters.at("items_per_second");
      Samples& samples = results_[name.substr(name.rfind('/') + 1)];
      samples.ns.push_back(1e9 / items);
      samples.bytes_per_item = run.counters.at("bytes_per_second") / items;
    }
    if (json_) json_->ReportRuns(runs);
  }

  Results take() { return std::exchange(results_, {}); }
  void close() {
    if (json_ && began_) json_->Finalize();
  }

 private:
  std::string title_;
  std::ostream nowhere_{nullptr};
  std::ofstream file_;
  std::unique_ptr<benchmark::JSONReporter> json_;
  Results results_;
  bool began_ = false;
};

/// What all repetitions of one case share.
class Prepared {
 public:
  explicit Prepared(const Case& one) : case_(one) {}

  void repeat(benchmark::State& state, Team& team) {
    if (!run_) run_ = case_.prepare();
    const std::int64_t times = state.max_iterations;
    const auto time = [&](std::int64_t count) {
      return case_.rest ? Team::time_alone(run_, count) : team.time(run_, count);
    };
    // Back into the caches; what takes longer than this does not live there.
    if (seconds_ < 3e-3) time(1 + times / 8);
    while (state.KeepRunningBatch(times)) {
      const double seconds = time(times);
      seconds_ = seconds / static_cast<double>(times);
      state.SetIterationTime(seconds);
    }
    if (case_.rest) case_.rest();
    const auto count = static_cast<double>(state.iterations());
    using Rate = benchmark::Counter;
    state.counters["items_per_second"] = Rate(count * case_.items, Rate::kIsRate);
    state.counters["bytes_per_second"] = Rate(count * case_.bytes, Rate::kIsRate);
  }

 private:
  const Case& case_;
  ropewalk_bench::Run run_;
  double seconds_ = 0.0;  // of one run, the last time
};

/// The words of the command line after ours, so that they win; `json_path` is kept back.
struct Words {
  std::vector<std::string> all;
  std::string json_path;
  bool repetitions = false;

  Words(int argc, char** argv) {
    all = {argc > 0 ? argv[0] : "bench", "--benchmark_enable_random_interleaving=true",
           "--benchmark_min_time=0.002"};
    const std::string out = "--benchmark_out=";
    for (int index = 1; index < argc; ++index) {
      const std::string word = argv[index];
      if (word.rfind(out, 0) == 0) {
        json_path = word.substr(out.size());
      } else {
        repetitions = repetitions || word.rfind("--benchmark_repetitions", 0) == 0;
        all.push_back(word);
      }
    }
  }
};

}  // namespace

int run_groups(int argc, char** argv, const std::string& title, const std::vector<Group>& groups) {
  Words words(argc, argv);
  std::vector<char*> pointers;
  for (std::string& word : words.all) pointers.push_back(word.data());
  int count = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 1;
  benchmark::AddCustomContext("compiler", compiler_name());
  benchmark::AddCustomContext("flags", flags_text());
  benchmark::AddCustomContext("processor", processor_name());

  Collector collector(title, words.json_path);
  std::size_t selected = 0;
  std::string bounds;
  for (const Group& group : groups) {
    Team team(group.threads);
    std::vector<Prepared> prepared;
    for (const Case& one : group.cases) prepared.emplace_back(one);
    for (std::size_t index = 0; index < prepared.size(); ++index) {
      const std::string name = group.name + "/" + group.cases[index].name;
      auto* const registered = benchmark::RegisterBenchmark(
          name.c_str(), [&team, &one = prepared[index]](auto& state) { one.repeat(state, team); });
      registered->UseManualTime();
      if (!words.repetitions) registered->Repetitions(group.repetitions);
    }
    selected += benchmark::RunSpecifiedBenchmarks(&collector);
    benchmark::ClearRegisteredBenchmarks();
    const Results results = collector.take();
    if (results.empty()) continue;
    if (group.print) {
      group.print(results);
    } else {
      print_group(group, results);
    }
    for (const Bound& bound : group.bounds) bounds += bound_line(bound, results);
  }
  collector.close();
  benchmark::Shutdown();
  if (selected == 0) std::fprintf(stderr, "no benchmark of that name\n");
  if (!bounds.empty()) {
    std::printf(
        "\nBounds of this project\n\n| what | unit | floor | target | measured | quartiles | the "
        "floor is | the target is |\n|---|---|---|---|---|---|---|---|\n%s",
        bounds.c_str());
  }
  return selected == 0 ? 1 : 0;
}

}  // namespace ropewalk_bench
