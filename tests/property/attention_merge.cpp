// Attention over parts of the keys, merged, is attention over all of them: in any grouping, in any
// order, with empty parts anywhere.
#include <ropewalk/attention.hpp>
#include <ropewalk/attention/merge.hpp>
#include <ropewalk/row_statistics.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr std::size_t kDim = 3;

/// What one part of the keys gives: the row's summary and its output.
template <typename Real>
struct Part {
  rw::RowSummary<Real> summary;
  Real out[kDim] = {};
};

template <typename Real>
Part<Real> merged(const Part<Real>& a, const Part<Real>& b) {
  const rw::MergedRow<Real> whole = rw::merge(a.summary, b.summary);
  Part<Real> result{whole.summary, {}};
  for (std::size_t dim = 0; dim < kDim; ++dim) {
    result.out[dim] = whole.first_weight * a.out[dim] + whole.second_weight * b.out[dim];
  }
  return result;
}

struct Key {
  long double logit = 0.0L;  // nats
  long double value[kDim] = {};
};

/// By definition, in long double; nothing of the library.
Part<long double> exact_part(const std::vector<Key>& keys, std::size_t first, std::size_t end) {
  Part<long double> part;
  if (first == end) return part;
  long double largest = keys[first].logit;
  for (std::size_t i = first; i < end; ++i) largest = (std::max)(largest, keys[i].logit);
  long double sum = 0.0L;
  for (std::size_t i = first; i < end; ++i) sum += std::exp(keys[i].logit - largest);
  rw::RowSummary<long double>& row = part.summary;
  row.lse = largest + std::log(sum);
  for (std::size_t i = first; i < end; ++i) {
    const long double weight = std::exp(keys[i].logit - largest) / sum;
    row.mean += weight * keys[i].logit;
    row.entropy += weight * (std::log(sum) - (keys[i].logit - largest));
    for (std::size_t dim = 0; dim < kDim; ++dim) part.out[dim] += weight * keys[i].value[dim];
  }
  for (std::size_t i = first; i < end; ++i) {
    const long double off = keys[i].logit - row.mean;
    row.variance += std::exp(keys[i].logit - largest) / sum * off * off;
  }
  return part;
}

template <typename Real>
Part<Real> rounded(const Part<long double>& exact) {
  Part<Real> part;
  if (exact.summary.empty()) return part;
  part.summary = {static_cast<Real>(exact.summary.lse), static_cast<Real>(exact.summary.entropy),
                  static_cast<Real>(exact.summary.mean), static_cast<Real>(exact.summary.variance)};
  for (std::size_t dim = 0; dim < kDim; ++dim) part.out[dim] = static_cast<Real>(exact.out[dim]);
  return part;
}

/// A row of keys in parts, some of them empty; part i is keys bounds[i] .. bounds[i + 1] - 1.
struct Row {
  std::vector<Key> keys;
  std::vector<std::size_t> bounds;
  long double offset = 0.0L;
  long double spread = 0.0L;
};

Row random_row(Random& random, double largest_offset) {
  Row row;
  row.keys.resize(static_cast<std::size_t>(random.integer(0, 60)));
  row.spread = static_cast<long double>(random.log_uniform(0.01, 60.0));
  row.offset = static_cast<long double>(random.uniform(-largest_offset, largest_offset));
  for (Key& key : row.keys) {
    key.logit = row.offset + row.spread * static_cast<long double>(random.uniform(-1.0, 1.0));
    for (long double& value : key.value) {
      value = static_cast<long double>(random.uniform(-1.0, 1.0));
    }
  }
  const std::int64_t parts = random.integer(1, 9);
  row.bounds.push_back(0);
  for (std::int64_t part = 1; part < parts; ++part) {
    row.bounds.push_back(
        static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(row.keys.size()))));
  }
  row.bounds.push_back(row.keys.size());
  std::sort(row.bounds.begin(), row.bounds.end());
  return row;
}

template <typename Real>
std::vector<Part<Real>> parts_of(const Row& row) {
  std::vector<Part<Real>> parts;
  for (std::size_t part = 0; part + 1 < row.bounds.size(); ++part) {
    parts.push_back(rounded<Real>(exact_part(row.keys, row.bounds[part], row.bounds[part + 1])));
  }
  return parts;
}

