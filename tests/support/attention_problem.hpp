// Random problems for attention: shapes, strides, masks, sequences, scales; and what is done with
// them on every kernel this machine can run.
#pragma once

#include <ropewalk/attention.hpp>
#include <ropewalk/simd/attention.hpp>

#include "attention_reference.hpp"
#include "random.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

// Kernels for TEMPLATE_TEST_CASE; ask runs_here() before use. Those of AVX2 and NEON, which take a
// compiler as long again, have tests of their own in unit/simd.
#if defined(__x86_64__)
#define ROPEWALK_TEST_ATTENTION_KERNELS                               \
  ropewalk::simd::PortableAttention, ropewalk::simd::Avx512Attention, \
      ropewalk::simd::Avx512Bf16Attention
#else
#define ROPEWALK_TEST_ATTENTION_KERNELS ropewalk::simd::PortableAttention
#endif

namespace ropewalk_test {

/// Whether this machine has a kernel's instructions.
template <typename Kernel>
bool runs_here() {
#if defined(__x86_64__)
  if (std::is_same_v<Kernel, ropewalk::simd::PortableAttention>) return true;
  if (std::is_same_v<Kernel, ropewalk::simd::Avx512Bf16Attention> &&
      __builtin_cpu_supports("avx512bf16") == 0) {
    return false;
  }
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0;
#else
  return true;
#endif
}

/// How a kernel computes with inputs of type T: whatever it does not pack as floats are bfloat16,
/// products of which are exact.
template <typename Kernel, typename T>
AttentionArithmetic arithmetic_of() {
  AttentionArithmetic arithmetic;
  if (!std::is_same_v<typename Kernel::template Factor<T>, float>) {
    arithmetic.weight_unit = 0x1p-8;
    arithmetic.query_unit = std::is_same_v<T, ropewalk::bfloat16> ? 0.0 : 0x1p-8;
    arithmetic.smallest = arithmetic.smallest_operand = 0x1p-126;
  }
  return arithmetic;
}

/// Tasks shared out to threads as they come; each thread is a worker.
struct ThreadExecutor {
  int count = 3;

