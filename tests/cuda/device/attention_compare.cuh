// What a kernel gave beside what it should have.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>

#include "cuda/device/attention_reference.cuh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <type_traits>
#include <vector>

namespace ropewalk_test {

/// Half a unit in the last place, relative.
template <typename T>
inline constexpr double kRounding = std::is_same_v<T, ropewalk::float16> ? 0x1p-11 : 0x1p-8;

/// Errors of a family over all its shapes, beside the naive kernel's.
struct ErrorTally {
  double ours = 0;  // sums of squares
  double naive = 0;
  double worst_entropy = 0;  // of shapes without a huge logit
  int wrong = 0;

  void print(const char* name) const {
    std::printf("%s: rms error %.3g of the naive kernel's, ", name,
                naive > 0 ? std::sqrt(ours / naive) : 0.0);
    if (worst_entropy > 0) std::printf("entropy within %.2g, ", worst_entropy);
    std::printf("%d wrong\n", wrong);
  }
  /// At most twice the naive kernel's error over everything that ran.
  int count() const { return wrong + !(ours <= 4 * naive); }
};

/// Statistics of a level, the others not asked for.
inline ropewalk::cuda::RowOutputs of_level(ropewalk::cuda::RowOutputs outputs,
                                           ropewalk::cuda::Statistics level) {
  using ropewalk::cuda::Statistics;
  if (level == Statistics::lse) outputs.entropy = outputs.mean = nullptr;
  if (level != Statistics::variance) outputs.variance = nullptr;
  return outputs;
}

/// How many values are further off than `absolute`, `relative` of themselves, and what logits that are
/// off by `unit` of the magnitude of their terms would move; the largest error.
struct Wrong {
  int count = 0;
  double worst = 0;
};

inline Wrong count_wrong(const std::vector<float>& found, const std::vector<double>& exact,
                         const std::vector<double>& slack, double unit, double relative,
                         double absolute) {
  Wrong wrong;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double error = std::fabs(static_cast<double>(found[i]) - exact[i]);
    const double bound = absolute + (relative + 0x1p-23) * std::fabs(exact[i]) + unit * slack[i];
    wrong.count += !(error <= bound);
    wrong.worst = std::max(wrong.worst, error);
  }
  return wrong;
}

/// Statistics of any Problem beside the reference's, to the error that attention.cuh tells.
template <typename Problem>
int wrong_statistics(const Problem& problem, const ReferenceArrays<double>& exact,
                     ropewalk::cuda::Statistics level, ErrorTally& tally) {
  using ropewalk::cuda::Statistics;
  // Products of the scales round too.
  const double unit = 2 * (problem.shape.head_dim + 6) * 0x1p-24;
  const double sums = (problem.shape.keys / 256.0 + 40) * 0x1p-24;
  int wrong =
      count_wrong(problem.lse.host, exact.lse.host, exact.lse_slack.host, unit, sums, 2 * sums)
          .count;
  if (level == Statistics::lse) return wrong;
  // 1e-4 is the promise; where a logit is huge its own rounding is allowed beside it.
  const bool huge = problem.shape.huge;
  const Wrong entropy = count_wrong(problem.entropy.host, exact.entropy.host,
                                    exact.entropy_slack.host, huge ? unit : 0.0, 0.0, 1e-4);
  if (!huge) tally.worst_entropy = std::max(tally.worst_entropy, entropy.worst);
  wrong += entropy.count;
  // Sums of distances to the largest logit, up to some 20 nats, and of their squares.
  wrong +=
      count_wrong(problem.mean.host, exact.mean.host, exact.mean_slack.host, unit, sums, 40 * sums)
          .count;
  if (level == Statistics::entropy) return wrong;
  return wrong + count_wrong(problem.variance.host, exact.variance.host, exact.variance_slack.host,
                             unit, sums, 400 * sums)
                     .count;
}

/// Outputs beside the reference's and the naive kernel's.
template <typename T>
int wrong_outputs(const std::vector<double>& found, const ReferenceArrays<double>& exact,
                  const ReferenceArrays<float>& naive, ErrorTally& tally) {
  double worst = 0;
  double worst_naive = 0;
  double largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    using Traits = ropewalk::ElementTraits<T>;
    const double other = static_cast<double>(Traits::load(Traits::store(naive.out.host[i])));
    const double error = std::fabs(found[i] - exact.out.host[i]);
    const double error_naive = std::fabs(other - exact.out.host[i]);
    if (!(error <= 1e30)) return 1;  // NaN
    worst = std::max(worst, error);
    worst_naive = std::max(worst_naive, error_naive);
    largest = std::max(largest, std::fabs(exact.out.host[i]));
    tally.ours += error * error;
    tally.naive += error_naive * error_naive;
  }
  // A naive kernel may be right by chance: the rounding of the weights and of the output is left to
  // everyone.
  return !(worst <= 2 * worst_naive + 2 * kRounding<T> * largest + 0x1p-24);
}

}  // namespace ropewalk_test
