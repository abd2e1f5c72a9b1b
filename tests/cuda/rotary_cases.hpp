// Random calls of the rotary kernels and what must come of them, for the host, where threads are
// run one after the other, and for a device.
#pragma once

#include <ropewalk/cuda/rotary/checks.hpp>
#include <ropewalk/rotate.hpp>

#include "../support/random.hpp"
#include "array.hpp"
#include "elements.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk_test {

namespace rw = ropewalk;

/// Memory at an address divisible by 16, filled with what a result must replace.
template <typename T>
struct Memory {
  std::vector<T> elements;
  T* data = nullptr;

  explicit Memory(std::int64_t size) : elements(static_cast<std::size_t>(size) + 32) {
    const auto poison = rw::ElementTraits<T>::store(std::nanf(""));
    for (T& element : elements) element = poison;
    data = elements.data();
    while (reinterpret_cast<std::uintptr_t>(data) % 16 != 0) ++data;
  }
  Memory(Memory&&) = default;  // the address stays

  Memory copy() const {
    Memory memory(static_cast<std::int64_t>(elements.size()) - 32);
    std::copy_n(data, elements.size() - 32, memory.data);
    return memory;
  }
};

template <typename T>
void fill(Random& random, const rw::HeadView<T>& view) {
  for (std::int64_t token = 0; token < view.tokens; ++token) {
    for (std::int64_t head = 0; head < view.heads; ++head) {
      for (int dim = 0; dim < view.head_dim; ++dim) {
        view.head(token, head)[dim] = as_element<T>(random.uniform(-4.0, 4.0));
      }
    }
  }
}

/// Sizes and options of one random call.
struct Shape {
  std::int64_t tokens, q_heads, k_heads;
  int pairs, head_dim, first_dim, gap;
  bool in_place, packed, table, wide;
  std::vector<double> head_scale, position_scale;
  std::vector<float> head_scale_float, position_scale_float;
  std::vector<std::int64_t> positions;
  std::vector<std::int32_t> positions32;
  std::int64_t first_position;
  rw::Pairing pairing;
  bool inverse;
  rw::Spectrum spectrum;

  explicit Shape(Random& random) {
    tokens = random.one_in(20) ? 0 : (random.one_in(3) ? 1 : random.length(1, 40));
    q_heads = random.length(1, 40);
    k_heads = random.one_in(4) ? 0 : random.length(1, 12);
    wide = random.one_in(2);
    const int unit = wide ? 8 : 1;
    pairs = unit * static_cast<int>(random.length(1, wide ? 16 : 70));
    if (random.one_in(30)) pairs = rw::cuda::kMaximumPairs;
    const int before = random.one_in(2) ? 0 : unit * static_cast<int>(random.integer(0, 5));
    const int after = random.one_in(2) ? 0 : unit * static_cast<int>(random.integer(0, 9));
    first_dim = before;
    head_dim = before + 2 * pairs + after;
    gap = random.one_in(2) ? 0 : unit * static_cast<int>(random.integer(1, 3));
    in_place = random.one_in(2);
    packed = random.one_in(2);
    table = random.one_in(3);
    pairing = random.one_in(2) ? rw::Pairing::half_split : rw::Pairing::interleaved;
    inverse = random.one_in(3);
    first_position = table ? random.integer(-20, 1000) : 0;
    const bool narrow = random.one_in(2);
    for (std::int64_t token = 0; token < tokens; ++token) {
      const std::int64_t far_away = narrow ? 0x7fffffff : std::int64_t{1} << 34;
      positions.push_back(table ? first_position + random.integer(0, 63)
                                : random.integer(-far_away, far_away) >> random.integer(0, 30));
      if (narrow) positions32.push_back(static_cast<std::int32_t>(positions.back()));
    }
    if (random.one_in(2)) {
      for (std::int64_t head = 0; head < q_heads; ++head) {
        head_scale_float.push_back(static_cast<float>(random.uniform(0.1, 2.0)));
        head_scale.push_back(static_cast<double>(head_scale_float.back()));
      }
    }
    if (random.one_in(2)) {
      for (std::int64_t token = 0; token < tokens; ++token) {
        position_scale_float.push_back(static_cast<float>(random.uniform(0.1, 2.0)));
        position_scale.push_back(static_cast<double>(position_scale_float.back()));
      }
    }
    rw::RopeConfig config;
    config.head_dim = config.rotary_dim = 2 * pairs;
    config.theta = random.log_uniform(10.0, 1e7);
    spectrum = rw::spectrum(config);
    if (random.one_in(2)) spectrum.attention_factor = random.uniform(0.5, 1.5);
  }

