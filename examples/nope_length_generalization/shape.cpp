#include "shape.hpp"

namespace lm {

Layout::Layout(const Shape& shape) {
  const auto tensor = [this](const std::string& name, int rows, int columns) {
    const Tensor placed{name, size, rows, columns};
    size += placed.size();
    return placed;
  };
  embedding = tensor("model.embed_tokens.weight", shape.vocabulary, shape.width);
  for (int layer = 0; layer < shape.layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    LayerTensors& t = layers.emplace_back();
    t.attention_norm = tensor(prefix + "input_layernorm.weight", 1, shape.width);
    t.q = tensor(prefix + "self_attn.q_proj.weight", shape.query_width(), shape.width);
    t.k = tensor(prefix + "self_attn.k_proj.weight", shape.kv_width(), shape.width);
    t.v = tensor(prefix + "self_attn.v_proj.weight", shape.kv_width(), shape.width);
    t.o = tensor(prefix + "self_attn.o_proj.weight", shape.width, shape.query_width());
    t.feed_forward_norm = tensor(prefix + "post_attention_layernorm.weight", 1, shape.width);
    t.gate = tensor(prefix + "mlp.gate_proj.weight", shape.hidden, shape.width);
    t.up = tensor(prefix + "mlp.up_proj.weight", shape.hidden, shape.width);
    t.down = tensor(prefix + "mlp.down_proj.weight", shape.width, shape.hidden);
  }
  final_norm = tensor("model.norm.weight", 1, shape.width);
}

std::vector<Tensor> Layout::all() const {
  std::vector<Tensor> tensors{embedding};
  for (const LayerTensors& t : layers) {
    for (const Tensor& tensor :
         {t.attention_norm, t.q, t.k, t.v, t.o, t.feed_forward_norm, t.gate, t.up, t.down})
      tensors.push_back(tensor);
  }
  tensors.push_back(final_norm);
  return tensors;
}

}  // namespace lm
