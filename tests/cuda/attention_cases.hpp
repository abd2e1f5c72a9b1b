// Random calls of attention on the device and the judgement of what the body computes in the
// emulation.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/cuda/attention/checks.hpp>
#include <ropewalk/cuda/attention/params.hpp>
#include <ropewalk/row_statistics.hpp>

#include "../support/random.hpp"
#include "array.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace ropewalk_test {

namespace rc = ropewalk::cuda;

inline std::size_t index_of(std::int64_t value) { return static_cast<std::size_t>(value); }

/// Every value not written, and every one that may not be read: a NaN.
inline constexpr std::uint16_t kPoison16 = 0xffff;
inline constexpr std::uint32_t kPoison32 = 0xffffffffu;

/// Tokens of one sequence of a problem.
struct ProblemSequence {
  int queries = 0;
  int keys = 0;
  std::int64_t position = 0;     // of the first query
  std::int64_t first_query = 0;  // packed: in q
  std::int64_t first_key = 0;    // packed: in k and v
};

/// Parameters over memory of their own; output and statistics not yet.
template <typename T>
struct DeviceProblem {
  rc::AttentionParams<T> params;
  std::vector<ProblemSequence> sequences;
  std::int64_t query_tokens = 0;  // rows of the statistics
  std::vector<T> q, k, v;
  std::vector<float> head_scale, position_scale, sink_logit;
  std::vector<std::int32_t> query_starts, key_starts, key_counts, query_positions;

  std::int64_t element(const rc::BatchView<const T>& view, std::size_t sequence, std::int64_t first,
                       std::int64_t token, std::int64_t head) const {
    const bool packed = first >= 0;
    return (packed ? first + token : 0) * view.token_stride +
           (packed ? 0
                   : static_cast<std::int64_t>(sequence) * view.sequence_stride +
                         token * view.token_stride) +
           head * view.head_stride;
  }
};

/// Strides for (sequences, tokens, heads, head_dim) in one of the usual orders with room between;
/// returns the elements they reach over.
template <typename T>
std::int64_t draw_strides(Random& random, std::int64_t sequences, std::int64_t tokens,
                          std::int64_t heads, int head_dim, rc::BatchView<T>& view) {
  const auto room = [&] { return random.one_in(3) ? 8 * random.integer(1, 3) : std::int64_t{0}; };
  if (random.one_in(2)) {
    view.head_stride = head_dim + room();
    view.token_stride = heads * view.head_stride + room();
    view.sequence_stride = tokens * view.token_stride + room();
  } else {
    view.token_stride = head_dim + room();
    view.head_stride = tokens * view.token_stride + room();
    view.sequence_stride = heads * view.head_stride + room();
  }
  return sequences * view.sequence_stride + heads * view.head_stride + tokens * view.token_stride +
         head_dim;
}

inline int draw_head_dim(Random& random) {
  const std::int64_t which = random.integer(0, 99);
  if (which < 8) return 64;
  if (which < 74) return static_cast<int>(8 * random.integer(1, 8));
  if (which < 85) return static_cast<int>(8 * random.integer(9, 12));
  if (which < 95) return static_cast<int>(8 * random.integer(13, 16));
  return static_cast<int>(8 * random.integer(17, 32));
}

inline ropewalk::AttentionMask draw_device_mask(Random& random, std::int64_t keys) {
  ropewalk::AttentionMask mask;
  mask.causal = !random.one_in(3);
  if (random.one_in(3)) mask.window = random.length(1, keys + 2);
  if (random.one_in(3)) mask.first_keys = random.length(1, keys + 2);
  if (random.one_in(4)) mask.chunk = random.length(1, keys + 2);
  return mask;
}

