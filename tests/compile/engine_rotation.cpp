// The rest of engine.cpp: elements, phases, rotation, cache shifts and position schemes.
#include "engine.hpp"

#include <ropewalk/simd/rotate.hpp>

#include <cstddef>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr int kDim = 128;
constexpr std::int64_t kFar = 1000003;
// Of kFar radians: the angle of pair 0 of every model at that position.
constexpr double kFarCos = -0.877986491585002872;
constexpr double kFarSin = 0.478685408796066898;
constexpr double kFloat = 1.2e-7;  // 2 units of 2^-24: the rounded cosine and the rounded product
constexpr double kBfloat16 = 0x1p-8;

const rw::RopeConfig kLlama2{kDim, kDim, 10000.0, 4096};

rw::PhaseTurns turns() { return rw::phase_turns(rw::spectrum(kLlama2)); }

/// One head whose pair 0 is (1, 0), so that turning writes cosine and sine.
template <typename T>
struct Head {
  std::vector<T> data;

  Head() : data(kDim) { data[0] = rw::ElementTraits<T>::store(1); }
  rw::HeadView<T> view() { return rw::make_head_view(data.data(), 1, 1, kDim); }
  double at(std::size_t dim) const {
    return static_cast<double>(rw::ElementTraits<T>::load(data[dim]));
  }
};

template <typename T>
void expect_turned(const char* name, const Head<T>& head, std::size_t partner, double tolerance,
                   double scale = 1.0) {
  expect(name, head.at(0), kFarCos * scale, tolerance);
  expect(name, head.at(partner), kFarSin * scale, tolerance);
}

template <typename Kernel>
void kernel(const char* name) {
  const std::vector<std::int64_t> positions{kFar};
  Head<float> single;
  rw::rotate<Kernel>(single.view(), positions, turns(), rw::Pairing::half_split);
  expect_turned(name, single, kDim / 2, kFloat);
  Head<rw::bfloat16> narrow;
  rw::rotate<Kernel>(narrow.view(), positions, turns(), rw::Pairing::interleaved);
  expect_turned(name, narrow, 1, kBfloat16);
}

}  // namespace

void elements() {
  expect_equal("to_float16", rw::to_float16(65504.0f).bits, 0x7bff);
  expect_equal("to_float16, subnormal", rw::to_float16(0x1p-24f).bits, 0x0001);
  expect_equal("to_bfloat16, tie to even", rw::to_bfloat16(1.0f + 0x1p-8f).bits, 0x3f80);
  expect("to_float, float16", static_cast<double>(rw::to_float(rw::float16{0x3c01})), 1.0009765625);
  expect("to_float, bfloat16", static_cast<double>(rw::to_float(rw::bfloat16{0x3f81})), 1.0078125);
}

void phases() {
  const rw::Spectrum spectrum = rw::spectrum(kLlama2);
  const rw::PhaseTurns steps = turns();
  expect_equal("phase_turns", static_cast<std::int64_t>(steps.high[0]), 0x28be60db9391054a);
  expect_equal("phase_turns, slowest pair", static_cast<std::int64_t>(steps.high[63]),
               0x13458e2f59024);
  expect_equal("phase", static_cast<std::int64_t>(rw::phase(steps, 1, 1)),
               static_cast<std::int64_t>(steps.high[1]));
  for (int pair = 0; pair < steps.pairs(); ++pair) {
    const rw::Turns far = rw::phase_words(steps, kFar, pair);
    const rw::Turns sum =
        rw::detail::sum(rw::phase_words(steps, kFar + 7, pair), rw::phase_words(steps, -7, pair));
    if (far.high == sum.high && far.low == sum.low) continue;
    expect_equal("phase_words: differences are those of the positions", pair, -1);
  }
  const rw::Turns far = rw::phase_words(steps, kFar, 0);
  expect("sincos_double", rw::sincos_double(far).cos, kFarCos);
  expect("sincos_float", static_cast<double>(rw::sincos_float(far).sin), kFarSin, kFloat);

  const rw::PhaseTable<double> doubles = rw::phase_table<double>(spectrum, kFar, 1);
  expect("phase_table<double>", doubles.sin[0], kFarSin);
  const std::vector<std::int64_t> chosen{0, kFar};
  const rw::PhaseTable<float> floats = rw::phase_table<float>(steps, chosen);
  expect("phase_table<float>, position 0", static_cast<double>(floats.cos[0]), 1.0, 0.0);
  expect("phase_table<float>", static_cast<double>(floats.cos[64]), kFarCos, kFloat);
  const rw::PhaseTable<float> products = rw::phase_table_float32(spectrum, 1, 1);
  expect("phase_table_float32", static_cast<double>(products.cos[0]), std::cos(1.0), kFloat);
  std::vector<double> cosines(64);
  std::vector<double> sines(64);
  rw::fill_phase_row(steps, kFar, 2.0, cosines.data(), sines.data());
  expect("fill_phase_row", cosines[0], 2.0 * kFarCos);
  rw::fill_phase_rows(steps, kFar, 1, cosines.data(), sines.data());
  expect("fill_phase_rows", sines[0], kFarSin);
}

