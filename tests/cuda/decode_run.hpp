// A random decoding in memory: layouts of the cache, guarded results, angles; what is wrong of the
// results and what differs between two of them.
#pragma once

#include <ropewalk/cuda/decode/checks.hpp>
#include <ropewalk/phase.hpp>
#include <ropewalk/spectrum.hpp>

#include "cuda/array.hpp"
#include "cuda/decode_cases.hpp"
#include "cuda/elements.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace ropewalk_test {

/// Elements at an address divisible by 16, between and over what a kernel must not touch.
template <typename T>
class Guarded {
 public:
  explicit Guarded(std::int64_t size)
      : size_(size), memory_(static_cast<std::size_t>(size) + kBand) {
    std::memset(static_cast<void*>(memory_.data()), 0xff, memory_.size() * sizeof(T));  // NaN
    while (reinterpret_cast<std::uintptr_t>(data()) % 16 != 0) ++first_;
  }
  T* data() { return memory_.data() + kBand / 2 + first_; }
  const T* data() const { return memory_.data() + kBand / 2 + first_; }
  std::int64_t size() const { return size_; }
  Array array() const { return array_of(memory_); }
  T& operator[](std::int64_t index) { return data()[index]; }
  const T& operator[](std::int64_t index) const { return data()[index]; }

  bool untouched(std::int64_t index) const {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, data() + index, sizeof(T));
    for (const unsigned char byte : bytes) {
      if (byte != 0xff) return false;
    }
    return true;
  }
  bool band_untouched() const {
    for (std::int64_t i = -kBand / 2; i < 0; ++i) {
      if (!untouched(i)) return false;
    }
    for (std::int64_t i = size_; i < size_ + kBand / 4; ++i) {
      if (!untouched(i)) return false;
    }
    return true;
  }

 private:
  static constexpr std::int64_t kBand = 128;
  std::int64_t size_;
  std::int64_t first_ = 0;
  std::vector<T> memory_;
};

/// Where the keys and values of a problem lie.
struct DecodeLayout {
  bool paged = false;
  int page_size = 1;
  int gap = 0;  // elements between heads, tokens, pages
};

/// A problem in memory, and its results.
template <typename T>
struct DecodeRun {
  const DecodeCase<T>& problem;
  ropewalk::cuda::DecodeParams<T> params;
  Guarded<T> q, out, k, v;
  Guarded<float> lse, entropy, mean, variance;
  std::unique_ptr<Guarded<unsigned char>> workspace;
  std::vector<std::int32_t> table;

  DecodeRun(const DecodeCase<T>& asked, const std::vector<T>& keys, const DecodeLayout& layout,
            int blocks, Random& random)
      : problem(asked),
        q(rows() * asked.shape.head_dim + 64),
        out(rows() * (asked.shape.head_dim + 8)),
        k(cache_size(asked, layout)),
        v(cache_size(asked, layout)),
        lse(rows()),
        entropy(rows()),
        mean(rows()),
        variance(rows()) {
    const auto& shape = problem.shape;
    const std::int64_t dims = shape.head_dim;
    params.shape = shape;
    // Tokens before heads, or heads before tokens.
    const bool heads_first = random.one_in(2);
    const auto view = [&](auto* data, std::int64_t width) {
      using Element = std::remove_pointer_t<decltype(data)>;
      return ropewalk::cuda::BatchView<Element>{data, shape.queries * shape.heads * width,
                                                heads_first ? width : shape.heads * width,
                                                heads_first ? shape.queries * width : width};
    };
    params.q = view(static_cast<const T*>(q.data()), dims);
    params.out = view(out.data(), dims + 8);
    for (int sequence = 0; sequence < shape.sequences; ++sequence) {
      for (int query = 0; query < shape.queries; ++query) {
        for (int head = 0; head < shape.heads; ++head) {
          for (int d = 0; d < dims; ++d) {
            q[at(params.q, sequence, query, head) + d] =
                problem.q[static_cast<std::size_t>(row(sequence, query, head) * dims + d)];
          }
        }
      }
    }
    fill_cache(keys, layout, random);
    params.key_counts = problem.counts.data();
    params.scale.softmax_scale = problem.softmax_scale;
    const auto or_null = [](const auto& list) { return list.empty() ? nullptr : list.data(); };
    params.scale.head_scale = or_null(problem.head_scale);
    params.scale.position_scale = or_null(problem.position_scale);
    params.scale.sink_logit = or_null(problem.sink_logit);
    params.mask = problem.mask;
    params.statistics = {lse.data(), entropy.data(), mean.data(), variance.data()};
    params.blocks = blocks;
    params.workspace_bytes = ropewalk::cuda::detail::decode_workspace_bytes(shape, blocks);
    workspace =
        std::make_unique<Guarded<unsigned char>>(static_cast<std::int64_t>(params.workspace_bytes));
    params.workspace = workspace->data();
  }

