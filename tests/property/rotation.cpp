// Rotation against Eigen's Rotation2D in long double, on random shapes, strides, types and options.
#include <ropewalk/rotate.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"
#include "support/rotation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Geometry>

namespace rw = ropewalk;
using ropewalk_test::Random;

namespace {

using Pair = Eigen::Matrix<long double, 2, 1>;
using Rotation = Eigen::Rotation2D<long double>;

/// The angle in (-2 pi, 2 pi). Positions below 2^11 leave every product exact in a long double.
long double angle_of(std::int64_t position, double inv_freq) {
  constexpr long double kTwoPi = 6.283185307179586476925286766559005768L;
  return std::fmod(static_cast<long double>(position) * static_cast<long double>(inv_freq), kTwoPi);
}

std::pair<int, int> elements_of_pair(rw::Pairing pairing, int pairs, int pair) {
  if (pairing == rw::Pairing::half_split) return {pair, pair + pairs};
  return {2 * pair, 2 * pair + 1};
}

enum class From { float_table, double_table, turns };

struct Call {
  int head_dim = 0;
  rw::Spectrum spectrum;
  std::vector<std::int64_t> positions;
  From from = From::turns;
  rw::Pairing pairing = rw::Pairing::half_split;
  bool in_place = false;
  std::vector<double> head_scale;
  std::vector<double> position_scale;
  rw::RotateOptions options;
};

Call draw_call(Random& random, std::int64_t tokens, std::int64_t heads) {
  Call call;
  const int pairs =
      static_cast<int>(random.one_in(6) ? random.integer(1, 160) : random.integer(1, 40));
  call.options.first_dim = random.one_in(2) ? 0 : static_cast<int>(random.integer(0, 7));
  call.head_dim = 2 * pairs + call.options.first_dim +
                  (random.one_in(2) ? 0 : static_cast<int>(random.integer(0, 7)));
  for (int pair = 0; pair < pairs; ++pair) {
    call.spectrum.inv_freq.push_back(random.one_in(20) ? 0.0 : random.log_uniform(1e-7, 1.0));
  }
  call.spectrum.attention_factor = random.one_in(2) ? 1.0 : random.uniform(0.5, 2.0);
  const std::int64_t first = random.integer(-2000, 1000);
  for (std::int64_t token = 0; token < tokens; ++token) {
    call.positions.push_back(first + random.integer(0, 40));
  }
  call.options.first_position = first;
  call.from = static_cast<From>(random.integer(0, 2));
  call.pairing = random.one_in(2) ? rw::Pairing::half_split : rw::Pairing::interleaved;
  call.in_place = random.one_in(2);
  call.options.inverse = random.one_in(3);
  if (random.one_in(3)) {
    for (std::int64_t head = 0; head < heads; ++head) {
      call.head_scale.push_back(random.uniform(-2.0, 2.0));
    }
  }
  if (random.one_in(3)) {
    for (std::int64_t token = 0; token < tokens; ++token) {
      call.position_scale.push_back(random.uniform(0.5, 2.0));
    }
  }
  if (random.one_in(4)) call.options.streaming_bytes = 0;
  return call;
}

template <typename Kernel, typename T, typename Angles>
void run(const Call& call, const rw::HeadView<T>& source, const rw::HeadView<T>& destination,
         const Angles& angles) {
  rw::RotateOptions options = call.options;
  options.head_scale = call.head_scale;
  options.position_scale = call.position_scale;
  if (call.in_place) {
    rw::rotate<Kernel>(destination, call.positions, angles, call.pairing, options);
  } else {
    rw::rotate_copy<Kernel>(rw::HeadView<const T>(source), destination, call.positions, angles,
                            call.pairing, options);
  }
}

/// The largest error as a fraction of its bound; infinite where something else is wrong.
template <typename Kernel, typename T>
double worst_fraction(const Call& call, const ropewalk_test::Strided<T>& source,
                      ropewalk_test::Strided<T> destination) {
  const std::vector<T> before = destination.memory;
  const rw::PhaseTurns turns = rw::phase_turns(call.spectrum);
  const std::int64_t first = call.options.first_position;
  if (call.from == From::turns) {
    run<Kernel>(call, source.view, destination.view, turns);
  } else if (call.from == From::float_table) {
    run<Kernel>(call, source.view, destination.view, rw::phase_table<float>(turns, first, 41));
  } else {
    run<Kernel>(call, source.view, destination.view, rw::phase_table<double>(turns, first, 41));
  }

  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<bool> covered = destination.covered();
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!covered[i] && !ropewalk_test::same_bits(before[i], destination.memory[i])) return infinity;
  }

  const int pairs = call.spectrum.pairs();
  const int first_dim = call.options.first_dim;
  const double unit = call.from == From::float_table ? 0x1p-24 : ropewalk_test::unit_roundoff<T>();
  const int scales =
      static_cast<int>(!call.head_scale.empty()) + static_cast<int>(!call.position_scale.empty());
  double worst = 0.0;
  for (std::int64_t token = 0; token < source.view.tokens; ++token) {
    const auto token_index = static_cast<std::size_t>(token);
    std::vector<Rotation> rotations;
    for (const double inv_freq : call.spectrum.inv_freq) {
      const long double angle = angle_of(call.positions[token_index], inv_freq);
      rotations.emplace_back(call.options.inverse ? -angle : angle);
    }
    for (std::int64_t head = 0; head < source.view.heads; ++head) {
      const T* in = source.view.head(token, head);
      const T* out = destination.view.head(token, head);
      const double scale =
          (call.head_scale.empty() ? 1.0 : call.head_scale[static_cast<std::size_t>(head)]) *
          (call.position_scale.empty() ? 1.0 : call.position_scale[token_index]);
      const auto judge = [&](int dim, long double expected, double size) {
        const double error = static_cast<double>(
            std::abs(static_cast<long double>(ropewalk_test::value_of(out[dim])) - expected));
        const double bound =
            ropewalk_test::rotation_bound<T>(unit, size, scales, static_cast<double>(expected));
        const double fraction = error / bound;
        if (!(fraction <= worst)) worst = fraction;
      };
      std::vector<bool> turned(static_cast<std::size_t>(source.view.head_dim));
      for (int pair = 0; pair < pairs; ++pair) {
        auto [x, y] = elements_of_pair(call.pairing, pairs, pair);
        x += first_dim;
        y += first_dim;
        turned[static_cast<std::size_t>(x)] = turned[static_cast<std::size_t>(y)] = true;
        const Pair value(ropewalk_test::value_of(in[x]), ropewalk_test::value_of(in[y]));
        const double factor = call.spectrum.attention_factor * scale;
        const Pair expected =
            (rotations[static_cast<std::size_t>(pair)] * value) * static_cast<long double>(factor);
        const double size = static_cast<double>(value.norm()) * std::abs(factor);
        judge(x, expected(0), size);
        judge(y, expected(1), size);
      }
      for (int dim = 0; dim < source.view.head_dim; ++dim) {
        if (turned[static_cast<std::size_t>(dim)]) continue;
        if (scales == 0) {
          if (!ropewalk_test::same_bits(in[dim], out[dim])) return infinity;
        } else {
          const double expected = ropewalk_test::value_of(in[dim]) * scale;
          judge(dim, expected, std::abs(expected));
        }
      }
    }
  }
  return worst;
}

