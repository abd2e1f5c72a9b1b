// Numbers nobody should pass, in every argument of every function that checks its arguments: an
// std::invalid_argument or a finite result, never NaN or an infinity, never anything else.
#include <ropewalk/analysis/coverage.hpp>
#include <ropewalk/spectrum.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using Limits = std::numeric_limits<double>;
using Long = std::numeric_limits<std::int64_t>;

const std::vector<double> kReals = {Limits::quiet_NaN(),
                                    -Limits::quiet_NaN(),
                                    Limits::signaling_NaN(),
                                    Limits::infinity(),
                                    -Limits::infinity(),
                                    0.0,
                                    -0.0,
                                    Limits::denorm_min(),
                                    -Limits::denorm_min(),
                                    (Limits::min)(),
                                    -(Limits::min)(),
                                    1e-300,
                                    1e-9,
                                    0.5,
                                    1.0 - 0x1p-53,
                                    1.0,
                                    1.0 + 0x1p-52,
                                    -1.0,
                                    4.0,
                                    5.9445,
                                    1e4,
                                    1e12,
                                    0x1p63,
                                    1e300,
                                    -1e300,
                                    (Limits::max)(),
                                    -(Limits::max)()};

const std::vector<std::int64_t> kLengths = {(Long::min)(),
                                            -(std::int64_t{1} << 53),
                                            -4096,
                                            -1,
                                            0,
                                            1,
                                            2,
                                            6,
                                            7,
                                            4096,
                                            8192,
                                            std::int64_t{1} << 31,
                                            (std::int64_t{1} << 53) - 1,
                                            std::int64_t{1} << 53,
                                            (std::int64_t{1} << 53) + 1,
                                            (Long::max)()};

const std::vector<int> kDims = {
    (std::numeric_limits<int>::min)(), -128, -1, 0, 1, 2, 3, 4, 64, 128, 65536, 65537,
    (std::numeric_limits<int>::max)()};

/// Calls `visit` with every combination of one entry per list.
template <typename Visit>
void for_each(Visit visit) {
  visit();
}
template <typename Visit, typename First, typename... Rest>
void for_each(Visit visit, const std::vector<First>& first, const std::vector<Rest>&... rest) {
  for (const First value : first) {
    for_each([&](const Rest&... others) { visit(value, others...); }, rest...);
  }
}

template <typename Value>
std::string text_of(Value value) {
  char text[40];
  std::snprintf(text, sizeof text, " %.17g", static_cast<double>(value));
  return text;
}

/// The combinations for which `function` neither refuses nor gives a finite number; the first in
/// words, empty when there is none. Counts what it accepted, so that a function that refuses
/// everything is noticed.
template <typename Function, typename... Lists>
std::string escapes(Function function, const std::vector<Lists>&... lists) {
  std::string first;
  std::uint64_t accepted = 0;
  const auto visit = [&](const Lists&... values) {
    std::string wrong;
    try {
      const double result = function(values...);
      ++accepted;
      if (!rw::detail::is_finite(result)) wrong = "not finite:";
    } catch (const std::invalid_argument&) {
      return;
    } catch (const std::exception& error) {
      wrong = std::string("threw ") + error.what() + ":";
    }
    if (wrong.empty() || !first.empty()) return;
    first = wrong;
    const int expand[] = {0, (first += text_of(values), 0)...};
    static_cast<void>(expand);
  };
  for_each(visit, lists...);
  return accepted == 0 ? "accepted nothing" : first;
}

rw::RopeConfig config_of(int head_dim, int rotary_dim, double theta, std::int64_t length) {
  rw::RopeConfig config;
  config.head_dim = head_dim;
  config.rotary_dim = rotary_dim;
  config.theta = theta;
  config.original_length = length;
  return config;
}

/// The largest frequency or the factor, after spectrum() looked at all of them.
template <typename Method>
double extreme(const rw::RopeConfig& config, const Method& method) {
  const rw::Spectrum result = rw::spectrum(config, method);
  double largest = result.attention_factor;
  for (const double inv_freq : result.inv_freq) {
    if (!rw::detail::is_finite(inv_freq) || inv_freq < 0.0) return Limits::quiet_NaN();
    largest = largest < inv_freq ? inv_freq : largest;
  }
  return largest;
}

const rw::RopeConfig kLlama = config_of(128, 128, 5e5, 8192);

}  // namespace