  int scales() const { return !head_scale.empty() + !position_scale.empty(); }

  std::string text() const {
    std::ostringstream text;
    text << seed_text() << " tokens " << tokens << " heads " << q_heads << "/" << k_heads
         << " pairs " << pairs << " head_dim " << head_dim << " first_dim " << first_dim << " gap "
         << gap << " in_place " << in_place << " packed " << packed << " table " << table
         << " interleaved " << (pairing == rw::Pairing::interleaved) << " inverse " << inverse
         << " scales " << scales() << " positions32 " << !positions32.empty();
    return text.str();
  }
};

/// What ropewalk::rotate makes of the same elements in double.
template <typename T>
std::vector<double> expected_of(const Shape& shape, const rw::PhaseTurns& turns,
                                const rw::PhaseTable<float>& table, const rw::HeadView<const T>& in,
                                bool scaled) {
  std::vector<double> memory;
  for (std::int64_t token = 0; token < in.tokens; ++token) {
    for (std::int64_t head = 0; head < in.heads; ++head) {
      for (int dim = 0; dim < in.head_dim; ++dim) {
        memory.push_back(as_double(in.head(token, head)[dim]));
      }
    }
  }
  rw::RotateOptions options;
  options.first_dim = shape.first_dim;
  options.inverse = shape.inverse;
  options.first_position = shape.first_position;
  if (scaled) {
    options.head_scale = shape.head_scale;
    options.position_scale = shape.position_scale;
  }
  const auto view = rw::make_head_view(memory.data(), in.tokens, in.heads, in.head_dim);
  if (shape.table) {
    rw::rotate(view, shape.positions, table, shape.pairing, options);
  } else {
    rw::rotate(view, shape.positions, turns, shape.pairing, options);
  }
  return memory;
}

/// Elements over the bound of cuda/rotary.cuh.
template <typename T>
int count_wrong(const Shape& shape, const std::vector<double>& expected,
                const rw::HeadView<const T>& out, bool scaled) {
  const int scales = scaled ? shape.scales() : 0;
  int wrong = 0;
  std::size_t at = 0;
  for (std::int64_t token = 0; token < out.tokens; ++token) {
    const double position = static_cast<double>(shape.positions[static_cast<std::size_t>(token)]);
    // 2.7 u: the angle's 1.1e-7 sqrt 2; one rounding each of factor, product and sum, and their
    // second order; one word of a step drops half a unit per token.
    const double unit = 0x1p-24;
    const double angle =
        shape.table ? 0.1 * unit : 2.7 * unit + std::fabs(position) * 0x1p-65 * 6.2832;
    for (std::int64_t head = 0; head < out.heads;
         ++head, at += static_cast<std::size_t>(out.head_dim)) {
      for (int dim = 0; dim < out.head_dim; ++dim) {
        const double exact = expected[at + static_cast<std::size_t>(dim)];
        const int inside = dim - shape.first_dim;
        double size = std::fabs(exact);
        if (inside >= 0 && inside < 2 * shape.pairs) {
          const int partner = shape.pairing == rw::Pairing::interleaved
                                  ? inside ^ 1
                                  : (inside + shape.pairs) % (2 * shape.pairs);
          size =
              std::hypot(exact, expected[at + static_cast<std::size_t>(shape.first_dim + partner)]);
          size *= angle + 3.1 * unit + 2.0 * scales * unit;
        } else {
          size *= 2.0 * scales * unit;
        }
        const double bound = size + half_unit<T>(std::fabs(exact) + size);
        wrong += !(std::fabs(as_double(out.head(token, head)[dim]) - exact) <= bound);
      }
    }
  }
  return wrong;
}

