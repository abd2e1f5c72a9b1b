// What holds for every position remap, whatever its parameters.
#pragma once

#include <ropewalk/position/remap.hpp>
#include <ropewalk/position/rerope.hpp>

#include <cstdint>
#include <string>

namespace ropewalk_test {

/// Steps of a distant position per token: only Leaky ReRoPE has more than one.
template <typename Remap>
std::int64_t steps_per_token(const Remap&, ropewalk::Pass) {
  return 1;
}
inline std::int64_t steps_per_token(const ropewalk::LeakyRerope& remap, ropewalk::Pass pass) {
  return pass == ropewalk::Pass::distant ? remap.factor : 1;
}

/// One query and one key: at most one pass covers it, and its positions give the remapped distance.
template <typename Remap>
std::string disagreement(const Remap& remap, std::int64_t query, std::int64_t key) {
  int covered = 0;
  for (const ropewalk::Pass pass : ropewalk::kPasses) {
    if (!remap.keys(pass, query).contains(key)) continue;
    ++covered;
    const std::int64_t steps = remap.query_position(pass, query) - remap.key_position(pass, key);
    using Distance = decltype(remap.relative(query, key));
    const auto distance =
        static_cast<Distance>(steps) / static_cast<Distance>(steps_per_token(remap, pass));
    if (distance != remap.relative(query, key)) return "distance";
    if (ropewalk::pass_of(remap, query, key) != pass) return "pass";
  }
  if (covered > 1) return "covered twice";
  return ropewalk::is_visible(remap, query, key) == (covered == 1) ? "" : "visible";
}

}  // namespace ropewalk_test
