// What any attention kernel must do, function by function and under attend(): for the kernels that the
// property tests leave out, each of which would be minutes of compilation there.
#pragma once

#include <ropewalk/attention.hpp>
#include <ropewalk/simd/attention_portable.hpp>

#include "attention_problem.hpp"
#include "attention_reference.hpp"
#include "catch.hpp"
#include "random.hpp"
#include "rotation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace ropewalk_test {

inline constexpr double kFloatUnit = 0x1p-24;

inline bool is_nan(float value) {
  return (ropewalk::detail::bits_of(value) & 0x7fffffffu) > 0x7f800000u;
}

/// A run of 1 .. count keys, one in four rows sees none.
inline std::vector<ropewalk::detail::SeenKeys> draw_seen(Random& random, int rows, int count) {
  std::vector<ropewalk::detail::SeenKeys> seen(static_cast<std::size_t>(rows));
  for (ropewalk::detail::SeenKeys& keys : seen) {
    if (random.one_in(4)) continue;
    keys.begin = random.one_in(2) ? 0 : static_cast<int>(random.integer(0, count - 1));
    keys.end = random.one_in(3) ? count : static_cast<int>(random.integer(keys.begin + 1, count));
  }
  return seen;
}

/// Elements of rows with garbage between them: NaN, which no product may meet.
template <typename T>
struct ElementRows {
  ElementRows(Random& random, int count, int width)
      : stride(width + random.integer(0, 3)), size(static_cast<std::size_t>(width)) {
    memory.assign(static_cast<std::size_t>(count * stride),
                  element_of<T>(std::numeric_limits<double>::quiet_NaN()));
    for (int row = 0; row < count; ++row) {
      for (int index = 0; index < width; ++index) {
        memory[static_cast<std::size_t>(row * stride + index)] =
            element_of<T>(random.uniform(-4.0, 4.0));
      }
    }
    // Nothing behind the last element, so that valgrind sees who reads there.
    memory.resize(static_cast<std::size_t>((count - 1) * stride + width));
  }
  double at(int row, int index) const {
    return value_of(memory[static_cast<std::size_t>(row * stride + index)]);
  }

  std::int64_t stride;
  std::size_t size;
  std::vector<T> memory;
};

