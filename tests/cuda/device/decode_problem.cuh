// Random problems of decoding: dense caches and paged ones, pages that are missing, lengths from 0 on,
// keys that are rotated as they are read.
#pragma once

#include <ropewalk/cuda/decode/params.hpp>
#include <ropewalk/cuda/rotary.cuh>
#include <ropewalk/phase.hpp>
#include <ropewalk/spectrum.hpp>

#include "cuda/device/attention_problem.cuh"

#include <algorithm>
#include <vector>

namespace ropewalk_test {

/// A cache on both sides, and its tokens in order for the reference.
template <typename T>
struct DecodeProblem {
  ProblemShape shape;  // keys: what a sequence of the cache holds
  std::int64_t rows = 0;
  bool rotates = false;

  Layout q_at, out_at;
  std::int64_t page_size = 1;
  std::int64_t pages_per_sequence = 1;
  std::int64_t pages = 1;
  std::int64_t head_stride = 0, token_stride = 0, page_stride = 0;
  Memory<T> q_gaps, out_gaps, k_pages, v_pages;
  Memory<T> q, k, v;  // (rows, heads, head_dim), (sequences * keys, kv_heads, head_dim)
  Memory<std::uint8_t> present;
  Memory<ReferenceRow> plan;
  Memory<std::int32_t> page_table, key_counts;
  Memory<float> head_scale, position_scale, sink_logit;
  Memory<float> lse, entropy, mean, variance;
  Memory<unsigned char> workspace;
  ropewalk::cuda::RotaryAngles angles;
  ropewalk::Pairing pairing = ropewalk::Pairing::half_split;
  int first_dim = 0;
  int blocks = 0;

  explicit DecodeProblem(Random& random) {
    shape = random_shape(random);
    shape.packed = false;
    shape.sequences = static_cast<int>(random.integer(1, 5));
    shape.queries = random.one_in(3) ? static_cast<int>(random.integer(2, 9)) : 1;
    shape.keys = random_size(random, random.one_in(4) ? 2000 : 300);
    rows = std::int64_t{shape.sequences} * shape.queries;
    set_cache(random);
    set_rows(random);
    if (random.one_in(3)) set_angles(random);
    const int some[4] = {0, 1, 3, 37};
    blocks = some[random.integer(0, 3)];
    if (shape.huge) enlarge(random);
  }

  ropewalk::cuda::DecodeParams<T> params() {
    namespace rw = ropewalk;
    rw::cuda::DecodeParams<T> params;
    params.shape = {shape.sequences, shape.queries,  shape.keys,
                    shape.heads,     shape.kv_heads, shape.head_dim};
    params.q = {q_gaps.on(true), q_at.sequence_stride, q_at.token_stride, q_at.head_stride};
    params.out = {out_gaps.on(true), out_at.sequence_stride, out_at.token_stride,
                  out_at.head_stride};
    params.cache.k = k_pages.on(true);
    params.cache.v = v_pages.on(true);
    params.cache.pages = pages;
    params.cache.page_size = page_size;
    params.cache.page_stride = page_stride;
    params.cache.token_stride = token_stride;
    params.cache.head_stride = head_stride;
    params.cache.page_table = page_table.on(true);
    if (params.cache.page_table != nullptr) {
      params.cache.sequences = shape.sequences;
      params.cache.pages_per_sequence = pages_per_sequence;
    }
    params.key_counts = key_counts.on(true);
    params.scale.head_scale = head_scale.on(true);
    params.scale.position_scale = position_scale.on(true);
    params.scale.sink_logit = sink_logit.on(true);
    params.mask = shape.mask;
    params.statistics = {lse.on(true), entropy.on(true), mean.on(true), variance.on(true)};
    if (rotates) {
      params.angles = angles;
      params.pairing = pairing;
      params.first_dim = first_dim;
    }
    params.blocks = blocks;
    return params;
  }

