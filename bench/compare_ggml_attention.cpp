// The same attention by ggml's CPU backend and by the library: float16 keys and values, 32 and 8
// heads of 128, causal. ggml takes queries in float and a mask of float16 (without one its paths
// differ); its threads are its own. Axes: tokens or keys, threads.
#include "programs_ggml.hpp"
#include "support/attention_cases.hpp"
#include "support/attention_report.hpp"
#include "support/ggml_threads.hpp"
#include "support/group.hpp"
#include "support/report.hpp"

#include <ggml-cpu.h>
#include <ggml.h>
#include <sched.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

using ropewalk::float16;
using ropewalk::simd::NativeAttention;

/// What all graphs of a case share: queries, mask, output, threads.
struct Peer {
  std::vector<float> queries;
  std::vector<std::uint16_t> mask;
  AttentionResult result;
  ggml_threadpool* pool = nullptr;

  Peer(const AttentionMemory<float16>& memory, ggml_threadpool* threads)
      : result(memory.scene), pool(threads) {
    const AttentionScene& scene = memory.scene;
    const auto q = memory.q(memory.slots.first());
    const std::int64_t count = scene.queries * scene.heads * kAttentionDim;
    for (std::int64_t index = 0; index < count; ++index) {
      queries.push_back(ropewalk::ElementTraits<float16>::load(q.data[index]));
    }
    constexpr std::uint16_t hidden = 0xfc00;  // -infinity
    for (std::int64_t query = 0; query < scene.queries; ++query) {
      for (std::int64_t key = 0; key < scene.keys; ++key) {
        mask.push_back(key < scene.seen(query) ? 0 : hidden);
      }
    }
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { ggml_threadpool_free(pool); }
};

/// A graph of one attention over the keys and values of one slot.
class Graph {
 public:
  Graph(const AttentionMemory<float16>& memory, unsigned char* slot, Peer& peer) {
    context_ = ggml_init({std::size_t{1} << 20, nullptr, true});
    const AttentionScene& scene = memory.scene;
    const auto rows = [&](ggml_type type, std::int64_t heads, std::int64_t tokens, void* data) {
      ggml_tensor* const tensor = ggml_new_tensor_3d(context_, type, kAttentionDim, heads, tokens);
      tensor->data = data;
      ggml_tensor* const by_head = ggml_permute(context_, tensor, 0, 2, 1, 3);
      by_head->data = data;
      return by_head;
    };
    const auto values = static_cast<std::size_t>(
        reinterpret_cast<const unsigned char*>(memory.v(slot).data) - slot);
    ggml_tensor* const mask =
        ggml_new_tensor_2d(context_, GGML_TYPE_F16, scene.keys, scene.queries);
    mask->data = peer.mask.data();
    ggml_tensor* const out = ggml_flash_attn_ext(
        context_, rows(GGML_TYPE_F32, scene.heads, scene.queries, peer.queries.data()),
        rows(GGML_TYPE_F16, scene.key_heads, scene.keys, slot + memory.key_offset()),
        rows(GGML_TYPE_F16, scene.key_heads, scene.keys, slot + values), mask,
        1.0f / std::sqrt(1.0f * kAttentionDim), 0.0f, 0.0f);
    out->data = peer.result.out.data();
    graph_ = ggml_new_graph(context_);
    ggml_build_forward_expand(graph_, out);
    plan_ = ggml_graph_plan(graph_, scene.threads, peer.pool);
    buffer_.resize(plan_.work_size + 64);
    plan_.work_data = buffer_.data();
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() { ggml_free(context_); }

  void run() { ggml_graph_compute(graph_, &plan_); }

 private:
  ggml_context* context_ = nullptr;
  ggml_cgraph* graph_ = nullptr;
  ggml_cplan plan_ = {};
  std::vector<std::uint8_t> buffer_;
};

struct Graphs {
  std::unique_ptr<Peer> peer = {};
  std::vector<std::unique_ptr<Graph>> graphs = {};
};

Case ggml_case(const AttentionScene& scene, const cpu_set_t& allowed,
               const std::shared_ptr<double>& relative_error) {
  const auto state = std::make_shared<Graphs>();
  Case one = {"ggml", scene.key_bytes(sizeof(float16)), 1.0, [=] {
                const AttentionMemory<float16> memory(scene);
                state->peer = std::make_unique<Peer>(memory, new_pool(scene.threads, allowed));
                const Slots& slots = memory.slots;
                for (std::size_t slot = 0; slot < slots.count(); ++slot) {
                  state->graphs.push_back(std::make_unique<Graph>(
                      memory, slots.first() + slot * slots.bytes(), *state->peer));
                }
                state->graphs[0]->run();
                const AttentionError error = attention_error(memory, state->peer->result, false);
                // Its running sums of values are float16 where there are few queries.
                require_answer(error.relative <= 0.1, "ggml");
                *relative_error = error.relative;
                return repeated([slots, state, threads = scene.threads](int) {
                  const unsigned char* const data = slots.take(0);
                  if (slots.count() > 1) {
                    for (int thread = 1; thread < threads; ++thread) slots.take(thread);
                  }
                  const auto offset = static_cast<std::size_t>(data - slots.first());
                  state->graphs[offset / slots.bytes()]->run();
                });
              }};
  // Its threads would keep ours from their processors; a graph wakes them again.
  if (scene.threads > 1) one.rest = [state] { ggml_threadpool_pause(state->peer->pool); };
  return one;
}

Group compared(const AttentionScene& scene, const cpu_set_t& allowed) {
  const bool one_query = scene.queries == 1;
  Group group;
  group.name = "ggml/attention/" + threads_text(scene.threads) + "/" +
               std::to_string(scene.queries) + "x" + std::to_string(scene.keys);
  group.title = (one_query ? "One query over " + std::to_string(scene.keys) + " keys in memory"
                           : "Causal attention of " + std::to_string(scene.keys) + " tokens") +
                ", " + scene.heads_text() + ", f16";
  group.item = one_query ? "query" : "operation";
  group.threads = scene.threads;
  group.repetitions = one_query ? 15 : 5;
  group.cases = {one_query ? read_case<float16>(scene) : peak_case(scene.threads)};
  group.limits = {group.cases[0].name};
  const auto ours = std::make_shared<double>(0.0);
  const auto theirs = std::make_shared<double>(0.0);
  group.cases.push_back(attend_case<NativeAttention, float16>("attention", scene, false, ours));
  group.cases.push_back(ggml_case(scene, allowed, theirs));
  if (!one_query) {
    for (std::size_t index = 1; index < 3; ++index) {
      group.cases[index].items = scene.flops();
    }
  }
  group.print = [group, ours, theirs, one_query](const Results& results) {
    if (one_query) print_group(group, results);
    if (!one_query) print_rates(group, results);
    std::printf("\nOutput against double, relative: ours %.2g, ggml %.2g\n", *ours, *theirs);
  };
  Bound bound = {"ggml, " + group.title + ", " + threads_text(scene.threads),
                 "x ours",
                 "ggml",
                 "attention",
                 2.0,
                 2.4,
                 true};
  if (one_query) {
    bound.floor = scene.threads == 1 ? 4.0 : 3.0;
    bound.target = scene.threads == 1 ? 5.0 : 3.2;
  }
  group.bounds = {bound};
  return group;
}

}  // namespace

void add_ggml_attention(std::vector<Group>& groups, const cpu_set_t& allowed) {
  for (const int threads : {1, 2}) {
    AttentionScene many;
    many.queries = 2048;
    many.keys = 2048;
    many.threads = threads;
    groups.push_back(compared(many, allowed));
    AttentionScene one;
    one.keys = 8192;
    one.threads = threads;
    one.from_memory = true;
    groups.push_back(compared(one, allowed));
  }
}

}  // namespace ropewalk_bench