template <typename Real>
Part<Real> in_order(const std::vector<Part<Real>>& parts) {
  Part<Real> whole;
  for (const Part<Real>& part : parts) whole = merged(whole, part);
  return whole;
}

/// Merged in random pairs until one is left: any grouping and any order.
template <typename Real>
Part<Real> at_random(std::vector<Part<Real>> parts, Random& random) {
  while (parts.size() > 1) {
    const auto draw = [&] {
      return static_cast<std::size_t>(
          random.integer(0, static_cast<std::int64_t>(parts.size()) - 1));
    };
    const std::size_t a = draw();
    const std::size_t b = draw();
    if (a == b) continue;
    parts[a] = merged(parts[a], parts[b]);
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(b));
  }
  return parts.front();
}

/// How far a merge of the parts may be from the whole. Every lse is stored with a rounding unit of
/// its size L, and so every weight is off by a share of that: per merge, u (4 + 2 L) as merge()
/// states, u L more for what was rounded before it, with at most as many merges as parts. A
/// weight's error moves the entropy by its entropy and logarithm, at most 2 + ln 60 + twice the
/// spread; the mean by the spread; the variance by its square, and once more by the rounding of the
/// means, whose difference is as far off as L; the output by the largest value, 1.
struct Bounds {
  long double lse, entropy, mean, variance, out;
};

template <typename Real>
Bounds bounds_of(const Row& row) {
  const long double unit = std::numeric_limits<Real>::epsilon() / 2;
  const long double size = std::abs(row.offset) + row.spread + 5.0L;
  const auto parts = static_cast<long double>(row.bounds.size());
  const long double weight = parts * unit * (4.0L + 3.0L * size);
  const long double range = 2.0L * row.spread;
  return {weight + parts * unit * size, weight * (7.0L + range),
          weight * range + parts * unit * size,
          weight * range * range + parts * unit * size * range * 2.0L + unit * range * range,
          2.0L * weight};
}

template <typename Real>
bool close(const Part<Real>& a, const Part<long double>& b, const Bounds& bounds) {
  const auto within = [](Real x, long double y, long double bound) {
    return std::abs(static_cast<long double>(x) - y) <= bound;
  };
  if (a.summary.empty() || b.summary.empty()) return a.summary.empty() == b.summary.empty();
  bool same = within(a.summary.lse, b.summary.lse, bounds.lse) &&
              within(a.summary.entropy, b.summary.entropy, bounds.entropy) &&
              within(a.summary.mean, b.summary.mean, bounds.mean) &&
              within(a.summary.variance, b.summary.variance, bounds.variance);
  for (std::size_t dim = 0; dim < kDim; ++dim) {
    same = same && within(a.out[dim], b.out[dim], bounds.out);
  }
  return same;
}

template <typename Real>
Part<long double> widened(const Part<Real>& part) {
  Part<long double> wide;
  if (part.summary.empty()) return wide;
  wide.summary = {part.summary.lse, part.summary.entropy, part.summary.mean, part.summary.variance};
  for (std::size_t dim = 0; dim < kDim; ++dim) wide.out[dim] = part.out[dim];
  return wide;
}

template <typename Real>
bool equal(const Part<Real>& a, const Part<Real>& b) {
  return a.summary.lse == b.summary.lse && a.summary.entropy == b.summary.entropy &&
         a.summary.mean == b.summary.mean && a.summary.variance == b.summary.variance &&
         std::equal(a.out, a.out + kDim, b.out);
}