template <typename T>
DeviceProblem<T> draw_device_problem(Random& random) {
  DeviceProblem<T> problem;
  rc::AttentionParams<T>& params = problem.params;
  rc::AttentionShape& shape = params.shape;
  shape.sequences = random.one_in(2) ? 1 : static_cast<int>(random.integer(2, 3));
  shape.queries =
      static_cast<int>(random.one_in(8) ? random.integer(1, 200) : random.length(1, 60));
  shape.keys = static_cast<int>(random.one_in(10) ? random.integer(0, 300) : random.length(1, 200));
  const int group = 1 << random.integer(0, 3);
  shape.kv_heads = static_cast<int>(random.one_in(2) ? 1 : random.integer(1, group > 2 ? 1 : 3));
  shape.heads = group * shape.kv_heads;
  shape.head_dim = draw_head_dim(random);
  if (shape.head_dim > 64 && random.one_in(2)) shape.heads = shape.kv_heads = 1;
  const bool packed_q = random.one_in(3);
  const bool packed_k = random.one_in(3);
  const bool counted = random.one_in(3);
  const bool positioned = random.one_in(4);

  std::int64_t query = packed_q ? random.integer(0, 3) : 0;
  std::int64_t key = packed_k ? random.integer(0, 3) : 0;
  for (int i = 0; i < shape.sequences; ++i) {
    ProblemSequence sequence;
    sequence.queries =
        packed_q ? static_cast<int>(random.integer(0, shape.queries)) : shape.queries;
    sequence.keys = packed_k ? static_cast<int>(random.integer(0, shape.keys)) : shape.keys;
    sequence.first_query = packed_q ? query : -1;
    sequence.first_key = packed_k ? key : -1;
    if (packed_q) problem.query_starts.push_back(static_cast<std::int32_t>(query));
    if (packed_k) problem.key_starts.push_back(static_cast<std::int32_t>(key));
    query += sequence.queries;
    key += sequence.keys;
    if (counted) {
      const auto count = static_cast<int>(random.integer(0, shape.keys));
      problem.key_counts.push_back(count);
      sequence.keys = (std::min)(sequence.keys, count);
    }
    sequence.position = std::int64_t{sequence.keys} - sequence.queries;
    if (positioned) {
      sequence.position = random.integer(-20, sequence.keys + 20);
      problem.query_positions.push_back(static_cast<std::int32_t>(sequence.position));
    }
    problem.sequences.push_back(sequence);
  }
  if (packed_q) problem.query_starts.push_back(static_cast<std::int32_t>(query));
  if (packed_k) problem.key_starts.push_back(static_cast<std::int32_t>(key));
  problem.query_tokens = packed_q ? query : std::int64_t{shape.sequences} * shape.queries;

  // The standard deviation of a product of two numbers from uniform(-s, s) is s^2 / 3.
  const double natural = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  if (random.one_in(3)) params.scale.softmax_scale = natural * random.log_uniform(0.25, 4.0);
  const double spread = random.log_uniform(0.05, 12.0);
  const double size = std::sqrt(3.0 * spread);
  const auto poison = T{kPoison16};
  const auto fill = [&](std::vector<T>& memory, rc::BatchView<const T>& view, bool packed,
                        bool of_keys, std::int64_t tokens, std::int64_t heads, double largest) {
    const std::int64_t count =
        draw_strides(random, packed ? 1 : shape.sequences, packed ? tokens + 2 : tokens, heads,
                     shape.head_dim, view);
    memory.assign(index_of(count), poison);
    for (std::size_t s = 0; s < problem.sequences.size(); ++s) {
      const ProblemSequence& sequence = problem.sequences[s];
      const std::int64_t first = of_keys ? sequence.first_key : sequence.first_query;
      for (int token = 0; token < (of_keys ? sequence.keys : sequence.queries); ++token) {
        // Now and then a row that outweighs all others.
        const double louder = random.one_in(40) ? random.log_uniform(2.0, 60.0) : 1.0;
        for (std::int64_t head = 0; head < heads; ++head) {
          T* row = memory.data() + problem.element(view, s, first, token, head);
          for (int dim = 0; dim < shape.head_dim; ++dim) {
            row[dim] = ropewalk::ElementTraits<T>::store(
                static_cast<float>(louder * random.uniform(-largest, largest)));
          }
        }
      }
    }
    view.data = memory.data();
  };
  fill(problem.q, params.q, packed_q, false, packed_q ? query : shape.queries, shape.heads, size);
  fill(problem.k, params.k, packed_k, true, packed_k ? key : shape.keys, shape.kv_heads, size);
  fill(problem.v, params.v, packed_k, true, packed_k ? key : shape.keys, shape.kv_heads,
       random.log_uniform(0.01, 100.0));

  const auto draw_scale = [&] {
    if (random.one_in(9)) return 0.0f;
    return static_cast<float>(random.uniform(0.1, 1.6) * (random.one_in(5) ? -1.0 : 1.0));
  };
  if (random.one_in(2)) {
    for (int i = 0; i < shape.heads; ++i) problem.head_scale.push_back(draw_scale());
  }
  if (random.one_in(3)) {
    for (std::int64_t i = 0; i < problem.query_tokens; ++i) {
      problem.position_scale.push_back(draw_scale());
    }
  }
  if (random.one_in(3)) {
    for (int i = 0; i < shape.heads; ++i) {
      problem.sink_logit.push_back(static_cast<float>(random.uniform(-8.0, 8.0)));
    }
  }
  params.mask = draw_device_mask(random, shape.keys);

  const auto data_of = [](const auto& list) { return list.empty() ? nullptr : list.data(); };
  params.scale.head_scale = data_of(problem.head_scale);
  params.scale.position_scale = data_of(problem.position_scale);
  params.scale.sink_logit = data_of(problem.sink_logit);
  params.query_starts = data_of(problem.query_starts);
  params.key_starts = data_of(problem.key_starts);
  params.key_counts = data_of(problem.key_counts);
  params.query_positions = data_of(problem.query_positions);
  return problem;
}

