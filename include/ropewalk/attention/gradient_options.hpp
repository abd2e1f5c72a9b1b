// What the backward of attention takes and gives beside the three gradients. Row 8.
#pragma once

#include <ropewalk/head_view.hpp>

namespace ropewalk {
inline namespace v0 {

/// What the forward pass left: attend()'s own lse, and out.
struct SavedRows {
  Span<const float> lse = {};   ///< (tokens, heads), natural logarithm
  Span<const float> mean = {};  ///< (tokens, heads); needed where d_entropy is given
};

/// Gradients of the loss that arrive at statistics, (tokens, heads) each; empty: none.
struct StatisticsGradients {
  Span<const float> lse = {};
  Span<const float> entropy = {};
};

/// Gradients of the loss with respect to the parameters of AttentionOptions, each overwritten, and
/// left out where it is empty. Sums run in double in a fixed order.
///   head_scale, position_scale   of a scale that is 0 nothing can be told from q and dq: refused
struct AttentionGradients {
  Span<double> head_scale = {};      ///< (heads,)
  Span<double> position_scale = {};  ///< (tokens,); by the chain rule any parameter of its law
  Span<double> sink_logit = {};      ///< (heads,)
};

}  // namespace v0
}  // namespace ropewalk
