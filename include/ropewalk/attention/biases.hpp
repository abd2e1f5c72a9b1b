// The position biases as hooks of attention. Row 8.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/position/alibi.hpp>
#include <ropewalk/position/t5_bias.hpp>
#include <ropewalk/view_checks.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// ALiBi on the logits of attend(): -slope[head] |query - key|.
///   Max error    1/2 ULP of float for the slope, 1 ULP for the product; distances beyond 2^24 are
///                rounded to float first
class AlibiBias {
 public:
  static constexpr bool kIdentity = false;

  /// The slopes of a model with so many heads.
  ///   Throws       as alibi_slopes()
  explicit AlibiBias(int heads, double max_bias = 8.0) : slopes_(narrowed(heads, max_bias)) {}

  void operator()(std::int64_t head, std::int64_t query, std::int64_t first_key, int count,
                  float* bias) const noexcept {
    const float slope = -slopes_[static_cast<std::size_t>(head)];
    const std::int64_t distance = query - first_key;
    for (int index = 0; index < count; ++index) {
      const auto signed_distance = static_cast<float>(distance - index);
      bias[index] = slope * (signed_distance < 0.0f ? -signed_distance : signed_distance);
    }
  }

 private:
  static std::vector<float> narrowed(int heads, double max_bias) {
    const std::vector<double> slopes = alibi_slopes(heads, max_bias);
    std::vector<float> floats;
    for (const double slope : slopes) floats.push_back(static_cast<float>(slope));
    return floats;
  }

  std::vector<float> slopes_;
};

/// T5's relative bias on the logits of attend(): a learned number per bucket of distance and head.
/// Such models take softmax_scale = 1.
class T5Bias {
 public:
  static constexpr bool kIdentity = false;

  /// weights      (buckets, heads), row-major, as checkpoints hold relative_attention_bias; referred
  ///              to, not copied
  ///   Throws     std::invalid_argument: heads < 1, weights that are not buckets * heads numbers
  T5Bias(T5Table table, Span<const float> weights, int heads)
      : table_(std::move(table)), weights_(weights), heads_(heads) {
    constexpr const char* where = "T5Bias";
    if (heads < 1)
      detail::refuse(where, {Errc::below_minimum, "heads", static_cast<double>(heads)});
    const auto half = static_cast<std::int64_t>(table_.first_distance.size());
    const std::int64_t buckets = table_.direction == T5Direction::causal ? half : 2 * half;
    detail::require_equal(where, "weights", static_cast<std::int64_t>(weights.size()),
                          "buckets * heads", buckets * heads);
    for (std::size_t index = 0; index < weights.size(); ++index) {
      Fault fault = detail::check_finite("weights", static_cast<double>(weights[index]));
      fault.index = static_cast<int>(index);
      detail::require(where, fault);
    }
  }

  void operator()(std::int64_t head, std::int64_t query, std::int64_t first_key, int count,
                  float* bias) const noexcept {
    for (int index = 0; index < count; ++index) {
      const int bucket = table_.bucket(query, first_key + index);
      bias[index] = weights_[static_cast<std::size_t>(std::int64_t{bucket} * heads_ + head)];
    }
  }

 private:
  T5Table table_;
  Span<const float> weights_;
  int heads_;
};

}  // namespace v0
}  // namespace ropewalk
