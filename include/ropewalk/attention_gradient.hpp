// The backward pass of attention, and the gradients of its scales. Row 8.
//
//     attend(q, k, v, out, options, {lse});
//     attend_backward(q, k, v, out, {lse}, d_out, dq, dk, dv, options, {head_scale_gradient});
//
//     scale_gradients(q, dq, options, gradients)          from anybody's dq: one dot product per row
//     softmax_scale_gradients(q, k, v, {lse}, d_out, options, gradients)          without any dq
//
// Weights are formed again from lse, tile by tile, so memory does not grow with the square of the
// length. Products run in float; the gradients of scales and sinks are summed in double, in an order
// that does not depend on the executor.
//
// Error, against exact gradients for the same float inputs and logits of magnitude up to 30: 1e-5
// times the sum of the magnitudes of what is added.
#pragma once

#include <ropewalk/attention.hpp>
#include <ropewalk/attention/backward_task.hpp>
#include <ropewalk/attention/gradient_options.hpp>
#include <ropewalk/attention/gradient_tile.hpp>
#include <ropewalk/attention/scale_gradient.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <type_traits>
#include <utility>
#include <vector>

namespace ropewalk {
inline namespace v0 {
namespace detail {

/// Refuses sequences that share keys: their gradients would be added to by several tasks.
inline void require_own_keys(const char* where, const AttentionSequences& sequences) {
  std::int64_t end = 0;
  for (std::int64_t index = 0; index < sequences.count(); ++index) {
    const AttentionSequence& sequence = sequences[index];
    if (sequence.first_key < end) {
      refuse(where, {Errc::overlapping, "first_key", static_cast<double>(sequence.first_key),
                     static_cast<int>(index)});
    }
    end = sequence.first_key + sequence.keys;
  }
}

template <typename A, typename B>
void require_same_shape(const char* where, const char* field, const HeadView<A>& view,
                        const char* of, const HeadView<B>& like) {
  require_view(where, field, view);
  const bool same = view.tokens == like.tokens && view.heads == like.heads;
  if (same && view.head_dim == like.head_dim) return;
  char place[96];
  std::snprintf(place, sizeof place, "%s: %s beside %s", where, field, of);
  require_equal(place, "tokens", view.tokens, "the other", like.tokens);
  require_equal(place, "heads", view.heads, "the other", like.heads);
  require_equal(place, "head_dim", view.head_dim, "the other", like.head_dim);
}

inline void require_rows_given(const char* where, const char* field, Span<const float> rows,
                               std::int64_t count) {
  require_equal(where, field, static_cast<std::int64_t>(rows.size()), "q.tokens * q.heads", count);
}

inline void clear_view(const HeadView<float>& view) noexcept {
  for (std::int64_t token = 0; token < view.tokens; ++token) {
    for (std::int64_t head = 0; head < view.heads; ++head) {
      clear(view.head(token, head), view.head_dim);
    }
  }
}

inline void require_gradient_memory(const char* where, const HeadView<float>& dq,
                                    const HeadView<float>& dk, const HeadView<float>& dv) {
  require_apart(where, "the overlap of dq and dk", dq, dk);
  require_apart(where, "the overlap of dq and dv", dq, dv);
  require_apart(where, "the overlap of dk and dv", dk, dv);
}

/// Gradients lie apart from what is read.
template <typename View>
void require_gradient_apart(const char* where, const char* words, const HeadView<float>& dq,
                            const HeadView<float>& dk, const HeadView<float>& dv,
                            const View& read) {
  require_apart(where, words, dq, read);
  require_apart(where, words, dk, read);
  require_apart(where, words, dv, read);
}

/// Of a row's sink with weight p: p (l - D - h (sink - mean)), summed over tokens.
template <typename Backward>
void sum_sink_gradients(const Backward& call, Span<double> gradient) {
  for (std::size_t head = 0; head < gradient.size(); ++head) {
    const double sink = call.forward.options.sink_logit[head];
    double sum = 0.0;
    for (std::int64_t token = 0; token < call.forward.q.tokens; ++token) {
      const std::size_t entry = static_cast<std::size_t>(token) * gradient.size() + head;
      double slope = -call.delta(token, static_cast<std::int64_t>(head), entry);
      if (!call.arriving.entropy.empty()) {
        slope -= static_cast<double>(call.arriving.entropy[entry]) *
                 (sink - static_cast<double>(call.saved.mean[entry]));
      }
      sum += std::exp(sink - static_cast<double>(call.saved.lse[entry])) * slope;
    }
    gradient[head] = sum;
  }
}

/// The memory of a backward call: a delta per row, then room for each worker.
template <typename Kernel>
class GradientWork {
 public:
  GradientWork(std::int64_t rows, int depth, int dim, int workers) noexcept
      : rows_(rows), depth_(depth), dim_(dim), workers_(workers) {}

  /// Bytes for a workspace of any alignment.
  std::size_t bytes() const noexcept {
    Arena arena;
    arena.take<float>(rows_);
    for (int worker = 0; worker < workers_; ++worker) room(arena);
    return arena.used() + Arena::kLine;
  }

  Span<float> deltas(unsigned char* memory) const noexcept {
    Arena arena(memory);
    return {arena.take<float>(rows_), static_cast<std::size_t>(rows_)};
  }

  GradientRoom room_of(unsigned char* memory, int worker) const noexcept {
    Arena arena(memory);
    arena.take<float>(rows_);
    for (int before = 0; before < worker; ++before) room(arena);
    return room(arena);
  }

 private:
  GradientRoom room(Arena& arena) const noexcept {
    return take_gradient_room<Kernel>(arena, depth_, dim_);
  }

  std::int64_t rows_;
  int depth_;
  int dim_;
  int workers_;
};

/// The caller's workspace where there is one, else memory of its own.
class Workspace {
 public:
  Workspace(const char* where, Span<unsigned char> given, std::size_t bytes)
      : given_(given), own_(given.empty() ? bytes : 0) {
    if (given.empty() || given.size() >= bytes) return;
    refuse(where, {Errc::below_minimum, "workspace", static_cast<double>(given.size())});
  }
  unsigned char* data() noexcept { return given_.empty() ? own_.data() : given_.data(); }

 private:
  Span<unsigned char> given_;
  std::vector<unsigned char> own_;
};

}  // namespace detail

/// Gradients of the scales from q and its gradient, whoever computed that: exact under any mask, bias,
/// sink or row transform.
///   q, dq        (tokens, heads, head_dim), as they enter and leave attention
///   options      those of the forward pass
///   gradients    head_scale and position_scale; sink_logit stays as it is
///   Source       Euler's relation, as logits are linear in q
///   Throws       std::invalid_argument: shapes or counts that do not agree, a scale that is 0
template <typename T, typename G>
void scale_gradients(const HeadView<T>& q, const HeadView<G>& dq, const AttentionOptions& options,
                     const AttentionGradients& gradients) {
  constexpr const char* where = "scale_gradients";
  using Query = ElementTraits<std::remove_const_t<T>>;
  using Slope = ElementTraits<std::remove_const_t<G>>;
  detail::require_view(where, "q", q);
  detail::require_same_shape(where, "dq", detail::read_only(dq), "q", q);
  detail::require_count(where, "head_scale", options.head_scale, "q.heads", q.heads);
  detail::require_count(where, "position_scale", options.position_scale, "q.tokens", q.tokens);
  detail::require_gradients(where, gradients, options, q.tokens, q.heads);
  detail::sum_scale_gradients(q.tokens, q.heads, options, gradients,
                              [&](std::int64_t token, std::int64_t head) {
                                const auto* query = q.head(token, head);
                                const auto* slope = dq.head(token, head);
                                double sum = 0.0;
                                for (int dim = 0; dim < q.head_dim; ++dim) {
                                  sum += static_cast<double>(Query::load(query[dim])) *
                                         static_cast<double>(Slope::load(slope[dim]));
                                }
                                return sum;
                              });
}

/// Bytes of options.workspace that attend_backward() and softmax_scale_gradients() need for an
/// executor of so many workers; they allocate them where it is empty. (softmax_scale_gradients() also
/// allocates one double per row.)
///   Throws       std::invalid_argument: unsound views, fewer than 1 worker
template <typename Kernel = simd::PortableAttention, typename T, typename VT>
std::size_t attention_backward_workspace(const HeadView<T>& q, const HeadView<VT>& v,
                                         int workers = 1) {
  constexpr const char* where = "attention_backward_workspace";
  detail::require_view(where, "q", q);
  detail::require_view(where, "v", v);
  return detail::GradientWork<Kernel>(q.tokens * q.heads, q.head_dim, v.head_dim,
                                      detail::require_workers(where, workers))
      .bytes();
}

/// Gradients of a loss with respect to q, k, v and the scales, from its gradient at out.
///   q, k, v, out   as attend() took and left them, out as float, float16 or bfloat16
///   saved          attend()'s lse, and its mean where an entropy gradient arrives
///   d_out          as out
///   dq, dk, dv     float, shapes of q, k, v; overwritten; no memory in common with anything
///   options        those of the forward pass; its sequences may not share keys
///   arriving       gradients of the loss at lse and entropy
///   hooks          those of the forward pass. A row transform also has transpose(token, head, row),
///                  the transpose of what it does to a row
///   Valid for      logits of magnitude up to 2^20 / log2(e); beyond, gradients may not be finite
///   Throws         std::invalid_argument before anything is written, as attend()
template <typename Kernel = simd::PortableAttention, typename T, typename KT, typename VT,
          typename OT, typename DT, typename Hooks = AttentionHooks<>>
void attend_backward(const HeadView<T>& q, const HeadView<KT>& k, const HeadView<VT>& v,
                     const HeadView<OT>& out, const SavedRows& saved, const HeadView<DT>& d_out,
                     const HeadView<float>& dq, const HeadView<float>& dk,
                     const HeadView<float>& dv, const AttentionOptions& options = {},
                     const AttentionGradients& gradients = {},
                     const StatisticsGradients& arriving = {}, const Hooks& hooks = {}) {
  constexpr const char* where = "attend_backward";
  using Element = std::remove_const_t<T>;
  using Out = std::remove_const_t<OT>;
  using Call = detail::AttentionCall<Element, Out, Hooks>;
  const AttentionStatistics none;
  Call call{
      detail::read_only(q), detail::read_only(k), detail::read_only(v), {}, options, none, hooks};
  call.softmax_scale = detail::require_attention(where, call.q, call.k, call.v, options);
  call.group = q.heads / k.heads;
  const std::int64_t rows = q.tokens * q.heads;
  detail::require_same_shape(where, "d_out", detail::read_only(d_out), "out", out);
  detail::require_same_shape(where, "dq", dq, "q", q);
  detail::require_same_shape(where, "dk", dk, "k", k);
  detail::require_same_shape(where, "dv", dv, "v", v);
  detail::require_outputs(where, call.q, call.k, call.v, detail::read_only(out), {});
  detail::require_gradient_memory(where, dq, dk, dv);
  detail::require_gradient_apart(where, "the overlap of a gradient and q", dq, dk, dv, call.q);
  detail::require_gradient_apart(where, "the overlap of a gradient and k", dq, dk, dv, call.k);
  detail::require_gradient_apart(where, "the overlap of a gradient and v", dq, dk, dv, call.v);
  detail::require_gradient_apart(where, "the overlap of a gradient and out", dq, dk, dv, out);
  detail::require_gradient_apart(where, "the overlap of a gradient and d_out", dq, dk, dv, d_out);
  detail::require_rows_given(where, "saved.lse", saved.lse, rows);
  if (!arriving.entropy.empty()) {
    detail::require_rows_given(where, "saved.mean", saved.mean, rows);
    detail::require_rows_given(where, "arriving.entropy", arriving.entropy, rows);
  }
  detail::require_count(where, "arriving.lse", arriving.lse, "q.tokens * q.heads", rows);
  detail::require_gradients(where, gradients, options, q.tokens, q.heads);
  const detail::AttentionSequences sequences(options, q.tokens, k.tokens);
  detail::require_own_keys(where, sequences);

  const int workers = detail::require_workers(where, hooks.executor.workers());
  const detail::GradientWork<Kernel> work(rows, q.head_dim, v.head_dim, workers);
  detail::Workspace memory(where, options.workspace, work.bytes());
  detail::clear_view(dq);
  detail::clear_view(dk);
  detail::clear_view(dv);
  using Backward = detail::BackwardCall<Call, Out>;
  const Backward backward{
      call,     detail::read_only(out),    detail::read_only(d_out), dq, dk, dv, saved,
      arriving, work.deltas(memory.data())};
  hooks.executor.run(q.tokens, [&](std::int64_t token, int) {
    for (std::int64_t head = 0; head < q.heads; ++head) {
      const auto entry = static_cast<std::size_t>(token * q.heads + head);
      backward.deltas[entry] = static_cast<float>(backward.delta(token, head, entry));
    }
  });
  hooks.executor.run(sequences.count() * k.heads, [&](std::int64_t task, int worker) {
    const detail::GradientRoom room = work.room_of(memory.data(), worker);
    detail::BackwardTask<Kernel, Backward>(backward, sequences[task / k.heads], task % k.heads,
                                           room)
        .run();
  });
  if (!gradients.head_scale.empty() || !gradients.position_scale.empty()) {
    scale_gradients(q, dq, options, gradients);
  }
  detail::sum_sink_gradients(backward, gradients.sink_logit);
}

/// Gradients of the scales without those of q, k and v: the cost of a forward pass.
///   Arguments    as attend_backward(); `saved` holds lse
///   Source       g = sum p y dP - (sum p dP)(sum p y), y the logits without bias
template <typename Kernel = simd::PortableAttention, typename T, typename KT, typename VT,
          typename DT, typename Hooks = AttentionHooks<>>
void softmax_scale_gradients(const HeadView<T>& q, const HeadView<KT>& k, const HeadView<VT>& v,
                             const SavedRows& saved, const HeadView<DT>& d_out,
                             const AttentionOptions& options, const AttentionGradients& gradients,
                             const Hooks& hooks = {}) {
  constexpr const char* where = "softmax_scale_gradients";
  using Element = std::remove_const_t<T>;
  using Out = std::remove_const_t<DT>;
  using Call = detail::AttentionCall<Element, Out, Hooks>;
  const AttentionStatistics none;
  Call call{
      detail::read_only(q), detail::read_only(k), detail::read_only(v), {}, options, none, hooks};
  call.softmax_scale = detail::require_attention(where, call.q, call.k, call.v, options);
  call.group = q.heads / k.heads;
  detail::require_outputs(where, call.q, call.k, call.v, detail::read_only(d_out), {});
  detail::require_rows_given(where, "saved.lse", saved.lse, q.tokens * q.heads);
  detail::require_gradients(where, gradients, options, q.tokens, q.heads);
  if (!gradients.sink_logit.empty()) detail::refuse(where, {Errc::unknown, "out", 0.0});
  const detail::AttentionSequences sequences(options, q.tokens, k.tokens);
  const StatisticsGradients nothing;
  using Backward = detail::BackwardCall<Call, Out>;
  const Backward backward{call, {}, detail::read_only(d_out), {}, {}, {}, saved, nothing, {}};
  std::vector<double> slopes(static_cast<std::size_t>(q.tokens * q.heads));
  const int workers = detail::require_workers(where, hooks.executor.workers());
  const detail::GradientWork<Kernel> work(0, q.head_dim, v.head_dim, workers);
  detail::Workspace memory(where, options.workspace, work.bytes());
  hooks.executor.run(sequences.count() * k.heads, [&](std::int64_t task, int worker) {
    const detail::GradientRoom room = work.room_of(memory.data(), worker);
    detail::SlopeTask<Kernel, Backward>(backward, sequences[task / k.heads], task % k.heads, room)
        .run(slopes.data());
  });
  detail::sum_scale_gradients(q.tokens, q.heads, options, gradients,
                              [&](std::int64_t token, std::int64_t head) {
                                return slopes[static_cast<std::size_t>(token * q.heads + head)];
                              });
}

/// How fast the mean entropy of each head falls as its scale grows: d entropy / d ln(head_scale) of a
/// row is minus the variance of its logits (without bias and sink), in nats.
///   variance     (tokens, heads), from attend()
///   slopes       (heads,), overwritten with means over the tokens
inline void entropy_scale_slopes(Span<const float> variance, std::int64_t tokens,
                                 Span<double> slopes) {
  constexpr const char* where = "entropy_scale_slopes";
  const auto heads = static_cast<std::int64_t>(slopes.size());
  if (tokens < 1) {
    detail::refuse(where, {Errc::below_minimum, "tokens", static_cast<double>(tokens)});
  }
  detail::require_equal(where, "variance", static_cast<std::int64_t>(variance.size()),
                        "tokens * heads", detail::add_product(0, tokens, heads));
  for (std::size_t head = 0; head < slopes.size(); ++head) {
    double sum = 0.0;
    for (std::size_t row = head; row < variance.size(); row += slopes.size()) {
      sum -= static_cast<double>(variance[row]);
    }
    slopes[head] = sum / static_cast<double>(tokens);
  }
}

}  // namespace v0
}  // namespace ropewalk