template <typename T>
void measure_type(const char* name, std::uint64_t shapes) {
  Random random(std::string("rotation ") + name);
  double worst = 0.0;
  std::string where;
  for (std::uint64_t shape = 0; shape < shapes; ++shape) {
    const std::int64_t tokens = random.one_in(3) ? 1 : random.integer(0, 5);
    const std::int64_t heads = random.integer(0, 5);
    const Call call = draw_call(random, tokens, heads);
    const ropewalk_test::Strided<T> source(random, tokens, heads, call.head_dim);
    const ropewalk_test::Strided<T> other(random, tokens, heads, call.head_dim);
    ropewalk_test::for_each_kernel([&](auto kernel, const char* kernel_name) {
      using Kernel = decltype(kernel);
      const double fraction = worst_fraction<Kernel>(call, source, call.in_place ? source : other);
      if (!(fraction <= worst)) {
        worst = fraction;
        where = std::string(kernel_name) + ", shape " + std::to_string(shape);
      }
    });
  }
  std::printf("rotation %-9s %6llu shapes: worst error %.3f of the bound, %s\n", name,
              static_cast<unsigned long long>(shapes), worst, where.c_str());
  INFO(ropewalk_test::seed_text() << ", " << where);
  CHECK(worst <= 1.0);
}

}  // namespace

