// A random decoding: what is asked, and what float64 says of it.
#pragma once

#include <ropewalk/cuda/decode/params.hpp>
#include <ropewalk/element.hpp>
#include <ropewalk/mask.hpp>

#include "cuda/elements.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace ropewalk_test {

/// What is asked, apart from where things lie.
template <typename T>
struct DecodeCase {
  ropewalk::cuda::AttentionShape shape;
  std::vector<std::int32_t> counts;
  std::int64_t most_keys = 0;  // of a sequence, in memory
  std::vector<T> q;            // (sequences, queries, heads, head_dim)
  std::vector<T> k, v;         // (sequences, most_keys, kv_heads, head_dim), keys as used
  std::vector<char> present;   // (sequences, most_keys)
  ropewalk::AttentionMask mask;
  double softmax_scale = 0.0;
  std::vector<float> head_scale, position_scale, sink_logit;
  int page_size = 1;  // what is missing, is missing in pages of this

  explicit DecodeCase(Random& random, int head_dim) {
    shape.sequences = static_cast<int>(random.integer(1, 4));
    shape.queries = random.one_in(2) ? 1 : static_cast<int>(random.integer(1, 4));
    shape.kv_heads = static_cast<int>(random.integer(1, 3));
    const int group = random.one_in(2) ? static_cast<int>(random.integer(1, 4))
                                       : static_cast<int>(random.length(1, 16));
    shape.heads = shape.kv_heads * group;
    shape.head_dim = head_dim;
    const bool is_long = random.one_in(6);
    for (int i = 0; i < shape.sequences; ++i) {
      counts.push_back(
          random.one_in(7) ? 0 : static_cast<std::int32_t>(random.length(1, is_long ? 450 : 130)));
      if (counts.back() > most_keys) most_keys = counts.back();
    }
    most_keys += random.integer(1, 20);
    page_size = static_cast<int>(random.length(1, 64));
    mask.causal = !random.one_in(4);
    if (random.one_in(3)) mask.window = random.length(1, 200);
    if (random.one_in(3)) mask.first_keys = random.length(1, 100);
    if (random.one_in(5)) mask.chunk = random.length(1, 100);
    fill(q, shape.queries * shape.heads, 1, random);
    fill(k, most_keys * shape.kv_heads, 1, random);
    fill(v, most_keys * shape.kv_heads, 1, random);
    if (random.one_in(8)) {  // one huge logit
      const std::int64_t at = random.integer(0, shape.sequences * most_keys * shape.kv_heads - 1);
      for (int d = 0; d < head_dim; ++d)
        k[static_cast<std::size_t>(at * head_dim + d)] = as_element<T>(3e3);
    }
    present.assign(static_cast<std::size_t>(shape.sequences * most_keys), 1);
    if (random.one_in(3)) {
      for (int sequence = 0; sequence < shape.sequences; ++sequence) {
        for (std::int64_t page = 0; page * page_size < most_keys; ++page) {
          if (!random.one_in(8)) continue;
          for (std::int64_t key = page * page_size; key < most_keys && key < (page + 1) * page_size;
               ++key) {
            present[static_cast<std::size_t>(sequence * most_keys + key)] = 0;
          }
        }
      }
    }
    if (random.one_in(2)) softmax_scale = random.uniform(0.02, 0.5);
    if (random.one_in(2)) {
      for (int head = 0; head < shape.heads; ++head) {
        const bool zero = random.one_in(8);
        head_scale.push_back(zero ? 0.0f : static_cast<float>(random.uniform(-1.5, 2.0)));
      }
    }
    if (random.one_in(2)) {
      for (int row = 0; row < shape.sequences * shape.queries; ++row) {
        position_scale.push_back(static_cast<float>(random.uniform(0.3, 1.6)));
      }
    }
    if (random.one_in(3)) {
      for (int head = 0; head < shape.heads; ++head) {
        sink_logit.push_back(static_cast<float>(random.uniform(-8.0, 8.0)));
      }
    }
  }

  std::string text() const {
    std::ostringstream text;
    text << seed_text() << " sequences " << shape.sequences << " queries " << shape.queries
         << " heads " << shape.heads << "/" << shape.kv_heads << " head_dim " << shape.head_dim
         << " page_size " << page_size << " causal " << mask.causal << " window " << mask.window
         << " first_keys " << mask.first_keys << " chunk " << mask.chunk << " scales "
         << softmax_scale << " " << !head_scale.empty() << !position_scale.empty()
         << !sink_logit.empty() << " counts";
    for (const std::int32_t count : counts) text << " " << count;
    return text.str();
  }

 private:
  void fill(std::vector<T>& elements, std::int64_t heads, double most, Random& random) const {
    const std::int64_t size = shape.sequences * heads * shape.head_dim;
    for (std::int64_t i = 0; i < size; ++i) {
      elements.push_back(as_element<T>(random.uniform(-2 * most, 2 * most)));
    }
  }
};

/// A row in float64, and how far a result may be away.
struct ExactRow {
  bool empty = true;
  double lse = 0, entropy = 0, mean = 0, variance = 0;
  double lse_error = 0, entropy_error = 0, mean_error = 0, variance_error = 0;
  std::vector<double> out, out_error;  // (head_dim,)
};

