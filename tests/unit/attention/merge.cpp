#include <ropewalk/attention.hpp>
#include <ropewalk/attention/merge.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <limits>
#include <vector>

namespace {

using namespace ropewalk;

constexpr std::int64_t kQueries = 5;
constexpr std::int64_t kKeys = 64;
constexpr int kHeads = 2;
constexpr int kDim = 8;

struct Part {
  std::vector<float> out = std::vector<float>(kQueries * kHeads * kDim);
  std::vector<float> lse = std::vector<float>(kQueries * kHeads);
  std::vector<float> entropy = lse;
  std::vector<float> mean = lse;
  std::vector<float> variance = lse;

  AttentionStatistics statistics() { return {lse, entropy, mean, variance}; }
  HeadView<float> view() { return make_head_view(out.data(), kQueries, kHeads, kDim); }
};

struct Inputs {
  explicit Inputs(ropewalk_test::Random& random)
      : q(kQueries * kHeads * kDim), k(kKeys * kDim), v(kKeys * kDim) {
    for (std::vector<float>* list : {&q, &k, &v}) {
      for (float& value : *list) value = static_cast<float>(random.uniform(-2.0, 2.0));
    }
  }

  /// Attention over the keys first .. first + count - 1.
  Part attend_part(std::int64_t first, std::int64_t count) const {
    Part part;
    AttentionOptions options;
    options.query_position = 30;
    options.key_position = first;
    const auto slice = [&](const std::vector<float>& list) {
      return make_head_view(list.data() + first * kDim, count, 1, kDim);
    };
    attend(make_head_view(q.data(), kQueries, kHeads, kDim), slice(k), slice(v), part.view(),
           options, part.statistics());
    return part;
  }

  std::vector<float> q, k, v;
};

}  // namespace

TEST_CASE("parts of the keys merge to the whole") {
  ropewalk_test::Random random("merge");
  const Inputs inputs(random);
  Part whole = inputs.attend_part(0, kKeys);
  Part merged = inputs.attend_part(0, 20);
  for (const std::int64_t first : {20, 32, 48}) {  // the last part is behind every query
    const std::int64_t count = first == 20 ? 12 : 16;
    Part part = inputs.attend_part(first, count);
    if (first == 48) CHECK(part.lse[0] == std::numeric_limits<float>::lowest());
    merge_attention(merged.view(), merged.statistics(), part.view(), part.statistics());
  }
  // Three merges of 8 roundings, of numbers up to 10.
  const double bound = 24 * 0x1p-24 * 10;
  for (std::size_t row = 0; row < whole.lse.size(); ++row) {
    CHECK(merged.lse[row] == Approx(whole.lse[row]).margin(bound));
    CHECK(merged.entropy[row] == Approx(whole.entropy[row]).margin(bound));
    CHECK(merged.mean[row] == Approx(whole.mean[row]).margin(bound));
    CHECK(merged.variance[row] == Approx(whole.variance[row]).margin(bound));
  }
  for (std::size_t index = 0; index < whole.out.size(); ++index) {
    CHECK(merged.out[index] == Approx(whole.out[index]).margin(bound));
  }
}

TEST_CASE("a part without keys leaves every bit as it was, and takes over nothing") {
  ropewalk_test::Random random("merge empty");
  const Inputs inputs(random);
  const Part whole = inputs.attend_part(0, kKeys);
  Part empty = inputs.attend_part(0, 0);
  Part merged = whole;
  merge_attention(merged.view(), merged.statistics(), empty.view(), empty.statistics());
  CHECK(merged.out == whole.out);
  CHECK(merged.variance == whole.variance);
  merged = whole;
  merge_attention(empty.view(), empty.statistics(), merged.view(), merged.statistics());
  CHECK(empty.out == whole.out);
  CHECK(empty.lse == whole.lse);
  CHECK(empty.entropy == whole.entropy);
  CHECK(empty.mean == whole.mean);
  CHECK(empty.variance == whole.variance);
}

TEST_CASE("a merge refuses parts that do not match") {
  Part one, other;
  AttentionStatistics statistics = one.statistics();
  statistics.lse = {};
  CHECK_THROWS_WITH(merge_attention(one.view(), statistics, other.view(), other.statistics()),
                    contains("lse has 0"));
  statistics = one.statistics();
  statistics.entropy = {};
  CHECK_THROWS_WITH(merge_attention(one.view(), statistics, other.view(), other.statistics()),
                    contains("entropy has 10"));
  statistics = one.statistics();
  statistics.mean = {};
  AttentionStatistics of_other = other.statistics();
  of_other.mean = {};
  CHECK_THROWS_WITH(merge_attention(one.view(), statistics, other.view(), of_other),
                    contains("mean"));
  HeadView<float> longer = other.view();
  longer.tokens = 4;
  CHECK_THROWS_WITH(merge_attention(one.view(), one.statistics(), longer, other.statistics()),
                    contains("other.tokens has 4"));
}
