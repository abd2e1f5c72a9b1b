#include "timing.cuh"

#include <algorithm>
#include <memory>
#include <utility>

namespace ropewalk_bench {
namespace {

constexpr double kSeconds = 5e-3;  // of a repetition: the first launch is in it
constexpr double kWarmUp = 50e-3;  // clocks rise, code is loaded
constexpr int kMostCalls = 256;    // in a repetition

class Clock {
 public:
  Clock() {
    require(cudaEventCreate(&start_), "cudaEventCreate");
    require(cudaEventCreate(&end_), "cudaEventCreate");
  }
  ~Clock() {
    cudaEventDestroy(start_);
    cudaEventDestroy(end_);
  }
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  template <typename Work>
  double seconds(cudaStream_t stream, Work&& work) {
    require(cudaEventRecord(start_, stream), "cudaEventRecord");
    work();
    require(cudaEventRecord(end_, stream), "cudaEventRecord");
    require(cudaEventSynchronize(end_), "a measured call");
    require(cudaGetLastError(), "a measured call");
    float milliseconds = 0;
    require(cudaEventElapsedTime(&milliseconds, start_, end_), "cudaEventElapsedTime");
    return 1e-3 * static_cast<double>(milliseconds);
  }

 private:
  cudaEvent_t start_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

/// A call, so many at a time.
class Batch {
 public:
  Batch(const Call& call, Clock& clock, cudaStream_t stream, bool graph)
      : call_(call), clock_(clock), stream_(stream) {
    run_one();
    double spent = 0;
    double one = 1;
    do {
      one = std::min(one, clock_.seconds(stream_, [this] { run_one(); }));
      spent += std::max(one, 10e-6);
    } while (spent < kWarmUp);
    count_ = std::clamp(static_cast<int>(kSeconds / std::max(one, 1e-6)), 1, kMostCalls);
    if (graph) capture();
  }
  ~Batch() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  double seconds() {
    const double all = clock_.seconds(stream_, [this] {
      if (graph_ != nullptr) {
        require(cudaGraphLaunch(graph_, stream_), "cudaGraphLaunch");
      } else {
        for (int i = 0; i < count_; ++i) run_one();
      }
    });
    return all / count_;
  }

 private:
  void run_one() { call_(index_++, stream_); }

  void capture() {
    cudaGraph_t graph = nullptr;
    require(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "capture");
    for (int i = 0; i < count_; ++i) run_one();
    require(cudaStreamEndCapture(stream_, &graph), "capture");
    require(cudaGraphInstantiate(&graph_, graph, 0), "cudaGraphInstantiate");
    cudaGraphDestroy(graph);
    clock_.seconds(stream_, [this] { require(cudaGraphLaunch(graph_, stream_), "a graph"); });
  }

  const Call& call_;
  Clock& clock_;
  cudaStream_t stream_;
  std::int64_t index_ = 0;
  int count_ = 1;
  cudaGraphExec_t graph_ = nullptr;
};

Timing timing_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    return samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1) + 0.5)];
  };
  return {at(0.5), at(0.25), at(0.75)};
}

}  // namespace

std::vector<Timing> measure(const std::vector<Call>& calls, int repetitions, bool graph) {
  cudaStream_t stream = nullptr;
  require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  require(cudaDeviceSynchronize(), "what came before");
  std::vector<Timing> timings;
  {
    Clock clock;
    std::vector<std::unique_ptr<Batch>> batches;
    for (const Call& call : calls) {
      batches.push_back(std::make_unique<Batch>(call, clock, stream, graph));
    }
    std::vector<std::vector<double>> samples(calls.size());
    for (int repetition = 0; repetition < repetitions; ++repetition) {
      for (std::size_t i = 0; i < batches.size(); ++i) {
        samples[i].push_back(batches[i]->seconds());
      }
    }
    for (std::vector<double>& one : samples) timings.push_back(timing_of(std::move(one)));
  }
  cudaStreamDestroy(stream);
  return timings;
}

}  // namespace ropewalk_bench
