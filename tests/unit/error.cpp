#include <ropewalk/error.hpp>

#include "support/catch.hpp"

#include <limits>
#include <set>
#include <stdexcept>
#include <string>

namespace rw = ropewalk;

namespace {

std::string text_of(const rw::Fault& fault) {
  try {
    rw::detail::refuse("place", fault);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("a refusal names the place, the field, the value and the reason") {
  CHECK(text_of({rw::Errc::not_positive, "factor", -2.5}) ==
        "place: factor = -2.5 must be greater than zero");
}

TEST_CASE("a refusal names the entry of a list") {
  CHECK(text_of({rw::Errc::not_positive, "long_factor", 0.0, 63}) ==
        "place: long_factor[63] = 0 must be greater than zero");
}

TEST_CASE("a refused value is printed with every digit it has") {
  const double value = 0.1 + 0.2;
  const std::string text = text_of({rw::Errc::below_minimum, "factor", value});
  CHECK(text.find("0.30000000000000004") != std::string::npos);
}

TEST_CASE("a long field name is cut and not overrun") {
  const std::string name(1000, 'x');
  CHECK(text_of({rw::Errc::unknown, name.c_str(), 0.0}).size() < 256);
}

TEST_CASE("every reason has words of its own") {
  constexpr int last = static_cast<int>(rw::Errc::result_not_finite);
  std::set<std::string> messages;
  for (int code = 0; code <= last; ++code)
    messages.insert(rw::message(static_cast<rw::Errc>(code)));
  CHECK(messages.size() == static_cast<std::size_t>(last) + 1);
  CHECK(rw::message(static_cast<rw::Errc>(last + 1)) == std::string("is refused"));
  CHECK(messages.count(rw::message(static_cast<rw::Errc>(1000))) == 0);
}

TEST_CASE("nothing is wrong with a fault as it is made") {
  const rw::Fault fault;
  CHECK(fault.code == rw::Errc::ok);
  CHECK_NOTHROW(rw::detail::require("place", fault));
  CHECK_THROWS_AS(rw::detail::require("place", {rw::Errc::odd, "rotary_dim", 3.0}),
                  std::invalid_argument);
}

TEST_CASE("messages are constant expressions") {
  static_assert(rw::message(rw::Errc::odd)[0] == 'm');
  CHECK(std::string(rw::message(rw::Errc::odd)) == "must be even");
}
