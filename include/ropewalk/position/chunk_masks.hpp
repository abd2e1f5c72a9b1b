// Masks that cut causal attention into groups, chunks or spans; positions stay as they are. Row 8.
//
// Each answers with one range of keys per query, already causal.
#pragma once

#include <ropewalk/position/remap.hpp>

#include <cstddef>
#include <vector>

namespace ropewalk {
inline namespace v0 {

/// Attention within chunks of fixed size (the layers of Llama 4 that rotate, 8192 tokens).
///   Valid for    1 <= chunk <= 2^53, or kUnlimited
///   Identity     chunk kUnlimited
///   Source       Llama 4 2025; Hugging Face attention_chunk_size, without padding on the left
struct ChunkMask {
  std::int64_t chunk = kUnlimited;

  Fault validate() const noexcept {
    return chunk == kUnlimited ? Fault{} : detail::check_length("chunk", chunk, 1);
  }

  KeyRange keys(std::int64_t query) const noexcept {
    ROPEWALK_ASSERT(detail::is_position(query), "ChunkMask: query >= 0");
    return {query - query % chunk, query + 1};
  }
};

/// LongLoRA's shifted sparse attention, for training only: the first half of the heads attends
/// within groups, the second half within groups moved by group / 2, so that information crosses.
/// Drawn for group 4 and eight tokens, equal letters see each other:
///   first half of the heads    [aaaabbbb]
///   second half                [aabbbbcc]   the ends are half groups: nothing wraps around
///   Valid for    an even group, 2 .. 2^53, or kUnlimited
///   Identity     group kUnlimited
///   Source       Chen et al. 2023, arXiv 2309.12307; as its flash-attention path. Its other path
///                joins the two ends to one group, where the first tokens see the last
struct ShiftedGroups {
  std::int64_t group = kUnlimited;  // a quarter of the length in the published runs

  std::int64_t shift() const noexcept { return group / 2; }

  Fault validate() const noexcept {
    if (group == kUnlimited) return {};
    if (const Fault fault = detail::check_length("group", group, 2); fault.code != Errc::ok) {
      return fault;
    }
    if (group % 2 != 0) return {Errc::odd, "group", static_cast<double>(group)};
    return {};
  }

  /// True for the second half of the heads; an odd number leaves the larger half shifted.
  static bool is_shifted(int head, int heads) noexcept {
    ROPEWALK_ASSERT(head >= 0 && head < heads, "ShiftedGroups: 0 <= head < heads");
    return head >= heads / 2;
  }

  KeyRange keys(std::int64_t query, int head, int heads) const noexcept {
    ROPEWALK_ASSERT(detail::is_position(query), "ShiftedGroups: query >= 0");
    const std::int64_t place = (query + (is_shifted(head, heads) ? shift() : 0)) % group;
    return {place < query ? query - place : 0, query + 1};
  }
};

/// LongLoRA's groups for a training length: a quarter of it.
///   tokens       a multiple of 8, 8 .. 2^53
inline ShiftedGroups shifted_groups_for_length(std::int64_t tokens) {
  detail::require("shifted_groups_for_length", detail::check_length("tokens", tokens, 8));
  if (tokens % 8 != 0) {
    detail::refuse("shifted_groups_for_length",
                   {Errc::indivisible, "tokens", static_cast<double>(tokens)});
  }
  return {tokens / 4};
}

/// A window of its own for every head.
///   Valid for    every span 1 .. 2^53, or kUnlimited
///   Identity     no spans: every head sees everything
struct HeadSpans {
  std::vector<std::int64_t> span = {};  // (heads,) keys seen, the query's own among them

  Fault validate() const noexcept {
    int head = 0;
    for (const std::int64_t keys : span) {
      Fault fault = keys == kUnlimited ? Fault{} : detail::check_length("span", keys, 1);
      if (fault.code != Errc::ok) {
        fault.index = head;
        return fault;
      }
      ++head;
    }
    return {};
  }

  KeyRange keys(std::int64_t query, int head) const noexcept {
    ROPEWALK_ASSERT(detail::is_position(query), "HeadSpans: query >= 0");
    if (span.empty()) return {0, query + 1};
    ROPEWALK_ASSERT(head >= 0 && static_cast<std::size_t>(head) < span.size(),
                    "HeadSpans: one span per head");
    return detail::keys_within(span[static_cast<std::size_t>(head)], query);
  }
};

}  // namespace v0
}  // namespace ropewalk
