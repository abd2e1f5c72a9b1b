// Attention on the CPU, in memory of the size of a tile, that also tells what its softmax did. Row 8.
//
//     attend(q, k, v, out, options, statistics);
//     attend<simd::NativeAttention>(q, k, v, out, options, statistics, hooks);
//                                         with <ropewalk/simd/attention.hpp>
//
//     out[i][h] = sum over visible j of p_j v[j],   p = softmax(z),
//     z_j = softmax_scale head_scale[h] position_scale[i] (q[i][h] . k[j]) + bias
//
// Products are summed in float, whatever the inputs; weights, their sums and outputs are floats (a
// kernel that rounds weights for its products says so). The softmax is kept against the row's
// running maximum, so that neither a large common offset of the logits nor the order of the keys
// costs accuracy; the cut into tiles and parts depends on sizes alone, so a result does not depend
// on how many threads an executor has.
//
// Error, float inputs, logits of magnitude up to 30: statistics within 1e-5 max(1, |value|) and
// outputs of n keys within (1e-5 + n 2^-30) max |v| of the exact ones, the second part being a sum of
// tiles in float; beyond, a logit is off by its own rounding, (head_dim + 2) 2^-24 scale |q| |k|, and
// everything follows from that.
//
// Finite inputs never give a NaN: rows whose logits exceed 2^20 / log2(e), or whose sums leave float,
// are done again in double, and what float cannot hold ends at its ends. A NaN or an infinity in q,
// k or a bias makes output and statistics of the rows it reaches NaN, one in v the output.
#pragma once

#include <ropewalk/attention/blocks.hpp>
#include <ropewalk/attention/checks.hpp>
#include <ropewalk/attention/options.hpp>
#include <ropewalk/attention/tile.hpp>
#include <ropewalk/head_view.hpp>
#include <ropewalk/simd/attention_portable.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// The memory of a call and the tasks that use it.
template <typename Kernel, typename Call>
class AttentionWork {
 public:
  using T = typename Call::Element;
  using Factor = typename Kernel::template Factor<T>;

  AttentionWork(const Call& call, const AttentionSequences& sequences, int workers) noexcept
      : call_(call), sequences_(sequences), workers_(workers) {}

  /// Bytes for a workspace of any alignment.
  std::size_t bytes() {
    Arena arena;
    lay_out(arena);
    return arena.used() + Arena::kLine;
  }

  template <typename Executor>
  void run(unsigned char* memory, const Executor& executor, int moments) {
    Arena arena(memory);
    lay_out(arena);
    const SequenceOffset total = count();
    const auto attend = [&](std::int64_t index, int worker) {
      switch (moments) {
        case 0:
          return attend_task<0>(index, worker);
        case 1:
          return attend_task<1>(index, worker);
        default:
          return attend_task<2>(index, worker);
      }
    };
    executor.run(total.tasks, attend);
    if (total.merges == 0) return;
    executor.run(total.merges, [&](std::int64_t index, int worker) { merge_task(index, worker); });
  }

 private:
  SequenceBlocks blocks(std::int64_t sequence) const noexcept {
    return {sequences_[sequence], call_.group, call_.k.heads, Kernel::kBlockRows,
            call_.heads_side_by_side() ? Kernel::kDirectRows : 0};
  }

  /// Fills the offsets where there is memory for them; returns what follows the last sequence.
  SequenceOffset count() noexcept {
    SequenceOffset offset;
    for (std::int64_t sequence = 0; sequence < sequences_.count(); ++sequence) {
      if (offsets_ != nullptr) offsets_[sequence] = offset;
      offset = after(offset, blocks(sequence));
    }
    return offset;
  }

