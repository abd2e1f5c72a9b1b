// What decoding refuses before it launches. Host code without CUDA types; nothing that lies on the
// device is read.
#pragma once

#include <ropewalk/cuda/attention/checks.hpp>
#include <ropewalk/cuda/decode/params.hpp>
#include <ropewalk/cuda/decode/shared.hpp>
#include <ropewalk/cuda/rotary/checks.hpp>
#include <ropewalk/head_view.hpp>

#include <cstddef>
#include <cstdint>

namespace ropewalk {
inline namespace v0 {
namespace cuda {
namespace detail {

/// The cache, and its memory: of pages that are named on the device, all that there are.
template <typename T>
Fault check_decode_cache(const DecodeParams<T>& params, ArgumentMemory& memory) noexcept {
  const KvCache<const T>& cache = params.cache;
  const AttentionShape& shape = params.shape;
  const Fault fault = validate(cache, shape.kv_heads, shape.head_dim);
  if (fault.code != Errc::ok) return fault;
  const struct {
    const char* name;
    std::uint64_t rest;
  } rests[5] = {{"cache.k", reinterpret_cast<std::uintptr_t>(cache.k) % 16},
                {"cache.v", reinterpret_cast<std::uintptr_t>(cache.v) % 16},
                {"cache.page_stride", static_cast<std::uint64_t>(cache.page_stride) % 8},
                {"cache.token_stride", static_cast<std::uint64_t>(cache.token_stride) % 8},
                {"cache.head_stride", static_cast<std::uint64_t>(cache.head_stride) % 8}};
  for (const auto& item : rests) {
    if (item.rest != 0) return {Errc::indivisible, item.name, static_cast<double>(item.rest)};
  }
  if (shape.sequences > cache.all_sequences()) {
    return {Errc::above_maximum, "shape.sequences", static_cast<double>(shape.sequences)};
  }
  if (cache.page_table != nullptr &&
      cache.sequences > (std::int64_t{1} << 60) / cache.pages_per_sequence) {
    return {Errc::above_maximum, "cache.sequences", static_cast<double>(cache.sequences)};
  }
  // Bounded by validate(cache).
  const std::int64_t extent = (cache.pages - 1) * cache.page_stride +
                              (cache.page_size - 1) * cache.token_stride +
                              (shape.kv_heads - 1) * cache.head_stride + shape.head_dim;
  memory.add(cache.k, extent * static_cast<std::int64_t>(sizeof(T)), "cache.k", false);
  memory.add(cache.v, extent * static_cast<std::int64_t>(sizeof(T)), "cache.v", false);
  return check_array(cache.page_table,
                     cache.page_table == nullptr ? 0 : cache.sequences * cache.pages_per_sequence,
                     "cache.page_table", memory);
}

template <typename T>
Fault check_decode_angles(const DecodeParams<T>& params) noexcept {
  const RotaryAngles& angles = params.angles;
  if (angles.pairs == 0) return {};
  const Fault fault = check_angles(params, 0, params.shape.head_dim);
  if (fault.code != Errc::ok) return fault;
  if (angles.pairs % kChunkElements != 0) {
    return {Errc::indivisible, "angles.pairs", static_cast<double>(angles.pairs)};
  }
  if (params.first_dim % kChunkElements != 0) {
    return {Errc::indivisible, "first_dim", static_cast<double>(params.first_dim)};
  }
  return {};
}

/// What limits the arithmetic of the kernel: chunks of rows in 31 bits, tiles times blocks in 62,
/// tiles of a block in 31.
template <typename T>
Fault check_decode_sizes(const DecodeParams<T>& params, int blocks) noexcept {
  const AttentionShape& shape = params.shape;
  constexpr std::int64_t most_rows = 0x3fffff0;  // and a step of the threads
  const std::int64_t rows =
      ropewalk::detail::add_product(0, std::int64_t{shape.sequences} * shape.queries, shape.heads);
  if (rows < 0 || rows > most_rows) {
    return {Errc::above_maximum, "shape.queries", static_cast<double>(shape.queries)};
  }
  const std::int64_t tiles = params.cache.tokens_per_sequence() / kDecodeTileKeys + 2;
  const std::int64_t units = decode_units(shape) * shape.sequences;  // no more than rows
  const std::int64_t all = ropewalk::detail::add_product(0, units, tiles);
  constexpr std::int64_t most = std::int64_t{1} << 62;
  constexpr std::int64_t most_of_block = 0x7fffffff;
  if (all < 0 || all > most / blocks || all / blocks >= most_of_block) {
    return {Errc::above_maximum, "shape.sequences", static_cast<double>(shape.sequences)};
  }
  return {};
}

/// The workspace, and all arrays of the call.
template <typename T>
Fault check_decode_memory(const DecodeParams<T>& params, int blocks) noexcept {
  const AttentionShape& shape = params.shape;
  const std::int64_t tokens = std::int64_t{shape.sequences} * shape.queries;
  const BatchSize queries{shape.sequences, shape.queries, shape.heads, shape.head_dim, false};
  if (params.key_counts == nullptr) return {Errc::unknown, "key_counts", 0.0};
  if (params.workspace == nullptr) return {Errc::unknown, "workspace", 0.0};
  const auto rest = reinterpret_cast<std::uintptr_t>(params.workspace) % 16;
  if (rest != 0) return {Errc::indivisible, "workspace", static_cast<double>(rest)};
  const std::size_t bytes = decode_workspace_bytes(shape, blocks);
  if (params.workspace_bytes < bytes) {
    return {Errc::below_minimum, "workspace_bytes", static_cast<double>(params.workspace_bytes)};
  }
  ArgumentMemory memory;
  const RowOutputs& to = params.statistics;
  const LogitScale& scale = params.scale;
  const Fault faults[11] = {
      check_batch(params.q, queries, "q", memory),
      check_batch(params.out, queries, "out", memory),
      check_decode_cache(params, memory),
      check_array(params.key_counts, shape.sequences, "key_counts", memory),
      check_array(scale.head_scale, shape.heads, "scale.head_scale", memory),
      check_array(scale.position_scale, tokens, "scale.position_scale", memory),
      check_array(scale.sink_logit, shape.heads, "scale.sink_logit", memory),
      check_array(to.lse, tokens * shape.heads, "statistics.lse", memory),
      check_array(to.entropy, tokens * shape.heads, "statistics.entropy", memory),
      check_array(to.mean, tokens * shape.heads, "statistics.mean", memory),
      check_array(to.variance, tokens * shape.heads, "statistics.variance", memory),
  };
  for (const Fault& fault : faults) {
    if (fault.code != Errc::ok) return fault;
  }
  memory.add(params.workspace, static_cast<std::int64_t>(bytes), "workspace", true);
  return memory.overlap();
}

}  // namespace detail

/// Errc::ok, or the first field that cannot be computed with. Data on the device is not looked at:
/// counts and pages beyond the cache are cut to it by the kernel.
///   blocks       of threads that will run, >= 1
///   level        of the statistics that are compiled
template <typename T>
Fault validate(const DecodeParams<T>& params, int blocks, Statistics level) noexcept {
  Fault fault = detail::check_shape(params.shape);
  if (fault.code != Errc::ok) return fault;
  if (params.shape.sequences == 0 || params.shape.queries == 0) return {};
  if (blocks < 1) return {Errc::below_minimum, "blocks", static_cast<double>(blocks)};
  if (blocks > kMaximumDecodeBlocks) {
    return {Errc::above_maximum, "blocks", static_cast<double>(blocks)};
  }
  const Fault faults[4] = {detail::check_scale(params.scale), detail::check_mask(params.mask),
                           detail::check_statistics(params.statistics, level),
                           detail::check_decode_angles(params)};
  for (const Fault& found : faults) {
    if (found.code != Errc::ok) return found;
  }
  fault = detail::check_decode_sizes(params, blocks);
  return fault.code != Errc::ok ? fault : detail::check_decode_memory(params, blocks);
}

}  // namespace cuda
}  // namespace v0
}  // namespace ropewalk
