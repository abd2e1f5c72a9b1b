// Runs random problems through every kernel of one element type.
#pragma once

#include "attention_problem.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace ropewalk_test {

/// What a thousand problems amount to.
struct Tally {
  int problems = 0;
  int of_size[4] = {};  // of kHeadDims
  int without_values = 0;
  std::int64_t rows = 0;
  std::int64_t empty_rows = 0;
  std::int64_t products = 0;
  double entropy_error = 0.0;

  std::string text() const {
    std::string sizes;
    for (int i = 0; i < 4; ++i) {
      sizes +=
          std::to_string(of_size[i]) + " of " + std::to_string(rc::detail::kHeadDims[i]) + ", ";
    }
    return std::to_string(problems) + " problems (" + sizes + std::to_string(without_values) +
           " without values), " + std::to_string(rows) + " rows, " + std::to_string(empty_rows) +
           " of them empty, " + std::to_string(products) + " products, entropy within " +
           std::to_string(entropy_error * 1e6) + "e-6";
  }
};

template <int kDim, rc::Statistics kLevel, bool kValues, typename T>
EmulatedResult<T> run(const DeviceProblem<T>& problem, std::uint64_t seed) {
  return emulate<rc::detail::ForwardTraits<T, kDim, kLevel, kValues>>(problem, seed);
}

template <int kDim, bool kValues, typename T>
EmulatedResult<T> run(const DeviceProblem<T>& problem, rc::Statistics level, std::uint64_t seed) {
  if (level == rc::Statistics::lse) return run<kDim, rc::Statistics::lse, kValues>(problem, seed);
  if (level == rc::Statistics::entropy)
    return run<kDim, rc::Statistics::entropy, kValues>(problem, seed);
  return run<kDim, rc::Statistics::variance, kValues>(problem, seed);
}

template <bool kValues, typename T>
EmulatedResult<T> run(const DeviceProblem<T>& problem, rc::Statistics level, std::uint64_t seed) {
  switch (rc::detail::padded_head_dim(problem.params.shape.head_dim)) {
    case 64:
      return run<64, kValues>(problem, level, seed);
    case 96:
      return run<96, kValues>(problem, level, seed);
    case 128:
      return run<128, kValues>(problem, level, seed);
    default:
      return run<256, kValues>(problem, level, seed);
  }
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <typename T>
Tally run_problems(int problems, const std::string& stream) {
  Tally tally;
  for (int i = 0; i < problems; ++i) {
    Random random(stream + std::to_string(i));
    const DeviceProblem<T> problem = draw_device_problem<T>(random);
    const auto level = static_cast<rc::Statistics>(i % 3);
    const bool values = i % 4 != 3;
    const auto seed = static_cast<std::uint64_t>(i);
    const EmulatedResult<T> result =
        values ? run<true>(problem, level, seed) : run<false>(problem, level, seed);
    CAPTURE(i, values, i % 3, seed_text(), problem.params.shape.head_dim);
    REQUIRE(result.report.error == "");
    REQUIRE(result.report.matrix_conflicts == 0);
    const Comparison comparison = compare<T>(
        problem, result, [&](std::size_t s) { return reference_of_sequence(problem, s); });
    REQUIRE(comparison.wrong == "");
    ++tally.problems;
    const int size = rc::detail::padded_head_dim(problem.params.shape.head_dim);
    for (int k = 0; k < 4; ++k) tally.of_size[k] += rc::detail::kHeadDims[k] == size;
    tally.without_values += !values;
    tally.rows += comparison.rows;
    tally.empty_rows += comparison.empty_rows;
    tally.products += result.report.products;
    tally.entropy_error = (std::max)(tally.entropy_error, comparison.entropy_error);
  }
  return tally;
}

}  // namespace ropewalk_test
