// A random attention whose scales' gradients are asked for: what the forward pass would have saved, the
// exact g of its rows, and how far the kernel may be from it.
#pragma once

#include <ropewalk/cuda/scale_gradient/params.hpp>
#include <ropewalk/mask.hpp>

#include "array.hpp"
#include "elements.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace ropewalk_test {
namespace gradient_cases {

namespace rw = ropewalk;

constexpr double kUnit = 0x1p-24;
constexpr float kLowest = (std::numeric_limits<float>::lowest)();

/// What a machine does beyond float arithmetic, in units of 2^-24.
struct Arithmetic {
  double roundings;    ///< of a product of two vectors, per element
  double exponential;  ///< relative error of 2^x
};

/// The bits of a NaN in every type here.
template <typename T>
T poison() {
  T value;
  std::memset(&value, 0xff, sizeof value);
  return value;
}

/// Memory at an address divisible by 16, filled with NaN, between guards of the same.
template <typename T>
class Guarded {
 public:
  explicit Guarded(std::int64_t size)
      : size_(static_cast<std::size_t>(size)), all_(size_ + 2 * kGuard + 16, poison<T>()) {
    while (reinterpret_cast<std::uintptr_t>(all_.data() + first_) % 16 != 0) ++first_;
  }

  T* data() { return all_.data() + first_; }
  const T* data() const { return all_.data() + first_; }
  std::size_t size() const { return size_; }
  T& operator[](std::int64_t at) { return all_[first_ + static_cast<std::size_t>(at)]; }
  const T& operator[](std::int64_t at) const { return all_[first_ + static_cast<std::size_t>(at)]; }

  Array array() const { return array_of(all_); }
  bool guards_stand() const {
    const T expected = poison<T>();
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const bool guard = i < first_ || i >= first_ + size_;
      if (guard && std::memcmp(&all_[i], &expected, sizeof expected) != 0) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 32;
  std::size_t first_ = kGuard;
  std::size_t size_;
  std::vector<T> all_;
};

/// Tokens of a batch in one of the usual layouts, NaN wherever no element is.
template <typename T>
struct Batch {
  Guarded<T> memory;
  rw::cuda::BatchView<const T> view;

  Batch(Random& random, std::int64_t sequences, std::int64_t tokens, int heads, int head_dim)
      : memory(0) {
    const std::int64_t gap = random.one_in(2) ? 0 : 8 * random.integer(1, 2);
    const std::int64_t row = head_dim + gap;
    if (random.one_in(2)) {
      view.head_stride = row;
      view.token_stride = row * heads;
    } else {
      view.token_stride = row;
      view.head_stride = row * tokens;
    }
    view.sequence_stride = row * heads * tokens;
    memory = Guarded<T>(sequences * view.sequence_stride);
    view.data = memory.data();
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  std::int64_t at(std::int64_t sequence, std::int64_t token, int head, int dim) const {
    return sequence * view.sequence_stride + token * view.token_stride + head * view.head_stride +
           dim;
  }
  double value(std::int64_t sequence, std::int64_t token, int head, int dim) const {
    return as_double(memory[at(sequence, token, head, dim)]);
  }
};

/// Sizes of one random call.
struct Sizes {
  rw::cuda::AttentionShape shape;
  bool packed = false;
  std::vector<std::int32_t> queries;  // of each sequence
  std::vector<std::int32_t> keys;
  std::vector<std::int32_t> query_starts{0};
  std::vector<std::int32_t> key_starts{0};
  std::vector<std::int32_t> key_counts;
  std::vector<std::int32_t> positions;
  rw::AttentionMask mask;
  std::int64_t rows = 0;
  bool signs = false;  // negative scales too
  double spread = 1.0;