TEST_CASE("no hostile number gets through the laws of temperature") {
  CHECK(escapes([](double f, double m) { return rw::yarn_attention_factor(f, m); }, kReals,
                kReals) == "");
  CHECK(escapes(
            [](double f, double m, double all) { return rw::deepseek_attention_factor(f, m, all); },
            kReals, kReals, kReals) == "");
  CHECK(escapes([](double f, double all) { return rw::deepseek_softmax_multiplier(f, all); },
                kReals, kReals) == "");
  CHECK(escapes([](double f) { return rw::dual_chunk_attention_factor(f); }, kReals) == "");
  CHECK(escapes([](double f, std::int64_t l) { return rw::longrope_attention_factor(f, l); },
                kReals, kLengths) == "");
  CHECK(escapes([](double f, double slope) { return rw::nope_softmax_multiplier(f, slope); },
                kReals, kReals) == "");
  CHECK(escapes([](double h) { return rw::adaptive_softmax_multiplier(h); }, kReals) == "");
  CHECK(escapes([](std::int64_t p, std::int64_t l) { return rw::log_n_position_scale(p, l); },
                kLengths, kLengths) == "");
  CHECK(escapes(
            [](std::int64_t p, std::int64_t l) { return rw::log_n_untrained_position_scale(p, l); },
            kLengths, kLengths) == "");
  CHECK(escapes([](std::int64_t p, std::int64_t l) { return rw::qwen_position_scale(p, l); },
                kLengths, kLengths) == "");
  CHECK(escapes([](std::int64_t p,
                   std::int64_t l) { return rw::entropy_invariant_position_scale(p, l); },
                kLengths, kLengths) == "");
  CHECK(escapes([](std::int64_t p) { return rw::chiang_cholak_position_scale(p); }, kLengths) ==
        "");
  CHECK(escapes([](std::int64_t p, double s) { return rw::ssmax_position_scale(p, s); }, kLengths,
                kReals) == "");
  CHECK(escapes([](std::int64_t p, std::int64_t l,
                   int dim) { return rw::infoscale_position_scale(p, l, dim); },
                kLengths, kLengths, kDims) == "");
  CHECK(escapes([](std::int64_t p, double a) { return rw::swan_position_scale(p, a); }, kLengths,
                kReals) == "");
  CHECK(escapes([](std::int64_t p, std::int64_t floor_scale,
                   double a) { return rw::llama4_position_scale(p, floor_scale, a); },
                kLengths, kLengths, kReals) == "");
  CHECK(escapes([](std::int64_t p, std::int64_t l,
                   double beta) { return rw::ministral_position_scale(p, l, beta); },
                kLengths, kLengths, kReals) == "");
  CHECK(escapes(
            [](std::int64_t t, double tau) {
              const auto logit = rw::scale_invariant_logit(t, tau);
              return rw::detail::is_finite(logit.offset) ? logit.multiplier : logit.offset;
            },
            kLengths, kReals) == "");
}

TEST_CASE("no hostile number gets through the laws of theta") {
  const auto with = [](auto law) {
    return [law](double theta, std::int64_t trained, int dim, auto... arguments) {
      return law(config_of(dim, dim, theta, trained), arguments...);
    };
  };
  using Config = rw::RopeConfig;
  CHECK(escapes(with([](const Config& c, double x) { return rw::ntk_theta(c, x); }), kReals,
                kLengths, kDims, kReals) == "");
  CHECK(escapes(with([](const Config& c, double x) { return rw::exllama_theta(c, x); }), kReals,
                kLengths, kDims, kReals) == "");
  CHECK(escapes(with([](const Config& c, double x) { return rw::exllama_alpha(c, x); }), kReals,
                kLengths, kDims, kReals) == "");
  CHECK(escapes(with([](const Config& c, double x) { return rw::extrapolation_limit(c, x); }),
                kReals, kLengths, kDims, kReals) == "");
  CHECK(escapes(with([](const Config& c, double x) { return rw::pair_index_of_wavelength(c, x); }),
                kReals, kLengths, kDims, kReals) == "");
  CHECK(escapes(with([](const Config& c, std::int64_t l) { return rw::theta_for_length(c, l); }),
                kReals, kLengths, kDims, kLengths) == "");
  CHECK(escapes(
            with([](const Config& c, std::int64_t l) { return rw::strict_theta_for_length(c, l); }),
            kReals, kLengths, kDims, kLengths) == "");
  CHECK(
      escapes(with([](const Config& c) { return static_cast<double>(rw::critical_dimension(c)); }),
              kReals, kLengths, kDims) == "");
  const std::vector<int> some_dims = {-2, 2, 4, 128};
  CHECK(escapes(with([](const Config& c, double f, std::int64_t l) {
                  return rw::dynamic_ntk_theta(c, f, l);
                }),
                kReals, kLengths, some_dims, kReals, kLengths) == "");
  CHECK(escapes([](double f, double pair) { return rw::align_theta(kLlama, f, pair); }, kReals,
                kReals) == "");
  CHECK(escapes([](std::int64_t l) { return rw::small_base_thresholds(l).quarter_turn; },
                kLengths) == "");
  CHECK(escapes([](double f) { return rw::tabbyapi_alpha(f); }, kReals) == "");
  CHECK(escapes([](double a) { return rw::text_generation_webui_theta(a); }, kReals) == "");
  CHECK(escapes([](double t) { return rw::text_generation_webui_alpha(t); }, kReals) == "");
  for (const auto model : {rw::KoboldCppModel::ordinary, rw::KoboldCppModel::solar}) {
    CHECK(escapes(
              [model](double theta, std::int64_t trained, std::int64_t length) {
                return rw::koboldcpp_theta(config_of(128, 128, theta, trained), length, model)
                    .value_or(0.0);
              },
              kReals, kLengths, kLengths) == "");
  }
}

