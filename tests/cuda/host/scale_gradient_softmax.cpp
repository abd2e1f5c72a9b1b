#include <ropewalk/attention_gradient.hpp>

#include "scale_gradient.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;
using namespace ropewalk_test::gradient_cases;

namespace {

template <typename T>
void check_random_shapes(const char* name, int shapes) {
  Random random(name);
  OnEmulation run(name);
  for (int shape = 0; shape < shapes; ++shape) {
    const Outcome outcome = softmax_case<T>(random, kEmulated, run);
    INFO(outcome.text << " refused " << outcome.refused << " wrong " << outcome.wrong);
    REQUIRE(run.takes(outcome));
  }
  CHECK(run.matrix_conflicts == 0);
  run.print();
}

/// Sums over a vector of (rows, heads).
double over_rows(const std::vector<double>& values, std::int64_t heads, std::int64_t head) {
  double sum = 0.0;
  for (std::size_t at = static_cast<std::size_t>(head); at < values.size();
       at += static_cast<std::size_t>(heads)) {
    sum += values[at];
  }
  return sum;
}

double over_heads(const std::vector<double>& values, std::int64_t heads, std::int64_t row) {
  double sum = 0.0;
  for (std::int64_t head = 0; head < heads; ++head) {
    sum += values[static_cast<std::size_t>(row * heads + head)];
  }
  return sum;
}

/// The same elements as (tokens, heads, head_dim), and the call on them of the host's library.
template <typename T>
class OnHost {
 public:
  explicit OnHost(const Problem<T>& problem) {
    const Sizes& sizes = problem.sizes;
    const rw::cuda::AttentionShape& shape = sizes.shape;
    std::int64_t keys = 0;
    for (int i = 0; i < shape.sequences; ++i) {
      const auto at = static_cast<std::size_t>(i);
      rw::AttentionSequence sequence;
      sequence.first_query = sizes.row(i, 0);
      sequence.queries = sizes.queries[at];
      sequence.first_key = keys;
      sequence.keys = sizes.keys[at];
      sequence.query_position = sizes.positions[at];
      sequences_.push_back(sequence);
      keys += sizes.keys[at];
      append(problem, problem.q, sizes.query_starts, i, sizes.queries[at], shape.heads, q_);
      append(problem, problem.d_out, sizes.query_starts, i, sizes.queries[at], shape.heads, d_out_);
      append(problem, problem.k, sizes.key_starts, i, sizes.keys[at], shape.kv_heads, k_);
      append(problem, problem.v, sizes.key_starts, i, sizes.keys[at], shape.kv_heads, v_);
    }
    const auto view = [&](const std::vector<T>& from, std::int64_t tokens, int heads) {
      return rw::make_head_view(from.data(), tokens, heads, shape.head_dim);
    };
    q = view(q_, sizes.rows, shape.heads);
    d_out = view(d_out_, sizes.rows, shape.heads);
    k = view(k_, keys, shape.kv_heads);
    v = view(v_, keys, shape.kv_heads);
    const auto doubles = [](const std::vector<float>& from) {
      return std::vector<double>(from.begin(), from.end());
    };
    head_scale_ = doubles(problem.head_scale);
    position_scale_ = doubles(problem.position_scale);
    sink_logit_ = doubles(problem.sink_logit);
    options.head_scale = head_scale_;
    options.position_scale = position_scale_;
    options.sink_logit = sink_logit_;
    options.mask = sizes.mask;
    options.sequences = sequences_;
    head_scale.resize(static_cast<std::size_t>(shape.heads));
    position_scale.resize(static_cast<std::size_t>(sizes.rows));
    gradients.head_scale = head_scale;
    gradients.position_scale = position_scale;
  }
  OnHost(const OnHost&) = delete;
  OnHost& operator=(const OnHost&) = delete;

  rw::HeadView<const T> q, k, v, d_out;
  rw::AttentionOptions options;
  rw::AttentionGradients gradients;
  std::vector<double> head_scale, position_scale;

 private:
  static void append(const Problem<T>& problem, const Batch<T>& batch,
                     const std::vector<std::int32_t>& starts, int sequence, int tokens, int heads,
                     std::vector<T>& to) {
    for (int token = 0; token < tokens; ++token) {
      for (int head = 0; head < heads; ++head) {
        for (int d = 0; d < problem.sizes.shape.head_dim; ++d) {
          to.push_back(
              batch.memory[batch.at(problem.sizes.packed ? 0 : sequence,
                                    problem.sizes.token(starts, sequence, token), head, d)]);
        }
      }
    }
  }

  std::vector<T> q_, k_, v_, d_out_;
  std::vector<double> head_scale_, position_scale_, sink_logit_;
  std::vector<rw::AttentionSequence> sequences_;
};

}  // namespace

