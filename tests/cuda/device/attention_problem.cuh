// Random problems of attention: sizes 1, odd and ragged, groups of heads, rows without keys, one huge
// logit, every mask; in memory with gaps, which hold NaN before and after.
#pragma once

#include "cuda/device/attention_reference.cuh"
#include "support/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

namespace ropewalk_test {

/// Where (sequence or packed, token, head) rows lie in a buffer.
struct Layout {
  std::int64_t sequence_stride = 0;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t size = 0;

  std::int64_t at(std::int64_t sequence, std::int64_t token, std::int64_t head) const {
    return sequence * sequence_stride + token * token_stride + head * head_stride;
  }
};

/// Tokens or heads outside, with up to two chunks of gap behind each.
inline Layout random_layout(Random& random, std::int64_t sequences, std::int64_t tokens,
                            std::int64_t heads, std::int64_t head_dim) {
  const auto gap = [&] { return 8 * random.integer(0, 2); };
  Layout layout;
  if (random.one_in(2)) {
    layout.head_stride = head_dim + gap();
    layout.token_stride = heads * layout.head_stride + gap();
    layout.sequence_stride = tokens * layout.token_stride + gap();
  } else {
    layout.token_stride = head_dim + gap();
    layout.head_stride = tokens * layout.token_stride + gap();
    layout.sequence_stride = heads * layout.head_stride + gap();
  }
  layout.size = sequences * layout.sequence_stride + 8;
  return layout;
}

/// A number of a normal distribution.
inline double normal(Random& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.unit()));
  return radius * std::cos(6.283185307179586 * random.unit());
}

/// Sizes and features of a problem.
struct ProblemShape {
  int sequences = 1;
  int queries = 1;  // of a sequence, or of the longest
  int keys = 1;
  int heads = 1;
  int kv_heads = 1;
  int head_dim = 64;
  bool packed = false;
  bool huge = false;  // one key is so large that its logit leaves all others behind
  ropewalk::AttentionMask mask;
};

inline ropewalk::AttentionMask random_mask(Random& random, int keys) {
  ropewalk::AttentionMask mask;
  mask.causal = !random.one_in(3);
  if (random.one_in(4)) mask.window = random.integer(1, keys + 2);
  if (random.one_in(4)) mask.first_keys = random.integer(0, keys / 2 + 1);
  if (random.one_in(6)) mask.chunk = random.integer(1, keys + 2);
  return mask;
}

/// 1 in one of four cases, else any.
inline int random_size(Random& random, int largest) {
  return random.one_in(4) ? 1 : static_cast<int>(random.integer(1, largest));
}

inline ProblemShape random_shape(Random& random) {
  ProblemShape shape;
  const int compiled[4] = {64, 96, 128, 256};
  shape.head_dim = random.one_in(3) ? 8 * static_cast<int>(random.integer(1, 32))
                                    : compiled[random.integer(0, 3)];
  shape.sequences = static_cast<int>(random.integer(1, 3));
  shape.kv_heads = static_cast<int>(random.integer(1, 3));
  shape.heads = shape.kv_heads * static_cast<int>(random.integer(1, random.one_in(4) ? 9 : 4));
  shape.queries = random_size(random, random.one_in(4) ? 300 : 70);
  shape.keys = random_size(random, random.one_in(4) ? 600 : 150);
  shape.packed = random.one_in(3);
  shape.huge = random.one_in(6);
  shape.mask = random_mask(random, shape.keys);
  return shape;
}

/// Random elements, (blocks, tokens, heads, head_dim) for the reference and with gaps of NaN for the
/// library.
template <typename T>
void fill_with_gaps(Random& random, std::vector<T>& dense, std::vector<T>& gaps,
                    const Layout& layout, const ProblemShape& shape, std::int64_t blocks,
                    std::int64_t tokens, int heads) {
  gaps.assign(static_cast<std::size_t>(layout.size), T{0xffff});
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (std::int64_t token = 0; token < tokens; ++token) {
      for (int head = 0; head < heads; ++head) {
        for (int dim = 0; dim < shape.head_dim; ++dim) {
          const T element = ropewalk::ElementTraits<T>::store(static_cast<float>(normal(random)));
          dense.push_back(element);
          gaps[static_cast<std::size_t>(layout.at(block, token, head) + dim)] = element;
        }
      }
    }
  }
}

