#include <ropewalk/mask.hpp>

#include "support/attention_reference.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rw = ropewalk;
using ropewalk_test::Random;

namespace {

constexpr std::int64_t kLargest = rw::kLargestPosition;

/// What is wrong with the keys a query is given, compared key by key with the definition.
std::string fault_of(const rw::AttentionMask& mask, std::int64_t query, rw::KeyRange all,
                     const std::vector<std::int64_t>& keys) {
  const rw::VisibleKeys visible = mask.keys(query, all);
  const rw::KeyRange first = visible.first_keys;
  const rw::KeyRange band = visible.band;
  if (first.first > first.end || band.first > band.end) return "a range ends before it begins";
  if (first.first < all.first || first.end > all.end) return "first keys leave the keys";
  if (band.size() > 0 && (band.first < all.first || band.end > all.end)) {
    return "the band leaves the keys";
  }
  if (band.first < first.end) return "the band begins before the first keys end";
  for (const std::int64_t key : keys) {
    if (visible.contains(key) != ropewalk_test::sees(mask, query, key)) {
      return "key " + std::to_string(key) + (visible.contains(key) ? " is" : " is not") + " seen";
    }
  }
  return "";
}

std::string text_of(const rw::AttentionMask& mask, std::int64_t query, rw::KeyRange all) {
  return "causal " + std::to_string(mask.causal) + " window " + std::to_string(mask.window) +
         " first_keys " + std::to_string(mask.first_keys) + " chunk " + std::to_string(mask.chunk) +
         " query " + std::to_string(query) + " keys " + std::to_string(all.first) + " to " +
         std::to_string(all.end);
}

std::vector<std::int64_t> all_of(rw::KeyRange range) {
  std::vector<std::int64_t> keys;
  for (std::int64_t key = range.first; key < range.end; ++key) keys.push_back(key);
  return keys;
}

}  // namespace

TEST_CASE("by default a query sees itself and everything before it") {
  constexpr rw::VisibleKeys visible = rw::AttentionMask{}.keys(5, {0, 9});
  static_assert(visible.size() == 6);
  static_assert(visible.contains(0) && visible.contains(5) && !visible.contains(6));
  static_assert(visible.first_keys.size() == 0);
}

TEST_CASE("a window of 1 shows a query itself alone, in both directions") {
  rw::AttentionMask mask;
  mask.window = 1;
  for (const bool causal : {true, false}) {
    mask.causal = causal;
    const rw::VisibleKeys visible = mask.keys(5, {0, 9});
    CHECK(visible.size() == 1);
    CHECK(visible.contains(5));
  }
}

TEST_CASE("first keys stay in sight whatever window and chunk say, but not before their time") {
  rw::AttentionMask mask;
  mask.window = 2;
  mask.chunk = 4;
  mask.first_keys = 3;
  const rw::VisibleKeys late = mask.keys(100, {0, 101});
  CHECK(late.first_keys.size() == 3);
  CHECK(late.band.first == 100);
  CHECK(late.band.end == 101);
  CHECK(mask.keys(1, {0, 101}).size() == 2);
  mask.causal = false;
  CHECK(mask.keys(1, {0, 101}).size() == 3);
}

TEST_CASE("a query before all keys, or without any, sees nothing") {
  CHECK(rw::AttentionMask{}.keys(-1, {0, 9}).size() == 0);
  CHECK(rw::AttentionMask{}.keys(3, {0, 0}).size() == 0);
  CHECK(rw::AttentionMask{}.keys(-kLargest, {kLargest, kLargest}).size() == 0);
}

TEST_CASE("any mask shows exactly the keys of its definition, at positions of both signs") {
  Random random("mask");
  std::string where;
  for (int attempt = 0; attempt < 20000 && where.empty(); ++attempt) {
    rw::AttentionMask mask;
    mask.causal = random.one_in(2);
    if (random.one_in(2)) mask.window = random.length(1, 120);
    if (random.one_in(2)) mask.first_keys = random.integer(0, 60);
    if (random.one_in(2)) mask.chunk = random.length(1, 120);
    const std::int64_t first = random.integer(-60, 60);
    const rw::KeyRange all{first, first + random.integer(0, 60)};
    const std::int64_t query = random.integer(-80, 130);
    const std::string fault = fault_of(mask, query, all, all_of(all));
    if (!fault.empty()) where = fault + ": " + text_of(mask, query, all);
  }
  INFO(ropewalk_test::seed_text());
  CHECK(where == "");
}

TEST_CASE("positions, windows and chunks at the ends of int64 neither overflow nor lie") {
  const std::vector<std::int64_t> lengths = {1,
                                             2,
                                             1000,
                                             std::int64_t{1} << 61,
                                             (std::int64_t{1} << 61) + 1,
                                             kLargest - 1,
                                             kLargest,
                                             kLargest + 1,
                                             kLargest + 2,
                                             kLargest + 3,
                                             rw::kUnlimited - 2,
                                             rw::kUnlimited - 1,
                                             rw::kUnlimited};
  std::vector<std::int64_t> positions;
  for (const std::int64_t base :
       {-kLargest, -(std::int64_t{1} << 61), std::int64_t{0}, std::int64_t{1} << 61, kLargest}) {
    for (std::int64_t step = -2; step <= 2; ++step) {
      if (base + step >= -kLargest && base + step <= kLargest) positions.push_back(base + step);
    }
  }
  std::string where;
  const auto judge = [&](const rw::AttentionMask& mask, std::int64_t query, rw::KeyRange all,
                         const std::vector<std::int64_t>& keys) {
    const std::string fault = fault_of(mask, query, all, keys);
    if (!fault.empty() && where.empty()) where = fault + ": " + text_of(mask, query, all);
  };
  for (const bool causal : {true, false}) {
    for (const std::int64_t window : lengths) {
      for (const std::int64_t chunk : lengths) {
        for (const std::int64_t first_keys : {std::int64_t{0}, std::int64_t{1}, rw::kUnlimited}) {
          const rw::AttentionMask mask{causal, window, first_keys, chunk};
          for (const std::int64_t query : positions) {
            std::vector<std::int64_t> inside = positions;
            inside.pop_back();  // the end of the range of all
            judge(mask, query, {-kLargest, kLargest}, inside);
            for (const std::int64_t first : {positions.front(), positions[10], positions.back()}) {
              const std::int64_t end = first + (first < kLargest ? 1 : 0);
              judge(mask, query, {first, end}, all_of({first, end}));
            }
          }
        }
      }
    }
  }
  CHECK(where == "");
}

TEST_CASE("a mask names the field that nothing could be seen through") {
  CHECK(rw::AttentionMask{}.validate().code == rw::Errc::ok);
  const rw::Fault window = rw::AttentionMask{true, 0}.validate();
  CHECK(window.code == rw::Errc::below_minimum);
  CHECK(std::string(window.field) == "window");
  CHECK(window.value == 0.0);
  const rw::Fault first_keys = rw::AttentionMask{true, 1, -1}.validate();
  CHECK(first_keys.code == rw::Errc::below_minimum);
  CHECK(std::string(first_keys.field) == "first_keys");
  CHECK(first_keys.value == -1.0);
  const rw::Fault chunk = rw::AttentionMask{true, 1, 0, -7}.validate();
  CHECK(chunk.code == rw::Errc::below_minimum);
  CHECK(std::string(chunk.field) == "chunk");
  CHECK(chunk.value == -7.0);
}
