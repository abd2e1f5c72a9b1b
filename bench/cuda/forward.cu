// Attention of many tokens: each level of statistics beside the least one, and the pass that forms
// statistics only beside both products.
#include "families.hpp"
#include "support/attention_arrays.cuh"
#include "support/timing.cuh"
#include "units/units.hpp"

#include <cmath>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

using rw::cuda::Statistics;

constexpr const char* kOnly = " statistics only";
constexpr std::int64_t kTokens = 16384;  // of all sequences together, where one has fewer

const char* level_name(Statistics level) {
  return level == Statistics::lse ? "lse" : (level == Statistics::entropy ? "entropy" : "variance");
}

struct Heads {
  std::int64_t heads;
  std::int64_t kv_heads;
};

/// As models have them: TinyLlama, Phi-3 mini, Llama 3 8B, Gemma 2 9B.
Heads heads_of(int head_dim) {
  switch (head_dim) {
    case 64:
      return {32, 4};
    case 96:
      return {32, 32};
    case 128:
      return {32, 8};
    default:
      return {16, 8};
  }
}

/// Pairs of a query and a key that it sees, times two products of head_dim multiply-adds each.
double operations(const CaseShape& shape, const rw::AttentionMask& mask) {
  double pairs = 0;
  for (std::int64_t query = 0; query < shape.queries; ++query) {
    pairs +=
        static_cast<double>(mask.keys(shape.keys - shape.queries + query, {0, shape.keys}).size());
  }
  return 4.0 * static_cast<double>(shape.head_dim * shape.heads * shape.sequences) * pairs;
}

template <typename T, int kHeadDim>
class ForwardCase {
 public:
  using Unit = AttentionUnit<T, kHeadDim>;

  ForwardCase(Report& report, const Device& device, std::int64_t tokens, const std::string& masked,
              const rw::AttentionMask& mask)
      : report_(report), device_(device), mask_(mask) {
    const Heads heads = heads_of(kHeadDim);
    shape_.sequences = tokens < kTokens ? kTokens / tokens : 1;
    shape_.heads = heads.heads;
    shape_.kv_heads = heads.kv_heads;
    shape_.head_dim = kHeadDim;
    shape_.queries = shape_.keys = tokens;
    shape_.mask = masked;
    name_ = std::string(element_name<T>()) + " d" + std::to_string(kHeadDim) + " " + masked + " " +
            std::to_string(shape_.sequences) + " x " + std::to_string(tokens);
  }

  void run() {
    const Statistics levels[3] = {Statistics::lse, Statistics::entropy, Statistics::variance};
    bool wanted[4];
    for (int i = 0; i < 3; ++i) wanted[i] = report_.wants("forward", name_of(levels[i]));
    wanted[3] = report_.wants("forward", name_of(Statistics::entropy) + kOnly);
    if (!wanted[0] && !wanted[1] && !wanted[2] && !wanted[3]) return;

    std::int64_t bytes = 0;
    do {
      sets_.emplace_back(shape_, sets_.size() + 1);
      bytes = sets_[0].bytes();
    } while (static_cast<int>(sets_.size()) < rotating_sets(device_, bytes));
    AttentionResults<T> results(shape_);
    for (const Statistics level : levels) check(results, level, true);
    check(results, Statistics::entropy, false);

    std::vector<Call> calls;
    for (const Statistics level : levels) calls.push_back(call(results, level, true));
    calls.push_back(call(results, Statistics::entropy, false));
    const std::vector<Timing> timings = measure(calls, report_.options().repetitions);
    const double work = operations(shape_, mask_);
    for (std::size_t i = 0; i < 3; ++i) {
      if (!wanted[i]) continue;
      Row row = row_of(levels[i], timings[i], work);
      if (i == 0 && report_.ceilings.matmul > 0) {
        row.peer = "the matrix product";
        row.ratio = row.rate() / report_.ceilings.matmul;
      }
      if (i > 0) {
        row.peer = "lse alone";
        row.ratio = timings[i].median / timings[0].median;
      }
      if (i == 1) {
        row.has_bound = true;
        row.bound = kHeadDim == 64 ? Bound{1.08, 1.05, false} : Bound{1.05, 1.02, false};
      }
      report_.add(row);
    }
    if (!wanted[3]) return;
    Row row = row_of(Statistics::entropy, timings[3], work / 2);
    row.name += kOnly;
    row.peer = "forward with entropy";
    row.ratio = timings[3].median / timings[1].median;
    row.has_bound = true;
    row.bound = {0.75, 0.62, false};
    report_.add(row);
  }

 private:
  std::string name_of(Statistics level) const { return name_ + " " + level_name(level); }

