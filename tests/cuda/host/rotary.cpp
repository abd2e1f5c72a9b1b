#include "cuda/emulation.hpp"
#include "support/catch.hpp"
#include "support/rotation.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

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
};

template <typename T>
void fill(Random& random, const rw::HeadView<T>& view) {
  for (std::int64_t token = 0; token < view.tokens; ++token) {
    for (std::int64_t head = 0; head < view.heads; ++head) {
      for (int dim = 0; dim < view.head_dim; ++dim) {
        view.head(token, head)[dim] = element_of<T>(random.uniform(-4.0, 4.0));
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
        memory.push_back(value_of(in.head(token, head)[dim]));
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
        const double bound = size + storage_rounding<T>(std::fabs(exact) + size);
        wrong += !(std::fabs(value_of(out.head(token, head)[dim]) - exact) <= bound);
      }
    }
  }
  return wrong;
}

template <typename T>
int count_changed(const Memory<T>& before, const Memory<T>& after,
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
    changed += !inside[i] && !same_bits(before.elements[i], after.elements[i]);
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
      const std::int64_t at = shape.packed ? first * step : shape.tokens * first * step;
      return rw::HeadView<T>{
          data + at, shape.tokens, heads, shape.head_dim, (shape.packed ? all : heads) * step,
          step};
    };
    q = view(0, shape.q_heads);
    k = view(shape.q_heads, shape.k_heads);
    v = view(shape.q_heads + shape.k_heads, shape.k_heads);
  }
};

constexpr int kShapes = 600;

}  // namespace

TEMPLATE_TEST_CASE("the rotary kernel's threads compute what rotate() does, for random shapes", "",
                   float, rw::float16, rw::bfloat16) {
  using T = TestType;
  Random random("cuda rotary");
  int wide = 0;
  int wrong = 0;
  for (int iteration = 0; iteration < kShapes; ++iteration) {
    const Shape shape(random);
    INFO(shape.text());
    const rw::PhaseTurns turns = rw::phase_turns(shape.spectrum);
    const auto table = rw::phase_table<float>(shape.spectrum, shape.first_position, 64);
    Memory<T> in(Views<T>::size_of(shape));
    const Views<T> from(shape, in.data);
    fill(random, from.q);
    fill(random, from.k);
    Memory<T> out(Views<T>::size_of(shape));
    if (shape.in_place) std::copy(in.data, in.data + Views<T>::size_of(shape), out.data);
    const Memory<T> before = [&] {
      Memory<T> copy(Views<T>::size_of(shape));
      copy.elements = out.elements;
      return copy;
    }();
    const Views<T> to(shape, out.data);
    rw::cuda::RotaryParams<T> params;
    params.q = shape.in_place ? to.q : from.q;
    params.k = shape.in_place ? to.k : from.k;
    params.q_out = to.q;
    params.k_out = to.k;
    set_options(params, shape, turns, table);
    const rw::Fault fault = rw::cuda::validate(params);
    INFO(fault.field);
    REQUIRE(fault.code == rw::Errc::ok);
    const auto q = expected_of<T>(shape, turns, table, from.q, true);
    const auto k = expected_of<T>(shape, turns, table, from.k, false);
    REQUIRE(launchable(rw::cuda::detail::rotary_job(params)));
    wide += emulate_launch(params);
    wrong += count_wrong<T>(shape, q, to.q, true) + count_wrong<T>(shape, k, to.k, false);
    wrong += count_changed(before, out, {to.q, to.k});
    REQUIRE(wrong == 0);
  }
  std::printf("rotary kernel on the host: %d shapes, %d of them 16 bytes at a time\n", kShapes,
              wide);
  CHECK(wide > kShapes / 4);
  CHECK(wide < kShapes * 3 / 4);
}

