#include "exact_row.hpp"

#include "bench.hpp"

#include <algorithm>
#include <cmath>

namespace ropewalk_bench {

ExactRow exact_row(const RowInputs& inputs) {
  const std::size_t dims = inputs.query.size();
  const std::size_t keys = inputs.keys.size() / dims;
  std::vector<double> logits(keys);
  double largest = -1e300;
  for (std::size_t key = 0; key < keys; ++key) {
    if (!inputs.visible.contains(static_cast<std::int64_t>(key))) continue;
    double sum = 0;
    for (std::size_t dim = 0; dim < dims; ++dim) {
      sum += inputs.query[dim] * inputs.keys[key * dims + dim];
    }
    logits[key] = sum * inputs.logit_scale;
    largest = std::max(largest, logits[key]);
  }
  double total = 0;
  for (std::size_t key = 0; key < keys; ++key) {
    if (inputs.visible.contains(static_cast<std::int64_t>(key))) {
      total += std::exp(logits[key] - largest);
    }
  }
  ExactRow row;
  row.lse = largest + std::log(total);
  row.out.assign(dims, 0.0);
  row.magnitude.assign(dims, 0.0);
  double square = 0;
  for (std::size_t key = 0; key < keys; ++key) {
    if (!inputs.visible.contains(static_cast<std::int64_t>(key))) continue;
    const double weight = std::exp(logits[key] - row.lse);
    row.entropy += weight * (row.lse - logits[key]);
    row.mean += weight * logits[key];
    square += weight * (logits[key] - largest) * (logits[key] - largest);
    for (std::size_t dim = 0; dim < dims && !inputs.values.empty(); ++dim) {
      const double value = weight * inputs.values[key * dims + dim];
      row.out[dim] += value;
      row.magnitude[dim] += std::fabs(value);
    }
  }
  row.variance = square - (row.mean - largest) * (row.mean - largest);
  return row;
}

ExactGradient exact_gradient(const RowInputs& inputs, const std::vector<double>& d_out) {
  const std::size_t dims = inputs.query.size();
  const ExactRow row = exact_row(inputs);
  // Cov_p(z, dP), dP_j = d_out . v_j.
  double product = 0;
  double mean_dp = 0;
  double magnitude = 0;
  for (std::size_t key = 0; key * dims < inputs.keys.size(); ++key) {
    if (!inputs.visible.contains(static_cast<std::int64_t>(key))) continue;
    double logit = 0;
    double dp = 0;
    for (std::size_t dim = 0; dim < dims; ++dim) {
      logit += inputs.query[dim] * inputs.keys[key * dims + dim];
      dp += d_out[dim] * inputs.values[key * dims + dim];
    }
    logit *= inputs.logit_scale;
    const double weight = std::exp(logit - row.lse);
    product += weight * (logit - row.mean) * dp;
    mean_dp += weight * std::fabs(dp);
    // The saved lse is a float, whatever the distance to it.
    magnitude +=
        weight * std::fabs(dp) * (std::fabs(logit - row.lse) + 1e-2 * (1 + std::fabs(logit)));
  }
  return {product, magnitude + std::fabs(row.entropy) * mean_dp};
}

void require_row(const std::string& what, const RowFound& found, const ExactRow& exact,
                 double weight_error) {
  const auto statistic = [&](const char* name, double value, double expected) {
    require_close(what + ": " + name, value, expected, 1e-4 * std::max(1.0, std::fabs(expected)));
  };
  statistic("lse", found.lse, exact.lse);
  if (found.has_entropy) {
    require_close(what + ": entropy", found.entropy, exact.entropy, 1e-4);
    statistic("mean", found.mean, exact.mean);
  }
  if (found.has_variance) statistic("variance", found.variance, exact.variance);
  for (std::size_t dim = 0; dim < found.out.size(); ++dim) {
    // Weights are rounded each, float arithmetic adds a thousandth of that at most; float16 holds
    // weights below 2^-14 less exactly.
    const double bound = 1.1 * weight_error * (exact.magnitude[dim] + std::fabs(exact.out[dim])) +
                         1e-5 * exact.magnitude[dim] + 0x1p-20;
    require_close(what + ": output", found.out[dim], exact.out[dim], bound);
  }
}

}  // namespace ropewalk_bench
