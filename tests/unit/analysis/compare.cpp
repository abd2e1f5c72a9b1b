#include <ropewalk/analysis/compare.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kLlama3{128, 128, 500000.0, 8192};
const rw::RopeConfig kPhi3{96, 96, 10000.0, 2048};
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

rw::Yarn yarn(double factor) {
  rw::Yarn method;
  method.factor = factor;
  return method;
}

rw::Comparison compare(const rw::RopeConfig& config, std::int64_t target,
                       const std::vector<rw::Schedule>& schedules) {
  return rw::compare(config, target, rw::Span<const rw::Schedule>(schedules));
}

/// A schedule and what is published of it, to the digits printed; first 0: never negative.
struct Row {
  rw::Schedule schedule;
  int over_range;
  double excess;
  double fast;
  double change;
  std::int64_t first;
  double minimum;
};

void check_table(std::int64_t target, const std::vector<Row>& rows) {
  std::vector<rw::Schedule> schedules;
  for (const Row& row : rows) schedules.push_back(row.schedule);
  const rw::Comparison result = compare(kLlama3, target, schedules);
  REQUIRE(result.schedules.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const rw::ScheduleFigures& figures = result.schedules[i].figures;
    INFO(row.schedule.name << " to " << target);
    CHECK(figures.over_range_pairs == row.over_range);
    // Half a unit of the last digit printed.
    CHECK(figures.excess_turns == Approx(row.excess).margin(5.01e-4));
    CHECK(figures.fast_resolution.value() == Approx(row.fast).margin(5.01e-4));
    CHECK(figures.mean_abs_log2_change.value() == Approx(row.change).margin(5.01e-4));
    CHECK(figures.first_negative_distance.value_or(0) == row.first);
    CHECK(figures.minimum_mean_cosine * 64.0 == Approx(row.minimum).margin(5.01e-3));
  }
}

/// A caller's own method: half the frequency for every odd pair.
struct HalfOdd {
  double inv_freq(const rw::RopeConfig& config, int pair) const {
    return rw::inverse_frequency(config, pair) / (pair % 2 == 1 ? 2.0 : 1.0);
  }
};

}  // namespace

TEST_CASE("Llama-3-8B to 262144 by Liu's law and by YaRN, as documented") {
  const std::int64_t target = 262144;
  const rw::Schedule schedules[] = {
      rw::make_theta_schedule("Liu", kLlama3, rw::theta_for_length(kLlama3, target)),
      rw::make_schedule("YaRN", kLlama3, yarn(32.0))};
  const rw::Comparison result = rw::compare(kLlama3, target, schedules);
  CHECK(result.schedules[0].figures.over_range_pairs == 0);
  CHECK(result.schedules[0].figures.theta_to_law.value() == Approx(1.0).epsilon(1e-12));
  CHECK_FALSE(result.schedules[0].figures.first_negative_distance.has_value());
  CHECK(result.schedules[1].figures.first_negative_distance.value() == 246844);
  CHECK(result.schedules[1].figures.fast_resolution.value() == 1.0);
  CHECK_FALSE(result.schedules[1].figures.theta_to_law.has_value());
  CHECK(result.schedules[0].dominated_by.empty());  // neither is better in everything
  CHECK(result.schedules[1].dominated_by.empty());
}

TEST_CASE("Llama-3-8B to 262144: the table of nine schedules") {
  const rw::RopeConfig& c = kLlama3;
  const std::int64_t target = 262144;
  check_table(
      target,
      {{rw::make_schedule("none", c, rw::Unscaled{}), 29, 16.458, 1.0, 0.0, 18438, -18.79},
       {rw::make_schedule("linear", c, rw::Linear{32.0}), 0, 0.0, 0.03125, 5.0, 0, 5.96},
       {rw::make_schedule("NTK-aware", c, rw::NtkAware{32.0}), 28, 4.893, 0.610, 2.5, 194367,
        -2.41},
       {rw::make_schedule("dynamic NTK", c, rw::DynamicNtk{4.0, target}), 11, 1.603, 0.502, 3.483,
        0, 2.68},
       {rw::make_theta_schedule("card", c, 207.1e6), 2, 0.067, 0.429, 4.279, 0, 4.50},
       {rw::make_theta_schedule("Liu", c, 283461213.0), 0, 0.0, 0.410, 4.502, 0, 4.39},
       {rw::make_schedule("YaRN", c, yarn(32.0)), 0, 0.0, 1.0, 2.570, 246844, -1.25},
       {rw::make_schedule("Llama 3", c, rw::Llama3{32.0}), 0, 0.0, 1.0, 2.415, 241522, -2.09},
       {rw::make_theta_schedule("LWM", c, 1e7), 29, 6.331, 0.656, 2.127, 144660, -5.01}});
}