/// The products of one random tile, packed and in place, against sums in double; the largest error
/// over its bound. Each of n products and additions rounds once at most: n + 2 units of the sum of
/// magnitudes, the factor's product and the last addition counted.
template <typename Kernel, typename T>
double worst_product(Random& random) {
  constexpr int kKeys = Kernel::kKeys;
  const bool direct = random.one_in(2);
  const int rows = static_cast<int>(random.integer(1, direct ? Kernel::kDirectRows : 21));
  const int count = static_cast<int>(random.integer(1, direct ? Kernel::kDirectKeys : kKeys));
  const int depth = static_cast<int>(random.one_in(4) ? 64 : random.integer(1, 70));
  const int dim = static_cast<int>(random.one_in(4) ? 64 : random.integer(1, 70));
  const ElementRows<T> queries(random, rows, depth);
  const ElementRows<T> keys(random, count, depth);
  const ElementRows<T> values(random, count, dim);
  auto seen = draw_seen(random, rows, count);
  if (direct) {
    for (auto& run : seen) run = {0, count};  // whatever a row sees, all are computed
  }
  const auto memory = [](std::int64_t size) {
    return std::vector<float>(static_cast<std::size_t>(size),
                              std::numeric_limits<float>::quiet_NaN());
  };
  auto scores = memory(std::int64_t{rows} * kKeys);
  auto weights = memory(0);
  weights.assign(scores.size(), 0.0f);
  auto outputs = memory(0);
  outputs.assign(static_cast<std::size_t>(rows * Kernel::output_size(dim)), 0.0f);
  std::vector<float> factors;
  for (int row = 0; row < rows; ++row) {
    factors.push_back(static_cast<float>(random.uniform(0.0, 1.0)));
    const auto& run = seen[static_cast<std::size_t>(row)];
    for (int key = run.begin; key < run.end; ++key) {
      weights[static_cast<std::size_t>(row * kKeys + key)] =
          static_cast<float>(random.uniform(0.0, 1.0));
    }
    for (int index = 0; index < dim; ++index) {
      outputs[static_cast<std::size_t>(row * Kernel::output_size(dim) + index)] =
          static_cast<float>(random.uniform(-9.0, 9.0));
    }
  }
  const std::vector<float> before = outputs;
  ropewalk::detail::RowsAhead none;
  if (direct) {
    std::vector<float> plain(static_cast<std::size_t>(rows * Kernel::plain_size(depth)), 0.0f);
    for (int row = 0; row < rows; ++row) {
      for (int index = 0; index < depth; ++index) {
        plain[static_cast<std::size_t>(row * Kernel::plain_size(depth) + index)] =
            static_cast<float>(queries.at(row, index));
      }
    }
    Kernel::direct_keys(plain.data(), rows, keys.memory.data(), keys.stride, count, depth, none,
                        scores.data());
    Kernel::direct_values(weights.data(), rows, values.memory.data(), values.stride, count, dim,
                          none, factors.data(), outputs.data());
  } else {
    auto packed_queries = memory(rows * Kernel::query_size(depth));
    auto packed_keys = memory(Kernel::keys_size(depth));
    auto packed_values = memory(Kernel::values_size(dim));
    for (int row = 0; row < rows; ++row) {
      Kernel::pack_query(queries.memory.data() + row * queries.stride, depth,
                         packed_queries.data() + row * Kernel::query_size(depth));
    }
    Kernel::pack_keys(keys.memory.data(), keys.stride, count, depth, packed_keys.data());
    Kernel::pack_values(values.memory.data(), values.stride, count, dim, packed_values.data());
    Kernel::multiply_keys(packed_queries.data(), packed_keys.data(), depth, seen.data(), rows, none,
                          scores.data());
    Kernel::multiply_values(weights.data(), packed_values.data(), dim, seen.data(), rows, none,
                            factors.data(), outputs.data());
  }

  double worst = 0.0;
  const auto judge = [&](float found, double exact, double size, int terms) {
    const double bound = (terms + 2) * kFloatUnit * size + 1e-300;
    const bool finite = ropewalk::detail::is_finite(static_cast<double>(found));
    worst = (std::max)(worst, finite ? std::abs(static_cast<double>(found) - exact) / bound : 1e9);
  };
  for (int row = 0; row < rows; ++row) {
    const auto& run = seen[static_cast<std::size_t>(row)];
    for (int key = run.begin; key < run.end; ++key) {
      double exact = 0.0;
      double size = 0.0;
      for (int index = 0; index < depth; ++index) {
        const double product = queries.at(row, index) * keys.at(key, index);
        exact += product;
        size += std::abs(product);
      }
      judge(scores[static_cast<std::size_t>(row * kKeys + key)], exact, size, depth);
    }
    for (int index = 0; index < dim; ++index) {
      const auto at = static_cast<std::size_t>(row * Kernel::output_size(dim) + index);
      const bool sees = run.begin < run.end;
      // A row that sees nothing has a factor of 1 wherever it counts; here it may be applied or not.
      const double factor = static_cast<double>(factors[static_cast<std::size_t>(row)]);
      double exact = static_cast<double>(before[at]) * factor;
      if (!sees) {
        const double kept = static_cast<double>(before[at]);
        const double off = static_cast<double>(outputs[at]);
        if (std::abs(off - kept) < std::abs(off - exact)) exact = kept;
      }
      double size = std::abs(exact);
      for (int key = run.begin; key < run.end; ++key) {
        const double weight =
            static_cast<double>(weights[static_cast<std::size_t>(row * kKeys + key)]);
        exact += weight * values.at(key, index);
        size += std::abs(weight * values.at(key, index));
      }
      judge(outputs[at], exact, size, count);
    }
  }
  return worst;
}

