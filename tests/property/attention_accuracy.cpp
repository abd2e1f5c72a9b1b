// Attention against its definition in double, on random shapes, strides, masks, sequences and types.
#include <ropewalk/attention.hpp>

#include "support/attention_problem.hpp"
#include "support/attention_reference.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

#if defined(ROPEWALK_TEST_FAST_MATH) || defined(ROPEWALK_TEST_EMULATED)
constexpr int kShapes = 500;
#else
constexpr int kShapes = 2000;
#endif

/// Errors over their bounds, the largest so far, and where one was over 1.
struct Worst {
  const char* what;
  double share = 0.0;
  std::string where = {};

  ///   storage   rounding of the result's type, which is no error of attention's
  void see(float result, double exact, double bound, double storage, const std::string& place) {
    const double error = std::abs(static_cast<double>(result) - exact);
    const double part = (std::max)(0.0, error - storage) / with_rounding(exact, bound);
    const bool sound = within(result, exact, bound + storage);
    const double now = sound ? (std::min)(part, 1.0) : (part > 1.0 ? part : 2.0);
    if (share >= now) return;
    share = now;
    char text[120];
    std::snprintf(text, sizeof text, "%s: %.9g for %.17g, bound %.3g; ", what,
                  static_cast<double>(result), exact, bound);
    where = text + place;
  }
};

struct Report {
  Worst derived[5] = {{"lse"}, {"entropy"}, {"mean"}, {"variance"}, {"out"}};
  Worst stated[5] = {{"lse"}, {"entropy"}, {"mean"}, {"variance"}, {"out"}};
  int shapes = 0;
  int stated_shapes = 0;  // float inputs, all logits of magnitude up to 30
  int rows = 0;
  int empty_rows = 0;
  int broken_empty_rows = 0;
};

template <typename Out>
void judge(const AttentionResult<Out>& result, const AttentionReference& reference,
           bool statement_holds, const std::string& problem, Report& report) {
  constexpr double kStated = 1e-5;  // as attention.hpp promises up to logits of magnitude 30
  for (std::int64_t token = 0; token < result.out.tokens; ++token) {
    for (std::int64_t head = 0; head < result.out.heads; ++head) {
      const ReferenceRow& row = reference.row(token, head);
      const auto entry = static_cast<std::size_t>(token * reference.heads + head);
      const Out* out = result.out.head(token, head);
      const float found[4] = {result.lse[entry], result.entropy[entry], result.mean[entry],
                              result.variance[entry]};
      ++report.rows;
      if (row.empty()) {
        ++report.empty_rows;
        bool sound = found[0] == std::numeric_limits<float>::lowest() && found[1] == 0.0f &&
                     found[2] == 0.0f && found[3] == 0.0f;
        for (int dim = 0; dim < result.out.head_dim; ++dim) {
          sound = sound && value_of(out[dim]) == 0.0;
        }
        if (!sound) ++report.broken_empty_rows;
        continue;
      }
      const double exact[4] = {row.lse, row.entropy, row.mean, row.variance};
      const double bounds[4] = {row.lse_bound, row.entropy_bound, row.mean_bound,
                                row.variance_bound};
      const std::string place =
          "token " + std::to_string(token) + " head " + std::to_string(head) + " of " + problem;
      for (int which = 0; which < 4; ++which) {
        report.derived[which].see(found[which], exact[which], bounds[which], 0.0, place);
        if (!statement_holds) continue;
        report.stated[which].see(found[which], exact[which],
                                 kStated * (std::max)(1.0, std::abs(exact[which])), 0.0, place);
      }
      for (int dim = 0; dim < result.out.head_dim; ++dim) {
        const double value = row.out[dim];
        const double rounding = storage_rounding<Out>(std::abs(value) + row.out_bound[dim]);
        const auto number = static_cast<float>(value_of(out[dim]));
        report.derived[4].see(number, value, row.out_bound[dim], rounding, place);
        if (!statement_holds) continue;
        const double stated = kStated + static_cast<double>(row.keys) * 0x1p-30;
        report.stated[4].see(number, value, stated * row.largest_value, rounding, place);
      }
    }
  }
}

template <typename A, typename B>
bool same(const std::vector<A>& a, const std::vector<B>& b) {
  static_assert(std::is_same_v<A, B>);
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(A)) == 0;
}

