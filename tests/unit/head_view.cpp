#include <ropewalk/head_view.hpp>

#include "support/catch.hpp"
#include "support/random.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

namespace rw = ropewalk;
using namespace ropewalk_test;

namespace {

constexpr std::int64_t kLargest = (std::numeric_limits<std::int64_t>::max)();

template <typename T>
std::string field_of(const rw::HeadView<T>& view) {
  const rw::Fault fault = view.validate();
  return fault.code == rw::Errc::ok ? "" : fault.field;
}

std::size_t size_of(rw::Span<const double> span) { return span.size(); }

}  // namespace

static_assert(std::is_convertible_v<std::vector<int>&, rw::Span<int>>);
static_assert(std::is_convertible_v<const std::vector<int>&, rw::Span<const int>>);
static_assert(!std::is_convertible_v<const std::vector<int>&, rw::Span<int>>);
static_assert(!std::is_convertible_v<std::vector<int>&, rw::Span<long>>);
static_assert(std::is_convertible_v<rw::Span<int>, rw::Span<const int>>);
static_assert(!std::is_convertible_v<rw::Span<const int>, rw::Span<int>>);
static_assert(std::is_convertible_v<rw::HeadView<float>, rw::HeadView<const float>>);
static_assert(!std::is_convertible_v<rw::HeadView<const float>, rw::HeadView<float>>);
static_assert(std::is_aggregate_v<rw::HeadView<float>>);

TEST_CASE("a contiguous array is viewed token by token, head by head") {
  std::vector<float> q(2 * 3 * 4);
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = static_cast<float>(i);
  const rw::HeadView<float> view = rw::make_head_view(q.data(), 2, 3, 4);
  CHECK(view.validate().code == rw::Errc::ok);
  CHECK(view.head(0, 0)[0] == 0.0f);
  CHECK(view.head(0, 2)[1] == 9.0f);
  CHECK(view.head(1, 1)[3] == 19.0f);
  const rw::HeadView<const float> read_only = view;
  CHECK(read_only.head(1, 2) == q.data() + 20);
}

TEST_CASE("a span is made from vectors, arrays, std::array and temporaries") {
  std::vector<double> vector(3, 1.0);
  double array[4] = {};
  std::array<double, 5> fixed = {};
  CHECK(size_of(vector) == 3);
  CHECK(size_of(array) == 4);
  CHECK(size_of(fixed) == 5);
  CHECK(size_of(std::vector<double>(6)) == 6);
  CHECK(size_of({}) == 0);
  rw::Span<double> span = vector;
  span[1] = 5.0;
  double sum = 0.0;
  for (const double value : span) sum += value;
  CHECK(sum == 7.0);
}

