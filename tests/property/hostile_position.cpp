// Numbers nobody should pass, in every parameter of every position scheme: each is refused with the
// name of a field, or everything the scheme offers can be computed at every position of a text.
#include <ropewalk/position/alibi.hpp>
#include <ropewalk/position/axial.hpp>
#include <ropewalk/position/chunk_masks.hpp>
#include <ropewalk/position/dual_chunk.hpp>
#include <ropewalk/position/lm_infinite.hpp>
#include <ropewalk/position/multi_axis.hpp>
#include <ropewalk/position/rerope.hpp>
#include <ropewalk/position/self_extend.hpp>
#include <ropewalk/position/streaming.hpp>
#include <ropewalk/position/string.hpp>
#include <ropewalk/position/t5_bias.hpp>
#include <ropewalk/position/xpos.hpp>

#include "support/catch.hpp"
#include "support/remap.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

using Long = std::numeric_limits<std::int64_t>;
using Int = std::numeric_limits<int>;

const std::vector<std::int64_t> kLengths = {(Long::min)(),
                                            -(std::int64_t{1} << 53) - 1,
                                            -1,
                                            0,
                                            1,
                                            2,
                                            3,
                                            8,
                                            511,
                                            512,
                                            4095,
                                            4096,
                                            4097,
                                            (std::int64_t{1} << 31) - 1,
                                            std::int64_t{1} << 31,
                                            std::int64_t{1} << 32,
                                            (std::int64_t{1} << 53) - 1,
                                            std::int64_t{1} << 53,
                                            (std::int64_t{1} << 53) + 1,
                                            std::int64_t{1} << 62,
                                            rw::kUnlimited - 1,
                                            rw::kUnlimited};

const std::vector<std::int64_t> kTrained = {
    0, 1, 8, 4096, (std::int64_t{1} << 53) - 1, std::int64_t{1} << 53};

const std::vector<std::int64_t> kQueries = {0,
                                            1,
                                            8,
                                            511,
                                            512,
                                            5000,
                                            std::int64_t{1} << 32,
                                            std::int64_t{1} << 53,
                                            rw::kLargestPosition - 1,
                                            rw::kLargestPosition};

const std::vector<double> kReals = {std::numeric_limits<double>::quiet_NaN(),
                                    -std::numeric_limits<double>::quiet_NaN(),
                                    std::numeric_limits<double>::infinity(),
                                    -std::numeric_limits<double>::infinity(),
                                    0.0,
                                    -0.0,
                                    std::numeric_limits<double>::denorm_min(),
                                    1e-300,
                                    -1.0,
                                    0.5,
                                    8.0,
                                    512.0,
                                    1022.0,
                                    1e300,
                                    (std::numeric_limits<double>::max)()};

rw::RopeConfig trained_to(std::int64_t length) { return {128, 128, 10000.0, length}; }

/// True for a sound scheme; notes a refusal that names no field.
bool is_sound(const rw::Fault& fault, std::string& wrong) {
  if (fault.code == rw::Errc::ok) return true;
  if (std::string(fault.field).empty()) wrong = "refused without a name";
  return false;
}

/// Every pair of parameters of a remap, at every length and position above.
template <typename Remap>
void check_remap(const char* name, std::size_t least_accepted) {
  std::string wrong;
  std::size_t accepted = 0;
  for (const std::int64_t length : kTrained) {
    for (const std::int64_t first : kLengths) {
      for (const std::int64_t second : kLengths) {
        const Remap remap{first, second};
        if (!is_sound(remap.validate(trained_to(length)), wrong)) continue;
        ++accepted;
        for (const std::int64_t query : kQueries) {
          for (const std::int64_t key : {std::int64_t{0}, query / 2, query}) {
            const std::string found = disagreement(remap, query, key);
            if (found.empty() || !wrong.empty()) continue;
            wrong = found + ": parameters " + std::to_string(first) + ", " +
                    std::to_string(second) + ", trained to " + std::to_string(length) + ", at " +
                    std::to_string(query) + ", " + std::to_string(key);
          }
        }
      }
    }
  }
  INFO(name << ", " << accepted << " accepted");
  CHECK(wrong == "");
  CHECK(accepted >= least_accepted);
}

/// One parameter, so that both may go into the same loop.
struct OneRerope : rw::Rerope {
  OneRerope(std::int64_t first, std::int64_t) : rw::Rerope{first} {}
};

/// The smallest and largest key of a range lie between 0 and the query.
bool is_causal(const rw::KeyRange& keys, std::int64_t query) {
  return 0 <= keys.first && keys.first <= query && keys.end == query + 1;
}

/// Neither refused by name nor a number that can be used.
template <typename Function>
bool escapes(Function function) {
  try {
    const double result = function();
    return !rw::detail::is_finite(result) || result <= 0.0;
  } catch (const std::invalid_argument& error) {
    return std::string(error.what()).find(" = ") == std::string::npos;
  }
}

}  // namespace

TEST_CASE("a remap refuses hostile parameters by name or computes with them everywhere") {
  check_remap<rw::SelfExtend>("Self-Extend", 100);
  check_remap<rw::BlockSelfExtend>("Self-Extend in blocks", 100);
  check_remap<OneRerope>("ReRoPE", 100);
  check_remap<rw::LeakyRerope>("Leaky ReRoPE", 100);
  check_remap<rw::LmInfinite>("LM-Infinite", 100);
  check_remap<rw::Streaming>("StreamingLLM", 100);
  check_remap<rw::DualChunk>("Dual Chunk", 100);
  check_remap<rw::StringShift>("STRING", 100);
}

