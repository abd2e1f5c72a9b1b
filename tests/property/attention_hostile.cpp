// Attention of finite numbers nobody should pass: never a NaN, and the saturated results of the
// definition wherever float arithmetic leaves any doubt about them.
#include <ropewalk/attention.hpp>

#include "support/attention_problem.hpp"
#include "support/attention_reference.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using Floats = std::numeric_limits<float>;
using Doubles = std::numeric_limits<double>;

const std::vector<float> kNumbers = {0.0f,
                                     -0.0f,
                                     Floats::denorm_min(),
                                     -Floats::denorm_min(),
                                     1e-40f,
                                     (Floats::min)(),
                                     1e-30f,
                                     -1e-7f,
                                     1.0f,
                                     -1.0f,
                                     3.5f,
                                     -1e4f,
                                     6e4f,
                                     1e10f,
                                     -1e15f,
                                     1e19f,
                                     -2e19f,
                                     1e30f,
                                     -1e30f,
                                     (Floats::max)(),
                                     -(Floats::max)()};

const std::vector<double> kSinks = {0.0,   -0.0, 5e-324, 30.0, -1e5, 1e6,
                                    -1e14, 1e15, 1e20,   1e30, -1e30};

const std::vector<double> kScales = {0.0, 5e-324, 1e-310, 1e-45, 1e-30, 1e-6, 0.1, 1.0, 1e8};

template <typename Number>
Number any_of(Random& random, const std::vector<Number>& numbers) {
  return numbers[static_cast<std::size_t>(
      random.integer(0, static_cast<std::int64_t>(numbers.size()) - 1))];
}

/// A finite element; the largest of a narrow type where the number is beyond it.
template <typename T>
T finite_element(float number) {
  if (std::is_same_v<T, rw::float16>) {
    const float bounded = number > 65504.0f ? 65504.0f : (number < -65504.0f ? -65504.0f : number);
    return element_of<T>(static_cast<double>(bounded));
  }
  if (std::is_same_v<T, rw::bfloat16>) {
    const float most = 3.3895314e38f;
    return element_of<T>(
        static_cast<double>(number > most ? most : (number < -most ? -most : number)));
  }
  return element_of<T>(static_cast<double>(number));
}

/// A few of the numbers in each view, or all; else ordinary ones, so that every mixture comes up.
template <typename T>
std::vector<T> draw_elements(Random& random, std::int64_t size) {
  std::vector<T> elements(static_cast<std::size_t>(size));
  const int share = static_cast<int>(random.integer(1, 6));
  const float favourite = any_of(random, kNumbers);
  const bool one_number = random.one_in(4);
  for (T& element : elements) {
    if (!random.one_in(share)) {
      element = element_of<T>(random.uniform(-3.0, 3.0));
    } else {
      element = finite_element<T>(one_number ? favourite : any_of(random, kNumbers));
    }
  }
  return elements;
}

struct HostileBias {
  static constexpr bool kIdentity = false;

  static float at(std::int64_t head, std::int64_t query, std::int64_t key) {
    const auto mixed = static_cast<std::uint64_t>(head * 31 + query * 17 + key * 7);
    return kNumbers[static_cast<std::size_t>(mixed % kNumbers.size())];
  }
  void operator()(std::int64_t head, std::int64_t query, std::int64_t key, int count,
                  float* values) const {
    for (int index = 0; index < count; ++index) values[index] = at(head, query, key + index);
  }
};

struct HostileReference {
  double operator()(std::int64_t head, std::int64_t query, std::int64_t key) const {
    return static_cast<double>(HostileBias::at(head, query, key));
  }
};

struct Tally {
  int rows = 0;
  int in_double = 0;
  int not_finite = 0;
  int wrong = 0;
  std::string where = {};

  void fail(int& counter, const char* what, double found, double exact, double bound,
            const std::string& place) {
    if (counter++ > 0) return;
    char text[160];
    std::snprintf(text, sizeof text, "%s: %.9g for %.17g, bound %.3g; ", what, found, exact, bound);
    where += text + place + "\n";
  }

  void see(const char* what, float found, double exact, double bound, const std::string& place) {
    if (!rw::detail::is_finite(static_cast<double>(found))) {
      fail(not_finite, what, static_cast<double>(found), exact, bound, place);
    } else if (!within(found, exact, bound)) {
      fail(wrong, what, static_cast<double>(found), exact, bound, place);
    }
  }
};

