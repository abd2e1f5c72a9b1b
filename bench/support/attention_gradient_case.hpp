// The backward pass of attention as a case, its gradients checked at one query and at one key.
#pragma once

#include "attention_cases.hpp"

#include <ropewalk/attention_gradient.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk_bench {

/// What the forward pass left, what arrives, and the gradients.
struct BackwardWork {
  AttentionMemory<float> memory;
  std::vector<float> out, d_out, lse, dq, dk, dv;

  explicit BackwardWork(const AttentionScene& scene) : memory(scene) {
    const auto rows = static_cast<std::size_t>(scene.queries * scene.heads);
    const auto keys = static_cast<std::size_t>(scene.keys * scene.key_heads);
    out.resize(rows * kAttentionDim);
    dq.resize(out.size());
    lse.resize(rows);
    dk.resize(keys * kAttentionDim);
    dv.resize(dk.size());
    Noise noise(11);
    for (std::size_t index = 0; index < out.size(); ++index) {
      d_out.push_back(static_cast<float>(noise.unit()));
    }
  }

  template <typename Vector>
  auto rows(Vector& values) const {
    return ropewalk::make_head_view(values.data(), memory.scene.queries, memory.scene.heads,
                                    kAttentionDim);
  }
  template <typename Vector>
  auto key_rows(Vector& values) const {
    return ropewalk::make_head_view(values.data(), memory.scene.keys, memory.scene.key_heads,
                                    kAttentionDim);
  }

  template <typename Kernel>
  void forward() {
    const unsigned char* const slot = memory.slots.first();
    ropewalk::attend<Kernel>(memory.q(slot), memory.k(slot), memory.v(slot), rows(out), {}, {lse});
  }
  template <typename Kernel>
  void backward(AttentionTeam& team) {
    const unsigned char* const slot = memory.slots.first();
    ropewalk::attend_backward<Kernel>(memory.q(slot), memory.k(slot), memory.v(slot), rows(out),
                                      {lse, {}}, rows(d_out), rows(dq), key_rows(dk), key_rows(dv),
                                      {}, {}, {}, TeamHooks{{}, {}, {}, {&team}});
  }
};

/// Sums of one gradient row, and of the magnitudes of what is added.
struct GradientSum {
  std::vector<double> sum = std::vector<double>(kAttentionDim, 0.0);
  std::vector<double> magnitude = std::vector<double>(kAttentionDim, 0.0);

  void add(double factor, const float* row) {
    for (std::size_t dim = 0; dim < kAttentionDim; ++dim) {
      sum[dim] += factor * static_cast<double>(row[dim]);
      magnitude[dim] += std::fabs(factor * static_cast<double>(row[dim]));
    }
  }
  /// Weights come from the float lse, off by up to 1e-5 of its magnitude, which is below 8.
  bool is(const float* row) const {
    bool right = true;
    for (std::size_t dim = 0; dim < kAttentionDim; ++dim) {
      const double off = std::fabs(static_cast<double>(row[dim]) - sum[dim]);
      right = right && off <= 1e-4 * magnitude[dim];
    }
    return right;
  }
};

/// dq of the last query's last head; dk and dv of the last head of a key in the middle.
inline bool gradients_are_right(const BackwardWork& work) {
  const AttentionScene& scene = work.memory.scene;
  const unsigned char* const slot = work.memory.slots.first();
  const auto q = work.memory.q(slot);
  const auto k = work.memory.k(slot);
  const auto v = work.memory.v(slot);
  const auto out = work.rows(work.out);
  const auto d_out = work.rows(work.d_out);
  const double scale = 1.0 / std::sqrt(1.0 * kAttentionDim);
  // A weight and the gradient of its logit.
  const auto term = [&](std::int64_t token, std::int64_t head, std::int64_t key) {
    const std::int64_t key_head = head / scene.group();
    const float lse = work.lse[static_cast<std::size_t>(token * scene.heads + head)];
    const double weight = std::exp(scale * dot(q.head(token, head), k.head(key, key_head)) -
                                   static_cast<double>(lse));
    const float* const arriving = d_out.head(token, head);
    return std::pair(weight, weight * (dot(arriving, v.head(key, key_head)) -
                                       dot(arriving, out.head(token, head))));
  };
  const std::int64_t last = scene.queries - 1;
  const std::int64_t last_key_head = scene.key_heads - 1;
  GradientSum dq;
  for (std::int64_t key = 0; key < scene.keys; ++key) {
    dq.add(scale * term(last, scene.heads - 1, key).second, k.head(key, last_key_head));
  }
  GradientSum dk;
  GradientSum dv;
  const std::int64_t key = scene.keys / 2;
  for (std::int64_t token = key; token < scene.queries; ++token) {
    for (std::int64_t head = last_key_head * scene.group(); head < scene.heads; ++head) {
      const auto [weight, slope] = term(token, head, key);
      dk.add(scale * slope, q.head(token, head));
      dv.add(weight, d_out.head(token, head));
    }
  }
  return dq.is(work.rows(work.dq).head(last, scene.heads - 1)) &&
         dk.is(work.key_rows(work.dk).head(key, last_key_head)) &&
         dv.is(work.key_rows(work.dv).head(key, last_key_head));
}

template <typename Kernel>
Case backward_case(const std::string& name, const AttentionScene& scene) {
  return {name, 0.0, 1.0, [=] {
            const auto work = std::make_shared<BackwardWork>(scene);
            AttentionTeam alone(1);
            work->forward<Kernel>();
            work->backward<Kernel>(alone);
            require_answer(gradients_are_right(*work), name);
            const auto team = std::make_shared<AttentionTeam>(scene.threads);
            return repeated([work, team](int thread) {
              if (thread > 0) return team->serve(thread);
              work->backward<Kernel>(*team);
              team->finish();
            });
          }};
}

}  // namespace ropewalk_bench
