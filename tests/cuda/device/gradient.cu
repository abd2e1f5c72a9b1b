// Gradients of the scales on a device against their definitions in double, over random shapes: from dq,
// from the softmax after the library's own forward pass, and from the statistics.
#include <ropewalk/cuda/attention.cuh>
#include <ropewalk/cuda/scale_gradient.cuh>

#include "cuda/device/attention_compare.cuh"
#include "cuda/device/attention_problem.cuh"

#include <cmath>
#include <cstddef>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
using rw::cuda::Statistics;

namespace {

constexpr int kShapes = 500;  // per type

/// Where gradients of a problem go.
struct Slopes {
  Memory<float> rows, head_scale, position_scale;
  Memory<unsigned char> workspace;

  Slopes(std::int64_t row_count, int heads)
      : rows(row_count * heads), head_scale(heads), position_scale(row_count) {}

  /// Sets the outputs and the workspace of params.
  template <typename Params>
  void join(Params& params, bool with_rows) {
    params.gradients = {head_scale.on(true), position_scale.on(true),
                        with_rows ? rows.on(true) : nullptr};
    workspace.host.assign(rw::cuda::scale_gradient_workspace(params) + 16, 0);
    params.workspace = workspace.on(true);
    params.workspace_bytes = workspace.bytes();
  }
  void poison() {
    for (Memory<float>* array : {&rows, &head_scale, &position_scale}) array->poison();
  }
  void download() {
    for (Memory<float>* array : {&rows, &head_scale, &position_scale}) array->download();
  }
  std::vector<float> all() {
    download();
    std::vector<float> values = rows.host;
    values.insert(values.end(), head_scale.host.begin(), head_scale.host.end());
    values.insert(values.end(), position_scale.host.begin(), position_scale.host.end());
    return values;
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), 4 * a.size()) == 0;
}

/// Sums of g over rows and over heads: double sums, rounded once, over the scale.
template <typename T>
int wrong_sums(const Problem<T>& problem, const Slopes& slopes) {
  const std::int64_t heads = problem.shape.heads;
  int wrong = 0;
  const auto compare = [&](float found, double sum, double magnitude, double scale) {
    const double expected = sum / scale;
    wrong += !(std::fabs(static_cast<double>(found) - expected) <=
               0x1p-22 * std::fabs(expected) + 1e-12 * magnitude / std::fabs(scale));
  };
  const auto add = [&](std::int64_t row, std::int64_t head, double& sum, double& magnitude) {
    const double g =
        static_cast<double>(slopes.rows.host[static_cast<std::size_t>(row * heads + head)]);
    sum += g;
    magnitude += std::fabs(g);
  };
  for (std::int64_t head = 0; head < heads; ++head) {
    double sum = 0;
    double magnitude = 0;
    for (std::int64_t row = 0; row < problem.rows; ++row) add(row, head, sum, magnitude);
    const auto at = static_cast<std::size_t>(head);
    const float scale = problem.head_scale.host.empty() ? 1.0f : problem.head_scale.host[at];
    compare(slopes.head_scale.host[at], sum, magnitude, static_cast<double>(scale));
  }
  for (std::int64_t row = 0; row < problem.rows; ++row) {
    double sum = 0;
    double magnitude = 0;
    for (std::int64_t head = 0; head < heads; ++head) add(row, head, sum, magnitude);
    const auto at = static_cast<std::size_t>(row);
    const float scale =
        problem.position_scale.host.empty() ? 1.0f : problem.position_scale.host[at];
    compare(slopes.position_scale.host[at], sum, magnitude, static_cast<double>(scale));
  }
  return wrong;
}

/// Calls again and again, and from a graph: no bit may differ. Without rows of the caller's the sums
/// are the same too.
///   params       what launch calls with; left without rows
template <typename Params, typename Launch>
int wrong_repeats(Slopes& slopes, Params& params, const Launch& launch) {
  const std::vector<float> first = slopes.all();
  int wrong = 0;
  for (int run = 0; run < 50; ++run) {
    slopes.poison();
    launch(nullptr);
    wrong += !same_bits(slopes.all(), first);
  }
  slopes.poison();
  run_captured(launch);
  wrong += !same_bits(slopes.all(), first);
  slopes.join(params, false);
  slopes.poison();
  launch(nullptr);
  const auto sums = static_cast<std::ptrdiff_t>(slopes.rows.host.size());
  const std::vector<float> without = slopes.all();
  return wrong +
         !same_bits({without.begin() + sums, without.end()}, {first.begin() + sums, first.end()});
}

