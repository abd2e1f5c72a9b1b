#include <ropewalk/attention.hpp>
#include <ropewalk/attention/checks.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace rw = ropewalk;

namespace {

constexpr std::int64_t kTokens = 6;
constexpr std::int64_t kKeys = 9;
constexpr float kUntouched = 12345.0f;

/// A sound call, for tests to spoil.
struct Call {
  std::vector<float> q_memory = std::vector<float>(4096, 0.5f);
  std::vector<float> k_memory = q_memory;
  std::vector<float> v_memory = q_memory;
  std::vector<float> out_memory = std::vector<float>(4096, kUntouched);
  std::vector<float> lse = std::vector<float>(kTokens * 4, kUntouched);
  std::vector<float> entropy = lse;
  std::vector<float> mean = lse;
  std::vector<float> variance = lse;
  rw::HeadView<const float> q = rw::make_head_view<const float>(q_memory.data(), kTokens, 4, 8);
  rw::HeadView<const float> k = rw::make_head_view<const float>(k_memory.data(), kKeys, 2, 8);
  rw::HeadView<const float> v = rw::make_head_view<const float>(v_memory.data(), kKeys, 2, 5);
  rw::HeadView<float> out = rw::make_head_view(out_memory.data(), kTokens, 4, 5);
  std::vector<double> scales;
  std::vector<rw::AttentionSequence> sequences;
  std::vector<unsigned char> workspace;
  rw::AttentionOptions options;
  rw::AttentionStatistics statistics{lse, entropy, mean, variance};

