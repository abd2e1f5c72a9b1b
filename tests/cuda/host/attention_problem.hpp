// Attention of the device on the host: the kernel's body in the emulation, and the float64 reference.
#pragma once

#include <ropewalk/cuda/attention/forward.hpp>

#include "../attention_cases.hpp"
#include "../emulation/block.hpp"
#include "support/attention_reference.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace ropewalk_test {

/// Where one sequence's exact rows are found: (queries, heads).
template <typename T>
AttentionReference reference_of_sequence(const DeviceProblem<T>& problem, std::size_t which) {
  const rc::AttentionParams<T>& params = problem.params;
  const rc::AttentionShape& shape = params.shape;
  const ProblemSequence& sequence = problem.sequences[which];
  const std::int64_t first_row = sequence.first_query >= 0
                                     ? sequence.first_query
                                     : static_cast<std::int64_t>(which) * shape.queries;
  // A reference of scales that are not negative: the queries take the signs.
  std::vector<T> q(index_of(std::int64_t{sequence.queries} * shape.heads * shape.head_dim));
  ropewalk::HeadView<T> queries =
      ropewalk::make_head_view(q.data(), sequence.queries, shape.heads, shape.head_dim);
  std::vector<double> head_scale, position_scale, sink;
  for (const float scale : problem.head_scale) head_scale.push_back(std::abs(double{scale}));
  for (const float logit : problem.sink_logit) sink.push_back(double{logit});
  for (std::int64_t token = 0; token < sequence.queries; ++token) {
    float position = 1.0f;
    if (!problem.position_scale.empty()) {
      position = problem.position_scale[index_of(first_row + token)];
      position_scale.push_back(std::abs(double{position}));
    }
    for (std::int64_t head = 0; head < shape.heads; ++head) {
      const float scale =
          position * (problem.head_scale.empty() ? 1.0f : problem.head_scale[index_of(head)]);
      const T* from =
          problem.q.data() + problem.element(params.q, which, sequence.first_query, token, head);
      for (int dim = 0; dim < shape.head_dim; ++dim) {
        T value = from[dim];
        if (scale < 0.0f) value.bits = static_cast<std::uint16_t>(value.bits ^ 0x8000u);
        queries.head(token, head)[dim] = value;
      }
    }
  }
  const auto rows = [&](const std::vector<T>& memory, const rc::BatchView<const T>& view) {
    return ropewalk::HeadView<const T>{
        memory.data() + problem.element(view, which, sequence.first_key, 0, 0),
        sequence.keys,
        shape.kv_heads,
        shape.head_dim,
        view.token_stride,
        view.head_stride};
  };
  ropewalk::AttentionOptions options;
  options.softmax_scale = params.scale.softmax_scale;
  options.head_scale = head_scale;
  options.position_scale = position_scale;
  options.sink_logit = sink;
  options.mask = params.mask;
  options.query_position = sequence.position;
  AttentionArithmetic arithmetic;
  arithmetic.weight_unit = std::is_same_v<T, ropewalk::float16> ? 0x1p-11 : 0x1p-8;
  const ropewalk::HeadView<const T> q_view{queries.data,         queries.tokens,
                                           queries.heads,        queries.head_dim,
                                           queries.token_stride, queries.head_stride};
  return attention_reference(q_view, rows(problem.k, params.k), rows(problem.v, params.v), options,
                             NoReferenceBias{}, arithmetic);
}

/// What a launch in the emulation gave.
template <typename T>
struct EmulatedResult : DeviceResult<T> {
  LaunchReport report;
};

/// Runs the body over a problem.
///   seed   of the order of warps
template <typename Traits, typename T>
EmulatedResult<T> emulate(const DeviceProblem<T>& problem, std::uint64_t seed) {
  EmulatedResult<T> result{prepare(problem, Traits::kStatistics, Traits::kValues, seed), {}};
  const rc::AttentionParams<T>& params = result.params;
  ropewalk::Fault fault = rc::validate(params);
  if (fault.code == ropewalk::Errc::ok) fault = rc::detail::check_values(params, Traits::kValues);
  if (fault.code == ropewalk::Errc::ok) {
    fault = rc::detail::check_statistics(params.statistics, Traits::kStatistics);
  }
  if (fault.code != ropewalk::Errc::ok) {
    result.report.error = std::string("refused: ") + fault.field;
    return result;
  }
  const rc::detail::ForwardJob<T> job = rc::detail::forward_job<Traits>(params);
  EmulatedGrid grid;
  LaunchSize size;
  size.x = static_cast<int>(job.order.size());
  size.threads = Traits::kThreads;
  size.shared_bytes = static_cast<std::size_t>(Traits::kSharedBytes);
  result.report =
      grid.run(size, seed, [&](EmulatedBlock& block) { rc::detail::forward<Traits>(block, job); });
  return result;
}

}  // namespace ropewalk_test
