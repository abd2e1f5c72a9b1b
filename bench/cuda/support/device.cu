#include "device.cuh"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace ropewalk_bench {
namespace {

namespace rw = ropewalk;

__device__ std::uint64_t mixed(std::uint64_t z) {  // splitmix64
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Two numbers of a normal distribution per word (Box and Muller).
template <typename T>
__global__ void fill(T* data, std::int64_t size, float deviation, std::uint64_t seed) {
  const std::int64_t threads = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (std::int64_t pair = first; 2 * pair < size; pair += threads) {
    const std::uint64_t word =
        mixed(seed + 0x9e3779b97f4a7c15u * (static_cast<std::uint64_t>(pair) + 1));
    const float radius =
        sqrtf(-2.0f * logf((static_cast<float>(word >> 40) + 0.5f) * 0x1p-24f)) * deviation;
    const float turn = static_cast<float>(word & 0xffffffu) * 0x1p-23f;
    data[2 * pair] = rw::ElementTraits<T>::store(radius * cospif(turn));
    if (2 * pair + 1 < size)
      data[2 * pair + 1] = rw::ElementTraits<T>::store(radius * sinpif(turn));
  }
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// The kernel module's own number, where it tells: the first word like 580.159.04.
std::string driver_number() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word.find_first_not_of("0123456789.") == std::string::npos && word.find('.') != word.npos) {
      return word;
    }
  }
  return "unknown";
}

}  // namespace

void require(cudaError_t error, const std::string& what) {
  if (error == cudaSuccess) return;
  std::fflush(stdout);
  std::fprintf(stderr, "%s: %s\n", what.c_str(), cudaGetErrorString(error));
  std::exit(1);
}

void require(const rw::cuda::Status& status, const std::string& what) {
  if (status.fault.code == rw::Errc::ok) return require(status.error, what);
  std::fflush(stdout);
  std::fprintf(stderr, "%s: %s %s (%g)\n", what.c_str(), status.fault.field,
               rw::message(status.fault.code), status.fault.value);
  std::exit(1);
}

Device device_of_the_moment() {
  cudaDeviceProp properties;
  require(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  int driver = 0;
  int runtime = 0;
  require(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  require(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  Device device;
  device.name = properties.name;
  device.driver = driver_number() + " (CUDA " + version_text(driver) + ")";
  device.runtime = version_text(runtime);
  device.capability = 10 * properties.major + properties.minor;
  device.processors = properties.multiProcessorCount;
  device.cache_bytes = properties.l2CacheSize;
  device.memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
  return device;
}

template <typename T>
void fill_normal(T* data, std::int64_t size, double deviation, std::uint64_t seed) {
  if (size == 0) return;
  fill<<<2048, 256>>>(data, size, static_cast<float>(deviation), seed);
  require(cudaGetLastError(), "fill");
}
template void fill_normal(float*, std::int64_t, double, std::uint64_t);
template void fill_normal(rw::float16*, std::int64_t, double, std::uint64_t);
template void fill_normal(rw::bfloat16*, std::int64_t, double, std::uint64_t);

int rotating_sets(const Device& device, std::int64_t bytes_of_one) {
  const std::int64_t sets = 4 * device.cache_bytes / (bytes_of_one < 1 ? 1 : bytes_of_one) + 1;
  return static_cast<int>(sets < 2 ? 2 : (sets > 64 ? 64 : sets));
}

}  // namespace ropewalk_bench