template <typename T>
int count_changed(const std::vector<T>& before, const Memory<T>& after,
                  std::initializer_list<rw::HeadView<T>> written) {
  std::vector<bool> inside(after.elements.size());
  for (const rw::HeadView<T>& view : written) {
    for (std::int64_t token = 0; token < view.tokens; ++token) {
      for (std::int64_t head = 0; head < view.heads; ++head) {
        for (int dim = 0; dim < view.head_dim; ++dim) {
          inside[static_cast<std::size_t>(view.head(token, head) + dim - after.elements.data())] =
              true;
        }
      }
    }
  }
  int changed = 0;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    changed += !inside[i] && !same_element(before[i], after.elements[i]);
  }
  return changed;
}

template <typename Params>
void set_options(Params& params, const Shape& shape, const rw::PhaseTurns& turns,
                 const rw::PhaseTable<float>& table) {
  params.angles = rw::cuda::rotary_angles(turns);
  if (shape.table) {
    params.angles.cos = table.cos.data();
    params.angles.sin = table.sin.data();
    params.angles.rows = table.positions;
    params.angles.row_stride = table.pairs;
    params.angles.first_position = shape.first_position;
  }
  params.pairing = shape.pairing;
  params.first_dim = shape.first_dim;
  params.inverse = shape.inverse;
  if (shape.positions32.empty()) {
    params.positions = shape.positions.data();
  } else {
    params.positions32 = shape.positions32.data();
  }
  if (!shape.head_scale_float.empty()) params.head_scale = shape.head_scale_float.data();
  if (!shape.position_scale_float.empty()) {
    params.position_scale = shape.position_scale_float.data();
  }
}

/// Views of queries, keys and values: parts of one buffer, or one after the other.
template <typename T>
struct Views {
  rw::HeadView<T> q, k, v;
  static std::int64_t size_of(const Shape& shape) {
    return shape.tokens * (shape.q_heads + 2 * shape.k_heads) * (shape.head_dim + shape.gap);
  }
  Views(const Shape& shape, T* data) {
    const std::int64_t step = shape.head_dim + shape.gap;
    const std::int64_t all = shape.q_heads + 2 * shape.k_heads;
    const auto view = [&](std::int64_t first, std::int64_t heads) {
      const std::int64_t tokens_before = shape.packed && shape.tokens != 0 ? 1 : shape.tokens;
      const std::int64_t at = tokens_before * first * step;
      return rw::HeadView<T>{
          data + at, shape.tokens, heads, shape.head_dim, (shape.packed ? all : heads) * step,
          step};
    };
    q = view(0, shape.q_heads);
    k = view(shape.q_heads, shape.k_heads);
    v = view(shape.q_heads + shape.k_heads, shape.k_heads);
  }
};

/// Random places for the tokens of a shape, no two the same, in one of five ways.
struct Places {
  int way;  // 0 slots; sequences 1, 2 with ids, 3, 4 with starts; 1, 3 dense; 2, 4 a page table
  std::vector<std::int64_t> expected;  // page * page_size + offset, or -1
  std::vector<std::int64_t> slots, positions;
  std::vector<std::int32_t> positions32, table, sequences, starts;