TEST_CASE("Llama-3-8B to 1048576: the table of five schedules") {
  const rw::RopeConfig& c = kLlama3;
  // The card's 2.80B is a chain of two dynamic NTK steps, 207.1M times 13^(128 / 126).
  check_table(
      1048576,
      {{rw::make_schedule("NTK-aware", c, rw::NtkAware{128.0}), 28, 6.297, 0.5, 3.5, 517574, -4.09},
       {rw::make_theta_schedule("card", c, 2804339921.7138), 1, 0.003, 0.297, 6.129, 0, 4.56},
       {rw::make_theta_schedule("Liu", c, 3580165449.0), 0, 0.0, 0.287, 6.303, 0, 3.28},
       {rw::make_schedule("YaRN", c, yarn(128.0)), 0, 0.0, 1.0, 3.495, 773808, -0.71},
       {rw::make_theta_schedule("LWM", c, 5e7), 29, 7.137, 0.523, 3.270, 416715, -5.85}});
}

TEST_CASE("three turns and the late mean order LongRoPE2's schedules as RULER does") {
  // RULER at 128k: 49.39, 73.19, 77.25 for Llama-3-8B, 39.37, 49.37, 54.42 for Phi-3-mini.
  struct Model {
    rw::RopeConfig config;
    double critical_pair;  // found by their search
    std::array<int, 3> over_range;
    std::array<double, 3> late_mean;
  };
  const Model models[] = {{kLlama3, 30.0, {5, 5, 0}, {0.2767, 0.3335, 0.3564}},
                          {kPhi3, 25.0, {6, 6, 0}, {0.1196, 0.2256, 0.2869}}};
  for (const Model& model : models) {
    const std::int64_t target = 131072;
    const double factor =
        static_cast<double>(target) / static_cast<double>(model.config.original_length);
    const rw::Comparison result = compare(
        model.config, target,
        {rw::make_schedule("YaRN", model.config, yarn(factor)),
         rw::make_theta_schedule("Liu", model.config, rw::theta_for_length(model.config, target)),
         rw::make_theta_schedule("NTK at the pair found", model.config,
                                 rw::align_theta(model.config, factor, model.critical_pair))});
    for (std::size_t i = 0; i < 3; ++i) {
      INFO(result.schedules[i].name << " head_dim " << model.config.head_dim);
      const rw::ScheduleFigures& figures = result.schedules[i].figures;
      CHECK(figures.over_range_pairs == 0);
      CHECK(figures.over_range_pairs_three_turns == model.over_range[i]);
      CHECK(figures.late_mean_cosine == Approx(model.late_mean[i]).margin(5.01e-5));
    }
  }
}

TEST_CASE("the base laws are ratios of the schedule's base") {
  const std::int64_t target = 262144;
  const rw::Comparison result = compare(
      kLlama3, target,
      {rw::make_schedule("none", kLlama3, rw::Unscaled{}),
       rw::make_theta_schedule("LWM", kLlama3, 1e7),
       rw::make_theta_schedule("strict", kLlama3, rw::strict_theta_for_length(kLlama3, target)),
       rw::make_schedule("linear", kLlama3, rw::Linear{32.0}),
       rw::make_schedule("nope", kLlama3, rw::Nope{})});
  const auto figures = [&](std::size_t i) { return result.schedules[i].figures; };
  // A base found from frequencies of 2 ULP each; the laws add a few more.
  CHECK(figures(0).theta.value() == Approx(500000.0).epsilon(1e-13));
  CHECK(figures(0).reach_ratio.value() == 0.03125);
  CHECK(figures(1).theta_to_law.value() ==
        Approx(1e7 / rw::theta_for_length(kLlama3, target)).epsilon(1e-12));
  CHECK(figures(1).theta_to_strict.value() ==
        Approx(1e7 / rw::strict_theta_for_length(kLlama3, target)).epsilon(1e-12));
  CHECK(figures(1).reach_ratio.value() ==
        Approx(rw::extrapolation_limit(kLlama3, 1e7) / 262144.0).epsilon(1e-12));
  CHECK(figures(2).theta_to_strict.value() == Approx(1.0).epsilon(1e-12));
  CHECK(figures(2).over_range_pairs == 0);
  CHECK_FALSE(figures(3).theta.has_value());
  CHECK_FALSE(figures(3).reach_ratio.has_value());
  CHECK_FALSE(figures(4).theta_to_strict.has_value());
}

