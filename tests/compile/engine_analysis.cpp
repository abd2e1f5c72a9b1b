// The rest of engine.cpp: coverage, sums of cosines, bases, precision, comparison, plans, samplers
// and the search for divisors.
#include "engine.hpp"

#include <ropewalk/simd/cosine_sum.hpp>

#include <cstddef>
#include <vector>

namespace rw = ropewalk;
using Lengths = std::vector<std::int64_t>;

namespace {

constexpr std::int64_t kTarget = 262144;
constexpr double kPrinted = 1e-3;  // values known to three or four digits

const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};
const rw::RopeConfig kLlama3{128, 128, 500000.0, 8192};

rw::Spectrum with_theta(double theta, int rotary_dim = 128) {
  return rw::spectrum(rw::RopeConfig{rotary_dim, rotary_dim, theta});
}

/// What a limit finds; -1: nothing.
template <typename Kernel = rw::simd::PortableCosineSum>
std::int64_t first_negative(const rw::Spectrum& spectrum, std::int64_t limit) {
  return rw::first_negative_distance<Kernel>(spectrum, limit).value_or(-1);
}

template <typename Kernel>
void sum_kernel(const char* name) {
  const rw::Spectrum spectrum = with_theta(1e4);
  expect_equal(name, first_negative<Kernel>(spectrum, 4096), 1707);
  expect_equal(name, first_negative<Kernel>(spectrum, 1706), -1);
  const auto summary = rw::summarize_cosine_sum<Kernel>(spectrum, 0, 4097);
  expect_equal(name, summary.minimum < -3.0 ? 1 : 0, 1);
  double sums[2] = {};
  rw::fill_cosine_sums<Kernel>(rw::phase_turns(spectrum), 1, 2, sums);
  expect(name, sums[0], 62.093683805767625);
}

void precision_refusals() {
  rw::Spectrum spectrum = with_theta(1e4);
  rw::AnglePath path = rw::float32_path(spectrum);
  expect_refused("a sound path", rw::detail::check_path(spectrum, path), rw::Errc::ok, "");
  spectrum.inv_freq[3] = from_bits(0x7ff8000000000000u);
  expect_refused("a frequency NaN", rw::detail::check_path(spectrum, path), rw::Errc::not_finite,
                 "inv_freq");
}

void coverage_refusals() {
  const rw::Spectrum trained = with_theta(5e5);
  rw::Spectrum extended = trained;
  const auto refused = [&](double kappa) {
    return rw::detail::check_coverage(trained, 8192, extended, kTarget, kappa);
  };
  expect_refused("sound spectra", refused(rw::kFullTurn), rw::Errc::ok, "");
  expect_refused("kappa NaN", refused(from_bits(0x7ff8000000000000u)), rw::Errc::not_finite,
                 "kappa");
  extended.inv_freq[63] = from_bits(0x7ff0000000000000u);
  expect_refused("an infinite frequency", refused(rw::kFullTurn), rw::Errc::not_finite,
                 "extended.inv_freq");
  extended.inv_freq.pop_back();
  expect_refused("a pair less", refused(rw::kFullTurn), rw::Errc::wrong_length, "extended");
}

void theta_refusals() {
  const double not_a_number = from_bits(0x7ff8000000000000u);
  rw::ThetaGrid grid{2.0, 1.5, 3};
  expect_refused("a sound grid", grid.validate(), rw::Errc::ok, "");
  grid.ratio = 1.0;
  expect_refused("a grid that stands still", grid.validate(), rw::Errc::below_minimum, "ratio");
  grid.lowest = not_a_number;
  expect_refused("a grid from NaN", grid.validate(), rw::Errc::not_finite, "lowest");
  rw::ThetaQuestion question;
  question.theta = 283461213.0;
  question.trained_length = 8192;
  expect_refused("a sound question", question.validate(), rw::Errc::ok, "");
  question.tolerance = not_a_number;
  expect_refused("tolerance NaN", question.validate(), rw::Errc::not_finite, "tolerance");
  question.theta = 1.0;
  expect_refused("theta 1", question.validate(), rw::Errc::below_minimum, "theta");
}