  std::int64_t rows() const {
    const auto& shape = problem.shape;
    return std::int64_t{shape.sequences} * shape.queries * shape.heads;
  }
  std::int64_t row(int sequence, int query, int head) const {
    return (std::int64_t{sequence} * problem.shape.queries + query) * problem.shape.heads + head;
  }
  template <typename Element>
  static std::int64_t at(const ropewalk::cuda::BatchView<Element>& view, int sequence, int query,
                         int head) {
    return sequence * view.sequence_stride + query * view.token_stride + head * view.head_stride;
  }

  static std::int64_t pages_of(const DecodeCase<T>& problem, const DecodeLayout& layout) {
    const std::int64_t each = (problem.most_keys + layout.page_size - 1) / layout.page_size;
    return layout.paged ? each * problem.shape.sequences + 3 : problem.shape.sequences;
  }
  static std::int64_t cache_size(const DecodeCase<T>& problem, const DecodeLayout& layout) {
    const std::int64_t size = layout.paged ? layout.page_size : problem.most_keys;
    const std::int64_t head = problem.shape.head_dim + layout.gap;
    return pages_of(problem, layout) * (size * problem.shape.kv_heads * head + layout.gap);
  }

  /// Every token that is in use; what is not stays NaN.
  void fill_cache(const std::vector<T>& keys, const DecodeLayout& layout, Random& random) {
    const auto& shape = problem.shape;
    const std::int64_t head = shape.head_dim + layout.gap;
    ropewalk::cuda::KvCache<const T>& cache = params.cache;
    cache.k = k.data();
    cache.v = v.data();
    cache.pages = pages_of(problem, layout);
    cache.page_size = layout.paged ? layout.page_size : problem.most_keys;
    const bool heads_first = random.one_in(2);
    cache.token_stride = heads_first ? head : shape.kv_heads * head;
    cache.head_stride = heads_first ? cache.page_size * head : head;
    cache.page_stride = cache.page_size * shape.kv_heads * head + layout.gap;
    if (layout.paged) {
      const std::int64_t each = (problem.most_keys + layout.page_size - 1) / layout.page_size;
      std::vector<std::int32_t> numbers;
      for (std::int32_t i = 0; i < cache.pages; ++i) numbers.push_back(i);
      for (std::size_t i = numbers.size() - 1; i > 0; --i) {
        std::swap(numbers[i],
                  numbers[static_cast<std::size_t>(random.integer(0, static_cast<int>(i)))]);
      }
      for (int sequence = 0; sequence < shape.sequences; ++sequence) {
        for (std::int64_t page = 0; page < each; ++page) {
          const std::int64_t key = page * layout.page_size;
          const bool used = key < problem.counts[static_cast<std::size_t>(sequence)];
          const bool there = key >= problem.most_keys || is_present(sequence, key);
          // What is not in use may hold anything.
          const std::int32_t garbage = random.one_in(2) ? -7 : 0x7fffffff;
          table.push_back(used && there ? numbers[table.size()] : garbage);
          if (!used || !there) numbers[table.size() - 1] = garbage;
        }
      }
      cache.page_table = table.data();
      cache.sequences = shape.sequences;
      cache.pages_per_sequence = each;
    }
    const ropewalk::cuda::detail::PageMap map = ropewalk::cuda::detail::page_map(cache);
    for (int sequence = 0; sequence < shape.sequences; ++sequence) {
      for (std::int64_t key = 0; key < problem.counts[static_cast<std::size_t>(sequence)]; ++key) {
        const ropewalk::cuda::detail::CachePlace place = map.place(sequence, key);
        if (place.page < 0) continue;
        for (int kv_head = 0; kv_head < shape.kv_heads; ++kv_head) {
          const std::int64_t to = place.page * cache.page_stride +
                                  place.offset * cache.token_stride + kv_head * cache.head_stride;
          const std::int64_t from =
              ((sequence * problem.most_keys + key) * shape.kv_heads + kv_head) * shape.head_dim;
          for (int d = 0; d < shape.head_dim; ++d) {
            k[to + d] = keys[static_cast<std::size_t>(from + d)];
            v[to + d] = problem.v[static_cast<std::size_t>(from + d)];
          }
        }
      }
    }
  }
  bool is_present(int sequence, std::int64_t key) const {
    return problem.present[static_cast<std::size_t>(sequence * problem.most_keys + key)] != 0;
  }

