// Measures the kernels on a card, beside what its memory and its matrix units give in the same run.
//
//     bench_cuda [--filter TEXT] [--repetitions N] [--csv FILE] [--all] [--list]
//
//   --filter       cases whose "family/name" holds TEXT; the ceilings are measured always
//   --repetitions  medians are of so many, 21 unless said
//   --csv          writes a line per case, which compare_torch.py reads
//   --all          more sizes
//   --list         prints the names of the cases; needs no device
//
// Exit code 0: measured. 1: a call failed or an answer was wrong. 2: not understood. 77: no device
// answers, nothing was measured.
#include "families.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

using namespace ropewalk_bench;

constexpr int kNotUnderstood = 2;
constexpr int kNoDevice = 77;

[[noreturn]] void refuse(const char* what) {
  std::fprintf(stderr,
               "%s\nbench_cuda [--filter TEXT] [--repetitions N] [--csv FILE] [--all] [--list]\n",
               what);
  std::exit(kNotUnderstood);
}

Options options_of(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const auto is = [&](const char* name) { return std::strcmp(arguments[i], name) == 0; };
    const auto value = [&]() -> const char* {
      if (i + 1 == count) refuse("a value is missing");
      return arguments[++i];
    };
    if (is("--all")) {
      options.all = true;
    } else if (is("--list")) {
      options.list = true;
    } else if (is("--filter")) {
      options.filter = value();
    } else if (is("--csv")) {
      options.csv = value();
    } else if (is("--repetitions")) {
      options.repetitions = std::atoi(value());
      if (options.repetitions < 1) refuse("--repetitions takes a number from 1 on");
    } else {
      refuse(arguments[i]);
    }
  }
  return options;
}

}  // namespace

int main(int count, char** arguments) {
  const Options options = options_of(count, arguments);
  Report report(options);
  Device device;
  if (!options.list) {
    int devices = 0;
    const cudaError_t error = cudaGetDeviceCount(&devices);
    if (error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice) {
      std::printf("no CUDA device answers (error %d, %s): nothing was measured\n",
                  static_cast<int>(error), cudaGetErrorString(error));
      return kNoDevice;
    }
    require(error, "cudaGetDeviceCount");
    device = device_of_the_moment();
    std::printf(
        "%s, compute capability %d.%d, %d processors, last cache %.0f MB; driver %s, "
        "toolkit %d.%d, runtime %s; medians of %d\n",
        device.name.c_str(), device.capability / 10, device.capability % 10, device.processors,
        static_cast<double>(device.cache_bytes) * 0x1p-20, device.driver.c_str(),
        CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10, device.runtime.c_str(),
        options.repetitions);
    measure_ceilings(report, device);
  }
  rotary_cases(report, device);
  cache_write_cases(report, device);
  forward_cases(report, device);
  decode_cases(report, device);
  gradient_cases(report, device);
  if (!options.list) report.print_bounds();
  return 0;
}
