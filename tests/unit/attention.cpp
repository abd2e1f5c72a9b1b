#include <ropewalk/attention.hpp>

#include "support/attention_problem.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr float kLowest = std::numeric_limits<float>::lowest();

/// Contiguous inputs and everything attend() can give, the latter full of `kUntouched`.
struct Call {
  static constexpr float kUntouched = 12345.0f;

  Call(std::int64_t queries, std::int64_t keys, std::int64_t heads, std::int64_t key_heads,
       int head_dim, int value_dim)
      : q_memory(static_cast<std::size_t>(queries * heads * head_dim)),
        k_memory(static_cast<std::size_t>(keys * key_heads * head_dim)),
        v_memory(static_cast<std::size_t>(keys * key_heads * value_dim)),
        q(rw::make_head_view<const float>(q_memory.data(), queries, heads, head_dim)),
        k(rw::make_head_view<const float>(k_memory.data(), keys, key_heads, head_dim)),
        v(rw::make_head_view<const float>(v_memory.data(), keys, key_heads, value_dim)),
        out(static_cast<std::size_t>(queries * heads * value_dim), kUntouched),
        lse(static_cast<std::size_t>(queries * heads), kUntouched),
        entropy(lse),
        mean(lse),
        variance(lse) {}
  Call(const Call&) = delete;

  Call& draw(Random& random, double size = 1.0) {
    for (std::vector<float>* list : {&q_memory, &k_memory, &v_memory}) {
      for (float& element : *list) element = static_cast<float>(random.uniform(-size, size));
    }
    return *this;
  }

  template <typename Kernel = rw::simd::PortableAttention, typename Hooks = rw::AttentionHooks<>>
  void attend(const Hooks& hooks = {}) {
    const rw::AttentionStatistics statistics{lse, entropy, mean, variance};
    const auto to = rw::make_head_view(out.data(), q.tokens, q.heads, v.head_dim);
    rw::attend<Kernel>(q, k, v, to, options, statistics, hooks);
  }

  bool row_is_empty(std::size_t row) const {
    bool zero = true;
    const auto dim = static_cast<std::size_t>(v.head_dim);
    for (std::size_t index = 0; index < dim; ++index) zero = zero && out[row * dim + index] == 0.0f;
    return zero && lse[row] == kLowest && entropy[row] == 0.0f && mean[row] == 0.0f &&
           variance[row] == 0.0f;
  }

  std::vector<float> q_memory, k_memory, v_memory;
  rw::HeadView<const float> q, k, v;
  std::vector<float> out, lse, entropy, mean, variance;
  rw::AttentionOptions options;
};

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

bool same_results(const Call& a, const Call& b) {
  return same(a.out, b.out) && same(a.lse, b.lse) && same(a.entropy, b.entropy) &&
         same(a.mean, b.mean) && same(a.variance, b.variance);
}

bool is_nan(float value) { return (rw::detail::bits_of(value) & 0x7fffffffu) > 0x7f800000u; }

}  // namespace

TEST_CASE("two keys share a query by the logistic function of their logits' difference") {
  Call call(1, 2, 1, 1, 1, 1);
  call.q_memory = {2.0f};
  call.k_memory = {0.5f, 1.0f};
  call.v_memory = {10.0f, 20.0f};
  call.attend();
  const double p = 1.0 / (1.0 + std::exp(-1.0));  // logits 1 and 2
  CHECK(static_cast<double>(call.out[0]) == Approx(10.0 * (1.0 - p) + 20.0 * p).epsilon(1e-6));
  CHECK(static_cast<double>(call.lse[0]) == Approx(2.0 - std::log(p)).epsilon(1e-6));
  CHECK(static_cast<double>(call.mean[0]) == Approx(1.0 + p).epsilon(1e-6));
  CHECK(static_cast<double>(call.variance[0]) == Approx(p * (1.0 - p)).epsilon(1e-6));
  CHECK(static_cast<double>(call.entropy[0]) ==
        Approx(-p * std::log(p) - (1.0 - p) * std::log(1.0 - p)).epsilon(1e-6));
}