TEST_CASE("rotations of random shapes lie within the stated bound of an exact rotation") {
  // 12,000 shapes at the default number of iterations.
  const std::uint64_t shapes = ropewalk_test::test_iterations() * 3 / 100 + 1;
  measure_type<float>("float", shapes);
  measure_type<double>("double", shapes);
  measure_type<rw::float16>("float16", shapes);
  measure_type<rw::bfloat16>("bfloat16", shapes);
}

TEST_CASE("a rotation keeps the norm of a pair, and turning back restores it") {
  Random random("norm and back");
  ropewalk_test::for_each_kernel([&](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    double norm_change = 0.0;
    double return_error = 0.0;
    for (int round = 0; round < 200; ++round) {
      const int pairs = static_cast<int>(random.integer(1, 80));
      const std::int64_t position = random.integer(-(std::int64_t{1} << 40), std::int64_t{1} << 40);
      rw::Spectrum spectrum;
      for (int pair = 0; pair < pairs; ++pair) {
        spectrum.inv_freq.push_back(random.log_uniform(1e-7, 1.0));
      }
      const rw::PhaseTurns turns = rw::phase_turns(spectrum);
      const auto pairing = static_cast<rw::Pairing>(random.integer(0, 1));
      const auto size = static_cast<std::size_t>(6 * pairs);
      const std::vector<float> original = ropewalk_test::random_elements<float>(random, size);
      for (int way = 0; way < 3; ++way) {
        std::vector<float> data = original;
        const auto view = rw::make_head_view(data.data(), 1, 3, 2 * pairs);
        const std::vector<std::int64_t> there = {position};
        const std::vector<std::int64_t> back = {-position};
        rw::rotate<Kernel>(view, there, turns, pairing);
        const auto norm = [&](const std::vector<float>& of, std::size_t at, std::size_t partner) {
          return std::hypot(static_cast<double>(of[at]), static_cast<double>(of[partner]));
        };
        for (std::size_t head = 0; head < 3; ++head) {
          for (int pair = 0; pair < pairs; ++pair) {
            const auto [x, y] = elements_of_pair(pairing, pairs, pair);
            const std::size_t base = head * 2 * static_cast<std::size_t>(pairs);
            const std::size_t at = base + static_cast<std::size_t>(x);
            const std::size_t partner = base + static_cast<std::size_t>(y);
            const double was = norm(original, at, partner);
            norm_change = (std::max)(norm_change, std::abs(norm(data, at, partner) - was) / was);
          }
        }
        if (way == 0) {
          rw::rotate<Kernel>(view, back, turns, pairing);
        } else if (way == 1) {
          rw::RotateOptions inverse;
          inverse.inverse = true;
          rw::rotate<Kernel>(view, there, turns, pairing, inverse);
        } else {
          rw::rotate_by<Kernel>(view, -position, turns, pairing);
        }
        for (std::size_t i = 0; i < size; ++i) {
          return_error = (std::max)(return_error, std::abs(static_cast<double>(data[i]) -
                                                           static_cast<double>(original[i])));
        }
      }
    }
    INFO(name << ", " << ropewalk_test::seed_text());
    // Both elements are within 3.1 u n, so the norm within sqrt(2) of that.
    CHECK(norm_change <= 3.1 * std::sqrt(2.0) * 0x1p-24);
    // Pairs of elements up to 4 have norms up to sqrt(32); two rotations, the second of which turns
    // both errors of the first.
    CHECK(return_error <= (1.0 + std::sqrt(2.0)) * 3.1 * 0x1p-24 * std::sqrt(32.0));
  });
}

