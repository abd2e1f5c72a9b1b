// Tables of cosines and sines. Axes: where the table lies (L2, memory), consecutive or any
// positions, method, threads. 64 pairs, float. A pair of values is 8 bytes, written once.
#include "programs.hpp"
#include "support/baselines.hpp"
#include "support/probes.hpp"
#include "support/table_cases.hpp"

#include <ropewalk/phase.hpp>

#include <cstdint>
#include <string>
#include <vector>

#ifdef ROPEWALK_BENCH_X86_LEVELS
extern "C" {
void plain_table_v1(std::int64_t first_position, std::int64_t positions, float* cos, float* sin);
void plain_table_v3(std::int64_t first_position, std::int64_t positions, float* cos, float* sin);
void plain_table_v4(std::int64_t first_position, std::int64_t positions, float* cos, float* sin);
}
#endif

namespace ropewalk_bench {
namespace {

void add_baselines(std::vector<Case>& cases, const Place& place, std::int64_t rows) {
  cases.push_back(row_case("libm sincosf, float angle", place, rows, Angle::float_product,
                           [](std::int64_t position, float* cos, float* sin) {
                             libm_row(steps().floats, position, cos, sin);
                           }));
  cases.push_back(row_case("libm sincos, double angle", place, rows, Angle::double_product,
                           [](std::int64_t position, float* cos, float* sin) {
                             libm_double_row(steps().doubles, position, cos, sin);
                           }));
#ifdef ROPEWALK_BENCH_EIGEN
  cases.push_back(row_case("Eigen, float angle", place, rows, Angle::float_product,
                           [](std::int64_t position, float* cos, float* sin) {
                             eigen_row(steps().floats, position, cos, sin);
                           }));
#endif
  cases.push_back(owned_case("phase_table_float32, allocated and copied", place, rows,
                             Angle::float_product, [](std::int64_t first, std::int64_t count) {
                               return ropewalk::phase_table_float32(
                                   Span<const float>(steps().floats), 1.0, first, count);
                             }));
}

Group small_tables() {
  const Place place;
  Group group;
  group.name = "table/L2";
  group.title = "Table in L2, 496 positions from 2^20 (any: below 2^31), 64 pairs, float";
  group.item = "pair";
  group.limits = {"fill"};
  group.cases = {limit_case("fill", place, kSmallRows, fill),
                 consecutive_case<true>("consecutive", place, kSmallRows),
                 scattered_case<true>("any positions", place, kSmallRows),
                 consecutive_case<false>("plain C++", place, kSmallRows),
                 scattered_case<false>("plain C++, any positions", place, kSmallRows)};
  add_baselines(group.cases, place, kSmallRows);
  const std::string what = "table of consecutive positions in L2";
  group.bounds = {{what, "ns/pair", "consecutive", "", 0.11, 0.075},
                  // The same bounds over that machine's fill of 0.036 ns/pair.
                  {what, "x fill", "consecutive", "fill", 3.06, 2.08},
                  {"table of any positions, in L2", "ns/pair", "any positions", "", 0.48, 0.30}};
#ifdef ROPEWALK_BENCH_X86_LEVELS
  const struct {
    const char* name;
    void (*fill)(std::int64_t, std::int64_t, float*, float*);
    double floor, target;
  } levels[] = {{"plain C++ for x86-64 (SSE2)", plain_table_v1, 8, 9},
                {"plain C++ for x86-64-v3 (AVX2)", plain_table_v3, 15, 20},
                {"plain C++ for x86-64-v4 (AVX-512)", plain_table_v4, 40, 50}};
  for (const auto& level : levels) {
    group.cases.push_back(
        table_case(level.name, place, kSmallRows, Angle::exact, consecutive(kSmallRows),
                   [run = level.fill](std::int64_t first, std::int64_t count, float* cos,
                                      float* sin) { run(kFirst + first, count, cos, sin); }));
    group.bounds.push_back({std::string("table in ") + level.name, "x faster than libm sincosf",
                            "libm sincosf, float angle", level.name, level.floor, level.target,
                            true});
  }
#endif
  return group;
}

Group large_tables(int threads) {
  const Place place = {true, threads};
  Group group;
  group.name = "table/memory/" + threads_text(threads);
  group.title =
      "Table in memory, 2^20 positions from 2^20, 64 pairs, float "
      "(any: 2^17; libm, Eigen and float32: 2^15 at a time)";
  group.item = "pair";
  group.threads = threads;
  group.repetitions = 15;
  group.limits = {"streaming fill", "fill"};
  group.cases = {limit_case("streaming fill", place, kLargeRows, stream_fill),
                 limit_case("fill", place, kLargeRows, fill),
                 consecutive_case<true>("consecutive", place, kLargeRows),
                 scattered_case<true>("any positions", place, kLargeRows / 8),
                 consecutive_case<false>("plain C++", place, kLargeRows),
                 scattered_case<false>("plain C++, any positions", place, kLargeRows / 8),
                 owned_case("phase_table, allocated and copied", place, kLargeRows / 8,
                            Angle::exact, [](std::int64_t first, std::int64_t count) {
                              return ropewalk::phase_table<float>(steps().turns, first, count);
                            })};
  add_baselines(group.cases, place, kBaselineRows);
  group.bounds = {{"table of consecutive positions in memory, " + threads_text(threads),
                   "x streaming fill", "consecutive", "streaming fill", 1.10, 1.03}};
  return group;
}

}  // namespace

void add_tables(std::vector<Group>& groups) {
  groups.push_back(small_tables());
  for (const int threads : {1, 2}) groups.push_back(large_tables(threads));
}

}  // namespace ropewalk_bench