template <typename Real>
void check_merges(const char* name, double largest_offset) {
  Random random(name);
  const std::uint64_t rows = test_iterations() / 10;
  int whole_off = 0;
  int grouping_off = 0;
  int order_off = 0;
  int with_empty = 0;
  for (std::uint64_t i = 0; i < rows; ++i) {
    const Row row = random_row(random, largest_offset);
    const std::vector<Part<Real>> parts = parts_of<Real>(row);
    const Bounds bounds = bounds_of<Real>(row);
    const Part<long double> exact = exact_part(row.keys, 0, row.keys.size());
    const Part<Real> straight = in_order(parts);
    if (!close(straight, exact, bounds)) ++whole_off;
    const Bounds twice{2 * bounds.lse, 2 * bounds.entropy, 2 * bounds.mean, 2 * bounds.variance,
                       2 * bounds.out};
    if (!close(at_random(parts, random), widened(straight), twice)) ++grouping_off;
    if (parts.size() > 1) {  // two parts commute to the bit
      const Part<Real> forth = merged(parts[0], parts[1]);
      const Part<Real> back = merged(parts[1], parts[0]);
      if (!close(forth, widened(back), Bounds{0, 0, 0, 0, bounds.out})) ++order_off;
    }
    std::vector<Part<Real>> padded = parts;
    for (int empty = 0; empty < 3; ++empty) {
      padded.insert(padded.begin() + random.integer(0, static_cast<std::int64_t>(padded.size())),
                    Part<Real>{});
    }
    if (!equal(in_order(padded), straight)) ++with_empty;
  }
  INFO(seed_text());
  CHECK(whole_off == 0);
  CHECK(grouping_off == 0);
  CHECK(order_off == 0);
  CHECK(with_empty == 0);
}

}  // namespace

TEST_CASE("parts merge to the whole in any grouping: float") {
  check_merges<float>("merge float", 30.0);
}

TEST_CASE("parts merge to the whole in any grouping: double") {
  check_merges<double>("merge double", 30.0);
}

TEST_CASE("parts merge to the whole under a common offset of up to 10000") {
  check_merges<float>("merge float, offset", 1e4);
  check_merges<double>("merge double, offset", 1e4);
}

TEST_CASE("empty parts merge as nothing, on either side and among themselves") {
  const rw::RowSummary<float> empty;
  const rw::RowSummary<float> row{3.5f, 1.25f, 2.25f, 0.5f};
  for (const bool empty_first : {false, true}) {
    const rw::MergedRow<float> whole = empty_first ? rw::merge(empty, row) : rw::merge(row, empty);
    CHECK(whole.summary.lse == row.lse);
    CHECK(whole.summary.entropy == row.entropy);
    CHECK(whole.summary.mean == row.mean);
    CHECK(whole.summary.variance == row.variance);
    CHECK(whole.first_weight == (empty_first ? 0.0f : 1.0f));
    CHECK(whole.second_weight == (empty_first ? 1.0f : 0.0f));
  }
  const rw::MergedRow<float> nothing = rw::merge(empty, empty);
  CHECK(nothing.summary.empty());
  CHECK(nothing.summary.lse == std::numeric_limits<float>::lowest());
  CHECK(nothing.summary.entropy == 0.0f);
  CHECK(nothing.first_weight == 0.0f);
  CHECK(nothing.second_weight == 0.0f);
}

TEST_CASE("a part that is beyond the other's range weighs nothing and leaves no NaN") {
  const float huge = (std::numeric_limits<float>::max)();
  const rw::RowSummary<float> high{huge, 1.0f, huge, 2.0f};
  const rw::RowSummary<float> low{-huge / 2.0f, 3.0f, -huge / 2.0f, 4.0f};
  for (const bool high_first : {false, true}) {
    const rw::MergedRow<float> whole = high_first ? rw::merge(high, low) : rw::merge(low, high);
    CHECK(whole.summary.lse == huge);
    CHECK(whole.summary.entropy == 1.0f);
    CHECK(whole.summary.mean == huge);
    CHECK(whole.summary.variance == 2.0f);
    CHECK(whole.first_weight == (high_first ? 1.0f : 0.0f));
    CHECK(whole.second_weight == (high_first ? 0.0f : 1.0f));
  }
}

namespace {

/// attend() of all queries over some of the keys, causal, with its statistics.
struct Attended {
  std::vector<float> out, lse, entropy, mean, variance;

  rw::AttentionStatistics statistics() { return {lse, entropy, mean, variance}; }
};

struct Problem {
  std::int64_t queries = 0, keys = 0, heads = 0, key_heads = 0;
  int dim = 0;
  std::int64_t query_position = 0;
  std::vector<float> q, k, v;

