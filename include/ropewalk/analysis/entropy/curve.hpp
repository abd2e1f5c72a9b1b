// Entropy of attention by position, layer and head, gathered over samples. Row 9.
#pragma once

#include <ropewalk/arithmetic.hpp>
#include <ropewalk/head_view.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// The largest entropy of a row, that of attention spread evenly over the positions up to its own:
/// ln(position + 1), in nats. A sink logit counts as one key more.
///   position     0 .. 2^53 - 1
///   Max error    1 ULP
///   Throws       std::invalid_argument
inline double maximum_entropy(std::int64_t position) {
  detail::require("maximum_entropy", detail::check_length("position", position, 0));
  return std::log(static_cast<double>(position) + 1.0);
}

/// The smallest entropy of a row of `keys` logits of at most logit_bound in size:
/// ln(keys) - 2 logit_bound, or 0 where that is more. In nats; grows without end with the keys,
/// whatever a head has learned, unless its logits grow too.
///   keys         >= 1
///   logit_bound  finite, >= 0
///   Max error    2 ULP of ln(keys) + 2 logit_bound
///   Source       Han et al. 2023, arXiv 2308.16137, proposition 1
///   Throws       std::invalid_argument
inline double minimum_entropy(std::int64_t keys, double logit_bound) {
  detail::require("minimum_entropy", detail::check_length("keys", keys, 1));
  detail::require("minimum_entropy", detail::check_at_least("logit_bound", logit_bound, 0.0));
  const double least = std::log(static_cast<double>(keys)) - 2.0 * logit_bound;
  return least > 0.0 ? least : 0.0;
}

/// Entropy as a share of the largest: 1 for attention spread evenly, 0 for attention to one key. At
/// position 0, where both are the same, 1.
///   entropy      nats, finite
///   Max error    2 ULP
///   Throws       std::invalid_argument
inline double normalized_entropy(double entropy, std::int64_t position) {
  detail::require("normalized_entropy", detail::check_finite("entropy", entropy));
  const double largest = maximum_entropy(position);
  return largest > 0.0 ? entropy / largest : 1.0;
}

/// Sums of entropies over samples, per position, layer and head, and the means of them: with
/// H(sample, layer, head, position) the entropy of one row of attention, mean() is
///
///     H(position) = 1 / (samples layers heads)  sum of H(sample, layer, head, position)
///
///   Memory       8 positions layers (heads + 1) bytes
///   Source       Wang et al. 2024, arXiv 2404.12224, equations 1 and 2
class EntropyCurve {
 public:
  static constexpr std::int64_t kMaximumSums = std::int64_t{1} << 40;

  ///   positions, layers, heads   >= 1, their product at most 2^40; heads are those of one layer
  ///   Throws       std::invalid_argument
  EntropyCurve(std::int64_t positions, std::int64_t layers, std::int64_t heads)
      : positions_(positions), layers_(layers), heads_(heads) {
    constexpr const char* where = "EntropyCurve";
    detail::require(where, detail::check_length("positions", positions, 1));
    detail::require(where, detail::check_length("layers", layers, 1));
    detail::require(where, detail::check_length("heads", heads, 1));
    if (heads > kMaximumSums / layers || positions > kMaximumSums / (layers * heads)) {
      detail::refuse(where, {Errc::above_maximum, "positions", static_cast<double>(positions)});
    }
    sums_.resize(static_cast<std::size_t>(positions * layers * heads));
    samples_.resize(static_cast<std::size_t>(positions * layers));
  }

  std::int64_t positions() const noexcept { return positions_; }
  std::int64_t layers() const noexcept { return layers_; }
  std::int64_t heads() const noexcept { return heads_; }

  /// Adds one sample of one layer.
  ///   entropy         (tokens, heads), row-major, nats, finite: as attention reports it
  ///   first_position  of the first token; the last must be below positions()
  ///   Throws          std::invalid_argument; the sums are then as before
  void add(std::int64_t layer, Span<const float> entropy, std::int64_t first_position = 0) {
    constexpr const char* where = "EntropyCurve::add";
    check_index(where, "layer", layer, layers_);
    const auto heads = static_cast<std::size_t>(heads_);
    if (entropy.empty() || entropy.size() % heads != 0) {
      detail::refuse(where,
                     {Errc::indivisible, "entropy.size", static_cast<double>(entropy.size())});
    }
    const std::size_t tokens = entropy.size() / heads;
    check_index(where, "first_position", first_position, positions_);
    if (tokens > static_cast<std::size_t>(positions_ - first_position)) {
      detail::refuse(where, {Errc::above_maximum, "tokens", static_cast<double>(tokens)});
    }
    for (const float value : entropy) {
      detail::require(where, detail::check_finite("entropy", static_cast<double>(value)));
    }
    for (std::size_t token = 0; token < tokens; ++token) {
      const std::int64_t position = first_position + static_cast<std::int64_t>(token);
      double* sums = sums_.data() + row(position, layer) * heads;
      for (std::size_t head = 0; head < heads; ++head) {
        sums[head] += static_cast<double>(entropy[token * heads + head]);
      }
      ++samples_[row(position, layer)];
    }
  }