TEST_CASE("half-split and interleaved are one rotation under the permutation of elements") {
  Random random("permutation");
  ropewalk_test::for_each_kernel([&](auto kernel, const char* name) {
    using Kernel = decltype(kernel);
    double worst = 0.0;
    for (int round = 0; round < 200; ++round) {
      const int pairs = static_cast<int>(random.integer(1, 80));
      rw::RopeConfig config;
      config.head_dim = config.rotary_dim = 2 * pairs;
      const rw::PhaseTurns turns = rw::phase_turns(rw::spectrum(config));
      const auto dims = static_cast<std::size_t>(2 * pairs);
      std::vector<float> half = ropewalk_test::random_elements<float>(random, 4 * dims);
      std::vector<float> side(half.size());
      const auto permute = [&](const std::vector<float>& from, std::vector<float>& to) {
        for (std::size_t head = 0; head < 4; ++head) {
          for (std::size_t pair = 0; pair < dims / 2; ++pair) {
            to[head * dims + 2 * pair] = from[head * dims + pair];
            to[head * dims + 2 * pair + 1] = from[head * dims + dims / 2 + pair];
          }
        }
      };
      permute(half, side);
      const std::vector<std::int64_t> positions = {random.integer(0, 1 << 20),
                                                   random.integer(0, 1 << 20)};
      rw::rotate<Kernel>(rw::make_head_view(half.data(), 2, 2, 2 * pairs), positions, turns,
                         rw::Pairing::half_split);
      rw::rotate<Kernel>(rw::make_head_view(side.data(), 2, 2, 2 * pairs), positions, turns,
                         rw::Pairing::interleaved);
      std::vector<float> expected(half.size());
      permute(half, expected);
      for (std::size_t i = 0; i < side.size(); ++i) {
        worst = (std::max)(worst, std::abs(static_cast<double>(side[i] - expected[i])));
      }
    }
    INFO(name << ", " << ropewalk_test::seed_text());
    CHECK(worst <= 2 * 3.1 * 0x1p-24 * std::sqrt(32.0));  // two results within the bound
  });
}

