// The frequencies a model's config.json stands for.
#include <ropewalk/interop/ggml.hpp>
#include <ropewalk/interop/hugging_face.hpp>
#include <ropewalk/spectrum.hpp>
#include <support/command_line.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

/// The way a layer type rotates, or a usage error that names the types there are.
const rw::RopeVariant& variant_of(const rw::ModelConfig& model, const std::string& layer_type) {
  if (const rw::RopeVariant* rope = rw::find_variant(model, layer_type)) return *rope;
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);
  };
  for (const rw::RopeVariant& rope : model.variants) add(rope.layer_type);
  for (const rw::LayerView& layer : model.layer_views) add(layer.layer_type);
  std::string text = "--layer-type " + layer_type.substr(0, 64) + " is not in this model, which ";
  text += names.empty() ? "has layers of one type only" : "has";
  for (const std::string& name : names) text += (name == names.front() ? " " : ", ") + name;
  throw Failure{kUsageError, text};
}

/// On the layers of one variant; the model's where it names no layers.
double softmax_multiplier(const rw::ModelConfig& model, const rw::RopeVariant& rope) {
  for (const rw::LayerView& layer : model.layer_views) {
    if (&model.variants[layer.variant] == &rope) return layer.softmax_multiplier;
  }
  return model.softmax_multiplier;
}

/// What one call says.
struct SpectrumOutput {
  const rw::ModelConfig& model;
  const rw::RopeVariant& rope;
  rw::Spectrum spectrum;
  std::vector<double> divisors;  // empty: not asked for
};

std::string joined(const std::vector<double>& values, const char* separator) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : separator) + number(value, 17);
  return text;
}

std::string text_of(const SpectrumOutput& output) {
  const rw::RopeVariant& rope = output.rope;
  const bool factors = !output.divisors.empty();
  return "rope_type " + rope.rope_type + "\nrotary_dim " + std::to_string(rope.config.rotary_dim) +
         "\ntheta " + number(rope.config.theta) + "\nattention_factor " +
         number(output.spectrum.attention_factor) + "\nsoftmax_multiplier " +
         number(softmax_multiplier(output.model, rope)) + "\n" +
         (factors ? "ggml_factors\n" : "inv_freq\n") +
         joined(factors ? output.divisors : output.spectrum.inv_freq, "\n") + "\n";
}

std::string json_of(const SpectrumOutput& output) {
  const rw::RopeVariant& rope = output.rope;
  nlohmann::ordered_json object;
  object["rope_type"] = rope.rope_type;
  object["layer_type"] = rope.layer_type;
  object["head_dim"] = rope.config.head_dim;
  object["rotary_dim"] = rope.config.rotary_dim;
  object["theta"] = rope.config.theta;
  object["attention_factor"] = output.spectrum.attention_factor;
  object["softmax_multiplier"] = softmax_multiplier(output.model, rope);
  object["warnings"] = output.model.warnings;
  std::string text = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.pop_back();
  // By hand, because the JSON library prints the shortest digits and engines compare 17.
  text += ",\"inv_freq\":[" + joined(output.spectrum.inv_freq, ",") + "]";
  if (!output.divisors.empty()) text += ",\"ggml_factors\":[" + joined(output.divisors, ",") + "]";
  return text + "}\n";
}

int print_spectrum(int argc, char** argv) {
  CLI::App app{"Inverse frequencies of a model's config.json, in radians per token", "spectrum"};
  app.footer("Exit codes: 1 usage, 2 unreadable or invalid config.");
  ModelChoice choice;
  choice.add_options(app);
  std::string length_text;
  std::string layer_type;
  bool json = false;
  bool factors = false;
  bool list = false;
  app.add_option("--sequence-length", length_text,
                 "Tokens so far, for schedules that depend on it; default: as initialised")
      ->type_name("N");
  app.add_option("--layer-type", layer_type, "Layers of this type; default: the first")
      ->type_name("T");
  app.add_flag("--json", json, "One JSON object");
  app.add_flag("--ggml-factors", factors,
               "Divisors with which ggml's rope runs this schedule: freq_scale 1, ext_factor 0, "
               "attn_factor = attention_factor");
  app.add_flag("--list-models", list, "Names of the shipped models");

  return run_program(app, argc, argv, [&] {
    if (list) {
      std::cout << shipped_names();
      return 0;
    }
    const std::int64_t length =
        length_text.empty() ? 0 : parse_length("--sequence-length", length_text);
    const rw::ModelConfig model = choice.load();
    const rw::RopeVariant& rope = variant_of(model, layer_type);
    SpectrumOutput output{
        model, rope, rw::spectrum(rope.config, rw::at_length(rope.scaling, length)), {}};
    if (factors) output.divisors = rw::freq_factors(output.spectrum, rope.config);
    std::cout << (json ? json_of(output) : text_of(output));
    if (!json) {
      for (const std::string& warning : model.warnings)
        std::cerr << app.get_name() << ": warning: " << warning << "\n";
    }
    return 0;
  });
}

}  // namespace

int main(int argc, char** argv) { return guarded(print_spectrum, argc, argv); }
