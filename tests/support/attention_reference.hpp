// Attention by its definition: every logit in double, every mask decided key by key, and beside each
// result how far a computation in float may be from it.
//
// The bounds. A float computation works with logits z + e, |e_j| <= d_j, where, u = 2^-24,
//     d_j = u ((head_dim + 2) A_j + 4 |b_j| + 4 |z_j - max z|),   A_j = scale sum_i |q_i k_ji|:
// head_dim roundings of the dot product, one each of the coefficient and of its product, those of
// the bias b_j, and those of the differences to running maxima. Its weights and sums have a relative
// error of at most G = u (64 + 8 tiles + 16): 2 u of the exponential, one u per term of a tile of 64
// keys or per lane, and per tile or part one addition and a shift to another maximum. With
//     lo = ln sum e^(z - d),  hi = ln sum e^(z + d),  r_j = max(e^(z_j + d_j - lo) - p_j,
//                                                          p_j - e^(z_j - d_j - hi)),
// |p~_j - p_j| <= r_j, so that, D = max z - mean, and since the p~ sum to 1:
//     lse        max(hi - lse, lse - lo) + G
//     mean       sum r_j |z_j - mean| + sum (p_j + r_j) d_j + 2 G D
//     entropy    sum r_j |ln p_j + H| + sum r_j^2 / p_j + G (1 + 2 D): H(p~) - H(p) is the sum of
//                (p_j - p~_j) ln p_j and the divergence of p~ from p, which chi-square bounds
//     variance   sum r_j (z_j - mean)^2 + sum (p_j + r_j)(2 |z_j - mean| d_j + d_j^2)
//                + (bound of mean)^2 + 6 G (variance + D^2)
//     out        sum r_j |v_j| + (G + n u + rounding of weights) sum p_j |v_j|: products may be
//                added one by one to what there is of an output
// and each its own rounding, that of max z included. Rows that attend() promises to do in double
// (a logit beyond 2^20 ln 2) are held to the same with u = 2^-53 and one rounding to float.
#pragma once

#include <ropewalk/attention.hpp>

#include "rotation.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <Eigen/Dense>

namespace ropewalk_test {

/// What a kernel does beyond float arithmetic.
struct AttentionArithmetic {
#ifdef ROPEWALK_TEST_FAST_MATH
  static constexpr bool kFlushes = true;  // a program linked with -ffast-math takes denormals for 0
#else
  static constexpr bool kFlushes = false;
#endif
  double weight_unit = 0.0;  ///< relative rounding of weights before they meet the values
  double query_unit = 0.0;   ///< relative rounding of queries and keys on their way into a product
  double smallest = kFlushes ? 0x1p-126 : 0x1p-149;  ///< below this a product may be lost
  double smallest_operand = kFlushes ? 0x1p-126 : 0.0;
};

/// One query of one head: exact results and the bounds above.
struct ReferenceRow {
  std::int64_t keys = 0;       ///< that it sees, the sink included
  double largest_logit = 0.0;  ///< magnitude
  double largest_value = 0.0;  ///< magnitude, of the values it sees
  double lse = (std::numeric_limits<double>::lowest)();
  double entropy = 0.0;
  double mean = 0.0;
  double variance = 0.0;
  Eigen::VectorXd out;

  double lse_bound = 0.0;
  double entropy_bound = 0.0;
  double mean_bound = 0.0;
  double variance_bound = 0.0;
  Eigen::VectorXd out_bound;

  bool empty() const { return keys == 0; }
};

struct AttentionReference {
  std::int64_t heads = 0;
  std::vector<ReferenceRow> rows;  ///< (tokens, heads)