TEST_CASE("the ONNX operator RotaryEmbedding gives the same numbers") {
  // Its definition: the first rotary_dim elements are cut into x1 and x2 (halves, or even and odd),
  // real = cos x1 - sin x2 and imaginary = sin x1 + cos x2 put back the same way, and the rest
  // appended.
  // Caches are (positions, rotary_dim / 2), the input is (batch, heads, sequence, head_size).
  Random random("onnx");
  for (int round = 0; round < 300; ++round) {
    const std::int64_t heads = random.integer(1, 4);
    const std::int64_t sequence = random.integer(1, 6);
    const int half = static_cast<int>(random.integer(1, 40));
    const int head_size = 2 * half + static_cast<int>(random.integer(0, 8));
    const bool interleaved = random.one_in(2);
    const std::int64_t rows = 50;
    rw::RopeConfig config;
    config.head_dim = config.rotary_dim = 2 * half;
    const rw::PhaseTable<float> table = rw::phase_table<float>(rw::spectrum(config), 0, rows);
    std::vector<std::int64_t> position_ids;
    for (std::int64_t i = 0; i < sequence; ++i) position_ids.push_back(random.integer(0, rows - 1));

    std::vector<float> input = ropewalk_test::random_elements<float>(
        random, static_cast<std::size_t>(heads * sequence * head_size));
    std::vector<double> expected(input.begin(), input.end());
    for (std::int64_t head = 0; head < heads; ++head) {
      for (std::int64_t at = 0; at < sequence; ++at) {
        const auto base = static_cast<std::size_t>((head * sequence + at) * head_size);
        const auto cache =
            static_cast<std::size_t>(position_ids[static_cast<std::size_t>(at)] * half);
        std::vector<double> x1;
        std::vector<double> x2;
        const auto width = static_cast<std::size_t>(half);
        for (std::size_t i = 0; i < width; ++i) {
          x1.push_back(static_cast<double>(input[base + (interleaved ? 2 * i : i)]));
          x2.push_back(static_cast<double>(input[base + (interleaved ? 2 * i + 1 : width + i)]));
        }
        for (std::size_t i = 0; i < width; ++i) {
          const double cos = static_cast<double>(table.cos[cache + i]);
          const double sin = static_cast<double>(table.sin[cache + i]);
          expected[base + (interleaved ? 2 * i : i)] = cos * x1[i] - sin * x2[i];
          expected[base + (interleaved ? 2 * i + 1 : width + i)] = sin * x1[i] + cos * x2[i];
        }
      }
    }
    const rw::HeadView<float> view = {input.data(), sequence,  heads,
                                      head_size,    head_size, sequence * head_size};
    rw::rotate<rw::simd::Native>(view, position_ids, table,
                                 interleaved ? rw::Pairing::interleaved : rw::Pairing::half_split);
    double worst = 0.0;
    for (std::size_t i = 0; i < input.size(); ++i) {
      worst = (std::max)(worst, std::abs(static_cast<double>(input[i]) - expected[i]));
    }
    // Same table, so two roundings of a result instead of three.
    REQUIRE(worst <= 2.1 * 0x1p-24 * std::sqrt(32.0));
  }
}

TEST_CASE("ggml's NORMAL is interleaved and its NEOX half-split, the rest of a head left alone") {
  // Its definition: theta starts at the position and is multiplied by base^(-2 / n_dims) from pair
  // to pair; NORMAL turns elements (2 i, 2 i + 1), NEOX (i, i + n_dims / 2).
  Random random("ggml");
  for (int round = 0; round < 300; ++round) {
    const bool neox = random.one_in(2);
    const int n_dims = 2 * static_cast<int>(random.integer(1, 40));
    const int head_dim = n_dims + static_cast<int>(random.integer(0, 8));
    const std::int64_t position = random.integer(0, 4000);
    rw::RopeConfig config;
    config.head_dim = head_dim;
    config.rotary_dim = n_dims;
    config.theta = 500000.0;
    std::vector<float> data =
        ropewalk_test::random_elements<float>(random, static_cast<std::size_t>(head_dim));
    std::vector<double> expected(data.begin(), data.end());
    const double theta_scale = std::pow(config.theta, -2.0 / n_dims);
    double theta = static_cast<double>(position);
    for (int i0 = 0; i0 < n_dims; i0 += 2) {
      const auto a = static_cast<std::size_t>(neox ? i0 / 2 : i0);
      const auto b = static_cast<std::size_t>(neox ? i0 / 2 + n_dims / 2 : i0 + 1);
      const double x0 = static_cast<double>(data[a]);
      const double x1 = static_cast<double>(data[b]);
      expected[a] = x0 * std::cos(theta) - x1 * std::sin(theta);
      expected[b] = x0 * std::sin(theta) + x1 * std::cos(theta);
      theta *= theta_scale;
    }
    const std::vector<std::int64_t> positions = {position};
    rw::rotate<rw::simd::Native>(rw::make_head_view(data.data(), 1, 1, head_dim), positions,
                                 rw::phase_turns(rw::spectrum(config)),
                                 neox ? rw::Pairing::half_split : rw::Pairing::interleaved);
    double worst = 0.0;
    for (std::size_t i = 0; i < data.size(); ++i) {
      worst = (std::max)(worst, std::abs(static_cast<double>(data[i]) - expected[i]));
    }
    // The running product drifts by less than 1e-9 here: 40 roundings of an angle of 4000.
    REQUIRE(worst <= 3.1 * 0x1p-24 * std::sqrt(32.0) + 1e-9);
  }
}
