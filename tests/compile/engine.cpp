// Every public function as an inference engine builds it: -O3 -ffast-math -fno-exceptions -fno-rtti,
// hence without a test framework. Accuracy is measured elsewhere; this shows that under these flags
// the formulas are still the formulas and that bad data is still refused.
#include "engine.hpp"

#include <vector>

namespace rw = ropewalk;

namespace {

struct Halved {  // a user's own method
  double inv_freq(const rw::RopeConfig& config, int pair) const {
    return rw::inverse_frequency(config, pair) / 2.0;
  }
};

const rw::RopeConfig kLlama2{128, 128, 10000.0, 4096};
const rw::RopeConfig kLlama3{128, 128, 500000.0, 8192};

template <typename Method>
double frequency(const rw::RopeConfig& config, const Method& method, std::size_t pair) {
  return rw::spectrum(config, method).inv_freq[pair];
}

void frequencies() {
  expect("inverse_frequency", rw::inverse_frequency(500000.0, 63, 128), 2.4551407911316089e-6);
  expect("inverse_frequency", rw::inverse_frequency(kLlama2, 1), 0.86596432336006535);
  expect("wavelength", rw::wavelength(rw::inverse_frequency(kLlama3, 63)), 2559195.5173713594);
  expect("rotations", rw::rotations(rw::inverse_frequency(kLlama2, 63), 4096),
         4096 / 54410.14313077675);
  expect("pair_index_of_wavelength", rw::pair_index_of_wavelength(kLlama3, 8192.0),
         34.98411900147240525681);
}

void thetas() {
  expect("critical_pair", rw::critical_pair(kLlama3), 35);
  expect("critical_dimension", rw::critical_dimension(kLlama2), 92);
  expect("ntk_theta", rw::ntk_theta(kLlama2, 8.0), 82684.622640562218);
  expect("dynamic_ntk_theta", rw::dynamic_ntk_theta({128, 128, 10000.0, 2048}, 2.0, 4096),
         30527.736748806698);
  expect("theta_for_length", rw::theta_for_length(kLlama3, 262144), 283461213.47555687962);
  expect("strict_theta_for_length", rw::strict_theta_for_length({96, 96, 10000.0, 2048}, 131072),
         10000.0 * std::pow(64.0, 96.0 / 62.0));
  expect("align_theta", rw::align_theta(kLlama3, 8.0, 63.0), 4134231.1320281109);
  expect("extrapolation_limit", rw::extrapolation_limit(kLlama2, 1e6),
         6.283185307179586 * std::pow(1e6, 92.0 / 128.0));
  const rw::SmallBaseThresholds bases = rw::small_base_thresholds(4096);
  expect("quarter_turn", bases.quarter_turn, 2607.5945876176132);
  expect("half_turn", bases.half_turn, 1303.7972938088066);
  expect("full_turn", bases.full_turn, 651.8986469044033);
  expect("exllama_theta", rw::exllama_theta(kLlama2, 4.0), 40889.942432486216);
  expect("exllama_alpha", rw::exllama_alpha(kLlama2, 40889.942432486216), 4.0);
  expect("tabbyapi_alpha", rw::tabbyapi_alpha(2.0), -0.13436 + 2 * 0.80541 + 4 * 0.28833);
  expect("text_generation_webui_theta", rw::text_generation_webui_theta(2.0), 20221.261689737912);
  expect("text_generation_webui_alpha", rw::text_generation_webui_alpha(20221.261689737912), 2.0);
  expect("koboldcpp_theta", rw::koboldcpp_theta(kLlama3, 262144).value_or(0.0),
         std::pow(500000.0, std::log(262144 / 6.28318) / std::log(8192 / 6.28318)));
}

void scale_laws() {
  expect("yarn_attention_factor", rw::yarn_attention_factor(16.0), 1.2772588722239781);
  expect("deepseek_attention_factor", rw::deepseek_attention_factor(40.0, 0.707, 1.0),
         1.26080377740586 / 1.36888794541139);
  expect("deepseek_softmax_multiplier", rw::deepseek_softmax_multiplier(40.0, 1.0),
         1.87385420709263);
  expect("dual_chunk_attention_factor", rw::dual_chunk_attention_factor(8.0), 1.10397207708399);
  expect("longrope_attention_factor", rw::longrope_attention_factor(32.0, 4096),
         1.1902380714238083);
  expect("nope_softmax_multiplier", rw::nope_softmax_multiplier(8.0, rw::kDropeSlopeScratch),
         1.85672991517209);
  expect("adaptive_softmax_multiplier", rw::adaptive_softmax_multiplier(4.0), 2.389);
  expect("log_n_position_scale", rw::log_n_position_scale(4095, 16777216), 0.5);
  expect("log_n_untrained_position_scale", rw::log_n_untrained_position_scale(8191, 4096),
         13.0 / 12.0);
  expect("qwen_position_scale", rw::qwen_position_scale(2048, 2048), 1.00006402445557);
  expect("entropy_invariant_position_scale", rw::entropy_invariant_position_scale(131071),
         17.0 / 9.0);
  expect("chiang_cholak_position_scale", rw::chiang_cholak_position_scale(19), std::log(20.0));
  expect("ssmax_position_scale", rw::ssmax_position_scale(999, 0.43), 0.43 * std::log(1000.0));
  expect("infoscale_position_scale", rw::infoscale_position_scale(1023, 512, 128),
         1.05129114844886);
  expect("swan_position_scale", rw::swan_position_scale(9, 6.0), std::log(16.0));
  expect("llama4_position_scale", rw::llama4_position_scale(131071), 1.28332133440562);
  expect("ministral_position_scale", rw::ministral_position_scale(262143, 16384, 0.1),
         1.27725887222398);
  const rw::ScaleInvariantLogit logit = rw::scale_invariant_logit(10);
  expect("scale_invariant_logit", logit.multiplier, 1.54476352919141);
  expect("scale_invariant_logit", logit.offset, -1.38629436111989);
}

void methods() {
  const double last = rw::inverse_frequency(kLlama3, 63);
  expect("Unscaled", rw::spectrum(kLlama3).inv_freq[63], last);
  expect("Nope", frequency(kLlama3, rw::Nope{}, 0), 0.0);
  expect("Linear", frequency(kLlama3, rw::Linear{4.0}, 63), last / 4.0);
  expect("NtkAware", frequency(kLlama3, rw::NtkAware{8.0}, 63), last / 8.0);
  expect("DynamicNtk", frequency(kLlama2, rw::DynamicNtk{2.0, 8192}, 1),
         std::pow(rw::dynamic_ntk_theta(kLlama2, 2.0, 8192), -1.0 / 64.0));
  const double pair25 = rw::inverse_frequency(kLlama2, 25);
  expect("NtkByParts", frequency(kLlama2, rw::NtkByParts{16.0}, 25) / pair25, 0.572128645433);
  rw::Yarn yarn;
  yarn.factor = 16.0;
  expect("Yarn", frequency(kLlama2, yarn, 25) / pair25, 0.819711538462);
  expect("Yarn attention_factor", rw::spectrum(kLlama2, yarn).attention_factor, 1.2772588722239781);
  rw::LongRope long_rope;
  long_rope.long_factor = std::vector<double>(64, 3.0);
  long_rope.factor = 32.0;
  long_rope.length = 4097;
  expect("LongRope", frequency(kLlama2, long_rope, 25), pair25 / 3.0);
  expect("LongRope attention_factor", rw::spectrum(kLlama2, long_rope).attention_factor,
         1.1902380714238083);
  expect("Llama3", frequency(kLlama3, rw::Llama3{8.0}, 29), 0.0021665707635033586);
  expect("Llama3, a step", frequency(kLlama3, rw::Llama3{8.0, 1.0, 1.0}, 35), 9.556212353964683e-5);
  expect("Proportional", frequency(kLlama2, rw::Proportional{0.5}, 25), pair25);
  expect("Proportional", frequency(kLlama2, rw::Proportional{0.5}, 32), 0.0);
  expect("PowerBasis", frequency(kLlama2, rw::PowerBasis{0.5}, 48), 0.5e-3);
  const rw::TruncatedBasis truncated = rw::TruncatedBasis::at_length(2048);
  expect("TruncatedBasis", frequency(kLlama2, truncated, 41), 6.283185307179586 / 16 / 2048);
  expect("TruncatedBasis", frequency(kLlama2, truncated, 63), 0.0);
  expect("NtkMixed", frequency(kLlama3, rw::NtkMixed{8.0}, 63), last / 8.0);
  expect("Resonance", frequency(kLlama2, rw::Resonance<>{}, 2), 6.283185307179586 / 8);
  expect("a user's method", frequency(kLlama3, Halved{}, 63), last / 2.0);
  const rw::Scaling from_a_file = rw::Linear{4.0};
  expect("Scaling", frequency(kLlama3, from_a_file, 63), last / 4.0);
  expect("at_length", frequency(kLlama2, rw::at_length(rw::DynamicNtk{2.0}, 8192), 1),
         frequency(kLlama2, rw::DynamicNtk{2.0, 8192}, 1));
}

void analysis() {
  const rw::Spectrum trained = rw::spectrum(kLlama3);
  rw::RopeConfig extended = kLlama3;
  extended.theta = rw::ntk_theta(kLlama3, 32.0);
  const rw::Coverage seen = rw::coverage(trained, 8192, rw::spectrum(extended), 262144);
  expect("complete_pairs", seen.complete_pairs, 35);
  expect("over_range_pairs", seen.over_range_pairs, 28);
  expect("rotations", rw::rotations(trained, 8192)[34],
         8192 / rw::wavelength(trained.inv_freq[34]));
}

void refusals() {
  const double not_a_number = from_bits(0x7ff8000000000000u);
  const double infinity = from_bits(0x7ff0000000000000u);
  rw::RopeConfig config = kLlama3;
  expect_refused("a sound config", config.validate(), rw::Errc::ok, "");
  config.theta = not_a_number;
  expect_refused("theta NaN", config.validate(), rw::Errc::not_finite, "theta");
  config.theta = infinity;
  expect_refused("theta infinite", config.validate(), rw::Errc::not_finite, "theta");
  config = kLlama3;
  config.rotary_dim = 127;
  expect_refused("odd rotary_dim", config.validate(), rw::Errc::odd, "rotary_dim");
  expect_refused("factor NaN", rw::check(kLlama3, rw::Linear{not_a_number}), rw::Errc::not_finite,
                 "factor");
  expect_refused("factor below 1", rw::check(kLlama3, rw::Scaling{rw::NtkAware{0.5}}),
                 rw::Errc::below_minimum, "factor");
  rw::LongRope long_rope;
  long_rope.long_factor = std::vector<double>(63, 1.0);
  expect_refused("a short list", rw::check(kLlama3, long_rope), rw::Errc::wrong_length,
                 "long_factor");
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): there are no exceptions here
int main() {
  frequencies();
  thetas();
  scale_laws();
  methods();
  analysis();
  refusals();
  elements();
  phases();
  rotations();
  kernels();
  cache_shifts();
  positions();
  position_refusals();
  attentions();
  head_scales();
  coverages();
  cosine_sums();
  theta_scans();
  precision();
  comparisons();
  explanations();
  plans();
  samplers();
  factor_searches();
  evaluations();
  if (failures == 0) std::puts("every public function gives its vector under these flags");
  return failures == 0 ? 0 : 1;
}