/// Results with guards on both sides, all poison at first.
template <typename T>
struct DeviceResult {
  static constexpr std::size_t kGuard = 64;
  rc::BatchView<T> view;
  std::vector<T> out;
  std::vector<float> lse, entropy, mean, variance;
  rc::AttentionParams<T> params;  ///< of the problem, with these outputs
};

/// Room for the results of a call, and the call's parameters.
///   seed   of the strides of the output
template <typename T>
DeviceResult<T> prepare(const DeviceProblem<T>& problem, rc::Statistics level, bool values,
                        std::uint64_t seed) {
  DeviceResult<T> result;
  rc::AttentionParams<T> params = problem.params;
  const rc::AttentionShape& shape = params.shape;
  const bool packed = params.query_starts != nullptr;
  constexpr std::size_t guard = DeviceResult<T>::kGuard;
  if (values) {
    Random random("strides " + std::to_string(seed));
    const std::int64_t tokens = packed
                                    ? (std::max)(problem.query_tokens, std::int64_t{shape.queries})
                                    : std::int64_t{shape.queries};
    const std::int64_t count = draw_strides(random, packed ? 1 : shape.sequences, tokens,
                                            shape.heads, shape.head_dim, result.view);
    result.out.assign(index_of(count) + 2 * guard, T{kPoison16});
    result.view.data = result.out.data() + guard;
    params.out = result.view;
  } else {
    params.v = {};
  }
  const auto rows =
      index_of((std::max)(problem.query_tokens, std::int64_t{shape.queries}) * shape.heads);
  const auto room = [&](std::vector<float>& list) {
    list.assign(rows + 2 * guard, ropewalk::detail::float_of(kPoison32));
    return list.data() + guard;
  };
  params.statistics.lse = room(result.lse);
  if (level != rc::Statistics::lse) {
    params.statistics.entropy = room(result.entropy);
    params.statistics.mean = room(result.mean);
  }
  if (level == rc::Statistics::variance) {
    params.statistics.variance = room(result.variance);
  }
  result.params = params;
  return result;
}

/// A float next to a double may round to the one beside it.
inline double with_result_rounding(double exact, double bound) {
  return bound + 0x1p-24 * std::abs(exact) + 0x1p-149;
}

/// What a comparison found.
struct Comparison {
  std::string wrong;  ///< the first wrong value, or nothing
  std::int64_t rows = 0;
  std::int64_t empty_rows = 0;
  double entropy_error = 0.0;  ///< largest
};