  rw::cuda::AttentionParams<T> params(std::size_t set, const AttentionResults<T>& results,
                                      Statistics level, bool with_output) const {
    rw::cuda::AttentionParams<T> params;
    params.shape = shape_of(shape_);
    params.q = contiguous<const T>(sets_[set].q.data(), shape_.queries, shape_.heads, kHeadDim);
    params.k = contiguous<const T>(sets_[set].k.data(), shape_.keys, shape_.kv_heads, kHeadDim);
    if (with_output) {
      params.v = contiguous<const T>(sets_[set].v.data(), shape_.keys, shape_.kv_heads, kHeadDim);
      params.out = contiguous<T>(results.out.data(), shape_.queries, shape_.heads, kHeadDim);
    }
    params.mask = mask_;
    params.statistics = results.statistics(level);
    return params;
  }

  Call call(const AttentionResults<T>& results, Statistics level, bool with_output) const {
    return [this, &results, level, with_output](std::int64_t index, cudaStream_t stream) {
      const auto set = static_cast<std::size_t>(index) % sets_.size();
      const auto one = params(set, results, level, with_output);
      require(with_output ? Unit::attend(level, one, stream) : Unit::statistics(level, one, stream),
              name_);
    };
  }

  /// Rows at both ends and within, each of another head.
  void check(AttentionResults<T>& results, Statistics level, bool with_output) const {
    results.poison();
    call(results, level, with_output)(0, nullptr);
    require(cudaDeviceSynchronize(), name_);
    const std::int64_t tokens = shape_.queries;
    for (const std::int64_t query : {std::int64_t{0}, tokens / 3, tokens / 2 + 1, tokens - 1}) {
      const std::int64_t sequence = query % shape_.sequences;
      const std::int64_t head = (7 * query + 3) % shape_.heads;
      const std::int64_t kv_head = head / (shape_.heads / shape_.kv_heads);
      const std::int64_t row = sequence * tokens + query;
      const std::int64_t stride = shape_.kv_heads * kHeadDim;
      const std::int64_t at = sequence * shape_.keys * stride + kv_head * kHeadDim;
      RowInputs inputs;
      inputs.query = download_rows(sets_[0].q.data() + (row * shape_.heads + head) * kHeadDim, 1,
                                   kHeadDim, kHeadDim);
      inputs.keys = download_rows(sets_[0].k.data() + at, shape_.keys, stride, kHeadDim);
      inputs.values = download_rows(sets_[0].v.data() + at, shape_.keys, stride, kHeadDim);
      inputs.logit_scale = 1 / std::sqrt(static_cast<double>(kHeadDim));
      inputs.visible = mask_.keys(query, {0, shape_.keys});
      require_row(name_of(level) + (with_output ? "" : kOnly),
                  results.row(shape_, row, head, level, with_output), exact_row(inputs),
                  rounding_of<T>());
    }
  }

  Row row_of(Statistics level, const Timing& timing, double work) const {
    Row row;
    row.family = "forward";
    row.name = name_of(level);
    row.element = element_name<T>();
    row.shape = shape_;
    row.shape.statistics = level_name(level);
    row.seconds = timing.median;
    row.low = timing.low;
    row.high = timing.high;
    row.work = work;
    row.bytes = false;
    return row;
  }

  Report& report_;
  const Device& device_;
  rw::AttentionMask mask_;
  CaseShape shape_;
  std::string name_;
  std::vector<AttentionSet<T>> sets_;
};

template <typename T, int kHeadDim>
void lengths(Report& report, const Device& device) {
  rw::AttentionMask full;
  full.causal = false;
  for (const std::int64_t tokens : {512, 1024, 2048, 4096, 8192, 16384, 32768}) {
    const bool every = tokens == 1024 || tokens == 4096 || tokens == 16384;
    if (every && !report.options().all) continue;
    ForwardCase<T, kHeadDim>(report, device, tokens, "causal", {}).run();
    ForwardCase<T, kHeadDim>(report, device, tokens, "full", full).run();
  }
}

}  // namespace

void forward_cases(Report& report, const Device& device) {
  lengths<rw::bfloat16, 128>(report, device);
  lengths<rw::bfloat16, 64>(report, device);
  lengths<rw::bfloat16, 96>(report, device);
  lengths<rw::bfloat16, 256>(report, device);
  ForwardCase<rw::float16, 128>(report, device, 8192, "causal", {}).run();
  rw::AttentionMask window;
  window.window = 4096;
  window.first_keys = 4;
  ForwardCase<rw::bfloat16, 128>(report, device, 32768, "window 4096 and 4 first", window).run();
}

}  // namespace ropewalk_bench