/// Rows without their gaps, (rows, heads, head_dim); counts gaps that are poison no more.
///   tokens       of a block
template <typename T>
std::vector<double> rows_in_gaps(const std::vector<T>& gaps, const Layout& layout,
                                 const ProblemShape& shape, std::int64_t tokens, std::int64_t rows,
                                 int& touched) {
  std::vector<double> values;
  std::vector<bool> used(gaps.size(), false);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (int head = 0; head < shape.heads; ++head) {
      for (int dim = 0; dim < shape.head_dim; ++dim) {
        const auto at = static_cast<std::size_t>(layout.at(row / tokens, row % tokens, head) + dim);
        used[at] = true;
        values.push_back(static_cast<double>(ropewalk::ElementTraits<T>::load(gaps[at])));
      }
    }
  }
  for (std::size_t at = 0; at < used.size(); ++at) touched += !used[at] && gaps[at].bits != 0xffff;
  return values;
}

/// Everything a problem's kernel has written, to compare bit by bit.
template <typename Problem>
std::vector<unsigned char> all_bytes(Problem& problem) {
  problem.download();
  std::vector<unsigned char> all;
  const auto append = [&all](const void* data, std::size_t bytes) {
    const auto* first = static_cast<const unsigned char*>(data);
    all.insert(all.end(), first, first + bytes);
  };
  append(problem.out_gaps.host.data(), problem.out_gaps.bytes());
  for (const auto* array : {&problem.lse, &problem.entropy, &problem.mean, &problem.variance}) {
    append(array->host.data(), array->bytes());
  }
  return all;
}

/// Shapes that run 50 times and from a graph: one of a few, which a slow tool watches.
inline int repeated_of(int shapes) { return shapes < 100 ? 1 : 10; }

/// How many of 50 runs and one from a graph differ in any bit from the first.
///   launch       void(cudaStream_t), which has run once
template <typename Problem, typename Launch>
int wrong_repeats(Problem& problem, const Launch& launch) {
  const std::vector<unsigned char> first = all_bytes(problem);
  int wrong = 0;
  for (int run = 0; run < 50; ++run) {
    problem.poison();
    launch(nullptr);
    wrong += all_bytes(problem) != first;
  }
  problem.poison();
  run_captured(launch);
  return wrong + (all_bytes(problem) != first);
}

/// Levels below the highest are compiled for one type and size.
template <typename T>
ropewalk::cuda::Statistics random_level(Random& random, int head_dim) {
  const bool every = std::is_same_v<T, ropewalk::bfloat16> &&
                     ropewalk::cuda::detail::padded_head_dim(head_dim) == 128;
  return every ? static_cast<ropewalk::cuda::Statistics>(random.integer(0, 2))
               : ropewalk::cuda::Statistics::variance;
}

/// A problem on both sides: what the library reads, with gaps, and what the reference does, without.
template <typename T>
struct Problem {
  ProblemShape shape;
  std::int64_t rows = 0;
  std::int64_t key_tokens = 0;
  std::vector<std::int32_t> first_row;  // (sequences + 1,)
  std::vector<std::int32_t> first_key;  // (sequences + 1,)
  std::vector<std::int32_t> keys;       // (sequences,) in use

  Layout q_at, k_at, out_at;
  Memory<T> q_gaps, k_gaps, v_gaps, d_out_gaps, out_gaps;
  Memory<T> q, k, v, d_out;
  Memory<ReferenceRow> plan;
  Memory<std::int32_t> query_starts, key_starts, key_counts, query_positions;
  Memory<float> head_scale, position_scale, sink_logit;
  Memory<float> lse, entropy, mean, variance;
  double softmax_scale = 0;

