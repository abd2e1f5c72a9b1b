// Self-Extend: distant positions divided by a group size, close ones kept. Row 8.
#pragma once

#include <ropewalk/position/remap.hpp>

namespace ropewalk {
inline namespace v0 {
namespace detail {

inline Fault check_groups(const RopeConfig& config, std::int64_t group,
                          std::int64_t window) noexcept {
  if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
  if (const Fault fault = check_length("group", group, 1); fault.code != Errc::ok) return fault;
  if (const Fault fault = check_length("window", window, 1); fault.code != Errc::ok) return fault;
  if (group == 1) return {};
  if (window % group != 0) return {Errc::indivisible, "group", static_cast<double>(group)};
  return check_trained(config, "window", window, 1);
}

}  // namespace detail

/// Distance r below the window as it is, else query / group - key / group + window - window / group
/// in whole numbers: at the window it is the window, beyond it grows by one every group.
///   Valid for    group >= 1 that divides window, window < original_length (validate() says which
///                failed); otherwise prefill and decode of the published code disagree
///   Identity     group 1
///   Source       Jin et al. 2024, arXiv 2401.01325
struct SelfExtend {
  std::int64_t group = 1;      // tokens that share a distant position; published runs use 8
  std::int64_t window = 1024;  // tokens that keep their own

  Fault validate(const RopeConfig& config) const noexcept {
    return detail::check_groups(config, group, window);
  }

  std::int64_t relative(std::int64_t query, std::int64_t key) const noexcept {
    ROPEWALK_ASSERT(detail::is_query_key(query, key), "SelfExtend: 0 <= key <= query");
    if (query - key < window) return query - key;
    return query / group - key / group + (window - window / group);
  }

  KeyRange keys(Pass pass, std::int64_t query) const noexcept {
    return detail::keys_by_window(pass, window, query);
  }

  std::int64_t query_position(Pass pass, std::int64_t query) const noexcept {
    return pass == Pass::distant ? query / group + (window - window / group) : query;
  }

  std::int64_t key_position(Pass pass, std::int64_t key) const noexcept {
    return pass == Pass::distant ? key / group : key;
  }

  /// Tokens until a distance reaches original_length: (original_length - window) group + window.
  ///   Throws       std::invalid_argument for a fault of validate(), an unknown original_length and
  ///                a capacity over kLargestPosition
  std::int64_t capacity(const RopeConfig& config) const {
    detail::require("SelfExtend::capacity", validate(config));
    detail::require("SelfExtend::capacity", detail::check_trained(config, "window", window, 1));
    const std::int64_t distant = config.original_length - window;
    if (distant > (kLargestPosition - window) / group) {
      detail::refuse("SelfExtend::capacity",
                     {Errc::above_maximum, "group", static_cast<double>(group)});
    }
    return distant * group + window;
  }
};

/// Self-Extend as llama.cpp keeps it in its cache (--grp-attn-n, --grp-attn-w), tokens decoded one
/// at a time: whenever another `window` tokens are complete, their positions are divided by `group`
/// and later ones close up. Distances are exact inside the query's own block of `window` tokens,
/// not for a sliding window, and the query has one position for all keys; at the last token of a
/// block the distances are those of SelfExtend.
///   Valid for    as SelfExtend
///   Identity     group 1
///   Source       ggml-org/llama.cpp, pull request 4815; the closed form of its loop
struct BlockSelfExtend {
  std::int64_t group = 1;     // --grp-attn-n
  std::int64_t window = 512;  // --grp-attn-w

  Fault validate(const RopeConfig& config) const noexcept {
    return detail::check_groups(config, group, window);
  }

  /// Where a token stands after the loop has run on `cached` tokens, itself among them or not.
  ///   Shape        compressed blocks first, window / group positions each, then single tokens
  std::int64_t position(std::int64_t token, std::int64_t cached) const noexcept {
    ROPEWALK_ASSERT(detail::is_position(token) && detail::is_position(cached),
                    "BlockSelfExtend: token >= 0, cached >= 0");
    const std::int64_t blocks = cached / window;
    if (token / window < blocks) return token / group;
    return token - blocks * (window - window / group);
  }

  std::int64_t relative(std::int64_t query, std::int64_t key) const noexcept {
    ROPEWALK_ASSERT(detail::is_query_key(query, key), "BlockSelfExtend: 0 <= key <= query");
    return position(query, query) - position(key, query);
  }

  KeyRange keys(Pass pass, std::int64_t query) const noexcept {
    ROPEWALK_ASSERT(detail::is_position(query), "BlockSelfExtend: query >= 0");
    const std::int64_t block = query - query % window;
    if (pass == Pass::neighbours) return {block, query + 1};
    return pass == Pass::distant ? KeyRange{0, block} : KeyRange{};
  }

  std::int64_t query_position(Pass, std::int64_t query) const noexcept {
    return position(query, query);
  }

  std::int64_t key_position(Pass pass, std::int64_t key) const noexcept {
    return pass == Pass::distant ? key / group : position(key, key);
  }
};

}  // namespace v0
}  // namespace ropewalk
