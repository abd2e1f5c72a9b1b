// What comparisons and coverage must obey whatever the model: what changes nothing shows nothing,
// longer is never easier, and dominance is an order.
#include <ropewalk/analysis/compare.hpp>
#include <ropewalk/analysis/precision.hpp>

#include "domain.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

/// A small model and a target that is quickly looked through.
struct Sample {
  rw::RopeConfig config;
  std::int64_t target = 0;
};

Sample random_sample(Random& random) {
  Sample sample;
  sample.config =
      config_of(random.log_uniform(1.01, 1e9), 2.0 * static_cast<double>(random.integer(2, 40)));
  sample.config.original_length = random.length(7, 512);
  sample.target = random.length(sample.config.original_length, 1024);
  return sample;
}

std::string text_of(const Sample& sample) {
  return "theta " + std::to_string(sample.config.theta) + " rotary_dim " +
         std::to_string(sample.config.rotary_dim) + " length " +
         std::to_string(sample.config.original_length) + " target " + std::to_string(sample.target);
}

std::vector<rw::Schedule> random_schedules(Random& random, const Sample& sample) {
  const rw::RopeConfig& config = sample.config;
  const double factor = random_factor(random);
  std::vector<rw::Schedule> schedules = {
      rw::make_schedule("none", config, rw::Unscaled{}),
      rw::make_schedule("linear", config, rw::Linear{factor}),
      rw::make_schedule("NTK", config, rw::NtkAware{factor}),
      rw::make_schedule("parts", config, rw::NtkByParts{factor}),
      rw::make_schedule("llama3", config, rw::Llama3{factor}),
      rw::make_schedule("partial", config, rw::Proportional{0.5}),
      rw::make_schedule("nope", config, rw::Nope{})};
  schedules.push_back({"random", schedules[0].spectrum});
  for (double& inv_freq : schedules.back().spectrum.inv_freq) {
    inv_freq = random.one_in(4) ? 0.0 : random.log_uniform(1e-9, 3.0);
  }
  return schedules;
}

rw::Comparison compare(const Sample& sample, const std::vector<rw::Schedule>& schedules) {
  return rw::compare(sample.config, sample.target, rw::Span<const rw::Schedule>(schedules));
}

bool same(const rw::ScheduleFigures& a, const rw::ScheduleFigures& b) {
  for (const rw::ScheduleFigure figure : rw::kScheduleFigures) {
    if (rw::value_of(a, figure) != rw::value_of(b, figure)) return false;
  }
  return a.first_negative_distance == b.first_negative_distance &&
         a.negative_distances == b.negative_distances && a.minimum_at == b.minimum_at &&
         a.theta == b.theta;
}

}  // namespace

TEST_CASE("a method made with its defaults is compared as no method at all") {
  Random random("compare identity");
  INFO(seed_text());
  std::string offending;
  const std::vector<rw::Scaling> methods = {
      rw::Unscaled{},     rw::Linear{},     rw::NtkAware{},       rw::DynamicNtk{},
      rw::NtkByParts{},   rw::Yarn{},       rw::LongRope{},       rw::Llama3{},
      rw::Proportional{}, rw::PowerBasis{}, rw::TruncatedBasis{}, rw::NtkMixed{}};
  for (std::uint64_t i = 0; i < test_iterations() / 250; ++i) {
    const Sample sample = random_sample(random);
    const rw::Comparison result =
        rw::compare(sample.config, sample.target, rw::Span<const rw::Scaling>(methods));
    for (const rw::ComparedSchedule& schedule : result.schedules) {
      if (!same(schedule.figures, result.schedules[0].figures) || !schedule.dominated_by.empty()) {
        offending = text_of(sample) + " " + schedule.name;
      }
    }
    const rw::ScheduleFigures& none = result.schedules[0].figures;
    if (none.mean_abs_log2_change.value_or(0.0) != 0.0 ||
        none.fast_resolution.value_or(1.0) != 1.0 || none.attention_factor != 1.0) {
      offending = text_of(sample) + " moves";
    }
  }
  CHECK(offending == "");
}

TEST_CASE("at the trained length the trained schedule leaves nothing and is the law's own") {
  Random random("compare trained");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations() / 250; ++i) {
    Sample sample = random_sample(random);
    sample.target = sample.config.original_length;
    const rw::Comparison result =
        compare(sample, {rw::make_schedule("none", sample.config, rw::Unscaled{})});
    const rw::ScheduleFigures& figures = result.schedules[0].figures;
    const bool nothing = figures.over_range_pairs == 0 &&
                         figures.over_range_pairs_three_turns == 0 && figures.excess_turns == 0.0;
    const bool lawful = figures.theta_to_law.value() == 1.0 &&
                        figures.theta_to_strict.value_or(1.0) == 1.0 &&
                        figures.reach_ratio.value_or(1.0) == 1.0;
    if (!nothing || !lawful) offending = text_of(sample);
  }
  CHECK(offending == "");
}

