// The model: forward over one sequence, and backward through it.
#pragma once

#include "layers.hpp"
#include "library_attention.hpp"
#include "shape.hpp"

#include <ropewalk/phase.hpp>
#include <ropewalk/rotate.hpp>
#include <ropewalk/spectrum.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lm {

/// What changes a trained model without touching its weights.
template <typename Real>
struct Stretch {
  std::vector<double> head_scale;     ///< (layers, heads) on the logits; all 1: as trained
  ropewalk::PhaseTable<Real> phases;  ///< of positions 0, 1, ...; empty: nothing rotates
};

inline ropewalk::RopeConfig rope_config(const Shape& shape) {
  return {.head_dim = shape.head_dim,
          .rotary_dim = shape.head_dim,
          .theta = shape.theta,
          .original_length = shape.trained_length};
}

/// The stretch of a scaling method, for sequences up to `tokens` long; NoPE has no angles to stretch.
template <typename Real, typename Method = ropewalk::Unscaled>
Stretch<Real> stretched(const Shape& shape, std::int64_t tokens, const Method& method = {}) {
  Stretch<Real> stretch;
  stretch.head_scale.assign(static_cast<std::size_t>(shape.all_heads()), 1.0);
  if (shape.positions == Positions::rope) {
    stretch.phases =
        ropewalk::phase_table<Real>(ropewalk::spectrum(rope_config(shape), method), 0, tokens);
  }
  return stretch;
}

/// Everything of one sequence that its backward pass needs. Room is kept between sequences.
template <typename Real>
struct Activations {
  struct Layer {
    Rows<Real> in, q, k, v, attended, lse, middle;  // (tokens, ...)
    Norm<Real> attention_norm, feed_forward_norm;
    SwiGlu<Real> feed_forward;
    Rows<Real> entropy;  // (tokens, heads) nats, where asked for
  };
  std::vector<Layer> layers;
  Rows<Real> last;
  Norm<Real> final_norm;
  Rows<Real> logits;    // (tokens, vocabulary); after backward their gradient
  Column<Real> losses;  // (tokens,) nats
  bool entropies = false;
};

/// Room of a backward pass.
template <typename Real>
struct Gradients {
  Rows<Real> stream, wide, gate, up, normed, attended, q, k, v;
};

template <typename Real, typename Attention>
class Transformer {
 public:
  Transformer(const Shape& shape, const std::vector<Real>& parameters)
      : shape_(shape), layout_(shape), parameters_(parameters) {}

  const Shape& shape() const { return shape_; }

  /// Losses of predicting each byte from those before it.
  ///   inputs, targets   (tokens,): what is seen, and the byte after each
  void forward(std::span<const unsigned char> inputs, std::span<const unsigned char> targets,
               const Stretch<Real>& stretch, Activations<Real>& a, bool gradient = false) const {
    const auto tokens = static_cast<Eigen::Index>(inputs.size());
    a.layers.resize(layout_.layers.size());
    const auto embedding = weight(parameters_, layout_.embedding);
    Rows<Real>& first = a.layers.front().in;
    first.resize(tokens, shape_.width);
    for (Eigen::Index token = 0; token < tokens; ++token)
      first.row(token) = embedding.row(inputs[static_cast<std::size_t>(token)]);
    for (std::size_t layer = 0; layer < layout_.layers.size(); ++layer) {
      Rows<Real>& out = layer + 1 < a.layers.size() ? a.layers[layer + 1].in : a.last;
      forward_layer(layer, stretch, a.layers[layer], out, a.entropies);
    }
    a.final_norm.forward(a.last, weight(parameters_, layout_.final_norm));
    a.logits.noalias() = a.final_norm.out * embedding.transpose();
    cross_entropy(a.logits, targets.data(), a.losses, gradient,
                  Real(1) / static_cast<Real>(tokens));
  }

  /// Adds the gradient of the mean loss to `gradients`, after forward with `gradient` set.
  ///   head_scale_gradient   null, or (layers, heads), added to
  ///   parameters_too        false: only the gradient of the head scales is wanted
  void backward(std::span<const unsigned char> inputs, const Stretch<Real>& stretch,
                Activations<Real>& a, Gradients<Real>& g, std::vector<Real>& gradients,
                double* head_scale_gradient = nullptr) const {
    const bool parameters_too = !gradients.empty();
    const auto embedding = weight(parameters_, layout_.embedding);
    g.normed.noalias() = a.logits * embedding;
    g.stream.setZero(a.last.rows(), a.last.cols());
    if (parameters_too) {
      weight(gradients, layout_.embedding).noalias() += a.logits.transpose() * a.final_norm.out;
    }
    norm_backward(a.final_norm, a.last, layout_.final_norm, g, gradients);
    for (std::size_t layer = layout_.layers.size(); layer-- > 0;) {
      backward_layer(layer, stretch, a.layers[layer], g, gradients, head_scale_gradient);
    }
    if (!parameters_too) return;
    auto dembedding = weight(gradients, layout_.embedding);
    for (Eigen::Index token = 0; token < g.stream.rows(); ++token)
      dembedding.row(inputs[static_cast<std::size_t>(token)]) += g.stream.row(token);
  }

 private:
  using Layer = typename Activations<Real>::Layer;

  AttentionShape attention_shape() const {
    return {shape_.heads, shape_.kv_heads, shape_.head_dim};
  }

