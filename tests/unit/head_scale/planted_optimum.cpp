// Scales hidden in a stack of attention layers, found again from the stack's outputs alone.
#include <ropewalk/attention_gradient.hpp>
#include <ropewalk/head_scale/grid.hpp>
#include <ropewalk/head_scale/search.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <Eigen/Core>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Scales = rw::Span<const double>;

constexpr std::int64_t kLayers = 4;
constexpr std::int64_t kHeads = 8;
constexpr int kHeadDim = 8;
constexpr int kWidth = 32;  // of the residual stream
constexpr std::int64_t kTokens = 32;
constexpr int kBatches = 16;
constexpr double kLogitDeviation = 2.5;  // at head_scale 1: neither uniform nor one-hot

Matrix random_matrix(Random& random, Eigen::Index rows, Eigen::Index columns, double deviation) {
  Matrix matrix(rows, columns);
  for (Eigen::Index i = 0; i < matrix.size(); ++i) {
    // The sum of three uniforms on [-1, 1] has deviation 1.
    const double sum = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
    matrix.data()[i] = static_cast<float>(deviation * sum);
  }
  return matrix;
}

/// Rows divided by their root mean square.
struct Normalized {
  Matrix rows;
  Eigen::VectorXf inverse;  // (tokens,) 1 / root mean square

  explicit Normalized(const Matrix& x)
      : inverse((x.rowwise().squaredNorm().array() / kWidth + 1e-6f).rsqrt()) {
    rows = inverse.asDiagonal() * x;
  }

  Matrix backward(const Matrix& slope) const {
    const Eigen::VectorXf along = (slope.cwiseProduct(rows)).rowwise().sum() / kWidth;
    return inverse.asDiagonal() * (slope - along.asDiagonal() * rows);
  }
};

rw::HeadView<float> heads_of(Matrix& rows) {
  return rw::make_head_view(rows.data(), rows.rows(), kHeads, kHeadDim);
}

/// What a layer's forward pass leaves for its backward pass.
struct LayerRecord {
  Normalized input;
  Matrix q, k, v, out;
  std::vector<float> lse;
};

/// Residual layers x + attention(x / rms(x)): no positions, causal, fixed random weights.
class Stack {
 public:
  explicit Stack(Random& random) {
    const Eigen::Index inner = kHeads * kHeadDim;
    const double per_input = 1.0 / std::sqrt(static_cast<double>(kWidth));
    const double sharp = std::sqrt(kLogitDeviation) * per_input;
    for (Layer& layer : layers_) {
      layer.q = random_matrix(random, kWidth, inner, sharp);
      layer.k = random_matrix(random, kWidth, inner, sharp);
      layer.v = random_matrix(random, kWidth, inner, per_input);
      layer.out = random_matrix(random, inner, kWidth, 1.0 / std::sqrt(static_cast<double>(inner)));
    }
  }

  Matrix forward(Matrix x, Scales scales, std::vector<LayerRecord>* records = nullptr) const {
    for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
      const Layer& weights = layers_[layer];
      LayerRecord record{Normalized(x), {}, {}, {}, {}, {}};
      record.q = record.input.rows * weights.q;
      record.k = record.input.rows * weights.k;
      record.v = record.input.rows * weights.v;
      record.out.resize(record.q.rows(), record.q.cols());
      record.lse.resize(static_cast<std::size_t>(record.q.rows() * kHeads));
      rw::AttentionStatistics statistics;
      statistics.lse = record.lse;
      rw::attend(heads_of(record.q), heads_of(record.k), heads_of(record.v), heads_of(record.out),
                 options(scales, layer), statistics);
      x += record.out * weights.out;
      if (records != nullptr) records->push_back(std::move(record));
    }
    return x;
  }

  /// Adds d loss / d head_scale to `gradient`, from d loss / d output.
  void backward(Matrix slope, Scales scales, std::vector<LayerRecord>& records,
                std::vector<double>& gradient) const {
    for (std::size_t layer = layers_.size(); layer-- > 0;) {
      const Layer& weights = layers_[layer];
      LayerRecord& record = records[layer];
      Matrix d_out = slope * weights.out.transpose();
      Matrix dq(d_out.rows(), d_out.cols());
      Matrix dk = dq;
      Matrix dv = dq;
      double of_layer[kHeads];
      rw::AttentionGradients gradients;
      gradients.head_scale = of_layer;
      rw::SavedRows saved;
      saved.lse = record.lse;
      rw::attend_backward(heads_of(record.q), heads_of(record.k), heads_of(record.v),
                          heads_of(record.out), saved, heads_of(d_out), heads_of(dq), heads_of(dk),
                          heads_of(dv), options(scales, layer), gradients);
      for (std::size_t head = 0; head < kHeads; ++head) {
        gradient[layer * kHeads + head] += of_layer[head];
      }
      const Matrix normalized =
          dq * weights.q.transpose() + dk * weights.k.transpose() + dv * weights.v.transpose();
      slope += record.input.backward(normalized);
    }
  }

 private:
  struct Layer {
    Matrix q, k, v, out;
  };

  static rw::AttentionOptions options(Scales scales, std::size_t layer) {
    rw::AttentionOptions options;
    options.head_scale = {scales.data() + layer * kHeads, kHeads};
    return options;
  }

  std::vector<Layer> layers_ = std::vector<Layer>(kLayers);
};

