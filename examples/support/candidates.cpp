#include <ropewalk/analysis/coverage.hpp>
#include <ropewalk/interop/engine_flags.hpp>
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

/// Why a method has no value here.
struct NotApplicable {
  std::string reason;
};

struct Method;

class Builder {
 public:
  Builder(const CandidateStart& start, std::int64_t target_length)
      : start_(start),
        target_(target_length),
        trained_(rw::spectrum(start.plain, start.plain_scaling)),
        factor_(static_cast<double>(target_length) /
                static_cast<double>(start.plain.original_length)) {}

  void liu(Candidate& candidate) const {
    set_base(candidate, rw::theta_for_length(start_.plain, target_));
  }

  /// Complete pairs are counted among those that turn, which critical_pair cannot know of a
  /// proportional spectrum.
  void strict(Candidate& candidate) const {
    const bool complete = start_.complete_pairs + start_.still_pairs == trained_.pairs();
    set_base(candidate,
             complete ? start_.plain.theta : rw::strict_theta_for_length(start_.plain, target_));
  }

  void ntk_aware(Candidate& candidate) const {
    set_base(candidate, rw::ntk_theta(start_.plain, factor_));
  }

  void dynamic_ntk(Candidate& candidate) const {
    set_base(candidate, rw::dynamic_ntk_theta(start_.plain, factor_, target_));
  }

  /// A model that YaRN already stretched keeps the shape of its ramp.
  void yarn(Candidate& candidate) const {
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
    set_method(candidate, yarn);
  }

  void llama3(Candidate& candidate) const {
    rw::Llama3 rule;
    if (const auto* file = std::get_if<rw::Llama3>(&start_.file_scaling)) rule = *file;
    rule.factor = factor_;
    set_method(candidate, rule);
  }

  void linear(Candidate& candidate) const {
    const auto* proportional = std::get_if<rw::Proportional>(&start_.plain_scaling);
    if (proportional == nullptr) return set_method(candidate, rw::Linear{factor_});
    candidate.config = start_.plain;
    candidate.scaling = rw::Proportional{proportional->partial_rotary_factor, factor_};
  }

  void koboldcpp(Candidate& candidate) const {
    refuse_where_scaled("KoboldCpp");
    const auto theta = rw::koboldcpp_theta(start_.plain, target_);
    if (!theta) {
      throw NotApplicable{
          "KoboldCpp keeps the model's own base: it acts for bases of exactly 10000 or 500000 and "
          "contexts beyond both the trained length and 2048"};
    }
    set_base(candidate, *theta);
  }

  void tabbyapi(Candidate& candidate) const {
    refuse_where_scaled("tabbyAPI");
    if (std::holds_alternative<rw::Proportional>(start_.plain_scaling))
      throw NotApplicable{"tabbyAPI's alpha knows nothing of proportional rotation"};
    set_base(candidate, rw::exllama_theta(start_.plain, rw::tabbyapi_alpha(factor_)));
  }

  /// One row: what `method` does and what it leads to, or why it does not apply.
  Candidate candidate(const Method& method) const;

 private:
  void set_base(Candidate& candidate, double theta) const {
    candidate.config = start_.plain;
    candidate.config.theta = theta;
    candidate.scaling = start_.plain_scaling;
  }

  void set_method(Candidate& candidate, rw::Scaling scaling) const {
    if (std::holds_alternative<rw::Proportional>(start_.plain_scaling))
      throw NotApplicable{"no engine runs it on top of proportional rotation"};
    candidate.config = start_.plain;
    candidate.scaling = std::move(scaling);
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

  void refuse_where_scaled(const char* program) const {
    if (rw::detail::is_scaled(start_.file_scaling)) {
      throw NotApplicable{std::string(program) +
                          " computes from the claimed length, on top of what the file already does "
                          "to its frequencies"};
    }
  }

  const CandidateStart& start_;
  std::int64_t target_;
  rw::Spectrum trained_;
  double factor_;
};

/// A way to a longer context, and what works it out.
struct Method {
  std::string_view name;   // as in the JSON output
  std::string_view title;  // as in the table
  void (Builder::*work_out)(Candidate& candidate) const;
};

constexpr Method kMethods[] = {
    {"liu", "Liu's law", &Builder::liu},
    {"strict", "strict base", &Builder::strict},
    {"ntk_aware", "NTK-aware", &Builder::ntk_aware},
    {"dynamic_ntk", "dynamic NTK", &Builder::dynamic_ntk},
    {"yarn", "YaRN", &Builder::yarn},
    {"llama3", "Llama-3 rule", &Builder::llama3},
    {"linear", "PI", &Builder::linear},
    {"koboldcpp", "KoboldCpp", &Builder::koboldcpp},
    {"tabbyapi", "tabbyAPI", &Builder::tabbyapi},
};

Candidate begin(const Method& method, double factor) {
  Candidate candidate;
  candidate.method = method.name;
  candidate.title = method.title;
  candidate.factor = factor;
  return candidate;
}

/// The library's message without the name of the function that refused.
std::string without_place(std::string_view message) {
  const std::size_t colon = message.find(": ");
  return std::string(colon == std::string_view::npos ? message : message.substr(colon + 2));
}

Candidate Builder::candidate(const Method& method) const {
  Candidate candidate = begin(method, factor_);
  try {
    (this->*method.work_out)(candidate);
    if (!rw::detail::fits_float32(candidate.config.theta))
      throw NotApplicable{rw::detail::theta_beyond_float32(candidate.config.theta)};
    measure(candidate);
  } catch (const NotApplicable& refusal) {
    candidate.reason = refusal.reason;
  } catch (const std::invalid_argument& fault) {
    candidate.reason = without_place(fault.what());
  }
  return candidate;
}

}  // namespace

std::vector<Candidate> list_candidates(const CandidateStart& start, std::int64_t target_length) {
  const Builder builder(start, target_length);
  std::vector<Candidate> candidates;
  for (const Method& method : kMethods) candidates.push_back(builder.candidate(method));
  return candidates;
}

std::vector<Candidate> refuse_candidates(const std::string& reason, double factor) {
  std::vector<Candidate> candidates;
  for (const Method& method : kMethods) {
    candidates.push_back(begin(method, factor));
    candidates.back().reason = reason;
  }
  return candidates;
}
