// One attention layer of a small model on a CUDA device: a prompt, then tokens one by one, each with
// what its softmax rows saw. The last token is compared with the library's attention on the host.
//
//     prompt   rotate_and_store (queries turned, keys and values to the cache), then attend
//     token    rotate_and_store, then decode
//
// Exit code 0: done. 1: a call failed, or device and host differ. 77: no CUDA device answers.
#include <ropewalk/attention.hpp>
#include <ropewalk/cuda/attention.cuh>
#include <ropewalk/cuda/decode.cuh>
#include <ropewalk/cuda/rotary.cuh>
#include <ropewalk/phase.hpp>
#include <ropewalk/scaling/yarn.hpp>
#include <ropewalk/spectrum.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

namespace rw = ropewalk;
using rw::bfloat16;
using rw::cuda::Statistics;

namespace {

// As TinyLlama 1.1B, stretched to four times its 2048 tokens.
constexpr int kHeads = 32;
constexpr int kKvHeads = 4;
constexpr int kHeadDim = 64;
constexpr int kPrompt = 1000;
constexpr int kTokens = 24;
constexpr int kPlaces = 1024;                             // of the cache
constexpr int kRow = (kHeads + 2 * kKvHeads) * kHeadDim;  // queries, keys and values of a token
constexpr int kNoDevice = 77;

void require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(EXIT_FAILURE);
}

void require(const rw::cuda::Status& status, const char* what) {
  if (status.fault.code != rw::Errc::ok) {
    std::fprintf(stderr, "%s: %s %s\n", what, status.fault.field, message(status.fault.code));
  }
  require(status.error, what);
}

