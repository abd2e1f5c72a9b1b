// STRING: well-trained distances in place of rarely trained ones. Row 8.
#pragma once

#include <ropewalk/position/remap.hpp>

namespace ropewalk {
inline namespace v0 {

/// Distance r below `shift`, else r - shift + local: it jumps back to `local`, by design.
///   Valid for    1 <= local <= shift < original_length, or shift kUnlimited
///   Identity     shift kUnlimited (or local = shift)
///   Source       An et al. 2024, arXiv 2410.18745; as its code decodes. Its prefill counts the
///                key at distance shift in both passes
struct StringShift {
  std::int64_t shift = kUnlimited;  // S; the paper: about a third of the trained length
  std::int64_t local = 128;         // W; smallest distance of a distant key

  Fault validate(const RopeConfig& config) const noexcept {
    if (const Fault fault = config.validate(); fault.code != Errc::ok) return fault;
    if (const Fault fault = detail::check_length("local", local, 1); fault.code != Errc::ok) {
      return fault;
    }
    if (shift == kUnlimited) return {};
    if (const Fault fault = detail::check_trained(config, "shift", shift, 1);
        fault.code != Errc::ok) {
      return fault;
    }
    if (local > shift) return {Errc::above_maximum, "local", static_cast<double>(local)};
    return {};
  }

  std::int64_t relative(std::int64_t query, std::int64_t key) const noexcept {
    ROPEWALK_ASSERT(detail::is_query_key(query, key), "StringShift: 0 <= key <= query");
    const std::int64_t r = query - key;
    return r < shift ? r : r - (shift - local);
  }

  KeyRange keys(Pass pass, std::int64_t query) const noexcept {
    return detail::keys_by_window(pass, shift, query);
  }

  std::int64_t query_position(Pass pass, std::int64_t query) const noexcept {
    return pass == Pass::distant ? query - (shift - local) : query;
  }

  std::int64_t key_position(Pass, std::int64_t key) const noexcept { return key; }
};

}  // namespace v0
}  // namespace ropewalk