  Problem(Random& random, const ProblemShape& wanted) : shape(wanted) {
    const auto sequences = static_cast<std::size_t>(shape.sequences);
    set_sizes(random);
    const std::int64_t blocks = shape.packed ? 1 : shape.sequences;
    const std::int64_t q_tokens = shape.packed ? rows : shape.queries;
    const std::int64_t k_tokens = shape.packed ? key_tokens : shape.keys;
    q_at = random_layout(random, blocks, q_tokens, shape.heads, shape.head_dim);
    k_at = random_layout(random, blocks, k_tokens, shape.kv_heads, shape.head_dim);
    out_at = random_layout(random, blocks, q_tokens, shape.heads, shape.head_dim);
    fill_with_gaps(random, q.host, q_gaps.host, q_at, shape, blocks, q_tokens, shape.heads);
    fill_with_gaps(random, k.host, k_gaps.host, k_at, shape, blocks, k_tokens, shape.kv_heads);
    fill_with_gaps(random, v.host, v_gaps.host, k_at, shape, blocks, k_tokens, shape.kv_heads);
    fill_with_gaps(random, d_out.host, d_out_gaps.host, out_at, shape, blocks, q_tokens,
                   shape.heads);
    if (shape.huge) enlarge(random, blocks, k_tokens);
    resize(out_gaps, out_at.size);
    set_plan(random, sequences);
    const std::int64_t outputs = rows * shape.heads;
    for (Memory<float>* array : {&lse, &entropy, &mean, &variance}) resize(*array, outputs);
    if (random.one_in(2)) {
      resize(head_scale, shape.heads);
      for (float& scale : head_scale.host) {
        scale = static_cast<float>(random.uniform(0.5, 2.0) * (random.one_in(5) ? -1 : 1));
      }
    }
    if (random.one_in(3)) {
      resize(position_scale, rows);
      for (float& scale : position_scale.host) {
        scale = static_cast<float>(random.uniform(0.5, 1.5));
      }
    }
    if (random.one_in(4)) {
      resize(sink_logit, shape.heads);
      for (float& logit : sink_logit.host) logit = static_cast<float>(random.uniform(-4, 4));
    }
    if (random.one_in(3)) softmax_scale = random.uniform(0.02, 0.3);
  }

  ropewalk::cuda::AttentionParams<T> params() {
    namespace rw = ropewalk;
    rw::cuda::AttentionParams<T> params;
    params.shape = {shape.sequences, shape.queries,  shape.keys,
                    shape.heads,     shape.kv_heads, shape.head_dim};
    params.q = {q_gaps.on(true), q_at.sequence_stride, q_at.token_stride, q_at.head_stride};
    params.k = {k_gaps.on(true), k_at.sequence_stride, k_at.token_stride, k_at.head_stride};
    params.v = {v_gaps.on(true), k_at.sequence_stride, k_at.token_stride, k_at.head_stride};
    params.out = {out_gaps.on(true), out_at.sequence_stride, out_at.token_stride,
                  out_at.head_stride};
    params.scale = {softmax_scale, head_scale.on(true), position_scale.on(true),
                    sink_logit.on(true)};
    params.mask = shape.mask;
    params.query_starts = query_starts.on(true);
    params.key_starts = key_starts.on(true);
    params.key_counts = key_counts.on(true);
    params.query_positions = query_positions.on(true);
    params.statistics = {lse.on(true), entropy.on(true), mean.on(true), variance.on(true)};
    return params;
  }

  ropewalk::cuda::BatchView<const T> d_out_view() {
    return {d_out_gaps.on(true), out_at.sequence_stride, out_at.token_stride, out_at.head_stride};
  }

