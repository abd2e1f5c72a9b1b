// The hooks, replaced as an engine would: before the first ropewalk header.
#include <cstdint>
#include <stdexcept>
#include <string>

namespace {

std::string failed_assertion;  // NOLINT: what the hook below was told

struct EngineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace

#define ROPEWALK_ASSERT(condition, text) \
  ((condition) ? static_cast<void>(0) : static_cast<void>(failed_assertion = (text)))
#define ROPEWALK_THROW(exception) throw EngineError((exception).what())

// Another version of the library lives in its own inline namespace; here the name keeps what this
// file compiles with other hooks apart from the rest of the test program.
#define v0 v0_with_hooks
#include <ropewalk/ropewalk.hpp>
#undef v0

#include "support/catch.hpp"

TEST_CASE("an engine's own exception takes the place of std::invalid_argument") {
  const ropewalk::RopeConfig config{128, 127, 10000.0, 0};
  CHECK_THROWS_AS(ropewalk::spectrum(config), EngineError);
  CHECK_THROWS_WITH(ropewalk::spectrum(config), contains("rotary_dim = 127 must be even"));
}

TEST_CASE("an engine's own assertion is told the words of the documentation") {
  failed_assertion.clear();
  ropewalk::wavelength(1.0);
  CHECK(failed_assertion.empty());
  ropewalk::wavelength(-1.0);
  CHECK(failed_assertion == "wavelength: inv_freq >= 0");
  failed_assertion.clear();
  ropewalk::inverse_frequency(10000.0, 64, 128);
  CHECK(failed_assertion == "inverse_frequency: 0 <= pair < pairs");
}
