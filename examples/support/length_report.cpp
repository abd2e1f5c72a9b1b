#include <ropewalk/analysis/coverage.hpp>
#include <ropewalk/theta.hpp>
#include <support/length_report.hpp>

#include <algorithm>
#include <utility>
#include <variant>

namespace rw = ropewalk;

namespace {

/// Which layers of a model the length concerns.
enum class Reach {
  everything,  // some rotated layers see every token
  windows,     // rotated layers see a window only, unrotated ones the rest
  nothing      // no layer rotates
};

struct Scope {
  Reach reach = Reach::nothing;
  std::size_t variant = 0;
  bool other_layers = false;  // some layers rotate otherwise, or not at all
  std::int64_t window = 0;
};

/// A window no longer than the trained length keeps every distance within it.
bool within(const rw::LayerView& layer, std::int64_t trained_length) {
  const bool windowed = layer.mask == rw::MaskKind::sliding || layer.mask == rw::MaskKind::chunked;
  return windowed && layer.window > 0 && layer.window <= trained_length;
}

Scope find_scope(const rw::ModelConfig& model, std::int64_t trained_length) {
  Scope scope;
  if (model.layer_views.empty()) {
    std::size_t index = 0;
    for (const rw::RopeVariant& rope : model.variants) {
      const bool local =
          rope.layer_type == "sliding_attention" || rope.layer_type == "chunked_attention";
      if (rope.rotated && !local && scope.reach != Reach::everything) {
        scope.reach = Reach::everything;
        scope.variant = index;
      } else if (rope.rotated && scope.reach == Reach::nothing) {
        scope.reach = Reach::windows;
        scope.variant = index;
      }
      ++index;
    }
    scope.other_layers = model.variants.size() > 1;
    return scope;
  }
  for (const rw::LayerView& layer : model.layer_views) {
    if (layer.mask == rw::MaskKind::none) continue;
    if (!layer.rotated) {
      scope.other_layers = true;
    } else if (!within(layer, trained_length)) {
      if (scope.reach == Reach::everything && scope.variant != layer.variant)
        scope.other_layers = true;
      if (scope.reach != Reach::everything) scope.variant = layer.variant;
      scope.reach = Reach::everything;
    } else if (scope.reach == Reach::nothing) {
      scope.reach = Reach::windows;
      scope.variant = layer.variant;
      scope.window = layer.window;
    }
  }
  for (const rw::LayerView& layer : model.layer_views) {
    if (layer.mask != rw::MaskKind::none && layer.rotated && layer.variant != scope.variant)
      scope.other_layers = true;
  }
  return scope;
}

/// No method applies, for the reason already in the report.
LengthReport refuse(LengthReport report) {
  const double trained = static_cast<double>(report.plain.original_length);
  const double target = static_cast<double>(report.target_length);
  report.candidates = refuse_candidates(report.no_schedule,
                                        trained > 0.0 && target > trained ? target / trained : 1.0);
  return report;
}

const Candidate* find(const LengthReport& report, std::string_view method) {
  for (const Candidate& candidate : report.candidates) {
    if (candidate.method == method && candidate.applies()) return &candidate;
  }
  return nullptr;
}

/// A schedule that lets a pair leave the arc it was trained on is never recommended.
bool sound(const LengthReport& report, std::string_view method) {
  const Candidate* candidate = find(report, method);
  return candidate != nullptr && candidate->over_range_pairs == 0;
}

/// The candidate that continues what the file already does; "" where none does.
std::string_view own_method(const rw::Scaling& scaling) {
  if (std::holds_alternative<rw::Yarn>(scaling)) return "yarn";
  if (std::holds_alternative<rw::Llama3>(scaling)) return "llama3";
  const bool divided = std::holds_alternative<rw::Linear>(scaling) ||
                       std::holds_alternative<rw::Proportional>(scaling);
  return divided && rw::detail::is_scaled(scaling) ? "linear" : "";
}

void recommend(LengthReport& report, const rw::Scaling& file_scaling) {
  const double factor =
      static_cast<double>(report.target_length) / static_cast<double>(report.plain.original_length);
  const std::string_view own = own_method(file_scaling);
  if (!own.empty() && sound(report, own)) {
    report.recommended = own;
    report.reason =
        "the weights were trained under this method, so a larger factor of the same one moves the "
        "frequencies least";
    return;
  }
  if (factor <= kUntrainedReach && sound(report, "yarn")) {
    report.recommended = "yarn";
    report.reason =
        "without training it keeps every fast pair as it was and no pair leaves the arc it was "
        "trained on";
    return;
  }
  for (const std::string_view method : {"liu", "strict", "yarn"}) {
    if (!sound(report, method)) continue;
    report.recommended = method;
    if (method == "yarn") {
      report.reason = "no base reaches this length, and here no pair leaves its trained arc";
    } else if (factor <= kUntrainedReach) {
      report.reason =
          "one new base keeps every pair on its trained arc, and up to factor 4 such a base is "
          "used "
          "without training";
    } else {
      report.reason =
          "beyond factor 4 the model needs training at the new length, and then one new base keeps "
          "every pair on its trained arc and is what released long models use";
    }
    return;
  }
  report.no_schedule =
      "no method that engines can run keeps every pair within the angles it was trained on";
}

/// Files of this kind say what base they run with, not what they were trained with.
void fold_alpha(LengthReport& report, rw::Scaling& scaling) {
  const auto* alpha = std::get_if<rw::NtkAware>(&scaling);
  if (alpha == nullptr) return;
  report.plain.theta = rw::ntk_theta(report.plain, alpha->factor);
  scaling = rw::Unscaled{};
  report.warnings.emplace_back(
      "alpha is part of how the model was trained: the laws start from the "
      "base it leads to");
}

std::string tokens(std::int64_t length) { return std::to_string(length) + " tokens"; }

std::string within_reach(std::int64_t reach, const char* verb) {
  return "the target lies within the " + tokens(reach) + " that the model " + verb;
}

void warn_about_method(LengthReport& report, const rw::ModelConfig& model, const Scope& scope,
                       bool scaled) {
  const Candidate* chosen = report.recommended_candidate();
  if (scope.other_layers) {
    report.warnings.emplace_back(
        "the schedule is for the rotated layers that see every token; sliding and unrotated "
        "layers keep theirs");
  }
  if (scaled) {
    report.warnings.emplace_back(
        "the file's own scaling is replaced: every number starts from the plain base at " +
        tokens(report.plain.original_length));
  }
  if (std::holds_alternative<rw::LongRope>(model.variants[report.variant].scaling)) {
    report.warnings.emplace_back(
        "LongRoPE's lists belong to one checkpoint and one length and cannot be stretched; "
        "dropping them costs quality until trained");
  }
  if (chosen != nullptr && (chosen->method == "yarn" || chosen->method == "llama3")) {
    report.warnings.emplace_back("the schedule is static: short prompts change too");
  }
  if (chosen != nullptr && chosen->method == own_method(model.variants[report.variant].scaling)) {
    if (report.target_length > report.claimed_length) {
      report.warnings.emplace_back(
          "beyond " + tokens(report.claimed_length) +
          " the model was never trained under this method either: test it");
    }
  } else if (chosen != nullptr && chosen->method != "yarn" && chosen->needs_training) {
    report.warnings.emplace_back(
        "a model that is not going to be trained fares better under yarn, which keeps the fast "
        "pairs, and still loses quality at this factor");
  }
  if (model.model_type.rfind("qwen3", 0) == 0 && report.plain.original_length == 40960) {
    report.warnings.emplace_back(
        "Qwen counts 32768 of these 40960 tokens as trained: --trained-length 32768 gives the "
        "factors of its own documents");
  }
  for (const rw::LayerView& layer : model.layer_views) {
    if (layer.position_scale.law == rw::PositionScale::Law::none) continue;
    report.warnings.emplace_back(
        "queries are sharpened by position in this model; that law stays as it is");
    break;
  }
}

}  // namespace