  Sizes(Random& random, int head_dim, bool for_host) {
    shape.head_dim = head_dim;
    shape.sequences = static_cast<int>(random.length(1, 3));
    shape.kv_heads = static_cast<int>(random.length(1, 2));
    shape.heads = shape.kv_heads * static_cast<int>(random.length(1, 3));
    packed = random.one_in(2);
    shape.queries = static_cast<int>(random.one_in(6) ? 1 : random.length(1, 160));
    shape.keys = static_cast<int>(random.one_in(30) ? 0 : random.length(1, 220));
    const bool counted = !packed && random.one_in(2);
    const bool placed = random.one_in(4);
    for (int i = 0; i < shape.sequences; ++i) {
      const auto some = [&](int most) {
        return static_cast<std::int32_t>(packed ? random.integer(i == 0 ? most : 0, most) : most);
      };
      queries.push_back(some(shape.queries));
      keys.push_back(some(shape.keys));
      if (counted) keys.back() = static_cast<std::int32_t>(random.integer(0, shape.keys));
      query_starts.push_back(query_starts.back() + queries.back());
      key_starts.push_back(key_starts.back() + keys.back());
      positions.push_back(placed ? static_cast<std::int32_t>(random.integer(-20, shape.keys + 20))
                                 : keys.back() - queries.back());
    }
    if (counted) key_counts = keys;
    if (!placed) placed_ = false;
    rows = packed ? query_starts.back() : std::int64_t{shape.sequences} * shape.queries;
    if (packed && random.one_in(2)) rows += random.integer(0, 5);  // tokens of no sequence
    if (for_host) rows = packed ? query_starts.back() : rows;
    mask.causal = !random.one_in(3);
    if (random.one_in(3)) mask.window = random.length(1, 100);
    if (random.one_in(3)) mask.first_keys = random.length(1, 80);
    if (random.one_in(5)) mask.chunk = random.length(1, 100);
    signs = !for_host && random.one_in(4);
    spread = random.one_in(5) ? 0.1 : 3.0;
    if (!for_host && random.one_in(5)) spread = random.one_in(3) ? 1000.0 : 40.0;
  }

  bool placed() const { return placed_; }
  std::int64_t row(int sequence, int query) const {
    return packed ? query_starts[static_cast<std::size_t>(sequence)] + query
                  : std::int64_t{sequence} * shape.queries + query;
  }
  /// Where a token lies in a batch.
  std::int64_t token(const std::vector<std::int32_t>& starts, int sequence, int index) const {
    return packed ? starts[static_cast<std::size_t>(sequence)] + index : index;
  }

  std::string text() const {
    std::ostringstream text;
    text << seed_text() << " sequences " << shape.sequences << " queries " << shape.queries
         << " keys " << shape.keys << " heads " << shape.heads << "/" << shape.kv_heads
         << " head_dim " << shape.head_dim << " packed " << packed << " counted "
         << !key_counts.empty() << " placed " << placed_ << " causal " << mask.causal << " window "
         << mask.window << " first_keys " << mask.first_keys << " chunk " << mask.chunk
         << " spread " << spread << " signs " << signs;
    return text.str();
  }

 private:
  bool placed_ = true;
};

/// A random call: inputs, what the forward pass would have saved, and exact results.
template <typename T>
struct Problem {
  Sizes sizes;
  Batch<T> q, k, v, d_out;
  std::vector<float> head_scale, position_scale, sink_logit;
  Guarded<float> lse, entropy;
  std::vector<double> slopes, bounds, magnitudes;  // (rows, heads)

