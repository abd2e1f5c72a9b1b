// The one place where the model meets the library's attention.
#pragma once

#include "layers.hpp"

#include <ropewalk/attention.hpp>
#include <ropewalk/attention_gradient.hpp>
#include <ropewalk/simd/attention.hpp>

#include <cstddef>

namespace lm {

/// What attention needs of a model. Rows are (tokens, heads * head_dim), heads side by side.
struct AttentionShape {
  int heads = 1;
  int kv_heads = 1;
  int head_dim = 1;
};

struct LibraryAttention {
  /// Causal. Every head's logits are multiplied by its head_scale / sqrt(head_dim).
  ///   head_scale  (heads,)
  ///   lse         (tokens, heads)
  ///   entropy     null, or (tokens, heads) in nats
  static void forward(const AttentionShape& shape, const Rows<float>& q, const Rows<float>& k,
                      const Rows<float>& v, const double* head_scale, Rows<float>& out,
                      Rows<float>& lse, Rows<float>* entropy) {
    out.resize(q.rows(), q.cols());
    lse.resize(q.rows(), shape.heads);
    ropewalk::AttentionStatistics statistics{.lse = all(lse)};
    if (entropy != nullptr) {
      entropy->resize(q.rows(), shape.heads);
      statistics.entropy = all(*entropy);
    }
    ropewalk::attend<ropewalk::simd::NativeAttention>(
        view(q, shape.heads, shape), view(k, shape.kv_heads, shape), view(v, shape.kv_heads, shape),
        view(out, shape.heads, shape), options(shape, head_scale), statistics);
  }

  /// Writes dq, dk, dv from what forward took and gave.
  ///   head_scale_gradient   null, or (heads,), added to
  static void backward(const AttentionShape& shape, const Rows<float>& q, const Rows<float>& k,
                       const Rows<float>& v, const double* head_scale, const Rows<float>& out,
                       const Rows<float>& lse, const Rows<float>& dout, Rows<float>& dq,
                       Rows<float>& dk, Rows<float>& dv, double* head_scale_gradient) {
    dq.resize(q.rows(), q.cols());
    dk.resize(k.rows(), k.cols());
    dv.resize(v.rows(), v.cols());
    std::vector<double> gradient(
        head_scale_gradient == nullptr ? 0 : static_cast<std::size_t>(shape.heads));
    ropewalk::attend_backward<ropewalk::simd::NativeAttention>(
        view(q, shape.heads, shape), view(k, shape.kv_heads, shape), view(v, shape.kv_heads, shape),
        view(out, shape.heads, shape), {.lse = all(lse)}, view(dout, shape.heads, shape),
        view(dq, shape.heads, shape), view(dk, shape.kv_heads, shape),
        view(dv, shape.kv_heads, shape), options(shape, head_scale), {.head_scale = gradient});
    for (std::size_t head = 0; head < gradient.size(); ++head)
      head_scale_gradient[head] += gradient[head];
  }

 private:
  static ropewalk::HeadView<const float> view(const Rows<float>& x, int heads,
                                              const AttentionShape& shape) {
    return ropewalk::make_head_view(x.data(), x.rows(), heads, shape.head_dim);
  }
  static ropewalk::HeadView<float> view(Rows<float>& x, int heads, const AttentionShape& shape) {
    return ropewalk::make_head_view(x.data(), x.rows(), heads, shape.head_dim);
  }
  static ropewalk::Span<const float> all(const Rows<float>& x) {
    return {x.data(), static_cast<std::size_t>(x.size())};
  }
  static ropewalk::Span<float> all(Rows<float>& x) {
    return {x.data(), static_cast<std::size_t>(x.size())};
  }
  static ropewalk::AttentionOptions options(const AttentionShape& shape, const double* head_scale) {
    return {.head_scale = {head_scale, static_cast<std::size_t>(shape.heads)}};
  }
};

}  // namespace lm