TEMPLATE_TEST_CASE("a query that sees no key gives zeros and lowest()", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  Random random("attention, nothing to see");
  SECTION("because there are no keys") {
    Call call(3, 0, 4, 2, 8, 5);
    call.draw(random).template attend<TestType>();
    for (std::size_t row = 0; row < 12; ++row) CHECK(call.row_is_empty(row));
  }
  SECTION("because it stands before all of them") {
    Call call(5, 2, 2, 1, 8, 8);
    call.draw(random).template attend<TestType>();
    for (std::size_t row = 0; row < 10; ++row) CHECK(call.row_is_empty(row) == (row < 6));
  }
  SECTION("because its chunk has none, among rows that share its tile") {
    Call call(100, 4, 1, 1, 8, 8);
    call.options.mask.chunk = 4;
    call.options.query_position = 0;
    call.draw(random).template attend<TestType>();
    for (std::size_t row = 0; row < 100; ++row) CHECK(call.row_is_empty(row) == (row >= 4));
  }
  SECTION("because a bias hides all") {
    Call call(3, 70, 2, 1, 8, 8);
    rw::AttentionHooks<SlopeBias> hooks;
    hooks.bias.hidden = 1;
    call.draw(random).template attend<TestType>(hooks);
    for (std::size_t row = 0; row < 6; ++row) CHECK(call.row_is_empty(row));
  }
  SECTION("in many parts of the keys") {
    Call call(1, 9000, 1, 1, 8, 8);
    call.options.query_position = -1;
    call.draw(random).template attend<TestType>();
    CHECK(call.row_is_empty(0));
  }
}

TEMPLATE_TEST_CASE("parts of the keys that a window leaves empty change nothing", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  Random random("attention, empty parts");
  Call whole(1, 9000, 1, 1, 4, 4);
  whole.options.mask.window = 10;
  for (const std::int64_t position : {5, 2050, 8999}) {
    whole.options.query_position = position;
    whole.draw(random).template attend<TestType>();
    const std::int64_t first = position < 9 ? 0 : position - 9;
    Call alone(1, position + 1 - first, 1, 1, 4, 4);
    alone.q_memory = whole.q_memory;
    alone.q.data = alone.q_memory.data();
    alone.k.data = whole.k.head(first, 0);
    alone.v.data = whole.v.head(first, 0);
    alone.template attend<TestType>();
    CHECK(static_cast<double>(whole.lse[0]) ==
          Approx(static_cast<double>(alone.lse[0])).epsilon(1e-6));
    CHECK(static_cast<double>(whole.entropy[0]) ==
          Approx(static_cast<double>(alone.entropy[0])).epsilon(1e-6));
    CHECK(static_cast<double>(whole.out[2]) ==
          Approx(static_cast<double>(alone.out[2])).margin(1e-6));
  }
}

TEST_CASE("without queries nothing is read or written") {
  Call call(0, 7, 2, 1, 8, 8);
  call.attend();
  CHECK(call.out.empty());
  Call neither(0, 0, 2, 1, 8, 8);
  neither.attend();
  CHECK(neither.lse.empty());
}

TEMPLATE_TEST_CASE("a window of 1 copies the values and has no entropy", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  Random random("attention, window 1");
  for (const std::int64_t tokens : {1, 3, 150}) {
    Call call(tokens, tokens, 2, 2, 8, 8);
    call.options.mask.window = 1;
    call.draw(random).template attend<TestType>();
    for (std::size_t index = 0; index < call.out.size(); ++index) {
      REQUIRE(std::abs(call.out[index] - call.v_memory[index]) <=
              0x1p-22f * std::abs(call.v_memory[index]));
    }
    for (const float entropy : call.entropy) REQUIRE(entropy <= 0x1p-22f);
  }
}

TEMPLATE_TEST_CASE("query head h reads key head h / (heads / key heads)", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  for (const std::int64_t tokens : {1, 40}) {
    Call call(tokens, tokens, 6, 2, 4, 3);
    for (std::size_t index = 0; index < call.v_memory.size(); ++index) {
      call.v_memory[index] = static_cast<float>(1 + index / 3 % 2);
    }
    call.template attend<TestType>();
    for (std::size_t index = 0; index < call.out.size(); ++index) {
      const float head = static_cast<float>(1 + index / 9 % 2);
      REQUIRE(std::abs(call.out[index] - head) <= 1e-6f);
    }
  }
}

