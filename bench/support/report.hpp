// What is printed: the machine, a table per group, the bounds.
#pragma once

#include "group.hpp"

#include <string>

namespace ropewalk_bench {

std::string processor_name();
std::string compiler_name();
std::string flags_text();

void print_header(const std::string& title);
void print_group(const Group& group, const Results& results);

/// A line of the bounds, empty where a filter left out what it needs.
std::string bound_line(const Bound& bound, const Results& results);

}  // namespace ropewalk_bench
