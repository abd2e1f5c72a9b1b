// Attention on a device against its definition in double, over random shapes: outputs at most twice as
// far off as a naive kernel's, entropies within 1e-4, nothing touched that is not asked for, the same
// bits from run to run and from a graph.
#include <ropewalk/attention.hpp>
#include <ropewalk/cuda/attention.cuh>

#include "cuda/device/attention_compare.cuh"
#include "cuda/device/attention_problem.cuh"

#include <cmath>
#include <type_traits>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
using rw::cuda::Statistics;

namespace {

constexpr int kShapes = 500;  // per type
constexpr int kHostShapes = 20;

template <typename T>
rw::cuda::Status attend(Statistics level, const rw::cuda::AttentionParams<T>& params,
                        cudaStream_t stream) {
  if constexpr (std::is_same_v<T, rw::bfloat16>) {
    if (level == Statistics::lse) return rw::cuda::attend<Statistics::lse, 128>(params, stream);
    if (level == Statistics::entropy) {
      return rw::cuda::attend<Statistics::entropy, 128>(params, stream);
    }
  }
  return rw::cuda::attend<Statistics::variance>(params, stream);
}

template <typename T>
int run_type(const char* name, int shapes) {
  Random random(name);
  ErrorTally tally;
  for (int index = 0; index < shapes; ++index) {
    Problem<T> problem(random, random_shape(random));
    const Statistics level = random_level<T>(random, problem.shape.head_dim);
    const std::int64_t row_heads = problem.rows * problem.shape.heads;
    ReferenceArrays<double> exact(row_heads, problem.shape.keys, problem.shape.head_dim);
    ReferenceArrays<float> naive(row_heads, problem.shape.keys, problem.shape.head_dim);
    run_reference<false>(problem.reference(true, false), exact, true);
    run_reference<true>(problem.reference(true, false), naive, true);

    rw::cuda::AttentionParams<T> params = problem.params();
    params.statistics = of_level(params.statistics, level);
    const auto whole = [&](cudaStream_t stream) {
      require(attend(level, params, stream), "attend");
    };
    problem.poison();
    whole(nullptr);
    problem.download();
    int wrong = 0;
    wrong += wrong_outputs<T>(problem.outputs(wrong), exact, naive, tally);
    wrong += wrong_statistics(problem, exact, level, tally);
    if (index < repeated_of(shapes)) wrong += wrong_repeats(problem, whole);

    rw::cuda::AttentionParams<T> keys_only = problem.params();
    keys_only.v = {};
    keys_only.out = {};
    const auto statistics = [&](cudaStream_t stream) {
      require(rw::cuda::attention_statistics<Statistics::variance>(keys_only, stream),
              "attention_statistics");
    };
    problem.poison();
    statistics(nullptr);
    problem.download();
    wrong += wrong_statistics(problem, exact, Statistics::variance, tally);
    if (index < repeated_of(shapes)) wrong += wrong_repeats(problem, statistics);
    if (wrong != 0) {
      std::printf("%s, shape %d: %d wrong (%d x %d queries, %d keys, %d+%d heads of %d)\n", name,
                  index, wrong, problem.shape.sequences, problem.shape.queries, problem.shape.keys,
                  problem.shape.heads, problem.shape.kv_heads, problem.shape.head_dim);
    }
    tally.wrong += wrong;
  }
  tally.print(name);
  return tally.count();
}

/// The reference itself, on the host, beside the library's attention there, which is within 1e-5.
int check_reference() {
  Random random("reference");
  int wrong = 0;
  for (int index = 0; index < kHostShapes; ++index) {
    ProblemShape shape = random_shape(random);
    shape.sequences = 1;
    shape.packed = false;
    shape.huge = false;
    Problem<rw::float16> problem(random, shape);
    const std::int64_t row_heads = problem.rows * shape.heads;
    ReferenceArrays<double> exact(row_heads, shape.keys, shape.head_dim);
    run_reference<false>(problem.reference(false, false), exact, false);

    const auto doubles = [](const std::vector<float>& values) {
      std::vector<double> result;
      for (const float value : values) result.push_back(static_cast<double>(std::fabs(value)));
      return result;
    };
    // The host takes no negative scales: both sides have their magnitudes here.
    for (float& scale : problem.head_scale.host) scale = std::fabs(scale);
    run_reference<false>(problem.reference(false, false), exact, false);
    const std::vector<double> head_scale = doubles(problem.head_scale.host);
    const std::vector<double> position_scale = doubles(problem.position_scale.host);
    std::vector<double> sink_logit;
    for (const float logit : problem.sink_logit.host) sink_logit.push_back(logit);
    std::vector<float> out(static_cast<std::size_t>(row_heads * shape.head_dim));
    std::vector<float> lse(static_cast<std::size_t>(row_heads)), entropy(lse), mean(lse),
        variance(lse);
    rw::AttentionOptions options;
    options.softmax_scale = problem.softmax_scale;
    options.head_scale = head_scale;
    options.position_scale = position_scale;
    options.sink_logit = sink_logit;
    options.mask = shape.mask;
    options.query_position = problem.plan.host[0].position;
    const auto view = [&](auto* data, std::int64_t tokens, int heads) {
      return rw::make_head_view(data, tokens, heads, shape.head_dim);
    };
    const std::int64_t keys = problem.keys[0];
    rw::attend(view(problem.q.host.data(), problem.rows, shape.heads),
               view(problem.k.host.data(), keys, shape.kv_heads),
               view(problem.v.host.data(), keys, shape.kv_heads),
               view(out.data(), problem.rows, shape.heads), options,
               rw::AttentionStatistics{lse, entropy, mean, variance});
    const auto compare = [&](const std::vector<float>& found, const std::vector<double>& expected) {
      for (std::size_t i = 0; i < found.size(); ++i) {
        const double bound = 1e-4 * std::max(1.0, std::fabs(expected[i]));
        wrong += !(std::fabs(static_cast<double>(found[i]) - expected[i]) <= bound);
      }
    };
    compare(out, exact.out.host);
    compare(lse, exact.lse.host);
    compare(entropy, exact.entropy.host);
    compare(mean, exact.mean.host);
    compare(variance, exact.variance.host);
  }
  std::printf("the reference beside the host's attention: %d shapes, %d values wrong\n",
              kHostShapes, wrong);
  return wrong;
}

}  // namespace

int main(int count, char** arguments) {
  if (check_reference() != 0) return 1;
  return device_main(count, arguments, 2, kShapes, [](int shapes) {
    return run_type<rw::float16>("float16", shapes) + run_type<rw::bfloat16>("bfloat16", shapes);
  });
}
