// Gradients of the scales: from dq, one pass over two arrays, against the copy; from the softmax,
// against the forward pass with entropy, whose products it repeats.
#include "families.hpp"
#include "support/attention_arrays.cuh"
#include "support/timing.cuh"
#include "units/units.hpp"

#include <ropewalk/cuda/scale_gradient.cuh>

#include <cmath>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

using rw::cuda::Statistics;

Row row_of(const CaseShape& shape, const char* family, const std::string& name,
           const Timing& timing) {
  Row row;
  row.family = family;
  row.name = name;
  row.element = "bf16";
  row.shape = shape;
  row.seconds = timing.median;
  row.low = timing.low;
  row.high = timing.high;
  return row;
}

/// The sum over rows of g as doubles, per head: what head_scale's gradient is, all scales being 1.
void require_head_sums(const std::string& what, const DeviceArray<float>& g,
                       const DeviceArray<float>& sums, std::int64_t heads) {
  const std::vector<float> rows = g.download();
  const std::vector<float> found = sums.download();
  for (std::int64_t head = 0; head < heads; ++head) {
    double sum = 0;
    double magnitude = 0;
    for (std::size_t at = static_cast<std::size_t>(head); at < rows.size();
         at += static_cast<std::size_t>(heads)) {
      sum += static_cast<double>(rows[at]);
      magnitude += std::fabs(static_cast<double>(rows[at]));
    }
    // Summed in double and rounded once to float.
    require_close(what + ": sum of a head",
                  static_cast<double>(found[static_cast<std::size_t>(head)]), sum,
                  0x1p-23 * std::fabs(sum) + 1e-12 * magnitude);
  }
}

void from_dq(Report& report, const Device& device) {
  using T = rw::bfloat16;
  CaseShape shape;
  shape.sequences = 4;
  shape.queries = shape.keys = 4096;
  shape.heads = shape.kv_heads = 32;
  shape.head_dim = 128;
  const std::string name = "bf16 d128 32 heads 4 x 4096";
  const char* family = "gradient from dq";
  if (!report.wants(family, name)) return;

  const std::int64_t rows = shape.sequences * shape.queries;
  const std::int64_t elements = rows * shape.heads * shape.head_dim;
  const std::int64_t bytes = 2 * elements * static_cast<std::int64_t>(sizeof(T));
  const auto sets = static_cast<std::size_t>(rotating_sets(device, bytes));
  std::vector<DeviceArray<T>> q, dq;
  for (std::size_t set = 0; set < sets; ++set) {
    q.push_back(normal_array<T>(elements, 1.0, 2 * set + 1));
    dq.push_back(normal_array<T>(elements, 1.0, 2 * set + 2));
  }
  DeviceArray<float> g(rows * shape.heads);
  DeviceArray<float> sums(shape.heads);
  DeviceArray<unsigned char> workspace;
  const auto params_of = [&](std::size_t set) {
    rw::cuda::ScaleGradientParams<T> params;
    params.sequences = shape.sequences;
    params.queries = shape.queries;
    params.heads = static_cast<int>(shape.heads);
    params.head_dim = static_cast<int>(shape.head_dim);
    params.q = contiguous<const T>(q[set].data(), shape.queries, shape.heads, shape.head_dim);
    params.dq = contiguous<const T>(dq[set].data(), shape.queries, shape.heads, shape.head_dim);
    params.gradients.head_scale = sums.data();
    params.gradients.rows = g.data();
    params.workspace = workspace.data();
    params.workspace_bytes = workspace.bytes();
    return params;
  };
  workspace = DeviceArray<unsigned char>(
      static_cast<std::int64_t>(rw::cuda::scale_gradient_workspace(params_of(0))));
  const Call call = [&](std::int64_t index, cudaStream_t stream) {
    require(rw::cuda::scale_gradients(params_of(static_cast<std::size_t>(index) % sets), stream),
            name);
  };
  g.poison();
  sums.poison();
  call(0, nullptr);
  require(cudaDeviceSynchronize(), name);
  for (const std::int64_t row : {std::int64_t{0}, rows / 2 + 1, rows - 1}) {
    const std::int64_t at = row * shape.heads + (3 * row + 1) % shape.heads;
    const auto left = download_rows(q[0].data() + at * 128, 1, 128, 128);
    const auto right = download_rows(dq[0].data() + at * 128, 1, 128, 128);
    double exact = 0;
    double magnitude = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
      exact += left[i] * right[i];
      magnitude += std::fabs(left[i] * right[i]);
    }
    require_close(name, download_rows(g.data() + at, 1, 1, 1)[0], exact, 128 * 0x1p-24 * magnitude);
  }
  require_head_sums(name, g, sums, shape.heads);

  Row row = row_of(shape, family, name, measure({call}, report.options().repetitions)[0]);
  row.work = static_cast<double>(bytes);
  if (report.ceilings.copy > 0) {
    row.peer = "the copy of 1 GiB";
    row.ratio = row.rate() / report.ceilings.copy;
  }
  report.add(row);
}

