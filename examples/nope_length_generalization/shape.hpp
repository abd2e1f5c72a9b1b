// The shape of a model and where its parameters lie in one flat array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lm {

/// How a model knows the order of its tokens.
enum class Positions {
  nope,  ///< by the causal mask alone
  rope   ///< by rotated queries and keys
};

/// A causal transformer over bytes: RMSNorm, SwiGLU, tied embeddings, no biases.
struct Shape {
  Positions positions = Positions::nope;
  int vocabulary = 256;  ///< bytes; byte 0, which no text holds, begins every sequence
  int width = 128;
  int layers = 6;
  int heads = 4;
  int kv_heads = 4;
  int head_dim = 32;
  int hidden = 344;          ///< of the feed-forward part
  int trained_length = 256;  ///< tokens
  double theta = 10000.0;    ///< of RoPE

  int query_width() const { return heads * head_dim; }
  int kv_width() const { return kv_heads * head_dim; }
  int all_heads() const { return layers * heads; }
};

/// One tensor among the parameters, named as Hugging Face names a Llama's.
struct Tensor {
  std::string name;
  std::size_t first = 0;  ///< index of its first element
  int rows = 0;           ///< outputs; 1 for a norm
  int columns = 0;        ///< inputs

  std::size_t size() const {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
  }
  bool is_norm() const { return rows == 1; }
};

/// The tensors of one layer.
struct LayerTensors {
  Tensor attention_norm, q, k, v, o, feed_forward_norm, gate, up, down;
};

/// Where everything lies: tensors row-major (outputs, inputs), one after the other.
struct Layout {
  explicit Layout(const Shape& shape);

  std::vector<Tensor> all() const;  ///< in the order in which they lie

  Tensor embedding;  ///< (vocabulary, width), also the output projection
  std::vector<LayerTensors> layers;
  Tensor final_norm;
  std::size_t size = 0;
};

}  // namespace lm