  template <typename T>
  Places(Random& random, Shape& shape, rw::cuda::KvWriteParams<T>& params)
      : way(static_cast<int>(random.integer(0, 4))) {
    rw::cuda::KvCache<T>& cache = params.cache;
    cache.page_size = random.one_in(3) ? random.integer(1, 9) : 16;
    cache.pages = (shape.tokens + 5) / cache.page_size + 1;
    if (way == 0) {
      const std::int64_t all = cache.pages * cache.page_size;
      std::vector<std::int64_t> order = shuffled(random, all);
      for (std::int64_t token = 0; token < shape.tokens; ++token) {
        const std::int64_t beyond = random.one_in(2) ? all + random.integer(0, 9) : -1;
        slots.push_back(random.one_in(6) ? beyond : order[static_cast<std::size_t>(token)]);
        expected.push_back(slots.back() < all ? slots.back() : -1);
      }
      params.targets.slots = slots.data();
      return;
    }
    const bool paged = way % 2 == 0;
    const std::int64_t count = random.integer(1, 4);
    cache.sequences = count;
    cache.pages_per_sequence = random.integer(1, 4);
    const std::int64_t columns = paged ? cache.pages_per_sequence : 1;
    if (paged) {
      cache.pages = count * columns + random.integer(0, 3);
      const std::vector<std::int64_t> order = shuffled(random, cache.pages);
      for (std::size_t i = 0; i < static_cast<std::size_t>(count * columns); ++i) {
        const std::int64_t beyond = random.one_in(2) ? cache.pages + random.integer(0, 3) : -1;
        table.push_back(static_cast<std::int32_t>(random.one_in(6) ? beyond : order[i]));
      }
      cache.page_table = table.data();
    } else {
      cache.pages = count;
    }
    const std::int64_t capacity = columns * cache.page_size;
    starts.push_back(0);
    for (std::int64_t i = 0; i <= count; ++i) {
      starts.push_back(static_cast<std::int32_t>(random.integer(starts.back(), shape.tokens)));
    }
    starts.erase(starts.begin());  // tokens before the first, tokens behind the last
    std::vector<std::vector<std::int64_t>> free_positions;
    for (std::int64_t i = 0; i < count; ++i) free_positions.push_back(shuffled(random, capacity));
    for (std::int64_t token = 0; token < shape.tokens; ++token) {
      std::int64_t sequence = -1;
      if (way > 2) {
        for (std::int64_t i = 0; i < count; ++i) {
          const auto index = static_cast<std::size_t>(i);
          if (token >= starts[index] && token < starts[index + 1]) sequence = i;
        }
      } else {
        sequence =
            random.one_in(8) ? (random.one_in(2) ? -1 : count) : random.integer(0, count - 1);
        sequences.push_back(static_cast<std::int32_t>(sequence));
      }
      const bool exists = sequence >= 0 && sequence < count;
      std::int64_t position = random.one_in(2) ? -random.integer(1, 99) : capacity;
      if (!exists && random.one_in(2)) position = random.integer(0, capacity - 1);
      if (exists && !free_positions[static_cast<std::size_t>(sequence)].empty() &&
          !random.one_in(8)) {
        position = free_positions[static_cast<std::size_t>(sequence)].back();
        free_positions[static_cast<std::size_t>(sequence)].pop_back();
      }
      positions.push_back(position);
      positions32.push_back(static_cast<std::int32_t>(position));
      std::int64_t page = -1;
      if (exists && position >= 0 && position < capacity) {
        page =
            paged ? table[static_cast<std::size_t>(sequence * columns + position / cache.page_size)]
                  : sequence;
      }
      expected.push_back(page < 0 || page >= cache.pages
                             ? -1
                             : page * cache.page_size + position % cache.page_size);
    }
    if (way > 2) {
      params.targets.starts = starts.data();
      params.targets.sequence_count = count;
    } else {
      params.targets.sequences = sequences.data();
    }
    if (!shape.table && random.one_in(3)) {  // where they rotate is where they lie
      if (!shape.positions32.empty()) shape.positions32 = positions32;
      shape.positions = positions;
    } else if (random.one_in(2)) {
      params.targets.positions = positions.data();
    } else {
      params.targets.positions32 = positions32.data();
    }
  }