TEST_CASE("Gradient's published bases reach what Liu's limit says") {
  const auto reach = [](double theta, std::int64_t target) {
    const rw::Comparison result =
        compare(kLlama3, target, {rw::make_theta_schedule("", kLlama3, theta)});
    return result.schedules[0].figures.reach_ratio.value() * static_cast<double>(target);
  };
  CHECK(reach(283461213.0, 8192) == Approx(263413.075).margin(1e-3));
  CHECK(reach(3580165449.0, 65536) == Approx(1054315.581).margin(1e-3));
}

TEST_CASE("a spectrum's base is found, and only where there is one") {
  CHECK(rw::theta_of(rw::spectrum(kLlama3)).value() == Approx(500000.0).epsilon(1e-13));
  CHECK(rw::theta_of(rw::spectrum(kLlama3, rw::NtkAware{8.0})).value() ==
        Approx(rw::ntk_theta(kLlama3, 8.0)).epsilon(1e-13));
  CHECK(rw::theta_of(rw::spectrum({4, 4, 1.5, 0})).value() == Approx(1.5).epsilon(1e-13));
  CHECK_FALSE(rw::theta_of(rw::spectrum(kLlama3, rw::Linear{2.0})).has_value());
  CHECK_FALSE(rw::theta_of(rw::spectrum(kLlama3, yarn(4.0))).has_value());
  CHECK_FALSE(rw::theta_of(rw::spectrum(kLlama3, rw::Nope{})).has_value());
  CHECK_FALSE(rw::theta_of(rw::spectrum(kLlama3, rw::Proportional{0.5})).has_value());
  CHECK_FALSE(rw::theta_of(rw::spectrum({2, 2, 1e4, 0})).has_value());  // pair 0 alone: any base
  CHECK_FALSE(rw::theta_of({}).has_value());
  CHECK_FALSE(rw::theta_of({{1.0, kNan}, 1.0}).has_value());
  CHECK_FALSE(rw::theta_of({{1.0, 2.0}, 1.0}).has_value());
}

TEST_CASE("methods from a file are named and keep their order") {
  const std::vector<rw::Scaling> methods = {rw::Unscaled{}, rw::Linear{4.0},
                                            rw::DynamicNtk{4.0, 32768}, yarn(4.0)};
  const rw::Comparison result = rw::compare(kLlama3, 32768, rw::Span<const rw::Scaling>(methods));
  REQUIRE(result.schedules.size() == 4);
  CHECK(std::string(result.schedules[0].name) == "unscaled");
  CHECK(std::string(result.schedules[1].name) == "linear");
  CHECK(std::string(result.schedules[2].name) == "dynamic_ntk");
  CHECK(std::string(result.schedules[3].name) == "yarn");
  CHECK(result.trained_length == 8192);
  CHECK(result.target_length == 32768);
  const rw::Spectrum linear = rw::spectrum(kLlama3, rw::Linear{4.0});
  for (std::size_t pair = 0; pair < 64; ++pair) {
    // 4 ULP: -ffast-math may evaluate one formula in two ways.
    CHECK(result.schedules[1].spectrum.inv_freq[pair] ==
          Approx(linear.inv_freq[pair]).epsilon(1e-15));
  }
}

TEST_CASE("every alternative of Scaling has its own name") {
  CHECK(std::string(rw::method_name(rw::Unscaled{})) == "unscaled");
  CHECK(std::string(rw::method_name(rw::Nope{})) == "nope");
  CHECK(std::string(rw::method_name(rw::Linear{})) == "linear");
  CHECK(std::string(rw::method_name(rw::NtkAware{})) == "ntk_aware");
  CHECK(std::string(rw::method_name(rw::DynamicNtk{})) == "dynamic_ntk");
  CHECK(std::string(rw::method_name(rw::NtkByParts{})) == "ntk_by_parts");
  CHECK(std::string(rw::method_name(rw::Yarn{})) == "yarn");
  CHECK(std::string(rw::method_name(rw::LongRope{})) == "longrope");
  CHECK(std::string(rw::method_name(rw::Llama3{})) == "llama3");
  CHECK(std::string(rw::method_name(rw::Proportional{})) == "proportional");
  CHECK(std::string(rw::method_name(rw::PowerBasis{})) == "power_basis");
  CHECK(std::string(rw::method_name(rw::TruncatedBasis{})) == "truncated_basis");
  CHECK(std::string(rw::method_name(rw::NtkMixed{})) == "ntk_mixed");
}

