// What the device tests share: memory on both sides, poison, repetition, and the answer where no
// device is.
//   A program runs `shapes` random shapes per case; its first argument, if any, is a smaller number
//   (under compute-sanitizer).
#pragma once

#include <ropewalk/cuda/launch.cuh>

#include "cuda/array.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace ropewalk_test {

inline void require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::printf("%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

inline void require(const ropewalk::cuda::Status& status, const char* what) {
  if (status.fault.code != ropewalk::Errc::ok) {
    std::printf("%s: %s %s\n", what, status.fault.field, ropewalk::message(status.fault.code));
  }
  require(status.error, what);
}

/// Memory on both sides, of one size. Allocations are aligned to 256 bytes on the device.
template <typename T>
struct Both {
  std::vector<T> host;
  T* device = nullptr;

  explicit Both(std::int64_t size) : host(static_cast<std::size_t>(size)) {
    require(cudaMalloc(&device, bytes() == 0 ? 1 : bytes()), "cudaMalloc");
  }
  ~Both() { cudaFree(device); }
  Both(const Both&) = delete;
  Both& operator=(const Both&) = delete;

  std::size_t bytes() const { return host.size() * sizeof(T); }

  void upload() {
    require(cudaMemcpy(device, host.data(), bytes(), cudaMemcpyHostToDevice), "upload");
  }

  /// What the device holds, once all that was launched has ended.
  std::vector<T> download() const {
    require(cudaDeviceSynchronize(), "the kernels");
    std::vector<T> copy(host.size());
    require(cudaMemcpy(copy.data(), device, bytes(), cudaMemcpyDeviceToHost), "download");
    return copy;
  }

  /// Bytes 0xff on both sides: NaN in every floating type, -1 in every integer type.
  void poison() {
    std::memset(host.data(), 0xff, bytes());
    upload();
  }
};

/// Copies on the device of arrays of the host, and the addresses there.
class Mirror {
 public:
  explicit Mirror(const std::vector<Array>& arrays) {
    for (const Array& array : arrays) {
      if (array.bytes == 0) continue;
      arrays_.push_back(array);
      copies_.push_back(std::make_unique<Both<unsigned char>>(array.bytes));
      std::memcpy(copies_.back()->host.data(), array.data, array.bytes);
    }
    upload();
  }

  /// The address on the device of one of the host, within an array or at its end; null stays null.
  template <typename T>
  T* of(T* address) const {
    if (address == nullptr) return nullptr;
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    for (const std::size_t beyond : {0, 1}) {
      for (std::size_t i = 0; i < arrays_.size(); ++i) {
        const std::size_t offset = wanted - reinterpret_cast<std::uintptr_t>(arrays_[i].data);
        if (offset >= arrays_[i].bytes + beyond) continue;
        return reinterpret_cast<T*>(copies_[i]->device + offset);
      }
    }
    std::printf("an address of no array\n");
    std::exit(1);
  }

  /// As the arrays were when the mirror was made.
  void upload() {
    for (auto& copy : copies_) copy->upload();
  }

  std::vector<std::vector<unsigned char>> download() const {
    std::vector<std::vector<unsigned char>> bytes;
    for (const auto& copy : copies_) bytes.push_back(copy->download());
    return bytes;
  }

  /// What the device holds, into the arrays of the host.
  void write_back() const {
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      const std::vector<unsigned char> bytes = copies_[i]->download();
      std::memcpy(const_cast<void*>(arrays_[i].data), bytes.data(), bytes.size());
    }
  }

 private:
  std::vector<Array> arrays_;
  std::vector<std::unique_ptr<Both<unsigned char>>> copies_;
};

/// Runs of `run`, which answers with what can be compared, that differ from the first one's.
template <typename Run>
int count_unequal_runs(int runs, const Run& run) {
  const auto first = run();
  int unequal = 0;
  for (int i = 1; i < runs; ++i) unequal += run() != first;
  return unequal;
}

/// Captures what a launch does to a stream and runs it as a graph: whoever waits or allocates in
/// between fails here.
template <typename Launch>
void run_captured(const Launch& launch) {
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t runnable = nullptr;
  require(cudaStreamCreate(&stream), "cudaStreamCreate");
  require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "cudaStreamBeginCapture");
  launch(stream);
  require(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  require(cudaGraphInstantiate(&runnable, graph, 0), "cudaGraphInstantiate");
  require(cudaGraphLaunch(runnable, stream), "cudaGraphLaunch");
  require(cudaStreamSynchronize(stream), "the graph");
  cudaGraphExecDestroy(runnable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

/// The main of a device test.
///   shapes       per case
///   run          void(int shapes) -> number of things that are wrong
template <typename Run>
int device_main(int count, char** arguments, int cases, int shapes, const Run& run) {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice ||
      (error == cudaSuccess && devices == 0)) {
    std::printf("skip: %d shapes, no device answers (error %d)\n", cases * shapes,
                static_cast<int>(error));
    return 0;
  }
  require(error, "cudaGetDeviceCount");
  if (count > 1) {
    const int fewer = std::atoi(arguments[1]);
    if (fewer >= 1 && fewer < shapes) shapes = fewer;
  }
  const int wrong = run(shapes);
  std::printf("%d cases of %d shapes, %d things wrong\n", cases, shapes, wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace ropewalk_test