void plan_refusals() {
  rw::PlanRequest request;
  request.target_length = kTarget;
  expect_refused("a sound plan", rw::check(kLlama3, request, rw::LiuSteps{}), rw::Errc::ok, "");
  rw::DynamicNtkSteps chain{from_bits(0x7ff8000000000000u)};
  expect_refused("a chain's factor NaN", rw::check(kLlama3, request, chain), rw::Errc::not_finite,
                 "factor");
  request.stages = 0;
  expect_refused("no stage", rw::check(kLlama3, request, rw::YarnSteps{}), rw::Errc::below_minimum,
                 "stages");
  request.lengths = {65536, 65536, kTarget};
  expect_refused("lengths that stand still", rw::check(kLlama3, request, rw::AbfSteps{}),
                 rw::Errc::wrong_order, "lengths");
  request.target_length = 8191;
  expect_refused("a target below", rw::check(kLlama3, request, rw::LiuSteps{}),
                 rw::Errc::below_minimum, "target_length");
  expect_refused("chunks", rw::PoseSampler{8, 16, 9}.validate(), rw::Errc::above_maximum, "chunks");
  expect_refused("fixed_tokens", rw::E2Sampler{8, 2, 9}.validate(), rw::Errc::above_maximum,
                 "fixed_tokens");
  expect_refused("a target in the window", rw::RandomSampler{8, 7}.validate(),
                 rw::Errc::below_minimum, "target_length");
  rw::FactorSearch search;
  search.mutation_share = from_bits(0x7ff8000000000000u);
  expect_refused("mutation_share NaN", search.validate(), rw::Errc::not_finite, "mutation_share");
}

/// Objective of whole numbers: how far from 8, in squared hundredths.
struct TowardsEight {
  double operator()(const rw::LongRope& method) const {
    double total = 0.0;
    for (const double divisor : method.long_factor) {
      const double away = static_cast<double>(std::llround(100.0 * divisor) - 800);
      total += away * away;
    }
    return total;
  }
};

}  // namespace

void coverages() {
  const rw::Spectrum trained = rw::spectrum(kLlama3);
  const rw::Spectrum ntk = with_theta(rw::ntk_theta(kLlama3, 32.0));
  const rw::Coverage one = rw::coverage(trained, 8192, ntk, kTarget);
  expect("excess_turns", one.excess_turns, 4.893421949468429723);
  expect("largest_excess_turns", one.largest_excess_turns, 0.6857689311756316141);
  expect("fast_resolution", one.fast_resolution, 0.6095068271022377204);
  expect("mean_abs_log2_change", one.mean_abs_log2_change, 2.5);
  const rw::Coverage three = rw::coverage(trained, 8192, ntk, kTarget, rw::kThreeTurns);
  expect_equal("over_range_pairs, three turns", three.over_range_pairs, 33);
  expect_equal("incomplete_pairs, three turns", three.incomplete_pairs, 34);
  const auto ranges = rw::pair_ranges(trained, 8192, ntk, kTarget);
  expect_equal("pair_ranges", ranges[34].complete && !ranges[34].over_range, 1);
  expect_equal("pair_ranges", ranges[35].over_range, 1);
  const rw::Spectrum partial = rw::spectrum(kLlama2, rw::Proportional{0.5});
  const rw::Coverage still = rw::coverage(partial, 4096, partial, 8192);
  expect_equal("still_pairs", still.still_pairs, 32);
  const rw::Coverage stopped = rw::coverage(trained, 8192, rw::spectrum(kLlama3, rw::Nope{}), 8192);
  expect_equal("stopped_pairs", stopped.stopped_pairs, 64);
  const rw::RotaryLayer sliding{"sliding_attention", trained, trained, 1024};
  expect_equal("layer_coverage", rw::layer_coverage(sliding, 8192, kTarget).over_range_pairs, 0);
  expect_equal("visible_length", rw::visible_length(512, 1024), 512);
  coverage_refusals();
}

