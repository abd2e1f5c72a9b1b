// Random calls of the scales' gradients, what they must give and how far they may be off.
#pragma once

#include <ropewalk/cuda/scale_gradient/rows.hpp>
#include <ropewalk/cuda/scale_gradient/softmax.hpp>
#include <ropewalk/cuda/scale_gradient/sums.hpp>

#include "array.hpp"
#include "elements.hpp"
#include "scale_gradient_problem.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace ropewalk_test {
namespace gradient_cases {

/// Gradients between guards, and the workspace asked for.
struct Results {
  Guarded<float> head_scale, position_scale, rows;
  std::vector<std::uint64_t> workspace;

  template <typename Params>
  Results(Params& params, std::int64_t row_count, int heads, bool own_rows)
      : head_scale(heads), position_scale(row_count), rows(own_rows ? row_count * heads : 0) {
    params.gradients.head_scale = head_scale.data();
    params.gradients.position_scale = position_scale.data();
    params.gradients.rows = own_rows ? rows.data() : nullptr;
    const std::size_t bytes = ropewalk::cuda::scale_gradient_workspace(params);
    workspace.assign(bytes / 8 + 4, ~std::uint64_t{0});
    params.workspace = workspace.data();
    while (reinterpret_cast<std::uintptr_t>(params.workspace) % 16 != 0) {
      params.workspace = static_cast<unsigned char*>(params.workspace) + 8;
    }
    params.workspace_bytes = bytes;
  }

  std::vector<Array> arrays() const {
    return {head_scale.array(), position_scale.array(), rows.array(), array_of(workspace)};
  }
  bool guards_stand() const {
    return head_scale.guards_stand() && position_scale.guards_stand() && rows.guards_stand() &&
           workspace.back() == ~std::uint64_t{0};
  }
  /// Whether two calls gave the same bits.
  bool same_as(const Results& other) const {
    const auto same = [](const Guarded<float>& a, const Guarded<float>& b) {
      return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
    };
    return same(head_scale, other.head_scale) && same(position_scale, other.position_scale) &&
           (rows.size() != other.rows.size() || same(rows, other.rows));
  }
};

/// Rows of q or dq in some layout, NaN wherever no element is.
template <typename T>
struct DotRows {
  Guarded<T> memory;
  rw::cuda::BatchView<const T> view;

  DotRows(Random& random, std::int64_t sequences, std::int64_t queries, int heads, int head_dim)
      : memory(0) {
    const bool wide = random.one_in(2);
    const std::int64_t unit = wide ? 16 / static_cast<std::int64_t>(sizeof(T)) : 1;
    const auto up = [unit](std::int64_t size) { return (size + unit - 1) / unit * unit; };
    const std::int64_t row = up(head_dim) + (random.one_in(2) ? 0 : unit * random.integer(1, 3));
    switch (random.integer(0, 2)) {
      case 0:  // (sequences, queries, heads, head_dim)
        view.head_stride = row;
        view.token_stride = row * heads;
        view.sequence_stride = view.token_stride * queries;
        break;
      case 1:  // (sequences, heads, queries, head_dim)
        view.token_stride = row;
        view.head_stride = row * queries;
        view.sequence_stride = view.head_stride * heads;
        break;
      default:  // (queries, sequences, heads, head_dim)
        view.head_stride = row;
        view.sequence_stride = row * heads;
        view.token_stride = view.sequence_stride * sequences;
    }
    const std::int64_t start = wide ? 0 : random.integer(0, 3);
    memory = Guarded<T>(start + sequences * queries * heads * row);
    view.data = memory.data() + start;
    for (std::int64_t sequence = 0; sequence < sequences; ++sequence) {
      for (std::int64_t query = 0; query < queries; ++query) {
        for (int head = 0; head < heads; ++head) {
          for (int d = 0; d < head_dim; ++d) {
            const auto at = at_(sequence, query, head, d) + start;
            memory[at] = as_element<T>(random.uniform(-3, 3));
          }
        }
      }
    }
  }
  DotRows(const DotRows&) = delete;
  DotRows& operator=(const DotRows&) = delete;

  double value(std::int64_t sequence, std::int64_t query, int head, int d) const {
    return as_double(view.data[at_(sequence, query, head, d)]);
  }

 private:
  std::int64_t at_(std::int64_t sequence, std::int64_t query, int head, int d) const {
    return sequence * view.sequence_stride + query * view.token_stride + head * view.head_stride +
           d;
  }
};

/// How many sums of g that was given are not those of doubles, rounded once; n additions of double at
/// most.
inline int wrong_sums(const Results& results, const float* slopes, std::int64_t rows, int heads,
                      const std::vector<float>& head_scale,
                      const std::vector<float>& position_scale) {
  const auto is_wrong = [&](std::int64_t first, std::int64_t step, std::int64_t count, float got,
                            double by) {
    long double sum = 0;
    double size = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const float value = slopes[first + i * step];
      sum += static_cast<long double>(value);
      size += std::fabs(static_cast<double>(value));
    }
    const double expected = static_cast<double>(sum) / by;
    const double rounding = 1.01 * kUnit * std::fabs(expected) + 0x1p-149;
    const double bound = rounding + static_cast<double>(count + 2) * 0x1p-53 * size / std::fabs(by);
    return !(std::fabs(static_cast<double>(got) - expected) <= bound);
  };
  const auto scale = [](const std::vector<float>& scales, std::int64_t at) {
    return scales.empty() ? 1.0 : static_cast<double>(scales[static_cast<std::size_t>(at)]);
  };
  int wrong = 0;
  for (int head = 0; head < heads; ++head) {
    wrong += is_wrong(head, heads, rows, results.head_scale[head], scale(head_scale, head));
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    wrong +=
        is_wrong(row * heads, 1, heads, results.position_scale[row], scale(position_scale, row));
  }
  return wrong;
}