/// Two tiles of random scores weighed by a kernel and by the plain loops; the largest difference over
/// its bound, and whether all flags and zeros were right.
struct WeighReport {
  double worst = 0.0;
  int broken_flags = 0;
  int broken_zeros = 0;
  int rows_out_of_range = 0;
  int raised = 0;
};

template <typename Kernel, int kMoments>
void compare_weights(Random& random, WeighReport& report) {
  using Plain = ropewalk::simd::PortableAttention;
  using Floats = std::numeric_limits<float>;
  constexpr int kKeys = Kernel::kKeys;
  constexpr int kPlainKeys = Plain::kKeys;
  const int rows = static_cast<int>(random.integer(1, 20));
  const auto size = static_cast<std::size_t>(rows);
  std::vector<ropewalk::RowStatistics<float>> found(size);
  std::vector<ropewalk::RowStatistics<float>> expected(size);
  std::vector<float> coefficients;
  for (int row = 0; row < rows; ++row) {
    coefficients.push_back(static_cast<float>(random.log_uniform(0.01, 4.0)));
  }
  std::vector<double> largest(size, 0.0);
  const double spread = random.log_uniform(0.1, 200.0);
  for (int tile = 1; tile <= 2; ++tile) {
    const auto seen = draw_seen(random, rows, kPlainKeys);
    std::vector<float> scores(size * kKeys, Floats::quiet_NaN());  // where a row does not see
    std::vector<float> plain_scores(size * kPlainKeys, 0.0f);
    std::vector<char> sound(size, 1);
    for (std::size_t row = 0; row < size; ++row) {
      for (int key = seen[row].begin; key < seen[row].end; ++key) {
        const auto score = static_cast<float>(random.uniform(-spread, spread));
        scores[row * kKeys + static_cast<std::size_t>(key)] = score;
        largest[row] = (std::max)(largest[row], std::abs(static_cast<double>(score)) *
                                                    static_cast<double>(coefficients[row]));
      }
      if (seen[row].begin >= seen[row].end || !random.one_in(8)) continue;
      const float bad[] = {Floats::quiet_NaN(),
                           Floats::infinity(),
                           -Floats::infinity(),
                           3e38f,
                           -3e38f,
                           0x1p21f / coefficients[row],
                           -0x1p21f / coefficients[row]};
      const auto key = random.integer(seen[row].begin, seen[row].end - 1);
      scores[row * kKeys + static_cast<std::size_t>(key)] =
          bad[static_cast<std::size_t>(random.integer(0, 6))];
      sound[row] = 0;
      ++report.rows_out_of_range;
    }
    for (std::size_t row = 0; row < size; ++row) {
      for (int key = seen[row].begin; key < seen[row].end; ++key) {
        plain_scores[row * kPlainKeys + static_cast<std::size_t>(key)] =
            scores[row * kKeys + static_cast<std::size_t>(key)];
      }
    }
    std::vector<float> factors(size, -1.0f);
    std::vector<float> plain_factors(size, -1.0f);
    bool in_range[20];
    bool plain_in_range[20];
    for (bool& flag : in_range) flag = true;
    for (bool& flag : plain_in_range) flag = true;
    // The scores' own memory takes the weights.
    Kernel::template weigh<kMoments>(scores.data(), seen.data(), rows, coefficients.data(),
                                     found.data(), factors.data(), in_range, scores.data());
    Plain::weigh<kMoments>(plain_scores.data(), seen.data(), rows, coefficients.data(),
                           expected.data(), plain_factors.data(), plain_in_range,
                           plain_scores.data());
    for (std::size_t row = 0; row < size; ++row) {
      if (in_range[row] != plain_in_range[row] || in_range[row] != (sound[row] != 0)) {
        ++report.broken_flags;
      }
      if (plain_factors[row] > 0.0f && plain_factors[row] < 1.0f) ++report.raised;
      // Of each kernel: roundings of the product and of the difference, the exponential's 2 units.
      const double step = kFloatUnit * 4.0 * largest[row];
      const double unit = 2.0 * (std::log(2.0) * step + 3.0 * kFloatUnit);
      // 16 additions a lane and 5 across, of each, and the shift's 7 roundings, in each tile.
      const double sums = tile * (unit + 2.0 * 28.0 * kFloatUnit);
      const auto judge = [&](float a, float b, double bound) {
        const double error = std::abs(static_cast<double>(a) - static_cast<double>(b));
        const bool finite = ropewalk::detail::is_finite(static_cast<double>(a));
        report.worst = (std::max)(report.worst, finite ? error / bound : 1e9);
      };
      for (int key = 0; key < kKeys; ++key) {
        const float weight = scores[row * kKeys + static_cast<std::size_t>(key)];
        const bool visible =
            seen[row].begin <= key && key < seen[row].end && sound[row] != 0 && key < kPlainKeys;
        if (!visible) {
          if (ropewalk::detail::bits_of(weight) != 0) ++report.broken_zeros;
          continue;
        }
        const float plain = plain_scores[row * kPlainKeys + static_cast<std::size_t>(key)];
        // Below the normal floats both are 0, or one is.
        judge(weight, plain, unit * static_cast<double>(plain) + 0x1p-124);
      }
      judge(factors[row], plain_factors[row],
            unit * static_cast<double>(plain_factors[row]) + 0x1p-124);
      const auto& a = found[row];
      const auto& b = expected[row];
      const auto sum = static_cast<double>(b.sum);
      const double first = std::abs(static_cast<double>(b.first));
      judge(a.maximum, b.maximum, 2.0 * kFloatUnit * largest[row] + 1e-300);
      judge(a.sum, b.sum, sums * sum + 0x1p-116);
      judge(a.first, b.first, sums * first + 2.0 * tile * step * sum + 0x1p-108);
      judge(a.second, b.second,
            2.0 * sums * static_cast<double>(b.second) + 4.0 * tile * step * (first + step * sum) +
                0x1p-100);
    }
  }
}

