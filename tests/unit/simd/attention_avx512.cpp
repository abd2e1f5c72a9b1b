#include <ropewalk/simd/attention.hpp>

#if defined(__x86_64__)

#include "support/attention_kernel.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace rw = ropewalk;
using ropewalk::simd::Avx512Attention;
using ropewalk::simd::Avx512Bf16Attention;

namespace {

bool has_avx512() {
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0;
}

/// The products of one random tile in pairs of bfloat16 against sums in double; the largest error
/// over its bound. Products are exact; each of n additions and the factor's product round once.
double worst_pair_product(ropewalk_test::Random& random) {
  using Kernel = Avx512Bf16Attention;
  using T = rw::bfloat16;
  const int rows = static_cast<int>(random.integer(1, 21));
  const int count = static_cast<int>(random.integer(1, Kernel::kKeys));
  const int depth = static_cast<int>(random.integer(1, 140));
  const int dim = static_cast<int>(random.integer(1, 140));
  const ropewalk_test::ElementRows<T> queries(random, rows, depth);
  const ropewalk_test::ElementRows<T> keys(random, count, depth);
  const ropewalk_test::ElementRows<T> values(random, count, dim);
  const auto seen = ropewalk_test::draw_seen(random, rows, count);
  const auto elements = [](std::int64_t size) {
    return std::vector<T>(static_cast<std::size_t>(size), T{0x7fc0});
  };
  auto packed_queries = elements(rows * Kernel::query_size(depth));
  auto packed_keys = elements(Kernel::keys_size(depth));
  auto packed_values = elements(Kernel::values_size(dim));
  auto weights = elements(std::int64_t{rows} * Kernel::kKeys);
  std::vector<float> scores(weights.size());
  std::vector<float> factors(static_cast<std::size_t>(rows), 0.5f);
  std::vector<float> outputs(static_cast<std::size_t>(rows * Kernel::output_size(dim)), 3.0f);
  for (int row = 0; row < rows; ++row) {
    Kernel::pack_query(queries.memory.data() + row * queries.stride, depth,
                       packed_queries.data() + row * Kernel::query_size(depth));
    const auto& run = seen[static_cast<std::size_t>(row)];
    for (int key = 0; key < Kernel::kKeys; ++key) {
      const bool sees = run.begin <= key && key < run.end;
      weights[static_cast<std::size_t>(row * Kernel::kKeys + key)] =
          rw::to_bfloat16(sees ? static_cast<float>(random.uniform(0.0, 1.0)) : 0.0f);
    }
  }
  const rw::detail::RowsAhead none;
  Kernel::pack_keys(keys.memory.data(), keys.stride, count, depth, packed_keys.data());
  Kernel::pack_values(values.memory.data(), values.stride, count, dim, packed_values.data());
  Kernel::multiply_keys(packed_queries.data(), packed_keys.data(), depth, seen.data(), rows, none,
                        scores.data());
  Kernel::multiply_values(weights.data(), packed_values.data(), dim, seen.data(), rows, none,
                          factors.data(), outputs.data());

  double worst = 0.0;
  const auto judge = [&](float found, double exact, double size, int terms) {
    const double error = std::abs(static_cast<double>(found) - exact);
    const bool finite = rw::detail::is_finite(static_cast<double>(found));
    const double bound = (terms + 2) * ropewalk_test::kFloatUnit * size + 1e-300;
    worst = (std::max)(worst, finite ? error / bound : 1e9);
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
      judge(scores[static_cast<std::size_t>(row * Kernel::kKeys + key)], exact, size, depth);
    }
    if (run.begin >= run.end) continue;
    for (int index = 0; index < dim; ++index) {
      double exact = 1.5;
      double size = 1.5;
      for (int key = run.begin; key < run.end; ++key) {
        const auto at = static_cast<std::size_t>(row * Kernel::kKeys + key);
        const double product =
            static_cast<double>(rw::to_float(weights[at])) * values.at(key, index);
        exact += product;
        size += std::abs(product);
      }
      judge(outputs[static_cast<std::size_t>(row * Kernel::output_size(dim) + index)], exact, size,
            count);
    }
  }
  return worst;
}

}  // namespace

// Not check_weights(): a row with a NaN among its scores is told by its flag alone, and what else it
// holds then says nothing.
TEMPLATE_TEST_CASE("AVX-512 multiplies tiles as double does, to a rounding for each term", "",
                   Avx512Attention, Avx512Bf16Attention) {
  if (ropewalk_test::runs_here<TestType>()) ropewalk_test::check_products<TestType>();
}

TEMPLATE_TEST_CASE("AVX-512 gives a NaN exactly in the rows that a NaN reaches", "",
                   Avx512Attention, Avx512Bf16Attention) {
  if (ropewalk_test::runs_here<TestType>()) ropewalk_test::check_hostile<TestType>();
}

TEMPLATE_TEST_CASE("AVX-512 gives attention of random shapes within the bounds of its definition",
                   "", Avx512Attention, Avx512Bf16Attention) {
  if (ropewalk_test::runs_here<TestType>()) ropewalk_test::check_attention<TestType>();
}

TEST_CASE("pairs of bfloat16 multiply as double does, to a rounding for each term") {
  if (!has_avx512() || __builtin_cpu_supports("avx512bf16") == 0) return;
  ropewalk_test::Random random("attention pairs");
  INFO(ropewalk_test::seed_text());
  double worst = 0.0;
  for (int tile = 0; tile < 300; ++tile) worst = (std::max)(worst, worst_pair_product(random));
  CHECK(worst <= 1.0);
  CHECK(worst > 0.0);
}

TEST_CASE("statistics are the same to the bit whichever of them are asked for") {
  if (!has_avx512()) return;
  ropewalk_test::Random random("attention moments");
  INFO(ropewalk_test::seed_text());
  constexpr int kKeys = Avx512Attention::kKeys;
  std::vector<float> scores(16 * kKeys);
  for (float& score : scores) score = static_cast<float>(random.uniform(-9.0, 9.0));
  const auto seen = ropewalk_test::draw_seen(random, 16, kKeys);
  const std::vector<float> coefficients(16, 0.7f);
  rw::RowStatistics<float> rows[3][16];
  const auto weigh = [&](auto moments, rw::RowStatistics<float>* to) {
    std::vector<float> weights(scores);
    float factors[16];
    bool in_range[16];
    for (bool& good : in_range) good = true;
    Avx512Attention::weigh<decltype(moments)::value>(weights.data(), seen.data(), 16,
                                                     coefficients.data(), to, factors, in_range,
                                                     weights.data());
  };
  weigh(std::integral_constant<int, 0>{}, rows[0]);
  weigh(std::integral_constant<int, 1>{}, rows[1]);
  weigh(std::integral_constant<int, 2>{}, rows[2]);
  for (int row = 0; row < 16; ++row) {
    INFO("row " << row);
    CHECK(ropewalk_test::same_bits(rows[0][row].maximum, rows[2][row].maximum));
    CHECK(ropewalk_test::same_bits(rows[0][row].sum, rows[1][row].sum));
    CHECK(ropewalk_test::same_bits(rows[1][row].sum, rows[2][row].sum));
    CHECK(ropewalk_test::same_bits(rows[1][row].first, rows[2][row].first));
  }
}

#endif