/// A stack, the scales hidden in it, and what it answers with them.
struct Teacher {
  Stack stack;
  std::vector<double> scales;
  std::vector<Matrix> inputs;
  std::vector<Matrix> outputs;

  explicit Teacher(Random& random) : stack(random) {
    for (int i = 0; i < kLayers * kHeads; ++i) scales.push_back(random.uniform(1.0, 2.2));
    for (int batch = 0; batch < kBatches; ++batch) {
      inputs.push_back(random_matrix(random, kTokens, kWidth, 1.0));
      outputs.push_back(stack.forward(inputs.back(), scales));
    }
  }

  /// Mean squared error of one batch under other scales, and its gradient where there is room.
  double loss(std::size_t batch, Scales tried, std::vector<double>* gradient = nullptr) const {
    std::vector<LayerRecord> records;
    const Matrix distance =
        stack.forward(inputs[batch], tried, gradient != nullptr ? &records : nullptr) -
        outputs[batch];
    const float entries = static_cast<float>(distance.size());
    if (gradient != nullptr) {
      gradient->assign(tried.size(), 0.0);
      stack.backward(distance * (2.0f / entries), tried, records, *gradient);
    }
    return static_cast<double>(distance.squaredNorm() / entries);
  }
};

double best_uniform(const Teacher& teacher) {
  const auto found = rw::search_uniform_scale(rw::head_scale_grid(1.0, 2.2), [&](double scale) {
    return teacher.loss(0, std::vector<double>(kLayers * kHeads, scale));
  });
  return found.best.head_scale;
}

/// Share of heads within 2% of the scale that was hidden.
double recovered(Scales found, const std::vector<double>& hidden) {
  int close = 0;
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    if (std::fabs(found[i] / hidden[i] - 1.0) <= 0.02) ++close;
  }
  return static_cast<double>(close) / static_cast<double>(hidden.size());
}

}  // namespace

TEST_CASE("scales hidden in a stack of 32 heads are found within 2% for at least 95% of them") {
  for (int stream = 0; stream < 3; ++stream) {
    Random random("planted optimum " + std::to_string(stream));
    const Teacher teacher(random);
    const double uniform = best_uniform(teacher);
    rw::HeadScaleSearch search(kLayers, kHeads, uniform);
    const double at_first = recovered(search.head_scale(), teacher.scales);
    const double first_loss = teacher.loss(0, search.head_scale());
    std::vector<double> gradient;
    while (search.searching()) {
      const auto batch = static_cast<std::size_t>(search.state().step % kBatches);
      const double loss = teacher.loss(batch, search.head_scale(), &gradient);
      REQUIRE(search.step(loss, gradient).code == rw::Errc::ok);
    }
    const double at_last = recovered(search.head_scale(), teacher.scales);
    const double last_loss = teacher.loss(0, search.head_scale());
    std::printf(
        "planted optimum %d: uniform %.2f, loss %.3g -> %.3g, within 2%%: %.1f%% -> %.1f%%\n",
        stream, uniform, first_loss, last_loss, 100.0 * at_first, 100.0 * at_last);
    INFO(seed_text() << ", stream " << stream);
    CHECK(at_first < 0.5);
    CHECK(at_last >= 0.95);
    CHECK(last_loss < 1e-2 * first_loss);
  }
}