  const ReferenceRow& row(std::int64_t token, std::int64_t head) const {
    return rows[static_cast<std::size_t>(token * heads + head)];
  }
};

/// floor(position / chunk).
inline std::int64_t chunk_of(std::int64_t position, std::int64_t chunk) {
  return position / chunk - (position % chunk < 0 ? 1 : 0);
}

/// Whether a query sees a key, from the definition of each field.
inline bool sees(const ropewalk::AttentionMask& mask, std::int64_t query, std::int64_t key) {
  if (mask.causal && key > query) return false;
  if (mask.first_keys > 0 && key < mask.first_keys) return true;
  // The distance of two int64 takes 65 bits; as unsigned numbers it wraps to the right one.
  const std::uint64_t distance =
      key > query ? static_cast<std::uint64_t>(key) - static_cast<std::uint64_t>(query)
                  : static_cast<std::uint64_t>(query) - static_cast<std::uint64_t>(key);
  if (mask.window != ropewalk::kUnlimited && distance >= static_cast<std::uint64_t>(mask.window)) {
    return false;
  }
  return mask.chunk == ropewalk::kUnlimited ||
         chunk_of(query, mask.chunk) == chunk_of(key, mask.chunk);
}

/// No bias, as attention_reference() asks for it.
struct NoReferenceBias {
  double operator()(std::int64_t, std::int64_t, std::int64_t) const { return 0.0; }
};

namespace reference {

/// The keys of one row: logits, what they were made of, and the values' rows.
struct Keys {
  std::vector<double> logits;
  std::vector<double> sizes;         // sum |q_i k_i|
  std::vector<double> operands;      // sum |q_i| + |k_i|
  std::vector<double> biases;        // magnitudes
  std::vector<std::int64_t> values;  // row of V, -1 for the sink
};

template <typename T>
Eigen::MatrixXd rows_of(const ropewalk::HeadView<const T>& view, std::int64_t first,
                        std::int64_t count, std::int64_t head) {
  Eigen::MatrixXd rows(count, view.head_dim);
  for (std::int64_t token = 0; token < count; ++token) {
    for (int dim = 0; dim < view.head_dim; ++dim) {
      rows(token, dim) = value_of(view.head(first + token, head)[dim]);
    }
  }
  return rows;
}

/// e^x, 0 where that is below every normal double; a vectorized one may not get there.
inline Eigen::ArrayXd exponentials(const Eigen::ArrayXd& x) {
  return x.unaryExpr([](double value) { return value < -708.0 ? 0.0 : std::exp(value); });
}

inline ReferenceRow finish(const Keys& keys, const Eigen::MatrixXd& values, int depth, double scale,
                           const AttentionArithmetic& arithmetic) {
  using Eigen::ArrayXd;
  constexpr double kTileLogit = 0x1p20 * 0.6931471805599453;
  ReferenceRow row;
  row.out = Eigen::VectorXd::Zero(values.cols());
  row.out_bound = row.out;
  row.keys = static_cast<std::int64_t>(keys.logits.size());
  if (row.keys == 0) return row;

  const auto count = static_cast<Eigen::Index>(row.keys);
  const ArrayXd z = Eigen::Map<const ArrayXd>(keys.logits.data(), count);
  const ArrayXd sizes = Eigen::Map<const ArrayXd>(keys.sizes.data(), count);
  const ArrayXd operands = Eigen::Map<const ArrayXd>(keys.operands.data(), count);
  const ArrayXd biases = Eigen::Map<const ArrayXd>(keys.biases.data(), count);
  const double top = z.maxCoeff();
  row.largest_logit = z.abs().maxCoeff();
  const ArrayXd below = z - top;
  const double log_sum = std::log(exponentials(below).sum());
  row.lse = top + log_sum;
  const ArrayXd p = exponentials(below - log_sum);
  row.mean = top + (p * below).sum();
  const ArrayXd centred = z - row.mean;
  row.entropy = log_sum - (p * below).sum();
  row.variance = (p * centred.square()).sum();

  const auto differences = [&](double unit) -> ArrayXd {
    return unit * ((depth + 2) * scale * sizes + 4.0 * biases - 4.0 * below) +
           2.0 * arithmetic.query_unit * scale * sizes +
           arithmetic.smallest * (2.0 * depth * scale + sizes) +  // of products and of the scale
           arithmetic.smallest_operand * (scale * operands + 1.0);
  };
  ArrayXd d = differences(0x1p-24);
  const bool has_sink = keys.values.back() < 0;  // which is added in double
  const Eigen::Index products = count - (has_sink ? 1 : 0);
  const bool in_double = products > 0 && (z.abs() - d).head(products).maxCoeff() > kTileLogit;
  const double n = static_cast<double>(row.keys);
  double unit = 0x1p-24;
  double sums = unit * (64.0 + 8.0 * (n / 64.0 + n / 1024.0 + 6.0) + 16.0);
  double lost = n * 0x1p-125;  // weights below the normal floats, of keys 87 to 90 below the top
  if (in_double) {
    unit = 0x1p-53;
    // The reference's own roundings count as well.
    d = 2.0 * differences(unit) + 4.0 * unit * z.abs();
    sums = unit * (8.0 * n + 32.0);
    lost = 0.0;
  }
  if (has_sink) d[products] = 8.0 * 0x1p-53 * (std::abs(z[products]) + std::abs(top));

  const double high_top = (z + d).maxCoeff();
  const double low_top = (z - d).maxCoeff();
  const double high = high_top + std::log(exponentials(z + d - high_top).sum());
  const double low = low_top + std::log(exponentials(z - d - low_top).sum());
  const ArrayXd r = (exponentials((z + d - low).min(0.0)) - p)
                        .max(p - exponentials((z - d - high).min(0.0)))
                        .min(1.0) +
                    4.0 * 0x1p-53 * p;
  const ArrayXd most = (p + r).min(1.0);
  const double spread = top - row.mean;
  const double rounding = 4.0 * unit;
  row.lse_bound = (std::max)(high - row.lse, row.lse - low) + sums + lost +
                  rounding * (std::abs(row.lse) + std::abs(top) + log_sum);
  row.mean_bound = (r * centred.abs()).sum() + (most * d).sum() + 2.0 * sums * spread +
                   90.0 * lost + rounding * (std::abs(top) + std::abs(row.mean) + spread);
  const ArrayXd divergence = (p > 0.0).select(r.square() / p.max(1e-300), r);
  row.entropy_bound = (r * (below - log_sum + row.entropy).abs()).sum() + divergence.sum() +
                      sums * (1.0 + 2.0 * spread) + 90.0 * lost + rounding * (log_sum + spread);
  row.variance_bound = (r * centred.square()).sum() +
                       (most * (2.0 * centred.abs() * d + d.square())).sum() +
                       row.mean_bound * row.mean_bound +
                       (6.0 * sums + rounding) * (row.variance + spread * spread) + 8100.0 * lost;

  const double denormals = 4.0 * n * arithmetic.smallest;  // of the sums' terms
  row.lse_bound += denormals;
  row.mean_bound += denormals;
  row.entropy_bound += denormals;
  row.variance_bound += denormals;

  Eigen::VectorXd magnitudes = Eigen::VectorXd::Zero(values.cols());
  for (Eigen::Index key = 0; key < count; ++key) {
    const std::int64_t which = keys.values[static_cast<std::size_t>(key)];
    if (which < 0) continue;
    const Eigen::VectorXd value = values.row(which).transpose();
    row.out += p[key] * value;
    row.out_bound += r[key] * value.cwiseAbs();
    magnitudes += p[key] * value.cwiseAbs();
    row.largest_value = (std::max)(row.largest_value, value.cwiseAbs().maxCoeff());
  }
  row.out_bound += (sums + unit * n + rounding + arithmetic.weight_unit) * magnitudes;
  row.out_bound.array() += lost * row.largest_value + denormals;
  return row;
}

}  // namespace reference

/// attend() by its definition.
///   bias   (head, query position, key position) -> nats; -infinity hides the key
template <typename T, typename Bias = NoReferenceBias>
AttentionReference attention_reference(const ropewalk::HeadView<const T>& q,
                                       const ropewalk::HeadView<const T>& k,
                                       const ropewalk::HeadView<const T>& v,
                                       const ropewalk::AttentionOptions& options,
                                       const Bias& bias = {},
                                       const AttentionArithmetic& arithmetic = {}) {
  std::vector<ropewalk::AttentionSequence> sequences(options.sequences.begin(),
                                                     options.sequences.end());
  if (sequences.empty()) {
    sequences.push_back({0, q.tokens, 0, k.tokens, options.query_position, options.key_position});
  }
  AttentionReference result;
  result.heads = q.heads;
  result.rows.resize(static_cast<std::size_t>(q.tokens * q.heads));
  const auto entry = [](const ropewalk::Span<const double>& list, std::int64_t index) {
    return list.empty() ? 1.0 : list[static_cast<std::size_t>(index)];
  };
  for (const ropewalk::AttentionSequence& sequence : sequences) {
    const std::int64_t first_position =
        sequence.query_position == ropewalk::kEndsWithKeys
            ? sequence.key_position + sequence.keys - sequence.queries
            : sequence.query_position;
    for (std::int64_t head = 0; head < q.heads; ++head) {
      const std::int64_t key_head = head / (q.heads / k.heads);
      const Eigen::MatrixXd queries =
          reference::rows_of(q, sequence.first_query, sequence.queries, head);
      const Eigen::MatrixXd keys =
          reference::rows_of(k, sequence.first_key, sequence.keys, key_head);
      const Eigen::MatrixXd values =
          reference::rows_of(v, sequence.first_key, sequence.keys, key_head);
      const Eigen::MatrixXd dots = queries * keys.transpose();
      const Eigen::MatrixXd sizes = queries.cwiseAbs() * keys.cwiseAbs().transpose();
      const Eigen::VectorXd query_sizes = queries.cwiseAbs().rowwise().sum();
      const Eigen::VectorXd key_sizes = keys.cwiseAbs().rowwise().sum();
      for (std::int64_t query = 0; query < sequence.queries; ++query) {
        const std::int64_t token = sequence.first_query + query;
        const std::int64_t position = first_position + query;
        const double softmax_scale = options.softmax_scale > 0.0
                                         ? options.softmax_scale
                                         : 1.0 / std::sqrt(static_cast<double>(q.head_dim));
        const double scale =
            softmax_scale * entry(options.head_scale, head) * entry(options.position_scale, token);
        reference::Keys seen;
        for (std::int64_t key = 0; key < sequence.keys; ++key) {
          const std::int64_t key_position = sequence.key_position + key;
          if (!sees(options.mask, position, key_position)) continue;
          const double extra = bias(head, position, key_position);
          if (!ropewalk::detail::is_finite(extra)) continue;
          seen.logits.push_back(scale * dots(query, key) + extra);
          seen.sizes.push_back(sizes(query, key));
          seen.operands.push_back(query_sizes[query] + key_sizes[key]);
          seen.biases.push_back(std::abs(extra));
          seen.values.push_back(key);
        }
        if (!options.sink_logit.empty()) {
          const double sink = options.sink_logit[static_cast<std::size_t>(head)];
          seen.logits.push_back(sink);
          seen.sizes.push_back(0.0);
          seen.operands.push_back(0.0);
          seen.biases.push_back(0.0);
          seen.values.push_back(-1);
        }
        result.rows[static_cast<std::size_t>(token * q.heads + head)] =
            reference::finish(seen, values, q.head_dim, scale, arithmetic);
      }
    }
  }
  return result;
}

/// The float next to a double, its range kept.
inline double as_float(double value) {
  constexpr double largest = static_cast<double>((std::numeric_limits<float>::max)());
  return static_cast<double>(static_cast<float>((std::min)(largest, (std::max)(-largest, value))));
}

/// `bound` and the rounding of a float of the exact result's size.
inline double with_rounding(double exact, double bound) {
  return bound + 0x1p-24 * std::abs(exact) + 0x1p-149;
}

/// Whether a result is finite and within with_rounding() of the exact one, whose range saturates to
/// that of float. Decided without a comparison that a NaN or -ffast-math could turn.
inline bool within(float result, double exact, double bound) {
  if (!ropewalk::detail::is_finite(static_cast<double>(result))) return false;
  if (!ropewalk::detail::is_finite(bound)) return true;
  const double wider = with_rounding(exact, bound);
  const auto value = static_cast<double>(result);
  return as_float(exact - wider) <= value && value <= as_float(exact + wider);
}

}  // namespace ropewalk_test
