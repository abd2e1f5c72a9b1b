// Position schemes against definitions spelled out another way: masks and caches simulated token by
// token, logarithms and powers at 192 bits.
#include <ropewalk/position/alibi.hpp>
#include <ropewalk/position/chunk_masks.hpp>
#include <ropewalk/position/dual_chunk.hpp>
#include <ropewalk/position/lm_infinite.hpp>
#include <ropewalk/position/multi_axis.hpp>
#include <ropewalk/position/rerope.hpp>
#include <ropewalk/position/self_extend.hpp>
#include <ropewalk/position/streaming.hpp>
#include <ropewalk/position/string.hpp>
#include <ropewalk/position/t5_bias.hpp>
#include <ropewalk/position/xpos.hpp>

#include "domain.hpp"
#include "support/catch.hpp"
#include "support/mpfr.hpp"
#include "support/random.hpp"
#include "support/remap.hpp"
#include "support/ulp.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <type_traits>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr rw::RopeConfig kTrained{128, 128, 10000.0, 4096};

/// Random queries and keys, near and far, of a remap with random parameters.
template <typename Draw>
void check_passes(const char* name, bool sees_all, Draw draw) {
  Random random(name);
  const std::uint64_t iterations = test_iterations();
  std::string wrong;
  for (std::uint64_t i = 0; i < iterations && wrong.empty(); ++i) {
    const auto remap = draw(random);
    const std::int64_t longest = random.one_in(4) ? rw::kLargestPosition : 20000;
    const std::int64_t query =
        random.one_in(2) ? random.integer(0, 20000) : random.length(1, longest);
    const std::int64_t key = random.one_in(2)
                                 ? random.integer(0, query)
                                 : query - random.integer(0, (std::min)(query, std::int64_t{300}));
    wrong = disagreement(remap, query, key);
    if (sees_all && !rw::is_visible(remap, query, key)) wrong = "unseen";
    if (remap.validate(kTrained).code != rw::Errc::ok) wrong = "parameters";
    if (!wrong.empty()) wrong += " at " + std::to_string(query) + ", " + std::to_string(key);
  }
  INFO(seed_text());
  INFO(name);
  CHECK(wrong == "");
}

}  // namespace

TEST_CASE("positions of every pass differ by the remapped distance") {
  check_passes("Self-Extend", true, [](Random& random) {
    const std::int64_t group = random.length(1, 64);
    return rw::SelfExtend{group, group * random.integer(1, 4095 / group)};
  });
  check_passes("Self-Extend in blocks", true, [](Random& random) {
    const std::int64_t group = random.length(1, 64);
    return rw::BlockSelfExtend{group, group * random.integer(1, 4095 / group)};
  });
  check_passes("ReRoPE", true, [](Random& random) { return rw::Rerope{random.length(1, 4095)}; });
  check_passes("Leaky ReRoPE", true, [](Random& random) {
    return rw::LeakyRerope{random.length(1, 4095), random.length(1, 1000)};
  });
  check_passes("LM-Infinite", false, [](Random& random) {
    return rw::LmInfinite{random.integer(0, 200), random.length(1, 4096)};
  });
  check_passes("StreamingLLM", false, [](Random& random) {
    return rw::Streaming{random.integer(0, 200), random.length(1, 3896)};
  });
  check_passes("Dual Chunk", true, [](Random& random) {
    const std::int64_t chunk = random.length(1, 4095);
    return rw::DualChunk{chunk, random.integer(0, chunk - 1)};
  });
  check_passes("STRING", true, [](Random& random) {
    const std::int64_t shift = random.length(1, 4095);
    return rw::StringShift{shift, random.length(1, shift)};
  });
}