/// Memory of the device.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size) : size_(size) {
    require(cudaMalloc(&data_, size * sizeof(T)), "cudaMalloc");
  }
  explicit DeviceArray(const std::vector<T>& host) : DeviceArray(host.size()) { upload(host); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  T* data() const { return data_; }
  void upload(const std::vector<T>& host) {
    require(cudaMemcpy(data_, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice),
            "copy");
  }
  std::vector<T> download() const {
    std::vector<T> host(size_);
    require(cudaMemcpy(host.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "copy");
    return host;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

/// What a model's projections might give for some tokens: (tokens, heads + 2 kv_heads, head_dim).
std::vector<bfloat16> projections(int tokens, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<bfloat16> rows(static_cast<std::size_t>(tokens) * kRow);
  for (bfloat16& element : rows) element = rw::to_bfloat16(normal(random));
  return rows;
}

/// The layer's cache, and the calls that a model makes.
class Layer {
 public:
  Layer() {
    const rw::RopeConfig config{
        .head_dim = kHeadDim, .rotary_dim = kHeadDim, .original_length = 2048};
    angles_ = rw::cuda::rotary_angles(rw::phase_turns(rw::spectrum(config, rw::Yarn{.factor = 4})));
    cache_.k = keys_.data();
    cache_.v = values_.data();
    cache_.pages = 1;
    cache_.page_size = kPlaces;
    cache_.head_stride = kHeadDim;
    cache_.token_stride = kKvHeads * kHeadDim;
    cache_.page_stride = kPlaces * cache_.token_stride;
    decode_.shape = {1, 1, kPlaces, kHeads, kKvHeads, kHeadDim};
    decode_.cache = cache_;
    decode_.key_counts = count_.data();
    decode_.statistics.lse = lse_.data();
    decode_.statistics.entropy = entropy_.data();
    decode_.workspace_bytes = rw::cuda::decode_workspace(decode_);
    require(cudaMalloc(&decode_.workspace, decode_.workspace_bytes), "cudaMalloc");
  }
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;
  ~Layer() { cudaFree(decode_.workspace); }

  /// Turns the queries where they are, and keeps keys and values.
  void store(DeviceArray<bfloat16>& rows, int first, int tokens) {
    std::vector<std::int64_t> positions(static_cast<std::size_t>(tokens));
    for (int token = 0; token < tokens; ++token) {
      positions[static_cast<std::size_t>(token)] = first + token;
    }
    const DeviceArray<std::int64_t> where(positions);
    const auto heads = [&](int at, int count) {
      return rw::HeadView<bfloat16>{
          rows.data() + at * kHeadDim, tokens, count, kHeadDim, kRow, kHeadDim};
    };
    rw::cuda::KvWriteParams<bfloat16> params;
    params.q = params.q_out = heads(0, kHeads);
    params.k = heads(kHeads, kKvHeads);
    params.v = heads(kHeads + kKvHeads, kKvHeads);
    params.cache = cache_;
    params.targets.sequences = sequence_.data();
    params.positions = where.data();
    params.angles = angles_;
    params.head_scale = head_scale_.data();
    require(rw::cuda::rotate_and_store(params, nullptr), "rotate_and_store");
    require(cudaDeviceSynchronize(), "rotate_and_store");  // `where` goes
  }

  void attend(DeviceArray<bfloat16>& rows, DeviceArray<bfloat16>& out, int tokens) {
    rw::cuda::AttentionParams<bfloat16> params;
    params.shape = {1, tokens, tokens, kHeads, kKvHeads, kHeadDim};
    params.q = {rows.data(), 0, kRow, kHeadDim};
    params.k = {keys_.data(), 0, cache_.token_stride, cache_.head_stride};
    params.v = {values_.data(), 0, cache_.token_stride, cache_.head_stride};
    params.out = {out.data(), 0, kHeads * kHeadDim, kHeadDim};
    params.statistics.lse = lse_.data();
    params.statistics.entropy = entropy_.data();
    require(rw::cuda::attend<Statistics::entropy, kHeadDim>(params, nullptr), "attend");
  }

  void decode(DeviceArray<bfloat16>& row, DeviceArray<bfloat16>& out, int keys) {
    count_.upload({keys});
    decode_.q = {row.data(), 0, kRow, kHeadDim};
    decode_.out = {out.data(), 0, kHeads * kHeadDim, kHeadDim};
    require(rw::cuda::decode<Statistics::entropy, kHeadDim>(decode_, nullptr), "decode");
  }

  std::vector<bfloat16> keys() const { return keys_.download(); }
  std::vector<bfloat16> values() const { return values_.download(); }
  std::vector<float> lse() const { return lse_.download(); }
  std::vector<float> entropy() const { return entropy_.download(); }

 private:
  DeviceArray<bfloat16> keys_{kPlaces * kKvHeads * kHeadDim};
  DeviceArray<bfloat16> values_{kPlaces * kKvHeads * kHeadDim};
  // Sharper rows, as a longer text needs them: here all heads alike.
  DeviceArray<float> head_scale_{std::vector<float>(kHeads, 1.1f)};
  DeviceArray<std::int32_t> sequence_{std::vector<std::int32_t>(kPlaces, 0)};
  DeviceArray<std::int32_t> count_{1};
  DeviceArray<float> lse_{kPlaces * kHeads};  // (tokens, heads)
  DeviceArray<float> entropy_{kPlaces * kHeads};
  rw::cuda::KvCache<bfloat16> cache_;
  rw::cuda::RotaryAngles angles_;
  rw::cuda::DecodeParams<bfloat16> decode_;
};

/// Largest differences from attend() of the host, over the same queries and cache.
bool matches_host(const Layer& layer, const std::vector<bfloat16>& row,
                  const std::vector<bfloat16>& out, int keys) {
  const std::vector<bfloat16> k = layer.keys();
  const std::vector<bfloat16> v = layer.values();
  std::vector<float> expected(kHeads * kHeadDim), lse(kHeads), entropy(kHeads);
  rw::attend(rw::make_head_view(row.data(), 1, kHeads, kHeadDim),
             rw::make_head_view(k.data(), keys, kKvHeads, kHeadDim),
             rw::make_head_view(v.data(), keys, kKvHeads, kHeadDim),
             rw::make_head_view(expected.data(), 1, kHeads, kHeadDim), {},
             rw::AttentionStatistics{.lse = lse, .entropy = entropy});
  const std::vector<float> found_lse = layer.lse();
  const std::vector<float> found_entropy = layer.entropy();
  std::printf("head      lse  entropy (nats)   keys that share the weight\n");
  float largest_out = 0, largest_entropy = 0, largest_lse = 0;
  for (std::size_t head = 0; head < kHeads; ++head) {
    if (head % 8 == 0) {
      std::printf("%4zu  %7.3f  %7.3f         %7.1f of %d\n", head,
                  static_cast<double>(found_lse[head]), static_cast<double>(found_entropy[head]),
                  std::exp(static_cast<double>(found_entropy[head])), keys);
    }
    largest_lse = std::max(largest_lse, std::fabs(found_lse[head] - lse[head]));
    largest_entropy = std::max(largest_entropy, std::fabs(found_entropy[head] - entropy[head]));
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest_out = std::max(largest_out, std::fabs(rw::to_float(out[i]) - expected[i]));
  }
  std::printf("largest difference from the host: output %.2g, lse %.2g, entropy %.2g\n",
              static_cast<double>(largest_out), static_cast<double>(largest_lse),
              static_cast<double>(largest_entropy));
  // Weights and the output are rounded to bfloat16, 2^-8 of an output below 1; float logits.
  return largest_out <= 2 * 0x1p-8f && largest_lse <= 1e-4f && largest_entropy <= 1e-4f;
}

}  // namespace

int main() {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice) {
    std::printf("no CUDA device answers (%s): nothing was computed\n", cudaGetErrorString(error));
    return kNoDevice;
  }
  require(error, "cudaGetDeviceCount");

  std::mt19937 random(1);
  Layer layer;
  DeviceArray<bfloat16> prompt(projections(kPrompt, random));
  DeviceArray<bfloat16> prompt_out(static_cast<std::size_t>(kPrompt) * kHeads * kHeadDim);
  layer.store(prompt, 0, kPrompt);
  layer.attend(prompt, prompt_out, kPrompt);
  require(cudaDeviceSynchronize(), "the prompt");
  const std::vector<float> entropy = layer.entropy();
  double mean = 0;
  for (std::size_t i = 0; i < std::size_t{kPrompt} * kHeads; ++i) {
    mean += static_cast<double>(entropy[i]) / (kPrompt * kHeads);
  }
  std::printf("prompt of %d tokens: mean entropy %.3f nats\n", kPrompt, mean);

  DeviceArray<bfloat16> out(kHeads * kHeadDim);
  DeviceArray<bfloat16> row(kRow);
  for (int token = 0; token < kTokens; ++token) {
    row.upload(projections(1, random));
    layer.store(row, kPrompt + token, 1);
    layer.decode(row, out, kPrompt + token + 1);
    require(cudaDeviceSynchronize(), "a token");
  }
  std::printf("%d more tokens; the last one:\n", kTokens);
  return matches_host(layer, row.download(), out.download(), kPrompt + kTokens) ? EXIT_SUCCESS
                                                                                : EXIT_FAILURE;
}