  Call() = default;
  Call(const Call&) = delete;
};

/// What attend() says to a spoiled call; "accepted", or "wrote before it refused".
std::string answer(const std::function<void(Call&)>& spoil) {
  Call call;
  spoil(call);
  const std::vector<float> q = call.q_memory;
  std::string text = "accepted";
  try {
    rw::attend(call.q, call.k, call.v, call.out, call.options, call.statistics);
  } catch (const std::invalid_argument& error) {
    text = error.what();
    for (const auto* list :
         {&call.out_memory, &call.lse, &call.entropy, &call.mean, &call.variance}) {
      for (const float value : *list) {
        if (value != kUntouched) text = "wrote before it refused";
      }
    }
    if (call.q_memory != q) text = "wrote before it refused";
  }
  return text;
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kLongest = (std::numeric_limits<std::int64_t>::max)();
constexpr std::int64_t kLowest = (std::numeric_limits<std::int64_t>::min)();

}  // namespace

TEST_CASE("a sound call is accepted, with lists of the right length and without any") {
  CHECK(answer([](Call&) {}) == "accepted");
  CHECK(answer([](Call& call) { call.statistics = {}; }) == "accepted");
  CHECK(answer([](Call& call) {
          call.scales.assign(4, 1.5);
          call.options.head_scale = call.scales;
          call.options.sink_logit = call.scales;
        }) == "accepted");
}

TEST_CASE("scales that are no numbers or negative are refused by name, entry and value") {
  CHECK_THAT(answer([](Call& call) { call.options.softmax_scale = kNaN; }),
             contains("attend: softmax_scale = nan is not a finite number") ||
                 contains("attend: softmax_scale = -nan is not a finite number"));
  CHECK_THAT(answer([](Call& call) { call.options.softmax_scale = kInfinity; }),
             contains("softmax_scale = inf is not a finite number"));
  CHECK_THAT(answer([](Call& call) { call.options.softmax_scale = -0.5; }),
             contains("softmax_scale = -0.5 is below"));
  CHECK_THAT(answer([](Call& call) { call.options.softmax_scale = 1e31; }),
             contains("softmax_scale") && contains("e+30 is above"));
  const auto in_head_scale = [](double value) {
    return answer([value](Call& call) {
      call.scales = {1.0, 1.0, value, 1.0};
      call.options.head_scale = call.scales;
    });
  };
  CHECK_THAT(in_head_scale(-1.0), contains("head_scale[2] = -1 is below"));
  CHECK_THAT(in_head_scale(kInfinity), contains("head_scale[2] = inf is not a finite number"));
  CHECK_THAT(in_head_scale(-kInfinity), contains("head_scale[2] = -inf is not a finite number"));
  CHECK_THAT(in_head_scale(kNaN), contains("head_scale[2] = ") && contains("nan is not a finite"));
  CHECK_THAT(in_head_scale(1e300), contains("head_scale") && contains("above the largest value"));
  CHECK(in_head_scale(0.0) == "accepted");
  CHECK_THAT(answer([](Call& call) {
               call.scales = {1.0, 1.0, 1.0, 1.0, kNaN, 1.0};
               call.options.position_scale = call.scales;
             }),
             contains("position_scale[4] = ") && contains("nan is not a finite number"));
  CHECK_THAT(answer([](Call& call) {
               call.scales = {1.0, 1.0, 1.0, 1.0, 1.0, -2.0};
               call.options.position_scale = call.scales;
             }),
             contains("position_scale[5] = -2 is below"));
  CHECK_THAT(answer([](Call& call) {
               call.scales.assign(6, 1e20);
               call.options.position_scale = call.scales;
               call.options.softmax_scale = 1e20;
             }),
             contains("above the largest value"));
}

TEST_CASE("sinks that are no numbers, or that no float comes near, are refused") {
  const auto with_sink = [](double value) {
    return answer([value](Call& call) {
      call.scales = {0.0, value, 0.0, 0.0};
      call.options.sink_logit = call.scales;
    });
  };
  CHECK_THAT(with_sink(kNaN), contains("sink_logit[1] = ") && contains("nan is not a finite"));
  CHECK_THAT(with_sink(-kInfinity), contains("sink_logit[1] = -inf is not a finite number"));
  CHECK_THAT(with_sink(1e300), contains("sink_logit[1] = 1.0000000000000001e+300 is above"));
  CHECK_THAT(with_sink(-1e300), contains("sink_logit[1] = -1.0000000000000001e+300 is"));
  CHECK(with_sink(-1e30) == "accepted");
}

TEST_CASE("lists of another length than the heads or tokens are refused with both counts") {
  const auto with_scales = [](std::size_t count, auto place) {
    return answer([&](Call& call) {
      call.scales.assign(count, 1.0);
      call.options.*place = call.scales;
    });
  };
  CHECK_THAT(with_scales(3, &rw::AttentionOptions::head_scale),
             contains("head_scale has 3, q.heads is 4"));
  CHECK_THAT(with_scales(5, &rw::AttentionOptions::head_scale),
             contains("head_scale has 5, q.heads is 4"));
  CHECK_THAT(with_scales(4, &rw::AttentionOptions::position_scale),
             contains("position_scale has 4, q.tokens is 6"));
  CHECK_THAT(with_scales(2, &rw::AttentionOptions::sink_logit),
             contains("sink_logit has 2, q.heads is 4"));
  const auto with_statistics = [](auto place) {
    return answer([&](Call& call) {
      rw::Span<float>& list = call.statistics.*place;
      list = {list.data(), list.size() - 1};
    });
  };
  CHECK_THAT(with_statistics(&rw::AttentionStatistics::lse), contains("lse has 23"));
  CHECK_THAT(with_statistics(&rw::AttentionStatistics::entropy), contains("entropy has 23"));
  CHECK_THAT(with_statistics(&rw::AttentionStatistics::mean), contains("mean has 23"));
  CHECK_THAT(with_statistics(&rw::AttentionStatistics::variance), contains("variance has 23"));
}

TEST_CASE("sizes that do not agree are refused with both") {
  CHECK_THAT(answer([](Call& call) { call.k.heads = call.v.heads = 3; }),
             contains("q.heads over k.heads = 4 leaves a rest"));
  CHECK_THAT(answer([](Call& call) { call.v.heads = 1; }), contains("v.heads has 1, k.heads is 2"));
  CHECK_THAT(answer([](Call& call) { call.v.tokens = 8; }),
             contains("v.tokens has 8, k.tokens is 9"));
  CHECK_THAT(answer([](Call& call) { call.k.head_dim = 7; }),
             contains("k.head_dim has 7, q.head_dim is 8"));
  CHECK_THAT(answer([](Call& call) { call.out.head_dim = 4; }),
             contains("out.head_dim has 4, v.head_dim is 5"));
  CHECK_THAT(answer([](Call& call) { call.out.tokens = 5; }),
             contains("out.tokens has 5, q.tokens is 6"));
  CHECK_THAT(answer([](Call& call) { call.out.heads = 3; }),
             contains("out.heads has 3, q.heads is 4"));
}

TEST_CASE(
    "views without heads, width or memory are refused by name, those without tokens are not") {
  CHECK_THAT(answer([](Call& call) { call.q.head_dim = 0; }),
             contains("q head_dim = 0") || contains("q: head_dim = 0"));
  CHECK_THAT(answer([](Call& call) { call.v.head_dim = -1; }), contains("head_dim = -1"));
  CHECK_THAT(answer([](Call& call) { call.k.head_dim = 65537; }), contains("head_dim = 65537"));
  CHECK_THAT(answer([](Call& call) { call.q.heads = call.out.heads = 0; }),
             contains("q.heads = 0 is below"));
  CHECK_THAT(answer([](Call& call) { call.k.heads = call.v.heads = 0; }),
             contains("k.heads = 0 is below"));
  CHECK_THAT(answer([](Call& call) { call.q.tokens = -1; }), contains("tokens = -1"));
  CHECK_THAT(answer([](Call& call) { call.k.tokens = -3; }), contains("tokens = -3"));
  for (const char* name : {"q", "k", "v", "out"}) {
    const std::string text = answer([name](Call& call) {
      const std::string which = name;
      if (which == "q") call.q.data = nullptr;
      if (which == "k") call.k.data = nullptr;
      if (which == "v") call.v.data = nullptr;
      if (which == "out") call.out.data = nullptr;
    });
    CHECK_THAT(text, contains(std::string("attend: ") + name) && contains("data = 0 is needed"));
  }
  CHECK(answer([](Call& call) {
          call.q.tokens = call.out.tokens = 0;
          call.statistics = {};
        }) == "accepted");
  CHECK(answer([](Call& call) { call.k.tokens = call.v.tokens = 0; }) == "accepted");
  CHECK(answer([](Call& call) {
          call.k.tokens = call.v.tokens = 0;
          call.k.data = call.v.data = nullptr;
        }) == "accepted");
}

TEST_CASE("masks that show nothing to anybody are refused") {
  CHECK_THAT(answer([](Call& call) { call.options.mask.window = 0; }),
             contains("window = 0 is below"));
  CHECK_THAT(answer([](Call& call) { call.options.mask.window = -5; }), contains("window = -5"));
  CHECK_THAT(answer([](Call& call) { call.options.mask.chunk = 0; }),
             contains("chunk = 0 is below"));
  CHECK_THAT(answer([](Call& call) { call.options.mask.chunk = kLowest; }),
             contains("chunk = -9.2233720368547758e+18"));
  CHECK_THAT(answer([](Call& call) { call.options.mask.first_keys = -1; }),
             contains("first_keys = -1 is below"));
}

TEST_CASE("an output that meets what is read is refused, whatever meets whatever") {
  CHECK_THAT(answer([](Call& call) { call.out.data = call.q_memory.data(); }),
             contains("attend: the overlap of out and q"));
  CHECK_THAT(answer([](Call& call) { call.out.data = call.k_memory.data() + 9 * 16 - 1; }),
             contains("attend: the overlap of out and k"));
  CHECK_THAT(answer([](Call& call) { call.out.data = call.v_memory.data() + 3; }),
             contains("attend: the overlap of out and v"));
  CHECK(answer([](Call& call) { call.out.data = call.v_memory.data() + 9 * 10; }) == "accepted");
  CHECK_THAT(answer([](Call& call) { call.out.token_stride = 19; }), contains("token_stride = 19"));
  CHECK_THAT(answer([](Call& call) { call.out.head_stride = 0; }), contains("head_stride = 0"));
  CHECK_THAT(answer([](Call& call) { call.statistics.mean = call.statistics.entropy; }),
             contains("statistics"));
}

TEST_CASE("statistics and a workspace that lie in other memory of the call are refused") {
  const auto statistic_at = [](auto&& place) {
    return answer([&](Call& call) {
      call.statistics.entropy = rw::Span<float>(const_cast<float*>(place(call)), kTokens * 4);
    });
  };
  CHECK_THAT(statistic_at([](Call& call) { return call.q.data + kTokens * 32 - 1; }),
             contains("attend: the overlap of statistics and q"));
  CHECK_THAT(statistic_at([](Call& call) { return call.k.data; }),
             contains("attend: the overlap of statistics and k"));
  CHECK_THAT(statistic_at([](Call& call) { return call.v.data + 3; }),
             contains("attend: the overlap of statistics and v"));
  CHECK_THAT(statistic_at([](Call& call) { return call.out.data; }),
             contains("attend: the overlap of statistics and out"));
  CHECK(statistic_at([](Call& call) { return call.q.data + kTokens * 32; }) == "accepted");

  Call sizes;
  const std::size_t bytes = rw::attention_workspace(sizes.q, sizes.k, sizes.v, sizes.options);
  const auto workspace_at = [bytes](auto&& place) {
    return answer([&](Call& call) {
      call.q_memory.resize(4096 + bytes);  // moves it: nothing else reads it then
      call.q.data = call.q_memory.data();
      call.out_memory.resize(4096 + bytes, kUntouched);
      call.out.data = call.out_memory.data();
      auto* begin = reinterpret_cast<unsigned char*>(const_cast<float*>(place(call)));
      call.options.workspace = rw::Span<unsigned char>(begin, bytes);
    });
  };
  CHECK_THAT(workspace_at([](Call& call) { return call.q.data + kTokens * 32 - 1; }),
             contains("attend: the overlap of workspace and q"));
  CHECK_THAT(workspace_at([](Call& call) { return call.out.data; }),
             contains("attend: the overlap of workspace and out"));
  CHECK(workspace_at([](Call& call) { return call.q.data + kTokens * 32; }) == "accepted");
}

TEST_CASE("strides and sizes that leave the range of a pointer are refused") {
  for (const std::int64_t stride : {kLongest, kLowest, kLongest / 3, -kLongest / 3}) {
    CHECK_THAT(answer([=](Call& call) { call.q.token_stride = stride; }),
               contains("token_stride = "));
    CHECK_THAT(answer([=](Call& call) { call.k.token_stride = stride; }),
               contains("token_stride = "));
    CHECK_THAT(answer([=](Call& call) { call.v.head_stride = stride; }),
               contains("head_stride = "));
    CHECK_THAT(answer([=](Call& call) { call.out.token_stride = stride; }),
               contains("token_stride = "));
  }
  // A stride of 0 makes any number of keys a sound view, of which no memory could hold the parts.
  for (const std::int64_t tokens : {kLongest, std::int64_t{1} << 60, std::int64_t{1} << 45}) {
    CHECK_THAT(answer([=](Call& call) {
                 call.k.tokens = call.v.tokens = tokens;
                 call.k.token_stride = call.v.token_stride = 0;
                 call.options.mask.window = 1;
               }),
               contains("tokens") && contains("is above the largest value"));
    Call call;
    call.q.tokens = tokens;
    call.q.token_stride = 0;
    call.q.heads = call.k.heads = call.v.heads = 1;
    CHECK_THROWS_WITH(rw::attention_workspace(call.q, call.k, call.v),
                      contains("q.tokens") && contains("is above the largest value"));
  }
  CHECK_THAT(answer([](Call& call) {
               call.sequences.assign(std::size_t{1} << 12, {kTokens, 0, 0, std::int64_t{1} << 39});
               call.sequences[0] = {0, kTokens, 0, 1};
               call.k.tokens = call.v.tokens = std::int64_t{1} << 39;
               call.k.token_stride = call.v.token_stride = 0;
               call.options.sequences = call.sequences;
             }),
             contains("is above the largest value"));
}

TEST_CASE("positions beyond 2^61 are refused, also where only the last one is") {
  constexpr std::int64_t most = std::int64_t{1} << 61;
  for (const std::int64_t position : {most + 1, most - 2, kLongest, -most - 1, kLowest}) {
    CHECK_THAT(answer([=](Call& call) { call.options.key_position = position; }),
               contains("key_position = "));
    if (position == kLowest) continue;  // stands for the end of the keys
    CHECK_THAT(answer([=](Call& call) { call.options.query_position = position; }),
               contains("query_position = "));
    CHECK_THAT(answer([=](Call& call) {
                 call.sequences = {{0, kTokens, 0, kKeys, position, 0}};
                 call.options.sequences = call.sequences;
               }),
               contains("query_position = "));
  }
  for (const std::int64_t position : {-most, most - kKeys}) {
    CHECK(answer([=](Call& call) { call.options.key_position = position; }) == "accepted");
    CHECK(answer([=](Call& call) { call.options.query_position = position; }) == "accepted");
    CHECK(answer([=](Call& call) {
            call.options.query_position = -most;
            call.options.key_position = position;
            call.options.mask = {false, rw::kUnlimited - 1, 3, rw::kUnlimited - 1};
          }) == "accepted");
  }
}

TEST_CASE("sequences that overlap, leave gaps or leave the tokens are refused") {
  const auto with = [](const std::vector<rw::AttentionSequence>& sequences) {
    return answer([&](Call& call) {
      call.sequences = sequences;
      call.options.sequences = call.sequences;
    });
  };
  CHECK(with({{0, 2, 0, 9}, {2, 4, 3, 5}}) == "accepted");
  CHECK(with({{0, 0, 0, 0}, {0, 6, 9, 0}, {6, 0, 0, 9}}) == "accepted");
  CHECK_THAT(with({{0, 2, 0, 9}, {3, 3, 3, 5}}),
             contains("first_query has 3, the end of the sequence before is 2"));
  CHECK_THAT(with({{0, 3, 0, 9}, {2, 4, 3, 5}}),
             contains("first_query has 2, the end of the sequence before is 3"));
  CHECK_THAT(with({{1, 5, 0, 9}}), contains("first_query has 1"));
  CHECK_THAT(with({{0, 5, 0, 9}}), contains("has 5, q.tokens is 6"));
  CHECK_THAT(with({{0, 7, 0, 9}}), contains("queries = 7 is above"));
  CHECK_THAT(with({{0, 6, 5, 5}}), contains("keys = 5 is above"));
  CHECK_THAT(with({{0, 6, 10, 0}}), contains("first_key = 10 is above"));
  CHECK_THAT(with({{0, 6, -1, 3}}), contains("first_key = -1 is below"));
  CHECK_THAT(with({{0, 6, 0, -3}}), contains("keys = -3 is below"));
  CHECK_THAT(with({{0, -6, 0, 3}}), contains("queries = -6 is below"));
  CHECK_THAT(with({{-1, 6, 0, 3}}), contains("first_query = -1 is below"));
  CHECK_THAT(with({{0, kLongest, 0, 3}}), contains("queries = 9.2233720368547758e+18 is above"));
  CHECK_THAT(with({{0, 6, 1, kLongest}}), contains("keys = 9.2233720368547758e+18 is above"));
  CHECK_THAT(with({{0, 6, kLongest, kLongest}}), contains("first_key = "));
  CHECK_THAT(answer([](Call& call) {
               call.sequences = {{0, 6, 0, 9}};
               call.options.sequences = call.sequences;
               call.options.key_position = 4;
             }),
             contains("query_position and key_position beside sequences"));
}

TEST_CASE("a workspace one byte too small is refused, and so is an executor without workers") {
  Call sizes;
  const std::size_t bytes = rw::attention_workspace(sizes.q, sizes.k, sizes.v, sizes.options);
  const auto with_bytes = [](std::size_t size) {
    return answer([size](Call& call) {
      call.workspace.resize(size);
      call.options.workspace = call.workspace;
    });
  };
  CHECK(with_bytes(bytes) == "accepted");
  CHECK_THAT(with_bytes(bytes - 1),
             contains("attend: workspace = " + std::to_string(bytes - 1) + " is below"));
  CHECK_THAT(with_bytes(1), contains("attend: workspace = 1 is below"));
  CHECK_THROWS_WITH(rw::attention_workspace(sizes.q, sizes.k, sizes.v, sizes.options, 0),
                    contains("attention_workspace: workers = 0 is below"));
  CHECK_THROWS_WITH(rw::attention_workspace(sizes.q, sizes.k, sizes.v, sizes.options, -4),
                    contains("workers = -4"));
  sizes.options.mask.window = 0;
  CHECK_THROWS_WITH(rw::attention_workspace(sizes.q, sizes.k, sizes.v, sizes.options),
                    contains("attention_workspace: window = 0"));
}