  static std::vector<std::int64_t> shuffled(Random& random, std::int64_t size) {
    std::vector<std::int64_t> order;
    for (std::int64_t i = 0; i < size; ++i) order.push_back(i);
    for (std::int64_t i = 0; i < size; ++i) {
      std::swap(order[static_cast<std::size_t>(i)],
                order[static_cast<std::size_t>(random.integer(i, size - 1))]);
    }
    return order;
  }
};

template <typename T>
Array array_of(const Memory<T>& memory) {
  // From the aligned address on.
  const auto skipped = static_cast<std::size_t>(memory.data - memory.elements.data());
  return {memory.data, (memory.elements.size() - skipped) * sizeof(T)};
}

/// What came of one call.
struct Outcome {
  std::string text;
  std::string refused;  // the field, where the call was
  int wrong = 0;
  int skipped = 0;  // tokens without a place
  int way = -1;     // of Places
};

inline std::vector<Array> arrays_of(const Shape& shape, const rw::PhaseTable<float>& table) {
  return {array_of(shape.positions),
          array_of(shape.positions32),
          array_of(shape.head_scale_float),
          array_of(shape.position_scale_float),
          array_of(table.cos),
          array_of(table.sin)};
}

/// A random rotation.
///   run          run(params, arrays): the call, on copies of the arrays that are written back
template <typename T, typename Run>
Outcome rotation_case(Random& random, const Run& run) {
  const Shape shape(random);
  Outcome outcome;
  outcome.text = shape.text();
  const rw::PhaseTurns turns = rw::phase_turns(shape.spectrum);
  const auto table = rw::phase_table<float>(shape.spectrum, shape.first_position, 64);
  Memory<T> in(Views<T>::size_of(shape));
  const Views<T> from(shape, in.data);
  fill(random, from.q);
  fill(random, from.k);
  Memory<T> out(Views<T>::size_of(shape));
  if (shape.in_place) std::copy(in.data, in.data + Views<T>::size_of(shape), out.data);
  const std::vector<T> before = out.elements;
  const Views<T> to(shape, out.data);
  rw::cuda::RotaryParams<T> params;
  params.q = shape.in_place ? to.q : from.q;
  params.k = shape.in_place ? to.k : from.k;
  params.q_out = to.q;
  params.k_out = to.k;
  params.overlap_previous = random.one_in(2);
  set_options(params, shape, turns, table);
  const rw::Fault fault = rw::cuda::validate(params);
  if (fault.code != rw::Errc::ok) {
    outcome.refused = fault.field;
    return outcome;
  }
  const auto q = expected_of<T>(shape, turns, table, from.q, true);
  const auto k = expected_of<T>(shape, turns, table, from.k, false);
  std::vector<Array> arrays = arrays_of(shape, table);
  arrays.push_back(array_of(in));
  arrays.push_back(array_of(out));
  run(params, arrays);
  outcome.wrong = count_wrong<T>(shape, q, to.q, true) + count_wrong<T>(shape, k, to.k, false) +
                  count_changed(before, out, {to.q, to.k});
  return outcome;
}