  ReferenceInputs<T> reference(bool on_device, bool with_gradient) {
    ReferenceInputs<T> in;
    in.rows = plan.on(on_device);
    in.q = q.on(on_device);
    in.k = k.on(on_device);
    in.v = v.on(on_device);
    if (with_gradient) in.d_out = d_out.on(on_device);
    in.head_scale = head_scale.on(on_device);
    in.position_scale = position_scale.on(on_device);
    in.sink_logit = sink_logit.on(on_device);
    in.softmax_scale =
        softmax_scale > 0 ? softmax_scale : 1 / std::sqrt(static_cast<double>(shape.head_dim));
    in.mask = shape.mask;
    in.row_count = rows;
    in.heads = shape.heads;
    in.kv_heads = shape.kv_heads;
    in.head_dim = shape.head_dim;
    in.most_keys = shape.keys;
    return in;
  }

  void poison() {
    out_gaps.poison();
    for (Memory<float>* array : {&lse, &entropy, &mean, &variance}) array->poison();
  }
  void download() {
    out_gaps.download();
    for (Memory<float>* array : {&lse, &entropy, &mean, &variance}) array->download();
  }

  std::vector<double> outputs(int& touched) const {
    return rows_in_gaps(out_gaps.host, out_at, shape, shape.packed ? rows : shape.queries, rows,
                        touched);
  }

 private:
  template <typename Element>
  static void resize(Memory<Element>& memory, std::int64_t size) {
    memory.host.assign(static_cast<std::size_t>(size), Element{});
  }
  static void set(Memory<std::int32_t>& memory, const std::vector<std::int32_t>& values) {
    memory.host = values;
  }

  /// Lengths of the sequences: all alike in a batch, any where they are packed; the last one of the
  /// packed ones is the longest.
  void set_sizes(Random& random) {
    first_row = first_key = {0};
    for (int sequence = 0; sequence < shape.sequences; ++sequence) {
      const bool last = sequence + 1 == shape.sequences;
      const bool any = shape.packed && !last;
      const auto length = [&](int longest) {
        return any ? static_cast<std::int32_t>(random.integer(0, longest)) : longest;
      };
      first_row.push_back(first_row.back() + length(shape.queries));
      first_key.push_back(first_key.back() + length(shape.keys));
    }
    rows = first_row.back();
    key_tokens = first_key.back();
    if (!shape.packed) return;
    set(query_starts, first_row);
    set(key_starts, first_key);
  }

  void set_plan(Random& random, std::size_t sequences) {
    const bool counted = random.one_in(3);
    const bool placed = random.one_in(4);
    std::vector<std::int32_t> counts, positions;
    for (std::size_t sequence = 0; sequence < sequences; ++sequence) {
      const std::int32_t all = first_key[sequence + 1] - first_key[sequence];
      const std::int32_t queries = first_row[sequence + 1] - first_row[sequence];
      counts.push_back(counted ? static_cast<std::int32_t>(random.integer(0, all)) : all);
      // Before the first key and behind the last one too.
      positions.push_back(static_cast<std::int32_t>(
          placed ? random.integer(-queries - 2, counts.back() + 2) : counts.back() - queries));
      for (std::int32_t query = 0; query < queries; ++query) {
        plan.host.push_back(
            {first_key[sequence], counts.back(), std::int64_t{positions.back()} + query});
      }
    }
    keys = counts;
    if (counted) set(key_counts, counts);
    if (placed) set(query_positions, positions);
  }

  /// One key of one sequence times 64.
  void enlarge(Random& random, std::int64_t blocks, std::int64_t tokens) {
    if (blocks * tokens == 0) return;
    const std::int64_t chosen = random.integer(0, blocks * tokens - 1);
    for (int head = 0; head < shape.kv_heads; ++head) {
      for (int dim = 0; dim < shape.head_dim; ++dim) {
        const auto dense =
            static_cast<std::size_t>((chosen * shape.kv_heads + head) * shape.head_dim + dim);
        const auto gaps =
            static_cast<std::size_t>(k_at.at(chosen / tokens, chosen % tokens, head) + dim);
        using Traits = ropewalk::ElementTraits<T>;
        k.host[dense] = k_gaps.host[gaps] = Traits::store(64 * Traits::load(k.host[dense]));
      }
    }
  }
};

}  // namespace ropewalk_test
