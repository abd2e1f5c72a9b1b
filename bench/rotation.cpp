// Rotations from a table and without, beside what people write instead. Axes: tokens, element,
// pairing, in place or not. 8192 tokens pass through memory that no cache holds; fewer stay in one
// place.
#include "programs.hpp"
#include "support/baselines.hpp"
#include "support/rotation_cases.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

template <typename T>
Case naive_case(const std::string& name, const Scene& scene, Pairing pairing) {
  return in_place_case<T>(name, scene, pairing, [=](auto view, auto positions, const auto& work) {
    naive_rotate<T>(view, view, positions, work.table, scene.first_position, pairing);
  });
}

template <typename T>
Case naive_copy_case(const std::string& name, const Scene& scene, Pairing pairing) {
  return out_of_place_case<T>(
      name, scene, pairing, [=](auto from, auto to, auto positions, const auto& work) {
        naive_rotate<T>(from, to, positions, work.table, scene.first_position, pairing);
      });
}

template <typename T>
Group group_of(const Scene& scene, bool in_place) {
  Group group;
  const std::string place = in_place ? "in place" : "out of place";
  group.name = std::string("rotate/") + element_name<T>() + "/" + std::to_string(scene.tokens) +
               "x" + std::to_string(scene.heads) + "x" + std::to_string(scene.head_dim) + "/" +
               place;
  group.title = std::string("Rotation ") + place + ", " + element_name<T>() + ", " +
                std::to_string(scene.tokens) + (scene.tokens == 1 ? " token x " : " tokens x ") +
                std::to_string(scene.heads) + " heads x " + std::to_string(scene.head_dim);
  group.item = "head";
  if (scene.from_memory) group.repetitions = 15;
  return group;
}

/// Floors and targets of a rotation in place over touch, by element and where the data lies.
struct TouchBound {
  const char* where;
  double floor;
  double target;
};

template <typename T>
TouchBound touch_bound(std::int64_t tokens, Pairing pairing) {
  const std::string element = element_name<T>();
  const bool half = pairing == Pairing::half_split;
  if (tokens == kMemoryTokens) return {"memory", 1.03, 1.00};
  if (tokens == 1 && element == "f32") return {"L1", 1.15, 1.05};
  if (tokens == 1 && element == "bf16") return {"L1", 2.5, 2.0};
  if (tokens == 1 && element == "f16") return {"L1", half ? 3.5 : 4.0, 2.9};
  if (element == "bf16") return {"L3", 1.10, 1.03};
  if (element == "f16") return {"L3", half ? 1.45 : 1.7, 1.3};
  return {nullptr, 0.0, 0.0};
}

template <typename T>
Group in_place_group(const Scene& scene) {
  Group group = group_of<T>(scene, true);
  group.limits = {"touch"};
  group.cases = {touch_case<T>(scene)};
  for (const Pairing pairing : kPairings) {
    const std::string name = pairing_name(pairing);
    group.cases.push_back(rotate_case<Native, T>(name, scene, pairing));
    group.cases.push_back(rotate_case<Native, T>(name + ", no table", scene, pairing, false));
    group.cases.push_back(rotate_case<Portable, T>(name + ", plain C++", scene, pairing));
    group.cases.push_back(naive_case<T>(name + ", naive loop", scene, pairing));
    const TouchBound bound = touch_bound<T>(scene.tokens, pairing);
    if (bound.where == nullptr) continue;
    group.bounds.push_back({std::string("rotation in place in ") + bound.where + ", " +
                                element_name<T>() + ", " + name,
                            "x touch", name, "touch", bound.floor, bound.target});
  }
  return group;
}

template <typename T>
Group out_of_place_group(const Scene& scene) {
  Group group = group_of<T>(scene, false);
  group.limits = {"memcpy", "streaming copy"};
  // memcpy may stream large pieces itself (glibc does); the plain copy never does.
  group.cases = {copy_case<T>("memcpy", scene, memory_copy),
                 copy_case<T>("streaming copy", scene, stream_copy),
                 copy_case<T>("plain copy", scene, vector_copy)};
  for (const Pairing pairing : kPairings) {
    const std::string name = pairing_name(pairing);
    const std::string streaming = name + ", streaming";
    group.cases.push_back(rotate_copy_case<Native, T>(name, scene, pairing, false));
    group.cases.push_back(rotate_copy_case<Native, T>(streaming, scene, pairing, true));
    group.cases.push_back(
        rotate_copy_case<Portable, T>(name + ", plain C++", scene, pairing, false));
    group.cases.push_back(naive_copy_case<T>(name + ", naive loop", scene, pairing));
    if (!scene.from_memory) continue;
    const std::string what =
        std::string("rotation out of place in memory, ") + element_name<T>() + ", " + name;
    group.bounds.push_back({what, "x memcpy", streaming, "memcpy", 0.85, 0.77});
    group.bounds.push_back({what, "x plain copy", streaming, "plain copy", 0.85, 0.77});
    // The floor is that of memcpy over the 0.75 that a streaming copy took of it.
    group.bounds.push_back({what, "x streaming copy", streaming, "streaming copy", 1.13, 1.03});
  }
#ifdef ROPEWALK_BENCH_EIGEN
  group.cases.push_back(
      out_of_place_case<T>("half-split, Eigen", scene, Pairing::half_split,
                           [=](auto from, auto to, auto positions, const auto& work) {
                             eigen_rotate<T>(from, to, positions, work.table, scene.first_position);
                           }));
#endif
  return group;
}

template <typename T>
void add_compared(std::vector<Group>& groups) {
  for (const std::int64_t tokens : {1, 512, 8192}) {
    Scene scene;
    scene.tokens = tokens;
    scene.from_memory = tokens == kMemoryTokens;
    groups.push_back(in_place_group<T>(scene));
    groups.push_back(out_of_place_group<T>(scene));
  }
}

}  // namespace

void add_rotation(std::vector<Group>& groups) {
  add_compared<float>(groups);
  add_compared<ropewalk::float16>(groups);
  add_compared<ropewalk::bfloat16>(groups);
}

}  // namespace ropewalk_bench