template <typename Kernel, typename T>
void try_hostile(Random& random, Tally& tally) {
  AttentionProblem<T> problem;
  const std::int64_t queries = random.integer(1, 12);
  const std::int64_t keys = random.one_in(20) ? random.integer(4096, 4100) : random.integer(1, 80);
  const std::int64_t key_heads = random.integer(1, 2);
  const std::int64_t heads = key_heads * random.integer(1, 3);
  const int depth = static_cast<int>(random.integer(1, random.one_in(3) ? 40 : 3));
  const int dim = static_cast<int>(random.integer(1, 20));
  problem.q_memory = draw_elements<T>(random, queries * heads * depth);
  problem.k_memory = draw_elements<T>(random, keys * key_heads * depth);
  problem.v_memory = draw_elements<T>(random, keys * key_heads * dim);
  const auto view = [](const std::vector<T>& memory, std::int64_t tokens, std::int64_t of,
                       int size) { return rw::make_head_view(memory.data(), tokens, of, size); };
  problem.q = view(problem.q_memory, queries, heads, depth);
  problem.k = view(problem.k_memory, keys, key_heads, depth);
  problem.v = view(problem.v_memory, keys, key_heads, dim);
  problem.softmax_scale = random.one_in(2) ? any_of(random, kScales) : 1.0;
  const auto fill = [&](std::vector<double>& list, std::int64_t count,
                        const std::vector<double>& from) {
    for (std::int64_t index = 0; index < count; ++index) list.push_back(any_of(random, from));
  };
  if (random.one_in(3)) fill(problem.head_scale, heads, kScales);
  if (random.one_in(4)) fill(problem.position_scale, queries, kScales);
  if (random.one_in(3)) fill(problem.sink_logit, heads, kSinks);
  problem.mask = draw_mask(random, keys);
  const bool biased = random.one_in(3);

  const auto rows = static_cast<std::size_t>(queries * heads);
  std::vector<float> out(rows * static_cast<std::size_t>(dim), Floats::quiet_NaN());
  std::vector<T> narrow(out.size(), element_of<T>(Doubles::quiet_NaN()));
  std::vector<float> lse(rows, Floats::quiet_NaN());
  std::vector<float> entropy = lse;
  std::vector<float> mean = lse;
  std::vector<float> variance = lse;
  rw::AttentionStatistics statistics;
  statistics.lse = lse;
  statistics.entropy = entropy;
  statistics.mean = mean;
  statistics.variance = variance;
  const auto out_view = rw::make_head_view(out.data(), queries, heads, dim);
  const auto narrow_view = rw::make_head_view(narrow.data(), queries, heads, dim);
  const rw::AttentionOptions options = problem.options();
  AttentionReference reference;
  if (biased) {
    const rw::AttentionHooks<HostileBias> hooks;
    rw::attend<Kernel>(problem.q, problem.k, problem.v, out_view, options, statistics, hooks);
    rw::attend<Kernel>(problem.q, problem.k, problem.v, narrow_view, options, {}, hooks);
    reference = attention_reference(problem.q, problem.k, problem.v, options, HostileReference{},
                                    arithmetic_of<Kernel, T>());
  } else {
    rw::attend<Kernel>(problem.q, problem.k, problem.v, out_view, options, statistics);
    rw::attend<Kernel>(problem.q, problem.k, problem.v, narrow_view, options);
    reference = attention_reference(problem.q, problem.k, problem.v, options, NoReferenceBias{},
                                    arithmetic_of<Kernel, T>());
  }

  const std::string text = (biased ? "biased " : "") + problem.text();
  for (std::size_t entry = 0; entry < rows; ++entry) {
    const ReferenceRow& row = reference.rows[entry];
    ++tally.rows;
    if (row.largest_logit > 0x1p20) ++tally.in_double;
    const std::string place = "row " + std::to_string(entry) + " of " + text;
    tally.see("lse", lse[entry], row.lse, row.lse_bound, place);
    tally.see("entropy", entropy[entry], row.entropy, row.entropy_bound, place);
    tally.see("mean", mean[entry], row.mean, row.mean_bound, place);
    tally.see("variance", variance[entry], row.variance, row.variance_bound, place);
    // Whatever is uncertain about the logits, these hold.
    const double most = row.empty() ? 0.0 : std::log(static_cast<double>(row.keys));
    tally.see("entropy of its range", entropy[entry], most / 2.0, most / 2.0 + 1e-5, place);
    for (int dim_index = 0; dim_index < dim; ++dim_index) {
      const std::size_t at =
          entry * static_cast<std::size_t>(dim) + static_cast<std::size_t>(dim_index);
      const double value = row.out[dim_index];
      tally.see("out", out[at], value, row.out_bound[dim_index], place);
      // Rounded weights may add up to more than one.
      const double weights = 1.0 + 1e-4 + arithmetic_of<Kernel, T>().weight_unit;
      tally.see("out of its range", out[at], 0.0, row.largest_value * weights, place);
      const auto number = static_cast<float>(value_of(narrow[at]));
      if ((rw::detail::bits_of(number) & 0x7fffffffu) > 0x7f800000u) {
        tally.fail(tally.not_finite, "narrow out", static_cast<double>(number), value, 0.0, place);
      }
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("no finite input makes attention give a NaN or anything but its definition", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  using Kernel = TestType;
  if (!runs_here<Kernel>()) return;
  Random random("attention hostile");
  Tally tally;
  const auto problems = static_cast<int>(test_iterations(4000));
  for (int problem = 0; problem < problems; ++problem) {
    switch (random.integer(0, 4)) {
      case 0:
        try_hostile<Kernel, rw::float16>(random, tally);
        break;
      case 1:
        try_hostile<Kernel, rw::bfloat16>(random, tally);
        break;
      default:
        try_hostile<Kernel, float>(random, tally);
    }
  }
  INFO(seed_text());
  INFO(tally.where);
  std::printf("attention: %d hostile rows, %d with logits beyond a tile\n", tally.rows,
              tally.in_double);
  CHECK(tally.in_double > tally.rows / 4);
  CHECK(tally.not_finite == 0);
  CHECK(tally.wrong == 0);
}