TEMPLATE_TEST_CASE("sequences side by side give what each gives alone, bit for bit", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  Random random("attention, sequences");
  Call together(90, 5200, 2, 1, 16, 16);
  const std::vector<rw::AttentionSequence> sequences = {
      {0, 1, 0, 4500, rw::kEndsWithKeys, 0},    // cut along the keys
      {1, 0, 100, 50, 7, 3},                    // no queries
      {1, 70, 4500, 90, rw::kEndsWithKeys, 0},  // packed
      {71, 9, 0, 0, rw::kEndsWithKeys, 0},      // no keys
      {80, 10, 300, 200, 190, -5}};             // keys of another sequence, too
  together.options.sequences = sequences;
  together.draw(random).template attend<TestType>();
  for (const rw::AttentionSequence& sequence : sequences) {
    Call alone(sequence.queries, sequence.keys, 2, 1, 16, 16);
    alone.q.data = together.q.head(sequence.first_query, 0);
    if (sequence.keys > 0) {
      alone.k.data = together.k.head(sequence.first_key, 0);
      alone.v.data = together.v.head(sequence.first_key, 0);
    }
    alone.options.query_position = sequence.query_position;
    alone.options.key_position = sequence.key_position;
    alone.template attend<TestType>();
    const auto row = static_cast<std::size_t>(2 * sequence.first_query);
    if (sequence.queries == 0) continue;
    CHECK(std::memcmp(alone.lse.data(), &together.lse[row], alone.lse.size() * 4) == 0);
    CHECK(std::memcmp(alone.entropy.data(), &together.entropy[row], alone.lse.size() * 4) == 0);
    CHECK(std::memcmp(alone.variance.data(), &together.variance[row], alone.lse.size() * 4) == 0);
    CHECK(std::memcmp(alone.out.data(), &together.out[16 * row], alone.out.size() * 4) == 0);
  }
}

TEST_CASE("all scales multiply into one") {
  Random random("attention, scales");
  Call plain(20, 20, 2, 1, 8, 8);
  plain.draw(random);
  plain.options.softmax_scale = 0.5;
  Call scaled(20, 20, 2, 1, 8, 8);
  scaled.q.data = plain.q.data;
  scaled.k.data = plain.k.data;
  scaled.v.data = plain.v.data;
  const std::vector<double> head_scale(2, 4.0);
  const std::vector<double> position_scale(20, 0.25);
  scaled.options.softmax_scale = 0.5;
  scaled.options.head_scale = head_scale;
  scaled.options.position_scale = position_scale;
  plain.attend();
  scaled.attend();
  CHECK(same_results(plain, scaled));
}

TEST_CASE("a scale of 0 makes every key alike") {
  Random random("attention, scale 0");
  Call call(1, 100, 1, 1, 8, 8);
  const std::vector<double> head_scale = {0.0};
  call.options.head_scale = head_scale;
  call.draw(random, 100.0).attend();
  CHECK(static_cast<double>(call.entropy[0]) == Approx(std::log(100.0)).epsilon(1e-6));
  CHECK(call.mean[0] == 0.0f);
  CHECK(call.variance[0] == 0.0f);
}

TEMPLATE_TEST_CASE("a sink takes its part of the softmax and gives no value", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  Call call(2, 1, 2, 1, 4, 4);
  const std::vector<double> sinks = {0.0, 5.0};
  call.options.sink_logit = sinks;
  call.v_memory.assign(4, 3.0f);
  call.template attend<TestType>();
  // The first query stands before the only key: what is left is the sink.
  CHECK(call.out[0] == 0.0f);
  CHECK(call.lse[0] == 0.0f);
  CHECK(static_cast<double>(call.lse[1]) == Approx(5.0).epsilon(1e-6));
  CHECK(static_cast<double>(call.mean[1]) == Approx(5.0).epsilon(1e-6));
  CHECK(call.entropy[1] == 0.0f);
  CHECK(static_cast<double>(call.out[8]) == Approx(1.5).epsilon(1e-6));
  CHECK(static_cast<double>(call.entropy[2]) == Approx(std::log(2.0)).epsilon(1e-6));
  const double p = 1.0 / (1.0 + std::exp(5.0));
  CHECK(static_cast<double>(call.out[12]) == Approx(3.0 * p).epsilon(1e-5));
  CHECK(static_cast<double>(call.variance[3]) == Approx(25.0 * p * (1.0 - p)).epsilon(1e-5));
}

