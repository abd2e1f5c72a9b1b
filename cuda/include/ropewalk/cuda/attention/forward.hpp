// Attention of a tile of rows to the keys they see, on any card since sm_80: the body of one block of
// threads, over a Block.
//
// Four warps, each with 16 or 32 rows of queries, whose scores, weights and output never leave its
// registers. Keys and values come in tiles through shared memory: those of a tile's values while its
// scores are computed, the next tile's keys while the weights meet the values.
//
//     wait, barrier     keys are here, all are done with the values before
//     start values      scores = q k
//     wait, barrier     values are here, all are done with the keys
//     start next keys   weights = 2^(scores - largest); out = out * factor + weights v
//
// A place for keys and one for values, each filled while the other is read, take half the memory of
// two stages of both, and two blocks of threads to a processor keep each other's copies covered.
// Without values, statistics alone, keys come through both places, one barrier a tile.
//
// Registers are what there is too little of: 128 of output and 48 of scores beside one another at
// head_dim 128. What all threads share (Plan), what each row needs once a tile and a thread's sums
// wait in shared memory; addresses are computed where they are used (thread_now); no branch lies
// around the products.
#pragma once

#include <ropewalk/cuda/attention/forward_job.hpp>
#include <ropewalk/cuda/attention/row_sums.hpp>
#include <ropewalk/cuda/attention/schedule.hpp>
#include <ropewalk/cuda/attention/tile.hpp>
#include <ropewalk/cuda/chunk.hpp>
#include <ropewalk/cuda/device.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// One thread of the block that computes a tile of rows.
template <typename Traits, typename Block>
class ForwardTile {
  using T = typename Traits::Element;
  using Row = typename Traits::Row;
  using Plan = typename Traits::Plan;
  using Sums = RowSums<Traits::kStatistics>;
  static constexpr std::uint32_t kSigns = 0x80008000u;
  static constexpr float kNoShare = -1.0f;  // of a row without keys; others' are not negative
  static constexpr int kDim = Traits::kDim;
  static constexpr int kKeys = Traits::kKeys;
  static constexpr int kFragments = Traits::kFragments;
  static constexpr int kScoreTiles = kKeys / kProductColumns;
  static constexpr int kOutTiles = Traits::kValues ? kDim / kProductColumns : 1;
  /// Of a warp's rows and a tile's keys.
  using Scores = float[extent(kFragments)][extent(kScoreTiles)][4];
  using QueryCopy = TileCopy<Traits::kRows, kDim, Traits::kThreads>;
  using KeyCopy = TileCopy<kKeys, kDim, Traits::kThreads>;

 public:
  ROPEWALK_DEVICE ForwardTile(Block& block, const ForwardJob<T>& job) noexcept
      : block_(block), job_(job) {
    locate();
  }

  /// Computes the tile `number` of the job's order.
  ROPEWALK_DEVICE void run(std::int64_t number) noexcept {
    if (!prepare(number)) return;
    if constexpr (Traits::kParksSums) {
      ROPEWALK_UNROLL
      for (int fragment = 0; fragment < kFragments; ++fragment) store_sums(fragment);
    }
    ROPEWALK_NO_UNROLL
    for (set_index(0); index() < plan().blocks.count(); set_index(index() + 1)) {
      if (plan().blocks.is_full(plan().blocks.at(index()))) {
        step<false>();
      } else {
        step<true>();
      }
    }
    locate();
    if (warp_row_ >= plan().rows) return;
    finish();
    if constexpr (Traits::kValues) write_out();
  }

 private:
  /// Finds the lane's place again, rather than keep what follows from it.
  ROPEWALK_DEVICE void locate() noexcept {
    const int thread = thread_now(block_);
    lane_ = thread % kLanes;
    warp_row_ = thread / kLanes * Traits::kWarpRows;
  }

  template <typename Element>
  ROPEWALK_DEVICE static Element* start_of(const BatchView<Element>& view, std::int64_t sequence,
                                           std::int64_t token, std::int64_t head) noexcept {
    return view.data + sequence * view.sequence_stride + token * view.token_stride +
           head * view.head_stride;
  }

