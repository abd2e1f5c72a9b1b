// Attention as cases: shapes, memory, limits, and the check of every answer against double.
#pragma once

#include "attention_report.hpp"
#include "attention_team.hpp"
#include "group.hpp"
#include "memory.hpp"
#include "probes.hpp"

#include <ropewalk/attention.hpp>
#include <ropewalk/simd/attention.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace ropewalk_bench {

using ropewalk::HeadView;

inline constexpr int kAttentionDim = 128;

/// Causal attention; the last query stands at the last key.
struct AttentionScene {
  std::int64_t queries = 1;
  std::int64_t keys = 1;
  std::int64_t heads = 32;
  std::int64_t key_heads = 8;
  int threads = 1;
  bool from_memory = false;

  std::string heads_text() const {
    return std::to_string(heads) + "+" + std::to_string(key_heads) + " heads";
  }
  std::int64_t group() const { return heads / key_heads; }
  std::int64_t seen(std::int64_t query) const { return keys - queries + query + 1; }
  /// Keys and values.
  double key_bytes(std::size_t element) const {
    return 2.0 * kAttentionDim * static_cast<double>(keys * key_heads) *
           static_cast<double>(element);
  }
  /// Of the two products; two operations per multiply-add.
  double flops() const {
    const auto rows = static_cast<double>(queries);
    const double pairs = rows * static_cast<double>(keys) - rows * (rows - 1) / 2;
    return 4.0 * kAttentionDim * static_cast<double>(heads) * pairs;
  }
};

template <typename T>
const char* attention_element() {
  if constexpr (std::is_same_v<T, float>) return "f32";
  if constexpr (std::is_same_v<T, ropewalk::float16>) return "f16";
  return "bf16";
}

/// Where queries, keys and values of a scene lie in a slot.
template <typename T>
struct AttentionMemory {
  AttentionScene scene;
  Slots slots;

  explicit AttentionMemory(const AttentionScene& wanted)
      : scene(wanted), slots(key_offset() + 2 * key_stride(), wanted.from_memory) {
    Memory::all().randomize<T>();
    Memory::all().rewind();  // checks look at the first piece
  }

  std::size_t key_bytes() const { return bytes_of(scene.keys * scene.key_heads); }
  /// Whole pages and a few lines: keys and values do not meet in the sets of a cache.
  std::size_t key_stride() const { return (key_bytes() + 4095) / 4096 * 4096 + 4096 - 256; }
  std::size_t key_offset() const {
    return (bytes_of(scene.queries * scene.heads) + 4095) / 4096 * 4096;
  }

  HeadView<const T> q(const unsigned char* slot) const {
    return view(slot, scene.queries, scene.heads);
  }
  HeadView<const T> k(const unsigned char* slot) const {
    return view(slot + key_offset(), scene.keys, scene.key_heads);
  }
  HeadView<const T> v(const unsigned char* slot) const {
    return view(slot + key_offset() + key_stride(), scene.keys, scene.key_heads);
  }

 private:
  static std::size_t bytes_of(std::int64_t rows) {
    return sizeof(T) * static_cast<std::size_t>(rows) * kAttentionDim;
  }
  static HeadView<const T> view(const unsigned char* data, std::int64_t tokens,
                                std::int64_t heads) {
    return ropewalk::make_head_view(reinterpret_cast<const T*>(data), tokens, heads, kAttentionDim);
  }
};

template <typename T, typename Y>
double dot(const T* x, const Y* y) {
  double sum = 0.0;
  for (int dim = 0; dim < kAttentionDim; ++dim) {
    sum += static_cast<double>(ropewalk::ElementTraits<T>::load(x[dim])) *
           static_cast<double>(ropewalk::ElementTraits<Y>::load(y[dim]));
  }
  return sum;
}

/// One row by its definition, in double.
struct ExactRow {
  std::vector<double> weights;
  std::vector<double> output = std::vector<double>(kAttentionDim, 0.0);
  double entropy = 0.0;
  double variance = 0.0;
};

template <typename T>
ExactRow exact_row(const T* query, const HeadView<const T>& k, const HeadView<const T>& v,
                   std::int64_t key_head, std::int64_t seen) {
  ExactRow row;
  std::vector<double> logits;
  for (std::int64_t key = 0; key < seen; ++key) {
    logits.push_back(dot(query, k.head(key, key_head)) / std::sqrt(1.0 * kAttentionDim));
  }
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const double logit : logits) sum += std::exp(logit - largest);
  const double lse = largest + std::log(sum);
  double mean = 0.0;
  for (const double logit : logits) {
    row.weights.push_back(std::exp(logit - lse));
    mean += row.weights.back() * logit;
  }
  row.entropy = lse - mean;
  for (std::size_t key = 0; key < logits.size(); ++key) {
    row.variance += row.weights[key] * (logits[key] - mean) * (logits[key] - mean);
    const T* const value = v.head(static_cast<std::int64_t>(key), key_head);
    for (std::size_t dim = 0; dim < kAttentionDim; ++dim) {
      row.output[dim] +=
          row.weights[key] * static_cast<double>(ropewalk::ElementTraits<T>::load(value[dim]));
    }
  }
  return row;
}

/// What an attention leaves behind.
struct AttentionResult {
  std::vector<float> out;
  std::vector<float> entropy;
  std::vector<float> variance;

