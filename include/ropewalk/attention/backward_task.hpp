// The backward pass over one key head of one sequence: key tiles outside, blocks of rows inside. Row 8.
#pragma once

#include <ropewalk/attention/gradient_tile.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The row's gradient on its way back through the transform its row was loaded with.
template <typename Transform>
void turn_back(const Transform& transform, std::int64_t token, std::int64_t head, float* row) {
  if constexpr (!Transform::kIdentity) transform.transpose(token, head, row);
}

/// Adds to dq, dk and dv, which hold zeros where nothing was added yet.
template <typename Kernel, typename Backward>
class BackwardTask : private GradientTiles<Kernel, Backward> {
  using Tiles = GradientTiles<Kernel, Backward>;
  using Tiles::block_;
  using Tiles::call_;
  using Tiles::depth;
  using Tiles::dim;
  using Tiles::forward;
  using Tiles::kTile;
  using Tiles::place;
  using Tiles::room_;
  using Tiles::sequence_;

 public:
  using Tiles::Tiles;

  void run() {
    for (int row = 0; row < kTile; ++row) room_.ones[row] = 1.0f;
    for (std::int64_t key = 0; key < sequence_.keys; key += kTile) {
      const auto count = static_cast<int>(smaller(sequence_.keys - key, std::int64_t{kTile}));
      this->load_keys(key, count);
      this->pack_values(room_.key_rows, count, depth(), room_.right_keys);
      clear(room_.dk, kTile * Kernel::output_size(depth()));
      clear(room_.dv, kTile * Kernel::output_size(dim()));
      for (std::int64_t first = 0; first < this->rows(); first += kTile) {
        this->choose_rows(first);
        if (this->see_keys(key, count)) add_tile(key, count);
      }
      add_keys(key, count);
    }
    turn_queries_back();
  }

 private:
  void add_tile(std::int64_t key, int count) {
    this->load_rows();
    this->pack_values(room_.query_rows, block_.rows, depth(), room_.right_queries);
    this->pack_values(room_.out_rows, block_.rows, dim(), room_.right_outs);
    this->multiply();
    for (int row = 0; row < block_.rows; ++row) weigh(row, key, count);
    SeenKeys all_rows[static_cast<std::size_t>(kTile)];
    for (SeenKeys& rows : all_rows) rows = {0, block_.rows};
    turn(room_.weights);
    Kernel::multiply_values(room_.turned, room_.right_outs, dim(), all_rows, count, {}, room_.ones,
                            room_.dv);
    add_queries();
    turn(room_.slopes);
    Kernel::multiply_values(room_.turned, room_.right_queries, depth(), all_rows, count, {},
                            room_.ones, room_.dk);
  }

  /// Scores become weights, products with dout become dz times the coefficient.
  void weigh(int row, std::int64_t key, int count) {
    float* weights = room_.weights + std::int64_t{row} * kTile;
    float* slopes = room_.slopes + std::int64_t{row} * kTile;
    this->load_bias(row, key, count);
    int done = 0;
    for (const SeenKeys run : {this->first_run(row, key), this->band_run(row, key)}) {
      if (run.begin >= run.end) continue;
      clear(weights + done, run.begin - done);
      clear(slopes + done, run.begin - done);
      slope_run(room_.rows[row], run.end - run.begin, room_.bias + run.begin, weights + run.begin,
                slopes + run.begin);
      done = run.end;
    }
    clear(weights + done, kTile - done);
    clear(slopes + done, kTile - done);
  }

  /// Without branches, for compilers to make vector code of.
  static void slope_run(const GradientRow& about, int count, const float* bias, float* weights,
                        float* slopes) noexcept {
    const GradientRow row = about;
    for (int index = 0; index < count; ++index) {
      const float logit = weights[index] * row.coefficient + bias[index];
      const float x = (logit - row.lse) * static_cast<float>(kLog2E);
      const float weight = exp2_of_negative(x < 0.0f ? x : 0.0f);
      weights[index] = weight;
      slopes[index] =
          row.coefficient * weight * (slopes[index] - row.delta - row.entropy * (logit - row.mean));
    }
  }

  /// (rows, kTile) as (kTile, rows), rows of kTile each; squares of 16, that a line is written whole.
  void turn(const float* from) noexcept {
    constexpr int square = 16;
    for (int first = 0; first < block_.rows; first += square) {
      const int end = block_.rows - first < square ? block_.rows : first + square;
      for (int key = 0; key < kTile; ++key) {
        float* to = room_.turned + key * kTile;
        for (int row = first; row < end; ++row) to[row] = from[row * kTile + key];
      }
    }
  }