TEST_CASE("softmax_scale_gradients of the device is exact to its bound, bfloat16") {
  check_random_shapes<rw::bfloat16>("gradients from the softmax, bf16", kShapes);
}

TEST_CASE("softmax_scale_gradients of the device is exact to its bound, float16") {
  check_random_shapes<rw::float16>("gradients from the softmax, f16", kShapes);
}

TEST_CASE("softmax_scale_gradients of the device and of the host agree") {
  Random random("gradients, device and host");
  int compared = 0;
  for (int i = 0; i < 60; ++i) {
    Problem<rw::bfloat16> problem(random, random_head_dim(random), kEmulated, true);
    if (problem.k.memory.size() == 0) continue;
    const int heads = problem.sizes.shape.heads;
    auto params = problem.params();
    Results results(params, problem.sizes.rows, heads, false);
    REQUIRE(emulate_gradients(params, 1).error == "");
    OnHost<rw::bfloat16> host(problem);
    INFO(problem.sizes.text());
    rw::softmax_scale_gradients(host.q, host.k, host.v, {{problem.lse.data(), problem.lse.size()}},
                                host.d_out, host.options, host.gradients);
    // The host states 1e-5 of the sum of the magnitudes.
    const auto close = [&](float got, double expected, double bound, double magnitude, double by) {
      CHECK(std::fabs(static_cast<double>(got) - expected) <=
            (bound + 1e-5 * magnitude) / by + kUnit * std::fabs(expected));
    };
    for (int head = 0; head < heads; ++head) {
      const auto at = static_cast<std::size_t>(head);
      close(results.head_scale[head], host.head_scale[at], over_rows(problem.bounds, heads, head),
            over_rows(problem.magnitudes, heads, head),
            problem.head_scale.empty() ? 1.0 : as_double(problem.head_scale[at]));
      ++compared;
    }
    for (std::int64_t row = 0; row < problem.sizes.rows; ++row) {
      const auto at = static_cast<std::size_t>(row);
      close(results.position_scale[row], host.position_scale[at],
            over_heads(problem.bounds, heads, row), over_heads(problem.magnitudes, heads, row),
            problem.position_scale.empty() ? 1.0 : as_double(problem.position_scale[at]));
      ++compared;
    }
  }
  CHECK(compared > 1000);
}

TEST_CASE("softmax_scale_gradients of the device is the slope of the loss") {
  Random random("gradients, differences");
  double largest_sink_part = 0.0;
  for (int i = 0; i < 60; ++i) {
    Problem<rw::float16> problem(random, 8 * static_cast<int>(random.integer(1, 3)), kEmulated,
                                 true);
    const Sizes& sizes = problem.sizes;
    const int heads = sizes.shape.heads;
    auto params = problem.params();
    Results results(params, sizes.rows, heads, true);
    REQUIRE(emulate_gradients(params, 1).error == "");
    // A row's part of the loss where its scale is `times` what it was, and its own weights' size.
    double size = 0.0;
    const auto loss = [&](int sequence, int query, int head, double times) {
      const auto keys = problem.keys_of(sequence, query, head);
      const bool has_sink = !problem.sink_logit.empty();
      const double sink =
          has_sink ? as_double(problem.sink_logit[static_cast<std::size_t>(head)]) : -1e300;
      double largest = sink;
      for (const auto& key : keys) largest = std::fmax(largest, times * key.logit);
      double sum = has_sink ? std::exp(sink - largest) : 0.0;
      double total = 0.0;
      size = 0.0;
      for (const auto& key : keys) {
        const double weight = std::exp(times * key.logit - largest);
        const double distance = 1.0 + std::fabs(key.logit);
        sum += weight;
        total += weight * key.product;
        size += std::fabs(key.product) * std::pow(distance, 5);
      }
      return keys.empty() ? 0.0 : total / sum;
    };
    for (int sequence = 0; sequence < sizes.shape.sequences; ++sequence) {
      for (int query = 0; query < sizes.queries[static_cast<std::size_t>(sequence)]; query += 7) {
        for (int head = 0; head < heads; ++head) {
          constexpr double h = 1e-3;
          const auto at = [&](double times) { return loss(sequence, query, head, times); };
          // Error h^4 / 30 of the fifth derivative, which is a sum of p dP by fifth powers of logits
          // with coefficients up to 120.
          const double slope =
              (8 * (at(1 + h) - at(1 - h)) - (at(1 + 2 * h) - at(1 - 2 * h))) / (12 * h);
          const std::size_t entry = problem.entry(sequence, query, head);
          const double bound = problem.bounds[entry] + 4 * h * h * h * h * size + 1e-12;
          CHECK(std::fabs(as_double(results.rows[static_cast<std::int64_t>(entry)]) - slope) <=
                bound);
          if (!problem.sink_logit.empty()) {
            largest_sink_part = std::fmax(largest_sink_part, std::fabs(slope));
          }
        }
      }
    }
  }
  CHECK(largest_sink_part > 0.1);  // rows with a sink were among them
}

