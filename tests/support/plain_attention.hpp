// Attention that holds all its weights: what the library's is compared with.
#pragma once

#include <nope_length_generalization/layers.hpp>
#include <nope_length_generalization/library_attention.hpp>

#include <algorithm>
#include <cmath>

namespace lm {

struct PlainAttention {
  /// Causal. Every head's logits are multiplied by its head_scale / sqrt(head_dim).
  ///   head_scale  (heads,)
  ///   lse         (tokens, heads)
  ///   entropy     null, or (tokens, heads) in nats
  template <typename Real>
  static void forward(const AttentionShape& shape, const Rows<Real>& q, const Rows<Real>& k,
                      const Rows<Real>& v, const double* head_scale, Rows<Real>& out,
                      Rows<Real>& lse, Rows<Real>* entropy) {
    const Eigen::Index tokens = q.rows();
    out.resize(tokens, q.cols());
    lse.resize(tokens, shape.heads);
    if (entropy != nullptr) entropy->resize(tokens, shape.heads);
    Rows<Real> weights;
    for (int head = 0; head < shape.heads; ++head) {
      const int kv = head / (shape.heads / shape.kv_heads);
      const auto scale = static_cast<Real>(head_scale[head] / std::sqrt(shape.head_dim));
      const int column = head * shape.head_dim;
      const int kv_column = kv * shape.head_dim;
      for (Eigen::Index first = 0; first < tokens; first += kBlock) {
        const Eigen::Index rows = std::min(kBlock, tokens - first);
        const Eigen::Index keys = first + rows;
        weights.noalias() = q.block(first, column, rows, shape.head_dim) *
                            k.block(0, kv_column, keys, shape.head_dim).transpose();
        for (Eigen::Index row = 0; row < rows; ++row) {
          const Eigen::Index visible = first + row + 1;
          auto logits = weights.row(row).head(visible);
          logits *= scale;
          const Real largest = logits.maxCoeff();
          Row<Real> kept;
          if (entropy != nullptr) kept = logits;
          logits = (logits.array() - largest).exp();
          const Real sum = logits.sum();
          logits /= sum;
          lse(first + row, head) = largest + std::log(sum);
          if (entropy != nullptr)
            (*entropy)(first + row, head) = lse(first + row, head) - kept.dot(logits);
          weights.row(row).tail(keys - visible).setZero();
        }
        out.block(first, column, rows, shape.head_dim).noalias() =
            weights * v.block(0, kv_column, keys, shape.head_dim);
      }
    }
  }

  /// Writes dq, dk, dv from what forward took and gave.
  template <typename Real>
  static void backward(const AttentionShape& shape, const Rows<Real>& q, const Rows<Real>& k,
                       const Rows<Real>& v, const double* head_scale, const Rows<Real>& out,
                       const Rows<Real>& lse, const Rows<Real>& dout, Rows<Real>& dq,
                       Rows<Real>& dk, Rows<Real>& dv, double* head_scale_gradient) {
    const Eigen::Index tokens = q.rows();
    dq.resize(tokens, q.cols());
    dk.setZero(tokens, k.cols());
    dv.setZero(tokens, v.cols());
    Rows<Real> weights, dweights;
    for (int head = 0; head < shape.heads; ++head) {
      const int kv = head / (shape.heads / shape.kv_heads);
      const auto scale = static_cast<Real>(head_scale[head] / std::sqrt(shape.head_dim));
      const int column = head * shape.head_dim;
      const int kv_column = kv * shape.head_dim;
      for (Eigen::Index first = 0; first < tokens; first += kBlock) {
        const Eigen::Index rows = std::min(kBlock, tokens - first);
        const Eigen::Index keys = first + rows;
        const auto q_block = q.block(first, column, rows, shape.head_dim);
        const auto k_block = k.block(0, kv_column, keys, shape.head_dim);
        const auto v_block = v.block(0, kv_column, keys, shape.head_dim);
        const auto dout_block = dout.block(first, column, rows, shape.head_dim);
        weights.noalias() = q_block * k_block.transpose();
        dweights.noalias() = dout_block * v_block.transpose();
        for (Eigen::Index row = 0; row < rows; ++row) {
          const Eigen::Index visible = first + row + 1;
          const Real along =
              dout_block.row(row).dot(out.row(first + row).segment(column, shape.head_dim));
          auto w = weights.row(row).head(visible);
          w = (w.array() * scale - lse(first + row, head)).exp();
          weights.row(row).tail(keys - visible).setZero();
          dweights.row(row).head(visible).array() =
              w.array() * (dweights.row(row).head(visible).array() - along) * scale;
          dweights.row(row).tail(keys - visible).setZero();
        }
        dv.block(0, kv_column, keys, shape.head_dim).noalias() += weights.transpose() * dout_block;
        dq.block(first, column, rows, shape.head_dim).noalias() = dweights * k_block;
        dk.block(0, kv_column, keys, shape.head_dim).noalias() += dweights.transpose() * q_block;
      }
      if (head_scale_gradient == nullptr) continue;
      // Logits are linear in q and in the scale alike: scale dL/dscale = sum of q dL/dq.
      const auto along =
          static_cast<double>(q.middleCols(column, shape.head_dim)
                                  .cwiseProduct(dq.middleCols(column, shape.head_dim))
                                  .sum());
      head_scale_gradient[head] += along / head_scale[head];
    }
  }

 private:
  static constexpr Eigen::Index kBlock = 64;
};

}  // namespace lm
