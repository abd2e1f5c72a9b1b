// What a model's config file says about positions, in plain values. Leaf.
#pragma once

#include <ropewalk/scaling.hpp>
#include <ropewalk/temperature.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Why a file was refused.
struct ReadFault {
  std::string key;    ///< dotted path of the key, "" for the file as a whole
  std::string value;  ///< what it held, shortened
  std::string text;   ///< what is wrong, one sentence
};

/// The whole refusal in one line: key, value, reason.
inline std::string message(const ReadFault& fault) {
  std::string line = fault.key.empty() ? std::string("the file") : fault.key;
  if (!fault.value.empty()) line += " = " + fault.value;
  return line + ": " + fault.text;
}

/// A value, or the fault that stands in its place. Never both.
template <typename Value>
class Result {
 public:
  // Implicit, so that a function returns one or the other as it is.
  // NOLINTBEGIN(google-explicit-constructor)
  Result(Value value) : content_(std::move(value)) {}
  Result(ReadFault fault) : content_(std::move(fault)) {}
  // NOLINTEND(google-explicit-constructor)

  bool ok() const noexcept { return std::holds_alternative<Value>(content_); }
  explicit operator bool() const noexcept { return ok(); }

  /// Asserted: ok().
  const Value& value() const {
    ROPEWALK_ASSERT(ok(), "Result::value: holds a fault");
    return *std::get_if<Value>(&content_);
  }

  /// Asserted: not ok().
  const ReadFault& fault() const {
    ROPEWALK_ASSERT(!ok(), "Result::fault: holds a value");
    return *std::get_if<ReadFault>(&content_);
  }

 private:
  std::variant<Value, ReadFault> content_;
};

/// Which key of the file a value came from.
struct ValueSource {
  std::string field;  ///< "theta", "head_dim", "full_attention.factor", ...
  std::string key;    ///< "rope_scaling.factor", ...; or "default of llama4_text", "derived: ..."
};

/// Which keys a layer's queries may see.
enum class MaskKind {
  full,
  sliding,  ///< the last `window` keys, the query's own included
  chunked,  ///< the keys of the query's own chunk of `window` positions
  none      ///< no attention at all: linear attention, convolution, state space
};

/// Sharpening of the logits by the query's position, if any. Multiplies q (or the logits).
struct PositionScale {
  enum class Law { none, llama4, ministral, log_n };
  Law law = Law::none;
  double slope = 0.0;       // llama4: attn_scale; ministral: beta
  std::int64_t length = 0;  // ministral: original length; log_n: trained length

  /// The multiplier at a position, counted from 0; 1 where there is no law.
  double at(std::int64_t position) const;
};

/// One way of rotating: the whole model, or all layers of one type.
struct RopeVariant {
  std::string layer_type;  ///< "full_attention", "sliding_attention", ...; "" for the whole model
  std::string rope_type;   ///< Hugging Face's name after synonyms: "default", "yarn", ...; "nope"
  bool rotated = true;     ///< false: layers of this type carry no rotation (scaling is Nope)
  RopeConfig config;       ///< original_length is what the method counts from
  Scaling scaling;
  std::vector<int> mrope_section;  ///< pairs per axis; empty: one axis
  bool mrope_interleaved = false;
};

/// One layer as an engine has to run it.
struct LayerView {
  std::string layer_type;   ///< "full_attention", ...; "" where one kind of layer is all there is
  std::size_t variant = 0;  ///< index into ModelConfig::variants
  bool rotated = true;      ///< false: NoPE layer
  MaskKind mask = MaskKind::full;
  std::int64_t window = 0;  ///< sliding: keys seen; chunked: chunk length; else, or unknown: 0
  PositionScale position_scale;
  double softmax_multiplier = 1.0;  ///< on 1 / sqrt(query head_dim)
};

/// What was read. Every length in tokens.
struct ModelConfig {
  std::string model_type;  ///< of the text model; "" where the file does not say
  std::vector<std::string> architectures;
  std::string text_key;    ///< "text_config" where the text model is nested, else ""
  bool new_style = false;  ///< the file says rope_parameters (transformers 5)
  int layers = 0;          ///< 0 where the file does not say
  int heads = 0;
  int kv_heads = 0;
  std::int64_t claimed_length = 0;     ///< what the file says it can be used to; 0 unknown
  std::int64_t original_length = 0;    ///< what it was trained to before any scaling; 0 unknown
  double softmax_multiplier = 1.0;     ///< on 1 / sqrt(query head_dim), of the first variant
  std::vector<RopeVariant> variants;   ///< at least one; rotated ones first, full attention first
  std::vector<LayerView> layer_views;  ///< (layers,), empty where layers is 0
  std::vector<ValueSource> sources;
  std::vector<std::string> warnings;
};

/// The variant of a layer type, or nullptr where the model has no layer of that type. A model whose
/// layers all rotate alike has one variant, and its layer types, where it names any, all lead there.
///   layer_type   "" asks for the first variant
inline const RopeVariant* find_variant(const ModelConfig& model, std::string_view layer_type) {
  if (layer_type.empty()) return &model.variants.front();
  for (const RopeVariant& variant : model.variants) {
    if (variant.layer_type == layer_type) return &variant;
  }
  for (const LayerView& layer : model.layer_views) {
    if (layer.layer_type == layer_type && layer.mask != MaskKind::none)
      return &model.variants[layer.variant];
  }
  return nullptr;
}

inline double PositionScale::at(std::int64_t position) const {
  switch (law) {
    case Law::none:
      return 1.0;
    case Law::llama4:
      return llama4_position_scale(position, length, slope);
    case Law::ministral:
      return ministral_position_scale(position, length, slope);
    case Law::log_n:
      return qwen_position_scale(position, length);
  }
  return 1.0;
}

}  // namespace v0
}  // namespace ropewalk