  /// All memory of the host that the parameters name.
  std::vector<Array> arrays() const {
    std::vector<Array> all = {q.array(),
                              out.array(),
                              k.array(),
                              v.array(),
                              lse.array(),
                              entropy.array(),
                              mean.array(),
                              variance.array(),
                              workspace->array(),
                              array_of(table),
                              array_of(problem.counts),
                              array_of(problem.head_scale),
                              array_of(problem.position_scale),
                              array_of(problem.sink_logit)};
    return all;
  }

  /// Results further from float64 than they may be, and memory touched that is not theirs.
  ///   steps        as of exact_row()
  int count_wrong(int steps = 1) const {
    int wrong = 0;
    const auto off = [](float got, double exact, double error) {
      return !(std::fabs(static_cast<double>(got) - exact) <= error);
    };
    for (int sequence = 0; sequence < problem.shape.sequences; ++sequence) {
      for (int query = 0; query < problem.shape.queries; ++query) {
        for (int head = 0; head < problem.shape.heads; ++head) {
          const ExactRow exact = exact_row(problem, sequence, query, head, steps);
          const std::int64_t index = row(sequence, query, head);
          if (exact.empty) {
            wrong += lse[index] != std::numeric_limits<float>::lowest();
          } else {
            wrong += off(lse[index], exact.lse, exact.lse_error);
          }
          wrong += off(entropy[index], exact.entropy, exact.entropy_error);
          wrong += off(mean[index], exact.mean, exact.mean_error);
          wrong += off(variance[index], exact.variance, exact.variance_error);
          const std::int64_t first = at(params.out, sequence, query, head);
          for (int d = 0; d < problem.shape.head_dim; ++d) {
            const auto dim = static_cast<std::size_t>(d);
            wrong += off(ropewalk::to_float(out[first + d]), exact.out[dim], exact.out_error[dim]);
          }
          for (int d = 0; d < 8; ++d) wrong += !out.untouched(first + problem.shape.head_dim + d);
        }
      }
    }
    return wrong + !out.band_untouched() + !lse.band_untouched() + !entropy.band_untouched() +
           !mean.band_untouched() + !variance.band_untouched() + !workspace->band_untouched();
  }
};

inline int random_head_dim(Random& random) {
  // Products of 256 columns take the emulation four times as long.
  if (random.one_in(20)) return 8 * static_cast<int>(random.integer(17, 32));
  if (random.one_in(3)) return random.one_in(2) ? 128 : 96;
  return random.one_in(3) ? 64 : 8 * static_cast<int>(random.integer(1, 16));
}