/// A random write of keys and values to a cache.
///   run          as above
template <typename T, typename Run>
Outcome store_case(Random& random, const Run& run) {
  Shape shape(random);
  if (shape.k_heads == 0) shape.k_heads = 2;
  const bool keeps_queries = !random.one_in(5);
  rw::cuda::KvWriteParams<T> params;
  const Places places(random, shape, params);
  Outcome outcome;
  outcome.text = shape.text() + " way " + std::to_string(places.way);
  outcome.way = places.way;
  const rw::PhaseTurns turns = rw::phase_turns(shape.spectrum);
  const auto table = rw::phase_table<float>(shape.spectrum, shape.first_position, 64);
  Memory<T> in(Views<T>::size_of(shape));
  const Views<T> from(shape, in.data);
  fill(random, from.q);
  fill(random, from.k);
  fill(random, from.v);
  Memory<T> out(Views<T>::size_of(shape));
  const std::vector<T> before = out.elements;
  const Views<T> to(shape, out.data);

  // [page, token, head, dim], or [page, head, token, dim]
  const std::int64_t step = shape.head_dim + shape.gap;
  const bool heads_outside = random.one_in(2);
  params.cache.token_stride = heads_outside ? step : step * shape.k_heads;
  params.cache.head_stride = heads_outside ? step * params.cache.page_size : step;
  params.cache.page_stride = step * shape.k_heads * params.cache.page_size;
  const std::int64_t size = params.cache.pages * params.cache.page_stride;
  Memory<T> keys(size);
  Memory<T> values(size);
  params.cache.k = keys.data;
  params.cache.v = values.data;
  if (keeps_queries) {
    params.q = from.q;
    params.q_out = to.q;
  }
  params.k = from.k;
  params.v = from.v;
  params.overlap_previous = random.one_in(2);
  set_options(params, shape, turns, table);
  const rw::Fault fault = rw::cuda::validate(params);
  if (fault.code != rw::Errc::ok) {
    outcome.refused = fault.field;
    return outcome;
  }
  const auto q = expected_of<T>(shape, turns, table, from.q, true);
  const auto k = expected_of<T>(shape, turns, table, from.k, false);
  std::vector<Array> arrays = arrays_of(shape, table);
  for (const Memory<T>* memory : {&in, &out, &keys, &values}) arrays.push_back(array_of(*memory));
  arrays.push_back(array_of(places.slots));
  arrays.push_back(array_of(places.positions));
  for (const auto* list : {&places.positions32, &places.table, &places.sequences, &places.starts}) {
    arrays.push_back(array_of(*list));
  }
  run(params, arrays);

  // The keys as they lie in the cache, put together again; where there is no place, as expected.
  Memory<T> gathered(Views<T>::size_of(shape));
  const Views<T> turned(shape, gathered.data);
  const Memory<T> untouched(size);
  Memory<T> rest_of_keys = keys.copy(), rest_of_values = values.copy();
  std::size_t row = 0;
  for (std::int64_t token = 0; token < shape.tokens; ++token) {
    const std::int64_t slot = places.expected[static_cast<std::size_t>(token)];
    outcome.skipped += slot < 0;
    for (std::int64_t head = 0; head < shape.k_heads; ++head) {
      T* const wanted = turned.k.head(token, head);
      const std::int64_t at = slot < 0
                                  ? 0
                                  : slot / params.cache.page_size * params.cache.page_stride +
                                        slot % params.cache.page_size * params.cache.token_stride +
                                        head * params.cache.head_stride;
      for (int dim = 0; dim < shape.head_dim; ++dim, ++row) {
        if (slot < 0) {
          wanted[dim] = as_element<T>(k[row]);
          continue;
        }
        wanted[dim] = keys.data[at + dim];
        outcome.wrong += !same_element(values.data[at + dim], from.v.head(token, head)[dim]);
        rest_of_keys.data[at + dim] = rest_of_values.data[at + dim] = untouched.data[at + dim];
      }
    }
  }
  outcome.wrong += count_wrong<T>(shape, k, turned.k, false);
  for (std::int64_t i = 0; i < size; ++i) {
    outcome.wrong += !same_element(rest_of_keys.data[i], untouched.data[i]) +
                     !same_element(rest_of_values.data[i], untouched.data[i]);
  }
  if (keeps_queries) {
    outcome.wrong += count_wrong<T>(shape, q, to.q, true) + count_changed(before, out, {to.q});
  }
  return outcome;
}

}  // namespace ropewalk_test
