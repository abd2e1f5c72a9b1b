// g of every row from the softmax: a tile of rows against all of its keys. Bodies over a Block.
//
// With x = z - lse of a key, p = e^x, sums over keys, H the row's entropy, p0 and s of its sink,
//     g = sum p z dP - (sum p dP)(sum p z),    sum p z = lse - H - p0 s
//       = sum p x dP + (H + p0 s) sum p dP
// so that two sums are kept, neither holds an offset common to all logits, and nothing need be known
// of out.
#pragma once

#include <ropewalk/cuda/attention/schedule.hpp>
#include <ropewalk/cuda/attention/tile.hpp>
#include <ropewalk/cuda/device.hpp>
#include <ropewalk/cuda/pipeline.hpp>
#include <ropewalk/cuda/scale_gradient/checks.hpp>
#include <ropewalk/cuda/scale_gradient/softmax_warp.hpp>
#include <ropewalk/row_statistics.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// What is the same for the whole block, and needed too seldom to stay in registers.
template <typename T>
struct SlopePlan {
  const T* k;  // key 0 and its value
  const T* v;
  std::int64_t first_entry;  // (row, head) of the tile's first row
  KeyBlocks blocks;
  std::int32_t rows;  // of the tile
  std::int32_t keys;  // of the sequence
  std::int32_t head;
};

/// What the blocks of a launch share.
template <typename T>
struct SlopeJob {
  TileOrder order;
  SequenceMap sequences;
  AttentionMask mask;
  BatchView<const T> q;
  BatchView<const T> k;
  BatchView<const T> v;
  BatchView<const T> d_out;
  std::int32_t heads = 0;
  std::int32_t group = 1;
  std::int32_t head_dim = 0;
  float softmax_scale = 0.0f;  // base 2
  const float* head_scale = nullptr;
  const float* position_scale = nullptr;
  const float* sink_logit = nullptr;
  const float* lse = nullptr;
  const float* entropy = nullptr;
  float* slopes = nullptr;  // (rows, heads)
  std::int64_t rows = 0;    // no start leads beyond
};

/// The launch of parameters that were validated.
template <int kDim, typename T>
ROPEWALK_HIDDEN SlopeJob<T> slope_job(const SoftmaxScaleGradientParams<T>& params,
                                      float* slopes) noexcept {
  const AttentionParams<T>& attention = params.attention;
  const AttentionShape& shape = attention.shape;
  SlopeJob<T> job;
  job.order = tile_order(shape, SlopeTile<kDim>::kRows);
  job.sequences = sequence_map(attention);
  job.mask = attention.mask;
  job.q = attention.q;
  job.k = attention.k;
  job.v = attention.v;
  job.d_out = params.d_out;
  job.heads = shape.heads;
  job.group = shape.heads / shape.kv_heads;
  job.head_dim = shape.head_dim;
  job.softmax_scale = base_two_scale(attention.scale, shape.head_dim);
  job.head_scale = attention.scale.head_scale;
  job.position_scale = attention.scale.position_scale;
  job.sink_logit = attention.scale.sink_logit;
  job.lse = attention.statistics.lse;
  job.entropy = attention.statistics.entropy;
  job.slopes = slopes;
  job.rows = gradient_rows(params);
  return job;
}

/// One thread of the block that computes g of a tile of rows of one head.
template <int kDim, typename T, typename Block>
class SlopeBlock {
  using Tile = SlopeTile<kDim>;
  using Plan = SlopePlan<T>;
  static_assert(sizeof(Plan) <= Tile::kPlanBytes && Tile::kPlanOffset % 16 == 0, "it has a place");

 public:
  ROPEWALK_DEVICE SlopeBlock(Block& block, const SlopeJob<T>& job) noexcept
      : block_(block), job_(job), warp_(block.thread()) {}

  ROPEWALK_DEVICE void run() noexcept {
    const RowTile at = job_.order.at(block_.index_x());
    const SequenceSizes sizes = job_.sequences.sizes(at.sequence);
    const int first_row = at.tile * Tile::kRows;
    const std::int64_t begin = sizes.first_query + first_row;
    if (first_row >= sizes.queries || begin < 0 || begin >= job_.rows) return;
    const int rest =
        static_cast<int>(ropewalk::detail::smaller(sizes.queries - first_row, job_.rows - begin));
    load(at, sizes, first_row, rest < Tile::kRows ? rest : Tile::kRows);
    const auto copy = [this](int tile, int stage) { start_copies(tile, stage); };
    const auto use = [this](int tile, int stage) { add(tile, stage); };
    stream_tiles<Tile::kStages>(block_, plan().blocks.count(), copy, use);
    write();
  }

 private:
  ROPEWALK_DEVICE Plan& plan() const noexcept {
    return *reinterpret_cast<Plan*>(block_.shared() + Tile::kPlanOffset);
  }
  ROPEWALK_DEVICE SlopeRow* row_table() const noexcept {
    return reinterpret_cast<SlopeRow*>(block_.shared() + Tile::kRowsOffset);
  }

  ROPEWALK_DEVICE static const T* start_of(const BatchView<const T>& view, std::int64_t sequence,
                                           std::int64_t token, std::int64_t head) noexcept {
    return view.data + sequence * view.sequence_stride + token * view.token_stride +
           head * view.head_stride;
  }