  Problem(Random& random, int head_dim, const Arithmetic& arithmetic, bool for_host = false)
      : sizes(random, head_dim, for_host),
        q(random, batches(), query_tokens(), sizes.shape.heads, head_dim),
        k(random, batches(), key_tokens(), sizes.shape.kv_heads, head_dim),
        v(random, batches(), key_tokens(), sizes.shape.kv_heads, head_dim),
        d_out(random, batches(), query_tokens(), sizes.shape.heads, head_dim),
        lse(sizes.rows * sizes.shape.heads),
        entropy(sizes.rows * sizes.shape.heads),
        arithmetic_(arithmetic) {
    const auto scale = [&] {
      return static_cast<float>(random.uniform(0.3, 2.0)) *
             (sizes.signs && random.one_in(2) ? -1.0f : 1.0f);
    };
    const auto heads = static_cast<std::size_t>(sizes.shape.heads);
    if (!random.one_in(3)) {
      for (std::size_t i = 0; i < heads; ++i) head_scale.push_back(scale());
    }
    if (!random.one_in(3)) {
      for (std::int64_t i = 0; i < sizes.rows; ++i) position_scale.push_back(scale());
    }
    if (random.one_in(3)) {
      for (std::size_t i = 0; i < heads; ++i) {
        const bool huge = random.one_in(8);
        sink_logit.push_back(huge ? (random.one_in(2) ? 9e29f : -9e29f)
                                  : static_cast<float>(random.uniform(-8, 8)));
      }
    }
    const double of_scores = std::sqrt(sizes.spread);
    for (int i = 0; i < sizes.shape.sequences; ++i) {
      const auto at = static_cast<std::size_t>(i);
      fill(random, q, sizes.query_starts, i, sizes.queries[at], sizes.shape.heads, of_scores);
      fill(random, d_out, sizes.query_starts, i, sizes.queries[at], sizes.shape.heads, 1.0);
      fill(random, k, sizes.key_starts, i, sizes.keys[at], sizes.shape.kv_heads, of_scores);
      fill(random, v, sizes.key_starts, i, sizes.keys[at], sizes.shape.kv_heads, 1.0);
    }
    slopes.assign(static_cast<std::size_t>(sizes.rows) * heads, 0.0);
    bounds.assign(slopes.size(), 0.0);
    magnitudes.assign(slopes.size(), 0.0);
    for (int i = 0; i < sizes.shape.sequences; ++i) {
      for (int query = 0; query < sizes.queries[static_cast<std::size_t>(i)]; ++query) {
        for (int head = 0; head < sizes.shape.heads; ++head) solve(i, query, head);
      }
    }
  }

  double softmax_scale() const {
    return 1.0 / std::sqrt(static_cast<double>(sizes.shape.head_dim));
  }
  std::size_t entry(int sequence, int query, int head) const {
    return static_cast<std::size_t>(sizes.row(sequence, query) * sizes.shape.heads + head);
  }
  /// softmax_scale * head_scale * position_scale
  double coefficient(int sequence, int query, int head) const {
    double result = softmax_scale();
    if (!head_scale.empty()) result *= as_double(head_scale[static_cast<std::size_t>(head)]);
    if (!position_scale.empty()) {
      result *= as_double(position_scale[static_cast<std::size_t>(sizes.row(sequence, query))]);
    }
    return result;
  }

  std::vector<Array> arrays() const {
    return {q.memory.array(),
            k.memory.array(),
            v.memory.array(),
            d_out.memory.array(),
            lse.array(),
            entropy.array(),
            array_of(head_scale),
            array_of(position_scale),
            array_of(sink_logit),
            array_of(sizes.query_starts),
            array_of(sizes.key_starts),
            array_of(sizes.key_counts),
            array_of(sizes.positions)};
  }