struct AttendReport {
  int rows = 0;
  int wrong = 0;
  std::string where = {};

  void see(const char* what, float found, double exact, double bound, const std::string& place) {
    if (within(found, exact, bound)) return;
    if (wrong++ > 0) return;
    where = std::string(what) + " " + std::to_string(found) + " for " + std::to_string(exact) +
            ", bound " + std::to_string(bound) + " of " + place;
  }
};

/// attend() of a random problem against its definition.
template <typename Kernel, typename T>
void compare_attention(Random& random, double spread, AttendReport& report) {
  const AttentionProblem<T> problem = draw_problem<T>(random, spread);
  const AttentionReference reference = reference_of<Kernel>(problem);
  const auto result = attend_problem<Kernel, float>(problem);
  const std::string place = problem.text();
  for (std::size_t entry = 0; entry < reference.rows.size(); ++entry) {
    const ReferenceRow& row = reference.rows[entry];
    ++report.rows;
    if (row.empty()) continue;
    report.see("lse", result.lse[entry], row.lse, row.lse_bound, place);
    report.see("entropy", result.entropy[entry], row.entropy, row.entropy_bound, place);
    report.see("mean", result.mean[entry], row.mean, row.mean_bound, place);
    report.see("variance", result.variance[entry], row.variance, row.variance_bound, place);
    const auto dims = static_cast<std::size_t>(result.out.head_dim);
    for (std::size_t dim = 0; dim < dims; ++dim) {
      const auto index = static_cast<Eigen::Index>(dim);
      report.see("out", result.out_memory[entry * dims + dim], row.out[index], row.out_bound[index],
                 place);
    }
  }
}

