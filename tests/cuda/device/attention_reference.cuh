// Attention as its definition says, one thread per score, row or element, on the device or the host: in
// double the answer, in float with weights rounded to the element type the naive kernel that answers
// are measured against.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>
#include <ropewalk/element.hpp>
#include <ropewalk/mask.hpp>
#include <ropewalk/row_statistics.hpp>

#include "cuda/device/support.cuh"

#include <cmath>
#include <cstdint>
#include <vector>

namespace ropewalk_test {

/// A row of q: which keys are its sequence's, and where it stands among them.
struct ReferenceRow {
  std::int64_t first_key = 0;
  std::int32_t keys = 0;
  std::int64_t position = 0;
};

/// What is computed: (rows, heads, head_dim) of q, (key tokens, kv_heads, head_dim) of k and v.
template <typename T>
struct ReferenceInputs {
  const ReferenceRow* rows = nullptr;
  const T* q = nullptr;
  const T* k = nullptr;
  const T* v = nullptr;
  const T* d_out = nullptr;
  const std::uint8_t* present = nullptr;  // (key tokens,), or null: all are there
  const float* head_scale = nullptr;
  const float* position_scale = nullptr;
  const float* sink_logit = nullptr;
  double softmax_scale = 0;
  ropewalk::AttentionMask mask;
  std::int64_t row_count = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int most_keys = 0;
};

/// What came out, and what logits off by one unit of rounding would move: sum over the inputs of a
/// logit's product |q k|, weighted as the statistic depends on it.
template <typename Real>
struct ReferenceOutputs {
  Real* logits = nullptr;      // (rows, heads, most_keys)
  Real* weights = nullptr;     // the same, 0 where a key is not seen
  Real* magnitudes = nullptr;  // the same, scaled sum of |q k|
  Real* out = nullptr;         // (rows, heads, head_dim)
  Real* lse = nullptr;         // (rows, heads), these all
  Real* entropy = nullptr;
  Real* mean = nullptr;
  Real* variance = nullptr;
  Real* slope = nullptr;            // g
  Real* slope_magnitude = nullptr;  // of its terms, and what logits off by a unit would move
  Real* lse_slack = nullptr;
  Real* entropy_slack = nullptr;
  Real* mean_slack = nullptr;
  Real* variance_slack = nullptr;
};

template <typename Real, typename T, bool kRoundsWeights>
struct Reference {
  ReferenceInputs<T> in;
  ReferenceOutputs<Real> to;

  __host__ __device__ static Real value(T element) {
    return static_cast<Real>(ropewalk::ElementTraits<T>::load(element));
  }
  __host__ __device__ bool sees(std::int64_t row, int key) const {
    const ReferenceRow& own = in.rows[row];
    if (key >= own.keys) return false;
    if (in.present != nullptr && in.present[own.first_key + key] == 0) return false;
    return in.mask.keys(own.position, {0, own.keys}).contains(key);
  }

  /// index = (row * heads + head) * most_keys + key
  __host__ __device__ void score(std::int64_t index) const {
    const std::int64_t row_head = index / in.most_keys;
    const int key = static_cast<int>(index % in.most_keys);
    const std::int64_t row = row_head / in.heads;
    const int head = static_cast<int>(row_head % in.heads);
    to.weights[index] = to.logits[index] = to.magnitudes[index] = 0;
    if (!sees(row, key)) return;
    const std::int64_t token = in.rows[row].first_key + key;
    const T* q = in.q + row_head * in.head_dim;
    const T* k = in.k + (token * in.kv_heads + head / (in.heads / in.kv_heads)) * in.head_dim;
    Real sum = 0;
    Real magnitude = 0;
    for (int dim = 0; dim < in.head_dim; ++dim) {
      const Real product = value(q[dim]) * value(k[dim]);
      sum += product;
      magnitude += product < 0 ? -product : product;
    }
    Real scale = static_cast<Real>(in.softmax_scale);
    if (in.head_scale != nullptr) scale *= static_cast<Real>(in.head_scale[head]);
    if (in.position_scale != nullptr) scale *= static_cast<Real>(in.position_scale[row]);
    to.logits[index] = scale * sum;
    to.magnitudes[index] = (scale < 0 ? -scale : scale) * magnitude;
    to.weights[index] = 1;
  }

