// Gradients of the scales of attention: from q and its gradient, or from the softmax alone. Row 8.
//
// Logits depend on head_scale, position_scale and q only through their product, so with
//     g = <q, dq> = sum over keys of (scaled q . k) dz
// of a row, d loss / d head_scale[h] = sum over tokens g / head_scale[h], and the same per token for
// position_scale. g may also be formed without dq, from p and dP_j = dout . v_j:
//     g = sum p y dP - (sum p dP)(sum p y),    y_j the logit without its bias, sums over keys only.
#pragma once

#include <ropewalk/attention/checks.hpp>
#include <ropewalk/attention/gradient_options.hpp>
#include <ropewalk/attention/options.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Refuses a gradient list of a wrong length, or one of a scale that is 0.
inline void require_gradient(const char* where, const char* field, Span<double> gradient,
                             const char* of, std::int64_t count, const char* scale_field,
                             Span<const double> scales) {
  require_count(where, field, Span<const double>(gradient.data(), gradient.size()), of, count);
  if (gradient.empty()) return;
  for (std::size_t index = 0; index < scales.size(); ++index) {
    if (scales[index] > 0.0) continue;
    refuse(where, {Errc::not_positive, scale_field, scales[index], static_cast<int>(index)});
  }
}

inline void require_gradients(const char* where, const AttentionGradients& gradients,
                              const AttentionOptions& options, std::int64_t tokens,
                              std::int64_t heads) {
  require_gradient(where, "gradients.head_scale", gradients.head_scale, "q.heads", heads,
                   "head_scale", options.head_scale);
  require_gradient(where, "gradients.position_scale", gradients.position_scale, "q.tokens", tokens,
                   "position_scale", options.position_scale);
  require_count(where, "gradients.sink_logit",
                Span<const double>(gradients.sink_logit.data(), gradients.sink_logit.size()),
                "q.heads", heads);
  if (!gradients.sink_logit.empty() && options.sink_logit.empty()) {
    refuse(where, {Errc::unknown, "sink_logit", 0.0});
  }
}

/// Sums the rows' g, given by row(token, head), into the gradients of the scales.
template <typename Row>
void sum_scale_gradients(std::int64_t tokens, std::int64_t heads, const AttentionOptions& options,
                         const AttentionGradients& gradients, Row&& row) {
  for (double& value : gradients.head_scale) value = 0.0;
  for (std::int64_t token = 0; token < tokens; ++token) {
    const auto t = static_cast<std::size_t>(token);
    double of_token = 0.0;
    for (std::int64_t head = 0; head < heads; ++head) {
      const double g = row(token, head);
      of_token += g;
      if (!gradients.head_scale.empty()) gradients.head_scale[static_cast<std::size_t>(head)] += g;
    }
    if (gradients.position_scale.empty()) continue;
    const double scale = options.position_scale.empty() ? 1.0 : options.position_scale[t];
    gradients.position_scale[t] = of_token / scale;
  }
  if (options.head_scale.empty()) return;
  for (std::size_t head = 0; head < gradients.head_scale.size(); ++head) {
    gradients.head_scale[head] /= options.head_scale[head];
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