///   reference   (number of the sequence) -> what has row(token, head), with the exact results, their
///               bounds and empty()
template <typename T, typename Reference>
Comparison compare(const DeviceProblem<T>& problem, const DeviceResult<T>& result,
                   const Reference& reference_of) {
  Comparison found;
  const rc::AttentionShape& shape = problem.params.shape;
  constexpr std::size_t guard = DeviceResult<T>::kGuard;
  constexpr bool is_half = std::is_same_v<T, ropewalk::float16>;
  constexpr double unit = is_half ? 0x1p-11 : 0x1p-8;
  std::vector<bool> written(result.out.size());
  std::vector<bool> known(result.lse.size());
  for (std::size_t s = 0; s < problem.sequences.size(); ++s) {
    const ProblemSequence& sequence = problem.sequences[s];
    const auto reference = reference_of(s);
    for (std::int64_t token = 0; token < sequence.queries; ++token) {
      for (std::int64_t head = 0; head < shape.heads; ++head) {
        const auto& row = reference.row(token, head);
        const std::int64_t at =
            (sequence.first_query >= 0 ? sequence.first_query
                                       : static_cast<std::int64_t>(s) * shape.queries) +
            token;
        const std::size_t place = guard + index_of(at * shape.heads + head);
        known[place] = true;
        ++found.rows;
        found.empty_rows += row.empty();
        const auto check = [&](const char* what, double value, double exact, double bound) {
          // With the rounding of the result itself; NaN is not within.
          if (ropewalk::detail::is_finite(value) && std::abs(value - exact) <= bound) return;
          if (!found.wrong.empty()) return;
          found.wrong = std::string(what) + " of sequence " + std::to_string(s) + " token " +
                        std::to_string(token) + " head " + std::to_string(head) + " is " +
                        std::to_string(value) + ", not " + std::to_string(exact) + " +- " +
                        std::to_string(bound);
        };
        const auto check_statistic = [&](const char* what, const std::vector<float>& list,
                                         double exact, double bound) {
          if (list.empty()) return;
          const auto value = static_cast<double>(list[place]);
          check(what, value, exact, row.empty() ? 0.0 : with_result_rounding(exact, bound));
        };
        const double no_keys = static_cast<double>(ropewalk::RowSummary<float>::kNoKeys);
        check_statistic("lse", result.lse, row.empty() ? no_keys : row.lse, row.lse_bound);
        check_statistic("entropy", result.entropy, row.entropy, row.entropy_bound);
        check_statistic("mean", result.mean, row.mean, row.mean_bound);
        check_statistic("variance", result.variance, row.variance, row.variance_bound);
        if (!result.entropy.empty()) {
          const double error = std::abs(static_cast<double>(result.entropy[place]) - row.entropy);
          found.entropy_error = (std::max)(found.entropy_error, error);
        }
        if (result.out.empty()) continue;
        const std::int64_t first =
            problem.element({nullptr, result.view.sequence_stride, result.view.token_stride,
                             result.view.head_stride},
                            s, sequence.first_query, token, head);
        for (int dim = 0; dim < shape.head_dim; ++dim) {
          const std::size_t element = guard + index_of(first + dim);
          written[element] = true;
          const auto at_dim = static_cast<decltype(row.out.size())>(dim);
          const double exact = row.out[at_dim];
          // Weights below the normal float16 are rounded to multiples of 2^-24.
          const double tiny = is_half ? 0x1p-25 : 0x1p-134;
          const double bound =
              row.out_bound[at_dim] + static_cast<double>(row.keys) * tiny * row.largest_value;
          const double rounded = bound + unit * (std::abs(exact) + bound) + tiny;
          check("out", static_cast<double>(ropewalk::to_float(result.out[element])), exact,
                row.empty() ? 0.0 : rounded);
        }
      }
    }
  }
  for (std::size_t i = 0; i < result.out.size(); ++i) {
    if (written[i] || result.out[i].bits == kPoison16 || !found.wrong.empty()) continue;
    found.wrong = "an element of out that is no row's was written";
  }
  for (const std::vector<float>* list :
       {&result.lse, &result.entropy, &result.mean, &result.variance}) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (known[i] || ropewalk::detail::bits_of((*list)[i]) == kPoison32) continue;
      if (found.wrong.empty()) found.wrong = "a statistic that is no row's was written";
    }
  }
  return found;
}

}  // namespace ropewalk_test