/// A causal problem of two heads whose numbers are ordinary.
inline AttentionProblem<float> plain_problem(Random& random, std::int64_t tokens, int head_dim) {
  AttentionProblem<float> problem;
  const auto size = static_cast<std::size_t>(2 * tokens * head_dim);
  for (auto* memory : {&problem.q_memory, &problem.k_memory, &problem.v_memory}) {
    *memory = random_elements<float>(random, size);
  }
  problem.q = ropewalk::make_head_view<const float>(problem.q_memory.data(), tokens, 2, head_dim);
  problem.k = ropewalk::make_head_view<const float>(problem.k_memory.data(), tokens, 2, head_dim);
  problem.v = ropewalk::make_head_view<const float>(problem.v_memory.data(), tokens, 2, head_dim);
  return problem;
}

}  // namespace ropewalk_test

/// The tests of one kernel, in a source file of its own.
///   kernel   type
///   runs     whether this machine has its instructions
#define ROPEWALK_TEST_ATTENTION_KERNEL(kernel, runs)                                           \
  TEST_CASE(#kernel " multiplies tiles as double does, to a rounding for each term") {         \
    if (!(runs)) return;                                                                       \
    ropewalk_test::check_products<kernel>();                                                   \
  }                                                                                            \
  TEST_CASE(#kernel " weighs scores as the plain loops do, whatever lies at unseen keys") {    \
    if (!(runs)) return;                                                                       \
    ropewalk_test::check_weights<kernel>();                                                    \
  }                                                                                            \
  TEST_CASE(#kernel " gives attention of random shapes within the bounds of its definition") { \
    if (!(runs)) return;                                                                       \
    ropewalk_test::check_attention<kernel>();                                                  \
  }                                                                                            \
  TEST_CASE(#kernel " gives a NaN exactly in the rows that a NaN reaches") {                   \
    if (!(runs)) return;                                                                       \
    ropewalk_test::check_hostile<kernel>();                                                    \
  }                                                                                            \
  static_assert(true, "takes the semicolon")

