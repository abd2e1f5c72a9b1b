#include <ropewalk/analysis/provenance.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <vector>

namespace rw = ropewalk;
using ropewalk_test::Random;
using Lengths = std::vector<std::int64_t>;

namespace {

rw::ThetaQuestion question(double theta, std::int64_t trained_length, int digits = 1) {
  rw::ThetaQuestion asked;
  asked.theta = theta;
  asked.trained_length = trained_length;
  asked.digits = digits;
  return asked;
}

/// The first candidate, of which there has to be one.
rw::ThetaCandidate first(const rw::ThetaQuestion& asked) {
  const rw::ThetaExplanation found = rw::explain_theta(asked);
  INFO(asked.theta);
  REQUIRE_FALSE(found.candidates.empty());
  return found.candidates.front();
}

bool is_law(const rw::ThetaCandidate& candidate) {
  return candidate.rule != rw::ThetaRule::published && candidate.rule != rw::ThetaRule::hand_round;
}

/// A random base, even in ln from 1e5 to 1e11, as it reads in so many digits.
double random_theta(Random& random, int digits) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*e", digits - 1, std::pow(10.0, random.uniform(5.0, 11.0)));
  return std::strtod(text, nullptr);
}

}  // namespace

TEST_CASE("Gradient's configs are Liu's law in one step from Llama-3, rounded down") {
  const struct {
    double theta;
    std::int64_t length;
    double law;
  } configs[] = {{283461213.0, 262144, 283461213.47555687962},
                 {3580165449.0, 1048576, 3580165449.1130344973}};
  for (const auto& config : configs) {
    const rw::ThetaExplanation found = rw::explain_theta(question(config.theta, 8192));
    REQUIRE(found.candidates.size() == 1);
    const rw::ThetaCandidate& liu = found.candidates[0];
    CHECK(liu.rule == rw::ThetaRule::liu);
    CHECK(liu.match == rw::ThetaMatch::floored);
    CHECK(liu.trained_theta == 500000.0);
    CHECK(liu.lengths == Lengths{config.length});
    CHECK(liu.predicted_theta == Approx(config.law).epsilon(1e-12));
    CHECK(liu.relative_difference ==
          Approx((config.theta - config.law) / config.law).epsilon(0).margin(1e-12));
    CHECK(liu.expected_by_chance < 1e-7);
  }
}

TEST_CASE("the bases on Gradient's model cards are dynamic NTK with factor 4, chained") {
  const struct {
    double theta;
    int digits;
    double law;
    Lengths lengths;
  } cards[] = {{15.3e6, 3, 15296098.403706, {65536}},
               {207.1e6, 4, 207112190.37028, {65536, 262144}},
               {1.06e9, 3, 1062356863.3494, {65536, 262144, 524288}},
               {2.80e9, 3, 2804339921.7138, {65536, 262144, 1048576}}};
  for (const auto& card : cards) {
    for (const bool target_known : {false, true}) {
      rw::ThetaQuestion asked = question(card.theta, 8192, card.digits);
      if (target_known) asked.target_length = card.lengths.back();
      const rw::ThetaCandidate chain = first(asked);
      INFO(card.theta << (target_known ? " to a known target" : ""));
      CHECK(chain.rule == rw::ThetaRule::dynamic_ntk);
      CHECK(chain.factor == 4.0);
      CHECK(chain.trained_theta == 500000.0);
      CHECK(chain.lengths == card.lengths);
      CHECK(chain.match == rw::ThetaMatch::rounded_to_digits);
      CHECK(chain.predicted_theta == Approx(card.law).epsilon(1e-12));
      CHECK(chain.expected_by_chance < 0.1);
      // No other law agrees.
      for (const rw::ThetaCandidate& other : rw::explain_theta(asked).candidates) {
        CHECK((!is_law(other) || other.lengths == chain.lengths));
      }
    }
  }
}

TEST_CASE("Gradient's longest base is Liu's law and no chain") {
  const rw::ThetaCandidate liu = first(question(45.2e9, 8192, 3));
  CHECK(liu.rule == rw::ThetaRule::liu);
  CHECK(liu.lengths == Lengths{4194304});
}

TEST_CASE("LWM's and EasyContext's bases come from their tables, after nothing else") {
  const rw::ThetaExplanation found = rw::explain_theta(question(5e7, 4096));
  REQUIRE(found.candidates.size() == 3);
  REQUIRE(found.candidates[0].plan != nullptr);
  REQUIRE(found.candidates[1].plan != nullptr);
  CHECK(std::string_view(found.candidates[0].plan->name) == "lwm-text");
  CHECK(found.candidates[0].lengths == Lengths{1048576});
  CHECK(std::string_view(found.candidates[1].plan->name) == "easycontext-llama-2-7b");
  CHECK(found.candidates[1].lengths == Lengths{256000});
  CHECK(found.candidates[2].rule == rw::ThetaRule::hand_round);
  CHECK(found.candidates[2].expected_by_chance == 1.0);

  rw::ThetaQuestion asked = question(2.5e6, 8192);
  CHECK(std::string_view(first(asked).plan->name) == "easycontext-danube2");
}