  /// Block: queries and d_out through shared memory into registers; the plan and the table of rows.
  ROPEWALK_DEVICE void load(const RowTile& at, const SequenceSizes& sizes, int first_row,
                            int rows) noexcept {
    const bool packed_q = job_.sequences.query_starts != nullptr;
    const std::int64_t query = (packed_q ? sizes.first_query : 0) + first_row;
    const std::int64_t sequence_of_q = packed_q ? 0 : at.sequence;
    unsigned char* out_tile = block_.shared() + Tile::kRows * kDim * 2;
    using RowCopy = TileCopy<Tile::kRows, kDim, Tile::kThreads>;
    RowCopy::start(block_, block_.shared(), start_of(job_.q, sequence_of_q, query, at.head),
                   job_.q.token_stride, rows, job_.head_dim);
    RowCopy::start(block_, out_tile, start_of(job_.d_out, sequence_of_q, query, at.head),
                   job_.d_out.token_stride, rows, job_.head_dim);
    block_.commit();
    const std::int64_t position = sizes.position + first_row;
    const std::int64_t first_entry = (sizes.first_query + first_row) * job_.heads + at.head;
    if (block_.thread() == 0) {
      const bool packed_k = job_.sequences.key_starts != nullptr;
      const std::int64_t sequence_of_k = packed_k ? 0 : at.sequence;
      const int kv_head = at.head / job_.group;
      plan() = {start_of(job_.k, sequence_of_k, sizes.first_key, kv_head),
                start_of(job_.v, sequence_of_k, sizes.first_key, kv_head),
                first_entry,
                key_blocks<Tile::kKeys>(job_.mask, position, position + rows - 1, sizes.keys),
                rows,
                sizes.keys,
                at.head};
    }
    const int index = block_.thread();
    if (index < Tile::kRows) {
      SlopeRow row;
      if (index < rows) {
        const float lse = job_.lse[first_entry + std::int64_t{index} * job_.heads];
        // Of a row without keys it is the lowest float, and a product with it infinite.
        row.lse = lse > -1e37f ? lse * static_cast<float>(kLog2E) : 0.0f;
        row.scale = job_.softmax_scale;
        if (job_.head_scale != nullptr) row.scale *= job_.head_scale[at.head];
        if (job_.position_scale != nullptr) {
          row.scale *= job_.position_scale[sizes.first_query + first_row + index];
        }
        const VisibleKeys keys = job_.mask.keys(position + index, {0, sizes.keys});
        row.keys = {static_cast<std::int32_t>(keys.first_keys.end),
                    static_cast<std::int32_t>(keys.band.first),
                    static_cast<std::int32_t>(keys.band.end)};
      }
      row_table()[index] = row;
    }
    block_.template wait<0>();
    block_.sync();
    warp_.load(block_, block_.shared(), out_tile, row_table());
    block_.sync();
  }

  ROPEWALK_DEVICE void start_copies(int tile, int stage) noexcept {
    using KeyCopy = TileCopy<Tile::kKeys, kDim, Tile::kThreads>;
    const Plan& plan = this->plan();
    const int key = plan.blocks.at(tile) * Tile::kKeys;
    unsigned char* to = block_.shared() + stage * Tile::kStageBytes;
    KeyCopy::start(block_, to, plan.k + key * job_.k.token_stride, job_.k.token_stride,
                   plan.keys - key, job_.head_dim);
    KeyCopy::start(block_, to + Tile::kTileBytes, plan.v + key * job_.v.token_stride,
                   job_.v.token_stride, plan.keys - key, job_.head_dim);
  }

  ROPEWALK_DEVICE void add(int tile, int stage) noexcept {
    const int key_block = plan().blocks.at(tile);
    const unsigned char* keys = block_.shared() + stage * Tile::kStageBytes;
    const unsigned char* values = keys + Tile::kTileBytes;
    if (plan().blocks.is_full(key_block)) {
      warp_.template add<false>(block_, keys, values, row_table(), key_block * Tile::kKeys);
    } else {
      warp_.template add<true>(block_, keys, values, row_table(), key_block * Tile::kKeys);
    }
  }

  ROPEWALK_DEVICE void write() noexcept {
    warp_.finish(block_);
    const Plan& plan = this->plan();
    const float sink = job_.sink_logit != nullptr ? job_.sink_logit[plan.head] : 0.0f;
    ROPEWALK_UNROLL
    for (int row = 0; row < Tile::kLaneRows; ++row) {
      const int index = warp_.row_of(row);
      if (index >= plan.rows || !warp_.leads()) continue;
      const std::int64_t entry = plan.first_entry + std::int64_t{index} * job_.heads;
      float constant = job_.entropy[entry];
      if (job_.sink_logit != nullptr) {
        const float x = (sink - job_.lse[entry]) * static_cast<float>(kLog2E);
        constant = std::fma(block_.power_of_two(x < 0.0f ? x : 0.0f), sink, constant);
      }
      job_.slopes[entry] =
          std::fma(static_cast<float>(kLn2), warp_.both(row), warp_.values(row) * constant);
    }
  }

  Block& block_;
  const SlopeJob<T>& job_;
  SlopeWarp<kDim, T> warp_;
};

/// The body of a block of threads.
template <int kDim, typename T, typename Block>
ROPEWALK_DEVICE void slope_block(Block& block, const SlopeJob<T>& job) noexcept {
  SlopeBlock<kDim, T, Block> tile(block, job);
  tile.run();
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