void cosine_sums() {
  const rw::Spectrum llama2 = with_theta(1e4);
  expect("cosine_sum", rw::cosine_sum(llama2, 0), 64.0, 0.0);
  expect("cosine_sum", rw::cosine_sum(llama2, 100), 30.543454701490665);
  expect("cosine_sum", rw::cosine_sum(llama2, -4096), -3.3826139244823605);
  expect("mean_cosine", rw::mean_cosine(with_theta(5e5), 131072), 3.0577576772062086 / 64.0);
  expect_equal("first_negative_distance", first_negative(with_theta(5e5), 1 << 20), 18438);
  expect_equal("first_negative_distance", first_negative(with_theta(2.5e7), 137077), 137077);
  expect_equal("first_negative_distance", first_negative(with_theta(2.5e7), 137076), -1);
  const rw::Spectrum partial = rw::spectrum(kLlama2, rw::Proportional{0.5});
  expect_equal("first_negative_distance, half still", first_negative(partial, 1 << 20), -1);
  rw::Spectrum steep;  // Men et al.'s second method
  for (int pair = 0; pair < 64; ++pair) {
    steep.inv_freq.push_back(
        pair < 44 ? rw::inverse_frequency(1e4 * std::pow(8.0, 128.0 / 88.0), pair, 128)
                  : rw::inverse_frequency(1e4, pair, 128) / 8.0);
  }
  expect_equal("summarize_cosine_sum", rw::summarize_cosine_sum(steep, 0, 30721).negative, 2554);
  expect_equal("first_negative_distance", first_negative(steep, 30720), 10264);
  const rw::CosineSumSummary still = rw::summarize_cosine_sum(partial, 0, 5000);
  expect("negative_fraction", still.negative_fraction(), 0.0, 0.0);
  std::vector<double> sums(101);
  rw::fill_cosine_sums(rw::phase_turns(llama2), 4000, 101, sums.data());
  expect("fill_cosine_sums", sums[96], -3.3826139244823605);
  sum_kernel<rw::simd::NativeCosineSum>("NativeCosineSum");
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx2")) sum_kernel<rw::simd::Avx2CosineSum>("Avx2CosineSum");
  if (__builtin_cpu_supports("avx512dq")) sum_kernel<rw::simd::Avx512CosineSum>("Avx512CosineSum");
#endif
}

void theta_scans() {
  const rw::ThetaGrid grid = rw::theta_grid(4000.0, 7000.0, 1.0005);
  const rw::ThetaScan scan = rw::scan_theta(rw::RopeConfig{128, 128}, 1024, grid);
  expect_equal("scan_theta", scan.scanned, grid.points);
  if (!scan.minimum() || !scan.safe()) return expect_equal("islands", 0, 1);
  // Bases from 4293.4 work, the last that fails is 6017.7: both within a step of the grid.
  expect("minimum", grid.theta(*scan.minimum()), 4293.44, 0.001);
  expect("safe", grid.theta(*scan.safe()), 6017.7, 0.001);
  expect("ThetaGrid::theta", grid.theta(10), 4000.0 * std::pow(1.0005, 10.0));
  theta_refusals();
}

void precision() {
  const rw::Spectrum llama3 = rw::spectrum(kLlama3);
  const auto budget = rw::precision_budget(llama3, rw::hugging_face_path(kLlama3), 1e-3, 1 << 20);
  expect_equal("precision_budget", budget.safe_position, 12973);
  expect_equal("precision_budget", budget.first_pair, 2);
  const auto exact = rw::precision_budget(llama3, rw::exact_path(), 1e-3);
  expect_equal("precision_budget, exact turns", exact.safe_position, exact.limit);
  const rw::CosineError error =
      rw::cosine_error(rw::spectrum(kLlama2), rw::hugging_face_path(kLlama2), 7168, 1024);
  expect("cosine_error", error.maximum, 4.84e-4, 2.0 * kPrinted);
  expect("cosine_error", error.rms, 4.2e-5, 20.0 * kPrinted);
  expect("cosine_error, frequencies", error.from_frequency, 2.44e-4, 3.0 * kPrinted);
  expect("cosine_error, products", error.from_product, 2.44e-4, 3.0 * kPrinted);
  const rw::CosineError doubles = rw::cosine_error(llama3, rw::float64_path(), 9999000, 1000);
  expect_equal("cosine_error, doubles", doubles.maximum < 9.8e-10 ? 1 : 0, 1);
  const auto last_safe = [&](const rw::AnglePath& path) {
    return rw::precision_budget(llama3, path, 1e-3, 1 << 20).safe_position;
  };
  expect_equal("ggml_cpu_path", last_safe(rw::ggml_cpu_path(kLlama3)), 10618);
  expect_equal("ggml_cpu_path", last_safe(rw::ggml_cpu_path(kLlama3, llama3)), 10618);
  expect_equal("ggml_cuda_path", last_safe(rw::ggml_cuda_path(kLlama3)), 16098);
  // Positions above 256 and angles above 1 are rounded to eight bits.
  const auto narrow = rw::precision_budget(llama3, rw::bfloat16_path(llama3), 0.1, 1 << 20);
  expect_equal("bfloat16_path", narrow.safe_position > 8 && narrow.safe_position < 512, 1);
  precision_refusals();
}