TEST_CASE("a table that starts and ends where the question does comes first") {
  rw::ThetaQuestion asked = question(1e6, 4096);
  asked.target_length = 16384;
  CHECK(std::string_view(first(asked).plan->name) == "code-llama");
  asked.target_length = 32768;
  CHECK(std::string_view(first(asked).plan->name) == "lwm-text");
}

TEST_CASE("numbers of at most two digits are called round") {
  for (const double theta : {16e6, 8e6, 1.5e5, 40e6}) {
    const rw::ThetaExplanation found = rw::explain_theta(question(theta, 131072));
    REQUIRE_FALSE(found.candidates.empty());
    CHECK(found.candidates.back().rule == rw::ThetaRule::hand_round);
  }
  for (const rw::ThetaCandidate& candidate :
       rw::explain_theta(question(123e6, 131072)).candidates) {
    CHECK(candidate.rule != rw::ThetaRule::hand_round);
  }
}

TEST_CASE("the base a model was trained with is unchanged") {
  CHECK(first(question(500000.0, 8192)).rule == rw::ThetaRule::unchanged);
  CHECK(first(question(10000.0, 4096)).rule == rw::ThetaRule::unchanged);
  rw::ThetaQuestion asked = question(150000.0, 4096);
  CHECK(first(asked).rule != rw::ThetaRule::unchanged);
  asked.trained_theta = 150000.0;
  CHECK(first(asked).rule == rw::ThetaRule::unchanged);
}

TEST_CASE("NTK's alpha and its factor are told apart") {
  const rw::RopeConfig llama2{128, 128, 10000.0, 4096};
  const rw::ThetaCandidate alpha = first(question(rw::exllama_theta(llama2, 1000.0), 4096));
  CHECK(alpha.rule == rw::ThetaRule::ntk_alpha);
  CHECK(alpha.factor == 1000.0);
  CHECK(alpha.match == rw::ThetaMatch::exact);
  const rw::ThetaCandidate webui = first(question(rw::exllama_theta(llama2, 2.6), 4096));
  CHECK(webui.rule == rw::ThetaRule::ntk_alpha);
  CHECK(webui.factor == Approx(2.6).epsilon(1e-12));
  const rw::ThetaCandidate aware = first(question(rw::ntk_theta(llama2, 8.0), 4096));
  CHECK(aware.rule == rw::ThetaRule::ntk_aware);
  CHECK(aware.factor == 8.0);
  CHECK(aware.lengths == Lengths{32768});
}

TEST_CASE("dynamic NTK with the ratio of the lengths as factor is found") {
  const rw::RopeConfig llama2{128, 128, 10000.0, 4096};
  const rw::ThetaCandidate found = first(question(rw::dynamic_ntk_theta(llama2, 8.0, 32768), 4096));
  CHECK(found.rule == rw::ThetaRule::dynamic_ntk);
  CHECK(found.factor == 8.0);
  CHECK(found.lengths == Lengths{32768});
}

TEST_CASE("a chain to a target that is no power of two is found when the target is known") {
  const rw::RopeConfig llama3{128, 128, 500000.0, 8192};
  rw::RopeConfig halfway = llama3;
  halfway.theta = rw::dynamic_ntk_theta(llama3, 4.0, 65536);
  halfway.original_length = 65536;
  rw::ThetaQuestion asked = question(rw::dynamic_ntk_theta(halfway, 4.0, 200000), 8192);
  CHECK(rw::explain_theta(asked).candidates.empty());
  asked.target_length = 200000;
  const rw::ThetaCandidate found = first(asked);
  CHECK(found.rule == rw::ThetaRule::dynamic_ntk);
  CHECK(found.lengths == Lengths{65536, 200000});
  CHECK(found.match == rw::ThetaMatch::exact);
}

TEST_CASE("KoboldCpp's base is Liu's law, as near as 2 pi cut short allows") {
  const rw::RopeConfig llama2{128, 128, 10000.0, 4096};
  const rw::ThetaCandidate found = first(question(*rw::koboldcpp_theta(llama2, 16384), 4096));
  CHECK(found.rule == rw::ThetaRule::liu);
  CHECK(found.match == rw::ThetaMatch::within_tolerance);
  // What ln(2 pi / 6.28318) moves the law by: d ln(theta') / d ln(2 pi).
  const double turns = std::log(4096.0 / 6.283185307179586);
  const double moved =
      std::log(1e4) * std::log(4.0) / (turns * turns) * std::log(6.283185307179586 / 6.28318);
  CHECK(std::fabs(found.relative_difference) == Approx(moved).epsilon(1e-4));
}