TEST_CASE("no hostile number gets through a method") {
  // A config with every field hostile in turn, and hostile methods on two sound configs.
  CHECK(escapes(
            [](int head_dim, int rotary_dim, double theta, std::int64_t length) {
              if (rotary_dim > 4096) return 0.0;  // sound but slow
              return extreme(config_of(head_dim, rotary_dim, theta, length), rw::Unscaled{});
            },
            kDims, kDims, kReals, kLengths) == "");
  const std::vector<int> dims = {2, 4, 64};
  CHECK(
      escapes([](int dim, double f) { return extreme(config_of(dim, dim, 1e4, 0), rw::Linear{f}); },
              dims, kReals) == "");
  CHECK(escapes(
            [](int dim, double f) { return extreme(config_of(dim, dim, 1e4, 0), rw::NtkAware{f}); },
            dims, kReals) == "");
  CHECK(escapes(
            [](int dim, double theta, std::int64_t trained, double f, std::int64_t l) {
              return extreme(config_of(dim, dim, theta, trained), rw::DynamicNtk{f, l});
            },
            std::vector<int>{2, 4}, kReals, kLengths, kReals, kLengths) == "");
  CHECK(escapes(
            [](std::int64_t trained, double f, double fast, double slow) {
              return extreme(config_of(64, 64, 1e4, trained), rw::NtkByParts{f, fast, slow});
            },
            std::vector<std::int64_t>{0, 1, 4096}, kReals, kReals, kReals) == "");
  CHECK(escapes(
            [](std::int64_t trained, double f, double low, double high) {
              return extreme(config_of(64, 64, 1e4, trained), rw::Llama3{f, low, high});
            },
            std::vector<std::int64_t>{0, 1, 4096}, kReals, kReals, kReals) == "");
  for (const bool truncate : {false, true}) {
    CHECK(escapes(
              [truncate](std::int64_t trained, double f, double fast, double slow) {
                return extreme(config_of(64, 64, 1e4, trained), rw::Yarn{f, fast, slow, truncate});
              },
              std::vector<std::int64_t>{0, 1, 4096}, kReals, kReals, kReals) == "");
  }
  CHECK(escapes(
            [](double extrapolation, double attn, double given) {
              rw::Yarn method{4.0, 32.0, 1.0, true, extrapolation, attn};
              method.explicit_attention_factor = given;
              return extreme(config_of(64, 64, 1e4, 4096), method);
            },
            kReals, kReals, kReals) == "");
  CHECK(escapes(
            [](double f, double m, double all, double attn) {
              rw::Yarn method{f};
              method.mscale = m;
              method.mscale_all_dim = all;
              method.attn_factor = attn;
              return extreme(config_of(4, 4, 1e4, 4096), method);
            },
            kReals, kReals, kReals, kReals) == "");
  CHECK(escapes(
            [](double list, double f, std::int64_t trained, std::int64_t length) {
              rw::LongRope method;
              method.short_factor = {1.0, list};
              method.long_factor = {list, 1.0};
              method.factor = f;
              method.length = length;
              return extreme(config_of(4, 4, 1e4, trained), method);
            },
            kReals, kReals, kLengths, kLengths) == "");
  CHECK(escapes(
            [](double share, double f) {
              return extreme(config_of(64, 64, 1e4, 0), rw::Proportional{share, f});
            },
            kReals, kReals) == "");
  CHECK(escapes(
            [](double exponent) {
              return extreme(config_of(64, 64, 1e4, 0), rw::PowerBasis{exponent});
            },
            kReals) == "");
  CHECK(escapes(
            [](double cutoff) {
              return extreme(config_of(64, 64, 1e4, 0), rw::TruncatedBasis{cutoff});
            },
            kReals) == "");
  CHECK(escapes(
            [](double f, double exponent) {
              return extreme(config_of(64, 64, 1e4, 0), rw::NtkMixed{f, exponent});
            },
            kReals, kReals) == "");
  CHECK(escapes(
            [](double theta, double f) {
              return extreme(config_of(64, 64, theta, 4096), rw::Resonance<rw::Linear>{{f}});
            },
            kReals, kReals) == "");
}

TEST_CASE("a list of the wrong length is refused at any length") {
  for (const std::size_t size : {1u, 31u, 33u, 64u, 1000u}) {
    rw::LongRope method;
    method.short_factor.assign(size, 1.0);
    CHECK_THROWS_AS(rw::spectrum(config_of(64, 64, 1e4, 4096), method), std::invalid_argument);
  }
}

TEST_CASE("no hostile number gets through the analysis of coverage") {
  CHECK(escapes(
            [](double before, double after, std::int64_t trained, std::int64_t target) {
              const rw::Spectrum one{{1.0, before}, 1.0};
              const rw::Spectrum other{{1.0, after}, 1.0};
              const auto result = rw::coverage(one, trained, other, target);
              return result.fast_resolution + result.longest_wavelength;
            },
            kReals, kReals, kLengths, kLengths) == "");
  CHECK(escapes(
            [](double kappa) {
              const rw::Spectrum one{{1.0, 0.5}, 1.0};
              return rw::coverage(one, 4096, one, 8192, kappa).fast_resolution;
            },
            kReals) == "");
}