TEST_CASE("softmax_scale_gradients of the device does not depend on the order of warps") {
  Random random("gradients, order of warps");
  for (int i = 0; i < 12; ++i) {
    Problem<rw::bfloat16> problem(random, random_head_dim(random), kEmulated);
    auto params = problem.params();
    Results first(params, problem.sizes.rows, problem.sizes.shape.heads, true);
    REQUIRE(emulate_gradients(params, 1).error == "");
    for (std::uint64_t seed = 2; seed < 5; ++seed) {
      Results other(params, problem.sizes.rows, problem.sizes.shape.heads, seed != 4);
      REQUIRE(emulate_gradients(params, seed).error == "");
      CHECK(other.same_as(first));
    }
  }
}

TEST_CASE("what softmax_scale_gradients of the device cannot do is refused by name") {
  Random random("gradients, refusals");
  Problem<rw::float16> problem(random, 64, kEmulated);
  problem.sizes.packed = true;  // rows are asked for
  const auto sound = [&] {
    auto params = problem.params();
    params.attention.shape.queries = 1;  // there are rows
    return params;
  };
  auto params = sound();
  Results results(params, problem.sizes.rows, problem.sizes.shape.heads, false);
  const auto refused = [&](auto&& change) {
    auto changed = sound();
    changed.gradients = params.gradients;
    changed.workspace = params.workspace;
    changed.workspace_bytes = params.workspace_bytes;
    change(changed);
    const rw::Fault fault = rw::cuda::validate(changed);
    return std::string(fault.field) + " " + std::to_string(static_cast<long long>(fault.value)) +
           " " + rw::message(fault.code);
  };
  using P = rw::cuda::SoftmaxScaleGradientParams<rw::float16>&;
  CHECK_THAT(refused([](P) {}), contains("is sound"));
  CHECK_THAT(refused([](P p) { p.attention.shape.head_dim = 264; }),
             contains("shape.head_dim 264 is above"));
  CHECK_THAT(refused([](P p) { p.attention.shape.head_dim = 12; }),
             contains("shape.head_dim 12 leaves a rest"));
  CHECK_THAT(refused([](P p) { p.attention.shape.kv_heads = 0; }), contains("shape.kv_heads 0"));
  CHECK_THAT(refused([](P p) { p.attention.mask.window = 0; }), contains("window 0 is below"));
  CHECK_THAT(refused([](P p) { p.attention.scale.softmax_scale = -1; }),
             contains("scale.softmax_scale -1 is below"));
  CHECK_THAT(refused([](P p) { p.attention.q.data = nullptr; }), contains("q 0 is needed"));
  CHECK_THAT(refused([](P p) { p.attention.k.data += 1; }), contains("k 2 leaves a rest"));
  CHECK_THAT(refused([](P p) { p.attention.v.token_stride = 12; }), contains("v 12 leaves a rest"));
  CHECK_THAT(refused([](P p) { p.d_out.data = nullptr; }), contains("d_out 0 is needed"));
  CHECK_THAT(refused([](P p) { p.d_out.head_stride = -8; }), contains("d_out -8 is below"));
  CHECK_THAT(refused([](P p) { p.attention.statistics.lse = nullptr; }),
             contains("statistics.lse 0 is needed"));
  CHECK_THAT(refused([](P p) { p.attention.statistics.entropy = nullptr; }),
             contains("statistics.entropy 0 is needed"));
  CHECK_THAT(refused([](P p) { p.rows = -3; }), contains("rows -3 is below"));
  CHECK_THAT(refused([](P p) { p.rows = 0; }), contains("rows 0 is below"));
  CHECK_THAT(refused([&](P p) { p.gradients.rows = problem.entropy.data() + p.rows; }),
             contains("gradients.rows 0 makes elements share memory"));
  CHECK_THAT(refused([](P p) { p.rows = std::int64_t{1} << 62; }), contains("rows"));
  CHECK_THAT(refused([](P p) { p.gradients.rows = p.gradients.head_scale; }),
             contains("gradients.rows 0 makes elements share memory"));
  CHECK_THAT(refused([&](P p) { p.gradients.rows = problem.lse.data(); }),
             contains("gradients.rows 0 makes elements share memory"));
  CHECK_THAT(refused([](P p) { p.gradients = {}; }), contains("gradients 0 is needed"));
  CHECK_THAT(refused([](P p) { p.workspace = nullptr; }), contains("workspace 0 is needed"));
  CHECK_THAT(refused([](P p) { p.workspace = static_cast<char*>(p.workspace) + 4; }),
             contains("workspace 4 leaves a rest"));
  CHECK_THAT(refused([](P p) { --p.workspace_bytes; }), contains("workspace_bytes"));
}