TEST_CASE("default remaps are the identity at every distance") {
  Random random("identity remaps");
  for (std::uint64_t i = 0; i < test_iterations(10000); ++i) {
    const std::int64_t query = random.length(1, rw::kLargestPosition);
    const std::int64_t key = random.integer(0, query);
    const std::int64_t r = query - key;
    const bool same =
        rw::SelfExtend{}.relative(query, key) == r &&
        rw::BlockSelfExtend{}.relative(query, key) == r && rw::Rerope{}.relative(query, key) == r &&
        rw::LeakyRerope{}.relative(query, key) == static_cast<double>(r) &&
        rw::LmInfinite{}.relative(query, key) == r && rw::Streaming{}.relative(query, key) == r &&
        rw::DualChunk{}.relative(query, key) == r && rw::StringShift{}.relative(query, key) == r;
    if (!same) {
      INFO(seed_text() << " query " << query << " key " << key);
      CHECK(same);
      break;
    }
  }
  SUCCEED();
}

TEST_CASE("Self-Extend's capacity is the last length with trained distances") {
  Random random("capacity");
  for (int i = 0; i < 200; ++i) {
    const std::int64_t group = random.length(1, 16);
    rw::RopeConfig config = kTrained;
    config.original_length = random.integer(2 * group, 400);
    const std::int64_t blocks = random.integer(1, (config.original_length - 1) / group);
    const rw::SelfExtend remap{group, group * blocks};
    const std::int64_t capacity = remap.capacity(config);
    std::int64_t largest = 0;
    for (std::int64_t query = 0; query < capacity; ++query) {
      largest = (std::max)(largest, remap.relative(query, 0));
    }
    INFO(seed_text() << " group " << group << " window " << remap.window);
    CHECK(largest == config.original_length - 1);
    CHECK(remap.relative(capacity, 0) == config.original_length);
  }
}

// The loop that llama.cpp runs before each token when --grp-attn-n is above 1, on a cache of one
// number per token: shift a range of positions, divide a range, shift the rest.
TEST_CASE("block Self-Extend is llama.cpp's cache, token by token") {
  struct Cache {
    std::vector<std::int64_t> positions;
    void add(std::int64_t first, std::int64_t end, std::int64_t delta) {
      for (std::int64_t& p : positions) {
        if (p >= first && p < end) p += delta;
      }
    }
    void divide(std::int64_t first, std::int64_t end, std::int64_t by) {
      for (std::int64_t& p : positions) {
        if (p >= first && p < end) p /= by;
      }
    }
  };
  Random random("grp-attn");
  for (int run = 0; run < 40; ++run) {
    const std::int64_t n = random.integer(1, 9);
    const std::int64_t w = n * random.integer(1, 12);
    const rw::BlockSelfExtend remap{n, w};
    Cache cache;
    std::int64_t next = 0;
    std::int64_t i = 0;
    std::string wrong;
    for (std::int64_t token = 0; token < 300 && wrong.empty(); ++token) {
      while (n > 1 && next >= i + w) {
        const std::int64_t ib = n * i / w;
        const std::int64_t bd = w / n * (n - 1);
        const std::int64_t dd = w / n - ib * bd - w;
        cache.add(i, next, ib * bd);
        cache.divide(i + ib * bd, i + ib * bd + w, n);
        cache.add(i + ib * bd + w, next + ib * bd, dd);
        next -= bd;
        i += w / n;
      }
      cache.positions.push_back(next);
      for (std::int64_t key = 0; key <= token; ++key) {
        const std::int64_t stored = cache.positions[static_cast<std::size_t>(key)];
        const bool same =
            remap.position(key, token) == stored && remap.relative(token, key) == next - stored;
        if (!same) wrong = std::to_string(token) + ", " + std::to_string(key);
      }
      ++next;
    }
    INFO(seed_text() << " n " << n << " w " << w);
    CHECK(wrong == "");
  }
}