template <int kHeadDim>
void from_softmax(Report& report, const Device& device, std::int64_t heads, std::int64_t kv_heads,
                  std::int64_t tokens, bool causal) {
  using T = rw::bfloat16;
  CaseShape shape;
  shape.sequences = tokens < 16384 ? 16384 / tokens : 1;
  shape.queries = shape.keys = tokens;
  shape.heads = heads;
  shape.kv_heads = kv_heads;
  shape.head_dim = kHeadDim;
  shape.mask = causal ? "causal" : "full";
  shape.statistics = "entropy";
  const std::string name = "bf16 d" + std::to_string(kHeadDim) + " " + shape.mask + " " +
                           std::to_string(shape.sequences) + " x " + std::to_string(tokens);
  const char* family = "gradient from the softmax";
  if (!report.wants(family, name)) return;

  std::vector<AttentionSet<T>> sets;
  std::vector<DeviceArray<T>> d_out;
  std::vector<AttentionResults<T>> results;
  do {
    sets.emplace_back(shape, sets.size() + 1);
    d_out.push_back(normal_array<T>(sets[0].q.size(), 1.0, 1000 + sets.size()));
    results.emplace_back(shape);
  } while (static_cast<int>(sets.size()) < rotating_sets(device, sets[0].bytes()));
  const std::int64_t rows = shape.sequences * shape.queries;
  DeviceArray<float> g(rows * heads);
  DeviceArray<float> sums(heads);
  DeviceArray<unsigned char> workspace;
  const auto attention = [&](std::size_t set) {
    rw::cuda::AttentionParams<T> params;
    params.shape = shape_of(shape);
    params.q = contiguous<const T>(sets[set].q.data(), tokens, heads, kHeadDim);
    params.k = contiguous<const T>(sets[set].k.data(), tokens, kv_heads, kHeadDim);
    params.v = contiguous<const T>(sets[set].v.data(), tokens, kv_heads, kHeadDim);
    params.out = contiguous<T>(results[set].out.data(), tokens, heads, kHeadDim);
    params.mask.causal = causal;
    params.statistics = results[set].statistics(Statistics::entropy);
    return params;
  };
  const auto params_of = [&](std::size_t set) {
    rw::cuda::SoftmaxScaleGradientParams<T> params;
    params.attention = attention(set);
    params.d_out = contiguous<const T>(d_out[set].data(), tokens, heads, kHeadDim);
    params.gradients.head_scale = sums.data();
    params.gradients.rows = g.data();
    params.workspace = workspace.data();
    params.workspace_bytes = workspace.bytes();
    return params;
  };
  workspace = DeviceArray<unsigned char>(
      static_cast<std::int64_t>(rw::cuda::scale_gradient_workspace(params_of(0))));
  const Call forward = [&](std::int64_t index, cudaStream_t stream) {
    const auto set = static_cast<std::size_t>(index) % sets.size();
    require((AttentionUnit<T, kHeadDim>::attend(Statistics::entropy, attention(set), stream)),
            name);
  };
  const Call call = [&](std::int64_t index, cudaStream_t stream) {
    const auto set = static_cast<std::size_t>(index) % sets.size();
    require((GradientUnit<T, kHeadDim>::gradients(params_of(set), stream)), name);
  };
  // Every set's statistics are inputs.
  for (std::size_t set = 0; set < sets.size(); ++set) {
    forward(static_cast<std::int64_t>(set), nullptr);
  }
  g.poison();
  sums.poison();
  call(0, nullptr);
  require(cudaDeviceSynchronize(), name);
  for (const std::int64_t query : {std::int64_t{0}, tokens / 2 + 1, tokens - 1}) {
    const std::int64_t sequence = query % shape.sequences;
    const std::int64_t head = (7 * query + 3) % heads;
    const std::int64_t at = (sequence * tokens + query) * heads + head;
    const std::int64_t stride = kv_heads * kHeadDim;
    const std::int64_t keys_at = sequence * tokens * stride + head / (heads / kv_heads) * kHeadDim;
    RowInputs inputs;
    inputs.query = download_rows(sets[0].q.data() + at * kHeadDim, 1, kHeadDim, kHeadDim);
    inputs.keys = download_rows(sets[0].k.data() + keys_at, tokens, stride, kHeadDim);
    inputs.values = download_rows(sets[0].v.data() + keys_at, tokens, stride, kHeadDim);
    inputs.logit_scale = 1 / std::sqrt(static_cast<double>(kHeadDim));
    inputs.visible = attention(0).mask.keys(query, {0, tokens});
    const ExactGradient exact = exact_gradient(
        inputs, download_rows(d_out[0].data() + at * kHeadDim, 1, kHeadDim, kHeadDim));
    // Weights come from a float lse.
    require_close(name, download_rows(g.data() + at, 1, 1, 1)[0], exact.g, 1e-4 * exact.magnitude);
  }
  require_head_sums(name, g, sums, heads);

  const std::vector<Timing> timings = measure({call, forward}, report.options().repetitions);
  Row row = row_of(shape, family, name, timings[0]);
  row.bytes = false;
  const double pairs = causal ? 0.5 * static_cast<double>(tokens * (tokens + 1))
                              : static_cast<double>(tokens * tokens);
  row.work = 4.0 * static_cast<double>(kHeadDim * heads * shape.sequences) * pairs;
  row.peer = "forward with entropy";
  row.ratio = timings[0].median / timings[1].median;
  row.has_bound = true;
  row.bound = {1.2, 1.05, false};
  report.add(row);
}

}  // namespace

void gradient_cases(Report& report, const Device& device) {
  from_dq(report, device);
  for (const std::int64_t tokens : {2048, 8192, 32768}) {
    from_softmax<128>(report, device, 32, 8, tokens, true);
  }
  from_softmax<128>(report, device, 32, 8, 8192, false);
  from_softmax<64>(report, device, 32, 4, 8192, true);
  from_softmax<256>(report, device, 16, 8, 8192, true);
}

}  // namespace ropewalk_bench