TEMPLATE_TEST_CASE("what a query does not see may hold anything, NaN too", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  Random random("attention, unseen");
  for (const std::int64_t queries : {2, 70}) {
    Call clean(queries, 200, 2, 1, 20, 20);
    clean.options.query_position = 100 - queries;
    clean.draw(random).template attend<TestType>();
    Call dirty(queries, 200, 2, 1, 20, 20);
    dirty.options.query_position = 100 - queries;
    dirty.q.data = clean.q.data;
    for (std::size_t index = 0; index < clean.k_memory.size(); ++index) {
      const bool seen = index < 100 * 20;
      dirty.k_memory[index] = seen ? clean.k_memory[index] : std::nanf("");
      dirty.v_memory[index] = seen ? clean.v_memory[index] : rw::detail::float_of(0x7f800000u);
    }
    dirty.template attend<TestType>();
    // Rows whose tile met the NaN may have been done again in double.
    for (std::size_t row = 0; row < clean.lse.size(); ++row) {
      REQUIRE(static_cast<double>(dirty.lse[row]) ==
              Approx(static_cast<double>(clean.lse[row])).margin(1e-5));
      REQUIRE(static_cast<double>(dirty.variance[row]) ==
              Approx(static_cast<double>(clean.variance[row])).margin(1e-5));
    }
    for (std::size_t index = 0; index < clean.out.size(); ++index) {
      REQUIRE(static_cast<double>(dirty.out[index]) ==
              Approx(static_cast<double>(clean.out[index])).margin(1e-5));
    }
  }
}

TEMPLATE_TEST_CASE("a NaN or an infinity in q, k, v or bias is not lost in the rows it reaches", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  Random random("attention, NaN");
  const float nan = rw::detail::float_of(0x7fc00000u);
  const float infinity = rw::detail::float_of(0x7f800000u);
  for (const std::int64_t queries : {2, 70}) {
    for (const float bad : {nan, infinity, -infinity}) {
      const auto expect = [&](const Call& call, bool statistics, std::size_t from) {
        for (std::size_t row = 0; row < call.lse.size(); ++row) {
          const bool reached = row >= from;
          REQUIRE(is_nan(call.lse[row]) == (reached && statistics));
          REQUIRE(is_nan(call.entropy[row]) == (reached && statistics));
          REQUIRE(is_nan(call.mean[row]) == (reached && statistics));
          REQUIRE(is_nan(call.variance[row]) == (reached && statistics));
          const float out = call.out[6 * row + 2];
          const bool lost = (rw::detail::bits_of(out) & 0x7fffffffu) < 0x7f800000u;
          REQUIRE(lost != reached);
        }
      };
      Call in_q(queries, 80, 1, 1, 6, 6);
      in_q.draw(random);
      const auto last = static_cast<std::size_t>(queries - 1);
      in_q.q_memory[last * 6] = bad;
      in_q.template attend<TestType>();
      expect(in_q, true, last);
      Call in_k(queries, 80, 1, 1, 6, 6);
      in_k.draw(random);
      in_k.k_memory[6 * 79 + 5] = bad;
      in_k.template attend<TestType>();
      expect(in_k, true, last);
      Call in_v(queries, 80, 1, 1, 6, 6);
      in_v.draw(random);
      in_v.v_memory[6 * 79 + 2] = bad;
      in_v.template attend<TestType>();
      expect(in_v, false, last);
    }
  }
}