TEST_CASE("what is no view is refused by the name of the field") {
  float x[64] = {};
  const rw::HeadView<float> sound{x, 2, 3, 4, 12, 4};
  CHECK(field_of(sound).empty());
  const auto changed = [&](auto change) {
    rw::HeadView<float> view = sound;
    change(view);
    return field_of(view);
  };
  using View = rw::HeadView<float>;
  CHECK(changed([](View& view) { view.tokens = -1; }) == "tokens");
  CHECK(changed([](View& view) { view.heads = -1; }) == "heads");
  CHECK(changed([](View& view) { view.head_dim = 0; }) == "head_dim");
  CHECK(changed([](View& view) { view.head_dim = 65537; }) == "head_dim");
  CHECK(changed([](View& view) { view.data = nullptr; }) == "data");
  CHECK(changed([](View& view) { view.head_stride = 3; }) == "head_stride");
  CHECK(changed([](View& view) { view.head_stride = 0; }) == "head_stride");
  CHECK(changed([](View& view) { view.token_stride = 11; }) == "token_stride");
  CHECK(changed([](View& view) { view.token_stride = 0; }) == "token_stride");
  CHECK(changed([](View& view) {
          view.tokens = kLargest / 2;
          view.heads = 3;
        }) == "tokens");
  CHECK(changed([](View& view) { view.token_stride = kLargest; }) == "token_stride");
  CHECK(changed([](View& view) { view.token_stride = -kLargest - 1; }) == "token_stride");
  CHECK(changed([](View& view) { view.head_stride = kLargest / 4; }) == "head_stride");
  // Strides under which two elements share memory say so.
  for (const View& view :
       {View{x, 2, 3, 4, 12, 3}, View{x, 2, 3, 4, 3, 12}, View{x, 2, 3, 4, 11, 4}}) {
    CHECK(view.validate().code == rw::Errc::overlapping);
  }
  CHECK(View{x, 2, 3, 0, 12, 4}.validate().code == rw::Errc::below_minimum);
  CHECK(View{x, 2, 3, 4, kLargest, 4}.validate().code == rw::Errc::above_maximum);
  // Nothing to look at needs no data, and one head or token no stride.
  CHECK(changed([](View& view) {
          view.tokens = 0;
          view.data = nullptr;
        }).empty());
  CHECK(changed([](View& view) {
          view.tokens = 1;
          view.heads = 1;
          view.token_stride = 0;
          view.head_stride = 0;
        }).empty());
  // Reading the same head again and again is allowed, writing it is not.
  CHECK(field_of(rw::HeadView<const float>{x, 4, 8, 4, 4, 0}).empty());
  CHECK(field_of(rw::make_head_view(x, kLargest, kLargest, 4)) == "tokens");
}

TEST_CASE("strides whose extent passes 2^31 and 2^32 elements are counted right") {
  float x[4] = {};
  for (const std::int64_t stride :
       {std::int64_t{1} << 31, std::int64_t{1} << 32, (std::int64_t{1} << 40) + 8}) {
    const rw::HeadView<float> view{x, 3, 2, 4, stride, 4};
    CHECK(field_of(view).empty());
    CHECK(reinterpret_cast<std::uintptr_t>(view.head(2, 1)) -
              reinterpret_cast<std::uintptr_t>(view.data) ==
          static_cast<std::uintptr_t>(4 * (2 * stride + 4)));
  }
}

TEST_CASE("a written view that is accepted never holds an element twice") {
  Random random("head_view");
  INFO(seed_text());
  int accepted = 0;
  int wrong = 0;
  for (int iteration = 0; iteration < 20000; ++iteration) {
    rw::HeadView<char> view;
    char x = 0;
    view.data = &x;  // never read
    view.tokens = random.integer(1, 4);
    view.heads = random.integer(1, 4);
    view.head_dim = static_cast<int>(random.integer(1, 5));
    view.token_stride = random.integer(-24, 24);
    view.head_stride = random.integer(-24, 24);
    if (view.validate().code != rw::Errc::ok) continue;
    ++accepted;
    std::set<std::int64_t> elements;
    for (std::int64_t token = 0; token < view.tokens; ++token) {
      for (std::int64_t head = 0; head < view.heads; ++head) {
        for (int dim = 0; dim < view.head_dim; ++dim) {
          wrong +=
              !elements.insert(token * view.token_stride + head * view.head_stride + dim).second;
        }
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(accepted > 5000);
}

TEST_CASE("ranges meet exactly when a byte lies between first and last element of both") {
  float x[100] = {};
  const auto at = [&](int first, std::int64_t tokens, std::int64_t stride) {
    return rw::HeadView<float>{x + first, tokens, 1, 4, stride, 4};
  };
  CHECK(rw::ranges_meet(at(0, 2, 8), at(11, 1, 4)));
  CHECK_FALSE(rw::ranges_meet(at(0, 2, 8), at(12, 1, 4)));
  CHECK(rw::ranges_meet(at(40, 3, -10), at(20, 1, 0)));
  CHECK_FALSE(rw::ranges_meet(at(40, 3, -10), at(44, 1, 0)));
  CHECK_FALSE(rw::ranges_meet(at(0, 0, 8), at(0, 1, 4)));
}