  /// The logits of a row and what d_out makes of the values, key by key that it sees.
  struct Key {
    double logit, product;            // z and dP
    double logit_size, product_size;  // the sums of the magnitudes
  };
  std::vector<Key> keys_of(int sequence, int query, int head) const {
    const rw::cuda::AttentionShape& shape = sizes.shape;
    const auto at = static_cast<std::size_t>(sequence);
    const int kv_head = head / (shape.heads / shape.kv_heads);
    const double by = coefficient(sequence, query, head);
    const rw::VisibleKeys seen =
        sizes.mask.keys(std::int64_t{sizes.positions[at]} + query, {0, sizes.keys[at]});
    const std::int64_t batch = sizes.packed ? 0 : sequence;
    std::vector<Key> keys;
    for (int key = 0; key < sizes.keys[at]; ++key) {
      if (!seen.contains(key)) continue;
      Key result{};
      for (int d = 0; d < shape.head_dim; ++d) {
        const std::int64_t q_token = sizes.token(sizes.query_starts, sequence, query);
        const std::int64_t k_token = sizes.token(sizes.key_starts, sequence, key);
        const double score =
            by * q.value(batch, q_token, head, d) * k.value(batch, k_token, kv_head, d);
        const double slope =
            d_out.value(batch, q_token, head, d) * v.value(batch, k_token, kv_head, d);
        result.logit += score;
        result.product += slope;
        result.logit_size += std::fabs(score);
        result.product_size += std::fabs(slope);
      }
      keys.push_back(result);
    }
    return keys;
  }

  rw::cuda::SoftmaxScaleGradientParams<T> params() {
    rw::cuda::SoftmaxScaleGradientParams<T> params;
    rw::cuda::AttentionParams<T>& attention = params.attention;
    attention.shape = sizes.shape;
    attention.q = q.view;
    attention.k = k.view;
    attention.v = v.view;
    params.d_out = d_out.view;
    if (!head_scale.empty()) attention.scale.head_scale = head_scale.data();
    if (!position_scale.empty()) attention.scale.position_scale = position_scale.data();
    if (!sink_logit.empty()) attention.scale.sink_logit = sink_logit.data();
    attention.mask = sizes.mask;
    if (sizes.packed) {
      attention.query_starts = sizes.query_starts.data();
      attention.key_starts = sizes.key_starts.data();
      params.rows = sizes.rows;
    }
    if (!sizes.key_counts.empty()) attention.key_counts = sizes.key_counts.data();
    if (sizes.placed()) attention.query_positions = sizes.positions.data();
    attention.statistics.lse = lse.data();
    attention.statistics.entropy = entropy.data();
    return params;
  }

 private:
  std::int64_t batches() const { return sizes.packed ? 1 : sizes.shape.sequences; }
  std::int64_t query_tokens() const { return sizes.packed ? sizes.rows : sizes.shape.queries; }
  std::int64_t key_tokens() const {
    return sizes.packed ? sizes.key_starts.back() : sizes.shape.keys;
  }

  void fill(Random& random, Batch<T>& batch, const std::vector<std::int32_t>& starts, int sequence,
            int tokens, int heads, double size) const {
    for (int token = 0; token < tokens; ++token) {
      for (int head = 0; head < heads; ++head) {
        for (int d = 0; d < sizes.shape.head_dim; ++d) {
          const std::int64_t at =
              batch.at(sizes.packed ? 0 : sequence, sizes.token(starts, sequence, token), head, d);
          batch.memory[at] = as_element<T>(random.uniform(-size, size));
        }
      }
    }
  }