TEST_CASE("Self-Extend's capacity is a position or a refusal") {
  bool wrong = false;
  for (const std::int64_t length : kTrained) {
    for (const std::int64_t group : kLengths) {
      for (const std::int64_t window : kLengths) {
        wrong = wrong || escapes([&] {
                  const std::int64_t capacity =
                      rw::SelfExtend{group, window}.capacity(trained_to(length));
                  return capacity <= rw::kLargestPosition ? static_cast<double>(capacity) : -1.0;
                });
      }
    }
  }
  CHECK_FALSE(wrong);
}

TEST_CASE("a mask refuses hostile parameters by name or stays causal everywhere") {
  std::string wrong;
  for (const std::int64_t size : kLengths) {
    const rw::ChunkMask chunks{size};
    const rw::ShiftedGroups groups{size};
    const rw::HeadSpans spans{{1, size}};
    const bool sound[3] = {is_sound(chunks.validate(), wrong), is_sound(groups.validate(), wrong),
                           is_sound(spans.validate(), wrong)};
    for (const std::int64_t query : kQueries) {
      bool causal = !sound[0] || is_causal(chunks.keys(query), query);
      causal = causal && (!sound[1] || is_causal(groups.keys(query, 1, 2), query));
      causal = causal && (!sound[2] || is_causal(spans.keys(query, 1), query));
      if (!causal) wrong = std::to_string(size) + " at " + std::to_string(query);
    }
    if (escapes([&] { return static_cast<double>(rw::shifted_groups_for_length(size).group); }) ||
        escapes([&] { return static_cast<double>(rw::dual_chunk_for_length(size).chunk); })) {
      wrong = "for a length of " + std::to_string(size);
    }
  }
  CHECK(wrong == "");
}

TEST_CASE("axes refuse hostile sections by name or give every pair one of them") {
  const std::vector<int> sizes = {(Int::min)(), -1, 0, 1, 16, 20, 24, 64, 65, (Int::max)()};
  std::string wrong;
  int accepted = 0;
  for (const int order : {-1, 0, 1, 2, 3}) {
    for (const int axes : {(Int::min)(), -1, 0, 1, 2, 3, 4, 5, (Int::max)()}) {
      for (const int t : sizes) {
        for (const int h : sizes) {
          for (const int w : sizes) {
            rw::MultiAxis scheme{static_cast<rw::AxisOrder>(order), axes, {t, h, w, 0}};
            if (!is_sound(scheme.validate(trained_to(0)), wrong)) continue;
            ++accepted;
            for (int pair = 0; pair < 64; ++pair) {
              const int axis = scheme.axis_of_pair(pair);
              if (axis < 0 || axis >= axes) wrong = "axis " + std::to_string(axis);
            }
          }
        }
      }
    }
  }
  CHECK(wrong == "");
  CHECK(accepted > 3000);  // one axis takes any sections
}

TEST_CASE("patches refuse hostile sizes by name or have a frequency for every pair") {
  std::string wrong;
  for (const std::int64_t merge : kLengths) {
    for (const int dim : {(Int::min)(), -4, 0, 1, 2, 4, 6, 64, 65536, 65540, (Int::max)()}) {
      for (const double theta : kReals) {
        const rw::RopeConfig config{dim, dim, theta, 0};
        const bool sound = is_sound(rw::QwenVision{merge}.validate(config), wrong);
        if (sound != (merge >= 1 && merge <= rw::detail::kMaximumLength &&
                      is_sound(rw::PixtralVision{}.validate(config), wrong))) {
          wrong = "merge " + std::to_string(merge);
        }
        if (!sound) continue;
        for (const int pair : {0, config.pairs() / 2, config.pairs() - 1}) {
          const double slowest = rw::PixtralVision{}.inv_freq(config, pair);
          if (!(slowest > 0.0 && slowest <= 1.0)) wrong = "pair " + std::to_string(pair);
        }
      }
    }
  }
  CHECK(wrong == "");
}

TEST_CASE("biases refuse hostile numbers by name or are finite") {
  bool wrong = false;
  for (const double real : kReals) {
    for (const int heads : {(Int::min)(), -1, 0, 1, 3, 65536, 65537, (Int::max)()}) {
      for (const int head : {(Int::min)(), -1, 0, 2, 65535, (Int::max)()}) {
        wrong = wrong || escapes([&] { return rw::alibi_slope(heads, head, real); });
      }
    }
    for (const std::int64_t center : kLengths) {
      for (const std::int64_t position : kLengths) {
        const rw::XPos scale{real, center};
        wrong = wrong || escapes([&] { return scale.query_scale(trained_to(0), position, 0); });
        wrong = wrong || escapes([&] { return scale.key_scale(trained_to(0), position, 63); });
        wrong = wrong ||
                escapes([&] { return scale.product_scale(trained_to(0), position, center, 31); });
      }
    }
  }
  CHECK_FALSE(wrong);
}

TEST_CASE("T5 refuses hostile buckets by name or has a bucket for every distance") {
  bool wrong = false;
  for (const int direction : {-1, 0, 1, 2}) {
    for (const int buckets : {(Int::min)(), -1, 0, 1, 2, 3, 4, 31, 32, 256, 257, (Int::max)()}) {
      for (const std::int64_t distance : kLengths) {
        const rw::T5Buckets options{buckets, distance, static_cast<rw::T5Direction>(direction)};
        wrong = wrong || escapes([&] {
                  const rw::T5Table table = rw::t5_table(options);
                  std::int64_t last = -1;
                  for (const std::int64_t first : table.first_distance) {
                    if (first <= last) return -1.0;
                    last = first;
                  }
                  for (const std::int64_t key : kLengths) {
                    const int bucket = table.bucket(0, key);
                    if (bucket < 0 || bucket >= buckets) return -1.0;
                  }
                  return static_cast<double>(table.first_distance.size());
                });
      }
    }
  }
  CHECK_FALSE(wrong);
}