  /// index = row * heads + head
  __host__ __device__ void row(std::int64_t index) const {
    const Real* logits = to.logits + index * in.most_keys;
    const Real* magnitudes = to.magnitudes + index * in.most_keys;
    Real* weights = to.weights + index * in.most_keys;
    const int head = static_cast<int>(index % in.heads);
    const bool has_sink = in.sink_logit != nullptr;
    const Real sink = has_sink ? static_cast<Real>(in.sink_logit[head]) : 0;
    Real largest = has_sink ? sink : static_cast<Real>(-1e30);
    bool any = has_sink;
    for (int key = 0; key < in.most_keys; ++key) {
      if (weights[key] == 0) continue;
      any = true;
      if (logits[key] > largest) largest = logits[key];
    }
    to.entropy[index] = to.mean[index] = to.variance[index] = 0;
    to.lse_slack[index] = to.entropy_slack[index] = 0;
    to.mean_slack[index] = to.variance_slack[index] = 0;
    to.lse[index] = static_cast<Real>(ropewalk::RowSummary<float>::kNoKeys);
    if (!any) return;
    Real sum = has_sink ? exp(sink - largest) : 0;
    for (int key = 0; key < in.most_keys; ++key) {
      if (weights[key] != 0) sum += exp(logits[key] - largest);
    }
    // With z less the largest: no difference of large numbers.
    const Real log_sum = log(sum);
    Real mean = has_sink ? exp(sink - largest) / sum * (sink - largest) : 0;
    for (int key = 0; key < in.most_keys; ++key) {
      if (weights[key] == 0) continue;
      weights[key] = exp(logits[key] - largest) / sum;
      mean += weights[key] * (logits[key] - largest);
    }
    Real variance = has_sink ? exp(sink - largest) / sum * square(sink - largest - mean) : 0;
    for (int key = 0; key < in.most_keys; ++key) {
      variance += weights[key] * square(logits[key] - largest - mean);
    }
    to.lse[index] = largest + log_sum;
    to.mean[index] = largest + mean;
    to.entropy[index] = log_sum - mean;
    to.variance[index] = variance;
    for (int key = 0; key < in.most_keys; ++key) {
      const Real moved = weights[key] * magnitudes[key];
      const Real from_mean = logits[key] - largest - mean;
      to.lse_slack[index] += moved;
      to.entropy_slack[index] += moved * fabs(from_mean);
      to.mean_slack[index] += moved * fabs(1 + from_mean);
      to.variance_slack[index] += moved * fabs(square(from_mean) - variance + 2 * from_mean);
      if (kRoundsWeights) {
        using Traits = ropewalk::ElementTraits<T>;
        weights[key] = value(Traits::store(static_cast<float>(weights[key])));
      }
    }
  }

  /// index = (row * heads + head) * head_dim + dim
  __host__ __device__ void output(std::int64_t index) const {
    const std::int64_t row_head = index / in.head_dim;
    const int dim = static_cast<int>(index % in.head_dim);
    const int kv_head = static_cast<int>(row_head % in.heads) / (in.heads / in.kv_heads);
    const ReferenceRow& own = in.rows[row_head / in.heads];
    Real sum = 0;
    for (int key = 0; key < own.keys; ++key) {
      const Real weight = to.weights[row_head * in.most_keys + key];
      if (weight == 0) continue;
      const std::int64_t token = own.first_key + key;
      sum += weight * value(in.v[(token * in.kv_heads + kv_head) * in.head_dim + dim]);
    }
    to.out[index] = sum;
  }

  /// g of a row, sum over keys of z dz: index = row * heads + head.
  __host__ __device__ void slope(std::int64_t index) const {
    const int kv_head = static_cast<int>(index % in.heads) / (in.heads / in.kv_heads);
    const ReferenceRow& own = in.rows[index / in.heads];
    Real product = 0;
    Real mean_dp = 0;
    Real mean_z = 0;
    for (int key = 0; key < own.keys; ++key) {
      const Real weight = to.weights[index * in.most_keys + key];
      mean_z += weight * to.logits[index * in.most_keys + key];
    }
    const Real offset = 1 + fabs(to.entropy[index]) + fabs(to.lse[index] - mean_z);
    Real magnitude = 0;
    for (int key = 0; key < own.keys; ++key) {
      const std::int64_t at = index * in.most_keys + key;
      const Real weight = to.weights[at];
      if (weight == 0) continue;
      const T* v = in.v + ((own.first_key + key) * in.kv_heads + kv_head) * in.head_dim;
      Real dp = 0;
      Real size = 0;
      for (int dim = 0; dim < in.head_dim; ++dim) {
        const Real term = value(in.d_out[index * in.head_dim + dim]) * value(v[dim]);
        dp += term;
        size += term < 0 ? -term : term;
      }
      product += weight * to.logits[at] * dp;
      mean_dp += weight * dp;
      magnitude +=
          weight * size * (fabs(to.logits[at] - to.lse[index]) + offset) * (1 + to.magnitudes[at]);
    }
    to.slope[index] = product - mean_dp * mean_z;
    to.slope_magnitude[index] = magnitude;
  }