/// The results that must not depend on how they were asked for.
template <typename Kernel, typename T, typename Out>
bool repeats(const AttentionProblem<T>& problem, const AttentionResult<Out>& result,
             Random& random) {
  const auto threads = attend_problem<Kernel, Out>(problem, kAllStatistics, ThreadExecutor{3});
  const auto backward = attend_problem<Kernel, Out>(problem, kAllStatistics, BackwardExecutor{});
  const auto some = static_cast<unsigned>(random.integer(0, 14));
  const auto fewer = attend_problem<Kernel, Out>(problem, some);
  for (const auto* other : {&threads, &backward}) {
    if (!same(other->out_memory, result.out_memory) || !same(other->lse, result.lse) ||
        !same(other->entropy, result.entropy) || !same(other->mean, result.mean) ||
        !same(other->variance, result.variance)) {
      return false;
    }
  }
  // A kernel may sum the mean another way where the variance is wanted too.
  const bool same_sums = (some & 8u) != 0;
  return same(fewer.out_memory, result.out_memory) &&
         ((some & 1u) == 0 || same(fewer.lse, result.lse)) &&
         ((some & 2u) == 0 || !same_sums || same(fewer.entropy, result.entropy)) &&
         ((some & 4u) == 0 || !same_sums || same(fewer.mean, result.mean)) &&
         (!same_sums || same(fewer.variance, result.variance));
}

template <typename Kernel, typename T, typename Out>
void try_problem(Random& random, double spread, Report& report, int& unrepeated) {
  const AttentionProblem<T> problem = draw_problem<T>(random, spread);
  const AttentionReference reference = reference_of<Kernel>(problem);
  double largest = 0.0;
  for (const ReferenceRow& row : reference.rows) largest = (std::max)(largest, row.largest_logit);
  const AttentionResult<Out> result = attend_problem<Kernel, Out>(problem);
  const bool stated = std::is_same_v<T, float> && largest <= 30.0;
  ++report.shapes;
  if (stated) ++report.stated_shapes;
  judge(result, reference, stated, problem.text(), report);
  if (random.one_in(8) && !repeats<Kernel>(problem, result, random)) ++unrepeated;
}

}  // namespace

TEMPLATE_TEST_CASE("attention of random shapes is its definition within the stated bounds", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  using Kernel = TestType;
  if (!runs_here<Kernel>()) return;
  Random random("attention accuracy");
  Report report;
  int unrepeated = 0;
  for (int attempt = 0; attempt < 3 * kShapes && report.stated_shapes < kShapes; ++attempt) {
    // Most spreads leave logits within 30; one in eight goes to where a tile gives up and beyond.
    const double spread =
        random.one_in(8) ? random.log_uniform(10.0, 3e6) : random.log_uniform(0.02, 6.0);
    switch (random.integer(0, 9)) {
      case 0:
        try_problem<Kernel, rw::float16, float>(random, spread, report, unrepeated);
        break;
      case 1:
        try_problem<Kernel, rw::float16, rw::float16>(random, spread, report, unrepeated);
        break;
      case 2:
        try_problem<Kernel, rw::bfloat16, rw::bfloat16>(random, spread, report, unrepeated);
        break;
      case 3:
        try_problem<Kernel, float, rw::bfloat16>(random, spread, report, unrepeated);
        break;
      default:
        try_problem<Kernel, float, float>(random, spread, report, unrepeated);
    }
  }
  INFO(seed_text());
  std::printf(
      "attention: %d shapes, %d of them of floats with logits up to 30, %d rows, %d empty\n",
      report.shapes, report.stated_shapes, report.rows, report.empty_rows);
  for (int which = 0; which < 5; ++which) {
    std::printf("attention %-8s error at most %.3f of the derived bound, %.3f of the stated one\n",
                report.derived[which].what, report.derived[which].share,
                report.stated[which].share);
  }
  CHECK(report.stated_shapes >= kShapes);
  CHECK(report.empty_rows > 100);
  CHECK(report.broken_empty_rows == 0);
  CHECK(unrepeated == 0);
  for (const auto* list : {report.derived, report.stated}) {
    for (int which = 0; which < 5; ++which) {
      INFO(list[which].where);
      CHECK(list[which].share <= 1.0);
    }
  }
}
