// What the gradients of attention's scales are asked for. Host code without CUDA types; pointers are to
// device memory.
//
// A row's logits depend on head_scale, position_scale and q through their product alone, so with
//     g = <q, dq> = sum over keys of z dz,    z the row's logits, sinks left out
// of a row, d loss / d head_scale[h] = (sum over rows g) / head_scale[h], and over heads the same for
// position_scale: a factor that was not given stands for 1. Of a scale that is 0 nothing can be told
// from g: its gradient is NaN.
#pragma once

#include <ropewalk/cuda/attention/params.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {

/// Where gradients of scales go: each overwritten, left out where it is null. Sums run in double in an
/// order that only the shape decides, and are rounded once.
struct ScaleGradients {
  float* head_scale = nullptr;      ///< (heads,)
  float* position_scale = nullptr;  ///< (rows,); by the chain rule any parameter of its law
  float* rows = nullptr;            ///< (rows, heads) g itself
};

/// From anybody's dq, one dot product per row. q and dq belong to one place, whichever: both before
/// the scales and the rotation or both after them, or between, give the same g, to what they were
/// rounded to there. Bias, sink, mask and soft-cap change nothing.
///   T, G         float, float16, bfloat16 of q and dq
template <typename T, typename G = T>
struct ScaleGradientParams {
  std::int64_t sequences = 1;  ///< rows are sequence * queries + query
  std::int64_t queries = 0;    ///< tokens of a sequence; packed ones: of all, as one sequence
  int heads = 0;               ///< of q
  int head_dim = 0;
  BatchView<const T> q;  ///< strides of any size, any alignment; 16 bytes at once where all have it
  BatchView<const G> dq;                  ///< the same
  const float* head_scale = nullptr;      ///< (heads,) of the forward pass, or null
  const float* position_scale = nullptr;  ///< (rows,) the same
  ScaleGradients gradients;
  void* workspace = nullptr;  ///< of scale_gradient_workspace() bytes, divisible by 16
  std::size_t workspace_bytes = 0;
};

/// From the softmax, without any dq: the cost of a forward pass.
///   T            float16 or bfloat16
template <typename T>
struct SoftmaxScaleGradientParams {
  AttentionParams<T> attention;  ///< as the forward pass had it. lse and entropy of its statistics
                                 ///< are read, as it left them; out and the others are not
  BatchView<const T> d_out;      ///< gradient of the loss at out, (rows, heads, head_dim)
  std::int64_t rows = 0;      ///< packed q: its tokens, which query_starts stay within; else unused
  ScaleGradients gradients;   ///< rows of no sequence get 0
  void* workspace = nullptr;  ///< of scale_gradient_workspace() bytes, divisible by 16
  std::size_t workspace_bytes = 0;
};

/// From gradients of a loss at the statistics of an attention: with p of the sink and s its logit,
///     g = d_entropy (p s (s - mean) - variance) + d_lse (mean - p s)
/// and p = 0 without a sink: the entropy falls by the variance as ln(head_scale) grows.
struct StatisticsScaleGradientParams {
  std::int64_t rows = 0;
  int heads = 0;
  RowOutputs statistics;  ///< (rows, heads), as the forward pass left them: variance and mean where
                          ///< d_entropy (mean: and a sink) or d_lse is given; lse where a sink is
  LogitScale scale;       ///< as the forward pass had it; softmax_scale is not read
  const float* d_lse = nullptr;      ///< (rows, heads), or null
  const float* d_entropy = nullptr;  ///< the same
  ScaleGradients gradients;
  void* workspace = nullptr;  ///< of scale_gradient_workspace() bytes, divisible by 16
  std::size_t workspace_bytes = 0;
};

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