/// What came of a call.
struct Outcome {
  std::string text;
  std::string refused;  // the field, where it was
  int wrong = 0;        // rows and sums, guards
  std::int64_t rows = 0;
  double worst = 0.0;  // error of a row, of its bound
  bool wide = false;   // 16 bytes at a time

  void compare(double got, double expected, double bound) {
    const double error = std::fabs(got - expected);
    ++rows;
    if (!(error <= bound)) {
      if (wrong == 0) {
        text += ", entry " + std::to_string(rows - 1) + ": " + std::to_string(got) + " for " +
                std::to_string(expected);
      }
      ++wrong;
    } else if (bound > 1e-20 && error / bound > worst) {
      worst = error / bound;
    }
  }
};

/// One random call from the softmax.
///   run          run(params, arrays): `arrays` are what the addresses in params lie in
template <typename T, typename Run>
Outcome softmax_case(Random& random, const Arithmetic& arithmetic, const Run& run) {
  Problem<T> problem(random, random_head_dim(random), arithmetic);
  const std::int64_t rows = problem.sizes.rows;
  const int heads = problem.sizes.shape.heads;
  auto params = problem.params();
  Results results(params, rows, heads, true);
  Outcome outcome;
  outcome.text = problem.sizes.text();
  const rw::Fault fault = rw::cuda::validate(params);
  if (fault.code != rw::Errc::ok) {
    outcome.refused = fault.field;
    return outcome;
  }
  std::vector<Array> arrays = problem.arrays();
  for (const Array& array : results.arrays()) arrays.push_back(array);
  run(params, arrays);
  for (std::size_t at = 0; at < problem.slopes.size(); ++at) {
    outcome.compare(as_double(results.rows[static_cast<std::int64_t>(at)]), problem.slopes[at],
                    problem.bounds[at]);
  }
  outcome.wrong += !results.guards_stand();
  outcome.wrong += wrong_sums(results, results.rows.data(), rows, heads, problem.head_scale,
                              problem.position_scale);
  return outcome;
}

inline std::vector<float> random_scales(Random& random, std::int64_t count) {
  std::vector<float> scales;
  for (std::int64_t i = 0; i < count; ++i) {
    scales.push_back(static_cast<float>(random.uniform(0.2, 2.0)) *
                     (random.one_in(5) ? -1.f : 1.f));
  }
  return scales;
}

/// One random call from q and dq; `run` as above.
template <typename T, typename G, typename Run>
Outcome dot_case(Random& random, const Run& run) {
  rw::cuda::ScaleGradientParams<T, G> params;
  params.sequences = random.length(1, 4);
  params.queries = random.one_in(25) ? 0 : random.length(1, 40);
  params.heads = static_cast<int>(random.length(1, 40));
  params.head_dim =
      static_cast<int>(random.one_in(2) ? 8 * random.length(1, 16) : random.length(1, 300));
  if (params.queries * params.heads * params.head_dim > 20000) params.sequences = 1;
  const std::int64_t rows = params.sequences * params.queries;
  const DotRows<T> q(random, params.sequences, params.queries, params.heads, params.head_dim);
  const DotRows<G> dq(random, params.sequences, params.queries, params.heads, params.head_dim);
  params.q = q.view;
  params.dq = dq.view;
  std::vector<float> head_scale;
  std::vector<float> position_scale;
  if (random.one_in(2)) head_scale = random_scales(random, params.heads);
  if (random.one_in(2)) position_scale = random_scales(random, rows);
  if (!head_scale.empty()) params.head_scale = head_scale.data();
  if (!position_scale.empty()) params.position_scale = position_scale.data();
  Results results(params, rows, params.heads, true);
  std::ostringstream text;
  text << seed_text() << " sequences " << params.sequences << " queries " << params.queries
       << " heads " << params.heads << " head_dim " << params.head_dim;
  Outcome outcome;
  outcome.text = text.str();
  const rw::Fault fault = rw::cuda::validate(params);
  if (fault.code != rw::Errc::ok) {
    outcome.refused = fault.field;
    return outcome;
  }
  outcome.wide = rw::cuda::detail::wide_dots(params);
  std::vector<Array> arrays = results.arrays();
  for (const Array& array :
       {q.memory.array(), dq.memory.array(), array_of(head_scale), array_of(position_scale)}) {
    arrays.push_back(array);
  }
  run(params, arrays);
  // A lane takes a step of elements per 32 lanes, one rounding each; then five of the tree.
  const double bound = (params.head_dim / 32 + 13) * kUnit;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (int head = 0; head < params.heads; ++head) {
      double sum = 0;
      double size = 0;
      for (int d = 0; d < params.head_dim; ++d) {
        const double product = q.value(row / params.queries, row % params.queries, head, d) *
                               dq.value(row / params.queries, row % params.queries, head, d);
        sum += product;
        size += std::fabs(product);
      }
      outcome.compare(as_double(results.rows[row * params.heads + head]), sum, bound * size);
    }
  }
  outcome.wrong += !results.guards_stand();
  outcome.wrong +=
      wrong_sums(results, results.rows.data(), rows, params.heads, head_scale, position_scale);
  return outcome;
}

}  // namespace gradient_cases
}  // namespace ropewalk_test