  /// Turns the reference's keys as rotate() does, on the device: what the cache would hold.
  void turn_reference() {
    namespace rw = ropewalk;
    if (!rotates) return;
    std::vector<std::int32_t> positions;
    for (int sequence = 0; sequence < shape.sequences; ++sequence) {
      for (int key = 0; key < shape.keys; ++key) positions.push_back(key);
    }
    Memory<std::int32_t> where;
    where.host = positions;
    rw::cuda::RotaryParams<T> params;
    const auto tokens = static_cast<std::int64_t>(positions.size());
    params.q_out = rw::make_head_view(k.on(true), tokens, shape.kv_heads, shape.head_dim);
    params.q = params.q_out;
    params.positions32 = where.on(true);
    params.angles = angles;
    params.pairing = pairing;
    params.first_dim = first_dim;
    require(rw::cuda::rotate(params, nullptr), "rotate");
    k.download();
  }

  ReferenceInputs<T> reference(bool on_device) {
    ReferenceInputs<T> in;
    in.rows = plan.on(on_device);
    in.q = q.on(on_device);
    in.k = k.on(on_device);
    in.v = v.on(on_device);
    in.present = present.on(on_device);
    in.head_scale = head_scale.on(on_device);
    in.position_scale = position_scale.on(on_device);
    in.sink_logit = sink_logit.on(on_device);
    in.softmax_scale = 1 / std::sqrt(static_cast<double>(shape.head_dim));
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
    return rows_in_gaps(out_gaps.host, out_at, shape, shape.queries, rows, touched);
  }

