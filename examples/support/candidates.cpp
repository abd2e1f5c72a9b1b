#include <ropewalk/analysis/coverage.hpp>
#include <ropewalk/spectrum.hpp>
#include <ropewalk/theta.hpp>
#include <support/candidates.hpp>

#include <stdexcept>
#include <utility>
#include <variant>

namespace rw = ropewalk;

namespace {

// Qwen 2.5 and 3 document YaRN without training up to factor 4, and KoboldCpp's perplexities under
// Liu's law reach as far (kUntrainedReach); position interpolation is poor beyond 2.
constexpr double kUntrainedReachLinear = 2.0;

/// The same method on another base.
rw::RopeConfig with_theta(rw::RopeConfig config, double theta) {
  config.theta = theta;
  return config;
}

class Builder {
 public:
  Builder(const CandidateStart& start, std::int64_t target_length)
      : start_(start),
        target_(target_length),
        trained_(rw::spectrum(start.plain, start.plain_scaling)),
        factor_(static_cast<double>(target_length) /
                static_cast<double>(start.plain.original_length)) {}

  std::vector<Candidate> list() {
    const rw::RopeConfig& plain = start_.plain;
    add_base("liu", "Liu's law", [&] { return rw::theta_for_length(plain, target_); });
    add_base("strict", "strict base", [&] { return strict_theta(); });
    add_base("ntk_aware", "NTK-aware", [&] { return rw::ntk_theta(plain, factor_); });
    add_base("dynamic_ntk", "dynamic NTK",
             [&] { return rw::dynamic_ntk_theta(plain, factor_, target_); });
    add_method("yarn", "YaRN", yarn());
    add_method("llama3", "Llama-3 rule", llama3());
    add_linear();
    add_base("koboldcpp", "KoboldCpp", [&] { return koboldcpp_theta(); });
    add_base("tabbyapi", "tabbyAPI", [&] { return tabbyapi_theta(); });
    return std::move(candidates_);
  }

 private:
  template <typename Law>
  void add_base(std::string_view method, std::string_view title, Law law) {
    Candidate candidate = begin(method, title);
    try {
      candidate.config = with_theta(start_.plain, law());
      candidate.scaling = start_.plain_scaling;
    } catch (const std::invalid_argument& fault) {
      candidate.reason = fault.what();
    }
    finish(std::move(candidate));
  }

  void add_method(std::string_view method, std::string_view title, rw::Scaling scaling) {
    Candidate candidate = begin(method, title);
    candidate.config = start_.plain;
    candidate.scaling = std::move(scaling);
    if (std::holds_alternative<rw::Proportional>(start_.plain_scaling))
      candidate.reason = "no engine runs it on top of proportional rotation";
    finish(std::move(candidate));
  }

  void add_linear() {
    if (const auto* proportional = std::get_if<rw::Proportional>(&start_.plain_scaling)) {
      Candidate candidate = begin("linear", "PI");
      candidate.config = start_.plain;
      candidate.scaling = rw::Proportional{proportional->partial_rotary_factor, factor_};
      finish(std::move(candidate));
      return;
    }
    add_method("linear", "PI", rw::Linear{factor_});
  }

  Candidate begin(std::string_view method, std::string_view title) const {
    Candidate candidate;
    candidate.method = method;
    candidate.title = title;
    candidate.factor = factor_;
    return candidate;
  }

  void finish(Candidate candidate) {
    if (candidate.applies()) {
      try {
        measure(candidate);
      } catch (const std::invalid_argument& fault) {
        candidate.reason = fault.what();
      }
    }
    candidates_.push_back(std::move(candidate));
  }

  void measure(Candidate& candidate) const {
    const rw::Spectrum extended = rw::spectrum(candidate.config, candidate.scaling);
    const rw::Coverage coverage =
        rw::coverage(trained_, start_.plain.original_length, extended, target_);
    candidate.attention_factor = extended.attention_factor;
    candidate.over_range_pairs = coverage.over_range_pairs;
    candidate.fast_resolution = coverage.fast_resolution;
    for (const double inv_freq : extended.inv_freq) {
      if (rw::wavelength(inv_freq) <= static_cast<double>(target_))
        candidate.critical_dimension += 2;
    }
    const double reach = candidate.method == "linear" ? kUntrainedReachLinear : kUntrainedReach;
    candidate.needs_training = factor_ > reach || coverage.over_range_pairs > 0;
  }

  /// Complete pairs are counted among those that turn, which critical_pair cannot know of a
  /// proportional spectrum.
  double strict_theta() const {
    if (start_.complete_pairs + start_.still_pairs == trained_.pairs()) return start_.plain.theta;
    return rw::strict_theta_for_length(start_.plain, target_);
  }

  /// A model that YaRN already stretched keeps the shape of its ramp.
  rw::Scaling yarn() const {
    rw::Yarn yarn;
    if (const auto* file = std::get_if<rw::Yarn>(&start_.file_scaling)) {
      yarn = *file;
      // A factor that only spells out the formula belongs to the old length.
      rw::Yarn formula = *file;
      formula.explicit_attention_factor.reset();
      if (file->explicit_attention_factor) {
        const double stated = *file->explicit_attention_factor;
        const double derived = formula.attention_factor(start_.file_config);
        const double difference = stated > derived ? stated - derived : derived - stated;
        if (difference < 1e-3)  // files print it with four digits
          yarn.explicit_attention_factor.reset();
      }
    }
    yarn.factor = factor_;
    return yarn;
  }

  rw::Scaling llama3() const {
    rw::Llama3 rule;
    if (const auto* file = std::get_if<rw::Llama3>(&start_.file_scaling)) rule = *file;
    rule.factor = factor_;
    return rule;
  }

  void refuse_where_scaled(const char* program) const {
    if (!std::holds_alternative<rw::Unscaled>(start_.file_scaling)) {
      throw std::invalid_argument(std::string(program) +
                                  " computes from the claimed length, on top of what the file "
                                  "already does to its frequencies");
    }
  }

  double koboldcpp_theta() const {
    refuse_where_scaled("KoboldCpp");
    if (const auto theta = rw::koboldcpp_theta(start_.plain, target_)) return *theta;
    throw std::invalid_argument(
        "KoboldCpp keeps the model's own base: it acts for bases of exactly 10000 or 500000 and "
        "contexts beyond both the trained length and 2048");
  }

  double tabbyapi_theta() const {
    refuse_where_scaled("tabbyAPI");
    return rw::exllama_theta(start_.plain, rw::tabbyapi_alpha(factor_));
  }

  const CandidateStart& start_;
  std::int64_t target_;
  rw::Spectrum trained_;
  double factor_;
  std::vector<Candidate> candidates_;
};

}  // namespace

std::vector<Candidate> list_candidates(const CandidateStart& start, std::int64_t target_length) {
  return Builder(start, target_length).list();
}

std::vector<Candidate> refuse_candidates(const std::string& reason, double factor) {
  constexpr std::string_view methods[] = {"liu",    "strict", "ntk_aware", "dynamic_ntk", "yarn",
                                          "llama3", "linear", "koboldcpp", "tabbyapi"};
  std::vector<Candidate> candidates;
  for (const std::string_view method : methods) {
    Candidate candidate;
    candidate.method = method;
    candidate.title = method;
    candidate.reason = reason;
    candidate.factor = factor;
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}
