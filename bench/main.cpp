// Every benchmark in one program, so that limits and cases come from one run. Takes the flags of
// Google Benchmark; README.md says how to read what it prints.
#include "programs.hpp"

int main(int argc, char** argv) {
  std::vector<ropewalk_bench::Group> groups;
  ropewalk_bench::add_roofline(groups);
  ropewalk_bench::add_tables(groups);
  ropewalk_bench::add_rotation(groups);
  ropewalk_bench::add_decode(groups);
  ropewalk_bench::add_cosine_sums(groups);
  ropewalk_bench::add_attention(groups);
  ropewalk_bench::add_sweep(groups);
  return ropewalk_bench::run_groups(argc, argv, "Angles, rotations, cosine sums, attention",
                                    groups);
}