TEST_CASE("Self-Extend is two score matrices and a mask") {
  Random random("self-extend by matrix");
  for (int run = 0; run < 20; ++run) {
    const std::int64_t group = random.integer(1, 7);
    const std::int64_t window = group * random.integer(1, 9);
    const rw::SelfExtend remap{group, window};
    bool same = true;
    for (std::int64_t query = 0; query < 200; ++query) {
      const std::int64_t grouped_query = query / group + window - window / group;
      for (std::int64_t key = 0; key <= query; ++key) {
        const std::int64_t neighbour = query - key;
        const std::int64_t grouped = grouped_query - key / group;
        same = same && remap.relative(query, key) == (neighbour < window ? neighbour : grouped);
      }
    }
    INFO(seed_text() << " group " << group << " window " << window);
    CHECK(same);
  }
}

// Keys rotated once by their place in the chunk, three tables of query positions, as engines do.
TEST_CASE("Dual Chunk Attention is one key table and three query tables") {
  Random random("dual chunk by tables");
  for (int run = 0; run < 40; ++run) {
    const std::int64_t chunk_size = random.integer(2, 60);
    const std::int64_t local_size = random.integer(0, chunk_size - 1);
    const std::int64_t length = chunk_size - local_size;
    const rw::DualChunk remap{chunk_size, local_size};
    bool same = true;
    std::int64_t largest = 0;
    for (std::int64_t query = 0; query < 300; ++query) {
      const std::int64_t intra = query % length;
      const std::int64_t successive = (std::min)(query % length + length, chunk_size);
      const std::int64_t inter = (std::min)(2 * length - 1, chunk_size);
      for (std::int64_t key = 0; key <= query; ++key) {
        const std::int64_t ages = query / length - key / length;
        const std::int64_t position = ages == 0 ? intra : ages == 1 ? successive : inter;
        const std::int64_t distance = remap.relative(query, key);
        same = same && distance == position - key % length && distance >= 0;
        if (query - key < local_size) same = same && (ages > 1 || distance == query - key);
        largest = (std::max)(largest, distance);
      }
    }
    INFO(seed_text() << " chunk " << chunk_size << " local " << local_size);
    CHECK(same);
    CHECK(largest <= chunk_size);
  }
}

TEST_CASE("StreamingLLM's distances are those of a cache that drops tokens") {
  Random random("streaming by eviction");
  for (int run = 0; run < 40; ++run) {
    const std::int64_t sinks = random.integer(0, 6);
    const std::int64_t window = random.integer(1, 40);
    const rw::Streaming remap{sinks, window};
    std::deque<std::int64_t> cache;
    bool same = true;
    for (std::int64_t query = 0; query < 200; ++query) {
      cache.push_back(query);
      if (static_cast<std::int64_t>(cache.size()) > sinks + window) {
        cache.erase(cache.begin() + static_cast<std::ptrdiff_t>(sinks));
      }
      for (std::int64_t key = 0; key <= query; ++key) {
        const auto found = std::find(cache.begin(), cache.end(), key);
        same = same && rw::is_visible(remap, query, key) == (found != cache.end());
        if (found == cache.end()) continue;
        const std::int64_t place = found - cache.begin();
        const auto last = static_cast<std::int64_t>(cache.size()) - 1;
        same = same && remap.cache_index(query, key) == place;
        same = same && remap.relative(query, key) == last - place;
      }
    }
    INFO(seed_text() << " sinks " << sinks << " window " << window);
    CHECK(same);
  }
}

TEST_CASE("clipped, leaking and shifted distances follow their definitions") {
  Random random("distance formulas");
  bool same = true;
  for (std::uint64_t i = 0; i < test_iterations() && same; ++i) {
    const std::int64_t window = random.length(1, 4095);
    const std::int64_t factor = random.length(1, 1000);
    const std::int64_t local = random.length(1, window);
    const std::int64_t key = random.length(1, 1 << 20);
    const std::int64_t r = random.length(1, 1 << 20) - 1;
    const std::int64_t query = key + r;
    same = rw::Rerope{window}.relative(query, key) == (std::min)(r, window) &&
           rw::LmInfinite{4, window}.relative(query, key) == (std::min)(r, window) &&
           rw::StringShift{window, local}.relative(query, key) ==
               (r < window ? r : r - window + local);
    const Mpfr leaking = r < window ? Mpfr(r) : Mpfr(window) + Mpfr(r - window) / Mpfr(factor);
    const double distance = rw::LeakyRerope{window, factor}.relative(query, key);
    same = same && (distance == 0.0 ? r == 0 : ulp_error(distance, leaking) <= 1.0);
  }
  INFO(seed_text());
  CHECK(same);
}