  ROPEWALK_DEVICE unsigned char* queries() const noexcept { return block_.shared(); }
  /// Keys at 0 and values at 1; keys at both where there are no values.
  ROPEWALK_DEVICE unsigned char* place(int which) const noexcept {
    return block_.shared() + Traits::kQueryBytes + which * Traits::kKeyBytes;
  }
  ROPEWALK_DEVICE Plan& plan() const noexcept {
    return *reinterpret_cast<Plan*>(block_.shared() + Traits::kPlanAt);
  }
  /// In the place of the table, when it has served.
  ROPEWALK_DEVICE RowStatistics<float>* row_statistics() const noexcept {
    static_assert(sizeof(RowStatistics<float>) == sizeof(Row), "a row's sums replace its entry");
    return reinterpret_cast<RowStatistics<float>*>(block_.shared() + Traits::kRowsAt);
  }
  ROPEWALK_DEVICE Row* row_table() const noexcept {
    return reinterpret_cast<Row*>(block_.shared() + Traits::kRowsAt);
  }

  ROPEWALK_DEVICE void start_keys(const Plan& plan, int block, int which) noexcept {
    KeyCopy::start(block_, place(which), plan.k + block * (kKeys * job_.k.token_stride),
                   job_.k.token_stride, plan.keys - block * kKeys, job_.head_dim);
  }
  ROPEWALK_DEVICE void start_values(int block) noexcept {
    KeyCopy::start(block_, place(1), plan().v + block * (kKeys * job_.v.token_stride),
                   job_.v.token_stride, plan().keys - block * kKeys, job_.head_dim);
  }

  /// Block: starts the copies of the queries and the first keys, and writes the plan and the table of
  /// rows. False where the tile has no rows.
  ROPEWALK_DEVICE bool prepare(std::int64_t number) noexcept {
    const RowTile tile = job_.order.at(number);
    const SequenceSizes sizes = job_.sequences.sizes(tile.sequence);
    const int first_row = tile.tile * Traits::kRows;
    if (first_row >= sizes.queries) return false;
    const int rest = sizes.queries - first_row;
    const int rows = rest < Traits::kRows ? rest : Traits::kRows;
    const std::int64_t position = sizes.position + first_row;
    const bool packed_q = job_.sequences.query_starts != nullptr;
    const std::int64_t sequence_of_q = packed_q ? 0 : tile.sequence;
    const std::int64_t sequence_of_k = job_.sequences.key_starts != nullptr ? 0 : tile.sequence;
    const std::int64_t query = (packed_q ? sizes.first_query : 0) + first_row;
    const int kv_head = tile.head / job_.order.group;
    QueryCopy::start(block_, queries(), start_of(job_.q, sequence_of_q, query, tile.head),
                     job_.q.token_stride, rows, job_.head_dim);
    Plan plan{};
    plan.k = start_of(job_.k, sequence_of_k, sizes.first_key, kv_head);
    if constexpr (Traits::kValues) {
      plan.v = start_of(job_.v, sequence_of_k, sizes.first_key, kv_head);
      plan.out = start_of(job_.out, sequence_of_q, query, tile.head) - job_.out.data;
    }
    plan.row = sizes.first_query + first_row;
    plan.blocks = key_blocks<kKeys>(job_.mask, position, position + rows - 1, sizes.keys);
    plan.head = tile.head;
    plan.rows = rows;
    plan.keys = sizes.keys;
    if (plan.blocks.count() > 0) start_keys(plan, plan.blocks.at(0), 0);
    block_.commit();
    if (block_.thread() == 0) this->plan() = plan;

    const int row = block_.thread();
    bool is_turned = false;
    if (row < Traits::kRows) {
      Row entry{};
      if (row < rows) {
        float scale = job_.softmax_scale;
        if (job_.head_scale != nullptr) scale *= job_.head_scale[tile.head];
        if (job_.position_scale != nullptr) scale *= job_.position_scale[plan.row + row];
        is_turned = scale < 0.0f;
        entry.scale = is_turned ? -scale : scale;
        const VisibleKeys seen = job_.mask.keys(position + row, {0, sizes.keys});
        entry.keys = {static_cast<std::int32_t>(seen.first_keys.end),
                      static_cast<std::int32_t>(seen.band.first),
                      static_cast<std::int32_t>(seen.band.end)};
      }
      row_table()[row] = entry;
    }
    block_.template wait<0>();
    block_.sync();
    // The first step's barrier is what others see this through; without a step nobody reads it.
    if (is_turned) turn_queries(row);
    return true;
  }

  ROPEWALK_DEVICE void turn_queries(int row) noexcept {
    auto* words = reinterpret_cast<std::uint32_t*>(queries()) + row * (kDim / 2);
    ROPEWALK_NO_UNROLL
    for (int i = 0; i < kDim / 2; ++i) words[i] ^= kSigns;
  }

