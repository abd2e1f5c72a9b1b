// Rotations from a table over all shapes, each with its limit. Axes: tokens, heads, head_dim,
// element, pairing, in place or not, threads.
#include "programs.hpp"
#include "support/rotation_cases.hpp"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

/// One shape of the sweep, by names that the table finds again.
struct Column {
  std::string name;
  Scene scene;
};

std::vector<Column> columns(int head_dim, int threads) {
  std::vector<Column> all;
  for (const std::int64_t tokens : {1, 16, 512, 8192}) {
    for (const std::int64_t heads : {8, 32}) {
      Scene scene;
      scene.tokens = tokens;
      scene.heads = heads;
      scene.head_dim = head_dim;
      scene.threads = threads;
      scene.from_memory = tokens == kMemoryTokens;
      all.push_back({std::to_string(tokens) + "x" + std::to_string(heads), scene});
    }
  }
  return all;
}

/// Four lines: bandwidth and ratio to the limit, by pairing and place.
void print_lines(const std::string& start, const std::vector<Column>& shapes,
                 const Results& results) {
  for (const Pairing pairing : kPairings) {
    for (const char* const place : {"in place", "out of place"}) {
      std::printf("| %s, %s, %s |", start.c_str(), pairing_name(pairing), place);
      for (const Column& shape : shapes) {
        const auto found =
            results.find(shape.name + " " + pairing_name(pairing) + ", " + std::string(place));
        const auto limit = results.find(shape.name + " limit, " + place);
        if (found == results.end() || limit == results.end()) {
          std::printf(" - |");
        } else {
          std::printf(" %.0f (%.2f) |", found->second.gigabytes_per_second(),
                      found->second.over(limit->second).median);
        }
      }
      std::printf("\n");
    }
  }
  std::fflush(stdout);
}

/// All tokens and heads for one element, head_dim and number of threads.
template <typename T>
Group sweep_group(int head_dim, int threads, const std::shared_ptr<bool>& headed) {
  const std::vector<Column> shapes = columns(head_dim, threads);
  const std::string start = std::string(element_name<T>()) + ", " + std::to_string(head_dim);
  Group group;
  group.name =
      "sweep/" + threads_text(threads) + "/" + element_name<T>() + "/" + std::to_string(head_dim);
  group.threads = threads;
  group.repetitions = 9;
  for (const Column& shape : shapes) {
    const Scene& scene = shape.scene;
    group.cases.push_back(touch_case<T>(scene));
    group.cases.back().name = shape.name + " limit, in place";
    // Out of place the limit is the better copy for where the data lies.
    group.cases.push_back(scene.from_memory ? copy_case<T>("", scene, stream_copy)
                                            : copy_case<T>("", scene, memory_copy));
    group.cases.back().name = shape.name + " limit, out of place";
    for (const Pairing pairing : kPairings) {
      const std::string name = shape.name + " " + pairing_name(pairing) + ", ";
      group.cases.push_back(rotate_case<Native, T>(name + "in place", scene, pairing));
      group.cases.push_back(
          rotate_copy_case<Native, T>(name + "out of place", scene, pairing, scene.from_memory));
    }
  }
  group.print = [=](const Results& results) {
    if (!*headed) {
      std::printf(
          "\nRotation from a table, GB/s (x touch in place; x memcpy out of place, at %lld tokens "
          "x "
          "streaming copy), %s\n\n| tokens x heads |",
          static_cast<long long>(kMemoryTokens), threads_text(threads).c_str());
      for (const Column& shape : shapes) std::printf(" %s |", shape.name.c_str());
      std::printf("\n|---|---|---|---|---|---|---|---|---|\n");
      *headed = true;
    }
    print_lines(start, shapes, results);
  };
  return group;
}

}  // namespace

void add_sweep(std::vector<Group>& groups) {
  for (const int threads : {1, 2}) {
    const auto headed = std::make_shared<bool>(false);  // whether the table has its first lines
    for (const int head_dim : {64, 128, 256}) {
      groups.push_back(sweep_group<float>(head_dim, threads, headed));
    }
    for (const int head_dim : {64, 128, 256}) {
      groups.push_back(sweep_group<ropewalk::float16>(head_dim, threads, headed));
    }
    for (const int head_dim : {64, 128, 256}) {
      groups.push_back(sweep_group<ropewalk::bfloat16>(head_dim, threads, headed));
    }
    groups.push_back(sweep_group<double>(128, threads, headed));
  }
}

}  // namespace ropewalk_bench