/// Row (sequence, query, head) by the definitions.
///   steps        roundings of 16 products that are added: 1, or 17 where each addend is cut
/// Errors: u = 2^-24 rounds what is summed. A logit is a product in steps of 16, each rounded, times a
/// scale of four roundings, its distance from the largest rounded twice more: dz. A weight then is off
/// by e^(2 dz) - 1, by the rounding of the sums, which have n terms, and by that of e to T.
template <typename T>
ExactRow exact_row(const DecodeCase<T>& problem, int sequence, int query, int head, int steps = 1) {
  const auto& shape = problem.shape;
  const int dims = shape.head_dim;
  const int kv_head = head / (shape.heads / shape.kv_heads);
  const std::int32_t count = problem.counts[static_cast<std::size_t>(sequence)];
  const std::int64_t token = std::int64_t{sequence} * shape.queries + query;
  double scale = problem.softmax_scale == 0.0 ? 1.0 / std::sqrt(static_cast<double>(dims))
                                              : problem.softmax_scale;
  if (!problem.head_scale.empty()) {
    scale *= static_cast<double>(problem.head_scale[static_cast<std::size_t>(head)]);
  }
  if (!problem.position_scale.empty()) {
    scale *= static_cast<double>(problem.position_scale[static_cast<std::size_t>(token)]);
  }
  const T* q = problem.q.data() + (token * shape.heads + head) * dims;
  const ropewalk::VisibleKeys visible =
      problem.mask.keys(std::int64_t{count} - shape.queries + query, {0, count});
  std::vector<double> logits;
  std::vector<const T*> values;
  double size = 0;  // of the largest logit's terms
  for (std::int64_t key = 0; key < count; ++key) {
    const std::int64_t row = std::int64_t{sequence} * problem.most_keys + key;
    if (!visible.contains(key) || problem.present[static_cast<std::size_t>(row)] == 0) continue;
    const std::int64_t at = (row * shape.kv_heads + kv_head) * dims;
    double product = 0;
    double terms = 0;
    for (int d = 0; d < dims; ++d) {
      const double term = as_double(q[d]) * as_double(problem.k[static_cast<std::size_t>(at + d)]);
      product += term;
      terms += std::fabs(term);
    }
    logits.push_back(scale * product);
    size = std::fmax(size, std::fabs(scale) * terms);
    values.push_back(problem.v.data() + at);
  }
  ExactRow row;
  row.out.assign(static_cast<std::size_t>(dims), 0.0);
  row.out_error = row.out;
  const bool sink = !problem.sink_logit.empty();
  if (logits.empty() && !sink) return row;
  row.empty = false;
  if (sink) {
    logits.push_back(static_cast<double>(problem.sink_logit[static_cast<std::size_t>(head)]));
    size = std::fmax(size, std::fabs(logits.back()));
    values.push_back(nullptr);
  }
  const double u = 0x1p-24;
  const double rounding = std::is_same_v<T, ropewalk::bfloat16> ? 0x1p-8 : 0x1p-11;
  const double least = std::is_same_v<T, ropewalk::bfloat16> ? 0x1p-126 : 0x1p-25;
  double largest = logits[0];
  for (const double z : logits) largest = std::fmax(largest, z);
  double sum = 0;
  for (const double z : logits) sum += std::exp(z - largest);
  row.lse = largest + std::log(sum);
  for (const double z : logits) row.mean += std::exp(z - row.lse) * z;
  double spread = 0;         // sum p |z - mean|
  double spread_square = 0;  // sum p |(z - mean)^2 - variance|
  double distance = 0;       // sum p (largest - z)^2
  for (const double z : logits) {
    const double p = std::exp(z - row.lse);
    row.variance += p * (z - row.mean) * (z - row.mean);
    spread += p * std::fabs(z - row.mean);
    distance += p * (largest - z) * (largest - z);
    if (p > 0) row.entropy -= p * (z - row.lse);
  }
  for (const double z : logits) {
    const double p = std::exp(z - row.lse);
    spread_square += p * std::fabs((z - row.mean) * (z - row.mean) - row.variance);
  }
  const double n =
      (steps == 1 ? 1 : 2) * static_cast<double>(logits.size()) + 16;  // and the merges
  const double dz = u * ((steps * dims / 16 + 8) * size + 64);
  const double dp = std::expm1(2 * dz) + n * u;
  row.lse_error = dz + n * u + 4 * u * std::fabs(row.lse);
  row.entropy_error = dp * (spread + std::fabs(row.lse - largest) + 1) + n * u;
  row.mean_error = dz + dp * (spread + std::sqrt(distance)) + 4 * u * std::fabs(row.mean);
  row.variance_error =
      dp * (2 * spread + spread_square + distance) + 4 * u * row.variance + dz * dz;
  for (int d = 0; d < dims; ++d) {
    const auto at = static_cast<std::size_t>(d);
    double magnitude = 0;
    double absolute = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (values[i] == nullptr) continue;
      const double value = as_double(values[i][d]);
      row.out[at] += std::exp(logits[i] - row.lse) * value;
      magnitude += std::exp(logits[i] - row.lse) * std::fabs(value);
      absolute += std::fabs(value);
    }
    row.out_error[at] =
        magnitude * (dp + rounding) + least * (absolute + 1) + rounding * std::fabs(row.out[at]);
  }
  return row;
}

}  // namespace ropewalk_test