  ROPEWALK_DEVICE int table_row(int fragment, int half) const noexcept {
    return warp_row_ + fragment * kProductRows + accumulator_row(lane_, 2 * half);
  }

  /// Block: takes tile index() of the walk over the keys, and their values, into the sums.
  template <bool kMasked>
  ROPEWALK_DEVICE void step() noexcept {
    Scores scores;
    block_.template wait<0>();
    block_.sync();
    // Warps without rows compute along: a branch around the products costs registers and spills.
    if constexpr (Traits::kValues) {
      start_values(plan().blocks.at(index()));
      block_.commit();
      score(place(0), scores);
      block_.template wait<0>();
      block_.sync();
      start_next(0);
      absorb<kMasked>(plan().blocks.at(index()), scores);
      add_values(scores);
    } else {
      start_next((index() + 1) % 2);
      score(place(index() % 2), scores);
      absorb<kMasked>(plan().blocks.at(index()), scores);
    }
  }

  ROPEWALK_DEVICE void start_next(int which) noexcept {
    if (index() + 1 < plan().blocks.count())
      start_keys(plan(), plan().blocks.at(index() + 1), which);
    block_.commit();
  }

  /// Warp: scores = q k.
  ROPEWALK_DEVICE void score(const unsigned char* keys, Scores& scores) noexcept {
    locate();
    const FragmentRows<kDim> left(left_rows(lane_));
    const FragmentRows<kDim> right(right_rows(lane_));
    const unsigned char* q = queries() + warp_row_ * (kDim * 2);
    ROPEWALK_UNROLL
    for (int fragment = 0; fragment < kFragments; ++fragment) {
      ROPEWALK_UNROLL
      for (int tile = 0; tile < kScoreTiles; ++tile) {
        ROPEWALK_UNROLL
        for (int i = 0; i < 4; ++i) scores[fragment][tile][i] = 0.0f;
      }
    }
    ROPEWALK_UNROLL
    for (int depth = 0; depth < kDim / kProductDepth; ++depth) {
      std::uint32_t rows[extent(kFragments)][4];
      ROPEWALK_UNROLL
      for (int fragment = 0; fragment < kFragments; ++fragment) {
        block_.load_matrices(rows[fragment], q + left.at(fragment * kProductRows, depth));
      }
      ROPEWALK_UNROLL
      for (int tile = 0; tile < kScoreTiles; tile += 2) {
        std::uint32_t columns[4];
        block_.load_matrices(columns, keys + right.at(tile * kProductColumns, depth));
        ROPEWALK_UNROLL
        for (int fragment = 0; fragment < kFragments; ++fragment) {
          block_.template multiply<T>(scores[fragment][tile], rows[fragment], columns[0],
                                      columns[1]);
          block_.template multiply<T>(scores[fragment][tile + 1], rows[fragment], columns[2],
                                      columns[3]);
        }
      }
    }
  }

  /// Warp: scores become weights, the output is made ready for more of them.
  template <bool kMasked>
  ROPEWALK_DEVICE void absorb(int block, Scores& scores) noexcept {
    ROPEWALK_UNROLL
    for (int fragment = 0; fragment < kFragments; ++fragment) {
      locate();
      RowKeys seen[2];
      float scale[2];
      ROPEWALK_UNROLL
      for (int half = 0; half < 2; ++half) {
        const Row& row = row_table()[table_row(fragment, half)];
        scale[half] = row.scale;
        if constexpr (kMasked) seen[half] = row.keys;
      }
      float factors[2];
      Sums& sums = sums_[fragment];
      if constexpr (Traits::kParksSums) load_sums(fragment);
      sums.template absorb<kMasked>(block_, scores[fragment], scale, seen, block * kKeys, factors);
      if constexpr (Traits::kParksSums) store_sums(fragment);
      if constexpr (Traits::kValues) {
        // Largest scores rise in the first tiles and seldom after: most tiles have nothing to do here.
        if (block_.any(factors[0] < 1.0f || factors[1] < 1.0f)) {
          ROPEWALK_UNROLL
          for (int tile = 0; tile < kOutTiles; ++tile) {
            ROPEWALK_UNROLL
            for (int i = 0; i < 4; ++i) out_[fragment][tile][i] *= factors[i / 2];
          }
        }
      }
    }
  }