namespace ropewalk_test {

template <typename Kernel>
void check_products() {
  Random random("attention kernel products");
  INFO(seed_text());
  double worst = 0.0;
  for (int tile = 0; tile < 300; ++tile) {
    worst = (std::max)(worst, worst_product<Kernel, float>(random));
    worst = (std::max)(worst, worst_product<Kernel, ropewalk::float16>(random));
    worst = (std::max)(worst, worst_product<Kernel, ropewalk::bfloat16>(random));
  }
  CHECK(worst <= 1.0);
  CHECK(worst > 0.0);
}

template <typename Kernel>
void check_weights() {
  Random random("attention kernel weights");
  INFO(seed_text());
  WeighReport report;
  for (int attempt = 0; attempt < 300; ++attempt) {
    compare_weights<Kernel, 0>(random, report);
    compare_weights<Kernel, 1>(random, report);
    compare_weights<Kernel, 2>(random, report);
  }
  CHECK(report.worst <= 1.0);
  CHECK(report.broken_flags == 0);
  CHECK(report.broken_zeros == 0);
  CHECK(report.rows_out_of_range > 100);
  CHECK(report.raised > 100);
}

template <typename Kernel>
void check_attention() {
  Random random("attention kernel attend");
  INFO(seed_text());
  AttendReport report;
  for (int attempt = 0; attempt < 60; ++attempt) {
    // Beyond 10, to where a tile gives up and rows are done in double.
    const double spread =
        random.one_in(4) ? random.log_uniform(10.0, 3e6) : random.log_uniform(0.02, 6.0);
    compare_attention<Kernel, float>(random, spread, report);
    compare_attention<Kernel, ropewalk::float16>(random, (std::min)(spread, 1e3), report);
    compare_attention<Kernel, ropewalk::bfloat16>(random, spread, report);
  }
  INFO(report.where);
  CHECK(report.rows > 2000);
  CHECK(report.wrong == 0);

  // The plain loops are within the same bounds, so the two differ by twice those.
  int apart = 0;
  for (const std::int64_t tokens : {5, 40, 200}) {
    const AttentionProblem<float> problem = plain_problem(random, tokens, 33);
    const AttentionReference reference = reference_of<Kernel>(problem);
    const auto found = attend_problem<Kernel, float>(problem);
    const auto plain = attend_problem<ropewalk::simd::PortableAttention, float>(problem);
    for (std::size_t entry = 0; entry < reference.rows.size(); ++entry) {
      const ReferenceRow& row = reference.rows[entry];
      if (!within(found.lse[entry], static_cast<double>(plain.lse[entry]), 2.0 * row.lse_bound)) {
        ++apart;
      }
      for (std::size_t dim = 0; dim < 33; ++dim) {
        const std::size_t at = entry * 33 + dim;
        const double bound = 2.0 * row.out_bound[static_cast<Eigen::Index>(dim)];
        if (!within(found.out_memory[at], static_cast<double>(plain.out_memory[at]), bound)) {
          ++apart;
        }
      }
    }
  }
  CHECK(apart == 0);
}

template <typename Kernel>
void check_hostile() {
  Random random("attention kernel hostile");
  INFO(seed_text());
  constexpr std::int64_t kTokens = 40;
  constexpr int kDim = 19;
  using Floats = std::numeric_limits<float>;
  // Too large for a tile, for float, for either; and what is not a number.
  for (const float number : {1e5f, 1e19f, -1e30f, (Floats::max)()}) {
    AttentionProblem<float> problem = plain_problem(random, kTokens, kDim);
    for (int spoilt = 0; spoilt < 20; ++spoilt) {
      const auto at = static_cast<std::size_t>(random.integer(0, 2 * kTokens * kDim - 1));
      (random.one_in(2) ? problem.q_memory : problem.k_memory)[at] = number;
    }
    const AttentionReference reference = reference_of<Kernel>(problem);
    const auto result = attend_problem<Kernel, float>(problem);
    AttendReport report;
    int in_double = 0;
    for (std::size_t entry = 0; entry < reference.rows.size(); ++entry) {
      const ReferenceRow& row = reference.rows[entry];
      if (row.largest_logit > 0x1p20) ++in_double;
      report.see("lse", result.lse[entry], row.lse, row.lse_bound, "");
      report.see("entropy", result.entropy[entry], row.entropy, row.entropy_bound, "");
      for (std::size_t dim = 0; dim < kDim; ++dim) {
        const auto index = static_cast<Eigen::Index>(dim);
        report.see("out", result.out_memory[entry * kDim + dim], row.out[index],
                   row.out_bound[index], "");
      }
    }
    INFO(number << ": " << report.where);
    CHECK(report.wrong == 0);
    if (number > 1e10f || number < -1e10f) CHECK(in_double > 10);
  }
  for (const float number : {Floats::quiet_NaN(), Floats::infinity()}) {
    for (const std::int64_t tokens : {std::int64_t{6}, kTokens}) {  // in place, and packed
      AttentionProblem<float> problem = plain_problem(random, tokens, kDim);
      problem.k_memory[2 * 3 * kDim + 5] = number;    // key 3 of the first head
      problem.q_memory[(2 * 1 + 1) * kDim] = number;  // query 1 of the second
      const auto result = attend_problem<Kernel, float>(problem);
      int wrong = 0;
      for (std::int64_t token = 0; token < tokens; ++token) {
        for (int head = 0; head < 2; ++head) {
          const auto entry = static_cast<std::size_t>(2 * token + head);
          const bool reached = head == 0 ? token >= 3 : token == 1;
          if (is_nan(result.lse[entry]) != reached) ++wrong;
          for (std::size_t dim = 0; dim < kDim; ++dim) {
            if (is_nan(result.out_memory[entry * kDim + dim]) != reached) ++wrong;
          }
        }
      }
      INFO("tokens " << tokens);
      CHECK(wrong == 0);
    }
  }
}

}  // namespace ropewalk_test