  /// Adds what another curve of the same sizes gathered.
  ///   Throws       std::invalid_argument
  void add(const EntropyCurve& other) {
    constexpr const char* where = "EntropyCurve::add";
    check_same(where, "positions", other.positions_, positions_);
    check_same(where, "layers", other.layers_, layers_);
    check_same(where, "heads", other.heads_, heads_);
    for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
    for (std::size_t i = 0; i < samples_.size(); ++i) samples_[i] += other.samples_[i];
  }

  /// How many samples of a layer reached a position.
  std::int64_t samples(std::int64_t layer, std::int64_t position) const {
    check_index("EntropyCurve::samples", "layer", layer, layers_);
    check_index("EntropyCurve::samples", "position", position, positions_);
    return samples_[row(position, layer)];
  }

  /// Mean over all samples, layers and heads.
  ///   Returns      (positions,) nats
  ///   Throws       std::invalid_argument naming the first position that no sample reached
  std::vector<double> mean() const {
    std::vector<double> means;
    means.reserve(static_cast<std::size_t>(positions_));
    for (std::int64_t position = 0; position < positions_; ++position) {
      double sum = 0.0;
      std::int64_t samples = 0;
      for (std::int64_t layer = 0; layer < layers_; ++layer) {
        for (std::int64_t head = 0; head < heads_; ++head) sum += sum_of(position, layer, head);
        samples += samples_[row(position, layer)];
      }
      require_samples("EntropyCurve::mean", samples, position);
      means.push_back(sum / (static_cast<double>(samples) * static_cast<double>(heads_)));
    }
    return means;
  }

  /// Mean over the samples, of one head.
  ///   Returns      (positions,) nats
  ///   Throws       std::invalid_argument naming what is out of range, or the first position that
  ///                no sample of the layer reached
  std::vector<double> of_head(std::int64_t layer, std::int64_t head) const {
    constexpr const char* where = "EntropyCurve::of_head";
    check_index(where, "layer", layer, layers_);
    check_index(where, "head", head, heads_);
    std::vector<double> means;
    means.reserve(static_cast<std::size_t>(positions_));
    for (std::int64_t position = 0; position < positions_; ++position) {
      means.push_back(head_mean(where, position, layer, head));
    }
    return means;
  }

  /// What the entropy of every head comes to: the mean over the last positions of its curve. The
  /// paper's figure 5 takes the last one alone, which is noisier.
  ///   last_positions   1 .. positions()
  ///   Returns          (layers, heads) nats, row-major
  ///   Throws           std::invalid_argument naming what is out of range, or the first of these
  ///                    positions that no sample of a layer reached
  std::vector<double> converged(std::int64_t last_positions) const {
    constexpr const char* where = "EntropyCurve::converged";
    detail::require(where, detail::check_length("last_positions", last_positions, 1));
    if (last_positions > positions_) {
      detail::refuse(where,
                     {Errc::above_maximum, "last_positions", static_cast<double>(last_positions)});
    }
    std::vector<double> means;
    means.reserve(static_cast<std::size_t>(layers_ * heads_));
    for (std::int64_t layer = 0; layer < layers_; ++layer) {
      for (std::int64_t head = 0; head < heads_; ++head) {
        double sum = 0.0;
        for (std::int64_t position = positions_ - last_positions; position < positions_;
             ++position) {
          sum += head_mean(where, position, layer, head);
        }
        means.push_back(sum / static_cast<double>(last_positions));
      }
    }
    return means;
  }

  /// converged() over the last quarter of the positions.
  std::vector<double> converged() const { return converged((positions_ + 3) / 4); }

 private:
  static void check_index(const char* where, const char* field, std::int64_t index,
                          std::int64_t size) {
    if (index < 0) detail::refuse(where, {Errc::below_minimum, field, static_cast<double>(index)});
    if (index < size) return;
    detail::refuse(where, {Errc::above_maximum, field, static_cast<double>(index)});
  }

  static void check_same(const char* where, const char* field, std::int64_t size,
                         std::int64_t own) {
    if (size != own) {
      detail::refuse(where, {Errc::wrong_count, field, static_cast<double>(size)});
    }
  }

  static void require_samples(const char* where, std::int64_t samples, std::int64_t position) {
    if (samples > 0) return;
    detail::refuse(where, {Errc::unknown, "position", static_cast<double>(position)});
  }

  std::size_t row(std::int64_t position, std::int64_t layer) const noexcept {
    return static_cast<std::size_t>(position * layers_ + layer);
  }

  double sum_of(std::int64_t position, std::int64_t layer, std::int64_t head) const noexcept {
    return sums_[row(position, layer) * static_cast<std::size_t>(heads_) +
                 static_cast<std::size_t>(head)];
  }

  double head_mean(const char* where, std::int64_t position, std::int64_t layer,
                   std::int64_t head) const {
    const std::int64_t samples = samples_[row(position, layer)];
    require_samples(where, samples, position);
    return sum_of(position, layer, head) / static_cast<double>(samples);
  }

  std::int64_t positions_;
  std::int64_t layers_;
  std::int64_t heads_;
  std::vector<double> sums_;           // (positions, layers, heads)
  std::vector<std::int64_t> samples_;  // (positions, layers)
};

}  // namespace v0
}  // namespace ropewalk