template <typename T>
int wrong_from_softmax(Problem<T>& problem, bool repeated, ErrorTally& tally) {
  const ProblemShape& shape = problem.shape;
  const std::int64_t row_heads = problem.rows * shape.heads;
  ReferenceArrays<double> exact(row_heads, shape.keys, shape.head_dim);
  ReferenceArrays<float> naive(row_heads, shape.keys, shape.head_dim);
  run_reference<false>(problem.reference(true, true), exact, true);
  run_reference<false>(problem.reference(true, true), naive, true);

  rw::cuda::SoftmaxScaleGradientParams<T> params;
  params.attention = problem.params();
  problem.poison();
  require(rw::cuda::attend<Statistics::variance>(params.attention, nullptr), "attend");
  params.d_out = problem.d_out_view();
  params.rows = problem.rows;
  Slopes slopes(problem.rows, shape.heads);
  slopes.join(params, true);
  slopes.poison();
  const auto launch = [&](cudaStream_t stream) {
    require(rw::cuda::softmax_scale_gradients(params, stream), "softmax_scale_gradients");
  };
  launch(nullptr);
  slopes.download();
  int wrong = wrong_sums(problem, slopes);
  for (std::size_t i = 0; i < slopes.rows.host.size(); ++i) {
    const double error = std::fabs(static_cast<double>(slopes.rows.host[i]) - exact.slope.host[i]);
    const double error_naive =
        std::fabs(static_cast<double>(naive.slope.host[i]) - exact.slope.host[i]);
    const double lse = exact.lse.host[i] < -1e38 ? 0.0 : std::fabs(exact.lse.host[i]);
    const double unit = 0x1p-24 * (shape.head_dim + shape.keys / 64.0 + 40 + 4 * lse + 4 * 20);
    // A weight below the smallest normal float may be 0.
    const double bound = unit * exact.slope_magnitude.host[i] + 0x1p-110;
    wrong += !(error <= bound);
    // Every row counts alike, however large its terms are. Where one key has all the weight, g is 0 and
    // what is left of it is chance.
    if (shape.huge || exact.entropy.host[i] < 0.5) continue;
    tally.ours += error / bound * (error / bound);
    tally.naive += error_naive / bound * (error_naive / bound);
  }
  return wrong + (repeated ? wrong_repeats(slopes, params, launch) : 0);
}

/// g = <q, dq>; dq is what serves as d_out elsewhere.
template <typename T>
int wrong_from_dq(Problem<T>& problem, bool repeated) {
  const ProblemShape& shape = problem.shape;
  const rw::cuda::AttentionParams<T> attention = problem.params();
  rw::cuda::ScaleGradientParams<T> params;
  params.sequences = shape.packed ? 1 : shape.sequences;
  params.queries = shape.packed ? problem.rows : shape.queries;
  params.heads = shape.heads;
  params.head_dim = shape.head_dim;
  params.q = attention.q;
  params.dq = problem.d_out_view();
  params.head_scale = attention.scale.head_scale;
  params.position_scale = attention.scale.position_scale;
  Slopes slopes(problem.rows, shape.heads);
  slopes.join(params, true);
  slopes.poison();
  const auto launch = [&](cudaStream_t stream) {
    require(rw::cuda::scale_gradients(params, stream), "scale_gradients");
  };
  launch(nullptr);
  slopes.download();
  int wrong = wrong_sums(problem, slopes);
  for (std::size_t i = 0; i < slopes.rows.host.size(); ++i) {
    double exact = 0;
    double magnitude = 0;
    const auto dims = static_cast<std::size_t>(shape.head_dim);
    for (std::size_t at = i * dims; at < (i + 1) * dims; ++at) {
      const double product =
          static_cast<double>(rw::ElementTraits<T>::load(problem.q.host[at])) *
          static_cast<double>(rw::ElementTraits<T>::load(problem.d_out.host[at]));
      exact += product;
      magnitude += std::fabs(product);
    }
    const double bound = (shape.head_dim / 32.0 + 12) * 0x1p-24 * magnitude;
    wrong += !(std::fabs(static_cast<double>(slopes.rows.host[i]) - exact) <= bound);
  }
  return wrong + (repeated ? wrong_repeats(slopes, params, launch) : 0);
}