TEST_CASE("just above factor 1 no figure jumps") {
  // The frequencies move by at most `tiny` relative, so a sum of cosines at distance m moves by at
  // most m * tiny * (sum of frequencies), and counts of negative distances may change only where B
  // itself is that near to 0, which is why they are not compared.
  Random random("compare continuous");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations() / 250; ++i) {
    const Sample sample = random_sample(random);
    const double tiny = random.log_uniform(1e-12, 1e-7);
    const double factor = 1.0 + tiny;
    const rw::Comparison result =
        compare(sample, {rw::make_schedule("none", sample.config, rw::Unscaled{}),
                         rw::make_schedule("linear", sample.config, rw::Linear{factor}),
                         rw::make_schedule("NTK", sample.config, rw::NtkAware{factor}),
                         rw::make_schedule("parts", sample.config, rw::NtkByParts{factor}),
                         rw::make_schedule("llama3", sample.config, rw::Llama3{factor})});
    const double target = static_cast<double>(sample.target);
    const double cosine = 1.01 * tiny * target + 1e-12;  // a mean: frequencies are at most 1
    const rw::ScheduleFigures& none = result.schedules[0].figures;
    for (const rw::ComparedSchedule& schedule : result.schedules) {
      const rw::ScheduleFigures& f = schedule.figures;
      const bool near = std::fabs(f.fast_resolution.value_or(1.0) - 1.0) <= 1.01 * tiny + 1e-14 &&
                        f.mean_abs_log2_change.value() <= 1.45 * tiny + 1e-14 &&  // 1 / ln 2
                        std::fabs(f.minimum_mean_cosine - none.minimum_mean_cosine) <= cosine &&
                        std::fabs(f.late_mean_cosine - none.late_mean_cosine) <= cosine &&
                        std::fabs(f.excess_turns - none.excess_turns) <=
                            1.01 * tiny * static_cast<double>(sample.config.pairs()) + 1e-12 &&
                        f.over_range_pairs <= none.over_range_pairs;
      if (!near) offending = text_of(sample) + " " + schedule.name;
    }
  }
  CHECK(offending == "");
}

TEST_CASE("the sums of cosines are those of every single distance, B(0) among them") {
  Random random("compare sums");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations() / 500; ++i) {
    const Sample sample = random_sample(random);
    const rw::Comparison result = compare(sample, random_schedules(random, sample));
    for (const rw::ComparedSchedule& schedule : result.schedules) {
      const rw::ScheduleFigures& f = schedule.figures;
      std::int64_t first = -1;
      std::int64_t negative = 0;
      double minimum = 2.0;
      double late = 0.0;
      for (std::int64_t m = 0; m < sample.target; ++m) {
        const double mean = rw::mean_cosine(schedule.spectrum, m);
        if (mean < 0.0) {
          ++negative;
          if (first < 0) first = m;
        }
        if (mean < minimum) minimum = mean;
        if (m >= sample.target / 2) late += mean;
      }
      late /= static_cast<double>(sample.target - sample.target / 2);
      const double tokens = static_cast<double>(sample.target);
      const bool still =
          schedule.spectrum.inv_freq == std::vector<double>(schedule.spectrum.inv_freq.size(), 0.0);
      const double ratio = first < 0 ? 1.0 : static_cast<double>(first) / tokens;
      // 1e-12: far above the 4e-16 of each cosine, whose sums may be added in another order. Ratios
      // are rounded once, or under -ffast-math twice.
      const auto near = [](double value, double expected, double bound) {
        return std::fabs(value - expected) <= bound;
      };
      const double once = std::numeric_limits<double>::epsilon();
      const bool agrees =
          near(rw::mean_cosine(schedule.spectrum, 0), 1.0, once) &&
          f.first_negative_distance.value_or(-1) == first &&
          near(f.first_negative_ratio, ratio, once) && f.negative_distances == negative &&
          near(f.negative_fraction, static_cast<double>(negative) / tokens, once) &&
          near(f.minimum_mean_cosine, minimum, 1e-12) &&
          near(rw::mean_cosine(schedule.spectrum, f.minimum_at), minimum, 1e-12) &&
          near(f.late_mean_cosine, late, 1e-12) &&
          (!still ||
           (near(f.minimum_mean_cosine, 1.0, once) && near(f.late_mean_cosine, 1.0, 4.0 * once)));
      if (!agrees) offending = text_of(sample) + " " + schedule.name;
    }
  }
  CHECK(offending == "");
}

