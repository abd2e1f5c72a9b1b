// The groups of the program `bench_compare`, one function per source.
#pragma once

#include "support/group.hpp"

#include <sched.h>

#include <vector>

namespace ropewalk_bench {

/// `allowed`: the processors for ggml's threads.
void add_ggml_rotations(std::vector<Group>& groups, const cpu_set_t& allowed);
void add_ggml_attention(std::vector<Group>& groups, const cpu_set_t& allowed);

}  // namespace ropewalk_bench