TEST_CASE("every way of rounding is told from the others") {
  const rw::RopeConfig llama2{128, 128, 10000.0, 4096};
  const double law = rw::theta_for_length(llama2, 32768);  // 192144.456
  CHECK(first(question(law, 4096)).match == rw::ThetaMatch::exact);
  CHECK(first(question(std::floor(law), 4096)).match == rw::ThetaMatch::floored);
  CHECK(first(question(192100.0, 4096)).match == rw::ThetaMatch::rounded_to_digits);
  CHECK(first(question(192144.5, 4096)).match == rw::ThetaMatch::rounded_to_digits);
  CHECK(first(question(law * (1 + 5e-7), 4096)).match == rw::ThetaMatch::within_tolerance);
  int rounded_up = 0;
  for (const std::int64_t length : rw::detail::usual_lengths(4096)) {
    const double other = rw::theta_for_length(llama2, length);
    if (std::ceil(other) - other >= 0.5) continue;
    CHECK(first(question(std::ceil(other), 4096)).match == rw::ThetaMatch::rounded_to_whole);
    ++rounded_up;
  }
  CHECK(rounded_up > 0);
  rw::ThetaQuestion wide = question(law * 1.009, 4096);
  CHECK(rw::explain_theta(wide).candidates.empty());
  wide.tolerance = 0.01;
  CHECK(first(wide).rule == rw::ThetaRule::liu);
  CHECK(first(wide).relative_difference == Approx(0.009).epsilon(1e-9));
}

TEST_CASE("digits are those printed, never fewer than the number has") {
  CHECK(rw::detail::fewest_digits(15.3e6) == 3);
  CHECK(rw::detail::fewest_digits(2.80e9) == 2);
  CHECK(rw::detail::fewest_digits(283461213.0) == 9);
  CHECK(rw::detail::fewest_digits(1e6) == 1);
  CHECK(rw::explain_theta(question(2.80e9, 8192, 3)).digits == 3);
  CHECK(rw::explain_theta(question(15.3e6, 8192, 1)).digits == 3);
}

TEST_CASE("a narrower question finds the same law with less chance behind it") {
  rw::ThetaQuestion asked = question(15.3e6, 8192, 3);
  const double open = first(asked).expected_by_chance;
  asked.trained_theta = 500000.0;
  const double base_known = first(asked).expected_by_chance;
  asked.target_length = 65536;
  const double all_known = first(asked).expected_by_chance;
  CHECK(base_known < open);
  CHECK(all_known < base_known);
}

TEST_CASE("candidates chance explains as well are left out, and counted") {
  rw::ThetaQuestion asked = question(1e7, 8192);
  asked.maximum_chance = 0.0;
  const rw::ThetaExplanation none = rw::explain_theta(asked);
  CHECK(none.candidates.size() == 1);  // only that it is round
  asked.maximum_chance = 1.0;
  const rw::ThetaExplanation more = rw::explain_theta(asked);
  CHECK(more.candidates.size() > none.candidates.size());
  CHECK(more.candidates.size() - 1 + static_cast<std::size_t>(more.left_out) ==
        static_cast<std::size_t>(none.left_out));
  for (std::size_t i = 1; i < more.candidates.size(); ++i) {
    CHECK(more.candidates[i - 1].expected_by_chance <= more.candidates[i].expected_by_chance);
  }
}

TEST_CASE("random bases agree with no law, as rarely as the documentation says") {
  Random random("false positives");
  INFO(ropewalk_test::seed_text());
  // Documented shares; the bound adds five standard deviations of the count.
  const struct {
    std::int64_t trained_length;
    int digits;
    int draws;
    double share;
  } cases[] = {{4096, 3, 2000, 0.064},  {8192, 3, 2000, 0.123},   {4096, 5, 3000, 0.0007},
               {8192, 5, 3000, 0.0016}, {4096, 17, 3000, 0.0001}, {8192, 17, 3000, 0.0002}};
  for (const auto& part : cases) {
    int agreeing = 0;
    for (int i = 0; i < part.draws; ++i) {
      const rw::ThetaExplanation found = rw::explain_theta(
          question(random_theta(random, part.digits), part.trained_length, part.digits));
      bool law = false;
      for (const rw::ThetaCandidate& candidate : found.candidates) law = law || is_law(candidate);
      agreeing += law ? 1 : 0;
    }
    const double expected = part.draws * part.share;
    INFO(part.trained_length << " with " << part.digits << " digits");
    CHECK(agreeing <= expected + 5.0 * std::sqrt(expected) + 1.0);
  }
}