TEST_CASE("a caller's own method is compared without being registered") {
  const rw::Comparison result =
      compare(kLlama3, 8192, {rw::make_schedule("half of every second", kLlama3, HalfOdd{})});
  CHECK(result.schedules[0].figures.mean_abs_log2_change.value() == Approx(0.5).epsilon(1e-12));
  CHECK(result.schedules[0].figures.over_range_pairs == 0);
}

TEST_CASE("schedules from the tables dominate where they are no worse in anything") {
  const rw::RopeConfig& c = kLlama3;
  const rw::Comparison result = compare(
      c, 262144,
      {rw::make_schedule("none", c, rw::Unscaled{}),
       rw::make_schedule("linear", c, rw::Linear{32.0}), rw::make_schedule("YaRN", c, yarn(32.0)),
       rw::make_schedule("Llama 3", c, rw::Llama3{32.0}), rw::make_theta_schedule("LWM", c, 1e7)});
  CHECK(result.schedules[0].dominated_by == std::vector<int>{2, 3});
  CHECK(result.schedules[1].dominated_by.empty());
  CHECK(result.schedules[2].dominated_by.empty());
  CHECK(result.schedules[3].dominated_by.empty());
  CHECK(result.schedules[4].dominated_by == std::vector<int>{2, 3});
}

TEST_CASE("no position at all is not the best schedule") {
  const rw::Comparison result = compare(kLlama3, 65536,
                                        {rw::make_schedule("nope", kLlama3, rw::Nope{}),
                                         rw::make_schedule("YaRN", kLlama3, yarn(8.0))});
  const rw::ScheduleFigures& nope = result.schedules[0].figures;
  CHECK(nope.stopped_pairs == 64);
  CHECK(nope.fast_resolution.value() == 0.0);
  CHECK_FALSE(nope.mean_abs_log2_change.has_value());
  CHECK(nope.minimum_mean_cosine == 1.0);
  CHECK(result.schedules[1].dominated_by.empty());
}

TEST_CASE("dominance counts figures with an aim, and a missing figure is worse than any") {
  rw::ScheduleFigures a;
  rw::ScheduleFigures b;
  CHECK_FALSE(rw::dominates(a, b));
  b.attention_factor = 2.0;
  b.theta_to_law = 7.0;
  CHECK_FALSE(rw::dominates(a, b));
  CHECK_FALSE(rw::dominates(b, a));
  b.over_range_pairs = 1;
  CHECK(rw::dominates(a, b));
  CHECK_FALSE(rw::dominates(b, a));
  b.fast_resolution = 0.5;
  CHECK_FALSE(rw::dominates(a, b));
  a.fast_resolution = 0.25;
  CHECK_FALSE(rw::dominates(a, b));
  a.fast_resolution = 0.5;
  CHECK(rw::dominates(a, b));
}

TEST_CASE("models trained with partial rotation or none compare with themselves") {
  const rw::RopeConfig config{128, 128, 10000.0, 4096};
  for (const rw::Spectrum& trained :
       {rw::spectrum(config, rw::Proportional{0.25}), rw::spectrum(config, rw::Nope{}),
        rw::spectrum(rw::RopeConfig{128, 32, 10000.0, 4096}),
        rw::spectrum(rw::RopeConfig{2, 2, 10000.0, 4096})}) {
    const rw::Schedule same[] = {{"as trained", trained}};
    const rw::Comparison result = rw::compare(trained, 4096, 4096, same);
    CHECK(result.schedules[0].figures.over_range_pairs == 0);
    CHECK(result.schedules[0].figures.over_range_pairs_three_turns == 0);
    CHECK(result.schedules[0].figures.excess_turns == 0.0);
    CHECK(result.schedules[0].figures.stopped_pairs == 0);
  }
}

TEST_CASE("every figure is described, with a role, a key of its own and its evidence") {
  std::set<std::string> keys;
  int gates = 0;
  for (const rw::ScheduleFigure figure : rw::kScheduleFigures) {
    const rw::FigureDescription description = rw::describe(figure);
    INFO(description.key);
    CHECK(keys.insert(description.key).second);
    CHECK(std::strlen(description.title) > 0);
    CHECK(std::strlen(description.meaning) > 20);
    CHECK(std::strlen(description.evidence) > 10);
    CHECK(std::strlen(rw::role_name(description.role)) > 3);
    if (description.role == rw::FigureRole::gate) ++gates;
  }
  CHECK(gates == 1);
  CHECK(keys.size() ==
        static_cast<std::size_t>(rw::ScheduleFigure::attention_factor) + 1);  // the last of them
}