namespace {

/// Doubles what it is given: exact in any arithmetic.
struct Doubled {
  static constexpr bool kIdentity = false;
  int head_dim = 0;
  void operator()(std::int64_t, std::int64_t, float* row) const {
    for (int dim = 0; dim < head_dim; ++dim) row[dim] *= 2.0f;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("transformed rows count as if they had been stored so", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  Random random("attention, transforms");
  for (const std::int64_t queries : {1, 4, 100}) {
    Call stored(queries, 150, 2, 1, 24, 24);
    Call transformed(queries, 150, 2, 1, 24, 24);
    transformed.draw(random);
    stored.q_memory = transformed.q_memory;
    stored.k_memory = transformed.k_memory;
    stored.v.data = transformed.v.data;
    for (float& element : stored.q_memory) element *= 2.0f;
    for (float& element : stored.k_memory) element *= 2.0f;
    stored.q.data = stored.q_memory.data();
    stored.k.data = stored.k_memory.data();
    stored.template attend<TestType>();
    rw::AttentionHooks<rw::NoBias, Doubled, Doubled> hooks;
    hooks.query_rows.head_dim = hooks.key_rows.head_dim = 24;
    transformed.template attend<TestType>(hooks);
    CHECK(same_results(stored, transformed));
  }
}

TEST_CASE("heads of one fused buffer may be read and written side by side") {
  Random random("attention, fused");
  constexpr std::int64_t tokens = 12;
  constexpr int dim = 8;
  std::vector<float> fused(static_cast<std::size_t>(tokens * 4 * dim));
  for (float& element : fused) element = static_cast<float>(random.uniform(-1.0, 1.0));
  const std::vector<float> before = fused;
  const auto part = [&](int index) {
    return rw::HeadView<float>{fused.data() + index * dim, tokens, 1, dim, 4 * dim, dim};
  };
  rw::attend(part(0), part(1), part(2), part(3));
  std::vector<float> apart(static_cast<std::size_t>(tokens * dim));
  const auto old = [&](int index) {
    return rw::HeadView<const float>{before.data() + index * dim, tokens, 1, dim, 4 * dim, dim};
  };
  rw::attend(old(0), old(1), old(2), rw::make_head_view(apart.data(), tokens, 1, dim));
  for (std::size_t index = 0; index < fused.size(); ++index) {
    const std::size_t token = index / (4 * dim);
    const std::size_t place = index % (4 * dim);
    REQUIRE(fused[index] ==
            (place < 3 * dim ? before[index] : apart[token * dim + place - 3 * dim]));
  }
}

TEMPLATE_TEST_CASE("sums over very many keys do not drift", "", ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  // One logit above all others by `below`: the variance is the difference of large numbers. Tiles
  // that repeat: every addition rounds the same way.
  constexpr std::int64_t keys = 65536;
  for (const std::int64_t queries : {1, 9, 65}) {
    for (const double below : {4.0, 6.3, 8.1}) {
      Call call(queries, keys, 1, 1, 1, 1);
      call.q_memory.assign(static_cast<std::size_t>(queries), 1.0f);
      call.k_memory.assign(static_cast<std::size_t>(keys), static_cast<float>(-below));
      call.k_memory[keys / 3] = 0.0f;
      call.options.softmax_scale = 1.0;
      call.options.mask.causal = false;
      call.template attend<TestType>();
      const double logit = -static_cast<double>(static_cast<float>(below));
      const double weight = std::exp(logit);
      const double sum = 1.0 + (keys - 1.0) * weight;
      const double p = 1.0 / sum;
      const double mean = (1.0 - p) * logit;
      const auto near_enough = [](float found, double exact) {
        return std::abs(static_cast<double>(found) - exact) <=
               1e-5 * (std::max)(1.0, std::abs(exact));
      };
      CHECK(near_enough(call.lse[0], std::log(sum)));
      CHECK(near_enough(call.mean[0], mean));
      CHECK(near_enough(call.entropy[0], std::log(sum) - mean));
      CHECK(near_enough(call.variance[0], p * (1.0 - p) * logit * logit));
    }
  }
}

TEMPLATE_TEST_CASE("equal values come back, however many keys they are summed over", "",
                   ROPEWALK_TEST_ATTENTION_KERNELS) {
  if (!runs_here<TestType>()) return;
  // Every rounding goes the same way. Few rows are summed where the values lie, more in packed tiles.
  for (const std::int64_t queries : {1, 3, 9, 70}) {
    for (const std::int64_t keys : {64, 1024, 4096, 20000}) {
      for (const float value : {0.1694f, 0.7f, 1.3f}) {
        Call call(queries, keys, 1, 1, 1, 1);
        call.q_memory.assign(static_cast<std::size_t>(queries), 1.0f);
        for (std::size_t key = 0; key < call.k_memory.size(); ++key) {
          call.k_memory[key] = 0.3f * static_cast<float>(key % 7);
        }
        call.v_memory.assign(static_cast<std::size_t>(keys), value);
        call.options.mask.causal = false;
        call.template attend<TestType>();
        const double bound =
            (1e-5 + static_cast<double>(keys) * 0x1p-30) * static_cast<double>(value);
        for (const float out : call.out) {
          REQUIRE(std::abs(static_cast<double>(out) - static_cast<double>(value)) <= bound);
        }
      }
    }
  }
}