  int workers() const noexcept { return count; }
  template <typename Task>
  void run(std::int64_t tasks, Task&& task) const {
    std::atomic<std::int64_t> next{0};
    std::vector<std::thread> threads;
    for (int worker = 0; worker < count; ++worker) {
      threads.emplace_back([&, worker] {
        for (std::int64_t index = next++; index < tasks; index = next++) task(index, worker);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
};

/// The tasks in reverse, worker after worker: what an executor may do as well.
struct BackwardExecutor {
  int workers() const noexcept { return 2; }
  template <typename Task>
  void run(std::int64_t tasks, Task&& task) const {
    for (std::int64_t index = tasks - 1; index >= 0; --index) {
      task(index, static_cast<int>(index % 2));
    }
  }
};

/// A slope per head on the distance; every `hidden`-th key is hidden where that is above 0.
struct SlopeBias {
  static constexpr bool kIdentity = false;
  float slope = 0.0f;
  std::int64_t hidden = 0;

  float at(std::int64_t head, std::int64_t query, std::int64_t key) const {
    const std::int64_t distance = query > key ? query - key : key - query;
    if (hidden > 0 && distance % hidden == hidden - 1) {
      return -std::numeric_limits<float>::infinity();
    }
    return -slope * static_cast<float>(distance) / static_cast<float>(1 + head);
  }
  void operator()(std::int64_t head, std::int64_t query, std::int64_t key, int count,
                  float* values) const {
    for (int index = 0; index < count; ++index) values[index] = at(head, query, key + index);
  }
};

/// The same for attention_reference().
struct SlopeReference {
  SlopeBias bias;
  double operator()(std::int64_t head, std::int64_t query, std::int64_t key) const {
    const float value = bias.at(head, query, key);
    // -ffast-math may treat an infinity as it likes, so the test is on the bits.
    if (ropewalk::detail::bits_of(value) == 0xff800000u) {
      return -std::numeric_limits<double>::infinity();
    }
    return static_cast<double>(value);
  }
};

/// Views into memory of their own, and options into lists of their own.
template <typename T>
struct AttentionProblem {
  AttentionProblem() = default;
  AttentionProblem(AttentionProblem&&) = default;  // the views stay with the memory

  std::vector<T> q_memory, k_memory, v_memory;
  ropewalk::HeadView<const T> q, k, v;
  double softmax_scale = 0.0;
  std::vector<double> head_scale, position_scale, sink_logit;
  std::vector<ropewalk::AttentionSequence> sequences;
  ropewalk::AttentionMask mask;
  std::int64_t query_position = ropewalk::kEndsWithKeys;
  std::int64_t key_position = 0;
  SlopeBias bias;

  bool has_bias() const { return bias.slope > 0.0f || bias.hidden > 0; }

  ropewalk::AttentionOptions options() const {
    ropewalk::AttentionOptions options;
    options.softmax_scale = softmax_scale;
    options.head_scale = head_scale;
    options.position_scale = position_scale;
    options.sink_logit = sink_logit;
    options.mask = mask;
    options.query_position = query_position;
    options.key_position = key_position;
    options.sequences = sequences;
    return options;
  }

  std::string text() const {
    std::ostringstream text;
    text << "q (" << q.tokens << ", " << q.heads << ", " << q.head_dim << ") k (" << k.tokens
         << ", " << k.heads << ") v.head_dim " << v.head_dim << " strides " << q.token_stride << "/"
         << q.head_stride << " " << k.token_stride << "/" << k.head_stride << " " << v.token_stride
         << "/" << v.head_stride << " causal " << mask.causal << " window " << mask.window
         << " first_keys " << mask.first_keys << " chunk " << mask.chunk << " query_position "
         << query_position << " key_position " << key_position << " scale " << softmax_scale
         << " sequences " << sequences.size() << " sinks " << sink_logit.size() << " head_scale "
         << head_scale.size() << " position_scale " << position_scale.size() << " slope "
         << bias.slope << " hidden " << bias.hidden;
    return text.str();
  }
};

/// A view of elements drawn from uniform(-size, size): packed, with gaps, heads outermost, backward,
/// or repeating one token or head.
template <typename T>
ropewalk::HeadView<const T> draw_view(Random& random, std::int64_t tokens, std::int64_t heads,
                                      int head_dim, double size, std::vector<T>& memory) {
  Strided<T> strided(random, tokens, heads, head_dim);
  for (T& element : strided.memory) element = element_of<T>(random.uniform(-size, size));
  const std::ptrdiff_t at = strided.view.data - strided.memory.data();
  memory = std::move(strided.memory);
  ropewalk::HeadView<const T> view{
      memory.data() + at,      tokens, heads, head_dim, strided.view.token_stride,
      strided.view.head_stride};
  if (random.one_in(12)) view.head_stride = 0;
  if (random.one_in(16)) view.token_stride = 0;
  return view;
}

inline ropewalk::AttentionMask draw_mask(Random& random, std::int64_t keys) {
  ropewalk::AttentionMask mask;
  mask.causal = !random.one_in(3);
  if (random.one_in(3)) mask.window = random.length(1, keys + 2);
  if (random.one_in(3)) mask.first_keys = random.length(1, keys + 2);
  if (random.one_in(3)) mask.chunk = random.length(1, keys + 2);
  return mask;
}

inline std::vector<ropewalk::AttentionSequence> draw_sequences(Random& random, std::int64_t queries,
                                                               std::int64_t keys) {
  std::vector<ropewalk::AttentionSequence> sequences;
  std::int64_t next = 0;
  while (next < queries || random.one_in(4)) {
    ropewalk::AttentionSequence sequence;
    sequence.first_query = next;
    sequence.queries = random.one_in(6) ? 0 : random.integer(0, queries - next);
    sequence.first_key = random.integer(0, keys);
    sequence.keys = random.integer(0, keys - sequence.first_key);
    if (random.one_in(2)) sequence.key_position = random.integer(-40, 40);
    if (random.one_in(2)) sequence.query_position = random.integer(-40, 40 + keys);
    next += sequence.queries;
    sequences.push_back(sequence);
  }
  return sequences;
}

/// A problem whose logits spread by about `spread`.
template <typename T>
AttentionProblem<T> draw_problem(Random& random, double spread) {
  AttentionProblem<T> problem;
  std::int64_t queries = random.one_in(5) ? 1 : random.length(1, 90);
  std::int64_t keys = random.one_in(12) ? random.integer(0, 1) : random.length(1, 260);
  std::int64_t key_heads = random.integer(1, 3);
  std::int64_t group = random.one_in(2) ? 1 : random.integer(1, 5);
  int depth = static_cast<int>(random.one_in(3) ? random.integer(1, 8) : random.length(1, 150));
  if (random.one_in(8)) depth = random.one_in(2) ? 64 : 128;
  int dim = random.one_in(2) ? depth : static_cast<int>(random.length(1, 150));
  const bool many_keys = random.one_in(40);
  if (many_keys) {  // few rows and keys in parts
    queries = random.integer(1, 4);
    keys = random.length(2000, 9000);
    depth = static_cast<int>(random.integer(1, 24));
    dim = static_cast<int>(random.integer(1, 24));
    if (random.one_in(3)) {  // and more heads than one task takes
      key_heads = random.integer(4, 70);
      queries = 1;
      group = random.integer(1, 2);
      keys = random.integer(2000, 3000);
    }
  }
  const std::int64_t heads = key_heads * group;

  problem.softmax_scale = random.one_in(2) ? 0.0 : random.log_uniform(0.01, 10.0);
  const double scale = problem.softmax_scale > 0.0 ? problem.softmax_scale
                                                   : 1.0 / std::sqrt(static_cast<double>(depth));
  // The deviation of a product of two numbers from uniform(-s, s) is s^2 / 3.
  const double size = std::sqrt(3.0 * spread / (scale * std::sqrt(static_cast<double>(depth))));
  const double skew = random.log_uniform(0.125, 8.0);
  if (random.one_in(6) && dim == depth) {  // one fused buffer, heads q, k and v of a token together
    queries = keys = (std::max)(std::int64_t{1}, (std::min)(queries, keys));
    const std::int64_t all = heads + 2 * key_heads;
    problem.q_memory.resize(static_cast<std::size_t>(queries * all * depth));
    for (T& element : problem.q_memory) element = element_of<T>(random.uniform(-size, size));
    const T* data = problem.q_memory.data();
    problem.q = {data, queries, heads, depth, all * depth, depth};
    problem.k = {data + heads * depth, keys, key_heads, depth, all * depth, depth};
    problem.v = {data + (heads + key_heads) * depth, keys, key_heads, depth, all * depth, depth};
  } else {
    problem.q = draw_view(random, queries, heads, depth, size * skew, problem.q_memory);
    problem.k = draw_view(random, keys, key_heads, depth, size / skew, problem.k_memory);
    problem.v =
        draw_view(random, keys, key_heads, dim, random.log_uniform(0.01, 100.0), problem.v_memory);
  }

  if (random.one_in(2)) {
    for (std::int64_t head = 0; head < heads; ++head) {
      problem.head_scale.push_back(random.one_in(9) ? 0.0 : random.uniform(0.1, 1.6));
    }
  }
  if (random.one_in(3)) {
    for (std::int64_t token = 0; token < queries; ++token) {
      problem.position_scale.push_back(random.uniform(0.2, 1.4));
    }
  }
  if (random.one_in(4)) {
    for (std::int64_t head = 0; head < heads; ++head) {
      problem.sink_logit.push_back(random.uniform(-10.0, 10.0));
    }
  }
  problem.mask = draw_mask(random, keys);
  if (!many_keys && random.one_in(4)) {
    problem.sequences = draw_sequences(random, queries, keys);
  } else if (random.one_in(3)) {
    problem.key_position = random.one_in(4) ? -(std::int64_t{1} << 61) + random.integer(0, 99)
                                            : random.integer(-50, 5000);
    problem.query_position = problem.key_position + random.integer(-20, keys + 20);
    problem.query_position = (std::max)(problem.query_position, -(std::int64_t{1} << 61));
  }
  if (random.one_in(4)) problem.bias.slope = static_cast<float>(random.uniform(0.0, 0.1));
  if (random.one_in(12)) problem.bias.hidden = random.integer(1, 5);
  return problem;
}

/// What attend() gave.
template <typename Out>
struct AttentionResult {
  std::vector<Out> out_memory;
  ropewalk::HeadView<Out> out;
  std::vector<float> lse, entropy, mean, variance;
};

/// Every statistic by itself, bit 0 to 3: lse, entropy, mean, variance.
constexpr unsigned kAllStatistics = 15;

template <typename Kernel, typename Out, typename T, typename Executor = ropewalk::OneThread>
AttentionResult<Out> attend_problem(const AttentionProblem<T>& problem,
                                    unsigned statistics = kAllStatistics,
                                    const Executor& executor = {}) {
  AttentionResult<Out> result;
  const auto rows = static_cast<std::size_t>(problem.q.tokens * problem.q.heads);
  const auto garbage = std::numeric_limits<float>::quiet_NaN();
  result.out_memory.assign(rows * static_cast<std::size_t>(problem.v.head_dim),
                           ropewalk::ElementTraits<Out>::store(garbage));
  result.out = ropewalk::make_head_view(result.out_memory.data(), problem.q.tokens, problem.q.heads,
                                        problem.v.head_dim);
  ropewalk::AttentionStatistics to;
  const auto wanted = [&](unsigned bit, std::vector<float>& list, ropewalk::Span<float>& span) {
    if ((statistics >> bit & 1u) == 0) return;
    list.assign(rows, garbage);
    span = list;
  };
  wanted(0, result.lse, to.lse);
  wanted(1, result.entropy, to.entropy);
  wanted(2, result.mean, to.mean);
  wanted(3, result.variance, to.variance);
  if (problem.has_bias()) {
    ropewalk::AttentionHooks<SlopeBias, ropewalk::LoadedRows, ropewalk::LoadedRows, Executor> hooks;
    hooks.bias = problem.bias;
    hooks.executor = executor;
    ropewalk::attend<Kernel>(problem.q, problem.k, problem.v, result.out, problem.options(), to,
                             hooks);
  } else {
    ropewalk::AttentionHooks<ropewalk::NoBias, ropewalk::LoadedRows, ropewalk::LoadedRows, Executor>
        hooks;
    hooks.executor = executor;
    ropewalk::attend<Kernel>(problem.q, problem.k, problem.v, result.out, problem.options(), to,
                             hooks);
  }
  return result;
}

template <typename Kernel, typename T>
AttentionReference reference_of(const AttentionProblem<T>& problem) {
  return attention_reference(problem.q, problem.k, problem.v, problem.options(),
                             SlopeReference{problem.bias}, arithmetic_of<Kernel, T>());
}

}  // namespace ropewalk_test
