// What the card gives: a copy from device memory to device memory, and a product of matrices by
// cuBLAS, which is opened when the program runs, so that the program links without it.
#include "families.hpp"
#include "support/timing.cuh"

#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

#if defined(__linux__) && __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
#include <dlfcn.h>
#define ROPEWALK_BENCH_CUBLAS
#endif

namespace ropewalk_bench {
namespace {

namespace rw = ropewalk;

constexpr std::int64_t kCopyBytes = std::int64_t{1} << 30;

Row ceiling(const char* name, const Timing& timing, double work, bool bytes) {
  Row row;
  row.family = "ceilings";
  row.name = name;
  row.seconds = timing.median;
  row.low = timing.low;
  row.high = timing.high;
  row.work = work;
  row.bytes = bytes;
  return row;
}

void measure_copy(Report& report) {
  const auto from = normal_array<float>(kCopyBytes / 4, 1.0, 1);
  DeviceArray<float> to(kCopyBytes / 4);
  const Call copy = [&](std::int64_t, cudaStream_t stream) {
    require(cudaMemcpyAsync(to.data(), from.data(), from.bytes(), cudaMemcpyDeviceToDevice, stream),
            "cudaMemcpyAsync");
  };
  const Timing timing = measure({copy}, report.options().repetitions)[0];
  const Row row = ceiling("copy of 1 GiB", timing, 2.0 * static_cast<double>(kCopyBytes), true);
  report.ceilings.copy = row.rate();
  report.add(row);
}

#ifdef ROPEWALK_BENCH_CUBLAS

// Spelled out: in C++ the header overloads the name.
using Multiply = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int,
                                    int, const void*, const void*, cudaDataType, int, const void*,
                                    cudaDataType, int, const void*, void*, cudaDataType, int,
                                    cublasComputeType_t, cublasGemmAlgo_t);

/// The library's functions that are used, or why there are none.
struct Blas {
  decltype(&cublasCreate) create = nullptr;
  decltype(&cublasSetStream) set_stream = nullptr;
  Multiply multiply = nullptr;
  std::string missing;
};

Blas open_blas() {
  const std::string file = "libcublas.so." + std::to_string(CUBLAS_VER_MAJOR);
  Blas blas;
  void* library = nullptr;
  for (const std::string& folder : {std::string(), std::string("/usr/local/cuda/lib64/")}) {
    if (library == nullptr) library = dlopen((folder + file).c_str(), RTLD_NOW);
  }
  if (library == nullptr) {
    blas.missing = file + " was not found (LD_LIBRARY_PATH may name its folder)";
    return blas;
  }
  const auto find = [&](auto& function, const char* name) {
    void* symbol = dlsym(library, name);
    if (symbol == nullptr) blas.missing = file + " has no " + name;
    function = reinterpret_cast<std::decay_t<decltype(function)>>(symbol);
  };
  find(blas.create, "cublasCreate_v2");
  find(blas.set_stream, "cublasSetStream_v2");
  find(blas.multiply, "cublasGemmEx");
  return blas;
}

void require_blas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  std::fprintf(stderr, "%s: cuBLAS status %d\n", what, static_cast<int>(status));
  std::exit(1);
}

void measure_matmul(Report& report) {
  const Blas blas = open_blas();
  if (!blas.missing.empty()) {
    report.note("no matrix product measured: " + blas.missing);
    return;
  }
  constexpr int size = 8192;
  constexpr int sets = 2;
  std::vector<DeviceArray<rw::bfloat16>> a, b, c;
  for (int set = 0; set < sets; ++set) {
    a.push_back(normal_array<rw::bfloat16>(size * size, 1.0, 10 + set));
    b.push_back(normal_array<rw::bfloat16>(size * size, 1.0, 20 + set));
    c.emplace_back(size * size);
    c.back().poison();
  }
  cublasHandle_t handle = nullptr;
  require_blas(blas.create(&handle), "cublasCreate");
  // Column-major: C = A^T B has rows of A's columns, so both are read along their inner dimension,
  // as queries and keys are.
  const Call product = [&](std::int64_t index, cudaStream_t stream) {
    const auto set = static_cast<std::size_t>(index % sets);
    const float one = 1.0f;
    const float zero = 0.0f;
    require_blas(blas.set_stream(handle, stream), "cublasSetStream");
    require_blas(
        blas.multiply(handle, CUBLAS_OP_T, CUBLAS_OP_N, size, size, size, &one, a[set].data(),
                      CUDA_R_16BF, size, b[set].data(), CUDA_R_16BF, size, &zero, c[set].data(),
                      CUDA_R_16BF, size, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
  };
  product(0, nullptr);
  require(cudaDeviceSynchronize(), "the product");
  for (const std::int64_t at : {std::int64_t{0}, std::int64_t{4097}, std::int64_t{size - 1}}) {
    const auto left = download_rows(a[0].data() + at * size, 1, size, size);
    const auto right = download_rows(b[0].data() + (size - 1 - at) * size, 1, size, size);
    const auto result = download_rows(c[0].data() + (size - 1 - at) * size + at, 1, 1, 1);
    double exact = 0;
    double magnitude = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
      exact += left[i] * right[i];
      magnitude += left[i] * right[i] < 0 ? -left[i] * right[i] : left[i] * right[i];
    }
    // A float sum of 8192 terms and one rounding to 8 bits.
    require_close("an element of the product", result[0], exact,
                  size * 0x1p-24 * magnitude + 0x1p-8 * (exact < 0 ? -exact : exact));
  }
  const Timing timing = measure({product}, report.options().repetitions)[0];
  const Row row =
      ceiling("bf16 product of 8192 x 8192 x 8192", timing, 2.0 * size * size * size, false);
  report.ceilings.matmul = row.rate();
  report.add(row);
}

#else

void measure_matmul(Report& report) {
  report.note("no matrix product measured: cublas_v2.h was not found when this was compiled");
}

#endif

}  // namespace

void measure_ceilings(Report& report, const Device&) {
  measure_copy(report);
  measure_matmul(report);
}

}  // namespace ropewalk_bench