 private:
  void set_cache(Random& random) {
    const bool paged = random.one_in(2);
    const std::int64_t sizes[6] = {1, 7, 16, 32, 64, 100};
    page_size = paged ? sizes[random.integer(0, 5)] : shape.keys;
    pages_per_sequence = (shape.keys + page_size - 1) / page_size;
    shape.keys = static_cast<int>(pages_per_sequence * page_size);
    const std::int64_t used = shape.sequences * pages_per_sequence;
    pages = used + (paged ? random.integer(0, 3) : 0);
    const auto gap = [&] { return 8 * random.integer(0, 2); };
    if (random.one_in(2)) {
      head_stride = shape.head_dim + gap();
      token_stride = shape.kv_heads * head_stride + gap();
      page_stride = page_size * token_stride + gap();
    } else {
      token_stride = shape.head_dim + gap();
      head_stride = page_size * token_stride + gap();
      page_stride = shape.kv_heads * head_stride + gap();
    }
    std::vector<std::int32_t> order(static_cast<std::size_t>(pages));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
    if (paged) {
      for (std::size_t i = order.size(); i > 1; --i) {
        std::swap(
            order[i - 1],
            order[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(i) - 1))]);
      }
    }
    const bool some_missing = paged && random.one_in(4);
    const auto bytes = static_cast<std::size_t>(pages * page_stride + 8);
    k_pages.host.assign(bytes, T{0xffff});
    v_pages.host.assign(bytes, T{0xffff});
    std::int64_t next = 0;
    for (int sequence = 0; sequence < shape.sequences; ++sequence) {
      for (std::int64_t index = 0; index < pages_per_sequence; ++index) {
        const std::int32_t page = order[static_cast<std::size_t>(next++)];
        const bool missing = some_missing && random.one_in(4);
        if (paged) {
          const auto none = random.one_in(2) ? -1 : static_cast<std::int32_t>(pages);
          page_table.host.push_back(missing ? none : page);
        }
        for (std::int64_t offset = 0; offset < page_size; ++offset) {
          present.host.push_back(!missing);
          for (int head = 0; head < shape.kv_heads; ++head) {
            const auto at = static_cast<std::size_t>(page * page_stride + offset * token_stride +
                                                     head * head_stride);
            for (int dim = 0; dim < shape.head_dim; ++dim) {
              const auto place = at + static_cast<std::size_t>(dim);
              k_pages.host[place] = element(random);
              v_pages.host[place] = element(random);
              k.host.push_back(k_pages.host[place]);
              v.host.push_back(v_pages.host[place]);
            }
          }
        }
      }
    }
  }

  void set_rows(Random& random) {
    q_at = random_layout(random, shape.sequences, shape.queries, shape.heads, shape.head_dim);
    out_at = random_layout(random, shape.sequences, shape.queries, shape.heads, shape.head_dim);
    fill_with_gaps(random, q.host, q_gaps.host, q_at, shape, shape.sequences, shape.queries,
                   shape.heads);
    out_gaps.host.assign(static_cast<std::size_t>(out_at.size), T{});
    for (int sequence = 0; sequence < shape.sequences; ++sequence) {
      // None, all, more than there are places, or any.
      std::int64_t count = random.integer(0, shape.keys);
      if (random.one_in(8)) count = 0;
      if (random.one_in(4)) count = shape.keys;
      const bool beyond = random.one_in(10);
      key_counts.host.push_back(static_cast<std::int32_t>(beyond ? shape.keys + 5 : count));
      if (beyond) count = shape.keys;
      for (int query = 0; query < shape.queries; ++query) {
        plan.host.push_back({std::int64_t{sequence} * shape.keys, static_cast<std::int32_t>(count),
                             count - shape.queries + query});
      }
    }
    const auto outputs = static_cast<std::size_t>(rows * shape.heads);
    for (Memory<float>* array : {&lse, &entropy, &mean, &variance}) array->host.resize(outputs);
    const auto some = [&](Memory<float>& memory, std::int64_t size, double low, double high) {
      for (std::int64_t i = 0; i < size; ++i) {
        memory.host.push_back(static_cast<float>(random.uniform(low, high)));
      }
    };
    if (random.one_in(2)) some(head_scale, shape.heads, -0.5, 2.0);
    if (random.one_in(3)) some(position_scale, rows, 0.5, 1.5);
    if (random.one_in(4)) some(sink_logit, shape.heads, -4.0, 4.0);
  }

  void set_angles(Random& random) {
    namespace rw = ropewalk;
    const int room = shape.head_dim / 16;  // in eights of pairs
    if (room == 0) return;
    rotates = true;
    const int pairs = 8 * static_cast<int>(random.integer(1, room));
    first_dim = 8 * static_cast<int>(random.integer(0, (shape.head_dim - 2 * pairs) / 8));
    pairing = random.one_in(2) ? rw::Pairing::interleaved : rw::Pairing::half_split;
    rw::RopeConfig config;
    config.head_dim = config.rotary_dim = 2 * pairs;
    angles = rw::cuda::rotary_angles(rw::phase_turns(rw::spectrum(config)));
  }

  /// One token of the cache times 64.
  void enlarge(Random& random) {
    const std::int64_t token = random.integer(0, std::int64_t{shape.sequences} * shape.keys - 1);
    const std::int64_t sequence = token / shape.keys;
    const std::int64_t key = token % shape.keys;
    const std::int64_t index = sequence * pages_per_sequence + key / page_size;
    const std::int64_t page =
        page_table.host.empty() ? sequence : page_table.host[static_cast<std::size_t>(index)];
    if (page < 0 || page >= pages) return;
    for (int head = 0; head < shape.kv_heads; ++head) {
      for (int dim = 0; dim < shape.head_dim; ++dim) {
        using Traits = ropewalk::ElementTraits<T>;
        T& dense = k.host[static_cast<std::size_t>(
            (token * shape.kv_heads + head) * shape.head_dim + dim)];
        dense = Traits::store(64 * Traits::load(dense));
        k_pages.host[static_cast<std::size_t>(page * page_stride + key % page_size * token_stride +
                                              head * head_stride + dim)] = dense;
      }
    }
  }

  static T element(Random& random) {
    return ropewalk::ElementTraits<T>::store(static_cast<float>(normal(random)));
  }
};

}  // namespace ropewalk_test