TEMPLATE_TEST_CASE("keys and values arrive in the slots they were given and nowhere else", "",
                   float, rw::float16, rw::bfloat16) {
  using T = TestType;
  Random random("cuda kv write");
  int wide = 0;
  int skipped = 0;
  for (int iteration = 0; iteration < kShapes; ++iteration) {
    Shape shape(random);
    if (shape.k_heads == 0) shape.k_heads = 2;
    const bool keeps_queries = !random.one_in(5);
    INFO(shape.text());
    const rw::PhaseTurns turns = rw::phase_turns(shape.spectrum);
    const auto table = rw::phase_table<float>(shape.spectrum, shape.first_position, 64);
    Memory<T> in(Views<T>::size_of(shape));
    const Views<T> from(shape, in.data);
    fill(random, from.q);
    fill(random, from.k);
    fill(random, from.v);
    Memory<T> out(Views<T>::size_of(shape));
    const Views<T> to(shape, out.data);

    rw::cuda::KvWriteParams<T> params;
    params.cache.page_size = random.one_in(3) ? random.integer(1, 9) : 16;
    params.cache.pages = (shape.tokens + 5) / params.cache.page_size + 1;
    // [page, token, head, dim], or [page, head, token, dim]
    const std::int64_t step = shape.head_dim + shape.gap;
    const bool heads_outside = random.one_in(2);
    params.cache.token_stride = heads_outside ? step : step * shape.k_heads;
    params.cache.head_stride = heads_outside ? step * params.cache.page_size : step;
    params.cache.page_stride = step * shape.k_heads * params.cache.page_size;
    const std::int64_t all = params.cache.pages * params.cache.page_size;
    Memory<T> keys(params.cache.pages * params.cache.page_stride);
    Memory<T> values(params.cache.pages * params.cache.page_stride);
    params.cache.k = keys.data;
    params.cache.v = values.data;
    // Slots in an order without repetition: 1 + i * odd mod a power of two would skip; shuffle.
    std::vector<std::int64_t> order;
    for (std::int64_t slot = 0; slot < all; ++slot) order.push_back(slot);
    std::vector<std::int64_t> slots;
    for (std::int64_t token = 0; token < shape.tokens; ++token) {
      std::swap(order[static_cast<std::size_t>(token)],
                order[static_cast<std::size_t>(random.integer(token, all - 1))]);
      slots.push_back(random.one_in(6) ? (random.one_in(2) ? -1 : all + random.integer(0, 9))
                                       : order[static_cast<std::size_t>(token)]);
    }
    params.cache.slots = slots.data();
    if (keeps_queries) {
      params.q = from.q;
      params.q_out = to.q;
    }
    params.k = from.k;
    params.v = from.v;
    set_options(params, shape, turns, table);
    const rw::Fault fault = rw::cuda::validate(params);
    INFO(fault.field);
    REQUIRE(fault.code == rw::Errc::ok);
    REQUIRE(launchable(rw::cuda::detail::rotary_job(params)));
    wide += emulate_launch(params);

    // The rotation alone, into plain memory, is the expectation: to the bit.
    Memory<T> plain(Views<T>::size_of(shape));
    const Views<T> turned(shape, plain.data);
    rw::cuda::RotaryParams<T> rotation;
    rotation.q = from.q;
    rotation.q_out = turned.q;
    rotation.k = from.k;
    rotation.k_out = turned.k;
    set_options(rotation, shape, turns, table);
    emulate_launch(rotation);
    Memory<T> wanted_keys(params.cache.pages * params.cache.page_stride);
    Memory<T> wanted_values(params.cache.pages * params.cache.page_stride);
    for (std::int64_t token = 0; token < shape.tokens; ++token) {
      const std::int64_t slot = slots[static_cast<std::size_t>(token)];
      if (slot < 0 || slot >= all) {
        ++skipped;
        continue;
      }
      for (std::int64_t head = 0; head < shape.k_heads; ++head) {
        const std::int64_t at = slot / params.cache.page_size * params.cache.page_stride +
                                slot % params.cache.page_size * params.cache.token_stride +
                                head * params.cache.head_stride;
        std::copy_n(turned.k.head(token, head), shape.head_dim, wanted_keys.data + at);
        std::copy_n(from.v.head(token, head), shape.head_dim, wanted_values.data + at);
      }
    }
    int wrong = 0;
    const auto compare = [&wrong](const T* got, const T* wanted, std::int64_t size) {
      for (std::int64_t i = 0; i < size; ++i) wrong += !same_bits(got[i], wanted[i]);
    };
    compare(keys.data, wanted_keys.data, params.cache.pages * params.cache.page_stride);
    compare(values.data, wanted_values.data, params.cache.pages * params.cache.page_stride);
    if (keeps_queries) {
      for (std::int64_t token = 0; token < shape.tokens; ++token) {
        for (std::int64_t head = 0; head < shape.q_heads; ++head) {
          compare(to.q.head(token, head), turned.q.head(token, head), shape.head_dim);
        }
      }
    }
    REQUIRE(wrong == 0);
  }
  CHECK(wide > kShapes / 4);
  CHECK(skipped > kShapes / 2);
}

