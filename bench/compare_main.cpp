// The same work by ggml's CPU backend and by the library. Takes the flags of Google Benchmark.
#include "programs_ggml.hpp"

#include <ggml-cpu.h>
#include <ggml.h>
#include <sched.h>

#include <string>
#include <vector>

int main(int argc, char** argv) {
  ggml_cpu_init();
  cpu_set_t allowed = {};
  sched_getaffinity(0, sizeof allowed, &allowed);
  std::vector<ropewalk_bench::Group> groups;
  ropewalk_bench::add_ggml_rotations(groups, allowed);
  ropewalk_bench::add_ggml_attention(groups, allowed);
  const std::string title = std::string("Rotation and attention, ggml ") + ggml_version() + " (" +
                            ggml_commit() + ") and ropewalk";
  return ropewalk_bench::run_groups(argc, argv, title, groups);
}