void rotations() {
  const std::vector<std::int64_t> positions{kFar};
  const auto half = rw::Pairing::half_split;
  const rw::PhaseTable<double> table = rw::phase_table<double>(turns(), kFar, 1);
  rw::RotateOptions at_table;
  at_table.first_position = kFar;

  Head<double> q;
  Head<double> k;
  rw::rotate(q.view(), k.view(), positions, table, half, at_table);
  expect_turned("rotate q", q, kDim / 2, 1e-11);
  expect_turned("rotate k", k, kDim / 2, 1e-11);
  at_table.inverse = true;
  rw::rotate(q.view(), positions, table, half, at_table);
  expect("rotate back", q.at(0), 1.0);

  Head<float> single;
  Head<float> elsewhere;
  rw::rotate_copy(single.view(), elsewhere.view(), positions, turns(), rw::Pairing::interleaved);
  expect_turned("rotate_copy", elsewhere, 1, kFloat);
  rw::rotate(single.view(), rw::phase_table<float>(turns(), positions), half);
  expect_turned("rotate by rows", single, kDim / 2, kFloat);

  const double twice[1] = {2.0};
  const double thrice[1] = {3.0};
  rw::RotateOptions scales;
  scales.head_scale = twice;
  scales.position_scale = thrice;
  Head<rw::bfloat16> scaled;
  rw::rotate(scaled.view(), positions, turns(), half, scales);
  expect_turned("head and position scale", scaled, kDim / 2, kBfloat16, 6.0);

  Head<rw::float16> moved;
  rw::rotate_by(moved.view(), kFar, turns(), half);
  expect_turned("rotate_by", moved, kDim / 2, 0x1p-11);
  Head<double> alone;
  rw::rotate_by(alone.view(), positions, turns(), half);
  expect_turned("rotate_by, deltas", alone, kDim / 2, 1e-11);
  const std::vector<std::int64_t> back{-kFar};
  Head<double> returned;
  rw::rotate_copy_by(alone.view(), returned.view(), back, turns(), half);
  expect("rotate_copy_by", returned.at(0), 1.0);

  rw::HeadView<float> view = single.view();
  expect_refused("a sound view", view.validate(), rw::Errc::ok, "");
  view.heads = -1;
  expect_refused("heads below zero", view.validate(), rw::Errc::below_minimum, "heads");
}

void kernels() {
  kernel<rw::simd::Native>("Native");
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx2")) kernel<rw::simd::Avx2>("Avx2");
  if (__builtin_cpu_supports("avx512bw")) kernel<rw::simd::Avx512>("Avx512");
  if (__builtin_cpu_supports("avx512bf16")) kernel<rw::simd::Avx512Bf16>("Avx512Bf16");
#endif
}

void cache_shifts() {
  rw::CacheShift shift(4);
  shift.shift(1, 3, kFar);
  shift.moved(1, 0, 2);
  shift.written(3, 1);
  expect_equal("CacheShift", shift.pending[0], kFar);
  expect_equal("CacheShift", shift.pending[3], 0);
  Head<float> key;
  Head<float> turned;
  shift.copy_turned(key.view(), turned.view(), 1, turns(), rw::Pairing::half_split);
  expect_turned("CacheShift::copy_turned", turned, kDim / 2, kFloat);
  shift.settle(key.view(), 1, turns(), rw::Pairing::half_split);
  expect_turned("CacheShift::settle", key, kDim / 2, kFloat);
  expect_equal("CacheShift::settle", shift.pending[1], 0);
}

