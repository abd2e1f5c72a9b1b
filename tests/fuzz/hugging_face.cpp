// Any text at all: either a model whose every variant computes, or a fault that says something.
#include <ropewalk/interop/ggml.hpp>
#include <ropewalk/interop/hugging_face.hpp>
#include <ropewalk/spectrum.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

namespace rw = ropewalk;

void require_at(bool condition, int line) {
  if (condition) return;
  std::fprintf(stderr, "line %d: a promise of the reader is broken\n", line);
  std::abort();
}
#define ROPEWALK_FUZZ_REQUIRE(condition) require_at(condition, __LINE__)

void use(const rw::RopeVariant& variant) {
  ROPEWALK_FUZZ_REQUIRE(rw::check(variant.config, variant.scaling).code == rw::Errc::ok);
  for (const std::int64_t length : {std::int64_t{0}, std::int64_t{1}, std::int64_t{8192},
                                    std::int64_t{1} << 20, rw::detail::kMaximumLength}) {
    const rw::Scaling scaling = rw::at_length(variant.scaling, length);
    if (rw::check(variant.config, scaling).code != rw::Errc::ok) {
      // Only an unknown original length may stop a schedule at a length, where none was needed at 0.
      ROPEWALK_FUZZ_REQUIRE(variant.config.original_length == 0);
      continue;
    }
    const rw::Spectrum spectrum = rw::spectrum(variant.config, scaling);
    for (const double inv_freq : spectrum.inv_freq)
      ROPEWALK_FUZZ_REQUIRE(rw::detail::is_finite(inv_freq) && inv_freq >= 0.0);
    ROPEWALK_FUZZ_REQUIRE(rw::detail::is_finite(spectrum.attention_factor));
    for (const double factor : rw::freq_factors(spectrum, variant.config))
      ROPEWALK_FUZZ_REQUIRE(rw::detail::is_finite(factor) && factor > 0.0);
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls this name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read =
      rw::read_hugging_face_config(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!read) {
    ROPEWALK_FUZZ_REQUIRE(!read.fault().text.empty());
    ROPEWALK_FUZZ_REQUIRE(!message(read.fault()).empty());
    return 0;
  }
  const rw::ModelConfig& model = read.value();
  ROPEWALK_FUZZ_REQUIRE(!model.variants.empty());
  ROPEWALK_FUZZ_REQUIRE(rw::detail::is_finite(model.softmax_multiplier) &&
                        model.softmax_multiplier > 0.0);
  ROPEWALK_FUZZ_REQUIRE(model.original_length >= 0 &&
                        model.claimed_length >= model.original_length);
  for (const rw::RopeVariant& variant : model.variants) use(variant);
  ROPEWALK_FUZZ_REQUIRE(model.layer_views.size() == static_cast<std::size_t>(model.layers));
  for (std::size_t layer = 0; layer < model.layer_views.size(); layer += 7) {
    const rw::LayerView& view = model.layer_views[layer];
    ROPEWALK_FUZZ_REQUIRE(view.variant < model.variants.size());
    ROPEWALK_FUZZ_REQUIRE(view.window >= 0);
    ROPEWALK_FUZZ_REQUIRE(rw::detail::is_finite(view.softmax_multiplier) &&
                          view.softmax_multiplier > 0.0);
    for (const std::int64_t position : {std::int64_t{0}, std::int64_t{100000}})
      ROPEWALK_FUZZ_REQUIRE(rw::detail::is_finite(view.position_scale.at(position)));
  }
  return 0;
}
