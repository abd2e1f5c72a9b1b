// Memory of the device, random data in it, and calls that end the program where they fail.
#pragma once

#include <ropewalk/cuda/launch.cuh>
#include <ropewalk/element.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk_bench {

/// Ends the program with what failed.
void require(cudaError_t error, const std::string& what);
void require(const ropewalk::cuda::Status& status, const std::string& what);

/// The card, as far as a measurement asks.
struct Device {
  std::string name;
  std::string driver;
  std::string runtime;
  int capability = 0;  // 10 * major + minor
  int processors = 0;
  std::int64_t cache_bytes = 0;  // the last one
  std::int64_t memory_bytes = 0;
};
Device device_of_the_moment();

/// Elements in device memory.
template <typename T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(std::int64_t size) : size_(size) {
    if (size > 0) require(cudaMalloc(&data_, bytes()), "cudaMalloc of " + std::to_string(bytes()));
  }
  explicit DeviceArray(const std::vector<T>& host)
      : DeviceArray(static_cast<std::int64_t>(host.size())) {
    require(cudaMemcpy(data_, host.data(), bytes(), cudaMemcpyHostToDevice), "upload");
  }
  DeviceArray(DeviceArray&& other) noexcept { swap(other); }
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceArray() { cudaFree(data_); }

  T* data() const { return data_; }
  std::int64_t size() const { return size_; }
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

  std::vector<T> download() const {
    std::vector<T> host(static_cast<std::size_t>(size_));
    require(cudaMemcpy(host.data(), data_, bytes(), cudaMemcpyDeviceToHost), "download");
    return host;
  }
  void poison() { require(cudaMemset(data_, 0xff, bytes()), "cudaMemset"); }

 private:
  void swap(DeviceArray& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

/// Numbers of a normal distribution with this deviation, the same for the same seed.
///   T            float, float16, bfloat16
template <typename T>
void fill_normal(T* data, std::int64_t size, double deviation, std::uint64_t seed);

template <typename T>
DeviceArray<T> normal_array(std::int64_t size, double deviation, std::uint64_t seed) {
  DeviceArray<T> array(size);
  fill_normal(array.data(), size, deviation, seed);
  return array;
}

/// Rows of head_dim elements each, `stride` elements apart, as doubles.
template <typename T>
std::vector<double> download_rows(const T* device, std::int64_t rows, std::int64_t stride,
                                  int head_dim) {
  std::vector<T> host(static_cast<std::size_t>(rows) * static_cast<std::size_t>(head_dim));
  const std::size_t width = static_cast<std::size_t>(head_dim) * sizeof(T);
  require(cudaMemcpy2D(host.data(), width, device, static_cast<std::size_t>(stride) * sizeof(T),
                       width, static_cast<std::size_t>(rows), cudaMemcpyDeviceToHost),
          "download");
  std::vector<double> values(host.size());
  for (std::size_t i = 0; i < host.size(); ++i) {
    values[i] = static_cast<double>(ropewalk::ElementTraits<T>::load(host[i]));
  }
  return values;
}

/// Sets of inputs to go through in turn, so that none is found in the cache: together more than
/// four times as large, and never fewer than two.
int rotating_sets(const Device& device, std::int64_t bytes_of_one);

}  // namespace ropewalk_bench
