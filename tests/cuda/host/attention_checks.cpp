#include <ropewalk/cuda/attention/checks.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace rw = ropewalk;
namespace rc = rw::cuda;
using rw::Errc;

namespace {

using T = rw::float16;

/// A sound call: 2 sequences of 3 queries and 5 keys, 4 heads on 2, head_dim 16.
struct Call {
  alignas(16) T q[2 * 3 * 4 * 16] = {};
  alignas(16) T k[2 * 5 * 2 * 16] = {};
  alignas(16) T v[2 * 5 * 2 * 16] = {};
  alignas(16) T out[2 * 3 * 4 * 16] = {};
  float statistics[4][2 * 3 * 4] = {};
  float head_scale[4] = {};
  std::int32_t starts[3] = {};
  rc::AttentionParams<T> params;

  Call() {
    params.shape = {2, 3, 5, 4, 2, 16};
    params.q = {q, 3 * 4 * 16, 4 * 16, 16};
    params.k = {k, 5 * 2 * 16, 2 * 16, 16};
    params.v = {v, 5 * 2 * 16, 2 * 16, 16};
    params.out = {out, 3 * 4 * 16, 4 * 16, 16};
    params.statistics = {statistics[0], statistics[1], statistics[2], statistics[3]};
    params.scale.head_scale = head_scale;
  }
};

template <typename Change>
rw::Fault fault_of(Change&& change) {
  Call call;
  change(call.params, call);
  return rc::validate(call.params);
}

#define REFUSES(expected_code, expected_field, ...)                                    \
  do {                                                                                 \
    const rw::Fault fault = fault_of([&](rc::AttentionParams<T>& params, Call& call) { \
      static_cast<void>(call);                                                         \
      __VA_ARGS__;                                                                     \
    });                                                                                \
    CHECK(fault.code == Errc::expected_code);                                          \
    CHECK(std::string(fault.field) == (expected_field));                               \
  } while (false)

}  // namespace

TEST_CASE("sound parameters are not refused, nor are those without rows or keys") {
  CHECK(fault_of([](rc::AttentionParams<T>&, Call&) {}).code == Errc::ok);
  const auto ok = [](auto&& change) { return fault_of(change).code == Errc::ok; };
  CHECK(ok([](auto& params, Call&) { params = {}, params.shape = {0, 0, 0, 1, 1, 8}; }));
  CHECK(ok([](auto& params, Call&) {
    params.shape.keys = 0;
    params.k = {};
    params.v = {};
  }));
  CHECK(ok([](auto& params, Call&) {  // statistics alone
    params.v = {};
    params.out = {};
  }));
  CHECK(ok([](auto& params, Call& call) {  // heads before tokens, packed
    params.out = {call.out, 0, 16, 2 * 3 * 16};
    params.query_starts = call.starts;
  }));
}

TEST_CASE("sizes, strides and addresses that cannot be are refused by name") {
  REFUSES(below_minimum, "shape.sequences", params.shape.sequences = -1);
  REFUSES(below_minimum, "shape.keys", params.shape.keys = -1);
  REFUSES(below_minimum, "shape.kv_heads", params.shape.kv_heads = 0);
  REFUSES(above_maximum, "shape.keys", params.shape.keys = 2147483647);
  REFUSES(indivisible, "shape.heads", params.shape.heads = 5);
  REFUSES(indivisible, "shape.head_dim", params.shape.head_dim = 12);
  REFUSES(above_maximum, "shape.head_dim", params.shape.head_dim = 264);
  REFUSES(above_maximum, "shape.queries", params.shape.queries = 2147483647;
          params.shape.sequences = 2147483647; params.q.token_stride = 0);
  REFUSES(unknown, "q", params.q.data = nullptr);
  REFUSES(unknown, "k", params.k.data = nullptr);
  REFUSES(unknown, "v", params.v.data = nullptr);
  REFUSES(unknown, "out", params.out.data = nullptr);
  REFUSES(indivisible, "q", params.q.data += 1);
  REFUSES(indivisible, "k", params.k.token_stride = 33);
  REFUSES(below_minimum, "v", params.v.head_stride = -16);
  REFUSES(above_maximum, "k", params.k.token_stride = std::int64_t{1} << 62);
  REFUSES(indivisible, "statistics.lse",
          params.statistics.lse = reinterpret_cast<float*>(
              reinterpret_cast<unsigned char*>(params.statistics.lse) + 2));
}

TEST_CASE("scales and masks that cannot be are refused by name") {
  REFUSES(below_minimum, "scale.softmax_scale", params.scale.softmax_scale = -1.0);
  REFUSES(not_finite, "scale.softmax_scale",
          params.scale.softmax_scale = (std::numeric_limits<double>::infinity)());
  REFUSES(above_maximum, "scale.softmax_scale", params.scale.softmax_scale = 1e300);
  REFUSES(below_minimum, "mask.window", params.mask.window = 0);
  REFUSES(below_minimum, "mask.first_keys", params.mask.first_keys = -1);
  REFUSES(below_minimum, "mask.chunk", params.mask.chunk = 0);
}

TEST_CASE("memory that is written while it is read or written is refused by name") {
  REFUSES(overlapping, "out", params.out.data = call.q);
  REFUSES(overlapping, "out", params.out.token_stride = 8);
  REFUSES(overlapping, "out", params.out.sequence_stride = 2 * 4 * 16);
  REFUSES(overlapping, "out", params.query_starts = call.starts; params.out.token_stride = 0);
  REFUSES(overlapping, "statistics.entropy",
          params.statistics.entropy = params.statistics.lse + 23);
  REFUSES(overlapping, "statistics.variance", params.statistics.variance = params.statistics.mean);
  REFUSES(overlapping, "statistics.lse", params.statistics.lse = call.head_scale);
  REFUSES(overlapping, "statistics.mean",
          params.statistics.mean = reinterpret_cast<float*>(call.out));
}

TEST_CASE("statistics beyond the level and values where none are taken are refused by name") {
  using rc::Statistics;
  Call call;
  const auto field = [&](Statistics level) {
    return std::string(rc::detail::check_statistics(call.params.statistics, level).field);
  };
  CHECK(field(Statistics::lse) == "statistics.entropy");
  CHECK(field(Statistics::entropy) == "statistics.variance");
  CHECK(rc::detail::check_statistics(call.params.statistics, Statistics::variance).code ==
        Errc::ok);
  CHECK(rc::detail::check_values(call.params, true).code == Errc::ok);
  CHECK(std::string(rc::detail::check_values(call.params, false).field) == "v");
  call.params.v = {};
  CHECK(std::string(rc::detail::check_values(call.params, true).field) == "v");
  CHECK(std::string(rc::detail::check_values(call.params, false).field) == "out");
  call.params.out = {};
  CHECK(std::string(rc::detail::check_values(call.params, true).field) == "out");
  CHECK(rc::detail::check_values(call.params, false).code == Errc::ok);
}

TEST_CASE("a head is computed as the next size that is compiled") {
  CHECK(rc::detail::padded_head_dim(8) == 64);
  CHECK(rc::detail::padded_head_dim(64) == 64);
  CHECK(rc::detail::padded_head_dim(72) == 96);
  CHECK(rc::detail::padded_head_dim(104) == 128);
  CHECK(rc::detail::padded_head_dim(136) == 256);
  CHECK(rc::detail::padded_head_dim(264) == 0);
}
