// What a user's object file shows to others: two vendored copies must not meet, and an entry point
// may neither allocate nor wait.
//   object_check <object file>...
// Fails where a kernel, its stub or a function that takes a stream is visible outside of the shared
// object, where none of them is there at all, and where a function of the CUDA runtime is called
// that is not known to be fit for a stream that is captured.
#include "elf.hpp"

#include <cstdio>
#include <exception>
#include <set>
#include <string>

namespace {

const std::set<std::string> kFitForCapture = {
    "cudaFuncGetAttributes",
    "cudaFuncSetAttribute",
    "cudaGetDevice",
    "cudaDeviceGetAttribute",
    "cudaGetLastError",
    "cudaPeekAtLastError",
    "cudaLaunchKernel",
    "cudaLaunchKernelExC",
    "cudaGetErrorString",
    "cudaMemsetAsync",
    "cudaOccupancyMaxActiveBlocksPerMultiprocessor",
    "cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags",
};

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

int check(const char* path) {
  const ropewalk_test::Elf object(path);
  int hidden = 0;
  int wrong = 0;
  for (const auto& symbol : object.symbols()) {
    if (!symbol.defined) {
      const bool runtime = symbol.name.rfind("cuda", 0) == 0;
      if (!runtime || kFitForCapture.count(symbol.name) != 0) continue;
      std::printf("check refuses: %s is called\n", symbol.name.c_str());
      ++wrong;
      continue;
    }
    const bool ours = symbol.name.rfind("_ZN8ropewalk", 0) == 0 ||
                      contains(symbol.name, "__device_stub__ZN8ropewalk");
    if (!ours || !(contains(symbol.name, "CUstream_st") || contains(symbol.name, "_kernel") ||
                   contains(symbol.name, "__device_stub__") || contains(symbol.name, "_job"))) {
      continue;
    }
    if (symbol.binding == 0 || symbol.visibility == 2) {
      ++hidden;
      continue;
    }
    std::printf("check refuses: %s is visible\n", symbol.name.c_str());
    ++wrong;
  }
  if (hidden == 0) {
    std::printf("check refuses: no kernel and no launcher in %s\n", path);
    ++wrong;
  }
  std::printf("%s: %d kernels, stubs and launchers are hidden\n", path, hidden);
  return wrong;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  int wrong = 0;
  try {
    for (int i = 1; i < count; ++i) wrong += check(arguments[i]);
  } catch (const std::exception& error) {
    std::printf("check refuses: %s\n", error.what());
    return 2;
  }
  return wrong == 0 ? 0 : 1;
}