/// From the statistics that the forward pass has left: g = d_entropy (p s (s - mean) - variance) +
/// d_lse (mean - p s), of a sink's logit s and weight p.
template <typename T>
int wrong_from_statistics(Random& random, Problem<T>& problem, bool repeated) {
  const ProblemShape& shape = problem.shape;
  const rw::cuda::AttentionParams<T> attention = problem.params();
  Memory<float> d_lse(problem.rows * shape.heads), d_entropy(problem.rows * shape.heads);
  for (Memory<float>* array : {&d_lse, &d_entropy}) {
    for (float& value : array->host) value = static_cast<float>(random.uniform(-1, 1));
  }
  rw::cuda::StatisticsScaleGradientParams params;
  params.rows = problem.rows;
  params.heads = shape.heads;
  params.statistics = attention.statistics;
  params.scale = attention.scale;
  params.d_lse = d_lse.on(true);
  params.d_entropy = d_entropy.on(true);
  Slopes slopes(problem.rows, shape.heads);
  slopes.join(params, true);
  slopes.poison();
  const auto launch = [&](cudaStream_t stream) {
    require(rw::cuda::statistics_scale_gradients(params, stream), "statistics_scale_gradients");
  };
  launch(nullptr);
  slopes.download();
  problem.download();
  int wrong = wrong_sums(problem, slopes);
  for (std::size_t i = 0; i < slopes.rows.host.size(); ++i) {
    const auto of = [i](const Memory<float>& memory) {
      return static_cast<double>(memory.host[i]);
    };
    const bool empty = problem.lse.host[i] <= rw::RowSummary<float>::kNoKeys;
    double sink = 0;
    double p = 0;
    if (!problem.sink_logit.host.empty() && !empty) {
      const auto head = i % static_cast<std::size_t>(shape.heads);
      sink = static_cast<double>(problem.sink_logit.host[head]);
      p = std::exp(sink - of(problem.lse));
    }
    const double from_entropy = p * sink * (sink - of(problem.mean)) - of(problem.variance);
    const double from_lse = of(problem.mean) - p * sink;
    const double exact = empty ? 0.0 : of(d_entropy) * from_entropy + of(d_lse) * from_lse;
    const double size = std::fabs(of(problem.variance)) +
                        p * std::fabs(sink) * (1 + std::fabs(sink - of(problem.mean))) +
                        std::fabs(of(problem.mean));
    // A handful of float operations, and e^(s - lse) with the error of its argument.
    const double unit = 0x1p-24 * (16 + std::fabs(sink) + (empty ? 0 : std::fabs(of(problem.lse))));
    wrong += !(std::fabs(of(slopes.rows) - exact) <= unit * size);
  }
  return wrong + (repeated ? wrong_repeats(slopes, params, launch) : 0);
}

template <typename T>
int run_type(const char* name, int shapes) {
  Random random(name);
  ErrorTally tally;
  for (int index = 0; index < shapes; ++index) {
    Problem<T> problem(random, random_shape(random));
    const bool repeated = index < repeated_of(shapes);
    const int wrong[3] = {wrong_from_softmax(problem, repeated, tally),
                          wrong_from_dq(problem, repeated),
                          wrong_from_statistics(random, problem, repeated)};
    const int all = wrong[0] + wrong[1] + wrong[2];
    if (all != 0) {
      const ProblemShape& shape = problem.shape;
      std::printf(
          "%s, shape %d: from the softmax %d, dq %d, statistics %d wrong (%d x %d queries, "
          "%d keys, %d+%d heads of %d)\n",
          name, index, wrong[0], wrong[1], wrong[2], shape.sequences, shape.queries, shape.keys,
          shape.heads, shape.kv_heads, shape.head_dim);
    }
    tally.wrong += all;
  }
  tally.print(name);
  return tally.count();
}

}  // namespace

int main(int count, char** arguments) {
  return device_main(count, arguments, 2, kShapes, [](int shapes) {
    return run_type<rw::float16>("float16", shapes) + run_type<rw::bfloat16>("bfloat16", shapes);
  });
}