  void rotate_heads(Rows<Real>& x, int heads, const Stretch<Real>& stretch, bool inverse) const {
    if (stretch.phases.pairs == 0) return;
    std::vector<std::int64_t> positions(static_cast<std::size_t>(x.rows()));
    for (std::size_t token = 0; token < positions.size(); ++token)
      positions[token] = static_cast<std::int64_t>(token);
    ropewalk::rotate(ropewalk::make_head_view(x.data(), x.rows(), heads, shape_.head_dim),
                     positions, stretch.phases, ropewalk::Pairing::half_split,
                     {.inverse = inverse});
  }

  void forward_layer(std::size_t index, const Stretch<Real>& stretch, Layer& a, Rows<Real>& out,
                     bool entropies) const {
    const LayerTensors& t = layout_.layers[index];
    a.attention_norm.forward(a.in, weight(parameters_, t.attention_norm));
    a.q.noalias() = a.attention_norm.out * weight(parameters_, t.q).transpose();
    a.k.noalias() = a.attention_norm.out * weight(parameters_, t.k).transpose();
    a.v.noalias() = a.attention_norm.out * weight(parameters_, t.v).transpose();
    rotate_heads(a.q, shape_.heads, stretch, false);
    rotate_heads(a.k, shape_.kv_heads, stretch, false);
    Attention::forward(attention_shape(), a.q, a.k, a.v,
                       stretch.head_scale.data() + index * static_cast<std::size_t>(shape_.heads),
                       a.attended, a.lse, entropies ? &a.entropy : nullptr);
    a.middle = a.in;
    a.middle.noalias() += a.attended * weight(parameters_, t.o).transpose();
    a.feed_forward_norm.forward(a.middle, weight(parameters_, t.feed_forward_norm));
    SwiGlu<Real>& f = a.feed_forward;
    f.gate.noalias() = a.feed_forward_norm.out * weight(parameters_, t.gate).transpose();
    f.up.noalias() = a.feed_forward_norm.out * weight(parameters_, t.up).transpose();
    f.forward();
    out = a.middle;
    out.noalias() += f.out * weight(parameters_, t.down).transpose();
  }

  /// g.normed, the gradient of a norm's output, goes into g.stream.
  void norm_backward(const Norm<Real>& norm, const Rows<Real>& x, const Tensor& gain,
                     Gradients<Real>& g, std::vector<Real>& gradients) const {
    const auto gains = weight(parameters_, gain);
    if (gradients.empty()) {
      Row<Real> unused = Row<Real>::Zero(gain.columns);
      norm.backward(x, gains, g.normed, g.stream, unused);
    } else {
      norm.backward(x, gains, g.normed, g.stream, weight(gradients, gain));
    }
  }

  /// y = x W': adds dy' x to the gradient of W.
  static void add_product(std::vector<Real>& gradients, const Tensor& tensor, const Rows<Real>& dy,
                          const Rows<Real>& x) {
    if (!gradients.empty()) weight(gradients, tensor).noalias() += dy.transpose() * x;
  }

  /// g.stream is the gradient of the layer's output, then of its input.
  void backward_layer(std::size_t index, const Stretch<Real>& stretch, const Layer& a,
                      Gradients<Real>& g, std::vector<Real>& gradients,
                      double* head_scale_gradient) const {
    const LayerTensors& t = layout_.layers[index];
    add_product(gradients, t.down, g.stream, a.feed_forward.out);
    g.wide.noalias() = g.stream * weight(parameters_, t.down);
    a.feed_forward.backward(g.wide, g.gate, g.up);
    add_product(gradients, t.gate, g.gate, a.feed_forward_norm.out);
    add_product(gradients, t.up, g.up, a.feed_forward_norm.out);
    g.normed.noalias() = g.gate * weight(parameters_, t.gate);
    g.normed.noalias() += g.up * weight(parameters_, t.up);
    norm_backward(a.feed_forward_norm, a.middle, t.feed_forward_norm, g, gradients);

    add_product(gradients, t.o, g.stream, a.attended);
    g.attended.noalias() = g.stream * weight(parameters_, t.o);
    const double* head_scale =
        stretch.head_scale.data() + index * static_cast<std::size_t>(shape_.heads);
    Attention::backward(attention_shape(), a.q, a.k, a.v, head_scale, a.attended, a.lse, g.attended,
                        g.q, g.k, g.v,
                        head_scale_gradient == nullptr
                            ? nullptr
                            : head_scale_gradient + index * static_cast<std::size_t>(shape_.heads));
    rotate_heads(g.q, shape_.heads, stretch, true);
    rotate_heads(g.k, shape_.kv_heads, stretch, true);
    add_product(gradients, t.q, g.q, a.attention_norm.out);
    add_product(gradients, t.k, g.k, a.attention_norm.out);
    add_product(gradients, t.v, g.v, a.attention_norm.out);
    g.normed.noalias() = g.q * weight(parameters_, t.q);
    g.normed.noalias() += g.k * weight(parameters_, t.k);
    g.normed.noalias() += g.v * weight(parameters_, t.v);
    norm_backward(a.attention_norm, a.in, t.attention_norm, g, gradients);
  }

  Shape shape_;
  Layout layout_;
  const std::vector<Real>& parameters_;
};

}  // namespace lm