  __host__ __device__ static Real square(Real x) { return x * x; }
};

enum class ReferenceStep { score, row, output, slope };

template <typename Run>
__host__ __device__ void reference_step(const Run& run, ReferenceStep step, std::int64_t index) {
  switch (step) {
    case ReferenceStep::score:
      return run.score(index);
    case ReferenceStep::row:
      return run.row(index);
    case ReferenceStep::output:
      return run.output(index);
    default:
      return run.slope(index);
  }
}

template <typename Run>
__global__ void reference_kernel(const Run run, ReferenceStep step, std::int64_t count) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index < count) reference_step(run, step, index);
}

/// Memory on both sides, on the device only once that is asked for.
template <typename T>
struct Memory {
  std::vector<T> host;

  Memory() = default;
  explicit Memory(std::int64_t size) : host(static_cast<std::size_t>(size)) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { cudaFree(device_); }

  std::size_t bytes() const { return host.size() * sizeof(T); }

  /// Null where the memory is empty. Where it goes to the device for the first time its values do.
  T* on(bool device) {
    if (host.empty()) return nullptr;
    if (!device) return host.data();
    if (device_ == nullptr) {
      require(cudaMalloc(&device_, bytes()), "cudaMalloc");
      require(cudaMemcpy(device_, host.data(), bytes(), cudaMemcpyHostToDevice), "upload");
    }
    return device_;
  }

  /// 0xff in every byte of the device's: NaN.
  void poison() { require(cudaMemset(on(true), 0xff, bytes()), "poison"); }
  void download() {
    require(cudaDeviceSynchronize(), "the kernels");
    if (device_ == nullptr) return;
    require(cudaMemcpy(host.data(), device_, bytes(), cudaMemcpyDeviceToHost), "download");
  }

 private:
  T* device_ = nullptr;
};

/// Arrays of a reference.
template <typename Real>
struct ReferenceArrays {
  Memory<Real> logits, weights, magnitudes, out;
  Memory<Real> lse, entropy, mean, variance, slope, slope_magnitude;
  Memory<Real> lse_slack, entropy_slack, mean_slack, variance_slack;

  ReferenceArrays(std::int64_t row_heads, int most_keys, int head_dim)
      : logits(row_heads * most_keys),
        weights(row_heads * most_keys),
        magnitudes(row_heads * most_keys),
        out(row_heads * head_dim),
        lse(row_heads),
        entropy(row_heads),
        mean(row_heads),
        variance(row_heads),
        slope(row_heads),
        slope_magnitude(row_heads),
        lse_slack(row_heads),
        entropy_slack(row_heads),
        mean_slack(row_heads),
        variance_slack(row_heads) {}

  ReferenceOutputs<Real> on(bool device) {
    ReferenceOutputs<Real> to;
    to.logits = logits.on(device);
    to.weights = weights.on(device);
    to.magnitudes = magnitudes.on(device);
    to.out = out.on(device);
    to.lse = lse.on(device);
    to.entropy = entropy.on(device);
    to.mean = mean.on(device);
    to.variance = variance.on(device);
    to.slope = slope.on(device);
    to.slope_magnitude = slope_magnitude.on(device);
    to.lse_slack = lse_slack.on(device);
    to.entropy_slack = entropy_slack.on(device);
    to.mean_slack = mean_slack.on(device);
    to.variance_slack = variance_slack.on(device);
    return to;
  }

  /// What the tests read, from the device to the host.
  void download() {
    for (Memory<Real>* array : {&out, &lse, &entropy, &mean, &variance, &slope, &slope_magnitude,
                                &lse_slack, &entropy_slack, &mean_slack, &variance_slack}) {
      array->download();
    }
  }
};

/// Computes everything, on the device or on the host; results end on the host.
template <bool kRoundsWeights, typename Real, typename T>
void run_reference(const ReferenceInputs<T>& in, ReferenceArrays<Real>& arrays, bool on_device) {
  const Reference<Real, T, kRoundsWeights> run{in, arrays.on(on_device)};
  const std::int64_t row_heads = in.row_count * in.heads;
  const struct {
    ReferenceStep step;
    std::int64_t count;
  } steps[4] = {{ReferenceStep::score, row_heads * in.most_keys},
                {ReferenceStep::row, row_heads},
                {ReferenceStep::output, in.v != nullptr ? row_heads * in.head_dim : 0},
                {ReferenceStep::slope, in.d_out != nullptr ? row_heads : 0}};
  for (const auto& one : steps) {
    if (!on_device) {
      for (std::int64_t index = 0; index < one.count; ++index) {
        reference_step(run, one.step, index);
      }
    } else if (one.count > 0) {
      const auto blocks = static_cast<unsigned>((one.count + 127) / 128);
      reference_kernel<<<blocks, 128>>>(run, one.step, one.count);
      require(cudaGetLastError(), "the reference");
    }
  }
  if (on_device) arrays.download();
}

}  // namespace ropewalk_test
