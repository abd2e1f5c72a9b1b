#include <ropewalk/position/axial.hpp>
#include <ropewalk/spectrum.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <string>

namespace rw = ropewalk;

namespace {

const rw::RopeConfig kHead64{64, 64, 10000.0, 0};
const rw::RopeConfig kHead88{88, 88, 10000.0, 0};

void check_position(rw::PatchPosition position, std::int64_t first, std::int64_t second) {
  CHECK(position[0] == first);
  CHECK(position[1] == second);
}

}  // namespace

TEST_CASE("each half of the pairs turns with one coordinate of the patch") {
  const rw::Spectrum spectrum = rw::spectrum(kHead64, rw::QwenVision{});
  const rw::PatchPosition patch = rw::QwenVision{1}.position(37, 10);
  check_position(patch, 3, 7);
  const auto angle = [&](int pair) {
    return spectrum.inv_freq[static_cast<std::size_t>(pair)] *
           static_cast<double>(patch[rw::QwenVision{}.axis_of_pair(kHead64, pair)]);
  };
  CHECK(angle(0) == 3.0);
  CHECK(angle(16) == 7.0);
}

TEST_CASE("Qwen's frequencies start again for the columns") {
  const rw::QwenVision layout;
  for (int pair = 0; pair < 16; ++pair) {
    const double exact = std::pow(10000.0, -4.0 * pair / 64.0);
    CHECK(layout.inv_freq(kHead64, pair) == Approx(exact).epsilon(1e-14));
    CHECK(layout.inv_freq(kHead64, pair + 16) == layout.inv_freq(kHead64, pair));
    CHECK(layout.axis_of_pair(kHead64, pair) == 0);
    CHECK(layout.axis_of_pair(kHead64, pair + 16) == 1);
  }
}

TEST_CASE("Qwen's patches come in blocks that are merged to one token") {
  // 4 x 6 patches in blocks of 2 x 2:    0  1  4  5  8  9
  //                                      2  3  6  7 10 11
  //                                     12 13 16 ..
  const rw::QwenVision layout;
  check_position(layout.position(0, 6), 0, 0);
  check_position(layout.position(1, 6), 0, 1);
  check_position(layout.position(2, 6), 1, 0);
  check_position(layout.position(4, 6), 0, 2);
  check_position(layout.position(11, 6), 1, 5);
  check_position(layout.position(12, 6), 2, 0);
  check_position(layout.position(23, 6), 3, 5);
}

TEST_CASE("Llama 4 counts columns and rows from one and leaves the class token alone") {
  const rw::Llama4Vision layout;
  check_position(layout.position(0, 24), 1, 1);
  check_position(layout.position(25, 24), 2, 2);
  check_position(layout.position(575, 24), 24, 24);
  check_position(layout.position(2, 24), 3, 1);
  check_position(layout.class_token(), 0, 0);
  CHECK(layout.inv_freq(kHead88, 0) == 1.0);
  CHECK(layout.inv_freq(kHead88, 22) == 1.0);
  CHECK(layout.inv_freq(kHead88, 21) == Approx(std::pow(10000.0, -42.0 / 44.0)).epsilon(1e-14));
  CHECK(layout.axis_of_pair(kHead88, 21) == 0);
  CHECK(layout.axis_of_pair(kHead88, 22) == 1);
}

TEST_CASE("Pixtral's rows take the even frequencies and its columns the odd ones") {
  const rw::PixtralVision layout;
  for (int pair = 0; pair < 16; ++pair) {
    CHECK(layout.inv_freq(kHead64, pair) == rw::inverse_frequency(kHead64, 2 * pair));
    CHECK(layout.inv_freq(kHead64, pair + 16) == rw::inverse_frequency(kHead64, 2 * pair + 1));
  }
  check_position(layout.position(37, 10), 3, 7);
  CHECK(layout.axis_of_pair(kHead64, 15) == 0);
  CHECK(layout.axis_of_pair(kHead64, 16) == 1);
}

TEST_CASE("an odd number of pairs cannot be halved") {
  const rw::RopeConfig config{66, 66, 10000.0, 0};
  for (const rw::Fault& fault :
       {rw::QwenVision{}.validate(config), rw::Llama4Vision{}.validate(config),
        rw::PixtralVision{}.validate(config)}) {
    CHECK(fault.code == rw::Errc::odd);
    CHECK(std::string(fault.field) == "pairs");
    CHECK(fault.value == 33.0);
  }
  CHECK_THROWS_WITH(rw::spectrum(config, rw::PixtralVision{}), contains("pairs = 33"));
  CHECK(std::string(rw::QwenVision{0}.validate(kHead64).field) == "merge");
  CHECK(std::string(rw::QwenVision{-2}.validate(kHead64).field) == "merge");
}