  void add_queries() {
    clear(room_.dq, block_.rows * Kernel::output_size(depth()));
    Kernel::multiply_values(room_.slopes, room_.right_keys, depth(), this->seen_, block_.rows, {},
                            room_.ones, room_.dq);
    for (int row = 0; row < block_.rows; ++row) {
      const RowPlace at = place(row);
      add(room_.dq + row * Kernel::output_size(depth()), depth(), call_.dq.head(at.token, at.head));
    }
  }

  void add_keys(std::int64_t key, int count) {
    for (int index = 0; index < count; ++index) {
      const std::int64_t token = this->token_of(key + index);
      float* row = room_.dk + index * Kernel::output_size(depth());
      turn_back(forward().hooks.key_rows, token, block_.key_head, row);
      add(row, depth(), call_.dk.head(token, block_.key_head));
      add(room_.dv + index * Kernel::output_size(dim()), dim(),
          call_.dv.head(token, block_.key_head));
    }
  }

  static void add(const float* from, int count, float* to) noexcept {
    for (int index = 0; index < count; ++index) to[index] += from[index];
  }

  void turn_queries_back() {
    for (std::int64_t first = 0; first < this->rows(); first += kTile) {
      this->choose_rows(first);
      for (int row = 0; row < block_.rows; ++row) {
        const RowPlace at = place(row);
        turn_back(forward().hooks.query_rows, at.token, at.head, call_.dq.head(at.token, at.head));
      }
    }
  }
};

/// g of every row, without the gradients of q, k and v: blocks of rows outside, key tiles inside.
template <typename Kernel, typename Backward>
class SlopeTask : private GradientTiles<Kernel, Backward> {
  using Tiles = GradientTiles<Kernel, Backward>;
  using Tiles::block_;
  using Tiles::forward;
  using Tiles::kTile;
  using Tiles::room_;
  using Tiles::sequence_;

 public:
  using Tiles::Tiles;

  /// slopes (tokens, heads) of q.
  void run(double* slopes) {
    for (std::int64_t first = 0; first < this->rows(); first += kTile) {
      this->choose_rows(first);
      this->load_rows();
      for (Sums& sums : sums_) sums = {};
      for (std::int64_t key = 0; key < sequence_.keys; key += kTile) {
        const auto count = static_cast<int>(smaller(sequence_.keys - key, std::int64_t{kTile}));
        if (!this->see_keys(key, count)) continue;
        this->load_keys(key, count);
        this->multiply();
        for (int row = 0; row < block_.rows; ++row) add_row(row, key, count);
      }
      for (int row = 0; row < block_.rows; ++row) {
        const RowPlace at = this->place(row);
        slopes[at.token * forward().q.heads + at.head] = slope(row);
      }
    }
  }

 private:
  struct Sums {
    double weight = 0.0;  // p
    double values = 0.0;  // p dP
    double logits = 0.0;  // p (y - lse)
    double both = 0.0;    // p dP (y - lse)
  };

  void add_row(int row, std::int64_t key, int count) {
    this->load_bias(row, key, count);
    for (const SeenKeys run : {this->first_run(row, key), this->band_run(row, key)}) {
      add_run(room_.rows[row], run.end - run.begin, room_.bias + run.begin,
              room_.weights + std::int64_t{row} * kTile + run.begin,
              room_.slopes + std::int64_t{row} * kTile + run.begin, sums_[row]);
    }
  }

  static void add_run(const GradientRow& about, int count, const float* bias, const float* scores,
                      const float* products, Sums& sums) noexcept {
    const GradientRow row = about;
    float parts[4] = {};
    for (int index = 0; index < count; ++index) {
      // From lse, so that an offset common to all logits does not cancel in the end.
      const float logit = scores[index] * row.coefficient - row.lse;
      const float x = (logit + bias[index]) * static_cast<float>(kLog2E);
      const float weight = exp2_of_negative(x < 0.0f ? x : 0.0f);
      const float value = weight * products[index];
      parts[0] += weight;
      parts[1] += value;
      parts[2] += weight * logit;
      parts[3] += value * logit;
    }
    sums.weight += static_cast<double>(parts[0]);
    sums.values += static_cast<double>(parts[1]);
    sums.logits += static_cast<double>(parts[2]);
    sums.both += static_cast<double>(parts[3]);
  }

  double slope(int row) const noexcept {
    const Sums& sums = sums_[row];
    // The weights of the keys are all there is, or what the sink leaves.
    const double left = forward().options.sink_logit.empty() ? 0.0 : 1.0 - sums.weight;
    return sums.both - sums.values * sums.logits +
           static_cast<double>(room_.rows[row].lse) * sums.values * left;
  }

  Sums sums_[static_cast<std::size_t>(kTile)];
};

}  // namespace detail
}  // namespace v0
}  // namespace ropewalk