TEST_CASE("what a rotation on the device cannot do is refused by the field") {
  std::vector<float> memory(64);
  std::vector<std::int64_t> positions(2);
  const auto sound = [&] {
    rw::cuda::RotaryParams<float> params;
    params.q_out = rw::make_head_view(memory.data(), 2, 2, 8);
    params.q = params.q_out;
    params.positions = positions.data();
    params.angles.pairs = 4;
    return params;
  };
  const auto field_of = [](const rw::cuda::RotaryParams<float>& params) {
    const rw::Fault fault = rw::cuda::validate(params);
    return std::string(fault.code == rw::Errc::ok ? "" : fault.field);
  };
  CHECK(field_of(sound()).empty());
  auto params = sound();
  params.positions = nullptr;
  CHECK(field_of(params) == "positions");
  params = sound();
  params.angles.pairs = 0;
  CHECK(field_of(params) == "angles.pairs");
  params = sound();
  params.angles.pairs = rw::cuda::kMaximumPairs + 1;
  CHECK(field_of(params) == "angles.pairs");
  params = sound();
  params.first_dim = 1;
  CHECK(field_of(params) == "first_dim");
  params = sound();
  params.q_out.data += 1;
  CHECK(field_of(params) == "q_out");
  params = sound();
  params.angles.cos = memory.data();
  CHECK(field_of(params) == "angles.sin");
  params = sound();
  params.k_out = rw::make_head_view(memory.data() + 16, 2, 2, 8);
  params.k = params.k_out;
  CHECK(field_of(params) == "k_out");
}

TEST_CASE("a position outside the table gives NaN, not another position's angle") {
  std::vector<float> memory(8, 1.0f);
  const std::int64_t positions[2] = {9, 12};
  const float table[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  rw::cuda::RotaryParams<float> params;
  params.q_out = rw::make_head_view(memory.data(), 2, 1, 4);
  params.q = params.q_out;
  params.positions = positions;
  params.angles.pairs = 2;
  params.angles.cos = params.angles.sin = table;
  params.angles.rows = 2;
  params.angles.row_stride = 2;
  params.angles.first_position = 11;
  emulate_launch(params);
  for (int i = 0; i < 4; ++i) {
    CHECK((rw::detail::bits_of(memory[static_cast<std::size_t>(i)]) & 0x7fffffffu) > 0x7f800000u);
  }
  CHECK(memory[4] == 0.0f);
  CHECK(memory[6] == 2.0f);
}

TEST_CASE("the largest and the smallest launches are within what a card takes") {
  std::vector<float> memory(1);
  const std::int64_t position = 0;
  for (const int pairs : {1, 3, 8, 64, rw::cuda::kMaximumPairs}) {
    for (const int head_dim : {2 * pairs, 2 * pairs + 1, rw::cuda::kMaximumHeadDim}) {
      for (const std::int64_t heads : {1, 2, 33, rw::cuda::kMaximumHeads}) {
        for (const std::int64_t tokens : {1, 2, 63, 1000, 1 << 20}) {
          INFO(pairs << " " << head_dim << " " << heads << " " << tokens);
          rw::cuda::RotaryParams<float> params;
          params.q_out = rw::make_head_view(memory.data(), tokens, heads, head_dim);
          params.q = params.q_out;
          params.positions = &position;
          params.angles.pairs = pairs;
          REQUIRE(rw::cuda::validate(params).code == rw::Errc::ok);
          const auto job = rw::cuda::detail::rotary_job(params);
          REQUIRE(launchable(job));
          CHECK(job.blocks * job.block_tokens >= tokens);
          CHECK(std::int64_t{job.groups} * job.heads_per_group >= heads);
        }
      }
    }
  }
}

TEST_CASE("without pairs keys and values are written as they are") {
  std::vector<float> keys = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
  std::vector<float> values = {7.0f, 8.0f, 9.0f, 10.0f, 11.0f, 12.0f};
  std::vector<float> cache_k(12, 0.0f), cache_v(12, 0.0f);
  const std::int64_t positions[2] = {5, 6};
  const std::int64_t slots[2] = {3, 0};
  rw::cuda::KvWriteParams<float> params;
  params.k = rw::make_head_view<const float>(keys.data(), 2, 1, 3);
  params.v = rw::make_head_view<const float>(values.data(), 2, 1, 3);
  params.positions = positions;
  params.cache = {cache_k.data(), cache_v.data(), 2, 2, 6, 3, 3, slots};
  REQUIRE(rw::cuda::validate(params).code == rw::Errc::ok);
  emulate_launch(params);
  CHECK(cache_k == std::vector<float>{4, 5, 6, 0, 0, 0, 0, 0, 0, 1, 2, 3});
  CHECK(cache_v == std::vector<float>{10, 11, 12, 0, 0, 0, 0, 0, 0, 7, 8, 9});
}
