// Decoding on the host: both kernels, as the entry point launches them.
#pragma once

#include <ropewalk/cuda/decode/body.hpp>
#include <ropewalk/cuda/decode/merge.hpp>

#include "block.hpp"

#include <cstdint>

namespace ropewalk_test {

template <ropewalk::cuda::Statistics kStatistics, int kDim, typename T>
LaunchReport emulate_decode_job(const ropewalk::cuda::detail::DecodeJob<T>& job,
                                std::uint64_t seed) {
  using namespace ropewalk::cuda::detail;
  EmulatedGrid grid;
  const LaunchSize size{job.blocks, 1, 1, kDecodeThreads,
                        static_cast<std::size_t>(DecodeShared<kDim>::kBytes)};
  LaunchReport report = grid.run(
      size, seed, [&](EmulatedBlock& block) { decode_block<kStatistics, kDim>(block, job); });
  if (report.error != "" || job.blocks == 1) return report;
  const int rows = job.group * job.line.queries;
  const LaunchSize merge{job.blocks, rows < kDecodeRows ? rows : kDecodeRows, 1, kDecodeThreads,
                         static_cast<std::size_t>(kMergeSharedBytes)};
  const LaunchReport merged =
      grid.run(merge, seed + 1, [&](EmulatedBlock& block) { merge_records(block, job); });
  report.error = merged.error;
  return report;
}

/// decode(params) of parameters that were validated.
template <ropewalk::cuda::Statistics kStatistics, typename T>
LaunchReport emulate_decode(const ropewalk::cuda::DecodeParams<T>& params, int blocks,
                            std::uint64_t seed) {
  const auto job = ropewalk::cuda::detail::decode_job(params, blocks);
  switch (job.padded_dim) {
    case 64:
      return emulate_decode_job<kStatistics, 64>(job, seed);
    case 96:
      return emulate_decode_job<kStatistics, 96>(job, seed);
    case 128:
      return emulate_decode_job<kStatistics, 128>(job, seed);
    default:
      return emulate_decode_job<kStatistics, 256>(job, seed);
  }
}

}  // namespace ropewalk_test