TEST_CASE("the gates agree with one another for any two spectra") {
  Random random("coverage gates");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations() / 100; ++i) {
    Sample sample = random_sample(random);
    sample.target = random.length(1, kLongest);
    const std::vector<rw::Schedule> schedules = random_schedules(random, sample);
    const rw::Spectrum& trained = schedules[random.one_in(2) ? 0 : 7].spectrum;
    const std::int64_t length = sample.config.original_length;
    for (const rw::Schedule& schedule : schedules) {
      const auto at = [&](double kappa) {
        return rw::coverage(trained, length, schedule.spectrum, sample.target, kappa);
      };
      const rw::Coverage one = at(rw::kFullTurn);
      const rw::Coverage three = at(rw::kThreeTurns);
      const bool counts =
          one.pairs == trained.pairs() && one.over_range_pairs <= three.over_range_pairs &&
          one.over_range_pairs <= one.pairs - one.complete_pairs &&
          three.complete_pairs <= one.complete_pairs &&
          one.moving_pairs + one.stopped_pairs + one.still_pairs <= one.pairs &&
          one.stopped_fast_pairs <= one.stopped_pairs && one.fast_pairs <= one.moving_pairs;
      const bool arcs = (one.over_range_pairs > 0) == (one.excess_turns > 0.0) &&
                        one.largest_excess_turns <= one.excess_turns &&
                        one.excess_turns <= static_cast<double>(one.over_range_pairs) &&
                        one.excess_turns <= three.excess_turns;
      if (!counts || !arcs) offending = text_of(sample) + " " + schedule.name;
    }
  }
  CHECK(offending == "");
}

TEST_CASE("a longer target never leaves fewer pairs over range, a larger base never more") {
  Random random("coverage monotone");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations() / 100; ++i) {
    const Sample sample = random_sample(random);
    const rw::Spectrum trained = rw::spectrum(sample.config);
    const std::int64_t length = sample.config.original_length;
    rw::RopeConfig slower = sample.config;
    slower.theta *= 1.0 + random.log_uniform(1e-3, 1e3);
    const rw::Spectrum slow = rw::spectrum(slower);
    const std::int64_t longer = random.length(sample.target, kLongest);
    for (const double kappa : {rw::kFullTurn, rw::kThreeTurns}) {
      const auto near = rw::coverage(trained, length, slow, sample.target, kappa);
      const auto far = rw::coverage(trained, length, slow, longer, kappa);
      const auto fast = rw::coverage(trained, length, trained, sample.target, kappa);
      // Sums of pairs may round; each pair's own arc does not shrink.
      const double rounding = 1e-14 * static_cast<double>(trained.pairs());
      const bool ordered = near.over_range_pairs <= far.over_range_pairs &&
                           near.excess_turns <= far.excess_turns + rounding &&
                           near.over_range_pairs <= fast.over_range_pairs &&
                           near.excess_turns <= fast.excess_turns + rounding;
      if (!ordered) offending = text_of(sample) + " to " + std::to_string(longer);
    }
  }
  CHECK(offending == "");
}

TEST_CASE("the strict base passes the gate, and no base below it does") {
  Random random("coverage strict");
  INFO(seed_text());
  std::string offending;
  int tried = 0;
  for (std::uint64_t i = 0; i < test_iterations() / 250; ++i) {
    const Sample sample = random_sample(random);
    const int complete = rw::critical_pair(sample.config);
    if (complete == 0 || complete == sample.config.pairs()) continue;
    if (sample.target == sample.config.original_length) continue;
    const double strict = rw::strict_theta_for_length(sample.config, sample.target);
    if (strict > 1e90) continue;
    ++tried;
    const rw::Comparison result =
        compare(sample, {rw::make_theta_schedule("strict", sample.config, strict),
                         rw::make_theta_schedule("below", sample.config, 0.999 * strict)});
    const rw::ScheduleFigures& at = result.schedules[0].figures;
    const rw::ScheduleFigures& below = result.schedules[1].figures;
    // Conditions of the laws: a relative error of theta is one of theta / strict.
    const bool agrees = at.over_range_pairs == 0 &&
                        std::fabs(at.theta_to_strict.value() - 1.0) <= 1e-9 &&
                        below.over_range_pairs > 0 && below.theta_to_strict.value() < 1.0;
    if (!agrees) offending = text_of(sample);
  }
  CHECK(offending == "");
  CHECK(tried > 0);
}