TEST_CASE("each figure's value is the field of its name") {
  rw::ScheduleFigures figures;
  figures.over_range_pairs = 1;
  figures.over_range_pairs_three_turns = 2;
  figures.excess_turns = 3.0;
  figures.largest_excess_turns = 4.0;
  figures.fast_resolution = 5.0;
  figures.mean_abs_log2_change = 6.0;
  figures.stopped_pairs = 7;
  figures.first_negative_ratio = 8.0;
  figures.negative_fraction = 9.0;
  figures.minimum_mean_cosine = 10.0;
  figures.late_mean_cosine = 11.0;
  figures.reach_ratio = 12.0;
  figures.theta_to_law = 13.0;
  figures.theta_to_strict = 14.0;
  figures.attention_factor = 15.0;
  double expected = 1.0;
  for (const rw::ScheduleFigure figure : rw::kScheduleFigures) {
    CHECK(rw::value_of(figures, figure).value() == expected);
    expected += 1.0;
  }
  CHECK_FALSE(rw::value_of({}, rw::ScheduleFigure::theta_to_law).has_value());
}

TEST_CASE("compare refuses lengths, lists and frequencies it cannot use, by name and value") {
  const rw::Schedule one[] = {rw::make_schedule("plain", kLlama3, rw::Unscaled{})};
  const auto with_length = [&](std::int64_t trained, std::int64_t target) {
    rw::RopeConfig config = kLlama3;
    config.original_length = trained;
    return rw::compare(config, target, one);
  };
  CHECK_THROWS_WITH(with_length(6, 4096), contains("original_length = 6"));
  CHECK_THROWS_WITH(with_length(0, 4096), contains("original_length") && contains("not given"));
  CHECK_THROWS_WITH(with_length(8192, 6), contains("target_length = 6"));
  CHECK_THROWS_WITH(with_length(8192, 8191), contains("target_length = 8191"));
  CHECK_THROWS_WITH(with_length(8192, std::int64_t{1} << 40), contains("target_length"));
  CHECK_THROWS_WITH(rw::compare(one[0].spectrum, 3, 4096, one), contains("trained_length = 3"));
  const std::vector<rw::Schedule> no_schedules;
  const std::vector<rw::Scaling> no_methods;
  CHECK_THROWS_WITH(rw::compare(kLlama3, 8192, rw::Span<const rw::Schedule>(no_schedules)),
                    contains("schedules") && contains("not given"));
  CHECK_THROWS_WITH(rw::compare(kLlama3, 8192, rw::Span<const rw::Scaling>(no_methods)),
                    contains("methods") && contains("not given"));
  for (const double theta : {1.0, 0.5, -3.0, kNan, kInfinity}) {
    rw::RopeConfig config = kLlama3;
    config.theta = theta;
    CHECK_THROWS_WITH(rw::compare(config, 16384, one), contains("theta"));
    CHECK_THROWS_WITH(rw::make_theta_schedule("bad", kLlama3, theta), contains("theta"));
  }
  const auto with_entry = [](double value) {
    rw::Schedule schedule = rw::make_schedule("mine", kLlama3, rw::Unscaled{});
    schedule.spectrum.inv_freq[3] = value;
    return compare(kLlama3, 16384, {schedule});
  };
  CHECK_THROWS_WITH(with_entry(kNan), contains("mine") && contains("inv_freq[3]"));
  CHECK_THROWS_WITH(with_entry(kInfinity), contains("mine") && contains("inv_freq[3]"));
  CHECK_THROWS_WITH(with_entry(-1.0), contains("inv_freq[3] = -1"));
  rw::Schedule schedule = one[0];
  schedule.spectrum.attention_factor = kNan;
  CHECK_THROWS_WITH(compare(kLlama3, 16384, {schedule}), contains("attention_factor"));
  schedule = one[0];
  schedule.spectrum.inv_freq.pop_back();
  schedule.name = nullptr;
  CHECK_THROWS_WITH(compare(kLlama3, 16384, {schedule}), contains("extended = 63"));
  const std::vector<rw::Scaling> bad = {rw::Linear{kNan}};
  CHECK_THROWS_WITH(rw::compare(kLlama3, 16384, rw::Span<const rw::Scaling>(bad)),
                    contains("factor"));
}