const Candidate* LengthReport::recommended_candidate() const { return find(*this, recommended); }

rw::EngineSchedule LengthReport::schedule() const {
  rw::EngineSchedule schedule;
  schedule.length = target_length;
  schedule.variant = variant;
  if (const Candidate* chosen = recommended_candidate()) {
    schedule.config = chosen->config;
    schedule.scaling = chosen->scaling;
  } else {
    schedule.config = plain;
    schedule.scaling = plain_scaling;
    schedule.as_in_file = true;
  }
  return schedule;
}

LengthReport report_length(const rw::ModelConfig& model, std::int64_t target_length,
                           std::optional<std::int64_t> trained_length) {
  const std::int64_t trained = trained_length.value_or(
      model.original_length > 0 ? model.original_length
                                : model.variants.front().config.original_length);
  const Scope scope = find_scope(model, trained);
  const rw::RopeVariant& rope = model.variants[scope.variant];
  rw::Scaling file_scaling = rope.scaling;

  LengthReport report;
  report.variant = scope.variant;
  report.plain = rope.config;
  report.target_length = target_length;
  report.original_length =
      model.original_length > 0 ? model.original_length : rope.config.original_length;
  report.claimed_length = model.claimed_length > 0 ? model.claimed_length : report.original_length;
  report.plain.original_length = trained_length.value_or(report.original_length);
  const std::int64_t reach = trained_length.value_or(report.claimed_length);
  fold_alpha(report, file_scaling);
  if (const auto* proportional = std::get_if<rw::Proportional>(&file_scaling))
    report.plain_scaling = rw::Proportional{proportional->partial_rotary_factor, 1.0};

  if (scope.reach == Reach::nothing && target_length <= reach) {
    report.reason = within_reach(reach, "claims");
    report.candidates = refuse_candidates("no layer of this model rotates", 1.0);
    return report;
  }
  if (scope.reach == Reach::nothing) {
    report.no_schedule =
        "no layer of this model rotates, so there are no frequencies to stretch; what a longer "
        "context needs here is a temperature on the logits";
    return refuse(std::move(report));
  }
  if (report.plain.original_length == 0) {
    report.no_schedule =
        "the config does not say how long the model was trained; give "
        "--trained-length";
    return refuse(std::move(report));
  }
  if (report.plain.original_length < 7) {
    report.no_schedule = "trained length " + tokens(report.plain.original_length) +
                         ": below 7 no pair makes a full turn and no law holds";
    return refuse(std::move(report));
  }

  const rw::Spectrum spectrum = rw::spectrum(report.plain, report.plain_scaling);
  const rw::Coverage now =
      rw::coverage(spectrum, report.plain.original_length, spectrum, report.plain.original_length);
  report.diagnosed = true;
  report.critical_pair = now.complete_pairs;
  report.still_pairs = now.still_pairs;
  report.longest_wavelength = now.longest_wavelength;
  // A target below the trained length has no factor: the table then shows factor 1.
  report.candidates = list_candidates({report.plain, report.plain_scaling, rope.config,
                                       file_scaling, report.critical_pair, report.still_pairs},
                                      std::max(target_length, report.plain.original_length));

  const bool scaled = rw::detail::is_scaled(file_scaling);
  if (target_length <= reach) {
    report.reason = within_reach(reach, trained_length ? "was trained to"
                                        : scaled       ? "reaches as it is"
                                                       : "claims");
    return report;
  }
  if (scope.reach == Reach::windows) {
    report.change_length = true;
    report.reason = "the layers that rotate see a window of " +
                    (scope.window > 0 ? tokens(scope.window) : std::string("tokens")) +
                    " only, so no pair meets a new angle at any length";
    report.warnings.emplace_back(
        "an engine that does not apply the window needs a schedule after all");
    if (scope.other_layers) {
      report.warnings.emplace_back(
          "the layers that see every token do not rotate; no base helps them, a temperature on "
          "their logits may");
    }
    return report;
  }
  if (!scaled && report.critical_pair + report.still_pairs == spectrum.pairs()) {
    report.change_length = true;
    report.reason =
        "every pair that turns made a full turn in training, so none meets a new "
        "angle; raise the length and leave the frequencies";
    return report;
  }
  recommend(report, file_scaling);
  warn_about_method(report, model, scope, scaled);
  return report;
}