  explicit AttentionResult(const AttentionScene& scene)
      : out(static_cast<std::size_t>(scene.queries * scene.heads * kAttentionDim)),
        entropy(static_cast<std::size_t>(scene.queries * scene.heads)),
        variance(entropy.size()) {}
};

/// Of the first and the last head of three queries, or of all heads of a single one.
struct AttentionError {
  double relative = 0.0;    // rms of the error over rms of the output
  double largest = 0.0;     // of the output
  double statistics = 0.0;  // of entropy and variance, relative to max(1, value)
};

template <typename T>
AttentionError attention_error(const AttentionMemory<T>& memory, const AttentionResult& result,
                               bool statistics) {
  const AttentionScene& scene = memory.scene;
  const unsigned char* const slot = memory.slots.first();
  std::vector<std::int64_t> tokens = {0, scene.queries / 3, scene.queries - 1};
  if (scene.queries == 1) tokens = {0};
  const std::int64_t step = scene.queries == 1 ? 1 : scene.heads - 1;
  AttentionError error;
  double squares = 0.0;
  double output = 0.0;
  for (const std::int64_t token : tokens) {
    for (std::int64_t head = 0; head < scene.heads; head += step) {
      const ExactRow exact = exact_row(memory.q(slot).head(token, head), memory.k(slot),
                                       memory.v(slot), head / scene.group(), scene.seen(token));
      const auto row = static_cast<std::size_t>(token * scene.heads + head);
      for (std::size_t dim = 0; dim < kAttentionDim; ++dim) {
        const double off =
            static_cast<double>(result.out[row * kAttentionDim + dim]) - exact.output[dim];
        squares += off * off;
        output += exact.output[dim] * exact.output[dim];
        error.largest = std::fmax(error.largest, std::fabs(off));
      }
      if (!statistics) continue;
      for (const auto& [mine, right] : {std::pair(result.entropy[row], exact.entropy),
                                        std::pair(result.variance[row], exact.variance)}) {
        error.statistics =
            std::fmax(error.statistics, std::fabs(static_cast<double>(mine) - right) /
                                            std::fmax(1.0, std::fabs(right)));
      }
    }
  }
  error.relative = std::sqrt(squares / output);
  return error;
}

/// Multiply-adds, per operation.
inline Case peak_case(int threads) {
  return {kPeakCase, 0.0, 2.0 * 16 * kFmaChains * kFmaSteps * threads,
          [] { return repeated([](int) { fma_chains(); }); }};
}

/// Reads keys and values once, each thread its part.
template <typename T>
Case read_case(const AttentionScene& scene) {
  return {"read", scene.key_bytes(sizeof(T)), 1.0, [=] {
            const AttentionMemory<T> memory(scene);
            return repeated([memory](int thread) {
              const unsigned char* const slot = memory.slots.take(thread);
              const auto threads = static_cast<std::size_t>(memory.scene.threads);
              const std::size_t part = memory.key_bytes() / threads;
              const std::size_t first = part * static_cast<std::size_t>(thread);
              read(memory.k(slot).data + first / sizeof(T), part);
              read(memory.v(slot).data + first / sizeof(T), part);
            });
          }};
}

/// attend(), with entropy and variance or without. Leaves the relative error of its output.
template <typename Kernel, typename T>
Case attend_case(const std::string& name, const AttentionScene& scene, bool statistics,
                 const std::shared_ptr<double>& relative_error = nullptr) {
  const double bytes =
      2.0 * sizeof(T) * kAttentionDim * static_cast<double>(scene.keys * scene.key_heads);
  return {
      name, bytes, 1.0, [=] {
        const AttentionMemory<T> memory(scene);
        const auto result = std::make_shared<AttentionResult>(scene);
        const auto team = std::make_shared<AttentionTeam>(scene.threads);
        const auto attend = [=](const unsigned char* slot) {
          ropewalk::AttentionStatistics wanted;
          if (statistics) {
            wanted.entropy = result->entropy;
            wanted.variance = result->variance;
          }
          TeamHooks hooks;
          hooks.executor.team = team.get();
          ropewalk::attend<Kernel>(
              memory.q(slot), memory.k(slot), memory.v(slot),
              ropewalk::make_head_view(result->out.data(), memory.scene.queries, memory.scene.heads,
                                       kAttentionDim),
              {}, wanted, hooks);
        };
        AttentionTeam alone(1);
        ropewalk::attend<Kernel>(
            memory.q(memory.slots.first()), memory.k(memory.slots.first()),
            memory.v(memory.slots.first()),
            ropewalk::make_head_view(result->out.data(), scene.queries, scene.heads, kAttentionDim),
            {}, {{}, result->entropy, {}, result->variance}, TeamHooks{{}, {}, {}, {&alone}});
        const AttentionError error = attention_error(memory, *result, true);
        // What attend() promises for |v| <= 1.
        require_answer(error.largest <= 1e-5 && error.statistics <= 1e-5, name);
        if (relative_error) *relative_error = error.relative;
        return repeated([memory, team, attend](int thread) {
          const unsigned char* const slot = memory.slots.take(thread);
          if (thread > 0) return team->serve(thread);
          attend(slot);
          team->finish();
        });
      }};
}

}  // namespace ropewalk_bench
