// The one place where the model meets the library's attention.
#pragma once

#include "layers.hpp"

namespace lm {

/// What attention needs of a model. Rows are (tokens, heads * head_dim), heads side by side.
struct AttentionShape {
  int heads = 1;
  int kv_heads = 1;
  int head_dim = 1;
};

/// attend() and attend_backward() with the best kernel of the machine that the program runs on.
struct LibraryAttention {
  /// Causal. Every head's logits are multiplied by its head_scale / sqrt(head_dim).
  ///   head_scale  (heads,)
  ///   lse         (tokens, heads)
  ///   entropy     null, or (tokens, heads) in nats
  static void forward(const AttentionShape& shape, const Rows<float>& q, const Rows<float>& k,
                      const Rows<float>& v, const double* head_scale, Rows<float>& out,
                      Rows<float>& lse, Rows<float>* entropy);

  /// Writes dq, dk, dv from what forward took and gave.
  ///   head_scale_gradient   null, or (heads,), added to
  static void backward(const AttentionShape& shape, const Rows<float>& q, const Rows<float>& k,
                       const Rows<float>& v, const double* head_scale, const Rows<float>& out,
                       const Rows<float>& lse, const Rows<float>& dout, Rows<float>& dq,
                       Rows<float>& dk, Rows<float>& dv, double* head_scale_gradient);
};

}  // namespace lm