void comparisons() {
  const rw::Schedule schedules[] = {
      rw::make_schedule("none", kLlama3, rw::Unscaled{}),
      rw::make_schedule("linear", kLlama3, rw::Linear{32.0}),
      rw::make_schedule("ntk", kLlama3, rw::NtkAware{32.0}),
      rw::make_theta_schedule("liu", kLlama3, rw::theta_for_length(kLlama3, kTarget)),
      rw::make_schedule("nope", kLlama3, rw::Nope{}),
  };
  const rw::Comparison result =
      rw::compare(kLlama3, kTarget, rw::Span<const rw::Schedule>(schedules));
  const rw::ScheduleFigures& none = result.schedules[0].figures;
  expect_equal("compare, none", none.over_range_pairs, 29);
  expect("compare, none", none.excess_turns, 16.458, kPrinted);
  expect_equal("compare, none", none.first_negative_distance.value_or(0), 18438);
  expect("compare, none", none.minimum_mean_cosine * 64.0, -18.79, kPrinted);
  expect("compare, none", none.theta.value_or(0.0), 500000.0);
  const rw::ScheduleFigures& linear = result.schedules[1].figures;
  expect("compare, linear", linear.fast_resolution.value_or(0.0), 1.0 / 32.0);
  expect("compare, linear", linear.mean_abs_log2_change.value_or(0.0), 5.0);
  expect("compare, linear", linear.negative_fraction, 0.0, 0.0);
  expect_equal("compare, linear", linear.theta.has_value() ? 1 : 0, 0);
  const rw::ScheduleFigures& ntk = result.schedules[2].figures;
  expect_equal("compare, ntk", ntk.over_range_pairs_three_turns, 33);
  expect_equal("compare, ntk", ntk.first_negative_distance.value_or(0), 194367);
  expect("compare, ntk", ntk.first_negative_ratio, 194367.0 / 262144.0);
  expect("compare, ntk", ntk.theta_to_law.value_or(0.0), 0.05963725016149307597);
  expect("compare, ntk", ntk.theta_to_strict.value_or(0.0), 0.05980906343587009706);
  expect("compare, ntk", ntk.reach_ratio.value_or(0.0), 0.2150099706608680743);
  const rw::ScheduleFigures& liu = result.schedules[3].figures;
  expect_equal("compare, liu", liu.over_range_pairs, 0);
  expect("compare, liu", liu.theta_to_law.value_or(0.0), 1.0);
  expect("compare, liu", liu.minimum_mean_cosine * 64.0, 4.39, 2.0 * kPrinted);
  expect_equal("compare, nope", result.schedules[4].figures.stopped_pairs, 64);
  expect_equal("dominates: less excess, but slower fast pairs", rw::dominates(liu, none), 0);
  expect_equal("dominates: itself", rw::dominates(liu, liu), 0);
  expect_equal("describe",
               rw::describe(rw::ScheduleFigure::over_range_pairs).role == rw::FigureRole::gate, 1);
  expect("value_of", rw::value_of(none, rw::ScheduleFigure::over_range_pairs).value_or(0.0), 29.0);
  expect_equal("method_name", std::strcmp(rw::method_name(rw::Linear{2.0}), "linear"), 0);
  expect_refused("a target below", rw::detail::check_compared_lengths("trained_length", 8192, 4096),
                 rw::Errc::below_minimum, "target_length");
}

void explanations() {
  rw::ThetaQuestion question;
  question.theta = 283461213.0;
  question.trained_length = 8192;
  const rw::ThetaExplanation config = rw::explain_theta(question);
  expect_equal("explain_theta", static_cast<std::int64_t>(config.candidates.size()), 1);
  if (config.candidates.empty()) return;
  expect_equal("explain_theta", config.candidates[0].rule == rw::ThetaRule::liu, 1);
  expect_equal("explain_theta", config.candidates[0].match == rw::ThetaMatch::floored, 1);
  question.theta = 207.1e6;
  const rw::ThetaExplanation card = rw::explain_theta(question);
  if (card.candidates.empty()) return expect_equal("explain_theta, a card", 0, 1);
  expect_equal("explain_theta, a card", card.candidates[0].rule == rw::ThetaRule::dynamic_ntk, 1);
  expect("explain_theta, a card", card.candidates[0].factor, 4.0);
  expect("liu_length", rw::liu_length(kLlama3, 1e9), 522181.6460798745648);
  expect("liu_length", rw::liu_length(kLlama3, 283461213.47555687962), 262144.0);
}

