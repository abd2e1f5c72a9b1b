// A launch on the host: every thread of every block, one after the other.
#pragma once

#include <ropewalk/cuda/rotary/body.hpp>

#include <cstdint>
#include <type_traits>

namespace ropewalk_test {

template <typename T, bool kWide>
void emulate(const ropewalk::cuda::detail::RotaryJob<T>& job) {
  using namespace ropewalk::cuda::detail;
  for (std::int64_t block = 0; block < job.blocks; ++block) {
    for (int group = 0; group < job.groups; ++group) {
      for (int token = 0; token < job.block_tokens; ++token) {
        for (int lane = 0; lane < job.lanes; ++lane) {
          for (int column = 0; column < job.columns; ++column) {
            rotary_thread<T, kWide, CachePolicy::keep>(job, {block, group, column, lane, token});
          }
        }
      }
    }
  }
}

/// Whether every card takes a grid and blocks of this size, and the kernel so many threads.
template <typename T>
bool launchable(const ropewalk::cuda::detail::RotaryJob<T>& job) {
  return job.columns >= 1 && job.lanes >= 1 && job.block_tokens >= 1 &&
         job.columns * job.lanes * job.block_tokens <= 512 && job.block_tokens <= 64 &&
         job.groups >= 1 && job.groups <= 65535 && job.blocks <= 0x7fffffff;
}

/// Runs what an entry point would launch; returns whether it moves 16 bytes at a time.
template <typename Params>
bool emulate_launch(const Params& params) {
  const auto job = ropewalk::cuda::detail::rotary_job(params);
  using T = std::remove_pointer_t<decltype(job.operand[0].destination)>;
  if (job.wide) {
    emulate<T, true>(job);
  } else {
    emulate<T, false>(job);
  }
  return job.wide;
}

}  // namespace ropewalk_test