  /// Of the walk over the keys; a register fewer where it waits with the sums, a thread its own.
  ROPEWALK_DEVICE int index() const noexcept {
    if constexpr (Traits::kParksSums) {
      return parked_index()[thread_now(block_)];
    } else {
      return index_;
    }
  }
  ROPEWALK_DEVICE void set_index(int index) noexcept {
    if constexpr (!Traits::kParksSums) {
      index_ = index;
    } else {
      parked_index()[thread_now(block_)] = index;
    }
  }
  ROPEWALK_DEVICE std::int32_t* parked_index() const noexcept {
    return reinterpret_cast<std::int32_t*>(block_.shared() + Traits::kSharedBytes) -
           Traits::kThreads;
  }
  ROPEWALK_DEVICE float* parked(int fragment) const noexcept {
    return reinterpret_cast<float*>(block_.shared() + Traits::kSumsAt) +
           fragment * (2 * Traits::kSums * Traits::kThreads) + thread_now(block_);
  }
  ROPEWALK_DEVICE void load_sums(int fragment) noexcept {
    Sums& sums = sums_[fragment];
    const float* from = parked(fragment);
    ROPEWALK_UNROLL
    for (int half = 0; half < 2; ++half, from += Traits::kSums * Traits::kThreads) {
      sums.maximum[half] = from[0];
      sums.sum[half] = from[Traits::kThreads];
      if constexpr (Sums::kFirst) sums.first[half] = from[2 * Traits::kThreads];
      if constexpr (Sums::kSecond) sums.second[half] = from[3 * Traits::kThreads];
    }
  }
  ROPEWALK_DEVICE void store_sums(int fragment) noexcept {
    const Sums& sums = sums_[fragment];
    float* to = parked(fragment);
    ROPEWALK_UNROLL
    for (int half = 0; half < 2; ++half, to += Traits::kSums * Traits::kThreads) {
      to[0] = sums.maximum[half];
      to[Traits::kThreads] = sums.sum[half];
      if constexpr (Sums::kFirst) to[2 * Traits::kThreads] = sums.first[half];
      if constexpr (Sums::kSecond) to[3 * Traits::kThreads] = sums.second[half];
    }
  }

  /// Warp: out += weights v.
  ROPEWALK_DEVICE void add_values(const Scores& weights) noexcept {
    locate();
    const FragmentRows<kDim> right(right_rows_transposed(lane_));
    ROPEWALK_UNROLL
    for (int tile = 0; tile < kScoreTiles; tile += 2) {
      std::uint32_t rows[extent(kFragments)][4];
      ROPEWALK_UNROLL
      for (int fragment = 0; fragment < kFragments; ++fragment) {
        ROPEWALK_UNROLL
        for (int i = 0; i < 4; ++i) {
          const float(&pair)[4] = weights[fragment][tile + i / 2];
          rows[fragment][i] = block_.template pack<T>(pair[2 * (i % 2)], pair[2 * (i % 2) + 1]);
        }
      }
      ROPEWALK_UNROLL
      for (int dims = 0; dims < kOutTiles; dims += 2) {
        std::uint32_t columns[4];
        block_.load_transposed(columns, place(1) + right.at(tile * kProductColumns, dims / 2));
        ROPEWALK_UNROLL
        for (int fragment = 0; fragment < kFragments; ++fragment) {
          block_.template multiply<T>(out_[fragment][dims], rows[fragment], columns[0], columns[1]);
          block_.template multiply<T>(out_[fragment][dims + 1], rows[fragment], columns[2],
                                      columns[3]);
        }
      }
    }
  }

  /// Warp: takes the sink, writes what the rows tell and divides the output by the sums. A quad knows
  /// its rows' sums; through the table of rows they come to a lane a row, and the shares back.
  ROPEWALK_DEVICE void finish() noexcept {
    block_.sync_warp();  // all have read their scales
    ROPEWALK_UNROLL
    for (int fragment = 0; fragment < kFragments; ++fragment) {
      ROPEWALK_UNROLL
      for (int half = 0; half < 2; ++half) {
        if constexpr (Traits::kParksSums) load_sums(fragment);
        const RowStatistics<float> row = sums_[fragment].finish(block_, half);
        if (lane_ % 4 == 0) row_statistics()[table_row(fragment, half)] = row;
      }
    }
    block_.sync_warp();
    if (lane_ < Traits::kWarpRows) finish_row(warp_row_ + lane_);
    block_.sync_warp();
    if constexpr (Traits::kValues) {
      ROPEWALK_UNROLL
      for (int fragment = 0; fragment < kFragments; ++fragment) {
        ROPEWALK_UNROLL
        for (int half = 0; half < 2; ++half) {
          const float share = row_statistics()[table_row(fragment, half)].sum;
          ROPEWALK_UNROLL
          for (int tile = 0; tile < kOutTiles; ++tile) {
            ROPEWALK_UNROLL
            for (int i = 2 * half; i < 2 * half + 2; ++i) {
              float& out = out_[fragment][tile][i];
              out = share == kNoShare ? 0.0f : out * share;
            }
          }
        }
      }
    }
  }

