// The same rotations by ggml's CPU backend and by the library. Axes: element, tokens, pairing, in
// place or not, threads. ggml forms a row of angles per token in every call, so ours are measured
// with a table and without. ggml's threads are its own, one to a processor as ours are; a graph has
// 64 operations of one token, one operation of more.
#include "programs_ggml.hpp"
#include "support/ggml_threads.hpp"
#include "support/group.hpp"
#include "support/rotation_cases.hpp"

#include <ggml-cpu.h>
#include <ggml.h>
#include <sched.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace ropewalk_bench {
namespace {

constexpr int kSmallGraph = 64;

/// A graph of one operation, or of several on the same data.
class Graph {
 public:
  /// `source` and `destination` (tokens, heads, head_dim); the same memory for in place.
  template <typename T>
  Graph(const Work<T>& work, unsigned char* source, unsigned char* destination, Pairing pairing,
        int operations, ggml_threadpool* pool) {
    const ggml_init_params params = {(std::size_t{1} << 20), nullptr, true};
    context_ = ggml_init(params);
    const ggml_type type = std::is_same_v<T, float> ? GGML_TYPE_F32 : GGML_TYPE_F16;
    const Scene& scene = work.scene;
    ggml_tensor* from =
        ggml_new_tensor_3d(context_, type, scene.head_dim, scene.heads, scene.tokens);
    from->data = source;
    positions_.assign(work.positions.begin(), work.positions.end());
    ggml_tensor* positions = ggml_new_tensor_1d(context_, GGML_TYPE_I32, scene.tokens);
    positions->data = positions_.data();
    graph_ = ggml_new_graph(context_);
    const bool in_place = source == destination;
    const int mode = pairing == Pairing::half_split ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL;
    for (int operation = 0; operation < operations; ++operation) {
      const auto rope = in_place ? ggml_rope_ext_inplace : ggml_rope_ext;
      ggml_tensor* const to = rope(context_, from, positions, nullptr, scene.head_dim, mode, 0,
                                   500000.0f, 1.0f, 0.0f, 1.0f, 32.0f, 1.0f);
      to->data = destination;
      ggml_build_forward_expand(graph_, to);
      if (in_place) from = to;
    }
    plan_ = ggml_graph_plan(graph_, scene.threads, pool);
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
  std::vector<std::int32_t> positions_;
  std::vector<std::uint8_t> buffer_;
};

/// ggml's threads, and a graph for every piece of memory, since addresses are part of it.
struct Peer {
  ggml_threadpool* pool = nullptr;
  std::vector<std::unique_ptr<Graph>> graphs = {};

  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    graphs.clear();
    if (pool != nullptr) ggml_threadpool_free(pool);
  }
};

/// A graph of one operation is right up to the drift of its float angles: the same pairs, a turn of
/// the same sense.
template <typename T>
bool graph_turns(const Work<T>& work, Graph& graph, bool in_place, Pairing pairing) {
  using Traits = ropewalk::ElementTraits<T>;
  unsigned char* const data = work.in_place.first();
  const Scene& scene = work.scene;
  const std::int64_t last = scene.tokens - 1;
  const auto row = static_cast<std::size_t>(scene.heads * scene.head_dim);
  const T* const source = work.view(data).head(last, 0);
  std::vector<T> ours(source, source + row);
  graph.run();
  const T* const theirs = in_place ? source : work.view(data + work.stride()).head(last, 0);
  const std::int64_t position = work.positions[static_cast<std::size_t>(last)];
  const auto view = ropewalk::make_head_view(ours.data(), 1, scene.heads, scene.head_dim);
  ropewalk::rotate(view, Span<const std::int64_t>(&position, 1), work.turns, pairing);
  // Angles of 1e5 radians as a running float product: 64 roundings of 2^-24 of them, sqrt(2) long.
  const double drift = 1e5 * 64 * 0x1p-24;
  const double limit = std::sqrt(2.0) * drift + 0.01;
  bool right = true;
  for (std::size_t element = 0; element < row; ++element) {
    right = right && std::abs(static_cast<double>(Traits::load(ours[element])) -
                              static_cast<double>(Traits::load(theirs[element]))) <= limit;
  }
  return right;
}

template <typename T>
Case ggml_case(const std::string& name, const Scene& scene, Pairing pairing, bool in_place,
               const cpu_set_t& allowed) {
  const int operations = scene.tokens == 1 ? kSmallGraph : 1;
  const auto peer = std::make_shared<Peer>();
  Case one = scene_case<T>(name, scene, [=] {
    const Work<T> work(scene);
    const Slots slots = in_place ? work.in_place : work.out_of_place;
    peer->pool = new_pool(scene.threads, allowed);
    for (std::size_t slot = 0; slot < slots.count(); ++slot) {
      unsigned char* const data = slots.first() + slot * slots.bytes();
      peer->graphs.push_back(std::make_unique<Graph>(
          work, data, in_place ? data : data + work.stride(), pairing, operations, peer->pool));
    }
    // Sixty-four turns in place drift past any bound, so one is judged.
    unsigned char* const first = slots.first();
    Graph once(work, first, in_place ? first : first + work.stride(), pairing, 1, peer->pool);
    require_answer(graph_turns(work, once, in_place, pairing), name);
    return repeated([slots, peer, threads = scene.threads](int) {
      const unsigned char* const data = slots.take(0);
      for (int thread = 1; thread < threads; ++thread) slots.take(thread);
      const auto offset = static_cast<std::size_t>(data - slots.first());
      peer->graphs[offset / slots.bytes()]->run();
    });
  });
  one.bytes *= operations;
  one.items *= operations;
  // Its threads would keep ours from their processors; a graph wakes them again.
  if (scene.threads > 1) one.rest = [peer] { ggml_threadpool_pause(peer->pool); };
  return one;
}

/// How many times as long ggml takes at least: by element, tokens, place, threads.
template <typename T>
Bound peer_bound(const Scene& scene, bool in_place) {
  const bool f32 = std::is_same_v<T, float>;
  Bound bound;
  if (scene.tokens == 1) {
    bound.floor = f32 ? 9 : 16;
    bound.target = f32 ? 10 : 19;
  } else if (!scene.from_memory) {
    bound.floor = f32 ? 3 : 12;
    bound.target = f32 ? (in_place ? 5 : 3.5) : (in_place ? 18 : 13);
  } else {
    bound.floor = f32 ? 1.65 : scene.threads > 1 ? 4.4 : 6.9;
    bound.target = f32 ? (in_place ? 1.75 : 2.1) : (in_place ? 8.2 : 7.1);
  }
  bound.unit = "x ours from a table";
  bound.at_least = true;
  return bound;
}

template <typename T>
Group compared(const Scene& scene, bool in_place, const cpu_set_t& allowed) {
  const std::string place = in_place ? "in place" : "out of place";
  const bool streaming = scene.from_memory;
  Group group;
  group.name = "ggml/" + threads_text(scene.threads) + "/" + element_name<T>() + "/" +
               std::to_string(scene.tokens) + "/" + place;
  group.title = std::string(element_name<T>()) + ", " + std::to_string(scene.tokens) +
                " x 32 x 128, " + place;
  group.item = "head";
  group.threads = scene.threads;
  group.repetitions = 15;
  group.cases = {in_place    ? touch_case<T>(scene)
                 : streaming ? copy_case<T>("streaming copy", scene, stream_copy)
                             : copy_case<T>("memcpy", scene, memory_copy)};
  group.limits = {group.cases[0].name};
  for (const Pairing pairing : kPairings) {
    const std::string name = pairing_name(pairing);
    for (const bool table : {true, false}) {
      const std::string title = name + (table ? ", table" : ", no table");
      group.cases.push_back(
          in_place ? rotate_case<Native, T>(title, scene, pairing, table)
                   : rotate_copy_case<Native, T>(title, scene, pairing, streaming, table));
    }
    group.cases.push_back(ggml_case<T>(name + ", ggml", scene, pairing, in_place, allowed));
    Bound bound = peer_bound<T>(scene, in_place);
    bound.what = "ggml, " + group.title + ", " + name + ", " + threads_text(scene.threads);
    bound.name = name + ", ggml";
    bound.over = name + ", table";
    group.bounds.push_back(bound);
  }
  return group;
}

}  // namespace

void add_ggml_rotations(std::vector<Group>& groups, const cpu_set_t& allowed) {
  const auto add = [&](auto element, const Scene& scene) {
    for (const bool in_place : {true, false}) {
      groups.push_back(compared<decltype(element)>(scene, in_place, allowed));
    }
  };
  for (const int threads : {1, 2}) {
    for (const bool f32 : {true, false}) {
      for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{512}, kMemoryTokens}) {
        Scene scene;
        scene.tokens = tokens;
        scene.threads = threads;
        scene.from_memory = tokens == kMemoryTokens;
        f32 ? add(float{}, scene) : add(ropewalk::float16{}, scene);
      }
    }
  }
}

}  // namespace ropewalk_bench