TEST_CASE("masks are those of the matrix they stand for") {
  Random random("masks by matrix");
  for (int run = 0; run < 40; ++run) {
    const std::int64_t group = 2 * random.integer(1, 20);
    const std::int64_t tokens = group * random.integer(1, 6);
    const rw::ShiftedGroups groups{group};
    const rw::ChunkMask chunks{group};
    const rw::HeadSpans spans{{group, 1}};
    bool same = true;
    for (std::int64_t query = 0; query < tokens; ++query) {
      for (std::int64_t key = 0; key < tokens; ++key) {
        const bool causal = key <= query;
        const bool together = query / group == key / group;
        // A row of tokens rolled by half a group, without the group that the roll closes to a ring.
        const bool rolled = (query + group / 2) / group == (key + group / 2) / group;
        same = same && chunks.keys(query).contains(key) == (causal && together);
        same = same && groups.keys(query, 1, 4).contains(key) == (causal && together);
        same = same && groups.keys(query, 2, 4).contains(key) == (causal && rolled);
        same = same && spans.keys(query, 0).contains(key) == (causal && query - key < group);
        same = same && spans.keys(query, 1).contains(key) == (query == key);
      }
    }
    INFO(seed_text() << " group " << group << " tokens " << tokens);
    CHECK(same);
  }
}

TEST_CASE("sound sections give every axis the pairs it asks for") {
  Random random("sections");
  std::string wrong;
  for (std::uint64_t i = 0; i < test_iterations(20000) && wrong.empty(); ++i) {
    const int pairs = static_cast<int>(random.integer(1, 128));
    rw::MultiAxis axes;
    axes.order = static_cast<rw::AxisOrder>(random.integer(0, 2));
    axes.axes = axes.order == rw::AxisOrder::chunked ? static_cast<int>(random.integer(3, 4)) : 3;
    int left = pairs;
    for (int axis = axes.axes - 1; axis > 0; --axis) {
      const bool paired = axes.order == rw::AxisOrder::alternating && axis == 1;
      axes.sections[axis] =
          paired ? axes.sections[2] : static_cast<int>(random.integer(0, left / 2));
      left -= axes.sections[axis];
    }
    axes.sections[0] = left;
    const rw::RopeConfig config{2 * pairs, 2 * pairs, 10000.0, 0};
    std::array<int, 4> counts{};
    for (int pair = 0; pair < pairs; ++pair) {
      ++counts[static_cast<std::size_t>(axes.axis_of_pair(pair))];
    }
    bool same = true;
    for (int axis = 0; axis < 4; ++axis) {
      same = same && counts[static_cast<std::size_t>(axis)] == axes.sections[axis];
    }
    const bool sound = axes.validate(config).code == rw::Errc::ok;
    if (sound != same) wrong = std::to_string(pairs) + " pairs";
  }
  INFO(seed_text());
  CHECK(wrong == "");
}