  /// One row, of which `sum` becomes what its output is multiplied by.
  ROPEWALK_DEVICE void finish_row(int within) noexcept {
    RowStatistics<float>& place = row_statistics()[within];
    RowStatistics<float> row = place;
    const int head = plan().head;
    float factor = 1.0f;
    if (job_.sink_logit != nullptr) {
      const float logit = job_.sink_logit[head] * static_cast<float>(kLog2E);
      // Below what counts as a key it weighs nothing; NaN passes.
      if (!(logit <= RowStatistics<float>::kMaskedLogit / 2)) {
        if (logit > row.maximum) factor = row.raise(logit);
        row.add(logit);
      }
    }
    place.sum = row.empty() ? kNoShare : factor / row.sum;
    if (within >= plan().rows) return;
    const RowSummary<float> summary = row.summary();
    const std::int64_t at = (plan().row + within) * job_.heads + head;
    const RowOutputs& to = job_.statistics;
    if (to.lse != nullptr) to.lse[at] = summary.lse;
    if constexpr (Sums::kFirst) {
      if (to.entropy != nullptr) to.entropy[at] = summary.entropy;
      if (to.mean != nullptr) to.mean[at] = summary.mean;
    }
    if constexpr (Sums::kSecond) {
      if (to.variance != nullptr) to.variance[at] = summary.variance;
    }
  }

  /// Warp: rounds the output and writes it by 16 bytes, through the place of its own queries.
  ROPEWALK_DEVICE void write_out() noexcept {
    constexpr int kChunks = kDim / kChunkElements;
    using Places = Swizzle<kChunks>;
    unsigned char* own = queries() + warp_row_ * (kDim * 2);
    ROPEWALK_UNROLL
    for (int fragment = 0; fragment < kFragments; ++fragment) {
      ROPEWALK_UNROLL
      for (int half = 0; half < 2; ++half) {
        const int row = fragment * kProductRows + accumulator_row(lane_, 2 * half);
        ROPEWALK_UNROLL
        for (int tile = 0; tile < kOutTiles; ++tile) {
          const float(&pair)[4] = out_[fragment][tile];
          auto* words = reinterpret_cast<std::uint32_t*>(own + Places::at(row, tile) * kChunkBytes);
          words[lane_ % 4] = block_.template pack<T>(pair[2 * half], pair[2 * half + 1]);
        }
      }
    }
    block_.sync_warp();
    using Wide = Chunk<T, true>;
    T* out = job_.out.data + plan().out + warp_row_ * job_.out.token_stride;
    const int rows = plan().rows;
    ROPEWALK_UNROLL
    for (int i = lane_; i < Traits::kWarpRows * kChunks; i += kLanes) {
      const int row = i / kChunks;
      const int chunk = i % kChunks;
      if (warp_row_ + row >= rows || chunk * kChunkElements >= job_.head_dim) continue;
      const auto* from = reinterpret_cast<const T*>(own + Places::at(row, chunk) * kChunkBytes);
      const auto raw = Wide::template load<CachePolicy::keep>(from);
      Wide::template store<CachePolicy::keep>(
          out + row * job_.out.token_stride + chunk * kChunkElements, raw);
    }
  }

  Block& block_;
  const ForwardJob<T>& job_;
  int index_ = 0;
  int lane_;
  int warp_row_;  // within the tile
  Sums sums_[extent(kFragments)];
  float out_[extent(kFragments)][extent(kOutTiles)][4] = {};
};

/// The body of a block of threads.
template <typename Traits, typename Block>
ROPEWALK_DEVICE void forward(Block& block, const ForwardJob<typename Traits::Element>& job) {
  ForwardTile<Traits, Block> tile(block, job);
  tile.run(block.index_x());
}

}  // namespace detail
}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