  void lay_out(Arena& arena) {
    offsets_ = nullptr;
    const SequenceOffset total = count();
    offsets_ = arena.take<SequenceOffset>(sequences_.count());
    partial_.outputs = arena.take<float>(total.partial * call_.v.head_dim);
    partial_.statistics = arena.take<RowStatistics<double>>(total.partial);
    partial_.in_range = arena.take<bool>(total.partial);
    const std::size_t before = arena.used();
    room_ = take_room<Kernel, T>(arena, call_.q.head_dim, call_.v.head_dim);
    room_bytes_ = arena.used() - before;
    for (int worker = 1; worker < workers_; ++worker) {
      take_room<Kernel, T>(arena, call_.q.head_dim, call_.v.head_dim);
    }
  }

  BlockRoom<Factor> room(int worker) const noexcept {
    return moved(room_, static_cast<std::size_t>(worker) * room_bytes_);
  }

  PartialRows partial(std::int64_t row) const noexcept {
    return {partial_.outputs + row * call_.v.head_dim, partial_.statistics + row,
            partial_.in_range + row};
  }

  template <int kMoments>
  void attend_task(std::int64_t index, int worker) {
    const std::int64_t which =
        sequence_of(offsets_, sequences_.count(), index, &SequenceOffset::tasks);
    const SequenceBlocks cut = blocks(which);
    const AttentionBlock block = block_of(cut, Kernel::kBlockRows, index - offsets_[which].tasks);
    const AttentionSequence& sequence = sequences_[which];
    const BlockRoom<Factor> own = room(worker);
    BlockWalk<Kernel, Call> walk(call_, sequence, block, own);
    walk.start();
    const std::int64_t first = block.part * cut.part_keys;
    const std::int64_t end =
        cut.parts == 1 ? sequence.keys : smaller(sequence.keys, first + cut.part_keys);
    walk.template walk<kMoments>({sequence.key_position + first, sequence.key_position + end});
    if (cut.parts == 1) {
      walk.finish();
    } else {
      for (int head = 0; head < block.heads; ++head) {
        const std::int64_t part = (block.key_head + head) * cut.parts + block.part;
        walk.keep(head, partial(offsets_[which].partial + part * cut.rows));
      }
    }
  }

  void merge_task(std::int64_t index, int worker) {
    const std::int64_t which =
        sequence_of(offsets_, sequences_.count(), index, &SequenceOffset::merges);
    const SequenceBlocks cut = blocks(which);
    AttentionBlock block;
    block.key_head = index - offsets_[which].merges;
    block.rows = static_cast<int>(cut.rows);
    const PartialRows parts =
        partial(offsets_[which].partial + block.key_head * cut.parts * cut.rows);
    const BlockRoom<Factor> own = room(worker);
    for (int row = 0; row < block.rows; ++row) {
      bool in_range = true;
      for (std::int64_t part = 0; part < cut.parts; ++part) {
        in_range = in_range && parts.in_range[part * cut.rows + row];
      }
      const RowStatistics<double> whole =
          merge_parts(parts, cut.parts, cut.rows, row, call_.v.head_dim, own.outputs);
      const AttentionSequence& sequence = sequences_[which];
      call_.write(sequence, call_.place(sequence, block, row), whole, own.outputs, in_range,
                  own.loaded, own.exact);
    }
  }

  const Call& call_;
  const AttentionSequences& sequences_;
  int workers_;
  SequenceOffset* offsets_ = nullptr;
  PartialRows partial_;
  BlockRoom<Factor> room_;
  std::size_t room_bytes_ = 0;
};

template <typename T>
HeadView<const std::remove_const_t<T>> read_only(const HeadView<T>& view) noexcept {
  return {view.data, view.tokens, view.heads, view.head_dim, view.token_stride, view.head_stride};
}

inline int require_workers(const char* where, int workers) {
  if (workers < 1) refuse(where, {Errc::below_minimum, "workers", static_cast<double>(workers)});
  return workers;
}

}  // namespace detail

