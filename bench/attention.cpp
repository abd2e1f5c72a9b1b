// Attention of head_dim 128, causal: many queries against the peak of float multiply-adds, one query
// against reading its keys and values once, statistics against none, the backward pass. Axes:
// element, tokens, heads, threads.
#include "programs.hpp"
#include "support/attention_cases.hpp"
#include "support/attention_gradient_case.hpp"
#include "support/attention_report.hpp"
#include "support/report.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace ropewalk_bench {
namespace {

using ropewalk::simd::NativeAttention;

const char* const kStatistics = "with entropy and variance";

template <typename T>
Group prefill_group(std::int64_t tokens, int threads) {
  Group group;
  group.name = "attention/prefill/" + threads_text(threads) + "/" + attention_element<T>() + "/" +
               std::to_string(tokens);
  group.title =
      "Causal attention of " + std::to_string(tokens) + " tokens, " + attention_element<T>();
  group.threads = threads;
  group.repetitions = tokens < 2048 ? 15 : tokens < 8192 ? 5 : 3;
  group.cases = {peak_case(threads)};
  const auto add = [&](std::int64_t heads, std::int64_t key_heads, double floor, double target) {
    AttentionScene scene;
    scene.queries = tokens;
    scene.keys = tokens;
    scene.heads = heads;
    scene.key_heads = key_heads;
    scene.threads = threads;
    const std::string name = scene.heads_text();
    const std::string what = group.title + ", " + name + ", " + threads_text(threads);
    group.cases.push_back(attend_case<NativeAttention, T>(name, scene, false));
    group.cases.back().items = scene.flops();
    group.bounds.push_back(
        {what, "of the multiply-add peak", kPeakCase, name, floor, target, true});
    if (tokens > 2048 || threads > 1) return;
    const std::string with = name + ", " + kStatistics;
    group.cases.push_back(attend_case<NativeAttention, T>(with, scene, true));
    group.cases.back().items = scene.flops();
    group.bounds.push_back(
        {what + ", entropy and variance", "x without", with, name, 1.10, 1.10, false});
  };
  const bool few = tokens < 2048;
  add(8, 8, few ? 0.55 : 0.68, few ? 0.70 : 0.80);
  // 8 of the 32 query heads, and the key heads that are theirs, where all would take seconds.
  add(tokens < 8192 ? 32 : 8, tokens < 8192 ? 8 : 2, few ? 0.55 : 0.75, few ? 0.70 : 0.85);
  group.print = [group](const Results& results) { print_rates(group, results); };
  return group;
}

template <typename T>
Group decode_group(std::int64_t keys, int threads) {
  AttentionScene scene;
  scene.keys = keys;
  scene.threads = threads;
  scene.from_memory = true;
  Group group;
  group.name = "attention/decode/" + threads_text(threads) + "/" + attention_element<T>() + "/" +
               std::to_string(keys);
  group.title = "One query over " + std::to_string(keys) + " keys, " + scene.heads_text() + ", " +
                attention_element<T>() + ", memory";
  group.item = "query";
  group.threads = threads;
  group.repetitions = keys > 8192 ? 9 : 21;
  group.limits = {"read"};
  const auto error = std::make_shared<double>(-1.0);
  group.cases = {read_case<T>(scene),
                 attend_case<NativeAttention, T>("attention", scene, false, error),
                 attend_case<NativeAttention, T>(kStatistics, scene, true)};
  group.bounds = {{group.title + ", " + threads_text(threads), "x read", "attention", "read",
                   threads == 1 ? 1.30 : 1.15, threads == 1 ? 1.08 : 1.03}};
  group.print = [group, error](const Results& results) {
    print_group(group, results);
    if (*error < 0.0) return;
    std::printf(
        "\nOutput against double: %.2g relative, rms over all heads (floor 1e-05, target "
        "2e-06)\n",
        *error);
  };
  return group;
}

Group backward_group(int threads) {
  Group group;
  group.name = "attention/backward/" + threads_text(threads);
  group.title = "Forward and backward, 2048 tokens, f32";
  group.threads = threads;
  group.repetitions = 5;
  group.cases = {peak_case(threads)};
  for (const std::int64_t heads : {8, 32}) {
    AttentionScene scene;
    scene.queries = 2048;
    scene.keys = 2048;
    scene.heads = heads;
    scene.threads = threads;
    group.cases.push_back(
        attend_case<NativeAttention, float>(scene.heads_text() + ", forward", scene, false));
    group.cases.back().items = scene.flops();
    group.cases.push_back(backward_case<NativeAttention>(scene.heads_text() + ", backward", scene));
    group.cases.back().items = 2.5 * scene.flops();  // five products for two
  }
  group.print = [group](const Results& results) { print_rates(group, results); };
  return group;
}

template <typename T>
void add_prefill(std::vector<Group>& groups) {
  for (const std::int64_t tokens : {512, 2048, 8192}) groups.push_back(prefill_group<T>(tokens, 1));
  groups.push_back(prefill_group<T>(2048, 2));
}

template <typename T>
void add_one_query(std::vector<Group>& groups) {
  for (const int threads : {1, 2}) {
    for (const std::int64_t keys : {8192, 65536}) groups.push_back(decode_group<T>(keys, threads));
  }
}

}  // namespace

void add_attention(std::vector<Group>& groups) {
  add_prefill<float>(groups);
  add_prefill<ropewalk::float16>(groups);
  add_prefill<ropewalk::bfloat16>(groups);
  add_one_query<ropewalk::float16>(groups);
  add_one_query<ropewalk::bfloat16>(groups);
  for (const int threads : {1, 2}) groups.push_back(backward_group(threads));
}

}  // namespace ropewalk_bench
