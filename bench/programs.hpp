// The groups of the program `bench`, one function per source.
#pragma once

#include "support/group.hpp"

#include <vector>

namespace ropewalk_bench {

void add_roofline(std::vector<Group>& groups);
void add_tables(std::vector<Group>& groups);
void add_rotation(std::vector<Group>& groups);
void add_decode(std::vector<Group>& groups);
void add_cosine_sums(std::vector<Group>& groups);
void add_attention(std::vector<Group>& groups);
void add_sweep(std::vector<Group>& groups);

}  // namespace ropewalk_bench