  explicit Problem(Random& random) {
    queries = random.integer(1, 20);
    keys = random.integer(1, 80);
    key_heads = random.integer(1, 3);
    heads = key_heads * random.integer(1, 3);
    dim = static_cast<int>(random.integer(1, 24));
    query_position = random.integer(-5, keys);  // some queries see no key, others all
    q.resize(static_cast<std::size_t>(queries * heads * dim));
    k.resize(static_cast<std::size_t>(keys * key_heads * dim));
    v.resize(k.size());
    for (std::vector<float>* list : {&q, &k, &v}) {
      for (float& value : *list) value = static_cast<float>(random.uniform(-2.0, 2.0));
    }
  }

  rw::HeadView<float> out_of(Attended& part) const {
    return rw::make_head_view(part.out.data(), queries, heads, dim);
  }

  Attended attend(std::int64_t first, std::int64_t end) const {
    const auto rows = static_cast<std::size_t>(queries * heads);
    const std::vector<float> row(rows);
    Attended part{std::vector<float>(q.size()), row, row, row, row};
    const auto view = [&](const std::vector<float>& list) {
      return rw::make_head_view(list.data() + first * key_heads * dim, end - first, key_heads, dim);
    };
    rw::AttentionOptions options;
    options.query_position = query_position;
    options.key_position = first;
    rw::attend(rw::make_head_view(q.data(), queries, heads, dim), view(k), view(v), out_of(part),
               options, part.statistics());
    return part;
  }
};

/// |a - b| over max(1, |b|), the largest of a list; a NaN counts as infinitely far.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double value = static_cast<double>(b[i]);
    const double off =
        std::abs(static_cast<double>(a[i]) - value) / (std::max)(1.0, std::abs(value));
    largest = off <= largest ? largest : off;
  }
  return largest;
}

}  // namespace

// attend() states 1e-5 max(1, |value|) for either side, outputs of |v| <= 2 twice that;
// merge_attention() 8 units of 2^-24 of what is merged and at most one for the distance of the
// parts.
TEST_CASE("attention over any cut of the keys merges to attention over all, in any grouping") {
  Random random("merge attention");
  const std::uint64_t problems = test_iterations() / 200;
  double largest = 0.0;
  for (std::uint64_t i = 0; i < problems; ++i) {
    const Problem problem(random);
    Attended whole = problem.attend(0, problem.keys);
    std::vector<std::int64_t> bounds = {0, problem.keys};
    const std::int64_t cuts = random.integer(0, 6);
    for (std::int64_t cut = 0; cut < cuts; ++cut) {
      bounds.push_back(random.integer(0, problem.keys));
    }
    std::sort(bounds.begin(), bounds.end());
    std::vector<Attended> parts;
    for (std::size_t part = 0; part + 1 < bounds.size(); ++part) {
      parts.push_back(problem.attend(bounds[part], bounds[part + 1]));
    }
    while (parts.size() > 1) {
      const auto a =
          static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(parts.size()) - 2));
      Attended& into = random.one_in(2) ? parts[a] : parts[a + 1];  // either side may be kept
      Attended& from = &into == &parts[a] ? parts[a + 1] : parts[a];
      rw::merge_attention(problem.out_of(into), into.statistics(), problem.out_of(from),
                          from.statistics());
      parts.erase(parts.begin() + (&from - parts.data()));
    }
    const Attended& merged = parts.front();
    const double rounding = static_cast<double>(cuts) * 9.0 * 0x1p-24;
    const double off =
        (std::max)({distance(merged.lse, whole.lse), distance(merged.entropy, whole.entropy),
                    distance(merged.mean, whole.mean), distance(merged.variance, whole.variance)});
    largest = (std::max)(largest, off);
    INFO(seed_text() << ": problem " << i);
    CHECK(off <= 2e-5 + rounding);
    CHECK(distance(merged.out, whole.out) <= 4e-5 + 2.0 * rounding);
    for (std::size_t row = 0; row < whole.lse.size(); ++row) {
      const bool empty = whole.lse[row] == std::numeric_limits<float>::lowest();
      CHECK(empty == (merged.lse[row] == std::numeric_limits<float>::lowest()));
    }
  }
  std::printf("merged attention: largest difference %.1e\n", largest);
}