void positions() {
  expect_equal("SelfExtend", rw::SelfExtend{8, 1024}.relative(16383, 15000), 1068);
  expect_equal("SelfExtend capacity", rw::SelfExtend{4, 1024}.capacity(kLlama2), 13312);
  expect_equal("BlockSelfExtend", rw::BlockSelfExtend{4, 512}.relative(1300, 1023), 277);
  expect_equal("Rerope", rw::Rerope{512}.relative(5000, 0), 512);
  expect("LeakyRerope", rw::LeakyRerope{512, 16}.relative(16384, 0), 1504.0);
  expect_equal("LmInfinite", rw::LmInfinite{10, 4096}.relative(100000, 0), 4096);
  expect_equal("Streaming", rw::Streaming{4, 1020}.relative(4000000, 0), 1023);
  const rw::DualChunk dual_chunk = rw::dual_chunk_for_length(4096);
  expect_equal("DualChunk", dual_chunk.relative(10000, 5000), 632);
  const auto pass = rw::pass_of(dual_chunk, 5120, 2559);
  expect_equal("pass_of", static_cast<int>(pass), static_cast<int>(rw::Pass::distant));
  expect_equal("query_position - key_position",
               dual_chunk.query_position(pass, 5120) - dual_chunk.key_position(pass, 2559), 513);
  expect_equal("is_visible", rw::is_visible(rw::LmInfinite{10, 4096}, 100000, 10) ? 1 : 0, 0);
  expect_equal("StringShift", rw::StringShift{43253, 128}.relative(131071, 0), 87946);
  expect_equal("ChunkMask", rw::ChunkMask{8192}.keys(20000).first, 16384);
  expect_equal("ShiftedGroups", rw::shifted_groups_for_length(8192).keys(3071, 31, 32).first, 1024);
  expect_equal("HeadSpans", rw::HeadSpans{{64}}.keys(1000, 0).first, 937);
  const rw::MultiAxis axes{rw::AxisOrder::interleaved, 3, {24, 20, 20}};
  const std::int64_t tokens[3] = {5, 6, 7};
  expect_equal("MultiAxis", axes.position({tokens, 1}, 0, 58), 6);
  const rw::RopeConfig vision{64, 64, 10000.0, 0};
  expect("QwenVision", rw::spectrum(vision, rw::QwenVision{}).inv_freq[17], std::pow(10.0, -0.25));
  expect_equal("QwenVision", rw::QwenVision{}.position(11, 6)[1], 5);
  expect_equal("Llama4Vision", rw::Llama4Vision{}.position(25, 24)[0], 2);
  expect("PixtralVision", rw::PixtralVision{}.inv_freq(vision, 16), std::pow(10.0, -0.125));
  expect("alibi_slope", rw::alibi_slopes(12)[8], 0.70710678118654752440);
  expect("alibi_bias", rw::alibi_bias(0.25, 100, 96), -1.0);
  const rw::T5Table buckets = rw::t5_table({32, 128, rw::T5Direction::causal});
  expect_equal("T5Table", buckets.bucket(100, 0), 30);
  expect("XPos", rw::XPos{}.query_scale(kLlama2, 512, 0), 0.4 / 1.4);
}

void position_refusals() {
  const double not_a_number = from_bits(0x7ff8000000000000u);
  expect_refused("a group that does not divide", rw::SelfExtend{5, 1024}.validate(kLlama2),
                 rw::Errc::indivisible, "group");
  expect_refused("a window over the length", rw::Rerope{4096}.validate(kLlama2),
                 rw::Errc::above_maximum, "window");
  expect_refused("scale_base NaN", rw::XPos{not_a_number}.validate(kLlama2), rw::Errc::not_finite,
                 "scale_base");
  expect_refused("max_bias NaN", rw::detail::check_alibi(8, not_a_number), rw::Errc::not_finite,
                 "max_bias");
  expect_refused("a key after its query", rw::check_query_key(3, 4), rw::Errc::wrong_order, "key");
}