TEST_CASE("dominance is irreflexive, asymmetric and transitive") {
  Random random("pareto");
  INFO(seed_text());
  const auto draw = [&random] {
    const auto small = [&random] { return static_cast<double>(random.integer(0, 2)); };
    const auto maybe = [&]() -> std::optional<double> {
      if (random.one_in(3)) return std::nullopt;
      return small();
    };
    rw::ScheduleFigures figures;
    figures.over_range_pairs = static_cast<int>(random.integer(0, 1));
    figures.over_range_pairs_three_turns = static_cast<int>(random.integer(0, 1));
    figures.excess_turns = random.one_in(2) ? 0.0 : small();
    figures.fast_resolution = maybe();
    figures.stopped_pairs = static_cast<int>(random.integer(0, 1));
    figures.first_negative_ratio = small();
    figures.late_mean_cosine = random.one_in(2) ? 1.0 : small();
    figures.theta_to_law = maybe();
    return figures;
  };
  std::string offending;
  int dominated = 0;
  int chains = 0;
  // Few iterations go on until every kind was seen.
  for (std::uint64_t i = 0;
       i < test_iterations() / 10 || ((dominated == 0 || chains == 0) && i < 100000); ++i) {
    const rw::ScheduleFigures a = draw();
    const rw::ScheduleFigures b = draw();
    const rw::ScheduleFigures c = draw();
    if (rw::dominates(a, a)) offending = "dominates itself";
    if (rw::dominates(a, b)) {
      ++dominated;
      if (rw::dominates(b, a)) offending = "dominates both ways";
      if (rw::dominates(b, c)) {
        ++chains;
        if (!rw::dominates(a, c)) offending = "not transitive";
      }
    }
  }
  CHECK(offending == "");
  CHECK(dominated > 0);
  CHECK(chains > 0);
}

TEST_CASE(
    "what dominates in a comparison is what dominates by its figures, and somebody is in front") {
  Random random("pareto fronts");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations() / 500; ++i) {
    const Sample sample = random_sample(random);
    const rw::Comparison result = compare(sample, random_schedules(random, sample));
    bool front = false;
    for (const rw::ComparedSchedule& schedule : result.schedules) {
      front = front || schedule.dominated_by.empty();
      for (const int rival : schedule.dominated_by) {
        const auto& other = result.schedules[static_cast<std::size_t>(rival)];
        if (!rw::dominates(other.figures, schedule.figures)) offending = text_of(sample);
      }
    }
    if (!front) offending = text_of(sample) + " has no front";
  }
  CHECK(offending == "");
}

TEST_CASE("a wider bound is never left earlier, and nothing before the failure fails") {
  Random random("precision");
  INFO(seed_text());
  std::string offending;
  for (std::uint64_t i = 0; i < test_iterations() / 500; ++i) {
    const Sample sample = random_sample(random);
    const rw::Spectrum spectrum = rw::spectrum(sample.config);
    rw::AnglePath path;
    switch (random.integer(0, 4)) {
      case 0:
        path = rw::float32_path(spectrum);
        break;
      case 1:
        path = rw::ggml_cpu_path(sample.config);
        break;
      case 2:
        path = rw::hugging_face_path(sample.config, rw::CosineType::bfloat16);
        break;
      case 3:
        path = rw::bfloat16_path(spectrum);
        break;
      default:
        path = rw::float64_path(rw::CosineType::float16);
        break;
    }
    const double bound = random.log_uniform(1e-7, 1e-1);
    const std::int64_t limit = random.length(1, 1 << 15);
    const rw::PrecisionBudget budget = rw::precision_budget(spectrum, path, bound, limit);
    const rw::PrecisionBudget wider = rw::precision_budget(spectrum, path, 2.0 * bound, limit);
    const rw::CosineError before = rw::cosine_error(spectrum, path, 0, budget.safe_position + 1);
    bool sound = before.maximum <= bound && wider.safe_position >= budget.safe_position;
    if (budget.safe_position < limit) {
      const rw::CosineError after = rw::cosine_error(spectrum, path, budget.safe_position + 1, 1);
      sound = sound && after.pair_maximum[static_cast<std::size_t>(budget.first_pair)] > bound;
    }
    for (std::size_t pair = 0; pair < budget.pair_safe_position.size(); ++pair) {
      sound = sound && wider.pair_safe_position[pair] >= budget.pair_safe_position[pair];
    }
    if (!sound) offending = text_of(sample) + " bound " + std::to_string(bound);
  }
  CHECK(offending == "");
}
