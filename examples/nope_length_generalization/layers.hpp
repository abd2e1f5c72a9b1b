// The parts of a layer, forward and backward. Real is float; the tests take double.
#pragma once

#include "shape.hpp"

#include <Eigen/Core>

#include <cmath>
#include <vector>

namespace lm {

template <typename Real>
using Rows = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename Real>
using Row = Eigen::Matrix<Real, 1, Eigen::Dynamic, Eigen::RowMajor>;
template <typename Real>
using Column = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

/// A tensor in the flat array of parameters, or of their gradients.
template <typename Real>
Eigen::Map<const Rows<Real>> weight(const std::vector<Real>& parameters, const Tensor& tensor) {
  return {parameters.data() + tensor.first, tensor.rows, tensor.columns};
}
template <typename Real>
Eigen::Map<Rows<Real>> weight(std::vector<Real>& gradients, const Tensor& tensor) {
  return {gradients.data() + tensor.first, tensor.rows, tensor.columns};
}

inline constexpr double kNormEpsilon = 1e-5;

/// Every token divided by its root mean square, times a gain.
template <typename Real>
struct Norm {
  Column<Real> inverse_rms;  // (tokens,)
  Rows<Real> out;            // (tokens, width)

  template <typename Gain>
  void forward(const Rows<Real>& x, const Gain& gain) {
    const auto width = static_cast<Real>(x.cols());
    inverse_rms = (x.rowwise().squaredNorm() / width).array() + static_cast<Real>(kNormEpsilon);
    inverse_rms = inverse_rms.array().rsqrt();
    out = (x.array().colwise() * inverse_rms.array()).rowwise() * gain.row(0).array();
  }

  /// Adds to dx and to the gain's gradient.
  template <typename Gain, typename GainGradient>
  void backward(const Rows<Real>& x, const Gain& gain, const Rows<Real>& dout, Rows<Real>& dx,
                GainGradient&& dgain) const {
    const auto width = static_cast<Real>(x.cols());
    for (Eigen::Index token = 0; token < x.rows(); ++token) {
      const Real inverse = inverse_rms(token);
      dgain.row(0).array() += dout.row(token).array() * x.row(token).array() * inverse;
      const Real along =
          (dout.row(token).array() * gain.row(0).array() * x.row(token).array()).sum();
      dx.row(token).array() += inverse * dout.row(token).array() * gain.row(0).array() -
                               x.row(token).array() * (inverse * inverse * inverse * along / width);
    }
  }
};

/// silu(gate) * up, between the two wide projections.
template <typename Real>
struct SwiGlu {
  Rows<Real> gate, up, out;  // (tokens, hidden)

  void forward() { out = gate.array() * gate.array().logistic() * up.array(); }

  /// dout becomes nothing of use; dgate and dup are written.
  void backward(const Rows<Real>& dout, Rows<Real>& dgate, Rows<Real>& dup) const {
    dgate = gate.array().logistic();
    dup = dout.array() * gate.array() * dgate.array();
    dgate = dout.array() * up.array() * dgate.array() *
            (Real(1) + gate.array() * (Real(1) - dgate.array()));
  }
};

/// Cross entropy of every position, in nats, and the gradient of their mean.
///   logits     (tokens, vocabulary); becomes the gradient where `gradient` is set
///   losses     (tokens,)
template <typename Real>
void cross_entropy(Rows<Real>& logits, const unsigned char* targets, Column<Real>& losses,
                   bool gradient, Real weight_per_token) {
  losses.resize(logits.rows());
  for (Eigen::Index token = 0; token < logits.rows(); ++token) {
    auto row = logits.row(token);
    const Real largest = row.maxCoeff();
    const Real target = row(targets[token]) - largest;
    row = (row.array() - largest).exp();
    const Real sum = row.sum();
    losses(token) = std::log(sum) - target;
    if (!gradient) continue;
    row *= weight_per_token / sum;
    row(targets[token]) -= weight_per_token;
  }
}

}  // namespace lm