TEST_CASE("T5's buckets are the floor of the exact logarithm") {
  Random random("t5 buckets");
  const Mpfr tiny = ldexp(Mpfr(1), -150);  // 192 bits: what is closer to a whole number is one
  std::string wrong;
  for (std::uint64_t run = 0; run < test_iterations() / 250 + 1 && wrong.empty(); ++run) {
    rw::T5Buckets options;
    options.direction = random.one_in(2) ? rw::T5Direction::causal : rw::T5Direction::bidirectional;
    options.buckets = static_cast<int>(2 * random.integer(2, 128));
    const std::int64_t count = options.per_direction();
    const std::int64_t exact = count / 2;
    // Powers times the exact range have many whole-numbered edges.
    options.max_distance = random.one_in(2) ? exact << random.integer(1, 20)
                                            : random.length(exact + 1, (std::int64_t{1} << 31) - 1);
    const rw::T5Table table = rw::t5_table(options);
    const Mpfr ratio = log(Mpfr(options.max_distance) / Mpfr(exact));
    const auto bucket = [&](std::int64_t distance) {
      if (distance < exact) return distance;
      const Mpfr place = Mpfr(count - exact) * log(Mpfr(distance) / Mpfr(exact)) / ratio;
      const Mpfr nearest = rint(place);
      const Mpfr floored = abs(place - nearest) < tiny ? nearest : floor(place);
      return (std::min)(exact + whole(floored.to_double()), count - 1);
    };
    for (int i = 0; i < 64 && wrong.empty(); ++i) {
      const auto picked = static_cast<std::size_t>(random.integer(0, count - 1));
      const std::int64_t edge = table.first_distance[picked];
      const std::int64_t drawn = random.length(1, (std::int64_t{1} << 32));
      for (const std::int64_t distance : {edge, edge - 1, edge + 1, drawn}) {
        if (distance < 0) continue;
        if (table.bucket(distance, 0) != bucket(distance)) {
          wrong = std::to_string(options.buckets) + " buckets to " +
                  std::to_string(options.max_distance) + " at " + std::to_string(distance);
        }
      }
    }
  }
  INFO(seed_text());
  CHECK(wrong == "");
}

TEST_CASE("ALiBi's slopes keep their stated accuracy") {
  using Three = std::array<double, 3>;
  measure(
      "alibi_slope", {2.0, 2.0}, 0,
      [](Random& random) {
        const std::int64_t heads = random.length(1, 65536);
        return Three{random.one_in(2) ? 8.0 : random.log_uniform(1e-6, 1022.0),
                     static_cast<double>(heads), static_cast<double>(random.integer(0, heads - 1))};
      },
      [](const Three& x) {
        return rw::alibi_slope(static_cast<int>(x[1]), static_cast<int>(x[2]), x[0]);
      },
      [](const std::array<Mpfr, 3>& x) {
        Mpfr power = 1;
        while (Mpfr(2) * power <= x[1]) power = Mpfr(2) * power;
        const Mpfr share = x[2] < power ? (x[2] + Mpfr(1)) / power
                                        : (Mpfr(2) * (x[2] - power) + Mpfr(1)) / (Mpfr(2) * power);
        return pow(Mpfr(2), -(x[0] * share));
      });
}

TEST_CASE("xPos keeps its stated accuracy") {
  using Four = std::array<double, 4>;
  measure(
      "xPos query_scale", {2.0, 8.0, Against::condition}, 1,
      [](Random& random) {
        for (;;) {
          const double dim = random_dim(random);
          const Four x{
              random.log_uniform(1.0, 1e6),
              static_cast<double>(random.length(1, kLongest)) * (random.one_in(2) ? 1.0 : -1.0),
              random_pair(random, dim), dim};
          const double zeta = (2.0 * x[2] + 0.4 * dim) / (1.4 * dim);
          if (std::fabs(x[1] / x[0] * std::log(zeta)) < 700.0) return x;
        }
      },
      [](const Four& x) {
        return rw::XPos{x[0]}.query_scale(config_of(1e4, x[3]), whole(x[1]),
                                          static_cast<int>(x[2]));
      },
      [](const std::array<Mpfr, 4>& x) {
        const Mpfr zeta = (Mpfr(10) * x[2] + Mpfr(2) * x[3]) / (Mpfr(7) * x[3]);
        return pow(zeta, x[1] / x[0]);
      });
}