/// Attention of every query over the keys it sees.
///   Kernel       simd::PortableAttention, or one of <ropewalk/simd/attention.hpp>
///   q            (tokens, heads, head_dim): float, float16 or bfloat16
///   k, v         (keys, key heads, head_dim); key heads divide heads, and query head h reads key head
///                h / (heads / key heads); v may have another head_dim than q and k
///   out          (tokens, heads, v.head_dim), of any of the three types; out, statistics and
///                workspace have no memory in common with q, k, v or each other
///   statistics   whatever is wanted of each row
///   hooks        bias, row transforms and executor: AttentionHooks, or any struct like it
///   Memory       attention_workspace() bytes: it grows with the workers and, for sequences of up to 64
///                rows per key head and 4096 keys or more, with up to 64 partial rows for each row
///   Throws       std::invalid_argument before anything is written: unsound views, sizes that do not
///                agree, scales that are negative or not finite, window or chunk below 1, positions
///                beyond 2^61, a workspace too small
template <typename Kernel = simd::PortableAttention, typename T, typename KT, typename VT,
          typename Out, typename Hooks = AttentionHooks<>>
void attend(const HeadView<T>& q, const HeadView<KT>& k, const HeadView<VT>& v,
            const HeadView<Out>& out, const AttentionOptions& options = {},
            const AttentionStatistics& statistics = {}, const Hooks& hooks = {}) {
  using Element = std::remove_const_t<T>;
  static_assert(std::is_same_v<Element, std::remove_const_t<KT>> &&
                    std::is_same_v<Element, std::remove_const_t<VT>>,
                "attend: q, k and v are of one element type");
  static_assert(!std::is_same_v<Element, double> && !std::is_same_v<Out, double>,
                "attend: float, float16 or bfloat16");
  constexpr const char* where = "attend";
  using Call = detail::AttentionCall<Element, Out, Hooks>;
  Call call{detail::read_only(q),
            detail::read_only(k),
            detail::read_only(v),
            out,
            options,
            statistics,
            hooks};
  call.softmax_scale = detail::require_attention(where, call.q, call.k, call.v, options);
  call.group = q.heads / k.heads;
  detail::require_outputs(where, call.q, call.k, call.v, out, statistics);
  if (q.empty()) return;

  const detail::AttentionSequences sequences(options, q.tokens, k.tokens);
  detail::AttentionWork<Kernel, Call> work(
      call, sequences, detail::require_workers(where, hooks.executor.workers()));
  const int moments = !statistics.variance.empty()
                          ? 2
                          : (!statistics.entropy.empty() || !statistics.mean.empty() ? 1 : 0);
  const std::size_t bytes = work.bytes();
  if (options.workspace.empty()) {
    std::vector<unsigned char> memory(bytes);
    work.run(memory.data(), hooks.executor, moments);
    return;
  }
  detail::require_workspace(where, options.workspace, bytes, call.q, call.k, call.v, out,
                            statistics);
  work.run(options.workspace.data(), hooks.executor, moments);
}

/// Bytes that attend() with these sizes and options needs for an executor of `workers` workers.
///   Throws       as attend()
template <typename Kernel = simd::PortableAttention, typename T, typename KT, typename VT>
std::size_t attention_workspace(const HeadView<T>& q, const HeadView<KT>& k, const HeadView<VT>& v,
                                const AttentionOptions& options = {}, int workers = 1) {
  using Element = std::remove_const_t<T>;
  constexpr const char* where = "attention_workspace";
  const AttentionHooks<> hooks;
  const AttentionStatistics statistics;
  using Call = detail::AttentionCall<Element, Element, AttentionHooks<>>;
  Call call{detail::read_only(q),
            detail::read_only(k),
            detail::read_only(v),
            {},
            options,
            statistics,
            hooks};
  call.softmax_scale = detail::require_attention(where, call.q, call.k, call.v, options);
  call.group = q.heads / k.heads;
  const detail::AttentionSequences sequences(options, q.tokens, k.tokens);
  return detail::AttentionWork<Kernel, Call>(call, sequences,
                                             detail::require_workers(where, workers))
      .bytes();
}

}  // namespace v0
}  // namespace ropewalk