TEST_CASE("what is said to agree by chance is what agrees by chance") {
  Random random("calibration");
  INFO(ropewalk_test::seed_text());
  double said = 0.0;
  double counted = 0.0;
  constexpr int draws = 3000;
  for (int i = 0; i < draws; ++i) {
    rw::ThetaQuestion asked = question(random_theta(random, 3), 8192, 3);
    asked.trained_theta = 500000.0;
    asked.maximum_chance = 1.0;
    const rw::ThetaExplanation found = rw::explain_theta(asked);
    said += found.expected_by_chance;
    counted += found.left_out;
    for (const rw::ThetaCandidate& candidate : found.candidates) counted += is_law(candidate);
  }
  // The density of hypotheses is taken over a factor of ten each way, which smooths it: a third off
  // at most, and five standard deviations of the count, which comes in clusters of two.
  CHECK(counted <= said * 1.33 + 10.0 * std::sqrt(said));
  CHECK(counted >= said / 1.33 - 10.0 * std::sqrt(said));
  CHECK(counted > 100.0);
}

TEST_CASE("the length of a base is the base of a length the other way round") {
  const rw::RopeConfig llama3{128, 128, 500000.0, 8192};
  CHECK(rw::liu_length(llama3, 500000.0) == Approx(8192.0).epsilon(1e-13));
  CHECK(rw::liu_length(llama3, 283461213.47555687962) == Approx(262144.0).epsilon(1e-13));
  CHECK(rw::liu_length(llama3, 45218125209.670028039) == Approx(4194304.0).epsilon(1e-13));
  CHECK_THROWS_WITH(rw::liu_length({128, 128, 500000.0, 0}, 1e6), contains("original_length"));
  CHECK_THROWS_WITH(rw::liu_length(llama3, 1.0), contains("theta"));
}

TEST_CASE("extreme questions are answered without leaving the range of double") {
  for (const double theta : {1.0000001, 1.5, 1e6, 1e99, 1e100}) {
    for (const std::int64_t length : {std::int64_t{7}, std::int64_t{8192}, std::int64_t{1} << 53}) {
      for (const double base : {1.0000001, 1e4, 1e100}) {
        rw::ThetaQuestion asked = question(theta, length);
        asked.rotary_dim = 4;
        asked.trained_theta = base;
        CHECK_NOTHROW(rw::explain_theta(asked));
        asked.target_length = std::int64_t{1} << 53;
        CHECK_NOTHROW(rw::explain_theta(asked));
      }
    }
  }
}

TEST_CASE("questions that make no sense are refused by name") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double theta : {nan, infinity, -infinity}) {
    CHECK_THROWS_WITH(rw::explain_theta(question(theta, 8192)),
                      contains("theta = ") && contains("not a finite number"));
  }
  for (const double theta : {1.0, 0.0, -5.0, 1e101}) {
    CHECK_THROWS_WITH(rw::explain_theta(question(theta, 8192)), contains("explain_theta: theta"));
  }
  CHECK_THROWS_WITH(rw::explain_theta(question(1e6, 6)), contains("trained_length = 6"));
  CHECK_THROWS_WITH(rw::explain_theta(question(1e6, -1)), contains("trained_length = -1"));
  const auto refused = [](auto change, const char* text) {
    rw::ThetaQuestion asked = question(1e6, 8192);
    change(asked);
    CHECK_THROWS_WITH(rw::explain_theta(asked), contains(text));
  };
  refused([](auto& asked) { asked.rotary_dim = 2; }, "rotary_dim = 2");
  refused([](auto& asked) { asked.rotary_dim = 127; }, "rotary_dim = 127");
  refused([](auto& asked) { asked.rotary_dim = 1 << 20; }, "rotary_dim");
  refused([](auto& asked) { asked.target_length = 8191; }, "target_length = 8191");
  refused([&](auto& asked) { asked.trained_theta = nan; }, "trained_theta");
  refused([](auto& asked) { asked.trained_theta = 1.0; }, "trained_theta = 1");
  refused([](auto& asked) { asked.trained_theta = 1e101; }, "trained_theta");
  refused([](auto& asked) { asked.digits = 0; }, "digits = 0");
  refused([](auto& asked) { asked.digits = 18; }, "digits = 18");
  refused([&](auto& asked) { asked.tolerance = nan; }, "tolerance");
  refused([](auto& asked) { asked.tolerance = -1e-9; }, "tolerance");
  refused([](auto& asked) { asked.tolerance = 0.2; }, "tolerance");
  refused([](auto& asked) { asked.maximum_chance = 1.5; }, "maximum_chance");
}