  /// Exact results of a row, what the forward pass saves of it, and how far the kernel may be off. In
  /// units of u = 2^-24, m roundings of a product of `head_dim` elements,
  ///     logit        (m + 3) sum |q k| and |x|, 3 |lse|: rounded, times log2(e)
  ///     weight       that, and the exponential's own
  ///     g            sum p |dP| (|x| + |C|) times that of the weight and the additions, a quarter
  ///                  of the keys and the two of the quad; sum p m sum |d_out v| (|x| + |C|); and
  ///                  sum p |dP| times that of the logit and of C = entropy + p0 s
  void solve(int sequence, int query, int head) {
    const std::vector<Key> keys = keys_of(sequence, query, head);
    const std::size_t at = entry(sequence, query, head);
    const auto place = static_cast<std::int64_t>(at);
    const double sink =
        sink_logit.empty() ? 0.0 : as_double(sink_logit[static_cast<std::size_t>(head)]);
    double largest = sink_logit.empty() ? -1e300 : sink;
    for (const Key& key : keys) largest = key.logit > largest ? key.logit : largest;
    if (keys.empty() && sink_logit.empty()) {
      lse[place] = kLowest;
      entropy[place] = 0.0f;
      return;
    }
    if (largest > 1e20) {  // a sink that leaves nothing
      lse[place] = static_cast<float>(sink);
      entropy[place] = 0.0f;
      bounds[at] = 1e-30;
      return;
    }
    double sum = sink_logit.empty() ? 0.0 : std::exp(sink - largest);
    for (const Key& key : keys) sum += std::exp(key.logit - largest);
    const double log_sum = largest + std::log(sum);
    const double of_sink = sink_logit.empty() ? 0.0 : std::exp(sink - largest) / sum;
    double products = 0.0;
    double logits = 0.0;
    double both = 0.0;
    for (const Key& key : keys) {
      const double p = std::exp(key.logit - largest) / sum;
      products += p * key.product;
      logits += p * (key.logit - largest);
      both += p * key.product * (key.logit - largest);
    }
    // Distances to the largest logit: what is common to all cancels but for the sink's part.
    slopes[at] = both - products * logits;
    if (of_sink > 0.0 && products != 0.0) slopes[at] += largest * products * of_sink;
    const double exact_entropy = of_sink > 0.0 || !sink_logit.empty()
                                     ? entropy_of(keys, sink, of_sink, largest, sum)
                                     : std::log(sum) - logits;
    lse[place] = static_cast<float>(log_sum);
    entropy[place] = static_cast<float>(exact_entropy);

    const double roundings =
        arithmetic_.roundings * rw::cuda::detail::padded_head_dim(sizes.shape.head_dim);
    const double of_mean = of_sink > 0.0 ? of_sink * sink : 0.0;
    const double constant = exact_entropy + of_mean;
    const double constant_error =
        kUnit * (exact_entropy + std::fabs(constant)) +
        kUnit * std::fabs(of_mean) *
            (of_sink > 0.0 ? 3 * std::fabs(sink - log_sum) + std::fabs(log_sum) + 4 : 0.0);
    const double additions = kUnit * (static_cast<double>(sizes.shape.keys) / 16 + 16);
    double bound = 0.0;
    for (const Key& key : keys) {
      const double x = std::fabs(key.logit - log_sum);
      const double p = std::exp(key.logit - log_sum);
      const double size = x + std::fabs(constant);
      const double logit_error =
          kUnit * ((roundings + 3) * key.logit_size + 3 * std::fabs(log_sum) + x);
      const double weight_error = std::expm1(logit_error) + arithmetic_.exponential * kUnit;
      const double product = std::fabs(key.product);
      magnitudes[at] += p * product * size;
      bound += p * product * size * (weight_error + additions + 6 * kUnit) +
               p * (1 + weight_error) * roundings * kUnit * key.product_size * size +
               p * (1 + weight_error) * product * (logit_error + constant_error);
    }
    bounds[at] = 1.001 * bound + 1e-30;  // second orders, and what is flushed
  }

  /// In the order of the definition, for rows with a sink.
  static double entropy_of(const std::vector<Key>& keys, double sink, double of_sink,
                           double largest, double sum) {
    double result = of_sink > 0.0 ? -of_sink * (sink - largest - std::log(sum)) : 0.0;
    for (const Key& key : keys) {
      const double log_p = key.logit - largest - std::log(sum);
      result -= std::exp(log_p) * log_p;
    }
    return result;
  }

  Arithmetic arithmetic_;
};

inline int random_head_dim(Random& random) {
  if (random.one_in(12)) return 8 * static_cast<int>(random.integer(17, 32));
  if (random.one_in(6)) return 8 * static_cast<int>(random.integer(13, 16));
  if (random.one_in(6)) return 8 * static_cast<int>(random.integer(9, 12));
  return 8 * static_cast<int>(random.integer(1, 8));
}

}  // namespace gradient_cases
}  // namespace ropewalk_test
