// Decoding on a device against its definition in double, over random caches: outputs at most twice as
// far off as a naive kernel's, entropies within 1e-4, nothing touched that is not asked for, the same
// bits from run to run and from a graph.
#include <ropewalk/cuda/decode.cuh>

#include "cuda/device/attention_compare.cuh"
#include "cuda/device/decode_problem.cuh"

#include <type_traits>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
using rw::cuda::Statistics;

namespace {

constexpr int kShapes = 500;  // per type

template <typename T>
rw::cuda::Status decode(Statistics level, const rw::cuda::DecodeParams<T>& params,
                        cudaStream_t stream) {
  if constexpr (std::is_same_v<T, rw::bfloat16>) {
    if (level == Statistics::lse) return rw::cuda::decode<Statistics::lse, 128>(params, stream);
    if (level == Statistics::entropy) {
      return rw::cuda::decode<Statistics::entropy, 128>(params, stream);
    }
  }
  return rw::cuda::decode<Statistics::variance>(params, stream);
}

template <typename T>
int run_type(const char* name, int shapes) {
  Random random(name);
  ErrorTally tally;
  for (int index = 0; index < shapes; ++index) {
    DecodeProblem<T> problem(random);
    const ProblemShape& shape = problem.shape;
    const Statistics level = random_level<T>(random, shape.head_dim);
    const std::int64_t row_heads = problem.rows * shape.heads;
    rw::cuda::DecodeParams<T> params = problem.params();
    problem.turn_reference();
    ReferenceArrays<double> exact(row_heads, shape.keys, shape.head_dim);
    ReferenceArrays<float> naive(row_heads, shape.keys, shape.head_dim);
    run_reference<false>(problem.reference(true), exact, true);
    run_reference<true>(problem.reference(true), naive, true);

    params.workspace_bytes = rw::cuda::decode_workspace(params);
    problem.workspace.host.assign(params.workspace_bytes, 0xff);
    params.workspace = problem.workspace.on(true);
    params.statistics = of_level(params.statistics, level);
    problem.poison();
    require(decode(level, params, nullptr), "decode");
    problem.download();
    int wrong = 0;
    wrong += wrong_outputs<T>(problem.outputs(wrong), exact, naive, tally);
    wrong += wrong_statistics(problem, exact, level, tally);
    if (index < repeated_of(shapes)) {
      wrong += wrong_repeats(
          problem, [&](cudaStream_t stream) { require(decode(level, params, stream), "decode"); });
    }
    if (wrong != 0) {
      std::printf(
          "%s, shape %d: %d wrong (%d x %d queries, %d keys, %d+%d heads of %d, pages of "
          "%d%s%s, %d blocks)\n",
          name, index, wrong, shape.sequences, shape.queries, shape.keys, shape.heads,
          shape.kv_heads, shape.head_dim, static_cast<int>(problem.page_size),
          problem.page_table.host.empty() ? ", dense" : "", problem.rotates ? ", rotates" : "",
          problem.blocks);
    }
    tally.wrong += wrong;
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