inline DecodeLayout random_layout(Random& random, int page_size, bool paged) {
  return {paged, page_size, random.one_in(2) ? 0 : 8};
}

/// Angles as a model has them, or a table of them.
struct DecodeAngles {
  ropewalk::cuda::RotaryAngles angles;
  ropewalk::PhaseTable<float> table;
  ropewalk::Pairing pairing;
  int first_dim = 0;

  DecodeAngles(Random& random, int head_dim, std::int64_t positions) {
    ropewalk::RopeConfig config;
    const int pairs = 8 * static_cast<int>(random.integer(1, head_dim / 16));
    config.head_dim = config.rotary_dim = 2 * pairs;
    config.theta = random.log_uniform(10.0, 1e6);
    ropewalk::Spectrum spectrum = ropewalk::spectrum(config);
    if (random.one_in(2)) spectrum.attention_factor = random.uniform(0.7, 1.3);
    angles = ropewalk::cuda::rotary_angles(ropewalk::phase_turns(spectrum));
    if (random.one_in(3)) {
      table = ropewalk::phase_table<float>(spectrum, 0, positions);
      angles.cos = table.cos.data();
      angles.sin = table.sin.data();
      angles.rows = positions;
      angles.row_stride = pairs;
    }
    pairing = random.one_in(2) ? ropewalk::Pairing::half_split : ropewalk::Pairing::interleaved;
    first_dim = 8 * static_cast<int>(random.integer(0, (head_dim - 2 * pairs) / 8));
  }

  template <typename T>
  void ask(ropewalk::cuda::DecodeParams<T>& params) const {
    params.angles = angles;
    params.pairing = pairing;
    params.first_dim = first_dim;
  }
};

/// What rotate() is asked to turn the keys of a problem, key j at position j.
template <typename T>
ropewalk::cuda::RotaryParams<T> key_rotation(const DecodeCase<T>& problem,
                                             const std::vector<T>& raw, const DecodeAngles& by,
                                             std::vector<T>& result,
                                             std::vector<std::int64_t>& positions) {
  const auto& shape = problem.shape;
  const std::int64_t tokens = shape.sequences * problem.most_keys;
  for (std::int64_t i = 0; i < tokens; ++i) positions.push_back(i % problem.most_keys);
  ropewalk::cuda::RotaryParams<T> params;
  params.q = ropewalk::make_head_view(raw.data(), tokens, shape.kv_heads, shape.head_dim);
  params.q_out = ropewalk::make_head_view(result.data(), tokens, shape.kv_heads, shape.head_dim);
  params.positions = positions.data();
  params.angles = by.angles;
  params.pairing = by.pairing;
  params.first_dim = by.first_dim;
  return params;
}

/// Elements and statistics that differ, wherever they lie.
template <typename T>
int rows_differ(const DecodeRun<T>& a, const DecodeRun<T>& b) {
  int count = 0;
  const auto& shape = a.problem.shape;
  for (int sequence = 0; sequence < shape.sequences; ++sequence) {
    for (int query = 0; query < shape.queries; ++query) {
      for (int head = 0; head < shape.heads; ++head) {
        const std::int64_t row = a.row(sequence, query, head);
        for (int d = 0; d < shape.head_dim; ++d) {
          count += a.out[a.at(a.params.out, sequence, query, head) + d].bits !=
                   b.out[b.at(b.params.out, sequence, query, head) + d].bits;
        }
        const auto differ = [row](const Guarded<float>& x, const Guarded<float>& y) {
          return ropewalk::detail::bits_of(x[row]) != ropewalk::detail::bits_of(y[row]);
        };
        count += differ(a.lse, b.lse) + differ(a.entropy, b.entropy) + differ(a.mean, b.mean) +
                 differ(a.variance, b.variance);
      }
    }
  }
  return count;
}

}  // namespace ropewalk_test