void plans() {
  rw::PlanRequest request;
  request.target_length = 1048576;
  request.lengths = {65536, 262144, 1048576};
  request.sequences = 10;
  const rw::Plan liu = rw::plan(kLlama3, request, rw::LiuSteps{});
  expect("plan, Liu", liu.stages[0].config.theta, 22443169.369432785885);
  expect("plan, Liu", liu.stages[2].config.theta, 3580165449.1130344973);
  expect_equal("plan, Liu", liu.stages[1].over_range_pairs, 0);
  expect_equal("plan, Liu", liu.stages[1].tokens, 2621440);
  const rw::Plan cards = rw::plan(kLlama3, request, rw::DynamicNtkSteps{4.0});
  expect("plan, dynamic NTK", cards.stages[2].config.theta, 2804339921.7138);
  const rw::Plan yarn = rw::plan(kLlama3, request, rw::YarnSteps{});
  expect("plan, YaRN", yarn.stages[2].factor, 128.0);
  expect("plan, an adjusted base",
         rw::plan(kLlama2, request, rw::AbfSteps{}).stages[2].config.theta, 5e7);
  const rw::Plan published = rw::plan_of(rw::kPublishedPlans[2]);
  expect_equal("plan_of", published.stages[0].over_range_pairs, 0);
  expect("plan_of", published.stages[1].config.theta, 3580165449.0);
  expect_equal("stage_lengths",
               rw::stage_lengths(8192, 1048576, 3) == Lengths{40960, 204800, 1048576}, 1);
  plan_refusals();
}

void samplers() {
  rw::CounterRandom random(0, 0);
  expect_equal("CounterRandom", static_cast<std::int64_t>(random.bits()), 0x568a9b0b1a2c05ec);
  rw::DistanceCounter counter(64);
  for (std::uint64_t sample = 0; sample < 100; ++sample) {
    const Lengths moved = rw::PoseSampler{16, 64, 3}.positions(1, sample);
    expect_equal("PoseSampler", moved.front(), 0);
    counter.add(moved);
    counter.add(rw::RandomSampler{16, 64}.positions(1, sample));
    const rw::E2Sampler e2{16, 4};
    const rw::ScaledPositions scaled = e2.positions(1, sample);
    expect_equal("E2Sampler", scaled.positions.back() < 16 * scaled.scale, 1);
    counter.add(scaled, 4);
  }
  const rw::DistanceCoverage seen = counter.coverage();
  expect_equal("DistanceCoverage::samples", seen.samples, 300);
  expect_equal("DistanceCoverage::pairs", seen.pairs, 300 * 136);
  expect_equal("DistanceCoverage::seen_distances", seen.seen_distances, 64);
  rw::DistanceCounter plain(6);
  plain.add(Lengths{0, 1, 2, 3});
  expect_equal("DistanceCounter", plain.counts() == Lengths{4, 3, 2, 1, 0, 0}, 1);
  expect_equal("DistanceCounter", plain.coverage().first_unseen_distance.value_or(-1), 4);
}

void factor_searches() {
  rw::FactorSearch search;
  search.iterations = 20;
  for (const rw::FactorStart start : {rw::FactorStart::long_rope, rw::FactorStart::long_rope2}) {
    search.start = start;
    const auto found = rw::search_factors(kLlama3, 131072, TowardsEight{}, search);
    expect("search_factors", found.method.factor, 16.0);
    expect_equal("search_factors", found.losses.back() < found.losses.front(), 1);
    expect("search_factors, what it reports", TowardsEight{}(found.method), found.loss);
    for (std::size_t pair = 1; pair < 64; ++pair) {
      if (found.method.long_factor[pair] >= found.method.long_factor[pair - 1]) continue;
      expect_equal("search_factors: divisors never decrease", static_cast<std::int64_t>(pair), -1);
    }
    expect_refused("a method found", rw::check(kLlama3, found.method), rw::Errc::ok, "");
  }
  // Position interpolation slows every pair 16 times: B at a distance is that of a 16th of it.
  rw::LongRope linear;
  linear.long_factor = std::vector<double>(64, 16.0);
  linear.factor = 16.0;
  linear.length = 131072;
  const rw::CosineObjective objective(kLlama3, 131072);
  const auto far = rw::summarize_cosine_sum(rw::spectrum(kLlama3, linear), 65536, 65536);
  expect("CosineObjective", objective(linear), -far.mean / 64.0);
}
